"""What is said in the conversations that are looked at. All of it is made up."""

SKY = """Sunlight is scattered by molecules that are much smaller than its wavelength. For such particles Rayleigh found

\\[
I(\\lambda) = I_0 \\, \\frac{8\\pi^4 N \\alpha^2}{\\lambda^4 R^2} \\left(1 + \\cos^2\\theta\\right)
\\]

so the strength grows with \\(1/\\lambda^4\\): **blue light (450 nm) is scattered about four times as much as red (650 nm)**.

| | Path through air | What is left | Colour |
|:--|--:|--:|:--|
| Noon | 1 air mass | 83 % of the blue | pale blue sky, white Sun |
| Sunset | 38 air masses | < 1 % of the blue | orange to red |

### Why not violet?

1. The Sun sends less violet than blue.
2. Ozone takes part of it away, high up.
3. Our eyes answer weakly below 420 nm.

> A red sunset is what remains when the blue has been given to somebody else's noon.

If you want to check it, the ratio is one line:

```python
ratio = (650e-9 / 450e-9) ** 4  # Rayleigh: lambda to the minus four
print(f"{ratio:.2f}")           # 4.35
```"""

SKY_SHORT = """Because air scatters short wavelengths more: the strength goes with \\(\\lambda^{-4}\\). At noon the scattered blue comes from everywhere; at dusk the light has crossed so much air that only red is left."""

TIDE_CODE = """import numpy as np
import matplotlib.pyplot as plt

hours = np.arange(0, 48, 0.1)
moon = 1.6 * np.cos(2 * np.pi * hours / 12.42)   # M2, the Moon's half-day tide
day = 0.5 * np.cos(2 * np.pi * hours / 24.84)    # O1, its daily one
height = moon + day

plt.plot(hours, height)
plt.xlabel("hours"), plt.ylabel("metres")
print(f"range {height.max() - height.min():.2f} m")"""

TIDE_ANSWER = """The curve repeats every **12 h 25 min**, and each second tide is a little higher: that is the daily part.

- Highest water: `2.10 m`, a little after the start
- Lowest water: `−1.72 m`, six hours later
- Range: `3.82 m`

For a real harbour use its published constituents; two of them explain the shape, not the day's number."""

CHINESE = """量子纠缠是指两个粒子的状态必须**作为一个整体**来描述，即使它们相距很远。

- 测量其中一个，另一个的结果随之确定
- 但单独看任何一方，结果都是随机的
- 因此不能用来传递信息（无信号定理）

用公式写，一个贝尔态是

\\[ |\\Phi^+\\rangle = \\frac{1}{\\sqrt{2}}\\left(|00\\rangle + |11\\rangle\\right) \\]

1935 年，爱因斯坦等人认为这说明量子力学不完备；1982 年阿斯佩的实验支持了量子力学。"""

JAPANESE = """俳句は五・七・五の十七音でできた、世界でいちばん短い定型詩のひとつです。

> 古池や 蛙飛びこむ 水の音
> — 松尾芭蕉

「切れ字」（や・かな・けり）で一度間を置き、**二つの情景を響き合わせる**のが特徴です。季語は「蛙」（春）。"""

ARABIC = """المدّ والجزر حركتان منتظمتان لمياه البحر، سببهما الأول **جاذبية القمر**.

1. يجذب القمر الماء القريب منه أكثر مما يجذب مركز الأرض.
2. فيرتفع الماء في الجهتين: القريبة والبعيدة.
3. وتدور الأرض تحت هذين الارتفاعين مرةً كل يوم، فيأتي المدّ مرتين.

| الوقت | الارتفاع |
|---|---:|
| 06:10 | 3.2 م |
| 12:25 | 0.4 م |

ويمكن حساب الفترة هكذا: `24.84 / 2 = 12.42` ساعة."""

NEWS = """The observatory has been on the air for a week, and three results stand out:

1. **First light through the new lens** showed stars a third fainter than planned \ue200cite\ue202turn0search0\ue201.
2. The dome closes by itself in 40 seconds when rain is near \ue200cite\ue202turn0search1\ue202turn0search2\ue201.
3. Schools can book an hour a night, free of charge \ue200cite\ue202turn0search2\ue201.

Opening nights for visitors begin in spring; \ue200entity\ue202["organization","Northern Lens Observatory"]\ue201 has not said when exactly."""

SITES = [
    ("https://news.example.org/science/first-light", "First light at the Northern Lens", "Example News"),
    ("https://www.example.com/astronomy/dome", "A dome that knows when it rains", "Example Astronomy"),
    (
        "https://observatory.example.net/schools?utm_source=chatgpt.com",
        "An hour of sky for every school",
        "Northern Lens",
    ),
]

LISBON = """# Lisbon in three days

*November, two people, no car.*

## Friday: arriving

- Tram 28 from Martim Moniz, before eight or not at all
- Castelo de São Jorge, then lunch in Mouraria
- Sunset at **Miradouro da Senhora do Monte**

## Saturday: the river

1. Belém by train (7 minutes), the monastery first
2. Custard tarts, warm, with cinnamon
3. The coach museum if it rains

## Sunday: the hills

- Sintra on the 8:21; Quinta da Regaleira before the coaches come
"""

CODE_REVIEW = """Two things, one of them a bug:

```diff
-def mean(values):
-    return sum(values) / len(values)
+def mean(values: Sequence[float]) -> float:
+    if not values:
+        raise ValueError("mean of nothing")
+    return math.fsum(values) / len(values)
```

- `len(values)` is zero for an empty list: the error should say so.
- `math.fsum` does not lose the small parts: `sum([1e16, 1, -1e16])` is `0`, `fsum` gives `1`.

The same in Rust, where the type says it:

```rust
fn mean(values: &[f64]) -> Option<f64> {
    // None rather than NaN for an empty slice.
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
```"""

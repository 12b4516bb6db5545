"""What people and models say in a big archive: made up, in five languages, the same for the same seed.

Words are drawn as in real text: few are everywhere, most are rare. Some are planted, for whoever needs to know how
often a search finds something: `RARE` in one message of 50,000, `SOMETIMES` in one of 500, `COMMON` in nearly all
English answers; `CHINESE` in one Chinese message of 100.
"""

import random
from collections.abc import Sequence
from itertools import accumulate

RARE, SOMETIMES, COMMON, CHINESE = "palimpsest", "marginalia", "the", "量子纠缠"

LANGUAGES = {"en": 70, "de": 12, "zh": 9, "ja": 6, "ko": 3}
"""Each language and how many of a hundred conversations are held in it."""

_EVERYDAY = {
    "en": "the of and a to in is that it for as with on be this are by you can or not from have one when which an if",
    "de": "die der und das ist in ein zu nicht mit es auf für von sich den dass auch wenn eine aber wie wird oder man",
}
_NOUNS = {
    "en": "water table function memory river letter garden engine winter query bridge colour teacher market island "
    "paper history kitchen number window city proof signal orbit budget recipe violin glacier contract lens harbour",
    "de": "Wasser Straße Funktion Fluss Brief Garten Maschine Winter Abfrage Brücke Farbe Lehrer Markt Insel Papier "
    "Geschichte Küche Zahl Fenster Stadt Beweis Bahn Rezept Geige Gletscher Vertrag Linse Hafen Gewitter Schlüssel",
}
_SYLLABLES = "ba be bi bo ca ce co da de di do fa fe fi ga ge go ha he ka ke la le li lo ma me mi mo na ne ni no ra ro"
_SIGNS = {
    "zh": "水桌函数内存河信花园引擎冬天查询桥颜色老师市场岛纸历史厨房数字窗城市证明信号轨道"
    "预算食谱小提琴冰川合同镜头港口的是在了不和有",
    "ja": "水机関数川手紙庭冬橋色先生市場島紙歴史台所数字窓都市証明信号軌道"
    "予算料理氷河契約港のはがをにでとものですますいるこれ",
    "ko": "물책상함수강편지정원엔진겨울다리색선생님시장섬종이역사부엌숫자창문"
    "도시증명신호궤도예산요리빙하계약항구은는이가를에서",
}
_STOPS = {"en": ". ", "de": ". ", "zh": "。", "ja": "。", "ko": ". "}
_CODE = "```python\ndef {name}(values: list[int]) -> int:\n    return sum(value % {n} for value in values)\n```"
_SENTENCES = 4000


class Texts:
    """A source of titles, questions and answers."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._sentences = {language: self._pool(language) for language in LANGUAGES}
        self._said = 0

    def title(self, language: str) -> str:
        """A few words without a stop."""
        return self._sentence(language)[: self._chance.choice((8, 16, 24, 40))].strip(" .。").capitalize()

    def question(self, language: str) -> str:
        """What a person asks, mostly in a sentence or two."""
        count = self._chance.choices((1, 2, 3, 12), (60, 25, 13, 2))[0]
        return self._marked(language, self._paragraph(language, count))

    def answer(self, language: str) -> str:
        """What a model answers, in Markdown: paragraphs, at times a list, a table or code."""
        parts = [self._paragraph(language, self._chance.choice((1, 2, 3, 4)))]
        shape = self._chance.random()
        if shape < 0.25:
            parts += [f"## {self.title(language)}", self._list(language)]
        elif shape < 0.35:
            parts.append(_CODE.format(name=self._chance.choice(_SYLLABLES.split()) * 2, n=self._chance.randint(2, 99)))
        elif shape < 0.38:
            rows = "\n".join(f"| {self.title(language)} | {self._chance.randint(1, 999)} |" for _ in range(3))
            parts.append(f"| {self.title(language)} | n |\n| --- | ---: |\n{rows}")
        if shape > 0.7:
            parts.append(self._paragraph(language, 3))
        return self._marked(language, "\n\n".join(parts))

    def _list(self, language: str) -> str:
        return "\n".join(f"- **{self.title(language)}**: {self._sentence(language)}" for _ in range(3))

    def _marked(self, language: str, text: str) -> str:
        self._said += 1
        if language == "zh" and self._said % 100 == 0:
            text += CHINESE + "。"
        if self._said % 50_000 == 0:
            text += f" {RARE}"
        return f"{text} {SOMETIMES}" if self._said % 500 == 0 else text

    def _paragraph(self, language: str, count: int) -> str:
        stop = _STOPS[language]
        return (stop.join(self._chance.choices(self._sentences[language], k=count)) + stop).rstrip()

    def _sentence(self, language: str) -> str:
        return self._chance.choice(self._sentences[language])

    def _pool(self, language: str) -> list[str]:
        signs = _SIGNS.get(language)
        if signs is not None:
            return ["".join(self._chance.choices(signs, k=self._chance.randint(6, 24))) for _ in range(_SENTENCES)]
        words = self._words(language)
        weights = list(accumulate(1 / rank for rank in range(1, len(words) + 1)))
        return [
            " ".join(self._chance.choices(words, cum_weights=weights, k=self._chance.randint(5, 16))).capitalize()
            for _ in range(_SENTENCES)
        ]

    def _words(self, language: str) -> Sequence[str]:
        syllables = _SYLLABLES.split()
        seldom = {"".join(self._chance.choices(syllables, k=self._chance.randint(2, 4))) for _ in range(20_000)}
        return [*_EVERYDAY[language].split(), *_NOUNS[language].split(), *sorted(seldom)]

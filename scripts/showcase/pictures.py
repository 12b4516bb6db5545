"""Pictures drawn from a number: land, sea and sky. What an image tool might have made, made by nobody."""

import io
import math
import random

from PIL import Image, ImageDraw, ImageFilter

_SKIES = {
    "dawn": ((247, 206, 170), (123, 150, 190)),
    "noon": ((200, 226, 240), (62, 124, 178)),
    "dusk": ((240, 140, 94), (52, 44, 92)),
    "night": ((44, 58, 98), (9, 13, 34)),
    "spring": ((252, 222, 226), (140, 180, 206)),
}


def landscape(seed: int, sky: str, width: int = 1024, height: int = 1024) -> bytes:
    """A PNG of hills under a sky."""
    chance = random.Random(seed)
    low, high = _SKIES[sky]
    column = Image.new("RGB", (1, height))
    for line in range(height):
        share = (1 - line / height) ** 0.8
        column.putpixel((0, line), tuple(round(a + (b - a) * share) for a, b in zip(low, high, strict=True)))
    picture = column.resize((width, height))
    draw = ImageDraw.Draw(picture)
    x, y, r = chance.uniform(0.2, 0.8) * width, chance.uniform(0.15, 0.4) * height, width * chance.uniform(0.05, 0.09)
    disc = Image.new("L", (width, height))
    ImageDraw.Draw(disc).ellipse((x - r, y - r, x + r, y + r), fill=235)
    picture.paste((255, 244, 214), mask=disc.filter(ImageFilter.GaussianBlur(r / 9)))
    if sky == "night":
        for _ in range(160):
            star = chance.uniform(0, width), chance.uniform(0, height * 0.55)
            draw.ellipse((*star, star[0] + 2, star[1] + 2), fill=(230, 235, 250))
    for layer in range(5):
        _hills(draw, chance, layer, width, height, low, high)
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=True)
    return data.getvalue()


def _hills(
    draw: ImageDraw.ImageDraw,
    chance: random.Random,
    layer: int,
    width: int,
    height: int,
    low: tuple[int, ...],
    high: tuple[int, ...],
) -> None:
    """One ridge; the nearer, the darker."""
    base = height * (0.5 + layer * 0.1)
    waves = [(chance.uniform(0.6, 4) / width, chance.uniform(0, 7), height * 0.05 / (n + 1)) for n in range(4)]
    ridge = [
        (x, base + sum(size * math.sin(x * pace * math.tau + start) for pace, start, size in waves))
        for x in range(0, width + 8, 8)
    ]
    depth = (layer + 1) / 5
    colour = tuple(
        round((a * 0.55 + b * 0.45) * (1 - depth * 0.78) + c) for a, b, c in zip(low, high, (8, 18, 14), strict=True)
    )
    draw.polygon([*ridge, (width, height), (0, height)], fill=colour)


def plot(seed: int, width: int = 960, height: int = 540) -> bytes:
    """A PNG of a curve, as a plotting library would draw one."""
    chance = random.Random(seed)
    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)
    for n in range(7):
        y = 40 + n * (height - 100) / 6
        draw.line((60, y, width - 30, y), fill=(228, 228, 228))
    shift = chance.uniform(0, 3)

    def tide(hour: float) -> float:
        return 1.6 * math.cos(math.tau * hour / 12.42 + shift) + 0.5 * math.cos(math.tau * hour / 24.84)

    points = [(60 + h * (width - 90) / 480, height / 2 - 20 - tide(h / 10) * 90) for h in range(480)]
    draw.line(points, fill=(31, 119, 180), width=3, joint="curve")
    draw.rectangle((60, 40, width - 30, height - 60), outline=(60, 60, 60))
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=True)
    return data.getvalue()

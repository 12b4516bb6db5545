"""Scenes of any length."""

import random
from collections.abc import Callable, Mapping
from typing import Unpack

from scripts.scenes.answers import plain_answer, reasoning_answer, search_answer
from scripts.scenes.images import dalle_answer, image_answer
from scripts.scenes.scene import Exchange, Scene

WORDS = """
    the a of and to in is that it with as for on are by this be from at which or an not have one sea tide moon water
    shore time caf\u00e9 na\u00efve \u6f6e \u03c0 \U0001f30a **bold** `code` answer question because therefore
"""


def prose(words: int, seed: str = "prose") -> str:
    """A text of so many words with punctuation, paragraphs, accents and signs beyond the first plane."""
    vocabulary = WORDS.split()
    chosen = random.Random(seed).choices(vocabulary, k=words)
    ends = {n: ".\n\n" if n % 60 == 59 else ". " if n % 12 == 11 else " " for n in range(words)}
    return "".join(word + ends[n] for n, word in enumerate(chosen)).rstrip()


def _example(build: Callable[..., Scene], *leading: str) -> Callable[..., Scene]:
    def make(words: int = 200, **exchange: Unpack[Exchange]) -> Scene:
        return build(*leading, prose(words, exchange.get("seed", "prose")), **exchange)

    return make


# Scenes of any length, for demonstrations and measurements: (words of answer, **Exchange).
SCENES: Mapping[str, Callable[..., Scene]] = {
    "plain": _example(plain_answer, "Why are there tides?"),
    "reasoning": _example(reasoning_answer, "Why are there two tides a day?"),
    "image": _example(image_answer, "Draw the tide", "A watercolour of a low tide at dawn \U0001f30a"),
    "dalle": _example(dalle_answer, "Draw the tide", "A watercolour of a low tide at dawn"),
    "search": _example(search_answer, "What do scientists say about tides?"),
}

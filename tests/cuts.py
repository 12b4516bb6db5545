"""The ways a body may arrive in chunks. What is read must not depend on them."""

import random
from collections.abc import Iterator
from itertools import pairwise

EVERY_CUT_UP_TO = 2000
"""Bytes of a body of which every two-way cut is tried; of a longer one, this many at random."""

RAGGED = 8


def cuts(body: bytes) -> Iterator[list[bytes]]:
    """`body` whole, byte by byte, under every two-way cut, and under seeded ragged cuts.

    The chunks joined are always the body; none is empty, since mitmproxy hands an empty one only at the end.
    """
    if not body:
        yield []
        return
    yield [body]
    yield [body[i : i + 1] for i in range(len(body))]
    generator = random.Random(len(body))
    places = range(1, len(body))
    for place in places if len(body) <= EVERY_CUT_UP_TO else sorted(generator.sample(places, EVERY_CUT_UP_TO)):
        yield [body[:place], body[place:]]
    for _ in range(RAGGED):
        count = generator.randint(1, len(body))
        inner = sorted({generator.randrange(1, len(body)) for _ in range(count)}) if len(body) > 1 else []
        yield [body[start:end] for start, end in pairwise([0, *inner, len(body)])]

"""How one exchange went in time: when its bytes came, where it waited, what its typed events were."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import orjson

from analysis.bodies import Damaged, unpacked
from analysis.queries.exchanges import Exchange

_MOST_ARRIVALS_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which nothing came: from when, in seconds after the request, and for how long."""

    after: float
    seconds: float


def arrivals(packed: bytes | None) -> list[tuple[float, int]]:
    """Seconds after the request, and how long the body was then; [] when it is not known."""
    if not packed:
        return []
    try:
        pairs = orjson.loads(unpacked(packed, _MOST_ARRIVALS_BYTES))
        return [(int(after) / 1e6, int(length)) for after, length in pairs]
    except (Damaged, ValueError, TypeError):
        return []


def longest_gap(came: list[tuple[float, int]]) -> Gap | None:
    """The longest time between two arrivals."""
    gaps = [Gap(earlier, later - earlier) for (earlier, _), (later, _) in pairwise(came)]
    return max(gaps, key=lambda gap: gap.seconds, default=None)


def seconds_after(moment: str | None, start: str | None) -> float | None:
    """How long after the start something happened."""
    if moment is None or start is None:
        return None
    return (datetime.fromisoformat(moment) - datetime.fromisoformat(start)).total_seconds()


def phases(exchange: Exchange) -> dict[str, float]:
    """Seconds after the request at which its phases began, those that are known, in order."""
    named = {"first event": exchange.first_event_at, "first token": exchange.first_token_at, "end": exchange.ended_at}
    found = {name: seconds_after(moment, exchange.started_at) for name, moment in named.items()}
    return {name: seconds for name, seconds in found.items() if seconds is not None}


def rates(came: list[tuple[float, int]], slots: int) -> list[float]:
    """Bytes a second in each of so many equal times, from the request to the last arrival."""
    if not came or came[-1][0] <= 0:
        return []
    width = came[-1][0] / slots
    sums, before = [0.0] * slots, 0
    for after, length in came:
        sums[min(slots - 1, int(after / width))] += length - before
        before = length
    return [total / width for total in sums]

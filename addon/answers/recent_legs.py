"""Legs whose bodies no archive keeps (`chatgpt_raw=drop`), held for a while in memory: a resume may go on from them.

Bounded in number, in bytes and in time. A leg that is not here any more is one whose earlier part is not known.
"""

from collections.abc import Iterator

from addon.answers.legs import Leg

MOST_LEGS = 64
MOST_BYTES = 32 * 1024 * 1024
LONGEST_MICROSECONDS = 4 * 3_600_000_000
"""As long as the page keeps what it needs to resume (protocol 3.9)."""


class RecentLegs:
    """The legs that ended last, the oldest first."""

    def __init__(self, most: int = MOST_LEGS, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._room = most_bytes
        self._legs: dict[str, tuple[Leg, int]] = {}

    def keep(self, leg: Leg, at: int) -> None:
        """Hold a leg that ended at `at`; the oldest give way."""
        self._drop(leg.stream_id)
        self._legs[leg.stream_id] = (leg, at)
        self._room -= _size(leg)
        self._forget(at)

    def at(self, at: int) -> Iterator[Leg]:
        """Those that are not too old."""
        self._forget(at)
        return (leg for leg, _ in self._legs.values())

    def _forget(self, at: int) -> None:
        for stream_id, (_, ended_at) in list(self._legs.items()):
            if self._room >= 0 and len(self._legs) <= self._most and at - ended_at <= LONGEST_MICROSECONDS:
                return
            self._drop(stream_id)

    def _drop(self, stream_id: str) -> None:
        if stream_id in self._legs:
            self._room += _size(self._legs.pop(stream_id)[0])


def _size(leg: Leg) -> int:
    return len(leg.body or b"") + len(leg.arrivals or b"")

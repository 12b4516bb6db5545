"""What a tap does with each chunk, and how much of a body it remembers for the flow."""

from collections.abc import Iterator

import pytest

from addon.tap import MAX_REMEMBERED_BYTES, MAX_RETURNED_BYTES, Chunks, Tap

PIECE = bytes(1024 * 1024)


class Keeping:
    """Somebody who keeps what passes, or fails at it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.failures = self.remembered = 0
        self._error = error

    def append(self, stream: int, chunk: bytes, at: int) -> None:
        if self._error is not None:
            raise self._error

    def ended(self, tap: Tap) -> None:
        if self._error is not None:
            raise self._error


def test_the_same_object_passes_whatever_fails() -> None:
    failing = Keeping(ValueError("a bug"))
    tap = Tap(failing, failing.append, "flow", 1, None)
    for chunk in (b"one", b"two", b""):
        assert tap(chunk) is chunk
    assert failing.failures == 3


def test_a_callable_that_was_there_before_decides_what_passes() -> None:
    def twice(chunk: bytes) -> Chunks:
        return [chunk, chunk]

    keeping = Keeping()
    tap = Tap(keeping, keeping.append, "flow", 1, twice)
    assert (tap(b"a"), tap.body, keeping.failures) == ([b"a", b"a"], [b"a"], 0)


@pytest.mark.parametrize("pieces", [MAX_RETURNED_BYTES // len(PIECE), MAX_RETURNED_BYTES // len(PIECE) + 1])
def test_a_body_is_remembered_up_to_a_limit(pieces: int) -> None:
    keeping = Keeping()
    tap = Tap(keeping, keeping.append, "flow", 1, None)
    for _ in range(pieces):
        tap(PIECE)
    whole = pieces * len(PIECE) <= MAX_RETURNED_BYTES
    assert (tap.body is not None) == whole
    assert keeping.remembered == (pieces * len(PIECE) if whole else 0)
    tap.forget()
    tap.forget()
    assert (tap.body, keeping.remembered) == (None, 0)


def test_all_that_are_open_remember_no_more_than_so_much() -> None:
    keeping = Keeping()
    taps = [Tap(keeping, keeping.append, str(number), number, None) for number in range(100)]
    for tap in in_turns(taps, 4):
        tap(PIECE)
        assert keeping.remembered <= MAX_REMEMBERED_BYTES
    held = [tap for tap in taps if tap.body is not None]
    assert sum(tap.seen for tap in held) == keeping.remembered
    assert held
    for tap in taps:
        tap.forget()
    assert keeping.remembered == 0


def in_turns(taps: list[Tap], times: int) -> Iterator[Tap]:
    for _ in range(times):
        yield from taps

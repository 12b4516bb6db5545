import json
from pathlib import Path
from typing import Any

import pytest

from addon.journal import Journal, Kind
from addon.segments import SegmentReader, segments
from addon.socket_tap import BINARY, BURST_BYTES, BURST_SECONDS, CUT, FROM_CLIENT, MAX_MESSAGE_BYTES, SocketTap
from tests.recording import STARTED

SECOND = 1_000_000


class Bursts:
    """What a tap puts where the bursts go."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []
        self.full = False

    def tap(self) -> SocketTap:
        return SocketTap(self.begin, self.append, self.end)

    def begin(self, at: int) -> int | None:
        if self.full:
            return None
        self.said.append(("begin", at - STARTED))
        return len(self.said)

    def append(self, _: int, message: bytes, at: int) -> None:
        self.said.append((message, at - STARTED))

    def end(self, _: int, reason: str, detail: str, at: int) -> None:
        self.said.append((reason, detail, at - STARTED))


@pytest.fixture
def bursts() -> Bursts:
    return Bursts()


def test_a_message_says_who_sent_it_and_what_it_is(bursts: Bursts) -> None:
    tap = bursts.tap()
    tap.message(b"[]", STARTED, from_client=True, text=True)
    tap.message(b"\x00", STARTED + 5, from_client=False, text=False)
    tap.message(b"", STARTED + 6, from_client=False, text=True)
    assert bursts.said == [
        ("begin", 0), (bytes([FROM_CLIENT]) + b"[]", 0), (bytes([BINARY]) + b"\x00", 5), (b"\x00", 6),
    ]  # fmt: skip


def test_times_rise_with_every_message(bursts: Bursts) -> None:
    tap = bursts.tap()
    for at in (10, 10, 3, 30):
        tap.message(b"", STARTED + at, from_client=False, text=True)
    assert [said[1] for said in bursts.said[1:]] == [10, 11, 12, 30]


def test_a_burst_ends_with_the_first_message_that_is_late(bursts: Bursts) -> None:
    tap = bursts.tap()
    for at in (0, BURST_SECONDS * SECOND - 1, BURST_SECONDS * SECOND):
        tap.message(b"", STARTED + at, from_client=False, text=True)
    assert [said for said in bursts.said if said[0] != b"\x00"] == [
        ("begin", 0), ("pause", "", BURST_SECONDS * SECOND - 1), ("begin", BURST_SECONDS * SECOND),
    ]  # fmt: skip


def test_a_burst_is_bounded_in_size(bursts: Bursts) -> None:
    tap = bursts.tap()
    for number in range(5):
        tap.message(b"x" * (BURST_BYTES // 2), STARTED + number, from_client=False, text=True)
    assert [said[0] for said in bursts.said if said[0] in ("begin", "pause")] == [
        "begin",
        "pause",
        "begin",
        "pause",
        "begin",
    ]


def test_of_a_message_beyond_all_measure_the_beginning_is_kept(bursts: Bursts) -> None:
    bursts.tap().message(b"x" * (MAX_MESSAGE_BYTES + 1), STARTED, from_client=False, text=True)
    message = bursts.said[1][0]
    assert (message[0], len(message)) == (CUT, 1 + MAX_MESSAGE_BYTES)


def test_the_end_of_a_socket_is_told_also_when_no_burst_is_open(bursts: Bursts) -> None:
    tap = bursts.tap()
    tap.message(b"", STARTED, from_client=False, text=True)
    tap.pause()
    tap.pause()
    tap.end("cut", "code 1006", STARTED + 9)
    assert bursts.said[2:] == [("pause", "", 0), ("begin", 9), ("cut", "code 1006", 9)]


def test_what_the_journal_cannot_take_passes_all_the_same(bursts: Bursts) -> None:
    tap, bursts.full = bursts.tap(), True
    tap.message(b"", STARTED, from_client=False, text=True)
    tap.pause()
    tap.end("end", "", STARTED + 1)
    assert bursts.said == []
    bursts.full = False
    tap.message(b"x", STARTED + 2, from_client=False, text=True)
    assert bursts.said == [("begin", 2), (b"\x00x", 2)]


def test_no_segment_outlives_its_burst(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "writer")

    def begin(at: int) -> int:
        return journal.open(json.dumps({"started_at": at}).encode(), b"", at)

    def end(burst: int, reason: str, _: str, at: int) -> None:
        journal.close(burst, reason.encode(), at)

    tap = SocketTap(begin, journal.append, end)
    for minute in range(4):
        tap.message(b"a message", STARTED + 60 * SECOND * minute, from_client=False, text=True)
    tap.end("end", "", STARTED + 300 * SECOND)
    paths = segments(tmp_path)
    assert len(paths) == 4
    for path in paths:
        reader = SegmentReader.follow(path)
        kinds = [record.kind for record in reader.read()]
        assert (kinds, reader.ended) == ([Kind.OPEN, Kind.CHUNK, Kind.CLOSE], True)
        reader.close()

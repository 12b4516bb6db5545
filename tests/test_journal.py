"""The journal: what is appended is read, whole, whatever happens to writer and disk."""

import fcntl
import itertools
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from addon import journal
from addon.journal import Journal, JournalRecord, Kind
from addon.segments import SegmentReader, in_order, segments


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    before = os.umask(0)
    yield tmp_path
    os.umask(before)


def read_all(folder: Path) -> list[JournalRecord]:
    records = []
    for path in segments(folder):
        reader = SegmentReader.follow(path)
        records += list(reader.read())
        reader.close()
    return records


def test_what_is_written_is_read_in_order(folder: Path) -> None:
    written = Journal(folder, "w")
    first = written.open(b'{"a":1}', b"request\nwith lines", 10)
    second = written.open(b"{}", b"", 11)
    written.append(first, b"one", 12)
    written.append(second, b"two\0", 13)
    written.close(first, b'{"reason":"end"}', 14)
    written.close(second, b"{}", 15)
    assert read_all(folder) == [
        JournalRecord(Kind.OPEN, first, 10, b'{"a":1}\nrequest\nwith lines'),
        JournalRecord(Kind.OPEN, second, 11, b"{}\n"),
        JournalRecord(Kind.CHUNK, first, 12, b"one"),
        JournalRecord(Kind.CHUNK, second, 13, b"two\0"),
        JournalRecord(Kind.CLOSE, first, 14, b'{"reason":"end"}'),
        JournalRecord(Kind.CLOSE, second, 15, b"{}"),
    ]


def test_a_reader_sees_records_as_they_come_and_the_end_last(folder: Path) -> None:
    written = Journal(folder, "w")
    stream = written.open(b"{}", b"", 1)
    reader = SegmentReader.follow(segments(folder)[0])
    assert [record.kind for record in reader.read()] == [Kind.OPEN]
    assert list(reader.read()) == []
    written.append(stream, b"x", 2)
    assert [record.payload for record in reader.read()] == [b"x"]
    assert not reader.ended
    written.close(stream, b"{}", 3)
    assert [record.kind for record in reader.read()] == [Kind.CLOSE]
    assert reader.ended


@pytest.mark.parametrize("taken", [1, 2, 3, 100])
def test_segments_are_read_in_the_order_in_which_it_came_however_often_one_stops(
    folder: Path, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    """An answer in the older segment goes on while others come in the newer one."""
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 10)
    written = Journal(folder, "w")
    older, newer = written.open(b"{}", b"", 1), written.open(b"{}", b"", 4)
    for at in (2, 3, 5, 8):
        written.append(older, b"x", at)
    for at in (6, 7, 9):
        written.append(newer, b"y", at)
    readers = [SegmentReader.follow(path) for path in segments(folder)]
    assert len(readers) == 2
    found: list[int] = []
    while some := [record.at for _, record in itertools.islice(in_order(readers), taken)]:
        found += some
    assert found == list(range(1, 10))
    written.append(newer, b"y", 10)
    written.append(older, b"x", 11)
    assert [record.at for _, record in in_order(readers)] == [10, 11]
    for reader in readers:
        reader.close()


def test_a_segment_ends_with_its_last_stream_and_the_next_stream_begins_another(folder: Path) -> None:
    written = Journal(folder, "w")
    written.close(written.open(b"{}", b"", 1), b"{}", 2)
    written.close(written.open(b"{}", b"", 3), b"{}", 4)
    assert [path.name for path in segments(folder)] == ["w-000001.journal", "w-000002.journal"]


def test_a_full_segment_keeps_its_streams_and_takes_no_new_ones(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 100)
    written = Journal(folder, "w")
    first = written.open(b"{}", b"", 1)
    written.append(first, b"x" * 200, 2)
    second = written.open(b"{}", b"", 3)
    written.append(first, b"y", 4)
    paths = segments(folder)
    assert len(paths) == 2
    assert [record.stream for record in SegmentReader.follow(paths[0]).read()] == [first] * 3
    assert [record.stream for record in SegmentReader.follow(paths[1]).read()] == [second]


def test_a_record_larger_than_the_reading_block_is_read_whole(folder: Path) -> None:
    written = Journal(folder, "w")
    stream = written.open(b"{}", b"", 1)
    large = os.urandom(5 * 1024 * 1024)
    written.append(stream, large, 2)
    written.append(stream, b"after", 3)
    assert [record.payload for record in read_all(folder)[1:]] == [large, b"after"]


@pytest.mark.parametrize("cut", range(1, 60))
def test_half_a_record_at_the_end_is_waited_for(folder: Path, cut: int) -> None:
    written = Journal(folder, "w")
    stream = written.open(b"{}", b"", 1)
    written.append(stream, b"a chunk of some length that is cut", 2)
    path = segments(folder)[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    reader = SegmentReader.follow(path)
    before = [record.kind for record in reader.read()]
    path.write_bytes(whole)
    assert before + [record.kind for record in reader.read()] == [Kind.OPEN, Kind.CHUNK]


def test_what_follows_a_damaged_header_is_not_trusted(folder: Path) -> None:
    written = Journal(folder, "w")
    stream = written.open(b"{}", b"", 1)
    path = segments(folder)[0]
    size = path.stat().st_size
    written.append(stream, b"good", 2)
    data = bytearray(path.read_bytes())
    data[size + 3] ^= 0xFF
    path.write_bytes(bytes(data))
    reader = SegmentReader.follow(path)
    assert [record.kind for record in reader.read()] == [Kind.OPEN]
    assert (reader.ended, reader.damaged) == (True, True)


def test_zeros_after_a_power_loss_end_the_segment(folder: Path) -> None:
    written = Journal(folder, "w")
    written.open(b"{}", b"", 1)
    path = segments(folder)[0]
    path.write_bytes(path.read_bytes() + bytes(4096))
    reader = SegmentReader.follow(path)
    assert [record.kind for record in reader.read()] == [Kind.OPEN]
    assert (reader.ended, reader.damaged) == (True, False)


def test_only_a_segment_that_nobody_holds_is_adopted(folder: Path) -> None:
    written = Journal(folder, "w")
    stream = written.open(b"{}", b"", 1)
    path = segments(folder)[0]
    assert SegmentReader.adopt(path) is None
    follower = SegmentReader.follow(path)
    written.close(stream, b"{}", 2)  # the writer lets go, its reader does not
    assert SegmentReader.adopt(path) is None
    follower.close()
    adopted = SegmentReader.adopt(path)
    assert adopted is not None
    assert [record.kind for record in adopted.read()] == [Kind.OPEN, Kind.CLOSE]
    assert SegmentReader.adopt(path) is None


def test_a_segment_that_is_empty_or_gone_is_not_adopted(folder: Path) -> None:
    fresh = folder / "w-000001.journal"
    assert SegmentReader.adopt(fresh) is None
    fresh.touch()  # as between a writer's open and its lock
    assert SegmentReader.adopt(fresh) is None
    with fresh.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # and is left free for the writer


def test_segments_are_private_and_never_opened_through_a_link(folder: Path) -> None:
    written = Journal(folder, "w")
    written.open(b"{}", b"", 1)
    path = segments(folder)[0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (folder / "link.journal").symlink_to(path)
    with pytest.raises(OSError, match=r"symbolic|Too many levels"):
        SegmentReader.follow(folder / "link.journal")


def test_what_is_no_file_of_this_user_is_neither_followed_nor_adopted(folder: Path) -> None:
    """A pipe would be waited for; a link or the file of somebody else may hold anything."""
    (folder / "real").write_bytes(b"x")
    (folder / "a-000001.journal").symlink_to(folder / "real")
    os.mkfifo(folder / "b-000001.journal")
    (folder / "c-000001.journal").mkdir()
    paths = segments(folder)
    if os.geteuid() == 0:
        (folder / "d-000001.journal").write_bytes(b"x")
        os.chown(folder / "d-000001.journal", 65534, 65534)
        paths = segments(folder)
        assert len(paths) == 4
    for path in paths:
        assert SegmentReader.adopt(path) is None
        with pytest.raises(OSError):  # noqa: PT011 - each has its own reason
            SegmentReader.follow(path)


def test_chunks_after_the_close_are_dropped(folder: Path) -> None:
    written = Journal(folder, "w")
    stream = written.open(b"{}", b"", 1)
    written.close(stream, b"{}", 2)
    written.append(stream, b"late", 3)
    written.close(stream, b"{}", 4)
    assert [record.kind for record in read_all(folder)] == [Kind.OPEN, Kind.CLOSE]


def test_a_full_disk_makes_records_wait_and_keeps_their_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = Journal(folder, "w")
    stream = written.open(b"{}", b"", 1)
    full = limited(monkeypatch, 30)
    written.append(stream, b"half of this fits", 2)
    written.append(stream, b"second", 3)
    assert written.waiting_bytes > 0
    assert [record.kind for record in read_all(folder)] == [Kind.OPEN]
    full.clear()
    written.append(stream, b"third", 4)
    assert written.waiting_bytes == 0
    assert [record.payload for record in read_all(folder)[1:]] == [b"half of this fits", b"second", b"third"]
    assert written.losses.lost_chunks == 0


def test_beyond_the_budget_chunks_are_counted_as_lost_and_the_close_is_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "BUDGET_BYTES", 100)
    written = Journal(folder, "w")
    stream = written.open(b"{}", b"", 1)
    full = limited(monkeypatch, 0)
    written.append(stream, b"x" * 50, 2)
    written.append(stream, b"y" * 90, 3)
    written.close(stream, b"{}", 4)
    assert (written.losses.lost_chunks, written.losses.lost_bytes) == (1, 90)
    full.clear()
    written.retry()
    assert [record.kind for record in read_all(folder)] == [Kind.OPEN, Kind.CHUNK, Kind.CLOSE, Kind.RUN]
    with segments(folder)[0].open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the writer has let go


def test_what_waits_in_memory_to_the_end_is_counted_as_lost(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = Journal(folder, "w")
    stream = written.open(b"{}", b"", 1)
    full = limited(monkeypatch, 30)
    for chunk in (b"half of this fits", b"second", b"third"):
        written.append(stream, chunk, 2)
    written.open(b"{}", b"", 3)
    written.close(stream, b"{}", 4)
    waited = written.waiting_bytes
    assert (written.give_up(), written.waiting_bytes) == (waited, 0)
    assert written.losses == journal.Losses(streams=2, uncaptured=1, lost_chunks=3, lost_bytes=waited)
    full.clear()
    assert written.give_up() == 0
    assert [record.kind for record in read_all(folder)] == [Kind.OPEN]


def test_a_last_try_may_be_enough(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = Journal(folder, "w")
    stream = written.open(b"{}", b"", 1)
    full = limited(monkeypatch, 0)
    written.append(stream, b"first", 2)
    full.clear()
    assert written.give_up() == 0
    assert written.losses == journal.Losses(streams=1)
    assert [record.payload for record in read_all(folder)[1:]] == [b"first"]


def test_a_stream_knows_what_it_lost_until_it_is_closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "BUDGET_BYTES", 100)
    written = Journal(folder, "w")
    one, other = written.open(b"{}", b"", 1), written.open(b"{}", b"", 1)
    limited(monkeypatch, 0)
    written.append(one, b"x" * 90, 2)
    written.append(one, b"y" * 70, 3)
    written.append(one, b"z" * 30, 4)
    assert (written.lost_of(one), written.lost_of(other)) == (100, 0)
    written.close(one, b"{}", 5)
    assert written.lost_of(one) == 0


def test_a_request_that_no_memory_is_left_for_is_counted_and_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "BUDGET_BYTES", 100)
    written = Journal(folder, "w")
    stream = written.open(b"{}", b"", 1)
    full = limited(monkeypatch, 0)
    written.append(stream, b"x" * 70, 2)
    with pytest.raises(OSError, match="No space left"):
        written.open(b"{}", b"q" * 40, 3)
    full.clear()
    written.close(stream, b"{}", 4)
    assert told(folder) == [{"streams": 1, "uncaptured": 1, "lost_chunks": 0, "lost_bytes": 0, "over": False}]


@pytest.mark.parametrize("failures", range(6))
def test_space_that_returns_at_any_moment_is_enough_for_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    written = Journal(folder, "w")
    stream = written.open(b"{}", b"", 1)
    real, left = os.write, [failures]

    def write(descriptor: int, record: bytes) -> int:
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(28, "No space left on device")
        return real(descriptor, record)

    monkeypatch.setattr(os, "write", write)
    written.append(stream, b"a chunk", 2)
    written.close(stream, b"{}", 3)
    for _ in range(failures):
        written.retry()
    assert written.waiting_bytes == 0
    assert [record.kind for record in read_all(folder)] == [Kind.OPEN, Kind.CHUNK, Kind.CLOSE]
    with segments(folder)[0].open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the writer has let go


def test_a_segment_that_cannot_be_made_waits_in_memory_like_its_records(tmp_path: Path) -> None:
    folder = tmp_path / "inflight"
    folder.write_text("in the way")
    written = Journal(folder, "w")
    stream = written.open(b"{}", b"", 1)
    written.append(stream, b"a chunk", 2)
    assert written.waiting_bytes > 0
    folder.unlink()
    written.close(stream, b"{}", 3)
    assert written.waiting_bytes == 0
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [record.kind for record in read_all(folder)] == [Kind.OPEN, Kind.CHUNK, Kind.CLOSE]


def test_the_orderly_end_is_told_in_a_segment_of_its_own(folder: Path) -> None:
    written = Journal(folder, "w")
    written.close(written.open(b"{}", b"", 1), b"{}", 2)
    written.end(3)
    written.end(4)
    assert told(folder) == [{"streams": 1, "uncaptured": 0, "lost_chunks": 0, "lost_bytes": 0, "over": True}]


def told(folder: Path) -> list[dict[str, object]]:
    return [json.loads(record.payload) for record in read_all(folder) if record.kind == Kind.RUN]


def limited(monkeypatch: pytest.MonkeyPatch, space: int) -> list[int]:
    """Make `os.write` write at most `space` bytes more; until the returned list is cleared."""
    left = [space]
    real = os.write

    def write(descriptor: int, record: bytes) -> int:
        if not left:
            return real(descriptor, record)
        if not left[0]:
            raise OSError(28, "No space left on device")
        written = real(descriptor, record[: left[0]])
        left[0] -= written
        return written

    monkeypatch.setattr(os, "write", write)
    return left

"""The journal: what is appended is read, whole, whatever happens to writer and disk."""

import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from addon import journal
from addon.journal import Journal, JournalRecord, Kind, SegmentReader, segments


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
    assert reader.ended


def test_zeros_after_a_power_loss_end_the_segment(folder: Path) -> None:
    written = Journal(folder, "w")
    written.open(b"{}", b"", 1)
    path = segments(folder)[0]
    path.write_bytes(path.read_bytes() + bytes(4096))
    reader = SegmentReader.follow(path)
    assert [record.kind for record in reader.read()] == [Kind.OPEN]
    assert reader.ended


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
    assert written.lost_chunks == 0


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
    assert (written.lost_chunks, written.lost_bytes) == (1, 90)
    full.clear()
    written.retry()
    assert [record.kind for record in read_all(folder)] == [Kind.OPEN, Kind.CHUNK, Kind.CLOSE]
    with segments(folder)[0].open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the writer has let go


def limited(monkeypatch: pytest.MonkeyPatch, space: int) -> list[int]:
    """Make `os.writev` write at most `space` bytes more; until the returned list is cleared."""
    left = [space]
    real = os.writev

    def writev(descriptor: int, buffers: tuple[bytes, ...]) -> int:
        if not left:
            return real(descriptor, buffers)
        data = b"".join(buffers)[: left[0]]
        if not data:
            raise OSError(28, "No space left on device")
        left[0] -= len(data)
        return os.write(descriptor, data)

    monkeypatch.setattr(os, "writev", writev)
    return left

"""The segments of a journal, read: whole records, in order, while they are written and long after.

A reader waits for the rest of a record that is half there. Locks: writer and reader hold a shared `flock` each; who
gets the exclusive one knows that both are gone.
"""

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from zlib import crc32

import orjson

from addon.journal import FIELDS, FROM_FILE, HEADER, KINDS, SUFFIX, JournalRecord, Kind, Losses
from addon.records import Run

_READ_BYTES = 1024 * 1024

MOST_LEFT_BYTES = 256 * 1024 * 1024
"""How much of the journal may wait for the next start."""


class SegmentReader:
    """The reading side of one segment: `read` returns the whole records that were added since the last call.

    `ahead` is a record that `in_order` has read already.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.ahead: JournalRecord | None = None
        self.ended = False
        self.damaged = False
        self._descriptor = descriptor
        self._offset = 0

    @classmethod
    def follow(cls, path: Path) -> "SegmentReader":
        """Open a segment of a living writer."""
        descriptor = _open(path)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return cls(path, descriptor)

    @classmethod
    def adopt(cls, path: Path) -> "SegmentReader | None":
        """Open a segment that nobody holds any more, None when somebody does, it is gone already or not ours."""
        try:
            descriptor = _open(path)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        # A writer locks its segment before it writes: an empty one may be about to be locked.
        if not os.fstat(descriptor).st_size:
            os.close(descriptor)
            return None
        return cls(path, descriptor)

    def read(self) -> Iterator[JournalRecord]:
        """The new records, a megabyte of file at a time."""
        size = _READ_BYTES
        while not self.ended:
            # Always from the end of the last whole record: a half one may be taken back and written anew.
            block = os.pread(self._descriptor, size, self._offset)
            before = self._offset
            yield from self._records(block)
            if self._offset == before:
                if len(block) < size:
                    return
                size *= 2  # a record larger than the block

    def remove(self) -> None:
        """Delete the segment: all it held is stored."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self.close()

    def set_aside(self) -> None:
        """Keep the segment under a name that nobody reads again: `<name>.kept`."""
        self.path.rename(self.path.with_name(self.path.name + ".kept"))
        self.close()

    def close(self) -> None:
        """Let go of the file and its lock."""
        os.close(self._descriptor)

    def _records(self, block: bytes) -> Iterator[JournalRecord]:
        start = 0
        while len(block) - start >= HEADER.size:
            kind, stream, at, size, check = HEADER.unpack_from(block, start)
            if kind not in KINDS or crc32(block[start : start + FIELDS.size]) != check:
                # Not a record of ours: nothing behind it can be trusted. Zeros are what a power loss leaves.
                self.ended, self.damaged = True, block.count(0, start) < len(block) - start
                return
            body = start + HEADER.size
            if body + size > len(block):
                return
            self._offset += HEADER.size + size
            start = body + size
            if kind == Kind.END:
                self.ended = True
                return
            yield JournalRecord(KINDS[kind], stream, at, block[body:start])


def in_order(readers: Sequence[SegmentReader]) -> Iterator[tuple[SegmentReader, JournalRecord]]:
    """What is new in several segments, in the order in which it came; what is not taken comes the next time.

    A stream may go on from one in an older segment, so none is read to its end before the others.
    """
    reading = [(reader, reader.read()) for reader in readers]
    for reader, records in reading:
        reader.ahead = reader.ahead or next(records, None)
    while reading := [entry for entry in reading if entry[0].ahead is not None]:
        reader, records = min(reading, key=_head_at) if len(reading) > 1 else reading[0]
        record, reader.ahead = reader.ahead, None
        if record is not None:
            yield reader, record
        reader.ahead = next(records, None)


def _head_at(entry: tuple[SegmentReader, Iterator[JournalRecord]]) -> int:
    return entry[0].ahead.at if entry[0].ahead is not None else 0


class LeftSegments:
    """Segments that wait for the next start, since a file in them could not be stored; so many bytes at most.

    Beyond that they go, file or not: a journal that grows for ever would keep a full disk full.
    """

    def __init__(self, most_bytes: int = MOST_LEFT_BYTES) -> None:
        self._paths: set[Path] = set()
        self._room = most_bytes

    def __contains__(self, path: Path) -> bool:
        return path in self._paths

    def take(self, path: Path) -> bool:
        """Whether this one may wait too; one that is gone cannot."""
        try:
            size = path.stat().st_size
        except OSError:
            return False
        if size > self._room:
            return False
        self._paths.add(path)
        self._room -= size
        return True


def segments(folder: Path) -> list[Path]:
    """The segments in a folder, oldest first as each writer made them; none when somebody has removed it."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(SUFFIX))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in names]


def is_run(writer: str) -> bool:
    """Whether a writer is a life of the proxy. One that only reads a file is none: reading it again adds nothing."""
    return not writer.startswith(FROM_FILE)


def run_of(segment: Path, record: JournalRecord) -> Run:
    """What a writer has told of itself."""
    told = Losses(**orjson.loads(record.payload))
    ended_at = record.at if told.over else None
    writer = segment.name.rpartition("-")[0]
    return Run(writer, record.at, ended_at, told.streams, told.uncaptured, told.lost_chunks, told.lost_bytes)


def _open(path: Path) -> int:
    """Open a regular file of this user; `OSError` for a link, a pipe, or what somebody else put there."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        os.close(descriptor)
        raise PermissionError(errno.EPERM, "not a file of this user", str(path))
    return descriptor

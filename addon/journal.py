"""The journal: what the proxy received, on disk before the tap returns, read by the recorder as after a crash.

A journal is a run of segment files in one folder, each a sequence of records; a stream's records are all in the
segment in which it was opened. A segment ends when its last stream has closed, or, being full, takes no new
streams. One `os.writev` appends a record: it is in the page cache when the call returns, so it survives
`kill -9` of the process, and nothing is waited for.

A record is a header (kind, stream number, microseconds since the epoch, payload length, CRC-32 of these four)
and the payload. A reader takes whole records only and waits for the rest of one that is half there.
Locks: writer and reader hold a shared `flock` each; who gets the exclusive one knows that both are gone.
"""

import contextlib
import fcntl
import os
import struct
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from zlib import crc32

SEGMENT_BYTES = 8 * 1024 * 1024
"""Size at which a segment takes no new streams."""

BUDGET_BYTES = 64 * 1024 * 1024
"""What waits in memory while the disk takes nothing; beyond it chunks are counted as lost."""

SUFFIX = ".journal"

_FIELDS = struct.Struct("<BIQI")
_CHECK = struct.Struct("<I")
_HEADER = struct.Struct("<BIQII")
_READ_BYTES = 1024 * 1024


class Kind(IntEnum):
    """What a record is."""

    OPEN = 1  # one line of JSON, a newline, the request's body
    CHUNK = 2  # bytes of the response's body as they were on the wire
    CLOSE = 3  # JSON: how the stream ended
    END = 4  # the segment is complete


_KINDS = frozenset(int(kind) for kind in Kind)
_CHUNK = int(Kind.CHUNK)


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One record as read; `at` in microseconds since the epoch."""

    kind: Kind
    stream: int
    at: int
    payload: bytes


@dataclass(slots=True)
class _Segment:
    descriptor: int
    path: Path
    size: int = 0
    open_streams: int = 0


class Journal:
    """The writing side. `append` never raises; when the disk is full, records wait in memory and go first later.

    `lost_chunks` and `lost_bytes` count what did not fit into `BUDGET_BYTES`.
    """

    def __init__(self, folder: Path, writer: str) -> None:
        self.lost_chunks = 0
        self.lost_bytes = 0
        self._folder = folder
        self._writer = writer
        self._segments = 0
        self._streams = 0
        self._current: _Segment | None = None
        self._segment_of: dict[int, _Segment] = {}
        self._waiting: deque[tuple[_Segment, bytes]] = deque()
        self._waiting_bytes = 0

    @property
    def open_streams(self) -> int:
        """How many streams are open."""
        return len(self._segment_of)

    @property
    def waiting_bytes(self) -> int:
        """How much could not be written yet."""
        return self._waiting_bytes

    def open(self, opening: bytes, request: bytes, at: int) -> int:
        """Begin a stream; its number. `OSError` when no segment can be made: then the stream is not captured."""
        segment = self._current
        if segment is None or segment.size >= SEGMENT_BYTES:
            segment = self._current = self._new_segment()
        self._streams += 1
        self._segment_of[self._streams] = segment
        segment.open_streams += 1
        self._append(segment, Kind.OPEN, self._streams, at, opening + b"\n" + request)
        return self._streams

    def append(self, stream: int, chunk: bytes, at: int) -> None:
        """One chunk of an open stream; of a closed one, nothing."""
        segment = self._segment_of.get(stream)
        if segment is not None:
            self._append(segment, _CHUNK, stream, at, chunk)

    def close(self, stream: int, closing: bytes, at: int) -> None:
        """End a stream, once; with the last one its segment ends too."""
        segment = self._segment_of.pop(stream, None)
        if segment is None:
            return
        self._append(segment, Kind.CLOSE, stream, at, closing)
        segment.open_streams -= 1
        if segment.open_streams == 0:
            self._append(segment, Kind.END, 0, at, b"")
            if segment is self._current:
                self._current = None
            if not self._waiting:
                os.close(segment.descriptor)
                segment.descriptor = -1

    def retry(self) -> None:
        """Write what waits in memory, as far as the disk takes it."""
        while self._waiting:
            segment, record = self._waiting[0]
            if not self._write(segment, record, b""):
                return
            self._waiting.popleft()
            self._waiting_bytes -= len(record)
            if segment.open_streams == 0 and not any(other is segment for other, _ in self._waiting):
                os.close(segment.descriptor)
                segment.descriptor = -1

    def _append(self, segment: _Segment, kind: int, stream: int, at: int, payload: bytes) -> None:
        fields = _FIELDS.pack(kind, stream, at, len(payload))
        header = fields + _CHECK.pack(crc32(fields))
        if self._waiting:
            self.retry()
        if self._waiting or not self._write(segment, header, payload):
            self._wait(segment, header + payload, kind)

    def _wait(self, segment: _Segment, record: bytes, kind: int) -> None:
        # The ends of streams are small and always kept: without them nothing would ever be complete.
        if kind == Kind.CHUNK and self._waiting_bytes + len(record) > BUDGET_BYTES:
            self.lost_chunks += 1
            self.lost_bytes += len(record) - _HEADER.size
            return
        self._waiting.append((segment, record))
        self._waiting_bytes += len(record)

    def _write(self, segment: _Segment, header: bytes, payload: bytes) -> bool:
        size = len(header) + len(payload)
        try:
            written = os.writev(segment.descriptor, (header, payload))
        except OSError:
            written = 0
        if written == size:
            segment.size += size
            return True
        if written:
            # Half a record: take it back, so that the next one follows a whole one.
            os.ftruncate(segment.descriptor, segment.size)
        return False

    def _new_segment(self) -> _Segment:
        self._segments += 1
        path = self._folder / f"{self._writer}-{self._segments:06d}{SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return _Segment(descriptor, path)


class SegmentReader:
    """The reading side of one segment: `read` returns the whole records that were added since the last call."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.ended = False
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
        """Open a segment that nobody holds any more, None when somebody does or it is gone already."""
        try:
            descriptor = _open(path)
        except FileNotFoundError:
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
        while len(block) - start >= _HEADER.size:
            kind, stream, at, size, check = _HEADER.unpack_from(block, start)
            if kind not in _KINDS or crc32(block[start : start + _FIELDS.size]) != check:
                self.ended = True  # not a record of ours: nothing behind it can be trusted
                return
            body = start + _HEADER.size
            if body + size > len(block):
                return
            self._offset += _HEADER.size + size
            start = body + size
            if kind == Kind.END:
                self.ended = True
                return
            yield JournalRecord(Kind(kind), stream, at, block[body:start])


def segments(folder: Path) -> list[Path]:
    """The segments in a folder, oldest first as each writer made them."""
    return sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIX))


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

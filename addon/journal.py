"""The journal: what the proxy received, on disk before the tap returns, read by the recorder as after a crash.

A journal is a run of segment files in one folder, each a sequence of records; a stream's records are all in the
segment in which it was opened. A segment ends when its last stream has closed, or, being full, takes no new
streams. One `os.write` appends a record: it is in the page cache when the call returns, so it survives
`kill -9` of the process, and nothing is waited for.

A record is a header (kind, stream number, microseconds since the epoch, payload length, CRC-32 of these four)
and the payload. Writer and readers (`segments`) hold a shared `flock` each; who gets the exclusive one knows that
both are gone.
"""

import contextlib
import errno
import fcntl
import json
import os
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

SEGMENT_BYTES = 8 * 1024 * 1024
"""Size at which a segment takes no new streams."""

BUDGET_BYTES = 64 * 1024 * 1024
"""What waits in memory while the disk takes nothing; beyond it chunks are counted as lost."""

SUFFIX = ".journal"

FROM_FILE = "file-"
"""What the name of a writer begins with that only reads saved flows: it is no life of a proxy."""

FIELDS = struct.Struct("<BIQI")
HEADER = struct.Struct("<BIQII")
_pack_fields = FIELDS.pack
_pack_check = struct.Struct("<I").pack


class Kind(IntEnum):
    """What a record is."""

    OPEN = 1  # one line of JSON, a newline, the request's body
    CHUNK = 2  # bytes of the response's body as they were on the wire
    CLOSE = 3  # JSON: how the stream ended
    END = 4  # the segment is complete
    RUN = 5  # JSON: `Losses`, of the writer and not of a stream


KINDS = {int(kind): kind for kind in Kind}
_CHUNK = int(Kind.CHUNK)


class JournalRecord(NamedTuple):
    """One record as read; `at` in microseconds since the epoch."""

    kind: Kind
    stream: int
    at: int
    payload: bytes


@dataclass(slots=True)
class Losses:
    """What a writer has opened and could not keep, since it began; `over` when it has ended in an orderly way."""

    streams: int = 0
    uncaptured: int = 0
    lost_chunks: int = 0
    lost_bytes: int = 0
    over: bool = False


@dataclass(slots=True)
class _Segment:
    path: Path
    descriptor: int = -1
    size: int = 0
    open_streams: int = 0
    finished: bool = False


class Journal:
    """The writing side. `append` never raises; when the disk is full, records wait in memory and go first later.

    `grown` is called after every record, `waiting` after one that has to wait. `losses` counts what did not fit into
    `BUDGET_BYTES`, and is written down itself as soon as that can be.
    """

    def __init__(
        self,
        folder: Path,
        writer: str,
        grown: Callable[[], None] = lambda: None,
        waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self.losses = Losses()
        self._folder = folder
        self._writer = writer
        self._grown, self._told_to_wait = grown, waiting
        self._segments = 0
        self._current: _Segment | None = None
        self._segment_of: dict[int, _Segment] = {}
        self._lost_of: dict[int, int] = {}
        self._told = Losses()
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
        """Begin a stream; its number. `OSError` when not even memory is left for it: then it is not captured."""
        if self._waiting_bytes + len(request) > BUDGET_BYTES:
            self.losses.uncaptured += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        segment = self._current
        if segment is None or segment.size >= SEGMENT_BYTES:
            segment = self._current = self._new_segment()
        self.losses.streams += 1
        number = self.losses.streams
        self._segment_of[number] = segment
        segment.open_streams += 1
        self._append(segment, Kind.OPEN, number, at, opening + b"\n" + request)
        return number

    def append(self, stream: int, chunk: bytes, at: int) -> None:
        """One chunk of an open stream; of a closed one, nothing."""
        segment = self._segment_of.get(stream)
        if segment is not None:
            self._append(segment, _CHUNK, stream, at, chunk)

    def lost_of(self, stream: int) -> int:
        """How many bytes of an open stream did not fit into the budget."""
        return self._lost_of.get(stream, 0)

    def close(self, stream: int, closing: bytes, at: int) -> None:
        """End a stream, once; with the last one its segment ends too."""
        segment = self._segment_of.pop(stream, None)
        if segment is None:
            return
        self._lost_of.pop(stream, None)
        self._append(segment, Kind.CLOSE, stream, at, closing)
        segment.open_streams -= 1
        if segment.open_streams == 0:
            if self._told.lost_chunks + self._told.uncaptured != self.losses.lost_chunks + self.losses.uncaptured:
                self._tell(segment, at)
            self._finish(segment, at)

    def end(self, at: int) -> None:
        """The orderly end of the writer, said once, in a segment of its own."""
        if self.losses.over:
            return
        self.losses.over = True
        segment = self._new_segment()
        self._tell(segment, at)
        self._finish(segment, at)

    def retry(self) -> None:
        """Write what waits in memory, as far as the disk takes it."""
        while self._waiting:
            segment, record = self._waiting[0]
            written = 0
            with contextlib.suppress(OSError):
                written = os.write(segment.descriptor if segment.descriptor >= 0 else self._made(segment), record)
            segment.size += written
            self._waiting_bytes -= written
            if written < len(record):
                self._waiting[0] = (segment, record[written:])
                return
            self._waiting.popleft()
            if segment.finished and not any(other is segment for other, _ in self._waiting):
                self._let_go(segment)

    def give_up(self) -> int:
        """Try a last time; what waits even then is lost with this process, and counted: how many bytes."""
        self.retry()
        lost = self._waiting_bytes
        kinds = [_kind_of(record) for _, record in self._waiting]
        self.losses.uncaptured += kinds.count(Kind.OPEN)
        self.losses.lost_chunks += kinds.count(Kind.CHUNK)
        self.losses.lost_bytes += lost
        self._waiting.clear()
        self._waiting_bytes = 0
        return lost

    def _append(self, segment: _Segment, kind: int, stream: int, at: int, payload: bytes) -> None:
        fields = _pack_fields(kind, stream, at, len(payload))
        record = fields + _pack_check(crc32(fields)) + payload
        if self._waiting:
            self.retry()
        written = 0
        if not self._waiting:
            # Here and not in a function of its own: this is done for each chunk that passes.
            try:
                written = os.write(segment.descriptor if segment.descriptor >= 0 else self._made(segment), record)
                segment.size += written
            except OSError:
                pass
        if written < len(record):
            self._wait(segment, kind, stream, record[written:], half=written > 0)
        self._grown()

    def _wait(self, segment: _Segment, kind: int, stream: int, record: bytes, *, half: bool) -> None:
        # Only chunks are ever given up: without the ends of streams nothing would be complete. And none that is half
        # written: its rest must follow.
        size = len(record) - HEADER.size
        if kind == _CHUNK and not half and self._waiting_bytes + size > BUDGET_BYTES:
            self.losses.lost_chunks += 1
            self.losses.lost_bytes += size
            self._lost_of[stream] = self._lost_of.get(stream, 0) + size
            return
        self._waiting.append((segment, record))
        self._waiting_bytes += len(record)
        self._told_to_wait()

    def _tell(self, segment: _Segment, at: int) -> None:
        self._told = Losses(**asdict(self.losses))
        self._append(segment, Kind.RUN, 0, at, json.dumps(asdict(self._told)).encode())

    def _finish(self, segment: _Segment, at: int) -> None:
        self._append(segment, Kind.END, 0, at, b"")
        segment.finished = True
        if segment is self._current:
            self._current = None
        if not self._waiting:
            self._let_go(segment)

    def _new_segment(self) -> _Segment:
        self._segments += 1
        return _Segment(self._folder / f"{self._writer}-{self._segments:06d}{SUFFIX}")

    def _made(self, segment: _Segment) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        if not self._folder.is_dir():
            self._folder.mkdir(0o700)  # somebody has removed it
        segment.descriptor = os.open(segment.path, flags, 0o600)
        fcntl.flock(segment.descriptor, fcntl.LOCK_SH)
        return segment.descriptor

    def _let_go(self, segment: _Segment) -> None:
        if segment.descriptor >= 0:
            os.close(segment.descriptor)
        segment.descriptor = -1


def _kind_of(waiting: bytes) -> int:
    """What kind of record waits; the rest of one whose beginning is written counts as a chunk."""
    if len(waiting) < HEADER.size:
        return _CHUNK
    *fields, check = HEADER.unpack_from(waiting)
    return int(fields[0]) if check == crc32(waiting[: FIELDS.size]) else _CHUNK


def now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000

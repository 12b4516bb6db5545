"""The raw body of a stream as it is kept: decoded, redacted, compressed as it grows.

In memory stands at most `_FRAME_BYTES` of plain text per stream; what is older is zstd frames, one after another
(RFC 8878 3: any decoder reads frames in a row as one).
"""

import io
import re
import sys
from array import array
from collections.abc import Iterable, Iterator

import orjson

from addon.errors import StreamError
from addon.wire.redaction import redact
from addon.wire.shapes import clean_shapes, clean_text
from addon.wire.sse import Event

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_FRAME_BYTES = 256 * 1024
_LEVEL = 3

# Comments, ids, names of events, fields that nobody knows: all lines but those of data.
_BESIDE = re.compile(rb"(?:\A|(?<=[\r\n]))(?!data:)[^\r\n]++")


class Evidence:
    """Collects one stream's decoded bytes; bytes of an event are kept only once the event is known to be clean."""

    def __init__(self) -> None:
        self.body_bytes = 0
        self._pending = bytearray()
        self._pending_start = 0
        self._last_event_id = ""
        self._clean: list[bytes] = []
        self._clean_bytes = 0
        self._frames: list[bytes] = []
        self._arrivals = array("q")

    def received(self, piece: bytes) -> None:
        """Decoded bytes, not yet known to be clean."""
        self._pending += piece

    def events(self, events: Iterable[tuple[Event, bytes]]) -> None:
        """Events that `received` bytes completed, each with its data after redaction."""
        end = self._pending_start
        for event, data in events:
            if data is not event.data:
                self._keep(end)
                if self._pending.startswith(b"\n"):  # of a CR LF whose event was read at the CR, or an empty line
                    self._keep(end + 1)
                comments = _comments(bytes(self._pending[: event.end - self._pending_start]))
                self._add(comments + _rewritten(event, data, self._last_event_id))
                self._drop(event.end)
            end = event.end
            self._last_event_id = event.last_event_id
        self._keep(end)

    def arrived(self, microseconds: int) -> None:
        """Note that the body had grown to its present length so long after the stream began."""
        if not self._arrivals or self._arrivals[-1] != self.body_bytes:
            self._arrivals.extend((microseconds, self.body_bytes))

    def so_far(self, *, unfinished: bool = False, comments: bytes = b"") -> tuple[bytes, bytes]:
        """What `close` would give for the events that have come whole; more may follow.

        With `unfinished` also what has come of the next event, `comments` ahead of the line it is cut in.
        """
        growing = b"".join(self._clean)
        if unfinished:
            rest = redact(bytes(self._pending), tokens=True)
            start = rest.rfind(b"\n") + 1
            growing += rest[:start] + comments + rest[start:]
        return b"".join(self._frames + [compress(growing)] * bool(growing)), self._arrived()

    def close(self) -> tuple[bytes, bytes]:
        """The compressed body and, as compressed JSON, `[[microseconds, body length], ...]`."""
        if self._pending:
            # An event that never ended: it is cut anywhere, so whatever looks like a token goes.
            pending = bytes(self._pending)
            self._pending.clear()
            self._add(redact(pending, tokens=True))
        self._compress()
        return b"".join(self._frames), self._arrived()

    def _arrived(self) -> bytes:
        pairs = [list(pair) for pair in zip(self._arrivals[::2], self._arrivals[1::2], strict=True)]
        return compress(orjson.dumps(pairs))

    def _keep(self, end: int) -> None:
        if end > self._pending_start:
            block = bytes(self._pending[: end - self._pending_start])
            self._add(block if _is_plain(block) else _BESIDE.sub(lambda line: clean_shapes(line[0]), block))
            self._drop(end)

    def _drop(self, end: int) -> None:
        del self._pending[: end - self._pending_start]
        self._pending_start = end

    def _add(self, data: bytes) -> None:
        self._clean.append(data)
        self._clean_bytes += len(data)
        self.body_bytes += len(data)
        if self._clean_bytes >= _FRAME_BYTES:
            self._compress()

    def _compress(self) -> None:
        if self._clean:
            self._frames.append(compress(b"".join(self._clean)))
            self._clean.clear()
            self._clean_bytes = 0


def compress(data: bytes) -> bytes:
    """`data` as one zstd frame."""
    return zstd.compress(data, _LEVEL)


def decompress(frames: bytes) -> bytes:
    """What `compress` made smaller, any number of frames in a row, also none."""
    return zstd.decompress(frames) if frames else b""


def pieces(body: bytes | None, arrivals: bytes | None) -> Iterator[tuple[bytes, int]]:
    """A kept body in the pieces in which it came, each with how many microseconds after the stream began.

    Held in memory is one piece. Raises `StreamError` where it is damaged, when all before that has been given.
    """
    done, after = 0, 0
    with zstd.open(io.BytesIO(body or b""), "rb") as plain:
        for after, length in _pairs(arrivals):
            while done < length and (piece := _read(plain, min(length - done, _FRAME_BYTES))):
                done += len(piece)
                yield piece, after
        while piece := _read(plain, _FRAME_BYTES):
            yield piece, after


def _read(plain: zstd.ZstdFile, size: int) -> bytes:
    try:
        return plain.read(size)
    except (zstd.ZstdError, EOFError):
        raise StreamError("the stored body is damaged") from None


def _pairs(arrivals: bytes | None) -> list[tuple[int, int]]:
    try:
        pairs = orjson.loads(decompress(arrivals)) if arrivals else []
        return [(int(after), int(length)) for after, length in pairs]
    except (zstd.ZstdError, EOFError, ValueError, TypeError):
        return []  # when it came is not known any more; what came is


def _is_plain(block: bytes) -> bool:
    """Whether there is no line in it but data, `event: delta` and the empty one: so with nearly all that comes."""
    known = block.count(b"\n\n") + block.count(b"\ndata:") + block.startswith(b"data:") + block.count(b"event: delta\n")
    return known == block.count(b"\n") and b"\r" not in block


def _comments(lines: bytes) -> bytes:
    """The comment lines among those of an event, which may say which delivery brought it."""
    found = [line for line in lines.splitlines() if line.startswith(b":")]
    return redact(b"".join(line + b"\n" for line in found), tokens=True)


def _rewritten(event: Event, data: bytes, earlier_id: str) -> bytes:
    lines = [b"data: " + line for line in data.split(b"\n")]
    if event.type != "message":
        lines.insert(0, b"event: " + clean_text(event.type).encode())
    if event.last_event_id != earlier_id:
        lines.insert(0, b"id: " + clean_text(event.last_event_id).encode())
    return b"\n".join(lines) + b"\n\n"

"""The event stream format (WHATWG HTML 9.2): decoded bytes in, events out.

Sans-I/O. An event is returned as soon as the line end of its blank line is there, wherever the chunks are cut.
Each byte is looked at and copied a fixed number of times, and what is held back is bounded by `MAX_EVENT_BYTES`.
"""

from typing import NamedTuple

from addon.errors import StreamError

MAX_EVENT_BYTES = 16 * 1024 * 1024
MAX_LINES = 10_000_000
"""Lines of one stream; a few kilobytes unfold to a thousand million empty ones."""

_BOM = b"\xef\xbb\xbf"
_LF, _CR = b"\n\r"
_COLON = b":"[0]


class Event(NamedTuple):
    """One dispatched event.

    `type` is the `event` field ("message" when there was none), `data` the data lines joined by LF, as bytes;
    `last_event_id` the last valid `id` field of the stream. `end` is the offset in the decoded stream just behind
    the event; a LF that only the next chunk brings belongs to the next event, since an event does not wait for it.
    `terminated` is False for the event a cut stream ended in: the standard drops it, we keep it flagged.
    """

    type: str
    data: bytes
    end: int
    last_event_id: str = ""
    terminated: bool = True


class EventStreamParser:
    """Feed it chunks cut anywhere: the events do not depend on the cuts."""

    def __init__(self) -> None:
        self._offset = 0
        self._partial = bytearray()
        self._after_cr = False
        self._at_start = True
        self._type = b""
        self._data = bytearray()
        self._last_event_id = ""
        self._lines = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes.

        Raises `StreamError` when one event exceeds `MAX_EVENT_BYTES`, or all have too many lines; then nothing more may
        be fed.
        """
        if self._after_cr and chunk:
            # CR LF is one line end, also when a chunk ends between the two.
            self._after_cr = False
            if chunk[0] == _LF:
                chunk = chunk[1:]
                self._offset += 1
        if not chunk:
            return []
        # bytes.splitlines knows LF, CR LF and CR only; str.splitlines would also split on U+2028.
        lines = chunk.splitlines(keepends=True)
        self._after_cr = chunk[-1] == _CR
        rest = lines.pop() if chunk[-1] not in (_LF, _CR) else b""
        events: list[Event] = []
        self._lines += len(lines)
        if self._lines > MAX_LINES:
            raise StreamError(f"more than {MAX_LINES} lines")
        for ended in lines:
            self._offset += len(ended)
            line = ended.rstrip(b"\r\n")
            if self._partial or self._at_start:
                line = self._join(line)
            if line:
                self._field(line)
            else:
                self._dispatch(events)
        if rest:
            self._offset += len(rest)
            self._partial += rest
            self._check(len(self._partial))
        return events

    def close(self) -> list[Event]:
        """What the end of the stream leaves: at most one event, flagged as not terminated."""
        events: list[Event] = []
        if self._partial and (line := self._join(b"")):
            self._field(line)
        if self._data:
            self._dispatch(events, terminated=False)
        return events

    def _join(self, line: bytes) -> bytes:
        if self._partial:
            line = b"".join((self._partial, line))
            self._partial.clear()
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        return line

    def _field(self, line: bytes) -> None:
        self._check(len(line))
        if line[0] == _COLON:
            return
        field, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if field == b"data":
            self._data += value
            self._data.append(_LF)
        elif field == b"event":
            self._type = value
        elif field == b"id" and b"\0" not in value:
            # WHATWG 9.2.6: a NUL makes the whole id field void, not just the character.
            self._last_event_id = value.decode("utf-8", "replace")

    def _dispatch(self, events: list[Event], *, terminated: bool = True) -> None:
        if self._data:
            type_ = self._type.decode("utf-8", "replace") if self._type else "message"
            del self._data[-1]
            events.append(Event(type_, bytes(self._data), self._offset, self._last_event_id, terminated))
            self._data.clear()
        self._type = b""

    def _check(self, line_bytes: int) -> None:
        if len(self._data) + line_bytes > MAX_EVENT_BYTES:
            self._partial.clear()  # so that `close` has nothing left to say
            self._data.clear()
            raise StreamError(f"an event exceeds {MAX_EVENT_BYTES} bytes")

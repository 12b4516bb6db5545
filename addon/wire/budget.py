"""What reading one stream may cost: so much memory, so much work, so many things. Far beyond any honest answer.

Beyond it the stream ends as an error and its raw body is all that is kept: a `StreamError`, like every broken limit.
The limits are those of a recorder that shares a laptop with a browser: 300 MB, whoever is at the other end.
"""

from collections.abc import Iterable
from typing import Any

from addon.errors import StreamError
from addon.records import Message, MessageGrowth, Record, TypedEvent
from addon.wire.payload import loads

MEGABYTE = 1024 * 1024

MAX_HELD = 96 * MEGABYTE
"""What the messages of a stream may take in memory, roughly: 24 million characters of text."""

MAX_EMITTED = 64 * MEGABYTE
"""What one chunk may make to be written: a long message that each of a thousand tiny edits finishes anew."""

MAX_WORK = 2048 * MEGABYTE
"""What edits may cost beside their own length: each of a long text reads all of it."""

MAX_EVENTS = 2_000_000
MAX_MESSAGES = 10_000

_BYTES_A_CHARACTER = 4  # what `StringIO` takes, and a string with one emoji in it
_BYTES_A_VALUE = 80  # an empty list in a list, allocated
_LIGHT = 256 * 1024


class Budget:
    """What is left for one stream."""

    def __init__(self) -> None:
        self._held = 0
        self._work = 0
        self._events = 0
        self._emitted = 0

    def chunk(self) -> None:
        """Another chunk has come."""
        self._emitted = 0

    def event(self) -> None:
        """Another event has come."""
        self._events += 1
        if self._events > MAX_EVENTS:
            raise StreamError(f"more than {MAX_EVENTS} events")

    def hold(self, size: int) -> None:
        """So much more is held until the stream ends."""
        self._held += size
        if self._held > MAX_HELD:
            raise StreamError("its messages are larger than any answer's")

    def hold_text(self, text: str) -> None:
        """So much text is added to a message."""
        self.hold(_BYTES_A_CHARACTER * len(text))

    def hold_value(self, value: Any) -> None:
        """This is added to a message."""
        self.hold(_size(value))

    def release(self, value: Any) -> None:
        """This is not part of a message any more."""
        if value is not None:
            size = _size(value)
            self.work(size // _BYTES_A_VALUE)
            self._held -= size

    def work(self, characters: int) -> None:
        """An edit makes so many characters be read or copied that it does not bring itself."""
        self._work += characters
        if self._work > MAX_WORK:
            raise StreamError("its edits cost more than any answer's")

    def emit(self, records: Iterable[Record]) -> None:
        """These are to be written because of the last chunk."""
        self._emitted += sum(map(weight, records))
        if self._emitted > MAX_EMITTED:
            raise StreamError("more is rewritten than any answer's messages")


def weight(record: Record) -> int:
    """Roughly how many bytes of text a record carries."""
    match record:
        case Message():
            return len(record.text or "") + len(record.content or "") + len(record.metadata or "")
        case MessageGrowth():
            return len(record.text or "") + len(record.content)
        case TypedEvent():
            return len(record.data)
    return 0


def memory_of(data: bytes) -> int:
    """The most bytes that the JSON in `data` takes when it has been read."""
    return _BYTES_A_CHARACTER * len(data) + _BYTES_A_VALUE * _values(data)


def loads_bounded(data: bytes, most: int = 2 * MAX_HELD) -> Any:
    """`payload.loads` for what anybody may send: sixty megabytes of `[],` would be two gigabytes of lists.

    `most` is compared with `memory_of`, which is four times too high for plain text. Raises `ValueError`.
    """
    if len(data) > _LIGHT and memory_of(data) > most:
        raise ValueError("more values than can be held")
    return loads(data)


def _size(value: Any) -> int:
    """Roughly the bytes that a value takes."""
    size, rest = 0, [value]
    while rest:
        part = rest.pop()
        size += _BYTES_A_CHARACTER * len(part) if isinstance(part, str) else _BYTES_A_VALUE
        if isinstance(part, dict):
            rest += part.values()
        elif isinstance(part, (list, tuple)):
            rest += part
    return size


def _values(data: bytes) -> int:
    """At most how many values there are: each but the first of its container follows a comma, or is a container."""
    return data.count(b",") + data.count(b"[") + data.count(b"{")

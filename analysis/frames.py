"""One exchange as its frames: each message once, in the state it ended in, in the order in which they first came.

From the raw body alone. What the service sent is given back value by value: in the cumulative form (v0) the last frame
of each message, in the delta form (v1) the document of each message when all its deltas are applied. A frame without
a message has no id; it is called `no_message_key` and the place of its event, as eight hexadecimal digits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from addon.answers.delta import DeltaDecoder
from addon.answers.typed_events import counts
from addon.errors import StreamError
from addon.wire.evidence import pieces
from addon.wire.payload import loads, mapping
from addon.wire.sse import Event, EventStreamParser
from analysis.queries.exchanges import RawBody

NAMELESS = "no_message_key"


@dataclass(slots=True)
class Frame:
    """What one key ended in. `first` and `last` are microseconds after the request; `changes` counts its events."""

    key: str
    data: Any
    first: int
    last: int
    changes: int = 1

    @property
    def message(self) -> dict[str, Any] | None:
        """The message in it."""
        found = self.data.get("message") if isinstance(self.data, dict) else None
        return found if isinstance(found, dict) else None


def arrived_events(raw: RawBody) -> Iterator[tuple[Event, int]]:
    """The events that count, each with when it arrived; a damaged body gives what can be read of it."""
    parser = EventStreamParser()
    after = 0
    try:
        for piece, after in pieces(raw.body, raw.arrivals):
            for event in parser.feed(piece):
                if counts(event):
                    yield event, after
    except StreamError:
        return
    for event in parser.close():
        if counts(event):
            yield event, after


def frames(raw: RawBody, *, whole: bool = True) -> list[Frame]:
    """The frames of a raw body; one that is not `whole` goes on with what another exchange began."""
    return _Frames(whole).read(raw)


class _Frames:
    """Collects the frames of one exchange."""

    def __init__(self, whole: bool) -> None:
        self._frames: dict[str, Frame] = {}
        self._delta = DeltaDecoder(whole=whole)
        self._unnamed: dict[Any, str] = {}

    def read(self, raw: RawBody) -> list[Frame]:
        for position, (event, after) in enumerate(arrived_events(raw)):
            if event.type == "delta_encoding":
                self._delta.settle()
                self._delta = DeltaDecoder()
                self._unnamed.clear()
            else:
                self._event(event, position, after)
        self._delta.settle()
        return list(self._frames.values())

    def _event(self, event: Event, position: int, after: int) -> None:
        try:
            payload = loads(event.data)
        except ValueError:
            return
        fields = mapping(payload)
        if event.type == "delta" or (not {"type", "message"} & fields.keys() and _is_operation(fields)):
            if self._delta.whole or not self._delta.misses(fields):
                self._delta.apply(fields)
                self._document(self._delta.channel, position, after)
            return
        self._show(_message_id(payload) or _nameless(position), payload, after)

    def _document(self, channel: Any, position: int, after: int) -> None:
        document = self._delta.document(channel)
        if document is None:
            return
        # A document without a message is one frame all the same, however many operations made it.
        key = _message_id(document) or self._unnamed.setdefault(channel, _nameless(position))
        self._show(key, document, after)

    def _show(self, key: str, data: Any, after: int) -> None:
        known = self._frames.get(key)
        if known is None:
            self._frames[key] = Frame(key, data, after, after)
        else:
            known.data, known.last, known.changes = data, after, known.changes + 1


def _is_operation(fields: dict[str, Any]) -> bool:
    return "v" in fields or ("p" in fields and "o" in fields)


def _message_id(data: Any) -> str | None:
    identity = mapping(mapping(data).get("message")).get("id")
    return identity if isinstance(identity, str) and identity else None


def _nameless(position: int) -> str:
    return f"{NAMELESS}{position:08x}"

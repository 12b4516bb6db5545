"""Who reads a document, and what of it could not be understood: that becomes records, never an exception."""

from typing import Any

from addon.answers.messages import Observation
from addon.answers.typed_events import TypedEvents
from addon.records import Record, TypedEvent
from addon.wire.payload import dumps


class DocumentReading:
    """One body that holds documents: a page's JSON, or a whole export. `at` is when it was true, in microseconds.

    One for each stream: it numbers the events it returns.
    """

    def __init__(self, stream_id: str, source: str, at: int) -> None:
        self.seen = Observation(stream_id, source, at, live=False, document=True)
        self.event_count = 0
        self._events = TypedEvents()

    @property
    def unrecognised_count(self) -> int:
        """How many parts were not understood."""
        return self._events.unrecognised_count

    def event(
        self, kind: str, data: Any, conversation_id: str | None = None, message_id: str | None = None
    ) -> list[Record]:
        """The record of what a document tells and no other table holds."""
        return self._record(kind, data, conversation_id, message_id, recognised=True)

    def unrecognised(
        self, kind: str, data: Any, conversation_id: str | None = None, message_id: str | None = None
    ) -> list[Record]:
        """The record of a part that was not understood."""
        return self._record(kind, data, conversation_id, message_id, recognised=False)

    def _record(
        self, kind: str, data: Any, conversation_id: str | None, message_id: str | None, *, recognised: bool
    ) -> list[Record]:
        event = TypedEvent(
            stream_id=self.seen.stream_id,
            position=self.event_count,
            received_at=self.seen.at,
            type=kind,
            recognised=recognised,
            data=dumps(data),
            conversation_id=conversation_id,
            message_id=message_id,
        )
        self.event_count += 1
        return self._events.record(event)

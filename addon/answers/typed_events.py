"""Events: which count, which types are known, what they say about the turn, how many records a stream may leave."""

from typing import Any

from addon.records import Record, TypedEvent
from addon.wire.payload import mapping, string
from addon.wire.sse import Event

RECOGNISED = frozenset(
    {
        "resume_conversation_token", "input_message", "message_marker", "title_generation", "message_stream_complete",
        "conversation_detail_metadata", "server_ste_metadata", "moderation", "safety_review_update", "url_moderation",
        "conversation_async_status", "stream_handoff", "streaming_parent_patch", "perf_stats", "toast", "error", "done",
        "conversation-turn-complete", "conversation-turn-handoff-control",
    }
)  # fmt: skip
"""Types of typed events that are understood or known to carry nothing for the tables."""

UNREADABLE = frozenset({"unparsable", "unparsable_message"})
"""Types of records of what is no JSON at all: an event, a document, a message of a WebSocket."""

PINGS = frozenset({"ping", "heartbeat"})

MAX_TYPED_EVENTS = 20_000
"""Event records per stream; beyond it they are counted only (the raw body holds them)."""


_TOPICS = ("conversation-turn-", "conv-turn-low-ttl-")


def turn_of(topic: str) -> str | None:
    """The turn that a topic is about, by its name."""
    return next((topic.removeprefix(before) for before in _TOPICS if topic.startswith(before)), None)


def counts(event: Event) -> bool:
    """Whether an event counts towards the service's resume `offset`: all but pings, empty ones and `[DONE]`."""
    return event.type not in PINGS and event.data.strip() not in (b"", b"[DONE]")


class Turn:
    """What a stream's events say about the turn as a whole; `error` is one line without payload."""

    def __init__(self) -> None:
        self.exchange_id: str | None = None
        self.request_message_id: str | None = None
        self.title: str | None = None
        self.error: str | None = None
        self.complete = False
        self.handed_off = False

    def resume(self) -> None:
        """A later leg goes on: how the earlier one ended says nothing of this one."""
        self.complete, self.handed_off, self.error = False, False, None

    def read(self, payload: dict[str, Any]) -> None:
        """Take in one typed event."""
        match payload.get("type"):
            case "title_generation":
                self.title = string(payload.get("title")) or self.title
            case "message_stream_complete" | "done":
                self.complete = True
            case "stream_handoff":
                self.handed_off = True
                self.exchange_id = string(payload.get("turn_exchange_id")) or self.exchange_id
            case "server_ste_metadata":
                turn = string(mapping(payload.get("metadata")).get("turn_exchange_id"))
                self.exchange_id = turn or self.exchange_id
            case "resume_conversation_token":
                # What redaction leaves of the token.
                topic = (string(payload.get("token")) or "").partition("turn_topic_id=")[2]
                self.exchange_id = self.exchange_id or turn_of(topic)
            case "error":
                self.error = "the service reported an error"


class TypedEvents:
    """Counts one stream's typed and unrecognised events, and lets as many of their records pass as are kept."""

    def __init__(self) -> None:
        self.unrecognised_count = 0
        self._recorded = 0

    def record(self, event: TypedEvent) -> list[Record]:
        """What is to be written of an event: its record, or nothing when there are too many."""
        self.unrecognised_count += not event.recognised
        self._recorded += 1
        return [event] if self._recorded <= MAX_TYPED_EVENTS else []

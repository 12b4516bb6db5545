"""The messages of one stream as they change: when they began and finished, and what of them must be written.

A message that grows is written when its turn comes; a message that finishes, or changes after it was finished, or
loses its text, is written at once, each state by itself: a later one must not hide an earlier one.
"""

from dataclasses import dataclass
from typing import Any

from addon.messages import Observation, read_message, text_of
from addon.payload import mapping, string
from addon.records import Message, Record

THINKING = frozenset({"thoughts", "reasoning_recap"})


@dataclass(frozen=True, slots=True)
class Exchange:
    """What is known of an exchange before its first event."""

    stream_id: str
    source: str
    conversation_id: str | None = None
    request_message_id: str | None = None
    requested_model: str | None = None


@dataclass(slots=True)
class MessageState:
    """One message as this stream has shown it so far. `message` is the live object: edits to it show here.

    `at` is when it last changed. Times are microseconds.
    """

    id: str
    message: dict[str, Any]
    at: int = 0
    conversation_id: str | None = None
    changed: bool = False
    finished: bool = False
    moderated: bool = False
    damaged: bool = False
    first_token_at: int | None = None
    completed_at: int | None = None


class MessageStates:
    """All of a stream's messages, in the order in which they appeared."""

    def __init__(self, exchange: Exchange) -> None:
        self.first_token_at: int | None = None
        self.turn_exchange_id: str | None = None
        self._exchange = exchange
        self._states: dict[str, MessageState] = {}

    def __len__(self) -> int:
        return len(self._states)

    @property
    def changed(self) -> bool:
        """Whether a message has changed since it was last written."""
        return any(state.changed for state in self._states.values())

    @property
    def latest(self) -> MessageState | None:
        """The message that appeared last."""
        return next(reversed(self._states.values()), None)

    @property
    def answer(self) -> Message | None:
        """The last message that the assistant addressed to the person."""
        for state in reversed(self._states.values()):
            record = self.record(state, None, live=False)
            if record.role == "assistant" and record.visible and record.content_type not in THINKING:
                return record
        return None

    def get(self, identity: str) -> MessageState | None:
        """The state of a message that has appeared."""
        return self._states.get(identity)

    def show(self, message: dict[str, Any], conversation_id: Any) -> MessageState | None:
        """The state of the message that this object is, begun when it is new; None when it has no id."""
        identity = string(message.get("id"))
        if identity is None:
            return None
        state = self._states.get(identity)
        if state is None:
            state = self._states[identity] = MessageState(identity, message)
        state.message = message
        state.conversation_id = string(conversation_id) or state.conversation_id
        return state

    def change(
        self, state: MessageState, at: int, conversation_id: str | None, before: Message | None = None
    ) -> list[Record]:
        """Note that one event changed a message; `before` is its record from ahead of an edit of its content."""
        state.changed, state.at = True, at
        records: list[Record] = []
        if state.first_token_at is None or (before is not None and before.text):
            says = text_of(mapping(state.message.get("content")))
            if before is not None and before.text and not says:
                records.append(before)
            if says and state.first_token_at is None:
                self._first_token(state, at)
        was_finished, state.finished = state.finished, state.message.get("status") not in (None, "in_progress")
        if state.finished:
            state.completed_at = state.completed_at or at
            if not was_finished or before is not None:
                records.append(self.written(state, conversation_id, live=False))
        return records

    def pending(self, conversation_id: str | None, *, live: bool) -> list[Record]:
        """The records of what changed; with `live` False also of what never finished, since nothing more comes."""
        return [
            self.written(state, conversation_id, live=live)
            for state in self._states.values()
            if state.changed or not (live or state.finished)
        ]

    def written(self, state: MessageState, conversation_id: str | None, *, live: bool) -> Message:
        """The record of a message that is about to be written."""
        state.changed = False
        record = self.record(state, conversation_id, live=live)
        self.turn_exchange_id = record.turn_exchange_id or self.turn_exchange_id
        return record

    def record(self, state: MessageState, conversation_id: str | None, *, live: bool) -> Message:
        """A message as it stands."""
        by_model = mapping(state.message.get("author")).get("role") in ("assistant", "tool")
        seen = Observation(
            stream_id=self._exchange.stream_id,
            source=self._exchange.source,
            at=state.at,
            live=live and not state.finished,
            requested_model=self._exchange.requested_model if by_model else None,
            prompt_message_id=self._exchange.request_message_id,
            first_token_at=state.first_token_at,
            completed_at=state.completed_at,
            moderated=state.moderated,
            damaged=state.damaged,
        )
        return read_message(state.id, state.message, state.conversation_id or conversation_id, seen)

    def _first_token(self, state: MessageState, at: int) -> None:
        message = state.message
        role = mapping(message.get("author")).get("role")
        if role not in ("assistant", "tool"):
            return
        state.first_token_at = at
        to_person = role == "assistant" and message.get("recipient") in (None, "all")
        if to_person and mapping(message.get("content")).get("content_type") not in THINKING:
            self.first_token_at = self.first_token_at or at

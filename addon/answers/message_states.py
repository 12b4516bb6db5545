"""The messages of one stream as they change: when they began and finished, and what of them must be written.

A message that grows is written when its turn comes; a message that appears, finishes, changes after it was finished,
or loses what it said is written at once, each state by itself: a later one must not hide an earlier one. So what is
stored in the end does not depend on when anybody looked.
"""

from dataclasses import dataclass
from typing import Any

from addon.answers.messages import Observation, assets_of, continues, is_visible, read_message, text_of
from addon.errors import StreamError
from addon.records import Message, MessageGrowth, Record
from addon.wire.budget import MAX_MESSAGES
from addon.wire.payload import dumps, mapping, string

THINKING = frozenset({"thoughts", "reasoning_recap"})

_BY_MODEL = ("assistant", "tool")

_ANCESTORS = 100
"""How far up from the newest message one that is echoed late is looked for."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What is known of an exchange before its first event; `timed` is False when its body arrived whole."""

    stream_id: str
    source: str
    conversation_id: str | None = None
    request_message_id: str | None = None
    requested_model: str | None = None
    timed: bool = True


@dataclass(slots=True)
class MessageState:
    """One message as this stream has shown it so far. `message` is the live object: edits to it show here.

    `first_seen_at` is 0 until the message has been noted, `at` is when it last changed. Times are microseconds.
    `waits` when it grew after it was finished: that is written with the next event of another kind, or at the end.
    `only_grew` while nothing else has happened to it since it was last written whole.
    """

    id: str
    message: dict[str, Any]
    first_seen_at: int = 0
    at: int = 0
    conversation_id: str | None = None
    changed: bool = False
    only_grew: bool = False
    finished: bool = False
    waits: bool = False
    moderated: bool = False
    damaged: bool = False
    first_token_at: int | None = None
    completed_at: int | None = None

    @property
    def role(self) -> Any:
        """`author.role`, whatever it is."""
        return mapping(self.message.get("author")).get("role")

    @property
    def content_type(self) -> str | None:
        """`content.content_type`."""
        return string(mapping(self.message.get("content")).get("content_type"))

    @property
    def says_finished(self) -> bool:
        """Whether its `status` says so; `finished` is what it said when it last changed."""
        return string(self.message.get("status")) not in (None, "in_progress")

    @property
    def awaits_token(self) -> bool:
        """Whether the first of its words, which is timed, is still to come."""
        return self.first_token_at is None and self.role in _BY_MODEL

    def grows_into(self, message: dict[str, Any]) -> bool:
        """Whether a message that comes whole is this one, still in progress, with nothing new but a longer text."""
        if self.finished or self.moderated or self.awaits_token:
            return False
        content, earlier = mapping(message.get("content")), mapping(self.message.get("content"))
        match content.get("parts"), earlier.get("parts"):
            case [str(text)], [str(before)] if before and text.startswith(before):
                same_kind = {**content, "parts": earlier["parts"]} == earlier
                return same_kind and {**message, "content": earlier} == self.message
        return False

    @property
    def parent_id(self) -> str | None:
        """The parent that the message itself names."""
        return string(mapping(self.message.get("metadata")).get("parent_id"))


class MessageStates:
    """All of a stream's messages, in the order in which they appeared."""

    def __init__(self, exchange: Exchange) -> None:
        self.first_token_at: int | None = None
        self._exchange = exchange
        self._states: dict[str, MessageState] = {}

    def __len__(self) -> int:
        return len(self._states)

    @property
    def changed(self) -> bool:
        """Whether a message has changed since it was last written."""
        return any(state.changed and not state.waits for state in self._states.values())

    @property
    def answer(self) -> Message | None:
        """The last message that the assistant addressed to the person."""
        for state in reversed(self._states.values()):
            if state.role == "assistant" and is_visible(state.message) and state.content_type not in THINKING:
                return self.record(state, None, live=False)
        return None

    @property
    def answered(self) -> bool:
        """Whether the final answer has come to its end (finished, and the turn ends with it)."""
        answer = self.answer
        return answer is not None and answer.finished and answer.end_turn is True

    @property
    def turn_exchange_id(self) -> str | None:
        """The turn that the newest message which names one belongs to."""
        for state in reversed(self._states.values()):
            identity = string(mapping(state.message.get("metadata")).get("turn_exchange_id"))
            if identity is not None:
                return identity
        return None

    def get(self, identity: Any) -> MessageState | None:
        """The state of a message that has appeared."""
        return self._states.get(identity) if isinstance(identity, str) else None

    def show(self, message: dict[str, Any], conversation_id: Any) -> MessageState | None:
        """The state of the message that this object is, begun when it is new; None when it has no id.

        `StreamError` when there are more than any answer has.
        """
        identity = string(message.get("id"))
        if identity is None:
            return None
        state = self._states.get(identity)
        if state is None:
            if len(self._states) >= MAX_MESSAGES:
                raise StreamError(f"more than {MAX_MESSAGES} messages")
            state = self._states[identity] = MessageState(identity, message)
        state.message = message
        state.conversation_id = string(conversation_id) or state.conversation_id
        return state

    def leads(self, state: MessageState, leaf: str | None) -> bool:
        """Whether a message that has just appeared takes the place of `leaf` as the newest of the conversation."""
        # A user's message may be echoed after the answer to it has begun.
        return state.role in _BY_MODEL or (state.role == "user" and state.id not in self._ancestors(leaf))

    def belong(self, conversation_id: str) -> list[Record]:
        """The conversation has got its name: all that was written without it, again."""
        states = [state for state in self._states.values() if state.conversation_id is None]
        return [self.written(state, conversation_id, live=True) for state in states]

    def moderate(self, identity: str | None, conversation_id: str | None) -> list[Record]:
        """The service blocked a message, the newest where it names none.

        What the person saw is written first; what takes its place then only becomes a version.
        """
        state = self._states.get(identity) if identity else next(reversed(self._states.values()), None)
        if state is None:
            return []
        record = self.written(state, conversation_id, live=True)
        state.moderated = True
        return [record]

    def damage(self, at: int) -> None:
        """Some of the stream is missing: of no message it is certain that it says all."""
        for state in self._states.values():
            state.changed = state.damaged = True
            state.at = max(state.at + 1, at)

    def change(
        self, state: MessageState, at: int, conversation_id: str | None, before: Message | None = None
    ) -> list[Record]:
        """Note that one event changed a message; `before` is its record from ahead of an edit of its content."""
        appeared, state.first_seen_at = not state.first_seen_at, state.first_seen_at or at
        was_finished, state.finished = state.finished, state.says_finished
        records: list[Record] = []
        if before is not None and (self._lost(state, before) or (state.changed and was_finished > state.finished)):
            records.append(before)
        state.changed, state.only_grew, state.at = True, False, at
        if state.awaits_token:
            self._first_token(state, at)
        if state.finished:
            state.completed_at = state.completed_at or at
        if appeared or (state.finished and (not was_finished or before is not None)):
            records.append(self.written(state, conversation_id, live=True))
        return records

    def pending(self, conversation_id: str | None, *, live: bool) -> list[Record]:
        """The records of what changed; with `live` False also of what never finished, since nothing more comes."""
        return [
            self._grown(state, conversation_id)
            if live and state.only_grew and not state.moderated
            else self.written(state, conversation_id, live=live)
            for state in self._states.values()
            if (state.changed and not (live and state.waits)) or not (live or state.finished)
        ]

    def written(self, state: MessageState, conversation_id: str | None, *, live: bool) -> Message:
        """The record of a message that is about to be written."""
        state.changed = state.waits = False
        state.only_grew = True
        return self.record(state, conversation_id, live=live)

    def _grown(self, state: MessageState, conversation_id: str | None) -> MessageGrowth:
        """What is new in a message that only became longer: a tenth of the work, many times for each answer."""
        state.changed = False
        content = mapping(state.message.get("content"))
        return MessageGrowth(
            id=state.id,
            conversation_id=state.conversation_id or conversation_id,
            stream_id=self._exchange.stream_id,
            at=state.at,
            text=text_of(content),
            content=dumps(content),
        )

    def record(self, state: MessageState, conversation_id: str | None, *, live: bool) -> Message:
        """A message as it stands."""
        seen = Observation(
            stream_id=self._exchange.stream_id,
            source=self._exchange.source,
            at=state.at,
            first_seen_at=state.first_seen_at,
            live=live and not state.finished,
            requested_model=self._exchange.requested_model if state.role in _BY_MODEL else None,
            prompt_message_id=self._exchange.request_message_id,
            first_token_at=state.first_token_at if self._exchange.timed else None,
            completed_at=state.completed_at if self._exchange.timed else None,
            moderated=state.moderated,
            damaged=state.damaged,
        )
        return read_message(state.id, state.message, state.conversation_id or conversation_id, seen)

    def resume(self) -> None:
        """All of this another exchange has stored: what changes from here on is written whole."""
        for state in self._states.values():
            state.changed = state.waits = state.only_grew = False

    def _ancestors(self, identity: str | None) -> set[str]:
        """The messages above one, as far as this stream shows them."""
        found: set[str] = set()
        while (state := self._states.get(identity or "")) is not None and len(found) < _ANCESTORS:
            identity = state.parent_id
            if identity is None or identity in found:
                break
            found.add(identity)
        return found

    def _lost(self, state: MessageState, before: Message) -> bool:
        """Whether a message no longer has the text, or the files, that it had."""
        text = text_of(mapping(state.message.get("content"))) or ""
        if before.text and (not text or (state.moderated and not continues(text, before.text))):
            return True
        return bool(before.assets) and not {a.id for a in before.assets} <= {a.id for a in assets_of(state.message)}

    def _first_token(self, state: MessageState, at: int) -> None:
        content = mapping(state.message.get("content"))
        if not text_of(content):
            return
        state.first_token_at = at
        to_person = state.role == "assistant" and state.message.get("recipient") in (None, "all")
        if to_person and state.content_type not in THINKING:
            self.first_token_at = self.first_token_at or at

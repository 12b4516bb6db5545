"""The events of one answer -> records: v0 (whole messages, again and again) and v1 (deltas), typed events in both.

Sans-I/O. `apply` takes one event at a time and returns what must be written in any case; a message that only grew
is returned by `snapshot`, which the caller asks for as often as readers should see it. What is not understood
becomes a `TypedEvent` with `recognised=False`; nothing in a stream raises.
"""

from dataclasses import replace
from typing import Any

from addon import records
from addon.cumulative import UnreadFrames, growing_message_id
from addon.delta import VERBS, DeltaDecoder, leaves
from addon.message_states import Exchange, MessageState, MessageStates
from addon.payload import dumps, loads, mapping, scalars, string
from addon.records import Message, Record, TypedEvent
from addon.sse import Event

RECOGNISED = frozenset(
    {
        "resume_conversation_token", "input_message", "message_marker", "title_generation", "message_stream_complete",
        "conversation_detail_metadata", "server_ste_metadata", "moderation", "safety_review_update", "url_moderation",
        "conversation_async_status", "stream_handoff", "streaming_parent_patch", "perf_stats", "toast", "error", "done",
    }
)  # fmt: skip
"""Types of typed events that are understood or known to carry nothing for the tables."""

MAX_TYPED_EVENTS = 20_000
"""Event records per stream; beyond it they are counted only (the raw body holds them)."""

_REWRITING = VERBS - {"append", "patch"}
_PINGS = frozenset({"ping", "heartbeat"})


class ConversationDecoder:
    """Reads the events of one stream. Times are microseconds.

    `event_count` counts as the service's resume `offset` does: every event but pings, empty ones and `[DONE]`.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.messages = MessageStates(exchange)
        self.conversation_id = exchange.conversation_id
        self.turn_exchange_id: str | None = None
        self.title: str | None = None
        self.encoding: str | None = None
        self.error: str | None = None
        self.event_count = 0
        self.unrecognised_count = 0
        self.done = False
        self.complete = False
        self.handed_off = False
        self._delta = DeltaDecoder()
        self._undecodable = False
        self._channels: dict[int | float, MessageState] = {}
        self._unread = UnreadFrames()
        self._current_node: str | None = None
        self._typed_events = 0
        self._at = 0
        self._out: list[Record] = []

    def apply(self, event: Event, at: int) -> list[Record]:
        """Read one event that arrived at `at`; the records that must be written whatever comes next."""
        self._at = max(self._at + 1, at)
        if not event.data or event.type in _PINGS:
            return []
        if event.data == b"[DONE]":
            self._read_unread()
            self.done = True
            return self._taken()
        position = self.event_count
        self.event_count += 1
        if not self._leave_unread(event.data, position):
            self._read_unread()
            if event.type == "delta_encoding":
                self._delta_encoding(event.data, position)
            else:
                self._payload(event, position)
        return self._taken()

    @property
    def changed(self) -> bool:
        """Whether `snapshot` has something to return."""
        return bool(self._unread) or self.messages.changed

    def snapshot(self, *, live: bool = True) -> list[Record]:
        """The messages that changed since they were last returned; with `live` False nothing more will come."""
        self._read_unread()
        self._delta.settle()
        self._out += self.messages.pending(self.conversation_id, live=live)
        return self._taken()

    @property
    def answered(self) -> bool:
        """Whether the final answer has come to its end (finished, and the turn ends with it)."""
        answer = self.messages.answer
        return answer is not None and answer.finished and answer.end_turn is True

    # -- events ----------------------------------------------------------------------------------------------------

    def _payload(self, event: Event, position: int) -> None:
        try:
            payload = loads(event.data)
        except ValueError:
            self._unparsable(event, position)
            return
        if not isinstance(payload, dict):
            self._typed(event.type, payload, position, recognised=False)
        elif event.type == "delta":
            self._delta_operation(payload, position)
        elif "message" in payload and "type" not in payload:
            self._envelope(payload, position)
        elif isinstance(payload.get("type"), str):
            self._typed_event(payload, position)
        elif "v" in payload or ("p" in payload and "o" in payload):
            # A delta that lost its event name: the service's client would pass it by, its text would be missing.
            self._delta_operation(payload, position)
        elif "moderation_response" in payload:
            self._typed_event({"type": "moderation", **payload}, position)  # its form until 2024
        elif payload.get("error"):
            self._service_error(payload, position)
        else:
            self._typed(event.type, payload, position, recognised=False)

    def _unparsable(self, event: Event, position: int) -> None:
        state = self._channels.get(self._delta.channel) if event.type == "delta" else None
        if state is not None:
            state.damaged = state.changed = True  # what this operation said is missing from the text
        kind = "unparsable" if event.terminated else "incomplete"
        text = scalars(event.data.decode("utf-8", "replace"))
        self._typed(kind, text, position, recognised=False, message_id=state.id if state else None)

    def _delta_encoding(self, data: bytes, position: int) -> None:
        self._delta.settle()
        self._delta = DeltaDecoder()
        self._channels.clear()
        version = data.strip().strip(b'"').decode("utf-8", "replace")
        self._undecodable = version != "v1"
        self.encoding = version[:20]
        if self._undecodable:
            self.error = "unknown delta encoding"
            self._typed("delta_encoding", version, position, recognised=False)

    def _delta_operation(self, delta: dict[str, Any], position: int) -> None:
        if self._undecodable:
            self.unrecognised_count += 1
            return
        self.encoding = self.encoding or "v1"
        verb, pointer = delta.get("o", self._delta.verb), delta.get("p", self._delta.pointer)
        earlier = self._channel_state(delta.get("c", self._delta.channel))
        before = None
        if earlier and _edits_content(delta, verb, pointer, VERBS if earlier.finished else _REWRITING):
            self._delta.settle()
            before = self.messages.record(earlier, self.conversation_id, live=True)
        errors = self._delta.apply(delta)
        envelope = mapping(self._delta.document(self._delta.channel))
        state = earlier
        if earlier is None or envelope.get("message") is not earlier.message:
            self._conversation_is(envelope.get("conversation_id"))
            state = self.messages.show(mapping(envelope.get("message")), envelope.get("conversation_id"))
            if state is not earlier:
                before = None
        if errors or state is None:
            details = {"errors": errors, "delta": delta}
            self._typed("delta", details, position, recognised=False, message_id=state.id if state else None)
        if state is None:
            return
        state.damaged = state.damaged or bool(errors)
        self._channels[self._delta.channel] = state
        if verb == "append" and not state.finished and state.first_token_at is not None:
            state.changed, state.at = True, self._at  # the usual case: the text grew
        else:
            self._change(state, before)

    def _envelope(self, payload: dict[str, Any], position: int) -> None:
        self.encoding = self.encoding or "v0"
        message = payload.get("message")
        self._conversation_is(payload.get("conversation_id"))
        if payload.get("error"):
            self._service_error(payload, position)
        earlier = self.messages.get(str(mapping(message).get("id")))
        before = self.messages.record(earlier, self.conversation_id, live=True) if earlier else None
        state = self.messages.show(mapping(message), payload.get("conversation_id"))
        if state is not None:
            self._change(state, before)
        elif message is not None:
            self._typed("message", payload, position, recognised=False)

    def _change(self, state: MessageState, before: Message | None) -> None:
        finished = state.message.get("status") not in (None, "in_progress")
        if finished or state.first_token_at is None or before is not None:
            self._delta.settle()
        role = mapping(state.message.get("author")).get("role")
        if state.id != self._current_node and role in ("user", "assistant", "tool"):
            self._current_node = state.id
            self._say(current_node=state.id)
        self._out += self.messages.change(state, self._at, self.conversation_id, before)

    # -- typed events ----------------------------------------------------------------------------------------------

    def _typed_event(self, payload: dict[str, Any], position: int) -> None:
        kind = payload["type"]
        self._conversation_is(payload.get("conversation_id"))
        match kind:
            case "input_message":
                self._input_message(mapping(payload.get("input_message")))
            case "title_generation" if string(payload.get("title")):
                self.title = string(payload["title"])
                self._say(title=self.title)
            case "message_stream_complete" | "done":
                self.complete = True
            case "stream_handoff":
                self.handed_off = True
                self.turn_exchange_id = string(payload.get("turn_exchange_id")) or self.turn_exchange_id
            case "server_ste_metadata":
                turn = string(mapping(payload.get("metadata")).get("turn_exchange_id"))
                self.turn_exchange_id = turn or self.turn_exchange_id
            case "resume_conversation_token":
                topic = (string(payload.get("token")) or "").partition("turn_topic_id=conversation-turn-")[2]
                self.turn_exchange_id = self.turn_exchange_id or topic or None
            case "conversation_detail_metadata":
                self._say(default_model_slug=string(payload.get("default_model_slug")))
            case "moderation":
                self._moderation(payload)
            case "error":
                self.error = "the service reported an error"
        self._typed(kind, payload, position, recognised=kind in RECOGNISED)

    def _input_message(self, message: dict[str, Any]) -> None:
        # The echo of a message that also came as an envelope says nothing new.
        if self.messages.get(str(message.get("id"))) is None:
            state = self.messages.show(message, self.conversation_id)
            if state is not None:
                self._change(state, None)

    def _moderation(self, payload: dict[str, Any]) -> None:
        if mapping(payload.get("moderation_response")).get("blocked") is not True:
            return
        state = self.messages.get(str(payload.get("message_id"))) or self.messages.latest
        if state is not None:
            # What the person saw is written first; what takes its place then only becomes a version.
            self._delta.settle()
            self._out.append(self.messages.written(state, self.conversation_id, live=True))
            state.moderated = True

    def _service_error(self, payload: dict[str, Any], position: int) -> None:
        code = string(payload.get("error_code"))
        self.error = "the service reported an error" + (f" ({code})" if code and code.isidentifier() else "")
        self._typed("error", payload, position, recognised=True)

    def _typed(
        self, kind: str, payload: Any, position: int, *, recognised: bool, message_id: str | None = None
    ) -> None:
        self.unrecognised_count += not recognised
        self._typed_events += 1
        if self._typed_events > MAX_TYPED_EVENTS:
            return
        fields = mapping(payload)
        self._out.append(
            TypedEvent(
                stream_id=self.exchange.stream_id,
                position=position,
                received_at=self._at,
                type=scalars(kind[:100]),
                recognised=recognised,
                data=dumps(payload),
                conversation_id=string(fields.get("conversation_id")) or self.conversation_id,
                message_id=message_id or string(fields.get("message_id")),
            )
        )

    # -- the rest --------------------------------------------------------------------------------------------------

    def _channel_state(self, channel: Any) -> MessageState | None:
        return self._channels.get(channel) if type(channel) in (int, float) else None

    def _leave_unread(self, data: bytes, position: int) -> bool:
        """Keep a v0 frame unread when the next one is likely to repeat it whole."""
        identity = growing_message_id(data)
        state = self.messages.get(identity) if identity is not None else None
        if identity is None or state is None or state.finished or state.first_token_at is None:
            return False
        if identity != self._unread.message_id:
            self._read_unread()
        self._unread.add(identity, data, self._at, position)
        if self._unread.full:
            self._read_unread()
        return True

    def _read_unread(self) -> None:
        if not self._unread:
            return
        latest = self._at
        envelopes, unreadable = self._unread.take()
        for data, self._at, position in unreadable:
            self._unparsable(Event("message", data, 0), position)
        for envelope, at, position in envelopes:
            self._at = at
            self._envelope(envelope, position)
        self._at = latest

    def _conversation_is(self, identity: Any) -> None:
        if string(identity) and self.conversation_id != identity:
            self.conversation_id = string(identity)
            self._say()

    def _say(
        self, *, title: str | None = None, current_node: str | None = None, default_model_slug: str | None = None
    ) -> None:
        """Pass on what the stream says about its conversation, once that has a name."""
        if self.conversation_id is not None:
            said = records.Conversation(id=self.conversation_id, source=self.exchange.source, at=self._at)
            self._out.append(
                replace(said, title=title, current_node=current_node, default_model_slug=default_model_slug)
            )

    def _taken(self) -> list[Record]:
        taken, self._out = self._out, []
        return taken


def _edits_content(delta: dict[str, Any], verb: Any, pointer: Any, verbs: frozenset[str]) -> bool:
    """Whether a delta holds an operation with one of `verbs` that may change what a message says."""
    return any(
        inner in verbs and (path in ("", "/message") or (path + "/").startswith("/message/content/"))
        for inner, path in leaves(verb, pointer, delta.get("v"))
    )

"""The events of one answer -> records: v0 (whole messages, again and again) and v1 (deltas), typed events in both.

Sans-I/O. `apply` takes one event at a time and returns what must be written in any case; a message that only grew
is returned by `snapshot`, which the caller asks for as often as readers should see it. What is not understood
becomes a `TypedEvent` with `recognised=False`; nothing in a stream raises.
"""

from dataclasses import replace
from typing import Any

from addon.answers.cumulative import UnreadFrames, growing_message_id
from addon.answers.delta import DeltaDecoder
from addon.answers.edits import edits_content, only_grows
from addon.answers.message_states import Exchange, MessageState, MessageStates
from addon.answers.typed_events import PINGS, RECOGNISED, Turn, TypedEvents
from addon.records import Conversation, Message, Record, TypedEvent
from addon.wire.budget import Budget, loads_bounded, memory_of
from addon.wire.payload import dumps, mapping, scalars, string
from addon.wire.redaction import is_bare_text
from addon.wire.sse import Event
from addon.wire.updates import UPDATES, updates_in

MISSING = "missing_item"
"""The type of the event by which whoever feeds the stream says that something of it never came."""

PART_MISSING = "a part of this answer never came"
"""What that is to a person."""


class ConversationDecoder:
    """Reads the events of one stream. Times are microseconds.

    With an `offset` it begins in mid-stream, where the events before are not known: what edits them is counted as
    `missed` and changes nothing.

    `event_count` counts as the service's resume `offset` does (`typed_events.counts`).
    """

    def __init__(self, exchange: Exchange, offset: int = 0, budget: Budget | None = None) -> None:
        self.exchange = exchange
        self._budget = budget or Budget()
        self.messages = MessageStates(exchange)
        self.conversation_id = exchange.conversation_id
        self.turn = Turn()
        self.encoding: str | None = None
        self.event_count = offset
        self.missed = 0
        self.done = False
        self._delta = DeltaDecoder(whole=not offset, budget=self._budget)
        self._undecodable = False
        self._channels: dict[int | float, MessageState] = {}
        # The message that a bare text goes on with, as long as nothing else comes.
        self._writing: MessageState | None = None
        self._sizes: dict[str, int] = {}
        self._unread = UnreadFrames()
        self._current_node: str | None = None
        self._typed_events = TypedEvents()
        self._at = 0
        self._out: list[Record] = []

    def apply(self, event: Event, at: int) -> list[Record]:
        """Read one event that arrived at `at`; the records that must be written whatever comes next."""
        self._at = max(self._at + 1, at)
        if self._writing is not None:
            if self._writes_on(event, self._writing):
                return []
            self._writing = None
        data = event.data.strip()
        if not data or event.type in PINGS:
            return []
        if data == b"[DONE]":
            self._read_unread()
            self.done = True
            return self._taken()
        position = self.event_count
        self.event_count += 1
        if not self._leave_unread(event.data, position):
            self._read_unread()
            if event.type == "delta_encoding":
                self._delta_encoding(event, position)
            else:
                self._payload(event, position)
        return self._taken()

    @property
    def unrecognised_count(self) -> int:
        """How many events were not understood."""
        return self._typed_events.unrecognised_count

    @property
    def turn_exchange_id(self) -> str | None:
        """The turn that the events belong to, as far as they say so."""
        return self.turn.exchange_id or self.messages.turn_exchange_id

    @property
    def changed(self) -> bool:
        """Whether `snapshot` has something to return."""
        return bool(self._unread) or self.messages.changed

    def snapshot(self, *, live: bool = True) -> list[Record]:
        """The messages that changed since they were last returned; with `live` False nothing more will come."""
        self._read_unread(more=live)
        self._delta.settle()
        self._out += self.messages.pending(self.conversation_id, live=live)
        return self._taken()

    def resume(self) -> None:
        """What was read so far another exchange has brought and stored; it ended as it did, and this one goes on."""
        self.snapshot()
        self.messages.resume()
        self.turn.resume()

    def apply_document(self, answer: Any, at: int, *, accepted: bool) -> list[Record]:
        """Read the JSON that came instead of events: an error or, when `accepted`, that the answer comes elsewhere."""
        self._at = max(self._at + 1, at)
        fields = mapping(answer)
        self._conversation_is(fields.get("conversation_id"))
        self.turn.handed_off = accepted
        if accepted:
            self.turn.exchange_id = string(fields.get("response_id"))
        socket = isinstance(fields.get("wss_url"), str)
        self._typed("websocket_handoff" if socket else "answer_without_events", answer, 0, recognised=accepted)
        if accepted and fields.get("message"):
            self._envelope(fields, 1)
        return self._taken()

    def _writes_on(self, event: Event, state: MessageState) -> bool:
        """Read the usual event, a bare text that goes on with a message; whether it was one."""
        if event.type != "delta" or not is_bare_text(event.data):
            return False
        try:
            text = loads_bounded(event.data)["v"]
        except (ValueError, TypeError, KeyError):
            return False
        if type(text) is not str or not self._delta.writes_on(text):
            return False
        self.event_count += 1
        state.changed, state.at, state.waits = True, self._at, state.finished
        return True

    def _payload(self, event: Event, position: int) -> None:
        try:
            payload = loads_bounded(event.data)
        except ValueError:
            self._unparsable(event, position)
            return
        if type(payload) is dict and "v" not in payload:
            self._hold(payload, event.data)
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
            self._typed_event({**payload, "type": "moderation"}, position)  # its form until 2024
        elif payload.get("error"):
            self._service_error(payload, position)
        else:
            self._typed(event.type, payload, position, recognised=False)

    def _hold(self, payload: dict[str, Any], data: bytes) -> None:
        """Account for what stays in memory: of messages that come whole the largest of each."""
        if identity := string(mapping(payload.get("message") or payload.get("input_message")).get("id")):
            size = memory_of(data)
            self._budget.hold(size - min(size, self._sizes.get(identity, 0)))
            self._sizes[identity] = max(size, self._sizes.get(identity, 0))

    def _unparsable(self, event: Event, position: int) -> None:
        state = self._channel_state(self._delta.channel) if event.type == "delta" else None
        if state is not None and event.terminated:
            # What this operation said is missing from the text. Of one that was torn off the rest never came.
            state.damaged, state.changed, state.only_grew, state.at = True, True, False, self._at
        kind = "unparsable" if event.terminated else "incomplete"
        text = scalars(event.data.decode("utf-8", "replace"))
        self._typed(kind, text, position, recognised=False, message_id=state.id if state else None)

    def _delta_encoding(self, event: Event, position: int) -> None:
        version = event.data.strip().strip(b'"').decode("utf-8", "replace")
        if version != "v1" and not event.terminated:
            self._unparsable(event, position)
            return
        self._delta.settle()
        self._delta = DeltaDecoder(budget=self._budget)
        self._channels.clear()
        self._undecodable = version != "v1"
        self.encoding = version[:20]
        if self._undecodable:
            self.turn.error = "unknown delta encoding"
            self._typed("delta_encoding", version, position, recognised=False)

    def _delta_operation(self, delta: dict[str, Any], position: int) -> None:
        if self._undecodable:
            self._typed_events.unrecognised_count += 1
            return
        self.encoding = self.encoding or "v1"
        if not self._delta.whole and self._delta.misses(delta):
            self.missed += 1
            return
        verb, pointer = delta.get("o", self._delta.verb), delta.get("p", self._delta.pointer)
        state = self._channel_state(delta.get("c", self._delta.channel))
        before = None
        grows = only_grows(verb, pointer)
        if state and not grows and edits_content(verb, pointer, delta.get("v"), finished=state.finished):
            before = self._record(state)
            self._budget.work(2 * len(before.content or ""))
        errors = self._delta.apply(delta)
        envelope = mapping(self._delta.document(self._delta.channel))
        earlier, shown = state, state is None or envelope.get("message") is not state.message
        if shown:
            state, replaced = self._show(envelope)
            before = before if state is earlier else replaced
        if errors or state is None:
            details = {"errors": errors, "delta": delta}
            self._typed("delta", details, position, recognised=False, message_id=state.id if state else None)
        if state is None:
            return
        if errors:
            state.damaged, state.only_grew = True, False
        self._channels[self._delta.channel] = state
        if grows and not (shown or state.awaits_token):
            state.changed, state.at, state.waits, self._writing = True, self._at, state.finished, state
        else:
            self._change(state, before)

    def _envelope(self, payload: dict[str, Any], position: int) -> None:
        self.encoding = self.encoding or "v0"
        if payload.get("error"):
            self._conversation_is(payload.get("conversation_id"))
            self._service_error(payload, position)
        message = mapping(payload.get("message"))
        known = self.messages.get(string(message.get("id")))
        same = known is not None and known.conversation_id == payload.get("conversation_id")
        if known is not None and same and known.grows_into(message):
            known.message, known.changed, known.at = message, True, self._at  # the usual case
            return
        state, before = self._show(payload)
        if state is not None:
            self._change(state, before)
        elif payload.get("message") is not None and not payload.get("error"):
            self._typed("message", payload, position, recognised=False)

    def _show(self, envelope: dict[str, Any]) -> tuple[MessageState | None, Message | None]:
        """The state of an envelope's message, None when it holds none, and its record from before, if there was one."""
        self._conversation_is(envelope.get("conversation_id"))
        message = mapping(envelope.get("message"))
        known = self.messages.get(string(message.get("id")))
        before = self._record(known) if known else None
        return self.messages.show(message, envelope.get("conversation_id")), before

    def _record(self, state: MessageState) -> Message:
        self._delta.settle()
        return self.messages.record(state, self.conversation_id, live=True)

    def _change(self, state: MessageState, before: Message | None, *, leads: bool = True) -> None:
        if state.says_finished or state.awaits_token or before is not None:
            self._delta.settle()
        if leads and not state.first_seen_at and self.messages.leads(state, self._current_node):
            self._current_node = state.id
            self._say(current_node=state.id)
        self._out += self.messages.change(state, self._at, self.conversation_id, before)

    def _typed_event(self, payload: dict[str, Any], position: int) -> None:
        kind = payload["type"]
        self._conversation_is(payload.get("conversation_id"))
        self.turn.read(payload)
        match kind:
            case "input_message":
                self._input_message(mapping(payload.get("input_message")))
            case "title_generation":
                self._say(title=string(payload.get("title")))
            case "conversation_detail_metadata":
                self._say(default_model_slug=string(payload.get("default_model_slug")))
            case "moderation":
                self._moderation(payload)
        if kind == MISSING:
            self._damage()
        recognised = self._updates(payload) if kind in UPDATES else kind in RECOGNISED
        self._typed(kind, payload, position, recognised=recognised)

    def _updates(self, payload: dict[str, Any]) -> bool:
        """Read what came beside the answers; whether all of it was understood."""
        updates = list(updates_in(payload))
        for update in updates:
            self._conversation_is(update.conversation_id)
            for message in update.messages:
                state, before = self._show({"message": message, "conversation_id": update.conversation_id})
                if state is not None:
                    self._at += state.at == self._at  # of several accounts in one event the last is the latest
                    self._change(state, before, leads=False)  # it may stand anywhere in the tree
            if update.title is not None:
                self._say(title=update.title)
        return bool(updates) and all(update.recognised for update in updates)

    def _damage(self) -> None:
        """Something never came: whatever is still growing may lack it."""
        self.turn.error = self.turn.error or PART_MISSING
        if not self._channels:
            self._delta = DeltaDecoder(whole=False, budget=self._budget)
        for state in self._channels.values():
            if not state.finished:
                state.damaged, state.changed, state.only_grew, state.at = True, True, False, self._at

    def _input_message(self, message: dict[str, Any]) -> None:
        if mapping(message.get("author")).get("role") == "user":
            self.turn.request_message_id = string(message.get("id")) or self.turn.request_message_id
        # The echo of a message that also came as an envelope says nothing new.
        if self.messages.get(string(message.get("id"))) is None:
            state = self.messages.show(message, self.conversation_id)
            if state is not None:
                self._change(state, None)

    def _moderation(self, payload: dict[str, Any]) -> None:
        if mapping(payload.get("moderation_response")).get("blocked") is not True:
            return
        self._delta.settle()
        self._out += self.messages.moderate(string(payload.get("message_id")), self.conversation_id)

    def _service_error(self, payload: dict[str, Any], position: int) -> None:
        code = string(payload.get("error_code"))
        self.turn.error = "the service reported an error" + (f" ({code})" if code and code.isidentifier() else "")
        self._typed("error", payload, position, recognised=True)

    def _typed(
        self, kind: str, payload: Any, position: int, *, recognised: bool, message_id: str | None = None
    ) -> None:
        fields = mapping(payload)
        self._out += self._typed_events.record(
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

    def _channel_state(self, channel: Any) -> MessageState | None:
        return self._channels.get(channel) if type(channel) in (int, float) else None

    def _leave_unread(self, data: bytes, position: int) -> bool:
        """Keep a v0 frame unread when the next one is likely to repeat it whole."""
        identity = growing_message_id(data) if self.conversation_id is not None else None
        state = self.messages.get(identity)
        if identity is None or state is None or state.finished or state.moderated or state.first_token_at is None:
            return False
        if identity != self._unread.message_id:
            self._read_unread()
        self._unread.add(identity, data, self._at, position)
        if self._unread.full:
            self._read_unread()
        return True

    def _read_unread(self, *, more: bool = False) -> None:
        """Read what was left unread. With `more` to come what cannot be read waits: the next frame may say it all."""
        latest, identity = self._at, self._unread.message_id
        if identity is None:
            return
        envelopes, unreadable = self._unread.take()
        for data, self._at, position in unreadable:
            if more:
                self._unread.add(identity, data, self._at, position)
            else:
                self._unparsable(Event("message", data, 0), position)
        for envelope, at, position in envelopes:
            self._at = at
            self._envelope(envelope, position)
        self._at = latest

    def _conversation_is(self, identity: Any) -> None:
        named, known = string(identity), self.conversation_id
        if named is None or named == known:
            return
        self.conversation_id = named
        if known is None:
            self._delta.settle()
            self._out += self.messages.belong(named)
        self._say(title=None if known else self.turn.title, current_node=None if known else self._current_node)

    def _say(
        self, *, title: str | None = None, current_node: str | None = None, default_model_slug: str | None = None
    ) -> None:
        """Pass on what the stream says about its conversation, once that has a name."""
        if self.conversation_id is not None:
            about = Conversation(self.conversation_id, self.exchange.source, self._at)
            about = replace(about, title=title, current_node=current_node, default_model_slug=default_model_slug)
            self._out.append(about)

    def _taken(self) -> list[Record]:
        taken, self._out = self._out, []
        return taken

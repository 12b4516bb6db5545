"""One exchange, bytes to records: content decoding -> redaction -> events -> messages, strung together.

The same for every source: a live answer, a body that arrived whole, a journal read again after a crash. Knows
nothing of sockets, files or databases; its clock is the time each chunk carries.
"""

from dataclasses import dataclass, replace
from typing import Any

from addon.answers.continuation import Continuation
from addon.answers.conversation import ConversationDecoder
from addon.answers.ending import ending
from addon.answers.json_answers import STEP, accepts, as_step, is_step
from addon.answers.legs import FindLegs, Leg, no_legs
from addon.answers.message_states import Exchange
from addon.answers.send_request import SendRequest
from addon.answers.typed_events import turn_of
from addon.errors import StreamError
from addon.exchange import Closing, Opening
from addon.records import Record, Stream, StreamBody
from addon.wire.content_coding import ContentDecoder
from addon.wire.evidence import Evidence, compress
from addon.wire.redaction import EventRedaction, redact, redact_json, redact_unread
from addon.wire.sse import Event, EventStreamParser

__all__ = ["Capture", "Closing", "Opening", "Summary"]

MAX_BODY_BYTES = 1024 * 1024 * 1024
"""Decoded size at which an exchange is taken for an attack; the longest honest v0 answers stay well below."""

MAX_UNDECODED_BYTES = 16 * 1024 * 1024
"""How much is kept, as it was on the wire, of a body that could not be decoded."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What one finished exchange came to, for a person to read."""

    kind: str
    state: str
    conversation_id: str | None
    title: str | None
    model: str | None
    seconds: float
    characters: int
    unrecognised: int
    error: str | None


class Capture:
    """Feed it what arrives, write what it returns. A `StreamError` inside ends the decoding, never the capture."""

    def __init__(self, opening: Opening, request: bytes, legs: FindLegs = no_legs) -> None:
        self.opening = opening
        self._request = SendRequest(opening, request)
        self.skipped = self._request.temporary and not opening.keep_temporary
        exchange = Exchange(
            stream_id=opening.stream_id,
            source=opening.source,
            conversation_id=self._request.conversation_id,
            request_message_id=self._request.message_id,
            requested_model=self._request.model,
            timed=opening.timed,
        )
        earlier = self._earlier(legs)
        self._way = Continuation(exchange, self._request.offset or 0, earlier, started_at=opening.started_at)
        self._parser = EventStreamParser()
        self._redaction = EventRedaction()
        self._content: ContentDecoder | None = None
        self._evidence = Evidence()
        self._document: list[bytes] = []
        self._undecoded: list[bytes] = []
        self._failure: str | None = None
        self._wire_bytes = self._body_bytes = self._undecoded_bytes = 0
        self._first_event_at: int | None = None
        self._prompts_due = True
        self._written: dict[str, Any] | None = None
        self._closed_as: tuple[str, str | None, int] | None = None
        try:
            self._content = ContentDecoder(opening.content_encoding)
        except StreamError as error:
            self._failure = str(error)

    @property
    def changed(self) -> bool:
        """Whether `snapshot` has something that readers have not seen."""
        return not self.skipped and self._decoder.changed

    @property
    def conversation_id(self) -> str | None:
        """The conversation that it belongs to, as far as it says so."""
        return self._decoder.conversation_id

    @property
    def turn_exchange_id(self) -> str | None:
        """The turn that it belongs to, as far as it says so."""
        return self._decoder.turn_exchange_id

    @property
    def message_count(self) -> int:
        """How many messages the answer has shown."""
        return self._way.message_count

    def begin(self) -> list[Record]:
        """The records of the request."""
        if self.skipped:
            return []
        records: list[Record] = [self._stream()]
        if self.opening.keep_raw:
            records += self._request.body()
        return records + self._with_prompts([])

    def feed(self, chunk: bytes, at: int) -> list[Record]:
        """One chunk of the body as it was on the wire, received at `at`; what must be written because of it."""
        self._wire_bytes += len(chunk)
        self._way.budget.chunk()
        records: list[Record] = []
        if self._failure is None and self._content is not None:
            try:
                for piece in self._content.feed(chunk):
                    self._piece(piece, at, records)
            except StreamError as error:
                self._failure = str(error)
            self._evidence.arrived(at - self.opening.started_at)
        if self._failure is not None and self._undecoded_bytes < MAX_UNDECODED_BYTES:
            self._undecoded.append(chunk)
            self._undecoded_bytes += len(chunk)
        # What is left out is read all the same: another exchange may bring its answer, which is left out too.
        return [] if self.skipped else records

    def snapshot(self) -> list[Record]:
        """Everything that grew since the last time, as readers should see it."""
        if self.skipped:
            return []
        records = self._with_prompts(self._decoder.snapshot())
        # What only counts is written with the rest: it changes with each chunk.
        facts = self._facts()
        if self._written != facts:
            records.insert(0, self._stream())
            self._written = facts
        return records

    def close(self, closing: Closing, at: int) -> list[Record]:
        """The end, whatever it was like; everything that is left to write."""
        if self.skipped:
            return []
        records: list[Record] = []
        if self.opening.streamed:
            for event in self._parser.close():
                self._unterminated(event, at, records)
        else:
            self._whole_document(at, records)
        if closing.failure:
            self._decoder.messages.damage(at)
        records += self._with_prompts(self._decoder.snapshot(live=False))
        if self._prompts_due:
            records += self._request.prompts(self._decoder.conversation_id)
        state, error = ending(self.opening, closing, self._way, self._failure)
        self._closed_as = (state, error, at)
        records.insert(0, self._stream())
        if self.opening.keep_raw:
            body, arrivals = self._evidence.close()
            wire = compress(redact_unread(b"".join(self._undecoded))) if self._undecoded else None
            records.append(StreamBody(self.opening.stream_id, body, arrivals, wire))
        return records

    def checkpoint(self, at: int, closing: Closing | None, comments: bytes = b"") -> list[Record]:
        """All that `close` would write if it were here, but more may follow; without a closing it goes on.

        `comments` belong to the line that is still open. `at` is when the last of it came.
        """
        if self.skipped:
            return []
        records = self._with_prompts(self._decoder.snapshot(live=closing is None))
        if closing is not None:
            state, error = ending(self.opening, closing, self._way, self._failure)
            self._closed_as = (state, error, at)
        records.insert(0, self._stream() if closing is not None else replace(self._stream(), ended_at=at))
        if self.opening.keep_raw:
            body, arrivals = self._evidence.so_far(unfinished=True, comments=comments)
            records.append(StreamBody(self.opening.stream_id, body, arrivals))
        return records

    def summary(self) -> Summary | None:
        """What the closed exchange came to; None of one that only helped its turn along."""
        if self.opening.name == STEP:
            return None
        state, error, at = self._closed_as or ("streaming", None, self.opening.started_at)
        answer = self._decoder.messages.answer
        return Summary(
            kind=self.opening.kind,
            state=state,
            conversation_id=self._decoder.conversation_id,
            title=self._decoder.turn.title,
            model=answer.model_slug if answer else None,
            seconds=(at - self.opening.started_at) / 1e6,
            characters=len(answer.text or "") if answer else 0,
            unrecognised=self._way.unrecognised_count,
            error=error,
        )

    def leg(self) -> Leg | None:
        """This exchange as far as it has come; None when it is to leave no trace, or brings no events to go on from."""
        if self.skipped or not (self.opening.streamed or self._closed_as):
            return None
        stream, (body, arrivals) = self._stream(), self._evidence.so_far()
        return Leg(
            stream_id=stream.id,
            kind=stream.kind,
            state=stream.state,
            started_at=stream.started_at,
            name=stream.name,
            resume_offset=stream.resume_offset,
            conversation_id=stream.conversation_id,
            request_message_id=stream.request_message_id,
            turn_exchange_id=stream.turn_exchange_id,
            requested_model=stream.requested_model,
            action=stream.action,
            event_count=stream.event_count,
            body=body,
            arrivals=arrivals,
        )

    # -- the body --------------------------------------------------------------------------------------------------

    def _piece(self, piece: bytes, at: int, records: list[Record]) -> None:
        self._body_bytes += len(piece)
        if self._body_bytes > MAX_BODY_BYTES:
            raise StreamError(f"the decoded body exceeds {MAX_BODY_BYTES} bytes")
        if not self.opening.streamed:
            self._document.append(piece)
            return
        self._evidence.received(piece)
        events = [(event, self._redaction.clean(event.data)) for event in self._parser.feed(piece)]
        for event, data in events:
            records += self._event(event if data is event.data else event._replace(data=data), at)
        self._evidence.events(events)

    def _event(self, event: Event, at: int) -> list[Record]:
        self._first_event_at = self._first_event_at or at
        self._way.budget.event()
        if self._way.repeats(event):
            return []
        records = self._with_prompts(self._decoder.apply(event, at))
        if records:
            self._way.budget.emit(records)
        return records

    def _unterminated(self, event: Event, at: int, records: list[Record]) -> None:
        """The event a cut stream ended in: read when it is whole but for its blank line, else kept as it is."""
        records += self._event(event._replace(data=redact(event.data, tokens=True)), at)

    def _whole_document(self, at: int, records: list[Record]) -> None:
        """A send that was answered by no event stream: an error, a challenge, a step of the turn, or a hand-off."""
        accepted = False
        try:
            body, answer = redact_json(b"".join(self._document))
            accepted = accepts(self.opening, answer)
            self._decoder.encoding = "json"
            self._evidence.received(body)
            self._evidence.arrived(at - self.opening.started_at)
        except ValueError:
            answer = {"content_type": self.opening.content_type, "body_bytes": self._body_bytes}
        if accepted and is_step(self.opening, self._request, answer):
            self.opening = as_step(self.opening)
            return
        records += self._with_prompts(self._decoder.apply_document(answer, at, accepted=accepted))

    @property
    def _decoder(self) -> ConversationDecoder:
        return self._way.decoder

    # -- the request and the stream --------------------------------------------------------------------------------

    def _earlier(self, find: FindLegs) -> list[Leg]:
        """The legs that a resume may go on from, or that sent what a topic answers.

        WebSocket topics count otherwise, so they are none that a resume goes on from, and go on from none of these.
        """
        turn = turn_of(self.opening.name) or self.opening.name  # in 2024 it was the name
        if self.opening.kind == "topic" and turn:
            return [
                replace(leg, body=None) for leg in find("turn_exchange_id", turn, self.opening) if leg.kind != "topic"
            ]
        conversation_id = self._request.conversation_id
        if self._request.offset is None or conversation_id is None or self.skipped:
            return []
        legs = find("conversation_id", conversation_id, self.opening)
        legs = [leg for leg in legs if leg.kind in ("turn", "resume")]
        # What is no event stream says nothing that could go on.
        return legs if self.opening.streamed else [replace(leg, body=None) for leg in legs]

    def _with_prompts(self, records: list[Record]) -> list[Record]:
        """Ahead of these records the person's messages, once their conversation has a name (a new one gets it late)."""
        if not self._prompts_due or self._decoder.conversation_id is None:
            return records
        self._prompts_due = False
        return self._request.prompts(self._decoder.conversation_id) + records

    def _stream(self) -> Stream:
        return self.opening.stream(
            **self._facts(),
            event_count=self._way.event_count,
            unrecognised_count=self._way.unrecognised_count,
            wire_bytes=self._wire_bytes,
            body_bytes=self._body_bytes,
        )

    def _facts(self) -> dict[str, Any]:
        """What is known of the exchange, as columns of its row; what only counts is not among them."""
        opening, decoder, known = self.opening, self._decoder, self._way.inherited
        # The first token of an earlier leg is that one's.
        token_at = decoder.messages.first_token_at or 0
        state, error, ended_at = self._closed_as or ("streaming", None, None)
        return {
            "conversation_id": decoder.conversation_id,
            "resume_offset": self._request.offset,
            "request_message_id": self._request.message_id
            or decoder.turn.request_message_id
            or known("request_message_id"),
            "turn_exchange_id": decoder.turn_exchange_id or known("turn_exchange_id"),
            "requested_model": self._request.model or known("requested_model"),
            "action": self._request.action or known("action"),
            "encoding": decoder.encoding,
            "state": state,
            "error": error,
            "first_event_at": self._first_event_at if opening.timed else None,
            "first_token_at": token_at if opening.timed and token_at >= opening.started_at else None,
            "ended_at": ended_at,
        }

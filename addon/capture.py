"""One exchange, bytes to records: content decoding -> redaction -> events -> messages, strung together.

The same for every source: a live answer, a body that arrived whole, a journal read again after a crash. Knows
nothing of sockets, files or databases; its clock is the time each chunk carries.
"""

import re
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from addon.content_coding import ContentDecoder
from addon.conversation import ConversationDecoder
from addon.errors import StreamError
from addon.evidence import Evidence, compress
from addon.message_states import Exchange
from addon.messages import Observation, read_message
from addon.payload import array, loads, mapping, microseconds, scalars, string
from addon.records import Conversation, Record, RequestBody, Stream, StreamBody, TypedEvent
from addon.redaction import redact
from addon.sse import Event, EventStreamParser

MAX_BODY_BYTES = 1024 * 1024 * 1024
"""Decoded size at which an exchange is taken for an attack; the longest honest v0 answers stay well below."""

_TYPED = re.compile(rb'\s*\{\s*"type"\s*:\s*"(?!input_message")')


@dataclass(frozen=True, slots=True)
class Opening:
    """What the proxy knew of an exchange when its response began. Crosses the journal as JSON."""

    stream_id: str
    source: str
    kind: str
    streamed: bool
    host: str
    path: str
    method: str
    started_at: int
    http_version: str | None = None
    status_code: int | None = None
    content_type: str | None = None
    content_encoding: str = ""
    request_encoding: str = ""
    keep_raw: bool = True
    keep_temporary: bool = True

    def to_bytes(self) -> bytes:
        """The JSON form."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Opening":
        """The inverse of `to_bytes`; `ValueError` or `TypeError` for anything else."""
        return cls(**orjson.loads(data))


@dataclass(frozen=True, slots=True)
class Closing:
    """How an exchange ended: `end` (cleanly), `cut`, `shutdown`, `unseen` (another addon had it), `lost` (killed)."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """What one finished exchange came to, for a person to read."""

    kind: str
    state: str
    title: str | None
    model: str | None
    seconds: float
    characters: int
    unrecognised: int
    error: str | None


class Capture:
    """Feed it what arrives, write what it returns. A `StreamError` inside ends the decoding, never the capture."""

    def __init__(self, opening: Opening, request: bytes) -> None:
        self.opening = opening
        self._request = _read_request(request, opening.request_encoding)
        sent = self._request
        last_message = mapping(array(sent.get("messages"))[-1]) if array(sent.get("messages")) else {}
        temporary = sent.get("history_and_training_disabled") is True or sent.get("is_do_not_remember") is True
        self.skipped = temporary and not opening.keep_temporary
        self._exchange = Exchange(
            stream_id=opening.stream_id,
            source=opening.source,
            conversation_id=string(sent.get("conversation_id")),
            request_message_id=string(last_message.get("id")),
            requested_model=string(sent.get("model")),
        )
        self._temporary = temporary or None
        self._decoder = ConversationDecoder(self._exchange)
        self._parser = EventStreamParser()
        self._content: ContentDecoder | None = None
        self._evidence = Evidence()
        self._document: list[bytes] = []
        self._undecoded: list[bytes] = []
        self._failure: str | None = None
        self._wire_bytes = self._body_bytes = 0
        self._first_event_at: int | None = None
        self._prompts_due = True
        self._written: Stream | None = None
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
    def message_count(self) -> int:
        """How many messages the answer has shown."""
        return len(self._decoder.messages)

    def begin(self) -> list[Record]:
        """The records of the request."""
        if self.skipped:
            return []
        records: list[Record] = [self._stream()]
        if self.opening.keep_raw and self._request:
            body = redact(orjson.dumps(self._request, option=orjson.OPT_NON_STR_KEYS))
            records.append(RequestBody(self.opening.stream_id, compress(body)))
        return records + self._prompts()

    def feed(self, chunk: bytes, at: int) -> list[Record]:
        """One chunk of the body as it was on the wire, received at `at`; what must be written because of it."""
        self._wire_bytes += len(chunk)
        if self.skipped:
            return []
        records: list[Record] = []
        if self._failure is None and self._content is not None:
            try:
                for piece in self._content.feed(chunk):
                    self._piece(piece, at, records)
                self._evidence.arrived(at - self.opening.started_at)
            except StreamError as error:
                self._failure = str(error)
        if self._failure is not None:
            self._undecoded.append(chunk)
        return self._with_prompts(records)

    def snapshot(self) -> list[Record]:
        """Everything that grew since the last time, as readers should see it."""
        if self.skipped:
            return []
        records = self._with_prompts(self._decoder.snapshot())
        stream = self._stream()
        if self._written != stream:
            records.insert(0, stream)
            self._written = stream
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
        records = self._with_prompts(records + self._decoder.snapshot(live=False))
        if self._prompts_due:
            records += self._prompts(anyway=True)
        state, error = self._ending(closing)
        self._closed_as = (state, error, at)
        records.insert(0, self._stream())
        if self.opening.keep_raw:
            body, arrivals = self._evidence.close()
            wire = compress(redact(b"".join(self._undecoded), tokens=True)) if self._undecoded else None
            records.append(StreamBody(self.opening.stream_id, body, arrivals, wire))
        return records

    def summary(self) -> Summary:
        """What the closed exchange came to."""
        state, error, at = self._closed_as or ("streaming", None, self.opening.started_at)
        answer = self._decoder.messages.answer
        return Summary(
            kind=self.opening.kind,
            state=state,
            title=self._decoder.title,
            model=answer.model_slug if answer else None,
            seconds=(at - self.opening.started_at) / 1e6,
            characters=len(answer.text or "") if answer else 0,
            unrecognised=self._decoder.unrecognised_count,
            error=error,
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
        events = [(event, _redacted(event.data)) for event in self._parser.feed(piece)]
        for event, data in events:
            records += self._event(event if data is event.data else replace(event, data=data), at)
        self._evidence.events(events)

    def _event(self, event: Event, at: int) -> list[Record]:
        self._first_event_at = self._first_event_at or at
        return self._decoder.apply(event, at)

    def _unterminated(self, event: Event, at: int, records: list[Record]) -> None:
        """The event a cut stream ended in: read when it is whole but for its blank line, else kept as it is."""
        records += self._event(replace(event, data=redact(event.data, tokens=True)), at)

    def _whole_document(self, at: int, records: list[Record]) -> None:
        """A send that was answered by no event stream: an error, a challenge, or a hand-off to a WebSocket (2024)."""
        body = b"".join(self._document)
        try:
            answer = loads(body)
        except ValueError:
            answer = None
        if answer is None:
            data = orjson.dumps({"content_type": self.opening.content_type, "body_bytes": len(body)}).decode()
        else:
            clean = redact(body, tokens=True)
            self._evidence.received(clean)
            self._evidence.arrived(at - self.opening.started_at)
            data = scalars(clean.decode("utf-8", "replace"))
        handed_off = isinstance(mapping(answer).get("wss_url"), str)
        records.append(
            TypedEvent(
                stream_id=self.opening.stream_id,
                position=0,
                received_at=at,
                type="websocket_handoff" if handed_off else "answer_without_events",
                recognised=handed_off,
                data=data,
                conversation_id=string(mapping(answer).get("conversation_id")) or self._exchange.conversation_id,
            )
        )
        self._decoder.handed_off = handed_off
        self._decoder.unrecognised_count += not handed_off

    def _ending(self, closing: Closing) -> tuple[str, str | None]:
        """State and one line for a person."""
        status, decoder = self.opening.status_code or 200, self._decoder
        if status >= 400:
            return "error", f"HTTP {status} {self.opening.content_type or ''}".rstrip()
        if self._failure or decoder.error:
            return "error", self._failure or decoder.error
        if decoder.handed_off and not decoder.answered:
            return "handed_off", None
        if not self.opening.streamed:
            return "error", f"answered by {self.opening.content_type or 'nothing'} instead of an event stream"
        if decoder.done or decoder.complete or decoder.answered:
            return "complete", None
        if closing.reason == "end" and self.opening.kind == "other":
            return "complete", None
        reasons = {
            "end": "ended without [DONE]",
            "cut": "connection closed",
            "shutdown": "the proxy was stopped",
            "lost": "the proxy was killed",
            "unseen": "another addon took the body",
        }
        detail = "".join(character for character in closing.detail[:200] if character.isprintable())
        return "interrupted", reasons.get(closing.reason, closing.reason) + (f": {detail}" if detail else "")

    # -- the request -----------------------------------------------------------------------------------------------

    def _with_prompts(self, records: list[Record]) -> list[Record]:
        if self._prompts_due and self._decoder.conversation_id is not None:
            return self._prompts() + records
        return records

    def _prompts(self, *, anyway: bool = False) -> list[Record]:
        """The user's messages as sent, once their conversation has a name (a new one is named by the answer)."""
        identity, sent = self._decoder.conversation_id, self._request
        if identity is None and not anyway:
            return []
        self._prompts_due = False
        opening, parent = self.opening, string(sent.get("parent_message_id"))
        seen = Observation(opening.stream_id, opening.source, opening.started_at, live=False)
        sent_messages = [mapping(message) for message in array(sent.get("messages"))]
        messages: list[Record] = [
            read_message(message_id, message, identity, seen, parent)
            for message in sent_messages
            if (message_id := string(message.get("id"))) is not None
        ]
        if identity is None:
            return messages
        asked_at = microseconds(sent_messages[-1].get("create_time")) if sent_messages else None
        conversation = Conversation(
            id=identity,
            source=opening.source,
            at=opening.started_at,
            created_at=(asked_at or opening.started_at)
            if self._exchange.conversation_id is None and messages
            else None,
            updated_at=asked_at,
            gizmo_id=string(mapping(sent.get("conversation_mode")).get("gizmo_id")),
            conversation_origin=string(sent.get("conversation_origin")),
            is_temporary=self._temporary,
        )
        return [conversation, *messages]

    def _stream(self) -> Stream:
        opening, decoder = self.opening, self._decoder
        state, error, ended_at = self._closed_as or ("streaming", None, None)
        return Stream(
            id=opening.stream_id,
            source=opening.source,
            kind=opening.kind,
            host=opening.host,
            path=opening.path,
            method=opening.method,
            started_at=opening.started_at,
            http_version=opening.http_version,
            status_code=opening.status_code,
            content_type=opening.content_type,
            content_encoding=opening.content_encoding or None,
            conversation_id=decoder.conversation_id,
            request_message_id=self._exchange.request_message_id,
            turn_exchange_id=decoder.turn_exchange_id or decoder.messages.turn_exchange_id,
            requested_model=self._exchange.requested_model,
            action=string(self._request.get("action")),
            encoding=decoder.encoding if opening.streamed else "json",
            state=state,
            error=error,
            first_event_at=self._first_event_at,
            first_token_at=decoder.messages.first_token_at,
            ended_at=ended_at,
            event_count=decoder.event_count,
            unrecognised_count=decoder.unrecognised_count,
            wire_bytes=self._wire_bytes,
            body_bytes=self._body_bytes,
        )


def _read_request(body: bytes, content_encoding: str) -> dict[str, Any]:
    """The JSON object of a request, redacted; {} when there is none."""
    try:
        decoded = b"".join(ContentDecoder(content_encoding).feed(body))
        return mapping(loads(redact(decoded)))
    except (StreamError, ValueError):
        return {}


def _redacted(data: bytes) -> bytes:
    # Nobody wrote a typed event but the service: whatever looks like a token there is one.
    return redact(data, tokens=b"eyJ" in data and _TYPED.match(data) is not None)

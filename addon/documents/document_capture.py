"""One document that the page loaded, bytes to records: content decoding -> redaction -> JSON -> `page_documents`.

A page loads the same document again and again, to see whether something is new: then nothing is written but when
that was. A document is true of the moment at which it was asked for.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from addon.answers.capture import MAX_UNDECODED_BYTES, Summary
from addon.answers.legs import Leg
from addon.answers.send_request import read_request
from addon.documents.document_reading import DocumentReading
from addon.documents.document_redaction import redact_document
from addon.documents.page_documents import PageDocument, document_records
from addon.errors import StreamError
from addon.exchange import Closing, Opening
from addon.records import Conversation, Message, Record, RequestBody, StreamBody, StreamSeen
from addon.wire.content_coding import ContentDecoder
from addon.wire.evidence import compress
from addon.wire.payload import dumps
from addon.wire.redaction import redact_unread

MAX_DOCUMENT_BYTES = 48 * 1024 * 1024
"""Decoded size beyond which a document is not read; the longest honest conversations are some tens of megabytes."""

type FindUnchanged = Callable[[Opening, str], str | None]
"""The stream in which the page loaded the same document last, if it had this digest then."""


def never_seen(opening: Opening, digest: str) -> str | None:
    """No document is known: each is read."""
    return None


class DocumentCapture:
    """Collects the whole body; what it says is read at its end."""

    changed = False

    def __init__(self, opening: Opening, request: bytes, unchanged: FindUnchanged = never_seen) -> None:
        self.opening = opening
        self.skipped = False
        self.message_count = 0
        self._request = request
        self._unchanged = unchanged
        self._body: list[bytes] = []
        self._undecoded: list[bytes] = []
        self._wire_bytes = self._body_bytes = self._undecoded_bytes = 0
        self._failure: str | None = None
        self._content: ContentDecoder | None = None
        try:
            self._content = ContentDecoder(opening.content_encoding)
        except StreamError as error:
            self._failure = str(error)

    def begin(self) -> list[Record]:
        """Nothing: a document is a row when it has arrived."""
        return []

    def feed(self, chunk: bytes, at: int) -> list[Record]:
        """Keep what arrives, decoded where it can be."""
        self._wire_bytes += len(chunk)
        if self._content is not None and self._failure is None:
            try:
                for piece in self._content.feed(chunk):
                    self._body_bytes += len(piece)
                    if self._body_bytes > MAX_DOCUMENT_BYTES:
                        raise StreamError(f"the document exceeds {MAX_DOCUMENT_BYTES} bytes")
                    self._body.append(piece)
            except StreamError as error:
                self._failure = str(error)
        if self._failure is not None and self._undecoded_bytes < MAX_UNDECODED_BYTES:
            self._undecoded.append(chunk)
            self._undecoded_bytes += len(chunk)
        return []

    def snapshot(self) -> list[Record]:
        """Nothing: a document says nothing before its end."""
        return []

    def close(self, closing: Closing, at: int) -> list[Record]:
        """All that the document says."""
        body, readable, answer = _read(b"".join(self._body), self.opening.name)
        self._body.clear()
        opening, self._failure = self.opening, closing.failure or self._failure
        whole = self._failure is None and closing.reason == "end"
        reading = DocumentReading(opening.stream_id, opening.source, opening.started_at)
        if not whole or opening.kind == "download":
            return self._stream(closing, at, reading) + self._evidence(body, None)
        digest = sha256(body).hexdigest() if opening.method == "GET" else None
        known = self._unchanged(opening, digest) if digest is not None else None
        if known is not None:
            self.skipped = True
            return [StreamSeen(known, opening.started_at)]
        sent = read_request(self._request, opening.request_encoding)
        document = PageDocument(opening.name, opening.parameters, sent, answer)
        if readable:
            said = list(document_records(document, reading))
        else:
            said = reading.unrecognised("unparsable", _outside(opening, body), document.conversation_id)
        if not opening.keep_temporary and any(_is_temporary(record) for record in said):
            self.skipped = True
            return []
        self.message_count = sum(isinstance(record, Message) for record in said)
        asked: list[Record] = []
        if sent and opening.keep_raw:
            asked = [RequestBody(opening.stream_id, compress(dumps(sent).encode()))]
        stream = self._stream(closing, at, reading, document.conversation_id)
        return [*stream, *said, *asked, *self._evidence(body, digest)]

    def summary(self) -> Summary | None:
        """Nothing to tell: the page loads dozens of these."""
        return None

    def leg(self) -> Leg | None:
        """None: it belongs to no turn."""
        return None

    def _stream(
        self, closing: Closing, at: int, reading: DocumentReading, conversation_id: str | None = None
    ) -> list[Record]:
        opening = self.opening
        state, error = _ending(closing, self._failure)
        stream = opening.stream(
            conversation_id=conversation_id,
            encoding="json",
            state=state,
            error=error,
            ended_at=at,
            event_count=reading.event_count,
            unrecognised_count=reading.unrecognised_count,
            wire_bytes=self._wire_bytes,
            body_bytes=self._body_bytes,
        )
        return [stream]

    def _evidence(self, body: bytes, digest: str | None) -> list[Record]:
        kept, undecoded = self.opening.keep_raw, b"".join(self._undecoded)
        if not kept and digest is None:
            return []
        wire = compress(redact_unread(undecoded)) if undecoded and kept else None
        return [StreamBody(self.opening.stream_id, compress(body) if kept else None, None, wire, digest)]


def _read(data: bytes, name: str) -> tuple[bytes, bool, Any]:
    """A body redacted, whether it is JSON, and what it says."""
    try:
        body, answer = redact_document(data, name)
    except ValueError:
        return redact_unread(data), False, None
    return body, True, answer


def _outside(opening: Opening, body: bytes) -> dict[str, Any]:
    """What there is to tell of a body that cannot be read."""
    return {"content_type": opening.content_type, "body_bytes": len(body)}


def _is_temporary(record: Record) -> bool:
    return isinstance(record, Conversation) and record.is_temporary is True


def _ending(closing: Closing, failure: str | None) -> tuple[str, str | None]:
    if failure is not None:
        return "error", failure
    if closing.reason == "end":
        return "complete", None
    detail = "".join(character for character in closing.detail[:200] if character.isprintable())
    return "interrupted", detail or closing.reason

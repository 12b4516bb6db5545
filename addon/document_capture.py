"""One document that the page loaded, bytes to records: content decoding -> redaction -> JSON -> `documents`."""

from addon.capture import Summary
from addon.content_coding import ContentDecoder
from addon.errors import StreamError
from addon.evidence import compress
from addon.exchange import Closing, Opening
from addon.legs import Leg
from addon.payload import dumps
from addon.records import Record, Stream, StreamBody
from addon.redaction import redact

MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
"""Decoded size beyond which a document is not read; the longest honest conversations are some tens of megabytes."""


class DocumentCapture:
    """Collects the whole body; what it says is read at its end."""

    skipped = False
    changed = False
    message_count = 0

    def __init__(self, opening: Opening, request: bytes) -> None:
        self.opening = opening
        self._request = request
        self._body: list[bytes] = []
        self._wire_bytes = self._body_bytes = 0
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
        """Keep what arrives, decoded."""
        self._wire_bytes += len(chunk)
        if self._content is None or self._failure is not None:
            return []
        try:
            for piece in self._content.feed(chunk):
                self._body_bytes += len(piece)
                if self._body_bytes > MAX_DOCUMENT_BYTES:
                    raise StreamError(f"the document exceeds {MAX_DOCUMENT_BYTES} bytes")
                self._body.append(piece)
        except StreamError as error:
            self._failure = str(error)
        return []

    def snapshot(self) -> list[Record]:
        """Nothing: a document says nothing before its end."""
        return []

    def close(self, closing: Closing, at: int) -> list[Record]:
        """All that the document says."""
        opening = self.opening
        failure = closing.failure or self._failure
        state = "error" if failure else "complete" if closing.reason == "end" else "interrupted"
        body = redact(b"".join(self._body), tokens=True)
        stream = Stream(
            id=opening.stream_id,
            source=opening.source,
            kind=opening.kind,
            host=opening.host,
            path=opening.path,
            method=opening.method,
            started_at=opening.started_at,
            http_version=opening.http_version,
            name=opening.name or None,
            parameters=dumps(opening.parameters) if opening.parameters else None,
            status_code=opening.status_code,
            content_type=opening.content_type,
            content_encoding=opening.content_encoding or None,
            encoding="json",
            state=state,
            error=failure,
            ended_at=at,
            wire_bytes=self._wire_bytes,
            body_bytes=self._body_bytes,
        )
        kept: list[Record] = [StreamBody(opening.stream_id, compress(body), None)] if opening.keep_raw else []
        return [stream, *kept]

    def summary(self) -> Summary | None:
        """Nothing to tell."""
        return None

    def leg(self) -> Leg | None:
        """None: it belongs to no turn."""
        return None

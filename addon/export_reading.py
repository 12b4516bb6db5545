"""The official export, conversation by conversation -> records of one stream, `export:<sha256 of the file>`."""

from dataclasses import replace
from typing import Any

from addon.content_times import conversation_time
from addon.document_reading import DocumentReading
from addon.document_redaction import redact_document
from addon.documents import conversation_records
from addon.records import Record, Stream
from addon.redaction import may_hold_tokens, redact


class ExportReading:
    """One file of conversations. Its stream begins with the first of them; `modified_at` where they name no time."""

    def __init__(self, stream_id: str, modified_at: int) -> None:
        self.stream_id = stream_id
        self._modified_at = modified_at
        self._newest = 0
        self._characters = 0
        self._reading: DocumentReading | None = None

    def conversation(self, document: dict[str, Any], text: str) -> list[Record]:
        """The records of a conversation; `text` is the JSON that it was read from."""
        self._characters += len(text)
        said = text.encode("utf-8", "surrogatepass")
        if redact(said) is not said or may_hold_tokens(said):
            _, document = redact_document(said)
        at = conversation_time(document) or self._modified_at
        self._newest = max(self._newest, at)
        records: list[Record] = []
        if self._reading is None:
            self._reading = DocumentReading(self.stream_id, "export", at)
            records.append(self._stream("streaming"))
        self._reading.seen = replace(self._reading.seen, at=at)
        return [*records, *conversation_records(document, self._reading)]

    def close(self, state: str = "complete") -> list[Record]:
        """The stream as it ended."""
        return [self._stream(state)]

    def _stream(self, state: str) -> Stream:
        reading = self._reading
        return Stream(
            id=self.stream_id,
            source="export",
            kind="document",
            host="",
            path="",
            method="",
            started_at=self._newest,
            name="export",
            content_type="application/json",
            encoding="json",
            state=state,
            ended_at=None if state == "streaming" else self._newest,
            event_count=reading.event_count if reading else 0,
            unrecognised_count=reading.unrecognised_count if reading else 0,
            body_bytes=self._characters,
        )

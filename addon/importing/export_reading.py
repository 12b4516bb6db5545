"""The official export, conversation by conversation -> records of one stream, `export:<sha256 of the file>`."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from addon.documents.conversation_ids import made_up_id, named_id
from addon.documents.document_reading import DocumentReading
from addon.documents.document_redaction import without_secrets
from addon.documents.documents import conversation_records, digest_of, message_count
from addon.importing.large_conversations import LargeDocument
from addon.records import DocumentRead, Record, Stream
from addon.wire.content_times import conversation_time
from addon.wire.payload import dumps

type IsKnown = Callable[[DocumentRead], bool]
"""Whether the archive holds all of a document."""


type IsOdd = Callable[[], bool]
"""Whether a document is odd, asked of those alone that are read."""


def nothing_is_known(document: DocumentRead) -> bool:
    """Each document is read."""
    return False


def nothing_is_odd() -> bool:
    """Nobody looks."""
    return False


class ExportReading:
    """One file of conversations. Its stream begins with the first of them; `modified_at` where they name no time."""

    def __init__(self, stream_id: str, modified_at: int) -> None:
        self.stream_id = stream_id
        self._modified_at = modified_at
        self._newest = 0
        self._characters = 0
        self._reading: DocumentReading | None = None

    def conversation(
        self,
        document: dict[str, Any],
        text: str,
        is_known: IsKnown = nothing_is_known,
        is_odd: IsOdd = nothing_is_odd,
    ) -> list[Record]:
        """The records of a conversation; `text` is the JSON that it was read from.

        None of one that `is_known`: it is in the archive, as it stands here, to its last message. One that is odd
        never is, so that each import says so.
        """
        self._characters += len(text)
        said = text.encode("utf-8", "surrogatepass")
        digest = digest_of(said)
        return list(self._records(document, digest, is_known, is_odd, lambda: without_secrets(document, said)))

    def large_conversation(
        self, document: LargeDocument, is_known: IsKnown = nothing_is_known, is_odd: IsOdd = nothing_is_odd
    ) -> Iterator[Record]:
        """The same of one whose messages are set aside; each is read when its turn comes."""
        self._characters += document.characters

        def cleaned() -> dict[str, Any]:
            return without_secrets(document.rest, dumps(document.rest).encode()) | document.messages

        return self._records(document, document.digest, is_known, is_odd, cleaned)

    def _records(
        self,
        document: dict[str, Any],
        digest: str,
        is_known: IsKnown,
        is_odd: IsOdd,
        cleaned: Callable[[], dict[str, Any]],
    ) -> Iterator[Record]:
        at = conversation_time(document) or self._modified_at
        self._newest = max(self._newest, at)  # also of what is known: read again, the file is from when it was
        identity, count = named_id(document) or made_up_id(document), message_count(document)
        if is_known(DocumentRead(identity, digest, count)):
            return
        odd = is_odd()
        if self._reading is None:
            self._reading = DocumentReading(self.stream_id, "export", at)
            yield self._stream("streaming")
        self._reading.seen = replace(self._reading.seen, at=at)
        before = self._reading.event_count
        yield from conversation_records(cleaned(), self._reading, identity)
        if self._reading.event_count == before and not odd:
            yield DocumentRead(identity, digest, count)

    def close(self, state: str = "complete") -> list[Record]:
        """The stream as it ended; nothing where all of it was known."""
        return [self._stream(state)] if self._reading is not None else []

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

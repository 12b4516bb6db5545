"""What the page loads besides answers -> records: a reader for each document that `endpoints` names.

Pure. `sent` is what the request said, `answer` what came back, both parsed and redacted. What is not understood
becomes a record with `recognised=False`; nothing in a document raises.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from addon.documents.conversation_fields import about_conversation
from addon.documents.document_reading import DocumentReading
from addon.documents.documents import page_records
from addon.documents.page_lists import conversation_list, image_list, is_list, items_of, project_list, search_results
from addon.records import CanvasDocument, Record
from addon.wire.payload import dumps, integer, mapping, microseconds, string

_CANVAS_COLUMNS = frozenset(
    {
        "id", "textdoc_id", "version", "conversation_id", "title", "textdoc_type", "type", "content", "created_at",
        "updated_at",
    }
)  # fmt: skip

_PAGES = frozenset({"cursor", "offset"})


@dataclass(frozen=True, slots=True)
class PageDocument:
    """One exchange that is no answer: which document it is, what path and query said, the two bodies."""

    name: str
    parameters: Mapping[str, str]
    sent: dict[str, Any]
    answer: Any

    @property
    def conversation_id(self) -> str | None:
        """The conversation it is about, None for lists."""
        for said in (self.parameters, self.sent, mapping(self.answer)):
            identity = string(said.get("conversation_id"))
            if identity is not None:
                return identity
        return None


def document_records(document: PageDocument, reading: DocumentReading) -> Iterator[Record]:
    """The records of one document; of one that nobody knows, that it is unknown."""
    reader = _READERS.get(document.name)
    if reader is not None and (isinstance(document.answer, dict) or is_list(document.answer)):
        yield from reader(document, reading)
    else:
        yield from reading.unrecognised(document.name or "document", document.answer, document.conversation_id)


def _conversation(document: PageDocument, reading: DocumentReading) -> Iterator[Record]:
    identity = document.conversation_id or string(document.parameters.get("share_id"))
    partial = document.name == "turns" and not _PAGES.isdisjoint(document.parameters)
    yield from page_records(mapping(document.answer), reading, identity, partial=partial)


def _listed(read: Callable[[Any, DocumentReading], Iterator[Record]]) -> "_Reader":
    def reader(document: PageDocument, reading: DocumentReading) -> Iterator[Record]:
        if is_list(document.answer):
            yield from read(document.answer, reading)
        else:
            yield from reading.unrecognised(document.name, document.answer)

    return reader


def _about(document: PageDocument, reading: DocumentReading) -> Iterator[Record]:
    """A title that was made, or the conversation's link."""
    identity, answer = document.conversation_id, mapping(document.answer)
    fields = {key: answer[key] for key in ("title", "share_id") if string(answer.get(key)) is not None}
    if identity is None or not fields:
        yield from reading.unrecognised(document.name, answer, identity)
    else:
        yield about_conversation(identity, fields, reading.seen)


def _change(document: PageDocument, reading: DocumentReading) -> Iterator[Record]:
    """The page changed the conversation: it is as it asked when the answer says so."""
    identity, succeeded = document.conversation_id, mapping(document.answer).get("success")
    if identity is None or not document.sent or not isinstance(succeeded, bool):
        yield from reading.unrecognised(document.name, document.answer, identity)
    elif succeeded:
        yield about_conversation(identity, document.sent, reading.seen)


def _init(document: PageDocument, reading: DocumentReading) -> Iterator[Record]:
    """What the same event says at the end of an answer: limits, and the model that is used where none is chosen."""
    identity, model = document.conversation_id, mapping(document.answer).get("default_model_slug")
    if identity is not None:
        yield about_conversation(identity, {"default_model_slug": model}, reading.seen)
    yield from reading.event("conversation_detail_metadata", document.answer, identity)


def _stop(document: PageDocument, reading: DocumentReading) -> Iterator[Record]:
    yield from reading.event("stop_conversation", document.sent, document.conversation_id)


def _stream_status(document: PageDocument, reading: DocumentReading) -> Iterator[Record]:
    """Whether the answer is still coming, asked again and again: the answer itself tells better."""
    if string(mapping(document.answer).get("status")) is None:
        yield from reading.unrecognised(document.name, document.answer, document.conversation_id)


def _textdocs(document: PageDocument, reading: DocumentReading) -> Iterator[Record]:
    if not is_list(document.answer):
        yield from reading.unrecognised(document.name, document.answer, document.conversation_id)
    for item in items_of(document.answer):
        fields = mapping(item)
        identity = string(fields.get("id")) or string(fields.get("textdoc_id"))
        if identity is None:
            yield from reading.unrecognised("textdoc", item, document.conversation_id)
        else:
            yield _canvas(identity, fields, document.conversation_id, reading)


def _canvas(
    identity: str, fields: dict[str, Any], conversation_id: str | None, reading: DocumentReading
) -> CanvasDocument:
    content = fields.get("content")
    rest = {key: value for key, value in fields.items() if key not in _CANVAS_COLUMNS and value not in (None, [], {})}
    return CanvasDocument(
        id=identity,
        version=integer(fields.get("version")) or 0,
        stream_id=reading.seen.stream_id,
        source=reading.seen.source,
        at=reading.seen.at,
        conversation_id=string(fields.get("conversation_id")) or conversation_id,
        title=string(fields.get("title")),
        textdoc_type=string(fields.get("textdoc_type")) or string(fields.get("type")),
        content=string(content) if isinstance(content, str) else dumps(content) if content is not None else None,
        created_at=microseconds(fields.get("created_at")),
        updated_at=microseconds(fields.get("updated_at")),
        metadata=dumps(rest) if rest else None,
    )


type _Reader = Callable[[PageDocument, DocumentReading], Iterator[Record]]

_READERS: Mapping[str, _Reader] = {
    "conversation": _conversation,
    "turns": _conversation,
    "shared": _conversation,
    "conversations": _listed(conversation_list),
    "search": _listed(search_results),
    "projects": _listed(project_list),
    "images": _listed(image_list),
    "title": _about,
    "share": _about,
    "change": _change,
    "init": _init,
    "stop": _stop,
    "stream_status": _stream_status,
    "textdocs": _textdocs,
}

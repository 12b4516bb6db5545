"""Files that hold ChatGPT's traffic already -> the same captures, the same rows: HAR, official export, event streams.

One file at a time, one element of it in memory. What cannot be read is told and left out; all the rest is imported.
Times are those of the content, so that an old file never overwrites what is newer, and a second import changes nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from addon.answers.capture import MAX_BODY_BYTES
from addon.captures import capture_of
from addon.documents.conversation_ids import made_up_id, named_id
from addon.documents.documents import message_count
from addon.errors import ArchiveError, ImportFailure
from addon.exchange import Closing, Opening
from addon.importing import har
from addon.importing.export_media import asset_of, media_opening
from addon.importing.export_reading import ExportReading
from addon.importing.import_files import ImportFile
from addon.importing.import_kinds import HEAD_BYTES, json_kind, kind_of, shape_of
from addon.importing.json_text import Damaged, JsonBroken, JsonCut, JsonText
from addon.records import Message, Record, Stream
from addon.store.archive_writer import ArchiveWriter
from addon.wire import asset_ids
from addon.wire.content_times import newest_in
from addon.wire.payload import dumps, scalars

_CHUNK_BYTES = 256 * 1024
_ENDED = Closing("end")


class Witness(Protocol):
    """Sees what files hold, on its own account, to say at the end whether all of it is stored."""

    def conversation(self, document: dict[str, Any]) -> None:
        """A conversation of an export."""

    def file(self, asset_id: str) -> None:
        """A file beside the conversations of an export, which has bytes."""

    def exchange(self, kind: str, streamed: bool, request: bytes, body: bytes) -> None:
        """An exchange, its body decoded; `kind` as in `streams.kind`. Of a socket a message a line, flags first."""


@dataclass(slots=True)
class Imported:
    """What came of one file. `failures` are parts that are lost, `notes` what else to know; each is one line."""

    name: str
    kind: str = ""
    conversations: int = 0
    messages: int = 0
    exchanges: int = 0
    passed_by: int = 0
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Saved:
    """A file of JSON values while it is read; `frames` are the events in it, which make one stream."""

    file: ImportFile
    text: JsonText
    export: ExportReading
    frames: list[Any] = field(default_factory=list)


class Importer:
    """Reads files into an archive. What is wrong with a file is in what came of it, and never raised."""

    def __init__(self, writer: ArchiveWriter, witness: Witness) -> None:
        self._writer = writer
        self._witness = witness
        self._around = writer.around()
        self._done = Imported("")

    def read(self, file: ImportFile, done: Imported) -> None:
        """Import one file; `done` is filled on the way, so that it holds true also when this is interrupted."""
        self._done = done
        try:
            identity = None if file.named else asset_of(file.place or file.name)
            with file.open() as content:
                done.kind = "media" if identity else kind_of(content.read(HEAD_BYTES))
            if identity is not None:
                self._media(file, identity)
            elif done.kind == "json":
                self._json(file)
            elif done.kind == "events":
                self._events(file)
        except ImportFailure as error:
            done.failures.append(str(error))
        except OSError as error:
            done.failures.append(f"cannot be read: {(error.strerror or str(error)).lower()}")
        finally:
            self._writer.flush()
        if refused := self._writer.refused():
            done.failures.append(refused)

    # -- what a file is made of ------------------------------------------------------------------------------------

    def _json(self, file: ImportFile) -> None:
        with file.open() as content:
            kind = json_kind(content)
        with file.open() as content:
            text = JsonText(content)
            try:
                if kind == "har":
                    self._har(text, file)
                else:
                    self._values(text, _elements(text, kind), file)
                if text.peek():
                    self._done.failures.append(f"goes on after its first value, at character {text.offset}: not read")
            except JsonCut:
                self._done.failures.append(f"is cut off after {self._so_far()}; so much is imported")
            except JsonBroken as error:
                self._done.failures.append(f"{error}; what stands before it is imported")

    def _so_far(self) -> str:
        done = self._done
        if done.kind == "har":
            return f"{done.exchanges + done.passed_by} entries"
        return f"{done.conversations} conversations"

    def _har(self, text: JsonText, file: ImportFile) -> None:
        self._done.kind = "har"
        for key in text.members():
            for inner in text.members() if key == "log" and text.peek() == "{" else ():
                if inner == "entries" and text.peek() == "[":
                    for number, entry in enumerate(text.elements()):
                        self._entry(number, entry, file)

    def _entry(self, number: int, entry: Any, file: ImportFile) -> None:
        if isinstance(entry, Damaged):
            self._done.failures.append(f"entry {number} is no JSON (at character {entry.offset})")
            return
        exchange = har.exchange_of(entry, f"har:{file.identity}:{number}", file.modified_at)
        if exchange is None:
            self._done.passed_by += 1
            return
        opening = exchange.opening
        if exchange.missing:
            self._done.notes.append(f"entry {number}, {opening.method} {opening.path}: {exchange.missing}")
        reason = "absent" if exchange.missing else "cut" if exchange.cut else "end"
        self._exchange(opening, exchange.request, exchange.chunks, exchange.ended_at, Closing(reason))

    def _events(self, file: ImportFile) -> None:
        """The body of an event stream that somebody saved, without its request."""
        with file.open() as content:
            body = content.read(MAX_BODY_BYTES)
        self._stream(body, file)

    def _values(self, text: JsonText, values: Iterator[Any], file: ImportFile) -> None:
        """The conversations of an export, or whatever else of ChatGPT's JSON somebody saved."""
        saved = _Saved(file, text, ExportReading(f"export:{file.identity}", file.modified_at))
        state = "interrupted"
        try:
            for number, value in enumerate(values):
                self._value(saved, number, value)
            state = "complete"
        finally:
            # Also when the text is cut off, or the person has enough of it.
            if self._done.conversations:
                self._done.kind = "export"
                self._writer.add(saved.export.close(state))
            if saved.frames:
                self._stream(b"".join(b"data: %s\n\n" % dumps(frame).encode() for frame in saved.frames), file)

    def _value(self, saved: _Saved, number: int, value: Any) -> None:
        match "damaged" if isinstance(value, Damaged) else shape_of(value):
            case "damaged":
                self._done.failures.append(f"element {number} is no JSON (at character {value.offset})")
            case "conversation":
                self._conversation(saved.export, number, value, saved.text.taken)
            case "frame":
                saved.frames.append(value)
            case "list" | "download" as kind:
                self._document(f"{saved.export.stream_id}:{number}", kind, value, saved.file)
            case _:
                self._done.passed_by += 1

    def _media(self, file: ImportFile, identity: str) -> None:
        """A file beside the conversations of an export."""
        opening = media_opening(file, identity)
        with file.open() as content:
            chunks = iter(lambda: content.read(_CHUNK_BYTES), b"")
            records = self._exchange(
                opening, b"", ((opening.started_at, chunk) for chunk in chunks), opening.started_at
            )
        self._witness.file(identity)
        for record in records:
            if isinstance(record, Stream) and record.error:
                self._done.failures.append(record.error)

    # -- one thing -------------------------------------------------------------------------------------------------

    def _conversation(self, export: ExportReading, number: int, document: dict[str, Any], text: str) -> None:
        try:
            records = export.conversation(document, text, self._writer.has_read)
        except ArchiveError:
            raise
        except Exception as error:  # a bug of ours, met by one conversation, ends there
            self._done.failures.append(f"conversation {number}: a bug in the import ({type(error).__name__})")
            return
        self._done.conversations += 1
        if named_id(document) is None:
            self._done.notes.append(f"conversation {number} has no id: it is kept as {made_up_id(document)}")
        self._add(records)
        if not records:
            self._done.messages += message_count(document)  # all of it is there
        self._witness.conversation(document)

    def _document(self, stream_id: str, kind: str, document: dict[str, Any], file: ImportFile) -> None:
        body = dumps(document).encode()
        opening = _opening(stream_id, "export", kind, newest_in(body) or file.modified_at)
        if kind == "list":
            opening = replace(opening, name="conversations")
        else:
            # Which file was asked for stood in the request; the address says it too.
            address = asset_ids.address_in(scalars(document["download_url"]), "chatgpt.com")
            identity = asset_ids.id_at(address) if address else ""
            opening = replace(opening, name="file", parameters={"file_id": identity})
        self._done.kind = "document"
        self._exchange(opening, b"", _chunks(body, opening.started_at), opening.started_at)

    def _stream(self, body: bytes, file: ImportFile) -> None:
        self._done.kind = "events"
        opening = _opening(f"sse:{file.identity}", "sse-file", "turn", newest_in(body) or file.modified_at)
        self._exchange(opening, b"", _chunks(body, opening.started_at), opening.started_at)

    def _exchange(
        self,
        opening: Opening,
        request: bytes,
        chunks: Iterable[tuple[int, bytes]],
        ended_at: int,
        closing: Closing = _ENDED,
    ) -> list[Record]:
        """The same path that live traffic takes; what it came to."""
        body: list[bytes] = []
        is_file = opening.kind == "asset"
        if is_file:
            self._writer.open()  # no file is put beside what turns out to be no archive
        try:
            capture = capture_of(opening, request, self._around)
            records = capture.begin()
            for at, chunk in chunks:
                records += capture.feed(chunk, at)
                body += () if is_file else (chunk,)
            records += capture.close(closing, ended_at)
        except (ArchiveError, ImportFailure, OSError):
            raise
        except Exception as error:  # a bug of ours, met by one exchange, ends there
            self._done.failures.append(f"{opening.method} {opening.path}: a bug in the import ({type(error).__name__})")
            return []
        self._done.exchanges += 1
        self._add(records)
        if not is_file:
            joint = b"\n" if opening.kind == "socket" else b""
            self._witness.exchange(opening.kind, opening.streamed, request, joint.join(body))
        return records

    def _add(self, records: list[Record]) -> None:
        self._done.messages += len({record.id for record in records if isinstance(record, Message)})
        self._writer.add(records)


def _elements(text: JsonText, kind: str) -> Iterator[Any]:
    """The values of a file: those of its array, of the array `conversations` in it, or itself."""
    if kind == "array":
        yield from text.elements()
    elif kind == "conversations":
        for key in text.members():
            if key == "conversations":
                yield from text.elements()
    else:
        yield text.value()


def _opening(stream_id: str, source: str, kind: str, at: int) -> Opening:
    """What is known of an exchange of which only the body was saved."""
    return Opening(
        stream_id=stream_id,
        source=source,
        kind=kind,
        streamed=kind == "turn",
        host="",
        path="",
        method="",
        started_at=at,
        status_code=200,
        content_type="text/event-stream" if kind == "turn" else "application/json",
        timed=False,
    )


def _chunks(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    for start in range(0, len(body), _CHUNK_BYTES):
        yield at, body[start : start + _CHUNK_BYTES]

"""Files that hold ChatGPT's traffic already -> the same captures, the same rows: HAR, official export, event streams.

One file at a time, one element of it in memory. What cannot be read is told and left out; all the rest is imported.
Times are those of the content, so that an old file never overwrites what is newer, and a second import changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import batched
from typing import Any

from addon.answers.capture import MAX_BODY_BYTES
from addon.captures import capture_of
from addon.documents.conversation_ids import made_up_id, named_id
from addon.documents.documents import message_count
from addon.documents.oddities import ODD_DOCUMENT, oddities, oddities_in
from addon.errors import ArchiveError, ImportFailure
from addon.exchange import Closing, Opening
from addon.importing import har
from addon.importing.export_media import asset_of, media_opening
from addon.importing.export_reading import ExportReading
from addon.importing.import_files import ImportFile
from addon.importing.import_kinds import HEAD_BYTES, elements_of, json_kind, kind_of, shape_of
from addon.importing.imported import Imported, Witness
from addon.importing.json_text import Damaged, JsonBroken, JsonCut, JsonText
from addon.importing.large_conversations import LargeDocument, read_by_pieces
from addon.importing.pieces import read_whole
from addon.importing.remarks import Remarks, chats, passed_by, place_of
from addon.importing.saved_bodies import CHUNK_BYTES, chunks_of, ends_within_an_event, opening_of
from addon.records import Message, Record, Stream, TypedEvent
from addon.store.archive_writer import ArchiveWriter
from addon.wire import asset_ids
from addon.wire.content_times import newest_in
from addon.wire.payload import dumps, scalars

_ENDED = Closing("end")
_AT_ONCE = 1000
"""How many records of a large conversation are made before they are written."""


class _Bug(Exception):
    """Something in a conversation met a bug of ours; the message is its kind."""


@dataclass(slots=True)
class _Saved:
    """A file of JSON values while it is read; `frames` are the events in it, which make one stream.

    `others` are the places of what is none of ours, `chats` how many are in the format for models; `seen` has
    how many messages of each conversation were counted.
    """

    file: ImportFile
    text: JsonText
    export: ExportReading
    frames: list[Any] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    chats: int = 0
    seen: dict[int, int] = field(default_factory=dict)


class Importer:
    """Reads files into an archive. What is wrong with a file is in what came of it, and never raised.

    `may_go_on` is asked between one thing and the next; what it raises ends the file there. What came of it is counted
    when it is in the archive, so that it holds true whatever ends it.
    """

    def __init__(self, writer: ArchiveWriter, witness: Witness, may_go_on: Callable[[], None] = lambda: None) -> None:
        self._writer = writer
        self._witness = witness
        self._may_go_on = may_go_on
        self._around = writer.around()
        self._done = Imported("")
        self._remarks = Remarks(self._done)

    def read(self, file: ImportFile, done: Imported) -> None:
        """Import one file; `done` is filled on the way."""
        self._done, self._remarks = done, Remarks(done)
        try:
            identity = None if file.named else asset_of(file.place or file.name)
            if identity is None:
                file = file.plain
            with file.open() as content:
                done.kind = "media" if identity else kind_of(content.read(HEAD_BYTES))
            if identity is not None:
                self._media(file, identity)
            elif done.kind == "json":
                self._json(file)
            elif done.kind == "events":
                self._events(file)
            elif done.kind in ("zip", "tar"):
                self._packed(file)
        except ImportFailure as error:
            done.failures.append(str(error))
        except OSError as error:
            done.failures.append(f"cannot be read: {(error.strerror or str(error)).lower()}")
        finally:
            self._remarks.settle()
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
                    self._values(text, elements_of(text, kind, read_by_pieces), file)
                if text.peek() and not text.damage:
                    self._done.failures.append(f"goes on after its first value, at character {text.offset}: not read")
                if text.damage:
                    self._done.failures.append(f"{text.damage}; {self._so_far()} in it imported")
            except JsonCut:
                self._done.failures.append(f"{text.damage or 'is cut off'} after {self._so_far()}; so much is imported")
            except JsonBroken as error:
                self._done.failures.append(f"{error}; what stands before it is imported")

    def _so_far(self) -> str:
        self._writer.flush()
        done = self._done
        if done.kind == "har":
            count = done.exchanges + done.passed_by
            return f"{count} entry" if count == 1 else f"{count} entries"
        return f"{done.conversations} conversation" + "s" * (done.conversations != 1)

    def _har(self, text: JsonText, file: ImportFile) -> None:
        self._done.kind = "har"
        for key in text.members():
            for inner in text.members() if key == "log" and text.peek() == "{" else ():
                if inner == "entries" and text.peek() == "[":
                    for number, entry in enumerate(text.elements()):
                        self._may_go_on()
                        self._entry(number, entry, file)

    def _entry(self, number: int, entry: Any, file: ImportFile) -> None:
        if isinstance(entry, Damaged):
            self._remarks.fail(f"entry {number} is no JSON (at character {entry.offset})", "entries that are no JSON")
            return
        exchange = har.exchange_of(entry, f"har:{file.identity}:{number}", file.modified_at)
        if exchange is None:
            self._done.passed_by += 1
            return
        opening = exchange.opening
        place = f"entry {number}, {opening.method} {opening.path}"
        if exchange.missing:
            self._remarks.note(f"{place}: {exchange.missing}", "entries without a body")
        reason = "absent" if exchange.missing else "cut" if exchange.cut else "end"
        ending = self._exchange(opening, exchange.request, exchange.chunks, exchange.ended_at, Closing(reason))
        if ending is None or exchange.missing:
            return
        if ending.state == "interrupted" or (exchange.short and ending.state != "complete"):
            said = exchange.short or f"interrupted, {ending.error}"
            self._remarks.note(f"{place}: {said}", "entries that are not whole")

    def _events(self, file: ImportFile) -> None:
        """The body of an event stream that somebody saved, without its request."""
        with file.open() as content:
            body, damage = read_whole(content, MAX_BODY_BYTES)
        ending = self._stream(body, file)
        if damage:
            self._done.failures.append(f"{damage}; what stands before that is imported")
        elif ending is not None and ending.state == "interrupted":
            if ends_within_an_event(body):
                self._done.failures.append("is cut off in the middle of an event; what stands before it is imported")
            else:
                self._done.notes.append("is interrupted: it ends before the answer does")

    def _packed(self, file: ImportFile) -> None:
        """Files within files: only a zip by itself is looked into. Documents of other programs are zips too."""
        reason = f"is a {self._done.kind} file that is not looked into: unpack it, then import the folder"
        lost = file.named or file.name.lower().endswith(".zip")
        (self._done.failures if lost else self._done.notes).append(reason)

    def _values(self, text: JsonText, values: Iterator[Any], file: ImportFile) -> None:
        """The conversations of an export, or whatever else of ChatGPT's JSON somebody saved."""
        saved = _Saved(file, text, ExportReading(f"export:{file.identity}", file.modified_at))
        state = "interrupted"
        try:
            for number, value in enumerate(values):
                self._may_go_on()
                self._value(saved, number, value)
            state = "complete"
        finally:
            # Also when the text is cut off, or the person has enough of it.
            if saved.seen:
                self._done.kind = "export"
                self._writer.add(saved.export.close(state))
                self._done.notes += passed_by(saved.others)
            if saved.chats:
                self._done.failures.append(chats(saved.chats))
            if saved.frames:
                self._stream(b"".join(b"data: %s\n\n" % dumps(frame).encode() for frame in saved.frames), file)

    def _value(self, saved: _Saved, number: int, value: Any) -> None:
        match "damaged" if isinstance(value, Damaged) else shape_of(value):
            case "damaged":
                place = f"element {number} is no JSON (at character {value.offset})"
                self._remarks.fail(place, "elements that are no JSON")
            case "conversation":
                self._conversation(saved, number, value)
            case "chat":
                saved.chats += 1
            case "frame":
                saved.frames.append(value)
            case "list" | "download" as kind:
                self._document(f"{saved.export.stream_id}:{number}", kind, value, saved.file)
            case _:
                saved.others.append(number)
                self._done.passed_by += 1

    def _media(self, file: ImportFile, identity: str) -> None:
        """A file beside the conversations of an export."""
        opening = media_opening(file, identity)
        with file.open() as content:
            chunks = iter(lambda: content.read(CHUNK_BYTES), b"")
            ending = self._exchange(opening, b"", ((opening.started_at, chunk) for chunk in chunks), opening.started_at)
        self._witness.file(identity)
        if ending is not None and ending.error and not self._done.failures:
            self._done.failures.append(ending.error)

    # -- one thing -------------------------------------------------------------------------------------------------

    def _conversation(self, saved: _Saved, number: int, document: dict[str, Any]) -> None:
        place, identity = f"conversation {number}", named_id(document)
        if identity is None:
            identity = made_up_id(document)
            self._remarks.note(f"{place} has no id: it is kept as {identity}", "conversations without an id")
        ids, odd = set[str](), 0
        try:
            for records in self._pieces(
                saved, document, place if named_id(document) is None else f"{place}, {identity}"
            ):
                ids.update(record.id for record in records if isinstance(record, Message))
                odd += sum(isinstance(record, TypedEvent) and not record.recognised for record in records)
                self._writer.add(records)
        except _Bug as bug:
            line = f"{place}: a bug in the import ({bug})"
            self._remarks.fail(line, "conversations that met a bug in the import")
            return
        if odd:
            self._remarks.note(f"{place}, {identity}: {odd} parts of it were not understood", "conversations like that")
        # Of one that stands in the file twice, what is new counts. Without records all of it is there.
        count = len(ids) or message_count(document)
        counted = saved.seen.get(hash(identity))
        saved.seen[hash(identity)] = max(count, counted or 0)
        new = {"conversations": int(counted is None), "messages": max(0, count - (counted or 0))}
        self._writer.when_written(partial(self._done.count, **new))
        for piece_number, piece in enumerate(document.pieces() if isinstance(document, LargeDocument) else [document]):
            self._witness.conversation(piece, goes_on=piece_number > 0)

    def _pieces(self, saved: _Saved, document: dict[str, Any], place: str) -> Iterator[Sequence[Record]]:
        """The records of a conversation: all together or, where it is too large for that, some at once."""
        large = isinstance(document, LargeDocument)
        halves = large or saved.text.mentions("\\ud") or saved.text.mentions("\\uD")
        try:
            self._remarks.odd(oddities(document, halves=halves), place)
            if isinstance(document, LargeDocument):
                yield from batched(saved.export.large_conversation(document, self._writer.has_read), _AT_ONCE)
            else:
                yield saved.export.conversation(document, saved.text.take(), self._writer.has_read)
        except ArchiveError:
            raise
        except Exception as error:  # a bug of ours, met by one conversation, ends there
            raise _Bug(type(error).__name__) from None

    def _document(self, stream_id: str, kind: str, document: dict[str, Any], file: ImportFile) -> None:
        body = dumps(document).encode()
        opening = opening_of(stream_id, "export", kind, newest_in(body) or file.modified_at)
        if kind == "list":
            opening = replace(opening, name="conversations")
        else:
            # Which file was asked for stood in the request; the address says it too.
            address = asset_ids.address_in(scalars(document["download_url"]), "chatgpt.com")
            identity = asset_ids.id_at(address) if address else ""
            opening = replace(opening, name="file", parameters={"file_id": identity})
        self._done.kind = "document"
        self._exchange(opening, b"", chunks_of(body, opening.started_at), opening.started_at)

    def _stream(self, body: bytes, file: ImportFile) -> Stream | None:
        self._done.kind = "events"
        opening = opening_of(f"sse:{file.identity}", "sse-file", "turn", newest_in(body) or file.modified_at)
        return self._exchange(opening, b"", chunks_of(body, opening.started_at), opening.started_at)

    def _exchange(
        self,
        opening: Opening,
        request: bytes,
        chunks: Iterable[tuple[int, bytes]],
        ended_at: int,
        closing: Closing = _ENDED,
    ) -> Stream | None:
        """The same path that live traffic takes; how it ended."""
        body: list[bytes] = []
        is_file = opening.kind == "asset"
        if is_file:
            self._writer.open()  # no file is put beside what turns out to be no archive
        try:
            capture = capture_of(opening, request, self._around)
            records = capture.begin()
            try:
                for at, chunk in chunks:
                    records += capture.feed(chunk, at)
                    body += () if is_file else (chunk,)
            except ImportFailure as error:
                self._done.failures.append(str(error))
                closing = Closing("cut")
            records += capture.close(closing, ended_at)
        except (ArchiveError, OSError):
            raise
        except Exception as error:  # a bug of ours, met by one exchange, ends there
            line = f"{opening.method} {opening.path}: a bug in the import ({type(error).__name__})"
            self._remarks.fail(line, "exchanges that met a bug in the import")
            return None
        for record in records:
            if isinstance(record, TypedEvent) and record.type == ODD_DOCUMENT:
                self._remarks.odd(oddities_in(record.data), place_of(opening, record.conversation_id))
        self._writer.add(records)
        self._writer.when_written(partial(self._done.count, exchanges=1, messages=_messages(records)))
        if not is_file:
            joint = b"\n" if opening.kind == "socket" else b""
            self._witness.exchange(opening.kind, opening.streamed, request, joint.join(body))
        return next((record for record in reversed(records) if isinstance(record, Stream)), None)


def _messages(records: list[Record]) -> int:
    return len({record.id for record in records if isinstance(record, Message)})

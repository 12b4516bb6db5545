"""The JSON values of a file -> the archive: the conversations of an export, and whatever else of ChatGPT's is saved."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from addon.documents.conversation_ids import made_up_id, named_id
from addon.documents.documents import message_count
from addon.documents.oddities import oddities
from addon.errors import ArchiveError
from addon.importing.export_reading import ExportReading
from addon.importing.import_files import ImportFile
from addon.importing.import_kinds import shape_of
from addon.importing.intake import Intake
from addon.importing.json_text import Damaged, JsonText
from addon.importing.large_conversations import LargeDocument
from addon.importing.portions import portions
from addon.importing.remarks import MOST_PLACES, chats, passed_by
from addon.importing.saved_bodies import chunks_of, opening_of
from addon.records import Message, Record, TypedEvent
from addon.wire import asset_ids
from addon.wire.budget import weight
from addon.wire.content_times import newest_in
from addon.wire.payload import dumps, scalars

_AT_ONCE = 1000
"""How many records of a large conversation are made before they are written."""


_MAX_FRAMES_BYTES = 8 * 1024 * 1024
"""How much is held of events that stand in an array: together they are one answer."""


class _Bug(Exception):
    """Something in a conversation met a bug of ours; the message is its kind."""


class ValueImport:
    """Takes the values of one file, which are read from `text`, one after another."""

    def __init__(self, intake: Intake, text: JsonText, file: ImportFile) -> None:
        self._intake = intake
        self._done, self._remarks, self._writer = intake.done, intake.remarks, intake.writer
        self._text = text
        self._file = file
        self._export = ExportReading(f"export:{file.identity}", file.modified_at)
        self._frames: list[bytes] = []  # events, which make one stream
        self._frames_bytes = 0
        self._others: list[int] = []  # the first places of what is none of ours
        self._others_count = 0
        self._chats = 0
        self._seen: dict[int, int] = {}  # how many messages of each conversation were counted

    def read(self, values: Iterator[Any], may_go_on: Callable[[], None]) -> None:
        """Take them all; what `may_go_on` raises between one and the next ends that."""
        state = "interrupted"
        try:
            for number, value in enumerate(values):
                may_go_on()
                self._value(number, value)
            state = "complete"
        finally:
            # Also when the text is cut off, or the person has enough of it.
            if self._seen:
                self._done.kind = "export"
                self._writer.add(self._export.close(state))
                self._done.notes += passed_by(self._others_count, self._others)
            if self._chats:
                self._done.failures.append(chats(self._chats))
            if self._frames:
                self._intake.stream(b"".join(self._frames), self._file)
            if self._frames_bytes > _MAX_FRAMES_BYTES:
                self._done.failures.append(f"more than {_MAX_FRAMES_BYTES >> 20} MiB of events: the rest is not read")

    def _value(self, number: int, value: Any) -> None:
        match "damaged" if isinstance(value, Damaged) else shape_of(value):
            case "damaged":
                place = f"element {number} {value.reason} (at character {value.offset})"
                self._remarks.fail(place, "elements that cannot be read")
            case "conversation":
                self._conversation(number, value)
            case "chat":
                self._chats += 1
            case "frame":
                self._frame(value)
            case "list" | "download" as kind:
                self._document(number, kind, value)
            case _:
                self._others += [number] if len(self._others) <= MOST_PLACES else []
                self._others_count += 1
                self._done.passed_by += 1

    def _frame(self, event: dict[str, Any]) -> None:
        body = b"data: %s\n\n" % dumps(event).encode()
        self._frames_bytes += len(body)
        if self._frames_bytes <= _MAX_FRAMES_BYTES:
            self._frames.append(body)

    def _conversation(self, number: int, document: dict[str, Any]) -> None:
        place, identity = f"conversation {number}", named_id(document)
        if identity is None:
            identity = made_up_id(document)
            self._remarks.note(f"{place} has no id: it is kept as {identity}", "conversations without an id")
        ids, odd, is_known = set[str](), 0, not isinstance(document, LargeDocument)
        try:
            for records in self._pieces(document, place if named_id(document) is None else f"{place}, {identity}"):
                ids.update(record.id for record in records if isinstance(record, Message))
                odd += sum(isinstance(record, TypedEvent) and not record.recognised for record in records)
                is_known = is_known and not records
                self._writer.add(records)
        except _Bug as bug:
            line = f"{place}: a bug in the import ({bug})"
            self._remarks.fail(line, "conversations that met a bug in the import")
            return
        if isinstance(document, LargeDocument) and document.left_out:
            count, first = len(document.left_out), document.left_out[0]
            line = f"{place}, {identity}: parts too large to be read: {count:,}, first {first}"
            self._remarks.fail(line, "conversations like that")
        if odd:
            self._remarks.note(f"{place}, {identity}: {odd} parts of it were not understood", "conversations like that")
        # Of one that stands in the file twice, what is new counts. Without records all of it is there.
        count = len(ids) or message_count(document)
        counted = self._seen.get(hash(identity))
        self._seen[hash(identity)] = max(count, counted or 0)
        new = {"conversations": int(counted is None), "messages": max(0, count - (counted or 0))}
        self._writer.when_written(partial(self._done.count, **new))
        for piece_number, piece in enumerate(document.pieces() if isinstance(document, LargeDocument) else [document]):
            self._intake.witness.conversation(piece, goes_on=piece_number > 0, is_known=is_known)

    def _pieces(self, document: dict[str, Any], place: str) -> Iterator[Sequence[Record]]:
        """The records of a conversation: all together or, where it is too large for that, some at once."""
        text = self._text.take()

        def is_odd() -> bool:
            halves = isinstance(document, LargeDocument) or "\\ud" in text or "\\uD" in text
            found = list(oddities(document, halves=halves))
            self._remarks.odd(found, place)
            return bool(found)

        has_read = self._writer.has_read
        try:
            if isinstance(document, LargeDocument):
                yield from portions(self._export.large_conversation(document, has_read, is_odd), _AT_ONCE, weight)
            else:
                yield self._export.conversation(document, text, has_read, is_odd)
        except ArchiveError:
            raise
        except Exception as error:  # a bug of ours, met by one conversation, ends there
            raise _Bug(type(error).__name__) from None

    def _document(self, number: int, kind: str, document: dict[str, Any]) -> None:
        body = dumps(document).encode()
        opening = opening_of(
            f"{self._export.stream_id}:{number}", "export", kind, newest_in(body) or self._file.modified_at
        )
        if kind == "list":
            opening = replace(opening, name="conversations")
        else:
            # Which file was asked for stood in the request; the address says it too.
            address = asset_ids.address_in(scalars(document["download_url"]), "chatgpt.com")
            identity = asset_ids.id_at(address) if address else ""
            opening = replace(opening, name="file", parameters={"file_id": identity})
        self._done.kind = "document"
        self._intake.exchange(opening, b"", chunks_of(body, opening.started_at), opening.started_at)

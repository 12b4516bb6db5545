"""Files that hold ChatGPT's traffic already -> the same captures, the same rows: HAR, official export, event streams.

One file at a time, one element of it in memory. What cannot be read is told and left out; all the rest is imported.
Times are those of the content, so that an old file never overwrites what is newer, and a second import changes nothing.
"""

from collections.abc import Callable
from typing import Any

from addon.answers.capture import MAX_BODY_BYTES
from addon.errors import ImportFailure
from addon.exchange import Closing
from addon.importing import har
from addon.importing.export_media import asset_of, is_media, media_opening
from addon.importing.import_files import ImportFile
from addon.importing.import_kinds import HEAD_BYTES, elements_of, json_kind, kind_of
from addon.importing.imported import Imported, Witness
from addon.importing.intake import Intake
from addon.importing.json_text import Damaged, JsonBroken, JsonCut, JsonText
from addon.importing.large_conversations import read_by_pieces
from addon.importing.pieces import read_whole
from addon.importing.remarks import exchange_at
from addon.importing.saved_bodies import CHUNK_BYTES, ends_within_an_event
from addon.importing.value_import import ValueImport
from addon.store.archive_writer import ArchiveWriter
from addon.wire.payload import dumps

_MOST_SHOWN = 40
"""Characters of what stands in the place of an entry."""


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

    def read(self, file: ImportFile, done: Imported) -> None:
        """Import one file; `done` is filled on the way."""
        intake = Intake(self._writer, self._around, self._witness, done)
        try:
            name = file.place or file.name
            identity = None if file.named else asset_of(name, self._writer.mentions)
            if identity is None:
                file = file.plain
            with file.open() as content:
                head = content.read(HEAD_BYTES)
                done.kind = "media" if identity else kind_of(head)
            if identity is not None:
                _media(intake, file, identity)
            elif done.kind == "json":
                self._json(intake, file)
            elif done.kind == "events":
                _events(intake, file)
            elif done.kind in ("zip", "tar"):
                _packed(file, done)
            elif not file.named and is_media(name, head):
                done.kind = "nameless media"
        except ImportFailure as error:
            done.failures.append(str(error))
        except OSError as error:
            done.failures.append(f"cannot be read: {(error.strerror or str(error)).lower()}")
        finally:
            intake.remarks.settle()
            self._writer.flush()
        if refused := self._writer.refused():
            done.failures.append(refused)

    def _json(self, intake: Intake, file: ImportFile) -> None:
        done = intake.done
        with file.open() as content:
            kind = json_kind(content)
        with file.open() as content:
            text = JsonText(content, har.MAX_ENTRY_CHARACTERS if kind == "har" else None)
            try:
                if kind == "har":
                    self._har(intake, text, file)
                else:
                    ValueImport(intake, text, file).read(elements_of(text, kind, read_by_pieces), self._may_go_on)
                if text.peek() and not text.damage:
                    done.failures.append(f"goes on after its first value, at character {text.offset}: not read")
                if text.damage:
                    done.failures.append(f"{text.damage}; {self._so_far(done)} in it imported")
            except JsonCut:
                done.failures.append(f"{text.damage or 'is cut off'} after {self._so_far(done)}; so much is imported")
            except JsonBroken as error:
                done.failures.append(f"{error}; what stands before it is imported")

    def _so_far(self, done: Imported) -> str:
        self._writer.flush()
        if done.kind == "har":
            count = done.exchanges + done.passed_by
            return f"{count} entry" if count == 1 else f"{count} entries"
        return f"{done.conversations} conversation" + "s" * (done.conversations != 1)

    def _har(self, intake: Intake, text: JsonText, file: ImportFile) -> None:
        intake.done.kind = "har"
        listed = False
        for key in text.members():
            for inner in text.members() if key == "log" and text.peek() == "{" else ():
                if inner == "entries" and text.peek() == "[":
                    listed = True
                    for number, entry in enumerate(text.elements()):
                        self._may_go_on()
                        _entry(intake, number, entry, file)
        if not listed:
            intake.done.failures.append("is a HAR without entries: `entries` in its `log` is missing, or no list")


def _entry(intake: Intake, number: int, entry: Any, file: ImportFile) -> None:
    """An entry of a HAR."""
    remarks = intake.remarks
    if isinstance(entry, Damaged):
        remarks.fail(f"entry {number} {entry.reason} (at character {entry.offset})", "entries that cannot be read")
        return
    if not isinstance(entry, dict):
        remarks.fail(f"entry {number} is no entry: {dumps(entry)[:_MOST_SHOWN]}", "entries that are none")
        return
    exchange = har.exchange_of(entry, f"har:{file.identity}:{number}", file.modified_at)
    if exchange is None:
        intake.done.passed_by += 1
        return
    opening, body = exchange.opening, exchange.body
    place = exchange_at(opening)
    if body.damage:
        remarks.fail(f"{place}{body.damage}", "entries that cannot be read")
    elif body.missing:
        remarks.note(f"{place}{body.missing}", "entries without a body")
    reason = "absent" if body.missing else "cut" if exchange.cut else "end"
    ending = intake.exchange(opening, exchange.request, body.chunks, exchange.ended_at, Closing(reason))
    if ending is None or body.missing or body.damage:
        return
    if ending.state == "interrupted" or (exchange.short and ending.state != "complete"):
        said = exchange.short or f"interrupted, {ending.error}"
        remarks.note(f"{place}{said}", "entries that are not whole")


def _events(intake: Intake, file: ImportFile) -> None:
    """The body of an event stream that somebody saved, without its request."""
    with file.open() as content:
        body, damage = read_whole(content, MAX_BODY_BYTES)
    ending = intake.stream(body, file)
    if damage:
        intake.done.failures.append(f"{damage}; what stands before that is imported")
    elif ending is not None and ending.state == "interrupted":
        if ends_within_an_event(body):
            intake.done.failures.append("is cut off in the middle of an event; what stands before it is imported")
        else:
            intake.done.notes.append("is interrupted: it ends before the answer does")


def _packed(file: ImportFile, done: Imported) -> None:
    """Files within files: only a zip by itself is looked into. Documents of other programs are zips too."""
    reason = f"is a {done.kind} file that is not looked into: unpack it, then import the folder"
    lost = file.named or file.name.lower().endswith(".zip")
    (done.failures if lost else done.notes).append(reason)


def _media(intake: Intake, file: ImportFile, identity: str) -> None:
    """A file beside the conversations of an export."""
    opening = media_opening(file, identity)
    with file.open() as content:
        chunks = iter(lambda: content.read(CHUNK_BYTES), b"")
        ending = intake.exchange(opening, b"", ((opening.started_at, chunk) for chunk in chunks), opening.started_at)
    intake.witness.file(identity)
    if ending is not None and ending.error and not intake.done.failures:
        intake.done.failures.append(ending.error)

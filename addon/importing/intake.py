"""One file's way into the archive: its exchanges by the path of live traffic, what cannot be read into its remarks."""

from collections.abc import Iterable
from functools import partial

from addon.answers.typed_events import UNREADABLE
from addon.captures import Surroundings, capture_of
from addon.documents.oddities import ODD_DOCUMENT, oddities_in
from addon.errors import ArchiveError, ImportFailure
from addon.exchange import Closing, Opening
from addon.importing.import_files import ImportFile
from addon.importing.imported import Imported, Witness
from addon.importing.remarks import Remarks, exchange_at, place_of
from addon.importing.saved_bodies import chunks_of, opening_of
from addon.records import Message, Record, Stream, TypedEvent
from addon.store.archive_writer import ArchiveWriter
from addon.wire.content_times import newest_in

_ENDED = Closing("end")


class Intake:
    """Takes what one file holds; `done` and `remarks` say what came of it."""

    def __init__(self, writer: ArchiveWriter, around: Surroundings, witness: Witness, done: Imported) -> None:
        self.writer = writer
        self.witness = witness
        self.done = done
        self.remarks = Remarks(done)
        self._around = around

    def exchange(
        self,
        opening: Opening,
        request: bytes,
        chunks: Iterable[tuple[int, bytes]],
        ended_at: int,
        closing: Closing = _ENDED,
    ) -> Stream | None:
        """Read one exchange; how it ended."""
        body: list[bytes] = []
        is_file = opening.kind == "asset"
        if is_file:
            self.writer.open()  # no file is put beside what turns out to be no archive
        try:
            capture = capture_of(opening, request, self._around)
            records = capture.begin()
            try:
                for at, chunk in chunks:
                    records += capture.feed(chunk, at)
                    body += () if is_file else (chunk,)
            except ImportFailure as error:
                self.done.failures.append(str(error))
                closing = Closing("cut")
            records += capture.close(closing, ended_at)
        except (ArchiveError, OSError):
            raise
        except Exception as error:  # a bug of ours, met by one exchange, ends there
            line = f"{opening.method} {opening.path}: a bug in the import ({type(error).__name__})"
            self.remarks.fail(line, "exchanges that met a bug in the import")
            return None
        self._remark(opening, records)
        self.writer.add(records)
        self.writer.when_written(partial(self.done.count, exchanges=1, messages=_messages(records)))
        if not is_file:
            joint = b"\n" if opening.kind == "socket" else b""
            self.witness.exchange(opening.kind, opening.streamed, request, joint.join(body))
        return next((record for record in reversed(records) if isinstance(record, Stream)), None)

    def stream(self, body: bytes, file: ImportFile) -> Stream | None:
        """Read the body of an event stream that came without its request."""
        self.done.kind = "events"
        opening = opening_of(f"sse:{file.identity}", "sse-file", "turn", newest_in(body) or file.modified_at)
        return self.exchange(opening, b"", chunks_of(body, opening.started_at), opening.started_at)

    def _remark(self, opening: Opening, records: list[Record]) -> None:
        events = [record for record in records if isinstance(record, TypedEvent)]
        for event in events:
            if event.type == ODD_DOCUMENT:
                self.remarks.odd(oddities_in(event.data), place_of(opening, event.conversation_id))
        if count := sum(event.type in UNREADABLE for event in events):
            where = "its body" if opening.kind in ("document", "list") else f"{count:,} of its events"
            line = f"{exchange_at(opening)}no JSON in {where}: kept as received, but not read"
            self.remarks.fail(line, "exchanges that are not all JSON")


def _messages(records: list[Record]) -> int:
    return len({record.id for record in records if isinstance(record, Message)})

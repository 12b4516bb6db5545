"""Records -> rows. The one place that opens the database for writing; one transaction per batch.

Everything is an upsert: what is read twice changes nothing (`message_rows` has the rules for messages).
"""

import contextlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from itertools import groupby
from pathlib import Path
from typing import Any

from addon import archive
from addon.answers.legs import MOST_LEGS, Leg, LegKey
from addon.errors import ArchiveError, DamagedArchive
from addon.exchange import Opening
from addon.files.file_types import THUMBNAILED
from addon.records import (
    AbandonedTopics,
    AssetFile,
    AssetLocation,
    CanvasDocument,
    Conversation,
    DocumentRead,
    ImageRow,
    KnownAsset,
    ListedImage,
    Mention,
    Message,
    MessageGrowth,
    MessageVersion,
    Record,
    RequestBody,
    Run,
    Sources,
    Stream,
    StreamBody,
    StreamRepeats,
    StreamSeen,
    Thumbnail,
    TypedEvent,
)
from addon.store.asset_rows import write_file, write_location, write_thumbnail
from addon.store.conversation_rows import has_read, write_accounts, write_document_read
from addon.store.database import PASSING, code, connect, damages, identity, reason, refuses
from addon.store.document_rows import write_body, write_canvas, write_listed_image, write_repeats, write_seen
from addon.store.indexing import indexed_together
from addon.store.merge_rows import write_asset, write_image, write_mention, write_sources, write_version
from addon.store.message_rows import write_growth, write_message
from addon.store.new_conversations import write_messages
from addon.store.rows import columns, ensure_conversation, microseconds, timestamp, upsert
from addon.store.run_rows import settle_topics, write_run
from addon.wire.asset_ids import SANDBOX
from addon.wire.payload import dumps

_NAMED_BY_A_RETRY = """
    UPDATE streams SET conversation_id = named.conversation_id
    FROM (SELECT conversation_id FROM streams
          WHERE request_message_id = ?1 AND conversation_id IS NOT NULL LIMIT 1) AS named
    WHERE request_message_id = ?1 AND streams.conversation_id IS NULL"""

_EVENT = [field.name for field in fields(TypedEvent)]
_INSERT_EVENT = f"INSERT OR REPLACE INTO events ({', '.join(_EVENT)}) VALUES (:{', :'.join(_EVENT)})"


_STEPS_BETWEEN = 500
"""Of SQLite's virtual machine: some 0.1 ms."""


class StoreBusy(Exception):
    """The batch could not be written now (locked, disk full): write it again later."""


class Store:
    """An open archive. `failed` counts the records that SQLite refused for what they hold."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self._path = path
        self._identity = identity(path)
        self.failed = 0
        self.refusal = ""

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        durable: bool = False,
        bulk: bool = False,
        texts: Callable[[bytes], str] | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> "Store":
        """Open or create the archive and bring it to the newest schema. Raises `ArchiveError`, `StoreBusy`.

        Of the first `DamagedArchive` is for a file of ours that is no sound database any more. With `durable` what has
        been written also survives a power loss, at the price of an fsync a batch. `bulk`: much is written at once.
        `texts` reads SQLite's, for an archive in which they may be no UTF-8. `meanwhile` is called some ten times a
        millisecond while SQLite works.
        """
        archive.prepare(path)
        try:
            db = connect(path, durable)
            # Each insert into a table with triggers opens a statement journal, which would be a file on disk.
            db.execute("PRAGMA temp_store = MEMORY")
            if bulk:
                # Pages of the indexes change again and again: the log is copied into the file when it has 32 MB.
                db.execute("PRAGMA wal_autocheckpoint = 8000")
            if texts is not None:
                db.text_factory = texts
            if meanwhile is not None:
                db.set_progress_handler(meanwhile, _STEPS_BETWEEN)
            return cls(db, path)
        except OSError as error:
            raise StoreBusy(f"no copy of it can be made: {error.strerror}") from None
        except sqlite3.Error as error:
            if damages(error):
                raise DamagedArchive(f"{path} is damaged ({error})") from None
            if code(error) in PASSING:
                raise StoreBusy(str(error)) from None
            raise ArchiveError(f"{path}: {error}") from None

    def close(self) -> None:
        """Fold the write-ahead log into the file and close."""
        self._db.close()

    def take_failures(self) -> int:
        """How many records were left out since this was last asked."""
        failed, self.failed = self.failed, 0
        return failed

    def title_of(self, conversation_id: str | None) -> str | None:
        """The title of a conversation, as far as it is known; for people only, so an error is no title."""
        query = "SELECT title FROM conversations WHERE id = ?"
        with contextlib.suppress(sqlite3.Error):
            row = self._db.execute(query, [conversation_id]).fetchone()
            return row["title"] if row else None
        return None

    def legs(self, key: LegKey, value: str, opening: Opening) -> list[Leg]:
        """The exchanges with this value that began before another one, the newest first; [] when they cannot be read.

        Then the leg that asks goes on without them, says so, and can be read again.
        """
        query = f"""SELECT s.*, b.body, b.arrivals FROM streams s LEFT JOIN stream_bodies b ON b.stream_id = s.id
                    WHERE s.{key} = ? AND s.kind IN ('turn', 'resume', 'topic') AND s.started_at <= ? AND s.id <> ?
                    ORDER BY s.started_at DESC LIMIT {MOST_LEGS}"""
        with contextlib.suppress(sqlite3.Error):
            rows = self._db.execute(query, (value, timestamp(opening.started_at), opening.stream_id))
            return [_leg(row) for row in rows]
        return []

    def has_read(self, document: DocumentRead) -> bool:
        """Whether a conversation document is in the archive already, as far as can be told."""
        with contextlib.suppress(sqlite3.Error):
            return has_read(self._db, document)
        return False

    def has_seen(self, opening: Opening) -> bool:
        """Whether a proxy saw the whole exchange pass, of which a file tells now, and its evidence is here if wanted.

        Such a file knows less: not when each piece came.
        """
        query = """SELECT 1 FROM streams WHERE id = ? AND source = 'live' AND state IN ('complete', 'handed_off')
                   AND (NOT ? OR EXISTS (SELECT 1 FROM stream_bodies WHERE stream_id = streams.id))"""
        with contextlib.suppress(sqlite3.Error):
            return self._db.execute(query, (opening.stream_id, opening.keep_raw)).fetchone() is not None
        return False

    def unchanged(self, opening: Opening, digest: str) -> str | None:
        """The stream in which the page loaded the same document before this time, if it was the same then.

        None also when that cannot be read: then the document is read once more, which changes nothing.
        """
        query = """SELECT s.id, b.digest FROM streams s JOIN stream_bodies b ON b.stream_id = s.id
                   WHERE s.path = ? AND s.started_at <= ? AND s.id <> ? AND s.host = ? AND s.method = ?
                     AND s.parameters IS ? AND b.digest IS NOT NULL
                   ORDER BY s.started_at DESC LIMIT 1"""
        parameters = dumps(opening.parameters) if opening.parameters else None
        asked = (opening.path, timestamp(opening.started_at), opening.stream_id, opening.host, opening.method)
        with contextlib.suppress(sqlite3.Error):
            row = self._db.execute(query, (*asked, parameters)).fetchone()
            return row["id"] if row and row["digest"] == digest else None
        return None

    def has_stream(self, stream: Stream, *, body: bool) -> bool:
        """Whether an exchange is here as far as this account of it goes, with its raw body if there is one."""
        query = """SELECT 1 FROM streams WHERE id = ? AND (coalesce(ended_at, ''), body_bytes) >= (?, ?)
                   AND (NOT ? OR EXISTS (SELECT 1 FROM stream_bodies WHERE stream_id = streams.id))"""
        asked = (stream.id, timestamp(stream.ended_at) or "", stream.body_bytes, body)
        return self._db.execute(query, asked).fetchone() is not None

    def mentioned(self, asset_id: str, address: str) -> bool:
        """Whether a stored message mentions an asset, or the asset at an address; when that cannot be read, False."""
        queries = (
            "SELECT 1 FROM message_assets WHERE asset_id = :id",
            "SELECT 1 FROM message_assets JOIN asset_urls USING (asset_id) WHERE url = :address",
            "SELECT 1 FROM image_generations WHERE asset_id = :id",
            "SELECT 1 FROM messages WHERE id = :message",
        )
        message = asset_id.removeprefix(SANDBOX).partition("/")[0] if asset_id.startswith(SANDBOX) else None
        known = {"id": asset_id, "address": address, "message": message}
        with contextlib.suppress(sqlite3.Error):
            return any(self._db.execute(query, known).fetchone() for query in queries)
        return False

    def images_without_thumbnail(self, limit: int) -> list[tuple[str, str]]:
        """Digest and path of the newest images of which no thumbnail has been tried; [] when they cannot be read."""
        marks = ", ".join("?" * len(THUMBNAILED))
        query = f"""SELECT sha256, path FROM files WHERE thumbnail_path IS NULL AND thumbnail_error IS NULL
                    AND mime_type IN ({marks}) ORDER BY rowid DESC LIMIT ?"""
        with contextlib.suppress(sqlite3.Error):
            return [(row["sha256"], row["path"]) for row in self._db.execute(query, (*THUMBNAILED, limit))]
        return []

    def write(self, records: Sequence[Record]) -> None:
        """Store a batch in one transaction. Raises `StoreBusy`; then it is to be written again, whole.

        Raises `DamagedArchive` when the file is damaged or not there any more: then all that the journal holds is to be
        read again, into a new one. A record that SQLite refuses for what it holds, or that meets a bug of ours, must
        not take the others along: it is left out and counted.
        """
        if identity(self._path) != self._identity:
            raise DamagedArchive(f"{self._path} has been moved or deleted")
        try:
            self._transaction(records)
        except Exception as error:
            if not refuses(error):
                raise self._unwritable(error) from None
            self._one_by_one(records)

    def _unwritable(self, error: Exception) -> Exception:
        return DamagedArchive(f"{self._path} is damaged ({error})") if damages(error) else StoreBusy(str(error))

    def _one_by_one(self, records: Sequence[Record]) -> None:
        failed = 0
        for record in records:
            try:
                self._transaction([record])
            except Exception as error:
                if not refuses(error):
                    raise self._unwritable(error) from None
                failed += 1
                self.refusal = f"{type(record).__name__}: {reason(error)}"
        self.failed += failed

    def _transaction(self, records: Sequence[Record]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            with indexed_together(self._db, records):
                self._write(records)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _write(self, records: Sequence[Record]) -> None:
        """Each record in its turn; what is said of a conversation as a whole together, at the end."""
        accounts: dict[str, list[Conversation]] = {}
        for conversation_id, run in groupby(records, _conversation_of_message):
            if conversation_id is not None:
                write_messages(self._db, [record for record in run if isinstance(record, Message)])
                continue
            for record in run:
                if isinstance(record, Conversation):
                    if record.id not in accounts:
                        ensure_conversation(self._db, record.id, record.source, record.at)
                    accounts.setdefault(record.id, []).append(record)
                else:
                    _WRITERS[type(record)](self._db, record)
        for said in accounts.values():
            write_accounts(self._db, said)


def _conversation_of_message(record: Record) -> str | None:
    return record.conversation_id if isinstance(record, Message) else None


def _leg(row: sqlite3.Row) -> Leg:
    names = [name for name in Leg.__slots__ if name not in ("stream_id", "started_at")]
    started_at = microseconds(row["started_at"])
    return Leg(stream_id=row["id"], started_at=started_at, **{name: row[name] for name in names})


def _write_stream(db: sqlite3.Connection, record: Stream) -> None:
    ensure_conversation(db, record.conversation_id, record.source, record.started_at)
    # Of what only a file tells, nobody knows where it was loaded from.
    where = {name: getattr(record, name) or None for name in ("host", "path", "method")}
    upsert(db, "streams", "id", columns(record) | where | _seen_before(db, record))
    if record.request_message_id is not None:
        # A send that failed before its conversation had a name belongs to that of the one that was tried again.
        db.execute(_NAMED_BY_A_RETRY, (record.request_message_id,))


def _seen_before(db: sqlite3.Connection, record: Stream) -> dict[str, Any]:
    """What a file does not know of an exchange that a proxy saw, though not to its end."""
    if record.source == "live" or record.first_event_at is not None:
        return {}
    query = "SELECT source, first_event_at, first_token_at FROM streams WHERE id = ? AND source = 'live'"
    row = db.execute(query, (record.id,)).fetchone()
    return dict(row) if row else {}


def _write_event(db: sqlite3.Connection, record: TypedEvent) -> None:
    db.execute(_INSERT_EVENT, columns(record))


def _write_request(db: sqlite3.Connection, record: RequestBody) -> None:
    upsert(db, "request_bodies", "stream_id", columns(record))


_WRITERS: Mapping[type, Callable[[sqlite3.Connection, Any], None]] = {
    Message: write_message,
    MessageGrowth: write_growth,
    DocumentRead: write_document_read,
    CanvasDocument: write_canvas,
    ListedImage: write_listed_image,
    TypedEvent: _write_event,
    Stream: _write_stream,
    StreamBody: write_body,
    StreamSeen: write_seen,
    StreamRepeats: write_repeats,
    RequestBody: _write_request,
    Run: write_run,
    AbandonedTopics: settle_topics,
    AssetLocation: write_location,
    AssetFile: write_file,
    Thumbnail: write_thumbnail,
    MessageVersion: write_version,
    Sources: write_sources,
    KnownAsset: write_asset,
    Mention: write_mention,
    ImageRow: write_image,
}

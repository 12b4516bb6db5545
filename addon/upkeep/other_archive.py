"""Another archive, read as what it is: observations. Its rows -> the records that tell them to an archive of our own.

So one set of rules decides what stays, whoever captured it: a row is what its archive saw last, at the time it saw it.
The other archive is only read, and is untrusted: a row that cannot be read is left out and counted.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from addon.archive import APPLICATION_ID, VERSION
from addon.errors import ArchiveError
from addon.records import AssetLocation, Mention, Message, Record, RequestBody, Run, Stream, StreamBody, StreamSeen
from addon.store.database import migrate
from addon.store.rows import microseconds
from addon.upkeep.bad_values import AnyText
from addon.upkeep.other_rows import (
    asset_records,
    canvas_records,
    citations_of,
    conversation_records,
    event_records,
    image_records,
    location_records,
    message_of,
    record_of,
    stream_of,
    version_of,
)
from addon.upkeep.overlap import Overlap, overlap

_OF_DOCUMENTS = ("document", "list")
_UNTOLD = "({0}.conversation_id IS NULL OR {0}.conversation_id NOT IN (SELECT id FROM temp.told))"


class OtherArchive:
    """An open archive of somebody else, or of another machine; `unreadable` counts the rows that made no sense."""

    def __init__(self, path: Path, folder: Path) -> None:
        """Open it for reading, one of an older version as a copy in a scratch folder. Raises `ArchiveError`."""
        self.unreadable = 0
        self.path = path
        with contextlib.ExitStack() as held:
            try:
                self._db = held.enter_context(contextlib.closing(_opened(path)))
                if _version(self._db) < VERSION:
                    self._db = held.enter_context(contextlib.closing(_renewed(self._db, folder / "other.db")))
                self._db.execute("CREATE TEMP TABLE told (id TEXT PRIMARY KEY)")
                # All that is read is of one moment.
                self._db.execute("BEGIN")
            except (sqlite3.Error, OSError) as error:
                raise ArchiveError(f"{path}: cannot be read: {error}") from None
            self._held = held.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    @property
    def undecodable(self) -> bool:
        """Whether a text was no UTF-8, and read as far as it is."""
        return bool(self._db.text_factory.met)

    def overlap(self, database: Path, unfinished: Collection[str]) -> Overlap:
        """What the archive at `database` knows too; what it was told is left out from here on."""
        found = overlap(database, self._db, unfinished)
        self._db.executemany("INSERT INTO temp.told VALUES (?)", [(identity,) for identity in found.told])
        return found

    def names(self) -> Iterator[str]:
        """All conversations."""
        for (identity,) in self._db.execute("SELECT id FROM conversations WHERE typeof(id) = 'text'"):
            yield identity

    def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def untold_messages(self) -> int:
        """How many messages there are to tell."""
        return int(self._db.execute(f"SELECT count(*) FROM messages m WHERE {_UNTOLD.format('m')}").fetchone()[0])

    def conversations(self) -> Iterator[list[Record]]:
        """What was said of each conversation, each field when it was last said."""
        untold = "WHERE id NOT IN (SELECT id FROM temp.told)"
        yield from self._each(f"SELECT * FROM conversations {untold} ORDER BY rowid", conversation_records)

    def runs(self) -> Iterator[list[Record]]:
        """The lives of the proxies that captured."""
        yield from self._each("SELECT * FROM runs ORDER BY started_at", lambda row: [record_of(Run, row)])

    def streams(self) -> Iterator[Stream]:
        """The exchanges; one that is still streaming may go on, so that it is merged again later."""
        for (stream,) in self._each("SELECT * FROM streams ORDER BY rowid", lambda row: [stream_of(row)]):
            if isinstance(stream, Stream):
                yield stream

    def has_evidence(self, stream: Stream) -> bool:
        """Whether there is a raw body of an exchange, or the digest of one."""
        query = "SELECT 1 FROM stream_bodies WHERE stream_id = ?"
        return self._db.execute(query, (stream.id,)).fetchone() is not None

    def evidence(self, stream: Stream) -> Iterator[list[Record]]:
        """What belongs to an exchange: raw bodies, events, when it was last the same."""
        of_it = "WHERE stream_id = ?"
        yield from self._each(
            f"SELECT * FROM stream_bodies {of_it}", lambda row: [record_of(StreamBody, row)], stream.id
        )
        requests = f"SELECT * FROM request_bodies {of_it}"
        yield from self._each(requests, lambda row: [record_of(RequestBody, row)], stream.id)
        events = f"SELECT * FROM events {of_it} ORDER BY position"
        yield from self._each(events, event_records, stream.id)

    def seen_again(self) -> Iterator[list[Record]]:
        """When documents were last what they were."""
        query = "SELECT id, last_seen_at FROM streams WHERE last_seen_at IS NOT NULL"
        yield from self._each(query, lambda row: [StreamSeen(row["id"], microseconds(row["last_seen_at"]))])

    def messages(self) -> Iterator[list[Record]]:
        """Each message with its sources and earlier versions, in the order in which they were first seen."""
        kinds = ", ".join(f"'{kind}'" for kind in _OF_DOCUMENTS)
        query = f"""SELECT m.*, s.kind IN ({kinds}) AS document
                    FROM messages m LEFT JOIN streams s ON s.id = m.stream_id
                    WHERE {_UNTOLD.format("m")} ORDER BY m.n"""
        yield from self._each(query, self._message)

    def assets(self) -> Iterator[list[Record]]:
        """Every asset, where it was to be had, and which messages mention it."""
        yield from self._each("SELECT * FROM assets ORDER BY rowid", asset_records)
        urls = """SELECT u.*, a.error FROM asset_urls u JOIN assets a ON a.id = u.asset_id ORDER BY u.rowid"""
        yield from self._each(urls, location_records)
        errors = "SELECT id AS asset_id, error, stream_id FROM assets WHERE error IS NOT NULL"
        yield from self._each(errors, lambda row: [AssetLocation(**dict(row), at=0, address=None)])
        mentions = """SELECT m.id AS message_id, m.conversation_id, a.asset_id, a.role
                      FROM message_assets a JOIN messages m ON m.n = a.message_n ORDER BY m.n, a.rowid"""
        yield from self._each(mentions, lambda row: [record_of(Mention, row)])

    def files(self) -> Iterator[sqlite3.Row]:
        """Every file that an asset has, with all that `AssetFile` and `Thumbnail` tell."""
        query = """SELECT f.*, a.asset_id, a.url, a.derived, a.downloaded_at, a.stream_id
                   FROM asset_files a JOIN files f ON f.sha256 = a.sha256 ORDER BY a.rowid"""
        yield from self._db.execute(query)

    def images(self) -> Iterator[list[Record]]:
        """What is known of images beyond what their messages say."""
        query = f"""SELECT g.*, s.source, s.started_at AS at FROM image_generations g
                    LEFT JOIN streams s ON s.id = g.stream_id WHERE {_UNTOLD.format("g")} ORDER BY g.id"""
        yield from self._each(query, image_records)

    def canvas_documents(self) -> Iterator[list[Record]]:
        """Every version of every canvas document."""
        query = f"""SELECT c.*, s.source FROM canvas_documents c LEFT JOIN streams s ON s.id = c.stream_id
                    WHERE {_UNTOLD.format("c")} ORDER BY c.rowid"""
        yield from self._each(query, canvas_records)

    def _message(self, row: sqlite3.Row) -> list[Record]:
        versions = "SELECT * FROM message_versions WHERE message_n = ? ORDER BY revision"
        earlier = self._db.execute(versions, (row["n"],))
        sources = self._db.execute("SELECT * FROM citations WHERE message_n = ? ORDER BY position", (row["n"],))
        message = self._with_prompt(message_of(row))
        return [message, *citations_of(row, sources), *(version_of(row, version) for version in earlier)]

    def _with_prompt(self, message: Message) -> Message:
        if not message.images:
            return message
        query = """SELECT prompt_message_id FROM image_generations
                   WHERE conversation_id IS ? AND message_id = ? AND prompt_message_id IS NOT NULL LIMIT 1"""
        found = self._db.execute(query, (message.conversation_id, message.id)).fetchone()
        return replace(message, prompt_message_id=found[0]) if found else message

    def _each(
        self, query: str, read: Callable[[sqlite3.Row], Sequence[Record]], *parameters: object
    ) -> Iterator[list[Record]]:
        for row in self._db.execute(query, parameters):
            try:
                yield list(read(row))
            except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
                self.unreadable += 1


def check_other(path: Path) -> None:
    """Raise `ArchiveError` for what is no archive that can be read."""
    try:
        _opened(path).close()
    except (sqlite3.Error, OSError) as error:
        raise ArchiveError(f"{path}: cannot be read: {error}") from None


def _opened(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise ArchiveError(f"{path}: there is no such file")
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=60, isolation_level=None)
    try:
        # Somebody else's views and triggers are not run.
        db.execute("PRAGMA trusted_schema = OFF")
        db.row_factory = sqlite3.Row
        db.text_factory = AnyText()
        if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise ArchiveError(f"{path}: is a database of another program")
        if (version := _version(db)) > VERSION:
            raise ArchiveError(f"{path}: was written by a newer version ({version}, this one knows {VERSION}); update")
    except BaseException:
        db.close()
        raise
    return db


def _renewed(older: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """A copy at `path`, brought to today's schema; what is not in it yet is NULL there, as after any update."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as copy:
        older.backup(copy)
        copy.row_factory = sqlite3.Row
        migrate(copy)
    return _opened(path)


def _version(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version

"""What a person asks to be deleted: old conversations whole, or only the raw bodies of old exchanges.

Nothing is ever deleted unasked. A conversation is old when nothing of it has been seen since; what other conversations
also refer to stays. What is deleted leaves the file's pages with `vacuum`.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from addon import archive
from addon.errors import ArchiveError
from addon.store.database import connect
from addon.store.rows import timestamp

WAIT_MILLISECONDS = 60_000
"""How long a lock of somebody else is waited for."""

# In this order: what refers to a row goes before it.
_OF_OLD_CONVERSATIONS = {
    "citations": "message_n IN (SELECT n FROM old_messages)",
    "message_versions": "message_n IN (SELECT n FROM old_messages)",
    "message_assets": "message_n IN (SELECT n FROM old_messages)",
    "image_generations": "conversation_id IN (SELECT id FROM old)",
    "canvas_documents": "conversation_id IN (SELECT id FROM old)",
    "messages": "n IN (SELECT n FROM old_messages)",
}

_ASSETS = """
    CREATE TEMP TABLE old_assets AS SELECT id FROM assets
    WHERE (conversation_id IS NULL OR conversation_id IN (SELECT id FROM old))
      AND id NOT IN (SELECT asset_id FROM message_assets)
      AND id NOT IN (SELECT asset_id FROM image_generations WHERE asset_id IS NOT NULL)
      AND coalesce((SELECT started_at FROM streams s WHERE s.id = assets.stream_id), '') < :cutoff"""

_OF_OLD_ASSETS = {
    "asset_files": "asset_id IN (SELECT id FROM old_assets)",
    "asset_urls": "asset_id IN (SELECT id FROM old_assets)",
    "assets": "id IN (SELECT id FROM old_assets)",
    "files": "sha256 NOT IN (SELECT sha256 FROM asset_files)",
}

_MADE_BY = ("messages", "message_versions", "image_generations", "canvas_documents")
"""Rows that stay keep the exchange that made them, as their evidence; of files it is enough that they are there."""

_FREE = " ".join(f"AND id NOT IN (SELECT stream_id FROM {name} WHERE stream_id IS NOT NULL)" for name in _MADE_BY)

_STREAMS = f"""
    CREATE TEMP TABLE old_streams AS SELECT id FROM streams
    WHERE started_at < :cutoff AND state <> 'streaming'
      AND (conversation_id IS NULL OR conversation_id IN (SELECT id FROM old))
      {_FREE}"""

_OF_OLD_STREAMS = {
    "events": "stream_id IN (SELECT id FROM old_streams)",
    "stream_bodies": "stream_id IN (SELECT id FROM old_streams)",
    "request_bodies": "stream_id IN (SELECT id FROM old_streams)",
    "streams": "id IN (SELECT id FROM old_streams)",
    # Streams that also tell of younger conversations stay, and with them the name of an old one that they carry.
    "conversations": "id IN (SELECT id FROM old) AND id NOT IN (SELECT conversation_id FROM streams"
    " WHERE conversation_id IS NOT NULL)",
}


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was deleted, or would be: rows by table, and files of the media folder."""

    rows: dict[str, int]
    files: int


def prune(database: Path, before: int, *, raw_only: bool = False, dry_run: bool = False) -> Pruned:
    """Delete what is older than `before` (microseconds since the epoch), in one transaction. Raises `ArchiveError`.

    With `raw_only` only raw bodies go, and all tables stay; what they say cannot be read again then. With `dry_run`
    nothing changes.
    """
    cutoff = {"cutoff": timestamp(before)}
    with _transaction(database, keep=not dry_run) as db:
        if raw_only:
            old = "stream_id IN (SELECT id FROM streams WHERE started_at < :cutoff AND state <> 'streaming')"
            rows = {table: _delete(db, table, old, cutoff) for table in ("stream_bodies", "request_bodies")}
            return Pruned(_some(rows), 0)
        rows, paths = _old_conversations(db, cutoff)
    media = archive.media_folder(database)
    return Pruned(_some(rows), len(paths) if dry_run else sum(_unlink(media, path) for path in paths))


def vacuum(database: Path) -> tuple[int, int]:
    """Give the space of deleted rows back to the disk; the bytes of the file before and after. Raises `ArchiveError`.

    Needs as much free space as the archive takes, and waits for whoever writes.
    """
    with contextlib.closing(_opened(database)) as db:
        before = _size(db)
        for index in ("messages_fts", "messages_fts_cjk"):
            db.execute(f"INSERT INTO {index} ({index}) VALUES ('optimize')")
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return before, _size(db)


def _old_conversations(db: sqlite3.Connection, cutoff: dict[str, str | None]) -> tuple[dict[str, int], list[str]]:
    # A conversation that is growing now was seen now.
    db.execute("CREATE TEMP TABLE old AS SELECT id FROM conversations WHERE last_seen_at < :cutoff", cutoff)
    db.execute(
        "CREATE TEMP TABLE old_messages AS SELECT n FROM messages WHERE conversation_id IN (SELECT id FROM old)"
        " OR (conversation_id IS NULL AND live = 0 AND last_seen_at < :cutoff)",
        cutoff,
    )
    rows = {table: _delete(db, table, which, {}) for table, which in _OF_OLD_CONVERSATIONS.items()}
    db.execute(_ASSETS, cutoff)
    gone = "SELECT path, thumbnail_path FROM files WHERE sha256 NOT IN (SELECT sha256 FROM asset_files"
    gone += " WHERE asset_id NOT IN (SELECT id FROM old_assets))"
    paths = [path for row in db.execute(gone) for path in row if path]
    rows |= {table: _delete(db, table, which, {}) for table, which in _OF_OLD_ASSETS.items()}
    db.execute(_STREAMS, cutoff)
    for table in ("assets", "asset_urls", "asset_files"):
        db.execute(f"UPDATE {table} SET stream_id = NULL WHERE stream_id IN (SELECT id FROM old_streams)")
    rows |= {table: _delete(db, table, which, {}) for table, which in _OF_OLD_STREAMS.items()}
    return rows, paths


def _delete(db: sqlite3.Connection, table: str, which: str, parameters: dict[str, str | None]) -> int:
    return db.execute(f"DELETE FROM {table} WHERE {which}", parameters).rowcount


def _some(rows: dict[str, int]) -> dict[str, int]:
    return {table: count for table, count in rows.items() if count}


def _size(db: sqlite3.Connection) -> int:
    pages, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return int(pages * size)


def _unlink(media: Path, path: str) -> bool:
    """Delete one file of the media folder; nothing that a damaged row might name outside of it."""
    if Path(path).is_absolute() or ".." in Path(path).parts:
        return False
    try:
        (media / path).unlink()
    except FileNotFoundError:
        return False
    return True


def _opened(database: Path) -> sqlite3.Connection:
    if not database.is_file():
        raise ArchiveError(f"{database}: is not there")
    archive.prepare(database)
    try:
        db = connect(database, durable=True)
        db.execute(f"PRAGMA busy_timeout = {WAIT_MILLISECONDS}")
    except sqlite3.Error as error:
        raise ArchiveError(f"{database}: {error}") from None
    return db


@contextlib.contextmanager
def _transaction(database: Path, *, keep: bool) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(_opened(database)) as db:
        db.row_factory = None
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT" if keep else "ROLLBACK")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

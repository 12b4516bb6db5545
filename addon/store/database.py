"""The archive's file as SQLite opens it, and what SQLite's errors mean for what was to be written."""

import sqlite3
import traceback
from pathlib import Path

from addon import archive
from addon.store.safekeeping import back_up, forget_backups

BUSY_TIMEOUT_MS = 100
"""SQLite's own wait for a lock; the caller retries for as long as it takes."""

# The errors that speak of the record, not of the file; all others may pass, and nothing may be lost to them. A damaged
# search index must not stop the capture: the row it refuses can be made again from the raw body.
_REFUSALS = frozenset({"CONSTRAINT", "TOOBIG", "MISMATCH", "RANGE", "ERROR"})
_DAMAGED_INDEX = "SQLITE_CORRUPT_VTAB"

PASSING = frozenset({"BUSY", "LOCKED", "PROTOCOL", "FULL", "IOERR", "NOMEM"})
"""The errors at opening that time may mend: somebody else's lock, a full disk."""


def connect(path: Path, durable: bool) -> sqlite3.Connection:
    """A connection to the archive, brought to the newest schema. Raises what SQLite raises, and `ArchiveError`."""
    db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000, cached_statements=256)
    try:
        db.row_factory = sqlite3.Row
        version = _version(db)
        if version < archive.VERSION:
            if version:
                back_up(db, path, version)
            migrate(db)
        else:
            archive.check_version(path, version)
            forget_backups(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        db.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        db.close()
        raise
    return db


def migrate(db: sqlite3.Connection) -> None:
    """Bring a database to the newest schema, in one transaction."""
    # Imported only where there is work: sqlite-utils costs more than half of the recorder's start.
    from sqlite_utils import Database  # noqa: PLC0415

    from addon.store import migrations  # noqa: PLC0415

    # Two proxies may start on one new file: the second waits here and finds everything done.
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute(f"PRAGMA application_id = {archive.APPLICATION_ID}")
        migrations.apply(Database(db))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _version(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version


def code(error: Exception) -> str:
    """The primary result code of SQLite, without its prefix; "" for errors that are Python's own."""
    return str(getattr(error, "sqlite_errorname", "")).removeprefix("SQLITE_").partition("_")[0]


def reason(error: Exception) -> str:
    """What went wrong and where, without a word of what was written."""
    name = getattr(error, "sqlite_errorname", None)
    if name is not None:
        return str(name)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"


def damages(error: Exception) -> bool:
    """Whether an error means that the file is no sound database any more."""
    return getattr(error, "sqlite_errorname", None) != _DAMAGED_INDEX and code(error) in ("CORRUPT", "NOTADB")


def identity(path: Path) -> tuple[int, int] | None:
    """Which file a path leads to, None when to none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def refuses(error: Exception) -> bool:
    """Whether an error speaks of the record that was written, or is a bug of ours; else it may pass."""
    name = getattr(error, "sqlite_errorname", None)
    return name is None or name == _DAMAGED_INDEX or code(error) in _REFUSALS

"""Which file, and which row of it: opening an archive for reading, and what a beginning of an id means."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from addon.archive import APPLICATION_ID, VERSION
from analysis.errors import Unanswerable

_HEADER = b"SQLite format 3\0"
_MOST_NAMED = 4


def open_archive(path: Path) -> sqlite3.Connection:
    """Open an archive for reading. Raises `Unanswerable` when it is not there or is not one that this version reads."""
    _check_file(path)
    alone = not path.with_name(path.name + "-wal").exists()
    uri = f"{path.absolute().as_uri()}?mode=ro"
    db: sqlite3.Connection = sqlite3.connect(uri, uri=True, timeout=5.0, factory=_Reading)
    if alone and isinstance(db, _Reading):
        db.alone = path.absolute()
    try:
        version = _version(db)
    except sqlite3.OperationalError as error:
        db.close()
        # In a folder that may not be written SQLite cannot make the companions of a live file; without any there is
        # nothing that only they hold.
        refused = error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
        log = path.with_name(path.name + "-wal")
        if not refused or (log.exists() and log.stat().st_size):
            raise
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        version = _version(db)
    if version != VERSION:
        db.close()
        raise Unanswerable(_other_version(path, version))
    db.row_factory = sqlite3.Row
    return db


@contextlib.contextmanager
def standing_still(db: sqlite3.Connection) -> Iterator[None]:
    """All that is read in this block is of one moment, whoever writes meanwhile."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")


def database_path(db: sqlite3.Connection) -> Path:
    """Where the archive lies, absolute."""
    return Path(next(row[2] for row in db.execute("PRAGMA database_list") if row[1] == "main"))


def address(db: sqlite3.Connection) -> str:
    """The URI of an open archive, for further connections of this process.

    The file itself must not be looked into again: closing that look would take away the locks that SQLite has on it.
    """
    immutable = "" if isinstance(db, _Reading) else "&immutable=1"
    return f"{database_path(db).as_uri()}?mode=ro{immutable}"


def look(db: sqlite3.Connection) -> None:
    """Read something. Raises `sqlite3.Error` where nothing can be read."""
    db.execute("SELECT 1 FROM messages LIMIT 1").fetchone()


def count_within(db: sqlite3.Connection, most: int) -> int:
    """How many messages there are; one more than `most` where they are more."""
    query = "SELECT count(*) FROM (SELECT 1 FROM messages LIMIT ?)"
    return int(db.execute(query, [most + 1]).fetchone()[0])


class _Reading(sqlite3.Connection):
    """A connection for reading that leaves nothing behind.

    SQLite makes the companions of an archive for who only reads, and lets them lie. Where there were none before, the
    archive is opened once more as by a writer: SQLite itself then takes them away, unless somebody else needs them.
    """

    alone: Path | None = None

    def close(self) -> None:
        """Close it."""
        super().close()
        if self.alone is not None and self.alone.with_name(self.alone.name + "-shm").exists():
            with (
                contextlib.suppress(sqlite3.Error),
                contextlib.closing(sqlite3.connect(f"{self.alone.as_uri()}?mode=rw", uri=True, timeout=0)) as db,
            ):
                db.execute("SELECT 1 FROM sqlite_schema").fetchone()


def identify(db: sqlite3.Connection, table: str, beginning: str, column: str = "id", **of: str) -> str:
    """The one id in `column` that begins so, among the rows with the values `of`. Raises `Unanswerable`.

    `table` and the names of columns are ours, never somebody's text.
    """
    among = "".join(f"{name} = ? AND " for name in of)
    query = f"""SELECT DISTINCT {column} FROM {table} WHERE {among}{column} >= ? AND {column} < ?
                ORDER BY {column} = ? DESC, {column} LIMIT {_MOST_NAMED + 1}"""
    found = [row[0] for row in db.execute(query, (*of.values(), beginning, beginning + "\U0010ffff", beginning))]
    what = table.replace("_", " ").removesuffix("s")
    if not beginning or not found:
        raise Unanswerable(f"no {what} has an id that begins with “{beginning}”")
    if len(found) > 1 and found[0] != beginning:
        more = ", …" if len(found) > _MOST_NAMED else ""
        raise Unanswerable(f"“{beginning}” begins more than one id: {', '.join(found[:_MOST_NAMED])}{more}")
    return str(found[0])


def check_archive(path: Path) -> None:
    """Raises `Unanswerable` for a file that is none that this version writes; older ones it brings up to date."""
    _check_file(path)
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as db:
        version = _version(db)
    if version < 0 or version > VERSION:
        raise Unanswerable(_other_version(path, version))


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        raise Unanswerable(f"{path}: there is no archive; name one with --db, or capture something first") from None
    except OSError as error:
        raise Unanswerable(f"{path}: {(error.strerror or str(error)).lower()}") from None
    if not header:
        raise Unanswerable(f"{path}: is empty, nothing has been captured into it")
    if not header.startswith(_HEADER) or len(header) < 100:
        raise Unanswerable(f"{path}: is not an SQLite database")
    # An archive that is being made has its name already in the write-ahead log only.
    if int.from_bytes(header[68:72]) not in (APPLICATION_ID, 0):
        raise Unanswerable(f"{path}: is a database of another program")


def _version(db: sqlite3.Connection) -> int:
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        return -1
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version


def _other_version(path: Path, version: int) -> str:
    if version < 0:
        return f"{path}: is a database of another program"
    if version > VERSION:
        return f"{path}: was written by a newer version ({version}, this one knows {VERSION}); update"
    return f"{path}: was written by an older version; `chatgpt-capture reparse`, or a capture, brings it up to date"

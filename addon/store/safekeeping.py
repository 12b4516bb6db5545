"""What is kept beside an archive: a copy from before a new version changed it, and an archive that was damaged.

Nothing here is ever deleted but our own copy, and that only when the new version has once run from start to end.
"""

import contextlib
import fcntl
import glob
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from addon.archive import inflight_folder

# The log before the database: a new database must not find the log of the old one.
_COMPANIONS = ("-wal", "-shm", "")


def back_up(db: sqlite3.Connection, database: Path, version: int) -> None:
    """Copy an archive as the version before left it, to `<name>.v<version>-backup`, mode 0600 from its first byte.

    Raises what SQLite raises; then there is no copy and nothing must be changed.
    """
    kept = database.with_name(f"{database.name}.v{version}-backup")
    partial = kept.with_name(f"{kept.name}.part")
    with _alone(inflight_folder(database)):
        for left in (partial, partial.with_name(partial.name + "-journal")):
            left.unlink(missing_ok=True)  # of one that was killed
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        try:
            db.execute("VACUUM INTO ?", (str(partial),))
            if _version_of(partial) == version:  # else somebody else has changed it meanwhile, and has the copy
                partial.replace(kept)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        partial.unlink(missing_ok=True)


def _version_of(database: Path) -> int:
    with database.open("rb") as file:
        return int.from_bytes(file.read(64)[60:])  # `PRAGMA user_version`, SQLite file format 1.3


def forget_backups(db: sqlite3.Connection, database: Path) -> list[Path]:
    """Delete the copies from before a version that has since run once from start to end; those deleted."""
    forgotten = []
    for backup in database.parent.glob(f"{glob.escape(database.name)}.v*-backup"):
        made_at = datetime.fromtimestamp(backup.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        query = "SELECT 1 FROM runs WHERE started_at > ? AND ended_at IS NOT NULL"
        if db.execute(query, (made_at,)).fetchone():
            backup.unlink()
            forgotten.append(backup)
    return forgotten


def set_aside(database: Path) -> Path | None:
    """Rename a damaged archive and its companions to `<name>.damaged-<time>`; None when there is none (any more).

    Two recorders may meet the same damage: the second finds a sound archive and leaves it alone.
    """
    with _alone(inflight_folder(database)):
        if _sound(database):
            return None
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        aside = database.with_name(f"{database.name}.damaged-{stamp}")
        for companion in _COMPANIONS:
            name = database.with_name(database.name + companion)
            with contextlib.suppress(FileNotFoundError):
                name.rename(aside.with_name(aside.name + companion))
        return aside


def _sound(database: Path) -> bool:
    if not database.exists():
        return True
    try:
        # Not `mode=ro`: the log may have to be recovered before anything can be read.
        with contextlib.closing(sqlite3.connect(database, timeout=10)) as db:
            return bool(db.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",))
    except sqlite3.OperationalError:
        return True  # locked, or the disk fails: no judgement
    except sqlite3.DatabaseError:
        return False


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

"""The files of an archive: their names, and that they are the person's alone from their first byte.

SQLite would create a database with mode 0644 and the journal's folder would follow the umask: everything here is
made 0600 and 0700 before anybody else opens it, and never through a symbolic link.
"""

import errno
import os
import stat
from pathlib import Path

from addon.errors import ArchiveError

APPLICATION_ID = 0x43475054
"""`PRAGMA application_id` of our databases: "CGPT"."""

VERSION = 5
"""`PRAGMA user_version`: the number of the newest migration."""


COMPANIONS = ("-wal", "-shm", "-journal")
"""What SQLite puts behind the database's name for files of its own."""


def inflight_folder(database: Path) -> Path:
    """Where the journal of captures in progress lies: beside the database, `<name>-inflight`."""
    return database.with_name(database.name + "-inflight")


def media_folder(database: Path) -> Path:
    """Where received files lie: beside the database, `<name>-media` (`media`)."""
    return database.with_name(database.name + "-media")


def prepare(database: Path) -> None:
    """Make the empty file and its folders where missing, private; refuse what is not an archive of ours.

    Raises `ArchiveError`. Reads the header only (SQLite file format 1.3), so it costs no connection. A file that is no
    database any more, beside a journal's folder, was one of ours: what becomes of it is for who opens it.
    """
    try:
        if not database.parent.is_dir():
            raise ArchiveError(f"{database}: the folder {database.parent} does not exist")
        descriptor = os.open(database, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
        try:
            _check(database, descriptor)
        finally:
            os.close(descriptor)
        for companion in COMPANIONS:
            _check_companion(database.with_name(database.name + companion))
        private_folder(inflight_folder(database))
        private_folder(media_folder(database))
    except OSError as error:
        # O_NOFOLLOW turns a link at the path itself down with ELOOP.
        reason = "is a symbolic link" if error.errno == errno.ELOOP else (error.strerror or str(error)).lower()
        raise ArchiveError(f"{error.filename or database}: cannot be written: {reason}") from None


def private_folder(folder: Path) -> None:
    """Make `folder` with mode 0700 where missing; `OSError` when it is there and not a folder of ours."""
    try:
        folder.mkdir(0o700)
    except FileExistsError:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise NotADirectoryError(None, "not a folder of this user", str(folder)) from None


def _check_companion(path: Path) -> None:
    """SQLite would follow a link at the name of its log, and write what was said wherever that leads."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        raise ArchiveError(f"{path}: is not a file of this user")


def _check(database: Path, descriptor: int) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise ArchiveError(f"{database}: is not a regular file")
    if status.st_uid != os.geteuid():
        raise ArchiveError(f"{database}: belongs to another user")
    header = os.pread(descriptor, 100, 0)
    if not header:
        return
    if not header.startswith(b"SQLite format 3\0") or len(header) < 100:
        if inflight_folder(database).is_dir():
            return
        raise ArchiveError(f"{database}: is not an SQLite database")
    if int.from_bytes(header[68:72]) != APPLICATION_ID:
        raise ArchiveError(f"{database}: is a database of another program; choose another file with chatgpt_db")
    check_version(database, int.from_bytes(header[60:64]))


def check_version(database: Path, version: int) -> None:
    """Refuse what a newer version wrote; the header alone may lag behind the write-ahead log."""
    if version > VERSION:
        raise ArchiveError(f"{database}: was written by a newer version ({version}, this one knows {VERSION}); update")

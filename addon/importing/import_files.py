"""What a person names to be imported -> the files in it, one after another: a file itself, a folder's, a zip's."""

import contextlib
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from addon.archive import COMPANIONS
from addon.importing.export_media import is_called_like_one
from addon.importing.pieces import plain
from addon.importing.zip_entries import Gap
from addon.importing.zip_files import is_zip, members


@dataclass(frozen=True, slots=True)
class ImportFile:
    """One file's content. `digest` is the SHA-256 of the file it came in, `place` its name in that, "" when it is it.

    `modified_at` in microseconds: the last resort where the content names no time.
    """

    name: str
    digest: str
    place: str
    size: int
    modified_at: int
    open: Callable[[], BinaryIO]
    named: bool = False  # by the person, so that it should be something

    @property
    def identity(self) -> str:
        """What tells its streams from those of other files."""
        return f"{self.digest}:{self.place}" if self.place else self.digest

    @property
    def plain(self) -> "ImportFile":
        """The same without what may be around its text."""
        return replace(self, open=lambda: plain(self.open))


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that is not read, and why; `lost` unless it is none that could have been."""

    name: str
    reason: str
    lost: bool = True


def files_in(path: Path, archive: Path) -> Iterator[ImportFile | Unreadable]:
    """The files behind a path: sorted, links to folders not followed, hidden files left out.

    Those that are called like assets come last: by then it is known which assets messages mention. Those of the archive
    that is written are never opened: closing them again would take SQLite's locks of them away ("How To Corrupt An
    SQLite Database File", 2.2).
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield Unreadable(str(path), _reason(error))
        return
    if not stat.S_ISDIR(mode):
        yield from _file(path, str(path), archive, named=True)
        return
    empty = True
    unreadable: list[OSError] = []
    media: list[Path] = []
    for folder, folders, names in os.walk(path, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if Path(folder, name).is_symlink():
                yield Unreadable(str(Path(folder, name)), "is a link to a folder: not followed", lost=False)
        for name in sorted(names):
            if is_called_like_one(name):
                media.append(Path(folder, name))
            elif not name.startswith("."):
                empty = False
                yield from _file(Path(folder, name), str(Path(folder, name)), archive, named=False)
    for file in media:
        yield from _file(file, str(file), archive, named=False)
    for failure in unreadable:
        yield Unreadable(str(failure.filename), _reason(failure))
    if empty and not media and not unreadable:
        yield Unreadable(str(path), "the folder holds no files")


def standard_input(archive: Path) -> Iterator[ImportFile | Unreadable]:
    """What comes in at standard input, whatever it is."""
    yield from _kept(sys.stdin.buffer, "standard input", archive)


def _kept(incoming: BinaryIO, name: str, archive: Path) -> Iterator[ImportFile | Unreadable]:
    """What can be read only once; it waits in a temporary file of mode 0600."""
    with tempfile.NamedTemporaryFile() as kept:
        shutil.copyfileobj(incoming, kept)
        kept.flush()
        yield from _file(Path(kept.name), name, archive, named=True)


def _file(path: Path, name: str, archive: Path, *, named: bool) -> Iterator[ImportFile | Unreadable]:
    try:
        found = path.stat()
        if named and stat.S_ISFIFO(found.st_mode):
            with _pipe(path) as pipe:
                yield from _kept(pipe, name, archive)
            return
        if not stat.S_ISREG(found.st_mode):
            yield Unreadable(name, "is no file: not read", lost=named)
            return
        if _is_of(archive, found):
            yield Unreadable(name, "is of the archive that is written: not read", lost=named)
            return
        with path.open("rb") as file:
            status, head = os.fstat(file.fileno()), file.read(4)
        modified_at = status.st_mtime_ns // 1000
        if is_zip(head):
            yield from _members(path, name, modified_at)
        else:
            digest = _digest(path)
            yield ImportFile(name, digest, "", status.st_size, modified_at, lambda: path.open("rb"), named)
    except OSError as error:
        yield Unreadable(name, _reason(error))


def _is_of(archive: Path, found: os.stat_result) -> bool:
    for name in (archive.name, *(archive.name + companion for companion in COMPANIONS)):
        with contextlib.suppress(OSError):
            if os.path.samestat(archive.with_name(name).stat(), found):
                return True
    return False


@contextlib.contextmanager
def _pipe(path: Path) -> Iterator[BinaryIO]:
    """A pipe, as of `<(command)`. One that nobody writes into is empty: opening it would wait for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(descriptor, True)
    with os.fdopen(descriptor, "rb") as pipe:
        yield pipe


def _members(path: Path, name: str, modified_at: int) -> Iterator[ImportFile | Unreadable]:
    digest, outside = _digest(path), list[str]()
    for member in members(path):
        if not isinstance(member, Gap) and _points_outside(member.name):
            outside.append(member.name)
        if isinstance(member, Gap):
            yield Unreadable(f"{name}/{member.name}" if member.name else name, member.reason)
        else:
            yield ImportFile(
                name=f"{name}/{member.name}",
                digest=digest,
                place=member.name,
                size=member.size,
                modified_at=member.modified_at or modified_at,
                open=member.open,
            )
    if outside:
        said = f"names in it that point out of it, taken for no paths: {len(outside):,}, first {outside[0]}"
        yield Unreadable(name, said, lost=False)


def _points_outside(name: str) -> bool:
    return name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reason(error: OSError) -> str:
    return f"cannot be read: {(error.strerror or str(error)).lower()}"

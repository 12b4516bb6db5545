"""What a person names to be imported -> the files in it, one after another: a file itself, a folder's, a zip's.

Nothing is unpacked to disk, and the names in a zip are never taken for paths. How much a zip may unpack to is checked
while it is read: what its directory says may be a lie.
"""

import hashlib
import io
import os
import shutil
import stat
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from addon.errors import ImportFailure

MAX_UNPACKED_BYTES = 64 * 1024**3
"""What all of a zip may unpack to."""

MAX_RATIO, RATIO_FROM_BYTES = 250, 64 * 1024**2
"""How many times its size in the zip a file may unpack to, once it is this large; honest text stays below 30."""

MAX_MEMBERS = 1_000_000


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


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that cannot be opened, and why."""

    name: str
    reason: str


def files_in(path: Path) -> Iterator[ImportFile | Unreadable]:
    """The files behind a path: sorted, links to folders not followed, hidden files left out."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield Unreadable(str(path), _reason(error))
        return
    if not stat.S_ISDIR(mode):
        yield from _file(path, str(path), named=True)
        return
    empty = True
    unreadable: list[OSError] = []
    for folder, folders, names in os.walk(path, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                empty = False
                yield from _file(Path(folder, name), str(Path(folder, name)), named=False)
    for failure in unreadable:
        yield Unreadable(str(failure.filename), _reason(failure))
    if empty and not unreadable:
        yield Unreadable(str(path), "the folder holds no files")


def standard_input() -> Iterator[ImportFile | Unreadable]:
    """What comes in at standard input, whatever it is; it waits in a temporary file of mode 0600."""
    with tempfile.NamedTemporaryFile() as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
        kept.flush()
        yield from _file(Path(kept.name), "standard input", named=True)


def _file(path: Path, name: str, *, named: bool) -> Iterator[ImportFile | Unreadable]:
    try:
        # A FIFO in a folder would wait for its writer.
        if not named and not path.is_file():
            return
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            zipped = zipfile.is_zipfile(file) and _begins_as_zip(file)
        modified_at = status.st_mtime_ns // 1000
        if zipped:
            yield from _members(path, name, modified_at)
        else:
            digest = _digest(path)
            yield ImportFile(name, digest, "", status.st_size, modified_at, lambda: path.open("rb"), named)
    except OSError as error:
        yield Unreadable(name, _reason(error))


def _begins_as_zip(file: BinaryIO) -> bool:
    # `is_zipfile` looks at the end only, where a picture may carry an archive.
    file.seek(0)
    return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def _members(path: Path, name: str, modified_at: int) -> Iterator[ImportFile | Unreadable]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        yield Unreadable(name, f"is a damaged zip file: {_line(error)}")
        return
    with archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) > MAX_MEMBERS:
            yield Unreadable(name, f"holds more than {MAX_MEMBERS} files")
            return
        if any(member.flag_bits & 1 for member in members):
            yield Unreadable(name, "is encrypted: unpack it with its password, then import the folder")
            return
        if not members:
            yield Unreadable(name, "the zip file holds no files")
        digest, budget = _digest(path), _Budget()
        for member in members:
            yield ImportFile(
                name=f"{name}/{member.filename}",
                digest=digest,
                place=member.filename,
                size=member.file_size,
                modified_at=_dated(member) or modified_at,
                open=lambda member=member: _opened(archive, member, budget),  # type: ignore[misc]
            )


@dataclass(slots=True)
class _Budget:
    """How much a zip has unpacked to so far."""

    unpacked: int = 0


class _Unpacking(io.RawIOBase):
    """A file in a zip, its limits checked as it is read."""

    def __init__(self, file: BinaryIO, packed: int, budget: _Budget) -> None:
        self._file = file
        self._packed = max(1, packed)
        self._budget = budget
        self._unpacked = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._file.read(size if size >= 0 else -1)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError) as error:
            raise ImportFailure(f"is damaged in the zip file: {_line(error)}") from None
        self._unpacked += len(data)
        self._budget.unpacked += len(data)
        if self._unpacked > RATIO_FROM_BYTES and self._unpacked > MAX_RATIO * self._packed:
            raise ImportFailure(f"unpacks to more than {MAX_RATIO} times its size: taken for a zip bomb")
        if self._budget.unpacked > MAX_UNPACKED_BYTES:
            raise ImportFailure(
                f"the zip file unpacks to more than {MAX_UNPACKED_BYTES >> 30} GiB: taken for a zip bomb"
            )
        return data

    def close(self) -> None:
        self._file.close()
        super().close()


def _opened(archive: zipfile.ZipFile, member: zipfile.ZipInfo, budget: _Budget) -> BinaryIO:
    try:
        file = archive.open(member)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise ImportFailure(f"cannot be read from the zip file: {_line(error)}") from None
    return _Unpacking(file, member.compress_size, budget)  # type: ignore[arg-type,return-value]


def _dated(member: zipfile.ZipInfo) -> int | None:
    """When a file in a zip was made, as far as the zip says: it knows no time zone, and nothing before 1980."""
    try:
        moment = datetime(*member.date_time, tzinfo=UTC)
    except ValueError:
        return None
    return round(moment.timestamp() * 1e6) if moment.year > 1980 else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reason(error: OSError) -> str:
    return f"cannot be read: {(error.strerror or str(error)).lower()}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__

"""The media folder: files received, each stored once under its digest, private from their first byte.

    <database>-media/incoming/     files that are being received; locked by who writes them
    <database>-media/<aa>/<sha256>.<extension>
    <database>-media/thumbnails/<aa>/<sha256 of the original>.webp

No name that was on the wire ever becomes part of a path. A file gets its name by `rename` when it is whole, after an
`fsync` of its bytes: so also after a power loss what lies under a digest has that digest. The folders themselves are
not synced; a file lost with them is one that no row names either, or that comes again with its journal.
"""

import contextlib
import fcntl
import os
import secrets
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from addon.archive import private_folder
from addon.files.file_types import HEAD_BYTES

TAIL_BYTES = 4096

_INCOMING = "incoming"
_THUMBNAILS = "thumbnails"
_ABANDONED_SECONDS = 60


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that lies in the media folder; `path` is relative to it."""

    sha256: str
    path: str
    size: int


class Incoming:
    """A file being received. Every method may raise `OSError`; after that it can only be discarded."""

    def __init__(self, folder: Path) -> None:
        self.size = 0
        self.head = bytearray()
        self.tail = b""
        self._folder = folder
        self._digest = sha256()
        private_folder(folder)
        private_folder(folder / _INCOMING)
        self._path = folder / _INCOMING / f"{os.getpid()}-{secrets.token_hex(8)}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._path, flags, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, piece: bytes) -> None:
        """Append a piece of any size."""
        view = memoryview(piece)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._digest.update(piece)
        self.size += len(piece)
        if len(self.head) < HEAD_BYTES:
            self.head += piece[: HEAD_BYTES - len(self.head)]
        self.tail = (self.tail + piece[-TAIL_BYTES:])[-TAIL_BYTES:]

    @property
    def digest(self) -> str:
        """The SHA-256 of what has been received."""
        return self._digest.hexdigest()

    def keep(self, extension: str) -> StoredFile:
        """Give the file its name; one that is there already holds the same bytes and is replaced."""
        digest = self.digest
        path = _place(self._folder, digest, extension)
        os.fsync(self._descriptor)
        self.move(path)
        return StoredFile(digest, path.relative_to(self._folder).as_posix(), self.size)

    def move(self, path: Path) -> None:
        """Give the file this name of ours."""
        self._path.rename(path)
        self._close()

    def discard(self) -> None:
        """Leave nothing behind; harmless when it has been kept or discarded."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._close()

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1


class MediaFolder:
    """Takes in files. `receive` may raise `OSError`: the folder is made when it is needed, and may have gone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._unstored = False

    def receive(self) -> Incoming:
        """Begin a file."""
        return Incoming(self.folder)

    def missed(self) -> None:
        """Note that a file could not be stored: its bytes must stay in the journal."""
        self._unstored = True

    def take_missed(self) -> bool:
        """Whether a file could not be stored since this was last asked."""
        missed, self._unstored = self._unstored, False
        return missed

    def sweep(self) -> None:
        """Remove what a recorder that was killed left half received: its journal is read again."""
        with contextlib.suppress(OSError):
            for path in (self.folder / _INCOMING).iterdir():
                with contextlib.suppress(OSError):
                    _sweep(path)


def thumbnail_path(folder: Path, digest: str) -> Path:
    """Where the thumbnail of a stored file lies, its folders made; may raise `OSError`."""
    private_folder(folder / _THUMBNAILS)
    return _place(folder / _THUMBNAILS, digest, "webp")


def _place(folder: Path, digest: str, extension: str) -> Path:
    # Folders of at most a few hundred files each, however many there are.
    private_folder(folder / digest[:2])
    return folder / digest[:2] / f"{digest}.{extension}"


def _sweep(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(descriptor)
        # An empty one may have been made just now, and not been locked yet.
        if status.st_size or time.time() - status.st_mtime > _ABANDONED_SECONDS:
            path.unlink()
    finally:
        os.close(descriptor)

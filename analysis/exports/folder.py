"""The folder that an export goes to. Files in it are private, and whole under their names or not there.

No name is followed through a symbolic link, neither the folder's nor one in it. A file is written under a name that
begins with a dot and gets its own by `rename` when it is whole and on the disk.
"""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Self

from analysis.errors import Unanswerable

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700


class ExportFolder:
    """An open folder, this process's alone until it is closed. Every method may raise `OSError`.

    Names are ours: of one part, not beginning with a dot.
    """

    def __init__(self, path: Path) -> None:
        """Open a folder, made where it is missing. Raises `Unanswerable` while another export has it.

        So it does where the folder around it is missing.
        """
        self.path = path
        try:
            path.mkdir(_PRIVATE_FOLDER)
        except FileExistsError:
            pass
        except FileNotFoundError:
            raise Unanswerable(f"{path}: the folder {path.parent} does not exist") from None
        self._descriptor = os.open(path, _FOLDER)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise Unanswerable(f"{path}: another export is writing there") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def subfolder(self, name: str) -> "ExportFolder":
        """A folder in this one, made where it is missing; it is closed apart."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, _PRIVATE_FOLDER, dir_fd=self._descriptor)
        inner = ExportFolder.__new__(ExportFolder)
        inner.path = self.path / name
        inner._descriptor = os.open(name, _FOLDER, dir_fd=self._descriptor)
        return inner

    def size(self, name: str) -> int | None:
        """The size of a file, None when there is none of this name."""
        try:
            status = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def refuse_foreign(self, name: str) -> None:
        """Raises `Unanswerable` where a file has this name: whoever asks has not written it."""
        if self.size(name) is not None:
            advice = "name another folder, or remove the file"
            raise Unanswerable(f"{self.path / name}: was not written by an export; {advice}")

    def holds(self, name: str, pieces: Iterable[bytes]) -> bool:
        """Whether a file is there and has just these bytes."""
        if self.size(name) is None:
            return False
        with self.growing(name) as file:
            return all(file.read(len(piece)) == piece for piece in pieces) and not file.read(1)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A file that has this name when the block ends well; else nothing of it is left."""
        hidden = f".{name}.part"
        self.remove(hidden)
        try:
            with self._opened(hidden, os.O_WRONLY | os.O_EXCL) as file:
                yield file
                self._settle(file)
            self.rename(hidden, name)
        except BaseException:
            self.remove(hidden)
            raise

    def growing(self, name: str) -> BinaryIO:
        """A file that stays as far as it is written: to read and to append, from its beginning."""
        return self._opened(name, os.O_RDWR)

    def finish(self, file: BinaryIO, hidden: str, name: str) -> None:
        """Give a file that has grown to its end its name."""
        self._settle(file)
        self.rename(hidden, name)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name; what had that name is gone, and not followed if it was a link."""
        os.rename(old, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def remove(self, name: str) -> None:
        """Remove a file or a link, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def _opened(self, name: str, flags: int) -> BinaryIO:
        flags |= os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(name, flags, _PRIVATE_FILE, dir_fd=self._descriptor)
        except OSError as error:
            # Nobody knows the name that a file has until it is whole.
            error.filename = str(self.path / name.removeprefix(".").removesuffix(".part").removesuffix(".trail"))
            raise
        try:
            os.fchmod(descriptor, _PRIVATE_FILE)
            return os.fdopen(descriptor, "r+b" if flags & os.O_RDWR else "wb")
        except BaseException:
            os.close(descriptor)
            raise

    def _settle(self, file: BinaryIO) -> None:
        file.flush()
        os.fsync(file.fileno())

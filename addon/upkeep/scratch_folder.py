"""A private folder beside the archive for what is thrown away: empty, of one process, gone however it is left."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from addon import archive
from addon.errors import ArchiveError


@contextlib.contextmanager
def scratch_folder(database: Path, ending: str, taken: str) -> Iterator[Path]:
    """A folder named like the archive and `ending`; raises `ArchiveError` with `taken` while another process has it.

    What a process left that was killed goes at the next run.
    """
    folder = database.with_name(database.name + ending)
    descriptor = _locked(folder)
    if descriptor is None:
        raise ArchiveError(f"{database}: {taken}")
    try:
        for left in folder.iterdir():
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        yield folder
    finally:
        shutil.rmtree(folder)
        os.close(descriptor)


def _locked(folder: Path) -> int | None:
    """The folder, made where it is missing, with its lock; None when somebody else has that."""
    while True:
        archive.private_folder(folder)
        with contextlib.ExitStack() as unless_locked, contextlib.suppress(FileNotFoundError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            unless_locked.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            # Else whoever had it has removed it meanwhile.
            if os.path.samestat(os.fstat(descriptor), folder.stat()):
                unless_locked.pop_all()
                return descriptor

"""The journal on the disk itself, for who fears a power loss: `chatgpt_journal_sync=yes`.

Runs in the recorder's process and opens the segments anew, so that nothing in the proxy ever waits for a disk.
"""

import contextlib
import os
import threading
import time
from pathlib import Path

from addon.segments import segments

SYNC_SECONDS = 0.1
"""How long what was received may be in the kernel's memory alone, beside the time that the disk itself takes."""


class JournalSync(threading.Thread):
    """Flushes what has grown in a journal's folder, for as long as the recorder runs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(name="journal sync", daemon=True)
        self._folder = folder
        self._sizes: dict[Path, int] = {}

    def run(self) -> None:
        """Again and again; a disk that fails is met by the next round."""
        while True:
            with contextlib.suppress(OSError):
                self.sync()
            time.sleep(SYNC_SECONDS)

    def sync(self) -> int:
        """Flush each segment that has grown since the last time, and the folder when one is new; how many."""
        grown = {path: size for path in segments(self._folder) if self._sizes.get(path) != (size := _size(path))}
        for path in grown:
            with contextlib.suppress(FileNotFoundError):  # stored and removed meanwhile
                _flush(path, os.O_NOFOLLOW)
        if grown.keys() - self._sizes.keys():
            _flush(self._folder, os.O_DIRECTORY)
        self._sizes = {path: size for path, size in (self._sizes | grown).items() if path.exists()}
        return len(grown)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _flush(path: Path, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Has thumbnails made of the images that want one: a batch at a time, in a process beside the recorder."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from addon.records import Thumbnail
from addon.wire.payload import loads, mapping, string

BATCH = 16
SECONDS = 60.0
"""How long a batch may take before its process is ended; each image has its own limit of processor time."""

_PAUSE_SECONDS = 0.01
_ROOT = Path(__file__).resolve().parents[2]

type Due = Callable[[int], Sequence[tuple[str, str]]]


class Thumbnailer:
    """Asks `due` for images (digest, path), and says what became of them; a failure is a record like any other.

    What is due is known to the archive alone: a recorder that is killed loses nothing, the next one asks again.
    """

    def __init__(self, folder: Path, due: Due) -> None:
        self._folder = folder
        self._due = due
        self._asking = True
        self._process: subprocess.Popen[bytes] | None = None
        self._batch: Sequence[tuple[str, str]] = ()
        self._deadline = 0.0

    @property
    def working(self) -> bool:
        """Whether `step` has something to do soon."""
        return self._asking or self._process is not None

    def wake(self) -> None:
        """Say that there may be new images."""
        self._asking = True

    def step(self) -> list[Thumbnail]:
        """Begin a batch, or see whether the one begun is made; never waits."""
        if self._process is None:
            self._begin()
            return []
        if self._process.poll() is None:
            if time.monotonic() < self._deadline:
                return []
            self._process.kill()
        return self._finish(self._process)

    def last(self, seconds: float) -> Iterator[list[Thumbnail]]:
        """Steps until all are made or the time has passed: for the end, when nobody waits for anything else."""
        until = time.monotonic() + seconds
        while self.working and time.monotonic() < until:
            yield self.step()
            time.sleep(_PAUSE_SECONDS)

    def _begin(self) -> None:
        self._batch = self._due(BATCH) if self._asking else ()
        self._asking = bool(self._batch)
        if not self._batch:
            return
        command = [sys.executable, "-P", "-m", "addon.files.thumbnail", str(self._folder)]
        with contextlib.suppress(OSError):  # no process to be had now: asked again
            self._process = subprocess.Popen(
                [*command, *(path for _, path in self._batch)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(_ROOT)},
            )
            self._deadline = time.monotonic() + SECONDS

    def _finish(self, process: "subprocess.Popen[bytes]") -> list[Thumbnail]:
        output, _ = process.communicate()
        self._process = None
        lines = output.splitlines()
        made = [_read(digest, line) for (digest, _), line in zip(self._batch, lines, strict=False)]
        if len(made) < len(self._batch):
            # It ended at the first image of which it said nothing; the ones after that are still due.
            made.append(Thumbnail(self._batch[len(made)][0], None, "the decoder crashed or took too long"))
        return made


def _read(digest: str, line: bytes) -> Thumbnail:
    try:
        said = mapping(loads(line))
    except ValueError:
        said = {}
    path = string(said.get("thumbnail"))
    return Thumbnail(digest, path, None if path else string(said.get("error")) or "no answer")

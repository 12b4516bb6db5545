"""How far something is: a bar on a terminal, nothing where nobody looks."""

import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, cast

from analysis.import_report import printable

if TYPE_CHECKING:
    from addon.importing.import_files import ImportFile

_WORTH_BYTES = 8 * 1024 * 1024
"""Smaller files are done before a bar can be read."""


class _Watched(io.RawIOBase):
    """A file that says how much of it has been read."""

    def __init__(self, file: BinaryIO, said: Callable[[int], None]) -> None:
        self._file = file
        self._said = said
        self._passed = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._passed += len(data)
        self._said(self._passed)
        return data

    def close(self) -> None:
        self._file.close()
        super().close()


@contextlib.contextmanager
def watched(file: "ImportFile") -> "Iterator[ImportFile]":
    """The same file, with a bar on standard error while it is read."""
    if file.size < _WORTH_BYTES or not sys.stderr.isatty():
        yield file
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        # The name is somebody's text, not markup.
        task = progress.add_task(escape(printable(file.name.rpartition("/")[2])), total=file.size)

        def opened() -> BinaryIO:
            watch = _Watched(file.open(), lambda passed: progress.update(task, completed=passed))
            return cast(BinaryIO, watch)

        yield replace(file, open=opened)


@contextlib.contextmanager
def counting(doing: str) -> "Iterator[Callable[[int, int], None]]":
    """What takes how many are done of how many, with a bar on standard error."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(doing, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)

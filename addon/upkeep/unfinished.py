"""Which conversations a merge has begun to take over and not finished: a file beside the archive, until it has.

A merge that was stopped has left some of them half told. The next one tells them whole, whichever archive it is of.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from addon.wire.payload import array, dumps, loads


class Unfinished:
    """The names in the file; what is noted is on the disk before it returns."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + "-unmerged")
        self.conversations = set(self._read())

    def note(self, conversations: Iterable[str]) -> None:
        """Add to them."""
        self._keep(self.conversations.union(conversations))

    def finish(self, conversations: Iterable[str]) -> None:
        """Take away from them; the file goes with the last."""
        self._keep(self.conversations.difference(conversations))

    def _read(self) -> list[str]:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return []
        with os.fdopen(descriptor, "rb") as file:
            return [name for name in array(loads(file.read())) if isinstance(name, str)]

    def _keep(self, conversations: set[str]) -> None:
        if conversations == self.conversations:
            return
        self.conversations = conversations
        if not conversations:
            self._path.unlink(missing_ok=True)
            return
        beside = self._path.with_name(self._path.name + ".new")
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(dumps(sorted(conversations)).encode())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)

"""Files of the archive's media folder, as exports take them along: copied once, read back whole, or known to be absent.

A row says where a file lies; only a path as the archive makes them is believed, and no link is followed.
"""

import os
import re
import shutil
from pathlib import Path
from typing import BinaryIO

from addon.archive import media_folder
from analysis.exports.folder import ExportFolder
from analysis.queries.threads import Mention

_STORED = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64}\.[a-z0-9]{1,8})|thumbnails/[0-9a-f]{2}/([0-9a-f]{64}\.webp)")


class StoredFiles:
    """The media folder of an archive."""

    def __init__(self, database: Path) -> None:
        self._folder = media_folder(database)

    def open(self, path: str | None) -> BinaryIO | None:
        """A stored file; None when it is not there."""
        if path is None or not _STORED.fullmatch(path):
            return None
        try:
            return os.fdopen(os.open(self._folder / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
        except OSError:
            return None


class Copies:
    """Copies of stored files in an export's folder."""

    def __init__(self, stored: StoredFiles, folder: ExportFolder) -> None:
        self._stored = stored
        self._folder = folder

    def take(self, asset: Mention, stem: str | None = None) -> str | None:
        """The name of an asset's copy, None when its bytes are not stored; `stem` where its digest is not wanted."""
        source = self._stored.open(asset.path)
        if source is None:
            return None
        with source:
            digest, _, extension = Path(asset.path or "").name.partition(".")
            name = f"{stem or digest}.{extension}"
            if self._folder.size(name) != os.fstat(source.fileno()).st_size:
                with self._folder.writing(name) as copy:
                    shutil.copyfileobj(source, copy)
            return name

"""The forms that an archive can be exported in: what each writes, and how it is put into a folder or a pipe."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from analysis.exports.folder import ExportFolder
from analysis.exports.markdown import FOLDER, MarkdownExport
from analysis.exports.media import Copies, StoredFiles
from analysis.exports.official import SHAPE as OFFICIAL
from analysis.exports.official import OfficialExport
from analysis.exports.runs import Each, Outcome, Progress, write_each, write_joined, write_out
from analysis.exports.talks import Talk

PIPED = ("json",)
"""What can go to standard output."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be exported: these conversations of the archive at `database`, in one of the forms."""

    form: str
    db: sqlite3.Connection
    database: Path
    talks: Sequence[Talk]
    branches: bool = False
    tools: bool = False

    def into(self, folder: ExportFolder, done: Progress) -> Outcome:
        """Write into a folder."""
        archive = (self.db, self.talks)
        stored = StoredFiles(self.database)
        if self.form == "json":
            official = OfficialExport(Copies(stored, folder))
            return write_joined(folder, OFFICIAL, official.conversation, archive, done)
        with folder.subfolder(FOLDER) as beside:
            markdown = MarkdownExport(Copies(stored, beside), branches=self.branches, tools=self.tools)
            return write_each(folder, Each("md", self._manner), markdown.conversation, archive, done)

    def out(self, pipe: BinaryIO) -> None:
        """Write to a pipe, without files."""
        write_out(pipe, OFFICIAL, OfficialExport(None).conversation, (self.db, self.talks))

    @property
    def _manner(self) -> str:
        return f"branches={self.branches} tools={self.tools}"

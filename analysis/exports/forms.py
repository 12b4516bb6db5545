"""The forms that an archive can be exported in: what each writes, and how it is put into a folder or a pipe."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from analysis.exports.chat import ChatExport
from analysis.exports.folder import ExportFolder
from analysis.exports.markdown import FOLDER, MarkdownExport
from analysis.exports.media import Copies, StoredFiles
from analysis.exports.official import SHAPE as OFFICIAL
from analysis.exports.official import OfficialExport
from analysis.exports.page import PageExport
from analysis.exports.runs import Each, Outcome, Progress, write_each, write_joined, write_out
from analysis.exports.tables import write_tables
from analysis.exports.talks import Talk
from analysis.queries.tables import TABLES

PIPED = ("json", "jsonl")
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
    single: bool = False

    def into(self, folder: ExportFolder, done: Progress) -> Outcome:
        """Write into a folder."""
        archive, stored = (self.db, self.talks), StoredFiles(self.database)
        match self.form:
            case "json":
                official = OfficialExport(Copies(stored, folder))
                return write_joined(folder, OFFICIAL, official.conversation, archive, done)
            case "jsonl":
                return write_joined(folder, self._chat.shape, self._chat.conversation, archive, done)
            case "html":
                return self._pages(stored, folder, done)
            case "parquet":
                return write_tables(folder, self.db, done)
        with folder.subfolder(FOLDER) as beside:
            markdown = MarkdownExport(Copies(stored, beside), branches=self.branches, tools=self.tools)
            return write_each(folder, Each("md", self._manner), markdown.conversation, archive, done)

    def out(self, pipe: BinaryIO) -> None:
        """Write to a pipe, without files."""
        if self.form == "json":
            write_out(pipe, OFFICIAL, OfficialExport(None).conversation, (self.db, self.talks))
        else:
            write_out(pipe, self._chat.shape, self._chat.conversation, (self.db, self.talks))

    def _pages(self, stored: StoredFiles, folder: ExportFolder, done: Progress) -> Outcome:
        archive = (self.db, self.talks)
        pages = PageExport(stored, branches=self.branches, tools=self.tools, small=self.single)
        if self.single:
            return write_joined(folder, pages.joined(self.talks), pages.conversation, archive, done)
        return write_each(folder, Each("html", self._manner), pages.page, archive, done)

    @property
    def steps(self) -> int:
        """How often `done` is heard."""
        return len(TABLES) if self.form == "parquet" else len(self.talks)

    @property
    def _chat(self) -> ChatExport:
        return ChatExport(branches=self.branches, tools=self.tools)

    @property
    def _manner(self) -> str:
        return f"branches={self.branches} tools={self.tools}"

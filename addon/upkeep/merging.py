"""Archives joined into one: what another one holds is told to it as observations, its files are copied.

Conversations that both know are then read again from the raw bodies of both, so that the result is that of having
captured both into one. Merging again changes nothing but what has been captured since; stopped anywhere, it is gone on
with by merging again.
"""

import os
import re
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from addon.archive import media_folder
from addon.errors import ArchiveError
from addon.files.file_types import file_type
from addon.files.media import Incoming, thumbnail_path
from addon.records import AssetFile, ImageRow, Record, StreamBody, StreamRepeats, StreamSeen, Thumbnail
from addon.store.archive_writer import ArchiveWriter
from addon.store.rows import microseconds
from addon.upkeep.other_archive import OtherArchive, check_other
from addon.upkeep.overlap import Overlap
from addon.upkeep.reparse import remake
from addon.upkeep.scratch_folder import scratch_folder
from addon.upkeep.unfinished import Unfinished
from addon.wire.payload import integer

MAX_FILE_BYTES = 1024**3
"""A file that is larger was not captured by an archive of ours."""

_MAX_THUMBNAIL_BYTES = 1024**2
_BODIES_BYTES = 32 * 1024**2
_CHUNK_BYTES = 1024 * 1024
_STORED = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64})\.[a-z0-9]{1,8}")
_THUMBNAIL = re.compile(r"thumbnails/[0-9a-f]{2}/[0-9a-f]{64}\.webp")


@dataclass(slots=True)
class Merged:
    """What merging an archive came to: what it holds, and what of it could not be taken over.

    `again` is how many conversations that both know were read again; those `busy` are being captured, and the next
    merge reads them again.
    """

    name: str
    conversations: int = 0
    messages: int = 0
    files: int = 0
    copied: int = 0
    missing_files: int = 0
    unreadable: int = 0
    undecodable: bool = False
    again: int = 0
    busy: Collection[str] = frozenset()
    refused: str | None = None


class Merging:
    """Merges archives into the one of a writer; `progress` hears how many of how many rows are done."""

    def __init__(self, database: Path, writer: ArchiveWriter, progress: Callable[[int, int], None]) -> None:
        self._database = database
        self._folder = media_folder(database)
        self._writer = writer
        self._progress = progress
        self._done = self._total = self._waiting_bytes = 0

    def merge(self, path: Path) -> Merged:
        """Take over all that an archive holds. Raises `ArchiveError` when it is none that can be read."""
        if self._database.exists() and path.exists() and self._database.samefile(path):
            raise ArchiveError(f"{path}: is the archive that is merged into")
        check_other(path)
        self._writer.open()
        merged = Merged(str(path))
        try:
            with scratch_folder(self._database, "-merge", "is being merged into already") as folder:
                self._merge(path, folder, merged)
        except (sqlite3.Error, OSError) as error:
            raise ArchiveError(f"{path}: cannot be merged: {error}") from None
        merged.refused = self._writer.refused()
        return merged

    def _merge(self, path: Path, folder: Path, merged: Merged) -> None:
        unfinished = Unfinished(self._database)
        with OtherArchive(path, folder) as other:
            merged.conversations, merged.messages = other.count("conversations"), other.count("messages")
            overlap = other.overlap(self._database, unfinished.conversations)
            unfinished.note(name for name in other.names() if name not in overlap.told)
            self._done, self._total = 0, merged.conversations + other.count("streams") + other.untold_messages()
            for records in self._records(other, overlap, merged):
                self._writer.add([_told_by(record, overlap.same) for record in records] if overlap.same else records)
            self._writer.flush()
            if overlap.fresh:
                remade = remake(self._database, overlap.fresh, self._progress)
                merged.again, merged.busy = len(remade.conversations), remade.busy
            unfinished.finish(name for name in other.names() if name not in merged.busy)
            merged.unreadable, merged.undecodable = other.unreadable, other.undecodable

    def _records(self, other: OtherArchive, overlap: Overlap, merged: Merged) -> Iterator[Sequence[Record]]:
        """Everything, each after what it refers to."""
        yield from other.runs()
        yield from self._counted(other.conversations())
        yield from self._streams(other, overlap)
        yield from other.seen_again()
        yield from self._counted(other.messages())
        yield from other.canvas_documents()
        yield from other.assets()
        yield from self._files(other, merged)
        yield from other.images()

    def _counted(self, batches: Iterator[list[Record]]) -> Iterator[list[Record]]:
        for records in batches:
            yield records
            self._step()

    def _step(self) -> None:
        self._done += 1
        if self._done % 100 == 0 or self._done == self._total:
            self._progress(self._done, self._total)

    def _streams(self, other: OtherArchive, overlap: Overlap) -> Iterator[Sequence[Record]]:
        """Exchanges that are not here as far as they went there, with their evidence."""
        for stream in other.streams():
            if stream.id in overlap.same:
                yield [StreamSeen(overlap.same[stream.id], stream.started_at)]
            elif not self._writer.has_stream(stream, body=other.has_evidence(stream)):
                told = [stream, *(record for records in other.evidence(stream) for record in records)]
                if stream.id in overlap.later:
                    told.append(StreamRepeats(overlap.later[stream.id], stream.id))
                yield told
                self._weigh(told)
            self._step()

    def _weigh(self, records: Sequence[Record]) -> None:
        """Write before raw bodies fill the memory."""
        bodies = (record.body for record in records if isinstance(record, StreamBody))
        self._waiting_bytes += sum(len(body) for body in bodies if isinstance(body, bytes))
        if self._waiting_bytes > _BODIES_BYTES:
            self._writer.flush()
            self._waiting_bytes = 0

    def _files(self, other: OtherArchive, merged: Merged) -> Iterator[Sequence[Record]]:
        """Files whose bytes are there, are what their name says, and lie here now."""
        folder = media_folder(other.path)
        for row in other.files():
            merged.files += 1
            path, size = self._copied(folder, row["path"], row["sha256"], merged)
            if path is None:
                merged.missing_files += 1
                continue
            yield [
                AssetFile(
                    asset_id=row["asset_id"],
                    address=row["url"],
                    stream_id=row["stream_id"],
                    at=microseconds(row["downloaded_at"]),
                    sha256=row["sha256"],
                    path=path,
                    mime_type=row["mime_type"],
                    size_bytes=size,
                    width=integer(row["width"]),
                    height=integer(row["height"]),
                    derived=bool(row["derived"]),
                )
            ]
            yield self._thumbnail(folder, row["thumbnail_path"], row["sha256"])

    def _copied(self, folder: Path, path: object, digest: str, merged: Merged) -> tuple[str | None, int]:
        """Where a file lies here, and its size; None when it is not there or not what its digest says."""
        found = _STORED.fullmatch(path) if isinstance(path, str) else None
        if found is None or found[1] != digest:
            return None, 0
        name = found[0]
        if (here := _size(self._folder / name)) is not None:
            return name, here
        incoming = _received(self._folder, folder / name, MAX_FILE_BYTES)
        if incoming is None:
            return None, 0
        try:
            if incoming.digest != digest:
                return None, 0
            stored = incoming.keep(file_type(bytes(incoming.head)).extension)
        finally:
            incoming.discard()
        merged.copied += 1
        return stored.path, stored.size

    def _thumbnail(self, folder: Path, path: object, digest: str) -> list[Record]:
        """The small picture of an image, if it is one; else the next capture makes it."""
        if not isinstance(path, str) or not _THUMBNAIL.fullmatch(path):
            return []
        incoming = _received(self._folder, folder / path, _MAX_THUMBNAIL_BYTES)
        if incoming is None:
            return []
        try:
            if file_type(bytes(incoming.head)).mime_type != "image/webp":
                return []
            place = thumbnail_path(self._folder, digest)
            incoming.move(place)
        finally:
            incoming.discard()
        return [Thumbnail(digest, place.relative_to(self._folder).as_posix())]


def _told_by(record: Record, same: dict[str, str]) -> Record:
    """The record, of an exchange that is here."""
    if isinstance(record, ImageRow):
        name = record.values["stream_id"]
        return ImageRow({**record.values, "stream_id": same[name]}) if name in same else record
    told: Any = record
    name = getattr(told, "stream_id", None)
    return replace(told, stream_id=same[name]) if name in same else record


def _size(path: Path) -> int | None:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return None


def _received(folder: Path, source: Path, most: int) -> Incoming | None:
    """A copy of a file on its way into the media folder; None when the file is not there or is too large."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        incoming = Incoming(folder)
        try:
            while piece := file.read(_CHUNK_BYTES):
                incoming.write(piece)
                if incoming.size > most:
                    incoming.discard()
                    return None
        except BaseException:
            incoming.discard()
            raise
    return incoming

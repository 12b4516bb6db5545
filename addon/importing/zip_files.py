"""A zip -> the files in it: as its directory lists them, or, where that is damaged or cut off, as far as they go.

Nothing is unpacked to disk, and the names in a zip are never taken for paths. How much a zip may unpack to is checked
while it is read: what its directory says may be a lie.
"""

import struct
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from addon.errors import ImportFailure
from addon.importing.export_media import is_called_like_one
from addon.importing.pieces import DEFLATE, Budget, Ratio, blocks_of, checked, file_of, inflated, within
from addon.importing.zip_entries import Entry, Gap, entries, entry_at

MAX_MEMBERS = 250_000
MAX_DIRECTORY_BYTES = 64 * 1024 * 1024
"""How much of a zip's directory is taken into memory."""

_END, _LARGE_END, _LARGE_END_AT = struct.Struct("<4s4H2IH"), struct.Struct("<4sQ2H2I4Q"), struct.Struct("<4sIQI")
_LONGEST_COMMENT = 65535
_PIECE_BYTES = 256 * 1024
_UNREADABLE = (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, OSError, struct.error)
_ENCRYPTED = "is encrypted: unpack it with its password, then import the folder"


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a zip: what it is called there, and how it is read."""

    name: str
    size: int
    modified_at: int | None
    open: Callable[[], BinaryIO]


def is_zip(head: bytes) -> bool:
    """Whether a file that begins like this is a zip, or what is left of one."""
    # `zipfile.is_zipfile` looks at the end, where a picture may carry an archive and a cut zip has nothing.
    return head.startswith(b"PK") and (len(head) == 2 or head[2] < 8)


def members(path: Path) -> Iterator[Member | Gap]:
    """The files in a zip in their order, those called like assets last (`files_in`), and what of it cannot be read."""
    budget, names = Budget(), set[str]()
    try:
        if _directory_bytes(path) > MAX_DIRECTORY_BYTES:
            yield Gap(f"holds more than {MAX_MEMBERS} files")
            return
        archive = zipfile.ZipFile(path)
    except _UNREADABLE:
        pass
    else:
        with archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            listed = _listed(path, infos)
            if listed is not None:
                pairs = sorted(zip(infos, listed, strict=True), key=lambda pair: is_called_like_one(pair[1].name))
                yield from _as_listed(path, archive, pairs, budget)
                return
        names = {info.filename for info in infos}
    yield from _as_found(path, names, budget)


def _listed(path: Path, infos: Sequence[zipfile.ZipInfo]) -> list[Entry] | None:
    """What the directory says; None where one of its files does not begin where it says so."""
    listed = []
    with path.open("rb") as file:
        for info in infos:
            entry = entry_at(file, info.header_offset) if info.header_offset >= 0 else None
            if entry is None:
                return None
            known = {"size": info.file_size, "packed": info.compress_size, "checksum": info.CRC}
            listed.append(replace(entry, name=info.filename, method=info.compress_type, flags=info.flag_bits, **known))
    return listed


def _as_listed(
    path: Path, archive: zipfile.ZipFile, listed: Sequence[tuple[zipfile.ZipInfo, Entry]], budget: Budget
) -> Iterator[Member | Gap]:
    refusal = _refusal(path, [entry for _, entry in listed])
    if refusal:
        yield Gap(refusal)
        return
    locked = sum(entry.is_encrypted for _, entry in listed)
    if locked:
        yield Gap(_ENCRYPTED if locked == len(listed) else f"{locked} of its {len(listed)} files are encrypted")
    for info, entry in listed:
        if budget.refusal:
            yield Gap(budget.refusal)
            return
        if not entry.is_encrypted:
            read = _pieces if entry.is_simple else partial(_by_zipfile, archive, info)
            yield _member(entry, partial(read, path, entry, budget))


def _refusal(path: Path, listed: Sequence[Entry]) -> str | None:
    """Why nothing in a zip is read."""
    if not listed:
        return "the zip file holds no files"
    if len(listed) > MAX_MEMBERS:
        return f"holds more than {MAX_MEMBERS} files"
    if sum(entry.packed for entry in listed) > path.stat().st_size:
        return "is taken for a zip bomb: its files lie upon one another"
    return None


def _as_found(path: Path, names: set[str], budget: Budget) -> Iterator[Member | Gap]:
    """The files that are there, whatever the directory says; `names` are those that it has, if it can be read."""
    found, media = False, list[Member]()
    with path.open("rb") as file:
        for entry in entries(file, path.stat().st_size, Budget()):
            if not found and isinstance(entry, Entry):
                found = True
                yield Gap("is a damaged or cut zip file: its files are read one by one, as far as they go")
            if isinstance(entry, Gap):
                if found:
                    yield entry
            elif not entry.is_folder:
                names.discard(entry.name)
                member = _recovered(path, entry, budget)
                if isinstance(member, Member) and is_called_like_one(entry.name):
                    media.append(member)
                else:
                    yield member
            if budget.refusal:
                yield Gap(budget.refusal)
                return
    yield from media
    if not found:
        yield Gap("is a damaged zip file: nothing in it can be read")
    for name in sorted(names):
        yield Gap("is not found in the damaged zip file", name)


def _recovered(path: Path, entry: Entry, budget: Budget) -> Member | Gap:
    if entry.is_encrypted:
        return Gap("is encrypted", entry.name)
    if not entry.is_simple:
        return Gap(f"is compressed by method {entry.method}, which is read from an undamaged zip only", entry.name)
    return _member(entry, partial(_pieces, path, entry, budget))


def _member(entry: Entry, pieces: Callable[[], Iterator[bytes]]) -> Member:
    return Member(entry.name, entry.size, entry.modified_at, lambda: file_of(pieces()))


def _pieces(path: Path, entry: Entry, budget: Budget) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(entry.start)
        blocks: Iterator[bytes] = blocks_of(file, entry.packed)
        if entry.method == zipfile.ZIP_DEFLATED:
            blocks = inflated(blocks, DEFLATE, Ratio())
        yield from checked(within(blocks, budget), entry.checksum)


def _by_zipfile(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, entry: Entry, budget: Budget
) -> Iterator[bytes]:
    """A file that is compressed in a way that is seldom used."""
    ratio = Ratio(given=entry.packed)
    try:
        with archive.open(info) as file:
            while piece := file.read(_PIECE_BYTES):
                ratio.passed(0, len(piece))
                yield from within([piece], budget)
    except _UNREADABLE as error:
        raise ImportFailure(f"cannot be read: {' '.join(str(error).split())[:200]}") from None


def _directory_bytes(path: Path) -> int:
    """How long a zip says that its directory is, 0 where it does not say so."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _LONGEST_COMMENT - _END.size - _LARGE_END_AT.size))
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < _END.size:
            return 0
        listed: int = _END.unpack_from(tail, at)[5]
        if listed == 0xFFFFFFFF and at >= _LARGE_END_AT.size:
            file.seek(min(size, _LARGE_END_AT.unpack_from(tail, at - _LARGE_END_AT.size)[2]))
            end = file.read(_LARGE_END.size)
            listed = _LARGE_END.unpack(end)[8] if len(end) == _LARGE_END.size else 0
    return listed

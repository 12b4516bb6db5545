"""A zip without its directory -> the files in it, one after another, by what stands before each.

So a download that broke off, or a zip that is damaged somewhere, gives what there is of it. Untrusted: a length that
leads nowhere is not believed, and the next file is looked for where its mark is found.
"""

import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import BinaryIO

from addon.errors import ImportFailure
from addon.importing.pieces import DEFLATE, Budget, Ratio, blocks_of, inflated

_HEADER = struct.Struct("<4s5H3I2H")
_HEADER_MARK, _SIZES_MARK = b"PK\x03\x04", b"PK\x07\x08"
_MARKS = (_HEADER_MARK, _SIZES_MARK, b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x06\x08")
_STORED, _DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
_ENCRYPTED, _SIZES_FOLLOW, _UTF_8 = 0x1, 0x8, 0x800
_NEWEST_VERSION, _LAST_METHOD = 63, 99
_LARGE, _LARGE_SIZES = 0xFFFFFFFF, 0x0001
_LONGEST_SIZES = 24
_FIND_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a zip: `packed` bytes from `start`; `size` is what it says, `checksum` its CRC-32 if known."""

    name: str
    start: int
    packed: int
    size: int
    method: int
    flags: int
    checksum: int | None
    modified_at: int | None

    @property
    def is_folder(self) -> bool:
        """Whether it is only a name for others to be in."""
        return self.name.endswith("/")

    @property
    def is_encrypted(self) -> bool:
        """Whether it takes a password."""
        return bool(self.flags & _ENCRYPTED)

    @property
    def is_simple(self) -> bool:
        """Whether it is stored as it is, or deflated, as nearly all are."""
        return self.method in (_STORED, _DEFLATED)


@dataclass(frozen=True, slots=True)
class Gap:
    """What cannot be read of a zip, in one line; `name` is that of the file, "" when it is more or less than one."""

    reason: str
    name: str = ""


def entry_at(file: BinaryIO, at: int) -> Entry | None:
    """The file whose header stands there, None where none does."""
    file.seek(at)
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size or not header.startswith(_HEADER_MARK):
        return None
    _, version, flags, method, time, date, checksum, packed, size, name_length, extra_length = _HEADER.unpack(header)
    name, extra = file.read(name_length), file.read(extra_length)
    whole = len(name) == name_length and len(extra) == extra_length
    if version & 0xFF > _NEWEST_VERSION or method > _LAST_METHOD or not name or not whole:
        return None
    if packed == _LARGE and (large := _large_sizes(extra)):
        size, packed = large
    return Entry(
        name=name.decode("utf-8" if flags & _UTF_8 else "cp437", "replace"),
        start=at + _HEADER.size + name_length + extra_length,
        packed=packed,
        size=size,
        method=method,
        flags=flags,
        checksum=None if flags & _SIZES_FOLLOW else checksum,
        modified_at=_moment(time, date),
    )


def entries(file: BinaryIO, size: int, budget: Budget) -> Iterator[Entry | Gap]:
    """The files in a zip of this size in their order, and what lies between them that is none."""
    at = 0
    while True:
        found, entry = _next_entry(file, at)
        end = size if entry is None else found
        if end - at > _LONGEST_SIZES and (entry is not None or not _is_mark(file, at)):
            yield Gap(f"{end - at} bytes in it, from byte {at} on, are no file that can be recognised")
        if entry is None:
            return
        try:
            entry, at = _bounded(file, entry, size, budget)
        except ImportFailure as error:
            yield Gap(str(error))
            return
        yield entry


def _next_entry(file: BinaryIO, at: int) -> tuple[int, Entry | None]:
    while (at := _find(file, _HEADER_MARK, at)) >= 0:
        entry = entry_at(file, at)
        if entry is not None:
            return at, entry
        at += 1
    return at, None


def _bounded(file: BinaryIO, entry: Entry, size: int, budget: Budget) -> tuple[Entry, int]:
    """A file with how many bytes it has, and where the next one should be."""
    if entry.flags & _SIZES_FOLLOW and not entry.is_encrypted:
        end, checksum = _measured(file, entry, size, budget)
        if end is not None:
            return replace(entry, packed=end - entry.start, checksum=checksum), end
    elif entry.start + entry.packed == size or _is_mark(file, entry.start + entry.packed):
        return entry, entry.start + entry.packed
    following, _ = _next_entry(file, entry.start)
    end = following if following >= 0 else size
    # Of one that the end of the zip cuts off, what it should have is left: so its reader knows that it is cut off.
    packed = entry.packed if following < 0 and entry.packed > size - entry.start else end - entry.start
    return replace(entry, packed=packed), end


def _measured(file: BinaryIO, entry: Entry, size: int, budget: Budget) -> tuple[int | None, int | None]:
    """Where a file ends whose length stands behind it, and the checksum that stands there, as far as can be told."""
    if entry.method == _DEFLATED:
        file.seek(entry.start)
        pieces = inflated(blocks_of(file, size - entry.start), DEFLATE, Ratio())
        try:
            while True:
                budget.spend(len(next(pieces)))
        except StopIteration as ended:
            end: int = file.tell() - len(ended.value)
            return end, _stated(file, end)[0]
        except ImportFailure:
            if budget.refusal:
                raise
        return None, None
    at = entry.start
    while entry.method == _STORED and (at := _find(file, _SIZES_MARK, at)) >= 0:
        checksum, packed = _stated(file, at)
        if packed == at - entry.start:
            return at, checksum
        at += 1
    return None, None


def _stated(file: BinaryIO, at: int) -> tuple[int | None, int | None]:
    """The checksum and the packed size that stand behind a file."""
    file.seek(at)
    said = file.read(_LONGEST_SIZES)
    said = said.removeprefix(_SIZES_MARK)
    return (int.from_bytes(said[:4], "little"), int.from_bytes(said[4:8], "little")) if len(said) >= 8 else (None, None)


def _large_sizes(extra: bytes) -> tuple[int, int] | None:
    """The sizes of a file of 4 GiB or more, unpacked and packed."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == _LARGE_SIZES and length >= 16 and at + 20 <= len(extra):
            size, packed = struct.unpack_from("<2Q", extra, at + 4)
            return size, packed
        at += 4 + length
    return None


def _is_mark(file: BinaryIO, at: int) -> bool:
    file.seek(at)
    return file.read(4) in _MARKS


def _find(file: BinaryIO, mark: bytes, at: int) -> int:
    """Where these bytes stand next, -1 when nowhere."""
    while True:
        file.seek(at)
        block = file.read(_FIND_BYTES)
        found = block.find(mark)
        if found >= 0:
            return at + found
        if len(block) < _FIND_BYTES:
            return -1
        at += len(block) - len(mark) + 1


def _moment(time: int, date: int) -> int | None:
    """When a file was changed, as far as the zip says: it knows no time zone, and nothing before 1980."""
    day = (date >> 9) + 1980, date >> 5 & 15, date & 31
    try:
        moment = datetime(*day, time >> 11, time >> 5 & 63, min(59, (time & 31) * 2), tzinfo=UTC)
    except ValueError:
        return None
    return round(moment.timestamp() * 1e6) if moment.year > 1980 else None

"""Files that come piece by piece out of others: packed in a zip, compressed with gzip, written in UTF-16.

What can be had before a damage is read, and only then it is told: a reader has all of a file that there is. How much
anything may unpack to is bounded by what was read for it, whatever it claims of itself.
"""

import codecs
import io
import itertools
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from addon.errors import ImportFailure

MAX_UNPACKED_BYTES = 64 * 1024**3
"""What all of a zip may unpack to."""

MAX_RATIO, RATIO_FROM_BYTES = 250, 64 * 1024**2
"""How many times its packed size a file may unpack to, once it is this large; honest text stays below 30."""

DEFLATE, GZIP = -zlib.MAX_WBITS, 16 + zlib.MAX_WBITS

_BLOCK_BYTES = 64 * 1024
_PIECE_BYTES = 256 * 1024
_GZIP_MARK = b"\x1f\x8b"
_ENCODINGS = (
    ("utf-32", (b"\xff\xfe\0\0", b"\0\0\xfe\xff")),
    ("utf-16", (b"\xff\xfe", b"\xfe\xff")),
    ("utf-16-le", (b"{\0", b"[\0")),
    ("utf-16-be", (b"\0{", b"\0[")),
)


@dataclass(slots=True)
class Budget:
    """How much a zip has unpacked to so far."""

    unpacked: int = 0

    @property
    def refusal(self) -> str | None:
        """Why no more of it is read, None while it may be."""
        if self.unpacked <= MAX_UNPACKED_BYTES:
            return None
        return f"the zip file unpacks to more than {MAX_UNPACKED_BYTES >> 30} GiB: taken for a zip bomb"

    def spend(self, count: int) -> None:
        """Count; `ImportFailure` where it is too much."""
        self.unpacked += count
        if self.refusal:
            raise ImportFailure(self.refusal)


class PieceFile(io.RawIOBase):
    """A file out of pieces, read from its beginning. When they fail, so does each read after the last piece."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held, self._at = b"", 0
        self._failure: ImportFailure | OSError | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """So many bytes; fewer at the end, or where it cannot be read any further."""
        found: list[bytes] = []
        while size != 0:
            if self._at == len(self._held) and not self._next():
                break
            piece = self._held[self._at : self._at + size] if size > 0 else self._held[self._at :]
            self._at += len(piece)
            size -= len(piece) if size > 0 else 0
            found.append(piece)
        if self._failure is not None and not found and size != 0:
            raise self._failure
        return b"".join(found)

    def close(self) -> None:
        """Let go of what the pieces come from."""
        if not self.closed and hasattr(self._pieces, "close"):
            self._pieces.close()
        super().close()

    def _next(self) -> bool:
        try:
            self._held, self._at = next(self._pieces, b"") if self._failure is None else b"", 0
        except (ImportFailure, OSError) as error:
            self._held, self._at, self._failure = b"", 0, error
        return bool(self._held)


def file_of(pieces: Iterator[bytes]) -> BinaryIO:
    """The pieces as a file."""
    return cast(BinaryIO, PieceFile(filter(None, pieces)))


def read_whole(file: BinaryIO, most: int) -> tuple[bytes, str | None]:
    """As many bytes as there are, and why there are no more when the file could not be read to its end."""
    found, count = [], 0
    try:
        while count < most and (block := file.read(min(_PIECE_BYTES, most - count))):
            found.append(block)
            count += len(block)
    except ImportFailure as error:
        return b"".join(found), str(error)
    return b"".join(found), None


def blocks_of(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The next `size` bytes of a file; what is missing of them is told."""
    while size > 0:
        block = file.read(min(_BLOCK_BYTES, size))
        if not block:
            raise ImportFailure("is cut off")
        size -= len(block)
        yield block


def inflated(blocks: Iterator[bytes], wbits: int, ratio: "Ratio") -> Generator[bytes, None, bytes]:
    """What was compressed with deflate; at its end it returns what stands behind it in the last block."""
    inflater = zlib.decompressobj(wbits)
    for block in blocks:
        left = block
        while left and not inflater.eof:
            before = inflater.copy()
            try:
                piece = inflater.decompress(left, _PIECE_BYTES)
            except zlib.error:
                yield from _until_damage(before, left)
                raise ImportFailure("is damaged") from None
            ratio.passed(len(left) - len(inflater.unconsumed_tail), len(piece))
            left = inflater.unconsumed_tail
            yield piece
        if inflater.eof:
            return inflater.unused_data
    yield inflater.flush()
    raise ImportFailure("is cut off")


def gunzipped(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """What was compressed with gzip, in as many parts as there are."""
    ratio, rest = Ratio(), b""
    while True:
        rest = yield from inflated(itertools.chain([rest], blocks), GZIP, ratio)
        # Parts may be padded with zeros.
        while len(rest.lstrip(b"\0")) < len(_GZIP_MARK):
            block = next(blocks, b"")
            if not block:
                return
            rest = rest.lstrip(b"\0") + block
        rest = rest.lstrip(b"\0")
        if not rest.startswith(_GZIP_MARK):
            raise ImportFailure("goes on with something else behind its end")


@dataclass(slots=True)
class Ratio:
    """How much has come out of how much."""

    given: int = 0
    unpacked: int = 0

    def passed(self, given: int, unpacked: int) -> None:
        """Count; `ImportFailure` where it is out of all proportion."""
        self.given += given
        self.unpacked += unpacked
        if self.unpacked > RATIO_FROM_BYTES and self.unpacked > MAX_RATIO * self.given:
            raise ImportFailure(f"unpacks to more than {MAX_RATIO} times its size: taken for a zip bomb")


def within(pieces: Iterable[bytes], budget: Budget) -> Iterator[bytes]:
    """The pieces as long as the zip they come from may unpack to more."""
    for piece in pieces:
        budget.spend(len(piece))
        yield piece


def checked(pieces: Iterable[bytes], checksum: int | None) -> Iterator[bytes]:
    """The pieces, and at their end the word that their CRC-32 is not this one."""
    found = 0
    for piece in pieces:
        found = zlib.crc32(piece, found)
        yield piece
    if checksum is not None and found != checksum:
        raise ImportFailure("does not match its checksum")


def plain(open_file: Callable[[], BinaryIO]) -> BinaryIO:
    """A file without what may be around its text: gzip, and any encoding of Unicode but UTF-8."""
    return file_of(_plain(open_file))


def _plain(open_file: Callable[[], BinaryIO]) -> Iterator[bytes]:
    with open_file() as file:
        pieces = iter(lambda: file.read(_PIECE_BYTES), b"")
        head, pieces = _peeked(pieces)
        if head.startswith(_GZIP_MARK):
            head, pieces = _peeked(gunzipped(pieces))
        for encoding, marks in _ENCODINGS:
            if head.startswith(marks):
                pieces = _transcoded(pieces, encoding)
                break
        yield from pieces


def _peeked(pieces: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    head = next(pieces, b"")
    return head, itertools.chain([head], pieces)


def _transcoded(pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for piece in pieces:
        yield decoder.decode(piece).encode()
    yield decoder.decode(b"", final=True).encode()


def _until_damage(inflater: "zlib._Decompress", block: bytes) -> Iterator[bytes]:
    """All that comes before the byte at which a block cannot be inflated any further."""
    for at in range(len(block)):
        try:
            yield inflater.decompress(block[at : at + 1])
        except zlib.error:
            return

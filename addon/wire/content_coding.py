"""Content codings (RFC 9110 8.4): encoded chunks in, decoded pieces out, as soon as their bytes are there.

Sans-I/O. gzip, deflate (zlib and raw), br, zstd and identity, stacked in any order. Output comes in pieces of
bounded size, so that a few kilobytes that unfold to gigabytes are met by the caller's limit, not by the memory.
"""

import re
import sys
import zlib
from collections.abc import Iterator
from typing import Protocol

import brotli

from addon.errors import StreamError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_BYTES = 1024 * 1024

MAX_CODINGS = 5
"""How many codings may be stacked (curl's limit too): each may unfold a thousandfold what the one before unfolded."""

_DOUBT_BYTES = 64 * 1024
_GZIP_MEMBER = re.compile(rb"\x1f\x8b")
_ZSTD_FRAME = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")  # RFC 8878 3.1.1 and 3.1.2
# RFC 9659: an encoder must not ask for a window beyond 8 MB, which browsers hold it to.
_ZSTD_OPTIONS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}


class _Coding(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]: ...


class ContentDecoder:
    """Undoes a `content-encoding` header value.

    Raises `StreamError` for a coding it does not know or too many and, in `feed`, for data that is not what the
    header says.
    """

    def __init__(self, content_encoding: str) -> None:
        names = [name.strip().lower() for name in content_encoding.split(",")]
        applied = [name for name in names if name not in ("", "identity")]
        if len(applied) > MAX_CODINGS:
            raise StreamError(f"more than {MAX_CODINGS} content codings")
        # Codings are listed in the order they were applied, so the last one is undone first.
        self._codings = [_coding(name) for name in reversed(applied)]

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The decoded bytes that `chunk` makes available, in pieces of at most `PIECE_BYTES` for coded content."""
        return self._through(chunk, 0)

    def _through(self, data: bytes, index: int) -> Iterator[bytes]:
        if index == len(self._codings):
            if data:
                yield data
            return
        try:
            for piece in self._codings[index].feed(data):
                yield from self._through(piece, index + 1)
        except (zlib.error, brotli.error, zstd.ZstdError) as error:
            raise StreamError(f"content coding: {error}") from None


def _coding(name: str) -> _Coding:
    match name:
        case "gzip" | "x-gzip":
            return _Gzip()
        case "deflate":
            return _Deflate()
        case "br":
            return _Brotli()
        case "zstd":
            return _Zstandard()
    printable = "".join(character for character in name[:20] if character.isprintable())
    raise StreamError(f"unknown content coding {printable!r}")


def _inflate(inflater: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    while True:
        piece = inflater.decompress(data, PIECE_BYTES)
        data = inflater.unconsumed_tail
        if piece:
            yield piece
        # A full piece may leave output behind although all input is consumed.
        if inflater.eof or (not data and len(piece) < PIECE_BYTES):
            return


class _Gzip:
    """gzip, several members in a row included (RFC 1952 2.2); what follows the last one is not ours to judge."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(wbits=31)
        self._members = 0
        self._head = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            self._head = (self._head + data[:2])[:2]
            try:
                yield from _inflate(self._inflater, data)
            except zlib.error:
                if self._members and not _GZIP_MEMBER.match(self._head):  # browsers ignore such bytes too
                    return
                raise
            if not self._inflater.eof:
                return
            data = self._inflater.unused_data
            self._members += 1
            self._head = b""
            self._inflater = zlib.decompressobj(wbits=31)


class _Deflate:
    """`deflate` is zlib by the standard and raw deflate from some servers: the first two bytes usually tell."""

    def __init__(self) -> None:
        self._head = b""
        self._in_doubt = True
        self._inflater: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._inflater is not None and self._inflater.eof:  # what follows the stream is not part of it
            return
        if self._inflater is not None and not self._in_doubt:
            yield from _inflate(self._inflater, data)
            return
        # As long as zlib has given nothing it may still prove to be raw deflate: keep what was read.
        self._head += data
        if self._inflater is None:
            if len(self._head) < 2:
                return
            self._in_doubt = self._head[0] & 0x0F == 8 and int.from_bytes(self._head[:2]) % 31 == 0
            self._inflater = zlib.decompressobj(wbits=15 if self._in_doubt else -15)
            data = self._head
        try:
            for piece in _inflate(self._inflater, data):
                self._in_doubt = False
                yield piece
        except zlib.error:
            if not self._in_doubt:
                raise
            self._in_doubt = False
            self._inflater = zlib.decompressobj(wbits=-15)
            yield from _inflate(self._inflater, self._head)
        if not self._in_doubt or len(self._head) > _DOUBT_BYTES:
            self._in_doubt, self._head = False, b""


class _Brotli:
    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._decompressor.is_finished():  # what follows the stream is not part of it
            return
        while piece := self._decompressor.process(data, output_buffer_limit=PIECE_BYTES):
            data = b""
            # The limit only ends the growth of the buffer: it may have grown beyond it.
            for start in range(0, len(piece), PIECE_BYTES):
                yield piece[start : start + PIECE_BYTES]


class _Zstandard:
    """zstd, several frames in a row included (RFC 8878 3.1); what follows the last one is not ours to judge."""

    def __init__(self) -> None:
        self._decompressor = zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)
        self._frames = 0
        self._head = b""
        self._over = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data and not self._over:
            self._head = (self._head + data[:4])[:4]
            try:
                yield from _unfold(self._decompressor, data)
            except zstd.ZstdError:
                if self._frames and not _ZSTD_FRAME.match(self._head):
                    self._over = True  # unlike zlib it would read on
                    return
                raise
            if not self._decompressor.eof:
                return
            data = self._decompressor.unused_data
            self._frames += 1
            self._head = b""
            self._decompressor = zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)


def _unfold(decompressor: zstd.ZstdDecompressor, data: bytes) -> Iterator[bytes]:
    while True:
        piece = decompressor.decompress(data, PIECE_BYTES)
        data = b""
        if piece:
            yield piece
        if decompressor.eof or decompressor.needs_input:
            return

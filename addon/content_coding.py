"""Content codings (RFC 9110 8.4): encoded chunks in, decoded pieces out, as soon as their bytes are there.

Sans-I/O. gzip, deflate (zlib and raw), br, zstd and identity, stacked in any order. Output comes in pieces of
bounded size, so that a few kilobytes that unfold to gigabytes are met by the caller's limit, not by the memory.
"""

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


class _Coding(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]: ...


class ContentDecoder:
    """Undoes a `content-encoding` header value.

    Raises `StreamError` for a coding it does not know and, in `feed`, for data that is not what the header says.
    """

    def __init__(self, content_encoding: str) -> None:
        names = [name.strip().lower() for name in content_encoding.split(",")]
        # Codings are listed in the order they were applied, so the last one is undone first.
        self._codings = [_coding(name) for name in reversed(names) if name not in ("", "identity")]

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

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            try:
                yield from _inflate(self._inflater, data)
            except zlib.error:
                if self._members:  # trailing bytes that are no further member: browsers ignore them too
                    return
                raise
            if not self._inflater.eof:
                return
            data = self._inflater.unused_data
            self._members += 1
            self._inflater = zlib.decompressobj(wbits=31)


class _Deflate:
    """`deflate` is zlib by the standard and raw deflate from some servers: the first two bytes usually tell."""

    def __init__(self) -> None:
        self._head = b""
        self._zlib = False
        self._inflater: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._inflater is not None and not self._zlib:
            yield from _inflate(self._inflater, data)
            return
        # As long as zlib has given nothing it may still prove to be raw deflate: keep what was read.
        self._head += data
        if self._inflater is None:
            if len(self._head) < 2:
                return
            self._zlib = self._head[0] & 0x0F == 8 and int.from_bytes(self._head[:2]) % 31 == 0
            self._inflater = zlib.decompressobj(wbits=15 if self._zlib else -15)
            data = self._head
        try:
            for piece in _inflate(self._inflater, data):
                self._zlib, self._head = False, b""
                yield piece
        except zlib.error:
            if not self._zlib:
                raise
            self._zlib = False
            self._inflater = zlib.decompressobj(wbits=-15)
            yield from _inflate(self._inflater, self._head)


class _Brotli:
    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._decompressor.is_finished():  # what follows the stream is not part of it
            return
        piece = self._decompressor.process(data, output_buffer_limit=PIECE_BYTES)
        while piece:
            yield piece
            piece = self._decompressor.process(b"", output_buffer_limit=PIECE_BYTES)


class _Zstandard:
    """zstd, several frames in a row included (RFC 8878 3.1)."""

    def __init__(self) -> None:
        self._decompressor = zstd.ZstdDecompressor()

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            if self._decompressor.eof:
                data = self._decompressor.unused_data or data
                if not data:
                    return
                self._decompressor = zstd.ZstdDecompressor()
            piece = self._decompressor.decompress(data, PIECE_BYTES)
            data = b""
            if piece:
                yield piece
            if self._decompressor.eof:
                if not self._decompressor.unused_data:
                    return
            elif self._decompressor.needs_input:
                return

import gzip
import random
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import brotli
import pytest

from addon.errors import StreamError
from addon.wire.content_coding import MAX_CODINGS, PIECE_BYTES, ContentDecoder
from tests.cuts import cuts

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

EVENTS = [f'event: delta\ndata: {{"v":"word {n} für 🚀"}}\n\n'.encode() for n in range(12)]
BODY = b"".join(EVENTS)
CORRUPT = b"\xff" * 60  # no block of any of these codings begins so


class Compressor:
    """One coding of the standard libraries, flushed after each piece."""

    def __init__(self, coding: str) -> None:
        self._zlib_flush: int | None = None
        if coding == "br":
            self._any: Any = brotli.Compressor(quality=4)
        elif coding == "zstd":
            self._any = zstd.ZstdCompressor()
        else:
            self._any = zlib.compressobj(wbits={"gzip": 31, "deflate": 15, "raw deflate": -15}[coding])
            self._zlib_flush = zlib.Z_SYNC_FLUSH
        self._coding = coding

    def piece(self, data: bytes) -> bytes:
        if self._coding == "br":
            return bytes(self._any.process(data) + self._any.flush())
        flush = zstd.ZstdCompressor.FLUSH_BLOCK if self._coding == "zstd" else self._zlib_flush
        return bytes(self._any.compress(data) + self._any.flush(flush))

    def finish(self) -> bytes:
        return bytes(self._any.finish() if self._coding == "br" else self._any.flush())


def encoded(coding: str, pieces: Iterable[bytes] = EVENTS) -> list[bytes]:
    """The flushed bytes of each piece, and of the end; `coding` is as in the header, "raw deflate" beside it."""
    chunks = list(pieces)
    for name in coding.split(", "):
        compressor = Compressor(name)
        chunks = [compressor.piece(chunk) for chunk in chunks] + [compressor.finish()]
    return chunks


def header(coding: str) -> str:
    return coding.replace("raw deflate", "deflate")


def decode(content_encoding: str, chunks: Iterable[bytes]) -> bytes:
    decoder = ContentDecoder(content_encoding)
    return b"".join(piece for chunk in chunks for piece in decoder.feed(chunk))


SINGLE = ["gzip", "deflate", "raw deflate", "br", "zstd"]
CODINGS = [*SINGLE, "gzip, br", "br, zstd", "zstd, gzip", "deflate, raw deflate", "gzip, deflate, br, zstd"]
every_coding = pytest.mark.parametrize("coding", CODINGS)
each_alone = pytest.mark.parametrize("coding", SINGLE)


@every_coding
def test_a_body_is_decoded_however_it_is_cut(coding: str) -> None:
    for chunks in cuts(b"".join(encoded(coding))):
        assert decode(header(coding), chunks) == BODY


@every_coding
def test_each_event_is_there_as_soon_as_its_bytes_are(coding: str) -> None:
    decoder = ContentDecoder(header(coding))
    for chunk, event in zip(encoded(coding), EVENTS, strict=False):
        assert b"".join(decoder.feed(chunk)) == event


@pytest.mark.parametrize(
    ("content_encoding", "body"),
    [
        ("", BODY),
        ("identity", BODY),
        (" Identity , ", BODY),
        ("GZIP", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY)),
        ("identity,gzip,, identity", gzip.compress(BODY)),
        ("gzip,br", brotli.compress(gzip.compress(BODY))),
    ],
)
def test_a_header_is_read_as_http_writes_it(content_encoding: str, body: bytes) -> None:
    assert decode(content_encoding, [body]) == BODY


def test_identity_hands_on_the_same_object() -> None:
    assert all(piece is BODY for piece in ContentDecoder("").feed(BODY))


@pytest.mark.parametrize("content_encoding", ["", *CODINGS])
def test_an_empty_body_is_empty(content_encoding: str) -> None:
    assert decode(header(content_encoding), []) == b""
    assert decode(header(content_encoding), [b"", b""]) == b""


@each_alone
def test_a_coding_of_nothing_is_nothing(coding: str) -> None:
    for chunks in cuts(b"".join(encoded(coding, []))):
        assert decode(header(coding), chunks) == b""


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_in_a_row_are_one_body(coding: str) -> None:
    body = b"".join(b"".join(encoded(coding, [event])) for event in [*EVENTS[:4], b"", EVENTS[4]])
    for chunks in cuts(body):
        assert decode(coding, chunks) == b"".join(EVENTS[:5])


def test_frames_of_zstd_that_are_to_be_skipped_are_skipped() -> None:
    skippable = b"\x5a\x2a\x4d\x18\x03\x00\x00\x00abc"
    for chunks in cuts(skippable + zstd.compress(BODY) + skippable + zstd.compress(b"more")):
        assert decode("zstd", chunks) == BODY + b"more"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate", "zstd", "gzip, zstd"])
@pytest.mark.parametrize(
    "junk",
    [b"\n", b"\0" * 20, b"<html>", b"\x1f", b"\x28\xb5\x2f", b"<" + zstd.compress(b"x") + gzip.compress(b"x", mtime=0)],
)
def test_what_follows_the_end_is_ignored(coding: str, junk: bytes) -> None:
    for chunks in cuts(b"".join(encoded(coding)) + junk):
        assert decode(header(coding), chunks) == BODY


def test_what_follows_the_end_of_brotli_in_a_chunk_of_its_own_is_ignored() -> None:
    # Its decoder does not tell how much of one chunk was not its own.
    assert decode("br", [brotli.compress(BODY), b"\n", b"<html>"]) == BODY


@each_alone
def test_a_body_without_its_end_gives_what_it_had(coding: str) -> None:
    chunks = encoded(coding)
    assert decode(header(coding), [b"".join(chunks[:5])]) == b"".join(EVENTS[:5])
    body = b"".join(chunks)
    for length in range(len(body)):
        assert BODY.startswith(decode(header(coding), [body[:length]]))


@each_alone
def test_corrupt_data_is_a_stream_error_under_every_cut(coding: str) -> None:
    for chunks in cuts(b"".join(encoded(coding)[:5]) + CORRUPT):
        with pytest.raises(StreamError, match=r"^content coding: "):
            decode(header(coding), chunks)


@each_alone
def test_what_came_before_the_corrupt_chunk_was_decoded(coding: str) -> None:
    decoder = ContentDecoder(header(coding))
    assert b"".join(piece for chunk in encoded(coding)[:5] for piece in decoder.feed(chunk)) == b"".join(EVENTS[:5])
    with pytest.raises(StreamError):
        list(decoder.feed(CORRUPT))


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_later_member_that_is_corrupt_is_no_junk(coding: str) -> None:
    for chunks in cuts(b"".join([*encoded(coding), *encoded(coding)[:5], CORRUPT])):
        with pytest.raises(StreamError):
            decode(coding, chunks)


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_data_that_is_not_what_the_header_says_is_a_stream_error(coding: str) -> None:
    for chunks in cuts(BODY):
        with pytest.raises(StreamError):
            decode(coding, chunks)


@pytest.mark.parametrize(("length", "second"), [(0x009C, b"\x9c"), (0x0101, b"\x01"), (0x045E, b"\x5e")])
def test_raw_deflate_whose_first_bytes_look_like_zlib_is_decoded(length: int, second: bytes) -> None:
    # A stored block may begin with any padding: 0x78 here, then its length, as in the header of zlib.
    data = (BODY * 3)[:length]
    assert length.to_bytes(2, "little")[:1] == second
    raw = b"\x78" + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little") + data + b"\x03\x00"
    assert zlib.decompress(raw, -15) == data
    for chunks in cuts(raw):
        assert decode("deflate", chunks) == data


@pytest.mark.parametrize(
    ("content_encoding", "shown"),
    [
        ("snappy", "'snappy'"),
        ("gzip, compress", "'compress'"),
        ("\x1b[31m\r\nx", "'[31mx'"),
        ("\u202eevil\x00", "'evil'"),
        ("y" * 1000, "'" + "y" * 20 + "'"),
    ],
)
def test_an_unknown_coding_is_named_in_one_printable_line(content_encoding: str, shown: str) -> None:
    with pytest.raises(StreamError) as error:
        ContentDecoder(content_encoding)
    assert str(error.value) == f"unknown content coding {shown}"


def test_codings_are_stacked_to_a_limit() -> None:
    names = ", ".join(["gzip"] * MAX_CODINGS)
    assert decode(names + ", identity", encoded(names)) == BODY
    with pytest.raises(StreamError, match="more than 5 content codings"):
        ContentDecoder(names + ", gzip")


def peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("coding", [*SINGLE, "gzip, gzip", "zstd, br"])
def test_a_bomb_comes_in_pieces_of_bounded_size(coding: str) -> None:
    size = 64 * PIECE_BYTES
    body = b"".join(encoded(coding, [bytes(size)]))
    sizes: list[int] = []
    decoder = ContentDecoder(header(coding))
    assert peak(lambda: sizes.extend(len(piece) for piece in decoder.feed(body))) < 12 * PIECE_BYTES
    assert (sum(sizes), max(sizes)) == (size, PIECE_BYTES)


@each_alone
def test_output_of_exactly_one_piece_is_not_held_back(coding: str) -> None:
    data = random.Random(1).randbytes(1000) * (PIECE_BYTES // 1000 + 1)
    for size in (PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES):
        chunks = encoded(coding, [data[:size], b"next"])
        decoder = ContentDecoder(header(coding))
        assert [b"".join(decoder.feed(chunk)) for chunk in chunks] == [data[:size], b"next", b""]


def test_a_window_beyond_what_http_allows_is_refused() -> None:
    def framed(window_log: int) -> bytes:
        compressor = zstd.ZstdCompressor(options={int(zstd.CompressionParameter.window_log): window_log})
        return compressor.compress(BODY) + compressor.flush(zstd.ZstdCompressor.FLUSH_BLOCK)

    assert decode("zstd", [framed(23)]) == BODY
    with pytest.raises(StreamError):
        decode("zstd", [framed(27)])


def test_deflate_that_says_nothing_is_not_kept() -> None:
    nothing = zlib.compress(b"")[:2] + b"\x00\x00\x00\xff\xff" * 200_000
    decoder = ContentDecoder("deflate")

    def feed() -> None:
        for start in range(0, len(nothing), 1000):
            assert list(decoder.feed(nothing[start : start + 1000])) == []

    assert peak(feed) < 400_000

"""What may be done to a body before it is sent: the cutters put it into chunks, the encoders compress the chunks."""

import itertools
import random
import re
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def whole(body: bytes) -> list[bytes]:
    """The body as one chunk."""
    return [body]


def every(body: bytes, n: int) -> list[bytes]:
    """The body in chunks of n bytes."""
    return [body[start : start + n] for start in range(0, len(body), n)]


def ragged(body: bytes, seed: int) -> list[bytes]:
    """The body in chunks of 1 to 7 bytes, the same for the same seed."""
    sizes = random.Random(seed)
    cuts = [0]
    while cuts[-1] < len(body):
        cuts.append(cuts[-1] + sizes.randint(1, 7))
    return [body[start:stop] for start, stop in itertools.pairwise(cuts)]


def by_event(body: bytes) -> list[bytes]:
    """The body with one server-sent event per chunk: a cut after each blank line."""
    return [event for event in re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)|(?<=\r\r)", body) if event]


type _Coder = tuple[Callable[[bytes], bytes], Callable[[], bytes]]  # a chunk encoded and flushed; the end


def _zlib_coder(wbits: int) -> _Coder:
    encoder = zlib.compressobj(wbits=wbits)
    return lambda chunk: encoder.compress(chunk) + encoder.flush(zlib.Z_SYNC_FLUSH), encoder.flush


def _brotli_coder() -> _Coder:
    encoder = brotli.Compressor(quality=5)
    return lambda chunk: encoder.process(chunk) + encoder.flush(), encoder.finish


def _zstd_coder() -> _Coder:
    encoder = zstd.ZstdCompressor()
    return lambda chunk: encoder.compress(chunk, encoder.FLUSH_BLOCK), encoder.flush


_CODERS: Mapping[str, Callable[[], _Coder]] = {
    "gzip": lambda: _zlib_coder(31),
    "deflate": lambda: _zlib_coder(15),
    "deflate-raw": lambda: _zlib_coder(-15),
    "br": _brotli_coder,
    "zstd": _zstd_coder,
}


def _codings(coding: str) -> list[str]:
    return [name for part in coding.split(",") if (name := part.strip()) and name != "identity"]


def encode_chunks(chunks: Sequence[bytes], coding: str) -> list[bytes]:
    """Encode chunk by chunk: the n-th result, with those before it, decodes to exactly the first n chunks.

    `coding` is a content-encoding in header order (the first is applied first); "deflate-raw" is what some
    servers send as deflate. The codings' own endings are part of the last chunk. KeyError for an unknown one.
    """
    coders = [_CODERS[name]() for name in _codings(coding)]

    def run(data: bytes, coders: Sequence[_Coder]) -> bytes:
        for feed, _ in coders:
            data = feed(data)
        return data

    encoded = [run(chunk, coders) for chunk in chunks]
    tail = b"".join(run(finish(), coders[index + 1 :]) for index, (_, finish) in enumerate(coders))
    return [*encoded[:-1], encoded[-1] + tail] if encoded else [tail][: len(coders)]


def encode(body: bytes, coding: str) -> bytes:
    """The whole body encoded."""
    return b"".join(encode_chunks([body], coding))


def content_encoding(coding: str) -> str:
    """The value of the header that announces a coding: "deflate-raw" goes as deflate."""
    return ", ".join("deflate" if name == "deflate-raw" else name for name in _codings(coding))

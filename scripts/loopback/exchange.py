"""What a Service is asked and what it answers, whichever version of HTTP carries it."""

import asyncio
import dataclasses
import itertools
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from scripts.loopback.codings import content_encoding, encode_chunks

if TYPE_CHECKING:
    from scripts.loopback.sockets import Socket

type Header = tuple[str, str]
type End = Literal["clean", "reset", "cut", "garbled", "hang"]
type Respond = Callable[[Request], Answer | Socket]

GARBLE = b"Bearer loopback-garble-9d41c7\r\n"
"""What stands where the length of a chunk should."""

EVENT_STREAM: tuple[Header, ...] = (
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache"),
    ("server", "cloudflare"),
)
READ_SIZE = 65536
LARGEST_REQUEST = 64 * 1024 * 1024


@dataclasses.dataclass(frozen=True)
class Request:
    """One whole request; `host` is the one CONNECT named (with direct TLS: the authority the client gave)."""

    host: str
    method: str
    path: str
    headers: tuple[Header, ...]
    body: bytes
    http_version: str

    def header(self, name: str) -> str | None:
        """The first value of a header, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What to send back. Each chunk is one write (one DATA frame, if flow control has room for it).

    `chunks` are taken one by one just before they are written, so a generator can put the time into them.
    `delay` in seconds: a number is the pause between two chunks; an iterable gives the pause before each and is asked
    for one after the other.
    `end`: "clean"; "reset" (RST_STREAM, over HTTP/1.1 a TCP RST); "cut" (the connection is closed without
    END_STREAM or the last chunk, which over HTTP/2 takes its other streams along); "garbled" (the same, over HTTP/1.1
    after `GARBLE`); "hang" (nothing, until the
    client or the service leaves). HTTP/1.1 is chunked unless `headers` has a content-length.
    """

    status: int = 200
    headers: Sequence[Header] = ()
    chunks: Iterable[bytes] = ()
    delay: float | Iterable[float] = 0.0
    end: End = "clean"


def answer(
    chunks: Iterable[bytes],
    *,
    coding: str = "identity",
    headers: Sequence[Header] = EVENT_STREAM,
    delay: float | Iterable[float] = 0.0,
    end: End = "clean",
) -> Answer:
    """A stream of chunks that are encoded here, each one readable as soon as it has arrived."""
    if coding != "identity":
        headers = [*headers, ("content-encoding", content_encoding(coding))]
        chunks = encode_chunks(list(chunks), coding)
    return Answer(200, headers, chunks, delay, end)


async def paced(answer: Answer) -> AsyncIterator[bytes]:
    """The chunks, each when its time has come; other streams get their turn in between."""
    delay = answer.delay
    pauses = itertools.chain([0.0], itertools.repeat(delay)) if isinstance(delay, int | float) else iter(delay)
    chunks = iter(answer.chunks)
    left = len(answer.chunks) if isinstance(answer.chunks, Sequence) else sys.maxsize
    for _ in range(left):
        await asyncio.sleep(next(pauses, 0.0))
        chunk = next(chunks, None)
        if chunk is None:
            return
        yield chunk

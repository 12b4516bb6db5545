"""Bodies that were saved without their exchange: what is known of it all the same, and whether they are whole."""

import re
from collections.abc import Iterator

from addon.exchange import Opening
from addon.wire.payload import loads

CHUNK_BYTES = 256 * 1024

_BLANK_LINES = (b"\n\n", b"\n\r\n", b"\r\r")
_LINES = re.compile(rb"\r\n|\r|\n")


def opening_of(stream_id: str, source: str, kind: str, at: int) -> Opening:
    """What is known of an exchange of which only the body was saved."""
    return Opening(
        stream_id=stream_id,
        source=source,
        kind=kind,
        streamed=kind == "turn",
        host="",
        path="",
        method="",
        started_at=at,
        status_code=200,
        content_type="text/event-stream" if kind == "turn" else "application/json",
        timed=False,
    )


def chunks_of(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """The body in pieces, all received at once."""
    for start in range(0, len(body), CHUNK_BYTES):
        yield at, body[start : start + CHUNK_BYTES]


def ends_within_an_event(body: bytes) -> bool:
    """Whether an event stream is cut off, and did not only end early: its last event is not whole."""
    start = max(body.rfind(blank) + 1 for blank in _BLANK_LINES)
    lines = [line for line in _LINES.split(body[start:]) if line and not line.startswith(b":")]
    data = b"\n".join(line[5:] for line in lines if line.startswith(b"data:"))
    if not lines or data.strip() == b"[DONE]":
        return False
    try:
        loads(data)
    except ValueError:
        return True
    return False

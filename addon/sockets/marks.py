"""Marks: comments in the body of a topic that name the pieces it holds, `: offset=... item=...` before each.

Pure. An event stream ignores comments, so a body with them reads as one without; who has the body knows from them
which pieces are in it. A piece that waits for the one before it is a comment as a whole, `: waits=...`.
"""

import contextlib
import re
from collections.abc import Iterator
from urllib.parse import quote, unquote

from addon.answers.legs import Leg
from addon.errors import StreamError
from addon.sockets.pubsub import Piece
from addon.wire.evidence import pieces
from addon.wire.payload import dumps, loads, string
from addon.wire.redaction import redact_unread
from addon.wire.sse import MAX_EVENT_BYTES

MAX_PENDING = 64 * 1024
"""Bytes of marks that wait for a line to end."""

_WAITS = b": waits="

_MARK = re.compile(r": (?:offset=(\S+))? ?(?:item=(\S+))?")


class Marks:
    """Puts the mark of each piece where a line begins: a piece may be cut anywhere, its mark must not cut a line.

    `pending` are the marks of pieces that stand wholly within the line that has not ended yet.
    """

    def __init__(self) -> None:
        self.pending = b""
        self.line_open = False

    def place(self, piece: Piece) -> bytes:
        """The text of a piece with its mark, or with those that waited."""
        mark, text = _mark(piece), piece.text
        if not self.line_open:
            text = mark + text
        elif len(self.pending) < MAX_PENDING:
            self.pending += mark
        if self.pending and b"\n" in text:
            # Behind the last whole line. Of a CR LF the LF may be still to come, so a CR ends none.
            start = text.rindex(b"\n") + 1
            text, self.pending = text[:start] + self.pending + text[start:], b""
        self.passed(text)
        return text

    def passed(self, text: bytes) -> None:
        """Note what stands in the body as it is."""
        if text:
            self.line_open = not text.endswith(b"\n")


def named_in(leg: Leg) -> Iterator[tuple[str | None, str | None]]:
    """Identity and offset of the pieces that a stored body holds, as far as it can be read."""
    for line in _lines(leg, MAX_PENDING):
        if (named := _named(line)) is not None:
            yield named


def waiting_line(piece: Piece) -> bytes:
    """The comment that a piece is while it waits."""
    said = [piece.identity, piece.parent, piece.offset, redact_unread(piece.text).decode("utf-8", "replace")]
    return _WAITS + quote(dumps(said), safe="").encode() + b"\n"


def waiting_in(leg: Leg) -> Iterator[Piece]:
    """The pieces that waited when a body was stored, or before."""
    for line in _lines(leg, MAX_EVENT_BYTES):
        if line.startswith(_WAITS):
            with contextlib.suppress(ValueError, TypeError, AttributeError):
                identity, parent, offset, text = loads(unquote(line[len(_WAITS) :].decode()).encode())
                yield Piece(leg.name or "", text.encode(), string(identity), string(parent), string(offset))


def _lines(leg: Leg, longest: int) -> Iterator[bytes]:
    line = b""
    try:
        for piece, _ in pieces(leg.body, leg.arrivals):
            *lines, line = (line + piece).split(b"\n")
            yield from lines
            line = line[:longest]
    except StreamError:
        return


def _mark(piece: Piece) -> bytes:
    names = {"offset": piece.offset, "item": piece.identity}
    said = [f"{name}={quote(value, safe='')}" for name, value in names.items() if value is not None]
    return f": {' '.join(said)}\n".encode()


def _named(line: bytes) -> tuple[str | None, str | None] | None:
    found = _MARK.fullmatch(line.decode("utf-8", "replace")) if line.startswith(b": ") else None
    if found is None or not any(found.groups()):
        return None
    offset, identity = (unquote(value) if value else None for value in found.groups())
    return identity, offset

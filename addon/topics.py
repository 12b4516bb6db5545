"""One topic of a WebSocket: pieces of an event stream, repeated and out of order, to one capture.

Each piece is read once, after the one before it: an `append` that is applied twice corrupts the text. Which pieces a
body holds stands in it as comments (`: offset=... item=...`), so that whoever has the body can go on from there: a
recorder that was started again, or another socket on which the page subscribes in mid-stream.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote, unquote

from addon.capture import Capture
from addon.conversation import MISSING
from addon.errors import StreamError
from addon.evidence import pieces
from addon.exchange import Closing, Opening
from addon.legs import Leg
from addon.order import Order
from addon.pubsub import Piece
from addon.records import Record

MAX_WAIT_MICROSECONDS = 2_000_000
"""How long a piece waits for the one before it: catchups may come after what is live."""

_MARK = re.compile(r"^: (?:offset=(\S+))? ?(?:item=(\S+))?$")
_EDIT = re.compile(rb"^event: ?delta\r?$", re.MULTILINE)
_GAP = b'data: {"type":"%b"}\n\n' % MISSING.encode()
_MAX_MARKS = 64 * 1024


class Topic:
    """Feed it pieces as they come; `capture` reads each once.

    `at` is when it last read one, `done` says that nothing more comes. `turn_complete` and `reported` are for the
    caller: that the turn is over says also something on another topic, and a person is told once.
    """

    def __init__(self, opening: Opening) -> None:
        self.capture = Capture(opening, b"")
        self.at = opening.started_at
        self.size = 0
        self.done = False
        self.turn_complete = False
        self.reported = False
        self._order = Order()
        self._line_open = False
        self._marks = b""
        self._last_line = b""
        self._changed = True

    @property
    def settled(self) -> bool:
        """Whether the service says that nothing more comes, and all that came has been read."""
        return self.done and not self._order.waiting

    def restore(self, leg: Leg) -> None:
        """Become what was stored of this topic; what that says is written."""
        self._replay(leg, None)
        self.done = self.reported = leg.state == "complete"
        self.checkpoint()

    def go_on_from(self, leg: Leg, at: int) -> list[Record]:
        """Read what another leg of the topic holds as if it came here now."""
        return self._replay(leg, at)

    def knows(self, piece: Piece) -> bool:
        """Whether a piece, or the one before it, is here."""
        return self._order.knows(piece)

    def feed(self, piece: Piece, at: int) -> list[Record]:
        """A piece has come: what must be written because of it."""
        if piece.identity is None and piece.offset is None:
            piece = replace(piece, offset=f"at-{at}")
        records = self._read(self._order.add(piece, at), at)
        return records + (self.give_up(at) if self._order.full else [])

    def expire(self, at: int) -> list[Record]:
        """Time has passed: what has waited too long is read without what it waited for."""
        since = self._order.waits_since
        return self.give_up(at) if since is not None and at - since >= MAX_WAIT_MICROSECONDS else []

    def give_up(self, at: int) -> list[Record]:
        """Read what waits, and say in the stream what is missing."""
        return self._read(self._order.give_up(), at)

    def miss(self, at: int) -> list[Record]:
        """Say in the stream that something is missing."""
        return self._read([None], at)

    def checkpoint(self) -> list[Record]:
        """Store what there is; it may go on."""
        if not self._changed:
            return []
        self._changed = False
        return self.capture.checkpoint(self.at, Closing("end") if self.settled else None)

    def close(self, closing: Closing, at: int) -> list[Record]:
        """The end of a topic that is finished, or of the socket it came on."""
        records = self.give_up(max(at, self.at))
        if self.settled:
            return records + self.checkpoint()
        return records + self.capture.close(closing, at)

    def _replay(self, leg: Leg, at: int | None) -> list[Record]:
        records: list[Record] = []
        try:
            for piece, after in pieces(leg.body, leg.arrivals):
                self._note_marks(piece)
                self.at = leg.started_at + after if at is None else at
                self._line_open = not piece.endswith(b"\n")
                self.size += len(piece)
                records += self.capture.feed(piece, self.at)
        except StreamError:
            pass  # it counts as far as it can be read
        return records

    def _read(self, released: Sequence[Piece | None], at: int) -> list[Record]:
        records: list[Record] = []
        for piece in released:
            self._changed = True
            self.at = max(self.at, at)
            if piece is None:
                records += self.capture.feed(b"\n\n" * self._line_open + _GAP, at)
                self._line_open = False
            else:
                self.done = self.done or piece.done
                self.size += len(piece.text)
                records += self.capture.feed(self._marked(piece), at)
        return records

    def _marked(self, piece: Piece) -> bytes:
        """A piece with the comment that names it, at the next place where a line begins."""
        mark, text = _mark(piece), piece.text
        if not self._line_open:
            text = mark + text
        elif len(self._marks) < _MAX_MARKS:
            self._marks += mark
        if self._marks and b"\n" in text:
            # Behind the last whole line; of a CR LF the LF may still be to come, so a CR ends none.
            start = text.rindex(b"\n") + 1
            text, self._marks = text[:start] + self._marks + text[start:], b""
        if piece.done and not text.endswith(b"\n"):
            text += b"\n\n"
        self._line_open = not text.endswith(b"\n")
        return text

    def _note_marks(self, body: bytes) -> None:
        *lines, last = (self._last_line + body).split(b"\n")
        self._last_line = last[:_MAX_MARKS]
        for line in lines:
            found = _MARK.match(line.decode("utf-8", "replace")) if line.startswith(b": ") else None
            if found and any(found.groups()):
                offset, identity = (unquote(value) if value else None for value in found.groups())
                self._order.note(identity, offset)


def begins_in_mid_stream(piece: Piece) -> bool:
    """Whether a piece edits what an earlier one must have brought."""
    return _EDIT.search(piece.text) is not None and b"event: delta_encoding" not in piece.text


def _mark(piece: Piece) -> bytes:
    names = {"offset": piece.offset, "item": piece.identity}
    said = [f"{name}={quote(value, safe='')}" for name, value in names.items() if value is not None]
    return f": {' '.join(said)}\n".encode()

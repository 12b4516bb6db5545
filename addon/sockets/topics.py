"""One topic of a WebSocket: pieces of an event stream, repeated and out of order, to one capture.

Each piece is read once, after the one before it: an `append` that is applied twice corrupts the text. The body names
the pieces it holds (`marks`), so that whoever has it can go on from there: a recorder that was started again, or
another socket on which the page subscribes in mid-stream.
"""

import re
from collections.abc import Sequence

from addon.answers.capture import Capture
from addon.answers.conversation import MISSING
from addon.answers.legs import FindLegs, Leg, no_legs
from addon.errors import StreamError
from addon.exchange import Closing, Opening
from addon.records import Record
from addon.sockets.marks import Marks, named_in, waiting_in, waiting_line
from addon.sockets.order import Order
from addon.sockets.pubsub import Piece
from addon.wire.evidence import pieces

MAX_WAIT_MICROSECONDS = 2_000_000
"""How long a piece waits for the one before it: catchups may come after what is live."""

_EDIT = re.compile(rb"^event: ?delta\r?$", re.MULTILINE)
_GAP = b'data: {"type":"%b"}\n\n' % MISSING.encode()


class Topic:
    """Feed it pieces as they come; `capture` reads each once. `earlier` are legs of the topic on other sockets.

    `find` finds the exchange that sent what it answers.

    `at` is when it last read one, `done` says that nothing more comes. `turn_complete` and `reported` are for the
    caller: that the turn is over says also something on another topic, and a person is told once.
    """

    def __init__(self, opening: Opening, find: FindLegs = no_legs, earlier: Sequence[Leg] = ()) -> None:
        self.capture = Capture(opening, b"", find)
        self.at = opening.started_at
        self.size = 0
        self.done = False
        self.turn_complete = False
        self.reported = False
        self._earlier = [(leg, frozenset(named_in(leg))) for leg in earlier if leg.body]
        self._order = Order()
        self._marks = Marks()
        self._begun = False
        self._endless = False
        self._changed = True

    @property
    def settled(self) -> bool:
        """Whether the service says that nothing more comes, and all that came has been read."""
        return self.done and not self.waits

    @property
    def waits(self) -> bool:
        """Whether something that came waits for what came before it."""
        return self._order.waiting > 0

    def restore(self, leg: Leg) -> None:
        """Become what was stored of this topic; what that says is written."""
        self._replay(leg, None)
        for piece in waiting_in(leg):
            self._order.add(piece, self.at)
        self.done = self.reported = leg.state == "complete"
        self.checkpoint()

    def feed(self, piece: Piece, at: int) -> list[Record]:
        """A piece has come: what must be written because of it."""
        waiting = self._order.waiting
        released = self._order.add(piece, at)
        self._changed = self._changed or self._order.waiting != waiting
        if self._begun or not self._earlier:
            records: list[Record] = []
        elif begins(piece):
            self._earlier, records = [], []
        else:
            records = self._go_on(piece, at)
            if self._begun:
                released = self._order.ready()
        records += self._read(released, at)
        if self._order.exhausted and not self._endless:
            self._endless = True  # said once; what comes from here on is not read
            records += self.miss(at)
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
        # Until it is read, the stored body is all that holds what waits.
        comments = self._marks.pending + b"".join(map(waiting_line, self._order.held))
        return self.capture.checkpoint(self.at, Closing("end") if self.settled else None, comments)

    def close(self, closing: Closing, at: int) -> list[Record]:
        """The end of a topic that is finished, or of the socket it came on."""
        records = self.give_up(max(at, self.at))
        return records + (self.checkpoint() if self.settled else self.capture.close(closing, at))

    def _go_on(self, piece: Piece, at: int) -> list[Record]:
        """Read the newest leg that a piece can follow, as if it came here."""
        for leg, named in reversed(self._earlier):
            known = {identity for identity, _ in named}
            if piece.parent in known or (piece.identity, piece.offset) in named or piece.parent is None:
                self._earlier = []
                return self._replay(leg, at)
        return []

    def _replay(self, leg: Leg, at: int | None) -> list[Record]:
        records: list[Record] = []
        for identity, offset in named_in(leg):
            self._order.note(identity, offset)
        try:
            for piece, after in pieces(leg.body, leg.arrivals):
                self._begun = True
                self._marks.passed(piece)
                self.at = leg.started_at + after if at is None else at
                self.size += len(piece)
                records += self.capture.feed(piece, self.at)
        except StreamError:
            pass  # it counts as far as it can be read
        return records

    def _read(self, released: Sequence[Piece | None], at: int) -> list[Record]:
        records: list[Record] = []
        for piece in released:
            self.at = max(self.at, at)
            if piece is None or not (self._begun or begins(piece) or _EDIT.search(piece.text) is None):
                # Also where a stream would begin with an edit of what nobody has seen.
                records += self.capture.feed(b"\n\n" * self._marks.line_open + _GAP, at)
                self._marks.line_open = False
            self._changed = self._begun = True
            if piece is not None:
                self.size += len(piece.text)
                self.done = self.done or piece.done
                text = self._marks.place(piece)
                if piece.done and self._marks.line_open:
                    self._marks.passed(b"\n")
                    text += b"\n\n"
                records += self.capture.feed(text, at)
        return records


def begins(piece: Piece) -> bool:
    """Whether a stream begins with this piece, whatever it names as the one before it."""
    return re.match(rb"\s*event: ?delta_encoding", piece.text) is not None

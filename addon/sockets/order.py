"""Order in what a topic delivers: pieces as they come in, each once and after the one before it out.

Sans-I/O. A piece may be delivered again and again, and what is live may overtake what is caught up. One whose
predecessor has not come waits for it; how long is for the caller to say.
"""

import re
from collections.abc import Iterator

from addon.sockets.pubsub import Piece

MAX_PIECES = 1_000_000
"""Pieces that are told apart; an honest answer has some thousands."""

MAX_WAITING, MAX_WAITING_BYTES = 1000, 4 * 1024 * 1024

_BEGINNING = re.compile(rb"\s*event: ?delta_encoding")
_TRIES = 3


class Order:
    """What has come of one topic; only what still waits is held, of the others a number each."""

    def __init__(self) -> None:
        self.waiting = 0
        self._known: set[int] = set()
        self._followers: dict[int, list[tuple[Piece, int]]] = {}
        self._held: set[int] = set()
        self._held_bytes = 0
        self._end: Piece | None = None
        # Whether what pieces name as the one before them has been such a piece, and how often it was not.
        self._linked = False
        self._unlinked = 0

    @property
    def full(self) -> bool:
        """Whether nothing more should wait."""
        return self.waiting > MAX_WAITING or self._held_bytes > MAX_WAITING_BYTES

    @property
    def waits_since(self) -> int | None:
        """When the piece came that waits longest."""
        return next(iter(self._followers.values()))[0][1] if self._followers else None

    @property
    def held(self) -> list[Piece]:
        """What waits."""
        waiting = [piece for pieces in self._followers.values() for piece, _ in pieces]
        return [piece for piece in waiting if _key(piece.identity, piece.offset) in self._held]

    @property
    def exhausted(self) -> bool:
        """Whether so much has come that nothing more is let through."""
        return len(self._known) >= MAX_PIECES

    def note(self, identity: str | None, offset: str | None) -> None:
        """A piece that has been read elsewhere; where it waits here, it need not be read again."""
        key = _key(identity, offset)
        self._known.add(key)
        if key in self._held:
            self._held.discard(key)
            self.waiting -= 1
        self._linked = True  # what comes next names one of these, or something is missing

    def ready(self) -> list[Piece]:
        """What need not wait any longer after `note`."""
        released: list[Piece] = []
        for parent in [parent for parent in self._followers if parent in self._known and parent not in self._held]:
            for piece in self._let_go(parent):
                released += self._with_followers(piece)
        return released

    def knows(self, piece: Piece) -> bool:
        """Whether a piece has come, or the one before it has."""
        return _key(piece.identity, piece.offset) in self._known or self._has(piece.parent)

    def add(self, piece: Piece, at: int) -> list[Piece]:
        """The pieces that can be read now that this one has come, at `at`: none when it was here before, or waits."""
        key = _key(piece.identity, piece.offset)
        if key in self._known or self.exhausted:
            return []
        self._known.add(key)
        self._linked = self._linked or (piece.parent is not None and _key(piece.parent) in self._known)
        if piece.done and self.waiting:
            self._end = piece
            return []
        if piece.parent is None or self._has(piece.parent) or _BEGINNING.match(piece.text):
            return self._with_followers(piece)
        if self._unlinked >= _TRIES and not self._linked:
            return self._with_followers(piece)  # what it names as its parent must be something else
        self._followers.setdefault(_key(piece.parent), []).append((piece, at))
        self._held.add(key)
        self.waiting += 1
        self._held_bytes += len(piece.text)
        return []

    def give_up(self) -> list[Piece | None]:
        """All that waits, in the order in which it came; None stands where something never came."""
        released: list[Piece | None] = []
        while self._followers:
            for piece in self._let_go(next(iter(self._followers))):
                if self._linked:
                    released.append(None)
                self._unlinked += not self._linked
                released += self._with_followers(piece)
        return released

    def _has(self, identity: str | None) -> bool:
        if identity is None:
            return False
        key = _key(identity)
        return key in self._known and key not in self._held

    def _let_go(self, parent: int) -> Iterator[Piece]:
        """The pieces that wait for one, one after the other; without those that have been read elsewhere."""
        for piece, _ in self._followers.pop(parent, []):
            self._held_bytes -= len(piece.text)
            key = _key(piece.identity, piece.offset)
            if key in self._held:
                self._held.discard(key)
                self.waiting -= 1
                yield piece

    def _with_followers(self, piece: Piece) -> list[Piece]:
        released = [piece]
        for one in released:  # grows while it is gone through
            if one.identity is not None:
                released += self._let_go(_key(one.identity))
        if self._end is not None and not self.waiting:
            end, self._end = self._end, None
            released.append(end)
        return released


def _key(identity: str | None, offset: str | None = None) -> int:
    """A number for a piece, by the service's id of it or else by its place: a set of numbers is half a set of texts."""
    return hash(identity if identity is not None else ("offset", offset))

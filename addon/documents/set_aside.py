"""A message of a large conversation that lies elsewhere until its turn comes: what is asked of it before is here.

Whoever orders the tree asks for ids and times; only who reads the message itself needs all of it.
"""

from typing import Any, Protocol

KEPT = ("id", "role", "create_time", "update_time")
"""The members of a message that are asked for before it is read."""


class Aside(Protocol):
    """Where messages lie."""

    def read(self, start: int, length: int) -> Any:
        """The node, or the message, that was laid there."""


class SetAside(dict[str, Any]):
    """The `KEPT` members of a message; it lies in `aside`, `length` bytes, as it stood in its list, or in its node."""

    __slots__ = ("_aside", "_in_node", "_start", "length")

    def __init__(self, kept: dict[str, Any], aside: Aside, place: tuple[int, int], *, in_node: bool) -> None:
        super().__init__(kept)
        self._aside, self._in_node = aside, in_node
        self._start, self.length = place

    def whole(self) -> Any:
        """All of the message."""
        value = self._aside.read(self._start, self.length)
        return value["message"] if self._in_node else value


def whole(message: Any) -> Any:
    """A message, wherever it lies."""
    return message.whole() if isinstance(message, SetAside) else message

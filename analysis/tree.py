"""The tree of one conversation, from what its messages say about their parents: which branch is shown, what stands
beside.

Parents may be missing (nothing was captured before a message) or go round in a circle; every message has one place all
the same. Pieces whose beginning is missing stand one after another, in the order in which they were first seen.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

type Node = tuple[int, str, str | None]
"""`n`, `id` and `parent_id` of a message."""


@dataclass(frozen=True, slots=True)
class Step:
    """One message of a branch. `siblings` are the ids of all messages in its place, itself among them, oldest first.

    `gap`: what came directly before it was not captured.
    """

    n: int
    id: str
    siblings: tuple[str, ...]
    gap: bool = False


class Tree:
    """The messages of one conversation in their places."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._numbers: dict[str, int] = {}
        parents: dict[str, str | None] = {}
        for n, identity, parent in sorted(nodes):
            self._numbers[identity] = n
            parents[identity] = parent
        self._parents = _acyclic(parents)
        # Where a parent was not captured its name still says which messages stand in one place.
        self._children: dict[str | None, list[str]] = defaultdict(list)
        self._beside: dict[tuple[str, str | None], list[str]] = defaultdict(list)
        for identity, parent in self._parents.items():
            self._children[parent].append(identity)
            self._beside[_place(identity, parent, parents[identity])].append(identity)
        self._said = parents

    def __contains__(self, identity: str) -> bool:
        return identity in self._numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def leaf(self, identity: str) -> str:
        """The end of the branch through a message: always on to the newest child."""
        while children := self._children.get(identity):
            identity = children[-1]
        return identity

    def newest(self) -> str | None:
        """The message that was seen last."""
        return max(self._numbers, key=self._numbers.__getitem__, default=None)

    def branch(self, leaf: str) -> list[Step]:
        """The messages from the first to `leaf`; before a piece without a beginning stands the piece before it."""
        steps: list[Step] = []
        identity: str | None = leaf
        while identity is not None:
            parent = self._parents[identity]
            said = self._said[identity]
            siblings = tuple(self._beside[_place(identity, parent, said)])
            before = None if parent is not None else self._piece_before(siblings[0])
            steps.append(Step(self._numbers[identity], identity, siblings, gap=before is not None))
            identity = parent if parent is not None else before
        return steps[::-1]

    def _piece_before(self, root: str) -> str | None:
        """The end of the newest branch of the piece that began before this one."""
        earlier = [other for other in self._children[None] if self._numbers[other] < self._numbers[root]]
        # Messages in one place are no earlier piece of each other.
        place = _place(root, None, self._said[root])
        others = [other for other in earlier if _place(other, None, self._said[other]) != place]
        return self.leaf(others[-1]) if others else None


def _place(identity: str, parent: str | None, said: str | None) -> tuple[str, str | None]:
    """Where a message stands: under its parent, under one that is not there, or by itself."""
    if parent is not None:
        return "under", parent
    return ("under the absent", said) if said is not None else ("alone", identity)


def _acyclic(parents: dict[str, str | None]) -> dict[str, str | None]:
    """Each message's parent among the messages; None where it is not there, or would close a circle."""
    known: dict[str, str | None] = {}
    safe: set[str] = set()
    for start in parents:
        trail: list[str] = []
        on_trail: set[str] = set()
        identity: str | None = start
        while identity is not None and identity in parents and identity not in safe:
            if identity in on_trail:
                known[identity] = None
                break
            trail.append(identity)
            on_trail.add(identity)
            identity = parents[identity]
        for step in trail:
            parent = parents[step]
            known.setdefault(step, parent if parent in parents else None)
        safe.update(trail)
    return known

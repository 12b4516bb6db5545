"""The messages of a conversation document, in the order of its tree: each after the one that it answers.

Two shapes: a `mapping` of nodes with `parent` and `children` (the page until 2026, shared links, exports), and a
list of messages, or of nodes, of one branch. Pure; untrusted like all input: a mapping may be a list, parents may be
missing or go round in a circle, ids are strings and nothing more.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from addon.answers.messages import Parent
from addon.wire.payload import array, mapping, scalars, string


@dataclass(frozen=True, slots=True)
class Node:
    """A place in the tree; `message` is whatever stood there and was not null. `id` is None when it has none."""

    id: str | None
    message: Any
    parent: Parent


def nodes(document: dict[str, Any]) -> Iterator[Node]:
    """Every node that holds something; one that only joins others is left out and its children hang where it hung."""
    given = given_nodes(document)
    yield from _tree(given)
    for key in ("messages", "linear_conversation"):
        if isinstance(document.get(key), list):
            yield from _branch(document[key], given)
            return


def given_nodes(document: dict[str, Any]) -> dict[str, Any]:
    """The nodes of a document's mapping by their ids, as they stand there."""
    return dict(_entries(document.get("mapping")))


def _entries(given: Any) -> Iterable[tuple[str, Any]]:
    """The nodes of a mapping by their ids, which are those of their messages."""
    if isinstance(given, dict):
        return ((scalars(key), node) for key, node in given.items() if node is not None)
    return (
        (identity, node)
        for node in array(given)
        if (identity := string(mapping(node).get("id")) or string(mapping(message_at(node)).get("id")))
    )


def _tree(given: dict[str, Any]) -> Iterator[Node]:
    parents = parents_of(given)
    stands_for: dict[str, str] = {}
    for key in _in_order(given, parents):
        parent = parents.get(key)
        above = stands_for.get(parent, parent) if parent is not None else None
        message = message_at(given[key])
        if message is not None:
            yield Node(key, message, Parent(above, placed=True))
        elif above is not None:
            stands_for[key] = above  # but a root stands for itself: that is what its children are known to hang on


def message_at(node: Any) -> Any:
    """What stands at a node; a node that is no object is itself what stands there."""
    return node.get("message") if isinstance(node, dict) else node


def parents_of(given: dict[str, Any]) -> dict[str, str]:
    """What each node says is above it, else what says to have it among its children."""
    parents: dict[str, str] = {}
    for key, node in given.items():
        for child in array(mapping(node).get("children")):
            if isinstance(child, str):
                parents.setdefault(scalars(child), key)
    for key, node in given.items():
        parent = string(mapping(node).get("parent"))
        if parent is not None:
            parents[key] = parent
    return parents


def _in_order(given: dict[str, Any], parents: dict[str, str]) -> Iterator[str]:
    """Depth first from the roots, siblings as the mapping orders them; circles, which have no root, at the end."""
    children: dict[str, list[str]] = {}
    roots = []
    for key in given:
        parent = parents.get(key)
        if parent is None or parent == key or parent not in given:
            roots.append(key)
        else:
            children.setdefault(parent, []).append(key)
    done: set[str] = set()
    for start in (*roots, *given):
        waiting = [start]
        while waiting:
            key = waiting.pop()
            if key not in done:
                done.add(key)
                yield key
                waiting.extend(reversed(children.get(key, ())))


def _branch(items: list[Any], given: dict[str, Any]) -> Iterator[Node]:
    """The messages of a list, each below the one before it unless it says otherwise; those of the tree are left out."""
    before: str | None = None
    for item in items:
        node = mapping(item)
        message = node.get("message", item)
        identity = string(mapping(message).get("id")) or string(node.get("id"))
        if message is not None and (identity is None or identity not in given):
            parent = string(node.get("parent")) if "message" in node else None
            yield Node(identity, message, Parent(parent or before, placed=parent is not None))
        before = identity or before

"""What is odd about a conversation document, though all of its messages are read: how often, and where first.

Pure. A tree may hang together as none can, ids and times may be what the service never sends: somebody edited the
file, or another program wrote it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from addon.documents.conversation_ids import named_id
from addon.documents.document_tree import given_nodes, message_at, parents_of
from addon.wire.payload import array, has_half, integer, loads, mapping, microseconds, string

type Kind = Literal["circle", "parent", "id", "time", "half"]
"""Parents that go round in a circle or are not there, ids that are no UUIDs, times that are none, halves of characters.
"""

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_TIMES = ("create_time", "update_time")
_NO_TIME = (None, "", 0)
_OF_MESSAGES = ("mapping", "messages", "linear_conversation")


ODD_DOCUMENT = "odd_document"
"""The type of the event that says so of a document which the page loaded: once, however often it is met in it."""


@dataclass(frozen=True, slots=True)
class Oddity:
    """One kind of what is odd; `first` is the message it was first met at, None for the conversation itself."""

    kind: Kind
    count: int
    first: str | None


def oddities(document: dict[str, Any], *, halves: bool = True) -> Iterator[Oddity]:
    """What is odd about a document; without `halves` nobody looks for halves of characters."""
    halves = halves and has_half(document)
    if not halves and _is_usual(document):
        return
    given = given_nodes(document)
    parents = parents_of(given)
    messages = list(_messages(document, given))
    whole = {name: value for name, value in document.items() if name not in _OF_MESSAGES}
    whole["mapping"] = [*mapping(document.get("mapping"))]
    everything: list[tuple[str | None, Any]] = [(None, whole), *messages]
    found: dict[Kind, list[str | None]] = {
        "circle": [*_in_circles(given, parents)],
        "parent": [key for key, parent in parents.items() if key in given and parent not in given],
        "id": [*_no_uuids(named_id(document), messages)],
        "time": [key for key, holder in everything for name in _TIMES if not _is_time(mapping(holder).get(name))],
        "half": [key for key, holder in everything if has_half(holder)] if halves else [],
    }
    yield from (Oddity(kind, len(places), places[0]) for kind, places in found.items() if places)


def as_data(found: Iterable[Oddity]) -> dict[str, Any]:
    """What an `ODD_DOCUMENT` event says of these; nothing of ids, which are any text."""
    return {oddity.kind: {"count": oddity.count, "first": oddity.first} for oddity in found if oddity.kind != "id"}


def oddities_in(data: str) -> Iterator[Oddity]:
    """The inverse of `as_data`, of its JSON."""
    kinds: tuple[Kind, ...] = ("circle", "parent", "time", "half")
    for kind in kinds:
        if told := mapping(mapping(loads(data.encode())).get(kind)):
            yield Oddity(kind, integer(told.get("count")) or 0, string(told.get("first")))


def _is_usual(document: dict[str, Any]) -> bool:
    """Whether a glance at each node tells that nothing is odd: a third of the time, for nearly all conversations."""
    nodes, identity = document.get("mapping"), named_id(document)
    if type(nodes) is not dict or "messages" in document or "linear_conversation" in document:
        return False
    if not (identity is None or _UUID.fullmatch(identity)) or not all(_is_time(document.get(name)) for name in _TIMES):
        return False
    above = set[str]()
    for key, node in nodes.items():
        parent = node.get("parent", 0) if type(node) is dict else 0
        if not (parent is None or (type(parent) is str and parent in above)):
            return False
        above.add(key)
        if (message := node.get("message")) is None:
            continue
        if type(message) is not dict or not _UUID.fullmatch(key):
            return False
        for name in _TIMES:
            at = message.get(name)
            if not (at is None or (type(at) is float and 1e9 < at < 1e11) or _is_time(at)):
                return False
    return True


def _messages(document: dict[str, Any], given: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The messages of the tree, or of a list, by their ids."""
    for key, node in given.items():
        if isinstance(message := message_at(node), dict):
            yield key, message
    for key in ("messages", "linear_conversation"):
        for item in array(document.get(key)):
            message = mapping(mapping(item).get("message", item))
            identity = string(message.get("id"))
            if identity is not None and identity not in given:
                yield identity, message


def _in_circles(given: dict[str, Any], parents: dict[str, str]) -> Iterator[str]:
    settled: set[str] = set()
    for start in given:
        key, walked = start, dict[str, None]()
        while key in parents and key not in settled and key not in walked:
            walked[key] = None
            key = parents[key]
        if key in walked:
            circle = list(walked)
            yield from circle[circle.index(key) :]
        settled.update(walked)


def _no_uuids(conversation_id: str | None, messages: Iterable[tuple[str, Any]]) -> Iterator[str | None]:
    if conversation_id is not None and not _UUID.fullmatch(conversation_id):
        yield None
    yield from (key for key, _ in messages if not _UUID.fullmatch(key))


def _is_time(value: Any) -> bool:
    return value in _NO_TIME or microseconds(value) is not None

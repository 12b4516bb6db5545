"""Which conversation a document is: the id that it names or, where it names none, one that is made up and stays.

Pure. Exports have been seen to lack ids, or to have ids that are no text. What such a conversation begins with tells it
from all others, in later exports too, when it has grown.
"""

from hashlib import sha256
from typing import Any

from addon.documents.document_tree import Node, nodes
from addon.wire.payload import dumps, mapping, microseconds, string

MADE_UP = "unnamed-"
"""What ids that are not the service's begin with."""

_DIGITS = 32


def named_id(document: dict[str, Any]) -> str | None:
    """The id that a document names."""
    return string(document.get("conversation_id")) or string(document.get("id"))


def made_up_id(document: dict[str, Any]) -> str:
    """An id for a document that names none: of its first message and when it was begun, else of all that it says."""
    first = _first(list(nodes(document)))
    said = [document.get("create_time"), first] if first is not None else sorted(document.items())
    return MADE_UP + sha256(dumps(said).encode()).hexdigest()[:_DIGITS]


def _first(tree: list[Node]) -> str | None:
    """The message that a conversation begins with: of several, as when the first was edited, the oldest."""
    ids = {node.id for node in tree}
    begins = [
        (microseconds(mapping(node.message).get("create_time")) or 2**62, node.id)
        for node in tree
        if node.id is not None and node.parent.id not in ids
    ]
    return min(begins)[1] if begins else None

"""JSON in the shape of ChatGPT's own export: `conversations.json`, an array of conversations with all their branches.

What reads an official export reads this; our own import of it gives the same conversations, messages and images. The
model that was asked for stands beside what a message says, where its metadata does not name it: others pass it by. What
only the capture knows is not in that shape: exchanges, times of tokens, earlier versions, raw bodies.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from addon.answers.messages import REQUESTED_MODEL
from addon.store.message_objects import conversation_object, message_object
from addon.wire.payload import dumps
from analysis.exports.media import Copies
from analysis.exports.names import plain_id
from analysis.exports.runs import Joined
from analysis.exports.talks import Talk, about
from analysis.queries.threads import mentioned_in, nodes, stored_messages

SHAPE = Joined("conversations.json", b"[\n", b",\n", b"\n]\n")


class OfficialExport:
    """Conversations as elements of the array; their files lie beside it under the ids by which messages name them."""

    def __init__(self, copies: Copies | None) -> None:
        self._copies = copies

    def conversation(self, db: sqlite3.Connection, talk: Talk) -> Iterator[bytes]:
        """One element, piece by piece."""
        if self._copies is not None:
            for mention in (each for mentions in mentioned_in(db, talk.id).values() for each in mentions):
                self._copies.take(mention, plain_id(mention.asset_id))
        known = dumps(conversation_object(about(db, talk)))
        yield f'{known[:-1]},"mapping":{{'.encode()
        comma = b""
        for node in _nodes(db, talk):
            yield comma + node
            comma = b","
        yield b"}}"


def _nodes(db: sqlite3.Connection, talk: Talk) -> Iterator[bytes]:
    children: dict[str, list[str]] = defaultdict(list)
    tree = nodes(db, talk.id)
    for _, identity, parent in tree:
        if parent is not None:
            children[parent].append(identity)
    there = {identity for _, identity, _ in tree}
    # What messages name as their parent and is not there was the root, which has no message, or was not captured.
    for parent in [parent for parent in children if parent not in there]:
        yield _node(parent, None, None, children)
    for row in stored_messages(db, talk.id):
        message = message_object(row)
        if row["requested_model"] and not message["metadata"].get("requested_model_slug"):
            message[REQUESTED_MODEL] = row["requested_model"]
        yield _node(row["id"], message, row["parent_id"], children)


def _node(identity: str, message: dict[str, Any] | None, parent: str | None, children: dict[str, list[str]]) -> bytes:
    node = {"id": identity, "message": message, "parent": parent, "children": children.get(identity, [])}
    return f"{dumps(identity)}:{dumps(node)}".encode()

"""Conversation documents -> records: what the page loads when an old chat is opened, and each item of an export.

Pure. A document is the service's own account of a conversation, so it is authoritative for the tree; which of two
accounts of one message stays is for the store to decide (`message_rows`). What cannot be read becomes a record with
`recognised=False`; nothing in a document raises.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from addon.answers.messages import read_message
from addon.archive import VERSION
from addon.documents.conversation_fields import about_conversation
from addon.documents.conversation_ids import named_id
from addon.documents.document_reading import DocumentReading
from addon.documents.document_tree import Node, nodes
from addon.documents.oddities import ODD_DOCUMENT, as_data, oddities
from addon.documents.set_aside import whole
from addon.records import Record
from addon.wire.payload import array, microseconds, string

if TYPE_CHECKING:
    from hashlib import _Hash

_HOLDS_MESSAGES = ("mapping", "messages", "linear_conversation")


def digest_of(document: bytes) -> str:
    """What tells one conversation document, as it was read by this version, from every other."""
    digest = begun_digest()
    digest.update(document)
    return digest.hexdigest()


def begun_digest() -> "_Hash":
    """The digest of a document that comes piece by piece: `update` it with all of them."""
    return sha256(b"%d as usual\n" % VERSION)


def message_count(document: dict[str, Any]) -> int:
    """How many messages a document holds, told in passing."""
    held = document.get("mapping")
    found = held.values() if isinstance(held, dict) else array(held)
    return sum(1 for node in found if isinstance(node, dict) and isinstance(node.get("message"), dict))


def conversation_records(
    document: dict[str, Any], reading: DocumentReading, conversation_id: str | None = None, *, partial: bool = False
) -> Iterator[Record]:
    """The records of one conversation object: first the conversation, then its messages, parents before children.

    `conversation_id` is used where the document names none. `partial` when it is one page of a longer branch: its last
    message need not be the newest then.
    """
    identity = named_id(document) or conversation_id
    if identity is None or not any(isinstance(document.get(key), dict | list) for key in _HOLDS_MESSAGES):
        yield from reading.unrecognised("conversation", document, identity)
    tree = list(nodes(document))
    if identity is not None:
        current = string(document.get("current_node")) or (None if partial else _newest(document, tree))
        yield about_conversation(identity, document, reading.seen, current)
    for node in tree:
        if node.id is None or not isinstance(node.message, dict):
            yield from reading.unrecognised("node", node.message, identity, node.id)
        else:
            yield read_message(node.id, whole(node.message), identity, reading.seen, node.parent)


def page_records(
    document: dict[str, Any], reading: DocumentReading, conversation_id: str | None = None, *, partial: bool = False
) -> Iterator[Record]:
    """The same of one that the page loads, and an event where it is odd: its raw body is kept, so nothing is lost."""
    yield from conversation_records(document, reading, conversation_id, partial=partial)
    if odd := as_data(oddities(document, halves=False)):
        yield from reading.event(ODD_DOCUMENT, odd, named_id(document) or conversation_id)


def _newest(document: dict[str, Any], tree: list[Node]) -> str | None:
    """The message that the branch ends with, where the document does not say so: the last made, or last in the list."""
    readable = [node for node in tree if node.id is not None and isinstance(node.message, dict)]
    if not readable:
        return None
    if document.get("mapping"):
        return max(reversed(readable), key=lambda node: microseconds(node.message.get("create_time")) or 0).id
    return readable[-1].id

"""Messages of conversations of which the archive has none -> rows, many at once: nearly all that an import brings.

There is nothing that they could be compared with, so the rules of `message_rows` have nothing to decide, and nobody
needs to be asked about each of them whether it is there, what its conversation is called, whether files wait for it.
"""

import sqlite3
from collections.abc import Sequence

from addon.records import Conversation, DocumentRead, Message, Record, Stream, TypedEvent
from addon.store.asset_rows import waited_for
from addon.store.attachments import attach_new, brings
from addon.store.message_rows import insert_messages, write_message
from addon.store.rows import ensure_conversation
from addon.wire.payload import dumps

_SEVERAL = 4

_OF_EXPORTS = frozenset({Stream, Conversation, Message, DocumentRead, TypedEvent})
"""Records that change no message but those that they are."""

_IS_KNOWN = "SELECT 1 FROM messages WHERE conversation_id = ? LIMIT 1"
_SOME_NAMELESS = "SELECT 1 FROM messages WHERE conversation_id IS NULL LIMIT 1"
# Written before its conversation had a name, and perhaps of this one.
_NAMELESS = f"{_SOME_NAMELESS.removesuffix(' LIMIT 1')} AND id IN (SELECT value FROM json_each(?)) LIMIT 1"


def are_all_new(db: sqlite3.Connection, records: Sequence[Record]) -> bool:
    """Whether these change no message that is in the archive."""
    messages = [record for record in records if isinstance(record, Message)]
    return all(type(record) in _OF_EXPORTS for record in records) and _are_new(db, messages)


def write_messages(db: sqlite3.Connection, messages: Sequence[Message]) -> None:
    """Store observations of messages of one conversation, as if one after another."""
    distinct = len(messages) >= _SEVERAL and len({message.id for message in messages}) == len(messages)
    if not distinct or not _are_new(db, messages):
        for message in messages:
            write_message(db, message)
        return
    first = messages[0]
    ensure_conversation(db, first.conversation_id, first.source, first.at)
    number = insert_messages(db, messages)
    waited = waited_for(db, [message.id for message in messages])
    for place, message in enumerate(messages):
        if brings(message) or message.id in waited:
            attach_new(db, message, number + place, waited_for=message.id in waited)


def _are_new(db: sqlite3.Connection, messages: Sequence[Message]) -> bool:
    for conversation_id in {message.conversation_id for message in messages}:
        if conversation_id is None or db.execute(_IS_KNOWN, (conversation_id,)).fetchone():
            return False
    if db.execute(_SOME_NAMELESS).fetchone() is None:
        return True
    return db.execute(_NAMELESS, (dumps([message.id for message in messages]),)).fetchone() is None

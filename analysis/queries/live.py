"""What is growing now, for whoever looks on while answers stream."""

import json
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple


class GrowingMessage(NamedTuple):
    """A message that is streaming, or has just ended (`live` 0): what it says so far."""

    n: int
    id: str
    conversation_id: str | None
    conversation_title: str | None
    role: str | None
    author_name: str | None
    recipient: str | None
    content_type: str | None
    status: str | None
    text: str | None
    transcript: str | None
    model_slug: str | None
    live: int
    visible: int


_QUERY = """SELECT m.n, m.id, m.conversation_id, c.title, m.role, m.author_name, m.recipient, m.content_type, m.status,
                   m.text, m.transcript, m.model_slug, m.live, m.visible
            FROM messages m LEFT JOIN conversations c ON c.id = m.conversation_id WHERE {} ORDER BY m.n"""


def newest_message(db: sqlite3.Connection) -> int:
    """The number of the message that was first seen last, 0 when there is none."""
    number: int | None = db.execute("SELECT max(n) FROM messages").fetchone()[0]
    return number or 0


def latest_write(db: sqlite3.Connection) -> int:
    """A number that is another one when anybody has written since this connection last looked."""
    version: int = db.execute("PRAGMA data_version").fetchone()[0]
    return version


def newest_rows(db: sqlite3.Connection) -> tuple[int | str | None, ...]:
    """What is another when anything new was captured, whichever connection asks; by indexes."""
    query = """SELECT (SELECT max(n) FROM messages), (SELECT max(started_at) FROM streams),
                      (SELECT max(id) FROM image_generations)"""
    return tuple(db.execute(query).fetchone())


def last_written(db: sqlite3.Connection, conversation_id: str) -> str:
    """When a message of a conversation was last written; "" where there is none."""
    query = "SELECT max(last_seen_at) FROM messages WHERE conversation_id = ?"
    return str(db.execute(query, [conversation_id]).fetchone()[0] or "")


def is_growing(db: sqlite3.Connection, conversation_id: str) -> bool:
    """Whether a message of a conversation grows now."""
    query = "SELECT 1 FROM messages WHERE conversation_id = ? AND live = 1 LIMIT 1"
    return db.execute(query, [conversation_id]).fetchone() is not None


def changed_since(db: sqlite3.Connection, numbers: Sequence[int], moment: str) -> set[int]:
    """Which of some messages were written after a time, or grow now, by `n`."""
    query = """SELECT m.n FROM json_each(?) wanted JOIN messages m ON m.n = wanted.value
               WHERE m.live = 1 OR m.last_seen_at > ?"""
    return {row[0] for row in db.execute(query, [json.dumps(list(numbers)), moment])}


def growing_messages(db: sqlite3.Connection) -> list[GrowingMessage]:
    """The messages that are growing now, in the order in which they began."""
    return [GrowingMessage(*row) for row in db.execute(_QUERY.format("m.live = 1"))]


def messages_after(db: sqlite3.Connection, n: int) -> list[GrowingMessage]:
    """The messages that were first seen after number `n` and came in an answer, not with an old conversation."""
    answering = "m.n > ? AND (SELECT s.kind FROM streams s WHERE s.id = m.stream_id) IN ('turn', 'resume', 'topic')"
    return [GrowingMessage(*row) for row in db.execute(_QUERY.format(answering), [n])]


def message_now(db: sqlite3.Connection, n: int) -> GrowingMessage | None:
    """A message as it is now."""
    row = db.execute(_QUERY.format("m.n = ?"), [n]).fetchone()
    return GrowingMessage(*row) if row else None

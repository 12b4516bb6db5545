"""What is growing now, for whoever looks on while answers stream."""

import sqlite3
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
    model_slug: str | None
    live: int
    visible: int


_QUERY = """SELECT m.n, m.id, m.conversation_id, c.title, m.role, m.author_name, m.recipient, m.content_type, m.status,
                   m.text, m.model_slug, m.live, m.visible
            FROM messages m LEFT JOIN conversations c ON c.id = m.conversation_id WHERE {} ORDER BY m.n"""


def newest_message(db: sqlite3.Connection) -> int:
    """The number of the message that was first seen last, 0 when there is none."""
    number: int | None = db.execute("SELECT max(n) FROM messages").fetchone()[0]
    return number or 0


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

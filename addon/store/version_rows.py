"""What a message said and `messages` does not: remembered once, a bounded number of times."""

import sqlite3
from dataclasses import dataclass

from addon.records import Message
from addon.store.rows import timestamp

_VERSIONS = 100
"""How many versions of a message are kept; the raw body of its stream holds all."""


@dataclass(frozen=True, slots=True)
class Said:
    """Content, text and status of a message, and the exchange that told them, where that is known."""

    content: str | None
    text: str | None
    status: str | None
    stream_id: str | None


def remember(db: sqlite3.Connection, number: int, at: int, reason: str, said: Said) -> int:
    """Remember what is not in `messages`; how many rows that took (0 when known)."""
    cursor = db.execute(
        "INSERT INTO message_versions (message_n, revision, replaced_at, reason, content, text, status, stream_id)"
        " SELECT ?1, (SELECT count(*) FROM message_versions WHERE message_n = ?1), ?2, ?3, ?4, ?5, ?6,"
        " (SELECT id FROM streams WHERE id = ?7)"
        " WHERE NOT EXISTS (SELECT 1 FROM message_versions WHERE message_n = ?1 AND content IS ?4)"
        " AND (SELECT count(*) FROM message_versions WHERE message_n = ?1) < ?8",
        (number, timestamp(at), reason, said.content, said.text, said.status, said.stream_id, _VERSIONS),
    )
    return cursor.rowcount


def said_too(db: sqlite3.Connection, new: Message, number: int, maker: str | None) -> bool:
    """Whether the exchange that made the row told this as well, before others changed it."""
    known = "SELECT 1 FROM message_versions WHERE message_n = ? AND content IS ? AND (stream_id = ? OR replaced_at > ?)"
    return db.execute(known, (number, new.content, maker, timestamp(new.at))).fetchone() is not None

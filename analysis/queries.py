"""What is asked of an archive, one typed function a question. Reads only, while the capture writes.

Rows are `sqlite3.Row`: by name or by place. Text columns named `..._at` are UTC in ISO 8601.
"""

import sqlite3
from pathlib import Path


def open_archive(path: Path) -> sqlite3.Connection:
    """Open an archive for reading. `sqlite3.OperationalError` when it is not there."""
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)
    db.row_factory = sqlite3.Row
    return db


def messages_in_progress(db: sqlite3.Connection) -> list[sqlite3.Row]:
    """The messages that are growing now: id, role, content_type, status, text so far."""
    query = "SELECT id, role, content_type, status, text FROM messages WHERE live = 1 ORDER BY n"
    return db.execute(query).fetchall()


def turns(db: sqlite3.Connection, limit: int = 100) -> list[sqlite3.Row]:
    """The latest exchanges, oldest first: title, models, prompt, answer, times in seconds, characters a second."""
    query = "SELECT * FROM (SELECT * FROM turns ORDER BY started_at DESC LIMIT ?) ORDER BY started_at"
    return db.execute(query, [limit]).fetchall()


def images(db: sqlite3.Connection, limit: int = 100) -> list[sqlite3.Row]:
    """The latest generated images, newest first, with both prompts: the person's and the tool's."""
    return db.execute("SELECT * FROM image_gallery ORDER BY created_at DESC LIMIT ?", [limit]).fetchall()


def search(db: sqlite3.Connection, words: str, limit: int = 20) -> list[sqlite3.Row]:
    """Messages that hold all the words, best first: id, conversation_id, title, role, snippet with [marks]."""
    # Each word as a phrase of its own: nothing in it is taken for FTS5's syntax.
    phrases = " ".join('"' + word.replace('"', '""') + '"' for word in words.split())
    query = """
        SELECT m.id, m.conversation_id, c.title, m.role, snippet(messages_fts, 0, '[', ']', '…', 12) AS snippet
        FROM messages_fts JOIN messages m ON m.n = messages_fts.rowid
        LEFT JOIN conversations c ON c.id = m.conversation_id
        WHERE messages_fts MATCH ? ORDER BY messages_fts.rank LIMIT ?"""
    return db.execute(query, [phrases, limit]).fetchall()


def event_types(db: sqlite3.Connection) -> list[sqlite3.Row]:
    """How often each type of typed event came: type, recognised, events."""
    query = (
        "SELECT type, recognised, count(*) AS events FROM events GROUP BY type, recognised ORDER BY events DESC, type"
    )
    return db.execute(query).fetchall()

"""The search indexes while many messages are written at once.

FTS5 writes what it has gathered whenever a statement ends that may have to be undone alone, so that a trigger for each
message costs five times the indexing itself. While `messages_fts_pause` holds a row the triggers leave new messages
alone; they are indexed together, within the same transaction: nobody ever sees the pause.
"""

import re
import sqlite3
from collections.abc import Sequence

from addon.records import Message, Record

_MANY = 20

# Scripts without blanks between words (Thai to Khmer, Chinese, Japanese, Korean), and code.
_IN_PARTS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff]|```"
)

# SQLite's usual page cache is smaller than what so many messages touch: pages would be written, and read, twice.
_MANY_KIB, _FEW_KIB = 16_000, 2_000


def in_parts(text: str | None) -> bool:
    """Whether parts of words are searched in a text: the index of them is the larger one, and dear to write."""
    return text is not None and _IN_PARTS.search(text) is not None


def pays_to_pause(records: Sequence[Record]) -> bool:
    """Whether there are so many messages that they are better indexed together."""
    return sum(isinstance(record, Message) for record in records) >= _MANY


def pause(db: sqlite3.Connection) -> None:
    """From here on new messages are not indexed, what happens to those before them is."""
    db.execute(f"PRAGMA cache_size = -{_MANY_KIB}")
    db.execute("INSERT INTO messages_fts_pause (after_n) SELECT coalesce(max(n), 0) FROM messages")


def resume(db: sqlite3.Connection) -> None:
    """Index what is new since `pause`."""
    (after,) = db.execute("DELETE FROM messages_fts_pause RETURNING after_n").fetchone()
    new = "SELECT n, text FROM messages WHERE live = 0 AND n > ?"
    db.execute(f"INSERT INTO messages_fts (rowid, text) {new}", (after,))
    db.execute(f"INSERT INTO messages_fts_cjk (rowid, text) {new} AND in_parts", (after,))
    db.execute(f"PRAGMA cache_size = -{_FEW_KIB}")

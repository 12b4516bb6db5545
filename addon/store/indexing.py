"""The search indexes while many messages are written at once.

FTS5 writes what it has gathered whenever a statement ends that may have to be undone alone, so that a trigger for each
message costs five times the indexing itself. So messages that are written together are indexed together, within the
same transaction: while `messages_fts_pause` holds a row the triggers leave new messages alone. Where nothing but new
messages is written they are not even asked: that alone costs a copy of each page that a message touches.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from addon.records import Message, Record
from addon.store.new_conversations import are_all_new

_MANY = 20
_VERY_MANY = 500

# SQLite's usual page cache is smaller than what so many messages touch: pages would be written, and read, twice.
_MANY_KIB, _FEW_KIB = 16_000, 2_000

_INDEX = {
    "messages_fts": "INSERT INTO messages_fts (rowid, text, transcript)"
    " SELECT n, text, transcript FROM messages WHERE live = 0 AND n > ?",
    "messages_fts_cjk": "INSERT INTO messages_fts_cjk (rowid, text) SELECT n, text FROM messages_in_parts WHERE n > ?",
}

# An index gathers so many bytes before it writes a segment, and merges segments from so many on: at its usual 4 what
# is indexed together would be written again and again. 0 leaves merging to FTS5's other rule, of 16 segments.
_TOGETHER = {"hashsize": 4 * 1024 * 1024, "automerge": 0}
_USUAL = {"hashsize": 1024 * 1024, "automerge": 4}


@contextmanager
def indexed_together(db: sqlite3.Connection, records: Sequence[Record]) -> Iterator[None]:
    """Within this these records are written; after it, within the same transaction, all messages are indexed."""
    count = sum(isinstance(record, Message) for record in records)
    if count < _MANY:
        yield
        return
    (last,) = db.execute("SELECT coalesce(max(n), 0) FROM messages").fetchone()
    alone = count >= _VERY_MANY and are_all_new(db, records)
    db.execute(f"PRAGMA cache_size = -{_MANY_KIB}")
    try:
        if alone:
            db.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER, False)
        else:
            db.execute("INSERT INTO messages_fts_pause (after_n) VALUES (?)", (last,))
        yield
        db.execute("DELETE FROM messages_fts_pause")
        _index_after(db, last, _TOGETHER if count >= _VERY_MANY else {})
    finally:
        db.setconfig(sqlite3.SQLITE_DBCONFIG_ENABLE_TRIGGER, True)
        db.execute(f"PRAGMA cache_size = -{_FEW_KIB}")


def _index_after(db: sqlite3.Connection, last: int, settings: Mapping[str, int]) -> None:
    """Index all messages after this one."""
    for index, entering in _INDEX.items():
        usual = _USUAL | {row["k"]: row["v"] for row in db.execute(f"SELECT k, v FROM {index}_config")}
        _set(db, index, settings)
        db.execute(entering, (last,))
        _set(db, index, {name: usual[name] for name in settings})


def _set(db: sqlite3.Connection, index: str, settings: Mapping[str, int]) -> None:
    for name, value in settings.items():
        db.execute(f"INSERT INTO {index} ({index}, rank) VALUES (?, ?)", (name, value))

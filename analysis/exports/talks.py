"""The conversations of an export, and what is read of one of them: always in one state, whoever writes meanwhile."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from analysis.errors import Unanswerable
from analysis.queries.archive import identify
from analysis.queries.conversations import ConversationFilter, identities

_FILES = """
    SELECT m.message_n, a.*, f.thumbnail_path
    FROM message_assets m JOIN assets a ON a.id = m.asset_id LEFT JOIN files f ON f.sha256 = a.sha256
    WHERE m.message_n IN (SELECT n FROM messages WHERE conversation_id = ?) ORDER BY m.message_n, a.id, m.role"""


class Talk(NamedTuple):
    """A conversation by its id."""

    id: str
    title: str | None


def talks(db: sqlite3.Connection, beginnings: Sequence[str] = (), only: ConversationFilter | None = None) -> list[Talk]:
    """Those whose ids begin so; without any, all that `only` lets through, in the order first seen.

    Raises `Unanswerable` where there is none.
    """
    if beginnings:
        return list(dict.fromkeys(_named(db, beginning) for beginning in beginnings))
    found = [Talk(*row) for row in db.execute("SELECT id, title FROM conversations ORDER BY rowid")]
    if only is None or only == ConversationFilter():
        return found
    fitting = set(identities(db, only))
    if not fitting:
        raise Unanswerable("no conversation is as you say; `list` with the same options shows which are")
    return [talk for talk in found if talk.id in fitting]


def nameless(db: sqlite3.Connection) -> int:
    """How many messages belong to no conversation: their streams broke off before it was named."""
    return int(db.execute("SELECT count(*) FROM messages WHERE conversation_id IS NULL").fetchone()[0])


@contextlib.contextmanager
def standing_still(db: sqlite3.Connection) -> Iterator[None]:
    """All that is read in this block is of one moment."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")


def about(db: sqlite3.Connection, talk: Talk) -> sqlite3.Row:
    """The row of the conversation."""
    row: sqlite3.Row = db.execute("SELECT * FROM conversations WHERE id = ?", (talk.id,)).fetchone()
    return row


def nodes(db: sqlite3.Connection, talk: Talk) -> list[tuple[int, str, str | None]]:
    """`n`, `id` and `parent_id` of all its messages."""
    query = "SELECT n, id, parent_id FROM messages WHERE conversation_id = ? ORDER BY n"
    return [(n, identity, parent) for n, identity, parent in db.execute(query, (talk.id,))]


def messages(db: sqlite3.Connection, talk: Talk) -> Iterator[sqlite3.Row]:
    """Its messages in the order in which they were first seen, one at a time."""
    yield from db.execute("SELECT * FROM messages WHERE conversation_id = ? ORDER BY n", (talk.id,))


def message(db: sqlite3.Connection, n: int) -> sqlite3.Row:
    """One message."""
    row: sqlite3.Row = db.execute("SELECT * FROM messages WHERE n = ?", (n,)).fetchone()
    return row


def files(db: sqlite3.Connection, talk: Talk) -> list[sqlite3.Row]:
    """The assets that its messages mention, each with `message_n`."""
    return db.execute(_FILES, (talk.id,)).fetchall()


def sources(db: sqlite3.Connection, n: int) -> list[dict[str, Any]]:
    """The rows of `citations` of a message."""
    query = "SELECT * FROM citations WHERE message_n = ? ORDER BY position"
    return [dict(row) for row in db.execute(query, (n,))]


def fingerprint(db: sqlite3.Connection, talk: Talk, manner: str) -> str:
    """What tells this state of a conversation, written in this manner, from every other."""
    digest = blake2b(repr((manner, tuple(about(db, talk)))).encode("utf-8", "surrogatepass"), digest_size=16)
    for row in messages(db, talk):
        digest.update(repr(tuple(row)).encode("utf-8", "surrogatepass"))
    for row in files(db, talk):
        digest.update(repr((row["message_n"], row["id"], row["path"], row["name"])).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _named(db: sqlite3.Connection, beginning: str) -> Talk:
    identity = identify(db, "conversations", beginning)
    return Talk(*db.execute("SELECT id, title FROM conversations WHERE id = ?", (identity,)).fetchone())

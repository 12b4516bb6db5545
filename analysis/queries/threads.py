"""One conversation as it reads: the messages of one branch, with what stands beside and under them."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from analysis.queries.sources import CITED
from analysis.tree import Step, Tree

_BATCH = 100
_MENTIONED = """SELECT m.message_n, m.role, a.id, a.kind, a.name, a.width, a.height, a.size_bytes, a.path, a.pointer,
                       a.mime_type, a.variant, f.thumbnail_path, g.id, g.prompt
                FROM message_assets m JOIN assets a ON a.id = m.asset_id LEFT JOIN files f ON f.sha256 = a.sha256
                LEFT JOIN image_generations g ON g.id = (SELECT id FROM image_generations WHERE asset_id = a.id LIMIT 1)
                WHERE m.message_n IN (SELECT value FROM json_each(?)) ORDER BY m.message_n, m.role, a.id"""


class ThreadMessage(NamedTuple):
    """A node of the tree. `n` numbers messages as they were first seen; `content` and `metadata` are JSON as sent,
    `transcript` is what was said aloud.

    `visible` is 0 for what the page does not show; `live` is 1 while it grows; `damaged` 1 when it may have a hole.
    """

    n: int
    id: str
    parent_id: str | None
    role: str | None
    author_name: str | None
    recipient: str | None
    channel: str | None
    content_type: str | None
    text: str | None
    transcript: str | None
    content: str | None
    status: str | None
    end_turn: int | None
    weight: float | None
    visible: int
    model_slug: str | None
    requested_model: str | None
    finish_type: str | None
    reasoning_seconds: float | None
    created_at: str | None
    updated_at: str | None
    first_seen_at: str
    first_token_at: str | None
    completed_at: str | None
    last_seen_at: str
    stream_id: str | None
    source: str | None
    revision: int
    live: int
    damaged: int
    metadata: str | None


class Source(NamedTuple):
    """A page that a message names, `position` from 0."""

    message_n: int
    position: int
    url: str
    title: str | None
    attribution: str | None
    snippet: str | None


class Mention(NamedTuple):
    """A file that a message mentions; `path` is in the media folder, None when its bytes never passed.

    `role` is `output`, `input`, `attachment` or `mask`; `variant` `thumbnail` where only a smaller form passed;
    `prompt` and `image_id` those of a generated image.
    """

    message_n: int
    role: str
    asset_id: str
    kind: str | None
    name: str | None
    width: int | None
    height: int | None
    size_bytes: int | None
    path: str | None
    pointer: str | None
    mime_type: str | None
    variant: str | None
    thumbnail_path: str | None
    image_id: int | None
    prompt: str | None


class CanvasDocument(NamedTuple):
    """A document beside a conversation, as it was when it was last loaded; of `versions` that are known."""

    id: str
    title: str | None
    textdoc_type: str | None
    content: str | None
    version: int
    versions: int


def nodes(db: sqlite3.Connection, conversation_id: str) -> list[tuple[int, str, str | None]]:
    """`n`, `id` and `parent_id` of all messages of a conversation; no texts are read."""
    query = "SELECT n, id, parent_id FROM messages WHERE conversation_id = ? ORDER BY n"
    return [(n, identity, parent) for n, identity, parent in db.execute(query, [conversation_id])]


def tree(db: sqlite3.Connection, conversation_id: str) -> Tree:
    """The tree of a conversation."""
    return Tree(nodes(db, conversation_id))


def branch(db: sqlite3.Connection, conversation_id: str, through: str | None = None) -> list[Step]:
    """The branch through a message, else the one that the page shows, from the first message to the last."""
    known = tree(db, conversation_id)
    row = db.execute("SELECT current_node FROM conversations WHERE id = ?", [conversation_id]).fetchone()
    for identity in (through, row["current_node"] if row else None, known.newest()):
        if identity is not None and identity in known:
            return known.branch(known.leaf(identity))
    return []


def messages(db: sqlite3.Connection, numbers: Sequence[int]) -> Iterator[ThreadMessage]:
    """Messages by their `n`, in the order of `numbers`; texts are read as they are asked for."""
    query = f"SELECT {', '.join(ThreadMessage._fields)} FROM messages WHERE n IN (SELECT value FROM json_each(?))"
    for start in range(0, len(numbers), _BATCH):
        wanted = numbers[start : start + _BATCH]
        found = {row["n"]: ThreadMessage(*row) for row in db.execute(query, [json.dumps(list(wanted))])}
        yield from (found[number] for number in wanted if number in found)


def stored_messages(db: sqlite3.Connection, conversation_id: str) -> Iterator[sqlite3.Row]:
    """The rows of a conversation with all their columns, in the order in which they were first seen, one at a time."""
    yield from db.execute("SELECT * FROM messages WHERE conversation_id = ? ORDER BY n", [conversation_id])


def stored_message(db: sqlite3.Connection, n: int) -> sqlite3.Row:
    """The row of a message with all its columns; it is there."""
    row: sqlite3.Row = db.execute("SELECT * FROM messages WHERE n = ?", [n]).fetchone()
    return row


def nameless(db: sqlite3.Connection) -> int:
    """How many messages belong to no conversation: their streams broke off before it was named."""
    return int(db.execute("SELECT count(*) FROM messages WHERE conversation_id IS NULL").fetchone()[0])


def cited(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, list[Source]]:
    """The pages that messages cite, in order and each once, by `n`."""
    query = f"""SELECT c.message_n, min(c.position), c.url, c.title, c.attribution, c.snippet FROM citations c
                WHERE c.message_n IN (SELECT value FROM json_each(?)) AND {CITED}
                GROUP BY c.message_n, c.url ORDER BY c.message_n, 2"""
    found: dict[int, list[Source]] = defaultdict(list)
    for row in db.execute(query, [json.dumps(list(numbers))]):
        found[row["message_n"]].append(Source(*row))
    return found


def mentioned(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, list[Mention]]:
    """The files that messages mention, by `n`."""
    found: dict[int, list[Mention]] = defaultdict(list)
    for row in db.execute(_MENTIONED, [json.dumps(list(numbers))]):
        found[row["message_n"]].append(Mention(*row))
    return found


def mentioned_in(db: sqlite3.Connection, conversation_id: str) -> dict[int, list[Mention]]:
    """The files that all messages of a conversation mention, by `n`."""
    return mentioned(db, [n for n, _, _ in nodes(db, conversation_id)])


def documents(db: sqlite3.Connection, conversation_id: str, limit: int = 50) -> list[CanvasDocument]:
    """The canvas documents of a conversation, in the order in which they were begun."""
    query = """SELECT id, title, textdoc_type, content, max(version), count(*)
               FROM canvas_documents WHERE conversation_id = ? GROUP BY id ORDER BY min(created_at), id LIMIT ?"""
    return [CanvasDocument(*row) for row in db.execute(query, [conversation_id, limit])]


def versions(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, int]:
    """How many other states are kept of messages of which any are, by `n`."""
    query = """SELECT v.message_n, count(*) FROM json_each(?) wanted
               JOIN message_versions v ON v.message_n = wanted.value GROUP BY v.message_n"""
    return dict(tuple(row) for row in db.execute(query, [json.dumps(list(numbers))]))


def unanswered(db: sqlite3.Connection, conversation_id: str, questions: Sequence[str]) -> set[str]:
    """Which of some questions nothing follows but other questions, by id."""
    if not questions:
        return set()
    query = """SELECT DISTINCT parent_id FROM messages
               WHERE conversation_id = ? AND role <> 'user' AND parent_id IN (SELECT value FROM json_each(?))"""
    answered = {row[0] for row in db.execute(query, [conversation_id, json.dumps(list(questions))])}
    return set(questions) - answered

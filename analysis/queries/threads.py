"""One conversation as it reads: the messages of one branch, with what stands beside and under them."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from analysis.tree import Step, Tree

_BATCH = 100


class ThreadMessage(NamedTuple):
    """A node of the tree. `n` numbers messages as they were first seen; `content` and `metadata` are JSON as sent.

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

    `role` is `output`, `input`, `attachment` or `mask`; `prompt` and `image_id` those of a generated image.
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
    image_id: int | None
    prompt: str | None


def tree(db: sqlite3.Connection, conversation_id: str) -> Tree:
    """The tree of a conversation; ids alone are read, no texts."""
    query = "SELECT n, id, parent_id FROM messages WHERE conversation_id = ?"
    return Tree((n, identity, parent) for n, identity, parent in db.execute(query, [conversation_id]))


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


def cited(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, list[Source]]:
    """The pages that messages name, in order, by `n`."""
    query = """SELECT message_n, position, url, title, attribution, snippet FROM citations
               WHERE message_n IN (SELECT value FROM json_each(?)) ORDER BY message_n, position"""
    found: dict[int, list[Source]] = defaultdict(list)
    for row in db.execute(query, [json.dumps(list(numbers))]):
        found[row["message_n"]].append(Source(*row))
    return found


def mentioned(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, list[Mention]]:
    """The files that messages mention, by `n`."""
    query = """SELECT m.message_n, m.role, a.id, a.kind, a.name, a.width, a.height, a.size_bytes, a.path,
                      g.id, g.prompt
               FROM message_assets m JOIN assets a ON a.id = m.asset_id
               LEFT JOIN image_generations g ON g.id = (SELECT id FROM image_generations WHERE asset_id = a.id LIMIT 1)
               WHERE m.message_n IN (SELECT value FROM json_each(?)) ORDER BY m.message_n, m.role, a.id"""
    found: dict[int, list[Mention]] = defaultdict(list)
    for row in db.execute(query, [json.dumps(list(numbers))]):
        found[row["message_n"]].append(Mention(*row))
    return found

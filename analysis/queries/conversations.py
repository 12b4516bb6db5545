"""Conversations: what there is, and what is in each."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from analysis.search import Question, matching


class ConversationSummary(NamedTuple):
    """A row of `conversation_summaries`; `active_at` is when something last happened in it."""

    id: str
    title: str | None
    active_at: str | None
    created_at: str | None
    default_model_slug: str | None
    gizmo_id: str | None
    is_archived: int | None
    is_starred: int | None
    is_temporary: int | None
    source: str | None
    messages: int
    prompts: int
    images: int
    characters: int | None
    models: str | None
    first_prompt: str | None
    live: int


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """Which conversations. Days or times are ISO 8601 beginnings: `since` is included, `until` as long as it is one.

    `model` and `gizmo` are beginnings of names; `words` must be in the title, or in one message as a search finds it.
    """

    since: str = ""
    until: str = ""
    model: str = ""
    gizmo: str = ""
    words: str = ""
    with_images: bool = False

    def conditions(self, db: sqlite3.Connection) -> tuple[list[str], list[Any]]:
        """As conditions on `c` and `active_at`, with their values; all but that on the model."""
        conditions: list[tuple[str, list[Any]]] = []
        if self.since:
            conditions.append(("active_at >= ?", [self.since]))
        if self.until:
            conditions.append(("active_at < ?", [self.until + "\U0010ffff"]))
        if self.gizmo:
            conditions.append(("c.gizmo_id >= ? AND c.gizmo_id < ?", _between(self.gizmo)))
        if self.with_images:
            made = "g.conversation_id = c.id AND g.status = 'complete'"
            conditions.append((f"EXISTS (SELECT 1 FROM image_generations g WHERE {made})", []))
        if self.words:
            conditions.append(self._said(db))
        return [condition for condition, _ in conditions], [value for _, values in conditions for value in values]

    def _said(self, db: sqlite3.Connection) -> tuple[str, list[Any]]:
        like = "c.title LIKE ? ESCAPE '\\'"
        escaped = self.words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        terms = Question(self.words).terms
        if not terms:
            return like, [f"%{escaped}%"]
        source, values = matching(db, terms)
        saying = f"SELECT m.conversation_id FROM messages m WHERE m.n IN (SELECT rowid FROM ({source}))"
        return f"({like} OR c.id IN ({saying}))", [f"%{escaped}%", *values]


_ACTIVE = """
    SELECT id FROM (
        SELECT c.*, coalesce(nullif(max(coalesce(c.updated_at, ''), coalesce(
            (SELECT max(created_at) FROM messages WHERE conversation_id = c.id), '')), ''), c.last_seen_at) AS active_at
        FROM conversations c) c
    WHERE {} ORDER BY active_at DESC, id DESC"""
_SPOKE = "SELECT 1 FROM messages WHERE conversation_id = ? AND model_slug >= ? AND model_slug < ? LIMIT 1"


def conversations(
    db: sqlite3.Connection,
    only: ConversationFilter | None = None,
    *,
    before: tuple[str, str] | None = None,
    limit: int | None = None,
) -> Iterator[ConversationSummary]:
    """Conversations, the last active first; `before` is `active_at` and `id` of the last one of the page before."""
    for identity in islice(identities(db, only or ConversationFilter(), before=before), limit):
        if (found := conversation(db, identity)) is not None:
            yield found


def identities(
    db: sqlite3.Connection, only: ConversationFilter, *, before: tuple[str, str] | None = None
) -> Iterator[str]:
    """The ids of conversations, the last active first."""
    conditions, values = only.conditions(db)
    if before is not None:
        conditions.append("(active_at, id) < (?, ?)")
        values += before
    for (identity,) in db.execute(_ACTIVE.format(" AND ".join(conditions) or "1"), values).fetchall():
        # What takes a look at many messages is done one by one, only as far as somebody asks.
        if not only.model or db.execute(_SPOKE, [identity, *_between(only.model)]).fetchone() is not None:
            yield identity


def conversation(db: sqlite3.Connection, identity: str) -> ConversationSummary | None:
    """One conversation."""
    row = db.execute("SELECT * FROM conversation_summaries WHERE id = ?", [identity]).fetchone()
    return ConversationSummary(*row) if row else None


def last_conversation(db: sqlite3.Connection) -> str | None:
    """The id of the one that was active last."""
    return next((row.id for row in conversations(db, limit=1)), None)


def _between(beginning: str) -> list[str]:
    return [beginning, beginning + "\U0010ffff"]

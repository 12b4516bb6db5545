"""Conversations: what there is, and what is in each.

One is as active as its newest message, or as the service says where that is later; one of which neither says a time,
as when it was last captured (`active_at`). Counted are the messages that the page shows and the images that are done.
"""

import json
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple

from analysis.queries.search import Question, matching

UNTITLED = "Untitled conversation"
"""What a conversation without a title is called, wherever it is named."""


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


class ConversationInShort(NamedTuple):
    """What a line says of a conversation; `last_prompt` is the beginning of the last question in it."""

    id: str
    title: str | None
    default_model_slug: str | None
    is_temporary: int | None
    is_archived: int | None
    is_starred: int | None
    messages: int
    images: int
    live: int
    last_prompt: str | None


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
_ROLES = """WITH RECURSIVE known (role) AS (
                SELECT min(role) FROM messages
                UNION SELECT (SELECT min(role) FROM messages WHERE role > known.role) FROM known
                WHERE known.role IS NOT NULL)
            SELECT role FROM known WHERE role IS NOT NULL UNION ALL SELECT NULL"""
_SAID = """SELECT conversation_id, created_at, 1 FROM messages
           WHERE role IS ? AND created_at <= ? ORDER BY created_at DESC"""
_TOLD = tuple(
    f"""SELECT id, {at} AS at, NOT EXISTS (
            SELECT 1 FROM messages m WHERE m.conversation_id = c.id AND m.created_at > '') AS silent
        FROM conversations c WHERE {which} AND at <= ? ORDER BY at DESC"""
    for at, which in (
        ("updated_at", "updated_at IS NOT NULL"),
        ("coalesce(last_seen_at, '')", "updated_at IS NULL AND silent"),  # sorted: they are few
    )
)
_IN_SHORT = """
    SELECT s.id, s.title, s.default_model_slug, s.is_temporary, s.is_archived, s.is_starred, s.messages, s.images,
           s.live,
           (SELECT substr(coalesce(nullif(m.text, ''), m.transcript), 1, 300) FROM messages m
            WHERE m.conversation_id = s.id AND +m.role = 'user' AND m.visible = 1
            AND (m.text <> '' OR m.transcript <> '') ORDER BY m.created_at DESC LIMIT 1)
    FROM json_each(?) wanted JOIN conversation_summaries s ON s.id = wanted.value"""
_FEW = 1_000
"""Conversations up to which those that were active last are looked for one by one, not all put in order."""

_SPOKE = "SELECT 1 FROM messages WHERE conversation_id = ? AND model_slug >= ? AND model_slug < ? LIMIT 1"


def conversations(
    db: sqlite3.Connection,
    only: ConversationFilter | None = None,
    *,
    before: tuple[str, str] | None = None,
    limit: int | None = None,
) -> Generator[ConversationSummary]:
    """Conversations, the last active first; `before` is `active_at` and `id` of the last one of the page before."""
    few = only in (None, ConversationFilter()) and limit is not None and limit <= _FEW
    walked = (identity for identity, _ in by_activity(db, before))
    for identity in islice(walked if few else identities(db, only or ConversationFilter(), before=before), limit):
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


def by_activity(db: sqlite3.Connection, before: tuple[str, str] | None = None) -> Iterator[tuple[str, str]]:
    """The same order as ids and `active_at`, found by indexes: for the first of very many, not for all of them."""
    met: set[str] = set()
    for identity, at in _walked(db, before[0] if before else "9"):
        if identity in met:
            continue
        met.add(identity)
        if before is None or (_active_at(db, identity), identity) < before:  # else it stands on an earlier page
            yield identity, at


def _walked(db: sqlite3.Connection, latest: str) -> Iterator[tuple[str, str]]:
    """Conversations and times from the latest on, those of one time by id. A conversation counts where it is met first.

    Messages and conversations are walked together, by their indexes, only as far as somebody asks.
    """
    roles = [row[0] for row in db.execute(_ROLES)]
    walks = [db.execute(_SAID, [role, latest]) for role in roles] + [db.execute(query, [latest]) for query in _TOLD]
    for time, together in groupby(merge(*walks, key=itemgetter(1), reverse=True), itemgetter(1)):
        for identity in sorted({one for one, _, counts in together if one is not None and counts}, reverse=True):
            yield identity, time


def _active_at(db: sqlite3.Connection, identity: str) -> str:
    row = db.execute("SELECT active_at FROM conversation_summaries WHERE id = ?", [identity]).fetchone()
    return str(row[0] or "") if row else ""


def in_short(db: sqlite3.Connection, identities: Sequence[str]) -> dict[str, ConversationInShort]:
    """Some conversations, by id."""
    found = db.execute(_IN_SHORT, [json.dumps(list(identities))])
    return {row["id"]: ConversationInShort(*row) for row in found}


def stored_conversation(db: sqlite3.Connection, identity: str) -> sqlite3.Row | None:
    """The row of one conversation, with all its columns."""
    found: sqlite3.Row | None = db.execute("SELECT * FROM conversations WHERE id = ?", [identity]).fetchone()
    return found


def titles(db: sqlite3.Connection) -> Iterator[tuple[str, str | None]]:
    """All conversations by id and title, in the order first seen."""
    return (tuple(row) for row in db.execute("SELECT id, title FROM conversations ORDER BY rowid"))


def gizmos(db: sqlite3.Connection) -> list[tuple[str, str | None]]:
    """GPTs and projects, each with the title of a conversation of it."""
    query = "SELECT gizmo_id, max(title) FROM conversations WHERE gizmo_id > '' GROUP BY gizmo_id ORDER BY gizmo_id"
    return [tuple(row) for row in db.execute(query)]


def last_conversation(db: sqlite3.Connection) -> str | None:
    """The id of the one that was active last."""
    return next((row.id for row in conversations(db, limit=1)), None)


def _between(beginning: str) -> list[str]:
    return [beginning, beginning + "\U0010ffff"]

"""What the pages ask beyond what everybody does (`analysis.queries`). Reads only; each question by an index."""

import sqlite3
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import PurePath
from typing import Any

import orjson

from analysis.queries import threads
from analysis.rendering import Media

type Row = dict[str, Any]

_SPOKEN = " UNION ALL ".join(
    f"""SELECT * FROM (SELECT conversation_id, created_at, 1 FROM messages
        WHERE role = '{role}' AND created_at <= :at ORDER BY created_at DESC)"""
    for role in ("user", "assistant")
)
_TOLD = """SELECT id, {} AS at, NOT EXISTS (
               SELECT 1 FROM messages m
               WHERE m.conversation_id = c.id AND m.created_at > '' AND m.role IN ('user', 'assistant')) AS silent
           FROM conversations c WHERE {} AND at <= :at ORDER BY at DESC"""
# The last is sorted: of few conversations it is unknown when they changed.
_WALKED = (
    f"SELECT * FROM ({_SPOKEN}) ORDER BY created_at DESC",
    _TOLD.format("updated_at", "updated_at IS NOT NULL"),
    _TOLD.format("coalesce(last_seen_at, '')", "updated_at IS NULL AND silent"),
)

_SUMMARIES = """
    SELECT c.id, c.title, c.default_model_slug, c.is_temporary, c.is_archived, c.is_starred,
           (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id) AS messages,
           (SELECT count(*) FROM image_generations g WHERE g.conversation_id = c.id) AS images,
           (SELECT substr(m.text, 1, 300) FROM messages m WHERE m.conversation_id = c.id AND m.role = 'user'
            AND m.visible = 1 AND m.text <> '' ORDER BY m.created_at DESC LIMIT 1) AS question,
           EXISTS (SELECT 1 FROM streams s WHERE s.conversation_id = c.id AND s.state = 'streaming'
                   AND s.kind IN ('turn', 'resume', 'topic')) AS live
    FROM json_each(?) wanted JOIN conversations c ON c.id = wanted.value"""


def conversations_by_activity(db: sqlite3.Connection, before: str, most: int) -> list[tuple[str, str]]:
    """The ids of conversations by when something was last said in them, with that time, the latest first.

    One in which nothing is known to have been said at any time stands where it changed, or else was last captured.
    `before` is `time~id` of the last one on the page before.
    """
    at, _, identity = before.partition("~")
    latest = "SELECT max(created_at) FROM messages WHERE conversation_id = ? AND role IN ('user', 'assistant')"
    met: dict[str, str] = {}
    later: set[str] = set()
    for one, time in _walked(db, at or "9"):
        if one in met or one in later:
            continue
        if before and (db.execute(latest, (one,)).fetchone()[0] or time, one) >= (at, identity):
            later.add(one)  # it stands on an earlier page
            continue
        met[one] = time
        if len(met) == most:
            break
    return list(met.items())


def _walked(db: sqlite3.Connection, at: str) -> Iterator[tuple[str, str]]:
    """Conversations and times from the latest on, those of one time by id. A conversation counts where it is met first.

    Messages and conversations are walked together, by their indexes, only as far as somebody asks.
    """
    rows = merge(*(db.execute(query, {"at": at}) for query in _WALKED), key=itemgetter(1), reverse=True)
    for time, together in groupby(rows, itemgetter(1)):
        for identity in sorted({one for one, _, counts in together if one is not None and counts}, reverse=True):
            yield identity, time


def summaries(db: sqlite3.Connection, identities: Sequence[str]) -> dict[str, sqlite3.Row]:
    """Conversations in short: how many messages and images, the last question, whether an answer is streaming."""
    return {row["id"]: row for row in db.execute(_SUMMARIES, (_json(identities),))}


def conversation(db: sqlite3.Connection, identity: str) -> sqlite3.Row | None:
    """The row of a conversation."""
    found: sqlite3.Row | None = db.execute("SELECT * FROM conversations WHERE id = ?", (identity,)).fetchone()
    return found


def messages(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, Row]:
    """Messages by `n`, each with what is known of the exchange that brought it (`stream_...`)."""
    found = [message._asdict() for message in threads.messages(db, numbers)]
    query = """SELECT s.id, s.kind, s.state, s.started_at, s.requested_model, s.status_code, s.error
               FROM json_each(?) wanted JOIN streams s ON s.id = wanted.value"""
    wanted = list({row["stream_id"] for row in found if row["stream_id"]})
    exchanges = {row[0]: row for row in db.execute(query, (_json(wanted),))}
    for row in found:
        _, kind, state, started_at, model, status, error = exchanges.get(row["stream_id"], (None,) * 7)
        row |= {"stream_kind": kind, "stream_state": state, "stream_started_at": started_at, "stream_model": model}
        row |= {"stream_status": status, "stream_error": error}
    return {row["n"]: row for row in found}


def documents(db: sqlite3.Connection, conversation_id: str) -> list[sqlite3.Row]:
    """The canvas documents of a conversation, each as it was last loaded: title, kind, content, how many versions."""
    query = """SELECT title, textdoc_type, content, max(version) AS version, count(*) AS versions, id
               FROM canvas_documents WHERE conversation_id = ? GROUP BY id ORDER BY min(created_at), id LIMIT 50"""
    return db.execute(query, (conversation_id,)).fetchall()


def versions(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, int]:
    """How many other states of a message are kept."""
    query = """SELECT v.message_n, count(*) FROM json_each(?) wanted
               JOIN message_versions v ON v.message_n = wanted.value GROUP BY v.message_n"""
    return dict(tuple(row) for row in db.execute(query, (_json(numbers),)))


def media(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, dict[str, Media]]:
    """The files that messages mention, by id; images with the prompt they were made from."""
    found: dict[int, dict[str, Media]] = {}
    for number, mentions in threads.mentioned(db, numbers).items():
        found[number] = {mention.asset_id: _media(mention) for mention in mentions}
    return found


def _media(mention: threads.Mention) -> Media:
    return Media(
        kind=mention.kind or "file",
        address=f"/-/archive/file/{PurePath(mention.path).stem}" if mention.path else None,
        page=f"/-/archive/images/{mention.image_id}" if mention.image_id else None,
        name=mention.name or "",
        prompt=mention.prompt or "",
        width=mention.width,
        height=mention.height,
        size_bytes=mention.size_bytes,
    )


def image_details(db: sqlite3.Connection, identity: int) -> sqlite3.Row:
    """What is known of an image besides what the gallery shows."""
    query = """SELECT g.requested_at, g.completed_at, g.edit_op, g.transparent_background, g.stream_id, m.n AS message_n
               FROM image_generations g
               LEFT JOIN messages m ON m.conversation_id = g.conversation_id AND m.id = g.message_id WHERE g.id = ?"""
    found: sqlite3.Row = db.execute(query, (identity,)).fetchone()
    return found


def thumbnails(db: sqlite3.Connection, assets: Sequence[str]) -> dict[str, str]:
    """Where the small forms of images are, by the ids of their files."""
    query = (
        "SELECT a.id, a.sha256 FROM json_each(?) wanted JOIN assets a ON a.id = wanted.value WHERE a.sha256 IS NOT NULL"
    )
    return {identity: f"/-/archive/thumb/{digest}" for identity, digest in db.execute(query, (_json(assets),))}


def unanswered(db: sqlite3.Connection, conversation_id: str, questions: Sequence[str]) -> set[str]:
    """Which of some questions nothing follows but other questions."""
    if not questions:
        return set()
    query = """SELECT DISTINCT parent_id FROM messages
               WHERE conversation_id = ? AND role <> 'user' AND parent_id IN (SELECT value FROM json_each(?))"""
    answered = {row[0] for row in db.execute(query, (conversation_id, _json(questions)))}
    return set(questions) - answered


def _json(values: Sequence[int] | Sequence[str]) -> str:
    return orjson.dumps(list(values)).decode()


def last_seen(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, tuple[str | None, int]]:
    """When messages were last written, and whether they grow."""
    query = """SELECT m.n, m.last_seen_at, m.live FROM json_each(?) wanted JOIN messages m ON m.n = wanted.value"""
    return {row["n"]: (row["last_seen_at"], row["live"]) for row in db.execute(query, (_json(numbers),))}

"""What the pages ask of an archive about one conversation. Reads only; each question by an index."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence

import orjson

from analysis.rendering import Media
from analysis.tree import Node

_SHOWN = """
    SELECT m.n, m.id, m.conversation_id, m.parent_id, m.role, m.author_name, m.recipient, m.channel, m.content_type,
           m.text, m.content, m.status, m.end_turn, m.visible, m.model_slug, m.requested_model, m.finish_type,
           m.reasoning_seconds, m.created_at, m.first_seen_at, m.first_token_at, m.completed_at, m.last_seen_at,
           m.stream_id, m.source, m.revision, m.live, m.damaged, m.metadata,
           s.kind AS stream_kind, s.state AS stream_state, s.started_at AS stream_started_at,
           s.requested_model AS stream_requested_model, s.ended_at AS stream_ended_at
    FROM json_each(?) wanted JOIN messages m ON m.n = wanted.value LEFT JOIN streams s ON s.id = m.stream_id"""


_SPOKEN = " UNION ALL ".join(
    f"""SELECT * FROM (SELECT conversation_id, created_at FROM messages
        WHERE role = '{role}' AND created_at < coalesce(nullif(:before, ''), '9') ORDER BY created_at DESC)"""
    for role in ("user", "assistant")
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

    Messages are walked from the latest on, by their index: each conversation counts where it is met first.
    """
    query = f"SELECT conversation_id, created_at FROM ({_SPOKEN}) ORDER BY created_at DESC"
    latest = "SELECT max(created_at) FROM messages WHERE conversation_id = ? AND role IN ('user', 'assistant')"
    met: dict[str, str] = {}
    later: set[str] = set()
    for identity, at in db.execute(query, {"before": before}):
        if identity is None or identity in met or identity in later:
            continue
        if before and db.execute(latest, (identity,)).fetchone()[0] >= before:
            later.add(identity)  # it stands on an earlier page
            continue
        met[identity] = at
        if len(met) == most:
            break
    return list(met.items())


def summaries(db: sqlite3.Connection, identities: Sequence[str]) -> dict[str, sqlite3.Row]:
    """Conversations in short: how many messages and images, the last question, whether an answer is streaming."""
    return {row["id"]: row for row in db.execute(_SUMMARIES, (orjson.dumps(list(identities)).decode(),))}


def conversation(db: sqlite3.Connection, identity: str) -> sqlite3.Row | None:
    """The row of a conversation."""
    found: sqlite3.Row | None = db.execute("SELECT * FROM conversations WHERE id = ?", (identity,)).fetchone()
    return found


def nodes(db: sqlite3.Connection, conversation_id: str) -> list[Node]:
    """`n`, `id` and `parent_id` of each message of a conversation."""
    query = "SELECT n, id, parent_id FROM messages WHERE conversation_id = ?"
    return [tuple(row) for row in db.execute(query, (conversation_id,))]


def messages(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, sqlite3.Row]:
    """Messages by `n`, each with what is known of the exchange that brought it."""
    return {row["n"]: row for row in db.execute(_SHOWN, (_json(numbers),))}


def citations(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, list[sqlite3.Row]]:
    """The sources that messages name, in order."""
    query = """SELECT c.* FROM json_each(?) wanted JOIN citations c ON c.message_n = wanted.value
               ORDER BY c.message_n, c.position"""
    return _grouped(db.execute(query, (_json(numbers),)))


def versions(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, int]:
    """How many other states of a message are kept."""
    query = """SELECT v.message_n, count(*) FROM json_each(?) wanted
               JOIN message_versions v ON v.message_n = wanted.value GROUP BY v.message_n"""
    return dict(tuple(row) for row in db.execute(query, (_json(numbers),)))


def media(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, dict[str, Media]]:
    """The files that messages mention, by pointer and by id; images with the prompt they were made from."""
    query = """
        SELECT a.message_n, f.id, f.pointer, f.kind, f.name, f.width, f.height, f.size_bytes, f.sha256,
               g.id AS image, g.prompt
        FROM json_each(?) wanted JOIN message_assets a ON a.message_n = wanted.value JOIN assets f ON f.id = a.asset_id
        LEFT JOIN image_generations g ON g.asset_id = f.id"""
    found: dict[int, dict[str, Media]] = defaultdict(dict)
    for row in db.execute(query, (_json(numbers),)):
        file = Media(
            kind=row["kind"] or "file",
            address=f"/-/archive/file/{row['sha256']}" if row["sha256"] else None,
            page=f"/-/archive/images/{row['image']}" if row["image"] else None,
            name=row["name"] or "",
            prompt=row["prompt"] or "",
            width=row["width"],
            height=row["height"],
            size_bytes=row["size_bytes"],
        )
        for key in (row["pointer"], row["id"]):
            if key:
                found[row["message_n"]][key] = file
    return found


def _grouped(rows: Iterable[sqlite3.Row]) -> dict[int, list[sqlite3.Row]]:
    groups: dict[int, list[sqlite3.Row]] = defaultdict(list)
    for row in rows:
        groups[row["message_n"]].append(row)
    return groups


def _json(numbers: Sequence[int]) -> str:
    return orjson.dumps(list(numbers)).decode()


def last_seen(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, tuple[str | None, int]]:
    """When messages were last written, and whether they grow."""
    query = """SELECT m.n, m.last_seen_at, m.live FROM json_each(?) wanted JOIN messages m ON m.n = wanted.value"""
    return {row["n"]: (row["last_seen_at"], row["live"]) for row in db.execute(query, (_json(numbers),))}

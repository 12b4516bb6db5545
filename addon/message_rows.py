"""Messages -> rows: which of two observations of one message stays, and what becomes of the other.

- A finished message beats one in progress, else the later observation wins (`at`); what is read twice changes nothing.
- A finished message whose content changes is replaced, its earlier state goes to `message_versions`.
- What moderation empties or replaces stays as the person saw it, the new state goes to `message_versions`.
"""

import sqlite3
from typing import Any

from addon.attachments import attach
from addon.records import Message
from addon.rows import ensure_conversation, timestamp

_REMEMBERED = (
    "parent_id", "role", "author_name", "recipient", "channel", "content_type", "text", "content", "weight",
    "model_slug", "requested_model", "finish_type", "turn_exchange_id", "request_id", "reasoning_seconds",
    "created_at", "updated_at", "first_token_at", "completed_at", "metadata",
)  # fmt: skip
"""Columns in which knowing something beats knowing nothing, whatever is newer."""

_AS_IS = (
    "conversation_id", "parent_id", "role", "author_name", "recipient", "channel", "content_type", "text", "content",
    "status", "end_turn", "weight", "visible", "model_slug", "requested_model", "finish_type", "turn_exchange_id",
    "request_id", "reasoning_seconds", "stream_id", "source", "live", "damaged", "metadata",
)  # fmt: skip
_TIMES = ("created_at", "updated_at", "first_token_at", "completed_at")


def write_message(db: sqlite3.Connection, new: Message) -> None:
    """Store one observation of a message with all that belongs to it."""
    ensure_conversation(db, new.conversation_id, new.source, new.at)
    old = _existing(db, new)
    if old is None:
        number = _insert(db, {"id": new.id, "first_seen_at": timestamp(new.at), **_message_columns(new)})
    elif _supersedes(new, old):
        number = old["n"]
        if _is_taken_away(new, old):
            _keep(db, new, old)
            return
        _replace(db, new, old)
    else:
        _fill(db, new, old)
        return
    attach(db, new, number)


def _existing(db: sqlite3.Connection, new: Message) -> sqlite3.Row | None:
    """The row of a message; one written before its conversation had a name is given it now."""
    rows: list[sqlite3.Row] = db.execute(
        "SELECT * FROM messages WHERE id = ? AND conversation_id IS ?", (new.id, new.conversation_id)
    ).fetchall()
    if not rows and new.conversation_id is None:
        rows = db.execute("SELECT * FROM messages WHERE id = ?", (new.id,)).fetchall()
    elif not rows:
        rows = db.execute(
            "UPDATE messages SET conversation_id = ? WHERE id = ? AND conversation_id IS NULL RETURNING *",
            (new.conversation_id, new.id),
        ).fetchall()
    return rows[0] if rows else None


def _supersedes(new: Message, old: sqlite3.Row) -> bool:
    was_finished = old["status"] not in (None, "in_progress")
    if new.finished != was_finished:
        return new.finished
    return (timestamp(new.at) or "") > (old["last_seen_at"] or "")


def _replace(db: sqlite3.Connection, new: Message, old: sqlite3.Row) -> None:
    revision = old["revision"]
    was_finished = old["status"] not in (None, "in_progress")
    if was_finished and old["content"] != new.content:
        revision += _version(db, old["n"], new.at, "updated", (old["content"], old["text"], old["status"]))
    columns = _message_columns(new)
    for name in _REMEMBERED:
        if columns[name] is None:
            columns[name] = old[name]
    for name in ("first_token_at", "completed_at"):
        columns[name] = old[name] or columns[name] if was_finished else columns[name] or old[name]
    _update(db, old["n"], {**columns, "revision": revision})


def _keep(db: sqlite3.Connection, new: Message, old: sqlite3.Row) -> None:
    """Moderation took the text away: the row keeps it, the served state becomes a version."""
    reason = "moderated" if new.moderated else "emptied"
    revision = old["revision"] + _version(db, old["n"], new.at, reason, (new.content, new.text, new.status))
    columns = {"status": new.status, "end_turn": new.end_turn, "metadata": new.metadata, "live": new.live}
    _update(db, old["n"], {**columns, "last_seen_at": timestamp(new.at), "revision": revision})


def _fill(db: sqlite3.Connection, new: Message, old: sqlite3.Row) -> None:
    """An earlier or lesser observation: it may know what the row does not, and a finished one is a version."""
    columns = _message_columns(new)
    missing = {name: columns[name] for name in _REMEMBERED if old[name] is None and columns[name] is not None}
    if old["live"] and not new.live and old["stream_id"] == new.stream_id:
        missing["live"] = False
    if new.finished and new.content != old["content"]:
        count = _version(db, old["n"], new.at, "updated", (new.content, new.text, new.status))
        if count:
            missing["revision"] = old["revision"] + count
    if missing:
        _update(db, old["n"], missing)


def _version(
    db: sqlite3.Connection, number: int, at: int, reason: str, said: tuple[str | None, str | None, str | None]
) -> int:
    """Remember content, text and status that are not in `messages`; how many rows that took (0 when known)."""
    cursor = db.execute(
        "INSERT INTO message_versions (message_n, revision, replaced_at, reason, content, text, status)"
        " SELECT ?1, (SELECT count(*) FROM message_versions WHERE message_n = ?1), ?2, ?3, ?4, ?5, ?6"
        " WHERE NOT EXISTS (SELECT 1 FROM message_versions WHERE message_n = ?1 AND content IS ?4)",
        (number, timestamp(at), reason, *said),
    )
    return cursor.rowcount


def _insert(db: sqlite3.Connection, values: dict[str, Any]) -> int:
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    return db.execute(f"INSERT INTO messages ({names}) VALUES ({marks})", list(values.values())).lastrowid or 0


def _update(db: sqlite3.Connection, number: int, values: dict[str, Any]) -> None:
    assignments = ", ".join(f"{name} = ?" for name in values)
    db.execute(f"UPDATE messages SET {assignments} WHERE n = ?", [*values.values(), number])


def _message_columns(message: Message) -> dict[str, Any]:
    columns = {name: getattr(message, name) for name in _AS_IS}
    columns |= {name: timestamp(getattr(message, name)) for name in _TIMES}
    columns["last_seen_at"] = timestamp(message.at)
    return columns


def _is_taken_away(new: Message, old: sqlite3.Row) -> bool:
    """Whether the new state lacks what the person saw: emptied, or replaced after moderation blocked it."""
    if not old["text"] or new.assets:
        return False
    return not new.text or (new.moderated and not new.text.startswith(old["text"]))

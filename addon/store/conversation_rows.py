"""What is said about a conversation as a whole -> its row: of each field the latest word counts.

`told_at` holds when each was said, so that accounts may come in any order: streams, documents, lists, old exports.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from addon.records import Conversation, DocumentRead
from addon.store.rows import columns, ensure_conversation, timestamp
from addon.wire.payload import dumps, loads, mapping

_NEWEST = ("title", "current_node", "default_model_slug", "is_archived", "is_starred")

_UPDATED = (
    *_NEWEST, "metadata", "told_at", "created_at", "updated_at", "gizmo_id", "conversation_origin", "is_temporary",
    "first_seen_at", "last_seen_at",
)  # fmt: skip
_UPDATE = f"UPDATE conversations SET {', '.join(f'{name} = :{name}' for name in _UPDATED)} WHERE id = :id"


def write_accounts(db: sqlite3.Connection, records: Sequence[Conversation]) -> None:
    """Merge several accounts of one conversation into its row, one after another."""
    ensure_conversation(db, records[0].id, records[0].source, records[0].at)
    row = dict(db.execute("SELECT * FROM conversations WHERE id = ?", (records[0].id,)).fetchone())
    told_at, rest = _object(row["told_at"]), _object(row["metadata"])
    for record in records:
        _merge(row, told_at, rest, record)
    row |= {"metadata": _sorted(rest), "told_at": _sorted(told_at)}
    db.execute(_UPDATE, row)


def _merge(row: dict[str, Any], told_at: dict[str, Any], rest: dict[str, Any], record: Conversation) -> None:
    values, seen = columns(record), timestamp(record.at) or ""
    for name in _NEWEST:
        row[name] = _latest(told_at, name, (values[name], seen), row[name])
    for key, value in _object(record.metadata).items():
        rest[key] = _latest(told_at, f"metadata.{key}", (value, seen), rest.get(key))
    if values["created_at"] is not None:
        # What a request lets one guess gives way to what the service says.
        if record.document:
            told_at["created_at"] = max(seen, str(told_at.get("created_at", "")))
        if record.document or row["created_at"] is None:
            row["created_at"] = values["created_at"]
    for name in ("updated_at", "is_temporary"):
        row[name] = max((value for value in (row[name], values[name]) if value is not None), default=None)
    for name in ("gizmo_id", "conversation_origin"):
        row[name] = row[name] if values[name] is None else values[name]
    row["first_seen_at"], row["last_seen_at"] = min(row["first_seen_at"], seen), max(row["last_seen_at"], seen)


def _latest(told_at: dict[str, Any], name: str, said: tuple[Any, str], known: Any) -> Any:
    """The value that was said last; `told_at` remembers when that was."""
    value, seen = said
    if value is None or seen < str(told_at.get(name, "")):
        return known
    told_at[name] = seen
    return value


def _sorted(members: dict[str, Any]) -> str | None:
    """An object as text that does not tell which member came first."""
    return dumps(dict(sorted(members.items()))) if members else None


def _object(text: str | None) -> dict[str, Any]:
    return mapping(loads(text.encode())) if text else {}


def write_document_read(db: sqlite3.Connection, record: DocumentRead) -> None:
    """Note that all of this document is in the archive, so that it need not be read once more."""
    db.execute("UPDATE conversations SET digest = ? WHERE id = ?", (record.digest, record.conversation_id))


def has_read(db: sqlite3.Connection, record: DocumentRead) -> bool:
    """Whether this was the last document of a conversation that was read to its end, and its messages are there."""
    query = """SELECT 1 FROM conversations WHERE id = ?1 AND digest = ?2
               AND (SELECT count(*) FROM messages WHERE conversation_id = ?1) >= ?3"""
    return db.execute(query, (record.conversation_id, record.digest, record.messages)).fetchone() is not None

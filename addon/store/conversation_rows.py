"""What is said about a conversation as a whole -> its row: of each field the latest word counts.

`told_at` holds when each was said, so that accounts may come in any order: streams, documents, lists, old exports.
"""

import sqlite3
from typing import Any

from addon.records import Conversation, DocumentRead
from addon.store.rows import columns, ensure_conversation, timestamp
from addon.wire.payload import dumps, loads, mapping

_NEWEST = ("title", "current_node", "default_model_slug", "is_archived", "is_starred")

_UPDATE = f"""
    UPDATE conversations SET
      {", ".join(f"{name} = :{name}" for name in _NEWEST)}, metadata = :metadata, told_at = :told_at,
      -- What a request lets one guess gives way to what the service says.
      created_at = CASE WHEN :document THEN coalesce(:created_at, created_at)
                        ELSE coalesce(created_at, :created_at) END,
      updated_at = max(coalesce(updated_at, :updated_at), coalesce(:updated_at, updated_at)),
      gizmo_id = coalesce(:gizmo_id, gizmo_id),
      conversation_origin = coalesce(:conversation_origin, conversation_origin),
      is_temporary = max(coalesce(is_temporary, :is_temporary), coalesce(:is_temporary, is_temporary)),
      first_seen_at = min(first_seen_at, :seen),
      last_seen_at = max(last_seen_at, :seen)
    WHERE id = :id"""


def write_conversation(db: sqlite3.Connection, record: Conversation) -> None:
    """Merge one account of a conversation into its row."""
    ensure_conversation(db, record.id, record.source, record.at)
    seen = timestamp(record.at) or ""
    row = db.execute("SELECT * FROM conversations WHERE id = ?", (record.id,)).fetchone()
    told_at = _object(row["told_at"])
    values = columns(record) | {"seen": seen}
    if record.document and record.created_at is not None:
        told_at["created_at"] = max(seen, str(told_at.get("created_at", "")))
    for name in _NEWEST:
        values[name] = _latest(told_at, name, (values[name], seen), row[name])
    rest = _object(row["metadata"])
    for key, value in _object(record.metadata).items():
        rest[key] = _latest(told_at, f"metadata.{key}", (value, seen), rest.get(key))
    values |= {"metadata": dumps(rest) if rest else None, "told_at": dumps(told_at) if told_at else None}
    db.execute(_UPDATE, values)


def _latest(told_at: dict[str, Any], name: str, said: tuple[Any, str], known: Any) -> Any:
    """The value that was said last; `told_at` remembers when that was."""
    value, seen = said
    if value is None or seen < str(told_at.get(name, "")):
        return known
    told_at[name] = seen
    return value


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

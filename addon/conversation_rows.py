"""What is said about a conversation as a whole -> its row: the later word counts, and knowing beats not knowing."""

import sqlite3

from addon.records import Conversation, DocumentRead
from addon.rows import columns, ensure_conversation, timestamp

_NEWEST = ("title", "current_node", "default_model_slug", "is_archived", "is_starred")

_UPDATE = f"""
    UPDATE conversations SET
      {
    ", ".join(
        f"{name} = CASE WHEN :seen >= last_seen_at THEN coalesce(:{name}, {name}) ELSE coalesce({name}, :{name}) END"
        for name in _NEWEST
    )
},
      metadata = CASE
        WHEN :metadata IS NULL THEN metadata
        WHEN metadata IS NULL THEN :metadata
        WHEN :seen >= last_seen_at THEN json_patch(metadata, :metadata) ELSE json_patch(:metadata, metadata) END,
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
    db.execute(_UPDATE, columns(record) | {"seen": timestamp(record.at)})


def write_document_read(db: sqlite3.Connection, record: DocumentRead) -> None:
    """Note that all of this document is in the archive, so that it need not be read once more."""
    db.execute("UPDATE conversations SET digest = ? WHERE id = ?", (record.digest, record.conversation_id))


def has_read(db: sqlite3.Connection, conversation_id: str, digest: str) -> bool:
    """Whether this was the last document of a conversation that was read from beginning to end."""
    query = "SELECT 1 FROM conversations WHERE id = ? AND digest = ?"
    return db.execute(query, (conversation_id, digest)).fetchone() is not None

"""What is said about a conversation as a whole -> its row: the later word counts, and knowing beats not knowing."""

import sqlite3

from addon.records import Conversation
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

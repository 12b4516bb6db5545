"""Rows of `messages` and `conversations` -> the objects of the service that they were read from, written again.

The inverse of `messages.read_message` and of `conversation_fields`: what they read of the result is what the row holds.
What only the capture knows has no place in it: the model a request asked for, the times of tokens, earlier versions.
"""

from typing import Any, Protocol

from addon.store.rows import microseconds
from addon.wire.payload import loads, mapping


class Row(Protocol):
    """A row by column name: `sqlite3.Row`, a dict."""

    def __getitem__(self, name: str, /) -> Any: ...


_UNSAID: dict[str, Any] = {
    "moderation_results": [],
    "plugin_ids": None,
    "conversation_template_id": None,
    "gizmo_type": None,
    "safe_urls": [],
    "blocked_urls": [],
    "voice": None,
    "async_status": None,
    "disabled_tool_ids": [],
}
"""Fields that readers of exports look for, as they are where there is nothing to say."""


def message_object(row: Row) -> dict[str, Any]:
    """A message as streams, documents and exports show it."""
    return {
        "id": row["id"],
        "author": {"role": row["role"], "name": row["author_name"], "metadata": {}},
        "create_time": _seconds(row["created_at"]),
        "update_time": _seconds(row["updated_at"]),
        "content": _json(row["content"]),
        "status": row["status"],
        "end_turn": _flag(row["end_turn"]),
        "weight": row["weight"],
        "metadata": mapping(_json(row["metadata"])),
        "recipient": row["recipient"],
        "channel": row["channel"],
    }


def conversation_object(row: Row) -> dict[str, Any]:
    """A conversation as documents and exports show it, without its `mapping`."""
    known = {
        "title": row["title"],
        "create_time": _seconds(row["created_at"]),
        "update_time": _seconds(row["updated_at"]),
        "current_node": row["current_node"],
        "default_model_slug": row["default_model_slug"],
        "gizmo_id": row["gizmo_id"],
        "conversation_origin": row["conversation_origin"],
        "is_archived": _flag(row["is_archived"]),
        "is_starred": _flag(row["is_starred"]),
        "is_do_not_remember": _flag(row["is_temporary"]),
        "conversation_id": row["id"],
        "id": row["id"],
    }
    return _UNSAID | mapping(_json(row["metadata"])) | known


def _json(text: str | None) -> Any:
    return loads(text.encode()) if text else None


def _seconds(timestamp: str | None) -> float | None:
    """A time as the service's clock says it; a double is exact to less than a microsecond until the year 2242."""
    return microseconds(timestamp) / 1_000_000 if timestamp else None


def _flag(value: int | None) -> bool | None:
    return None if value is None else bool(value)

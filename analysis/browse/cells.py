"""Cells of Datasette's own tables: links to what a row is about, times in short, long JSON left alone."""

from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from analysis.browse.items import conversation_address

_LINK = Markup('<a href="{}">{}</a>')
_PICTURE = Markup('<a href="/-/archive/file/{0}"><img src="/-/archive/thumb/{0}" alt="stored file" width="64"></a>')


def archive_cell(table: str | None, column: str, value: Any, row: Any) -> Markup | None:
    """What stands in a cell instead of its value; None where the value is shown as it is."""
    # Of a foreign key Datasette gives the value and its label.
    plain = value.get("value") if isinstance(value, dict) else value
    label = value.get("label") if isinstance(value, dict) else None
    if isinstance(plain, bool) or not isinstance(plain, str | int):
        return None
    if column == "sha256" and len(str(plain)) == 64:
        return _PICTURE.format(plain)
    address = _address(table, column, str(plain), row)
    return _LINK.format(address, label or _short(str(plain))) if address else None


def _address(table: str | None, column: str, value: str, row: Any) -> str | None:
    """The page that a cell is about. The key of a row is no cell of ours: it leads to the row."""
    if column == "conversation_id":
        return conversation_address(value)
    if column == "stream_id":
        return f"/-/archive/streams/{quote(value, safe='')}"
    if column == "image_id":
        return f"/-/archive/images/{value}"
    identity = _of(row, "id")
    if table in ("conversations", "conversation_summaries") and column == "title" and identity:
        return conversation_address(identity)
    if table in ("image_generations", "image_gallery") and column in ("title", "tool_prompt", "prompt") and identity:
        return f"/-/archive/images/{identity}"
    if table == "streams" and column == "path" and identity:
        return f"/-/archive/streams/{quote(identity, safe='')}"
    conversation = _of(row, "conversation_id")
    if table in ("messages", "threads") and column == "id" and conversation:
        return conversation_address(conversation, value)
    return None


def _short(identity: str) -> str:
    return identity if len(identity) <= 200 else identity[:199] + "\u2026"


def _of(row: Any, column: str) -> str | None:
    try:
        value = row[column]
    except (IndexError, KeyError, TypeError):
        return None
    value = value.get("value") if isinstance(value, dict) else value
    return str(value) if isinstance(value, str | int) else None

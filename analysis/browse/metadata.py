"""What Datasette's own pages say of an archive: what tables and columns mean, labels, facets, order, named queries."""

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.queries.named import QUESTIONS
from analysis.schema import descriptions

_LABELS = {
    "conversations": "title",
    "messages": "id",
    "streams": "started_at",
    "assets": "name",
    "image_generations": "title",
    "canvas_documents": "title",
}
FACETS = {
    "conversations": ["default_model_slug", "is_archived", "source"],
    "messages": ["role", "model_slug", "content_type"],
    "streams": ["state", "kind", "source"],
    "events": ["type", "recognised"],
    "image_generations": ["status", "tool", "model_slug"],
    "assets": ["kind", "origin", "mime_type"],
}
"""What the page of a table counts by itself."""

_NEWEST_FIRST = {
    "conversations": "last_seen_at",
    "messages": "n",
    "streams": "started_at",
    "image_generations": "id",
    "message_versions": "replaced_at",
    "turns": "started_at",
    "turn_completeness": "started_at",
    "image_gallery": "created_at",
    "daily_activity": "day",
    "model_usage": "answers",
    "unrecognised": "events",
}
_ROWS = {"messages": 40, "conversations": 60}
"""Rows of a page, where rows are wide."""
_HIDDEN = ("messages_fts", "messages_fts_cjk", "messages_fts_pause", "_sqlite_migrations")

SETTINGS = {
    "suggest_facets": False,  # each suggestion reads the whole table
    "cache_size_kb": 65_536,
    "facet_time_limit_ms": 5_000,
    "sql_time_limit_ms": 10_000,  # four times what the longest question takes
    "default_cache_ttl": 0,  # the archive is being written
    "allow_download": False,
    "truncate_cells_html": 300,
}
"""How `browse` starts Datasette; measured with a million messages."""


def metadata(
    database: str, key: str | None = None, table: str | None = None, sortable: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    """Datasette's metadata of the archive of this name: of one table, of the queries, or all of it.

    `sortable` names the columns by which a table may be sorted, where not all may.

    Datasette asks dozens of times for a page and writes into what it gets: so it gets what it asks for, made anew.
    """
    if table is not None:
        return {"databases": {database: {"tables": {table: _table(table, sortable or {})}}}}
    if key == "queries":
        return {"databases": {database: {"queries": _queries()}}}
    tables = {name: _table(name, sortable or {}) for name in (*descriptions(), *_HIDDEN)}
    return {"databases": {database: {"tables": tables, "queries": _queries()}}}


def _table(name: str, sortable: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    described = descriptions().get(name)
    if described is None:
        return {"hidden": True} if name in _HIDDEN else {}
    return {
        "description": described.text,
        "columns": dict(described.columns),
        **({"label_column": _LABELS[name]} if name in _LABELS else {}),
        **({"sort_desc": _NEWEST_FIRST[name]} if name in _NEWEST_FIRST else {}),
        **({"sortable_columns": list(sortable[name])} if name in sortable else {}),
        **({"size": _ROWS[name]} if name in _ROWS else {}),
        **({"facets": list(FACETS[name])} if name in FACETS else {}),
    }


def _queries() -> dict[str, Any]:
    return {
        name: {"title": question.title, "description": question.description, "sql": question.sql}
        for name, question in QUESTIONS.items()
    }

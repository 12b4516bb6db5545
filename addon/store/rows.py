"""Values as SQLite holds them, and the statements that every table shares. Parameters only, never text in SQL."""

import sqlite3
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp(microseconds: int | None) -> str | None:
    """Microseconds since the epoch as UTC ISO 8601 text: `2026-11-23T05:45:54.123456Z`."""
    if microseconds is None:
        return None
    seconds, fraction = divmod(microseconds, 1_000_000)
    return f"{_second(seconds)}.{fraction:06d}Z"


def microseconds(timestamp: str) -> int:
    """The inverse of `timestamp`."""
    return (datetime.fromisoformat(timestamp) - _EPOCH) // timedelta(microseconds=1)


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    # Most times of a batch are of the same few seconds; formatting one costs as much as writing a short row.
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def columns(record: Any) -> dict[str, Any]:
    """A record's fields by column name, times as text."""
    names, values, times = _fields(record.__class__)
    row = dict(zip(names, values(record), strict=True))
    for name in times:
        row[name] = timestamp(row[name])
    return row


@cache
def _fields(kind: Any) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]], tuple[str, ...]]:
    names = tuple(field.name for field in fields(kind))
    return names, attrgetter(*names), tuple(name for name in names if name.endswith("_at"))


def upsert(db: sqlite3.Connection, table: str, key: str, values: dict[str, Any]) -> None:
    """Write a row whole; `table`, `key` and the names of `values` are ours, never the wire's."""
    db.execute(_upserting(table, key, tuple(values)), tuple(values.values()))


@cache
def _upserting(table: str, key: str, columns: tuple[str, ...]) -> str:
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns if name != key)
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET {updates}"


def ensure_conversation(db: sqlite3.Connection, identity: str | None, source: str, at: int) -> None:
    """Make the row that others refer to, before anything is known about the conversation."""
    if identity is not None:
        db.execute(
            "INSERT OR IGNORE INTO conversations (id, source, first_seen_at, last_seen_at) VALUES (?, ?, ?, ?)",
            (identity, source, timestamp(at), timestamp(at)),
        )


def see_conversation(db: sqlite3.Connection, identity: str | None, source: str, at: int) -> None:
    """The same, and note when it was seen: for what speaks of a conversation without telling of it as a whole."""
    ensure_conversation(db, identity, source, at)
    db.execute(
        "UPDATE conversations SET first_seen_at = min(first_seen_at, ?2), last_seen_at = max(last_seen_at, ?2)"
        " WHERE id = ?1",
        (identity, timestamp(at)),
    )


def copied(db: sqlite3.Connection, table: str, *but: str) -> list[str]:
    """The names of a table's columns, without those named."""
    return [
        row["name"] for row in db.execute("SELECT name FROM pragma_table_info(?)", (table,)) if row["name"] not in but
    ]

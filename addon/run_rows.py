"""Runs -> rows: what a proxy told of itself, in any order and any number of times."""

import sqlite3

from addon.records import Run
from addon.rows import columns

_COUNTS = ("streams", "uncaptured", "lost_chunks", "lost_bytes")


def write_run(db: sqlite3.Connection, record: Run) -> None:
    """Store what is known of a run. Counts only rise: an older telling may be read again after a newer one."""
    values = columns(record)
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    counts = ", ".join(f"{name} = coalesce(max(coalesce({name}, 0), excluded.{name}), {name})" for name in _COUNTS)
    db.execute(
        f"INSERT INTO runs ({names}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {counts},"
        " started_at = min(started_at, excluded.started_at), ended_at = coalesce(excluded.ended_at, ended_at)",
        list(values.values()),
    )

"""Runs -> rows: what a proxy told of itself, in any order and any number of times; and what one left behind."""

import sqlite3

from addon.records import AbandonedTopics, Run
from addon.store.rows import columns, timestamp

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


def settle_topics(db: sqlite3.Connection, record: AbandonedTopics) -> None:
    """End topics that are on record as streaming; if more of one comes all the same, it is gone on with.

    So a proxy left it that was killed, recorder and all, between two bursts of a socket, or a recorder that was killed
    alone, when nothing more of the topic came.
    """
    first, last = (f"{record.socket}:", f"{record.socket};") if record.socket is not None else ("", "\U0010ffff")
    settled = db.execute(
        "UPDATE streams SET state = 'interrupted', error = ? WHERE id >= ? AND id < ?"
        " AND kind = 'topic' AND state = 'streaming' AND coalesce(ended_at, started_at) < ? RETURNING id",
        (record.error, first, last, timestamp(record.before)),
    ).fetchall()
    db.executemany("UPDATE messages SET live = 0 WHERE live AND stream_id = ?", [(row["id"],) for row in settled])

"""Runs -> rows: what a proxy told of itself, in any order and any number of times; and what one left behind."""

import sqlite3

from addon.records import QuietTopics, Run
from addon.rows import columns, timestamp

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


def settle_topics(db: sqlite3.Connection, record: QuietTopics) -> None:
    """End the topics that are on record as streaming although nothing has come for long.

    A proxy and its recorder were both killed between two bursts of a socket. If something comes all the same, the topic
    is gone on with from what is stored.
    """
    settled = db.execute(
        "UPDATE streams SET state = 'interrupted', error = 'the proxy was killed'"
        " WHERE kind = 'topic' AND state = 'streaming' AND coalesce(ended_at, started_at) < ? RETURNING id",
        (timestamp(record.before),),
    ).fetchall()
    db.executemany("UPDATE messages SET live = 0 WHERE live AND stream_id = ?", [(row["id"],) for row in settled])

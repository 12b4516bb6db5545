"""Figures: models, times, periods, tools, and how large everything is.

Periods are those of this machine's clock. An image counts when it is done.
"""

import json
import sqlite3
from typing import Literal, NamedTuple

from analysis.queries.named import IS_ANSWER, answers

type Period = Literal["day", "week", "month", "year"]


class ModelUsage(NamedTuple):
    """A row of `model_usage`: a model asked for and one that answered. Seconds; None where nobody saw it stream."""

    requested_model: str | None
    model_slug: str
    answers: int
    conversations: int
    characters: int | None
    reasoning_seconds: float | None
    average_seconds_to_first_token: float | None
    first_at: str | None
    last_at: str | None


class ModelSpeed(NamedTuple):
    """How fast a model answered, of the answers that somebody saw stream: half of them, and 90 of 100, were faster
    than `p50` and `p90` seconds to the first token; `characters_per_second` is the median.
    """

    model_slug: str
    answers: int
    seconds_to_first_token_p50: float | None
    seconds_to_first_token_p90: float | None
    characters_per_second: float | None


class Activity(NamedTuple):
    """What was said and made in a period; `period` is `2026-11-23`, `2026-W48`, `2026-11` or `2026`."""

    period: str
    prompts: int
    answers: int
    images: int
    conversations: int


class ToolUsage(NamedTuple):
    """How often a tool was called, and in how many conversations."""

    tool: str
    calls: int
    conversations: int


class TableSize(NamedTuple):
    """A table and its rows; `bytes` are those of its values, without indexes, of a large table by a sample of its rows:
    what its pages are can only be told by reading the whole file.
    """

    name: str
    rows: int
    bytes: int


def model_usage(db: sqlite3.Connection) -> list[ModelUsage]:
    """Models, those that answered most first."""
    query = "SELECT * FROM model_usage ORDER BY answers DESC, model_slug, requested_model"
    return [ModelUsage(*row) for row in db.execute(query)]


def model_speeds(db: sqlite3.Connection) -> list[ModelSpeed]:
    """Models by their answers that were seen to stream, those with most first."""
    speeds = {row["model"]: row["p50"] for row in answers(db, "writing_speed_by_model")}
    waits = answers(db, "time_to_first_token_by_model")
    return [
        ModelSpeed(row["model"], row["answers"], row["p50"], row["p90"], _rounded(speeds.get(row["model"])))
        for row in waits
    ]


def _rounded(speed: float | None) -> float | None:
    return None if speed is None else round(speed, 1)


def totals_of(db: sqlite3.Connection, since: str, until: str) -> dict[str, int]:
    """Conversations, prompts, answers, and the characters of these, of a time: `until` is not included."""
    query = f"""SELECT count(DISTINCT conversation_id) AS conversations, coalesce(sum(role = 'user'), 0) AS prompts,
                       coalesce(sum({IS_ANSWER}), 0) AS answers,
                       coalesce(sum(iif({IS_ANSWER}, length(text), 0)), 0) AS characters
                FROM messages WHERE role IN ('user', 'assistant') AND visible = 1
                  AND created_at >= ? AND created_at < ?"""
    return dict(db.execute(query, [since, until]).fetchone())


def days_known(db: sqlite3.Connection) -> tuple[str, str] | None:
    """The first and the last day on which anything was said."""
    first, last = db.execute("SELECT min(day), max(day) FROM daily_activity").fetchone()
    return (first, last) if first else None


# A week is of the year that its Thursday is in. What SQLite itself knows of weeks it knows since 3.46.
_THURSDAY = "date(day, '-3 days', 'weekday 4')"
_WEEK = f"printf('%s-W%02d', substr({_THURSDAY}, 1, 4), (strftime('%j', {_THURSDAY}) - 1) / 7 + 1)"
_PERIODS = {"day": "day", "week": _WEEK, "month": "substr(day, 1, 7)", "year": "substr(day, 1, 4)"}


def activity(db: sqlite3.Connection, period: Period = "month", *, since: str = "", until: str = "") -> list[Activity]:
    """What was said and made, by period, the oldest first. `since` and `until` are days or their beginnings.

    Conversations of longer periods are counted once for each day on which something was said in them.
    """
    query = f"""SELECT {_PERIODS[period]} AS period, sum(prompts), sum(answers), sum(images), sum(conversations)
                FROM daily_activity WHERE day >= ? AND day < ? GROUP BY period ORDER BY period"""
    return [Activity(*row) for row in db.execute(query, [since, (until or "9") + "\U0010ffff"])]


# The sign keeps SQLite to the index of what is not said to all.
TOOLS = """SELECT recipient, count(*), count(DISTINCT conversation_id) FROM messages
           WHERE +role = 'assistant' AND recipient <> 'all' GROUP BY recipient ORDER BY 2 DESC, 1"""


def tools(db: sqlite3.Connection) -> list[ToolUsage]:
    """Tools, the most called first."""
    return [ToolUsage(*row) for row in db.execute(TOOLS)]


def image_count(db: sqlite3.Connection) -> dict[str, int]:
    """How many images there are, by status."""
    query = "SELECT coalesce(status, ''), count(*) FROM image_generations GROUP BY 1 ORDER BY 2 DESC"
    return dict(tuple(row) for row in db.execute(query))


_INDEXES_OF_SEARCH = ("messages_fts", "messages_fts_cjk")


def table_sizes(db: sqlite3.Connection) -> list[TableSize]:
    """The tables and how large they are, the largest first; search indexes count as one table each."""
    names = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    shadows = ("sqlite_", "_sqlite_", "messages_fts_")
    tables = [name for name in names if name in _INDEXES_OF_SEARCH or not name.startswith(shadows)]
    rows = {name: _rows(db, name) for name in tables}
    counted = [TableSize(name, rows[name], _value_bytes(db, name, rows[name])) for name in tables]
    return sorted(counted, key=lambda size: (-size.bytes, size.name))


_SAMPLE = 2_000
"""Rows by which the size of a table is told that has many more."""


def _value_bytes(db: sqlite3.Connection, table: str, rows: int) -> int:
    table = f"{table}_data" if table in _INDEXES_OF_SEARCH else table
    columns = [row["name"] for row in db.execute(f"SELECT name FROM pragma_table_info('{table}')")]
    lengths = " + ".join(f"coalesce(length(CAST({name} AS BLOB)), 0)" for name in columns)
    if rows < 10 * _SAMPLE or table.endswith("_data"):  # the rows of an index of words are far from alike
        size: int = db.execute(f"SELECT coalesce(sum({lengths}), 0) FROM {table}").fetchone()[0]
        return size
    first, last = db.execute(f"SELECT min(rowid), max(rowid) FROM {table}").fetchone()
    chosen = json.dumps([first + (last - first) * step // _SAMPLE for step in range(_SAMPLE)])
    query = f"SELECT avg({lengths}) FROM {table} WHERE rowid IN (SELECT value FROM json_each(?))"
    return round(rows * (db.execute(query, (chosen,)).fetchone()[0] or 0))


def _rows(db: sqlite3.Connection, table: str) -> int:
    table = f"{table}_docsize" if table in _INDEXES_OF_SEARCH else table
    count: int = db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return count

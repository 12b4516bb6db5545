"""How the capture is doing: what there is, what runs now, and what somebody should look at."""

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple


class HealthFact(NamedTuple):
    """A row of `capture_health`: a name, a count or a time, whether it asks for attention, and more about it."""

    name: str
    value: int | str | None
    attention: int
    detail: str | None

    def told(self) -> str:
        """In words."""
        if isinstance(self.value, int) and self.name in _WORDS:
            return in_words(self.name, self.value)
        return f"{self.name}: {self.value}"


class Totals(NamedTuple):
    """How much there is; images are those that are done. `messages` are all, hidden ones too: they are numbered as they
    come, and the highest number costs no count over all of them.
    """

    conversations: int
    messages: int
    exchanges: int
    images: int
    files: int
    first_at: str | None
    last_at: str | None


class LastAnswer(NamedTuple):
    """The newest exchange that brought an answer, and how it ended."""

    stream_id: str
    conversation_id: str | None
    title: str | None
    model_slug: str | None
    state: str
    started_at: str | None
    ended_at: str | None


class ProxyRun(NamedTuple):
    """A run of the proxy that has not said that it ended: it runs, or it was killed."""

    id: str
    started_at: str | None
    streams: int | None
    uncaptured: int | None


class LastRun(NamedTuple):
    """The newest run of the proxy. One that neither ended nor is `running` on this machine was killed."""

    id: str
    started_at: str | None
    ended_at: str | None
    streams: int | None
    uncaptured: int | None
    running: bool


class LossyRun(NamedTuple):
    """A run of the proxy that could not keep everything."""

    id: str
    started_at: str | None
    lost_chunks: int
    lost_bytes: int
    uncaptured: int

    def told(self) -> str:
        """In words."""
        missing = {"chunks_lost": self.lost_chunks, "exchanges_uncaptured": self.uncaptured}
        return ", ".join(in_words(name, number) for name, number in missing.items() if number)


class UnrecognisedType(NamedTuple):
    """A row of `unrecognised`: a type of event, how often it came and in how many exchanges."""

    type: str | None
    events: int
    streams: int
    first_received_at: str | None
    last_received_at: str | None
    example: str | None


_WORDS = {
    "exchanges_failed": ("exchange did not end well", "exchanges did not end well"),
    "streams_error": ("exchange ended in an error", "exchanges ended in errors"),
    "turns_not_found": ("answer was handed off and not found again", "answers were handed off and not found again"),
    "events_unrecognised": ("event was not understood", "events were not understood"),
    "messages_damaged": ("message may have a hole", "messages may have holes"),
    "images_pending": ("image is still awaited", "images are still awaited"),
    "chunks_lost": ("chunk was lost", "chunks were lost"),
    "exchanges_uncaptured": ("exchange was not captured", "exchanges were not captured"),
}
"""What asks for attention in `capture_health`, and exchanges that broke off or were refused: of one and of several."""


def in_words(name: str, number: int) -> str:
    """What a figure of the capture's health says, everywhere: `2 chunks were lost`."""
    one, several = _WORDS[name]
    return f"{number:,} {one if number == 1 else several}"


_RECENT = "SELECT id, state FROM streams ORDER BY started_at DESC LIMIT ?"


def health(db: sqlite3.Connection) -> list[HealthFact]:
    """All facts; goes through the whole archive."""
    return [HealthFact(*row) for row in db.execute("SELECT name, value, attention, detail FROM capture_health")]


def totals(db: sqlite3.Connection) -> Totals:
    """How much there is, and from when to when."""
    query = """SELECT (SELECT count(*) FROM conversations), (SELECT coalesce(max(n), 0) FROM messages),
                      (SELECT count(*) FROM streams),
                      (SELECT count(*) FROM image_generations WHERE status = 'complete'),
                      (SELECT count(*) FROM files), (SELECT min(started_at) FROM streams),
                      (SELECT max(started_at) FROM streams)"""
    return Totals(*db.execute(query).fetchone())


def last_answer(db: sqlite3.Connection) -> LastAnswer | None:
    """The newest exchange that a message was sent in, or answered in."""
    query = """SELECT s.id, s.conversation_id, c.title,
                      (SELECT m.model_slug FROM messages m WHERE m.stream_id = s.id AND m.model_slug IS NOT NULL
                       ORDER BY m.n DESC LIMIT 1), s.state, s.started_at, s.ended_at
               FROM streams s INDEXED BY streams_started_at LEFT JOIN conversations c ON c.id = s.conversation_id
               WHERE s.kind IN ('turn', 'resume', 'topic') ORDER BY s.started_at DESC, s.id DESC LIMIT 1"""
    row = db.execute(query).fetchone()
    return LastAnswer(*row) if row else None


def open_runs(db: sqlite3.Connection) -> list[ProxyRun]:
    """Runs that have not ended, the newest first."""
    query = "SELECT id, started_at, streams, uncaptured FROM runs WHERE ended_at IS NULL ORDER BY started_at DESC"
    return [ProxyRun(*row) for row in db.execute(query)]


def last_run(db: sqlite3.Connection) -> LastRun | None:
    """The run that began last."""
    query = "SELECT id, started_at, ended_at, streams, uncaptured FROM runs ORDER BY started_at DESC, id DESC LIMIT 1"
    row = db.execute(query).fetchone()
    return LastRun._make([*row, row["ended_at"] is None and _lives(row["id"])]) if row else None


def _lives(run: str) -> bool:
    """Whether the process is there whose number a run is named after."""
    number = run.partition("-")[0]
    if not (number.isascii() and number.isdecimal() and 0 < int(number) < 1 << 31):
        return False
    try:
        os.kill(int(number), 0)
    except OSError:
        return False  # gone, or somebody else's
    return True


def recent_states(db: sqlite3.Connection, recent: int) -> dict[str, int]:
    """How the last `recent` exchanges ended, and how many each way."""
    query = f"SELECT state, count(*) FROM ({_RECENT}) GROUP BY state ORDER BY 2 DESC, 1"
    return dict(tuple(row) for row in db.execute(query, [recent]))


def recent_failures(db: sqlite3.Connection, recent: int, limit: int = 30) -> list[str]:
    """The ids of those of the last `recent` exchanges that broke off or were refused, the latest first."""
    query = f"SELECT id FROM ({_RECENT}) WHERE state IN ('error', 'interrupted') LIMIT ?"
    return [row[0] for row in db.execute(query, [recent, limit])]


def lossy_runs(db: sqlite3.Connection, recent: int = 100) -> list[LossyRun]:
    """Of the last `recent` runs of the proxy those that could not keep everything, the latest first."""
    query = """SELECT id, started_at, coalesce(lost_chunks, 0), coalesce(lost_bytes, 0), coalesce(uncaptured, 0)
               FROM (SELECT * FROM runs ORDER BY started_at DESC LIMIT ?) WHERE lost_chunks > 0 OR uncaptured > 0"""
    return [LossyRun(*row) for row in db.execute(query, [recent])]


def unrecognised(db: sqlite3.Connection, limit: int = 50) -> list[UnrecognisedType]:
    """What was not understood, the most frequent first."""
    query = "SELECT * FROM unrecognised ORDER BY events DESC, type LIMIT ?"
    return [UnrecognisedType(*row) for row in db.execute(query, [limit])]


def images_without_bytes(db: sqlite3.Connection, recent: int) -> tuple[int, int]:
    """How many of the last `recent` images have no file here, and of how many."""
    query = """SELECT coalesce(sum(a.path IS NULL), 0), count(*)
               FROM (SELECT asset_id FROM image_generations WHERE status = 'complete'
                     ORDER BY created_at DESC LIMIT ?) g
               LEFT JOIN assets a ON a.id = g.asset_id"""
    without, images = db.execute(query, [recent]).fetchone()
    return without, images


def streaming(db: sqlite3.Connection) -> int:
    """How many exchanges are streaming now."""
    count: int = db.execute("SELECT count(*) FROM streams WHERE state = 'streaming'").fetchone()[0]
    return count


@dataclass(frozen=True, slots=True)
class Status:
    """All of the above, with the sizes of the files in bytes; `attention` has what somebody should look at."""

    database: Path
    database_bytes: int
    log_bytes: int
    media_bytes: int
    totals: Totals
    last_answer: LastAnswer | None
    streaming: int
    runs: list[ProxyRun]
    last_run: LastRun | None
    attention: list[HealthFact]

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "database": str(self.database),
            "database_bytes": self.database_bytes,
            "log_bytes": self.log_bytes,
            "media_bytes": self.media_bytes,
            "totals": self.totals._asdict(),
            "last_answer": self.last_answer and self.last_answer._asdict(),
            "streaming": self.streaming,
            "open_runs": [run._asdict() for run in self.runs],
            "last_run": self.last_run and self.last_run._asdict(),
            "attention": [fact._asdict() for fact in self.attention],
        }

    def as_rows(self) -> Iterator[tuple[str, Any, Any]]:
        """For tables: the facts by name and value, those that ask for attention with their detail."""
        for name, value in self.as_object().items():
            if name != "attention":
                yield from _facts(name, value)
        yield from ((f"attention.{fact.name}", fact.value, fact.detail) for fact in self.attention)


def _facts(place: str, value: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _facts(f"{place}.{name}", inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _facts(f"{place}.{number}", inner)
    else:
        yield place, value, None


def status(db: sqlite3.Connection, database: Path) -> Status:
    """How an archive is doing."""
    log = database.with_name(database.name + "-wal")
    return Status(
        database=database,
        database_bytes=database.stat().st_size,
        log_bytes=log.stat().st_size if log.exists() else 0,
        media_bytes=db.execute("SELECT coalesce(sum(size_bytes), 0) FROM files").fetchone()[0],
        totals=totals(db),
        last_answer=last_answer(db),
        streaming=streaming(db),
        runs=open_runs(db),
        last_run=last_run(db),
        attention=[fact for fact in health(db) if fact.attention],
    )

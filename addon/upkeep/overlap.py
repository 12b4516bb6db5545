"""What two archives both know: the conversations of which the other one brings something new, the documents it repeats.

An exchange is new that is not here as far as it went there. It tells of its conversation; of a list, or of updates that
name none, the raw body is read for which they tell of. A document that was the same when it was loaded before is no
exchange of its own, as it would not have been one here: the earlier one tells it.
"""

import contextlib
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from addon.captures import Surroundings, capture_of
from addon.records import Conversation, Record
from addon.store.stored_streams import KINDS, StoredStream, StoredStreams

_HERE = """SELECT 1 FROM streams WHERE id = ? AND (coalesce(ended_at, ''), body_bytes) >= (?, ?)
           AND (NOT ? OR EXISTS (SELECT 1 FROM stream_bodies WHERE stream_id = streams.id))"""

_THEIRS = """SELECT s.*, b.digest, b.stream_id IS NOT NULL AS has_evidence, b.body IS NOT NULL AS has_body,
                    lag(s.id) OVER same AS before, lag(s.started_at) OVER same AS before_at,
                    lag(b.digest) OVER same AS before_digest, lead(s.started_at) OVER same AS after_at
             FROM streams s LEFT JOIN stream_bodies b ON b.stream_id = s.id
             WINDOW same AS (PARTITION BY s.host, s.path, s.method, s.parameters, b.digest IS NULL
                             ORDER BY s.started_at, s.rowid)"""

_OURS = """SELECT s.id, s.started_at, b.digest, EXISTS (
               SELECT 1 FROM stream_bodies o WHERE o.digest = b.digest AND o.body IS NOT NULL) AS has_body
           FROM streams s JOIN stream_bodies b ON b.stream_id = s.id
           WHERE s.path = :path AND s.host = :host AND s.method = :method AND s.parameters IS :parameters
             AND b.digest IS NOT NULL AND s.id <> :id"""
_BEFORE = f"{_OURS} AND s.started_at <= :started_at ORDER BY s.started_at DESC LIMIT 1"
_AFTER = f"{_OURS} AND s.started_at > :started_at ORDER BY s.started_at LIMIT 1"

_SAME_PROMPT = "SELECT DISTINCT conversation_id FROM streams WHERE request_message_id = ?"


@dataclass(slots=True)
class Overlap:
    """`fresh` conversations are known here, and not all that tells of them is; of `told` ones it is.

    `same` names, for a document there, the earlier one here that tells it; `later` the later one here that it tells.
    """

    fresh: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    same: dict[str, str] = field(default_factory=dict)
    later: dict[str, str] = field(default_factory=dict)


def overlap(database: Path, other: sqlite3.Connection, unfinished: Collection[str]) -> Overlap:
    """What the archive at `database`, which is there, has in common with another one.

    Of `unfinished` conversations it has been told something, and not all.
    """
    found = Overlap()
    with contextlib.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=60)) as db:
        db.row_factory = sqlite3.Row
        if db.execute("SELECT 1 FROM conversations LIMIT 1").fetchone() is None:
            return found
        touched = set(_touched(db, other, found))
        mixed = StoredStreams(other).beyond()
        for (identity,) in other.execute("SELECT id FROM conversations"):
            if db.execute("SELECT 1 FROM conversations WHERE id = ?", (identity,)).fetchone() is None:
                continue
            lacks = _messages(db, identity) < _messages(other, identity)
            if lacks or identity in touched or identity in unfinished:
                found.fresh.add(identity)
            elif identity not in mixed:
                found.told.add(identity)
    return found


def _messages(db: sqlite3.Connection, conversation_id: str) -> int:
    count: int = db.execute("SELECT count(*) FROM messages WHERE conversation_id = ?", (conversation_id,)).fetchone()[0]
    return count


def _touched(db: sqlite3.Connection, other: sqlite3.Connection, found: Overlap) -> Iterator[str]:
    """The conversations of which what is new tells."""
    streams = StoredStreams(other)
    for row in other.execute(_THEIRS):
        asked = (row["id"], row["ended_at"] or "", row["body_bytes"], row["has_evidence"])
        if db.execute(_HERE, asked).fetchone() is not None or _is_repeated(db, row, found) or row["kind"] not in KINDS:
            continue
        # A send that failed before its conversation had a name is of the one that was tried again.
        for retried in db.execute(_SAME_PROMPT, (row["request_message_id"],)):
            if retried["conversation_id"] is not None:
                yield retried["conversation_id"]
            elif isinstance(row["conversation_id"], str):
                found.fresh.add(row["conversation_id"])
        if row["conversation_id"] is not None:
            yield row["conversation_id"]
        elif (stream := streams.read(row["id"])) is not None:
            yield from _told_of(stream)


def _is_repeated(db: sqlite3.Connection, row: sqlite3.Row, found: Overlap) -> bool:
    """Whether a document was the same before it; notes who tells whom."""
    at, before_at, after_at = (row[name] for name in ("started_at", "before_at", "after_at"))
    if row["digest"] is None or not all(isinstance(each, str) for each in (at, before_at or "", after_at or "")):
        return False
    if row["before_digest"] == row["digest"] and row["before"] in found.same:
        found.same[row["id"]] = found.same[row["before"]]
        return True
    known = {name: row[name] for name in ("id", "path", "host", "method", "parameters", "started_at")}
    before = db.execute(_BEFORE, known).fetchone()
    if before is not None and before["digest"] == row["digest"] and before["started_at"] >= (before_at or ""):
        if before["has_body"] or not row["has_body"]:
            found.same[row["id"]] = before["id"]
            return True
        return False
    after = db.execute(_AFTER, known).fetchone()
    if after is not None and after["digest"] == row["digest"] and after["started_at"] < (after_at or "~"):
        found.later[row["id"]] = after["id"]
    return False


def _told_of(stream: StoredStream) -> Iterator[str]:
    capture = capture_of(stream.opening, stream.request, Surroundings())
    yield from _named(capture.begin())
    for piece, at in stream.pieces():
        yield from _named(capture.feed(piece, at))
    yield from _named(capture.close(stream.closing, stream.ended_at))


def _named(records: list[Record]) -> Iterator[str]:
    for record in records:
        identity = record.id if isinstance(record, Conversation) else getattr(record, "conversation_id", None)
        if identity is not None:
            yield identity

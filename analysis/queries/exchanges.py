"""Captured exchanges: their facts, their typed events, and their raw bodies with the times at which they came."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from analysis.errors import Unanswerable
from analysis.queries.archive import identify

_FEW = 10_000


class Exchange(NamedTuple):
    """A row of `streams` that people look at; `started_at` is when the request was sent, the other times follow."""

    id: str
    kind: str
    source: str
    state: str
    error: str | None
    conversation_id: str | None
    conversation_title: str | None
    request_message_id: str | None
    requested_model: str | None
    action: str | None
    method: str | None
    host: str | None
    path: str | None
    name: str | None
    http_version: str | None
    status_code: int | None
    content_type: str | None
    content_encoding: str | None
    encoding: str | None
    started_at: str | None
    first_event_at: str | None
    first_token_at: str | None
    ended_at: str | None
    event_count: int | None
    unrecognised_count: int | None
    wire_bytes: int | None
    body_bytes: int | None
    resume_offset: int | None


class TypedEvent(NamedTuple):
    """A typed or unrecognised event; `position` counts the exchange's events from 0, `data` is JSON."""

    stream_id: str
    position: int
    received_at: str | None
    type: str | None
    recognised: int
    conversation_id: str | None
    message_id: str | None
    data: str | None


class EventType(NamedTuple):
    """How often a type of event came, and when."""

    type: str | None
    recognised: int
    events: int
    first_received_at: str | None
    last_received_at: str | None


class BroughtMessage(NamedTuple):
    """A message that an exchange brought, with the beginning of its text."""

    n: int
    id: str
    conversation_id: str | None
    role: str | None
    content_type: str | None
    text: str | None


class RawBody(NamedTuple):
    """What is kept of an exchange, each zstd, None when it is not: the decoded body, `arrivals` (JSON pairs of
    microseconds since the start and body length), the body as it was on the wire if it could not be decoded, and the
    JSON that the request sent.
    """

    body: bytes | None
    arrivals: bytes | None
    wire: bytes | None
    request: bytes | None


_EXCHANGE = """SELECT s.id, s.kind, s.source, s.state, s.error, s.conversation_id, c.title, s.request_message_id,
                      s.requested_model, s.action, s.method, s.host, s.path, s.name, s.http_version, s.status_code,
                      s.content_type, s.content_encoding, s.encoding, s.started_at, s.first_event_at, s.first_token_at,
                      s.ended_at, s.event_count, s.unrecognised_count, s.wire_bytes, s.body_bytes, s.resume_offset
               FROM streams s LEFT JOIN conversations c ON c.id = s.conversation_id"""


def exchange(db: sqlite3.Connection, identity: str) -> Exchange | None:
    """One exchange."""
    row = db.execute(f"{_EXCHANGE} WHERE s.id = ?", [identity]).fetchone()
    return Exchange(*row) if row else None


def exchanges(db: sqlite3.Connection, identities: Iterable[str]) -> dict[str, Exchange]:
    """Some exchanges, by id."""
    query = f"{_EXCHANGE} WHERE s.id IN (SELECT value FROM json_each(?))"
    return {row["id"]: Exchange(*row) for row in db.execute(query, [json.dumps(list(identities))])}


def last_exchanges(db: sqlite3.Connection, limit: int) -> Iterator[Exchange]:
    """Those in which an answer came, the newest first."""
    answering = "s.kind IN ('turn', 'resume', 'topic')"
    return (
        Exchange(*row)
        for row in db.execute(f"{_EXCHANGE} WHERE {answering} ORDER BY s.started_at DESC LIMIT ?", [limit])
    )


def newest_exchange(db: sqlite3.Connection) -> Exchange | None:
    """The one that began last, of any kind."""
    row = db.execute(f"{_EXCHANGE} ORDER BY s.started_at DESC LIMIT 1").fetchone()
    return Exchange(*row) if row else None


def streaming_exchanges(db: sqlite3.Connection, limit: int = 20) -> list[Exchange]:
    """Those that are streaming now."""
    return [Exchange(*row) for row in db.execute(f"{_EXCHANGE} WHERE s.state = 'streaming' LIMIT ?", [limit])]


def brought(db: sqlite3.Connection, identity: str, limit: int = 100) -> list[BroughtMessage]:
    """The messages that an exchange last wrote."""
    query = """SELECT n, id, conversation_id, role, content_type, substr(text, 1, 120) FROM messages
               WHERE stream_id = ? ORDER BY n LIMIT ?"""
    return [BroughtMessage(*row) for row in db.execute(query, [identity, limit])]


def identify_exchange(db: sqlite3.Connection, beginning: str, *, with_events: bool = False) -> Exchange:
    """The exchange whose id begins so, or the last one of the message or conversation whose id does.

    `last` is the newest of all, or the newest whose events are kept if there is one.

    Raises `Unanswerable`.
    """
    if beginning == "last":
        identity = last_exchange(db, with_events=with_events) or last_exchange(db)
    else:
        try:
            identity = identify(db, "streams", beginning)
        except Unanswerable as refused:
            identity = _exchange_of(db, beginning)
            if identity is None:
                raise refused from None
    found = exchange(db, identity) if identity is not None else None
    if found is None:
        raise Unanswerable("there is no exchange in the archive yet")
    return found


def _exchange_of(db: sqlite3.Connection, beginning: str) -> str | None:
    query = """SELECT s.id FROM streams s WHERE s.kind IN ('turn', 'resume', 'topic') AND {} = ?
               ORDER BY s.started_at DESC, s.id DESC LIMIT 1"""
    for table, column in (("conversations", "s.conversation_id"), ("messages", "s.request_message_id")):
        try:
            identity = identify(db, table, beginning)
        except Unanswerable:
            continue
        if row := db.execute(query.format(column), [identity]).fetchone():
            return str(row[0])
        row = db.execute("SELECT stream_id FROM messages WHERE id = ? AND stream_id IS NOT NULL", [identity]).fetchone()
        if row:
            return str(row[0])
    return None


def prompt_of(db: sqlite3.Connection, of: Exchange) -> str | None:
    """What the person said in the request of an exchange, or what it answers."""
    query = "SELECT text FROM messages WHERE id = ? AND conversation_id IS ?"
    row = db.execute(query, [of.request_message_id, of.conversation_id]).fetchone()
    return row[0] if row else None


def last_exchange(db: sqlite3.Connection, *, with_events: bool = False) -> str | None:
    """The id of the newest exchange in which an answer came, or of the newest whose events are kept."""
    kept = "encoding IN ('v0', 'v1') AND id IN (SELECT stream_id FROM stream_bodies)" if with_events else "1"
    query = f"""SELECT id FROM streams INDEXED BY streams_started_at
                WHERE kind IN ('turn', 'resume', 'topic') AND {kept} ORDER BY started_at DESC, id DESC LIMIT 1"""
    row = db.execute(query).fetchone()
    return row[0] if row else None


def raw_body(db: sqlite3.Connection, identity: str) -> RawBody:
    """What is kept of an exchange as it was received and sent."""
    row = db.execute("SELECT body, arrivals, wire FROM stream_bodies WHERE stream_id = ?", [identity]).fetchone()
    sent = db.execute("SELECT body FROM request_bodies WHERE stream_id = ?", [identity]).fetchone()
    body, arrivals, wire = row or (None, None, None)
    return RawBody(body, arrivals, wire, sent[0] if sent else None)


def exchange_events(db: sqlite3.Connection, identity: str) -> Iterator[TypedEvent]:
    """The typed and unrecognised events of one exchange, in order."""
    query = f"SELECT {', '.join(TypedEvent._fields)} FROM events WHERE stream_id = ? ORDER BY position"
    return (TypedEvent(*row) for row in db.execute(query, [identity]))


def events(
    db: sqlite3.Connection, *, event_type: str = "", unrecognised: bool = False, limit: int | None = None
) -> Iterator[TypedEvent]:
    """Events of all exchanges, the newest first."""
    where, values = [], []
    if event_type:
        where.append("e.type = ?")
        values.append(event_type)
    if unrecognised:
        where.append("e.recognised = 0")
    columns = ", ".join(f"e.{name}" for name in TypedEvent._fields)
    # Few events are put in order; where there are many, the exchanges are gone through in theirs.
    few = "SELECT count(*) FROM (SELECT 1 FROM events e WHERE {} LIMIT {})"
    count = db.execute(few.format(" AND ".join(where) or "1", _FEW + 1), values).fetchone()[0]
    join = "JOIN" if count <= _FEW else "INDEXED BY streams_started_at CROSS JOIN"
    query = f"""SELECT {columns} FROM streams s {join} events e ON e.stream_id = s.id
                WHERE {" AND ".join(where) or "1"} ORDER BY s.started_at DESC, s.id DESC, e.position DESC LIMIT ?"""
    return (TypedEvent(*row) for row in db.execute(query, [*values, -1 if limit is None else limit]))


def event_types(db: sqlite3.Connection) -> list[EventType]:
    """How often each type came, what was not understood first, then the most frequent."""
    query = """SELECT type, recognised, count(*), min(received_at), max(received_at) FROM events
               GROUP BY type, recognised ORDER BY recognised, count(*) DESC, type"""
    return [EventType(*row) for row in db.execute(query)]

"""Stored exchanges -> the captures that read them: what the proxy knew, what was sent, what came and when.

Reads an archive, writes nothing. A stored exchange is evidence when it has ended and its body is there, whole.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from addon.answers.ending import closing_of
from addon.answers.json_answers import as_sent
from addon.answers.legs import Leg
from addon.errors import StreamError
from addon.exchange import Closing, Opening
from addon.store.rows import microseconds
from addon.wire.evidence import decompress, pieces
from addon.wire.payload import dumps, loads, mapping

KINDS = ("turn", "resume", "topic", "document", "list")
"""The kinds of exchanges that messages and conversations are made from."""

_KINDS = ", ".join(f"'{kind}'" for kind in KINDS)
_ENDED = f"SELECT id FROM main.streams WHERE kind IN ({_KINDS}) AND state <> 'streaming'"
_IN_ORDER = "ORDER BY started_at, rowid"
_TELLING = " UNION ALL ".join(
    f"SELECT stream_id FROM main.{table} WHERE conversation_id IN chosen"
    for table in ("messages", "image_generations", "canvas_documents", "events")
)

_BEYOND = f"""
    WITH evidence AS MATERIALIZED (
        SELECT s.id FROM main.streams s JOIN main.stream_bodies b ON b.stream_id = s.id
        WHERE s.kind IN ({_KINDS}) AND s.state <> 'streaming' AND (b.body IS NOT NULL OR EXISTS (
            SELECT 1 FROM main.stream_bodies o WHERE o.digest = b.digest AND o.body IS NOT NULL)))
    SELECT id AS id FROM main.conversations WHERE digest IS NOT NULL
    UNION SELECT conversation_id FROM main.messages WHERE stream_id IS NULL OR stream_id NOT IN evidence
    UNION SELECT conversation_id FROM main.image_generations WHERE stream_id IS NULL OR stream_id NOT IN evidence
    UNION SELECT conversation_id FROM main.canvas_documents WHERE stream_id IS NULL OR stream_id NOT IN evidence
    UNION SELECT conversation_id FROM main.streams WHERE id NOT IN evidence AND kind NOT IN ('download', 'asset')"""

# A body that several exchanges had is kept with one of them.
_BODY = """SELECT b.arrivals, b.wire IS NOT NULL AS undecoded, CAST(coalesce(b.body, (
               SELECT o.body FROM stream_bodies o WHERE o.digest = b.digest AND o.body IS NOT NULL)) AS BLOB) AS body
           FROM stream_bodies b WHERE b.stream_id = ?"""


@dataclass(frozen=True, slots=True)
class StoredStream:
    """One ended exchange; `request` and the pieces of the body are plain, redacted bytes."""

    opening: Opening
    request: bytes
    body: bytes
    arrivals: bytes | None
    closing: Closing
    ended_at: int

    def pieces(self) -> Iterator[tuple[bytes, int]]:
        """The body as it came, each piece with when it did."""
        for piece, after in pieces(self.body, self.arrivals):
            yield piece, self.opening.started_at + after


class StoredStreams:
    """The exchanges of an archive, in the order in which they began."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def ids(self) -> list[str]:
        """All that have ended and could be evidence."""
        return [row["id"] for row in self._db.execute(f"{_ENDED} {_IN_ORDER}")]

    def telling(self, conversations: Sequence[str]) -> list[str]:
        """Those of them that tell of one of these conversations, or may: lists and updates name none as theirs."""
        asked = f"{_ENDED} AND (conversation_id IS NULL OR conversation_id IN chosen OR id IN ({_TELLING})) {_IN_ORDER}"
        chosen = "WITH chosen AS MATERIALIZED (SELECT value FROM json_each(?))"
        return [row["id"] for row in self._db.execute(f"{chosen} {asked}", (dumps(conversations),))]

    def beyond(self) -> set[str]:
        """The conversations of which more is known than what the raw bodies say that are there."""
        return {row["id"] for row in self._db.execute(_BEYOND) if row["id"] is not None}

    def streaming(self) -> set[str]:
        """The conversations that are being captured."""
        query = "SELECT conversation_id FROM main.streams WHERE state = 'streaming' AND conversation_id IS NOT NULL"
        return {row["conversation_id"] for row in self._db.execute(query)}

    def read(self, identity: str) -> StoredStream | None:
        """One of them; None when what is kept of it does not suffice to read it again, or cannot be read."""
        try:
            return self._read(identity)
        except (ValueError, TypeError, AttributeError):
            return None

    def _read(self, identity: str) -> StoredStream | None:
        row = self._db.execute("SELECT * FROM streams WHERE id = ?", (identity,)).fetchone()
        evidence = self._db.execute(_BODY, (identity,)).fetchone()
        if row is None or evidence is None or evidence["body"] is None or row["started_at"] is None:
            return None
        opening, body = _opening(row), evidence["body"]
        request = self._request(identity)
        # A page that came instead of an answer is not kept, a document that could not be decoded not read: what is on
        # record of them cannot be made again.
        readable = opening.streamed or (body and not evidence["undecoded"])
        if request is None or not readable or not _is_whole(body):
            return None
        ended_at = microseconds(row["ended_at"]) if row["ended_at"] else opening.started_at
        closing = closing_of(row["state"], row["error"])
        return StoredStream(opening, request, body, evidence["arrivals"], closing, ended_at)

    def with_bodies(self, legs: Sequence[Leg]) -> list[Leg]:
        """The legs with what this archive has of their bodies."""
        found = []
        for leg in legs:
            row = self._db.execute(_BODY, (leg.stream_id,)).fetchone()
            found.append(replace(leg, body=row["body"] if row else None, arrivals=row["arrivals"] if row else None))
        return found

    def _request(self, identity: str) -> bytes | None:
        row = self._db.execute("SELECT body FROM request_bodies WHERE stream_id = ?", (identity,)).fetchone()
        if row is None or row["body"] is None:
            return b""
        return decompress(row["body"]) if _is_whole(row["body"]) else None


def _opening(row: sqlite3.Row) -> Opening:
    """What the proxy knew; what was decoded is not decoded again, what was left out is not here."""
    (kind, name), parameters = (
        as_sent(row["kind"], row["name"] or ""),
        mapping(loads((row["parameters"] or "{}").encode())),
    )
    media_type = (row["content_type"] or "").partition(";")[0].strip().lower()
    return Opening(
        stream_id=row["id"],
        source=row["source"],
        kind=kind,
        streamed=kind == "topic" or (kind in ("turn", "resume") and media_type == "text/event-stream"),
        host=row["host"] or "",
        path=row["path"] or "",
        method=row["method"] or "",
        started_at=microseconds(row["started_at"]),
        name=name,
        parameters={key: value for key, value in parameters.items() if isinstance(value, str)},
        http_version=row["http_version"],
        status_code=row["status_code"],
        content_type=row["content_type"],
        timed=row["source"] == "live" or row["first_event_at"] is not None,
        keep_raw=False,
    )


def _is_whole(body: bytes) -> bool:
    try:
        for _ in pieces(body, None):
            pass
    except StreamError:
        return False
    return True

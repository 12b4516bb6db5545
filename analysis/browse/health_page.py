"""How the capture is doing: when it last saw something, what went wrong, what was not understood, what is missing."""

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from analysis.browse import times
from analysis.browse.items import conversation_address
from analysis.browse.site import Asked
from analysis.rendering import byte_count

_RECENT = 1_000


def health_page(db: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """The page."""
    return {
        "section": "health",
        "title": "Health of the capture",
        "states": _states(db),
        "recent": _RECENT,
        "last": _last(db),
        "failed": _failed(db),
        "runs": _runs(db),
        "unrecognised": db.execute("SELECT * FROM unrecognised ORDER BY events DESC LIMIT 50").fetchall(),
        "missing": _missing(db),
        "growing": _growing(db),
        "sizes": _sizes(asked.database),
    }


def _last(db: sqlite3.Connection) -> dict[str, str]:
    row = db.execute("SELECT * FROM streams ORDER BY started_at DESC LIMIT 1").fetchone()
    if row is None:
        return {}
    return {"when": times.full(row["started_at"]), "kind": row["kind"], "state": row["state"], "id": row["id"]}


def _states(db: sqlite3.Connection) -> list[sqlite3.Row]:
    query = """SELECT state, count(*) AS streams FROM (SELECT state FROM streams ORDER BY started_at DESC LIMIT ?)
               GROUP BY state ORDER BY streams DESC"""
    return db.execute(query, (_RECENT,)).fetchall()


def _failed(db: sqlite3.Connection) -> list[dict[str, Any]]:
    query = """SELECT s.id, s.state, s.error, s.status_code, s.kind, s.started_at, s.conversation_id, c.title
               FROM (SELECT * FROM streams ORDER BY started_at DESC LIMIT ?) s
               LEFT JOIN conversations c ON c.id = s.conversation_id
               WHERE s.state IN ('error', 'interrupted') LIMIT 30"""
    return [
        {
            **dict(row),
            "when": times.full(row["started_at"]),
            "place": conversation_address(row["conversation_id"]) if row["conversation_id"] else None,
        }
        for row in db.execute(query, (_RECENT,))
    ]


def _runs(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """The last starts of the capture that lost something, or left something unread."""
    query = (
        "SELECT * FROM (SELECT * FROM runs ORDER BY started_at DESC LIMIT 100) WHERE lost_chunks > 0 OR uncaptured > 0"
    )
    return [{**dict(row), "when": times.full(row["started_at"])} for row in db.execute(query)]


def _missing(db: sqlite3.Connection) -> dict[str, int]:
    """Images that were made and whose bytes are not here."""
    query = """SELECT count(*) AS images, sum(a.sha256 IS NULL) AS without
               FROM (SELECT asset_id FROM image_generations ORDER BY created_at DESC LIMIT ?) g
               LEFT JOIN assets a ON a.id = g.asset_id"""
    row = db.execute(query, (_RECENT,)).fetchone()
    return {"images": row["images"] or 0, "without": row["without"] or 0}


def _growing(db: sqlite3.Connection) -> list[dict[str, Any]]:
    query = """SELECT s.id, s.started_at, s.conversation_id, c.title FROM streams s
               LEFT JOIN conversations c ON c.id = s.conversation_id WHERE s.state = 'streaming' LIMIT 20"""
    return [
        {
            **dict(row),
            "when": times.full(row["started_at"]),
            "place": conversation_address(row["conversation_id"]) if row["conversation_id"] else None,
        }
        for row in db.execute(query)
    ]


def _sizes(database: Path) -> list[tuple[str, str]]:
    sizes = []
    for words, path in (("Database", database), ("Write-ahead log", database.with_name(database.name + "-wal"))):
        with suppress(OSError):
            sizes.append((words, byte_count(path.stat().st_size) or "empty"))
    inflight = database.with_name(database.name + "-inflight")
    kept = list(inflight.glob("*.kept")) if inflight.is_dir() else []
    if kept:
        sizes.append(
            ("Set aside, unread", f"{len(kept)} journal file{'s' if len(kept) != 1 else ''} in {inflight.name}")
        )
    return sizes

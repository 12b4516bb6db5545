"""How the capture is doing: when it last saw something, what went wrong, what was not understood, what is missing."""

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from analysis.browse import times
from analysis.browse.items import conversation_address
from analysis.browse.site import Asked
from analysis.queries import exchanges, health
from analysis.rendering import byte_count

_RECENT = 1_000


def health_page(db: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """The page."""
    failed, growing = health.recent_failures(db, _RECENT), exchanges.streaming_exchanges(db)
    states = health.recent_states(db, _RECENT)
    return {
        "section": "health",
        "title": "Health of the capture",
        "states": states,
        "recent": sum(states.values()),
        "last": _last(db),
        "failed": _told(exchanges.exchanges(db, failed), failed),
        "runs": _runs(db),
        "unrecognised": health.unrecognised(db),
        "missing": dict(zip(("without", "images"), health.images_without_bytes(db, _RECENT), strict=True)),
        "growing": _told({row.id: row for row in growing}, [row.id for row in growing]),
        "sizes": _sizes(asked.database),
    }


def _last(db: sqlite3.Connection) -> dict[str, str]:
    last = exchanges.newest_exchange(db)
    return {"when": times.full(last.started_at), "kind": last.kind, "state": last.state, "id": last.id} if last else {}


def _told(found: Mapping[str, exchanges.Exchange], order: Iterable[str]) -> list[dict[str, Any]]:
    """Exchanges in an order, each with when it was and the conversation it is of."""
    return [
        {
            **row._asdict(),
            "title": row.conversation_title,
            "when": times.full(row.started_at),
            "place": conversation_address(row.conversation_id) if row.conversation_id else None,
        }
        for row in (found[identity] for identity in order)
    ]


def _runs(db: sqlite3.Connection) -> list[dict[str, str]]:
    """The last starts of the capture that lost something, or left something unread."""
    return [{"when": times.full(run.started_at), "told": run.told()} for run in health.lossy_runs(db)]


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

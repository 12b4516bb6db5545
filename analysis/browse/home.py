"""The first page: where to search, what was said lately, how the capture is doing."""

import hashlib
import sqlite3
from itertools import groupby
from typing import Any

import orjson

from analysis.browse import reading, times
from analysis.browse.items import conversation_address
from analysis.browse.site import Asked
from analysis.rendering import without_marks

_PAGE = 40


def home_page(db: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """Conversations by day, the latest first."""
    before = asked.get("before")
    found = reading.conversations_by_activity(db, before, _PAGE + 1)
    entries = _entries(db, found[:_PAGE])
    about = {} if before else _about(db)
    return {
        **about,
        "section": "home",
        "title": "Conversations",
        "days": _by_day(entries),
        "older": _place(found[_PAGE - 1]) if len(found) > _PAGE else None,
        "before": before,
        "seen": _state(entries, about),
    }


def recent(db: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """What the page asks for while it is open: the list and what stands over it again, when they are others."""
    entries = _entries(db, reading.conversations_by_activity(db, "", _PAGE))
    about = _about(db)
    state = _state(entries, about)
    data = {"seen": state, "changed": state != asked.get("seen")}
    return {**about, "days": _by_day(entries), "data": data} if data["changed"] else {"data": data}


def _place(found: tuple[str, str]) -> str:
    identity, at = found
    return f"{at}~{identity}"


def _entries(db: sqlite3.Connection, found: list[tuple[str, str]]) -> list[dict[str, Any]]:
    rows = reading.summaries(db, [identity for identity, _ in found])
    return [_entry(rows[identity], at) for identity, at in found if identity in rows]


def _by_day(entries: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    return [(day, list(group)) for day, group in groupby(entries, key=lambda entry: times.day(entry["at"]))]


def _entry(row: sqlite3.Row, at: str) -> dict[str, Any]:
    return {
        **dict(row),
        "at": at,
        "address": conversation_address(row["id"]),
        "clock": times.clock(at),
        "full": times.full(at),
        "question": " ".join(without_marks(row["question"] or "").split())[:200],
    }


def _about(db: sqlite3.Connection) -> dict[str, Any]:
    return {"counts": _counts(db), "capture": _capture(db)}


def _counts(db: sqlite3.Connection) -> dict[str, int]:
    """How much there is. Messages are numbered as they come: their highest number costs no count over all of them."""
    query = """SELECT (SELECT count(*) FROM conversations) AS conversations, (SELECT max(n) FROM messages) AS messages,
                      (SELECT max(id) FROM image_generations) AS images"""
    return {key: value or 0 for key, value in dict(db.execute(query).fetchone()).items()}


def _capture(db: sqlite3.Connection) -> dict[str, Any]:
    """When something last came, and how many of the last 200 exchanges did not end well."""
    last = db.execute("SELECT started_at, state FROM streams ORDER BY started_at DESC LIMIT 1").fetchone()
    if last is None:
        return {"last": "", "troubled": 0}
    query = """SELECT count(*) FROM (SELECT state FROM streams ORDER BY started_at DESC LIMIT 200)
               WHERE state IN ('interrupted', 'error')"""
    return {
        "last": f"{_in_a_sentence(times.day(last['started_at']))}, {times.clock(last['started_at'])}",
        "troubled": db.execute(query).fetchone()[0],
    }


def _in_a_sentence(day: str) -> str:
    return day.lower() if day in ("Today", "Yesterday") else day


def _state(entries: list[dict[str, Any]], about: dict[str, Any]) -> str:
    """A short word for what the page shows."""
    shown = [[entry[name] for name in ("id", "at", "title", "messages", "live")] for entry in entries]
    return hashlib.sha256(orjson.dumps([shown, about])).hexdigest()[:16]

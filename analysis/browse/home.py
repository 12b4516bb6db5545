"""The first page: where to search, what was said lately, how the capture is doing."""

import hashlib
import sqlite3
from itertools import groupby, islice
from typing import Any

import orjson

from analysis.browse import times
from analysis.browse.items import conversation_address
from analysis.browse.site import Asked
from analysis.queries import conversations, exchanges, health
from analysis.rendering import without_marks

_PAGE = 40
_RECENT = 200


def home_page(db: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """Conversations by day, the latest first."""
    before = asked.get("before")
    at, _, identity = before.partition("~")
    found = list(islice(conversations.by_activity(db, (at, identity) if before else None), _PAGE + 1))
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
    entries = _entries(db, list(islice(conversations.by_activity(db), _PAGE)))
    about = _about(db)
    state = _state(entries, about)
    data = {"seen": state, "changed": state != asked.get("seen")}
    return {**about, "days": _by_day(entries), "data": data} if data["changed"] else {"data": data}


def _place(found: tuple[str, str]) -> str:
    identity, at = found
    return f"{at}~{identity}"


def _entries(db: sqlite3.Connection, found: list[tuple[str, str]]) -> list[dict[str, Any]]:
    rows = conversations.in_short(db, [identity for identity, _ in found])
    return [_entry(rows[identity], at) for identity, at in found if identity in rows]


def _by_day(entries: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    return [(day, list(group)) for day, group in groupby(entries, key=lambda entry: times.day(entry["at"]))]


def _entry(row: conversations.ConversationInShort, at: str) -> dict[str, Any]:
    return {
        **row._asdict(),
        "at": at,
        "address": conversation_address(row.id),
        "clock": times.clock(at),
        "full": times.full(at),
        "question": " ".join(without_marks(row.last_prompt or "").split())[:200],
    }


def _about(db: sqlite3.Connection) -> dict[str, Any]:
    return {"counts": _counts(db), "capture": _capture(db)}


def _counts(db: sqlite3.Connection) -> dict[str, int]:
    there = health.totals(db)
    return {"conversations": there.conversations, "messages": there.messages, "images": there.images}


def _capture(db: sqlite3.Connection) -> dict[str, Any]:
    """When something last came, and how many of the last exchanges did not end well."""
    last = exchanges.newest_exchange(db)
    if last is None:
        return {"last": "", "troubled": ""}
    failures = len(health.recent_failures(db, _RECENT, _RECENT))
    return {
        "last": f"{_in_a_sentence(times.day(last.started_at))}, {times.clock(last.started_at)}",
        "troubled": health.in_words("exchanges_failed", failures) if failures else "",
    }


def _in_a_sentence(day: str) -> str:
    return day.lower() if day in ("Today", "Yesterday") else day


def _state(entries: list[dict[str, Any]], about: dict[str, Any]) -> str:
    """A short word for what the page shows."""
    shown = [[entry[name] for name in ("id", "at", "title", "messages", "live")] for entry in entries]
    return hashlib.sha256(orjson.dumps([shown, about])).hexdigest()[:16]

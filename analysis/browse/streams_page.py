"""One captured exchange: what was asked, when bytes and events came, where it stood still, what was not understood."""

import json
import sqlite3
from itertools import islice, pairwise
from typing import Any

import orjson

from analysis.bodies import Damaged, unpacked
from analysis.browse import times
from analysis.browse.items import conversation_address
from analysis.browse.site import Asked, Problem
from analysis.queries import exchanges
from analysis.rendering import byte_count, duration
from analysis.rendering.code import code_block

_KINDS = ("kind", "source", "encoding", "content_encoding")
_EVENTS = 500
_POINTS = 2_000
_RAW = 200_000


def stream_page(db: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """The page of one exchange."""
    identity = asked.parts["stream"]
    stream = exchanges.exchange(db, identity)
    if stream is None:
        raise Problem(404, "No such exchange", "It is not in this archive, or was deleted from it.")
    kept = exchanges.raw_body(db, identity)
    arrivals = _arrivals(kept.arrivals)
    events = list(islice(exchanges.exchange_events(db, identity), _EVENTS))
    raw, damaged = _text(kept.body)
    place = conversation_address(stream.conversation_id, stream.request_message_id) if stream.conversation_id else None
    return {
        "section": "health",
        "title": f"Exchange of {times.full(stream.started_at)}",
        "stream": stream,
        "facts": _facts(stream, arrivals),
        "place": place,
        "request": code_block(_pretty(_text(kept.request)[0]), "json") if kept.request else None,
        "curve": {"arrivals": _thinned(arrivals), "marks": _marks(stream)} if _took_time(arrivals) else None,
        "events": [_event(event, stream.started_at) for event in events],
        "more_events": len(events) == _EVENTS,
        "messages": _messages(db, identity),
        "raw": raw[:_RAW],
        "raw_more": len(raw) > _RAW,
        "damaged": damaged,
    }


def _facts(stream: exchanges.Exchange, arrivals: list[tuple[float, int]]) -> list[tuple[str, str]]:
    first = times.seconds_between(stream.started_at, stream.first_token_at)
    whole = times.seconds_between(stream.started_at, stream.ended_at)
    gap = max((later - earlier for (earlier, _), (later, _) in pairwise(arrivals)), default=0.0)
    facts = {
        "State": stream.state + (f": {stream.error}" if stream.error else ""),
        "Asked": f"{stream.method or ''} {stream.host or ''}{stream.path or ''}".strip(),
        "Status": str(stream.status_code or ""),
        "Kind": " \u00b7 ".join(value for name in _KINDS if (value := getattr(stream, name))),
        "Action": stream.action or "",
        "Model asked for": stream.requested_model or "",
        "First token": duration(first) if first is not None else "",
        "Whole": duration(whole) if whole is not None else "",
        "Longest gap": duration(gap) if gap else "",
        "Events": f"{stream.event_count or 0:,}"
        + (f", {stream.unrecognised_count} not recognised" if stream.unrecognised_count else ""),
        "Bytes": " \u00b7 ".join(
            filter(None, (byte_count(stream.wire_bytes) and f"{byte_count(stream.wire_bytes)} on the wire",
                          byte_count(stream.body_bytes) and f"{byte_count(stream.body_bytes)} decoded"))
        ),
    }  # fmt: skip
    return [(name, value) for name, value in facts.items() if value]


def _arrivals(packed: bytes | None) -> list[tuple[float, int]]:
    """Seconds after the beginning, and how long the body was then."""
    if not packed:
        return []
    try:
        return [(int(after) / 1e6, int(length)) for after, length in orjson.loads(unpacked(packed, 20_000_000))]
    except (Damaged, ValueError, TypeError):
        return []


def _took_time(arrivals: list[tuple[float, int]]) -> bool:
    """Whether bytes came one after another; a saved body was there at once."""
    return bool(arrivals) and arrivals[-1][0] > 0


def _thinned(arrivals: list[tuple[float, int]]) -> list[tuple[float, int]]:
    if len(arrivals) <= _POINTS:
        return arrivals
    step = len(arrivals) / _POINTS
    return [arrivals[int(n * step)] for n in range(_POINTS)] + arrivals[-1:]


def _marks(stream: exchanges.Exchange) -> list[dict[str, Any]]:
    named = {"first_event_at": "first event", "first_token_at": "first token", "ended_at": "end"}
    marks = [
        (times.seconds_between(stream.started_at, getattr(stream, column)), words) for column, words in named.items()
    ]
    return sorted(
        ({"at": at, "words": words} for at, words in marks if at is not None), key=lambda mark: float(mark["at"])
    )


def _event(event: exchanges.TypedEvent, started_at: str | None) -> dict[str, Any]:
    after = times.seconds_between(started_at, event.received_at)
    data = event.data or ""
    return {
        "position": event.position,
        "after": f"{after:.3f} s" if after is not None else "",
        "type": event.type,
        "recognised": event.recognised,
        "data": data[:160],
        "whole": code_block(_pretty(data), "json") if len(data) > 160 else None,
    }


def _messages(db: sqlite3.Connection, identity: str) -> list[dict[str, Any]]:
    return [
        {
            **row._asdict(),
            "address": f"{conversation_address(row.conversation_id, row.id)}#m-{row.n}"
            if row.conversation_id
            else None,
        }
        for row in exchanges.brought(db, identity)
    ]


def _text(packed: bytes | None) -> tuple[str, bool]:
    """What was kept, as text, as far as a page shows it; whether it is damaged."""
    if not packed:
        return "", False
    try:
        return unpacked(packed, _RAW * 4).decode("utf-8", "replace"), False
    except Damaged:
        return "", True


def _pretty(text: str) -> str:
    try:
        return json.dumps(orjson.loads(text), ensure_ascii=False, indent=2)[:_RAW]
    except (orjson.JSONDecodeError, RecursionError):
        return text[:_RAW]

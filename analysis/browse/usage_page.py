"""Charts of how ChatGPT is used. Each is one of the named questions, whose SQL and CSV stand beside it.

Over years of messages the questions take a second or two together. What was asked once is kept, and asked again when
the archive has changed: the answer of a moment ago is shown meanwhile.
"""

import asyncio
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from datasette.utils.asgi import Request, Response

from analysis.browse.site import Asked, Problem, Site
from analysis.clock import zone
from analysis.queries.live import newest_rows
from analysis.queries.named import QUESTIONS, answers

type Rows = list[dict[str, Any]]
type Ask = Callable[[Callable[[sqlite3.Connection], Rows]], Awaitable[Rows]]

# Which question, how it is drawn, how much room it takes.
_CHARTS = (
    ("prompts_per_day", "days", "wide"),
    ("prompts_by_hour_weekday", "hours", ""),
    ("answers_by_model_month", "share", ""),
    ("time_to_first_token_by_model", "latency", ""),
    ("answer_length_by_month", "characters", ""),
    ("thinking_time_per_month", "minutes", ""),
    ("images_per_month", "images", ""),
    ("conversation_lengths", "sizes", ""),
    ("most_cited_sites", "sites", ""),
)
_KEPT = 12
_TOGETHER = 2
"""Questions that are asked at a time: one of Datasette's three threads is left for pages."""
_FRESH_SECONDS = 60.0
_TIME_LIMIT_MS = 15_000
"""Of one question: nobody waits for it but the chart, and it is asked once."""


@dataclass(slots=True)
class _Known:
    charts: dict[str, Rows | None]
    state: tuple[Any, ...]
    asked_at: float
    task: "asyncio.Task[None] | None" = None


class Charts:
    """The data of the charts, by the days that were asked for."""

    def __init__(self, site: Site, fresh_seconds: float = _FRESH_SECONDS) -> None:
        self._site, self._fresh_seconds = site, fresh_seconds
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()
        self._awaited: dict[tuple[str, str], asyncio.Task[_Known]] = {}

    async def view(self, request: Request) -> Response:
        """The data as JSON; what a question could not tell is null."""
        try:
            asked = await self._site.asked(request)

            async def ask(question: Callable[[sqlite3.Connection], Rows]) -> Rows:
                return await self._site.answer(asked, lambda db, _: question(db), _TIME_LIMIT_MS)

            return Response.json({"charts": await self.data(*days_asked(asked), ask)})
        except Problem as problem:
            return Response.json({"ok": False, "error": problem.title}, status=problem.status)

    async def data(self, since: str, until: str, ask: Ask) -> dict[str, Rows | None]:
        """The rows of each chart; None where a question could not be answered."""
        key = (since, until)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = await self._asked_once(key, ask)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        elif time.monotonic() - known.asked_at > self._fresh_seconds and (known.task is None or known.task.done()):
            known.task = asyncio.create_task(self._again(key, known, ask))
        return known.charts

    async def _asked_once(self, key: tuple[str, str], ask: Ask) -> _Known:
        """The answers, for all who wait for them: a page that is loaded again asks nothing twice."""
        task = self._awaited.get(key)
        if task is None:
            task = self._awaited[key] = asyncio.create_task(self._ask(*key, ask))
            task.add_done_callback(lambda _: self._awaited.pop(key))
        return await asyncio.shield(task)

    async def _again(self, key: tuple[str, str], known: _Known, ask: Ask) -> None:
        if None in known.charts.values() or await _state(ask) != known.state:
            self._known[key] = await self._ask(*key, ask)
        else:
            known.asked_at = time.monotonic()

    async def _ask(self, since: str, until: str, ask: Ask) -> _Known:
        state = await _state(ask)
        alone = asyncio.Semaphore(_TOGETHER)

        async def rows(name: str) -> Rows | None:
            async with alone:
                try:
                    return await ask(_asking(name, since, until))
                except Problem:
                    return None

        names = [name for name, _, _ in _CHARTS]
        charts = dict(zip(names, await asyncio.gather(*map(rows, names)), strict=True))
        return _Known(charts, state, time.monotonic())


def usage_page(db: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """The page; its charts are asked for when it is there."""
    since, until = days_asked(asked)
    return {
        "section": "usage",
        "title": "Usage",
        "since": since,
        "until": until,
        "notes": _notes(asked),
        "zone": zone(),
        "spans": [(words, address, fields == (since, until)) for words, address, fields in _spans()],
        "data_address": f"/-/archive/usage/data?{urlencode({'from': since, 'to': until})}",
        "charts": [_chart(asked, chart, since, until) for chart in _CHARTS],
    }


def days_asked(asked: Asked) -> tuple[str, str]:
    """The days of the query; without any, the last year."""
    if "from" not in asked.query and "to" not in asked.query:
        return _days_ago(365), ""
    return _day(asked.get("from")), _day(asked.get("to"))


def _notes(asked: Asked) -> list[str]:
    """What of the days asked for cannot be meant."""
    return [
        f"{word}: \u201c{asked.get(key, 40)}\u201d is not a day, and was left out of account. A day is 2026-09-21."
        for key, word in (("from", "From"), ("to", "To"))
        if asked.get(key) and not _day(asked.get(key))
    ]


def _day(given: str) -> str:
    try:
        return date.fromisoformat(given).isoformat()
    except ValueError:
        return ""


def _spans() -> list[tuple[str, str, tuple[str, str]]]:
    spans = {"30 days": (_days_ago(30), ""), "A year": (_days_ago(365), ""), "All": ("", "")}
    return [
        (words, f"/-/archive/usage?{urlencode({'from': since, 'to': until})}", (since, until))
        for words, (since, until) in spans.items()
    ]


def _days_ago(days: int) -> str:
    return (datetime.now().astimezone().date() - timedelta(days=days)).isoformat()


def _chart(asked: Asked, chart: tuple[str, str, str], since: str, until: str) -> dict[str, Any]:
    name, kind, size = chart
    question = QUESTIONS[name]
    days = {"since": since, "until": until}
    given = urlencode({key: value for key, value in days.items() if key in question.parameters})
    return {
        "name": name,
        "kind": kind,
        "size": size,
        "title": question.title,
        "description": question.description,
        "sql": f"{asked.table(name)}?{given}",
        "csv": f"{asked.table(name)}.csv?{given}",
    }


def _asking(name: str, since: str, until: str) -> Callable[[sqlite3.Connection], Rows]:
    return lambda db: answers(db, name, since=since, until=until)


async def _state(ask: Ask) -> tuple[Any, ...]:
    """What changes when anything is captured."""

    return tuple((await ask(lambda db: [{"newest": newest_rows(db)}]))[0]["newest"])

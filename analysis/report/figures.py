"""What a year with ChatGPT comes to, in figures. Days and months are those of this machine's clock."""

import sqlite3
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime
from typing import Any

from analysis.queries.images import Image, ImageFilter, images
from analysis.queries.named import answers
from analysis.queries.sources import cited_sites
from analysis.queries.usage import activity, days_known, totals_of


@dataclass(frozen=True, slots=True)
class Year:
    """A year's figures; `images` are those whose bytes are stored, spread over the year."""

    year: int
    totals: dict[str, int]
    days: list[dict[str, Any]]
    models: list[dict[str, Any]]
    hours: list[dict[str, Any]]
    thinking: list[dict[str, Any]]
    threads: list[dict[str, Any]]
    sites: list[dict[str, Any]]
    images: list[Image]


def years(db: sqlite3.Connection) -> tuple[int, int] | None:
    """The first and the last year in which anything was said."""
    known = days_known(db)
    return (int(known[0][:4]), int(known[1][:4])) if known else None


def figures(db: sqlite3.Connection, year: int, *, most: int = 12, most_images: int = 60) -> Year:
    """All figures of a year; lists have at most `most` lines."""
    span = {"since": f"{year:04}-01-01", "until": f"{year:04}-12-31"}
    begin, end = _utc(year), _utc(year + 1)
    made = list(images(db, ImageFilter(since=begin, until=end, status="complete", stored=True)))[::-1]
    said = activity(db, "day", since=f"{year:04}", until=f"{year:04}")
    days = [{"day" if name == "period" else name: value for name, value in day._asdict().items()} for day in said]
    sites = cited_sites(db, between=(begin, end), limit=most)
    return Year(
        year=year,
        totals=totals_of(db, begin, end) | {"images": sum(day["images"] for day in days)},
        days=days,
        models=answers(db, "answers_by_model_month", **span),
        hours=answers(db, "prompts_by_hour_weekday", **span),
        thinking=answers(db, "thinking_time_per_month", **span),
        threads=answers(db, "longest_conversations", **span)[:most],
        sites=[{"site": site.host, "answers": site.messages} for site in sites],
        images=made[:: max(1, -(-len(made) // most_images))],
    )


def _utc(year: int) -> str:
    """When a year begins here, as the archive writes times."""
    if year > MAXYEAR:
        return "9"
    try:
        return f"{datetime(year, 1, 1).astimezone().astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
    except (OverflowError, ValueError):  # at the edges of the calendar
        return f"{year:04}"

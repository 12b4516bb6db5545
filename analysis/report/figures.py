"""What a year with ChatGPT comes to, in figures. Reads only; days and months are those of UTC."""

import sqlite3
from collections import Counter
from dataclasses import dataclass
from typing import Any

from analysis.queries.usage import activity
from analysis.rendering import web_address
from analysis.rendering.sources import host_of

_AT = "coalesce(m.created_at, m.first_seen_at)"
_IN_YEAR = f"{_AT} >= :begin AND {_AT} < :end"
_ANSWER = """m.role = 'assistant' AND m.visible = 1
    AND coalesce(m.content_type, '') NOT IN ('thoughts', 'reasoning_recap')"""

_MODELS = f"""
    SELECT substr({_AT}, 1, 7) AS month, m.model_slug AS model, count(*) AS answers
    FROM messages m WHERE {_ANSWER} AND m.model_slug IS NOT NULL AND {_IN_YEAR} GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2"""
_HOURS = f"""
    SELECT CAST(strftime('%w', {_AT}) AS INTEGER) AS weekday, CAST(substr({_AT}, 12, 2) AS INTEGER) AS hour,
           count(*) AS prompts
    FROM messages m WHERE m.role = 'user' AND m.visible = 1 AND {_IN_YEAR} GROUP BY 1, 2 ORDER BY 1, 2"""
_THINKING = f"""
    SELECT substr({_AT}, 1, 7) AS month, round(sum(m.reasoning_seconds) / 60, 1) AS minutes, count(*) AS thoughts
    FROM messages m WHERE m.reasoning_seconds > 0 AND {_IN_YEAR} GROUP BY 1 ORDER BY 1"""
_LONGEST = f"""
    SELECT c.id, c.title, l.messages, l.characters FROM (
        SELECT m.conversation_id, count(*) AS messages, sum(length(m.text)) AS characters FROM messages m
        WHERE m.visible = 1 AND {_IN_YEAR} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT :most) l
    JOIN conversations c ON c.id = l.conversation_id ORDER BY l.messages DESC, c.id"""
_TOTALS = f"""
    SELECT count(DISTINCT m.conversation_id) AS conversations, sum(m.role = 'user') AS prompts,
           sum({_ANSWER}) AS answers, sum(iif({_ANSWER}, length(m.text), 0)) AS characters
    FROM messages m WHERE m.visible = 1 AND {_IN_YEAR}"""
_CITED = f"SELECT c.url FROM citations c JOIN messages m ON m.n = c.message_n WHERE {_IN_YEAR}"
_WALL = """
    SELECT * FROM image_gallery g WHERE g.created_at >= :begin AND g.created_at < :end AND g.status = 'complete'
      AND g.asset_path IS NOT NULL ORDER BY g.created_at"""


@dataclass(frozen=True, slots=True)
class Year:
    """A year's figures; `images` are rows of `image_gallery` whose bytes are stored, spread over the year."""

    year: int
    totals: dict[str, int]
    days: list[dict[str, Any]]
    models: list[dict[str, Any]]
    hours: list[dict[str, Any]]
    thinking: list[dict[str, Any]]
    threads: list[dict[str, Any]]
    sites: list[dict[str, Any]]
    images: list[sqlite3.Row]


def years(db: sqlite3.Connection) -> tuple[int, int] | None:
    """The first and the last year of which there is a message."""
    known = f"SELECT substr({_AT}, 1, 4) AS year FROM messages m WHERE {_AT} GLOB '[1-9][0-9][0-9][0-9]-*'"
    row = db.execute(f"SELECT min(year), max(year) FROM ({known})").fetchone()
    return (int(row[0]), int(row[1])) if row[0] else None


def figures(db: sqlite3.Connection, year: int, *, most: int = 12, most_images: int = 60) -> Year:
    """All figures of a year; lists have at most `most` lines."""
    span: dict[str, Any] = {"begin": f"{year:04}-01-01", "end": f"{year + 1:04}-01-01", "most": most}

    def rows(query: str) -> list[dict[str, Any]]:
        return [dict(row) for row in db.execute(query, span)]

    cited = Counter(
        host_of(address) for (url,) in db.execute(_CITED, span) if (address := web_address(url)) is not None
    )
    pictures = db.execute(_WALL, span).fetchall()
    step = max(1, -(-len(pictures) // most_images))
    said = activity(db, "day", since=f"{year:04}", until=f"{year:04}")
    days = [{"day" if name == "period" else name: value for name, value in day._asdict().items()} for day in said]
    (totals,) = rows(_TOTALS)
    return Year(
        year=year,
        totals={key: value or 0 for key, value in totals.items()} | {"images": sum(day["images"] for day in days)},
        days=days,
        models=rows(_MODELS),
        hours=rows(_HOURS),
        thinking=rows(_THINKING),
        threads=rows(_LONGEST),
        sites=[{"site": site, "citations": count} for site, count in sorted(cited.most_common(most), key=_by_count)],
        images=pictures[::step],
    )


def _by_count(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]

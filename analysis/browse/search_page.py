"""The search: what was found, by conversation, each hit in its words and a click away from its place."""

import re
import sqlite3
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from analysis.browse import times
from analysis.browse.items import conversation_address
from analysis.browse.site import Asked
from analysis.clock import zone
from analysis.queries.search import MOST, PAGE, Hit, Question, find, models
from analysis.rendering import without_marks

_ROLES = {"user": "You", "assistant": "ChatGPT", "tool": "Tools", "system": "System"}
_SHOWN = 4
"""How many hits of one conversation are shown at once."""

_SORTS = {"rank": "Best first", "new": "Newest first", "old": "Oldest first"}


def search_page(db: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """What was found for `q`."""
    question = _question(asked)
    found = find(db, question)
    fields = {key: value for key in ("q", "role", "model", "from", "to", "sort") if (value := asked.get(key))}
    last = found.more_than_counted and question.skip + PAGE >= MOST
    more = len(found.hits) == PAGE and question.skip + PAGE < found.total and not last
    return {
        "section": "home",
        "title": f"{question.words} \u00b7 Search" if question.words else "Search",
        "words": question.words,
        "question": question,
        "since": _day(asked, "from"),
        "until": _day(asked, "to"),
        "zone": zone(),
        "found": found,
        "total": f"more than {MOST:,}" if found.more_than_counted else f"{found.total:,}",
        "most": _SHOWN,
        "talks": _by_conversation(found.hits, question.words),
        "roles": _ROLES,
        "sorts": _SORTS,
        "models": models(db),
        "next": f"/-/archive?{urlencode({**fields, 'skip': question.skip + PAGE})}" if more else None,
        "too_long": len(asked.query.get("q", "")) > len(question.words),
    }


def _question(asked: Asked) -> Question:
    skip = asked.get("skip", 6)
    return Question(
        words=asked.get("q"),
        role=role if (role := asked.get("role")) in _ROLES else "",
        model=asked.get("model", 80),
        since=times.day_begins(_day(asked, "from")),
        until=times.day_ends(_day(asked, "to")),
        sort=sort if (sort := asked.get("sort")) in _SORTS else "",
        skip=min(int(skip), MOST) if skip.isascii() and skip.isdigit() else 0,
    )


def _day(asked: Asked, key: str) -> str:
    given = asked.get(key, 10)
    return given if re.fullmatch(r"\d{4}-\d\d-\d\d", given) and times.day_begins(given) else ""


def _by_conversation(hits: tuple[Hit, ...], words: str) -> list[dict[str, Any]]:
    """The hits of a conversation together, where the first of them stands."""
    order = {identity: n for n, identity in enumerate(dict.fromkeys(hit.conversation_id for hit in hits))}
    together = sorted(hits, key=lambda hit: order[hit.conversation_id])
    return [
        {
            "title": group[0].title,
            "address": _address(group[0].conversation_id),
            "hits": [_entry(hit, words) for hit in group],
        }
        for group in (list(group) for _, group in groupby(together, key=lambda hit: hit.conversation_id))
    ]


def _entry(hit: Hit, words: str) -> dict[str, Any]:
    pieces = [
        (Markup("<mark>{}</mark>") if is_hit else Markup("{}")).format(_words(text)) for text, is_hit in hit.snippet
    ]
    place = conversation_address(hit.conversation_id, hit.id, q=words) if hit.conversation_id else None
    return {
        "address": f"{place}#m-{hit.n}" if place else None,
        "who": _ROLES.get(hit.role or "", hit.role or "Message"),
        "role": hit.role,
        "model": hit.model_slug,
        "day": times.day(hit.at),
        "full": times.full(hit.at),
        "snippet": Markup("").join(pieces),
    }


def _words(text: str) -> str:
    """A piece of Markdown as words."""
    plain = re.sub(r"\*\*|`", "", without_marks(text))
    return re.sub(r"^#+ |\n#+ |\\[\[\]()]", " ", re.sub(r"\n[-*] ", " \u00b7 ", plain))


def _address(conversation_id: str | None) -> str | None:
    return conversation_address(conversation_id) if conversation_id else None

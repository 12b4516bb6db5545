"""The pages that answers cite: those they name, not all that a search had found for them.

How often is told in answers: one that names a page twice cites it once. A site is known by its host, without `www.`.
"""

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple


class CitedPage(NamedTuple):
    """An address and how often it was cited: in how many messages, in which conversation last."""

    url: str
    title: str | None
    attribution: str | None
    messages: int
    conversations: int
    last_cited_at: str | None
    conversation_id: str | None


class CitedSite(NamedTuple):
    """A host, and how many of its pages were cited in how many messages."""

    host: str
    pages: int
    messages: int


CITED = "c.kind IS NOT 'search_result'"
"""Which rows of `citations c` are cited."""

_BARE = "substr(c.url, instr(c.url, '://') + 3)"
_HOST = f"lower(substr({_BARE}, 1, instr(replace(replace({_BARE}, '?', '/'), '#', '/') || '/', '/') - 1))"
HOST = f"""iif(c.url LIKE 'http://%' OR c.url LIKE 'https://%',
           iif({_HOST} LIKE 'www.%', substr({_HOST}, 5), {_HOST}), '')"""
"""The site of a row of `citations c`, "" where it is none of the web."""

_OF = "FROM citations c JOIN messages m ON m.n = c.message_n"


def cited_pages(
    db: sqlite3.Connection, *, conversation_id: str = "", words: str = "", limit: int | None = None
) -> Iterator[CitedPage]:
    """Pages, the most often cited first; `words` must be in the address, the title or the name of the publisher."""
    where, known = _where(conversation_id, words)
    values: list[str | int] = [*known]
    if limit is not None and not conversation_id:
        # Only those that are cited as often as the last one that is wanted: to look at the messages of all takes long.
        often = f"SELECT c.url, count(DISTINCT c.message_n) AS messages FROM citations c WHERE {where} GROUP BY c.url"
        last = "SELECT messages FROM often ORDER BY messages DESC LIMIT 1 OFFSET ?"
        counted = f"WITH often AS MATERIALIZED ({often})"
        where = f"({where}) AND c.url IN (SELECT url FROM often WHERE messages >= coalesce(({last}), 0))"
        values = [*known, *known, max(0, limit - 1)]
    else:
        counted = ""
    query = f"""{counted}
                SELECT c.url, max(c.title), max(c.attribution), count(DISTINCT c.message_n) AS messages,
                       count(DISTINCT m.conversation_id), max(coalesce(m.created_at, m.first_seen_at)) AS last_at,
                       m.conversation_id
                {_OF} WHERE {where} GROUP BY c.url ORDER BY messages DESC, last_at DESC, c.url LIMIT ?"""
    return (CitedPage(*row) for row in db.execute(query, [*values, -1 if limit is None else limit]))


def cited_sites(
    db: sqlite3.Connection,
    *,
    conversation_id: str = "",
    words: str = "",
    between: tuple[str, str] = ("", "9"),
    limit: int | None = None,
) -> list[CitedSite]:
    """Hosts, the most often cited first; `between` are times of the messages, the second not included."""
    where, values = _where(conversation_id, words)
    if between != ("", "9"):
        where, values = f"{where} AND m.created_at >= ? AND m.created_at < ?", [*values, *between]
    # The messages of citations are looked at only where something is asked of them, the site of an address once.
    of = _OF if "m." in where else "FROM citations c"
    query = f"""WITH pages (url, host) AS MATERIALIZED (
                    SELECT c.url, {HOST} FROM (SELECT DISTINCT url FROM citations) c)
                SELECT p.host, count(DISTINCT c.url), count(DISTINCT c.message_n) AS messages
                {of} CROSS JOIN pages p ON p.url = c.url WHERE {where} AND p.host <> ''
                GROUP BY p.host ORDER BY messages DESC, p.host LIMIT ?"""
    return [CitedSite(*row) for row in db.execute(query, [*values, -1 if limit is None else limit])]


def _where(conversation_id: str, words: str) -> tuple[str, list[str]]:
    conditions, values = [CITED], []
    if conversation_id:
        conditions.append("m.conversation_id = ?")
        values.append(conversation_id)
    for word in words.split():
        conditions.append(
            "instr(lower(c.url || ' ' || coalesce(c.title, '') || ' ' || coalesce(c.attribution, '')), lower(?))"
        )
        values.append(word)
    return " AND ".join(conditions), values

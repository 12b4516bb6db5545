"""Searching all messages: what is typed, as a question to the two indexes, and what was found, in short.

Words are found whole, in any case and without their accents; what stands between quotation marks is found as it
stands. Chinese, Japanese, Thai and others have no blanks between words: of them any part is found, by the index of
three characters. What is typed is never taken for the syntax of either index.
"""

import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

MOST = 20_000
"""Hits that are counted and ordered by rank; ordering many more takes seconds, so beyond it the newest come first."""

_NEAR = 2000
"""Messages that are looked at one by one to know the newest hits of a common word, before all hits are ordered."""

PAGE = 50
_LONGEST_QUERY, _MOST_TERMS = 300, 12
_TERM = re.compile(r'"([^"]*)"|([^\s"]+)')
# The same that the index of parts takes (`messages.in_parts`).
_BLANKLESS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff]"
)
_AROUND = 110
"""Characters of a snippet before its first hit, and half of those behind it."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for; `sort` is `rank`, `new` or `old`. Times are ISO 8601, both included; `count` -1 is all."""

    words: str
    role: str = ""
    model: str = ""
    since: str = ""
    until: str = ""
    sort: str = ""
    skip: int = 0
    count: int = PAGE

    @property
    def terms(self) -> list[str]:
        """What must all be there."""
        found = [(phrase or word).strip() for phrase, word in _TERM.findall(self.words[:_LONGEST_QUERY])]
        return [term for term in found if any(character.isalnum() for character in term)][:_MOST_TERMS]

    @property
    def filtered(self) -> bool:
        """Whether more is asked than words."""
        return bool(self.role or self.model or self.since or self.until)


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that was found; `snippet` is its text around the first hit, in pieces, each a hit or not."""

    n: int
    id: str
    conversation_id: str | None
    title: str | None
    role: str | None
    model_slug: str | None
    at: str | None
    snippet: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """Hits in the order of `sort`; `total` counts to `MOST` and one more."""

    hits: tuple[Hit, ...]
    total: int
    sort: str

    @property
    def more_than_counted(self) -> bool:
        """Whether there are more than were counted."""
        return self.total > MOST


class Order(NamedTuple):
    """The numbers of the messages that are to be told, of `total`, which counts to `MOST` and one more."""

    numbers: list[int]
    total: int
    sort: str


def find(db: sqlite3.Connection, question: Question) -> Found:
    """The messages that hold all terms."""
    numbers, total, sort = order(db, question)
    return Found(tuple(hits(db, numbers, question)), total, sort)


def order(db: sqlite3.Connection, question: Question) -> Order:
    """Which messages hold all terms, in the order of `sort`."""
    terms = question.terms
    if not terms:
        return Order([], 0, question.sort or "rank")
    source, values = matching(db, terms)
    total = _count(db, source, values)
    common = total > MOST
    by_rank = question.sort not in ("new", "old") and not common and source.startswith("SELECT rowid, rank")
    sort = "rank" if by_rank else "old" if question.sort == "old" else "new"
    if common and not question.filtered and question.count >= 0:
        source, values, common = _at_the_end(db, question, source, values, sort)
    query, values = _filtered(question, source, values, common=common)
    if question.filtered:
        total = _count(db, f"SELECT m.n {query}", values)
    keys = {"rank": "f.rank", "new": f"{_AT} DESC, m.n DESC", "old": f"{_AT}, m.n"}[sort]
    if by_rank and not question.filtered:
        query, keys = f"FROM (SELECT rowid AS n, rank FROM ({source})) m", "rank"
    rows = db.execute(f"SELECT m.n {query} ORDER BY {keys} LIMIT ? OFFSET ?", (*values, question.count, question.skip))
    return Order([row[0] for row in rows], total, sort)


MODELS = """
    WITH RECURSIVE known (slug) AS (
        SELECT min(model_slug) FROM messages WHERE model_slug IS NOT NULL
        UNION SELECT (SELECT min(model_slug) FROM messages WHERE model_slug > slug) FROM known WHERE slug IS NOT NULL)
    SELECT slug FROM known WHERE slug IS NOT NULL"""


def models(db: sqlite3.Connection) -> list[str]:
    """The models that answered; by its index, not by reading all messages."""
    return [row[0] for row in db.execute(MODELS)]


def is_blankless(text: str) -> bool:
    """Whether a text is in a script that puts no blanks between words."""
    return _BLANKLESS.search(text) is not None


def matching(db: sqlite3.Connection, terms: list[str]) -> tuple[str, list[str]]:
    """A query for the rowids of what holds all terms."""
    words = [term for term in terms if not is_blankless(term)]
    parts = [term for term in terms if is_blankless(term)]
    # Each word as a phrase of its own: nothing in it is taken for FTS5's syntax.
    match = " ".join('"' + word.replace('"', '""') + '"' for word in words)
    by_words = "SELECT rowid, rank FROM messages_fts WHERE messages_fts MATCH ?"
    if not parts:
        return by_words, [match]
    queries = [_holding(db, part) for part in parts] + ([(by_words, [match])] if words else [])
    holding = " INTERSECT ".join(f"SELECT rowid FROM ({query})" for query, _ in queries)
    return holding, [value for _, given in queries for value in given]


def _holding(db: sqlite3.Connection, part: str) -> tuple[str, list[str]]:
    """A query for what holds a part of a word; the index knows it by threes, so a shorter one begins one of them."""
    if len(part) >= 3:
        return "SELECT rowid FROM messages_fts_cjk WHERE text LIKE ?", [f"%{part}%"]
    # In the connection's own temporary space: nothing is written to the archive.
    db.execute(
        "CREATE VIRTUAL TABLE IF NOT EXISTS temp.search_threes USING fts5vocab('main', 'messages_fts_cjk', 'instance')"
    )
    return "SELECT DISTINCT doc AS rowid FROM temp.search_threes WHERE term >= ? AND term <= ?", [
        part,
        part + "\U0010ffff",
    ]


_AT = "coalesce(m.created_at, m.first_seen_at)"
_ROLES = """(WITH RECURSIVE known (role) AS (
                 SELECT min(role) FROM messages
                 UNION SELECT (SELECT min(role) FROM messages WHERE role > known.role) FROM known
                 WHERE known.role IS NOT NULL)
             SELECT role FROM known UNION SELECT NULL) r"""
"""The roles; messages are read by them where their times are wanted, as one index holds both."""


def _filtered(question: Question, source: str, values: list[str], *, common: bool) -> tuple[str, list[str]]:
    """From what the messages `m` are taken that are found and asked for; what is common is not looked up one by one."""
    conditions = {
        "m.role = ?": question.role,
        "m.model_slug = ?": question.model,
        f"{_AT} >= ?": question.since,
        f"{_AT} < ?": f"{question.until}T24" if question.until else "",
    }
    asked = {condition: value for condition, value in conditions.items() if value}
    both = " AND ".join(asked) or "1"
    if not common:
        return f"FROM ({source}) f CROSS JOIN messages m ON m.n = f.rowid WHERE {both}", [*values, *asked.values()]
    known = f"+m.n IN (SELECT rowid FROM ({source})) AND {both}"
    if question.role or question.model:
        return f"FROM messages m WHERE {known}", [*values, *asked.values()]
    # Nearly all that is wanted of each stands in this index, which SQLite does not see.
    return f"FROM messages m INDEXED BY messages_role_created_at WHERE {known}", [*values, *asked.values()]


def _at_the_end(
    db: sqlite3.Connection, question: Question, source: str, values: list[str], sort: str
) -> tuple[str, list[str], bool]:
    """The query again, of few messages that hold those to be told, and whether it is still of many.

    The hits written last are mostly the newest: no other is told but one as new as the oldest of them.
    """
    last, best, than = ("ASC", "max", "<=") if sort == "old" else ("DESC", "min", ">=")
    ends = f"SELECT rowid FROM ({source}) ORDER BY rowid {last} LIMIT ?"
    bound = f"SELECT {best}({_AT}) FROM messages m WHERE m.n IN ({ends})"
    (time,) = db.execute(bound, (*values, question.skip + question.count)).fetchone()
    near = f"""SELECT m.n FROM {_ROLES} CROSS JOIN messages m ON m.role IS r.role WHERE m.created_at {than} ?
               UNION ALL SELECT m.n FROM {_ROLES} CROSS JOIN messages m ON m.role IS r.role
               WHERE m.created_at IS NULL LIMIT ?"""
    numbers = [row[0] for row in db.execute(near, (time, _NEAR + 1))]
    if time is None or len(numbers) > _NEAR:
        return source, values, True
    return *_among(numbers, source, values), False


def _among(numbers: list[int], source: str, values: list[str]) -> tuple[str, list[str]]:
    """Which of these are found. To pass over what is found in a stretch is quick; each that is looked for by itself is
    looked for in all segments of the index. So only the few are that lie far from the others.
    """
    middle = sorted(numbers)[len(numbers) // 2] if numbers else 0
    near = [number for number in numbers if abs(number - middle) <= MOST // 2]
    far = [number for number in numbers if abs(number - middle) > MOST // 2]
    stretch = f"""SELECT rowid FROM ({source})
                  WHERE rowid BETWEEN {min(near, default=0)} AND {max(near, default=0)}
                    AND +rowid IN (SELECT value FROM json_each(?))"""
    single = f"SELECT rowid FROM ({source}) WHERE rowid IN (SELECT value FROM json_each(?))"
    return f"{stretch} UNION ALL {single}", [*values, json.dumps(near), *values, json.dumps(far)]


def _count(db: sqlite3.Connection, source: str, values: list[str]) -> int:
    count: int = db.execute(f"SELECT count(*) FROM (SELECT 1 FROM ({source}) LIMIT {MOST + 1})", values).fetchone()[0]
    return count


def hits(db: sqlite3.Connection, numbers: Iterable[int], question: Question) -> Iterator[Hit]:
    """Messages by their numbers, as they are told."""
    query = """SELECT m.n, m.id, m.conversation_id, c.title, m.role, m.model_slug, m.text, m.transcript,
                      coalesce(m.created_at, m.first_seen_at) AS at
               FROM messages m LEFT JOIN conversations c ON c.id = m.conversation_id WHERE m.n = ?"""
    pattern = _pattern(question.terms)
    for number in numbers:
        row = db.execute(query, (number,)).fetchone()
        if row is not None:
            told = {name: row[name] for name in ("n", "id", "conversation_id", "title", "role", "model_slug", "at")}
            yield Hit(**told, snippet=snippet(_words(row), pattern))


def _words(row: sqlite3.Row) -> str:
    """What a message says, written and aloud."""
    return "\n".join(filter(None, (row["text"], row["transcript"])))


def snippet(text: str, pattern: re.Pattern[str]) -> tuple[tuple[str, bool], ...]:
    """The text around the first place where the pattern is found, in pieces, each a hit or not."""
    folded = _folded(text)
    first = pattern.search(folded)
    start = max(0, first.start() - _AROUND) if first else 0
    if start:
        start = text.find(" ", start, start + 25) + 1 or start
    end = min(len(text), (first.end() if first else 0) + 2 * _AROUND)
    if end < len(text):
        blank = text.rfind(" ", end - 25, end)
        end = blank if blank > 0 else end
    pieces: list[tuple[str, bool]] = [("\u2026 ", False)] if start else []
    at = start
    for hit in pattern.finditer(folded, start, end):
        pieces += [(text[at : hit.start()], False), (text[hit.start() : hit.end()], True)]
        at = hit.end()
    pieces += [(text[at:end], False)] + ([(" \u2026", False)] if end < len(text) else [])
    return tuple(pieces)


def _pattern(terms: list[str]) -> re.Pattern[str]:
    words = []
    for term in terms:
        pieces = [re.escape(_folded(piece)) for piece in re.findall(r"\w+", term)]
        word = r"\W+".join(pieces)
        words.append(word if is_blankless(term) else rf"(?<!\w){word}(?!\w)")
    return re.compile("|".join(words))


def _folded(text: str) -> str:
    """A text of the same length without case and accents."""
    return text.lower() if text.isascii() else "".join(map(_base, text))


@lru_cache(maxsize=65_536)
def _base(character: str) -> str:
    return unicodedata.normalize("NFD", character)[0].lower()[0]

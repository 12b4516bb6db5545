"""Searching all messages: what is typed, as a question to the two indexes, and what was found, in short.

Words are found whole, in any case and without their accents; what stands between quotation marks is found as it
stands. Chinese, Japanese, Thai and others have no blanks between words: of them any part is found, by the index of
three characters. What is typed is never taken for the syntax of either index.
"""

import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

MOST = 20_000
"""Hits that are counted and ordered by rank; ordering many more takes seconds, so beyond it the newest come first."""

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
    """What is looked for; `sort` is `rank`, `new` or `old`. Days are ISO 8601, both included; `count` hits are told."""

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


def find(db: sqlite3.Connection, question: Question) -> Found:
    """The messages that hold all terms."""
    terms = question.terms
    if not terms:
        return Found((), 0, question.sort or "rank")
    source, values = matching(db, terms)
    total = _count(db, source, values)
    by_rank = question.sort not in ("new", "old") and total <= MOST and "rank" in source
    sort = "rank" if by_rank else "old" if question.sort == "old" else "new"
    if question.filtered:
        source, values = _filtered(question, source, values, sort)
        total = _count(db, source, values)
    order = {"rank": "rank", "new": "rowid DESC", "old": "rowid"}[sort]
    query = f"SELECT rowid FROM ({source}) ORDER BY {order} LIMIT ? OFFSET ?"
    rows = db.execute(query, (*values, question.count, question.skip))
    return Found(tuple(_hits(db, [row[0] for row in rows], terms)), total, sort)


def models(db: sqlite3.Connection) -> list[str]:
    """The models that answered; by its index, not by reading all messages."""
    query = """WITH RECURSIVE known (slug) AS (
                   SELECT min(model_slug) FROM messages
                   UNION SELECT (SELECT min(model_slug) FROM messages WHERE model_slug > slug) FROM known
                   WHERE slug IS NOT NULL)
               SELECT slug FROM known WHERE slug IS NOT NULL"""
    return [row[0] for row in db.execute(query)]


def is_blankless(text: str) -> bool:
    """Whether a text is in a script that puts no blanks between words."""
    return _BLANKLESS.search(text) is not None


def matching(db: sqlite3.Connection, terms: list[str]) -> tuple[str, list[str]]:
    """A query for the rowids of what holds all terms."""
    words = [term for term in terms if not is_blankless(term)]
    parts = [term for term in terms if is_blankless(term)]
    if not parts:
        # Each word as a phrase of its own: nothing in it is taken for FTS5's syntax.
        match = " ".join('"' + word.replace('"', '""') + '"' for word in words)
        return "SELECT rowid, rank FROM messages_fts WHERE messages_fts MATCH ?", [match]
    queries, values = [], []
    for part in parts:
        query, given = _holding(db, part)
        queries.append(query)
        values += given
    holding = " INTERSECT ".join(f"SELECT rowid FROM ({query})" for query in queries)
    if not words:
        return holding, values
    # One index cannot be asked about the hits of the other without asking it again for each: their texts are read.
    patterns = [_pattern([word]) for word in words]
    query = f"SELECT n, text FROM messages WHERE n IN (SELECT rowid FROM ({holding}) ORDER BY rowid DESC LIMIT {MOST})"
    found = [n for n, text in db.execute(query, values) if _holds(text or "", patterns)]
    return "SELECT value AS rowid FROM json_each(?)", [json.dumps(found)]


def _holds(text: str, patterns: list[re.Pattern[str]]) -> bool:
    folded = _folded(text)
    return all(pattern.search(folded) for pattern in patterns)


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


def _filtered(question: Question, source: str, values: list[str], sort: str) -> tuple[str, list[str]]:
    """The query again, of those messages only that are asked for: among the newest hits, where there are very many."""
    at = "coalesce(m.created_at, m.first_seen_at)"
    conditions = {
        "m.role = ?": question.role,
        "m.model_slug = ?": question.model,
        f"{at} >= ?": question.since,
        f"{at} < ?": f"{question.until}T24" if question.until else "",
    }
    asked = {condition: value for condition, value in conditions.items() if value}
    rank = ", rank" if sort == "rank" else ""
    order = "rowid" if sort == "old" else "rowid DESC"
    newest = f"SELECT rowid{rank} FROM ({source}) ORDER BY {order} LIMIT {MOST + 1}"
    joined = f"SELECT f.rowid AS rowid{rank} FROM ({newest}) f JOIN messages m ON m.n = f.rowid"
    return f"{joined} WHERE {' AND '.join(asked)}", [*values, *asked.values()]


def _count(db: sqlite3.Connection, source: str, values: list[str]) -> int:
    count: int = db.execute(f"SELECT count(*) FROM (SELECT rowid FROM ({source}) LIMIT {MOST + 1})", values).fetchone()[
        0
    ]
    return count


def _hits(db: sqlite3.Connection, numbers: list[int], terms: list[str]) -> Iterator[Hit]:
    query = """SELECT m.n, m.id, m.conversation_id, c.title, m.role, m.model_slug, m.text,
                      coalesce(m.created_at, m.first_seen_at) AS at
               FROM messages m LEFT JOIN conversations c ON c.id = m.conversation_id WHERE m.n = ?"""
    pattern = _pattern(terms)
    for number in numbers:
        row = db.execute(query, (number,)).fetchone()
        if row is not None:
            told = {name: row[name] for name in ("n", "id", "conversation_id", "title", "role", "model_slug", "at")}
            yield Hit(**told, snippet=snippet(row["text"] or "", pattern))


def snippet(text: str, pattern: re.Pattern[str]) -> tuple[tuple[str, bool], ...]:
    """The text around the first place where the pattern is found, in pieces, each a hit or not."""
    folded = _folded(text)
    first = pattern.search(folded)
    start = max(0, first.start() - _AROUND) if first else 0
    if start:
        start = text.find(" ", start, start + 25) + 1 or start
    end = min(len(text), (first.end() if first else 0) + 2 * _AROUND)
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

"""Big archives, for measuring: as many conversations and messages as wished, in the shapes of real ones.

The schema comes from the store, the rows go in by bulk SQL: a million messages take minutes instead of an hour. The
same arguments give the same rows.
"""

import contextlib
import math
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from addon.store.store import Store
from scripts.big_archive.talk import Talk
from scripts.big_archive.texts import Texts

NEWEST = 1_790_000_000_000_000
"""When the newest conversation begins, in microseconds: 2026-09-21."""

LONGEST = 750
"""How many messages the longest conversation has at least, in an archive of twenty times as many."""

_YEARS = 3 * 365 * 86_400_000_000
_BATCH = 500
_RAW = 100
"""How many of the newest conversations have the raw bodies of their answers."""

_ORDER = (
    "conversations", "streams", "stream_bodies", "messages", "assets", "message_assets", "image_generations",
    "citations", "events",
)  # fmt: skip


def build(
    path: Path, *, conversations: int, messages: int, seed: int = 1, progress: Callable[[int], None] = lambda done: None
) -> None:
    """Make an archive of so many conversations and messages; `progress` hears the number of messages so far."""
    if not 1 <= conversations <= messages:
        raise ValueError("an archive has at least one conversation, and each conversation at least one message")
    Store.open(path).close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -262144")
        with _without_indexes(db):
            done = 0
            for talks in _batches(conversations, messages, seed):
                _write(db, talks)
                done += sum(len(talk.rows["messages"]) for talk in talks)
                progress(done)
        db.execute("PRAGMA journal_mode = WAL")


def _batches(conversations: int, messages: int, seed: int) -> Iterator[list[Talk]]:
    chance = random.Random(seed)
    texts = Texts(chance)
    sizes = _sizes(chance, conversations, messages)
    # More and more often over the years.
    times = sorted(NEWEST - int(_YEARS * chance.random() ** 1.5) for _ in range(conversations))
    number, talks = 1, []
    for place, (size, time) in enumerate(zip(sizes, times, strict=True)):
        talks.append(Talk(chance, texts, range(number, number + size), time, raw=place >= conversations - _RAW))
        number += size
        if len(talks) == _BATCH or place == conversations - 1:
            yield talks
            talks = []


def _sizes(chance: random.Random, conversations: int, messages: int) -> list[int]:
    """How long each conversation is: most are short, a few very long; at least one message, `messages` together."""
    weights = [math.exp(chance.gauss(0, 0.9)) for _ in range(conversations)]
    scale = (messages - conversations) / sum(weights)
    sizes = [1 + int(weight * scale) for weight in weights]
    for place in range(messages - sum(sizes)):
        sizes[place % conversations] += 1
    if messages >= 20 * LONGEST:
        _lengthen(sizes)
    return sizes


def _lengthen(sizes: list[int]) -> None:
    """Let the longest have its messages, a few from each of the long ones."""
    longest = sizes.index(max(sizes))
    givers = sorted((place for place, size in enumerate(sizes) if place != longest and size > 1), key=sizes.__getitem__)
    while sizes[longest] < LONGEST and givers:
        giver = givers.pop()
        given = min(LONGEST - sizes[longest], sizes[giver] // 2)
        sizes[giver] -= given
        sizes[longest] += given


def _write(db: sqlite3.Connection, talks: Sequence[Talk]) -> None:
    db.execute("BEGIN")
    for table in _ORDER:
        rows = [row for talk in talks for row in talk.rows[table]]
        if rows:
            names = list(rows[0])
            marks = ", ".join("?" * len(names))
            values: Iterator[tuple[Any, ...]] = (tuple(map(row.__getitem__, names)) for row in rows)
            db.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", values)
    db.execute("COMMIT")


@contextlib.contextmanager
def _without_indexes(db: sqlite3.Connection) -> Iterator[None]:
    """Indexes and the search, left away while rows are written and made at once afterwards."""
    query = "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
    left = db.execute(query).fetchall()
    for kind, name, _ in left:
        db.execute(f"DROP {kind} {name}")
    yield
    for _, _, sql in left:
        db.execute(sql)
    for table in ("messages_fts", "messages_fts_cjk"):
        db.execute(f"INSERT INTO {table} ({table}) VALUES ('rebuild')")
        db.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")

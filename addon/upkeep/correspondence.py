"""Which rows of an archive are which of the scratch database that was rebuilt beside it, in tables for one transaction.

`evidence` are the exchanges that were read again; of `mixed` conversations something has no evidence; those that are
`left_alone` stay as they are. `numbers` and `images` say which message and which image is which, by `n` and `id`, and
which are `fresh`, with a number of their own.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from addon.store.rows import timestamp
from addon.wire.payload import dumps


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The scratch database: which exchanges it was made of, and when it was begun (microseconds since the epoch).

    `only` names the conversations that were rebuilt, where not all were: of these, the mixed stay as they are too.
    """

    path: Path
    evidence: Sequence[str]
    began: int
    only: Sequence[str] | None = None

    @property
    def began_at(self) -> str:
        """When, as the archive says it."""
        return timestamp(self.began) or ""


# Of the archive only what has no NULL for a name can be looked up, so a conversation without one is ''.
_SCOPE = """
CREATE TEMP TABLE evidence (id TEXT PRIMARY KEY);
CREATE TEMP TABLE left_alone (id TEXT PRIMARY KEY);
CREATE TEMP TABLE mixed (id TEXT PRIMARY KEY);
CREATE TEMP TABLE numbers (theirs INTEGER PRIMARY KEY, n INTEGER UNIQUE, conversation TEXT, fresh INTEGER);
CREATE TEMP TABLE images (theirs INTEGER PRIMARY KEY, id INTEGER UNIQUE, conversation TEXT, fresh INTEGER);
"""

_LEFT_ALONE = """
    INSERT OR IGNORE INTO left_alone
    SELECT ifnull(s.conversation_id, '') FROM main.streams s LEFT JOIN rebuilt.streams r ON r.id = s.id
    WHERE s.kind NOT IN ('download', 'asset') AND (s.state = 'streaming' OR r.id IS NULL OR r.state = 'streaming')"""

_OTHERS = """
    INSERT OR IGNORE INTO left_alone
    SELECT id FROM (SELECT id FROM main.conversations UNION SELECT id FROM rebuilt.conversations UNION SELECT '')
    WHERE id NOT IN (SELECT value FROM json_each(?)) OR id IN (SELECT id FROM mixed)"""

_NUMBERS = (
    """INSERT INTO numbers SELECT r.n, m.n, ifnull(r.conversation_id, ''), 0
       FROM rebuilt.messages r JOIN main.messages m ON m.id = r.id AND m.conversation_id IS r.conversation_id
       WHERE ifnull(r.conversation_id, '') NOT IN (SELECT id FROM left_alone)""",
    """INSERT OR IGNORE INTO numbers SELECT r.n, m.n, r.conversation_id, 0
       FROM rebuilt.messages r JOIN main.messages m ON m.id = r.id AND m.conversation_id IS NULL
       WHERE r.conversation_id NOT IN (SELECT id FROM left_alone) AND r.n NOT IN (SELECT theirs FROM numbers)""",
    """INSERT INTO numbers SELECT r.n, (SELECT ifnull(max(n), 0) FROM main.messages) + row_number() OVER (ORDER BY r.n),
       ifnull(r.conversation_id, ''), 1 FROM rebuilt.messages r
       WHERE ifnull(r.conversation_id, '') NOT IN (SELECT id FROM left_alone)
         AND r.n NOT IN (SELECT theirs FROM numbers)""",
)

# An image that only a list shows has no place in a message: its file is then what it is known by.
_PLACE = (
    "{0}.message_id IS {1}.message_id AND {0}.part_index IS {1}.part_index AND"
    " ({0}.part_index IS NOT NULL OR {0}.asset_id IS {1}.asset_id)"
)

_IMAGES = (
    f"""INSERT OR IGNORE INTO images SELECT r.id, m.id, ifnull(r.conversation_id, ''), 0
        FROM rebuilt.image_generations r JOIN main.image_generations m
          ON m.conversation_id IS r.conversation_id AND {_PLACE.format("m", "r")}
        WHERE ifnull(r.conversation_id, '') NOT IN (SELECT id FROM left_alone)""",
    """INSERT INTO images
       SELECT r.id, (SELECT ifnull(max(id), 0) FROM main.image_generations) + row_number() OVER (ORDER BY r.id),
       ifnull(r.conversation_id, ''), 1 FROM rebuilt.image_generations r
       WHERE ifnull(r.conversation_id, '') NOT IN (SELECT id FROM left_alone)
         AND r.id NOT IN (SELECT theirs FROM images)""",
)


def correspond(db: sqlite3.Connection, rebuilt: Rebuilt) -> list[str]:
    """Make the tables; the conversations that are left alone since somebody wrote to them, or does."""
    for statement in _SCOPE.strip().splitlines():
        db.execute(statement)
    db.executemany("INSERT INTO temp.evidence VALUES (?)", [(identity,) for identity in rebuilt.evidence])
    db.execute("INSERT INTO temp.mixed SELECT id FROM rebuilt.mixed")
    db.execute(_LEFT_ALONE)
    busy = [row["id"] for row in db.execute("SELECT id FROM left_alone")]
    if rebuilt.only is not None:
        db.execute(_OTHERS, (dumps(rebuilt.only),))
    for statement in (*_NUMBERS, *_IMAGES):
        db.execute(statement)
    return busy

"""What a scratch database begins with before exchanges are replayed into it: all that no evidence tells.

Messages and images that an exchange without evidence made, with what hangs on them; every exchange and every asset,
since others refer to them; the conversations to which something without evidence belongs (`mixed`).
"""

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from addon.store.rows import copied
from addon.upkeep.bad_values import BadValue, take_out

_MESSAGES = "SELECT n FROM kept.messages WHERE stream_id IS NULL OR stream_id NOT IN (SELECT id FROM evidence)"

_SEED = {
    "streams": "",
    "assets": "",
    "conversations": "WHERE id IN (SELECT id FROM mixed)",
    "messages": f"WHERE n IN ({_MESSAGES})",
    "message_versions": f"WHERE message_n IN ({_MESSAGES})",
    "message_assets": f"WHERE message_n IN ({_MESSAGES})",
    "citations": f"WHERE message_n IN ({_MESSAGES})",
    "image_generations": "WHERE stream_id IS NULL OR stream_id NOT IN (SELECT id FROM evidence)",
    "canvas_documents": "WHERE stream_id IS NULL OR stream_id NOT IN (SELECT id FROM evidence)",
}

_MIXED = """
    INSERT INTO mixed
    SELECT conversation_id FROM kept.messages
    WHERE conversation_id IS NOT NULL AND (stream_id IS NULL OR stream_id NOT IN (SELECT id FROM evidence))
    UNION
    SELECT conversation_id FROM kept.streams
    WHERE conversation_id IS NOT NULL AND id NOT IN (SELECT id FROM evidence) AND kind NOT IN ('download', 'asset')
    UNION
    SELECT id FROM kept.conversations WHERE digest IS NOT NULL"""


def seed(rebuilt: Path, database: Path, evidence: Sequence[str], bad: list[BadValue]) -> None:
    """Fill an empty archive at `rebuilt` from the one at `database`, of which these exchanges are evidence.

    What is `bad` in there is left out.
    """
    with contextlib.closing(sqlite3.connect(rebuilt, isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        db.execute("ATTACH ? AS kept", (f"{database}",))
        db.execute("CREATE TABLE evidence (id TEXT PRIMARY KEY)")
        db.execute("CREATE TABLE mixed (id TEXT PRIMARY KEY)")
        # Nobody searches here.
        for trigger in db.execute("SELECT name FROM main.sqlite_schema WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER main.{trigger['name']}")
        db.execute("BEGIN")
        db.executemany("INSERT INTO evidence VALUES (?)", [(identity,) for identity in evidence])
        db.execute(_MIXED)
        for table, chosen in _SEED.items():
            names = ", ".join(copied(db, table))
            db.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM kept.{table} {chosen}")
        take_out(db, bad)
        # Whose they are is read again.
        db.execute("UPDATE main.streams SET conversation_id = NULL WHERE id IN (SELECT id FROM evidence)")
        db.execute("COMMIT")

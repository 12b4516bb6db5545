"""What a scratch database begins with before exchanges are replayed into it: all that no evidence tells.

Messages and images that an exchange without evidence made, with what hangs on them; every exchange and every asset,
since others refer to them; the conversations to which something without evidence belongs (`mixed`), or may.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from addon.store.rows import copied
from addon.upkeep.bad_values import BadValue, take_out

_MESSAGES = "SELECT n FROM kept.messages WHERE stream_id IS NULL OR stream_id NOT IN (SELECT id FROM evidence)"

# Nobody knows of which conversations a list, or an update beside the answers, told whose body is not there.
_UNREAD_LIST = """EXISTS (
    SELECT 1 FROM kept.streams WHERE conversation_id IS NULL AND kind IN ('document', 'list', 'topic')
      AND source <> 'export' AND id NOT IN (SELECT id FROM evidence))"""

_SEED = {
    "streams": "",
    "assets": "",
    "conversations": f"WHERE id IN (SELECT id FROM mixed) OR {_UNREAD_LIST}",
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


_CHOSEN = "IN (SELECT id FROM chosen)"
_NO_EVIDENCE = "(stream_id IS NULL OR stream_id NOT IN (SELECT id FROM evidence))"
_MIXED_OF_CHOSEN = f"""
    INSERT INTO mixed
    SELECT conversation_id FROM kept.messages WHERE conversation_id {_CHOSEN} AND {_NO_EVIDENCE}
    UNION SELECT conversation_id FROM kept.image_generations WHERE conversation_id {_CHOSEN} AND {_NO_EVIDENCE}
    UNION SELECT conversation_id FROM kept.canvas_documents WHERE conversation_id {_CHOSEN} AND {_NO_EVIDENCE}
    UNION SELECT conversation_id FROM kept.streams
    WHERE conversation_id {_CHOSEN} AND id NOT IN (SELECT id FROM evidence) AND kind NOT IN ('download', 'asset')
    UNION SELECT id FROM kept.conversations WHERE id {_CHOSEN} AND digest IS NOT NULL"""


def seed(rebuilt: Path, database: Path, evidence: Sequence[str], bad: list[BadValue]) -> None:
    """Fill an empty archive at `rebuilt` from the one at `database`, of which these exchanges are evidence.

    What is `bad` in there is left out.
    """
    with _beside(rebuilt, database, evidence) as db:
        db.execute(_MIXED)
        for table, chosen in _SEED.items():
            _copy(db, table, chosen)
        take_out(db, bad)


def seed_some(rebuilt: Path, database: Path, evidence: Sequence[str], conversations: Sequence[str]) -> None:
    """The same for some conversations alone, of which the mixed are not to be rebuilt."""
    with _beside(rebuilt, database, evidence) as db:
        db.execute("CREATE TEMP TABLE chosen (id TEXT PRIMARY KEY)")
        db.executemany("INSERT INTO chosen VALUES (?)", [(identity,) for identity in conversations])
        db.execute(_MIXED_OF_CHOSEN)
        _copy(
            db,
            "streams",
            f"WHERE conversation_id IS NULL OR conversation_id {_CHOSEN} OR id IN (SELECT id FROM evidence)",
        )
        _copy(db, "conversations", f"WHERE id {_CHOSEN} AND {_UNREAD_LIST}")
        _copy(db, "assets", "")
        db.execute("UPDATE main.assets SET stream_id = NULL WHERE stream_id NOT IN (SELECT id FROM main.streams)")


@contextlib.contextmanager
def _beside(rebuilt: Path, database: Path, evidence: Sequence[str]) -> Iterator[sqlite3.Connection]:
    """The scratch database with the archive as `kept`, in a transaction; at its end exchanges are nobody's."""
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
        yield db
        # Whose they are is read again.
        db.execute("UPDATE main.streams SET conversation_id = NULL WHERE id IN (SELECT id FROM evidence)")
        db.execute("COMMIT")


def _copy(db: sqlite3.Connection, table: str, chosen: str) -> None:
    names = ", ".join(copied(db, table))
    db.execute(f"INSERT INTO main.{table} ({names}) SELECT {names} FROM kept.{table} {chosen}")

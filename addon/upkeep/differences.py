"""What differs between an archive and the scratch database that was rebuilt beside it, brought over in one transaction.

A conversation all of whose exchanges were read again becomes what was rebuilt: rows that nothing tells any more go.
In one that is mixed, what was rebuilt counts, and what only the archive knows stays. Rows of messages keep their `n`,
those of images their `id`. A conversation that somebody wrote to meanwhile is left alone.

One of which an export told is mixed: what the export said of its messages is read from their rows (`export_accounts`).
Not rebuilt are messages that only an export told, as no exchange with them is there; and of no message do versions,
mentions of files or sources go, since it is not on record which of them an export told.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from addon.store.asset_rows import MERGED, settle
from addon.store.rows import copied
from addon.upkeep.correspondence import Rebuilt, correspond


@dataclass(frozen=True, slots=True)
class Changes:
    """How many rows of a table are new, changed, gone."""

    added: int = 0
    changed: int = 0
    removed: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


_STREAM_FACTS = (
    "kind", "name", "conversation_id", "request_message_id", "turn_exchange_id", "requested_model", "action",
    "encoding", "resume_offset", "first_event_at", "first_token_at", "event_count", "unrecognised_count",
)  # fmt: skip

# A list of images speaks of all conversations: one that came meanwhile may have changed any of them.
_NEW_IMAGES = """SELECT 1 FROM main.streams WHERE kind = 'list' AND name = 'images'
                 AND id NOT IN (SELECT id FROM rebuilt.streams)"""

_OWNED = """stream_id IN (SELECT id FROM evidence) AND ifnull(conversation_id, '') NOT IN
    (SELECT id FROM mixed UNION ALL SELECT id FROM left_alone)"""
"""Rows that only exchanges which were read again can have made."""

_FINISHED = "ifnull({}.status, 'in_progress') <> 'in_progress'"
_BETTER_MESSAGE = (
    f"(r.last_seen_at >= messages.last_seen_at AND ({_FINISHED.format('r')} OR NOT {_FINISHED.format('messages')}))"
)
_SURER = "iif(messages.parent_certainty > r.parent_certainty, {ours}, {theirs})"
_BEST = {
    **dict.fromkeys(
        ("first_seen_at", "first_token_at", "completed_at"), "coalesce(min({theirs}, {ours}), {theirs}, {ours})"
    ),
    "revision": "max({theirs}, {ours})",
    "parent_id": _SURER,
    "parent_certainty": _SURER,
}
_BETTER_IMAGE = """(image_generations.status <> 'complete' OR (r.status = 'complete' AND k.conversation IN
    (SELECT id FROM main.conversations WHERE digest IS NOT NULL)))"""

_CHILDREN = {
    "message_versions": ("message_n", "revision"),
    "message_assets": ("message_n", "asset_id", "role"),
    "citations": ("message_n", "position"),
}


def apply(db: sqlite3.Connection, rebuilt: Rebuilt, *, dry_run: bool = False) -> tuple[list[str], dict[str, Changes]]:
    """Which conversations were left alone, as somebody writes to them, and what was changed in each table.

    Undone again with `dry_run`.
    """
    db.execute("ATTACH ? AS rebuilt", (str(rebuilt.path),))
    try:
        db.execute("BEGIN IMMEDIATE")
        try:
            db.execute("PRAGMA defer_foreign_keys = ON")
            busy = correspond(db, rebuilt)
            difference = _Difference(db, rebuilt)
            tables = difference.bring_over()
            if rebuilt.only is not None:
                difference.settle()
            db.execute("ROLLBACK" if dry_run else "COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
    finally:
        db.execute("DETACH rebuilt")
    return busy, tables


class _Difference:
    """Both databases in one transaction; each step brings one table over and says what that changed."""

    def __init__(self, db: sqlite3.Connection, rebuilt: Rebuilt) -> None:
        self._db = db
        self._rebuilt = rebuilt
        self._orphans: dict[str, int] = {}
        self._assets: list[str] = []

    def bring_over(self) -> dict[str, Changes]:
        """All tables, those that others refer to first."""
        tables = {
            "conversations": self._conversations(),
            "streams": Changes(changed=self._streams()),
            "assets": Changes(self._missing("assets", "id"), self._restated()),
            "messages": self._messages(),
        }
        tables |= {table: self._children(table, key) for table, key in _CHILDREN.items()}
        tables["image_generations"] = self._images()
        tables["canvas_documents"] = self._canvas_documents()
        tables["events"] = self._events()
        for identity in self._assets:
            settle(self._db, identity)
        return tables

    def settle(self) -> None:
        """What follows from more than one exchange's word: who told first of a conversation, whose a file is."""
        rebuilt = "SELECT id AS name, source FROM rebuilt.conversations WHERE id NOT IN (SELECT id FROM left_alone)"
        self._run(f"UPDATE main.conversations SET source = r.source FROM ({rebuilt}) r WHERE id = r.name")
        mentioned = "SELECT DISTINCT asset_id FROM main.message_assets WHERE message_n IN (SELECT n FROM numbers)"
        for row in self._db.execute(mentioned).fetchall():
            settle(self._db, row["asset_id"])

    def _run(self, statement: str, *parameters: object) -> int:
        return max(0, self._db.execute(statement, parameters).rowcount)

    def _missing(self, table: str, key: str) -> int:
        names = ", ".join(copied(self._db, table))
        return self._run(
            f"INSERT INTO main.{table} ({names}) SELECT {names} FROM rebuilt.{table}"
            f" WHERE {key} NOT IN (SELECT {key} FROM main.{table})"
        )

    def _restated(self) -> int:
        """Of how many files what messages and lists say is better known."""
        sets = ", ".join(f"{name} = coalesce(r.{name}, assets.{name})" for name in MERGED)
        differs = " OR ".join(f"r.{name} IS NOT NULL AND r.{name} IS NOT assets.{name}" for name in MERGED)
        update = (
            f"UPDATE main.assets SET {sets} FROM rebuilt.assets r WHERE r.id = assets.id AND ({differs}) RETURNING id"
        )
        self._assets = [row["id"] for row in self._db.execute(update).fetchall()]
        return len(self._assets)

    def _conversations(self) -> Changes:
        added = self._missing("conversations", "id")
        names = copied(self._db, "conversations", "id", "source")
        sets = ", ".join(f"{name} = coalesce(r.{name}, conversations.{name})" for name in names)
        changed = self._run(
            f"UPDATE main.conversations SET {sets} FROM rebuilt.conversations r"
            f" WHERE r.id = conversations.id AND conversations.last_seen_at < ?"
            f" AND r.id NOT IN (SELECT id FROM left_alone)"
            f" AND ({' OR '.join(f'r.{name} IS NOT NULL AND r.{name} IS NOT conversations.{name}' for name in names)})",
            self._rebuilt.began_at,
        )
        return Changes(added, changed)

    def _streams(self) -> int:
        # Why a body could not be decoded is not in what was decoded of it.
        undecoded = "streams.id IN (SELECT stream_id FROM main.stream_bodies WHERE wire IS NOT NULL)"
        facts = {name: f"r.{name}" for name in _STREAM_FACTS}
        facts |= {name: f"iif({undecoded}, streams.{name}, r.{name})" for name in ("state", "error")}
        sets = ", ".join(f"{name} = {value}" for name, value in facts.items())
        differs = " OR ".join(f"streams.{name} IS NOT {value}" for name, value in facts.items())
        return self._run(
            f"UPDATE main.streams SET {sets} FROM rebuilt.streams r"
            f" WHERE r.id = streams.id AND r.id IN (SELECT id FROM evidence)"
            f" AND ifnull(r.conversation_id, '') NOT IN (SELECT id FROM left_alone)"
            f" AND ifnull(streams.conversation_id, '') NOT IN (SELECT id FROM left_alone) AND ({differs})"
        )

    def _messages(self) -> Changes:
        names = copied(self._db, "messages", "n")
        removed = self._remove_messages()
        changed = self._update("messages", "n", "numbers", names, _BETTER_MESSAGE)
        return Changes(self._insert("messages", "n", "numbers", names), changed, removed)

    def _remove_messages(self) -> int:
        gone = f"SELECT n FROM main.messages WHERE {_OWNED} AND n NOT IN (SELECT n FROM numbers)"
        for table in _CHILDREN:
            self._orphans[table] = self._run(f"DELETE FROM main.{table} WHERE message_n IN ({gone})")
        return self._run(f"DELETE FROM main.messages WHERE n IN ({gone})")

    def _images(self) -> Changes:
        if self._db.execute(_NEW_IMAGES).fetchone():
            return Changes()
        names = copied(self._db, "image_generations", "id")
        gone = f"{_OWNED} AND id NOT IN (SELECT id FROM images)"
        removed = self._run(f"DELETE FROM main.image_generations WHERE {gone}")
        changed = self._update("image_generations", "id", "images", names, _BETTER_IMAGE)
        return Changes(self._insert("image_generations", "id", "images", names), changed, removed)

    def _update(self, table: str, key: str, numbers: str, names: Sequence[str], better: str) -> int:
        """Rows that are on both sides become what was rebuilt.

        In a mixed conversation what is `better` counts, and the other where that says nothing: what somebody without
        evidence told later is in the archive only.
        """
        values = {}
        for name in names:
            theirs, ours = f"r.{name}", f"{table}.{name}"
            known = f"iif({better}, coalesce({theirs}, {ours}), coalesce({ours}, {theirs}))"
            merged = _BEST.get(name, known).format(theirs=theirs, ours=ours)
            values[name] = f"iif(k.conversation IN (SELECT id FROM mixed), {merged}, {theirs})"
        sets = ", ".join(f"{name} = {value}" for name, value in values.items())
        differs = " OR ".join(f"{table}.{name} IS NOT {value}" for name, value in values.items())
        return self._run(
            f"UPDATE main.{table} SET {sets} FROM rebuilt.{table} r JOIN {numbers} k ON k.theirs = r.{key}"
            f" WHERE k.fresh = 0 AND k.{key} = {table}.{key} AND ({differs})"
        )

    def _insert(self, table: str, key: str, known: str, names: Sequence[str]) -> int:
        return self._run(
            f"INSERT INTO main.{table} ({key}, {', '.join(names)}) SELECT k.{key}, {', '.join(f'r.{n}' for n in names)}"
            f" FROM rebuilt.{table} r JOIN {known} k ON k.theirs = r.{key} WHERE k.fresh ORDER BY k.{key}"
        )

    def _children(self, table: str, key: Sequence[str]) -> Changes:
        """What hangs on messages; of a message in a mixed conversation nothing goes."""
        names = copied(self._db, table, "message_n")
        wanted = (
            f"SELECT k.n AS message_n, k.conversation, {', '.join(f'r.{name}' for name in names)}"
            f" FROM rebuilt.{table} r JOIN numbers k ON k.theirs = r.message_n"
        )
        own = "SELECT n FROM numbers WHERE conversation NOT IN (SELECT id FROM mixed)"
        changes = self._sync(table, key, names, wanted, f"message_n IN ({own})")
        return replace(changes, removed=changes.removed + self._orphans[table])

    def _events(self) -> Changes:
        busy = "SELECT id FROM main.streams WHERE ifnull(conversation_id, '') IN (SELECT id FROM left_alone)"
        read = f"SELECT id FROM evidence WHERE id NOT IN ({busy})"
        names = copied(self._db, "events", "stream_id")
        wanted = f"SELECT stream_id, {', '.join(names)} FROM rebuilt.events WHERE stream_id IN ({read})"
        return self._sync("events", ("stream_id", "position"), names, wanted, f"stream_id IN ({read})")

    def _canvas_documents(self) -> Changes:
        names = copied(self._db, "canvas_documents", "id")
        wanted = (
            f"SELECT id, {', '.join(names)} FROM rebuilt.canvas_documents"
            " WHERE ifnull(conversation_id, '') NOT IN (SELECT id FROM left_alone)"
        )
        return self._sync("canvas_documents", ("id", "version"), names, wanted, _OWNED)

    def _sync(self, table: str, key: Sequence[str], names: Sequence[str], wanted: str, owned: str) -> Changes:
        """Make a table what is wanted, by `key`; its first is no part of `names`. Only `owned` rows change or go."""
        together = " AND ".join(f"w.{name} IS {table}.{name}" for name in key)
        values = [name for name in names if name not in key]
        removed = self._run(
            f"DELETE FROM main.{table} WHERE {owned} AND NOT EXISTS (SELECT 1 FROM ({wanted}) w WHERE {together})"
        )
        changed = 0
        if values:
            sets = ", ".join(f"{name} = w.{name}" for name in values)
            differs = " OR ".join(f"w.{name} IS NOT {table}.{name}" for name in values)
            changed = self._run(
                f"UPDATE main.{table} SET {sets} FROM ({wanted}) w WHERE {together} AND ({differs})"
                f" AND {table}.rowid IN (SELECT rowid FROM main.{table} WHERE {owned})"
            )
        columns = ", ".join((key[0], *names))
        added = self._run(
            f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM ({wanted}) w"
            f" WHERE NOT EXISTS (SELECT 1 FROM main.{table} WHERE {together})"
        )
        return Changes(added, changed, removed)

"""Values in an archive that no version of this program writes: somebody edited the file, or the disk did.

Found by SQL, which passes over all that is usual, and named by table, row and column. What is read again reads without
them; the archive keeps them where nothing better is known. That a text is no UTF-8 is found by who reads it: `AnyText`.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from addon.store.rows import microseconds
from addon.wire.payload import loads

MOST_NAMED = 20
"""How many values of one column are named; of those beyond it only the number is told."""

_LONG_AGO = "1970-01-01T00:00:00.000000Z"
"""For what must be compared: anything that is known counts before it."""

_JSON: Mapping[str, frozenset[str]] = {
    "streams": frozenset({"parameters"}),
    "conversations": frozenset({"metadata", "told_at"}),
    "messages": frozenset({"content", "metadata"}),
    "message_versions": frozenset({"content"}),
    "image_generations": frozenset({"metadata"}),
    "canvas_documents": frozenset({"metadata"}),
    "events": frozenset({"data"}),
    "citations": frozenset(),
    "assets": frozenset(),
}
_IS_BAD = {
    "JSON": "({0} IS NOT NULL AND (typeof({0}) <> 'text' OR NOT json_valid({0})))",
    # SQLite knows a 31st of February.
    "time": "({0} IS NOT NULL AND (typeof({0}) <> 'text' OR {0} NOT GLOB '????-??-??T??:??:??*Z'"
    " OR julianday({0}) IS NULL OR date({0}, '+0 days') <> substr({0}, 1, 10)))",
    "number": "typeof({0}) IN ('text', 'blob')",
    "text": "typeof({0}) NOT IN ('text', 'null')",
}


@dataclass(frozen=True, slots=True)
class BadValue:
    """One of them: `key` are the values of the row's primary key by name, `wanted` is what it is none of."""

    table: str
    key: Mapping[str, Any]
    column: str
    wanted: str

    def __str__(self) -> str:
        row = ", ".join(f"{name} {value}" for name, value in self.key.items())
        return f"{self.table}, {row}: {self.column} is no {self.wanted}"


class AnyText:
    """Texts as SQLite holds them, for `text_factory`: what is no UTF-8 is read as far as it is, and `met` is True."""

    def __init__(self) -> None:
        self.met = False

    def __call__(self, data: bytes) -> str:
        """The text of these bytes."""
        try:
            return data.decode()
        except UnicodeDecodeError:
            self.met = True
            return data.decode("utf-8", "replace")


def bad_values(db: sqlite3.Connection) -> Iterator[BadValue]:
    """All that are of another kind than their column, or name a row that is not there; rows are by column name."""
    for table in _JSON:
        kinds, key = _kinds(db, table), _key(db, table)
        bad = " OR ".join(_IS_BAD[kind].format(column) for column, kind in kinds.items())
        for row in db.execute(f"SELECT * FROM main.{table} WHERE {bad}"):
            for column, kind in kinds.items():
                if row[column] is not None and not _is(row[column], kind):
                    yield BadValue(table, {name: row[name] for name in key}, column, kind)
        for gone in db.execute(f"PRAGMA main.foreign_key_check({table})").fetchall():
            chosen = db.execute(
                "SELECT * FROM pragma_foreign_key_list(?) WHERE id = ?", (table, gone["fkid"])
            ).fetchone()
            row = db.execute(f"SELECT * FROM main.{table} WHERE rowid = ?", (gone["rowid"],)).fetchone()
            yield BadValue(table, {name: row[name] for name in key}, chosen["from"], f"row of {chosen['table']}")


def undecodable(db: sqlite3.Connection) -> Iterator[BadValue]:
    """All texts that are no UTF-8; reads everything."""
    for table in _JSON:
        kinds, key = _kinds(db, table), _key(db, table)
        texts = [column for column, kind in kinds.items() if kind != "number"]
        raw = ", ".join(f"CAST({column} AS BLOB) AS {column}" for column in texts)
        for row in db.execute(f"SELECT {raw}, {', '.join(f'{name} AS key_{name}' for name in key)} FROM main.{table}"):
            for column in texts:
                if row[column] is not None and not _is(row[column], "UTF-8"):
                    yield BadValue(table, {name: row[f"key_{name}"] for name in key}, column, "UTF-8")


def named(found: list[BadValue]) -> list[str]:
    """A line for each, up to a number."""
    lines: list[str] = []
    count: dict[tuple[str, str], int] = {}
    for bad in found:
        place = (bad.table, bad.column)
        count[place] = count.get(place, 0) + 1
        if count[place] <= MOST_NAMED:
            lines.append(str(bad))
    more = [(table, column, number - MOST_NAMED) for (table, column), number in count.items() if number > MOST_NAMED]
    return lines + [f"{table}: {number:,} more values of {column} like that" for table, column, number in more]


def take_out(db: sqlite3.Connection, found: list[BadValue]) -> None:
    """Make them unknown in another database with the same rows."""
    for bad in found:
        row = " AND ".join(f"{name} IS ?" for name in bad.key)
        unknown = f"'{_LONG_AGO}'" if bad.column in ("first_seen_at", "last_seen_at") else "NULL"
        update = f"UPDATE OR IGNORE main.{bad.table} SET {bad.column} = {unknown} WHERE {row}"
        db.execute(update, tuple(bad.key.values()))


def _key(db: sqlite3.Connection, table: str) -> list[str]:
    return [row["name"] for row in db.execute("SELECT name FROM pragma_table_info(?) WHERE pk ORDER BY pk", (table,))]


def _kinds(db: sqlite3.Connection, table: str) -> dict[str, str]:
    kinds = {}
    for row in db.execute("SELECT name, type FROM pragma_table_info(?)", (table,)):
        name, declared = row["name"], row["type"]
        if name in _JSON[table]:
            kinds[name] = "JSON"
        elif name.endswith("_at"):
            kinds[name] = "time"
        elif declared in ("TEXT", "INTEGER", "REAL"):
            kinds[name] = "text" if declared == "TEXT" else "number"
    return kinds


def _is(value: Any, kind: str) -> bool:
    try:
        match kind:
            case "JSON":
                loads(value.encode())
            case "time":
                microseconds(value)
            case "UTF-8":
                value.decode()
            case "number":
                return isinstance(value, int | float)
            case _:
                return isinstance(value, str)
    except (ValueError, TypeError, AttributeError):
        return False
    return True

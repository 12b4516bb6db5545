"""Tables as Parquet files, partitioned by month as Hive does it, which DuckDB, ClickHouse, Spark and Polars read.

    <folder>/messages/month=2026-11/messages.parquet

Times are timestamps in UTC, flags are booleans. What hangs on a message names it by `conversation_id` and `message_id`
too, so that the archives of several people can be read as one. Raw bodies are left out. Rows pass in batches.
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, BinaryIO

from analysis.errors import Unanswerable
from analysis.exports.folder import ExportFolder
from analysis.exports.ledger import Entry, Ledger
from analysis.exports.runs import Outcome, Progress
from analysis.exports.talks import standing_still

_BATCH_ROWS = 8192
_MONTH = "[0-9][0-9][0-9][0-9]-[0-1][0-9]-*"
_NO_TIMES = frozenset({"told_at"})
_UNKNOWN = "__HIVE_DEFAULT_PARTITION__"
"""What Hive calls the partition of NULL."""

_FLAGS = frozenset(
    {
        "is_archived", "is_starred", "is_temporary", "end_turn", "visible", "live", "damaged", "recognised", "derived",
        "transparent_background",
    }
)  # fmt: skip
_OF_MESSAGE = ", m.conversation_id, m.id AS message_id"
_MESSAGE = "JOIN messages m ON m.n = t.message_n"
_MESSAGE_AT = "coalesce(m.created_at, m.first_seen_at)"


@dataclass(frozen=True, slots=True)
class _Table:
    """A table, the time by which it is partitioned, and what a row takes from elsewhere."""

    name: str
    at: str
    joined: str = ""
    more: str = ""


_TABLES = (
    _Table("conversations", "coalesce(t.created_at, t.first_seen_at)"),
    _Table("messages", "coalesce(t.created_at, t.first_seen_at)"),
    _Table("message_versions", "t.replaced_at", _MESSAGE, _OF_MESSAGE),
    _Table("image_generations", "t.created_at"),
    _Table("assets", "s.started_at", "LEFT JOIN streams s ON s.id = t.stream_id"),
    _Table("message_assets", _MESSAGE_AT, _MESSAGE, _OF_MESSAGE),
    _Table("asset_urls", "t.seen_at"),
    _Table("files", "(SELECT min(a.downloaded_at) FROM asset_files a WHERE a.sha256 = t.sha256)"),
    _Table("asset_files", "t.downloaded_at"),
    _Table("citations", _MESSAGE_AT, _MESSAGE, _OF_MESSAGE),
    _Table("canvas_documents", "coalesce(t.created_at, t.first_seen_at)"),
    _Table("streams", "t.started_at"),
    _Table("events", "t.received_at"),
    _Table("runs", "t.started_at"),
)

TABLES = len(_TABLES)


def write_tables(folder: ExportFolder, db: sqlite3.Connection, done: Progress) -> Outcome:
    """Write every table, all of one moment; counted are partitions. Raises `Unanswerable` without pyarrow."""
    try:
        import pyarrow  # noqa: F401 - whether it is there
    except ImportError:
        raise Unanswerable(
            "Parquet needs pyarrow: `scripts/setup --dev` installs it, and so does `pip install pyarrow` in .venv"
        ) from None
    ledger = Ledger(folder, "parquet")
    try:
        with standing_still(db):
            written = _Tables(folder, db, ledger, done)
            for table in _TABLES:
                written.write(table)
        written.forget()
    finally:
        ledger.close()
    return written.outcome


class _Tables:
    """One run over all tables."""

    def __init__(self, folder: ExportFolder, db: sqlite3.Connection, ledger: Ledger, done: Progress) -> None:
        self.outcome = Outcome()
        self._folder = folder
        self._db = db
        self._ledger = ledger
        self._done = done
        self._parts: set[str] = set()

    def write(self, table: _Table) -> None:
        """All partitions of a table; an empty one has an empty one, so that it can be read."""
        self._db.execute("CREATE TEMP TABLE places (month TEXT, row INTEGER)")
        month = f"iif({table.at} GLOB '{_MONTH}', substr({table.at}, 1, 7), NULL)"
        self._db.execute(f"INSERT INTO places SELECT {month}, t.rowid FROM {table.name} t {table.joined} ORDER BY 1, 2")
        self._db.execute("CREATE INDEX temp.places_month ON places (month, row)")
        months = [row[0] for row in self._db.execute("SELECT DISTINCT month FROM places ORDER BY month")]
        with self._folder.subfolder(table.name) as inside:
            for month in months or [None]:
                self._partition(inside, table, month)
        self._db.execute("DROP TABLE temp.places")
        self._done()

    def forget(self) -> None:
        """Remove partitions of an earlier export whose rows are gone, or are in other months."""
        for part in self._ledger.known() - self._parts:
            table, _, partition = part.partition("/")
            with self._folder.subfolder(table) as inside, inside.subfolder(partition) as place:
                place.remove(f"{table}.parquet")
            self._ledger.drop(part)

    def _partition(self, inside: ExportFolder, table: _Table, month: str | None) -> None:
        partition = f"month={month or _UNKNOWN}"
        part, name = f"{table.name}/{partition}", f"{table.name}.parquet"
        self._parts.add(part)
        self.outcome.conversations += 1
        with inside.subfolder(partition) as place:
            state, entry = self._state(table, month), self._ledger.get(part)
            if entry and entry.fingerprint == state and place.size(name) is not None:
                self.outcome.kept += 1
                return
            with place.writing(name) as file:
                self._write_rows(file, table, month)
            self._ledger.add(part, Entry(name, state))

    def _rows(self, table: _Table, month: str | None) -> sqlite3.Cursor:
        joined = table.joined if table.more else ""
        return self._db.execute(
            f"SELECT t.*{table.more} FROM temp.places p CROSS JOIN {table.name} t ON t.rowid = p.row {joined}"
            " WHERE p.month IS ? ORDER BY p.row",
            (month,),
        )

    def _state(self, table: _Table, month: str | None) -> str:
        digest = blake2b(table.name.encode(), digest_size=16)
        for row in self._rows(table, month):
            digest.update(repr(tuple(row)).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def _write_rows(self, file: BinaryIO, table: _Table, month: str | None) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = self._rows(table, month)
        types = {row["name"]: row["type"] for row in self._db.execute(f"PRAGMA table_info({table.name})")}
        names = [column[0] for column in rows.description]
        kinds = [_kind(name, types.get(name, "TEXT")) for name in names]
        schema = pa.schema([(name, _ARROW[kind](pa)) for name, kind in zip(names, kinds, strict=True)])
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            while batch := rows.fetchmany(_BATCH_ROWS):
                columns = zip(kinds, zip(*batch, strict=True), schema.types, strict=True)
                arrays = [pa.array([_READ[kind](cell) for cell in cells], arrow) for kind, cells, arrow in columns]
                writer.write_batch(pa.record_batch(arrays, schema=schema))


def _kind(name: str, declared: str) -> str:
    if name in _FLAGS:
        return "flag"
    if name.endswith("_at") and name not in _NO_TIMES:
        return "time"
    return {"INTEGER": "integer", "REAL": "number"}.get(declared, "text")


def _time(cell: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(cell) if isinstance(cell, str) else None
    except ValueError:
        return None


# SQLite holds any kind of value in any column.
_READ: Mapping[str, Callable[[Any], Any]] = {
    "flag": lambda cell: None if cell is None else bool(cell),
    "time": _time,
    "integer": lambda cell: cell if isinstance(cell, int) else None,
    "number": lambda cell: float(cell) if isinstance(cell, int | float) else None,
    "text": lambda cell: cell if isinstance(cell, str) else None if cell is None else str(cell),
}
_ARROW: Mapping[str, Callable[[Any], Any]] = {
    "flag": lambda pa: pa.bool_(),
    "time": lambda pa: pa.timestamp("us", tz="UTC"),
    "integer": lambda pa: pa.int64(),
    "number": lambda pa: pa.float64(),
    "text": lambda pa: pa.string(),
}

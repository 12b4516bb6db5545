"""Tables as Parquet files, partitioned by month as Hive does it, which DuckDB, ClickHouse, Spark and Polars read.

    <folder>/messages/month=2026-11/messages.parquet

Times are timestamps in UTC, flags are booleans. What hangs on a message names it by `conversation_id` and `message_id`
too, so that the archives of several people can be read as one. Raw bodies are left out. Rows pass in batches.
"""

import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, BinaryIO

from analysis.errors import Unanswerable
from analysis.exports.folder import ExportFolder
from analysis.exports.ledger import Entry, Ledger
from analysis.exports.runs import BEGUN, Outcome, Progress
from analysis.queries.archive import database_path, standing_still
from analysis.queries.tables import TABLES, Months, Table

_BATCH_ROWS = 8192
_NO_TIMES = frozenset({"told_at"})
_OF = "archive"
"""In the ledger: which archive the tables are of."""

_UNKNOWN = "__HIVE_DEFAULT_PARTITION__"
"""What Hive calls the partition of NULL."""

_FLAGS = frozenset(
    {
        "is_archived", "is_starred", "is_temporary", "end_turn", "visible", "live", "damaged", "recognised", "derived",
        "transparent_background",
    }
)  # fmt: skip


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
        _refuse_another(folder, ledger, db)
        with standing_still(db):
            written = _Tables(folder, db, ledger, done)
            for table in TABLES:
                written.write(table)
        written.forget()
    finally:
        ledger.close()
    return written.outcome


def _refuse_another(folder: ExportFolder, ledger: Ledger, db: sqlite3.Connection) -> None:
    """Tables of another archive would be gone."""
    place = blake2b(str(database_path(db)).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    if (of := ledger.get(_OF)) is None:
        ledger.add(_OF, Entry("archive", place))
    elif of.fingerprint != place:
        advice = "name another folder, or remove it"
        raise Unanswerable(
            f"{folder.path}: holds the tables of another archive, or of this one from another place; {advice}"
        )


class _Tables:
    """One run over all tables."""

    def __init__(self, folder: ExportFolder, db: sqlite3.Connection, ledger: Ledger, done: Progress) -> None:
        self.outcome = Outcome()
        self._folder = folder
        self._db = db
        self._ledger = ledger
        self._done = done
        self._parts: set[str] = set()

    def write(self, table: Table) -> None:
        """All partitions of a table; an empty one has an empty one, so that it can be read."""
        rows = Months(self._db, table)
        with self._folder.subfolder(table.name) as inside:
            for month in rows.known or [None]:
                self._partition(inside, table, rows, month)
        rows.close()
        self._done()

    def forget(self) -> None:
        """Remove partitions of an earlier export whose rows are gone, or are in other months."""
        for part in self._ledger.known() - self._parts - {_OF}:
            table, _, partition = part.partition("/")
            with self._folder.subfolder(table) as inside, inside.subfolder(partition) as place:
                place.remove(f"{table}.parquet")
            self._ledger.drop(part)

    def _partition(self, inside: ExportFolder, table: Table, rows: Months, month: str | None) -> None:
        partition = f"month={month or _UNKNOWN}"
        part, name = f"{table.name}/{partition}", f"{table.name}.parquet"
        self._parts.add(part)
        self.outcome.conversations += 1
        with inside.subfolder(partition) as place:
            state, entry = _state(table, rows, month), self._ledger.get(part)
            if entry and entry.fingerprint == state and place.size(name) is not None:
                self.outcome.kept += 1
                return
            if not entry:
                place.refuse_foreign(name)
                self._ledger.add(part, Entry(name, BEGUN))
            with place.writing(name) as file:
                _write_rows(file, rows, month)
            self._ledger.add(part, Entry(name, state))


def _state(table: Table, rows: Months, month: str | None) -> str:
    digest = blake2b(table.name.encode(), digest_size=16)
    for row in rows.rows(month):
        digest.update(repr(tuple(row)).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _write_rows(file: BinaryIO, rows: Months, month: str | None) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    found, types = rows.rows(month), rows.declared
    names = [column[0] for column in found.description]
    kinds = [_kind(name, types.get(name, "TEXT")) for name in names]
    schema = pa.schema([(name, _ARROW[kind](pa)) for name, kind in zip(names, kinds, strict=True)])
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while batch := found.fetchmany(_BATCH_ROWS):
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

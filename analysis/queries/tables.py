"""Whole tables by month, for what takes an archive to other databases. Raw bodies are left out.

What hangs on a message names it by `conversation_id` and `message_id` too, as its number means something here only.
"""

import sqlite3
from dataclasses import dataclass

_MONTH = "[0-9][0-9][0-9][0-9]-[0-1][0-9]-*"
_OF_MESSAGE = ", m.conversation_id, m.id AS message_id"
_MESSAGE = "JOIN messages m ON m.n = t.message_n"
_MESSAGE_AT = "coalesce(m.created_at, m.first_seen_at)"


@dataclass(frozen=True, slots=True)
class Table:
    """A table, the time by which it is partitioned, and what a row takes from elsewhere."""

    name: str
    at: str
    joined: str = ""
    more: str = ""


TABLES = (
    Table("conversations", "coalesce(t.created_at, t.first_seen_at)"),
    Table("messages", "coalesce(t.created_at, t.first_seen_at)"),
    Table("message_versions", "t.replaced_at", _MESSAGE, _OF_MESSAGE),
    Table("image_generations", "t.created_at"),
    Table("assets", "s.started_at", "LEFT JOIN streams s ON s.id = t.stream_id"),
    Table("message_assets", _MESSAGE_AT, _MESSAGE, _OF_MESSAGE),
    Table("asset_urls", "t.seen_at"),
    Table("files", "(SELECT min(a.downloaded_at) FROM asset_files a WHERE a.sha256 = t.sha256)"),
    Table("asset_files", "t.downloaded_at"),
    Table("citations", _MESSAGE_AT, _MESSAGE, _OF_MESSAGE),
    Table("canvas_documents", "coalesce(t.created_at, t.first_seen_at)"),
    Table("streams", "t.started_at"),
    Table("events", "t.received_at"),
    Table("runs", "t.started_at"),
)


class Months:
    """The rows of a table by month; which row is of which is noted in the connection's own temporary space."""

    def __init__(self, db: sqlite3.Connection, table: Table) -> None:
        self._db, self._table = db, table
        db.execute("CREATE TEMP TABLE places (month TEXT, row INTEGER)")
        month = f"iif({table.at} GLOB '{_MONTH}', substr({table.at}, 1, 7), NULL)"
        db.execute(f"INSERT INTO places SELECT {month}, t.rowid FROM {table.name} t {table.joined} ORDER BY 1, 2")
        db.execute("CREATE INDEX temp.places_month ON places (month, row)")

    def close(self) -> None:
        """Forget what was noted."""
        self._db.execute("DROP TABLE temp.places")

    @property
    def known(self) -> list[str | None]:
        """The months of which there is a row, in order; None for rows of no known time."""
        return [row[0] for row in self._db.execute("SELECT DISTINCT month FROM places ORDER BY month")]

    @property
    def declared(self) -> dict[str, str]:
        """The columns of the table, with their types as they were declared."""
        return {row["name"]: row["type"] for row in self._db.execute(f"PRAGMA table_info({self._table.name})")}

    def rows(self, month: str | None) -> sqlite3.Cursor:
        """The rows of a month, with all their columns."""
        table = self._table
        joined = table.joined if table.more else ""
        return self._db.execute(
            f"SELECT t.*{table.more} FROM temp.places p CROSS JOIN {table.name} t ON t.rowid = p.row {joined}"
            " WHERE p.month IS ? ORDER BY p.row",
            (month,),
        )

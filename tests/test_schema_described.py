"""Every table, view and column is described, in one place, and nothing that is not there."""

import contextlib
import sqlite3

import pytest

from addon.store.store import Store
from analysis.schema import descriptions


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The columns of each table and view of a new archive that is ours; SQLite's own and shadow tables are not."""
    path = tmp_path_factory.mktemp("described") / "chatgpt.db"
    Store.open(path).close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        query = "SELECT name FROM pragma_table_list WHERE type IN ('table', 'view', 'virtual') AND schema = 'main'"
        names = [name for (name,) in db.execute(query) if not name.startswith(("sqlite_", "_sqlite_"))]
        return {name: [row[1] for row in db.execute(f"SELECT * FROM pragma_table_info('{name}')")] for name in names}


def test_every_table_and_view_is_described(columns: dict[str, list[str]]) -> None:
    assert set(descriptions()) == set(columns)


def test_every_column_is_described_in_its_order(columns: dict[str, list[str]]) -> None:
    assert {name: list(description.columns) for name, description in descriptions().items()} == columns


def test_every_description_is_a_line_of_words() -> None:
    for name, description in descriptions().items():
        for text in (description.text, *description.columns.values()):
            assert text.endswith((".", "…")), (name, text)
            assert text[0].isupper() or not text[0].isalpha(), (name, text)
            assert "\n" not in text
            assert len(text) <= 120

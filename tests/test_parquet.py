"""`chatgpt-capture export --parquet`: the tables as other programs read them; the README's example is true."""

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.made_up_export import Size, write
from tests.conftest import ROOT
from tests.recording import TABLES, archive_at
from tests.test_export import export, run, tides
from tests.test_merge import ALL, finish

pytest.importorskip("duckdb", reason="scripts/setup --dev installs it")
pyarrow = pytest.importorskip("pyarrow", reason="scripts/setup --dev installs it")
dataset = pytest.importorskip("pyarrow.dataset", reason="scripts/setup --dev installs it")

README = (ROOT / "README.md").read_text()


def read(folder: Path, table: str) -> list[dict[str, Any]]:
    by_month = dataset.partitioning(pyarrow.schema([("month", pyarrow.string())]), flavor="hive")
    rows: list[dict[str, Any]] = dataset.dataset(folder / table, partitioning=by_month).to_table().to_pylist()
    return rows


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """An archive with a row in nearly every table."""
    with archive_at(tmp_path / "full.db") as archive:
        for happens in ALL.values():
            happens(archive)
        finish(archive)
    return tmp_path / "full.db"


def test_every_row_of_every_table_but_raw_bodies_is_there(full: Path, tmp_path: Path) -> None:
    export(full, "--parquet", tmp_path / "out")
    with archive_at(full) as archive:
        for table in set(TABLES) - {"stream_bodies", "request_bodies"}:
            stored, written = archive.rows(f"SELECT * FROM {table}"), read(tmp_path / "out", table)
            assert len(written) == len(stored), table
            names = set(archive.rows(f"SELECT * FROM {table}")[0]) if stored else set()
            assert names <= {name for row in written for name in row}, table
    assert {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()} == set(TABLES) - {
        "stream_bodies", "request_bodies",
    }  # fmt: skip


def test_values_are_what_they_were_times_are_times_flags_are_flags(full: Path, tmp_path: Path) -> None:
    export(full, "--parquet", tmp_path / "out")
    with archive_at(full) as archive:
        stored = {row["n"]: row for row in archive.rows("SELECT * FROM messages")}
    written = read(tmp_path / "out", "messages")
    for row in written:
        was = stored[row["n"]]
        for name, value in was.items():
            if name.endswith("_at") and value is not None:
                assert row[name].strftime("%Y-%m-%dT%H:%M:%S.%fZ") == value, name
            else:
                assert row[name] == value, name
    assert {type(row["visible"]) for row in written} == {bool}
    assert {row["month"] for row in written} == {"2026-09"}


def test_what_hangs_on_a_message_names_it(full: Path, tmp_path: Path) -> None:
    export(full, "--parquet", tmp_path / "out")
    mentions = read(tmp_path / "out", "message_assets")
    named = {(row["conversation_id"], row["message_id"], row["asset_id"]) for row in mentions}
    assert ("talk", "I", "file_1") in named


def test_rows_are_in_the_folder_of_their_month_and_those_without_a_time_in_that_of_null(tmp_path: Path) -> None:
    with tides(tmp_path / "a.db") as archive:
        with contextlib.closing(sqlite3.connect(archive.path)) as db, db:
            db.execute("UPDATE messages SET created_at = '2019-02-03T00:00:00.000000Z' WHERE id = 'U'")
            db.execute("UPDATE messages SET created_at = 'never' WHERE id = 'A'")
            db.execute("INSERT INTO messages (id, created_at, first_seen_at) VALUES ('N', 'no time', 'none')")
        export(archive.path, "--parquet", tmp_path / "out")
        folders = sorted(path.name for path in (tmp_path / "out" / "messages").iterdir())
        assert folders == ["month=2019-02", "month=__HIVE_DEFAULT_PARTITION__"]
        assert len(read(tmp_path / "out", "messages")) == 3
        with contextlib.closing(sqlite3.connect(archive.path)) as db, db:
            db.execute("DELETE FROM messages WHERE id = 'N'")


def test_again_writes_only_what_changed_and_removes_what_went(tmp_path: Path) -> None:
    with tides(tmp_path / "a.db") as archive:
        export(archive.path, "--parquet", tmp_path / "out")
        assert "0 partitions written, 14 there already" in export(archive.path, "--parquet", tmp_path / "out").stdout
        with contextlib.closing(sqlite3.connect(archive.path)) as db, db:
            db.execute("UPDATE messages SET created_at = '2019-02-03T00:00:00.000000Z', live = 0")
        again = export(archive.path, "--parquet", tmp_path / "out")
    assert "2 partitions written, 12 there already" in again.stdout  # messages, and what they mention
    files = sorted(path.parent.name for path in (tmp_path / "out" / "messages").rglob("*.parquet"))
    assert files == ["month=2019-02"]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "out").rglob("*.parquet")} == {0o600}


def test_the_tables_of_one_archive_are_not_replaced_by_those_of_another(tmp_path: Path) -> None:
    for name in ("a.db", "b.db"):
        with tides(tmp_path / name, conversation_id=name):
            pass
    export(tmp_path / "a.db", "--parquet", tmp_path / "out")
    refused = run(tmp_path / "b.db", "export", "--parquet", tmp_path / "out")
    assert (refused.returncode, refused.stderr) == (
        1,
        f"Error: {tmp_path / 'out'}: holds the tables of another archive, or of this one from another place;"
        " name another folder, or remove it\n",
    )
    assert {row["conversation_id"] for row in read(tmp_path / "out", "messages")} == {"a.db"}
    assert "0 partitions written" in export(tmp_path / "a.db", "--parquet", tmp_path / "out").stdout


def test_without_the_library_one_line_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "pyarrow.py").write_text("raise ImportError")
    with tides(tmp_path / "a.db") as archive:
        command = [sys.executable, "-m", "analysis", "--db", str(archive.path), "export", "--parquet"]
        environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
        done = subprocess.run(
            [*command, str(tmp_path / "out")], capture_output=True, text=True, check=False, env=environment
        )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Parquet needs pyarrow: ")
    assert done.stderr.count("\n") == 1


def test_whole_tables_are_written_or_nothing(full: Path, tmp_path: Path) -> None:
    assert run(full, "export", "--parquet", tmp_path / "out", "talk").returncode == 2


def test_the_example_of_the_readme_prints_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("ada", "bob", "cleo"), start=1):
        write(tmp_path / f"{name}.json", Size(4 + seed, 60 * seed, 9, 3 * seed), seed)
        assert run(tmp_path / f"{name}.db", "import", tmp_path / f"{name}.json").returncode == 0
        export(tmp_path / f"{name}.db", "--parquet", tmp_path / f"team-{name}")
    (code, shown), *others = re.findall(r"```python\n(import duckdb.*?)```\n\n```\n(.*?)```", README, re.DOTALL)
    assert others == []
    exec(code, {})
    assert capsys.readouterr().out.strip() == shown.strip()

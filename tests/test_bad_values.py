"""Values in an archive that nobody of us wrote: reading again names each of them, and everything else goes its way."""

import contextlib
import random
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from addon.errors import ArchiveError
from addon.importing.export_reading import ExportReading
from addon.upkeep.reparse import reparse
from addon.wire.payload import dumps
from tests.asking import ask
from tests.recording import FINISHED, Archive, archive_at, message
from tests.test_resume import ANSWER, CUT, DONE, resume, send
from tests.test_same_order import broken_off, document, early_export, listed, whole

TABLES = (
    "streams", "conversations", "messages", "message_versions", "assets", "image_generations", "events", "citations",
    "stream_bodies", "request_bodies", "canvas_documents", "message_assets",
)  # fmt: skip
VALUES = ("'{not json'", "CAST(x'ff00fe' AS TEXT)", "x'ff00'", "-1", "9e99", "'2026-02-31T00:00:00.000000Z'", "NULL")


def exported(archive: Archive, identity: str, *messages: dict[str, Any]) -> None:
    placed = {each["id"]: {"parent": None, "message": each} for each in messages}
    talk = {"id": identity, "update_time": 1_799_000_000.5, "mapping": placed}
    reading = ExportReading(f"export:{identity}", 5)
    archive.store.write([*reading.conversation(talk, dumps(talk)), *reading.close()])


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What came live, what the page loaded, and what only exports told."""
    path = tmp_path_factory.mktemp("bad") / "untouched.db"
    with archive_at(path) as archive:
        send(archive, ANSWER[:5], CUT)
        resume(archive, [*ANSWER[5:], DONE], 5)
        for happens in (whole, document, early_export, broken_off, listed):
            happens(archive)
        exported(archive, "talk", message("A", "So it goes on, said later", status=FINISHED))
        exported(archive, "exported", message("M", "High tide", status=FINISHED))
    assert not reparse(path).changed
    return path


def edited(untouched: Path, folder: Path, *statements: str) -> Path:
    path = folder / "a.db"
    shutil.copy(untouched, path)
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        for statement in statements:
            db.execute(statement)
    return path


BAD = {
    "no JSON": ("UPDATE messages SET content = '{oops' WHERE id = 'A'", "messages, n 2: content is no JSON"),
    "no time": ("UPDATE messages SET created_at = 5 WHERE id = 'M'", "messages, n 13: created_at is no time"),
    "no such day": (
        "UPDATE conversations SET last_seen_at = '2026-02-31T00:00:00.000000Z' WHERE id = 'talk'",
        "conversations, id talk: last_seen_at is no time",
    ),
    "no number": ("UPDATE streams SET status_code = 'OK' WHERE id = 'stream'", "streams, id stream: status_code is no number"),
    "no text": ("UPDATE streams SET path = x'ff' WHERE id = 'stream'", "streams, id stream: path is no text"),
    "no UTF-8": (
        "UPDATE messages SET text = CAST(x'ff' AS TEXT) WHERE id = 'A'",
        "messages, n 2: text is no UTF-8",
    ),
    "no such row": (
        "UPDATE messages SET stream_id = 'gone' WHERE id = 'M'",
        "messages, n 13: stream_id is no row of streams",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("statement", "line"), BAD.values(), ids=BAD)
def test_a_value_that_cannot_be_read_is_one_line_and_the_exit_code_1(
    untouched: Path, tmp_path: Path, statement: str, line: str
) -> None:
    path = edited(untouched, tmp_path, statement)
    for arguments in (["--dry-run"], []):
        done = ask(path, "reparse", *arguments, code=1)
        assert done.stderr.splitlines() == [f"{path}: {line}"]
        assert "exchanges read again" in done.stdout


def test_what_the_raw_bodies_tell_is_mended_and_the_rest_stays(untouched: Path, tmp_path: Path) -> None:
    path = edited(untouched, tmp_path, "UPDATE events SET data = 'oops'", "UPDATE messages SET metadata = '{'")
    report = reparse(path)
    assert "messages, n 13: metadata is no JSON" in report.bad
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM events WHERE data = 'oops'").fetchall() == [(0,)]
        assert db.execute("SELECT text, metadata FROM messages WHERE id = 'M'").fetchall() == [("High tide", "{")]
    assert set(reparse(path).bad) < set(report.bad)


def test_of_many_only_some_are_named(untouched: Path, tmp_path: Path) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 50) SELECT i FROM n"
    many = f"INSERT INTO events (stream_id, position, data) SELECT 'stream', 1000 + i, '{{' FROM ({numbers})"
    bad = reparse(edited(untouched, tmp_path, many), dry_run=True).bad
    assert bad[0] == "events, stream_id stream, position 1001: data is no JSON"
    assert (len(bad), bad[-1]) == (21, "events: 30 more values of data like that")


def test_whatever_stands_in_whatever_column_nothing_raises(untouched: Path, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(untouched)) as db:
        columns = [
            (table, row[0]) for table in TABLES for row in db.execute("SELECT name FROM pragma_table_info(?)", (table,))
        ]
    chance = random.Random(7)
    for table, column in chance.sample(columns, 60):
        tampered = f"UPDATE OR IGNORE {table} SET {column} = {chance.choice(VALUES)}"
        with contextlib.suppress(sqlite3.Error):
            edited(untouched, tmp_path, tampered)
        with contextlib.suppress(ArchiveError):
            reparse(tmp_path / "a.db", dry_run=True)

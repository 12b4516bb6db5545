"""Questions that are asked at a time: answers by name, errors where they are read, nothing that goes on unread."""

import sqlite3
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from analysis.errors import Unanswerable
from analysis.side_by_side import side_by_side
from tests.recording import Archive

ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def test_each_question_has_its_answer(archive: Archive) -> None:
    questions = {
        str(number): lambda db, number=number: db.execute("SELECT ?", [number]).fetchone()[0] for number in range(9)
    }
    with side_by_side(archive.path, questions) as asked:
        assert {name: answer.result() for name, answer in asked.items()} == {str(n): n for n in range(9)}


def test_what_cannot_be_answered_is_said_where_it_is_read(archive: Archive) -> None:
    questions = {
        "wrong": lambda db: db.execute("SELECT nowhere"),
        "right": lambda db: db.execute("SELECT 1").fetchone()[0],
    }
    with side_by_side(archive.path, questions) as asked:
        assert asked["right"].result() == 1
        with pytest.raises(sqlite3.OperationalError, match="no such column: nowhere"):
            asked["wrong"].result()


def test_what_nobody_waits_for_any_more_is_given_up(archive: Archive) -> None:
    asking = Event()

    def endless(db: sqlite3.Connection) -> None:
        asking.set()
        db.execute(ENDLESS).fetchone()

    with side_by_side(archive.path, dict.fromkeys("abcdefghi", endless)) as asked:
        assert asking.wait(10)
    assert all(answer.done() for answer in asked.values())


def test_no_question_is_asked_of_what_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(Unanswerable), side_by_side(tmp_path / "none.db", {"a": lambda _: pytest.fail("asked")}):
        pytest.fail("there is nothing to ask")


def test_nothing_is_left_beside_an_archive_that_nobody_writes(archive: Archive) -> None:
    archive.store.close()
    with side_by_side(archive.path, dict.fromkeys("abc", lambda db: db.execute("SELECT 1").fetchone()[0])) as asked:
        assert [answer.result() for answer in asked.values()] == [1, 1, 1]
    beside = {path.name for path in archive.path.parent.glob(archive.path.name + "-*") if path.is_file()}
    assert beside == set()


def test_a_writer_that_leaves_meanwhile_leaves_the_log_to_those_who_read(archive: Archive) -> None:
    """Looking into the file by itself, and closing it, would take SQLite's locks away from all of this process."""
    archive.store.close()
    writing = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('INSERT INTO runs (id) VALUES (1)'); db.commit(); db.close()"
    with side_by_side(archive.path, dict.fromkeys("abc", lambda db: db.execute("SELECT 1").fetchone()[0])) as asked:
        assert [answer.result() for answer in asked.values()] == [1, 1, 1]
        subprocess.run([sys.executable, "-c", writing, str(archive.path)], check=True, timeout=30)
        assert archive.path.with_name(archive.path.name + "-wal").exists()

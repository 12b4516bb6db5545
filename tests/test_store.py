"""The one writer: a batch is a transaction, a bad record hurts nobody else, nothing is lost to a lock."""

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from addon import archive as files
from addon.errors import ArchiveError
from addon.records import Conversation, Message, Record, RequestBody, Run, Stream, TypedEvent
from addon.store.store import Store, StoreBusy
from tests.conftest import ROOT
from tests.recording import STARTED, Archive, request, v0

STREAM = Stream("s", "live", "turn", "chatgpt.com", "/backend-api/conversation", "POST", STARTED)


def said(identity: str, text: str = "Hi", **fields: object) -> Message:
    known = {"status": "finished_successfully", "role": "assistant", "text": text, "content": f'"{text}"'} | fields
    return Message(identity, "talk", "s", "live", STARTED, False, **known)  # type: ignore[arg-type]


@contextlib.contextmanager
def other_connection(archive: Archive) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(archive.path, isolation_level=None, timeout=5)) as db:
        yield db


def texts(archive: Archive) -> dict[str, str]:
    return {row["id"]: row["text"] for row in archive.rows("SELECT id, text FROM messages ORDER BY n")}


def test_a_batch_is_there_as_a_whole_for_every_reader(archive: Archive) -> None:
    archive.store.write([])
    archive.store.write([STREAM, Conversation("talk", "live", STARTED, title="Tides"), said("A"), said("B")])
    assert texts(archive) == {"A": "Hi", "B": "Hi"}
    assert archive.row("SELECT title FROM conversations") == {"title": "Tides"}


@pytest.mark.parametrize(
    "bad",
    [
        said("bad", "lone \udcff surrogate"),
        said("bad", weight=[1.0]),
        Message("bad", "talk", "nobody's", "live", STARTED, False),
        TypedEvent("nobody's", 0, STARTED, "x", True, "{}"),
        TypedEvent("s", 2**70, STARTED, "x", True, "{}"),
        RequestBody("nobody's", b""),
    ],
    ids=["surrogate", "list", "message of no stream", "event of no stream", "big integer", "body of no stream"],
)
def test_a_record_that_sqlite_refuses_does_not_take_the_others_along(archive: Archive, bad: Message) -> None:
    archive.store.write([STREAM, said("A"), bad, said("B")])
    assert texts(archive) == {"A": "Hi", "B": "Hi"}
    assert (archive.store.take_failures(), archive.store.take_failures()) == (1, 0)


def test_a_locked_database_is_busy_and_takes_nothing(archive: Archive) -> None:
    archive.store.write([STREAM])
    with other_connection(archive) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="locked"):
            archive.store.write([said("A"), said("B")])
        assert texts(archive) == {}
        db.execute("COMMIT")
    archive.store.write([said("A"), said("B")])
    assert list(texts(archive)) == ["A", "B"]


def test_a_lock_in_the_middle_of_sorting_out_a_bad_record_counts_it_once(archive: Archive) -> None:
    archive.store.write([STREAM])
    batch = [said("A"), said("bad", "\udcff")]
    with other_connection(archive) as db:
        db.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            with pytest.raises(StoreBusy):
                archive.store.write(batch)
        db.execute("COMMIT")
    archive.store.write(batch)
    assert (list(texts(archive)), archive.store.take_failures()) == (["A"], 1)


def test_a_file_that_must_not_be_written_is_waited_for_not_given_up(archive: Archive) -> None:
    archive.store.write([STREAM])
    connection = archive.store._db
    connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreBusy, match="readonly"):
        archive.store.write([said("A")])
    connection.execute("PRAGMA query_only = OFF")
    archive.store.write([said("A")])
    assert (list(texts(archive)), archive.store.failed) == (["A"], 0)


def test_readers_do_not_keep_the_writer_waiting(archive: Archive) -> None:
    archive.store.write([STREAM])
    with other_connection(archive) as db:
        db.execute("BEGIN")
        assert db.execute("SELECT count(*) FROM messages").fetchone() == (0,)
        archive.store.write([said("A")])
        assert db.execute("SELECT count(*) FROM messages").fetchone() == (0,)
        db.execute("COMMIT")
        assert db.execute("SELECT count(*) FROM messages").fetchone() == (1,)


# Conversations


def test_the_newest_word_about_a_conversation_stays_and_nothing_makes_it_unknown(archive: Archive) -> None:
    def says(at: int, **known: object) -> Conversation:
        return Conversation("talk", "live", STARTED + at, **known)  # type: ignore[arg-type]

    written = [
        says(5, title="New", current_node="B", created_at=STARTED - 1, is_temporary=True),
        says(9),
        says(3, title="Old", current_node="A", default_model_slug="auto", created_at=STARTED - 2, updated_at=STARTED),
        says(7, updated_at=STARTED - 5, gizmo_id="g"),
    ]
    for _ in range(2):
        archive.store.write(written)
        row = archive.row("SELECT * FROM conversations")
        assert (row["title"], row["current_node"], row["default_model_slug"]) == ("New", "B", "auto")
        assert (row["created_at"], row["updated_at"]) == ("2026-09-21T14:13:19.999999Z", "2026-09-21T14:13:20.000000Z")
        assert (row["first_seen_at"][-7:], row["last_seen_at"][-7:]) == ("000003Z", "000009Z")
        assert (row["is_temporary"], row["gizmo_id"]) == (1, "g")


def test_the_title_of_a_conversation_is_at_hand(archive: Archive) -> None:
    archive.store.write([Conversation("talk", "live", STARTED, title="Tides"), Conversation("new", "live", STARTED)])
    assert [archive.store.title_of(identity) for identity in ("talk", "new", "unknown", None)] == [
        "Tides",
        None,
        None,
        None,
    ]


# Opening


def test_the_files_are_the_persons_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        archive = Archive(tmp_path / "chatgpt.db")
        archive.record(v0(), request("U"))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        archive.store.close()
    finally:
        os.umask(before)
    assert modes == {
        "chatgpt.db": 0o600,
        "chatgpt.db-wal": 0o600,
        "chatgpt.db-shm": 0o600,
        "chatgpt.db-inflight": 0o700,
        "chatgpt.db-media": 0o700,
    }


def test_closing_leaves_one_file(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "chatgpt.db")
    archive.record(v0(), request("U"))
    archive.store.close()
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"chatgpt.db"}


def test_an_archive_is_opened_again_as_it_was(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "chatgpt.db")
    archive.record(v0(), request("U"))
    before = archive.dump()
    archive.store.close()
    again = Archive(archive.path)
    assert again.dump() == before
    again.store.close()


def test_a_locked_archive_is_busy_not_broken_when_it_is_opened(archive: Archive) -> None:
    with other_connection(archive) as db:
        db.execute("PRAGMA user_version = 0")  # as if a step were missing
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            Store.open(archive.path)
        db.execute("ROLLBACK")
    Store.open(archive.path).close()


@pytest.mark.parametrize("content", [b"SQLite format 3\0" + b"\xff" * 200, b"text " * 50, b"short"])
def test_a_file_that_is_no_database_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "chatgpt.db"
    path.write_bytes(content[:68] + files.APPLICATION_ID.to_bytes(4) + content[72:] if len(content) > 100 else content)
    with pytest.raises(ArchiveError, match=r"chatgpt\.db: ") as refusal:
        Store.open(path)
    assert "\n" not in str(refusal.value)
    assert path.read_bytes()[:5] == content[:5]


def test_a_newer_version_is_refused_also_while_only_the_log_says_so(archive: Archive) -> None:
    with other_connection(archive) as db:
        db.execute(f"PRAGMA user_version = {files.VERSION + 1}")
        assert int.from_bytes(archive.path.read_bytes()[60:64]) == files.VERSION
        with pytest.raises(ArchiveError, match="newer version"):
            Store.open(archive.path)
        db.execute(f"PRAGMA user_version = {files.VERSION}")


def test_two_that_open_a_new_archive_at_once_both_get_it(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from addon.store.store import Store, StoreBusy\n"
        "while True:\n"
        "    try: Store.open(Path(sys.argv[1])).close(); break\n"
        "    except StoreBusy: time.sleep(0.01)\n"
    )
    for attempt in range(3):
        path = tmp_path / f"{attempt}.db"
        command = [sys.executable, "-c", script, str(path)]
        both = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        assert [(process.communicate()[1], process.returncode) for process in both] == [("", 0), ("", 0)]


def test_two_writers_lose_nothing_to_each_other(tmp_path: Path) -> None:
    archives = [Archive(tmp_path / "chatgpt.db") for _ in range(2)]
    archives[0].store.close()
    archives[1].store.close()

    def work(name: str) -> None:
        store = Store.open(tmp_path / "chatgpt.db")
        for number in range(40):
            batch: list[Record] = [STREAM, said(f"{name}{number}")]
            while True:
                try:
                    store.write(batch)
                    break
                except StoreBusy:
                    pass
        store.close()

    threads = [threading.Thread(target=work, args=(name,)) for name in "xy"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    archive = Archive(tmp_path / "chatgpt.db")
    assert len(texts(archive)) == 80
    archive.store.close()


def test_a_run_begins_once_ends_once_and_its_counts_only_rise(archive: Archive) -> None:
    archive.store.write([Run("1-a", STARTED), Run("2-b", STARTED)])
    none = dict.fromkeys(("ended_at", "streams", "uncaptured", "lost_chunks", "lost_bytes"))
    assert [row | {"started_at": ""} for row in archive.rows("SELECT * FROM runs")] == [
        {"id": "1-a", "started_at": "", **none},
        {"id": "2-b", "started_at": "", **none},
    ]
    told = Run("1-a", STARTED + 5, None, 3, 1, 2, 700)
    over = Run("1-a", STARTED + 9, STARTED + 9, 4, 1, 2, 700)
    for record in (told, over, told, Run("1-a", STARTED + 20)):
        archive.store.write([record])
    assert archive.row("SELECT * FROM runs WHERE id = '1-a'") == {
        "id": "1-a", "started_at": "2026-09-21T14:13:20.000000Z", "ended_at": "2026-09-21T14:13:20.000009Z",
        "streams": 4, "uncaptured": 1, "lost_chunks": 2, "lost_bytes": 700,
    }  # fmt: skip


def test_it_calls_back_while_sqlite_works(archive: Archive) -> None:
    called: list[int] = []
    store = Store.open(archive.path, meanwhile=lambda: called.append(1))
    opened = len(called)
    store.write([STREAM, *(said(f"m{number}", "tide " * 100) for number in range(200))])
    store.close()
    assert len(called) > opened + 20
    assert len(texts(archive)) == 200


def test_a_file_takes_no_times_away_from_what_saw_the_exchange_pass(archive: Archive) -> None:
    seen = replace(STREAM, state="interrupted", first_event_at=STARTED + 1, first_token_at=STARTED + 2)
    archive.store.write([seen])
    archive.store.write([replace(STREAM, source="flow-file", state="complete", ended_at=STARTED + 9)])
    columns = "source, state, first_event_at, first_token_at"
    (row,) = archive.rows(f"SELECT {columns} FROM streams")
    assert (row["source"], row["state"]) == ("live", "complete")
    assert row["first_event_at"] < row["first_token_at"]

"""The schema's steps: from every earlier version, with a row in each table, nothing is lost and nothing done twice."""

import os
import sqlite3
import stat
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from addon import archive as files
from addon.errors import ArchiveError
from addon.records import Run
from addon.store import migrations
from addon.store.safekeeping import back_up
from addon.store.store import Store, StoreBusy
from analysis.queries.named import QUESTIONS
from analysis.queries.usage import TOOLS
from tests.receiving import download, png, receive
from tests.recording import (
    FINISHED,
    STARTED,
    TABLES,
    Archive,
    archive_at,
    delta,
    envelope,
    message,
    request,
    shown,
    v0,
    v1,
)

ALL = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"


def fill(archive: Archive) -> None:
    """At least one row in each table."""
    part = {
        "content_type": "image_asset_pointer",
        "asset_pointer": "sediment://file_1",
        "metadata": {"generation": {"gen_id": "g"}},
    }
    made = message(
        "I",
        author={"role": "tool", "name": "image_gen"},
        content={"content_type": "multimodal_text", "parts": [part]},
        status=FINISHED,
        metadata={"content_references": [{"type": "webpage", "url": "https://example.org"}]},
    )
    archive.record(v1(shown(made), {"type": "toast"}), request("U"))
    archive.store.write([Run("1-a", STARTED)])
    archive.record(v0(*[envelope(message("A", text, status=FINISHED)) for text in ("one", "two")]), stream_id="other")
    archive.load("textdocs", [{"id": "C", "version": 1, "content": "Tides"}], parameters={"conversation_id": "talk"})
    download(archive, {"download_url": "/backend-api/estuary/content?id=file_1"})
    receive(archive, png(2, 2))


def opened_at(path: Path, step: int) -> sqlite3.Connection:
    """A database as the version with so many steps left it."""
    db = sqlite3.connect(path, isolation_level=None)
    names = [migration.name for migration in migrations.migrations.pending(Database(db))]
    db.execute(f"PRAGMA application_id = {files.APPLICATION_ID}")
    migrations.migrations.apply(Database(db), stop_before=names[step:])
    db.execute(f"PRAGMA user_version = {step}")
    return db


def test_the_version_is_the_number_of_steps(tmp_path: Path) -> None:
    with closing(opened_at(tmp_path / "new.db", 0)) as db:
        names = [migration.name for migration in migrations.migrations.pending(Database(db))]
    assert [int(name[:4]) for name in names] == list(range(1, files.VERSION + 1))


@pytest.mark.parametrize("step", range(files.VERSION + 1))
def test_an_archive_of_every_version_becomes_one_of_this(tmp_path: Path, step: int) -> None:
    opened_at(tmp_path / "old.db", step).close()
    with archive_at(tmp_path / "old.db") as old, archive_at(tmp_path / "new.db") as new:
        assert old.rows(ALL) == new.rows(ALL)
        assert old.row("PRAGMA user_version") == {"user_version": files.VERSION}
        fill(old)
        assert {table: old.count(table) > 0 for table in TABLES} == dict.fromkeys(TABLES, True)


def filled_at(path: Path, step: int) -> dict[str, int]:
    """An archive as an earlier version left it, with a row in each table; the rows that each table has."""
    with closing(opened_at(path, step)) as db:
        tables = [name for (name,) in db.execute(TABLES_OF) if name in TABLES]
        for table in tables:
            usual = {"INTEGER": 7, "REAL": 7, "BLOB": b"\0", "TEXT": "one"}
            types = {row[1]: row[2] for row in db.execute(f"PRAGMA table_info({table})")}
            values = [LONG_AGO if name.endswith("_at") else usual[kind] for name, kind in types.items()]
            db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
        return dict.fromkeys(tables, 1)


LONG_AGO = "2024-02-29T12:00:00.000000Z"
TABLES_OF = "SELECT name FROM sqlite_schema WHERE type = 'table'"


@pytest.mark.parametrize("step", range(1, files.VERSION))
def test_every_row_of_an_earlier_version_stays_and_a_copy_is_kept_until_the_new_one_has_run(
    tmp_path: Path, step: int
) -> None:
    path = tmp_path / "chatgpt.db"
    rows, backup = filled_at(path, step), tmp_path / f"chatgpt.db.v{step}-backup"
    assert len(rows) >= 11
    before = os.umask(0)
    try:
        store = Store.open(path)
    finally:
        os.umask(before)
    with closing(sqlite3.connect(path)) as db, closing(sqlite3.connect(backup)) as old:
        for table in rows:
            # New columns come last.
            (kept,), (made,) = old.execute(f"SELECT * FROM {table}"), db.execute(f"SELECT * FROM {table}")
            assert made[: len(kept)] == kept, table
        assert db.execute("SELECT count(*) FROM messages_fts WHERE messages_fts MATCH 'one'").fetchone() == (0,)
        assert old.execute("PRAGMA user_version").fetchone() == (step,)
        assert old.execute("PRAGMA application_id").fetchone() == (files.APPLICATION_ID,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    later = time.time_ns() // 1000 + 1
    store.write([Run("killed", later)])
    store.close()
    Store.open(path).close()
    assert backup.exists()  # the new version has started, and nothing says that it came to its end
    store = Store.open(path)
    store.write([Run("whole", later, later + 1)])
    store.close()
    Store.open(path).close()
    left = sorted(entry.name for entry in tmp_path.iterdir())
    assert left == ["chatgpt.db", "chatgpt.db-inflight", "chatgpt.db-media"]


def test_without_a_copy_nothing_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "chatgpt.db"
    filled_at(path, 1)
    before = path.read_bytes()
    (tmp_path / "chatgpt.db.v1-backup").mkdir()  # nothing can take its place
    with pytest.raises(StoreBusy, match="directory"):
        Store.open(path)
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "chatgpt.db", "chatgpt.db-inflight", "chatgpt.db-media", "chatgpt.db.v1-backup"
    ]  # fmt: skip


def test_what_a_killed_copy_left_goes_and_a_copy_is_never_of_what_was_changed(tmp_path: Path) -> None:
    path, backup = tmp_path / "chatgpt.db", tmp_path / "chatgpt.db.v1-backup"
    filled_at(path, 1)
    (tmp_path / "chatgpt.db.v1-backup.part").write_bytes(b"half")
    (tmp_path / "chatgpt.db.v1-backup.part-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"\1" * 1000)
    with closing(sqlite3.connect(path, isolation_level=None)) as slow:
        Store.open(path).close()
        kept = backup.read_bytes()
        back_up(slow, path, 1)  # it had seen the version before the other one changed it
    assert backup.read_bytes() == kept
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "chatgpt.db", "chatgpt.db-inflight", "chatgpt.db-media", "chatgpt.db.v1-backup"
    ]  # fmt: skip


def test_an_archive_of_this_version_is_opened_unchanged(archive: Archive) -> None:
    fill(archive)
    before, schema = archive.dump(), archive.rows(ALL)
    archive.store.close()
    archive.store = Store.open(archive.path)
    assert (archive.dump(), archive.rows(ALL)) == (before, schema)


def test_migrating_twice_does_nothing(archive: Archive) -> None:
    fill(archive)
    before, schema = archive.dump(), archive.rows(f"{ALL.replace('type, name, sql', '*')}")
    steps = archive.rows("SELECT * FROM _sqlite_migrations")
    with closing(sqlite3.connect(archive.path, isolation_level=None)) as db:
        migrations.apply(Database(db))
    assert (archive.dump(), archive.rows(f"{ALL.replace('type, name, sql', '*')}")) == (before, schema)
    assert archive.rows("SELECT * FROM _sqlite_migrations") == steps


def test_a_step_that_fails_leaves_the_archive_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "chatgpt.db"
    with closing(opened_at(path, 0)) as db:
        db.execute("CREATE TABLE unrecognised (in_the_way)")
        before = db.execute(ALL).fetchall()
        with pytest.raises(ArchiveError, match="unrecognised"):
            Store.open(path)
        assert db.execute(ALL).fetchall() == before
        db.execute("DROP TABLE unrecognised")
    Store.open(path).close()


def test_every_reference_is_declared(archive: Archive) -> None:
    """Datasette labels by foreign keys."""
    references = {
        (table, row["from"]): (row["table"], row["to"])
        for table in TABLES
        for row in archive.rows(f"PRAGMA foreign_key_list({table})")
    }
    assert references == {
        ("streams", "conversation_id"): ("conversations", "id"),
        ("stream_bodies", "stream_id"): ("streams", "id"),
        ("request_bodies", "stream_id"): ("streams", "id"),
        ("messages", "conversation_id"): ("conversations", "id"),
        ("messages", "stream_id"): ("streams", "id"),
        ("message_versions", "message_n"): ("messages", "n"),
        ("message_versions", "stream_id"): ("streams", "id"),
        ("message_assets", "message_n"): ("messages", "n"),
        ("message_assets", "asset_id"): ("assets", "id"),
        ("assets", "stream_id"): ("streams", "id"),
        ("asset_urls", "asset_id"): ("assets", "id"),
        ("asset_urls", "stream_id"): ("streams", "id"),
        ("asset_files", "asset_id"): ("assets", "id"),
        ("asset_files", "sha256"): ("files", "sha256"),
        ("asset_files", "stream_id"): ("streams", "id"),
        ("image_generations", "conversation_id"): ("conversations", "id"),
        ("image_generations", "asset_id"): ("assets", "id"),
        ("image_generations", "stream_id"): ("streams", "id"),
        ("events", "stream_id"): ("streams", "id"),
        ("citations", "message_n"): ("messages", "n"),
        ("canvas_documents", "conversation_id"): ("conversations", "id"),
        ("canvas_documents", "stream_id"): ("streams", "id"),
    }


def test_vacuum_keeps_search_and_messages_together(archive: Archive) -> None:
    archive.record(v1(*[shown(message(f"M{n}", f"word{n}", status=FINISHED), n) for n in range(5)]))
    with closing(sqlite3.connect(archive.path, isolation_level=None)) as db:
        db.execute("DELETE FROM messages WHERE id IN ('M0', 'M2')")
        db.execute("VACUUM")
    query = "SELECT m.id FROM messages_fts f JOIN messages m ON m.n = f.rowid WHERE messages_fts MATCH 'word3'"
    assert archive.rows(query) == [{"id": "M3"}]
    archive.record(
        v1(shown(message("M3", "word3", status=FINISHED)), delta("/message/status", "replace", "done")),
        stream_id="later",
    )


def test_what_an_earlier_version_stored_is_searched_to_its_last_letter_and_aloud(tmp_path: Path) -> None:
    spoken = '{"parts": [{"content_type": "audio_transcription", "text": "A cuckoo"}, "x", {"text": 1}]}'
    rows = [
        ("text", "我学习量子力学", None, 0), ("multimodal_text", "x", spoken, 0), ("multimodal_text", "y", "{\"audio_transcription\"", 0),
        ("text", "growing cuckoo", None, 1),
    ]  # fmt: skip
    path = tmp_path / "old.db"
    with closing(opened_at(path, 3)) as db:
        db.executemany("INSERT INTO messages (id, content_type, text, content, live) VALUES ('A', ?, ?, ?, ?)", rows)
    Store.open(path).close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT rowid FROM messages_fts WHERE messages_fts MATCH 'cuckoo'").fetchall() == [(2,)]
        assert [row[0] for row in db.execute("SELECT transcript FROM messages ORDER BY n")] == [
            None,
            "A cuckoo",
            None,
            None,
        ]
        db.execute("CREATE VIRTUAL TABLE temp.threes USING fts5vocab('main', 'messages_fts_cjk', 'instance')")
        found = db.execute(
            "SELECT DISTINCT doc FROM temp.threes WHERE term >= '力学' AND term < '力学' || char(1114111)"
        )
        assert found.fetchall() == [(1,)]
        for index in ("messages_fts", "messages_fts_cjk"):
            db.execute("UPDATE messages SET live = 0, text = 'done'")
            db.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)")


def test_an_earlier_version_is_known_to_be_told_by_the_only_exchange_that_told_of_its_conversation(
    tmp_path: Path,
) -> None:
    path = tmp_path / "old.db"
    streams = [("one", "turn", "c"), ("two", "turn", "d"), ("again", "document", "d"), ("file", "asset", "c"), ("three", "turn", "e")]  # fmt: skip
    with closing(opened_at(path, 4)) as db:
        db.executemany("INSERT INTO conversations (id, digest) VALUES (?, ?)", [("c", None), ("d", None), ("e", "x")])
        db.executemany("INSERT INTO streams (id, kind, conversation_id) VALUES (?, ?, ?)", streams)
        for number, (stream, conversation) in enumerate({"one": "c", "two": "d", "three": "e"}.items()):
            values = (number, str(number), conversation, stream)
            db.execute("INSERT INTO messages (n, id, conversation_id, stream_id) VALUES (?, ?, ?, ?)", values)
            db.execute("INSERT INTO message_versions (message_n, revision) VALUES (?, 0)", (number,))
    Store.open(path).close()
    with closing(sqlite3.connect(path)) as db:
        told = db.execute("SELECT message_n, stream_id FROM message_versions ORDER BY message_n").fetchall()
    assert told == [(0, "one"), (1, None), (2, None)]  # an export told of the last conversation too


def test_turns_are_found_by_index_also_where_sqlite_knows_nothing_of_the_archive(archive: Archive) -> None:
    plan = [row["detail"] for row in archive.rows("EXPLAIN QUERY PLAN SELECT * FROM turns")]
    assert "SEARCH m USING INDEX messages_stream_id (stream_id=?)" in plan
    assert "SEARCH m USING INDEX messages_turn_exchange_id (turn_exchange_id=?)" in plan
    assert not [detail for detail in plan if "messages_role" in detail]


def test_a_conversation_is_summed_up_from_what_is_its_own_also_where_sqlite_knows_nothing_of_it(
    archive: Archive,
) -> None:
    plan = [
        row["detail"] for row in archive.rows("EXPLAIN QUERY PLAN SELECT * FROM conversation_summaries WHERE id = 'x'")
    ]
    assert "SEARCH m USING COVERING INDEX messages_conversation_id_created_at (conversation_id=?)" in plan
    assert not [detail for detail in plan if "messages_role" in detail or "image_generations_status" in detail]


@pytest.mark.parametrize(
    ("query", "read"),
    [
        pytest.param(
            QUESTIONS["time_to_first_token_by_model"].sql,
            ["SCAN s USING COVERING INDEX streams_first_token",
             "SEARCH m USING COVERING INDEX messages_last_of_turn (stream_id=? AND model_slug>?)"],
            id="waits",
        ),
        pytest.param(
            QUESTIONS["writing_speed_by_model"].sql,
            ["SCAN s USING COVERING INDEX streams_first_token",
             "SEARCH m USING INDEX messages_last_of_turn (stream_id=? AND model_slug>?)"],
            id="speeds",
        ),
        pytest.param(
            QUESTIONS["answers_by_model_month"].sql,
            ["SEARCH messages USING COVERING INDEX messages_model_slug (model_slug>?)"],
            id="models by month",
        ),
        pytest.param(
            "SELECT * FROM model_usage",
            ["SEARCH m USING INDEX messages_model_slug (model_slug>?)",
             "SCAN s USING COVERING INDEX streams_first_token",
             "SEARCH m USING COVERING INDEX messages_last_of_turn (stream_id=?)"],
            id="models",
        ),
        pytest.param(
            "SELECT * FROM daily_activity",
            ["SCAN m USING COVERING INDEX messages_conversation_id_created_at"],
            id="days",
        ),
        pytest.param(TOOLS, ["SCAN messages USING COVERING INDEX messages_calls"], id="tools"),
    ],
)  # fmt: skip
def test_figures_are_told_from_indexes_alone_also_where_sqlite_knows_nothing_of_the_archive(
    archive: Archive, query: str, read: list[str]
) -> None:
    """An index with the length of a text stands for the text, though SQLite calls it no covering one."""
    query = query.replace(":since", "''").replace(":until", "''")
    plan = [row["detail"] for row in archive.rows(f"EXPLAIN QUERY PLAN {query}")]
    tables = ("SCAN m ", "SCAN s ", "SCAN messages ", "SEARCH m ", "SEARCH s ", "SEARCH messages ")
    assert [detail for detail in plan if detail.startswith(tables) and "INDEX" in detail] == read
    assert not [detail for detail in plan if detail.startswith(tables) and "INDEX" not in detail and detail != "SCAN m"]

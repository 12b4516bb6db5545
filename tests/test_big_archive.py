"""Big archives have what was asked for, are sound, and come out the same again."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from scripts.big_archive import build
from scripts.big_archive.texts import CHINESE, COMMON, SOMETIMES
from tests.recording import FINISHED, archive_at, envelope, message, request, v0


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("big") / "big.db"
    build(path, conversations=300, messages=9000, seed=7)
    return path


def ask(path: Path, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute(query, parameters).fetchall()


def test_a_big_archive_has_as_many_conversations_and_messages_as_asked(big: Path) -> None:
    assert ask(big, "SELECT count(*), count(DISTINCT conversation_id), min(n), max(n) FROM messages") == [
        (9000, 300, 1, 9000)
    ]


def test_a_big_archive_is_sound_and_can_be_captured_into(big: Path, tmp_path: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(big)) as source,
        contextlib.closing(sqlite3.connect(tmp_path / "copy")) as to,
    ):
        source.backup(to)
    with archive_at(tmp_path / "copy") as archive:
        archive.record(v0(envelope(message("A", "An answer", status=FINISHED))), request("U"))
        assert archive.message("A")["n"] == 9002


def test_a_big_archive_has_every_shape_that_a_capture_leaves(big: Path) -> None:
    count = "SELECT count(*) > 10 FROM "
    for shape in (
        "messages WHERE content_type = 'thoughts'",
        "messages WHERE role = 'tool' AND content_type = 'execution_output'",
        "messages WHERE visible = 0",
        "(SELECT 1 FROM messages WHERE role = 'user' GROUP BY conversation_id, parent_id HAVING count(*) > 1)",
        "(SELECT 1 FROM messages WHERE role = 'assistant' GROUP BY conversation_id, parent_id HAVING count(*) > 1)",
        "image_gallery WHERE user_prompt IS NOT NULL",
        "image_generations WHERE parent_gen_id IS NOT NULL",
        "citations",
        "streams WHERE state = 'interrupted'",
        "streams WHERE state = 'error'",
        "stream_bodies",
        "turns WHERE seconds_to_first_token > 0 AND characters_per_second > 0",
    ):
        assert ask(big, count + shape) == [(1,)], shape


def test_every_branch_goes_back_to_the_root_of_its_conversation(big: Path) -> None:
    orphans = """SELECT count(*) FROM messages m LEFT JOIN messages p
                 ON p.conversation_id = m.conversation_id AND p.id = m.parent_id AND p.n < m.n
                 WHERE (m.parent_id IS NULL) <> (m.role = 'system') OR m.parent_id IS NOT NULL AND p.n IS NULL"""
    assert ask(big, orphans) == [(0,)]
    assert ask(big, "SELECT count(*) FROM conversations WHERE id NOT IN (SELECT conversation_id FROM threads)") == [
        (0,)
    ]


def test_planted_words_are_found_as_often_as_they_were_planted(big: Path) -> None:
    count = "SELECT count(*) FROM messages_fts WHERE messages_fts MATCH ?"
    said = ask(big, "SELECT count(*) FROM messages WHERE role = 'user'")[0][0]
    assert ask(big, count, SOMETIMES)[0][0] in range(9, 18)
    assert ask(big, count, COMMON)[0][0] > said
    assert ask(big, "SELECT count(*) > 0 FROM messages_fts_cjk WHERE text LIKE ?", f"%{CHINESE}%") == [(1,)]


def test_the_same_seed_gives_the_same_rows(tmp_path: Path) -> None:
    rows = []
    for name, seed in (("one.db", 3), ("two.db", 3), ("three.db", 4)):
        build(tmp_path / name, conversations=5, messages=60, seed=seed)
        rows.append(ask(tmp_path / name, "SELECT * FROM messages ORDER BY n"))
    assert rows[0] == rows[1] != rows[2]


def test_a_big_archive_has_one_very_long_conversation_most_of_which_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "long.db"
    build(path, conversations=750, messages=15_000)
    [(identity, size)] = ask(path, "SELECT conversation_id, count(*) FROM messages GROUP BY 1 ORDER BY 2 DESC LIMIT 1")
    assert size == 750
    assert ask(path, "SELECT count(*) > 300 FROM threads WHERE conversation_id = ?", identity) == [(1,)]
    assert ask(path, "SELECT count(*), count(DISTINCT conversation_id) FROM messages") == [(15_000, 750)]


@pytest.mark.parametrize(("conversations", "messages"), [(0, 10), (11, 10)])
def test_what_cannot_be_is_refused(tmp_path: Path, conversations: int, messages: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        build(tmp_path / "none.db", conversations=conversations, messages=messages)
    assert not (tmp_path / "none.db").exists()

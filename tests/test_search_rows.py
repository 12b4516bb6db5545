"""The search indexes hold the same, whether messages are written one by one or many at once."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from addon.records import Message, Record, Stream
from addon.store.search_rows import in_parts
from addon.store.store import StoreBusy
from analysis.queries.search import is_blankless
from tests.recording import FINISHED, STARTED, Archive, archive_at

STREAM = Stream("stream", "live", "turn", "chatgpt.com", "/", "POST", STARTED)


def said(number: int, text: str | None, at: int = 1, **known: Any) -> Message:
    usual: dict[str, Any] = {"conversation_id": "talk", "status": FINISHED, "live": False}
    content = f'{{"parts":["{text}"]}}'
    fields = usual | {"text": text, "content": content} | known
    return Message(id=f"M{number}", stream_id="stream", source="live", at=at, **fields)


def found(archive: Archive) -> tuple[list[Any], list[Any]]:
    words = archive.rows("SELECT rowid FROM messages_fts WHERE messages_fts MATCH 'tide' ORDER BY rowid")
    parts = archive.rows("SELECT rowid FROM messages_fts_cjk WHERE text LIKE '%海ebb%' ORDER BY rowid")
    return words, parts


@pytest.mark.parametrize("together", [1, 7, 1000])
def test_messages_that_change_while_many_are_written_are_found_by_what_they_say_last(
    tmp_path: Path, together: int
) -> None:
    records: list[Record] = [said(n, f"tide {n}") for n in range(50)]
    records += [said(n, f"海ebbs {n}", at=2) for n in range(40, 60)]
    records += [said(n, "tide", status="in_progress", live=True) for n in range(60, 70)]
    records += [said(n, "tide 海ebbs", at=3) for n in range(65, 70)]
    with archive_at(tmp_path / "chatgpt.db") as archive:
        archive.store.write([STREAM, said(45, "tide before"), said(46, "other")])
        for start in range(0, len(records), together):
            archive.store.write(records[start : start + together])
        numbers = {row["id"]: row["n"] for row in archive.rows("SELECT id, n FROM messages")}
        words, parts = found(archive)
        assert {row["rowid"] for row in words} == {numbers[f"M{n}"] for n in (*range(40), *range(65, 70))}
        assert {row["rowid"] for row in parts} == {numbers[f"M{n}"] for n in (*range(40, 60), *range(65, 70))}
        assert archive.count("messages_fts_pause") == 0


def test_a_batch_that_is_refused_leaves_no_pause(archive: Archive) -> None:
    broken = said(3, "tide", parent_id="\ud83d")
    archive.store.write([STREAM, *[said(n, "tide") for n in range(30)], broken])
    assert archive.store.take_failures() == 1
    assert len(found(archive)[0]) == 30
    assert archive.count("messages_fts_pause") == 0


@pytest.mark.parametrize("text", ["潮の満ち引き", "大海", "조수 간만", "น้ำขึ้นน้ำลง", "so:\n```\nlet tide = 1\n```"])
def test_parts_are_searched_where_words_have_no_blanks_and_in_code(text: str) -> None:
    assert in_parts(text)


def test_parts_of_other_texts_are_not_searched_and_cost_nothing(archive: Archive) -> None:
    for text in (None, "", "The tide, naïve", "Прилив", "المد", "🌊", "`tide`"):
        assert not in_parts(text)
    archive.store.write([STREAM, said(1, "tide"), said(2, "潮の満ち引き")])
    assert archive.rows("SELECT id FROM messages_fts_cjk_docsize") == [{"id": 2}]


def test_a_text_that_changes_its_script_is_found_by_its_parts(archive: Archive) -> None:
    archive.store.write([STREAM, said(1, "tide")])
    archive.store.write([said(1, "潮の満ち引き", at=2)])
    query = "SELECT rowid FROM messages_fts_cjk WHERE text LIKE '%満ち引%'"
    assert archive.rows(query) == [{"rowid": 1}]
    archive.store.write([said(1, "tide again", at=3)])
    assert archive.rows(query) == []


def test_what_is_asked_in_parts_is_what_was_indexed_in_parts() -> None:
    for character in map(chr, [*range(0xD800), *range(0xE000, 0x30000)]):
        assert is_blankless(character) == in_parts(character)


def sound(archive: Archive) -> bool:
    """Whether both indexes hold what the texts say, and nothing else; FTS5 raises where they do not."""
    with closing(sqlite3.connect(archive.path)) as db:
        for index in ("messages_fts", "messages_fts_cjk"):
            db.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)")
        (indexed,) = db.execute("SELECT count(*) FROM messages_fts_docsize").fetchone()
        (finished,) = db.execute("SELECT count(*) FROM messages WHERE live = 0").fetchone()
    return bool(indexed == finished)


@pytest.mark.parametrize("known", [[], [7, 640]], ids=["all of them new", "some of them known"])
def test_very_many_messages_are_found_by_what_they_say_and_so_are_those_that_follow(
    tmp_path: Path, known: list[int]
) -> None:
    records: list[Record] = [said(n, f"tide 海ebb {n}", conversation_id=f"talk{n % 40}") for n in range(700)]
    with archive_at(tmp_path / "chatgpt.db") as archive:
        archive.store.write([STREAM, *[said(n, "before", at=0, conversation_id=f"talk{n % 40}") for n in known]])
        archive.store.write([*records, *[said(n, "ebb", at=2, conversation_id=f"talk{n % 40}") for n in range(3)]])
        assert [len(rows) for rows in found(archive)] == [697, 697]
        assert sound(archive)
        archive.store.write([said(700, "tide 海ebb"), said(5, "ebb", at=3, conversation_id="talk5")])
        assert [len(rows) for rows in found(archive)] == [697, 697]
        with closing(sqlite3.connect(archive.path, isolation_level=None)) as db:
            db.execute("INSERT INTO messages (id, text) VALUES ('by hand', 'tide 海ebb')")
            db.execute("DELETE FROM messages WHERE id = 'M6'")
        assert [len(rows) for rows in found(archive)] == [697, 697]
        assert sound(archive)
        for index in ("messages_fts", "messages_fts_cjk"):
            settings = archive.rows(f"SELECT k, v FROM {index}_config WHERE k <> 'version' ORDER BY k")
            assert settings == [{"k": "automerge", "v": 4}, {"k": "hashsize", "v": 1024 * 1024}]


def test_very_many_messages_of_which_one_is_refused_are_found_and_so_are_those_that_follow(archive: Archive) -> None:
    broken = said(800, "tide", parent_id="\ud83d")
    archive.store.write([STREAM, *[said(n, "tide 海ebb") for n in range(700)], broken])
    assert archive.store.take_failures() == 1
    archive.store.write([said(700, "tide 海ebb")])
    assert [len(rows) for rows in found(archive)] == [701, 701]
    assert sound(archive)
    assert archive.count("messages_fts_pause") == 0


def test_what_is_written_while_the_indexes_are_not_is_undone_with_them(archive: Archive) -> None:
    archive.store.write([STREAM, said(0, "tide 海ebb")])
    with closing(sqlite3.connect(archive.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            archive.store.write([said(n, "tide 海ebb") for n in range(1, 700)])
    assert [len(rows) for rows in found(archive)] == [1, 1]
    archive.store.write([said(n, "tide 海ebb") for n in range(1, 700)])
    assert [len(rows) for rows in found(archive)] == [700, 700]
    assert sound(archive)

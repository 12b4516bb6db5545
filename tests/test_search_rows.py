"""The search indexes hold the same, whether messages are written one by one or many at once."""

from pathlib import Path
from typing import Any

import pytest

from addon.records import Message, Record, Stream
from tests.recording import FINISHED, STARTED, Archive, archive_at

STREAM = Stream("stream", "live", "turn", "chatgpt.com", "/", "POST", STARTED)


def said(number: int, text: str, at: int = 1, **known: Any) -> Message:
    usual: dict[str, Any] = {"status": FINISHED, "live": False}
    content = f'{{"parts":["{text}"]}}'
    return Message(f"M{number}", "talk", "stream", "live", at, **usual | {"text": text, "content": content} | known)


def found(archive: Archive) -> tuple[list[Any], list[Any]]:
    words = archive.rows("SELECT rowid FROM messages_fts WHERE messages_fts MATCH 'tide' ORDER BY rowid")
    parts = archive.rows("SELECT rowid FROM messages_fts_cjk WHERE text LIKE '%ebb%' ORDER BY rowid")
    return words, parts


@pytest.mark.parametrize("together", [1, 7, 1000])
def test_messages_that_change_while_many_are_written_are_found_by_what_they_say_last(
    tmp_path: Path, together: int
) -> None:
    records: list[Record] = [said(n, f"tide {n}") for n in range(50)]
    records += [said(n, f"ebbs {n}", at=2) for n in range(40, 60)]
    records += [said(n, "tide", status="in_progress", live=True) for n in range(60, 70)]
    records += [said(n, "tide ebbs", at=3) for n in range(65, 70)]
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

"""Two archives that saw parts of the same weeks, merged: every row is the one that capturing all into one gives.

Only the numbers of rows differ, by which messages and images are counted.
"""

import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from addon.store.archive_writer import ArchiveWriter
from addon.upkeep.merging import Merged, Merging
from tests.conftest import ROOT
from tests.lives import CUT, Happening, Life, split
from tests.receiving import kept
from tests.recording import FINISHED, STARTED, TABLES, Archive, Row, archive_at, envelope, message, v0
from tests.test_documents import mapped, node

HOUR = 3_600_000_000


def merge(database: Path, other: Path) -> Merged:
    writer = ArchiveWriter(database, lambda reason: None)
    merged = Merging(database, writer, lambda done, total: None).merge(other)
    writer.close()
    assert (merged.unreadable, merged.refused) == (0, None)
    return merged


def rows(archive: Archive) -> dict[str, list[Row]]:
    """All rows of all tables but their numbers: raw bodies and when they arrived, too."""
    tables = {table: archive.rows(f"SELECT * FROM {table}") for table in TABLES}
    names = {row["n"]: (row["conversation_id"], row["id"]) for row in tables["messages"]}
    for row in (row for each in tables.values() for row in each):
        row.pop("n", None)
        if "message_n" in row:
            row["message_n"] = names[row["message_n"]]
    for row in tables["image_generations"]:
        del row["id"]
    return {table: sorted(each, key=str) for table, each in tables.items()}


def numbered(archive: Archive) -> dict[str, list[Row]]:
    """All rows of all tables as they are."""
    return {table: archive.rows(f"SELECT * FROM {table} ORDER BY rowid") for table in TABLES}


def captured(path: Path, happenings: Sequence[Happening]) -> Path:
    with archive_at(path) as archive:
        for happening in happenings:
            happening.play(archive)
    return path


def copied(path: Path, name: str) -> Path:
    """The archive with its files, under another name."""
    there = path.with_name(name)
    shutil.copy(path, there)
    shutil.copytree(f"{path}-media", f"{there}-media")
    return there


def assert_is_all(path: Path, whole: Path) -> None:
    with archive_at(path) as merged, archive_at(whole) as both:
        found = rows(merged)
        for table, expected in rows(both).items():
            assert found[table] == expected, table
        assert kept(merged) == kept(both)
    assert not [left.name for left in path.parent.iterdir() if left.name.startswith(f"{path.name}-un")]


def halves(folder: Path, seed: object, length: int) -> tuple[Path, Path, Path]:
    """The archives of two who saw parts, and the one of who saw all."""
    happenings = sorted(Life(seed, length).happenings, key=lambda happening: happening.at)
    first, second = split(happenings, random.Random(f"split {seed}"))
    return (
        captured(folder / "first.db", first), captured(folder / "second.db", second), captured(folder / "all.db", happenings)
    )  # fmt: skip


@pytest.mark.parametrize(("seed", "length"), [*((seed, 20) for seed in range(6)), (1, 30), (5280, 35)])
def test_whoever_saw_which_exchanges_the_merged_rows_are_those_of_one_archive(
    tmp_path: Path, seed: int, length: int
) -> None:
    first, second, whole = halves(tmp_path, seed, length)
    copy = copied(second, "copy.db")
    merge(copy, copied(first, "other.db"))
    assert_is_all(copy, whole)
    merge(first, second)
    assert_is_all(first, whole)
    with archive_at(first) as archive:
        before = numbered(archive)
    merge(first, second)
    with archive_at(first) as archive:
        assert numbered(archive) == before


@pytest.mark.parametrize("stop", [1, 15, 35, "reading again 0", "reading again 9"])
def test_a_merge_that_was_killed_anywhere_is_completed_by_the_next(tmp_path: Path, stop: int | str) -> None:
    first, second, whole = halves(tmp_path, "killed", 24)
    code = (
        "import os, sys, pathlib\n"
        "import addon.store.archive_writer as writing, addon.upkeep.merging as merging, addon.upkeep.reparse as reparse\n"
        "first, second, stop = sys.argv[1:]\n"
        "writing.BATCH_RECORDS, inner = 10, writing.ArchiveWriter.add\n"
        "left = iter(range(int(stop) if stop.isdigit() else 10**9))\n"
        "def add(self, records):\n"
        "    if next(left, None) is None: os.kill(os.getpid(), 9)\n"
        "    inner(self, records)\n"
        "writing.ArchiveWriter.add = add\n"
        "def read_again(database, conversations, progress):\n"
        "    def told(done, total):\n"
        "        if stop == f'reading again {done}': os.kill(os.getpid(), 9)\n"
        "    return reparse.remake(database, conversations, told)\n"
        "merging.remake = read_again\n"
        "writer = writing.ArchiveWriter(pathlib.Path(first), print)\n"
        "merging.Merging(pathlib.Path(first), writer, lambda done, total: None).merge(pathlib.Path(second))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, first, second, str(stop)], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == -9
    with archive_at(first):
        pass  # sound
    merge(first, second)
    assert_is_all(first, whole)


@pytest.mark.parametrize("stop", [2, 30])
def test_a_merge_that_was_stopped_by_the_person_is_gone_on_with(tmp_path: Path, stop: int) -> None:
    """The real command, interrupted where it writes, and again, which ends it at once."""
    first, second, whole = halves(tmp_path, "stopped", 24)
    code = (
        "import os, signal, sys\n"
        "import addon.store.archive_writer as writing\n"
        "writing.BATCH_RECORDS, inner, left = 10, writing.ArchiveWriter.add, iter(range(int(sys.argv.pop())))\n"
        "def add(self, records):\n"
        "    if next(left, None) is None: os.kill(os.getpid(), signal.SIGINT)\n"
        "    inner(self, records)\n"
        "writing.ArchiveWriter.add = add\n"
        "from analysis.cli import main; main()\n"
    )
    line = [sys.executable, "-c", code, "--db", str(first), "merge", str(second), str(stop)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "Merging again goes on with what is missing.\nInterrupted.\n")
    with archive_at(first):
        pass  # sound
    merge(first, second)
    assert_is_all(first, whole)


def loaded(text: str, hour: int) -> Happening:
    """The page loads a document in which the answer is this."""
    answer = node("A", "U", status=FINISHED, content={"content_type": "text", "parts": [text]})
    document = mapped(answer, node("U", "root"), current_node="A")
    at, about = STARTED + hour * HOUR, {"conversation_id": "talk"}
    return Happening(at, text, lambda archive, *_: archive.load("conversation", document, at=at, parameters=about))


@pytest.mark.parametrize("first", range(16))
def test_a_document_that_both_loaded_is_one_exchange_as_long_as_it_stays_the_same(tmp_path: Path, first: int) -> None:
    """Whoever saw which: of one that changed and changed back, nobody can tell which load was the first again."""
    told = [loaded("Once a day.", 0), loaded("Once a day.", 1), loaded("Twice a day.", 2), loaded("Twice a day.", 3)]
    sides = [[each for place, each in enumerate(told) if first >> place & 1 == side] for side in (0, 1)]
    archives = [captured(tmp_path / f"{side}.db", happenings) for side, happenings in enumerate(sides)]
    whole = captured(tmp_path / "all.db", told)
    merge(*archives)
    assert_is_all(archives[0], whole)


def test_of_a_document_that_changed_and_changed_back_unseen_only_the_time_is_known(tmp_path: Path) -> None:
    first = captured(tmp_path / "first.db", [loaded("Once a day.", 0), loaded("Once a day.", 2)])
    second = captured(tmp_path / "second.db", [loaded("Twice a day.", 1)])
    merge(first, second)
    with archive_at(first) as archive:
        assert archive.message("A")["text"] == "Twice a day."
        seen = archive.rows("SELECT started_at, last_seen_at FROM streams ORDER BY started_at")
        hours = [[at and at[11:13] for at in row.values()] for row in seen]
        assert hours == [["14", "16"], ["15", None]]


def test_what_only_one_of_them_has_without_raw_bodies_is_merged_by_what_its_rows_say(tmp_path: Path) -> None:
    finished = v0(envelope(message("A", "Twice a day.", status=FINISHED)))
    began = STARTED + 9 * HOUR
    with archive_at(tmp_path / "first.db") as archive:
        archive.record(v0(envelope(message("A", "Twice")), done=False), stream_id="begun")
    with archive_at(tmp_path / "second.db") as other:
        other.record(finished, stream_id="ended", started_at=began, clock=lambda _: began, keep_raw=False)
    for _ in range(2):
        assert merge(tmp_path / "first.db", tmp_path / "second.db").busy == set()
        with archive_at(tmp_path / "first.db") as archive:
            assert archive.row("SELECT text, stream_id, status FROM messages") == {
                "text": "Twice a day.", "stream_id": "ended", "status": FINISHED,
            }  # fmt: skip


def test_what_a_list_without_a_raw_body_told_later_stays(tmp_path: Path) -> None:
    first = captured(tmp_path / "first.db", [loaded("Once a day.", 0)])
    with archive_at(first) as archive:
        listed = {"items": [{"id": "talk", "title": "Late"}]}
        archive.load("conversations", listed, kind="list", at=STARTED + 9 * HOUR, keep_raw=False)
    second = captured(tmp_path / "second.db", [loaded("Twice a day.", 1)])
    assert merge(first, second).again == 1
    with archive_at(first) as archive:
        assert archive.row("SELECT title FROM conversations") == {"title": "Late"}
        assert archive.message("A")["text"] == "Twice a day."


def test_a_conversation_that_is_being_captured_is_completed_by_the_next_merge(tmp_path: Path) -> None:
    told = [loaded("Once a day.", 0), loaded("Twice a day.", 1)]
    first, second = (captured(tmp_path / f"{side}.db", told[side : side + 1]) for side in (0, 1))
    whole = captured(tmp_path / "all.db", told)
    said, late = v0(envelope(message("new", "Wait")), done=False), STARTED + 9 * HOUR
    how: Row = {"stream_id": "open", "started_at": late, "clock": lambda _: late}
    with archive_at(first) as archive:
        archive.record(said, closing=None, look=lambda: True, **how)
        assert merge(first, second).busy == {"talk"}
        archive.record(said, closing=CUT, **how)
        merged = merge(first, second)
        assert (merged.again, merged.busy) == (1, set())
    with archive_at(whole) as archive:
        archive.record(said, closing=CUT, **how)
    assert_is_all(first, whole)


def test_nothing_is_read_again_where_two_archives_have_nothing_in_common(tmp_path: Path) -> None:
    first = captured(tmp_path / "first.db", Life("one").happenings)
    second = captured(tmp_path / "second.db", Life("another").happenings)
    assert merge(first, second).again == 0
    assert merge(first, second).again == 0


def test_what_is_in_common_is_read_again_only_when_something_new_tells_of_it(tmp_path: Path) -> None:
    first, second, _ = halves(tmp_path, "again", 20)
    assert merge(first, second).again > 0
    assert merge(first, second).again == 0

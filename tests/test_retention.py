"""What a person asks to be deleted goes whole, and nothing else goes."""

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from addon.archive import media_folder
from addon.errors import ArchiveError
from addon.records import AssetFile, Run
from addon.upkeep.retention import prune, vacuum
from tests.conftest import ROOT
from tests.recording import FINISHED, STARTED, TABLES, Archive, archive_at, message, request, shown, v1

DAY = 86_400_000_000
IMAGE = {"content_type": "image_asset_pointer", "asset_pointer": "sediment://file_{}", "metadata": {"generation": {}}}


def talk(archive: Archive, name: str, days: int) -> None:
    """A conversation with an answer, a source and an image of its own, so many days after the first."""
    at = STARTED + days * DAY
    part = IMAGE | {"asset_pointer": f"sediment://file_{name}"}
    made = message(
        f"I-{name}",
        author={"role": "tool", "name": "image_gen"},
        content={"content_type": "multimodal_text", "parts": [part]},
        status=FINISHED,
        metadata={"content_references": [{"type": "webpage", "url": f"https://example.org/{name}"}]},
    )
    said = message(f"A-{name}", f"an answer about {name}", status=FINISHED)
    body = v1(shown(said, 0, name), shown(made, 1, name), {"type": "toast"}, {"type": "message_stream_complete"})
    archive.record(body, request(f"U-{name}"), stream_id=name, started_at=at, clock=lambda offset: at + offset)
    digest = name.encode().hex().ljust(64, "0")
    path = f"{digest[:2]}/{digest}.png"
    file = media_folder(archive.path) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"an image")
    archive.store.write(
        [
            AssetFile(
                asset_id=f"file_{name}", sha256=digest, path=path, size_bytes=8, mime_type="image/png", width=1,
                height=1, address=f"https://chatgpt.com/{name}", derived=False, at=at, stream_id=name,
            )
        ]
    )  # fmt: skip


def files(archive: Archive) -> int:
    return len([path for path in media_folder(archive.path).rglob("*") if path.is_file()])


def counts(archive: Archive) -> dict[str, int]:
    return {table: archive.count(table) for table in TABLES}


def test_an_old_conversation_goes_with_all_that_belongs_to_it_and_a_young_one_stays_whole(tmp_path: Path) -> None:
    with archive_at(tmp_path / "young.db") as expected:
        talk(expected, "young", 100)
        only_young, young_files = counts(expected), files(expected)
    with archive_at(tmp_path / "chatgpt.db") as archive:
        talk(archive, "old", 0)
        talk(archive, "young", 100)
        both = counts(archive)
        cutoff = STARTED + 50 * DAY
        planned = prune(archive.path, cutoff, dry_run=True)
        assert (counts(archive), files(archive)) == (both, 2 * young_files)
        done = prune(archive.path, cutoff)
        assert done == planned
        assert (counts(archive), files(archive)) == (only_young, young_files)
        assert done.rows == {table: n - only_young[table] for table, n in both.items() if n > only_young[table]}
        assert archive.rows("SELECT text FROM messages_fts WHERE messages_fts MATCH 'old'") == []
        assert prune(archive.path, cutoff).rows == {}


def test_what_a_young_conversation_also_mentions_stays(archive: Archive) -> None:
    talk(archive, "old", 0)
    part = IMAGE | {"asset_pointer": "sediment://file_old"}
    asks = message("Q", author={"role": "user"}, content={"content_type": "multimodal_text", "parts": ["again?", part]})
    later = STARTED + 100 * DAY
    archive.record(
        v1(shown(asks, 0, "young")), stream_id="later", started_at=later, clock=lambda offset: later + offset
    )
    prune(archive.path, STARTED + 50 * DAY)
    assert archive.rows("SELECT id FROM conversations") == [{"id": "young"}]
    assert archive.rows("SELECT id FROM assets") == [{"id": "file_old"}]
    assert archive.rows("SELECT stream_id FROM stream_bodies") == [{"stream_id": "later"}]
    assert (files(archive), archive.count("files")) == (1, 1)


def test_a_conversation_that_was_seen_again_is_not_old(archive: Archive) -> None:
    talk(archive, "talk", 0)
    later = STARTED + 100 * DAY
    archive.record(
        v1(shown(message("B", "more", status=FINISHED), 0, "talk")),
        stream_id="later", started_at=later, clock=lambda offset: later + offset,
    )  # fmt: skip
    before = counts(archive)
    assert prune(archive.path, STARTED + 50 * DAY).rows == {}
    assert counts(archive) == before


def test_raw_bodies_alone_can_go(archive: Archive) -> None:
    talk(archive, "old", 0)
    talk(archive, "young", 100)
    before = counts(archive)
    done = prune(archive.path, STARTED + 50 * DAY, raw_only=True)
    assert (done.rows, done.files) == ({"stream_bodies": 1, "request_bodies": 1}, 0)
    assert counts(archive) == before | {"stream_bodies": 1, "request_bodies": 1}
    assert archive.rows("SELECT stream_id FROM stream_bodies") == [{"stream_id": "young"}]


def test_a_stream_that_is_still_open_keeps_its_body(archive: Archive) -> None:
    archive.record(v1(shown(message("A", "growing"))), request("U"), closing=None)
    assert prune(archive.path, STARTED + 50 * DAY, raw_only=True).rows == {}


def test_a_file_named_outside_of_the_media_folder_stays(archive: Archive, tmp_path: Path) -> None:
    talk(archive, "old", 0)
    (tmp_path / "mine.txt").write_text("mine")
    with contextlib.closing(sqlite3.connect(archive.path, isolation_level=None)) as db:
        db.execute("UPDATE files SET path = '../mine.txt', thumbnail_path = ?", (str(tmp_path / "mine.txt"),))
    assert prune(archive.path, STARTED + 50 * DAY).files == 0
    assert (tmp_path / "mine.txt").exists()


def test_vacuum_gives_the_space_back_and_what_was_deleted_is_in_no_file(archive: Archive) -> None:
    secret = "unforgettable" * 2000
    archive.record(v1(shown(message("A", secret, status=FINISHED), 0, "old")))
    archive.store.write([Run("1-a", STARTED)])
    prune(archive.path, STARTED + 50 * DAY)
    before, after = vacuum(archive.path)
    assert after < before
    for path in archive.path.parent.glob("chatgpt.db*"):
        if path.is_file():
            assert b"unforgettable" not in path.read_bytes()
    assert archive.count("runs") == 1


@pytest.mark.parametrize("work", [vacuum, lambda path: prune(path, STARTED)])
def test_what_is_no_archive_is_not_made_one(tmp_path: Path, work: Callable[[Path], object]) -> None:
    with pytest.raises(ArchiveError, match="is not there"):
        work(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


def run(*arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "analysis", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT, input=said)


def test_the_command_asks_before_it_deletes(archive: Archive) -> None:
    talk(archive, "old", 0)
    talk(archive, "young", 100)
    database = ["--db", str(archive.path)]
    with contextlib.closing(sqlite3.connect(archive.path, isolation_level=None)) as db:
        db.execute("UPDATE conversations SET last_seen_at = '2099-01-01T00:00:00.000000Z' WHERE id = 'young'")
        db.execute("UPDATE conversations SET last_seen_at = '2020-01-01T00:00:00.000000Z' WHERE id = 'old'")
        db.execute("UPDATE streams SET started_at = '2020-01-01T00:00:00.000000Z' WHERE id = 'old'")
    no = run("prune", "--older-than", "90d", *database, said="n\n")
    assert "conversations         1" in no.stdout
    assert archive.count("conversations") == 2
    assert run("prune", "--older-than", "90d", "--dry-run", *database).returncode == 0
    assert archive.count("conversations") == 2
    yes = run("prune", "--older-than", "90d", "--yes", *database)
    assert (yes.returncode, yes.stdout.splitlines()[-1]) == (0, "Deleted.")
    assert archive.rows("SELECT id FROM conversations") == [{"id": "young"}]
    assert "now" in run("vacuum", *database).stdout
    assert run("prune", "--older-than", "soon", *database).returncode == 2
    assert run("audit", *database).stdout == "Nothing found.\n"


@pytest.mark.parametrize("kind", ["missing", "empty", "another program"])
def test_nothing_is_said_of_what_is_no_archive(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "chatgpt.db"
    if kind == "empty":
        path.touch()
    elif kind == "another program":
        with contextlib.closing(sqlite3.connect(path)) as db, db:
            db.execute("CREATE TABLE t (a)")
    done = run("audit", "--db", str(path))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)

"""A database that is damaged, or gone: it is set aside, said loudly, and capture goes on in a new one."""

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from addon.errors import DamagedArchive
from addon.records import Run
from addon.store.safekeeping import set_aside
from addon.store.store import Store
from scripts import loopback, scenes
from tests.conftest import Capturing, capture
from tests.recording import Archive, archive_at, envelope, message, v0

PAGE = 4096


def no_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(PAGE))


def no_pages(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(PAGE)
        file.write(os.urandom(path.stat().st_size - PAGE))


def half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def stub(path: Path) -> None:
    os.truncate(path, 50)


DAMAGES = [no_header, no_pages, half, stub]


def answered(running: Capturing, prompt: str) -> None:
    scene = scenes.plain_answer(prompt, f"An answer to {prompt}.", seed=prompt)
    running.answers[prompt] = loopback.answer(scene.events)
    assert running.ask(prompt).body == scene.body


def texts(running: Capturing) -> list[str]:
    return [row["text"] for row in running.rows("SELECT text FROM messages WHERE role = 'assistant' ORDER BY n")]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_database_is_set_aside_and_capture_goes_on(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    with capture(tmp_path) as running:
        answered(running, "before")
        running.wait("SELECT 1 FROM streams WHERE state = 'complete'")
        assert running.proxy.stop() == 0
    damage(running.database)
    damaged = running.database.read_bytes()
    with capture(tmp_path) as again:
        answered(again, "after")
        again.wait("SELECT 1 FROM streams WHERE state = 'complete'")
        assert texts(again) == ["An answer to after."]
        (aside,) = tmp_path.glob("chatgpt.db.damaged-*Z")
        assert aside.read_bytes() == damaged
        said = again.proxy.wait_for_log("it is kept as", 5)
        assert aside.name in said
        assert "capture goes on in a new one" in said


@pytest.mark.parametrize("what", ["deleted", "moved", "damaged"])
def test_a_database_that_goes_away_in_mid_stream_is_made_anew_with_all_of_the_stream(tmp_path: Path, what: str) -> None:
    scene = scenes.plain_answer("slow", scenes.prose(100, "5"), seed="slow")
    with capture(tmp_path) as running:
        running.answers["slow"] = loopback.answer(scene.events, delay=0.02)

        def spoil() -> None:
            running.wait("SELECT 1 FROM messages WHERE status = 'in_progress' AND length(text) > 40")
            if what == "deleted":
                for path in tmp_path.glob("chatgpt.db*"):
                    if path.is_file():
                        path.unlink()
            elif what == "moved":
                running.database.rename(tmp_path / "moved.db")
            else:
                with closing(sqlite3.connect(running.database, isolation_level=None)) as db:
                    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                    db.execute("PRAGMA user_version = 1")  # makes the recorder read its pages again
                    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                no_pages(running.database)

        thread = threading.Thread(target=spoil)
        thread.start()
        assert running.ask("slow").body == scene.body
        thread.join()
        running.wait("SELECT 1 FROM streams WHERE state = 'complete'")
        assert running.rows("SELECT text FROM messages WHERE id = ?", scene.answer_id) == [{"text": scene.text}]
        assert running.proxy.stop() == 0
        assert "capture goes on in a new one" in running.log
        assert running.log.count("capturing chatgpt.com into") == 1


def test_a_sound_archive_is_never_set_aside(archive: Archive) -> None:
    archive.record(v0(envelope(message("A", "one"))))
    assert set_aside(archive.path) is None
    with closing(sqlite3.connect(archive.path, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        assert set_aside(archive.path) is None
        db.execute("ROLLBACK")


def test_of_two_that_meet_the_same_damage_one_sets_it_aside(tmp_path: Path) -> None:
    path = tmp_path / "chatgpt.db"
    with archive_at(path) as archive:
        archive.record(v0(envelope(message("A", "one"))))
    no_pages(path)
    aside = set_aside(path)
    assert aside is not None
    assert (aside.exists(), path.exists()) == (True, False)
    assert set_aside(path) is None
    Store.open(path).close()
    assert set_aside(path) is None


def test_the_log_of_a_damaged_archive_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "chatgpt.db"
    store = Store.open(path)
    store.write([Run("1-a", 1)])
    names = {name.name.removeprefix("chatgpt.db") for name in tmp_path.iterdir() if name.is_file()}
    assert names == {"", "-wal", "-shm"}
    no_header(path)
    (tmp_path / "chatgpt.db-wal").write_bytes(b"")
    aside = set_aside(path)
    assert aside is not None
    names = {name.name.removeprefix(aside.name) for name in tmp_path.iterdir() if name.is_file()}
    assert names == {"", "-wal", "-shm"}
    with pytest.raises(DamagedArchive, match="moved or deleted"):
        store.write([])
    store.close()

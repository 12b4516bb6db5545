"""`chatgpt-capture merge`: what two archives hold, joined, is what capturing both into one would have given."""

import contextlib
import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addon.archive import VERSION, media_folder
from addon.records import Thumbnail
from addon.store.archive_writer import ArchiveWriter
from addon.upkeep.merging import Merged, Merging
from scripts.made_up_export import Size, write
from scripts.scenes import image_answer, plain_answer, search_answer, subscribe, topic_items, topic_of
from tests.receiving import FILES, download, kept, mention, png, receive
from tests.recording import FINISHED, STARTED, Archive, Row, archive_at, envelope, message, request, shown, v0, v1
from tests.sockets import Line, texts_of
from tests.test_documents import mapped, node
from tests.test_migrations import opened_at
from tests.test_same_tree import histories, read

PICTURE = png(30, 20)
DIGEST = hashlib.sha256(PICTURE).hexdigest()
HOUR = 3_600_000_000
AT = "2026-11-01T12:00:00.000000Z"


def merge(database: Path, *others: Path) -> list[Merged]:
    writer = ArchiveWriter(database, lambda reason: None)
    merging = Merging(database, writer, lambda done, total: None)
    merged = [merging.merge(other) for other in others]
    writer.close()
    assert [(each.unreadable, each.refused) for each in merged] == [(0, None)] * len(merged)
    return merged


def everything(archive: Archive) -> dict[str, list[Row]]:
    """All rows of all tables, without the numbers that order them; the search indexes are checked by `check`."""
    tables = archive.dump()
    names = {row["n"]: (row["conversation_id"], row["id"]) for row in tables["messages"]}
    for rows in tables.values():
        for row in rows:
            row.pop("n", None)
            if "message_n" in row:
                row["message_n"] = names[row["message_n"]]
    for row in tables["message_versions"]:
        # What came out of the order of its times replaced others when it came.
        del row["replaced_at"]
    for row in tables["image_generations"]:
        del row["id"]
    for row in tables["conversations"]:
        for name in ("told_at", "metadata"):
            row[name] = json.loads(row[name]) if row[name] else None
    return {table: sorted(rows, key=str) for table, rows in tables.items()}


def finish(archive: Archive) -> None:
    """End what a test has left streaming: an exchange that is still open is a case of its own."""
    with contextlib.closing(sqlite3.connect(archive.path)) as db, db:
        db.execute("UPDATE streams SET state = 'complete' WHERE state = 'streaming'")


type Happening = Callable[[Archive], object]


def assert_merging_is_capturing_both(
    folder: Path, first: Sequence[Happening], second: Sequence[Happening], together: Sequence[Happening] = ()
) -> None:
    """`together` is what happened in the order of its times, where that is not the first and then the second."""
    for name in ("first", "second", "both"):
        for path in folder.glob(f"{name}.db*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, happenings in {"first": first, "second": second, "both": together or [*first, *second]}.items():
        with archive_at(folder / f"{name}.db") as archive:
            for happens in happenings:
                happens(archive)
            finish(archive)
    merge(folder / "first.db", folder / "second.db")
    with archive_at(folder / "first.db") as joined, archive_at(folder / "both.db") as both:
        once = everything(joined)
        captured = everything(both)
        for table, rows in captured.items():
            assert once[table] == rows, table
        assert kept(joined) == kept(both)
    merge(folder / "first.db", folder / "second.db")
    with archive_at(folder / "first.db") as joined:
        assert everything(joined) == once


def turn(seed: str, **known: Any) -> Happening:
    scene = plain_answer(f"Why {seed}?", f"Because of {seed}.", seed=seed)
    return lambda archive: archive.record(scene.body, request(f"prompt-{seed}"), stream_id=f"turn {seed}", **known)


def drawn(seed: str) -> Happening:
    scene = image_answer("Draw", f"A {seed}", "Here it is.", seed=seed)
    return lambda archive: archive.record(scene.body, request(f"prompt-{seed}"), stream_id=f"drawn {seed}")


def loaded(hour: int, text: str = "Twice a day.", **fields: Any) -> Happening:
    answer = node("A", "U", status=FINISHED, content={"content_type": "text", "parts": [text]})
    document = mapped(answer, node("U", "root"), current_node="A", **fields)
    about = {"conversation_id": "talk"}
    return lambda archive: archive.load("conversation", document, at=STARTED + hour * HOUR, parameters=about)


def answered(hour: int, text: str, *, title: str = "", **fields: Any) -> Happening:
    said = message("A", text, metadata={"parent_id": "U"}, **{"status": FINISHED} | fields)
    titled = {"type": "title_generation", "title": title, "conversation_id": "talk"}
    body = v1(shown(said), *([titled] if title else []))
    at = STARTED + hour * HOUR
    return lambda archive: archive.record(body, stream_id=f"answer {hour}", started_at=at, clock=lambda _: at)


def with_file(archive: Archive) -> None:
    mention(archive, size_bytes=len(PICTURE), width=30, height=20)
    download(archive, {"status": "success", "download_url": f"https://{FILES}/secret?sig=x", "file_name": "tide.png"})
    receive(archive, PICTURE, identity=None, host=FILES, path="/secret", stream_id="bytes")


def refused(archive: Archive) -> None:
    download(archive, {"status": "error", "error_code": "file_not_found"}, file_id="file_2", stream_id="refused")


def listed(archive: Archive) -> None:
    image = {
        "id": "s_1", "generation_id": "g9", "kind": "image", "asset_pointer": "sediment://file_9", "title": "A tide",
        "width": 30, "height": 20, "prompt": "tides", "conversation_id": "talk", "message_id": "Z",
        "created_at": 1_790_000_000.5,
    }  # fmt: skip
    archive.load("images", {"items": [image], "cursor": None}, kind="list", at=STARTED + 5)


def canvas(archive: Archive) -> None:
    document = {"id": "doc", "version": 3, "title": "Tides", "textdoc_type": "document", "content": "The sea."}
    archive.load("textdocs", [document], parameters={"conversation_id": "talk"}, at=STARTED + 7)


def cited(archive: Archive) -> None:
    scene = search_answer("Why?", "The Moon [1].", seed="cited")
    archive.record(scene.body, request("prompt-cited"), stream_id="cited")


def delivered(archive: Archive) -> None:
    """An answer over the WebSocket."""
    scene = search_answer("Whence?", "The sea [1].", seed="topic")
    page = Line(archive).page()
    page.says(subscribe(topic_of(scene)))
    page.hears(*texts_of(topic_items(scene)))
    page.end()


def branched(archive: Archive) -> None:
    """Asked again, and another prompt in the place of the first."""
    said = [
        message("U", author={"role": "user"}, status=FINISHED, metadata={"parent_id": "root"}),
        message("V", "Why, really?", author={"role": "user"}, status=FINISHED, metadata={"parent_id": "root"}),
        message("B", "The Moon.", status=FINISHED, metadata={"parent_id": "U"}),
        message("C", "The Sun.", status=FINISHED, metadata={"parent_id": "V"}),
    ]
    archive.record(v1(*(shown(each, number) for number, each in enumerate(said))), stream_id="branched")


ALL: dict[str, Happening] = {
    "answered": answered(0, "Twice", status="in_progress", title="First"),
    "turn one": turn("one"),
    "turn two": turn("two"),
    "drawn": drawn("lighthouse"),
    "file": with_file,
    "refused": refused,
    "listed": listed,
    "canvas": canvas,
    "loaded early": loaded(1, "Once a day?", title="Early", is_starred=True),
    "loaded": loaded(2, title="Late", is_archived=True, create_time=1_790_000_000.25, voice="ember"),
    "answered late": answered(3, "Twice a day.", title="Last"),
}
"""In the order of their times."""


@pytest.mark.parametrize("seed", range(12))
def test_merging_two_archives_is_capturing_both_into_one(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    sides: tuple[list[Happening], list[Happening]] = ([], [])
    for happens in ALL.values():
        chance.choice(sides).append(happens)
    assert_merging_is_capturing_both(tmp_path, *sides, list(ALL.values()))


@pytest.mark.parametrize("seed", range(8))
def test_whoever_is_merged_into_whom_it_is_what_capturing_both_gives(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    scenes = [cited, delivered, branched, turn("one"), turn("two"), drawn("lighthouse"), drawn("cat"),
              with_file, refused, listed, canvas, loaded(2, title="Late", is_archived=True)]  # fmt: skip
    chance.shuffle(scenes)
    # Some of it both have seen.
    first, second = scenes[: chance.randint(4, 8)], scenes[chance.randint(2, 6) :]
    assert_merging_is_capturing_both(tmp_path, first, second)
    assert_merging_is_capturing_both(tmp_path, second, first)


def test_what_both_have_seen_is_there_once(tmp_path: Path) -> None:
    happenings = list(ALL.values())
    assert_merging_is_capturing_both(tmp_path, happenings, happenings, happenings)


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories(), st.integers(0, 15))
def test_one_message_seen_from_two_places_is_merged_as_it_would_be_captured(
    tmp_path: Path, history: list[tuple[str, int, str, str]], split: int
) -> None:
    happenings: list[Happening] = [
        lambda archive, observation=observation: read(archive, *observation)  # type: ignore[misc]
        for observation in history
    ]
    first = [happens for number, happens in enumerate(happenings) if not split >> number & 1]
    second = [happens for number, happens in enumerate(happenings) if split >> number & 1]
    assert_merging_is_capturing_both(tmp_path, first, second)


def test_an_exchange_that_is_streaming_is_merged_as_far_as_it_went_and_to_its_end_later(tmp_path: Path) -> None:
    body, sent = v0(envelope(message("A", "Twice a")), done=False), request("U")
    rest = v0(envelope(message("A", "Twice a day.", status=FINISHED)))
    (tmp_path / "second.db-media").mkdir()
    with archive_at(tmp_path / "second.db") as other:
        other.record(body, sent, look=lambda: True, closing=None)
        assert other.message("A")["live"] == 1
        merge(tmp_path / "first.db", other.path)
        with archive_at(tmp_path / "first.db") as archive:
            assert archive.message("A") | {"text": "Twice a", "live": 0, "status": "in_progress"} == archive.message(
                "A"
            )
            assert archive.stream()["error"] == "was still streaming when it was merged"
        other.record(b"", sent, chunks=[body, rest])
        merge(tmp_path / "first.db", other.path)
    with archive_at(tmp_path / "first.db") as archive, archive_at(tmp_path / "second.db") as other:
        assert archive.message("A")["text"] == "Twice a day."
        assert everything(archive) == everything(other)


def test_thumbnails_come_along(tmp_path: Path) -> None:
    with archive_at(tmp_path / "second.db") as other:
        with_file(other)
        folder = media_folder(other.path) / "thumbnails" / DIGEST[:2]
        folder.mkdir(parents=True)
        (folder / f"{DIGEST}.webp").write_bytes(b"RIFF\x04\0\0\0WEBP")
        other.store.write([Thumbnail(DIGEST, f"thumbnails/{DIGEST[:2]}/{DIGEST}.webp")])
    (merged,) = merge(tmp_path / "first.db", tmp_path / "second.db")
    assert (merged.files, merged.copied, merged.missing_files) == (1, 1, 0)
    with archive_at(tmp_path / "first.db") as archive, archive_at(tmp_path / "second.db") as other:
        assert kept(archive) == kept(other)
        assert everything(archive) == everything(other)
    modes = {path.stat().st_mode & 0o777 for path in media_folder(tmp_path / "first.db").rglob("*") if path.is_file()}
    assert modes == {0o600}


@pytest.mark.parametrize("wrong", ["absent", "other bytes", "a link", "a path of its own", "a fifo"])
def test_a_file_that_is_not_what_its_row_says_is_left_out_and_told(tmp_path: Path, wrong: str) -> None:
    with archive_at(tmp_path / "second.db") as other:
        with_file(other)
        path = media_folder(other.path) / DIGEST[:2] / f"{DIGEST}.png"
        secret = tmp_path / "secret"
        secret.write_bytes(PICTURE)
        if wrong == "other bytes":
            path.write_bytes(b"something else")
        elif wrong == "a path of its own":
            with contextlib.closing(sqlite3.connect(other.path)) as db, db:
                db.execute("UPDATE files SET path = '../secret'")
        else:
            path.unlink()
            if wrong == "a link":
                path.symlink_to(secret)
            elif wrong == "a fifo":
                os.mkfifo(path)
    (merged,) = merge(tmp_path / "first.db", tmp_path / "second.db")
    assert (merged.files, merged.copied, merged.missing_files) == (1, 0, 1)
    with archive_at(tmp_path / "first.db") as archive:
        assert kept(archive) == []
        assert [row["asset_id"] for row in archive.rows("SELECT asset_id FROM missing_files")] == ["file_1"]


def test_rows_without_sense_are_left_out_and_counted(tmp_path: Path) -> None:
    with archive_at(tmp_path / "second.db") as other:
        turn("one")(other)
        turn("two")(other)
    with contextlib.closing(sqlite3.connect(tmp_path / "second.db")) as db, db:
        db.execute("UPDATE messages SET last_seen_at = 'never' WHERE text = 'Why two?'")
        db.execute("UPDATE messages SET metadata = '{' WHERE text = 'Because of two.'")
    done = command(tmp_path / "first.db", tmp_path / "second.db")
    assert (done.returncode, done.stderr) == (1, f"{tmp_path / 'second.db'}: 2 rows could not be read\n")
    with archive_at(tmp_path / "first.db") as archive:
        assert [row["answer"] for row in archive.rows("SELECT answer FROM turns ORDER BY stream_id")] == [
            "Because of one.", None,
        ]  # fmt: skip


@pytest.mark.parametrize("table", ["messages", "streams", "asset_urls", "files", "conversations"])
def test_texts_that_are_no_utf_8_are_read_as_far_as_they_are_and_told(tmp_path: Path, table: str) -> None:
    with archive_at(tmp_path / "second.db") as other:
        turn("one")(other)
        with_file(other)
    columns = {
        "messages": "text",
        "streams": "error",
        "asset_urls": "name",
        "files": "mime_type",
        "conversations": "title",
    }
    with contextlib.closing(sqlite3.connect(tmp_path / "second.db")) as db, db:
        db.execute(f"UPDATE {table} SET {columns[table]} = CAST(x'4142ff' AS TEXT)")
    done = command(tmp_path / "first.db", tmp_path / "second.db")
    told = f"{tmp_path / 'second.db'}: texts that are no UTF-8 were read as far as they are\n"
    assert (done.returncode, done.stderr) == (1, told)
    with archive_at(tmp_path / "first.db") as archive:
        assert archive.count("turns") == 2
        assert {row["said"] for row in archive.rows(f"SELECT {columns[table]} AS said FROM {table}")} == {"AB\ufffd"}


def test_two_merges_at_once_are_one_too_many(tmp_path: Path) -> None:
    with archive_at(tmp_path / "second.db") as other:
        turn("one")(other)
    writer = ArchiveWriter(tmp_path / "first.db", lambda reason: None)
    refused: list[str] = []

    def another(done: int, total: int) -> None:
        refused.append(command(tmp_path / "first.db", tmp_path / "second.db").stderr)

    Merging(tmp_path / "first.db", writer, another).merge(tmp_path / "second.db")
    writer.close()
    assert refused == [f"Error: {tmp_path / 'first.db'}: is being merged into already\n"]


# -- the command -------------------------------------------------------------------------------------------------------


def command(database: Path, *others: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-I", "-m", "analysis", "--db", str(database), "merge", *map(str, others)]
    done = subprocess.run(
        line, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment}
    )
    assert "Traceback" not in done.stderr
    return done


def people(folder: Path, *names: str) -> list[Path]:
    """An archive for each, made from exports that have nothing in common."""
    databases = []
    for seed, name in enumerate(names, start=1):
        write(folder / f"{name}.json", Size(3, 30, 4, 2), seed)
        line = [sys.executable, "-m", "analysis", "--db", str(folder / f"{name}.db"), "import"]
        subprocess.run([*line, str(folder / f"{name}.json")], check=True, capture_output=True)
        databases.append(folder / f"{name}.db")
    return databases


def test_the_archives_of_three_people_become_one_in_any_order_and_again(tmp_path: Path) -> None:
    ada, bob, cleo = people(tmp_path, "ada", "bob", "cleo")
    first = command(tmp_path / "all.db", ada, bob, cleo)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.splitlines()[0].startswith(f"{ada}: 3 conversations, ")
    assert command(tmp_path / "other.db", cleo, ada, bob, ada).returncode == 0
    with archive_at(tmp_path / "all.db") as archive, archive_at(tmp_path / "other.db") as other:
        assert archive.count("conversations") == 9
        assert everything(archive) == everything(other)
        once = archive.dump()
    assert command(tmp_path / "all.db", ada, bob, cleo).returncode == 0
    with archive_at(tmp_path / "all.db") as archive:
        assert archive.dump() == once


def test_a_merge_that_is_stopped_anywhere_is_gone_on_with(tmp_path: Path) -> None:
    ada, bob = people(tmp_path, "ada", "bob")
    merge(tmp_path / "whole.db", ada, bob)
    for stop in range(0, 120, 15):
        code = (
            "import addon.store.archive_writer as w, os, signal, sys; w.BATCH_RECORDS = 40; inner = w.ArchiveWriter.add\n"
            f"left = iter(range({stop}))\n"
            "def add(self, records):\n"
            "    if next(left, None) is None: os.kill(os.getpid(), signal.SIGKILL)\n    inner(self, records)\n"
            "w.ArchiveWriter.add = add\n"
            f"sys.argv = ['x', '--db', {str(tmp_path / f'{stop}.db')!r}, 'merge', {str(ada)!r}, {str(bob)!r}]\n"
            "from analysis.cli import main; main()"
        )
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
        merge(tmp_path / f"{stop}.db", ada, bob)
        with archive_at(tmp_path / f"{stop}.db") as archive, archive_at(tmp_path / "whole.db") as whole:
            assert everything(archive) == everything(whole)


@pytest.mark.parametrize("kind", ["missing", "text", "another program", "folder", "itself", "newer", "empty"])
def test_what_is_no_other_archive_is_one_line_and_the_rest_is_merged(tmp_path: Path, kind: str) -> None:
    with archive_at(tmp_path / "second.db") as other:
        turn("one")(other)
    path, first = tmp_path / kind, tmp_path / "first.db"
    with archive_at(first) as archive:
        turn("two")(archive)
    if kind == "folder":
        path.mkdir()
    elif kind == "itself":
        path.symlink_to(first)
    elif kind in ("text", "empty"):
        path.write_bytes(b"" if kind == "empty" else b"some words" * 100)
    elif kind != "missing":
        with contextlib.closing(sqlite3.connect(path)) as db, db:
            db.execute("CREATE TABLE t (a)")
            if kind == "newer":
                db.execute(f"PRAGMA application_id = {int.from_bytes((tmp_path / 'second.db').read_bytes()[68:72])}")
                db.execute("PRAGMA user_version = 99")
    done = command(first, path, tmp_path / "second.db")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"Error: {path}: ")
    with archive_at(first) as archive:
        assert archive.count("turns") == 2


@pytest.mark.parametrize("step", range(1, VERSION))
def test_an_archive_of_an_older_version_is_merged_and_stays_what_it_is(tmp_path: Path, step: int) -> None:
    older = tmp_path / "older.db"
    with contextlib.closing(opened_at(older, step)) as db:
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute(
            "INSERT INTO conversations (id, title, first_seen_at, last_seen_at) VALUES ('c', 'Tides', ?, ?)", [AT] * 2
        )
        said = ["A", "c", "assistant", "text", "Twice a day.", "finished_successfully", 1, AT, AT, "live"]
        names = "id, conversation_id, role, content_type, text, status, visible, first_seen_at, last_seen_at, source"
        db.execute(f"INSERT INTO messages ({names}) VALUES ({', '.join('?' * len(said))})", said)
    known = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    done = command(tmp_path / "mine.db", older)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{older}: 1 conversation, 1 message\n", "")
    with archive_at(tmp_path / "mine.db") as archive:
        assert archive.message("A") | {"text": "Twice a day.", "conversation_id": "c"} == archive.message("A")
        assert archive.row("SELECT title FROM conversations") == {"title": "Tides"}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name in known} == known
    assert [path.name for path in tmp_path.iterdir() if "-merge" in path.name] == []


@pytest.mark.parametrize("kind", ["another program", "text"])
def test_an_archive_that_cannot_be_written_is_one_line(tmp_path: Path, kind: str) -> None:
    with archive_at(tmp_path / "other.db") as other:
        turn("one")(other)
    if kind == "text":
        (tmp_path / "mine.db").write_bytes(b"some words" * 100)
    else:
        with contextlib.closing(sqlite3.connect(tmp_path / "mine.db")) as db, db:
            db.execute("CREATE TABLE t (a)")
    before = (tmp_path / "mine.db").read_bytes()
    done = command(tmp_path / "mine.db", tmp_path / "other.db")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("Error: ")
    assert (tmp_path / "mine.db").read_bytes() == before

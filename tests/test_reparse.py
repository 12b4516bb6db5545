"""Reading everything again: what today's code makes of the raw bodies, and nothing lost of what has none."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from addon.answers.ending import closing_of
from addon.errors import ArchiveError
from addon.exchange import Closing
from addon.importing.export_reading import ExportReading
from addon.upkeep.reparse import ReparseReport, reparse
from scripts import scenes
from tests.conftest import CAPTURES, ROOT, needs_captures
from tests.recording import (
    ENDED,
    FINISHED,
    STARTED,
    TEXT,
    Archive,
    Row,
    archive_at,
    delta,
    envelope,
    message,
    ragged,
    request,
    shown,
    sometimes,
    v0,
    v1,
)
from tests.test_resume import ANSWER, DONE, in_legs, resume, send
from tests.test_same_order import SOURCES


def again(archive: Archive, **how: Any) -> ReparseReport:
    return reparse(archive.path, **how)


def edit(archive: Archive, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(archive.path)) as db, db:
        for statement in statements:
            db.execute(statement)


def held(archive: Archive) -> dict[str, list[str]]:
    """All rows of all tables, in no order."""
    return {table: sorted(map(str, rows)) for table, rows in archive.dump().items()}


def changes(report: ReparseReport) -> dict[str, tuple[int, int, int]]:
    return {table: (found.added, found.changed, found.removed) for table, found in report.tables.items() if found}


def fill(archive: Archive) -> None:
    """Two conversations of each kind of scene, legs, a document, a list, an error, a challenge."""
    for number, (name, make) in enumerate(scenes.SCENES.items()):
        for encoding in ("v1", "v0"):
            scene = make(15, encoding=encoding, seed=f"{name} {encoding}")
            sent = request(scene.user_message_id, scene.texts[scene.user_message_id])
            began = STARTED + number * 60_000_000
            archive.record(
                b"",
                sent,
                chunks=ragged(scene.body, random.Random(name)),
                look=sometimes(random.Random(1)),
                stream_id=f"{name} {encoding}",
                started_at=began,
                clock=lambda place, began=began: began + 1000 * place,  # type: ignore[misc]
            )
    send(archive, ANSWER[:6])
    resume(archive, ANSWER[4:7], 4)
    resume(archive, [*ANSWER[7:], DONE], 7, number=2)
    archive.record(b"", request("U9", conversation_id="refused"), stream_id="403", started_at=STARTED + 80_000_000, status_code=403, streamed=False, content_type="text/html")  # fmt: skip
    archive.record(v1(shown(message("cut", "half")), done=False) + b"event: del", stream_id="torn", started_at=STARTED + 81_000_000, closing=Closing("cut", "by peer"))  # fmt: skip
    archive.record(b'{"detail": "no"}', stream_id="json", started_at=STARTED + 82_000_000, streamed=False, content_type="application/json", status_code=429)  # fmt: skip
    tree = {
        "conversation_id": "talk",
        "title": "Known to the page",
        "create_time": 1_790_000_000.5,
        "current_node": "A",
        "mapping": {
            "U": {"id": "U", "parent": None, "children": ["A"], "message": message("U", "Why?", author={"role": "user"}, status=FINISHED)},
            "A": {"id": "A", "parent": "U", "children": [], "message": message("A", "So it goes on", status=FINISHED)},
            "old": {"id": "old", "parent": "U", "children": [], "message": message("old", "A branch", status=FINISHED)},
        },
    }  # fmt: skip
    archive.load("conversation", tree, at=STARTED + 90_000_000, parameters={"conversation_id": "talk"})
    listed = {
        "items": [
            {"id": "talk", "title": "Listed", "update_time": "2026-11-01T00:00:00Z"},
            {"id": "listed only", "title": "Other"},
        ]
    }
    archive.load("conversations", listed, at=STARTED + 91_000_000, kind="list")


def test_what_was_just_captured_is_what_is_read_again(archive: Archive) -> None:
    fill(archive)
    before = archive.dump()
    report = again(archive)
    assert changes(report) == {}
    assert archive.dump() == before
    assert (report.left_alone, report.changed, report.without_evidence) == (0, False, 1)
    assert report.streams == archive.count("streams") - 1


@pytest.mark.parametrize("name", scenes.SCENES)
@pytest.mark.parametrize("encoding", ["v1", "v0"])
def test_an_answer_in_any_legs_is_read_again_as_it_was(tmp_path: Path, name: str, encoding: scenes.Encoding) -> None:
    scene = scenes.SCENES[name](12, encoding=encoding, seed=name, conversation_id="talk", parent_id="P")
    sent = request(scene.user_message_id, scene.texts[scene.user_message_id], conversation_id="talk")
    events = [piece for piece in scene.events if b"[DONE]" not in piece]
    for seed in range(4):
        with archive_at(tmp_path / f"{seed}.db") as several:
            in_legs(several, events, sent, random.Random(f"{name} {seed}"))
            before = several.dump()
            assert changes(again(several)) == {}
            assert several.dump() == before


@needs_captures
def test_real_captures_are_read_again_as_they_were(archive: Archive) -> None:
    for number, path in enumerate(sorted(CAPTURES.glob("*.sse"))):
        began = STARTED + number * 60_000_000
        archive.record(
            b"",
            chunks=ragged(path.read_bytes(), random.Random(number)),
            stream_id=path.stem,
            started_at=began,
            clock=lambda place, began=began: began + place,  # type: ignore[misc]
        )
    before = archive.dump()
    assert changes(again(archive)) == {}
    assert archive.dump() == before
    edit(archive, "UPDATE messages SET text = 'spoilt', content = NULL")
    assert again(archive).tables["messages"].changed == archive.count("messages") > 20
    assert archive.dump() == before


def test_what_was_spoilt_is_made_again_and_rows_keep_their_numbers(archive: Archive) -> None:
    fill(archive)
    before = held(archive)
    edit(
        archive,
        "UPDATE messages SET text = 'spoilt', status = NULL WHERE n % 3 = 0",
        "DELETE FROM citations",
        "DELETE FROM message_assets WHERE rowid % 2 = 0",
        "UPDATE image_generations SET prompt = 'spoilt', status = 'pending'",
        "UPDATE events SET recognised = 0, type = 'spoilt' WHERE rowid % 2 = 0 AND stream_id <> '403'",
        "DELETE FROM events WHERE rowid % 5 = 0 AND stream_id <> '403'",
        "INSERT INTO events (stream_id, position, type, recognised, data) VALUES ('stream', 999, 'bogus', 0, '{}')",
        "INSERT INTO messages (id, conversation_id, role, stream_id, text) VALUES ('bogus', 'talk', 'user', 'stream', 'x')",
        "INSERT INTO message_versions SELECT n, 0, NULL, 'bogus', 'x', 'x', NULL, NULL FROM messages WHERE id = 'bogus'",
        "UPDATE streams SET state = 'error', error = 'spoilt', event_count = 0, turn_exchange_id = NULL WHERE kind = 'resume'",
        "UPDATE conversations SET title = 'spoilt' WHERE title IS NOT NULL",
    )
    spoilt = held(archive)
    planned = again(archive, dry_run=True)
    assert held(archive) == spoilt
    report = again(archive)
    assert report == planned
    assert held(archive) == before
    found = changes(report)
    assert found["messages"][2] == found["message_versions"][2] == 1
    assert found["messages"][1] >= archive.count("messages") // 3
    assert found["citations"] == (archive.count("citations"), 0, 0)
    assert found["streams"] == (0, 2, 0)
    assert found["events"][2] == 1
    assert changes(again(archive)) == {}


def test_a_message_that_is_gone_is_read_again_as_a_new_row(archive: Archive) -> None:
    send(archive, [*ANSWER, DONE], ENDED)
    last = archive.row("SELECT max(n) AS n FROM messages")["n"]
    edit(archive, "DELETE FROM messages WHERE id = 'U'")
    assert changes(again(archive)) == {"messages": (1, 0, 0)}
    assert archive.message("U")["n"] == last + 1
    assert archive.row("SELECT prompt, answer FROM turns") == {
        "prompt": "Why are there tides?",
        "answer": "So it goes on",
    }


def test_what_has_no_evidence_stays(archive: Archive) -> None:
    send(archive, [*ANSWER[:5]], keep_raw=False)
    part = {
        "content_type": "image_asset_pointer",
        "asset_pointer": "sediment://file_1",
        "metadata": {"generation": {"gen_id": "g"}},
    }
    image = message(
        "I",
        author={"role": "tool", "name": "image_gen"},
        content={"content_type": "multimodal_text", "parts": [part]},
        status=FINISHED,
    )
    archive.record(v0(*[envelope(message("B", text, status=FINISHED), "dropped") for text in ("one", "two")], envelope(image, "dropped")), stream_id="dropped", keep_raw=False)  # fmt: skip
    archive.record(v0(envelope(message("C", "kept", status=FINISHED), "kept")), stream_id="kept")
    archive.record(v0(envelope(message("D", "damaged", status=FINISHED), "damaged")), stream_id="damaged")
    edit(archive, "UPDATE stream_bodies SET body = substr(body, 3) WHERE stream_id = 'damaged'")
    before = archive.dump()
    report = again(archive)
    assert archive.dump() == before
    assert (report.streams, report.without_evidence, changes(report)) == (1, 3, {})


def test_what_two_exchanges_told_of_which_one_is_gone_keeps_what_only_that_one_knew(archive: Archive) -> None:
    first = v1(shown(message("A", "So", metadata={"model_slug": "gpt-x"})), delta(TEXT, "append", " it"), done=False)
    archive.record(first, request("U"), stream_id="gone", closing=Closing("cut"), keep_raw=False)
    began = STARTED + 9_000_000
    whole = v0(envelope(message("A", "So it goes", status=FINISHED)))
    archive.record(whole, stream_id="there", started_at=began, clock=lambda place: began + place)
    before = archive.dump()
    assert archive.message("A")["stream_id"] == "there"
    edit(archive, "UPDATE messages SET text = 'spoilt' WHERE id = 'A'")
    assert changes(again(archive)) == {"messages": (0, 1, 0)}
    assert archive.dump() == before


def test_what_somebody_without_evidence_told_later_stays(archive: Archive) -> None:
    archive.record(v1(shown(message("A", "Half")), done=False), stream_id="there", closing=Closing("cut"))
    node = {"id": "A", "parent": "R", "message": message("A", "Half and half", status=FINISHED)}
    document = {"conversation_id": "talk", "current_node": "A", "mapping": {"A": node}}
    about = {"conversation_id": "talk"}
    archive.load("conversation", document, at=STARTED + 9_000_000, parameters=about, keep_raw=False)
    before = archive.dump()
    assert (archive.message("A")["text"], archive.message("A")["stream_id"]) == ("Half and half", "there")
    assert changes(again(archive)) == {}
    assert archive.dump() == before


def test_what_a_list_without_evidence_told_later_stays(archive: Archive) -> None:
    node = {"id": "A", "parent": "R", "message": message("A", "Half", status=FINISHED)}
    document = {"conversation_id": "talk", "title": "Early", "current_node": "A", "mapping": {"A": node}}
    archive.load("conversation", document, at=STARTED, parameters={"conversation_id": "talk"})
    listed = {"items": [{"id": "talk", "title": "Late"}]}
    archive.load("conversations", listed, kind="list", at=STARTED + 9_000_000, keep_raw=False)
    before = archive.dump()
    assert changes(again(archive)) == {}
    assert archive.dump() == before
    edit(archive, "UPDATE conversations SET current_node = 'spoilt'")
    again(archive)
    assert archive.dump() == before


def test_a_document_that_could_not_be_decoded_is_no_evidence(archive: Archive) -> None:
    archive.load("conversation", b"junk", content_encoding="gzip", parameters={"conversation_id": "talk"})
    before = archive.dump()
    assert (again(archive).without_evidence, archive.dump()) == (1, before)


def test_a_body_that_is_kept_with_another_stream_is_found_there(archive: Archive) -> None:
    document = {
        "conversation_id": "talk",
        "mapping": {"A": {"id": "A", "message": message("A", "Hi", status=FINISHED)}},
    }
    archive.load("conversation", document, parameters={"conversation_id": "talk"})
    archive.load(
        "conversation", document, at=STARTED + 5, host="chat.openai.com", parameters={"conversation_id": "talk"}
    )
    assert archive.row("SELECT count(*) AS n FROM stream_bodies WHERE body IS NULL") == {"n": 1}
    before = archive.dump()
    edit(archive, "UPDATE messages SET text = 'spoilt'")
    report = again(archive)
    assert (report.streams, archive.dump() == before) == (2, True)


def exported(archive: Archive, at: int, *said: Row, title: str = "The export's title") -> None:
    """An export of the conversation, in which each of these messages answers the one before."""
    parents = ["R", *(each["id"] for each in said)]
    nodes = {m["id"]: {"id": m["id"], "parent": above, "message": m} for above, m in zip(parents, said, strict=False)}
    document = {"id": "talk", "title": title, "update_time": at / 1e6, "mapping": nodes}
    reading = ExportReading(f"export:{at}", at)
    archive.store.write([*reading.conversation(document, json.dumps(document)), *reading.close()])


PROMPT = message("U", "Why are there tides?", author={"role": "user"}, status=FINISHED)
AFTER = STARTED + 60_000_000


def test_messages_of_which_an_export_told_the_same_are_made_again(archive: Archive) -> None:
    send(archive, [*ANSWER, DONE], ENDED)
    exported(
        archive, AFTER, PROMPT, message("A", "So it goes on", status=FINISHED), message("B", "More", status=FINISHED)
    )
    before = archive.dump()
    assert changes(again(archive)) == {}
    assert archive.dump() == before
    edit(archive, "UPDATE messages SET text = 'spoilt', visible = 0, model_slug = 'spoilt' WHERE id = 'A'")
    report = again(archive)
    assert (report.left_alone, changes(report)["messages"]) == (0, (0, 1, 0))
    assert archive.message("A")["text"] == "So it goes on"
    assert archive.row("SELECT title FROM conversations") == {"title": "The export's title"}
    assert (archive.message("B")["text"], archive.message("B")["source"]) == ("More", "export")


def test_what_an_export_told_otherwise_counts_as_it_did(archive: Archive) -> None:
    """What it said later stands, read with today's code; what it said earlier stands behind what streamed."""
    send(archive, [*ANSWER, DONE], ENDED)
    exported(archive, AFTER, PROMPT, message("A", "Edited", status=FINISHED))
    exported(archive, STARTED - 60_000_000, PROMPT, message("A", "Before", status="in_progress"), title="Early")
    before = archive.dump()
    assert archive.message("A")["text"] == "Edited"
    assert changes(again(archive)) == {}
    edit(archive, "UPDATE messages SET text = 'spoilt', content_type = 'spoilt' WHERE id IN ('A', 'U')")
    again(archive)
    assert archive.dump() == before


def test_what_streamed_after_an_export_is_made_again(archive: Archive) -> None:
    exported(archive, STARTED - 60_000_000, PROMPT, message("A", "So it", status="in_progress"))
    send(archive, [*ANSWER, DONE], ENDED)
    before = archive.dump()
    assert changes(again(archive)) == {}
    edit(archive, "UPDATE messages SET text = 'spoilt', content = '{}' WHERE id = 'A'")
    again(archive)
    assert archive.dump() == before


@pytest.mark.parametrize("seed", range(15))
def test_reading_again_changes_nothing_whatever_told_of_a_conversation(archive: Archive, seed: int) -> None:
    chance = random.Random(seed)
    for happens in chance.sample(SOURCES, chance.randint(3, len(SOURCES))):
        happens(archive)
    before = archive.dump()
    report = again(archive)
    assert (changes(report), report.left_alone) == ({}, 0)
    assert archive.dump() == before


# Beside a recorder


def test_a_conversation_that_is_being_captured_is_left_alone(archive: Archive) -> None:
    send(archive, [*ANSWER, DONE], ENDED)
    archive.record(v0(envelope(message("C", "kept", status=FINISHED), "other")), stream_id="other")
    archive.record(v1(shown(message("N", "new")), done=False), stream_id="open", closing=None, look=lambda: True)
    edit(archive, "UPDATE messages SET text = 'spoilt' WHERE id IN ('A', 'C')")
    report = again(archive)
    assert (report.left_alone, changes(report)) == (1, {"messages": (0, 1, 0)})
    assert (archive.message("A")["text"], archive.message("C")["text"]) == ("spoilt", "kept")


def test_what_is_written_while_it_reads_is_left_alone_and_nothing_of_it_is_lost(archive: Archive) -> None:
    send(archive, [*ANSWER, DONE], ENDED)
    archive.record(v0(envelope(message("C", "kept", status=FINISHED), "other")), stream_id="other")
    edit(archive, "UPDATE messages SET text = 'spoilt' WHERE id IN ('A', 'C')")

    def meanwhile(done: int, total: int) -> None:
        if done == 0:
            later = STARTED + 60_000_000
            archive.record(v0(envelope(message("N", "new", status=FINISHED))), stream_id="new", started_at=later)

    report = again(archive, progress=meanwhile)
    assert (report.left_alone, archive.message("C")["text"]) == (1, "kept")
    assert (archive.message("A")["text"], archive.message("N")["text"]) == ("spoilt", "new")
    assert again(archive).left_alone == 0
    assert (archive.message("A")["text"], archive.message("N")["text"]) == ("So it goes on", "new")


def test_a_recorder_that_holds_the_lock_is_waited_for(archive: Archive) -> None:
    send(archive, [*ANSWER, DONE], ENDED)
    edit(archive, "UPDATE messages SET text = 'spoilt'")
    holder = sqlite3.connect(archive.path, isolation_level=None, check_same_thread=False)

    def hold(done: int, total: int) -> None:
        if done == total and not holder.in_transaction:
            holder.execute("BEGIN IMMEDIATE")
            threading.Timer(0.3, holder.execute, ["COMMIT"]).start()

    report = again(archive, progress=hold)
    holder.close()
    assert report.tables["messages"].changed == 2


def test_two_at_once_are_one_too_many(archive: Archive) -> None:
    send(archive, [*ANSWER, DONE], ENDED)
    refused: list[str] = []

    def another(done: int, total: int) -> None:
        with pytest.raises(ArchiveError) as error:
            reparse(archive.path)
        refused.append(str(error.value))

    again(archive, progress=another)
    assert refused[0] == f"{archive.path}: is being read again already"


# Files


def test_what_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="there is no such file"):
        reparse(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


def test_the_scratch_files_are_private_and_gone_afterwards(archive: Archive) -> None:
    send(archive, [*ANSWER, DONE], ENDED)
    folder = archive.path.with_name("chatgpt.db-reparse")
    folder.mkdir(0o700)
    (folder / "left by one that was killed").touch()
    modes: set[str] = set()

    def look(done: int, total: int) -> None:
        modes.update(stat.filemode(path.stat().st_mode) for path in [folder, *folder.rglob("*")])

    before = os.umask(0)
    try:
        again(archive, progress=look)
    finally:
        os.umask(before)
    assert modes == {"drwx------", "-rw-------"}
    assert not folder.exists()


def test_nothing_is_put_beside_what_is_no_archive(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as db:
        db.execute("CREATE TABLE theirs (x)")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ArchiveError, match="is a database of another program"):
        reparse(tmp_path / "other.db")
    assert sorted(tmp_path.iterdir()) == before


def test_a_refusal_leaves_no_scratch_files(archive: Archive) -> None:
    send(archive, [*ANSWER, DONE], ENDED)

    def refuse(done: int, total: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(ArchiveError, match="cannot be read again"):
        again(archive, progress=refuse)
    assert not archive.path.with_name("chatgpt.db-reparse").exists()


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=str,
)
def test_who_ends_it_leaves_no_scratch_files(archive: Archive, number: signal.Signals, code: int) -> None:
    """The real command; while it waits for a lock, it is ended twice."""
    send(archive, [*ANSWER, DONE], ENDED)
    before, folder = archive.dump(), archive.path.with_name("chatgpt.db-reparse")
    command = [sys.executable, "-I", "-m", "analysis", "--db", str(archive.path), "reparse"]
    with contextlib.closing(sqlite3.connect(archive.path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 30
            while not (folder / "rebuilt.db").exists():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            process.send_signal(number)
            process.send_signal(number)
            holder.execute("ROLLBACK")
            _, said = process.communicate(timeout=30)
            # Interrupted while it makes a class, CPython itself ends by the signal.
            assert process.returncode in (code, -number), said
            assert "Traceback" not in said
    assert not folder.exists()
    assert archive.dump() == before


def test_what_a_killed_one_left_is_gone_after_the_next(archive: Archive) -> None:
    send(archive, [*ANSWER, DONE], ENDED)
    folder = archive.path.with_name("chatgpt.db-reparse")
    (folder / "inner").mkdir(0o700, parents=True)
    (folder / "rebuilt.db").touch()
    (folder / "link").symlink_to(archive.path.parent)
    again(archive)
    assert not folder.exists()
    assert archive.path.exists()


def test_a_reader_that_is_killed_leaves_the_archive_as_it_was(archive: Archive) -> None:
    fill(archive)
    edit(archive, "UPDATE messages SET text = 'spoilt'")
    before = archive.dump()
    code = (
        "import os, sys, pathlib; from addon.upkeep.reparse import reparse\n"
        "reparse(pathlib.Path(sys.argv[1]), progress=lambda done, total: done == total // 2 and os._exit(9))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(archive.path)], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 9
    assert archive.dump() == before
    assert again(archive).tables["messages"].changed > 0


def test_progress_is_told_from_nothing_to_all(archive: Archive) -> None:
    fill(archive)
    told: list[tuple[int, int]] = []
    report = again(archive, progress=lambda done, total: told.append((done, total)))
    assert told == [(n, report.streams) for n in range(report.streams + 1)]


@pytest.mark.parametrize(
    "closing",
    [Closing("cut"), Closing("cut", "by peer: 1"), Closing("shutdown"), Closing("lost"), Closing("end"), Closing("unseen"), Closing("bug"), Closing("end", lost_bytes=17)],
    ids=str,
)  # fmt: skip
def test_how_an_exchange_ended_is_told_from_what_is_on_record(archive: Archive, closing: Closing) -> None:
    archive.record(v1(shown(message("A", "half")), done=False), closing=closing)
    row = archive.stream()
    known = closing_of(row["state"], row["error"])
    archive.record(v1(shown(message("A", "half")), done=False), stream_id="like it", closing=known)
    assert [archive.stream("like it")[name] for name in ("state", "error")] == [row["state"], row["error"]]

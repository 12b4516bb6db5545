"""`chatgpt-capture import`, the real command: what files hold is stored, and what cannot be read is said."""

import base64
import contextlib
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from addon.importing.import_files import ImportFile, files_in
from addon.store.store import Store
from analysis.interruption import Interruption
from scripts import loopback, scenes
from scripts.made_up_export import Size, conversations, write
from scripts.scenes import image_answer, plain_answer
from tests.conftest import CAPTURES, capture, needs_captures
from tests.importing import CANARY, SMALL, dump, export, har, report, rows, run, sent

# -- what files hold is stored -----------------------------------------------------------------------------------------


def test_an_export_is_stored_whole_and_again_changes_nothing(tmp_path: Path) -> None:
    database, source = tmp_path / "a.db", tmp_path / "conversations.json"
    write(source, SMALL)
    first = report(database, source)
    assert (first["exit"], first["complete"], first["files"][0]["failures"]) == (0, True, [])
    assert {count["kind"]: (count["held"], count["stored"]) for count in first["fidelity"]} == {
        "conversations": (5, 5), "text": (110, 110), "multimodal_text": (6, 6), "images": (6, 6),
    }  # fmt: skip
    assert rows(database, "SELECT count(*) FROM image_generations WHERE prompt_message_id IS NOT NULL") == [(6,)]
    before = dump(database)
    again = report(database, source)
    assert (again["exit"], again["fidelity"]) == (0, first["fidelity"])
    assert dump(database) == before


_HELD = """
import fcntl, os, sys
try:
    fcntl.lockf(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 128)
except OSError:
    print("held")
"""
"""Whether somebody holds SQLite's lock of a log that is in use (`WALINDEX_LOCK_DMS`, wal.c)."""


def test_a_folder_with_the_archive_in_it_does_not_take_its_locks_away(tmp_path: Path) -> None:
    database = tmp_path / "a.db"
    write(tmp_path / "conversations.json", SMALL)

    def held() -> str:
        command = [sys.executable, "-c", _HELD, str(tmp_path / "a.db-shm")]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    with contextlib.closing(Store.open(database)) as store:
        store.write([])
        assert held() == "held"
        read = list(files_in(tmp_path, database))
        assert held() == "held"
    assert [file.name for file in read if isinstance(file, ImportFile)] == [str(tmp_path / "conversations.json")]
    said = report(database, tmp_path)
    assert (said["exit"], said["complete"]) == (0, True)
    named = run(database, database)
    assert (named.returncode, "is of the archive that is written: not read" in named.stderr) == (1, True)


def test_a_part_that_is_not_understood_and_read_again_leaves_the_file_as_old_as_it_was(tmp_path: Path) -> None:
    message = {"id": "m", "author": {"role": "user"}, "content": {"content_type": "text", "parts": ["x"]}}
    timeless = {"id": "A", "mapping": {"m": {"id": "m", "parent": None, "message": message}}}
    odd = {"id": "B", "update_time": 1.7e9, "mapping": {"a": 5}}
    database, source = tmp_path / "a.db", tmp_path / "c.json"
    source.write_text(json.dumps([timeless, odd]))
    run(database, source)
    first = dump(database)
    run(database, source)
    assert dump(database) == first


def test_a_message_that_is_gone_from_the_archive_is_there_again_after_another_import(tmp_path: Path) -> None:
    database, source = tmp_path / "a.db", tmp_path / "conversations.json"
    write(source, SMALL)
    report(database, source)
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("DELETE FROM message_assets")
        db.execute("DELETE FROM citations")
        db.execute("DELETE FROM messages WHERE n IN (3, 40)")
    again = report(database, source)
    assert {count["kind"]: count["stored"] for count in again["fidelity"]}["text"] == 110


def test_the_tree_and_the_current_branch_are_those_of_the_export(tmp_path: Path) -> None:
    database, source = tmp_path / "a.db", tmp_path / "conversations.json"
    write(source, SMALL)
    run(database, source)
    for conversation in conversations(SMALL):
        branch, key = [], conversation["current_node"]
        while key in conversation["mapping"]:
            branch.append(key)
            key = conversation["mapping"][key]["parent"]
        thread = rows(
            database, f"SELECT id FROM threads WHERE conversation_id = '{conversation['id']}' ORDER BY position"
        )
        assert [identity for (identity,) in thread] == branch[-2::-1]


def test_an_old_export_does_not_overwrite_what_was_captured_later(tmp_path: Path) -> None:
    database = tmp_path / "a.db"
    newer = next(conversations(Size(1, 4, 0, 0)))
    older = json.loads(json.dumps(newer))
    older["update_time"] -= 1000
    older["title"] = "An old title"
    answer = older["current_node"]
    older["mapping"][answer]["message"]["content"]["parts"] = ["What it said before"]
    for name, conversation in (("newer.json", newer), ("older.json", older)):
        (tmp_path / name).write_text(json.dumps([conversation]))
        assert report(database, tmp_path / name)["exit"] == 0
    assert rows(database, "SELECT title FROM conversations") == [(newer["title"],)]
    said = newer["mapping"][answer]["message"]["content"]["parts"][0]
    assert rows(database, f"SELECT text FROM messages WHERE id = '{answer}'") == [(said,)]
    assert rows(database, "SELECT text FROM message_versions") == [("What it said before",)]


def test_zip_folder_shards_and_single_conversations_give_the_same_rows(tmp_path: Path) -> None:
    talks = list(conversations(SMALL))
    shards = {
        "conversations-000.json": json.dumps(talks[:2]),
        "conversations-001.json": json.dumps(talks[2:]),
        "export_manifest.json": '{"files": ["conversations-000.json"]}',
        "user.json": '{"id": "user-1", "email": "canary@example.com"}',
        "chat.html": "<html></html>",
        "file-abc.webp": "RIFF",
    }
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, content in shards.items():
        (folder / name).write_text(content)
    singles = tmp_path / "singles"
    singles.mkdir()
    for talk in talks:
        (singles / talk["id"]).write_text(json.dumps(talk, indent=1))
    ways = {"zip": export(tmp_path, **shards), "folder": folder, "singles": singles}
    found = {}
    for name, path in ways.items():
        database = tmp_path / f"{name}.db"
        assert report(database, path)["exit"] == 0
        found[name] = rows(database, "SELECT id, conversation_id, parent_id, text FROM messages ORDER BY n")
        assert b"canary" not in database.read_bytes()
    assert found["zip"] == found["folder"]
    assert sorted(found["zip"]) == sorted(found["singles"])


def test_the_shape_of_2026_is_read(tmp_path: Path) -> None:
    talk = next(conversations(Size(1, 6, 0, 0)))
    for node in talk["mapping"].values():
        del node["children"]
        if node["message"]:
            node["message"]["metadata"].pop("model_slug", None)
    messages = [node["message"] for node in talk["mapping"].values() if node["message"]]
    listed = {
        "id": "listed",
        "title": "No mapping",
        "messages": [{**message, "id": f"l-{i}", "metadata": {}} for i, message in enumerate(messages)],
    }
    source = tmp_path / "export.json"
    source.write_text(json.dumps([talk, listed]))
    found = report(tmp_path / "a.db", source)
    assert (found["exit"], found["files"][0]["conversations"]) == (0, 2)
    counted = rows(tmp_path / "a.db", "SELECT conversation_id, count(*) FROM threads GROUP BY conversation_id")
    assert sorted(counted) == sorted([(talk["id"], 6), ("listed", 6)])


def test_a_har_gives_what_a_live_capture_would(tmp_path: Path) -> None:
    plain = plain_answer("Tides?", "Two a day, thanks to the Moon. 👍", seed="one")
    image = image_answer("Draw", "A lighthouse", "Here it is.", seed="two")
    source = tmp_path / "recording"
    source.write_text(har(sent("a", plain.body), {"broken": True}, sent("b", image.body), sent("c", None)))
    found = report(tmp_path / "a.db", source)
    (file,) = found["files"]
    assert (found["exit"], found["complete"], file["exchanges"], file["passed_by"]) == (0, True, 3, 1)
    assert file["notes"] == ["entry 3, POST /backend-api/f/conversation: the file holds no body for it"]
    answers = rows(tmp_path / "a.db", "SELECT answer FROM turns WHERE answer IS NOT NULL ORDER BY stream_id")
    assert answers == [("Two a day, thanks to the Moon. 👍",), ("Here it is.",)]
    assert rows(tmp_path / "a.db", "SELECT tool_prompt FROM image_gallery") == [("A lighthouse",)]
    states = rows(tmp_path / "a.db", "SELECT state, error FROM streams ORDER BY id")
    assert states == [("complete", None), ("complete", None), ("interrupted", "the file holds no body")]


def test_an_answer_on_the_websocket_of_a_har_is_stored(tmp_path: Path) -> None:
    scene = plain_answer("Tides?", "Two a day.", seed="socket")
    said = [json.dumps(item) for item in scenes.topic_items(scene)]
    messages = [
        {"type": "receive", "time": 1790000001 + number / 10, "opcode": 1, "data": text}
        for number, text in enumerate(said)
    ]
    socket = {
        "startedDateTime": "2026-09-21T14:13:20.250Z",
        "request": {"method": "GET", "url": f"wss://ws.chatgpt.com/p24/ws/user/u?verify={CANARY}"},
        "response": {"status": 101, "content": {"size": 0, "mimeType": "x-unknown"}},
        "_webSocketMessages": messages,
    }
    (tmp_path / "a.har").write_text(har(socket))
    found = report(tmp_path / "a.db", tmp_path / "a.har")
    assert (found["exit"], found["fidelity"]) == (0, [{"kind": "text", "held": 3, "stored": 3}])
    assert rows(tmp_path / "a.db", "SELECT answer, seconds_to_first_token > 0 FROM turns") == [("Two a day.", 1)]
    before = dump(tmp_path / "a.db")
    assert report(tmp_path / "a.db", tmp_path / "a.har")["exit"] == 0
    assert dump(tmp_path / "a.db") == before
    assert CANARY.encode() not in (tmp_path / "a.db").read_bytes()


def picture(colour: str, more: int = 0) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.new("RGB", (1024, 1536 + more), colour).save(content, "PNG")
    return content.getvalue()


def test_media_of_an_export_become_files_of_their_assets(tmp_path: Path) -> None:
    (talk,) = conversations(Size(1, 6, 0, 2))
    pointers = [
        part["asset_pointer"]
        for node in talk["mapping"].values()
        if node["message"]
        for part in node["message"]["content"]["parts"]
        if isinstance(part, dict)
    ]
    first, second = (pointer.removeprefix("sediment://") for pointer in pointers)
    members: dict[str, Any] = {
        f"dalle-generations/{first}-0b1c.webp": picture("red"),
        "conversations.json": json.dumps([talk]),
        f"{second}-sanitized.png": picture("blue"),
        "file-AbcdefghijklmnopqrstuV-notes.html": "<html>notes</html>",
        "file-AbcdefghijklmnopqrstuW-recording.har": har(sent("a", None)),
        "file-short.png": picture("green"),
        "user.json": "{}",
    }
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    database = tmp_path / "a.db"
    found = report(database, tmp_path / "export.zip")
    assert (found["exit"], found["media_files"], found["other_files"]) == (0, 4, 1)
    assert [name.rpartition("/")[2] for name in found["media_not_stored"]] == ["file-short.png"]
    assert {"kind": "media files", "held": 4, "stored": 4} in found["fidelity"]
    stored = dict(rows(database, "SELECT asset_id, asset_path FROM image_gallery"))
    for identity, colour in ((first, "red"), (second, "blue")):
        assert (tmp_path / "a.db-media" / stored[identity]).read_bytes() == picture(colour)
    assert rows(database, "SELECT count(*), count(thumbnail_path) FROM files") == [(4, 2)]
    assert rows(database, "SELECT count(*) FROM streams WHERE source = 'har'") == [(0,)]
    before = dump(database)
    assert report(database, tmp_path / "export.zip")["exit"] == 0
    assert dump(database) == before


ODD_IDS = ["file-short", "file_0a1b", "file-AbcdefghijklmnopqrstuVwxyz0123456789", "file-a-b_c"]


def drawn(*identities: str) -> dict[str, Any]:
    """A conversation with an image for each of these assets."""
    (talk,) = conversations(Size(1, 2, 0, len(identities)))
    parts = (
        part
        for node in talk["mapping"].values()
        for part in (node["message"] or {"content": {}})["content"].get("parts", ())
    )
    for part, identity in zip((part for part in parts if isinstance(part, dict)), identities, strict=True):
        part["asset_pointer"] = f"file-service://{identity}"
    return talk


@pytest.mark.parametrize("packing", ["zip", "damaged zip", "folder"])
def test_media_are_known_by_the_ids_that_messages_mention_however_long(packing: str, tmp_path: Path) -> None:
    source, database = tmp_path / "export", tmp_path / "a.db"
    named = ["{}.png", "{}-lighthouse.png", "audio/{}-1.2.png", "dalle-generations/{}.webp"]
    members = {
        name.format(identity): picture("red", place)
        for place, (name, identity) in enumerate(zip(named, ODD_IDS, strict=True))
    }
    members["z.json"] = json.dumps([drawn(*ODD_IDS)]).encode()
    if packing == "folder":
        for name, content in members.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(content)
    else:
        with zipfile.ZipFile(source, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    if packing == "damaged zip":
        source.write_bytes(source.read_bytes()[:-30])
    found = report(database, source)
    assert (found["exit"], found["media_files"]) == (int(packing == "damaged zip"), 4)
    assert (found["media_not_mentioned"], found["media_not_stored"]) == ([], [])
    stored = dict(rows(database, "SELECT asset_id, asset_path FROM image_gallery"))
    for place, identity in enumerate(ODD_IDS):
        assert (tmp_path / "a.db-media" / stored[identity]).read_bytes() == picture("red", place)


def test_media_that_no_message_mentions_are_named(tmp_path: Path) -> None:
    unmentioned = "file-AbcdefghijklmnopqrstuV"
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("conversations.json", json.dumps([drawn("file-short")]))
        archive.writestr("file-short.png", picture("red"))
        archive.writestr(f"{unmentioned}-a.png", picture("green"))
        archive.writestr("file-shorter.txt", "of nobody")
        archive.writestr("avatar", picture("blue"))
        archive.writestr("user.json", "{}")
        archive.writestr("chat.html", "<html>")
    done = run(tmp_path / "a.db", tmp_path / "export.zip")
    said = done.stdout.splitlines()
    assert done.returncode == 0
    assert f"2 media files beside them; no message mentions 1 of them: {unmentioned}" in said
    why = "their names tell no file that a message mentions"
    assert (
        f"2 media files not stored; {why}: {tmp_path}/export.zip/avatar, {tmp_path}/export.zip/file-shorter.txt" in said
    )
    assert "2 other files passed by" in said
    assert said[-1] == "Everything but those media files is stored."
    assert report(tmp_path / "a.db", tmp_path / "export.zip")["media_not_mentioned"] == [unmentioned]


def test_the_image_in_a_har_is_stored(tmp_path: Path) -> None:
    identity = "file_" + "0" * 32
    content = {"mimeType": "image/png", "text": base64.b64encode(picture("red")).decode(), "encoding": "base64"}
    url = f"https://chatgpt.com/backend-api/estuary/content?id={identity}&ts=1&sig={CANARY}"
    loaded = {"request": {"method": "GET", "url": url}, "response": {"status": 200, "content": content}}
    (tmp_path / "a.har").write_text(har(loaded))
    assert report(tmp_path / "a.db", tmp_path / "a.har")["exit"] == 0
    ((path, mime_type),) = rows(tmp_path / "a.db", f"SELECT path, mime_type FROM assets WHERE id = '{identity}'")
    assert mime_type == "image/png"
    assert (tmp_path / "a.db-media" / path).read_bytes() == picture("red")
    assert CANARY.encode() not in (tmp_path / "a.db").read_bytes()


def test_an_event_stream_is_told_by_its_content(tmp_path: Path) -> None:
    scene = plain_answer("Tides?", "Two a day.", seed="one")
    source = tmp_path / "body.txt"
    source.write_bytes(scene.body)
    found = report(tmp_path / "a.db", source)
    assert (found["exit"], found["files"][0]["kind"]) == (0, "events")
    assert ("Two a day.",) in rows(tmp_path / "a.db", "SELECT text FROM messages WHERE role = 'assistant'")
    assert rows(tmp_path / "a.db", "SELECT host, path, method FROM streams") == [(None, None, None)]
    before = dump(tmp_path / "a.db")
    os.utime(source, (1, 1))
    assert report(tmp_path / "a.db", source)["exit"] == 0
    assert dump(tmp_path / "a.db") == before


def test_standard_input_is_read(tmp_path: Path) -> None:
    done = run(tmp_path / "a.db", "-", input=json.dumps(list(conversations(SMALL))))
    assert done.returncode == 0
    assert "standard input  export  5 conversations, 116 messages" in done.stdout


def test_sqlites_log_goes_with_the_import(tmp_path: Path) -> None:
    write(tmp_path / "c.json", SMALL)
    for _ in range(2):
        assert run(tmp_path / "a.db", tmp_path / "c.json").returncode == 0
        assert {path.name for path in tmp_path.glob("a.db*")} == {"a.db", "a.db-inflight", "a.db-media"}


def test_an_empty_name_is_not_the_folder_one_is_in(tmp_path: Path) -> None:
    write(tmp_path / "c.json", SMALL)
    done = run(tmp_path / "a.db", tmp_path / "c.json", "", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == 'Error: "" names no file and no folder\n'
    assert not (tmp_path / "a.db").exists()


@needs_captures
@pytest.mark.parametrize("path", sorted(CAPTURES.glob("[!R]*")), ids=lambda path: path.name)
def test_every_real_capture_is_stored_whole(path: Path, tmp_path: Path) -> None:
    found = report(tmp_path / "a.db", path)
    assert (found["exit"], found["complete"], found["files"][0]["failures"]) == (0, True, [])
    assert all(count["held"] == count["stored"] for count in found["fidelity"])
    before = dump(tmp_path / "a.db")
    assert report(tmp_path / "a.db", path)["exit"] == 0
    assert dump(tmp_path / "a.db") == before


# -- what is not, is said ----------------------------------------------------------------------------------------------


def test_what_stands_before_a_cut_is_imported(tmp_path: Path) -> None:
    scene = plain_answer("Tides?", "Two a day.", seed="one")
    whole = har(sent("a", scene.body), sent("b", scene.body), sent("c", scene.body))
    (tmp_path / "cut.har").write_text(whole[: len(whole) - 200])
    found = report(tmp_path / "a.db", tmp_path / "cut.har")
    assert (found["exit"], found["files"][0]["exchanges"]) == (1, 2)
    assert found["files"][0]["failures"] == ["is cut off after 2 entries; so much is imported"]
    assert rows(tmp_path / "a.db", "SELECT count(*) FROM streams WHERE state = 'complete'") == [(2,)]


@pytest.mark.parametrize("behind", ["{}", '[{"id": "lost"}]', "garbage"])
def test_what_goes_on_behind_the_first_value_is_said(tmp_path: Path, behind: str) -> None:
    text = json.dumps(list(conversations(Size(1, 3, 0, 0))))
    (tmp_path / "c.json").write_text(f"{text}\n{behind}\n")
    found = report(tmp_path / "a.db", tmp_path / "c.json")
    assert (found["exit"], found["files"][0]["conversations"]) == (1, 1)
    assert found["files"][0]["failures"] == [f"goes on after its first value, at character {len(text) + 1}: not read"]


def test_one_bad_conversation_does_not_stop_the_others(tmp_path: Path) -> None:
    first, second, third = (json.dumps(talk) for talk in conversations(Size(3, 12, 0, 0)))
    (tmp_path / "c.json").write_text(f"[{first}, {second[:1]} oops {second[1:]}, {third}]")
    found = report(tmp_path / "a.db", tmp_path / "c.json")
    assert (found["exit"], found["files"][0]["conversations"]) == (1, 2)
    assert found["files"][0]["failures"] == [f"element 1 is no JSON (at character {len(first) + 3})"]


def test_odd_trees_and_odd_values_are_kept(tmp_path: Path) -> None:
    def node(key: str, parent: Any, text: Any, **fields: Any) -> dict[str, Any]:
        content = {"content_type": "text", "parts": [text]}
        message = {"id": key, "author": {"role": "user"}, "content": content, "status": "finished_successfully"}
        return {"id": key, "parent": parent, "children": [], "message": message | fields}

    circle = {"a": node("a", "b", "one"), "b": node("b", "a", "two")}
    orphan = {"not-a-uuid": node("not-a-uuid", "nobody", "half an emoji \ud83d", create_time=1e30)}
    nothing = {"x": None, "y": {"id": "y", "message": None}, "z": 7}
    odd = [
        {"id": "circle", "mapping": circle, "update_time": -5},
        {"id": "orphan", "mapping": orphan, "update_time": "never", "current_node": {}},
        {"id": "nothing", "mapping": nothing},
        {"id": "empty", "mapping": {}},
        {"id": "half \udc00", "mapping": {"a key \ud800": node("x", None, "three")}, "title": "\ud83d"},
        {"download_url": "https://files.oaiusercontent.com/file-\ud800?sig=1", "status": "success"},
        {"mapping": circle},
        {"id": 5, "mapping": [1, 2]},
        "a string", 7, None, [],
    ]  # fmt: skip
    (tmp_path / "odd.json").write_text(json.dumps(odd))
    found = report(tmp_path / "a.db", tmp_path / "odd.json")
    assert found["files"][0]["failures"] == [
        "times that are none, or not in the years 1970 to 9999: not stored: 3, first in conversation 0, circle",
        "texts with half of a character, for which U+FFFD is stored: 2, first in conversation 1, orphan, message not-a-uuid",
    ]
    texts = rows(tmp_path / "a.db", "SELECT text FROM messages WHERE conversation_id IS NOT NULL ORDER BY text")
    assert texts == [("half an emoji \ufffd",), ("one",), ("one",), ("three",), ("two",), ("two",)]
    assert all(count["stored"] == count["held"] for count in found["fidelity"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"   \n", "is empty"),
        (b"\x89PNG\r\n\x1a\n", "is neither a HAR, an export, an event stream nor saved flows"),
        (b'{"name": "chatgpt"}', "is JSON, but neither a HAR nor conversations"),
        (b"[1, 2]", "is JSON, but neither a HAR nor conversations"),
        (b"{", "is cut off after 0 conversations; so much is imported"),
        (b'{"a" 1}', "no JSON at character 5; what stands before it is imported"),
    ],
)
def test_another_kind_of_file_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "file").write_bytes(content)
    done = run(tmp_path / "a.db", tmp_path / "file")
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path / 'file'}: {said}\n"
    assert not (tmp_path / "a.db").exists()


def test_what_is_not_there_or_not_readable_is_one_line_and_the_rest_is_imported(tmp_path: Path) -> None:
    write(tmp_path / "good.json", SMALL)
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "text.zip").write_bytes(b"PK\x03\x04 and so on")
    names = ["missing", "empty", "loop", "text.zip", "good.json"]
    done = run(tmp_path / "a.db", *(tmp_path / name for name in names))
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [line.removeprefix(f"{tmp_path}/").split(":")[0] for line in lines] == names[:4]
    assert rows(tmp_path / "a.db", "SELECT count(*) FROM conversations") == [(5,)]


def test_zips_are_not_trusted(tmp_path: Path) -> None:
    outside = tmp_path / "x.json"
    with zipfile.ZipFile(tmp_path / "names.zip", "w") as archive:
        archive.writestr("../../x.json", json.dumps(list(conversations(SMALL))))
        archive.writestr("/etc/\x1b[31mred", "nothing")
    done = run(tmp_path / "a.db", tmp_path / "names.zip")
    assert done.returncode == 0
    assert not outside.exists()
    assert "\x1b" not in done.stdout + done.stderr

    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", b"[" + b" " * (80 * 1024 * 1024) + b"]")
    done = run(tmp_path / "b.db", tmp_path / "bomb.zip")
    assert done.returncode == 1
    assert "unpacks to more than 250 times its size: taken for a zip bomb" in done.stderr

    data = bytearray((tmp_path / "names.zip").read_bytes())
    for mark, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = data.find(mark)
        while at >= 0:
            data[at + flags] |= 1
            at = data.find(mark, at + 4)
    (tmp_path / "encrypted.zip").write_bytes(data)
    done = run(tmp_path / "c.db", tmp_path / "encrypted.zip")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "is encrypted: unpack it with its password" in done.stderr


def test_no_credential_reaches_any_file(tmp_path: Path) -> None:
    scene = plain_answer("Tides?", "Two a day.", seed="one")
    token = b'data: {"type": "resume_conversation_token", "token": "%s", "conversation_id": "c"}\n\n' % CANARY.encode()
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.har").write_text(har(sent("a", token + scene.body)))
    talk = next(conversations(Size(1, 4, 0, 0)))
    for node in talk["mapping"].values():
        if node["message"]:
            node["message"]["metadata"] |= {
                "access_token": CANARY,
                "links": [f"https://files.oaiusercontent.com/f?sig={CANARY}"],
            }
    talk["safe_urls"] = [CANARY]
    (tmp_path / "in/c.json").write_text(json.dumps(talk))
    (tmp_path / "out").mkdir()
    assert report(tmp_path / "out/a.db", tmp_path / "in")["exit"] == 0
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert written
    for path in written:
        assert CANARY.encode() not in path.read_bytes(), path
        assert path.stat().st_mode & 0o077 == 0, path


def test_ctrl_c_leaves_a_sound_archive_and_says_what_was_imported(tmp_path: Path) -> None:
    write(tmp_path / "c.json", Size(conversations=400, on_path=12_000, abandoned=0, images=0))
    database = tmp_path / "a.db"
    command = [sys.executable, "-I", "-m", "analysis", "--db", str(database), "import", str(tmp_path / "c.json")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    count = 0
    while not count and time.monotonic() < deadline:
        time.sleep(0.02)
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db,
        ):
            (count,) = db.execute("SELECT count(*) FROM messages").fetchone()
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "interrupted; what is counted above is stored" in errors
    (stored,) = rows(database, "SELECT count(*) FROM conversations")[0]
    (messages,) = rows(database, "SELECT count(*) FROM messages")[0]
    assert f"  {stored:,} conversations, {messages:,} messages  " in said
    assert rows(database, "SELECT state FROM streams") == [("interrupted",)]


def test_a_database_that_is_none_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "c.json", SMALL)
    (tmp_path / "a.db").write_text("a letter to nobody")
    done = run(tmp_path / "a.db", tmp_path / "c.json")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"Error: {tmp_path / 'a.db'}: is not an SQLite database"]
    assert (tmp_path / "a.db").read_text() == "a letter to nobody"


def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    write(tmp_path / "c.json", SMALL)
    write(tmp_path / "before.json", Size(1, 10, 0, 0))
    assert run(tmp_path / "a.db", tmp_path / "before.json").returncode == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        command = [
            sys.executable,
            "-I",
            "-m",
            "analysis",
            "import",
            "--db",
            str(tmp_path / "a.db"),
            str(tmp_path / "c.json"),
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        assert "waiting for the other program" in process.stderr.readline()
        other.execute("COMMIT")
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_ctrl_c_ends_the_waiting_for_a_locked_database_and_counts_nothing(tmp_path: Path) -> None:
    write(tmp_path / "c.json", SMALL)
    write(tmp_path / "before.json", Size(1, 10, 0, 0))
    assert run(tmp_path / "a.db", tmp_path / "before.json").returncode == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        command = [sys.executable, "-I", "-m", "analysis", "import", "--db", "a.db", "c.json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        assert process.stderr is not None
        assert "waiting for the other program" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines() == ["c.json: interrupted; what is counted above is stored", "Interrupted."]
    assert " conversation" not in said.splitlines()[0]
    assert "of what the files hold is not stored." in said
    assert rows(tmp_path / "a.db", "SELECT count(*) FROM conversations") == [(1,)]


def test_what_is_interrupted_goes_on_to_the_next_check_and_a_second_ctrl_c_ends_it_at_once() -> None:
    interruption = Interruption()
    interruption.__enter__()
    interruption.check()
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        interruption.check()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        interruption.__exit__(None, None, None)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_where_ctrl_c_is_ignored_it_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGINT)
            interruption.check()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def _talk(text: str, status: str | None, updated: int) -> str:
    message = {
        "id": "A",
        "author": {"role": "assistant"},
        "status": status,
        "content": {"content_type": "text", "parts": [text]},
    }
    node: dict[str, Any] = {"id": "A", "parent": None, "children": [], "message": message}
    return json.dumps([{"id": "talk", "title": "Tides", "update_time": updated, "mapping": {"A": node}}])  # fmt: skip


@pytest.mark.parametrize(
    ("text", "status"),
    [("The Moon pulls", "in_progress"), ("The Moon pulls", None), ("", "in_progress"), ("Thinking", "in_progress"), ("The Moon \ufffd", "in_progress"), ("The Moon", "finished_partial_completion")],
)  # fmt: skip
def test_an_export_older_than_the_archive_is_held(tmp_path: Path, text: str, status: str | None) -> None:
    """What it tells of a message that was still growing is in the finished one, or a version of it."""
    database = tmp_path / "a.db"
    (tmp_path / "new.json").write_text(_talk("The Moon pulls the sea.", "finished_successfully", 1_790_000_000))
    (tmp_path / "old.json").write_text(_talk(text, status, 1_780_000_000))
    assert report(database, tmp_path / "new.json")["exit"] == 0
    found = report(database, tmp_path / "old.json")
    assert (found["exit"], found["fidelity"][1]) == (0, {"kind": "text", "held": 1, "stored": 1})
    assert rows(database, "SELECT text, status FROM messages") == [("The Moon pulls the sea.", "finished_successfully")]


@pytest.mark.parametrize("identity", [None, "", 17, ["talk"]], ids=str)
def test_a_conversation_without_an_id_is_kept_under_one_that_stays(tmp_path: Path, identity: Any) -> None:
    database = tmp_path / "a.db"
    (talk,) = json.loads(_talk("The Moon", "finished_successfully", 1_790_000_000))
    without = {**talk, "id": identity, "create_time": 1_780_000_000.5}
    grown = json.loads(json.dumps({**without, "title": "Tides, again", "update_time": 1_790_000_100}))
    more = {"id": "B", "author": {"role": "user"}, "content": {"content_type": "text", "parts": ["Why?"]}}
    grown["mapping"] = {"B": {"id": "B", "parent": "A", "message": more}, **grown["mapping"]}
    other = {**without, "create_time": 1_780_000_001.5, "mapping": {"C": {"message": {**more, "id": "C"}}}}
    for name, documents in {
        "first": [without, other],
        "grown": [other, grown],
        "named": [{**talk, "id": "talk"}],
    }.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(documents))
    found = report(database, tmp_path / "first.json")
    assert (found["exit"], found["fidelity"][0]) == (0, {"kind": "conversations", "held": 2, "stored": 2})
    ids = [note.rpartition(" ")[2] for note in found["files"][0]["notes"][:2]]
    assert found["files"][0]["notes"][1] == f"conversation 1 has no id: it is kept as {ids[1]}"
    kept = rows(database, "SELECT id, title, created_at FROM conversations ORDER BY created_at")
    assert kept == [(ids[0], "Tides", "2026-05-28T20:26:40.500000Z"), (ids[1], "Tides", "2026-05-28T20:26:41.500000Z")]
    assert all(identity.startswith("unnamed-") and identity.isascii() for identity in ids)
    before = dump(database)
    report(database, tmp_path / "first.json")
    assert dump(database) == before
    report(database, tmp_path / "grown.json")
    assert rows(database, "SELECT id, title FROM conversations ORDER BY created_at") == [
        (ids[0], "Tides, again"),
        (ids[1], "Tides"),
    ]
    assert rows(database, "SELECT id, conversation_id FROM messages ORDER BY id") == [("A", ids[0]), ("B", ids[0]), ("C", ids[1])]  # fmt: skip
    report(database, tmp_path / "named.json")
    assert len(rows(database, "SELECT 1 FROM conversations")) == 3


def test_what_tells_nothing_by_itself_has_an_id_of_all_that_it_says(tmp_path: Path) -> None:
    first: dict[str, Any] = {"title": "One", "mapping": {}, "update_time": 1_790_000_000}
    second = {**first, "title": "Two"}
    (tmp_path / "c.json").write_text(json.dumps([first, second, first]))
    found = report(tmp_path / "a.db", tmp_path / "c.json")
    assert [len(found["files"][0][key]) for key in ("notes", "failures")] == [3, 0]
    assert rows(tmp_path / "a.db", "SELECT title FROM conversations ORDER BY title") == [("One",), ("Two",)]


def test_a_message_that_grew_otherwise_is_missing(tmp_path: Path) -> None:
    """Only who has a growing text to where it had grown holds it; of a finished one all of it counts."""
    from analysis.fidelity import Fidelity

    (tmp_path / "c.json").write_text(_talk("The Moon pulls the sea.", "finished_successfully", 1_790_000_000))
    report(tmp_path / "a.db", tmp_path / "c.json")
    for text, status, stored in [
        ("The Sun", "in_progress", 0),
        ("The Moon", "in_progress", 1),
        ("The Moon", "stop", 0),
    ]:
        fidelity = Fidelity(tmp_path / "a.db")
        fidelity.conversation(json.loads(_talk(text, status, 1_780_000_000))[0])
        assert [count.stored for count in fidelity.compare()] == [1, stored]


def test_a_second_import_is_compared_with_what_is_stored(tmp_path: Path) -> None:
    """That a conversation was read before says nothing of what has become of its rows."""
    source, database = tmp_path / "c.json", tmp_path / "a.db"
    write(source, Size(2, 20, 0, 1))
    assert run(database, source).returncode == 0
    before = dump(database)

    def change(statement: str) -> None:
        with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as db:
            n = db.execute("SELECT n FROM messages WHERE role = 'user' ORDER BY n LIMIT 1").fetchone()
            db.execute(statement, n)

    change("UPDATE messages SET text = text || '.' WHERE n = ?")
    found = report(database, source)
    assert found["exit"] == 1
    assert {"kind": "text", "held": 20, "stored": 19} in found["fidelity"]
    change("UPDATE messages SET text = rtrim(text, '.') || '.' WHERE n = ?")
    assert report(database, source)["exit"] == 0
    assert dump(database) == before
    change("UPDATE messages SET id = 'gone' WHERE n = ?")
    assert {"kind": "text", "held": 20, "stored": 19} in report(database, source)["fidelity"]
    change("DELETE FROM messages WHERE n = ?")
    found = report(database, source)
    assert (found["exit"], found["fidelity"][1]) == (0, {"kind": "text", "held": 20, "stored": 20})


def test_a_conversation_that_is_read_several_times_counts_once(tmp_path: Path) -> None:
    """As it is known, as it was, as it has grown, in an answer: one conversation, each message of it once."""
    (talk,) = conversations(Size(1, 20, 0, 1))
    less = {**talk, "mapping": dict([*talk["mapping"].items()][:12]), "update_time": talk["update_time"] - 1000}
    shown = next(node["message"] for node in talk["mapping"].values() if node["message"])
    for name, content in {"whole": [talk], "twice": [talk, talk], "less": [less]}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "shown.sse").write_bytes(b"data: %s\n\n" % json.dumps({"message": shown}).encode())
    assert report(tmp_path / "a.db", tmp_path / "whole.json")["exit"] == 0
    expected = report(tmp_path / "a.db", tmp_path / "whole.json")["fidelity"]
    assert expected[0] == {"kind": "conversations", "held": 1, "stored": 1}
    orders = [
        ("twice",),
        ("whole", "less", "whole"),
        ("less", "whole", "whole"),
        ("whole", "shown"),
        ("shown", "whole"),
    ]
    for order in orders:
        found = report(tmp_path / "a.db", *(tmp_path / f"{n}.{'sse' if n == 'shown' else 'json'}" for n in order))
        assert (order, found["fidelity"]) == (order, expected)


def test_what_is_missing_is_counted(tmp_path: Path) -> None:
    """A message that the archive cannot have makes the report say so."""
    from analysis.fidelity import Count, Fidelity

    write(tmp_path / "c.json", Size(1, 10, 0, 1))
    assert run(tmp_path / "a.db", tmp_path / "c.json").returncode == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as db:
        first, second = db.execute("SELECT n FROM messages WHERE role = 'user' ORDER BY n LIMIT 2").fetchall()
        db.execute("UPDATE messages SET text = 'another' WHERE n = ?", first)
        db.execute("UPDATE messages SET id = 'gone' WHERE n = ?", second)
        db.execute("DELETE FROM message_assets")
    fidelity = Fidelity(tmp_path / "a.db")
    for conversation in conversations(Size(1, 10, 0, 1)):
        fidelity.conversation(conversation)
    counts = {count.kind: count for count in fidelity.compare()}
    assert counts["text"] == Count("text", 10, 8)
    assert counts["images"] == Count("images", 1, 0)
    assert counts["conversations"] == Count("conversations", 1, 1)


def test_a_message_that_an_answer_and_a_document_show_counts_once(tmp_path: Path) -> None:
    from analysis.fidelity import Count, Fidelity

    (talk,) = conversations(Size(1, 10, 0, 0))
    (tmp_path / "c.json").write_text(json.dumps(talk))
    assert run(tmp_path / "a.db", tmp_path / "c.json").returncode == 0
    shown = [node["message"] for node in talk["mapping"].values() if node["message"]][:3]
    fidelity = Fidelity(tmp_path / "a.db")
    fidelity.exchange("turn", True, b"", b"".join(b"data: %s\n\n" % json.dumps({"message": m}).encode() for m in shown))
    fidelity.conversation(talk)
    assert fidelity.compare() == [Count("conversations", 1, 1), Count("text", 10, 10)]


# -- flows that mitmproxy saved ----------------------------------------------------------------------------------------


def test_saved_flows_are_stored_whole_and_checked_without_mitmproxy(tmp_path: Path) -> None:
    saved, har_file = tmp_path / "traffic", tmp_path / "traffic.har"
    with capture(tmp_path / "live", args=["-w", str(saved), "--set", f"hardump={har_file}"]) as running:
        for number, coding in enumerate(("identity", "gzip", "deflate", "br", "zstd")):
            scene = plain_answer(f"Tides {number}?", "Two a day.", seed=coding)
            running.answers[f"Tides {number}?"] = loopback.answer(scene.events, coding=coding)
            running.ask(f"Tides {number}?")
        assert running.proxy.stop() == 0
    passed = dump(running.database)
    assert report(running.database, saved)["exit"] == 0
    assert dump(running.database) == passed  # a file does not know when each piece came: what saw it pass does
    found = report(tmp_path / "a.db", saved)
    (file,) = found["files"]
    assert (found["exit"], file["kind"], file["exchanges"]) == (0, "flows", 5)
    assert [(count["kind"], count["held"], count["stored"]) for count in found["fidelity"]] == [("text", 20, 20)]
    assert rows(tmp_path / "a.db", "SELECT DISTINCT source FROM streams") == [("flow-file",)]
    before = dump(tmp_path / "a.db")
    assert report(tmp_path / "a.db", saved)["exit"] == 0
    assert dump(tmp_path / "a.db") == before
    assert rows(tmp_path / "a.db", "SELECT * FROM runs") == []

    from_har = report(tmp_path / "har.db", har_file)
    assert (from_har["exit"], from_har["fidelity"]) == (0, found["fidelity"])
    said = "SELECT id, parent_id, text FROM messages ORDER BY id"
    assert rows(tmp_path / "har.db", said) == rows(tmp_path / "a.db", said)

    (tmp_path / "cut").write_bytes(saved.read_bytes()[:-500])
    found = report(tmp_path / "b.db", tmp_path / "cut")
    assert (found["exit"], found["files"][0]["exchanges"], found["files"][0]["messages"]) == (1, 4, 12)
    assert found["files"][0]["failures"] == [
        "mitmdump could not read all of it: it is damaged, or of a newer mitmproxy"
    ]
    assert all(count["held"] == count["stored"] for count in found["fidelity"])

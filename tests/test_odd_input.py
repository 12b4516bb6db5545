"""Files that say what no conversation can be: each kind of it is one line, all the rest is stored, the exit code tells."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from addon.documents.oddities import Oddity, oddities
from scripts.made_up_export import Size, conversations
from tests.importing import dump, har, report, rows, run
from tests.recording import STARTED, archive_at

TALK = "68f0a1b2-0000-4000-8000-00000000000"
NODE = "0a1b2c3d-0000-4000-8000-00000000000"
KEPT = "kept as they are"


def node(identity: str, parent: str | None, text: str = "tide", **fields: Any) -> dict[str, Any]:
    content = {"content_type": "text", "parts": [text]}
    message = {"id": identity, "author": {"role": "user"}, "content": content, "status": "finished_successfully"}
    return {"id": identity, "parent": parent, "children": [], "message": message | fields}


def talk(number: int, *placed: dict[str, Any], **fields: Any) -> dict[str, Any]:
    usual = {"id": f"{TALK}{number}", "title": "Tides", "update_time": 1_790_000_000.5}
    return usual | {"mapping": {each["id"]: each for each in placed}} | fields


ROOT = node(f"{NODE}0", None)
ODD: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "nothing odd": (talk(1, node(f"{NODE}1", f"{NODE}0"), ROOT, create_time=0), [], []),
    "a circle": (
        talk(1, ROOT, node(f"{NODE}1", f"{NODE}3"), node(f"{NODE}2", f"{NODE}1"), node(f"{NODE}3", f"{NODE}2")),
        [f"parents that go round in a circle, {KEPT}: 3, first in conversation 0, {TALK}1, message {NODE}1"],
        [],
    ),
    "a message below itself": (
        talk(1, node(f"{NODE}1", f"{NODE}1")),
        [f"parents that go round in a circle, {KEPT}: 1, first in conversation 0, {TALK}1, message {NODE}1"],
        [],
    ),
    "missing parents": (
        talk(1, ROOT, node(f"{NODE}1", f"{NODE}8"), node(f"{NODE}2", f"{NODE}9")),
        [f"parents that are not in the conversation, {KEPT}: 2, first in conversation 0, {TALK}1, message {NODE}1"],
        [],
    ),
    "ids that are no UUIDs": (
        talk(1, node("../../x", None), node(f"{NODE}1", "../../x"), id="'; DROP TABLE messages"),
        [f"ids that are no UUIDs, {KEPT}: 2, first in conversation 0, '; DROP TABLE messages"],
        [],
    ),
    "dates out of range": (
        talk(1, node(f"{NODE}0", None, create_time=1e30), node(f"{NODE}1", f"{NODE}0", update_time=-1), update_time=[]),
        [],
        [f"times that are none, or not in the years 1970 to 9999: not stored: 3, first in conversation 0, {TALK}1"],
    ),
    "lone surrogates": (
        talk(1, node(f"{NODE}0", None, "half \ud83d of it"), node(f"{NODE}1", f"{NODE}0", "whole \U0001f30a")),
        [],
        [f"texts with half of a character, for which U+FFFD is stored: 1, first in conversation 0, {TALK}1, message {NODE}0"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("document", "notes", "failures"), ODD.values(), ids=ODD)
def test_what_is_odd_is_one_line_and_the_rest_is_stored(
    tmp_path: Path, document: dict[str, Any], notes: list[str], failures: list[str]
) -> None:
    usual = next(conversations(Size(1, 5, 0, 0)))
    (tmp_path / "c.json").write_text(json.dumps([document, usual]))
    for _ in range(2):  # what is known already is odd all the same
        found = report(tmp_path / "a.db", tmp_path / "c.json")
        (file,) = found["files"]
        assert (file["notes"], file["failures"]) == (notes, failures)
        assert (found["exit"], found["complete"]) == (bool(failures), not failures)
        assert [(count["held"], count["stored"]) for count in found["fidelity"]] == [(2, 2), (5 + len(document["mapping"]),) * 2]  # fmt: skip
    held = {key for each in (document, usual) for key, placed in each["mapping"].items() if placed["message"]}
    assert {key for (key,) in rows(tmp_path / "a.db", "SELECT id FROM messages")} == held


def test_what_is_odd_is_said_by_each_import(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps([odd for odd, *_ in ODD.values()]))
    first = report(tmp_path / "a.db", tmp_path / "c.json")
    assert first["files"][0]["failures"]
    before = dump(tmp_path / "a.db")
    assert report(tmp_path / "a.db", tmp_path / "c.json") == first
    assert dump(tmp_path / "a.db") == before


def test_what_is_odd_a_thousand_times_is_one_line(tmp_path: Path) -> None:
    odd = [talk(0, *(node(f"{each}.{n}", "nobody", "\ud83d", create_time=1e20) for n in range(10)), id=f"{each}") for each in range(100)]  # fmt: skip
    (tmp_path / "c.json").write_text(json.dumps(odd))
    done = run(tmp_path / "a.db", tmp_path / "c.json")
    assert done.returncode == 1
    name = f"{tmp_path}/c.json"
    assert done.stderr.splitlines() == [
        f"{name}: times that are none, or not in the years 1970 to 9999: not stored: 1,000, first in conversation 0, 0, message 0.0",
        f"{name}: texts with half of a character, for which U+FFFD is stored: 1,000, first in conversation 0, 0, message 0.0",
    ]  # fmt: skip
    assert done.stdout.splitlines()[1:3] == [
        f"  parents that are not in the conversation, {KEPT}: 1,000, first in conversation 0, 0, message 0.0",
        f"  ids that are no UUIDs, {KEPT}: 1,100, first in conversation 0, 0",
    ]
    assert rows(tmp_path / "a.db", "SELECT count(*), count(created_at) FROM messages") == [(1000, 0)]


def test_of_conversations_without_an_id_some_are_named_and_the_others_counted(tmp_path: Path) -> None:
    nameless = [talk(0, node(f"{NODE}{n}", None), id=None, create_time=1_780_000_000.5 + n) for n in range(10, 99)]
    (tmp_path / "c.json").write_text(json.dumps(nameless))
    found = report(tmp_path / "a.db", tmp_path / "c.json")
    (file,) = found["files"]
    assert (found["exit"], file["conversations"], len(file["notes"])) == (0, 89, 22)
    assert file["notes"][19].startswith("conversation 19 has no id: it is kept as unnamed-")
    assert file["notes"][20] == "69 more conversations without an id"
    assert file["notes"][21].startswith(f"ids that are no UUIDs, {KEPT}: 89, first in conversation 0, message {NODE}10")


def test_a_document_in_a_har_is_told_by_its_entry(tmp_path: Path) -> None:
    odd = talk(1, node(f"{NODE}0", f"{NODE}9", create_time=1e30))
    entry = {
        "startedDateTime": "2026-09-21T14:13:20.250Z",
        "request": {"method": "GET", "url": f"https://chatgpt.com/backend-api/conversation/{TALK}1"},
        "response": {"status": 200, "content": {"mimeType": "application/json", "text": json.dumps(odd)}},
    }
    (tmp_path / "a.har").write_text(har({}, entry))
    found = report(tmp_path / "a.db", tmp_path / "a.har")
    (file,) = found["files"]
    place = f"first in entry 1, {TALK}1, message {NODE}0"
    assert file["notes"] == [f"parents that are not in the conversation, {KEPT}: 1, {place}"]
    assert file["failures"] == [f"times that are none, or not in the years 1970 to 9999: not stored: 1, {place}"]
    assert (found["exit"], rows(tmp_path / "a.db", "SELECT count(*) FROM messages")) == (1, [(1,)])
    before = dump(tmp_path / "a.db")
    assert report(tmp_path / "a.db", tmp_path / "a.har") == found
    assert dump(tmp_path / "a.db") == before


def test_names_in_a_zip_that_point_out_of_it_are_one_line(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "e.zip", "w") as archive:
        archive.writestr("../../x.json", json.dumps(list(conversations(Size(2, 8, 0, 0)))))
        archive.writestr("/etc/passwd", "root")
        archive.writestr("a..b/..c", "nothing")
    found = report(tmp_path / "a.db", tmp_path / "e.zip")
    told = [file["notes"] for file in found["files"] if file["notes"]]
    assert told == [["names in it that point out of it, taken for no paths: 2, first ../../x.json"]]
    assert (found["exit"], rows(tmp_path / "a.db", "SELECT count(*) FROM conversations")) == (0, [(2,)])
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"e.zip", "a.db"}


def test_a_document_that_the_page_loads_is_odd_in_one_event(tmp_path: Path) -> None:
    circle = [node(f"{NODE}{n}", f"{NODE}{n + 1}") for n in range(2)] + [node(f"{NODE}2", f"{NODE}0", create_time=-1)]
    with archive_at(tmp_path / "a.db") as archive:
        archive.load("conversation", talk(1, *circle), parameters={"conversation_id": f"{TALK}1"})
        archive.load("conversation", talk(2, ROOT, node("x", ROOT["id"])), at=STARTED + 1)
        (event,) = archive.rows("SELECT * FROM events")
        assert (event["type"], event["recognised"], event["conversation_id"]) == ("odd_document", 1, f"{TALK}1")
        assert json.loads(event["data"]) == {
            "circle": {"count": 3, "first": f"{NODE}0"},
            "time": {"count": 1, "first": f"{NODE}2"},
        }


def _documents() -> Iterator[dict[str, Any]]:
    yield {}
    yield {"id": 7, "mapping": {"a": 5, "b": None, "c": {"parent": []}, "d": {"parent": {}, "message": [1]}}}
    yield {"mapping": [{"id": "a", "parent": "b"}, {"id": "b", "parent": "a"}, 3]}
    yield {"messages": [{"id": "a", "create_time": "soon"}, 3, {"message": {"id": "b"}}], "create_time": True}
    yield {"mapping": {"a": {"children": ["b", 3, "c"]}, "b": {"children": ["a"], "message": {"create_time": "x"}}}}


@pytest.mark.parametrize("document", [*_documents()], ids=str)
@pytest.mark.parametrize("halves", [False, True])
def test_whatever_a_document_is_looking_at_it_does_not_raise(document: dict[str, Any], halves: bool) -> None:
    assert all(oddity.count > 0 for oddity in oddities(document, halves=halves))


def test_a_glance_finds_what_a_look_finds() -> None:
    """Also where halves are not looked for, which takes a shorter way for what is usual."""
    for document, _, _ in ODD.values():
        looked = [oddity for oddity in oddities(document) if oddity.kind != "half"]
        assert list(oddities(document, halves=False)) == looked
    late = talk(1, node(f"{NODE}1", f"{NODE}0"), ROOT, node(f"{NODE}2", "x"))
    assert list(oddities(late, halves=False)) == [Oddity("parent", 1, f"{NODE}2")]


def test_chats_in_the_format_for_models_are_refused_in_one_line(tmp_path: Path) -> None:
    chat = {"id": "talk", "title": "Tides", "messages": [{"role": "user", "content": "Why?"}]}
    (tmp_path / "c.jsonl").write_text(f"{json.dumps(chat)}\n" * 3)
    done = run(tmp_path / "a.db", tmp_path / "c.jsonl")
    said = "in the format for models, without ids and times of the messages: not read; what `export --json` writes is, and `merge` takes over archives"  # fmt: skip
    assert (done.returncode, done.stderr) == (1, f"{tmp_path}/c.jsonl: 3 chats {said}\n")
    assert not (tmp_path / "a.db").exists()
    (tmp_path / "c.json").write_text(json.dumps([talk(1, ROOT), {"messages": chat["messages"]}]))
    found = report(tmp_path / "a.db", tmp_path / "c.json")
    assert (found["exit"], found["files"][0]["failures"]) == (1, [f"1 chat {said}"])
    assert rows(tmp_path / "a.db", "SELECT id FROM conversations") == [(f"{TALK}1",)]


def test_conversations_may_be_json_lines(tmp_path: Path) -> None:
    lines = [json.dumps(each) for each in conversations(Size(3, 12, 0, 0))]
    (tmp_path / "c.jsonl").write_text("\n".join(lines) + "\n")
    found = report(tmp_path / "a.db", tmp_path / "c.jsonl")
    assert (found["exit"], found["files"][0]["conversations"]) == (0, 3)
    (tmp_path / "c.jsonl").write_text("\n".join([lines[0], "oops", lines[1]]))
    found = report(tmp_path / "b.db", tmp_path / "c.jsonl")
    said = f"no JSON at character {len(lines[0]) + 1}; what stands before it is imported"
    assert (found["exit"], found["files"][0]["failures"], found["files"][0]["conversations"]) == (1, [said], 1)


def test_a_database_is_for_merging(tmp_path: Path) -> None:
    with archive_at(tmp_path / "other.db"):
        pass
    done = run(tmp_path / "a.db", tmp_path / "other.db")
    said = "is a database: what an archive holds is taken over by `chatgpt-capture merge`"
    assert (done.returncode, done.stderr) == (1, f"{tmp_path}/other.db: {said}\n")

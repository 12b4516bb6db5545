"""A conversation that is read by pieces is the same rows, the same remarks and the same counts as one read whole."""

import contextlib
import json
import os
import random
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from addon.importing import json_text, large_conversations, value_import
from addon.importing.import_files import ImportFile, files_in
from addon.importing.imported import Imported
from addon.importing.importers import Importer
from addon.importing.json_text import Damaged, JsonText
from addon.importing.large_conversations import LargeDocument, read_by_pieces
from addon.records import Record
from addon.store.archive_writer import ArchiveWriter
from analysis.fidelity import Count, Fidelity
from scripts.made_up_export import Size, conversations
from tests import importing
from tests.conftest import CAPTURES, needs_captures
from tests.importing import CANARY, rows

SIZE = Size(conversations=4, on_path=120, abandoned=12, images=8)
BEFORE = list(conversations(SIZE))


def read(database: Path, *paths: Path) -> tuple[list[dict[str, Any]], list[Count]]:
    """Import files; what came of each, and what of them is stored."""
    fidelity, said = Fidelity(database), []
    writer = ArchiveWriter(database, print)
    importer = Importer(writer, fidelity)
    for path in paths:
        for file in files_in(path, database):
            assert isinstance(file, ImportFile)
            done = Imported(file.name)
            importer.read(file, done)
            said.append(asdict(done))
    writer.close()
    return said, fidelity.compare()


def both_ways(folder: Path, monkeypatch: pytest.MonkeyPatch, *paths: Path) -> tuple[Path, list[dict[str, Any]]]:
    """Import files with their objects whole and by pieces, twice each: nothing differs. The second archive."""
    whole = read(folder / "whole.db", *paths)
    with monkeypatch.context() as patch:
        walked = []

        def walk(text: JsonText) -> LargeDocument | Damaged:
            walked.append(text.offset)
            return read_by_pieces(text)

        patch.setattr(json_text, "LARGE_CHARACTERS", 300)
        patch.setattr(json_text, "_BLOCK_BYTES", 100)
        patch.setattr(large_conversations, "_AT_ONCE", 7)
        patch.setattr("addon.importing.value_import._AT_ONCE", 11)
        patch.setattr("addon.importing.importers.read_by_pieces", walk)
        pieces = read(folder / "pieces.db", *paths)
        assert walked
        assert pieces == whole
        assert dump(folder / "pieces.db") == dump(folder / "whole.db")
        again = read(folder / "whole.db", *paths)
        assert again[1] == whole[1]
        assert dump(folder / "whole.db") == dump(folder / "pieces.db")
    assert read(folder / "pieces.db", *paths)[1] == whole[1]
    assert dump(folder / "pieces.db") == dump(folder / "whole.db")
    return folder / "pieces.db", whole[0]


def dump(database: Path) -> list[str]:
    """All that is stored, but not when its tables were made."""
    return [line for line in importing.dump(database) if "_sqlite_migrations" not in line]


def without_children(document: dict[str, Any]) -> dict[str, Any]:
    nodes = {key: {k: v for k, v in node.items() if k != "children"} for key, node in document["mapping"].items()}
    return {**document, "mapping": nodes}


def shuffled(document: dict[str, Any]) -> dict[str, Any]:
    """Children before their parents, ids at the end, parents named by the children of others alone."""
    nodes = list(document["mapping"].items())
    random.Random(7).shuffle(nodes)
    return {**document, "mapping": {key: {**node, "parent": None} for key, node in nodes}}


def as_list(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "mapping": list(document["mapping"].values())}


def as_messages(document: dict[str, Any]) -> dict[str, Any]:
    messages = [node["message"] for node in document["mapping"].values() if node["message"]]
    return {"title": document["title"], "id": document["id"], "messages": messages}


def nameless(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in ("id", "conversation_id")}


def odd(document: dict[str, Any]) -> dict[str, Any]:
    """With what nobody expects in a node, a circle, a parent that is missing, half a character and odd times."""
    nodes = dict(document["mapping"])
    first, second, third, *_ = [key for key, node in nodes.items() if node["message"]]
    message = {**nodes[first]["message"], "create_time": 1e15, "content": {"content_type": "text", "parts": ["\ud83d"]}}
    nodes[first] = {**nodes[first], "message": message}
    nodes[second] = {**nodes[second], "parent": third}
    nodes[third] = {**nodes[third], "parent": second}
    nodes |= {
        "no uuid": {"message": ["a list"]},
        "a number": 3,
        "nothing": None,
        "lost": {"message": {}, "parent": "?"},
    }
    return {**document, "mapping": nodes, "update_time": "when?"}


def secret(document: dict[str, Any]) -> dict[str, Any]:
    """With credentials in a node, in its message and beside it."""
    nodes = dict(document["mapping"])
    first, second, *_ = [key for key, node in nodes.items() if node["message"]]
    message = nodes[first]["message"]
    inside = {"content_type": "code", "text": "x = 1", "access_token": CANARY}
    metadata = {**message["metadata"], "resume_token": CANARY, "note": f"see {CANARY}"}
    nodes[first] = {**nodes[first], "message": {**message, "metadata": metadata, "content": inside}}
    nodes[second] = {**nodes[second], "session": {"token": CANARY}}
    return {**document, "mapping": nodes, "voice": {"token": CANARY}}


SHAPES = [dict, without_children, shuffled, as_list, as_messages, nameless, odd, secret]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_conversation_by_pieces_is_the_same_rows(shape: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps([shape(document) for document in BEFORE]))
    database, _ = both_ways(tmp_path, monkeypatch, path)
    assert rows(database, "SELECT count(*) FROM conversations") == [(SIZE.conversations,)]
    assert CANARY not in "\n".join(dump(database))


def test_a_node_whose_name_is_a_credential_loses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "LARGE_CHARACTERS", 300)
    monkeypatch.setattr(json_text, "_BLOCK_BYTES", 100)
    path = tmp_path / "conversations.json"
    message = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["tides " * 100]}}
    path.write_text(json.dumps([{"id": "k", "mapping": {CANARY: {"message": message, "parent": CANARY}}}]))
    read(tmp_path / "a.db", path)
    assert rows(tmp_path / "a.db", "SELECT id, parent_id FROM messages") == [("redacted", None)]
    assert CANARY not in "\n".join(dump(tmp_path / "a.db"))


@needs_captures
def test_real_conversations_by_pieces_are_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both_ways(tmp_path, monkeypatch, *sorted(Path(CAPTURES).glob("*.json")))


@pytest.mark.parametrize("bad", ["{]", '{"message": tru}', '"a" "b"'])
def test_a_large_conversation_that_is_no_json_is_one_line_and_the_next_is_read(
    bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_text, "LARGE_CHARACTERS", 300)
    monkeypatch.setattr(json_text, "_BLOCK_BYTES", 100)
    first, second, *_ = (json.dumps(document) for document in BEFORE)
    broken = first.replace('"mapping": {', f'"mapping": {{"bad": {bad}, ', 1)
    (tmp_path / "conversations.json").write_text(f"[{broken}, {second}]")
    (done,), counts = read(tmp_path / "a.db", tmp_path / "conversations.json")
    assert done["failures"] == ["element 0 is no JSON (at character 1)"]
    assert done["conversations"] == 1
    assert all(count.held == count.stored for count in counts)


def test_nothing_is_longer_than_the_longest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "LARGE_CHARACTERS", 300)
    monkeypatch.setattr(json_text, "_BLOCK_BYTES", 100)
    monkeypatch.setattr(large_conversations, "MAX_CHARACTERS", 5000)
    path = tmp_path / "a.json"
    path.write_text(json.dumps([BEFORE[0], {"title": "short", "id": "x", "mapping": {}}]))
    with path.open("rb") as file:
        first, second = JsonText(file).elements(read_by_pieces)
    assert first == Damaged(1, "is a conversation of more than 5,000 characters")
    assert second == {"title": "short", "id": "x", "mapping": {}}


@pytest.mark.parametrize("shape", ["dict", "as_messages"])
def test_messages_that_are_too_large_are_named_and_the_rest_is_stored(
    shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = BEFORE[0] if shape == "dict" else as_messages(BEFORE[0])
    talk = json.loads(json.dumps(talk))
    placed = [*talk["mapping"].values()][2:4] if shape == "dict" else talk["messages"][2:4]
    long, crowded = (node.get("message") or node for node in placed)
    long["content"]["parts"] = ["tide, " * 2000]
    crowded["metadata"] = {"many": [[]] * 150}
    limits = {"LARGE_CHARACTERS": 300, "_BLOCK_BYTES": 100, "_LIGHT_CHARACTERS": 100, "MAX_VALUES": 200}
    for name, limit in (limits | {"MAX_VALUE_CHARACTERS": 8000}).items():
        monkeypatch.setattr(json_text, name, limit)
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps([talk, BEFORE[1]]))
    (done,), counts = read(tmp_path / "a.db", path)
    first = long["id"] if shape == "dict" else "2 of the list"
    named = f"parts too large to be read: 2, first message {first}"
    assert done["failures"] == [f"conversation 0, {talk['id']}: {named}"]
    assert done["conversations"] == 2
    assert all(count.held == count.stored for count in counts)
    kept = {identity for (identity,) in rows(tmp_path / "a.db", "SELECT id FROM messages")}
    assert kept == {*ids(BEFORE[0]), *ids(BEFORE[1])} - {long["id"], crowded["id"]}


def ids(document: dict[str, Any]) -> list[str]:
    return [key for key, node in document["mapping"].items() if node["message"]]


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [
        ("MAX_IDS", 20, "is a conversation of more than 20 messages"),
        ("MAX_CHARACTERS", 5000, "is a conversation of more than 5,000 characters"),
    ],
)
def test_a_conversation_that_is_too_large_is_one_line(
    limit: str, value: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_text, "LARGE_CHARACTERS", 300)
    monkeypatch.setattr(json_text, "_BLOCK_BYTES", 100)
    monkeypatch.setattr(large_conversations, limit, value)
    path = tmp_path / "conversations.json"
    short = {"id": "short", "title": "Short", "mapping": {}}
    path.write_text(json.dumps([short, BEFORE[0], short | {"id": "second"}]))
    (done,), _ = read(tmp_path / "a.db", path)
    assert done["failures"] == [f"element 1 {said} (at character {len(json.dumps(short)) + 3})"]
    assert done["conversations"] == 2


def test_what_is_set_aside_is_whole_when_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "LARGE_CHARACTERS", 300)
    monkeypatch.setattr(json_text, "_BLOCK_BYTES", 100)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(BEFORE[:1]))
    with path.open("rb") as file:
        (document,) = JsonText(file).elements(read_by_pieces)
    assert isinstance(document, LargeDocument)
    assert document.characters == len(json.dumps(BEFORE[0]))
    found = {key: node["message"] for piece in document.pieces() for key, node in piece["mapping"].items()}
    assert found == {key: node["message"] for key, node in BEFORE[0]["mapping"].items()}


@pytest.mark.parametrize("written", [1, 2, 5, 9, 14])
def test_an_import_that_is_killed_amid_a_conversation_is_made_whole_by_the_next(
    written: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, database = tmp_path / "conversations.json", tmp_path / "killed.db"
    path.write_text(json.dumps(BEFORE))
    for place, size in ((json_text, "LARGE_CHARACTERS"), (json_text, "_BLOCK_BYTES"), (value_import, "_AT_ONCE")):
        monkeypatch.setattr(place, size, 100 if place is json_text else 11)
    read(tmp_path / "whole.db", path)
    monkeypatch.setattr(ArchiveWriter, "add", killed_after(written))
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            read(database, path)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    monkeypatch.undo()
    [(before,)] = rows(database, "SELECT count(*) FROM messages")
    [(after,)] = rows(tmp_path / "whole.db", "SELECT count(*) FROM messages")
    assert 0 < before < after
    read(database, path)
    assert dump(database) == dump(tmp_path / "whole.db")


def killed_after(times: int) -> Callable[[ArchiveWriter, Sequence[Record]], None]:
    """`ArchiveWriter.add` that writes at once, and is no more when it has done so so many times."""
    add, left = ArchiveWriter.add, [times]

    def write(writer: ArchiveWriter, records: Sequence[Record]) -> None:
        add(writer, records)
        writer.flush()
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    return write

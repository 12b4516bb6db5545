"""Files that are damaged, cut, packed or odd: what can be read of them is stored, and what cannot is said."""

import gzip
import io
import json
import os
import random
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from addon.importing.import_files import Unreadable, files_in
from addon.importing.json_text import JsonBroken, JsonCut, JsonText
from scripts.made_up_export import Size, conversations
from scripts.scenes import plain_answer
from tests.importing import har, report, rows, run, sent

TALKS = list(conversations(Size(8, 60, 4, 3)))
NAMES = ("conversations-000.json", "conversations-001.json", "conversations-002.json")
IS_DAMAGED = "is a damaged or cut zip file: its files are read one by one, as far as they go"


class _Pipe(io.RawIOBase):
    """A file that cannot be sought in: the sizes of what a zip holds then stand behind it."""

    def __init__(self) -> None:
        self.written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.written += data
        return len(data)


def zipped(*, piped: bool = False) -> bytes:
    """An export in three parts, one of them stored as it is."""
    out = _Pipe() if piped else io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("user.json", "{}")
        archive.writestr(NAMES[0], json.dumps(TALKS[:3]))
        archive.writestr(zipfile.ZipInfo(NAMES[1]), json.dumps(TALKS[3:5]))
        archive.writestr(NAMES[2], json.dumps(TALKS[5:]))
    return bytes(out.written) if isinstance(out, _Pipe) else out.getvalue()


def read_from(path: Path) -> tuple[set[str], list[str]]:
    """The conversations that can be read of a file or folder, and what is said of the rest."""
    found: set[str] = set()
    said = []
    for file in files_in(path, path.with_name("archive.db")):
        if isinstance(file, Unreadable):
            said.append(file.reason)
            continue
        if file.place == "user.json":
            continue
        with file.plain.open() as content:
            text = JsonText(content)
            try:
                for talk in text.elements():
                    if isinstance(talk, dict) and "id" in talk:
                        found.add(talk["id"])
                    else:
                        said.append("an element is none")
                text.peek()
            except (JsonCut, JsonBroken) as error:
                said.append(str(error))
            said += [text.damage] if text.damage else []
    return found, said


def loaded(url: str, text: str | None) -> dict[str, Any]:
    """An entry of a HAR: what the page loaded."""
    content = {"mimeType": "application/json"} | ({} if text is None else {"text": text})
    return {
        "startedDateTime": "2026-09-21T14:13:20.250Z",
        "time": 5,
        "request": {"method": "GET", "url": url},
        "response": {"status": 101 if text is None else 200, "content": content},
    }


def standing_before(data: bytes) -> set[str]:
    """The conversations that stand whole in a cut zip, by zlib alone."""
    whole: set[str] = set()
    for name in NAMES:
        start = data.find(name.encode()) + len(name)
        if start < len(name):
            continue
        packed = data[start:]
        text = packed if name == NAMES[1] else zlib.decompressobj(-15).decompress(packed)
        whole |= {talk["id"] for talk in TALKS if json.dumps(talk).encode() in text}
    return whole


@pytest.mark.parametrize("piped", [False, True])
def test_wherever_a_zip_is_cut_what_stood_before_the_cut_is_read(tmp_path: Path, piped: bool) -> None:
    data = zipped(piped=piped)
    directory = data.find(b"PK\x01\x02")
    cuts = {*range(2, len(data), max(1, len(data) // 150)), directory, directory - 1, directory + 1, len(data) - 1}
    for cut in sorted(cuts):
        (tmp_path / "cut").write_bytes(data[:cut])
        found, said = read_from(tmp_path / "cut")
        assert found == standing_before(data[:cut]), cut
        assert said, cut
        assert found == {talk["id"] for talk in TALKS} or cut < directory


@pytest.mark.parametrize("piped", [False, True])
def test_whatever_happens_to_a_zip_is_said_where_anything_is_missing(tmp_path: Path, piped: bool) -> None:
    chance = random.Random(7)
    data, everything = zipped(piped=piped), {talk["id"] for talk in TALKS}
    for _ in range(150):
        damaged, at, length = bytearray(data), chance.randrange(2, len(data)), chance.randint(1, 300)
        match chance.randrange(4):
            case 0:
                damaged[at] ^= 1 << chance.randrange(8)
            case 1:
                damaged[at : at + length] = bytes(len(damaged[at : at + length]))
            case 2:
                del damaged[at : at + length]
            case 3:
                damaged[at:at] = chance.randbytes(length)
        (tmp_path / "damaged").write_bytes(damaged)
        found, said = read_from(tmp_path / "damaged")
        assert said or found == everything
        # What is on the other side of a damage is not lost with it.
        assert len(found & everything) >= 2, said


def test_a_cut_zip_is_imported_as_far_as_it_goes_and_the_whole_one_completes_it(tmp_path: Path) -> None:
    data = zipped()
    (tmp_path / "in").mkdir()
    (tmp_path / "in/export.zip").write_bytes(data[: data.find(NAMES[2].encode()) + 300])
    found = report(tmp_path / "a.db", tmp_path / "in")
    assert (found["exit"], found["complete"]) == (1, False)
    failures = [(Path(file["name"]).name, file["failures"]) for file in found["files"] if file["failures"]]
    assert failures == [
        ("export.zip", [IS_DAMAGED]),
        (NAMES[2], ["is cut off after 0 conversations; so much is imported"]),
    ]
    assert rows(tmp_path / "a.db", "SELECT count(*) FROM conversations") == [(5,)]
    (tmp_path / "in/export.zip").write_bytes(data)
    assert report(tmp_path / "a.db", tmp_path / "in")["exit"] == 0
    assert rows(tmp_path / "a.db", "SELECT count(*) FROM conversations") == [(8,)]


def test_a_wrong_checksum_costs_nothing_but_a_line(tmp_path: Path) -> None:
    data = bytearray(zipped())
    directory = data.find(NAMES[0].encode(), data.find(b"PK\x01\x02"))
    data[directory - 46 + 16] ^= 1
    (tmp_path / "export.zip").write_bytes(data)
    found = report(tmp_path / "a.db", tmp_path / "export.zip")
    assert (found["exit"], [file["failures"] for file in found["files"]]) == (
        1,
        [["does not match its checksum; 3 conversations in it imported"], [], []],
    )
    assert rows(tmp_path / "a.db", "SELECT count(*) FROM conversations") == [(8,)]


def test_a_damaged_piece_of_a_text_costs_what_comes_after_it(tmp_path: Path) -> None:
    text = json.dumps(TALKS).encode()
    packed = bytearray(gzip.compress(text))
    packed[len(packed) * 3 // 4 :] = bytes(len(packed) - len(packed) * 3 // 4)
    (tmp_path / "conversations.json.gz").write_bytes(packed)
    found = report(tmp_path / "a.db", tmp_path / "conversations.json.gz")
    (file,) = found["files"]
    assert (found["exit"], file["conversations"] >= 4) == (1, True)
    assert re.fullmatch(r"is (?:damaged|cut off) after \d conversations; so much is imported", file["failures"][-1])


def test_files_whose_headers_are_gone_are_named_by_the_directory(tmp_path: Path) -> None:
    data = bytearray(zipped())
    at = data.find(NAMES[1].encode()) - 30
    data[at : at + 4] = b"\0\0\0\0"
    (tmp_path / "export.zip").write_bytes(data)
    done = run(tmp_path / "a.db", tmp_path / "export.zip")
    said = [line.removeprefix(f"{tmp_path}/") for line in done.stderr.splitlines()]
    assert said[0] == f"export.zip: {IS_DAMAGED}"
    assert said[-1] == f"export.zip/{NAMES[1]}: is not found in the damaged zip file"
    assert rows(tmp_path / "a.db", "SELECT count(*) FROM conversations") == [(6,)]


@pytest.mark.parametrize("cut", [False, True])
def test_a_bomb_is_bounded_also_in_a_zip_without_its_directory(tmp_path: Path, cut: bool) -> None:
    bomb = b"[" + b" " * (80 * 1024 * 1024) + b"]"
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", bomb)
        archive.writestr("more.json", json.dumps(TALKS[:1]))
    if cut:
        data = (tmp_path / "bomb.zip").read_bytes()
        (tmp_path / "bomb.zip").write_bytes(data[: data.find(b"PK\x01\x02")])
    done = run(tmp_path / "a.db", tmp_path / "bomb.zip")
    assert done.returncode == 1
    assert "conversations.json: unpacks to more than 250 times its size: taken for a zip bomb" in done.stderr
    assert rows(tmp_path / "a.db", "SELECT count(*) FROM conversations") == [(1,)]


def test_files_that_lie_upon_one_another_are_a_bomb(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "e.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"{number}.json", json.dumps(TALKS[:1]))
    data = (tmp_path / "e.zip").read_bytes()
    directory, end = data.find(b"PK\x01\x02"), data.find(b"PK\x05\x06")
    first = data[: data.find(b"PK\x03\x04", 4)]
    entries = bytearray(data[directory:end])
    for at in [found.start() for found in re.finditer(b"PK\x01\x02", bytes(entries))]:
        struct.pack_into("<I", entries, at + 42, 0)  # all of them begin where the first does
    tail = bytearray(data[end:])
    struct.pack_into("<I", tail, 16, len(first))
    (tmp_path / "e.zip").write_bytes(first + entries + tail)
    done = run(tmp_path / "a.db", tmp_path / "e.zip")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.endswith("e.zip: is taken for a zip bomb: its files lie upon one another\n")


# -- what is around a text ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap",
    [
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.decode().encode("utf-16"),
        lambda text: text.decode().encode("utf-16-le"),
        lambda text: b"\xfe\xff" + text.decode().encode("utf-16-be"),
        gzip.compress,
        lambda text: gzip.compress(text[:1000]) + gzip.compress(text[1000:]),
        lambda text: gzip.compress(b"\xff\xfe" + text.decode().encode("utf-16-le")),
    ],
    ids=["utf-8 with a mark", "utf-16", "utf-16 unmarked", "utf-16 big-endian", "gzip", "gzip in parts", "both"],
)
def test_texts_are_read_whatever_is_around_them(tmp_path: Path, wrap: Any) -> None:
    scene = plain_answer("Tides?", "Two a day, thanks to the Moon. 👍", seed="one")
    (tmp_path / "in").mkdir()
    texts = {"a.har": har(sent("a", scene.body)).encode(), "b": json.dumps(TALKS[:2]).encode()}
    if not wrap(b"data: 1\n\n").startswith(b"d\0"):  # that could be anything
        texts["c.sse"] = scene.body
    for name, text in texts.items():
        (tmp_path / "in" / name).write_bytes(wrap(text))
    found = report(tmp_path / "a.db", tmp_path / "in")
    assert (found["exit"], found["other_files"]) == (0, 0)
    assert [file["kind"] for file in found["files"]] == ["har", "export", "events"][: len(texts)]
    assert ("Two a day, thanks to the Moon. 👍",) in rows(tmp_path / "a.db", "SELECT text FROM messages")


def test_gzip_that_is_cut_gives_what_there_is(tmp_path: Path) -> None:
    packed = gzip.compress(json.dumps(TALKS).encode())
    (tmp_path / "c.json.gz").write_bytes(packed[: len(packed) // 2])
    (file,) = report(tmp_path / "a.db", tmp_path)["files"]
    assert file["conversations"] >= 2
    assert file["failures"] == [f"is cut off after {file['conversations']} conversations; so much is imported"]
    (tmp_path / "c.json.gz").write_bytes(gzip.compress(b"[" + b" " * (80 * 1024 * 1024) + b"]"))
    (file,) = report(tmp_path / "b.db", tmp_path / "c.json.gz")["files"]
    assert "taken for a zip bomb" in file["failures"][0]


# -- what stands in a folder -------------------------------------------------------------------------------------------


def test_in_a_folder_what_could_have_been_meant_is_named_and_the_rest_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "linked").mkdir(parents=True)
    files: dict[str, bytes] = {
        "good.json": json.dumps(TALKS[:1]).encode(),
        "cut.json": json.dumps(TALKS).encode()[:40],
        "broken.gz": gzip.compress(b"[]")[:11],
        "page.har": b"<html>Sign in</html>",
        "zeros.zip": bytes(1000),
        "empty.har": b"",
        "start.zip": b"PK\x03\x04",
        # None of ours:
        "user.json": b'{"id": "user-1"}',
        "notes.txt": b"PKs are keys",
        "settings.ini": b"[section]\nkey = value\n",
        "picture.png": b"\x89PNG\r\n\x1a\n",
        "letter.txt.gz": gzip.compress(b"Dear"),
        "nothing": b"",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    os.mkfifo(folder / "pipe")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "away").symlink_to(folder / "linked")
    done = run(tmp_path / "a.db", folder)
    assert done.returncode == 1
    lost = {line.removeprefix(f"{folder}/").partition(":")[0] for line in done.stderr.splitlines()}
    assert lost == {
        "cut.json", "broken.gz", "page.har", "zeros.zip", "empty.har", "start.zip", "dangling",
    }  # fmt: skip
    assert f"{folder}/pipe: is no file: not read\n" in done.stdout
    assert f"{folder}/away: is a link to a folder: not followed\n" in done.stdout
    assert (
        f"1 media file not stored; its name tells no file that a message mentions: {folder}/picture.png\n"
        in done.stdout
    )
    assert "5 other files passed by\n" in done.stdout
    assert len(done.stderr.splitlines()) == len(lost)


def test_pipes_and_devices_neither_hang_nor_fill_the_disk(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = run(tmp_path / "a.db", tmp_path / "pipe", "/dev/zero", "/dev/null")
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        [f"{tmp_path}/pipe: is empty", "/dev/zero: is no file: not read", "/dev/null: is no file: not read"],
    )
    reading, writing = os.pipe()
    os.write(writing, json.dumps(TALKS[:1]).encode())
    os.close(writing)
    done = run(tmp_path / "a.db", f"/dev/fd/{reading}", pass_fds=[reading])
    os.close(reading)
    assert (done.returncode, "export  1 conversation" in done.stdout) == (0, True)


def test_a_zip_in_a_zip_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.writestr("export.zip", zipped())
        archive.writestr("letter.docx", zipped())
        archive.writestr("conversations.json", json.dumps(TALKS[:1]))
    done = run(tmp_path / "a.db", tmp_path / "outer.zip")
    said = "is a zip file that is not looked into: unpack it, then import the folder"
    assert done.stderr == f"{tmp_path}/outer.zip/export.zip: {said}\n"
    assert f"{tmp_path}/outer.zip/letter.docx: {said}\n" in done.stdout
    assert rows(tmp_path / "a.db", "SELECT count(*) FROM conversations") == [(1,)]


def test_files_in_a_zip_that_are_encrypted_do_not_stop_the_others(tmp_path: Path) -> None:
    data = bytearray(zipped())
    for mark, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = data.find(NAMES[0].encode(), data.find(mark)) - (46 if flags == 8 else 30)
        data[at + flags] |= 1
    (tmp_path / "export.zip").write_bytes(data)
    done = run(tmp_path / "a.db", tmp_path / "export.zip")
    assert (done.returncode, done.stderr) == (1, f"{tmp_path}/export.zip: 1 of its 4 files are encrypted\n")
    assert rows(tmp_path / "a.db", "SELECT count(*) FROM conversations") == [(5,)]


# -- event streams -----------------------------------------------------------------------------------------------------


def test_an_event_stream_that_breaks_off_is_said_and_one_that_is_cut_is_a_failure(tmp_path: Path) -> None:
    scene = plain_answer("Tides?", "Two a day, thanks to the Moon.", seed="one")
    events = scene.body.split(b"\n\n")
    early = b"\n\n".join(events[: len(events) // 2]) + b"\n\n"
    ways: dict[str, tuple[bytes, int, list[str], list[str]]] = {
        "whole": (scene.body, 0, [], []),
        "unterminated": (scene.body.rstrip(), 0, [], []),
        "early": (early, 0, ["is interrupted: it ends before the answer does"], []),
        "cut": (early[:-9], 1, [], ["is cut off in the middle of an event; what stands before it is imported"]),
    }
    for name, (body, code, notes, failures) in ways.items():
        (tmp_path / f"{name}.sse").write_bytes(body)
        found = report(tmp_path / f"{name}.db", tmp_path / f"{name}.sse")
        (file,) = found["files"]
        assert (found["exit"], file["notes"], file["failures"]) == (code, notes, failures), name


def test_a_har_says_which_answers_broke_off(tmp_path: Path) -> None:
    scene = plain_answer("Tides?", "Two a day, thanks to the Moon.", seed="one")
    (tmp_path / "a.har").write_text(har(sent("a", scene.body), sent("b", scene.body[: len(scene.body) // 2])))
    found = report(tmp_path / "a.db", tmp_path / "a.har")
    assert (found["exit"], found["files"][0]["notes"]) == (
        0,
        ["entry 1, POST /backend-api/f/conversation: interrupted, ended without [DONE]"],
    )


# -- odd conversations -------------------------------------------------------------------------------------------------


def test_odd_conversations_are_named_by_their_place_and_their_id(tmp_path: Path) -> None:
    odd = {**TALKS[1], "mapping": {**TALKS[1]["mapping"], "a": "no node", "b": {"message": ["no message"]}}}
    (tmp_path / "weird.json").write_text(json.dumps([TALKS[0], odd, {"id": "no-tree", "mapping": 5}, TALKS[0]]))
    found = report(tmp_path / "a.db", tmp_path / "weird.json")
    (file,) = found["files"]
    assert file["notes"] == [
        f"conversation 1, {odd['id']}: 2 parts of it were not understood",
        "element 2 is no conversation: passed by",
    ]
    held = sum(1 for talk in TALKS[:2] for node in talk["mapping"].values() if node["message"])
    assert (file["conversations"], file["messages"]) == (2, held)


def test_what_cannot_be_read_of_a_recording_is_named_and_the_rest_stored(tmp_path: Path) -> None:
    whole = plain_answer("Tides?", "Two a day.", seed="whole").body
    torn = sent("torn", plain_answer("Ebb?", "Also two.", seed="torn").body)
    torn["response"]["content"]["text"] = torn["response"]["content"]["text"][:400] + "%%%"
    document = loaded("https://chatgpt.com/backend-api/conversation/talk", '{"mapping": {')
    messages = [{"opcode": 1, "data": "{broken"}, {"opcode": 2, "data": "%%%"}, {"opcode": 1, "data": "[]"}, None]
    socket = loaded("wss://ws.chatgpt.com/p24", None) | {"_webSocketMessages": messages}
    (tmp_path / "r.har").write_text(har(None, torn, 5, document, socket, sent("whole", whole)))
    found = report(tmp_path / "a.db", tmp_path / "r.har")
    (file,) = found["files"]
    assert (found["exit"], found["complete"], file["exchanges"], file["notes"]) == (1, False, 4, [])
    assert file["failures"] == [
        "entry 0 is no entry: null",
        "entry 1, POST /backend-api/f/conversation: its body is no base64 from character 400 on",
        "entry 2 is no entry: 5",
        "entry 3, GET /backend-api/conversation/talk: no JSON in its body: kept as received, but not read",
        "entry 4, GET /p24: 2 of its 4 messages cannot be read, the first is message 1",
        "entry 4, GET /p24: no JSON in 1 of its events: kept as received, but not read",
    ]
    assert rows(tmp_path / "a.db", "SELECT answer, state FROM turns WHERE state = 'complete'") == [
        ("Two a day.", "complete")
    ]
    done = run(tmp_path / "a.db", tmp_path / "r.har")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "Everything that could be read is stored.")


@pytest.mark.parametrize("log", [{"entries": None}, {"entries": {}}, {"version": "1.2"}, []], ids=json.dumps)
def test_a_recording_without_entries_is_a_failure(tmp_path: Path, log: Any) -> None:
    (tmp_path / "r.har").write_text(json.dumps({"log": log}))
    found = report(tmp_path / "a.db", tmp_path / "r.har")
    assert found["files"][0]["failures"] == ["is a HAR without entries: `entries` in its `log` is missing, or no list"]
    assert found["exit"] == 1


def test_a_document_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    text = "\ufeff" + json.dumps(TALKS[0])
    (tmp_path / "r.har").write_text(har(loaded(f"https://chatgpt.com/backend-api/conversation/{TALKS[0]['id']}", text)))
    found = report(tmp_path / "a.db", tmp_path / "r.har")
    assert (found["exit"], found["complete"], found["files"][0]["failures"]) == (0, True, [])
    assert rows(tmp_path / "a.db", "SELECT title FROM conversations") == [(TALKS[0]["title"],)]

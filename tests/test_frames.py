"""An exchange as its frames: what the service sent, value by value, from the raw body alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.frames import frames
from analysis.queries import open_archive
from analysis.queries.exchanges import raw_body
from scripts.scenes import SCENES, Encoding, dalle_answer
from tests.asking import ask
from tests.conftest import CAPTURES, needs_captures
from tests.recording import FINISHED, STATUS, TEXT, Archive, delta, envelope, event, message, request, shown, v0, v1
from tests.reference import decode
from tests.test_summary_views import image


def printed(archive: Archive, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ask(archive.path, "frames", *arguments, "--json").stdout)
    assert all(len(one) == 1 for one in found)
    return found


@needs_captures
def test_a_real_image_answer_comes_back_as_it_was_sent(archive: Archive) -> None:
    sent = json.loads((CAPTURES / "seed-dalle-2024.json").read_text())
    growing = [
        one if "type" in one else {**one, "message": {**one["message"], "status": "in_progress"}} for one in sent
    ]
    archive.record(
        v0(*[frame for pair in zip(growing, sent, strict=True) for frame in pair][:-2], sent[-1]), request("U")
    )
    found = printed(archive, "last")
    assert [value for one in found for value in one.values()] == sent
    keys = [key for one in found for key in one]
    assert keys[:4] == [one["message"]["id"] for one in sent[:4]]
    assert keys[4] == "no_message_key00000008"


def agrees_with_the_reference(archive: Archive, body: bytes) -> int:
    """Whether messages and their order are those of the independent decoder; how many there are.

    It counts the message in an `input_message` event as one; here that is an event without a message.
    """
    archive.record(body)
    found = {frame.key: frame.message for frame in read(archive) if frame.message is not None}
    said = decode(body)
    echoed = {one["input_message"]["id"] for one in said.typed if one["type"] == "input_message"} - found.keys()
    expected = {key: value for key, value in said.messages.items() if key not in echoed}
    assert list(found) == list(expected)
    assert found == expected
    return len(found)


@pytest.mark.parametrize("encoding", ["v0", "v1"])
@pytest.mark.parametrize("name", sorted(SCENES))
def test_messages_are_those_of_the_independent_decoder(archive: Archive, name: str, encoding: Encoding) -> None:
    assert agrees_with_the_reference(archive, SCENES[name](encoding=encoding).body) >= 3


@needs_captures
@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.sse")), ids=lambda path: path.stem)
def test_messages_of_real_answers_are_those_of_the_independent_decoder(archive: Archive, path: Path) -> None:
    assert agrees_with_the_reference(archive, path.read_bytes()) >= ("tasks" not in path.stem)


def read(archive: Archive, **manner: bool) -> list[Any]:
    db = open_archive(archive.path)
    try:
        return frames(raw_body(db, "stream"), **manner)
    finally:
        db.close()


def test_the_log_begins_with_the_prompt_and_has_each_message_once(archive: Archive) -> None:
    said = [envelope(message("A", text)) for text in ("The", "The tide", "The tide comes.")]
    archive.record(v0(*said, {"type": "novelty", "x": 1}), request("U", "Why are there tides?"))
    prompt, *objects = ask(archive.path, "frames").stdout.strip().split("\n\n")
    assert prompt == "Why are there tides?"
    assert [json.loads(one) for one in objects] == [
        {"id": "A", "data": said[-1]},
        {"id": "no_message_key00000003", "data": {"type": "novelty", "x": 1}},
    ]


def test_frames_of_deltas_are_what_the_deltas_make(archive: Archive) -> None:
    body = v1(
        shown(message("A", "")), delta(TEXT, "append", "The "), {"v": "tide"},
        shown(message("B", "second"), channel=1), delta(STATUS, "replace", FINISHED, 0), b"event: delta\ndata: {broken\n\n",
    )  # fmt: skip
    archive.record(body)
    first, second = printed(archive)
    assert first["A"]["message"]["content"]["parts"] == ["The tide"]
    assert first["A"]["message"]["status"] == FINISHED
    assert second["B"]["message"]["content"]["parts"] == ["second"]
    assert [(frame.key, frame.changes) for frame in read(archive)] == [("A", 4), ("B", 1)]


def test_a_message_that_follows_another_on_its_channel_leaves_that_whole(archive: Archive) -> None:
    archive.record(v1(shown(message("A", "")), delta(TEXT, "append", "first"), shown(message("B", "second"))))
    assert [one[key]["message"]["content"]["parts"] for one in printed(archive) for key in one] == [
        ["first"],
        ["second"],
    ]


def test_an_exchange_that_goes_on_in_the_middle_shows_what_it_shows_whole(archive: Archive) -> None:
    deltas = [delta(TEXT, "append", " comes"), shown(message("B", "new"))]
    archive.record(b"".join(event(one, "delta") for one in deltas))
    assert [frame.key for frame in read(archive, whole=False)] == ["B"]


def test_when_each_frame_came_is_known(archive: Archive) -> None:
    body = v0(envelope(message("A", "x")), envelope(message("B", "y")), done=False)
    chunks = [body[: len(body) // 2], body[len(body) // 2 :]]
    archive.record(
        body, chunks=chunks, clock=lambda offset: 1_790_000_000_000_000 + 1_000_000 * (offset == len(body)) + 5
    )
    assert [(frame.key, frame.first) for frame in read(archive)] == [("A", 5), ("B", 1_000_005)]


def test_the_flow_of_an_image_is_drawn_from_prompt_to_metadata(archive: Archive) -> None:
    scene = dalle_answer("Draw a lighthouse", "A lighthouse at dusk", "Here it is.", encoding="v0")
    archive.record(scene.body, request(scene.user_message_id, "Draw a lighthouse"))
    steps = [line[12:] for line in ask(archive.path, "frames", "--flow").stdout.splitlines() if " s  ● " in line]
    names = [step.removeprefix("● ").split("  ")[0] for step in steps]
    order = ["You", "ChatGPT → dalle.text2im", "dalle.text2im", "dalle.text2im → ChatGPT", "ChatGPT", "metadata"]
    assert names == order
    drawn = ask(archive.path, "frames", "--flow").stdout
    assert "▣ 1024x1024" in drawn
    assert "seed " in drawn


def test_what_has_no_frames_is_said(archive: Archive) -> None:
    archive.record(b'{"detail": "no"}', streamed=False, content_type="application/json", status_code=429)
    assert "is no event stream" in ask(archive.path, "frames", "stream", code=1).stderr
    archive.record(v0(envelope(message("A", "x"))), stream_id="unkept", keep_raw=False)
    assert "the raw body of this exchange is not kept" in ask(archive.path, "frames", "unk", code=1).stderr
    assert "no stream has an id that begins with “x”" in ask(archive.path, "frames", "x", code=1).stderr


def test_of_the_last_exchange_too_it_is_said_that_its_body_was_not_kept(archive: Archive) -> None:
    assert "there is no exchange in the archive yet" in ask(archive.path, "frames", code=1).stderr
    archive.record(v0(envelope(message("A", "x"))), stream_id="unkept", keep_raw=False)
    assert ask(archive.path, "frames", code=1).stderr == "Error: unkept: the raw body of this exchange is not kept\n"


def test_an_exchange_is_found_by_its_conversation_and_its_messages(archive: Archive) -> None:
    archive.record(v0(envelope(message("A", "x", status=FINISHED), "talk-1")), request("U-1"), stream_id="s-1")
    archive.record(
        v0(envelope(image("I", "one"), "talk-2")), request("U-2"), stream_id="s-2", started_at=1_790_000_100_000_000
    )
    for beginning, key in (("s-1", "A"), ("talk-1", "A"), ("U-1", "A"), ("A", "A"), ("last", "I"), ("talk-2", "I")):
        assert [next(iter(one)) for one in printed(archive, beginning)] == [key], beginning


def test_a_damaged_body_gives_what_can_be_read(archive: Archive) -> None:
    archive.record(v0(*[envelope(message(f"A{n}", "x" * 100)) for n in range(50)]))
    archive.store._db.execute("UPDATE stream_bodies SET body = substr(body, 1, length(body) - 20)")
    assert len(read(archive)) < 50
    archive.store._db.execute("UPDATE stream_bodies SET body = x'00', arrivals = x'00'")
    assert read(archive) == []

"""Answers that are not what they should be: the bytes pass, the rest is captured, the stray thing is on record."""

import gzip
import json
import uuid

import pytest

from addon.wire.evidence import decompress
from scripts import loopback, scenes
from tests.conftest import Capturing

HTTP = pytest.mark.parametrize("http2", [True, False], ids=["h2", "h1"])


def ask(capturing: Capturing, name: str, answer: loopback.Answer, http2: bool) -> tuple[bytes, dict[str, object]]:
    prompt = f"<{name}|{http2}>"
    capturing.answers[prompt] = answer
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, prompt))
    received = capturing.ask(prompt, http2=http2, message_id=identity)
    return received.body, capturing.closed(identity)


def stray(capturing: Capturing, stream: dict[str, object]) -> list[dict[str, object]]:
    return capturing.rows("SELECT * FROM events WHERE stream_id = ? AND recognised = 0 ORDER BY position", stream["id"])


def scene_with(name: str, extra: bytes, http2: bool) -> scenes.Scene:
    """A plain answer with one stray event in its middle."""
    scene = scenes.plain_answer(name, "one two three four five six", seed=f"{name}{http2}")
    scene.events.insert(len(scene.events) // 2, extra)
    return scene


@HTTP
@pytest.mark.parametrize(
    ("name", "event", "type_"),
    [
        ("unparsable", b'data: {"type": broken\n\n', "unparsable"),
        ("unknown type", b'data: {"type": "quantum_flux", "level": 9}\n\n', "quantum_flux"),
        ("unknown shape", b'data: {"hello": "world"}\n\n', "message"),
        ("unknown container", b'event: delta\ndata: {"c": 77, "p": "/message/x", "o": "add", "v": 1}\n\n', "delta"),
    ],
)
def test_one_stray_event_is_on_record_and_costs_nothing_else(
    capturing: Capturing, name: str, event: bytes, type_: str, http2: bool
) -> None:
    scene = scene_with(name, event, http2)
    if name == "unknown container":  # what follows inherits the channel: the wire says it anew
        scene.events.insert(scene.events.index(event) + 1, restated(scene, event))
    body, stream = ask(capturing, name, loopback.answer(scene.events), http2)
    assert body == scene.body
    assert stream["state"] == "complete"
    assert [row["type"] for row in stray(capturing, stream)] == [type_]
    assert capturing.rows("SELECT text FROM messages WHERE id = ?", scene.answer_id)[0]["text"] == scene.text
    assert capturing.proxy.wait_for_log("1 unrecognised event", 5)


def restated(scene: scenes.Scene, event: bytes) -> bytes:
    """An append of nothing that puts channel and pointer back to where they were ahead of `event`."""
    last: dict[str, object] = {}
    for earlier in scene.events[: scene.events.index(event)]:
        if earlier.startswith(b"event: delta\n"):
            delta = json.loads(earlier.partition(b"data: ")[2])
            last |= {key: delta[key] for key in ("c", "p", "o") if key in delta}
    return b"event: delta\ndata: " + json.dumps({**last, "v": ""}).encode() + b"\n\n"


@HTTP
def test_a_wrong_operation_marks_the_message_and_the_text_goes_on(capturing: Capturing, http2: bool) -> None:
    wrong = b'event: delta\ndata: {"p": "/message/status/deeper", "o": "add", "v": 1}\n\n'
    scene = scene_with("wrong operation", wrong, http2)
    scene.events.insert(scene.events.index(wrong) + 1, restated(scene, wrong))
    body, stream = ask(capturing, "wrong operation", loopback.answer(scene.events), http2)
    assert body == scene.body
    row = capturing.rows("SELECT text, damaged FROM messages WHERE id = ?", scene.answer_id)[0]
    assert row == {"text": scene.text, "damaged": 1}
    assert "in the way" in str(stray(capturing, stream)[0]["data"])


@HTTP
def test_a_challenge_page_and_an_error_are_on_record(capturing: Capturing, http2: bool) -> None:
    for name, page in (("challenge", scenes.challenge_page()), ("refused", scenes.error_403())):
        answer = loopback.Answer(status=page.status, headers=page.headers, chunks=[page.body])
        body, stream = ask(capturing, name, answer, http2)
        assert body == page.body
        assert stream["state"] == "error"
        assert str(stream["error"]).startswith("HTTP 403")
        prompt = capturing.rows("SELECT text FROM messages WHERE id = ?", stream["request_message_id"])
        assert prompt == [{"text": f"<{name}|{http2}>"}]


@HTTP
def test_a_cut_inside_a_character_keeps_what_came_before(capturing: Capturing, http2: bool) -> None:
    scene = scenes.plain_answer("cut", scenes.prose(40, "1"), seed=f"cut{http2}")
    head = b"".join(scene.events[:30])
    tail = 'event: delta\ndata: {"p": "/message/metadata/x", "o": "add", "v": "naïve"}'.encode()
    tail = tail[: tail.index("ï".encode()) + 1]
    answer = loopback.Answer(headers=loopback.EVENT_STREAM, chunks=[head, tail], end="cut")
    _, stream = ask(capturing, "cut", answer, http2)
    assert stream["state"] == "interrupted"
    assert [row["type"] for row in stray(capturing, stream)] == ["incomplete"]


@HTTP
def test_an_unknown_content_coding_passes_and_is_kept_as_it_came(capturing: Capturing, http2: bool) -> None:
    answer = loopback.Answer(headers=[*loopback.EVENT_STREAM, ("content-encoding", "snappy")], chunks=[b"\x01\x02\x03"])
    body, stream = ask(capturing, "snappy", answer, http2)
    assert body == b"\x01\x02\x03"
    assert (stream["state"], stream["error"]) == ("error", "unknown content coding 'snappy'")
    kept = capturing.wait("SELECT wire FROM stream_bodies WHERE stream_id = ?", stream["id"])[0]["wire"]
    assert decompress(kept) == b"\x01\x02\x03"


@HTTP
def test_a_coding_that_breaks_in_the_middle_keeps_what_could_be_read(capturing: Capturing, http2: bool) -> None:
    scene = scenes.plain_answer("broken gzip", scenes.prose(300, "1"), seed=f"broken{http2}")
    data = gzip.compress(scene.body)
    broken = data[: len(data) * 3 // 4] + b"\xff" * 100 + data[len(data) * 3 // 4 :]
    answer = loopback.Answer(
        headers=[*loopback.EVENT_STREAM, ("content-encoding", "gzip")], chunks=loopback.every(broken, 40)
    )
    body, stream = ask(capturing, "broken gzip", answer, http2)
    assert body == broken
    assert stream["state"] == "error"
    assert str(stream["error"]).startswith("content coding")
    text = capturing.rows("SELECT text FROM messages WHERE id = ?", scene.answer_id)[0]["text"]
    # What the broken place itself decodes to is anybody's guess; what came before it is right.
    assert text[:40] == scene.text[:40] != ""


@HTTP
def test_an_event_stream_from_another_path_is_on_record(capturing: Capturing, http2: bool) -> None:
    body = b'data: {"task_status": "running", "task_id": "task_1"}\n\n' * 3
    prompt = f"<other path|{http2}>"
    capturing.answers[prompt] = loopback.answer([body])
    path = f"/backend-api/tasks/{uuid.uuid4()}/stream"
    received = loopback.fetch(
        capturing.proxy.port,
        capturing.proxy.ca_path,
        "https://chatgpt.com" + path,
        http2=http2,
        method="POST",
        body=prompt.encode(),
    )
    assert received.body == body
    stream = capturing.wait("SELECT * FROM streams WHERE path = ? AND state <> 'streaming'", path)[0]
    assert (stream["kind"], stream["state"], stream["unrecognised_count"]) == ("turn", "complete", 3)
    assert len(stray(capturing, stream)) == 3

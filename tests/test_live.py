"""A real mitmdump over TLS: the client's bytes are untouched, the rows are right, and they grow while it streams."""

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from addon.wire.evidence import decompress
from scripts import loopback, scenes
from tests.conftest import CAPTURES, Capturing, capture, needs_captures
from tests.reference import decode, text_of

CODINGS = ["identity", "gzip", "deflate", "deflate-raw", "br", "zstd", "gzip, br"]
HTTP = pytest.mark.parametrize("http2", [True, False], ids=["h2", "h1"])
CUTS: dict[str, Callable[[bytes], list[bytes]]] = {
    "whole": loopback.whole,
    "ragged": lambda body: loopback.ragged(body, 7),
    "single bytes": lambda body: loopback.every(body, 1),
}


def message_of(prompt: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, prompt))


def assert_rows_equal_reference(capturing: Capturing, body: bytes, conversation_id: str) -> None:
    reference = decode(body)
    stored = {
        row["id"]: row for row in capturing.rows("SELECT * FROM messages WHERE conversation_id = ?", conversation_id)
    }
    for identity, message in reference.messages.items():
        row = stored[identity]
        author = message.get("author", {})
        assert row["text"] == text_of(message), identity
        assert (row["role"], row["author_name"]) == (author.get("role"), author.get("name"))
        assert (row["recipient"], row["status"]) == (message.get("recipient"), message.get("status"))
        assert row["content_type"] == message["content"]["content_type"]


@HTTP
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("cut", CUTS)
def test_bytes_are_identical_and_rows_are_right(capturing: Capturing, coding: str, cut: str, http2: bool) -> None:
    prompt = f"<{coding}|{cut}|{http2}>"
    scene = scenes.reasoning_answer(prompt, scenes.prose(40, "1"), seed=prompt, user_message_id=message_of(prompt))
    encoded = loopback.encode(scene.body, coding)
    label = [("content-encoding", coding.removesuffix("-raw"))] if coding != "identity" else []
    capturing.answers[prompt] = loopback.Answer(headers=[*loopback.EVENT_STREAM, *label], chunks=CUTS[cut](encoded))
    received = capturing.ask(prompt, http2=http2, message_id=message_of(prompt))
    assert received.body == encoded
    assert capturing.closed(message_of(prompt))["state"] == "complete"
    assert_rows_equal_reference(capturing, scene.body, scene.conversation_id)


def test_posts_that_only_help_the_turn_along_are_no_answers(tmp_path: Path) -> None:
    """Before and after the answer, at its address, as the page sends them (protocol 1a)."""
    scene = scenes.plain_answer("Why?", "So.", user_message_id="U")
    step = loopback.Answer(200, [("content-type", "application/json")], [b'{"status":"ok","conduit_token":"t0ken"}'])

    def respond(request: loopback.Request) -> loopback.Answer:
        return loopback.answer(scene.events) if b'"messages"' in request.body else step

    headers, sent = loopback.turn_request("Why?", conversation_id=scene.conversation_id, action="continue")
    with capture(tmp_path, respond=respond) as running:
        for _ in range(2):
            answer = loopback.fetch(running.proxy.port, running.proxy.ca_path, loopback.TURN_URL, method="POST", headers=headers, body=sent)  # fmt: skip
            assert answer.body == b"".join(step.chunks)
            running.ask("Why?", message_id="U")
        running.wait("SELECT 1 FROM streams WHERE state <> 'streaming' GROUP BY 1 HAVING count(*) = 4")
        assert running.rows("SELECT kind, state, name, count(*) AS n FROM streams GROUP BY 1, 2, 3") == [
            {"kind": "document", "state": "complete", "name": "step", "n": 2},
            {"kind": "turn", "state": "complete", "name": None, "n": 2},
        ]
        assert running.rows("SELECT 1 FROM events WHERE recognised = 0") == []
        assert running.rows("SELECT name FROM capture_health WHERE attention") == []
        assert running.rows("SELECT prompt, answer FROM turns") == [{"prompt": "Why?", "answer": "So."}]
        assert "error" not in running.log.lower()


@HTTP
@pytest.mark.parametrize("encoding", ["v1", "v0"])
@pytest.mark.parametrize("name", scenes.SCENES)
def test_every_scene_arrives(capturing: Capturing, name: str, encoding: scenes.Encoding, http2: bool) -> None:
    prompt = f"<scene|{name}|{encoding}|{http2}>"
    scene = scenes.SCENES[name](30, seed=prompt, user_message_id=message_of(prompt), encoding=encoding)
    capturing.answers[prompt] = loopback.answer(scene.events, coding="br")
    received = capturing.ask(prompt, http2=http2, message_id=message_of(prompt))
    assert received.body == b"".join(loopback.encode_chunks(scene.events, "br"))
    stream = capturing.closed(message_of(prompt))
    assert (stream["state"], stream["unrecognised_count"]) == ("complete", 0)
    assert_rows_equal_reference(capturing, scene.body, scene.conversation_id)
    conversation = capturing.rows("SELECT * FROM conversations WHERE id = ?", scene.conversation_id)[0]
    assert conversation["title"] == scene.title
    images = capturing.rows(
        "SELECT * FROM image_generations WHERE conversation_id = ? ORDER BY id", scene.conversation_id
    )
    assert [image["asset_pointer"] for image in images] == [image.pointer for image in scene.images]
    for row, image in zip(images, scene.images, strict=True):
        assert (row["gen_id"], row["prompt"]) == (image.gen_id, image.prompt)
        assert row["prompt_message_id"] == message_of(prompt)


@needs_captures
@HTTP
@pytest.mark.parametrize("coding", ["identity", "zstd"])
@pytest.mark.parametrize("path", sorted(CAPTURES.glob("v*.sse")), ids=lambda path: path.stem)
def test_real_captures_arrive(capturing: Capturing, path: Path, coding: str, http2: bool) -> None:
    body = path.read_bytes()
    prompt = f"<{path.stem}|{coding}|{http2}>"
    capturing.answers[prompt] = loopback.answer(loopback.ragged(body, 3), coding=coding)
    received = capturing.ask(prompt, http2=http2, message_id=message_of(prompt))
    assert received.status == 200
    capturing.closed(message_of(prompt))
    assert_rows_equal_reference(capturing, body, decode(body).conversation_id or "")


@HTTP
def test_an_answer_is_visible_while_it_streams(capturing: Capturing, http2: bool) -> None:
    prompt = f"<live|{http2}>"
    scene = scenes.plain_answer(prompt, scenes.prose(60, "2"), seed=prompt, user_message_id=message_of(prompt))
    capturing.answers[prompt] = loopback.answer(scene.events, coding="gzip", delay=0.03)
    asking = threading.Thread(
        target=capturing.ask, args=(prompt,), kwargs={"http2": http2, "message_id": message_of(prompt)}
    )
    asking.start()
    lengths: list[int] = []
    while asking.is_alive():
        for row in capturing.rows("SELECT text, status FROM messages WHERE id = ?", scene.answer_id):
            if row["status"] == "in_progress" and len(row["text"]) not in lengths:
                assert scene.text.startswith(row["text"])
                lengths.append(len(row["text"]))
        time.sleep(0.01)
    asking.join()
    assert len(lengths) >= 3
    assert lengths == sorted(lengths)
    assert capturing.closed(message_of(prompt))["state"] == "complete"
    row = capturing.rows("SELECT text, live FROM messages WHERE id = ?", scene.answer_id)[0]
    assert (row["text"], row["live"]) == (scene.text, 0)


def test_an_answer_the_client_aborts_is_kept_as_far_as_it_came(capturing: Capturing) -> None:
    prompt = "<abort>"
    scene = scenes.plain_answer(prompt, scenes.prose(80, "3"), seed=prompt, user_message_id=message_of(prompt))
    capturing.answers[prompt] = loopback.answer(scene.events, delay=0.01)
    headers, body = loopback.turn_request(prompt, message_id=message_of(prompt))
    loopback.fetch(
        capturing.proxy.port,
        capturing.proxy.ca_path,
        loopback.TURN_URL,
        method="POST",
        headers=headers,
        body=body,
        abort_after=len(scene.body) // 2,
    )
    stream = capturing.closed(message_of(prompt))
    assert stream["state"] == "interrupted"
    assert stream["error"].startswith("connection closed")
    row = capturing.rows("SELECT * FROM messages WHERE id = ?", scene.answer_id)[0]
    assert row["text"]
    assert scene.text.startswith(row["text"])
    assert (row["status"], row["live"]) == ("in_progress", 0)


@HTTP
def test_the_prompt_is_kept_and_belongs_to_its_turn(capturing: Capturing, http2: bool) -> None:
    prompt = f"<what I asked|{http2}>"
    scene = scenes.plain_answer(prompt, "An answer.", seed=prompt, user_message_id=message_of(prompt))
    capturing.answers[prompt] = loopback.answer(scene.events)
    capturing.ask(prompt, http2=http2, message_id=message_of(prompt), model="gpt-5-5")
    stream = capturing.closed(message_of(prompt))
    turn = capturing.rows("SELECT * FROM turns WHERE stream_id = ?", stream["id"])[0]
    assert (turn["prompt"], turn["answer"], turn["requested_model"]) == (prompt, "An answer.", "gpt-5-5")
    request = capturing.rows("SELECT length(body) AS size FROM request_bodies WHERE stream_id = ?", stream["id"])
    assert request[0]["size"] > 0


def test_one_line_per_answer_and_counters_at_the_end(tmp_path: Path) -> None:
    with capture(tmp_path) as running:
        scene = scenes.plain_answer("hello", "Good day.", title="A \x1b[31mred\x1b[0m title")
        running.answers["hello"] = loopback.answer(scene.events)
        running.ask("hello")
        line = running.proxy.wait_for_log("characters", 10)
        assert "“A ?[31mred?[0m title”" in line
        assert "9 characters" in line
        later = scenes.plain_answer("and now", "Good night.", seed="later", conversation_id=scene.conversation_id)
        running.answers["and now"] = loopback.answer(later.events)
        running.ask("and now", conversation_id=scene.conversation_id)
        assert "red?[0m title”" in running.proxy.wait_for_log("11 characters", 10)
        assert running.proxy.stop() == 0
        assert "2 exchanges and 5 messages captured into chatgpt.db" in running.log


def test_nothing_secret_is_written_and_files_are_private(tmp_path: Path) -> None:
    with capture(tmp_path) as running:
        secrets = list(loopback.SECRETS)
        for name, make in scenes.SCENES.items():
            scene = make(20, seed=name)
            secrets += scene.secrets
            running.answers[name] = loopback.answer(scene.events, coding="br")
            running.ask(name)
        assert running.proxy.stop() == 0
        files = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "conf"]
        assert running.database in files
        for path in files:
            assert path.stat().st_mode & 0o777 == 0o600, path
            data = path.read_bytes()
            assert [secret for secret in secrets if secret.encode() in data] == []
        with sqlite3.connect(running.database) as db:
            for body in [row[0] for row in db.execute("SELECT data FROM events")]:
                json.loads(body)
                assert [secret for secret in secrets if secret in body] == []
            stored = db.execute("SELECT body FROM stream_bodies UNION ALL SELECT body FROM request_bodies").fetchall()
            for (blob,) in stored:
                assert [secret for secret in secrets if secret.encode() in decompress(blob)] == []

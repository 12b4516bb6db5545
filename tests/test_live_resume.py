"""A real mitmdump between a page that goes on reading and a service that repeats what the page had not read."""

import json
import os
import signal
import uuid
from pathlib import Path
from typing import Any

import pytest

from addon.upkeep.reparse import reparse
from scripts import loopback, scenes
from tests.conftest import Capturing, capture
from tests.test_interruptions import recorder_of

HTTP = pytest.mark.parametrize("http2", [True, False], ids=["h2", "h1"])


class Conduit:
    """The service: it keeps each answer's events, cuts the first exchange after some, and resumes from any."""

    def __init__(self) -> None:
        self._scenes: dict[str, scenes.Scene] = {}
        self._sends: dict[str, loopback.Answer] = {}
        self.resumed: list[int] = []

    def plays(self, scene: scenes.Scene, prompt: str, send: loopback.Answer) -> None:
        self._scenes[scene.conversation_id] = scene
        self._sends[prompt] = send

    def respond(self, request: loopback.Request) -> loopback.Answer:
        asked = json.loads(request.body)
        if not request.path.endswith("/resume"):
            return self._sends[asked["messages"][-1]["content"]["parts"][0]]
        self.resumed.append(asked["offset"])
        events = self._scenes[asked["conversation_id"]].events
        return loopback.answer(events[asked["offset"] :], coding="br")


def whole_events(received: loopback.Received) -> int:
    """How many events the page has read: what its resume says as offset."""
    return received.body.count(b"\n\n")


def made(name: str, words: int = 60) -> scenes.Scene:
    return scenes.reasoning_answer(name, scenes.prose(words, name), seed=name, user_message_id=message_of(name))


def message_of(prompt: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, prompt))


def ask(running: Capturing, prompt: str, http2: bool, **how: Any) -> loopback.Received:
    headers, body = loopback.turn_request(prompt, message_id=message_of(prompt))
    proxy = running.proxy
    how |= {"method": "POST", "headers": headers, "body": body}
    return loopback.fetch(proxy.port, proxy.ca_path, loopback.TURN_URL, http2=http2, **how)


def go_on(running: Capturing, scene: scenes.Scene, offset: int, http2: bool) -> loopback.Received:
    return loopback.resume_turn(running.proxy.port, running.proxy.ca_path, scene.conversation_id, offset, http2=http2)


def legs(running: Capturing, scene: scenes.Scene) -> list[dict[str, Any]]:
    query = "SELECT * FROM streams WHERE conversation_id = ? AND state <> 'streaming' ORDER BY started_at"
    return running.rows(query, scene.conversation_id)


def assert_the_answer_is_whole(running: Capturing, scene: scenes.Scene) -> None:
    """Every message as the service said it, once, and both legs of one turn."""
    running.wait("SELECT 1 FROM streams WHERE conversation_id = ? AND kind = 'resume' AND state <> 'streaming'", scene.conversation_id)  # fmt: skip
    stored = {
        row["id"]: row
        for row in running.rows("SELECT * FROM messages WHERE conversation_id = ?", scene.conversation_id)
    }
    for identity, text in scene.texts.items():
        row = stored[identity]
        assert (row["text"], row["live"], row["damaged"]) == (text, 0, 0)
        assert row["status"] == scene.messages[identity]["status"]
    assert running.rows("SELECT * FROM message_versions") == []
    assert {leg["request_message_id"] for leg in legs(running, scene)} == {scene.user_message_id}
    assert len({leg["turn_exchange_id"] for leg in legs(running, scene)}) == 1
    assert legs(running, scene)[-1]["state"] == "complete"
    assert {leg["unrecognised_count"] for leg in legs(running, scene)} <= {0}


@HTTP
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_page_goes_on_where_it_had_read_to_while_the_proxy_saw_more(
    tmp_path: Path, share: float, http2: bool
) -> None:
    conduit, scene = Conduit(), made("more")
    with capture(tmp_path, respond=conduit.respond) as running:
        events = scene.events[: int(len(scene.events) * share)]
        conduit.plays(scene, "more", loopback.answer(events, coding="gzip", end="cut"))
        ask(running, "more", http2)
        running.closed(scene.user_message_id)
        (first,) = legs(running, scene)
        assert (first["state"], first["event_count"]) == ("interrupted", len(events))
        go_on(running, scene, len(events) // 2, http2)
        assert_the_answer_is_whole(running, scene)
        assert conduit.resumed == [len(events) // 2]
        assert legs(running, scene)[1]["event_count"] == len(scene.events) - 1 - len(events) // 2


@HTTP
def test_a_page_that_lost_its_connection_goes_on_at_once(tmp_path: Path, http2: bool) -> None:
    conduit, scene = Conduit(), made("at once", 150)
    with capture(tmp_path, respond=conduit.respond) as running:
        conduit.plays(scene, "at once", loopback.answer(scene.events, delay=0.002))
        read = ask(running, "at once", http2, abort_after=len(scene.body) // 3)
        go_on(running, scene, whole_events(read), http2)
        assert_the_answer_is_whole(running, scene)


@HTTP
def test_an_answer_that_was_handed_over_comes_with_the_resume(tmp_path: Path, http2: bool) -> None:
    conduit, scene = Conduit(), made("handed over")
    first = scenes.handoff("handed over", seed="handed over", user_message_id=scene.user_message_id)
    assert first.conversation_id == scene.conversation_id
    with capture(tmp_path, respond=conduit.respond) as running:
        conduit.plays(scene, "handed over", loopback.answer(first.events))
        ask(running, "handed over", http2)
        assert running.closed(scene.user_message_id)["state"] == "handed_off"
        assert running.rows("SELECT 1 FROM messages WHERE role = 'assistant'") == []
        go_on(running, scene, 0, http2)
        assert_the_answer_is_whole(running, scene)
        assert [leg["resume_offset"] for leg in legs(running, scene)] == [None, 0]


@HTTP
@pytest.mark.parametrize("offset", [0, 9])
def test_a_recorder_that_is_killed_between_the_legs_loses_neither(tmp_path: Path, offset: int, http2: bool) -> None:
    conduit, scene = Conduit(), made("killed")
    with capture(tmp_path, respond=conduit.respond) as running:
        conduit.plays(scene, "killed", loopback.answer(scene.events[:30], end="cut"))
        ask(running, "killed", http2)
        running.closed(scene.user_message_id)
        os.kill(recorder_of(running.proxy.process.pid), signal.SIGKILL)
        go_on(running, scene, offset, http2)
        assert_the_answer_is_whole(running, scene)


def test_a_recorder_that_is_killed_while_the_second_leg_comes_reads_both_again(tmp_path: Path) -> None:
    conduit, scene = Conduit(), made("twice", 150)
    with capture(tmp_path, respond=conduit.respond) as running:
        conduit.plays(scene, "twice", loopback.answer(scene.events[:40], end="cut"))
        ask(running, "twice", True)
        recorder = recorder_of(running.proxy.process.pid)
        os.kill(recorder, signal.SIGSTOP)
        go_on(running, scene, 20, True)
        os.kill(recorder, signal.SIGKILL)
        assert_the_answer_is_whole(running, scene)


@HTTP
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_mitmdump_that_starts_between_the_legs_knows_the_first(tmp_path: Path, sent: int, http2: bool) -> None:
    conduit, scene = Conduit(), made("restarted")
    conduit.plays(scene, "restarted", loopback.answer(scene.events[:30], end="cut"))
    with capture(tmp_path, respond=conduit.respond) as running:
        ask(running, "restarted", http2)
        running.proxy.stop(sent)
    with capture(tmp_path, respond=conduit.respond) as again:
        again.closed(scene.user_message_id)
        go_on(again, scene, 12, http2)
        assert_the_answer_is_whole(again, scene)
        report = reparse(again.database)
        assert (report.streams, report.changed, report.left_alone) == (2, False, 0)


@HTTP
def test_without_raw_bodies_a_resume_goes_on_as_well(tmp_path: Path, http2: bool) -> None:
    """What the first leg said is in the recorder's memory, and nowhere on the disk."""
    conduit, scene = Conduit(), made("dropped")
    with capture(tmp_path, respond=conduit.respond, options={"chatgpt_raw": "drop"}) as running:
        conduit.plays(scene, "dropped", loopback.answer(scene.events[:-20], end="cut"))
        ask(running, "dropped", http2)
        running.closed(scene.user_message_id)
        go_on(running, scene, len(scene.events) - 25, http2)
        assert_the_answer_is_whole(running, scene)
        assert running.rows("SELECT 1 FROM stream_bodies") == []


def test_without_raw_bodies_a_resume_after_a_restart_is_on_record_and_spoils_nothing(tmp_path: Path) -> None:
    conduit, scene = Conduit(), made("forgotten")
    drop: dict[str, object] = {"chatgpt_raw": "drop"}
    with capture(tmp_path, respond=conduit.respond, options=drop) as running:
        conduit.plays(scene, "forgotten", loopback.answer(scene.events[:-20], end="cut"))
        ask(running, "forgotten", True)
        running.closed(scene.user_message_id)
        assert running.drained()
    with capture(tmp_path, respond=conduit.respond, options=drop) as running:
        before = running.rows("SELECT id, text FROM messages")
        go_on(running, scene, len(scene.events) - 25, True)
        query = "SELECT * FROM streams WHERE kind = 'resume' AND state <> 'streaming'"
        (leg,) = running.wait(query)
        assert (leg["state"], leg["error"]) == ("error", "the earlier part of this answer is not stored")
        assert leg["request_message_id"] == scene.user_message_id
        assert running.rows("SELECT id, text FROM messages") == before

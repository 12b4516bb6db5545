"""A real WebSocket through a real mitmdump: its messages untouched, what they say in rows."""

import asyncio
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from addon.archive import inflight_folder
from addon.wire.evidence import decompress
from scripts import loopback, scenes
from tests.conftest import ROOT, Capturing, capture, rows
from tests.test_interruptions import TABLES, comparable, dump, read, recorder_of, wait_until

SOCKET = [("origin", "https://chatgpt.com"), ("user-agent", loopback.BROWSER)]


@dataclass
class Stage:
    """What the service plays to each socket, and how the send is answered; `heard` is what the page said."""

    texts: Sequence[loopback.Text] = ()
    pause: float = 0.0
    send: loopback.Answer = field(default_factory=loopback.Answer)
    heard: list[loopback.Text] = field(default_factory=list)
    socket: loopback.Socket | None = None
    leave: bool = True

    async def play(self, peer: loopback.Peer) -> None:
        heard = await peer.receive()
        assert heard is not None
        self.heard.append(heard)
        for text in self.texts:
            await peer.send(text)
            await asyncio.sleep(self.pause)
        if not self.leave:
            async for message in peer.messages():
                self.heard.append(message)

    def respond(self, request: loopback.Request) -> loopback.Answer | loopback.Socket:
        if request.header("upgrade") == "websocket":
            return self.socket or loopback.Socket(self.play)
        return self.send


async def listen(
    running: Capturing, url: str = scenes.SOCKET_URL, first: str = "[]", **ask: Any
) -> tuple[list[loopback.Text], list[float]]:
    """The page: it connects, says something, and listens until the end; every message and when it came."""
    async with loopback.open_socket(running.proxy.port, running.proxy.ca_path, url, headers=SOCKET, **ask) as socket:
        await socket.send(first)
        return [message async for message in socket.messages()], socket.times


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def running(stage: Stage, tmp_path: Path) -> Iterator[Capturing]:
    with capture(tmp_path, respond=stage.respond) as running:
        yield running


def assert_captured(running: Capturing, scene: scenes.Scene) -> None:
    said = {row["id"]: row for row in running.rows("SELECT * FROM messages")}
    for identity, text in scene.texts.items():
        row = said[identity]
        assert (row["text"], row["live"], row["damaged"]) == (text, 0, 0)
        assert row["conversation_id"] == scene.conversation_id


def test_an_answer_on_a_topic_is_read_once_however_often_it_comes(running: Capturing, stage: Stage) -> None:
    scene = scenes.search_answer("Why?", scenes.prose(60) + " [1]", seed="search")
    stage.texts = scenes.socket_answer(scene)
    assert len(stage.texts) > 3 * len(scene.events)
    received, _ = asyncio.run(listen(running, first=scenes.subscribe(scenes.topic_of(scene))))
    assert received == list(stage.texts)
    (stream,) = running.wait(
        "SELECT * FROM streams WHERE kind = 'topic' AND state <> 'streaming' AND name <> 'updates'"
    )
    assert (stream["state"], stream["error"], stream["unrecognised_count"]) == ("complete", None, 0)
    assert (stream["name"], json.loads(stream["parameters"])) == (scenes.topic_of(scene), {"offset": "0"})
    assert stream["host"] == "ws.chatgpt.com"
    assert_captured(running, scene)
    assert running.rows("SELECT * FROM message_versions") == []


@pytest.mark.parametrize("deflate", [True, False])
def test_messages_pass_unchanged_in_both_directions(running: Capturing, stage: Stage, deflate: bool) -> None:
    chance = random.Random("bytes")
    odd: list[loopback.Text] = [
        "", "[]", "{", "é🚀 \u2028", b"", b"\x00\xff" * 40, chance.randbytes(70_000), "x" * 3_000_000, chance.randbytes(2_000_000),
        json.dumps({"type": "new", "n": 10**400}), "[" * 100_000, "null", "7",
    ]  # fmt: skip

    async def echo(peer: loopback.Peer) -> None:
        for _ in odd:
            message = await peer.receive()
            assert message is not None
            stage.heard.append(message)
            await peer.send(message, fragments=4)

    stage.socket = loopback.Socket(echo, deflate=deflate)

    async def talk() -> list[loopback.Text | None]:
        proxy = running.proxy
        async with loopback.open_socket(proxy.port, proxy.ca_path, scenes.SOCKET_URL, deflate=deflate) as socket:
            received = []
            for message in odd:
                await socket.send(message, fragments=3)
                received.append(await socket.receive())
            return received

    assert asyncio.run(talk()) == odd
    assert stage.heard == odd
    running.wait("SELECT 1 FROM events WHERE type = 'unknown' GROUP BY type HAVING count(*) = 2")
    kinds = running.rows("SELECT type, recognised, count(*) AS n FROM events GROUP BY type ORDER BY type")
    assert {row["type"]: row["n"] for row in kinds} == {
        "binary_message": 4,
        "new": 1,
        "unknown": 2,
        "unparsable_message": 5,
    }
    assert {row["recognised"] for row in kinds} == {0}
    assert running.proxy.stop() == 0
    assert ", 12 unrecognised events, 0 errors" in running.log


def test_an_answer_on_a_topic_is_visible_while_it_grows(running: Capturing, stage: Stage) -> None:
    scene = scenes.plain_answer("Why?", scenes.prose(60), seed="grows")
    stage.texts, stage.pause = scenes.socket_answer(scene, duplicates=0.3), 0.02
    listening = threading.Thread(target=lambda: asyncio.run(listen(running)))
    listening.start()
    lengths: list[int] = []
    while listening.is_alive():
        for row in running.rows("SELECT text FROM messages WHERE id = ? AND live", scene.answer_id):
            if len(row["text"]) not in lengths:
                assert scene.text.startswith(row["text"])
                lengths.append(len(row["text"]))
        time.sleep(0.01)
    listening.join()
    assert len(lengths) >= 4
    assert lengths == sorted(lengths)
    running.wait("SELECT 1 FROM streams WHERE state = 'complete'")
    assert_captured(running, scene)


def test_the_send_and_the_topic_are_one_turn(running: Capturing, stage: Stage) -> None:
    said: dict[str, Any] = {"seed": "handoff", "user_message_id": "user-handoff"}
    stage.send = loopback.answer(scenes.handoff("Why?", **said).events)
    answer = scenes.reasoning_answer("Why?", scenes.prose(30), **said)
    stage.texts = scenes.socket_answer(answer)
    running.ask("Why?", message_id="user-handoff", model="gpt-5-5-pro")
    asyncio.run(listen(running, first=scenes.subscribe(scenes.topic_of(answer))))
    running.wait("SELECT 1 FROM streams WHERE kind = 'topic' AND state = 'complete' AND name <> 'updates'")
    legs = running.rows("SELECT * FROM streams WHERE name IS NULL OR name <> 'updates' ORDER BY started_at")
    assert [(leg["kind"], leg["state"]) for leg in legs] == [("turn", "handed_off"), ("topic", "complete")]
    assert len({leg["turn_exchange_id"] for leg in legs}) == 1
    assert [leg["request_message_id"] for leg in legs] == ["user-handoff"] * 2
    assert [leg["requested_model"] for leg in legs] == ["gpt-5-5-pro"] * 2
    assert_captured(running, answer)
    (row,) = running.rows("SELECT requested_model FROM messages WHERE id = ?", answer.answer_id)
    assert row["requested_model"] == "gpt-5-5-pro"


def test_a_topic_in_binary_messages_without_blank_lines_and_what_corrects_it(running: Capturing, stage: Stage) -> None:
    """The last account counts, also of several in one message; other binary messages are on record."""
    scene = scenes.plain_answer("Why?", scenes.prose(30), seed="binary")
    items = scenes.topic_items(scene)
    for item in items[:-1]:
        inner = item["payload"]["payload"]
        inner["encoded_item"] = inner["encoded_item"].rstrip("\n") + "\n"
    accounts = [
        {**scene.messages[scene.answer_id], "content": {"content_type": "text", "parts": [text]}}
        for text in ("Corrected.", "Corrected twice.")
    ]
    updates = [
        {"type": kind, "conversation_id": scene.conversation_id, "message": account}
        for kind, account in zip(("add-turn-message", "replace-turn-message"), accounts, strict=True)
    ]
    last = {"type": "conversation-updates", "payload": {"updates": updates}}
    stage.texts = [json.dumps(item).encode() for item in (*items, last)] + [b"\x08\xff{}"]
    received, _ = asyncio.run(listen(running, first=scenes.subscribe(scenes.topic_of(scene))))
    assert received == list(stage.texts)
    running.wait("SELECT 1 FROM events WHERE type = 'binary_message'")
    (topic,) = running.rows("SELECT state, unrecognised_count FROM streams WHERE name <> 'updates'")
    assert topic == {"state": "complete", "unrecognised_count": 0}
    said = "SELECT text FROM messages WHERE id = ?"
    assert running.wait(f"{said} AND text LIKE 'Corrected%'", scene.answer_id) == [{"text": "Corrected twice."}]
    told = running.rows("SELECT text FROM message_versions ORDER BY revision")
    assert [row["text"] for row in told] == [scene.text, "Corrected."]


def test_two_tabs_on_one_turn_show_one_answer(running: Capturing, stage: Stage) -> None:
    scene = scenes.plain_answer("Why?", scenes.prose(60), seed="tabs")
    stage.texts, stage.pause = scenes.socket_answer(scene, duplicates=0.5), 0.005

    async def tabs() -> None:
        first = asyncio.create_task(listen(running))
        await asyncio.sleep(0.3)
        for received, _ in await asyncio.gather(first, listen(running)):
            assert received == list(stage.texts)

    asyncio.run(tabs())
    running.wait(
        "SELECT 1 FROM streams WHERE state = 'complete' AND name <> 'updates' GROUP BY name HAVING count(*) = 2"
    )
    assert_captured(running, scene)
    assert running.rows("SELECT * FROM message_versions") == []


def test_an_image_that_is_made_later_takes_the_place_of_its_placeholder(running: Capturing, stage: Stage) -> None:
    scene = scenes.plain_answer("Draw", "I am on it.", seed="async")
    updates = scenes.image_updates(scene)
    stage.texts = [
        *updates,
        scenes.title_update(scene.conversation_id, "A tide at last"),
        scenes.title_update("other", "x"),
    ]
    stage.pause = 0.3
    seen: list[str] = []
    listening = threading.Thread(target=lambda: asyncio.run(listen(running)))
    listening.start()
    while listening.is_alive():
        for row in running.rows("SELECT status, asset_pointer FROM image_generations"):
            if (shown := f"{row['status']} {str(row['asset_pointer'])[-4:]}") not in seen:
                seen.append(shown)
        time.sleep(0.02)
    listening.join()
    pointers = [
        json.loads(update)["payload"]["payload"]["update_content"]["message"]["content"]["parts"][0]
        for update in updates[1:]
    ]
    ends = [part["asset_pointer"][-4:] for part in pointers]
    assert seen == ["pending None", f"preview {ends[0]}", f"preview {ends[1]}", f"complete {ends[2]}"]
    (row,) = running.rows("SELECT * FROM messages WHERE role = 'tool'")
    assert (row["status"], row["content_type"], row["conversation_id"]) == (
        "finished_successfully",
        "multimodal_text",
        scene.conversation_id,
    )
    running.wait("SELECT 1 FROM conversations WHERE id = 'other'")
    titles = running.rows("SELECT title FROM conversations ORDER BY title")
    assert titles == [{"title": "A tide at last"}, {"title": "x"}]
    events = running.rows("SELECT DISTINCT type, recognised FROM events")
    assert events == [{"type": "conversation-update", "recognised": 1}]


def test_the_form_of_2024_is_read(running: Capturing, stage: Stage) -> None:
    scene = scenes.plain_answer("Why?", scenes.prose(40), seed="2024", encoding="v0", user_message_id="user-2024")
    stage.send = loopback.Answer(200, [("content-type", "application/json")], [scenes.handoff_2024(scene)])
    stage.texts = scenes.socket_answer_2024(scene, size=333)
    running.ask("Why?", message_id="user-2024", encoding="v0")
    assert running.closed("user-2024")["state"] == "handed_off"
    received, _ = asyncio.run(listen(running, scenes.SOCKET_2024_URL, '{"type":"sequenceAck","sequenceId":432}'))
    assert received == list(stage.texts)
    (stream,) = running.wait("SELECT * FROM streams WHERE kind = 'topic' AND state = 'complete'")
    assert (stream["encoding"], stream["name"]) == ("v0", f"{scene.answer_id}-LAX")
    assert_captured(running, scene)
    assert running.rows("SELECT * FROM events WHERE NOT recognised") == []


def test_killing_the_recorder_in_mid_topic_loses_nothing(running: Capturing, stage: Stage) -> None:
    scene = scenes.plain_answer("Why?", scenes.prose(120), seed="killed")
    stage.texts, stage.pause = scenes.socket_answer(scene, duplicates=0.3), 0.01
    listening = threading.Thread(target=lambda: asyncio.run(listen(running)))
    listening.start()
    for _ in range(2):
        running.wait("SELECT 1 FROM messages WHERE live AND length(text) > 40")
        os.kill(recorder_of(running.proxy.process.pid), signal.SIGKILL)
        time.sleep(0.4)
    listening.join()
    (stream,) = running.wait("SELECT * FROM streams WHERE state = 'complete' AND name <> 'updates'")
    assert stream["error"] is None
    assert_captured(running, scene)
    assert running.rows("SELECT * FROM message_versions") == []


def test_killing_mitmdump_in_mid_topic_loses_no_item_that_the_page_received(running: Capturing, stage: Stage) -> None:
    scene = scenes.plain_answer("Why?", scenes.prose(120), seed="killed")
    stage.texts, stage.pause = scenes.socket_answer(scene, duplicates=0.3), 0.01
    received: list[loopback.Text] = []

    async def page() -> None:
        proxy = running.proxy
        async with loopback.open_socket(proxy.port, proxy.ca_path, scenes.SOCKET_URL) as socket:
            await socket.send("[]")
            async for message in socket.messages():
                received.append(message)

    listening = threading.Thread(target=lambda: asyncio.run(page()))
    listening.start()
    running.wait("SELECT 1 FROM messages WHERE live AND length(text) > 40")
    running.proxy.stop(signal.SIGKILL)
    listening.join()
    stream = wait_until(running.database, "SELECT * FROM streams WHERE state <> 'streaming'")[0]
    assert (stream["state"], stream["error"]) == ("interrupted", "the proxy was killed")
    wait_until(running.database, "SELECT 1 FROM stream_bodies")
    body = decompress(rows(running.database, "SELECT body FROM stream_bodies")[0]["body"])
    last = [text for text in received if isinstance(text, str) and "encoded_item" in text][-1]
    values = json.loads(last)
    item = values[0] if isinstance(values, list) else values
    assert item["payload"]["payload"]["encoded_item"].encode() in body
    assert running.drained()


def test_stopping_mitmdump_ends_a_topic_truthfully(running: Capturing, stage: Stage) -> None:
    scene = scenes.plain_answer("Why?", scenes.prose(30), seed="stopped")
    stage.texts, stage.leave = scenes.socket_answer(scene)[:60], False
    listening = threading.Thread(target=lambda: asyncio.run(listen(running)))
    listening.start()
    running.wait("SELECT 1 FROM streams WHERE kind = 'topic'")
    time.sleep(0.3)
    assert running.proxy.stop() == 0
    listening.join()
    # Whether mitmproxy closes the socket, with a code, before it says that it ends is a race of its own.
    query = "SELECT DISTINCT state, substr(error, 1, 21) AS error FROM streams"
    assert running.rows(query) == [{"state": "interrupted", "error": "the proxy was stopped"}]
    assert running.rows("SELECT 1 FROM messages WHERE live") == []
    assert not list(inflight_folder(running.database).iterdir())


def test_nothing_secret_of_a_socket_is_kept(running: Capturing, stage: Stage) -> None:
    scene = scenes.plain_answer("Why?", "A sea.", seed="secrets")
    address = {"type": "websocket", "payload": {"websocket_url": scenes.SOCKET_URL, "verify": scenes.SOCKET_SECRET}}
    stage.texts = [*scenes.socket_answer(scene), json.dumps(address), f"not JSON, but {scenes.SOCKET_URL} all the same"]
    asyncio.run(listen(running))
    old = scenes.plain_answer("Why?", "A lake.", seed="old", encoding="v0")
    stage.texts = scenes.socket_answer_2024(old)
    asyncio.run(listen(running, scenes.SOCKET_2024_URL))
    running.wait("SELECT 1 FROM streams WHERE state = 'complete' GROUP BY kind HAVING count(*) >= 3")
    assert running.proxy.stop() == 0
    secrets = [*scene.secrets, scenes.SOCKET_SECRET, scenes.SOCKET_2024_SECRET, "eyJ0.eyJ1.eyJ2"]
    kept = running.database.read_bytes() + b"".join(
        decompress(row["body"]) for row in running.rows("SELECT body FROM stream_bodies")
    )
    assert b"A sea." in kept
    assert [secret for secret in secrets if secret.encode() in kept] == []


def test_a_saved_flow_with_a_socket_gives_the_same_rows(stage: Stage, tmp_path: Path) -> None:
    saved = tmp_path / "saved.flow"
    scene = scenes.search_answer("Why?", scenes.prose(40) + " [1]", seed="saved")
    other = scenes.reasoning_answer("Why?", scenes.prose(40), seed="other")
    stage.texts = [*scenes.socket_answer(scene), *scenes.image_updates(scene), *scenes.socket_answer(other)]
    with capture(tmp_path, respond=stage.respond, args=["-w", str(saved)]) as running:
        asyncio.run(listen(running, first=scenes.subscribe(scenes.topic_of(scene))))
        running.wait("SELECT 1 FROM image_generations WHERE status = 'complete'")
        assert running.proxy.stop() == 0
        assert "2 exchanges and" in running.log
        live = dump(running.database)
    again = tmp_path / "again"
    again.mkdir()
    read(saved, again / "chatgpt.db")
    once = dump(again / "chatgpt.db")
    assert len(once["messages"]) > 5
    for table in TABLES:
        assert comparable(once[table]) == comparable(live[table]), table
    read(saved, again / "chatgpt.db")
    twice = dump(again / "chatgpt.db")
    assert {table: sorted(map(str, twice[table])) for table in TABLES} == {
        table: sorted(map(str, once[table])) for table in TABLES
    }


HASTY = """
import sys
sys.path.insert(0, {root!r})
import addon.adaptor, addon.socket_tap
addon.adaptor.BURST_SECONDS = addon.socket_tap.BURST_SECONDS = 0.3
"""
COUNTING = """
import logging

def websocket_end(flow):
    logging.warning(f"kept {len(flow.websocket.messages)} messages")
"""


def test_a_socket_leaves_nothing_in_the_journal_while_it_is_quiet(stage: Stage, tmp_path: Path) -> None:
    hasty = tmp_path / "hasty.py"
    hasty.write_text(HASTY.format(root=str(ROOT)))
    scene = scenes.plain_answer("Why?", scenes.prose(40), seed="quiet")
    texts, resting = scenes.socket_answer(scene, duplicates=0.3), threading.Event()

    async def play(peer: loopback.Peer) -> None:
        for number, text in enumerate(texts):
            await peer.send(text)
            await asyncio.sleep(0.01)
            while number == 30 and not resting.is_set():
                await asyncio.sleep(0.05)

    stage.socket = loopback.Socket(play)
    with capture(tmp_path, respond=stage.respond, scripts=[hasty]) as running:
        listening = threading.Thread(target=lambda: asyncio.run(listen(running)))
        listening.start()
        running.wait("SELECT 1 FROM streams s JOIN stream_bodies b ON b.stream_id = s.id WHERE s.state = 'streaming'")
        deadline = time.monotonic() + 10
        while list(inflight_folder(running.database).iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(
            recorder_of(running.proxy.process.pid), signal.SIGKILL
        )  # nothing is in the journal: it must go on from what is stored
        resting.set()
        listening.join()
        running.wait("SELECT 1 FROM streams WHERE state = 'complete' AND name <> 'updates'")
        assert_captured(running, scene)
        assert running.rows("SELECT 1 FROM events WHERE NOT recognised") == []


@pytest.mark.parametrize(("args", "kept"), [([], "kept 1 messages"), (["-w", "saved.flow"], "kept 41 messages")])
def test_mitmproxy_keeps_messages_only_for_somebody_who_wants_them(
    stage: Stage, tmp_path: Path, args: list[str], kept: str
) -> None:
    counting = tmp_path / "counting.py"
    counting.write_text(COUNTING)
    stage.texts = ["[]"] * 40
    args = [str(tmp_path / word) if word == "saved.flow" else word for word in args]
    with capture(tmp_path, respond=stage.respond, scripts=[counting], args=args) as running:
        asyncio.run(listen(running))
        running.proxy.wait_for_log(kept, 5)


def test_reloading_the_script_in_mid_topic_loses_nothing(stage: Stage, tmp_path: Path) -> None:
    copy, database = tmp_path / "entry.py", tmp_path / "chatgpt.db"
    lines = (
        f"sys.path.insert(0, {str(ROOT)!r})",
        "from addon.adaptor import ChatGPTCapture",
        "addons = [ChatGPTCapture()]",
    )
    copy.write_text("\n".join(("import sys", *lines, "")))
    scene = scenes.plain_answer("Why?", scenes.prose(100), seed="reloaded")
    stage.texts, stage.pause = scenes.socket_answer(scene, duplicates=0.3), 0.02
    options = {"chatgpt_db": database}
    with (
        loopback.Service(stage.respond) as service,
        loopback.Proxy(service, confdir=tmp_path / "conf", scripts=[copy], options=options) as proxy,
    ):
        proxy.wait_for_log("capturing", 10)
        running = Capturing(database, service, proxy)
        heard: list[list[loopback.Text]] = []
        listening = threading.Thread(target=lambda: heard.append(asyncio.run(listen(running))[0]))
        listening.start()
        running.wait("SELECT 1 FROM messages WHERE live AND length(text) > 40")
        os.utime(copy, (time.time() + 5, time.time() + 5))
        listening.join()
        assert heard == [list(stage.texts)]
        assert sum("capturing" in line for line in proxy.log) == 2
        running.wait("SELECT 1 FROM streams WHERE state = 'complete' AND name <> 'updates'")
        assert_captured(running, scene)
        assert proxy.stop() == 0

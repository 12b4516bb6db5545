import json
import random
from pathlib import Path
from typing import Any

import pytest

from addon.answers.legs import no_legs
from addon.captures import Surroundings, capture_of
from addon.exchange import Closing
from addon.importing.har import exchange_of
from addon.records import AbandonedTopics
from addon.sockets.socket_capture import MAX_TOPICS, MAX_TOPICS_AT_ONCE
from addon.sockets.topics import MAX_WAIT_MICROSECONDS
from addon.upkeep.reparse import reparse
from addon.wire.evidence import decompress
from scripts import scenes
from tests.recording import FINISHED, STARTED, Archive, Row, archive_at, message, opening, request, sometimes
from tests.sockets import Line, assert_told, texts_of

SCENE = scenes.search_answer("Why?", scenes.prose(30) + " [1]", seed="topic")
ITEMS = texts_of(scenes.topic_items(SCENE))
TOPIC = scenes.topic_of(SCENE)
SAID = scenes.plain_answer("Why?", scenes.prose(20), seed="2024", encoding="v0")


@pytest.fixture
def line(archive: Archive) -> Line:
    return Line(archive)


def topics(archive: Archive) -> list[Row]:
    return archive.rows("SELECT * FROM streams WHERE name <> 'updates' ORDER BY started_at, id")


def body(archive: Archive, stream_id: str) -> bytes:
    return decompress(archive.row("SELECT body FROM stream_bodies WHERE stream_id = ?", stream_id)["body"])


def essence(archive: Archive) -> dict[str, list[str]]:
    """All rows of all tables but for when, how often and in what order they came."""
    delivery = {"n", "message_n", "wire_bytes", "body_bytes", "parameters"}
    tables = archive.dump()
    del tables["stream_bodies"]
    for rows in tables.values():
        for row in rows:
            for name in [name for name in row if name.endswith("_at") or name in delivery]:
                del row[name]
    return {table: sorted(map(str, rows)) for table, rows in tables.items()}


def test_a_topic_is_a_stream_of_its_own(line: Line) -> None:
    page = line.page()
    page.says(scenes.subscribe(TOPIC))
    page.hears(*ITEMS)
    page.end()
    assert_told(line.archive, SCENE)
    (stream,) = topics(line.archive)
    assert (stream["id"], stream["kind"], stream["name"]) == (f"flow:{TOPIC}", "topic", TOPIC)
    assert (stream["state"], stream["error"], stream["encoding"]) == ("complete", None, "v1")
    assert json.loads(stream["parameters"]) == {"offset": "0"}
    assert stream["turn_exchange_id"] == TOPIC.removeprefix("conversation-turn-")
    assert stream["conversation_id"] == SCENE.conversation_id
    assert stream["event_count"] == len(SCENE.events)  # [DONE] is none, `done` is one
    assert stream["first_token_at"] is not None


def test_a_socket_may_speak_json_in_binary_messages(line: Line) -> None:
    page = line.page()
    page.says(scenes.subscribe(TOPIC).encode())
    page.hears(*(item.encode() for item in ITEMS))
    page.end()
    assert_told(line.archive, SCENE)
    (stream,) = topics(line.archive)
    assert (stream["state"], json.loads(stream["parameters"])) == ("complete", {"offset": "0"})


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r"], ids=["none", "LF", "CR LF", "CR"])
def test_items_may_lack_the_blank_line_that_ends_their_event(line: Line, end: str) -> None:
    page = line.page()
    for item in scenes.topic_items(SCENE):
        inner = item["payload"]["payload"]
        if "encoded_item" in inner:
            inner["encoded_item"] = inner["encoded_item"].rstrip("\n") + end
        page.hears(json.dumps(item))
    page.end()
    assert_told(line.archive, SCENE)
    (stream,) = topics(line.archive)
    assert (stream["state"], stream["unrecognised_count"], stream["event_count"]) == ("complete", 0, len(SCENE.events))
    before = line.archive.dump()
    assert not reparse(line.archive.path).changed
    assert line.archive.dump() == before


def test_the_body_names_the_items_it_holds(line: Line) -> None:
    page = line.page()
    page.hears(*ITEMS)
    page.end()
    kept = body(line.archive, f"flow:{TOPIC}")
    for item in scenes.topic_items(SCENE)[:-1]:
        identity = item["payload"]["payload"]["stream_item_id"]
        assert f": offset={item['offset']} item={identity}\n".encode() in kept
    assert all(secret.encode() not in kept for secret in SCENE.secrets)


def conversations_with(chance: random.Random) -> list[str]:
    """A socket's messages: duplicates of all kinds, live items ahead of the catchups, heartbeats."""
    items = scenes.topic_items(SCENE)
    ahead = chance.randrange(1, 12)
    caught_up = chance.randrange(1, len(items) // 2)
    messages: list[Any] = [*items[caught_up : caught_up + ahead], scenes.subscribed(TOPIC, items[:caught_up])]
    for number in range(caught_up, len(items)):
        window = items[max(0, number - 5) : number + 1]
        again = [chance.choice(window) for _ in range(chance.randrange(4))]
        messages.append([*again, items[number]] if chance.random() < 0.5 else items[number])
        messages += again
        if chance.random() < 0.1:
            messages.append(scenes.heartbeat(SCENE))
        if chance.random() < 0.05:
            messages.append(scenes.subscribed(TOPIC, items[: number + 1]))
    return texts_of(messages)


@pytest.mark.parametrize("seed", range(25))
def test_rows_do_not_depend_on_how_a_topic_is_delivered(tmp_path: Path, seed: int) -> None:
    with archive_at(tmp_path / "plain.db") as plain:
        page = Line(plain).page()
        page.hears(*ITEMS)
        page.end()
        expected = essence(plain)
    chance = random.Random(seed)
    with archive_at(tmp_path / "delivered.db") as archive:
        line = Line(archive)
        page = line.page()
        for text in conversations_with(chance):
            page.hears(text, look=sometimes(chance))
            if chance.random() < 0.05:
                page.pause()
                if chance.random() < 0.5:
                    line.restart()
        page.end()
        assert_told(archive, SCENE)
        assert essence(archive) == expected


@pytest.mark.parametrize("seed", range(10))
def test_a_recorder_that_is_killed_reads_its_burst_again(line: Line, seed: int) -> None:
    chance = random.Random(seed)
    page, messages = line.page(), conversations_with(chance)
    burst: list[str] = []
    for text in messages:
        page.hears(text, look=sometimes(chance))
        burst.append(text)
        if chance.random() < 0.05:
            page.pause()
            burst = []
        elif chance.random() < 0.05:
            page.lose_recorder()
            line.at -= 1000 * len(burst)
            page.hears(*burst)
    page.end()
    assert_told(line.archive, SCENE)
    (stream,) = topics(line.archive)
    assert (stream["state"], stream["error"], stream["unrecognised_count"]) == ("complete", None, 0)
    assert body(line.archive, stream["id"]).count(b"event: delta_encoding") == 1


def test_what_came_before_a_pause_is_stored_as_far_as_it_came(line: Line) -> None:
    page = line.page()
    page.hears(*ITEMS[:40])
    page.pause()
    (stream,) = topics(line.archive)
    assert (stream["state"], stream["ended_at"] is None) == ("streaming", False)
    assert body(line.archive, stream["id"]).count(b"item=") == 40
    assert line.archive.row("SELECT count(*) AS n FROM messages WHERE live")["n"] == 1


def test_a_missing_item_is_on_record_and_what_may_lack_it_is_damaged(line: Line) -> None:
    page, at = line.page(), 40
    page.hears(*ITEMS[:at], *ITEMS[at + 1 : at + 3])
    page.hears(*ITEMS[at + 3 :], after=MAX_WAIT_MICROSECONDS)
    page.end()
    (stream,) = topics(line.archive)
    assert (stream["state"], stream["error"]) == ("error", "a part of this answer never came")
    assert line.archive.row("SELECT type, recognised FROM events WHERE NOT recognised") == {
        "type": "missing_item",
        "recognised": 0,
    }
    damaged = line.archive.rows("SELECT id FROM messages WHERE damaged")
    assert len(damaged) == 1
    assert body(line.archive, stream["id"]).count(b"item=") == len(SCENE.events) - 1


def test_an_item_that_comes_late_is_waited_for(line: Line) -> None:
    page = line.page()
    page.hears(*ITEMS[:40], *ITEMS[41:60], ITEMS[40], *ITEMS[60:])
    page.end()
    assert_told(line.archive, SCENE)


def test_what_waits_for_the_item_before_it_is_not_lost_with_the_recorder(line: Line) -> None:
    """The recorder is killed while it waits: what came is read, and what is missing said."""
    page, at = line.page(), len(ITEMS) - 6
    page.hears(*ITEMS[:at], *ITEMS[at + 1 : at + 3])
    page.pause()
    line.restart()
    page.hears(*ITEMS[at + 3 :])
    page.end()
    (stream,) = topics(line.archive)
    assert (stream["state"], stream["error"]) == ("error", "a part of this answer never came")
    kept = body(line.archive, stream["id"])
    assert kept.count(b"item=") == len(ITEMS) - 2
    assert line.archive.row("SELECT count(*) AS n FROM events WHERE type = 'missing_item'") == {"n": 1}
    assert all(secret.encode() not in kept for secret in SCENE.secrets)


@pytest.mark.parametrize("restart", [False, True])
def test_an_item_that_comes_after_a_pause_takes_its_place(line: Line, restart: bool) -> None:
    page = line.page()
    page.hears(*ITEMS[:40], *ITEMS[41:44])
    page.pause()
    if restart:
        line.restart()
    page.hears(ITEMS[40], *ITEMS[44:])
    page.end()
    assert_told(line.archive, SCENE)
    (stream,) = topics(line.archive)
    assert (stream["state"], stream["event_count"]) == ("complete", len(SCENE.events))
    assert body(line.archive, stream["id"]).count(b"item=") == len(ITEMS) - 1


def test_another_socket_goes_on_where_the_page_had_come_to(line: Line) -> None:
    """A reload: the new socket asks from an offset on, and brings no beginning."""
    first = line.page("first")
    first.hears(*ITEMS[:40])
    first.end(Closing("cut"))
    second = line.page("second")
    second.says(scenes.subscribe(TOPIC, scenes.topic_items(SCENE)[37]["offset"]))
    second.hears(json.dumps(scenes.subscribed(TOPIC, scenes.topic_items(SCENE)[38:50])), *ITEMS[50:])
    second.end()
    assert [(stream["id"], stream["state"]) for stream in topics(line.archive)] == [
        (f"first:{TOPIC}", "interrupted"),
        (f"second:{TOPIC}", "complete"),
    ]
    assert_told(line.archive, SCENE)


def test_another_tab_goes_on_from_one_that_is_still_open(line: Line) -> None:
    first, second = line.page("first"), line.page("second")
    first.hears(*ITEMS[:40])
    second.hears(*ITEMS[38:])
    first.hears(*ITEMS[40:])
    first.end()
    second.end()
    assert [stream["state"] for stream in topics(line.archive)] == ["complete", "complete"]
    assert_told(line.archive, SCENE)


def test_a_topic_that_begins_in_the_middle_of_nothing_known_corrupts_nothing(line: Line) -> None:
    known = scenes.search_answer("Why?", scenes.prose(30) + " [1]", seed="topic")
    line.archive.record(known.body)
    before = line.archive.rows("SELECT id, text, status FROM messages ORDER BY n")
    page = line.page()
    page.hears(*ITEMS[30:])
    page.end()
    stream = line.archive.stream(f"flow:{TOPIC}")
    assert (stream["state"], stream["error"]) == ("error", "a part of this answer never came")
    assert line.archive.row("SELECT count(*) AS n FROM events WHERE type = 'missing_item'")["n"] == 1
    assert line.archive.rows("SELECT id, text, status FROM messages ORDER BY n") == before
    assert body(line.archive, stream["id"]).count(b"item=") == len(ITEMS) - 31


def test_the_form_of_2024_is_joined_and_read_once(line: Line) -> None:
    page = line.page()
    for number, text in enumerate(scenes.socket_answer_2024(SAID, size=70)):
        page.hears(text)
        if number % 40 == 39:
            page.pause()
            line.restart()
    page.end()
    assert_told(line.archive, SAID)
    (stream,) = topics(line.archive)
    assert (stream["id"], stream["encoding"], stream["state"]) == (f"flow:{SAID.answer_id}-LAX", "v0", "complete")
    assert stream["unrecognised_count"] == 0


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_items_may_be_cut_anywhere(line: Line, size: int) -> None:
    stream, topic = SCENE.body.decode(), TOPIC
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)][: 4000 // size * 10]
    items = []
    for number, piece in enumerate(pieces):
        inner = {
            "type": "stream-item",
            "encoded_item": piece,
            "stream_item_id": f"i{number}",
            "parent_stream_item_id": f"i{number - 1}" if number else None,
        }
        items.append(
            {
                "type": "message",
                "topic_id": topic,
                "offset": f"{number}-0",
                "payload": {"type": "conversation-turn-stream", "payload": inner},
            }
        )
    chance = random.Random(size)
    page = line.page()
    for number, item in enumerate(items):
        page.hears(json.dumps([item, items[chance.randint(max(0, number - 4), number)]]))
        if number == len(items) // 2:
            page.pause()
            line.restart()
    page.end()
    assert line.archive.stream(f"flow:{topic}")["unrecognised_count"] <= 1  # the event that was cut at the end
    if size > 7:
        assert_told(line.archive, SCENE)


def test_an_update_is_an_event_and_a_message(line: Line) -> None:
    page = line.page()
    page.hears(*scenes.image_updates(SCENE), scenes.title_update("other", "Another"), '{"type":"news","x":1}')
    page.end()
    streams = line.archive.rows("SELECT * FROM streams ORDER BY id")
    assert {(stream["name"], stream["state"], stream["conversation_id"]) for stream in streams} == {
        ("updates", "complete", SCENE.conversation_id), ("updates", "complete", "other"), ("updates", "complete", None),
    }  # fmt: skip
    events = line.archive.rows("SELECT type, recognised, count(*) AS n FROM events GROUP BY type ORDER BY type")
    assert [tuple(row.values()) for row in events] == [("conversation-update", 1, 5), ("news", 0, 1)]
    (image,) = line.archive.rows("SELECT status, task_id FROM image_generations")
    assert image == {"status": "complete", "task_id": "chatimagegen-async"}
    assert line.archive.row("SELECT title FROM conversations WHERE id = 'other'") == {"title": "Another"}


def told_together(*accounts: tuple[str, str, str]) -> str:
    """One message of the socket with several accounts of an answer: kind, status and text of each."""
    updates = [
        {"type": kind, "conversation_id": "talk", "message": message("tide", text, status=status)}
        for kind, status, text in accounts
    ]
    return json.dumps({"type": "conversation-updates", "payload": {"updates": updates}})


@pytest.mark.parametrize(
    ("accounts", "versions"),
    [
        pytest.param(
            [("add-turn-message", FINISHED), ("replace-turn-message", FINISHED)], ["account 0"], id="replaced"
        ),
        pytest.param([("upsert-turn-message", "in_progress")] * 2, [], id="growing"),
        pytest.param([("add-turn-message", "in_progress"), ("upsert-turn-message", FINISHED)], [], id="finished"),
        pytest.param([("upsert-turn-message", FINISHED)] * 3, ["account 0", "account 1"], id="thrice"),
    ],
)
def test_of_several_accounts_of_a_message_in_one_event_the_last_counts(
    line: Line, accounts: list[tuple[str, str]], versions: list[str]
) -> None:
    page = line.page()
    page.hears(told_together(*((*account, f"account {n}") for n, account in enumerate(accounts))))
    page.end()
    for _ in range(2):
        assert line.archive.message("tide")["text"] == f"account {len(accounts) - 1}"
        known = line.archive.rows("SELECT text FROM message_versions ORDER BY revision")
        assert [row["text"] for row in known] == versions
        reparse(line.archive.path)


def test_what_an_array_of_items_says_last_of_a_message_counts(line: Line) -> None:
    """The topic of the answer and the news beside it are two streams; the array is in order all the same."""
    content = {"content_type": "text", "parts": ["Corrected."]}
    said = {**SCENE.messages[SCENE.answer_id], "content": content}
    news = {"conversation_id": SCENE.conversation_id, "type": "replace-turn-message", "message": said}
    update = {"type": "conversation-updates", "payload": {"updates": [news]}}
    page = line.page()
    page.hears(json.dumps([*scenes.topic_items(SCENE), update]))
    page.end()
    assert line.archive.message(SCENE.answer_id)["text"] == "Corrected."


def test_updates_that_are_caught_up_are_read_once(line: Line) -> None:
    page, updates = line.page(), scenes.image_updates(SCENE)
    page.hears(*updates)
    page.hears(json.dumps(scenes.subscribed("conversations", [json.loads(update) for update in updates])))
    page.end()
    assert line.archive.count("events") == len(updates)
    assert line.archive.row("SELECT status FROM image_generations") == {"status": "complete"}


def test_the_same_burst_read_again_changes_nothing(line: Line) -> None:
    def play() -> None:
        line.restart()
        line.at = STARTED
        page = line.page()
        page.hears(*ITEMS[:50], *scenes.image_updates(SCENE), *ITEMS[50:], '{"type":"news"}', b"\x00")
        page.end()

    play()
    before = line.archive.dump()
    play()
    after = line.archive.dump()
    for table, rows in before.items():
        assert sorted(map(str, after[table])) == sorted(map(str, rows)), table


def test_a_turn_that_is_complete_elsewhere_is_over(line: Line) -> None:
    """`done` was lost; the conversations' own topic tells that the turn has ended."""
    page = line.page()
    page.hears(*ITEMS[:-2], json.dumps(scenes.turn_complete(SCENE)))
    page.pause()
    (stream,) = topics(line.archive)
    assert (stream["state"], stream["error"]) == ("complete", None)


def test_an_answer_is_reported_once_when_it_ends(line: Line) -> None:
    page = line.page()
    page.hears(*ITEMS, *ITEMS)
    (capture,) = line.sockets.take_finished()
    summary = capture.summary()
    assert summary is not None
    assert (summary.state, summary.characters) == ("complete", len(SCENE.text))
    page.end()
    assert line.sockets.take_finished() == []


def test_what_is_open_when_the_proxy_is_gone_ends_there(line: Line) -> None:
    page = line.page()
    page.hears(*ITEMS[:40])
    page.pause()
    line.expire()
    (stream,) = topics(line.archive)
    assert (stream["state"], stream["error"]) == ("interrupted", "the proxy was killed")
    assert line.archive.rows("SELECT 1 FROM messages WHERE live") == []


def test_the_state_of_topics_is_bounded_and_nothing_is_lost_by_that(line: Line) -> None:
    page = line.page()
    many = [scenes.plain_answer("Why?", f"Answer {n}.", seed=f"many{n}") for n in range(3 * MAX_TOPICS)]
    halves = [texts_of(scenes.topic_items(scene)) for scene in many]
    for number, texts in enumerate(halves):
        page.hears(*texts[:9])
        if number % 50 == 49:
            page.pause()
            assert len(line.sockets.of("flow").topics) <= MAX_TOPICS
    for texts in halves:
        page.hears(*texts[9:])
    page.end()
    streams = topics(line.archive)
    assert len(streams) == len(many)
    assert {(stream["state"], stream["unrecognised_count"]) for stream in streams} == {("complete", 0)}
    for scene in many:
        assert line.archive.message(scene.answer_id)["text"] == scene.text


def test_the_state_of_topics_is_bounded_within_a_burst_too(line: Line) -> None:
    page, encoded = line.page(), 'event: delta_encoding\ndata: "v1"\n\n'
    for number in range(MAX_TOPICS_AT_ONCE + 5):
        inner = {"type": "stream-item", "turn_id": f"{number}", "encoded_item": encoded, "stream_item_id": "a"}
        page.hears(json.dumps({"type": "conversation-turn-stream", "payload": inner}))
    assert len(line.sockets.of("flow").topics) == MAX_TOPICS_AT_ONCE
    page.end()
    assert len(topics(line.archive)) == MAX_TOPICS_AT_ONCE + 5


def test_finished_topics_are_not_held_beyond_their_burst(line: Line) -> None:
    page = line.page()
    page.hears(*ITEMS)
    page.pause()
    assert len(line.sockets.of("flow").topics) == 0
    page.hears(*ITEMS[5:])
    page.pause()
    assert_told(line.archive, SCENE)
    assert topics(line.archive)[0]["state"] == "complete"


def test_the_socket_of_a_har_makes_the_same_rows(line: Line, tmp_path: Path) -> None:
    texts = [*ITEMS[:50], *scenes.image_updates(SCENE), *ITEMS[50:]]
    page = line.page()
    page.says(scenes.subscribe(TOPIC))
    page.hears(*texts)
    page.end()
    said = [{"type": "send", "opcode": 1, "data": scenes.subscribe(TOPIC), "time": STARTED / 1e6}]
    heard = [
        {"type": "receive", "opcode": 1, "data": text, "time": STARTED / 1e6 + n / 1000} for n, text in enumerate(texts)
    ]
    asked = {"method": "GET", "url": scenes.SOCKET_URL}
    entry = {"request": asked, "response": {"status": 101}, "_webSocketMessages": said + heard}
    exchange = exchange_of(entry, "flow", STARTED)
    assert exchange is not None
    with archive_at(tmp_path / "har.db") as other:
        capture = capture_of(exchange.opening, b"", Surroundings(legs=other.store.legs))
        records = [record for at, chunk in exchange.body.chunks for record in capture.feed(chunk, at)]
        other.store.write(records + capture.close(Closing("end"), exchange.ended_at))
        assert_told(other, SCENE)
        for table in ("messages", "image_generations", "citations", "events", "streams", "conversations"):
            assert other.count(table) == line.archive.count(table) > 0


def test_hostile_messages_are_kept_and_harm_nothing(line: Line) -> None:
    page = line.page()
    deep = '{"type":"message","payload":' * 500 + "{}" + "}" * 500
    odd: list[str | bytes] = [
        "", "{", "[" * 10_000, deep, "null", "[[[]]]", '"text"', "1e999", '{"type":"message"}', b"\xff" * 1000, "\ud7ff",
        json.dumps([{"type": "conversation-turn-stream", "payload": {"type": "stream-item", "turn_id": "x", "encoded_item": "no event at all"}}] * 50),
        json.dumps({"type": "message", "topic_id": "t" * 5000, "payload": {"type": "conversation-turn-stream", "payload": {"type": "done"}}}),
    ]  # fmt: skip
    page.hears(*odd)
    page.says(*odd)
    page.end()
    assert no_legs("name", "x", page.burst.opening) == []
    assert line.archive.row("SELECT count(*) AS n FROM events WHERE NOT recognised")["n"] >= 10


def test_an_answer_of_a_chat_that_is_left_out_is_left_out_here_too(line: Line) -> None:
    said: dict[str, Any] = {"seed": "temporary", "user_message_id": "user"}
    answer = scenes.plain_answer("Why?", scenes.prose(20), **said)
    around = Surroundings(sockets=line.sockets)
    send = capture_of(opening(keep_temporary=False), request("user", history_and_training_disabled=True), around)
    assert send.feed(scenes.handoff("Why?", **said).body, STARTED) == []
    assert send.close(Closing("end"), STARTED) == []
    page = line.page(keep_temporary=False)
    page.hears(*scenes.socket_answer(answer), *scenes.image_updates(answer), *ITEMS)
    page.end()
    assert {stream["name"] for stream in topics(line.archive)} == {TOPIC}
    assert line.archive.rows("SELECT 1 FROM messages WHERE conversation_id = ?", answer.conversation_id) == []
    assert_told(line.archive, SCENE)


def test_topics_that_nobody_follows_any_more_are_settled(line: Line) -> None:
    page, other = line.page(), scenes.plain_answer("Why?", scenes.prose(30), seed="other")
    page.hears(*ITEMS[:40])
    page.pause()
    line.at += 600_000_000
    page.hears(*texts_of(scenes.topic_items(other))[:20])
    page.pause()
    line.archive.store.write([AbandonedTopics(line.at - 60_000_000, "the proxy was killed")])
    assert [(stream["name"], stream["state"]) for stream in topics(line.archive)] == [
        (TOPIC, "interrupted"),
        (scenes.topic_of(other), "streaming"),
    ]
    assert line.archive.row("SELECT count(*) AS n FROM messages WHERE live")["n"] == 1
    line.restart()
    page.hears(*ITEMS[40:])
    page.pause()
    assert topics(line.archive)[0]["state"] == "complete"
    assert line.archive.message(SCENE.answer_id)["text"] == SCENE.text
    page.end()


def test_a_topic_without_end_is_cut_off_and_says_so(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("addon.sockets.order.MAX_PIECES", 40)
    page = line.page()
    page.hears(*ITEMS)
    page.end()
    (stream,) = topics(line.archive)
    assert (stream["state"], stream["error"]) == ("error", "a part of this answer never came")
    assert line.archive.row("SELECT count(*) AS n FROM events WHERE type = 'missing_item'")["n"] == 1
    assert body(line.archive, stream["id"]).count(b"item=") == 40


def test_topics_and_updates_can_be_read_again(archive: Archive) -> None:
    line = Line(archive)
    send = scenes.handoff("Why?", seed="topic", user_message_id="user")
    archive.record(send.body, request("user", model="gpt-5-5-pro"), stream_id="send")
    first, second, old = line.page("first"), line.page("second"), line.page("old")
    first.says(scenes.subscribe(TOPIC))
    first.hears(*ITEMS[:40])
    first.pause()
    line.restart()
    second.hears(*ITEMS[38:], *scenes.image_updates(SCENE), '{"type":"news"}', b"\x00")
    second.end()
    first.end(Closing("cut"))
    old.hears(*scenes.socket_answer_2024(SAID))
    old.end()
    other = scenes.reasoning_answer("And?", scenes.prose(30), seed="gap")
    items = texts_of(scenes.topic_items(other))
    old.hears(*items[:30], *items[31:])
    old.end()
    assert archive.count("events") > 10
    report = reparse(archive.path)
    assert report.without_evidence == 0
    assert report.streams == archive.count("streams")
    assert {table: changes for table, changes in report.tables.items() if changes} == {}

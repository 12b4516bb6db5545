"""Turns: each once, with the right answer, however many exchanges it came in; and what of the capture to look at."""

import json
from typing import Any

import pytest

from addon.exchange import Closing
from addon.records import Run
from addon.upkeep.reparse import reparse
from scripts import scenes
from tests.recording import (
    ENDED,
    FINISHED,
    STARTED,
    STATUS,
    TEXT,
    Archive,
    delta,
    envelope,
    event,
    message,
    request,
    shown,
    v0,
    v1,
)
from tests.test_resume import ANSWER, DONE, SECOND, asked, resume, send

LATER = STARTED + 60_000_000
DONE_PATCH = [{"p": STATUS, "o": "replace", "v": FINISHED}, {"p": "/message/end_turn", "o": "replace", "v": True}]


def answer(identity: str, text: str, turn: str | None = None, *, done: bool = True) -> bytes:
    """A whole v1 answer, or one that breaks off."""
    about = {"turn_exchange_id": turn} if turn else {}
    end = [delta("", "patch", DONE_PATCH), {"type": "message_stream_complete"}] if done else []
    return v1(shown(message(identity, metadata=about)), delta(TEXT, "append", text), *end, done=done)


def turns(archive: Archive) -> list[tuple[Any, ...]]:
    rows = archive.rows("SELECT prompt_message_id, answer, state FROM turns ORDER BY started_at, stream_id")
    return [tuple(row.values()) for row in rows]


def completeness(archive: Archive) -> list[tuple[Any, ...]]:
    rows = archive.rows("SELECT completeness, legs FROM turn_completeness ORDER BY started_at, stream_id")
    return [tuple(row.values()) for row in rows]


def test_an_answer_in_legs_is_one_turn(archive: Archive) -> None:
    send(archive, ANSWER[:5])
    resume(archive, ANSWER[4:6], 4)
    resume(archive, [*ANSWER[6:], DONE], 6, number=2)
    resume(archive, [], 9, number=3, status_code=410, streamed=False, content_type="application/json")
    assert turns(archive) == [("U", "So it goes on", "complete")]
    assert completeness(archive) == [("complete", 4)]
    row = archive.row("SELECT * FROM turns")
    assert (row["stream_id"], row["requested_model"]) == ("stream", "gpt-5-5")
    assert row["started_at"] == archive.stream()["started_at"]
    assert 0 < row["seconds_to_first_token"] < 1
    assert 2 < row["seconds"] < 3


def test_of_several_attempts_the_last_that_came_to_its_end_counts(archive: Archive) -> None:
    archive.record(answer("A1", "First", "t1", done=False), request("U"), stream_id="1", closing=Closing("cut"))
    archive.record(answer("A2", "Second", "t2"), request("U"), stream_id="2", started_at=STARTED + 1)
    archive.record(answer("A3", "Third", "t3"), request("U"), stream_id="3", started_at=STARTED + 2)
    archive.record(answer("A4", "Fou", "t4", done=False), request("U"), stream_id="4", started_at=STARTED + 3, closing=Closing("cut"))  # fmt: skip
    archive.record(b"", request("U"), stream_id="5", started_at=STARTED + 4, status_code=500, streamed=False)
    assert turns(archive) == [("U", "Third", "complete")]
    assert completeness(archive) == [("complete", 5)]


def test_a_send_that_failed_before_its_conversation_had_a_name_is_of_the_one_that_was_tried_again(
    archive: Archive,
) -> None:
    archive.record(b"", request("U"), stream_id="1", status_code=500, streamed=False)
    archive.record(answer("A", "Second"), request("U"), stream_id="2", started_at=STARTED + 1)
    archive.record(b"", request("U"), stream_id="3", started_at=STARTED + 2, status_code=500, streamed=False)
    assert archive.row("SELECT DISTINCT conversation_id FROM streams") == {"conversation_id": "talk"}
    row = archive.row("SELECT conversation_id, prompt, answer FROM turns")
    assert row == {"conversation_id": "talk", "prompt": "Why are there tides?", "answer": "Second"}


@pytest.mark.parametrize("action", ["variant", "continue"])
def test_an_answer_that_is_regenerated_or_continued_is_a_turn_of_its_own(archive: Archive, action: str) -> None:
    archive.record(answer("A1", "First", "t1"), request("U"), stream_id="1")
    archive.record(answer("A2", "Second", "t2"), request("U", action=action), stream_id="2", started_at=LATER)
    archive.record(answer("A3", "Thi", "t3", done=False), request("U", action=action), stream_id="3", started_at=LATER + 1, closing=Closing("cut"))  # fmt: skip
    resume(archive, [event({"v": "rd"}, "delta"), event(delta("", "patch", DONE_PATCH), "delta"), DONE], 3, number=70)
    assert turns(archive) == [("U", "First", "complete"), ("U", "Second", "complete"), ("U", "Third", "complete")]
    assert completeness(archive) == [("complete", 1), ("complete", 1), ("complete", 2)]


def handed_off(archive: Archive) -> scenes.Scene:
    first = scenes.handoff("Why?", seed="handed")
    archive.record(first.body, request(first.user_message_id, "Why?"), stream_id="post")
    return scenes.plain_answer("Why?", "Because.", seed="handed")


def test_an_answer_that_was_handed_over_is_not_there_until_it_is_found(archive: Archive) -> None:
    scene = handed_off(archive)
    assert turns(archive) == [(scene.user_message_id, None, "handed_off")]
    assert completeness(archive) == [("handed_off_and_not_found", 1)]
    archive.record(scene.body, asked(0, scene.conversation_id), stream_id="resume", kind="resume", started_at=LATER)
    assert turns(archive) == [(scene.user_message_id, "Because.", "complete")]
    assert completeness(archive) == [("handed_off_and_found", 2)]


def test_an_answer_that_was_handed_over_is_found_on_its_topic(archive: Archive) -> None:
    scene = handed_off(archive)
    name = scenes.topic_of(scene)
    archive.record(scene.body, stream_id="socket:topic", kind="topic", name=name, started_at=LATER)
    archive.record(v0({"type": "conversation-update"}), stream_id="socket:updates", kind="topic", name="updates")
    assert turns(archive) == [(scene.user_message_id, "Because.", "complete")]
    assert completeness(archive) == [("handed_off_and_found", 2)]


def test_an_answer_that_was_handed_over_is_found_in_a_document(archive: Archive) -> None:
    scene = handed_off(archive)
    document = scenes.conversation_document([scene])
    about = {"conversation_id": scene.conversation_id}
    archive.load("conversation", document, at=LATER, parameters=about)
    assert turns(archive) == [(scene.user_message_id, "Because.", "handed_off")]
    assert completeness(archive) == [("handed_off_and_found", 1)]


@pytest.mark.parametrize("topic", ["conversation-turn-turn", "conv-turn-low-ttl-turn"])
def test_a_topic_is_of_the_turn_that_its_name_says(archive: Archive, topic: str) -> None:
    archive.record(v1(HANDOFF), request("U", conversation_id="talk"), stream_id="post")
    archive.record(answer("A", "Because."), stream_id="socket:topic", kind="topic", name=topic, started_at=LATER)
    assert turns(archive) == [("U", "Because.", "complete")]
    assert completeness(archive) == [("handed_off_and_found", 2)]


def tree(*said: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    """A conversation document that names no turns: id, parent and message of each node."""
    nodes = {identity: {"id": identity, "parent": parent, "message": node} for identity, parent, node in said}
    return {"conversation_id": "talk", "mapping": nodes}


def asks(identity: str) -> dict[str, Any]:
    return message(identity, "Why?", author={"role": "user"}, status=FINISHED)


HANDOFF = {"type": "stream_handoff", "conversation_id": "talk", "turn_exchange_id": "turn", "options": []}
THOUGHT = message("T", content={"content_type": "thoughts", "thoughts": []}, status=FINISHED)
BECAUSE = message("A", "Because.", status=FINISHED, end_turn=True)


@pytest.mark.parametrize(
    ("nodes", "found"),
    [
        pytest.param([("U", "R", asks("U")), ("A", "U", BECAUSE)], "Because.", id="right below"),
        pytest.param([("U", "R", asks("U")), ("T", "U", THOUGHT), ("A", "T", BECAUSE)], "Because.", id="after thoughts"),
        pytest.param([("U", "R", asks("U")), ("V", "U", asks("V")), ("A", "V", BECAUSE)], None, id="of another question"),
        pytest.param([("U", "R", asks("U")), ("A", "B", BECAUSE), ("B", "A", THOUGHT)], None, id="in a circle"),
        pytest.param([("U", "R", asks("U")), ("T", "U", THOUGHT)], None, id="only thoughts"),
    ],
)  # fmt: skip
def test_an_answer_is_found_under_its_prompt_in_a_document_that_does_not_name_the_turn(
    archive: Archive, nodes: list[tuple[str, str, dict[str, Any]]], found: str | None
) -> None:
    archive.record(v1(HANDOFF), request("U", conversation_id="talk"), stream_id="post")
    archive.load("conversation", tree(*nodes), at=LATER, parameters={"conversation_id": "talk"})
    assert turns(archive) == [("U", found, "handed_off")]
    assert completeness(archive) == [("handed_off_and_found" if found else "handed_off_and_not_found", 1)]


def test_a_send_that_broke_off_before_its_answer_is_complete_when_a_document_has_it(archive: Archive) -> None:
    archive.record(v1(done=False), request("U", conversation_id="talk"), closing=Closing("cut"))
    archive.load("conversation", tree(("U", "R", asks("U")), ("A", "U", BECAUSE)), at=LATER, parameters={"conversation_id": "talk"})  # fmt: skip
    assert turns(archive) == [("U", "Because.", "interrupted")]
    assert completeness(archive) == [("complete", 1)]


def test_what_stood_under_the_prompt_before_is_no_answer_to_the_same_question_asked_again(archive: Archive) -> None:
    """Neither what another exchange brought, nor what a document had shown before."""
    archive.record(answer("A1", "First", "t1"), request("U"), stream_id="1")
    nodes = [("U", "R", asks("U")), ("A1", "U", message("A1", "First", status=FINISHED, end_turn=True)), ("A", "U", BECAUSE)]  # fmt: skip
    archive.load("conversation", tree(*nodes), at=STARTED + SECOND, parameters={"conversation_id": "talk"})
    again = request("U", action="variant", conversation_id="talk")
    archive.record(v1(HANDOFF), again, stream_id="2", started_at=LATER)
    assert completeness(archive) == [("complete", 1), ("handed_off_and_not_found", 1)]
    second = ("B", "U", message("B", "Second", status=FINISHED, end_turn=True))
    archive.load("conversation", tree(*nodes, second), at=LATER + SECOND, parameters={"conversation_id": "talk"})
    assert turns(archive) == [("U", "First", "complete"), ("U", "Second", "handed_off")]
    assert completeness(archive) == [("complete", 1), ("handed_off_and_found", 1)]


def test_the_hand_off_of_2024_and_its_bytes_are_one_turn(archive: Archive) -> None:
    said = b'{"wss_url": "wss://x/?t=1", "conversation_id": "talk", "response_id": "response-LAX"}'
    archive.record(said, request("U"), stream_id="post", streamed=False, content_type="application/json")
    body = v0(envelope(message("A", "Because.", status=FINISHED, end_turn=True)))
    archive.record(body, stream_id="socket:response", kind="topic", name="response-LAX", started_at=LATER)
    assert turns(archive) == [("U", "Because.", "complete")]
    assert completeness(archive) == [("handed_off_and_found", 2)]


def test_an_answer_that_a_document_completes_is_complete(archive: Archive) -> None:
    archive.record(answer("A", "Half", done=False), request("U"), closing=Closing("cut"))
    assert completeness(archive) == [("interrupted", 1)]
    node = {"id": "A", "parent": "U", "message": message("A", "Half and half", status=FINISHED, end_turn=True)}
    archive.load("conversation", {"conversation_id": "talk", "mapping": {"A": node}}, at=LATER, parameters={"conversation_id": "talk"})  # fmt: skip
    assert turns(archive) == [("U", "Half and half", "interrupted")]
    assert completeness(archive) == [("complete", 1)]


def test_an_image_that_is_still_being_made_is_told(archive: Archive) -> None:
    placeholder = message(
        "I",
        "Processing image",
        author={"role": "tool", "name": "t2uay3k.sj1i4kz"},
        status=FINISHED,
        metadata={"image_gen_task_id": "task", "image_gen_async": True},
    )
    archive.record(v0(envelope(placeholder)), request("U", "Draw"), closing=ENDED)
    assert completeness(archive) == [("pending_image", 1)]


def test_images_alone_are_what_was_handed_over_when_a_document_has_them(archive: Archive) -> None:
    """A turn of images may have no words of the assistant at its end."""
    scene = scenes.image_answer("Draw", "A tide", "Here.", seed="image", conversation_id="talk")
    tool, words = scene.messages[scene.images[0].message_id], scene.messages[scene.answer_id]
    archive.record(v1(HANDOFF), request(scene.user_message_id, conversation_id="talk"), stream_id="post")
    nodes = [(scene.user_message_id, "R", scene.messages[scene.user_message_id]), (tool["id"], scene.user_message_id, tool)]  # fmt: skip
    archive.load("conversation", tree(*nodes), at=LATER, parameters={"conversation_id": "talk"})
    assert words["id"] not in {row["id"] for row in archive.rows("SELECT id FROM messages")}
    assert completeness(archive) == [("handed_off_and_found", 1)]


def test_why_a_leg_failed_is_not_why_the_turn_did(archive: Archive) -> None:
    archive.record(v1(HANDOFF), request("U", conversation_id="talk"), stream_id="post")
    resume(archive, [], 0, status_code=410, streamed=False, content_type="application/json")
    assert named_completeness(archive) == ("handed_off_and_not_found", 2, None)


def named_completeness(archive: Archive) -> tuple[Any, ...]:
    return tuple(archive.row("SELECT completeness, legs, error FROM turn_completeness").values())


def test_a_part_that_nobody_saw_is_named_until_a_document_has_all(archive: Archive) -> None:
    send(archive, ANSWER[:4])
    resume(archive, ANSWER[5:7], 5)
    missing = "the earlier part of this answer is not stored"
    assert named_completeness(archive) == ("part_missing", 2, missing)
    resume(archive, [ANSWER[8], DONE], 8, number=2)
    assert archive.stream("leg 2")["state"] == "error"
    assert named_completeness(archive) == ("part_missing", 3, missing)
    whole = message("A", "So it goes on", status=FINISHED, end_turn=True)
    archive.load("conversation", tree(("U", "R", asks("U")), ("A", "U", whole)), at=LATER, parameters={"conversation_id": "talk"})  # fmt: skip
    assert named_completeness(archive)[:2] == ("complete", 3)


@pytest.mark.parametrize("keep_raw", [True, False], ids=["kept", "dropped"])
def test_a_leg_after_one_with_a_gap_is_of_its_turn_and_not_the_end_of_it(archive: Archive, keep_raw: bool) -> None:
    send(archive, ANSWER[:4], keep_raw=keep_raw)
    resume(archive, ANSWER[5:7], 5, keep_raw=keep_raw)
    resume(archive, [DONE], 7, number=2, keep_raw=keep_raw)
    assert [archive.stream(f"leg {n}")["request_message_id"] for n in (1, 2)] == ["U", "U"]
    assert named_completeness(archive)[:2] == ("part_missing", 3)


def test_an_item_that_never_came_on_a_topic_is_a_part_that_is_missing(archive: Archive) -> None:
    """Also where what came after it brought the answer to its end."""
    archive.record(v1(HANDOFF), request("U", conversation_id="talk"), stream_id="post")
    missing = {"type": "missing_item"}
    body = v1(shown(message("A")), delta(TEXT, "append", "So "), missing, delta("", "patch", DONE_PATCH))
    archive.record(body, stream_id="s:t", kind="topic", name="conversation-turn-turn", started_at=LATER)
    assert named_completeness(archive) == ("part_missing", 2, "a part of this answer never came")


def test_a_send_that_was_only_taken_is_no_hand_off_where_another_was_answered(archive: Archive) -> None:
    """The page may say to the same address, before or after, what it sent, and be answered in JSON (protocol 1a)."""
    json_answer: dict[str, Any] = {"streamed": False, "content_type": "application/json"}
    echo = json.dumps({"message": asks("U"), "conversation_id": "talk"}).encode()
    archive.record(echo, request("U"), stream_id="before", **json_answer)
    assert named_completeness(archive) == ("handed_off_and_not_found", 1, None)
    archive.record(answer("A", "Because.", "t"), request("U", conversation_id="talk"), started_at=STARTED + 1)
    archive.record(b"{}", request("U", conversation_id="talk"), stream_id="after", started_at=LATER, **json_answer)
    assert named_completeness(archive) == ("complete", 3, None)
    assert turns(archive) == [("U", "Because.", "complete")]


def test_a_send_may_be_answered_by_the_whole_message_as_json(archive: Archive) -> None:
    said = json.dumps(envelope(message("A", "Because.", status=FINISHED, end_turn=True))).encode()
    archive.record(said, request("U"), streamed=False, content_type="application/json")
    assert (archive.stream()["state"], archive.stream()["error"]) == ("complete", None)
    assert turns(archive) == [("U", "Because.", "complete")]
    assert not reparse(archive.path).changed


def test_a_send_that_failed_and_was_then_handed_over_is_counted_as_not_found(archive: Archive) -> None:
    archive.record(b"", request("U"), stream_id="1", status_code=500, streamed=False)
    archive.record(v1(HANDOFF), request("U"), stream_id="2", started_at=STARTED + 1)
    assert completeness(archive) == [("handed_off_and_not_found", 2)]
    assert health(archive)["turns_not_found"][:2] == (1, 1)


def test_what_failed_is_an_error(archive: Archive) -> None:
    archive.record(b"", request("U"), stream_id="1", status_code=500, streamed=False)
    archive.record(v1(shown(message("A"))), request("U2"), stream_id="2", closing=None, started_at=LATER)
    assert completeness(archive) == [("error", 1), ("streaming", 1)]
    assert archive.row("SELECT error FROM turn_completeness WHERE completeness = 'error'")["error"].startswith(
        "HTTP 500"
    )


def health(archive: Archive) -> dict[str, tuple[Any, int, Any]]:
    rows = archive.rows("SELECT name, value, attention, detail FROM capture_health")
    assert len({row["name"] for row in rows}) == len(rows)
    return {row["name"]: (row["value"], row["attention"], row["detail"]) for row in rows}


def test_an_archive_in_good_health_asks_for_no_attention(archive: Archive) -> None:
    assert not any(attention for _, attention, _ in health(archive).values())
    send(archive, [*ANSWER, DONE], ENDED)
    archive.store.write([Run("run", STARTED, streams=1, uncaptured=0, lost_chunks=0, lost_bytes=0)])
    found = health(archive)
    assert not any(attention for _, attention, _ in found.values())
    assert found["streams_complete"][0] == 1
    assert found["last_captured_at"][0] == archive.stream()["started_at"]


def test_what_a_person_should_look_at_is_counted(archive: Archive) -> None:
    handed_off(archive)
    archive.record(b"", request("U"), stream_id="refused", status_code=403, streamed=False, content_type="text/html")
    archive.record(answer("A", "Half", done=False), stream_id="cut", closing=Closing("cut"))
    archive.record(v1(shown(message("B", "hole")), event(b"torn", "delta"), {"type": "brand_new"}), stream_id="odd")
    image = scenes.image_answer("Draw", "A tide", "Here.", seed="image")
    archive.record(image.body, stream_id="image")
    archive.store.write([Run("run", STARTED, streams=1, uncaptured=2, lost_chunks=3, lost_bytes=4000)])
    found = {name: (value, attention) for name, (value, attention, _) in health(archive).items() if value}
    del found["last_captured_at"]
    assert found == {
        "streams_complete": (2, 0),
        "streams_handed_off": (1, 0),
        "streams_interrupted": (1, 0),
        "streams_error": (1, 1),
        "turns_not_found": (1, 1),
        "events_unrecognised": (3, 1),
        "messages_damaged": (1, 1),
        "messages_unfinished": (2, 0),
        "images_without_file": (len(image.images), 0),
        "chunks_lost": (3, 1),
        "exchanges_uncaptured": (2, 1),
    }
    assert health(archive)["chunks_lost"][2] == "4000 bytes"
    assert set(health(archive)["events_unrecognised"][2].split(",")) == {
        "answer_without_events",
        "brand_new",
        "unparsable",
    }


@pytest.mark.parametrize("view", ["turns", "turn_completeness"])
def test_legs_are_found_by_index(archive: Archive, view: str) -> None:
    plan = [row["detail"] for row in archive.rows(f"EXPLAIN QUERY PLAN SELECT * FROM {view}")]
    # What has been walked up of one answer, in memory, is gone through again.
    scanned = [step for step in plan if step.startswith("SCAN") and step != "SCAN above"]
    assert len([step for step in scanned if "CONSTANT" not in step]) <= 2, plan

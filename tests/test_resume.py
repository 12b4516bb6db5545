"""An answer in several exchanges: a resume goes on where the page had read to, and the rows are those of one exchange."""

import json
import random
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from addon.answers.capture import Capture
from addon.answers.legs import Leg, no_legs
from addon.exchange import Closing
from scripts import scenes
from tests.recording import (
    ENDED,
    FINISHED,
    STARTED,
    STATUS,
    TEXT,
    Archive,
    Row,
    archive_at,
    delta,
    envelope,
    event,
    message,
    opening,
    ragged,
    request,
    shown,
    sometimes,
)

CUT = Closing("cut")
SECOND = 1_000_000
DONE = event(b"[DONE]")
ANSWER = [
    event(b'"v1"', "delta_encoding"),
    event({"type": "resume_conversation_token", "token": "x", "conversation_id": "talk"}),
    event(shown(message("A")), "delta"),
    event(delta(TEXT, "append", "So "), "delta"),
    event({"v": "it "}, "delta"),
    event({"v": "goes "}, "delta"),
    event({"v": "on"}, "delta"),
    event(delta("", "patch", [{"p": STATUS, "o": "replace", "v": FINISHED}, {"p": "/message/end_turn", "o": "replace", "v": True}]), "delta"),
    event({"type": "message_stream_complete", "conversation_id": "talk"}),
]  # fmt: skip


def asked(offset: Any, conversation_id: str = "talk") -> bytes:
    """The body of a resume."""
    return json.dumps({"conversation_id": conversation_id, "offset": offset}).encode()


def resume(
    archive: Archive, events: list[bytes], offset: Any, *, number: int = 1, sent: bytes | None = None, **known: Any
) -> Capture:
    """A resume, so many seconds after the send; its events a millisecond apart."""
    began = STARTED + number * SECOND
    usual = {"kind": "resume", "path": "/backend-api/f/conversation/resume", "stream_id": f"leg {number}"}
    body = b"".join(events)
    return archive.record(
        body,
        asked(offset) if sent is None else sent,
        clock=lambda place: began + 1000 * place,
        **usual | {"started_at": began} | known,
    )


def send(archive: Archive, events: list[bytes], closing: Closing | None = CUT, **known: Any) -> Capture:
    """The send, which names the prompt U."""
    return archive.record(b"".join(events), request("U"), chunks=events, closing=closing, **known)


# Going on


@pytest.mark.parametrize(("offset", "seen"), [(o, s) for s in range(2, len(ANSWER)) for o in range(2, s + 1)])
def test_a_resume_goes_on_where_the_page_had_read_to_whatever_the_proxy_saw(
    archive: Archive, offset: int, seen: int
) -> None:
    send(archive, ANSWER[:seen])
    resume(archive, [*ANSWER[offset:], DONE], offset)
    answer = archive.message("A")
    assert (answer["text"], answer["status"], answer["damaged"], answer["revision"]) == (
        "So it goes on",
        FINISHED,
        0,
        0,
    )
    assert archive.count("message_versions") == 0
    leg = archive.stream("leg 1")
    assert (leg["state"], leg["error"], leg["resume_offset"]) == ("complete", None, offset)
    assert (leg["event_count"], leg["unrecognised_count"]) == (len(ANSWER) - offset, 0)
    assert [row["type"] for row in archive.rows("SELECT type FROM events ORDER BY position")] == [
        "resume_conversation_token",
        "message_stream_complete",
    ]


def test_a_post_without_events_between_an_answer_and_its_resume_is_no_turn_of_its_own(archive: Archive) -> None:
    """Neither a step of the turn nor a send that was taken; also while it is still open."""
    send(archive, ANSWER[:4])
    json_answer: Row = {"streamed": False, "content_type": "application/json", "started_at": STARTED + 1000}
    archive.record(b"{}", asked(0), stream_id="step", **json_answer)
    archive.record(b"{}", request("U", conversation_id="talk"), stream_id="taken", **json_answer)
    still_open = Capture(opening(stream_id="open", **json_answer), asked(0))
    assert still_open.leg() is None
    resume(archive, [*ANSWER[4:], DONE], 4)
    assert (archive.message("A")["text"], archive.stream("leg 1")["state"]) == ("So it goes on", "complete")


def test_the_times_of_what_an_earlier_leg_brought_stay(archive: Archive) -> None:
    send(archive, ANSWER[:4])
    before = archive.message("A")
    resume(archive, [*ANSWER[4:], DONE], 4)
    after = archive.message("A")
    for name in ("first_seen_at", "first_token_at"):
        assert after[name] == before[name] is not None
    assert after["completed_at"] > archive.stream("leg 1")["started_at"]
    assert (archive.stream()["first_token_at"], archive.stream("leg 1")["first_token_at"]) == (
        before["first_token_at"],
        None,
    )


def test_a_resume_belongs_to_the_turn_that_it_goes_on_with(archive: Archive) -> None:
    named = event(shown(message("A", metadata={"turn_exchange_id": "turn"})), "delta")
    send(archive, [*ANSWER[:2], named, *ANSWER[3:5]])
    resume(archive, ANSWER[5:6], 5)
    resume(archive, [*ANSWER[6:], DONE], 6, number=2)
    resume(archive, [], 9, number=3, status_code=410, content_type="application/json", streamed=False)
    for number in (1, 2, 3):
        leg = archive.stream(f"leg {number}")
        assert (leg["conversation_id"], leg["request_message_id"], leg["turn_exchange_id"]) == ("talk", "U", "turn")
        assert (leg["requested_model"], leg["action"]) == ("gpt-5-5", "next")
    assert [archive.stream(f"leg {n}")["state"] for n in (1, 2, 3)] == ["interrupted", "complete", "error"]
    assert (archive.message("A")["text"], archive.message("A")["requested_model"]) == ("So it goes on", "gpt-5-5")


def test_a_resume_that_was_asked_for_in_a_query_goes_on_too(archive: Archive) -> None:
    send(archive, ANSWER[:5])
    asking = {"conversation_id": "talk", "offset": "5"}
    resume(archive, [*ANSWER[5:], DONE], 5, sent=b"", method="GET", parameters=asking)
    assert archive.message("A")["text"] == "So it goes on"
    assert archive.stream("leg 1")["resume_offset"] == 5


def test_a_leg_that_is_still_open_is_gone_on_from(archive: Archive) -> None:
    first = send(archive, ANSWER[:5], closing=None)
    open_leg = first.leg()
    assert open_leg is not None
    legs: list[Leg] = [open_leg]
    second = Capture(opening(kind="resume", stream_id="leg 1", started_at=STARTED + SECOND), asked(4), lambda *_: legs)
    records = [*second.begin(), *second.feed(b"".join([*ANSWER[4:], DONE]), STARTED + SECOND + 1)]
    archive.store.write([*records, *second.close(ENDED, STARTED + SECOND + 2)])
    archive.store.write(first.close(CUT, STARTED + 2 * SECOND))
    assert (archive.message("A")["text"], archive.message("A")["status"]) == ("So it goes on", FINISHED)


def test_readers_never_see_an_answer_become_shorter(archive: Archive) -> None:
    send(archive, ANSWER[:6])
    body, began = b"".join([*ANSWER[3:], DONE]), STARTED + SECOND
    second = Capture(opening(kind="resume", stream_id="leg 1", started_at=began), asked(3), archive.legs)
    texts = []
    archive.store.write(second.begin())
    for place, chunk in enumerate(ragged(body, random.Random(1), 20)):
        archive.store.write(second.feed(chunk, began + place))
        archive.store.write(second.snapshot())
        texts.append(archive.message("A")["text"])
    archive.store.write(second.close(ENDED, began + SECOND))
    assert texts[0] == "So it goes "
    assert texts[-1] == "So it goes on"
    assert sorted(texts, key=len) == texts


def test_an_answer_that_goes_on_is_shown_while_it_grows(archive: Archive) -> None:
    send(archive, ANSWER[:4])
    growing = Capture(opening(kind="resume", stream_id="leg 1", started_at=STARTED + SECOND), asked(4), archive.legs)
    archive.store.write(growing.begin())
    for place, piece in enumerate(ANSWER[4:7]):
        archive.store.write([*growing.feed(piece, STARTED + SECOND + place), *growing.snapshot()])
        assert archive.message("A")["text"] == ("So it ", "So it goes ", "So it goes on")[place]
        assert archive.message("A")["live"] == 1
    archive.store.write(growing.close(CUT, STARTED + 2 * SECOND))
    assert archive.message("A")["live"] == 0


# Replays from the beginning


def test_a_replay_from_the_beginning_after_a_hand_off_is_the_answer(archive: Archive) -> None:
    question = message("U", "Why are there tides?", author={"role": "user"}, status=FINISHED)
    handoff = {"type": "stream_handoff", "turn_exchange_id": "turn", "options": [{"type": "resume_sse_endpoint"}]}
    first = [*ANSWER[:2], event({"type": "input_message", "input_message": question}), event(handoff), ANSWER[8], DONE]
    send(archive, first, ENDED)
    assert archive.stream()["state"] == "handed_off"
    resume(archive, [*ANSWER, DONE], 0)
    leg = archive.stream("leg 1")
    assert (leg["state"], leg["event_count"], leg["resume_offset"]) == ("complete", len(ANSWER), 0)
    assert (leg["request_message_id"], leg["turn_exchange_id"]) == ("U", "turn")
    assert archive.message("A")["text"] == "So it goes on"
    assert archive.message("U")["text"] == "Why are there tides?"


def test_a_replay_of_everything_changes_nothing_and_tells_how_it_ended(archive: Archive) -> None:
    send(archive, ANSWER[:6])
    before = archive.dump()
    resume(archive, ANSWER[:6], 0)
    resume(archive, ANSWER[:3], 0, number=2)
    resume(archive, [], 0, number=3)
    after = archive.dump()
    for table in ("messages", "message_versions", "events", "citations", "image_generations"):
        assert after[table] == before[table]
    assert [archive.stream(f"leg {n}")["state"] for n in (1, 2, 3)] == ["interrupted"] * 3
    resume(archive, [*ANSWER, DONE], 0, number=4)
    assert archive.message("A")["text"] == "So it goes on"
    assert archive.stream("leg 4")["state"] == "complete"


@pytest.mark.parametrize(
    ("events", "state"),
    [([*ANSWER], "complete"), ([*ANSWER, DONE], "complete"), (ANSWER[:8], "interrupted"), ([], "interrupted")],
)
def test_what_repeats_a_whole_answer_is_complete_only_when_it_got_as_far(
    archive: Archive, events: list[bytes], state: str
) -> None:
    send(archive, [*ANSWER, DONE], ENDED)
    resume(archive, events, 0)
    assert archive.stream("leg 1")["state"] == state
    assert archive.message("A")["stream_id"] == "stream"


def test_a_fetch_that_the_page_gave_up_after_the_last_events_is_complete(archive: Archive) -> None:
    send(archive, ANSWER, CUT)
    assert (archive.stream()["state"], archive.stream()["error"]) == ("complete", None)
    send(archive, ANSWER[:8], CUT, stream_id="no typed event")
    assert archive.stream("no typed event")["state"] == "complete"
    send(archive, ANSWER[:7], CUT, stream_id="no end of turn")
    assert archive.stream("no end of turn")["state"] == "interrupted"


# When the earlier part is not there


@pytest.mark.parametrize("gone", ["dropped", "pruned", "damaged", "never seen", "short"])
def test_without_the_earlier_part_the_raw_leg_is_kept_and_no_text_is_touched(archive: Archive, gone: str) -> None:
    if gone != "never seen":
        send(archive, ANSWER[: 4 if gone == "short" else 5], keep_raw=gone != "dropped")
    with archive.store._db as db:
        if gone == "pruned":
            db.execute("DELETE FROM stream_bodies")
        elif gone == "damaged":
            db.execute("UPDATE stream_bodies SET body = CAST(x'0102' || body AS BLOB)")
    said = archive.rows("SELECT text, damaged FROM messages WHERE id = 'A'")
    resume(archive, [*ANSWER[5:], DONE], 5)
    leg = archive.stream("leg 1")
    assert (leg["state"], leg["error"]) == ("error", "the earlier part of this answer is not stored")
    assert (leg["event_count"], leg["unrecognised_count"]) == (4, 0)
    assert archive.rows("SELECT text, damaged FROM messages WHERE id = 'A'") == said
    assert archive.count("events") == (1 if gone == "never seen" else 2)
    assert len(archive.rows("SELECT 1 FROM stream_bodies WHERE stream_id = 'leg 1'")) == 1
    assert leg["request_message_id"] == (None if gone == "never seen" else "U")


def test_a_resume_beyond_what_was_seen_is_one_of_its_turn_and_says_that_a_part_is_missing(archive: Archive) -> None:
    named = event(shown(message("A", metadata={"turn_exchange_id": "turn"})), "delta")
    send(archive, [*ANSWER[:2], named, ANSWER[3]])
    resume(archive, ANSWER[5:7], 5)
    resume(archive, [*ANSWER[7:], DONE], 7, number=2)
    for number in (1, 2):
        leg = archive.stream(f"leg {number}")
        assert (leg["state"], leg["error"]) == ("error", "the earlier part of this answer is not stored")
        assert (leg["request_message_id"], leg["turn_exchange_id"]) == ("U", "turn")
        assert (leg["requested_model"], leg["action"]) == ("gpt-5-5", "next")
    assert (archive.message("A")["text"], archive.message("A")["status"]) == ("So ", "in_progress")
    turn = archive.row("SELECT completeness, legs, prompt_message_id FROM turn_completeness")
    assert turn == {"completeness": "part_missing", "legs": 3, "prompt_message_id": "U"}


def test_what_came_by_another_way_after_a_hand_off_is_gone_on_with_in_the_same_turn(archive: Archive) -> None:
    handoff = {"type": "stream_handoff", "turn_exchange_id": "turn", "options": [{"type": "resume_sse_endpoint"}]}
    send(archive, [*ANSWER[:2], event(handoff), DONE], ENDED)
    resume(archive, [*ANSWER[6:], DONE], 6)
    assert (archive.stream("leg 1")["turn_exchange_id"], archive.stream("leg 1")["state"]) == ("turn", "error")
    assert archive.row("SELECT completeness, legs FROM turn_completeness") == {
        "completeness": "part_missing",
        "legs": 2,
    }


@pytest.mark.parametrize("why", ["the answer had come to its end", "it names another turn", "it is a day later"])
def test_a_resume_beyond_what_was_seen_may_be_another_turns(archive: Archive, why: str) -> None:
    named = event(shown(message("A", metadata={"turn_exchange_id": "turn"})), "delta")
    ends = why == "the answer had come to its end"
    send(archive, [*ANSWER[:2], named, *(ANSWER[3:] if ends else ANSWER[3:5])], ENDED if ends else CUT)
    about = message("B", "Else", metadata={"turn_exchange_id": "other"} if why == "it names another turn" else {})
    number = 86_400 if why == "it is a day later" else 1
    resume(archive, [event(shown(about, 1), "delta"), DONE], 20, number=number)
    leg = archive.stream(f"leg {number}")
    assert (leg["request_message_id"], leg["requested_model"], leg["action"]) == (None, None, None)
    assert len(archive.rows("SELECT 1 FROM turn_completeness")) == 2


def test_a_leg_of_another_answer_is_not_gone_on_from(archive: Archive) -> None:
    other = [*ANSWER[:3], event(delta(TEXT, "append", "Else "), "delta"), event({"v": "where"}, "delta")]
    send(archive, [*other, *ANSWER[7:], DONE], ENDED)
    resume(archive, [*ANSWER[4:], DONE], 4)
    assert archive.message("A")["text"] == "Else where"
    leg = archive.stream("leg 1")
    assert (leg["state"], leg["error"]) == ("error", "the earlier part of this answer is not stored")
    assert (leg["request_message_id"], leg["event_count"]) == (None, 5)


def test_what_stands_by_itself_is_read_also_without_the_earlier_part(archive: Archive) -> None:
    later = [
        event({"v": "lost"}, "delta"),
        event(delta(TEXT, "append", "lost too", 3), "delta"),
        event({"v": "lost with it"}, "delta"),
        event(shown(message("B"), 7), "delta"),
        event(delta(TEXT, "append", "Whole", 7), "delta"),
        event({"v": " text"}, "delta"),
        event({"type": "title_generation", "title": "Tides", "conversation_id": "talk"}),
    ]
    resume(archive, later, 40)
    assert archive.row("SELECT text FROM messages") == {"text": "Whole text"}
    assert archive.row("SELECT title FROM conversations") == {"title": "Tides"}
    assert archive.stream("leg 1")["error"] == "the earlier part of this answer is not stored"
    assert archive.row("SELECT position FROM events") == {"position": 46}


def test_whole_messages_need_no_earlier_part(archive: Archive) -> None:
    resume(archive, [event(envelope(message("A", "So it goes", status=FINISHED, end_turn=True))), DONE], 7)
    assert (archive.message("A")["text"], archive.stream("leg 1")["state"]) == ("So it goes", "complete")


@pytest.mark.parametrize("offset", [None, -1, "5", 2**40, 1e300, True, [1], {"a": 1}])
def test_an_offset_that_makes_no_sense_is_the_beginning(archive: Archive, offset: Any) -> None:
    send(archive, ANSWER[:5])
    resume(archive, [*ANSWER, DONE], offset)
    assert archive.message("A")["text"] == "So it goes on"
    assert archive.stream("leg 1")["resume_offset"] == 0


def test_a_resume_of_nothing_known_is_on_record(archive: Archive) -> None:
    resume(archive, [], 0, sent=b"junk")
    resume(archive, ANSWER[3:], 3, number=2, sent=json.dumps({"offset": 3}).encode())
    assert [archive.stream(f"leg {n}")["state"] for n in (1, 2)] == ["interrupted", "error"]
    assert archive.count("messages") == 0


# Any split


def split(events: list[bytes], chance: random.Random) -> Iterator[tuple[int, int]]:
    """Legs as (offset, end): each begins at or before the end of what was seen so far, the last comes to the end."""
    seen = chance.randint(0, len(events))
    yield 0, seen
    while seen < len(events):
        offset = chance.choice([0, seen, chance.randint(0, seen)])
        end = len(events) if chance.random() < 0.3 else chance.randint(offset, len(events))
        yield offset, end
        seen = max(seen, end)


def in_legs(archive: Archive, events: list[bytes], sent: bytes, chance: random.Random) -> int:
    """Record a stream in legs; its events a millisecond apart, the same ones at the same time in whichever leg."""
    number = 0
    for number, (offset, end) in enumerate(split(events, chance)):
        last = end == len(events)
        torn = [] if last or chance.random() < 0.5 else [events[end][: chance.randint(1, len(events[end]) - 1)]]
        pieces = [*events[offset:end], *torn]
        # What was torn off came before the whole of it comes again.
        times = [1000 * n for n in range(offset + 1, end + 1)] + [1000 * end + 1] * len(torn)
        ends = dict(zip(accumulate(map(len, pieces)), times, strict=True))
        known: dict[str, Any] = {"stream_id": f"leg {number}", "started_at": STARTED + number}
        if number:
            known |= {"kind": "resume"}
        archive.record(
            b"",
            asked(offset, conversation_id(events)) if number else sent,
            chunks=pieces,
            clock=lambda place, ends=ends: STARTED + ends.get(place, 0),  # type: ignore[misc]
            look=sometimes(chance),
            closing=ENDED if last else CUT,
            **known,
        )
    return number


def conversation_id(events: list[bytes]) -> str:
    return "talk" if any(b'"talk"' in piece for piece in events) else ""


def said(archive: Archive) -> dict[str, list[Row]]:
    """All that the legs brought; which of them did, and what was torn off, is left out."""
    tables = archive.dump()
    for table in ("streams", "stream_bodies", "request_bodies"):
        del tables[table]
    tables["events"] = sorted(
        (row for row in tables["events"] if row["type"] != "incomplete"), key=lambda row: int(row["position"])
    )
    for row in [row for rows in tables.values() for row in rows]:
        row.pop("stream_id", None)
    for row in tables["conversations"]:
        del row["first_seen_at"], row["last_seen_at"]
    return tables


SCENES = [(name, encoding) for name in scenes.SCENES for encoding in ("v1", "v0")]


@pytest.mark.parametrize(("name", "encoding"), SCENES, ids=map("-".join, SCENES))
def test_an_answer_in_any_legs_gives_the_rows_of_one(tmp_path: Path, name: str, encoding: scenes.Encoding) -> None:
    scene = scenes.SCENES[name](12, encoding=encoding, seed=name, conversation_id="talk", parent_id="P")
    sent = request(scene.user_message_id, scene.texts[scene.user_message_id], conversation_id="talk")
    events = [piece for piece in scene.events if b"[DONE]" not in piece]
    with archive_at(tmp_path / "one.db") as one:
        ends = dict(zip(accumulate(map(len, events)), range(1, len(events) + 1), strict=True))
        one.record(b"", sent, chunks=events, clock=lambda place: STARTED + 1000 * ends.get(place, 0))
        expected = said(one)
    for seed in range(12):
        with archive_at(tmp_path / f"{seed}.db") as several:
            in_legs(several, events, sent, random.Random(f"{name} {seed}"))
            assert said(several) == expected, seed


def test_no_legs_are_known_by_who_knows_nothing() -> None:
    assert no_legs("conversation_id", "talk", opening()) == []

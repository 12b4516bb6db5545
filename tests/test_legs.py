"""The legs of one turn, laid over each other: each event once, and the state at any of them rebuilt."""

import random
from pathlib import Path
from typing import Any

import pytest

from addon.answers.conversation import ConversationDecoder
from addon.answers.legs import Leg, Transcript, earlier, events_of
from addon.answers.message_states import Exchange
from addon.exchange import Closing
from addon.wire.evidence import compress, decompress, pieces
from scripts import scenes
from tests.recording import (
    FINISHED,
    STARTED,
    STATUS,
    TEXT,
    Archive,
    archive_at,
    delta,
    event,
    message,
    opening,
    ragged,
    shown,
    v1,
)

HELLO = [
    event(b'"v1"', "delta_encoding"),
    event({"type": "input_message", "input_message": message("U", "Why?", author={"role": "user"}, status=FINISHED)}),
    event(shown(message("A")), "delta"),
    event(delta(TEXT, "append", "So "), "delta"),
    event({"v": "it "}, "delta"),
    event({"v": "goes"}, "delta"),
    event(delta(STATUS, "replace", FINISHED), "delta"),
]  # fmt: skip


def leg(*events: bytes, offset: int | None = None, number: int = 0, after: int = 1000) -> Leg:
    """A stored leg whose events came a millisecond apart."""
    lengths = [sum(map(len, events[: n + 1])) for n in range(len(events))]
    arrivals = str([[after * (n + 1), length] for n, length in enumerate(lengths)]).encode()
    return Leg(
        stream_id=f"leg {number}",
        kind="resume" if offset is not None else "turn",
        state="interrupted",
        started_at=STARTED + 1_000_000 * number,
        resume_offset=offset,
        body=compress(b"".join(events)),
        arrivals=compress(arrivals),
    )


def text_at(transcript: Transcript, end: int | None = None) -> str:
    """What the answer says after so many events."""
    decoder = ConversationDecoder(Exchange("later", "live"))
    transcript.replay(decoder, end)
    state = decoder.messages.get("A")
    assert not decoder.changed
    return "" if state is None else str(state.message["content"]["parts"][0])


def test_the_state_at_each_event_is_rebuilt() -> None:
    transcript = Transcript([leg(*HELLO)])
    assert [text_at(transcript, n) for n in range(8)] == ["", "", "", "", "So ", "So it ", "So it goes", "So it goes"]
    assert text_at(transcript) == "So it goes"


@pytest.mark.parametrize("offset", range(len(HELLO) + 1))
@pytest.mark.parametrize("seen", range(len(HELLO) + 1))
def test_what_a_later_leg_repeats_counts_once(offset: int, seen: int) -> None:
    transcript = Transcript([leg(*HELLO[:seen]), leg(*HELLO[offset:], offset=offset, number=1)])
    whole = offset <= seen
    assert (len(transcript), text_at(transcript)) == (
        (7, "So it goes") if whole else (seen, text_at(Transcript([leg(*HELLO[:seen])])))
    )


def test_an_event_keeps_the_time_at_which_it_came_first() -> None:
    transcript = Transcript([leg(*HELLO[:5]), leg(*HELLO[3:], offset=3, number=1)])
    decoder = ConversationDecoder(Exchange("later", "live"))
    transcript.replay(decoder)
    state = decoder.messages.get("A")
    assert state is not None
    assert (state.first_seen_at, state.first_token_at) == (STARTED + 3000, STARTED + 4000)
    assert state.completed_at == STARTED + 1_000_000 + 4000


def test_a_fresh_replay_takes_the_place_of_what_it_tells_otherwise() -> None:
    handed_off = [*HELLO[:2], event({"type": "stream_handoff"}), event({"type": "message_stream_complete"})]
    transcript = Transcript([leg(*handed_off), leg(*HELLO[:4], offset=0, number=1)])
    assert (len(transcript), text_at(transcript)) == (4, "So ")
    transcript = Transcript(
        [leg(*handed_off), leg(*HELLO[:4], offset=0, number=1), leg(*HELLO[4:], offset=4, number=2)]
    )
    assert text_at(transcript) == "So it goes"


def test_a_leg_that_goes_on_from_something_else_changes_nothing() -> None:
    other = [event({"v": "other"}, "delta"), *HELLO[4:]]
    assert text_at(Transcript([leg(*HELLO[:5]), leg(*other, offset=3, number=1)])) == "So it "


@pytest.mark.parametrize("damage", [lambda body: None, lambda body: b"", lambda body: body[:-3], lambda body: b"no" + body, lambda body: body + b"junk"])  # fmt: skip
def test_a_damaged_body_counts_as_far_as_it_can_be_read(damage: Any) -> None:
    kept = leg(*HELLO)
    broken = Leg("leg 0", "turn", "complete", STARTED, body=damage(kept.body), arrivals=b"junk")
    read = Transcript([broken])
    assert len(read) in (0, 7)
    assert text_at(read) in ("", "So it goes")


def test_comments_pings_and_the_end_do_not_count() -> None:
    extra = [b": item 1\n\n", event(b"x", "ping"), event(b" "), b": item 2\n", event(b"[DONE]")]
    noisy = leg(*[piece for known in HELLO for piece in (extra[0], extra[3], known, *extra[1:3])], extra[4])
    assert [found.data for found, _ in events_of(noisy)] == [found.data for found, _ in events_of(leg(*HELLO))]
    unfinished = leg(*HELLO[:3], HELLO[3][:-1])
    assert len(Transcript([unfinished])) == 3


def test_only_what_began_before_counts_and_of_a_conversation_its_last_turn() -> None:
    legs = [leg(number=n, offset=None if n in (0, 3) else 1) for n in range(7)]
    asking = opening(stream_id="leg 5", kind="resume", started_at=STARTED + 5_000_000)
    assert [known.stream_id for known in earlier(legs[::-1], "name", asking)] == [f"leg {n}" for n in range(5)]
    assert [known.stream_id for known in earlier(legs, "conversation_id", asking)] == ["leg 3", "leg 4"]
    assert earlier(legs[1:3], "conversation_id", asking) == legs[1:3]


def test_a_body_comes_back_in_the_pieces_and_with_the_times_in_which_it_came(archive: Archive) -> None:
    scene = scenes.reasoning_answer("Why?", scenes.prose(200, "1"))
    chunks = ragged(scene.body, random.Random(1), 3000)
    clock = lambda offset: STARTED + offset  # noqa: E731
    archive.record(scene.body, chunks=chunks, clock=clock)
    row = archive.row("SELECT body, arrivals FROM stream_bodies")
    stored = list(pieces(row["body"], row["arrivals"]))
    assert b"".join(piece for piece, _ in stored) == decompress(row["body"])
    times = [after for _, after in stored]
    assert times == sorted(times)
    assert set(times) <= {sum(map(len, chunks[: n + 1])) for n in range(len(chunks))}


def test_an_open_exchange_is_a_leg_as_far_as_it_has_come(tmp_path: Path) -> None:
    with archive_at(tmp_path / "open.db") as archive:
        capture = archive.record(b"".join(HELLO[:5]) + HELLO[5][:9], closing=None)
        so_far = capture.leg()
        assert so_far is not None
        assert (so_far.state, so_far.event_count, so_far.conversation_id) == ("streaming", 5, "talk")
        assert text_at(Transcript([so_far])) == "So it "
        archive.store.write(capture.close(Closing("cut"), STARTED + 1))
        (stored,) = archive.store.legs("conversation_id", "talk", opening(stream_id="x", started_at=STARTED + 2))
        assert (stored.state, stored.stream_id, stored.started_at) == ("interrupted", "stream", STARTED)
        assert text_at(Transcript([stored])) == "So it "
        assert archive.store.legs("conversation_id", "other", opening(stream_id="x")) == []
        assert archive.store.legs("conversation_id", "talk", opening()) == []


def test_comments_stay_where_a_secret_was_taken_out(archive: Archive) -> None:
    secret = event({"type": "resume_conversation_token", "token": "s3cret"})
    archive.record(v1(b": item-7\n" + secret, b": item-8\r\n\r\n" + secret, shown(message("A", "Hi"))))
    body = decompress(archive.row("SELECT body FROM stream_bodies")["body"])
    assert (b": item-7\n" in body, b": item-8" in body, b"s3cret" in body) == (True, True, False)

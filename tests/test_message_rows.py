"""Which of two observations of a message stays, and what becomes of the other."""

from dataclasses import replace
from typing import Any

import pytest

from addon.answers.capture import Closing
from addon.records import Message, MessageGrowth
from tests.recording import (
    FINISHED,
    STARTED,
    STATUS,
    TEXT,
    Archive,
    by_offset,
    delta,
    envelope,
    event,
    message,
    request,
    shown,
    v0,
    v1,
)

CUT = Closing("cut")
BLOCK = {"type": "moderation", "message_id": "A", "moderation_response": {"flagged": True, "blocked": True}}


def versions(archive: Archive) -> list[dict[str, Any]]:
    """What is not in `messages` any more, or never was."""
    return archive.rows("SELECT revision, reason, text, status FROM message_versions ORDER BY revision")


def finished(text: str, **fields: Any) -> dict[str, Any]:
    return envelope(message("A", text, status=FINISHED, **fields))


def growing(text: str, **fields: Any) -> dict[str, Any]:
    return envelope(message("A", text, **fields))


def later(offset: int) -> int:
    """An hour after the usual clock."""
    return STARTED + 3_600_000_000 + offset


# Order


def test_what_is_finished_beats_what_is_in_progress_whenever_it_comes(archive: Archive) -> None:
    archive.record(v0(finished("So it goes")))
    archive.record(v0(growing("So"), done=False), stream_id="replay", clock=later)
    row = archive.message("A")
    assert (row["text"], row["status"], row["stream_id"], row["revision"]) == ("So it goes", FINISHED, "stream", 0)


def test_of_two_that_are_in_progress_the_later_stays(archive: Archive) -> None:
    archive.record(v0(growing("newer"), done=False), closing=CUT, clock=later)
    archive.record(v0(growing("older"), done=False), closing=CUT, stream_id="other")
    row = archive.message("A")
    assert (row["text"], row["status"], row["live"]) == ("newer", "in_progress", 0)


def test_a_finished_message_that_is_replaced_leaves_a_version(archive: Archive) -> None:
    archive.record(v0(finished("one"), finished("two"), finished("three")))
    assert (archive.message("A")["text"], archive.message("A")["revision"]) == ("three", 2)
    assert versions(archive) == [
        {"revision": 0, "reason": "updated", "text": "one", "status": FINISHED},
        {"revision": 1, "reason": "updated", "text": "two", "status": FINISHED},
    ]


def test_an_earlier_finished_state_that_is_found_later_is_a_version(archive: Archive) -> None:
    archive.record(v0(finished("later")), clock=later)
    archive.record(v0(finished("earlier")), stream_id="found")
    assert archive.message("A")["text"] == "later"
    assert versions(archive) == [{"revision": 0, "reason": "updated", "text": "earlier", "status": FINISHED}]


def test_the_versions_of_one_message_are_bounded(archive: Archive) -> None:
    archive.record(v0(*[finished(f"text {n}") for n in range(120)]))
    assert (archive.message("A")["text"], archive.message("A")["revision"]) == ("text 119", 100)
    assert len(versions(archive)) == 100


def test_late_metadata_of_a_finished_message_is_no_new_version(archive: Archive) -> None:
    archive.record(v1(shown(message("A", "done", status=FINISHED)), delta("/message/metadata", "append", {"late": 1})))
    row = archive.message("A")
    assert (row["metadata"], row["revision"], versions(archive)) == ('{"late":1}', 0, [])


# What was taken away


@pytest.mark.parametrize("look", [False, True])
@pytest.mark.parametrize(
    "body",
    [
        v0(growing("So it goes"), growing(""), done=False),
        v0(growing("So it goes"), growing(""), growing(""), finished("")),
        v0(finished("So it goes"), finished("")),
        v1(shown(message("A", "So it goes")), delta(TEXT, "replace", "")),
        v1(shown(message("A", "So it goes")), delta(TEXT, "truncate", 0), delta(STATUS, "replace", FINISHED)),
        v1(
            shown(message("A", "So it goes")),
            delta("/message/content", "replace", {"content_type": "text", "parts": []}),
        ),
        v1(shown(message("A", "So it goes")), shown(message("A")), delta(STATUS, "replace", FINISHED)),
        v1(shown(message("A", "So it goes")), shown(message("A", status=FINISHED), 4)),
    ],
)
def test_a_text_that_is_emptied_stays_and_the_empty_state_is_a_version(
    archive: Archive, body: bytes, look: bool
) -> None:
    chunks = [part + b"\n\n" for part in body.split(b"\n\n") if part]
    archive.record(body, chunks=chunks, look=lambda: look)
    row = archive.message("A")
    assert (row["text"], row["revision"], row["live"]) == ("So it goes", 1, 0)
    (version,) = versions(archive)
    assert (version["reason"], version["text"], version["status"]) == ("emptied", "", row["status"])
    assert (row["completed_at"] is not None) == (row["status"] == FINISHED)


def test_a_text_that_is_emptied_and_comes_back_is_as_if_nothing_had_been(archive: Archive) -> None:
    archive.record(v0(growing("So"), growing(""), growing("So it"), finished("So it goes")), look=lambda: True)
    assert (archive.message("A")["text"], versions(archive)) == ("So it goes", [])


@pytest.mark.parametrize("look", [False, True])
@pytest.mark.parametrize("status", ["in_progress", FINISHED])
def test_what_moderation_replaces_stays_and_the_replacement_is_a_version(
    archive: Archive, status: str, look: bool
) -> None:
    replaced = finished("I cannot help with that.")
    frames = [
        envelope(message("A", "Take two ounces of", status=status)),
        BLOCK,
        growing("I"),
        growing("I cannot"),
        replaced,
    ]
    archive.record(b"", chunks=[event(frame) for frame in frames], look=lambda: look)
    row = archive.message("A")
    assert (row["text"], row["status"]) == ("Take two ounces of", FINISHED)
    assert versions(archive) == [
        {"revision": 0, "reason": "moderated", "text": "I cannot help with that.", "status": FINISHED}
    ]


def test_a_blocked_message_may_still_grow(archive: Archive) -> None:
    half = event(rb'{"p":"/message/content/parts/0","o":"append","v":" it \ud83d"}', "delta")
    rest = event(rb'{"v":"\ude80 goes"}', "delta")
    body = v1(shown(message("A", "So")), half, BLOCK, rest, delta(STATUS, "replace", FINISHED))
    archive.record(body, chunks=[part + b"\n\n" for part in body.split(b"\n\n")], look=lambda: True)
    assert (archive.message("A")["text"], versions(archive)) == ("So it \U0001f680 goes", [])


# Between exchanges


def test_the_same_id_in_two_conversations_is_two_messages(archive: Archive) -> None:
    archive.record(v0(finished("here")))
    archive.record(v0(envelope(message("A", "there", status=FINISHED), "elsewhere")), stream_id="other")
    assert archive.rows("SELECT conversation_id, text FROM messages ORDER BY n") == [
        {"conversation_id": "talk", "text": "here"},
        {"conversation_id": "elsewhere", "text": "there"},
    ]


def test_a_finished_message_that_a_later_turn_repeats_stays_the_work_of_the_first(archive: Archive) -> None:
    archive.record(v0(growing("Hi"), finished("Hi you")), request("U"))
    before = archive.message("A")
    echo = finished("Hi you", metadata={"model_slug": "gpt-5-5"})
    archive.record(
        v0(echo), request("V", model="gpt-6-pro"), stream_id="next", source="har", started_at=later(0), clock=later
    )
    after = archive.message("A")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"last_seen_at", "metadata", "model_slug"}
    assert (after["stream_id"], after["requested_model"]) == ("stream", "gpt-5-5")


def test_what_one_exchange_knows_another_does_not_make_unknown(archive: Archive) -> None:
    known = {"metadata": {"parent_id": "P", "model_slug": "m", "finish_details": {"type": "stop"}}, "create_time": 5.5}
    archive.record(v0(finished("one", **known)))
    archive.record(v0(finished("two", weight=1.0)), stream_id="other", clock=later)
    row = archive.message("A")
    assert (row["text"], row["parent_id"], row["model_slug"], row["finish_type"]) == ("two", "P", "m", "stop")
    assert (row["created_at"], row["weight"], row["stream_id"]) == ("1970-01-01T00:00:05.500000Z", 1.0, "other")


def test_a_stream_that_broke_off_is_finished_by_its_resumption(archive: Archive) -> None:
    archive.record(v0(growing("So it"), done=False), closing=CUT)
    assert (archive.message("A")["live"], archive.message("A")["completed_at"]) == (0, None)
    archive.record(v0(growing("So it"), finished("So it goes")), stream_id="resume", kind="resume", clock=later)
    row = archive.message("A")
    assert (row["text"], row["status"], row["stream_id"], row["revision"]) == ("So it goes", FINISHED, "resume", 0)
    assert row["first_seen_at"] < row["completed_at"]


def test_a_repaired_message_is_no_longer_marked_as_damaged(archive: Archive) -> None:
    archive.record(v1(shown(message("A", "So")), event(b"torn", "delta"), done=False), closing=CUT, look=lambda: True)
    assert archive.message("A")["damaged"] == 1
    archive.record(v0(finished("So it goes")), stream_id="resume", clock=later)
    assert archive.message("A")["damaged"] == 0


@pytest.mark.parametrize("look", [False, True])
def test_a_message_is_marked_as_damaged_also_when_nothing_else_of_it_changes(archive: Archive, look: bool) -> None:
    body = v1(shown(message("A", "So")), event(b"torn", "delta"))
    archive.record(body, chunks=[part + b"\n\n" for part in body.split(b"\n\n")], look=lambda: look)
    assert archive.message("A")["damaged"] == 1


def test_messages_are_numbered_as_they_appeared_not_as_they_finished(archive: Archive) -> None:
    body = v1(
        shown(message("first"), 0),
        shown(message("second"), 1),
        delta("", "patch", [{"p": TEXT, "o": "append", "v": "b"}, {"p": STATUS, "o": "replace", "v": FINISHED}], 1),
        delta("", "patch", [{"p": TEXT, "o": "append", "v": "a"}, {"p": STATUS, "o": "replace", "v": FINISHED}], 0),
    )
    archive.record(body)
    assert [row["id"] for row in archive.rows("SELECT id FROM messages ORDER BY n")] == ["first", "second"]


def test_sources_are_kept_when_the_answer_breaks_off(archive: Archive) -> None:
    """Citations are written when a message stops growing, also when it is cut off right after it was shown."""
    found = [{"type": "webpage", "url": "https://example.org/tides", "title": "Tides"}]
    body = v1(shown(message("A", "So", metadata={"content_references": found})), done=False)
    archive.record(body, closing=CUT, look=lambda: True)
    assert archive.rows("SELECT url, title FROM citations") == [{"url": "https://example.org/tides", "title": "Tides"}]


def test_an_observation_without_any_content_is_a_row(archive: Archive) -> None:
    archive.record(b"", closing=None)
    archive.store.write([Message("A", "talk", "stream", "live", 1, False)])
    row = archive.message("A")
    assert (row["text"], row["content"], row["first_seen_at"]) == (None, None, "1970-01-01T00:00:00.000001Z")


def test_growth_reaches_the_row_of_its_own_stream_while_that_is_live(archive: Archive) -> None:
    begun = v1(shown(message("A")), delta(TEXT, "append", "Hi"), done=False)
    archive.record(begun, look=lambda: True, closing=None)
    grown = MessageGrowth("A", "talk", "stream", by_offset(len(begun) + 1), "Hi you", '{"parts":["Hi you"]}')
    archive.store.write([grown, replace(grown, id="nobody"), replace(grown, stream_id="other", text="not mine")])
    assert (archive.message("A")["text"], archive.message("A")["live"]) == ("Hi you", 1)
    archive.store.write([replace(grown, at=STARTED, text="older")])
    assert archive.message("A")["text"] == "Hi you"
    archive.record(v1(shown(message("A", "Hi you all", status=FINISHED))))
    archive.store.write([replace(grown, at=grown.at + 10**9, text="late")])
    assert archive.message("A")["text"] == "Hi you all"


# Between streams and documents


def loaded(archive: Archive, text: str, at: int = STARTED, **fields: Any) -> None:
    """The page loads the conversation, in which the answer says so much."""
    said = message("A", text, **fields)
    archive.load(
        "conversation",
        {"mapping": {"A": {"message": said, "parent": "U"}}},
        at=at,
        parameters={"conversation_id": "talk"},
    )


def test_an_answer_that_goes_on_after_the_page_was_loaded_again_is_seen_growing(archive: Archive) -> None:
    loaded(archive, "So it")
    words = [event(delta(TEXT, "append", word), "delta") for word in ("So", " it", " goes", " on")]
    begun = [event(b'"v1"', "delta_encoding"), event(shown(message("A")), "delta")]
    seen = []

    def look() -> bool:
        seen.append(archive.message("A")["text"])
        return True

    archive.record(b"", chunks=[*begun, *words], look=look, closing=None, stream_id="resume", clock=later)
    row = archive.message("A")
    assert (row["text"], row["live"], row["stream_id"]) == ("So it goes on", 1, "resume")
    assert seen == ["So it", "So it", "So it", "So it", "So it", "So it goes"]


def test_a_stopped_answer_becomes_what_the_document_says(archive: Archive) -> None:
    archive.record(v0(growing("So it goes and"), done=False), request("U", model="gpt-6-pro"), closing=CUT)
    before = archive.message("A")
    loaded(archive, "So it goes", STARTED + 9_000_000, status="finished_partial_completion")
    row = archive.message("A")
    assert (row["text"], row["status"], row["live"]) == ("So it goes", "finished_partial_completion", 0)
    assert (row["requested_model"], row["first_token_at"]) == ("gpt-6-pro", before["first_token_at"])
    assert (row["stream_id"], row["parent_id"]) == ("stream", "U")
    assert [version["text"] for version in versions(archive)] == ["So it goes and"]


def test_a_document_that_saw_less_of_an_unfinished_answer_takes_nothing_away(archive: Archive) -> None:
    archive.record(v0(growing("So it goes"), done=False), closing=CUT)
    loaded(archive, "So it", STARTED + 9_000_000)
    assert archive.message("A")["text"] == "So it goes"
    archive.record(v0(growing("So it goes on"), done=False), look=lambda: True, closing=None, stream_id="going on")
    loaded(archive, "So it goes on and on", STARTED + 99_000_000)
    assert (archive.message("A")["text"], archive.message("A")["live"]) == ("So it goes on", 1)


def test_an_older_document_takes_nothing_away_from_a_newer_one(archive: Archive) -> None:
    loaded(archive, "So it went", STARTED + 9_000_000, status=FINISHED)
    loaded(archive, "So it goes", status=FINISHED)
    assert archive.message("A")["text"] == "So it went"
    assert [version["text"] for version in versions(archive)] == ["So it goes"]


def test_a_version_names_the_exchange_that_told_it(archive: Archive) -> None:
    archive.record(v0(finished("So it went")))
    loaded(archive, "So it goes", STARTED + 9_000_000, status=FINISHED)
    loaded(archive, "So it will go", STARTED + 99_000_000, status=FINISHED)
    loaded(archive, "", STARTED + 999_000_000, status=FINISHED)
    told = archive.rows("SELECT text, stream_id FROM message_versions ORDER BY revision")
    assert [tuple(row.values()) for row in told] == [
        ("So it went", "stream"),
        ("So it goes", "stream"),
        ("", f"conversation {STARTED + 999_000_000}"),
    ]


def test_a_document_that_repeats_what_moderation_put_in_place_takes_nothing_away(archive: Archive) -> None:
    archive.record(v0(growing("Take two ounces of"), BLOCK, finished("I cannot help with that.")))
    before = versions(archive)
    loaded(archive, "I cannot help with that.", STARTED + 9_000_000, status=FINISHED)
    assert (archive.message("A")["text"], versions(archive)) == ("Take two ounces of", before)


@pytest.mark.parametrize("named", ["A", None])
def test_what_moderation_blocked_stays_where_only_a_document_has_what_took_its_place(
    archive: Archive, named: str | None
) -> None:
    archive.record(v0(finished("Take two ounces of"), {**BLOCK, "message_id": named}))
    loaded(archive, "I cannot help with that.", STARTED + 9_000_000, status=FINISHED)
    assert archive.message("A")["text"] == "Take two ounces of"
    assert [(v["reason"], v["text"]) for v in versions(archive)] == [("moderated", "I cannot help with that.")]
    loaded(archive, "Take two ounces of salt", STARTED + 19_000_000, status=FINISHED)
    assert archive.message("A")["text"] == "Take two ounces of salt"


@pytest.mark.parametrize("block", [{**BLOCK, "message_id": "U"}, {**BLOCK, "moderation_response": {"blocked": False}}])
def test_what_moderation_let_pass_is_what_documents_say(archive: Archive, block: dict[str, Any]) -> None:
    archive.record(v0(finished("Take two ounces of"), block))
    loaded(archive, "Take three.", STARTED + 9_000_000, status=FINISHED)
    assert archive.message("A")["text"] == "Take three."


@pytest.mark.parametrize("streamed_first", [True, False])
def test_what_the_person_saw_of_an_emptied_message_stays(archive: Archive, streamed_first: bool) -> None:
    if streamed_first:
        archive.record(v0(finished("So it goes")))
    loaded(archive, "", STARTED + 9_000_000, status=FINISHED)
    if not streamed_first:
        archive.record(v0(finished("So it goes")))
    assert archive.message("A")["text"] == "So it goes"
    assert [(version["reason"], version["text"]) for version in versions(archive)] == [("emptied", "")]


@pytest.mark.parametrize("streamed_first", [True, False])
def test_an_answer_stays_the_work_of_its_stream(archive: Archive, streamed_first: bool) -> None:
    if streamed_first:
        archive.record(v0(finished("So it goes")), request("U"))
    loaded(archive, "So it goes", STARTED + 9_000_000, status=FINISHED)
    if not streamed_first:
        archive.record(v0(finished("So it goes")), request("U"))
    assert archive.message("A")["stream_id"] == "stream"
    assert archive.row("SELECT answer FROM turns") == {"answer": "So it goes"}


def test_the_order_of_keys_in_a_document_is_no_new_version(archive: Archive) -> None:
    archive.record(v0(finished("So it goes")))
    content = {"parts": ["So it goes"], "content_type": "text"}
    loaded(archive, "", STARTED + 9_000_000, status=FINISHED, content=content)
    assert (archive.message("A")["revision"], versions(archive)) == (0, [])


def test_a_tree_says_better_than_the_message_what_is_above_it_and_that_better_than_a_guess(archive: Archive) -> None:
    loaded(archive, "So it goes", status=FINISHED)
    archive.record(v0(finished("So it goes", metadata={"parent_id": "said"})), clock=later)
    assert archive.message("A")["parent_id"] == "U"
    turns = {"messages": [message("M"), message("A", "So it goes", status=FINISHED), message("B")]}
    archive.load("turns", turns, at=STARTED + 2 * 3_600_000_000, parameters={"conversation_id": "talk"})
    assert (archive.message("A")["parent_id"], archive.message("B")["parent_id"]) == ("U", "A")
    said = message("B", metadata={"parent_id": "M"})
    archive.record(v0(envelope(said), done=False), stream_id="older")
    assert archive.message("B")["parent_id"] == "M"

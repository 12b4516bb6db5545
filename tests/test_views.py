"""What people query: search, and the views; and that they are quick to answer."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from addon.answers.capture import Closing
from scripts import scenes
from tests.recording import (
    FINISHED,
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

# Search


def found(archive: Archive, words: str) -> list[str]:
    query = "SELECT m.id FROM messages_fts JOIN messages m ON m.n = messages_fts.rowid WHERE messages_fts MATCH ?"
    return [row["id"] for row in archive.rows(f"{query} ORDER BY m.n", words)]


def containing(archive: Archive, part: str) -> list[str]:
    """The trigram index without positions (`detail=none`) answers LIKE; MATCH takes no more than three characters."""
    query = "SELECT m.id FROM messages_fts_cjk s JOIN messages m ON m.n = s.rowid WHERE s.text LIKE ?"
    (step, *_) = archive.rows(f"EXPLAIN QUERY PLAN {query}", f"%{part}%")
    assert "VIRTUAL TABLE INDEX 0:L0" in step["detail"]
    return [row["id"] for row in archive.rows(f"{query} ORDER BY m.n", f"%{part}%")]


def test_a_word_is_found_when_its_message_is_finished_and_once(archive: Archive) -> None:
    begun = v1(shown(message("A")), delta(TEXT, "append", "The tide comes "), {"v": "in twice"}, done=False)
    archive.record(begun, look=lambda: True, closing=None)
    assert (found(archive, "tide"), archive.message("A")["text"]) == ([], "The tide comes in twice")
    archive.record(begun + event(delta(STATUS, "replace", FINISHED), "delta"), look=lambda: True)
    assert (found(archive, "tide"), found(archive, '"comes in"'), found(archive, "ebb")) == (["A"], ["A"], [])
    archive.record(begun + event(delta(STATUS, "replace", FINISHED), "delta"))
    assert found(archive, "tide") == ["A"]


def test_a_message_that_was_cut_off_is_found(archive: Archive) -> None:
    archive.record(v1(shown(message("A", "The tide")), done=False), look=lambda: True, closing=Closing("cut"))
    assert found(archive, "tide") == ["A"]


def test_a_message_is_found_by_what_it_says_not_by_what_it_said(archive: Archive) -> None:
    texts = ["about tides", "about moons", "about moons and tides", "about nothing"]
    archive.record(v0(*[envelope(message("A", text, status=FINISHED)) for text in texts]), request("U", "tides?"))
    assert (found(archive, "moons"), found(archive, "nothing"), found(archive, "tides")) == ([], ["A"], ["U"])


def test_accents_do_not_matter_and_marks_do_no_harm(archive: Archive) -> None:
    archive.record(
        v0(
            envelope(
                message("A", "Caf\u00e9 na\u00efve \ue200cite\ue202turn0search3\ue201 nul \0 behind", status=FINISHED)
            )
        )
    )
    assert [found(archive, word) for word in ("cafe", "NAIVE", "behind")] == [["A"], ["A"], ["A"]]


@pytest.mark.parametrize("part", ["\u4e00\u4f4d\u97e9", "\u5973\u6027\u56fe", "\ud55c\uad6d\uc5b4", "nt x = m"])
def test_parts_of_words_are_found_where_words_have_no_blanks_between(archive: Archive, part: str) -> None:
    text = "\u8fd9\u662f\u4e00\u4f4d\u97e9\u56fd\u5973\u6027\u56fe\u7247, \ud55c\uad6d\uc5b4\ub85c, `int x = mod(7)`"
    archive.record(v0(envelope(message("A", text, status=FINISHED)), envelope(message("B", "other", status=FINISHED))))
    assert containing(archive, part) == ["A"]
    assert found(archive, f'"{part}"') == []


def test_a_deleted_message_is_not_found(archive: Archive) -> None:
    archive.record(v0(*[envelope(message(identity, "the tide 潮の満ち引き", status=FINISHED)) for identity in "AB"]))
    with closing(sqlite3.connect(archive.path)) as db, db:
        db.execute("DELETE FROM messages WHERE id = 'A'")
    assert (found(archive, "tide"), containing(archive, "満ち引き")) == (["B"], ["B"])


# Views


def test_a_turn_is_a_prompt_and_its_answer_and_how_long_it_took(archive: Archive) -> None:
    scene = scenes.reasoning_answer("Why are there tides?", "Because of the moon.", model="gpt-5-5", title="Tides")
    archive.record(
        scene.body, request(scene.user_message_id, "Why are there tides?", model="auto"), chunks=scene.events
    )
    (turn,) = archive.rows("SELECT * FROM turns")
    assert (turn["title"], turn["prompt"], turn["answer"]) == ("Tides", "Why are there tides?", "Because of the moon.")
    assert (turn["requested_model"], turn["model_slug"], turn["state"]) == ("auto", "gpt-5-5", "complete")
    assert (turn["prompt_message_id"], turn["answer_message_id"]) == (scene.user_message_id, scene.answer_id)
    assert turn["characters"] == len("Because of the moon.")
    assert 0 < turn["seconds_to_first_token"] < turn["seconds"]
    assert turn["characters_per_second"] > 0


def test_a_turn_without_an_answer_is_a_turn(archive: Archive) -> None:
    archive.record(b"", request("U", "Why?"), closing=Closing("cut"))
    (turn,) = archive.rows("SELECT * FROM turns")
    assert (turn["prompt"], turn["answer"], turn["state"], turn["characters"]) == ("Why?", None, "interrupted", None)


def test_the_answer_of_a_turn_is_the_message_that_appeared_last_for_the_person(archive: Archive) -> None:
    done = delta("", "patch", [{"p": TEXT, "o": "append", "v": "."}, {"p": STATUS, "o": "replace", "v": FINISHED}], 0)
    hidden = {"is_visually_hidden_from_conversation": True}
    body = v1(
        shown(message("preamble", "Let me see"), 0),
        shown(message("answer", "56", status=FINISHED), 1),
        shown(message("thoughts", content={"content_type": "thoughts", "thoughts": []}, status=FINISHED), 2),
        shown(message("call", "{}", recipient="web.run", status=FINISHED), 3),
        shown(message("aside", "x", metadata=hidden, status=FINISHED), 4),
        done,
    )
    archive.record(body, request("U"))
    assert archive.row("SELECT answer FROM turns") == {"answer": "56"}


def node(identity: str, parent: str | None, role: str = "assistant") -> dict[str, Any]:
    return envelope(message(identity, identity, author={"role": role}, status=FINISHED, metadata={"parent_id": parent}))


def test_a_thread_is_the_branch_that_ends_in_the_current_node(archive: Archive) -> None:
    archive.record(v0(node("a", "root", "user"), node("b", "a"), node("c", "b", "user"), node("old", "c")))
    archive.record(v0(node("new", "c")), stream_id="again", clock=lambda n: 1_790_000_100_000_000 + n)
    archive.record(v0(envelope(message("x", status=FINISHED), "elsewhere")), stream_id="other")
    rows = archive.rows("SELECT position, id, role FROM threads WHERE conversation_id = 'talk' ORDER BY position")
    assert [(row["position"], row["id"]) for row in rows] == [(1, "a"), (2, "b"), (3, "c"), (4, "new")]
    assert rows[0]["role"] == "user"


def test_a_thread_does_not_wait_for_those_of_other_conversations(archive: Archive) -> None:
    def steps(query: str) -> int:
        count = 0

        def another() -> None:
            nonlocal count
            count += 1

        with closing(sqlite3.connect(archive.path)) as db:
            db.set_progress_handler(another, 10)
            assert len(db.execute(query).fetchall()) == 2
        return count

    def talk(number: int) -> None:
        said = [envelope(message(f"{role}{number}", "words", author={"role": role}, status=FINISHED, metadata={"parent_id": parent}), f"talk{number}") for role, parent in (("user", None), ("assistant", f"user{number}"))]  # fmt: skip
        archive.record(v0(*said), stream_id=f"stream{number}")

    queries = ("SELECT * FROM threads WHERE conversation_id = 'talk0'", "SELECT * FROM threads LIMIT 2")
    talk(0)
    alone = [steps(query) for query in queries]
    for number in range(1, 40):
        talk(number)
    assert [steps(query) <= few + 2 for few, query in zip(alone, queries, strict=True)] == [True, True]


@pytest.mark.parametrize("parents", [("a", "b", "c", "a"), ("b", "a", "b", "b"), ("a", "a", "a", "a")])
def test_a_thread_that_goes_round_in_a_circle_holds_each_message_once(
    archive: Archive, parents: tuple[str, ...]
) -> None:
    archive.record(v0(*[node(identity, parent) for identity, parent in zip("bcda", parents, strict=True)]))
    ids = [row["id"] for row in archive.rows("SELECT id FROM threads")]
    assert len(ids) == len(set(ids)) > 0
    assert "a" in ids


def test_the_gallery_shows_an_image_with_what_was_asked_for(archive: Archive) -> None:
    scene = scenes.image_answer("Draw the tide", "A low tide at dawn", "Here it is.", title="Low tide")
    archive.record(scene.body, request(scene.user_message_id, "Draw the tide"))
    (row,) = archive.rows("SELECT * FROM image_gallery")
    (image,) = scene.images
    assert (row["user_prompt"], row["tool_prompt"]) == ("Draw the tide", "A low tide at dawn")
    assert (row["conversation_title"], row["status"], row["asset_pointer"]) == ("Low tide", "complete", image.pointer)
    assert (row["width"], row["height"], row["size_bytes"], row["gen_id"]) == (
        1024,
        1536,
        image.size_bytes,
        image.gen_id,
    )


def test_what_nobody_recognised_is_counted_by_type(archive: Archive) -> None:
    archive.record(v1({"type": "brand_new", "x": 1}, {"type": "brand_new", "x": 2}, {"type": "toast"}))
    archive.record(v1({"type": "brand_new"}), stream_id="other")
    (row,) = archive.rows("SELECT * FROM unrecognised")
    assert (row["type"], row["events"], row["streams"]) == ("brand_new", 3, 2)
    assert row["first_received_at"] < row["last_received_at"]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM messages WHERE conversation_id = 'a' AND id = 'b'",
        "SELECT * FROM messages WHERE conversation_id IS NULL AND id = 'b'",
        "SELECT * FROM messages WHERE id = 'b'",
        "SELECT * FROM messages WHERE conversation_id = 'a' AND parent_id = 'b'",
        "SELECT * FROM messages WHERE stream_id = 'b'",
        "SELECT * FROM streams WHERE conversation_id = 'a'",
        "SELECT * FROM streams WHERE request_message_id = 'a'",
        "SELECT * FROM streams ORDER BY started_at DESC LIMIT 20",
        "SELECT * FROM conversations ORDER BY updated_at DESC LIMIT 20",
        "SELECT * FROM image_generations WHERE conversation_id IS 'a' AND message_id = 'b' AND part_index = 0",
        "SELECT * FROM image_generations WHERE gen_id = 'a'",
        "SELECT * FROM events WHERE stream_id = 'a'",
        "SELECT * FROM events WHERE recognised = 0 AND type = 'a'",
        "SELECT * FROM message_versions WHERE message_n = 1 AND content IS 'x'",
        "SELECT * FROM citations WHERE message_n = 1",
        "SELECT * FROM message_assets WHERE asset_id = 'a'",
    ],
)
def test_no_usual_question_reads_a_whole_table(archive: Archive, query: str) -> None:
    (step, *_) = archive.rows(f"EXPLAIN QUERY PLAN {query}")
    assert "INDEX" in step["detail"]

"""What the page sent: the person's message, joined with the echo of it that the answer brings."""

from typing import Any

import pytest

from addon.answers.capture import Closing
from addon.wire.evidence import compress, decompress
from tests.recording import FINISHED, Archive, envelope, message, request, v0, v1

ECHO = {"author": {"role": "user"}, "status": FINISHED, "metadata": {"request_id": "r", "turn_exchange_id": "turn"}}
ANSWER = envelope(message("A", "Hi", status=FINISHED))
UNNAMED = envelope(message("A", "Hi", status=FINISHED), conversation_id=None)


def user(text: str = "Why are there tides?", **fields: Any) -> dict[str, Any]:
    echo: dict[str, Any] = ECHO | fields
    return message("U", text, **echo)


def test_a_prompt_is_joined_with_its_echo_and_keeps_the_parent_it_was_sent_under(archive: Archive) -> None:
    archive.record(v0(envelope(user()), ANSWER), request("U", parent_message_id="P"))
    row = archive.message("U")
    assert (row["parent_id"], row["status"], row["request_id"]) == ("P", FINISHED, "r")
    assert (row["role"], row["visible"], row["requested_model"]) == ("user", 1, None)
    assert (row["created_at"], row["revision"]) == ("2026-09-21T14:13:19.500000Z", 0)


def test_the_parent_that_the_echo_names_is_the_true_one(archive: Archive) -> None:
    echo = user(metadata={"parent_id": "context"})
    archive.record(v0(envelope(echo), ANSWER), request("U", parent_message_id="client-created-root"))
    assert archive.message("U")["parent_id"] == "context"


def test_a_message_sent_under_itself_has_no_parent(archive: Archive) -> None:
    archive.record(v0(ANSWER), request("U", parent_message_id="U", action="variant"))
    assert archive.message("U")["parent_id"] is None
    assert archive.stream()["action"] == "variant"


def test_the_request_tells_what_the_answer_does_not(archive: Archive) -> None:
    sent = request("U", conversation_mode={"kind": "gizmo_interaction", "gizmo_id": "g-1"}, conversation_origin="apple")
    archive.record(v0(ANSWER), sent, request_encoding="")
    talk = archive.row("SELECT * FROM conversations")
    assert (talk["id"], talk["gizmo_id"], talk["conversation_origin"]) == ("talk", "g-1", "apple")
    assert (talk["created_at"], talk["updated_at"]) == ("2026-09-21T14:13:19.500000Z",) * 2
    stream = archive.stream()
    assert (stream["request_message_id"], stream["requested_model"], stream["action"]) == ("U", "gpt-5-5", "next")
    assert archive.message("A")["requested_model"] == "gpt-5-5"


def test_a_turn_in_a_known_conversation_does_not_begin_it(archive: Archive) -> None:
    archive.record(v0(done=False), request("U", conversation_id="talk"), closing=None)
    assert archive.message("U")["conversation_id"] == "talk"
    assert archive.row("SELECT created_at FROM conversations") == {"created_at": None}


def test_the_pages_own_name_for_a_conversation_is_none(archive: Archive) -> None:
    archive.record(v0(done=False), request("U", conversation_id="WEB:1b2c"), stream_id="cut")
    assert (archive.message("U")["conversation_id"], archive.count("conversations")) == (None, 0)
    archive.record(v0(ANSWER), request("U", conversation_id="WEB:1b2c"))
    assert archive.message("U")["conversation_id"] == "talk"
    assert archive.row("SELECT id, created_at IS NOT NULL AS begun FROM conversations") == {"id": "talk", "begun": 1}
    assert archive.row("SELECT prompt FROM turns") == {"prompt": "Why are there tides?"}


def test_a_prompt_whose_answer_never_names_a_conversation_is_kept_and_adopted_later(archive: Archive) -> None:
    archive.record(b"", request("U", parent_message_id="P"), closing=Closing("cut"))
    first = archive.message("U")
    assert (first["conversation_id"], first["parent_id"], first["live"]) == (None, "P", 0)
    archive.record(v0(envelope(user()), ANSWER), request("U"), stream_id="retry")
    second = archive.message("U")
    assert (second["n"], second["conversation_id"], second["parent_id"]) == (first["n"], "talk", "P")
    archive.record(b"", request("U", parent_message_id="P"), closing=Closing("cut"))
    assert archive.message("U") == second


def test_an_answer_that_never_names_a_conversation_is_kept_and_adopted_later(archive: Archive) -> None:
    archive.record(v0(envelope(user(), conversation_id=None), UNNAMED), request("U"))
    assert archive.rows("SELECT DISTINCT conversation_id FROM messages") == [{"conversation_id": None}]
    archive.record(v0(envelope(user()), ANSWER), stream_id="resume", kind="resume")
    assert archive.rows("SELECT id, conversation_id FROM messages ORDER BY n") == [
        {"id": "U", "conversation_id": "talk"},
        {"id": "A", "conversation_id": "talk"},
    ]
    archive.record(v0(UNNAMED), stream_id="again", kind="resume")
    assert archive.message("A")["conversation_id"] == "talk"


def test_every_message_of_a_request_is_kept_and_the_last_is_the_one_that_was_asked(archive: Archive) -> None:
    hint, asked = message("H", "hint", author={"role": "system"}), message("U", "Why?", author={"role": "user"})
    archive.record(v0(ANSWER), request("x", messages=[hint, "no message", {"no": "id"}, asked]))
    assert archive.stream()["request_message_id"] == "U"
    assert [row["id"] for row in archive.rows("SELECT id FROM messages ORDER BY n")] == ["H", "U", "A"]


def test_a_continuation_sends_no_message(archive: Archive) -> None:
    archive.record(v0(ANSWER), request("x", messages=[], action="continue", conversation_id="talk"))
    assert (archive.stream()["request_message_id"], archive.stream()["action"]) == (None, "continue")
    assert archive.count("messages") == 1


@pytest.mark.parametrize(
    "sent",
    [b"", b"torn {", b"[1]", b'"text"', b"{}", b'{"messages": {"0": 1}}', b'{"messages": [[]], "model": 5}', b"\xff"],
)
def test_a_request_that_cannot_be_read_costs_the_request_only(archive: Archive, sent: bytes) -> None:
    archive.record(v0(ANSWER), sent)
    assert archive.message("A")["text"] == "Hi"
    assert archive.stream()["request_message_id"] is None


def test_a_request_may_be_coded_as_its_header_says(archive: Archive) -> None:
    archive.record(v0(ANSWER), compress(request("U")), request_encoding="zstd")
    archive.record(v0(ANSWER), request("V"), request_encoding="unheard-of", stream_id="other")
    assert [row["request_message_id"] for row in archive.rows("SELECT * FROM streams ORDER BY id")] == [None, "U"]


def test_what_json_can_say_and_sqlite_cannot_hold_is_kept_as_well_as_possible(archive: Archive) -> None:
    odd = (
        rb'{"messages": [{"id": "U", "author": {"role": "user"}, "content": {"parts": ["half \ud83d, nul \u0000."]}}],'
    )
    archive.record(v0(ANSWER), odd + rb' "model": "\udcff", "big": 123456789012345678901234567890}')
    assert archive.message("U")["text"] == "half \ufffd, nul \0."
    assert archive.stream()["requested_model"] == "\ufffd"
    kept = decompress(archive.row("SELECT body FROM request_bodies")["body"])
    assert b'"big":123456789012345678901234567890' in kept


def test_the_prompt_comes_first_whenever_its_conversation_is_named(archive: Archive) -> None:
    late = {"type": "message_stream_complete", "conversation_id": "talk"}
    archive.record(v1({"type": "title_generation", "title": "Tides"}, late), request("U"))
    assert archive.message("U")["first_seen_at"] == "2026-09-21T14:13:20.000000Z"
    assert archive.row("SELECT id, title FROM conversations") == {"id": "talk", "title": "Tides"}

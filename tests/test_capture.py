"""One exchange from bytes to rows: how it ends, what is kept of it, and that no end of it is unforeseen."""

import contextlib
import gzip
import json
import sqlite3
import zlib
from typing import Any

import brotli
import pytest

from addon.answers import capture
from addon.upkeep.reparse import reparse
from addon.wire.evidence import compress, decompress
from scripts import scenes
from tests.recording import (
    FINISHED,
    STARTED,
    STATUS,
    TABLES,
    TEXT,
    Archive,
    delta,
    envelope,
    event,
    message,
    opening,
    request,
    shown,
    v0,
    v1,
)

ANSWER = (shown(message("A", "So it ")), delta(TEXT, "append", "goes"))
FINISH = delta("", "patch", [{"p": STATUS, "o": "replace", "v": FINISHED}, {"p": "/message/end_turn", "o": "replace", "v": True}])  # fmt: skip
HANDOFF = {"type": "stream_handoff", "turn_exchange_id": "turn-9", "options": [{"type": "resume_sse_endpoint"}]}
COMPLETE = {"type": "message_stream_complete", "conversation_id": "talk"}
JSON: dict[str, Any] = {"streamed": False, "content_type": "application/json"}
HTML: dict[str, Any] = {"streamed": False, "content_type": "text/html; charset=UTF-8", "status_code": 403}


@pytest.mark.parametrize(
    ("body", "known", "reason", "state", "error"),
    [
        (v1(*ANSWER, FINISH), {}, "end", "complete", None),
        (v1(*ANSWER), {}, "cut", "complete", None),
        (v1(*ANSWER, COMPLETE, done=False), {}, "cut", "complete", None),
        (v1(*ANSWER, {"type": "done"}, done=False), {}, "cut", "complete", None),
        (v1(*ANSWER, FINISH, done=False), {}, "cut", "complete", None),
        (v0(envelope(message("A", "Hi", status=FINISHED, end_turn=True)), done=False), {}, "lost", "complete", None),
        (v1(*ANSWER, done=False), {}, "end", "interrupted", "ended without [DONE]"),
        (v1(*ANSWER, done=False), {}, "cut", "interrupted", "connection closed"),
        (v1(*ANSWER, done=False), {}, "shutdown", "interrupted", "the proxy was stopped"),
        (v1(*ANSWER, done=False), {}, "lost", "interrupted", "the proxy was killed"),
        (b"", {}, "unseen", "interrupted", "another addon took the body"),
        (b"", {}, "new reason", "interrupted", "new reason"),
        (v1(HANDOFF), {}, "end", "handed_off", None),
        (v1(HANDOFF, COMPLETE), {}, "end", "handed_off", None),
        (v1(HANDOFF, *ANSWER, FINISH), {}, "end", "complete", None),
        (b'{"wss_url": "wss://x.webpubsub.azure.com/c?access_token=s", "conversation_id": "talk"}', JSON, "end", "handed_off", None),
        (b'{"detail": "no"}', JSON | {"status_code": 403}, "end", "error", "HTTP 403 application/json"),
        (b"<html>Just a moment...</html>", HTML, "end", "error", "HTTP 403 text/html; charset=UTF-8"),
        (b"", {"status_code": 500, "content_type": None}, "end", "error", "HTTP 500"),
        (b"{}", JSON, "end", "complete", None),
        (b"[]", JSON, "end", "error", "answered by application/json instead of an event stream"),
        (b'{"detail": "no"}', JSON, "end", "error", "answered by application/json instead of an event stream"),
        (b'{"status": "ok"', JSON, "cut", "error", "answered by application/json instead of an event stream"),
        (b'{"status": "ok"}', JSON | {"status_code": 429}, "end", "error", "HTTP 429 application/json"),
        (b"", JSON | {"content_type": None}, "end", "error", "answered by nothing instead of an event stream"),
        (b"x", {"content_encoding": "br, snake"}, "end", "error", "unknown content coding 'snake'"),
        (v0({"message": None, "error": "x", "error_code": "rate"}), {}, "end", "error", "the service reported an error (rate)"),
        (event(b'"v9"', "delta_encoding"), {}, "end", "error", "unknown delta encoding"),
        (event({"task_status": "running"}), {"kind": "other"}, "end", "complete", None),
        (event({"task_status": "running"}), {"kind": "other"}, "cut", "interrupted", "connection closed"),
    ],
)  # fmt: skip
def test_the_state_says_how_it_ended(
    archive: Archive, body: bytes, known: dict[str, Any], reason: str, state: str, error: str | None
) -> None:
    recorded = archive.record(body, closing=capture.Closing(reason), **known)
    row = archive.stream()
    assert (row["state"], row["error"]) == (state, error)
    told = recorded.summary()
    assert (told is None) == (row["kind"] == "document")
    assert told is None or (told.state, told.error) == (state, error)
    assert row["ended_at"] is not None


def test_the_detail_of_a_cut_is_one_clean_line(archive: Archive) -> None:
    archive.record(b"", closing=capture.Closing("cut", "peer\r\n\x1b[31m went away" + "!" * 300))
    error = archive.stream()["error"]
    assert error.startswith("connection closed: peer[31m went away!!!")
    assert len(error) < 250


@pytest.mark.parametrize("page", [scenes.error_403(), scenes.challenge_page()], ids=["json", "html"])
def test_a_refusal_keeps_the_prompt_and_what_can_be_read(archive: Archive, page: scenes.Page) -> None:
    content_type = dict(page.headers)["content-type"]
    archive.record(page.body, request("U"), streamed=False, status_code=page.status, content_type=content_type)
    row = archive.row("SELECT type, recognised, data FROM events")
    assert (row["type"], row["recognised"]) == ("answer_without_events", 0)
    assert ("unusual_activity" in row["data"]) == (content_type == "application/json")
    assert archive.stream()["encoding"] == ("json" if content_type == "application/json" else None)
    assert archive.message("U")["text"] == "Why are there tides?"
    assert archive.message("U")["conversation_id"] is None


def test_a_hand_off_of_2024_names_the_conversation_and_keeps_no_token(archive: Archive) -> None:
    answer = {
        "wss_url": "wss://x.webpubsub.azure.com/c?access_token=s3cret",
        "conversation_id": "talk",
        "response_id": "r",
    }
    archive.record(json.dumps(answer).encode(), request("U"), **JSON)
    stream = archive.stream()
    assert (stream["conversation_id"], stream["encoding"]) == ("talk", "json")
    assert archive.message("U")["conversation_id"] == "talk"
    assert archive.row("SELECT type, recognised FROM events") == {"type": "websocket_handoff", "recognised": 1}
    assert b"s3cret" not in archive.path.read_bytes()


STEP = b'{"status": "ok", "conduit_token": "eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnkiOiJjYW5hcnkifQ.c2VjcmV0LWNhbmFyeQ"}'
PREPARES = json.dumps(
    {"action": "next", "conversation_id": "talk", "model": "gpt-5-5", "partial_query": "Why"}
).encode()


def test_a_post_that_only_helps_its_turn_along_is_no_error_and_no_turn(archive: Archive) -> None:
    """Before the answer and after it, at its address, answered in JSON (protocol 1a); what was said is kept."""
    archive.record(STEP, PREPARES, stream_id="before", **JSON)
    archive.record(v1(*ANSWER, FINISH), request("U", conversation_id="talk"), started_at=STARTED + 1)
    archive.record(b"{}", PREPARES, stream_id="after", started_at=STARTED + 2, **JSON)
    steps = archive.rows("SELECT * FROM streams WHERE id <> 'stream' ORDER BY id DESC")
    assert [(row["kind"], row["name"], row["state"], row["error"]) for row in steps] == [
        ("document", "step", "complete", None)
    ] * 2
    assert [(row["conversation_id"], row["unrecognised_count"]) for row in steps] == [("talk", 0)] * 2
    assert archive.rows("SELECT * FROM events") == []
    assert archive.rows("SELECT name FROM capture_health WHERE attention") == []
    assert archive.row("SELECT stream_id, state FROM turns") == {"stream_id": "stream", "state": "complete"}
    bodies = {row["stream_id"]: decompress(row["body"]) for row in archive.rows("SELECT * FROM stream_bodies")}
    assert (bodies["before"], bodies["after"]) == (b'{"status": "ok", "conduit_token": "redacted"}', b"{}")
    sent = archive.row("SELECT body FROM request_bodies WHERE stream_id = 'before'")["body"]
    assert json.loads(decompress(sent)) == json.loads(PREPARES)
    before = archive.dump()
    assert not reparse(archive.path).changed
    assert archive.dump() == before


def test_a_send_that_was_taken_without_an_answer_is_awaited_elsewhere(archive: Archive) -> None:
    archive.record(b'{"status": "ok", "conversation_id": "talk"}', request("U"), **JSON)
    stream = archive.stream()
    assert (stream["kind"], stream["state"], stream["error"]) == ("turn", "handed_off", None)
    assert archive.row("SELECT type, recognised FROM events") == {"type": "answer_without_events", "recognised": 1}
    completeness = "SELECT completeness FROM turn_completeness"
    assert archive.row(completeness) == {"completeness": "handed_off_and_not_found"}
    answer = v1(*ANSWER, FINISH)
    archive.record(answer, request("U", conversation_id="talk"), stream_id="tried again", started_at=STARTED + 1)
    assert archive.row(completeness) == {"completeness": "complete"}


def test_what_was_an_error_to_an_earlier_version_is_a_step_after_reading_again(archive: Archive) -> None:
    archive.record(STEP, PREPARES, **JSON)
    before = archive.dump()
    with contextlib.closing(sqlite3.connect(archive.path)) as db, db:
        db.execute(
            "UPDATE streams SET kind = 'turn', name = NULL, state = 'error', error = 'x', unrecognised_count = 1"
        )
        db.execute("INSERT INTO events (stream_id, position, type, recognised) VALUES ('stream', 0, 'x', 0)")
    assert reparse(archive.path).changed
    assert archive.dump() == before


# Content codings


CODINGS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": compress}


@pytest.mark.parametrize("coding", CODINGS)
def test_a_coded_body_is_read_in_any_chunks(archive: Archive, coding: str) -> None:
    body = v1(*ANSWER, FINISH)
    wire = CODINGS[coding](body)
    archive.record(wire, chunks=[wire[i : i + 3] for i in range(0, len(wire), 3)], content_encoding=coding)
    stream = archive.stream()
    assert (stream["state"], stream["wire_bytes"], stream["body_bytes"]) == ("complete", len(wire), len(body))
    assert archive.message("A")["text"] == "So it goes"


def test_a_body_that_breaks_in_the_middle_keeps_what_came_before_and_the_bytes_after(archive: Archive) -> None:
    zipper = zlib.compressobj(wbits=31)
    good = zipper.compress(v1(*ANSWER, done=False)) + zipper.flush(zlib.Z_SYNC_FLUSH)
    archive.record(b"", chunks=[good, b"\xff broken", b" and more"], content_encoding="gzip")
    assert archive.message("A")["text"] == "So it goes"
    assert archive.message("A")["live"] == 0
    assert archive.stream()["error"].startswith("content coding: ")
    bodies = archive.row("SELECT body, wire FROM stream_bodies")
    assert decompress(bodies["body"]) == v1(*ANSWER, done=False)
    assert decompress(bodies["wire"]) == b"\xff broken and more"


def test_a_body_without_end_is_given_up_but_not_the_capture(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MAX_BODY_BYTES", 10_000)
    monkeypatch.setattr(capture, "MAX_UNDECODED_BYTES", 50)
    padding = gzip.compress(b":" * 20_000)
    zipped = gzip.compress(v1(*ANSWER, done=False)) + padding
    archive.record(zipped, chunks=[zipped, b"x" * 60, b"y" * 60], content_encoding="gzip")
    assert archive.stream()["error"] == "the decoded body exceeds 10000 bytes"
    assert archive.message("A")["text"] == "So it goes"
    assert decompress(archive.row("SELECT wire FROM stream_bodies")["wire"]) == zipped


# The end of the body


def test_a_body_that_ends_in_the_middle_of_a_character_keeps_the_text_before_it(archive: Archive) -> None:
    last = '{"v": " \u6f6e'.encode()[:-1]
    archive.record(v1(*ANSWER, done=False) + b"event: delta\ndata: " + last, closing=capture.Closing("cut"))
    row = archive.message("A")
    assert (row["text"], row["damaged"], row["live"]) == ("So it goes", 0, 0)
    kept = archive.row("SELECT type, recognised, message_id, data FROM events")
    assert kept == {"type": "incomplete", "recognised": 0, "message_id": "A", "data": '"{\\"v\\": \\" \ufffd"'}


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_an_event_that_lacks_only_its_blank_line_is_read(archive: Archive, end: bytes) -> None:
    archive.record(v1(*ANSWER, done=False) + b'event: delta\ndata: {"v": "!"}' + end)
    assert archive.message("A")["text"] == "So it goes!"
    assert archive.count("events") == 0


# What is kept


def test_the_body_that_is_kept_is_the_body_without_its_secrets(archive: Archive) -> None:
    scene = scenes.plain_answer("Why?", "Because.")
    archive.record(scene.body, rb'{"access_token": "s3cret", "messages": [{"id": "U"}], "to\u006ben": "s3cret"}')
    body = decompress(archive.row("SELECT body FROM stream_bodies")["body"])
    assert len(body.split(b"\n\n")) == len(scene.body.split(b"\n\n"))
    assert b"Because." in body
    sent = decompress(archive.row("SELECT body FROM request_bodies")["body"])
    assert json.loads(sent) == {"access_token": "redacted", "messages": [{"id": "U"}], "token": "redacted"}
    for secret in scene.secrets:
        assert secret.encode() in scene.body
        assert secret.encode() not in body
        assert secret.encode() not in archive.path.read_bytes()


def test_without_raw_bodies_the_rows_are_the_same_and_the_bodies_are_not_there(archive: Archive) -> None:
    archive.record(v1(*ANSWER, FINISH), request("U"), keep_raw=False)
    assert (archive.count("stream_bodies"), archive.count("request_bodies")) == (0, 0)
    assert (archive.message("A")["text"], archive.message("U")["role"]) == ("So it goes", "user")


@pytest.mark.parametrize("key", ["history_and_training_disabled", "is_do_not_remember"])
def test_a_temporary_chat_is_marked_or_leaves_no_row_at_all(archive: Archive, key: str) -> None:
    temporary: dict[str, Any] = {key: True}
    body, sent = v1(*ANSWER, FINISH), request("U", **temporary)
    skipped = archive.record(body, sent, look=lambda: True, keep_temporary=False)
    assert (skipped.skipped, skipped.changed) == (True, False)
    assert {table: archive.count(table) for table in TABLES} == dict.fromkeys(TABLES, 0)
    archive.record(body, sent)
    assert archive.row("SELECT is_temporary FROM conversations") == {"is_temporary": 1}
    archive.record(body, request("U", conversation_id="other"), stream_id="usual", keep_temporary=False)
    assert archive.row("SELECT is_temporary FROM conversations WHERE id = 'other'") == {"is_temporary": None}


def test_a_stream_is_written_again_only_when_there_is_news() -> None:
    reading = capture.Capture(opening(), b"")
    reading.begin()
    reading.feed(v1(*ANSWER, done=False), STARTED + 1)
    assert reading.changed is True
    assert [type(record).__name__ for record in reading.snapshot()] == ["Stream", "MessageGrowth"]
    assert (reading.changed, reading.snapshot()) == (False, [])
    reading.feed(b": ping\n\n", STARTED + 2)
    assert reading.snapshot() == []  # how many bytes there were is written with the next news
    reading.feed(event({"p": TEXT, "o": "append", "v": "!", "c": 0}, "delta"), STARTED + 3)
    assert [type(record).__name__ for record in reading.snapshot()] == ["MessageGrowth"]


def test_the_summary_is_what_a_person_wants_to_know(archive: Archive) -> None:
    scene = scenes.plain_answer("Why?", "Because \U0001f30a.", title="Tides", model="gpt-5-5")
    recorded = archive.record(scene.body + event({"type": "brand_new"}), request(scene.user_message_id))
    summary = recorded.summary()
    assert summary is not None
    assert (summary.kind, summary.state, summary.title, summary.model) == ("turn", "complete", "Tides", "gpt-5-5")
    assert (summary.characters, summary.unrecognised, summary.error) == (10, 1, None)
    assert summary.seconds == pytest.approx((len(scene.body) + len(event({"type": "brand_new"}))) / 1000)
    assert recorded.message_count == len(scene.messages)


def test_the_opening_crosses_the_journal_as_it_is() -> None:
    known = opening(http_version="HTTP/2.0", content_encoding="br", keep_raw=False)
    assert capture.Opening.from_bytes(known.to_bytes()) == known
    odd = opening(path="/backend-api/\udcff")  # what mitmproxy makes of a byte that is no UTF-8
    assert capture.Opening.from_bytes(odd.to_bytes()).path == "/backend-api/\ufffd"
    with pytest.raises(TypeError):
        capture.Opening.from_bytes(b'{"unknown": 1}')
    with pytest.raises(ValueError, match="line 1 column 1"):
        capture.Opening.from_bytes(b"torn")


def test_what_the_journal_could_not_keep_is_said_and_no_message_is_called_whole(archive: Archive) -> None:
    body = v1(shown(message("A", "all of it?", status=FINISHED)), {"type": "message_stream_complete"})
    archive.record(body, request("U"), closing=capture.Closing("end", lost_bytes=31))
    stream = archive.stream()
    assert (stream["state"], stream["error"]) == (
        "error", "31 bytes could not be kept: the disk took nothing and memory was used up"
    )  # fmt: skip
    assert (archive.message("A")["damaged"], archive.message("U")["damaged"]) == (1, 0)

"""A document's bytes to records: codings, secrets, bodies that are kept once, documents loaded again and again."""

import json
from typing import Any

import pytest

from addon.answers.capture import Closing
from addon.captures import Surroundings, capture_of
from addon.wire.evidence import decompress
from scripts.loopback import encode
from tests.recording import FINISHED, STARTED, Archive, Row, message, opening
from tests.test_documents import mapped, node

TALK = {"conversation_id": "talk"}
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJub2JvZHkifQ.c2lnbmVkLWJ5LW5vYm9keQ"
SIGNED = "https://chatgpt.com/backend-api/estuary/content?id=file_1&sig=5ecretsignature"


def body_of(archive: Archive, stream_id: str) -> Any:
    row = archive.row("SELECT body FROM stream_bodies WHERE stream_id = ?", stream_id)
    return json.loads(decompress(row["body"]))


def polls(archive: Archive, *answers: Row, **how: Any) -> list[Row]:
    for minute, answer in enumerate(answers):
        archive.load("conversation", answer, at=STARTED + minute * 60_000_000, parameters=TALK, **how)
    return archive.rows(
        "SELECT (s.started_at - 0) AS _, substr(s.started_at, 15, 2) AS asked, substr(s.last_seen_at, 15, 2) AS seen,"
        " b.body IS NOT NULL AS kept FROM streams s JOIN stream_bodies b ON b.stream_id = s.id ORDER BY s.started_at"
    )


# Loaded again


def test_a_document_that_is_loaded_again_unchanged_is_one_row(archive: Archive) -> None:
    first, second = mapped(node("A", None)), mapped(node("A", None), node("B", "A"))
    rows = polls(archive, first, first, first, second, first, first)
    minutes = [(row["asked"], row["seen"], row["kept"]) for row in rows]
    start = int(minutes[0][0])
    assert [(int(asked) - start, seen and int(seen) - start, kept) for asked, seen, kept in minutes] == [
        (0, 2, 1),
        (3, None, 1),
        (4, 5, 0),
    ]
    assert archive.count("messages") == 2


def test_a_body_that_is_kept_elsewhere_is_found_by_its_digest(archive: Archive) -> None:
    first, second = mapped(node("A", None)), mapped(node("B", None))
    polls(archive, first, second, first)
    found = archive.rows(
        "SELECT kept.body FROM stream_bodies b JOIN stream_bodies kept ON kept.digest = b.digest AND kept.body IS NOT NULL"
        " WHERE b.body IS NULL"
    )
    assert [json.loads(decompress(row["body"])) for row in found] == [first]


def test_reading_all_of_it_again_after_a_crash_changes_nothing(archive: Archive) -> None:
    first, second = mapped(node("A", None)), mapped(node("A", None), node("B", "A"))
    answers = [first, first, second, first, first]
    polls(archive, *answers)
    before = archive.dump()
    polls(archive, *answers)
    assert archive.dump() == before


def test_pages_of_one_list_are_different_documents(archive: Archive) -> None:
    for minute, offset in enumerate(["0", "28", "0", "28"]):
        items = {"items": [{"id": offset, "title": "T"}]}
        archive.load("conversations", items, at=STARTED + minute, kind="list", parameters={"offset": offset})
    assert archive.count("streams") == 2


def test_what_the_page_does_is_kept_each_time(archive: Archive) -> None:
    for minute in range(2):
        archive.load("stop", {}, at=STARTED + minute, method="POST", sent={"conversation_id": "talk"})
    assert (archive.count("streams"), archive.count("events"), archive.count("request_bodies")) == (2, 2, 2)


def test_without_raw_bodies_only_digests_are_kept(archive: Archive) -> None:
    rows = polls(archive, mapped(node("A", None)), mapped(node("A", None)), keep_raw=False)
    assert [row["kept"] for row in rows] == [0]
    assert archive.count("messages") == 1


def test_two_documents_in_one_batch_are_compared_too(archive: Archive) -> None:
    """The recorder writes what it has before a capture asks."""
    asked: list[str] = []

    def unchanged(opening: Any, digest: str) -> str | None:
        asked.append(digest)
        return "first" if len(asked) > 1 else None

    around, known = Surroundings(unchanged=unchanged), opening(kind="document", name="conversation", method="GET")
    captures = [capture_of(known, b"", around) for _ in range(2)]
    found = [[*capture.feed(b'{"mapping":{}}', 1), *capture.close(Closing("end"), 2)] for capture in captures]
    assert asked[0] == asked[1]
    assert [type(record).__name__ for record in found[1]] == ["StreamSeen"]
    assert captures[1].skipped


# Secrets


def test_no_secret_of_a_document_is_kept_and_no_word_is_lost(archive: Archive) -> None:
    said = f"What is {JWT} in {SIGNED}?"
    document = mapped(
        node(
            "A", None, content={"content_type": "text", "parts": [said]}, metadata={"image": f"see {SIGNED}", "x": JWT}
        ),
        title=f"About {JWT}",
        access_token="plain",
        download_url=SIGNED,
        note=f"text {JWT}",
    )
    archive.load("conversation", document, parameters=TALK)
    row = archive.message("A")
    assert row["text"] == said
    assert json.loads(row["metadata"]) == {
        "image": "see https://chatgpt.com/backend-api/estuary/content?id=file_1&redacted",
        "x": "redacted",
    }
    kept = body_of(archive, f"conversation {STARTED}")
    assert kept["mapping"]["A"]["message"]["content"]["parts"] == [said]
    assert kept["title"] == f"About {JWT}"
    assert (kept["access_token"], kept["note"]) == ("redacted", "text redacted")
    assert kept["download_url"] == "https://chatgpt.com/backend-api/estuary/content?id=file_1&redacted"


def test_a_body_without_secrets_is_kept_byte_by_byte(archive: Archive) -> None:
    body = b'{ "mapping" : {"A":{"message":null}},\r\n"title":"\\ud83d \\u00e9" , "x": 1.50 }'
    archive.load("conversation", body, parameters=TALK)
    (row,) = archive.rows("SELECT body FROM stream_bodies")
    assert decompress(row["body"]) == body


def test_secrets_of_a_request_are_not_kept(archive: Archive) -> None:
    archive.load("init", {}, method="POST", sent={"conversation_id": "talk", "conduit_token": "plain"})
    (row,) = archive.rows("SELECT body FROM request_bodies")
    assert json.loads(decompress(row["body"])) == {"conversation_id": "talk", "conduit_token": "redacted"}


# Bytes


@pytest.mark.parametrize("coding", ["", "gzip", "br", "zstd", "deflate"])
def test_a_document_may_be_compressed_and_cut(archive: Archive, coding: str) -> None:
    body = json.dumps(mapped(node("A", None))).encode()
    wire = encode(body, coding) if coding else body
    known = opening(kind="document", name="conversation", method="GET", content_encoding=coding, parameters=TALK)
    capture = capture_of(known, b"", Surroundings())
    records = capture.begin()
    for start in range(0, len(wire), 7):
        records += capture.feed(wire[start : start + 7], STARTED)
    archive.store.write(records + capture.close(Closing("end"), STARTED))
    stream = archive.stream()
    assert (stream["state"], stream["wire_bytes"], stream["body_bytes"]) == ("complete", len(wire), len(body))
    assert (archive.message("A")["text"], capture.message_count) == ("text of A", 1)


@pytest.mark.parametrize(
    ("closing", "coding", "state", "error"),
    [
        (Closing("cut", "peer left"), "", "interrupted", "peer left"),
        (Closing("lost"), "", "interrupted", "lost"),
        (Closing("end"), "gzip", "error", "content coding: Error -3 while decompressing data: incorrect header check"),
        (Closing("end"), "sdch", "error", "unknown content coding 'sdch'"),
    ],
)
def test_a_document_that_did_not_arrive_whole_is_kept_and_not_read(
    archive: Archive, closing: Closing, coding: str, state: str, error: str
) -> None:
    known = opening(kind="document", name="conversation", method="GET", content_encoding=coding, parameters=TALK)
    capture = capture_of(known, b"", Surroundings())
    body = json.dumps(mapped(node("A", None))).encode()[:-9]
    archive.store.write([*capture.feed(body, STARTED), *capture.close(closing, STARTED)])
    row = archive.row("SELECT * FROM streams JOIN stream_bodies ON stream_id = id")
    assert (row["state"], row["error"]) == (state, error)
    assert (archive.count("messages"), archive.count("events")) == (0, 0)
    assert decompress(row["wire"] or row["body"]) == body


def test_a_page_instead_of_json_is_recorded(archive: Archive) -> None:
    archive.load("conversation", b"<html>Just a moment", parameters=TALK, content_type="text/html")
    row = archive.row("SELECT type, recognised, data, conversation_id FROM events")
    assert (row["type"], row["recognised"], row["conversation_id"]) == ("unparsable", 0, "talk")
    assert json.loads(row["data"]) == {"content_type": "text/html", "body_bytes": 19}


def test_a_temporary_chat_is_left_out_when_the_person_wants_it(archive: Archive) -> None:
    document = mapped(("A", {"message": message("A", status=FINISHED)}), is_do_not_remember=True)
    capture = archive.load("conversation", document, parameters=TALK, keep_temporary=False)
    assert capture.skipped
    assert (archive.count("streams"), archive.count("conversations"), archive.count("stream_bodies")) == (0, 0, 0)

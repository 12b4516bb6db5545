"""The events beside the messages: which are known, what they say of the turn, and how many are kept."""

from typing import Any

import pytest

from addon.answers.conversation import ConversationDecoder
from addon.answers.message_states import Exchange
from addon.answers.typed_events import MAX_TYPED_EVENTS
from addon.records import TypedEvent
from addon.wire.sse import EventStreamParser
from tests.recording import envelope, event, message, shown, v0, v1

TYPES: list[dict[str, Any]] = [
    {"type": "resume_conversation_token", "kind": "topic", "token": "redacted", "conversation_id": "talk"},
    {"type": "input_message", "input_message": {"id": "U"}, "conversation_id": "talk"},
    {"type": "message_marker", "conversation_id": "talk", "message_id": "A", "marker": "cot_token", "event": "first"},
    {"type": "title_generation", "title": "Tides", "conversation_id": "talk"},
    {"type": "message_stream_complete", "conversation_id": "talk"},
    {"type": "conversation_detail_metadata", "limits_progress": [], "conversation_id": "talk"},
    {"type": "server_ste_metadata", "metadata": {"plan_type": "free"}, "conversation_id": "talk"},
    {"type": "moderation", "conversation_id": "talk", "moderation_response": {"flagged": False, "blocked": False}},
    {"type": "safety_review_update", "active": True, "message": "in review", "conversation_id": "talk"},
    {"type": "url_moderation", "url_moderation_result": {"full_url": "https://example.org", "is_safe": True}},
    {"type": "conversation_async_status", "async_status": 3, "conversation_id": "talk"},
    {"type": "stream_handoff", "turn_exchange_id": "turn", "options": [{"type": "resume_sse_endpoint"}]},
    {"type": "stream_handoff", "turn_exchange_id": "turn", "options": {"type": "subscribe_ws_topic"}},
    {"type": "streaming_parent_patch", "logical_answer_id": "A", "revision": 1, "updates": []},
    {"type": "perf_stats"},
    {"type": "toast", "level": "info", "message": "Hello", "toast_id": "t"},
    {"type": "error", "error": "no"},
    {"type": "done"},
]


def read(body: bytes) -> tuple[list[TypedEvent], ConversationDecoder]:
    """The records of a stream's events, and the decoder at its end."""
    decoder, records = ConversationDecoder(Exchange("stream", "live")), []
    for number, found in enumerate(EventStreamParser().feed(body)):
        records += decoder.apply(found, number)
    return [record for record in records if isinstance(record, TypedEvent)], decoder


@pytest.mark.parametrize("payload", TYPES, ids=lambda payload: payload["type"])
def test_a_known_type_is_recognised_in_either_format(payload: dict[str, Any]) -> None:
    for body in (v1(payload), v0(payload)):
        (record,), decoder = read(body)
        assert (record.type, record.recognised, decoder.unrecognised_count) == (payload["type"], True, 0)


@pytest.mark.parametrize(
    ("data", "kind", "stored"),
    [
        (b'{"type":"brand_new","x":[1],"conversation_id":"talk"}', "brand_new", '{"type":"brand_new","x":[1],"conversation_id":"talk"}'),
        (b'{"neither":"type nor message"}', "message", '{"neither":"type nor message"}'),
        (b'{"type":5}', "message", '{"type":5}'),
        (b'{"message":"no object"}', "message", '{"message":"no object"}'),
        (b'{"message":{"no":"id"}}', "message", '{"message":{"no":"id"}}'),
        (b'{"type":"\\ud83d","big":123456789012345678901234567890}', "\ufffd", '{"type":"\ufffd","big":123456789012345678901234567890}'),
        (b"[1,2]", "message", "[1,2]"),
        (b'"v1"', "message", '"v1"'),
        (b"NaN", "unparsable", '"NaN"'),
        (b"\xff\xfe", "unparsable", '"\ufffd\ufffd"'),
        (b"nul \0 inside", "unparsable", '"nul \\u0000 inside"'),
    ],
)  # fmt: skip
def test_what_nobody_knows_is_kept_as_it_is_and_counted(data: bytes, kind: str, stored: str) -> None:
    (record,), decoder = read(event(data))
    assert (record.type, record.recognised, record.data) == (kind, False, stored)
    assert (decoder.event_count, decoder.unrecognised_count) == (1, 1)


def test_an_event_names_its_conversation_and_message_else_the_stream_does() -> None:
    body = v1(
        {"type": "title_generation", "title": "Early"},
        {"type": "conversation_async_status", "conversation_id": "talk"},
        {"type": "message_marker", "message_id": "A"},
    )
    named = [(record.position, record.conversation_id, record.message_id) for record in read(body)[0]]
    assert named == [(1, None, None), (2, "talk", None), (3, "talk", "A")]


def test_a_wrong_delta_is_kept_with_the_message_it_was_for_and_why_it_is_wrong() -> None:
    (record,), _ = read(v1(shown(message("A")), {"p": "/message/id/x", "o": "replace", "v": 1}))
    assert (record.type, record.recognised, record.message_id, record.position) == ("delta", False, "A", 2)
    assert '"delta":{"p":"/message/id/x","o":"replace","v":1}' in record.data


def test_the_count_of_events_is_the_offset_with_which_the_page_resumes() -> None:
    """Pings, empty events and [DONE] are not counted, the encoding and the resume token are."""
    body = (
        event(b'"v1"', "delta_encoding")
        + event({"type": "resume_conversation_token", "token": "t"})
        + b": ping - 2025-03-06 19:22:41.128196+00:00\n\n"
        + event(b"{}", "ping")
        + event(b"")
        + b"data:   \n\n"
        + event(shown(message("A")), "delta")
        + event(envelope(message("A", "x")))
        + event(b"[DONE]  ")
    )
    assert read(body)[1].event_count == 4
    assert read(body)[1].done is True


def test_a_flood_of_events_is_counted_to_its_end_but_not_kept() -> None:
    records, decoder = read(event({"type": "flood"}) * (MAX_TYPED_EVENTS + 10))
    assert (len(records), decoder.unrecognised_count) == (MAX_TYPED_EVENTS, MAX_TYPED_EVENTS + 10)


@pytest.mark.parametrize(
    ("payloads", "turn"),
    [
        ([{"type": "stream_handoff", "turn_exchange_id": "a"}], "a"),
        ([{"type": "server_ste_metadata", "metadata": {"turn_exchange_id": "b"}}], "b"),
        ([{"type": "resume_conversation_token", "token": "redacted turn_topic_id=conversation-turn-c"}], "c"),
        ([{"type": "resume_conversation_token", "token": "redacted turn_topic_id=conversation-turn-c"},
          {"type": "stream_handoff"}], "c"),
        ([{"type": "server_ste_metadata", "metadata": "none"}, {"type": "resume_conversation_token", "token": 5}], None),
    ],
)  # fmt: skip
def test_the_turn_is_named_by_whatever_names_it(payloads: list[dict[str, Any]], turn: str | None) -> None:
    assert read(v1(*payloads))[1].turn.exchange_id == turn


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({"message": None, "conversation_id": "talk", "error": "Something went wrong"}, "the service reported an error"),
        ({"message": None, "error": {"text": "x"}, "error_code": "rate_limited"}, "the service reported an error (rate_limited)"),
        ({"message": {}, "error": "x", "error_code": "a b\nc"}, "the service reported an error"),
        ({"error": "plain"}, "the service reported an error"),
        ({"type": "error", "error": "typed"}, "the service reported an error"),
    ],
)  # fmt: skip
def test_an_error_of_the_service_is_one_line_without_its_words(payload: dict[str, Any], error: str) -> None:
    (record,), decoder = read(v0(payload))
    assert (record.type, record.recognised, decoder.turn.error) == ("error", True, error)


def test_a_message_that_comes_with_an_error_is_kept() -> None:
    _, decoder = read(v0(envelope(message("A", "so far"), error="Something went wrong")))
    answer = decoder.messages.answer
    assert answer is not None
    assert answer.text == "so far"

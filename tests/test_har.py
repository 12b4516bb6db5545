"""What one entry of a HAR comes to."""

import base64
from typing import Any

import pytest

from addon.importing.har import Body, exchange_of

OTHERWISE = 1_000_000
STARTED = 1_790_000_000_250_000


def entry(**fields: Any) -> dict[str, Any]:
    """A send as Chrome records it."""
    return {
        "startedDateTime": "2026-09-21T14:13:20.250Z",
        "time": 1500.5,
        "request": {
            "method": "POST",
            "url": "https://chatgpt.com/backend-api/f/conversation?x=1",
            "httpVersion": "h3",
            "headers": [{"name": "authorization", "value": "Bearer canary"}],
            "cookies": [{"name": "session", "value": "canary"}],
            "postData": {"mimeType": "application/json", "text": '{"action":"next"}'},
        },
        "response": {"status": 200, "content": {"mimeType": "text/event-stream; charset=utf-8", "text": "data: 1\n\n"}},
    } | fields


def answered(status: int = 200, **content: Any) -> dict[str, Any]:
    return {"status": status, "content": {"mimeType": "text/event-stream", **content}}


def test_a_send_is_a_turn_with_its_times_and_its_request() -> None:
    exchange = exchange_of(entry(), "har:x:0", OTHERWISE)
    assert exchange is not None
    opening = exchange.opening
    assert (opening.kind, opening.streamed, opening.source, opening.stream_id) == ("turn", True, "har", "har:x:0")
    assert (opening.host, opening.path, opening.method) == ("chatgpt.com", "/backend-api/f/conversation", "POST")
    assert (opening.started_at, exchange.ended_at) == (STARTED, STARTED + 1_500_500)
    assert (exchange.request, exchange.body.chunks) == (b'{"action":"next"}', ((STARTED + 1_500_500, b"data: 1\n\n"),))
    assert (opening.timed, exchange.cut, exchange.body.missing) == (False, False, None)
    assert "canary" not in repr(exchange)


def test_a_body_that_holds_an_emoji_is_base64() -> None:
    text = base64.b64encode("data: 👍\n\n".encode()).decode()
    exchange = exchange_of(entry(response=answered(text=text, encoding="base64")), "s", OTHERWISE)
    assert exchange is not None
    assert exchange.body.chunks[0][1] == "data: 👍\n\n".encode()


@pytest.mark.parametrize("content", [{}, {"size": 0}, {"text": None}, {"text": ""}], ids=str)
def test_a_missing_body_is_said(content: dict[str, Any]) -> None:
    exchange = exchange_of(entry(response=answered(**content)), "s", OTHERWISE)
    assert exchange is not None
    assert exchange.body == Body(missing="the file holds no body for it")


WHOLE = base64.b64encode(b"data: 1\n\n").decode()


@pytest.mark.parametrize(
    ("content", "held", "said"),
    [
        ({"text": 5}, b"", "its body is no text"),
        ({"text": "%%%", "encoding": "base64"}, b"", "its body is no base64 from character 0 on"),
        (
            {"text": f"{WHOLE}%{WHOLE}", "encoding": "base64"},
            b"data: 1\n\n",
            "its body is no base64 from character 12 on",
        ),
        ({"text": WHOLE[:6], "encoding": "base64"}, b"dat", "its body is no base64 from character 4 on"),
    ],
    ids=str,
)
def test_a_body_is_read_as_far_as_it_can_be(content: dict[str, Any], held: bytes, said: str) -> None:
    exchange = exchange_of(entry(response=answered(**content)), "s", OTHERWISE)
    assert exchange is not None
    assert b"".join(chunk for _, chunk in exchange.body.chunks) == held
    assert (exchange.body.damage, exchange.body.missing, exchange.cut) == (said, None, True)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ("[]", "what it holds of its messages is no list"),
        ([{"opcode": 1, "data": "[]"}, None, {"opcode": 1, "data": 7}], "2 of its 3 messages cannot be read, the first is message 1"),
        ([{"opcode": 2, "data": "%"}], "1 of its 1 messages cannot be read, the first is message 0"),
    ],
    ids=str,
)  # fmt: skip
def test_messages_that_cannot_be_read_are_said(messages: Any, said: str) -> None:
    request = {"method": "GET", "url": "wss://ws.chatgpt.com/x"}
    socket = entry(request=request, response={"status": 101, "content": {}}, _webSocketMessages=messages)
    exchange = exchange_of(socket, "s", OTHERWISE)
    assert exchange is not None
    assert (exchange.body.damage, exchange.body.missing) == (said, None)


def test_an_aborted_answer_is_cut() -> None:
    exchange = exchange_of(entry(response={**answered(status=0), "_error": "net::ERR_ABORTED"}), "s", OTHERWISE)
    assert exchange is not None
    assert exchange.cut
    assert exchange.opening.status_code is None


def test_events_with_their_times_are_a_timed_stream() -> None:
    events = [
        {"time": 1790000001.5, "eventName": "delta_encoding", "eventId": "", "data": '"v1"'},
        {"time": 1790000002.5, "eventName": "message", "eventId": "7", "data": "a\nb"},
    ]
    exchange = exchange_of(entry(response=answered(), _eventSourceMessages=events), "s", OTHERWISE)
    assert exchange is not None
    assert exchange.opening.timed
    assert exchange.body.chunks == (
        (1_790_000_001_500_000, b'event: delta_encoding\ndata: "v1"\n\n'),
        (1_790_000_002_500_000, b"id: 7\ndata: a\ndata: b\n\n"),
    )


def test_the_messages_of_a_websocket_bear_the_byte_of_the_tap() -> None:
    socket = entry(
        request={"method": "GET", "url": "wss://ws.chatgpt.com/p24/ws/user/u?verify=canary"},
        response={"status": 101, "content": {}},
        _webSocketMessages=[
            {"type": "send", "time": 1790000001.0, "opcode": 1, "data": "[]"},
            {"type": "receive", "time": 1790000001.0, "opcode": 1, "data": "é"},
            {"type": "receive", "time": 1790000003.0, "opcode": 2, "data": "AAE="},
        ],
    )
    exchange = exchange_of(socket, "s", OTHERWISE)
    assert exchange is not None
    assert (exchange.opening.kind, exchange.opening.path) == ("socket", "/p24/ws/user/u")
    assert exchange.body.chunks == (
        (1_790_000_001_000_000, b"\x01[]"),
        (1_790_000_001_000_001, b"\x00\xc3\xa9"),
        (1_790_000_003_000_000, b"\x02\x00\x01"),
    )
    assert "canary" not in repr(exchange)


def test_a_date_that_is_none_is_that_of_the_file() -> None:
    dates: tuple[object, ...] = (None, {}, "yesterday", "99999-01-01", "")
    for date in dates:
        exchange = exchange_of(entry(startedDateTime=date, time="long"), "s", OTHERWISE)
        assert exchange is not None
        assert (exchange.opening.started_at, exchange.ended_at) == (OTHERWISE, OTHERWISE)


@pytest.mark.parametrize(
    "other",
    [
        None,
        [],
        {},
        entry(request={"method": "GET", "url": "http://[bad"}),
        entry(request={"method": "GET", "url": "https://example.com/backend-api/conversation"}),
        entry(request={"method": "GET", "url": "https://chatgpt.com/backend-api/me"}),
        entry(request=None),
        entry(request={"url": 7}),
    ],
)
def test_other_entries_are_passed_by(other: Any) -> None:
    assert exchange_of(other, "s", OTHERWISE) is None

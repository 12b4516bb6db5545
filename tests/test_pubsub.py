import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.sockets.pubsub import MAX_BINARY, Piece, Subscription, Update, cut, received, sent
from addon.wire.redaction import EventRedaction

TOPIC = "conversation-turn-T"


def published(payload: Any, **about: Any) -> dict[str, Any]:
    return {"type": "message", "topic_id": TOPIC, "offset": "17-0", "payload": payload, **about}


def streamed(inner: Any) -> dict[str, Any]:
    return {"type": "conversation-turn-stream", "payload": inner}


ITEM = {
    "type": "stream-item", "conversation_id": "K", "turn_id": "T", "encoded_item": "event: delta\ndata: {}\n\n",
    "stream_item_id": "b", "parent_stream_item_id": "a",
}  # fmt: skip
PIECE = Piece(TOPIC, b"event: delta\ndata: {}\n\n", "b", "a", "17-0", conversation_id="K")


def read(*values: Any) -> list[Any]:
    return received(json.dumps(list(values)).encode())


def test_an_item_is_the_same_alone_in_an_array_and_caught_up() -> None:
    item = published(streamed(ITEM))
    reply = {"id": 5, "type": "reply", "reply": {"type": "subscribe", "topic_id": TOPIC, "catchups": [item, item]}}
    assert received(json.dumps(item).encode()) == [PIECE]
    assert read(item, item) == [PIECE, PIECE]
    assert read(reply) == [PIECE, PIECE]


@pytest.mark.parametrize(
    ("encoded", "text"),
    [
        ("event: delta\ndata: {}\n", b"event: delta\ndata: {}\n\n"),
        ("event: delta\r\ndata: {}\r\n", b"event: delta\r\ndata: {}\r\n\n"),
        ("event: delta\ndata: {}", b"event: delta\ndata: {}\n\n"),
        ("data: {}\n\ndata: [DONE]\n", b"data: {}\n\ndata: [DONE]\n\n"),
        ("data: {\ndata: }\n", b"data: {\ndata: }\n\n"),
        ("event: delta\n", b"event: delta\n"),
        ('data: {"v": "half', b'data: {"v": "half'),
        (": ping\n", b": ping\n"),
        ("", b""),
    ],
)
def test_an_item_is_complete_in_itself_where_what_it_says_is(encoded: str, text: bytes) -> None:
    (piece,) = read(published(streamed({**ITEM, "encoded_item": encoded})))
    assert piece.text == text


def test_a_bare_item_belongs_to_the_topic_of_its_turn() -> None:
    assert read(streamed(ITEM)) == [Piece(TOPIC, PIECE.text, "b", "a", None, conversation_id="K")]


def test_the_end_of_a_topic_is_an_event_of_its_own() -> None:
    done = {"type": "done", "conversation_id": "K"}
    text = b'\n\ndata: {"type":"done","conversation_id":"K"}\n\n'
    assert read(published(streamed(done))) == [Piece(TOPIC, text, offset="17-0", done=True, conversation_id="K")]


@pytest.mark.parametrize(
    "silent",
    [
        published(streamed({"type": "heartbeat", "conversation_id": "K"})),
        {"id": 1, "type": "reply", "reply": {"type": "connect"}},
        {"type": "reply", "reply": None},
        {
            "type": "reply",
            "reply": {"catchups": [{"type": "reply", "reply": {"catchups": [published(streamed(ITEM))]}}]},
        },
        {"type": "ack", "ackId": 3, "success": True},
        {"type": "system", "event": "connected", "reconnectionToken": "s3cret"},
    ],
)
def test_signs_of_life_say_nothing(silent: Any) -> None:
    assert read(silent) == []


@pytest.mark.parametrize(
    ("item", "update"),
    [
        (published({"type": "conversation-turn-complete", "payload": {}}), Update({"type": "conversation-turn-complete", "payload": {}}, TOPIC, "17-0")),
        ({"type": "conversation-update", "payload": {"a": 1}}, Update({"type": "conversation-update", "payload": {"a": 1}})),
        (published(streamed({"type": "new", "x": 1})), Update(streamed({"type": "new", "x": 1}), TOPIC, "17-0")),
        (published(streamed({**ITEM, "encoded_item": 7})), Update(streamed({**ITEM, "encoded_item": 7}), TOPIC, "17-0")),
        (published({"x": 1}), Update({"type": "unknown", "item": {"x": 1}}, TOPIC, "17-0")),
        ({"type": "message", "topic_id": TOPIC}, Update({"type": "message", "topic_id": TOPIC}, TOPIC)),
        ({"x": 1}, Update({"type": "unknown", "item": {"x": 1}})),
        (7, Update({"type": "unknown", "item": {"value": 7}})),
        ({"type": 7}, Update({"type": "unknown", "item": {"type": 7}})),
    ],
)  # fmt: skip
def test_everything_else_is_an_update_that_says_what_it_is(item: Any, update: Update) -> None:
    assert read(item) == [update]


def test_in_2024_an_item_is_base64_of_the_bytes_of_a_response() -> None:
    def envelope(body: str, **more: Any) -> dict[str, Any]:
        data = {
            "type": "http.response.body",
            "body": body,
            "more_body": True,
            "response_id": "R",
            "conversation_id": "K",
        }
        return {"sequenceId": 432, "type": "message", "from": "server", "dataType": "json", "data": {**data, **more}}

    assert read(envelope(base64.b64encode(b"data: {\xc3").decode())) == [
        Piece("R", b"data: {\xc3", offset="432", conversation_id="K")
    ]
    assert read(envelope("", more_body=False)) == [Piece("R", b"", offset="432", done=True, conversation_id="K")]
    broken = envelope("no base64!")
    assert read(broken) == [Update(broken["data"], "R", "432")]
    other = envelope("", type="http.response.start")
    assert read(other) == [Update(other["data"], None, "432")]


def test_what_is_no_json_is_kept_without_its_secrets() -> None:
    assert received(b"{ half") == [Update({"type": "unparsable_message", "text": "{ half"})]
    secret = b'{"token":"s3cret", wss://ws.chatgpt.com/p?verify=s3cret'
    (update,) = received(secret)
    assert isinstance(update, Update)
    assert "s3cret" not in update.payload["text"]
    assert cut(b'[{"access_token":"s3cret"').payload == {
        "type": "oversized_message",
        "text": '[{"access_token":"redacted"',
    }


def test_a_binary_message_that_holds_json_is_read_like_text() -> None:
    assert received(json.dumps([published(streamed(ITEM))]).encode(), binary=True) == [PIECE]


def kept_of(content: bytes) -> tuple[int, bytes]:
    """What of a binary message comes to be stored: its length, and its bytes."""
    (update,) = received(content, binary=True)
    assert isinstance(update, Update)
    stored = json.loads(EventRedaction().clean(json.dumps(update.payload).encode()))
    assert stored["type"] == "binary_message"
    return stored["bytes"], base64.b64decode(stored["base64"])


def test_any_other_binary_message_is_kept_as_it_is_up_to_a_bound() -> None:
    assert kept_of(b"\x00\xff") == (2, b"\x00\xff")
    large = bytes(range(256)) * 1000
    assert kept_of(large) == (256_000, large[:MAX_BINARY])


@pytest.mark.parametrize("codec", ["latin-1", "utf-16-le", "utf-32-be"])
def test_a_secret_in_a_binary_message_is_not_kept(codec: str) -> None:
    said = 'tide {"access_token":"s3cret-canary"} wss://ws.chatgpt.com/p24/ws/user/u?verify=s3cret-canary'
    size, kept = kept_of(b"\x08\xff" + said.encode(codec))
    assert size > len(said)
    assert b"s3cret" not in kept.replace(b"\x00", b"")
    assert (b"tide" in kept) == (codec == "latin-1")


def test_of_what_the_page_says_only_its_subscriptions_matter() -> None:
    said = [
        {"id": 1, "command": {"type": "connect", "presence": {"type": "presence", "state": "foreground"}}},
        {"id": 5, "command": {"type": "subscribe", "topic_id": TOPIC, "offset": "17-4"}},
        {"id": 6, "command": {"type": "subscribe", "topic_id": "conversations"}},
        {"id": 7, "command": {"type": "subscribe", "topic_id": "other", "offset": 0}},
        7,
    ]
    assert sent(json.dumps(said).encode()) == [Subscription(TOPIC, "17-4"), Subscription("other", "0")]
    assert sent(json.dumps(said[1]).encode()) == [Subscription(TOPIC, "17-4")]
    assert sent(b"{") == []


def test_names_that_cannot_be_names_are_none() -> None:
    for name in ("x" * 201, "a\nb", "", 7, None, ["a"]):
        assert read(published(streamed({**ITEM, "stream_item_id": name}))) == [
            Piece(TOPIC, PIECE.text, None, "a", "17-0", conversation_id="K")
        ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5)
    | st.sampled_from(["message", "reply", "conversation-turn-stream", "stream-item", "done", "http.response.body"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["type", "payload", "topic_id", "offset", "reply", "catchups", "data", "body", "response_id", "encoded_item", "command"]), inner, max_size=6),
    max_leaves=30,
)  # fmt: skip


@given(JSON)
def test_nothing_raises(value: Any) -> None:
    text = json.dumps(value).encode()
    for item in received(text) + sent(text):
        assert isinstance(item, (Piece, Update, Subscription))
        assert not isinstance(item, Update) or isinstance(item.payload.get("type"), str)

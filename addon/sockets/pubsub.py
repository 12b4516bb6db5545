"""What one message of ChatGPT's WebSocket says: the text of a message -> items, in order.

Sans-I/O. Two protocols: since 2025 JSON items, one or an array of them, published on topics; in 2024 envelopes of
Azure's `json.reliable.webpubsub.azure.v1` that carry the bytes of an HTTP response in base64. Untrusted input: what
is not understood is an `Update` that says what it was, and nothing raises.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from addon.errors import StreamError
from addon.wire.payload import array, dumps, loads, mapping, scalars, string
from addon.wire.redaction import redact_unread
from addon.wire.sse import EventStreamParser

MAX_ITEMS = 10_000
"""Items of one message that are read one by one; the rest is kept as one that is not understood."""

MAX_BINARY = 64 * 1024
"""Bytes that are kept of a binary message which is no JSON."""

_TURN = "conversation-turn-"
_MAX_NAME = 200

_BLANK_LINES = (b"\n\n", b"\n\r\n", b"\r\r")

# They carry nothing: acknowledgements, replies, signs of life.
_SILENT = frozenset({"ack", "sequenceAck", "system", "ping", "pong", "heartbeat", "presence"})


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of the event stream that a topic carries. `done`: nothing comes after it.

    `identity` and `parent` are the service's ids of it and of the piece before it, `offset` its place in the topic.
    """

    topic: str
    text: bytes
    identity: str | None = None
    parent: str | None = None
    offset: str | None = None
    done: bool = False
    conversation_id: str | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """Something that is no part of an answer's stream: an event of its own; `payload` has a `type`."""

    payload: dict[str, Any]
    topic: str | None = None
    offset: str | None = None


@dataclass(frozen=True, slots=True)
class Subscription:
    """The page asked for a topic, from an offset on."""

    topic: str
    offset: str


Item = Piece | Update | Subscription


def received(content: bytes, *, binary: bool = False) -> list[Item]:
    """The items of a message from the service; a binary one may hold JSON as well as text does."""
    try:
        payload = loads(content)
    except ValueError:
        return [_binary(content) if binary else _unread("unparsable_message", content)]
    values = payload if isinstance(payload, list) else [payload]
    items = [item for value in values[:MAX_ITEMS] for item in _item(value)]
    if len(values) > MAX_ITEMS:
        items.append(Update({"type": "too_many_items", "count": len(values), "items": values[MAX_ITEMS:]}))
    return items


def sent(content: bytes) -> list[Item]:
    """What of a message from the page matters: which topics it asks for, and from where on."""
    try:
        payload = loads(content)
    except ValueError:
        return []
    found: list[Item] = []
    for value in (payload if isinstance(payload, list) else [payload])[:MAX_ITEMS]:
        command = mapping(mapping(value).get("command"))
        topic, offset = _name(command.get("topic_id")), command.get("offset")
        if command.get("type") == "subscribe" and topic and offset is not None:
            found.append(Subscription(topic, str(offset)[:_MAX_NAME]))
    return found


def cut(content: bytes) -> Update:
    """What was kept of a message that was too large."""
    return _unread("oversized_message", content)


def _unread(kind: str, text: bytes) -> Update:
    return Update({"type": kind, "text": redact_unread(text).decode("utf-8", "replace")})


def _binary(content: bytes) -> Update:
    """What no known protocol sends. Where a secret stands in letters of two bytes nothing is kept: it is not found."""
    kept = redact_unread(content[: 2 * MAX_BINARY])  # a secret may reach over the end of what is kept
    narrow = kept.replace(b"\0", b"")
    kept = kept[:MAX_BINARY] if redact_unread(narrow) == narrow else b""
    return Update({"type": "binary_message", "bytes": len(content), "base64": base64.b64encode(kept).decode()})


def _item(value: Any) -> list[Item]:
    item = mapping(value)
    kind = string(item.get("type"))
    if kind == "reply":
        reply = mapping(item.get("reply"))
        catchups = [entry for entry in array(reply.get("catchups")) if mapping(entry).get("type") != "reply"]
        return [found for entry in catchups[:MAX_ITEMS] for found in _item(entry)]
    if kind == "message" and isinstance(item.get("data"), dict):
        return _response_body(item)
    if kind == "message" and isinstance(item.get("payload"), dict):
        return _published(item["payload"], _name(item.get("topic_id")), _offset(item.get("offset")))
    if kind in _SILENT:
        return []
    return _published(item or {"value": value}, _name(item.get("topic_id")), _offset(item.get("offset")))


def _published(payload: dict[str, Any], topic: str | None, offset: str | None) -> list[Item]:
    """What was published on a topic; the topic of an object that came bare is in what it says."""
    inner = mapping(payload.get("payload"))
    if payload.get("type") != "conversation-turn-stream":
        known = payload if isinstance(payload.get("type"), str) else {"type": "unknown", "item": payload}
        return [Update(known, topic, offset)]
    turn = _name(inner.get("turn_id"))
    topic, conversation_id = topic or (_TURN + turn if turn else None), string(inner.get("conversation_id"))
    match inner.get("type"):
        case "stream-item" if topic and isinstance(inner.get("encoded_item"), str):
            text = _whole(scalars(inner["encoded_item"]).encode())
            identity, parent = _name(inner.get("stream_item_id")), _name(inner.get("parent_stream_item_id"))
            return [Piece(topic, text, identity, parent, offset, False, conversation_id)]
        case "done" if topic:
            # An item may have lacked the blank line that ends its event.
            text = f"\n\ndata: {dumps(inner)}\n\n".encode()
            return [Piece(topic, text, None, None, offset, True, conversation_id)]
        case "heartbeat":
            return []
    return [Update(payload, topic, offset)]


def _whole(text: bytes) -> bytes:
    """The text of an item, with the blank line that should end its event: what it says is complete in itself.

    A stream needs that line (WHATWG HTML 9.2.6); without it the next item would go on with this one's data.
    """
    if text.endswith(_BLANK_LINES):
        return text
    parser = EventStreamParser()
    try:
        parser.feed(text)
        for last in parser.close():
            if last.type != "delta_encoding" and last.data.strip() != b"[DONE]":
                loads(last.data)
            return text + (b"\n" if text.endswith(b"\n") else b"\n\n")
    except (StreamError, ValueError):
        pass  # half an event, or too much of one
    return text


def _response_body(item: dict[str, Any]) -> list[Item]:
    """2024: bytes of the response, cut anywhere."""
    data = item["data"]
    topic, body = _name(data.get("response_id")), data.get("body")
    sequence = item.get("sequenceId")
    offset = str(sequence) if isinstance(sequence, int) else None
    if data.get("type") != "http.response.body" or topic is None:
        return _published(data, None, offset)
    try:
        text = base64.b64decode(body or b"", validate=True)
    except (binascii.Error, TypeError, ValueError):
        return [Update(data, topic, offset)]
    done, conversation_id = data.get("more_body") is False, string(data.get("conversation_id"))
    return [Piece(topic, text, None, None, offset, done, conversation_id)]


def _name(value: Any) -> str | None:
    """An id as it may stand in keys and rows."""
    name = string(value)
    return name if name is not None and len(name) <= _MAX_NAME and name.isprintable() else None


def _offset(value: Any) -> str | None:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _name(value)

"""What a file is, told by its content and never by its name: its first bytes, then the keys of its JSON."""

import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from addon.importing.json_text import JsonBroken, JsonCut, JsonText
from addon.wire.payload import array, mapping

HEAD_BYTES = 4096

# A line in brackets begins files of other kinds too.
_JSON = re.compile(rb"\{\s*(?:[\"}]|$)|\[\s*(?:[\[{\"\]\-\d]|true|false|null|$)")
_EVENTS = re.compile(rb"(?:data|event|id|retry)?:")
# mitmproxy writes netstrings: the length of a flow, then that of its first key.
_FLOWS = re.compile(rb"\d{1,12}:\d{1,12}:")

_NOT_OF_HAR = frozenset({"mapping", "messages", "items", "message", "download_url", "conversation_id", "title"})


def kind_of(head: bytes) -> str:
    """`json`, `events`, `flows`, `zip`, `tar`, `database`, `empty` or `other`, from a file's first `HEAD_BYTES`."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    if not start:
        return "empty" if len(head) < HEAD_BYTES else "other"
    if _JSON.match(start):
        return "json"
    if _EVENTS.match(start):
        return "events"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head[257:262] == b"ustar":
        return "tar"
    if head.startswith(b"SQLite format 3\0"):
        return "database"
    return "flows" if _FLOWS.match(start) else "other"


def json_kind(file: BinaryIO) -> str:
    """`har`, `array`, `conversations` (an array under that key) or `value`, from the beginning of a JSON text."""
    text = JsonText(file)
    if text.peek() == "[":
        return "array"
    try:
        for key in text.members():
            if key in ("log", "conversations") and text.peek() in "{[":
                return "har" if key == "log" else "conversations"
            if key in _NOT_OF_HAR:
                break
    except (JsonCut, JsonBroken):
        pass
    return "value"


def shape_of(value: Any) -> str | None:
    """What a JSON value of a file is: `conversation`, `chat`, `frame`, `list`, `download`, or None for all others.

    A `chat` is the common format for models: what was said by whom, and neither ids nor times.
    """
    fields = mapping(value)
    if isinstance(fields.get("mapping"), dict | list) or isinstance(fields.get("linear_conversation"), list):
        return "conversation"
    if _is_chat(fields.get("messages")):
        return "chat"
    if isinstance(fields.get("messages"), list) and fields.keys() & {"conversation_id", "id", "title"}:
        return "conversation"
    if isinstance(fields.get("items"), list) and fields.keys() & {"total", "limit", "cursor", "offset"}:
        return "list"
    if isinstance(fields.get("download_url"), str):
        return "download"
    if isinstance(fields.get("message"), dict) or ("conversation_id" in fields and fields.keys() & _OF_FRAMES):
        return "frame"
    return None


def _is_chat(messages: Any) -> bool:
    said = [mapping(message) for message in array(messages)]
    return bool(said) and all(isinstance(message.get("role"), str) and "author" not in message for message in said)


_OF_FRAMES = frozenset({"type", "moderation_response", "error", "v"})


def elements_of(text: JsonText, kind: str, read: Callable[[JsonText], Any] | None = None) -> Iterator[Any]:
    """The values of a file: those of its array, of the array `conversations` in it, or itself and each behind it.

    `read` as in `JsonText.piecewise`.
    """
    if kind == "array":
        yield from text.elements(read)
    elif kind == "conversations":
        for key in text.members():
            if key == "conversations":
                yield from text.elements(read)
    else:
        yield text.piecewise(read)
        while text.peek():  # JSON Lines
            yield text.piecewise(read)

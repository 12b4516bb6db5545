"""Secrets taken out of what is kept: JSON text in, the same text without credentials out.

Applied to the bytes of each event and each request before anything else sees them, so that no later stage can
store a credential. What a person or the model wrote is text inside JSON strings, where a quotation mark is
escaped: a key is only a key outside of strings, so conversations pass unchanged.

Every repetition is possessive: the time is linear in the data, whatever somebody puts into it.
"""

import json
import re
from typing import Any

from addon.wire.budget import loads_bounded
from addon.wire.payload import dumps, mapping
from addon.wire.shapes import JWT, REDACTED, SECRET_KEYS, SIGNED, clean_shapes, may_hold_secrets, unsigned
from addon.wire.value_redaction import NOBODY, Written, blanked, clean_value, is_secret_name, topic_in

WRITTEN_KEYS = "v|text|content|prompt|body|query|title|name|summary|snippet|alt|description|code|result|arguments"
"""Names of members that hold what somebody wrote, wherever they are."""

_SECRET = re.compile(rb'("(?:' + SECRET_KEYS.encode() + rb')"\s*+:\s*+")([^"\\]*+(?:\\.[^"\\]*+)*+)', re.I | re.S)
# A value in one piece that ends where its string ends, and never under a key that holds what somebody wrote.
_MEMBER = re.compile(
    rb'("(?!(?:' + WRITTEN_KEYS.encode() + rb')")[^"\\]++"\s*+:\s*+")'
    rb'([^"\\\s]*+(?:\\[^bfnrt][^"\\\s]*+)*+)(?="|\Z)',
    re.I,
)

# Lower case. Each match of `_SECRET` holds one of the first, each of `SIGNED` one of the second.
_KEY_HINTS = (
    b'token"', b'secret"', b'password"', b'key"', b'authorization"', b'cookie"', b'cookies"', b'x-oai-is"',
    b"openai-sentinel", b'verify"', b'sig"', b'signature"', b'jwt"',
)  # fmt: skip
_COLON = re.compile(rb'(?:[a-z-]{0,100}+")?+\s*+:')
_URL_HINTS = (b"ws:", b"wss:", b"oaiusercontent", b"windows.net", b"webpubsub", b"ws.chatgpt", b"estuary")

_POINTER = re.compile(rb'"p"\s*+:\s*+"([^"]*+)"')
_FIRST_POINTER = re.compile(rb'\s*+\{\s*+"p"\s*+:\s*+"([^"\\]*+)"(?=.*"v")', re.DOTALL)
_IS_PIECE = re.compile(rb'"v"\s*+:\s*+"')
_CONTENT = "/message/content/"
_PATCH_DEPTH = 16
_TAIL = 4096
_LONG = 1024
"""Bytes from which reading an event as JSON costs less than looking for many words in it."""


_MOST_LINES = 100_000

_TOPIC = b" turn_topic_id="


def redact(data: bytes, *, tokens: bool = False) -> bytes:
    """`data` without the values of secret keys, without JWTs and the query of signed URLs; the same object when clean.

    A JWT or URL is taken out where it is the whole value of a key, but of none that holds text. With `tokens` whatever
    looks like a credential is taken out wherever it stands: right for what no person wrote, and for JSON that was cut.
    The topic that a resume token names is no secret and stays: `redacted turn_topic_id=...`.
    """
    # Nearly every event is clean, and looking for a few words is many times faster than the expressions.
    low = data.lower()
    clean = _SECRET.sub(_blank, data) if _holds_key(low) else data
    if b"eyJ" in clean or (b"?" in clean and _holds(low, _URL_HINTS)):
        clean = _MEMBER.sub(_member, clean)
    del low  # of an event without end it is as large as the event
    if tokens:
        clean = clean_shapes(clean)
    return clean if clean != data else data


def redact_json(data: bytes, written: Written = NOBODY, most_memory: int | None = None) -> tuple[bytes, Any]:
    """JSON redacted by who wrote what in it (`clean_value`), and its value; the same object when clean.

    Raises `ValueError` when it is no JSON, or takes more than `most_memory`; then `redact` it with `tokens`.
    """
    clean = redact(data)
    value = loads_bounded(clean) if most_memory is None else loads_bounded(clean, most_memory)
    if not may_hold_secrets(clean):
        return clean, value
    cleaned = clean_value(value, written)
    return (clean, value) if cleaned is value else (dumps(cleaned).encode(), cleaned)


def redact_unread(data: bytes) -> bytes:
    """What could not be read as what it was said to be: as JSON, or else line by line, data of events as JSON."""
    try:
        return redact_json(data)[0]
    except ValueError:
        pass
    if data.count(b"\n") > _MOST_LINES:  # a million lines apart would take many times their size
        return redact(data, tokens=True)
    events = EventRedaction()
    return b"\n".join(
        b"data:" + events.clean(line[5:]) if line.startswith(b"data:") else redact(line, tokens=True)
        for line in data.split(b"\n")
    )


class EventRedaction:
    """The events of one stream, in order, without credentials.

    What no person and no model wrote is cleaned of all that looks like one: typed events, the metadata of messages, and
    what deltas say outside of a message's content. A delta without a pointer goes on where the one before it was.
    """

    def __init__(self) -> None:
        self._pointer = _CONTENT
        self._tail = ""
        self._plain = b""

    def clean(self, data: bytes) -> bytes:
        """One event's data redacted; the same object when it is clean."""
        if self._pointer is _CONTENT and is_bare_text(data):
            return data
        outside = self._is_outside(data)
        clean = redact(data)
        if len(clean) < _LONG and not (outside and self._may_go_on(data)) and not may_hold_secrets(clean):
            return clean
        try:
            payload = loads_bounded(clean)
        except ValueError:
            return redact(data, tokens=True)
        if not outside and len(clean) >= _LONG and self._is_plain(payload):
            return clean
        cleaned = self._payload(payload)
        # ASCII, so that half an emoji stays the half it is.
        return clean if cleaned is payload or cleaned == payload else json.dumps(cleaned).encode()

    def _may_go_on(self, data: bytes) -> bool:
        """Whether it must be read: a piece of a secret, or a secret member's value, is told by what came before."""
        if b'"p"' in data and not self._begins_with_pointer(data):
            return True
        return _IS_PIECE.search(data) is not None or any(map(is_secret_name, self._pointer.split("/")))

    def _begins_with_pointer(self, data: bytes) -> bool:
        """Note the pointer of a delta that plainly begins with it; whether it did."""
        first = _FIRST_POINTER.match(data)
        if first is None or b'"type"' in data:
            return False
        self._pointer, self._tail = first[1].decode("utf-8", "replace"), ""
        return True

    def _is_outside(self, data: bytes) -> bool:
        """Whether what a delta says may belong elsewhere than to a message's content."""
        if b'"p"' not in data:
            return self._pointer is not _CONTENT
        if all(pointer.startswith(_CONTENT.encode()) for pointer in _POINTER.findall(data)):
            self._pointer, self._tail = _CONTENT, ""
            return False
        return True

    def _is_plain(self, payload: Any) -> bool:
        """Whether a long event holds nothing beside what its message says; mostly it is what the last one held."""
        beside = _beside_content(payload)
        if beside != self._plain and not may_hold_secrets(beside):
            self._plain = beside
        return beside == self._plain

    def _payload(self, payload: Any) -> Any:
        event = mapping(payload)
        if "v" not in event or "type" in event:
            return clean_value(payload)
        if isinstance(event.get("p", ""), str):
            self._pointer, self._tail = event.get("p", self._pointer), self._tail if "p" not in event else ""
        return self._delta(event, self._pointer, 0)

    def _delta(self, delta: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        value = delta["v"]
        in_content = (path.rstrip("/") + "/").startswith(_CONTENT)
        if not in_content and any(map(is_secret_name, path.split("/"))):
            return {**delta, "v": blanked(value)}
        if isinstance(value, list) and depth < _PATCH_DEPTH and (depth == 0 or delta.get("o") == "patch"):
            return {**delta, "v": [self._operation(part, path, depth + 1) for part in value]}
        if in_content:
            return delta
        if path == "/message" and isinstance(value, dict):
            return {**delta, "v": clean_value({"message": value})["message"]}
        if isinstance(value, str):
            return {**delta, "v": self._piece(value) if depth == 0 else clean_value(value)}
        return {**delta, "v": clean_value(value)}

    def _operation(self, part: Any, base: str, depth: int) -> Any:
        """One of a patch, or an element of a list that is a value."""
        operation = mapping(part)
        if not isinstance(operation.get("p"), str) or "v" not in operation:
            return clean_value(part)
        return self._delta(operation, base + operation["p"], depth)

    def _piece(self, text: str) -> str:
        """What a delta appends to a string of the service: a token may come in pieces."""
        before, self._tail = self._tail, (self._tail + text)[-_TAIL:]
        clean = clean_value(text)
        if clean is text and before and clean_value(before + text) != clean_value(before) + text:
            return REDACTED.decode()
        return str(clean)


def _beside_content(payload: Any) -> bytes:
    """An event as JSON without what its message says, which makes nearly all of a long one."""
    message = mapping(mapping(payload).get("message"))
    if "content" in message:
        payload = {**payload, "message": {key: value for key, value in message.items() if key != "content"}}
    return dumps(payload).encode()


def is_bare_text(data: bytes) -> bool:
    """Whether it is `{"v": "..."}`, as most events are: its only key holds what the model wrote.

    Told without reading it as JSON: by its four quotation marks, two around the key and two around the value.
    """
    return data.startswith((b'{"v": "', b'{"v":"')) and data.count(b'"') == 4 and data.rstrip().endswith(b'"}')


def _holds(data: bytes, words: tuple[bytes, ...]) -> bool:
    # `any` with a generator costs twice as much, and this runs for each event.
    for word in words:  # noqa: SIM110
        if word in data:
            return True
    return False


def _holds_key(data: bytes) -> bool:
    """Whether one of the words ends a key, and not only a value: markers are called "last_token"."""
    for word in _KEY_HINTS:
        at = data.find(word)
        while at >= 0:
            if _COLON.match(data, at + len(word)):
                return True
            at = data.find(word, at + 1)
    return False


def _blank(match: re.Match[bytes]) -> bytes:
    key, value = match.groups()
    if not value or value == REDACTED or value.startswith(REDACTED + _TOPIC):
        return match.group()
    topic = topic_in(value)
    return key + REDACTED + (_TOPIC + topic if topic else b"")


def _member(match: re.Match[bytes]) -> bytes:
    key, value = match.groups()
    if JWT.fullmatch(value) and value.count(b".") >= 2:
        return key + REDACTED
    url, mark, query = value.partition(b"?")
    return key + url + b"?" + unsigned(url, query) if mark and SIGNED.search(url) else match.group()

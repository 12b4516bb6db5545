"""Secrets taken out of what is kept: JSON text in, the same text without credentials out.

Applied to the bytes of each event and each request before anything else sees them, so that no later stage can
store a credential. What a person or the model wrote is text inside JSON strings, where a quotation mark is
escaped: a key is only a key outside of strings, so conversations pass unchanged.

Every repetition is possessive: the time is linear in the data, whatever somebody puts into it.
"""

import base64
import json
import re
from typing import Any

from addon.wire.budget import loads_bounded
from addon.wire.payload import loads, mapping
from addon.wire.updates import UPDATES

_SECRET_KEYS = (
    r"[a-z0-9_-]*(?:token|secret|password|api[_-]?key)|(?:proxy-)?authorization|(?:set-)?cookies?|x-oai-is|"
    r"openai-sentinel-[a-z-]+|verify|sig|signature|jwt"
)
_WRITTEN_KEYS = "v|text|content|prompt|body|query|title|name|summary|snippet|alt|description|code|result|arguments"

_SECRET = re.compile(rb'("(?:' + _SECRET_KEYS.encode() + rb')"\s*+:\s*+")([^"\\]*+(?:\\.[^"\\]*+)*+)', re.I | re.S)
# A value in one piece that ends where its string ends, and never under a key that holds what somebody wrote.
_MEMBER = re.compile(
    rb'("(?!(?:' + _WRITTEN_KEYS.encode() + rb')")[^"\\]++"\s*+:\s*+")'
    rb'([^"\\\s]*+(?:\\[^bfnrt][^"\\\s]*+)*+)(?="|\Z)',
    re.I,
)
_RUN = re.compile(rb'((?:[^"\\\s?]|\\[/u])++)(?:\?(?:[^"\\\s]|\\[/u])++)?+')
_SIGNED = re.compile(
    rb"(?i)\Awss?:|oaiusercontent\.com|blob\.core\.windows\.net|webpubsub\.azure\.com|ws\.chatgpt\.com|estuary(?:\\?/)content"
)
# The id by which estuary names a file is no secret, and nothing else says which file a URL was of.
_ESTUARY_ID = re.compile(rb"(?:^|&|\\u0026)(id=file[-_][A-Za-z0-9_.%*-]{1,200})(?=&|\\u0026|$)")

# At the start of a word, an escape of JSON or of a URL included: "KeyJavaScriptConcepts" is no token.
_JWT = re.compile(
    rb"eyJ(?:(?<![A-Za-z0-9]eyJ)|(?<=\\[bfnrt]eyJ)|(?<=\\u[0-9A-Fa-f]{4}eyJ)|(?<=%[0-9A-Fa-f]{2}eyJ))"
    rb"[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+){0,4}+"
)

# Lower case. Each match of `_SECRET` holds one of the first, each of `_SIGNED` one of the second.
_KEY_HINTS = (
    b'token"', b'secret"', b'password"', b'key"', b'authorization"', b'cookie"', b'cookies"', b'x-oai-is"',
    b"openai-sentinel", b'verify"', b'sig"', b'signature"', b'jwt"',
)  # fmt: skip
_COLON = re.compile(rb'(?:[a-z-]{0,100}+")?+\s*+:')
_URL_HINTS = (b"ws:", b"wss:", b"oaiusercontent", b"windows.net", b"webpubsub", b"ws.chatgpt", b"estuary")

_SECRET_NAME = re.compile(_SECRET_KEYS, re.IGNORECASE)
_PATCH_DEPTH = 16
_UPDATE_DEPTH = 16

REDACTED = b"redacted"
_TOPIC = b" turn_topic_id="


def redact(data: bytes, *, tokens: bool = False) -> bytes:
    """`data` without the values of secret keys, without JWTs and the query of signed URLs; the same object when clean.

    A JWT or URL is taken out where it is the whole value of a key, but of none that holds text. With `tokens` it is
    taken out wherever it stands: right for what no person wrote, and for JSON that was cut.
    The topic that a resume token names is no secret and stays: `redacted turn_topic_id=...`.
    """
    # Nearly every event is clean, and looking for a few words is many times faster than the expressions.
    low = data.lower()
    clean = _SECRET.sub(_blank, data) if _holds_key(low) else data
    if b"eyJ" in clean or (b"?" in clean and _holds(low, _URL_HINTS)):
        clean = _MEMBER.sub(_member, clean)
        if tokens:
            clean = _JWT.sub(REDACTED, _RUN.sub(_without_query, clean))
    return clean if clean != data else data


def redact_event(data: bytes) -> bytes:
    """`redact` for one event, by who wrote what in it; the same object when clean.

    What no person and no model wrote is cleaned of all tokens and signed URLs: typed events, the metadata of messages,
    and what deltas say outside of a message's content.
    """
    if is_bare_text(data):
        return data
    clean = redact(data)
    if not may_hold_tokens(clean):
        return clean
    try:
        payload = mapping(loads_bounded(clean))
    except ValueError:
        return redact(data, tokens=True)
    if payload.get("type") in UPDATES:
        cleaned = _clean_around_messages(payload)
    elif payload.get("type") != "input_message" and not {"message", "v"} & payload.keys():
        return redact(data, tokens=True)
    else:
        cleaned = _clean_delta(payload) if "v" in payload else _clean_envelope(payload)
    # ASCII, so that half an emoji stays the half it is.
    return clean if cleaned == payload else json.dumps(cleaned).encode()


def is_bare_text(data: bytes) -> bool:
    """Whether it is `{"v": "..."}`, as most events are: its only key holds what the model wrote.

    Told without reading it as JSON: by its four quotation marks, two around the key and two around the value.
    """
    return data.startswith((b'{"v": "', b'{"v":"')) and data.count(b'"') == 4 and data.rstrip().endswith(b'"}')


def may_hold_tokens(data: bytes) -> bool:
    """Whether there may be a JWT or a signed URL in it."""
    return b"eyJ" in data or (b"?" in data and _holds(data.lower(), _URL_HINTS))


def _clean_envelope(payload: Any) -> Any:
    """An envelope, or any object that holds a message, with the message's metadata cleaned."""
    cleaned = mapping(payload)
    for key in ("message", "input_message"):
        message = cleaned.get(key)
        if isinstance(message, dict) and "metadata" in message:
            cleaned = {**cleaned, key: {**message, "metadata": _clean(message["metadata"])}}
    return cleaned or payload


def _clean_around_messages(value: Any, depth: int = 0) -> Any:
    """Everything cleaned but the content of the messages that stand somewhere in it."""
    if depth < _UPDATE_DEPTH and isinstance(value, dict):
        written = "content" if {"author", "content"} <= value.keys() else None
        return {key: part if key == written else _clean_around_messages(part, depth + 1) for key, part in value.items()}
    if depth < _UPDATE_DEPTH and isinstance(value, list):
        return [_clean_around_messages(part, depth + 1) for part in value]
    return _clean(value)


def _clean_delta(delta: dict[str, Any], base: str = "", depth: int = 0) -> dict[str, Any]:
    pointer, value = delta.get("p"), delta.get("v")
    path = base + pointer if isinstance(pointer, str) else base
    if isinstance(value, list) and delta.get("o", "patch") == "patch" and depth < _PATCH_DEPTH:
        return {**delta, "v": [_clean_delta(op, path, depth + 1) if isinstance(op, dict) else op for op in value]}
    if isinstance(value, dict) and path == "":
        return {**delta, "v": _clean_envelope(value)}
    if not path or (path + "/").startswith("/message/content/") or path == "/message":
        return delta
    if _SECRET_NAME.fullmatch(path.rpartition("/")[2]) and isinstance(value, str):
        return {**delta, "v": REDACTED.decode()}
    return {**delta, "v": _clean(value)}


def _clean(value: Any) -> Any:
    return json.loads(redact(json.dumps(value).encode(), tokens=True))


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
    topic = _topic_in(value)
    return key + REDACTED + (_TOPIC + topic if topic else b"")


def _member(match: re.Match[bytes]) -> bytes:
    key, value = match.groups()
    if _JWT.fullmatch(value) and value.count(b".") >= 2:
        return key + REDACTED
    url, mark, query = value.partition(b"?")
    return key + url + b"?" + _unsigned(url, query) if mark and _SIGNED.search(url) else match.group()


def _without_query(match: re.Match[bytes]) -> bytes:
    url = match[1]
    query = match[0][len(url) + 1 :]
    return url + b"?" + _unsigned(url, query) if len(url) < len(match[0]) and _SIGNED.search(url) else match[0]


def _unsigned(url: bytes, query: bytes) -> bytes:
    named = _ESTUARY_ID.search(query) if url.endswith((b"estuary/content", b"estuary\\/content")) else None
    return named[1] + b"&" + REDACTED if named else REDACTED


def _topic_in(token: bytes) -> bytes:
    """The `turn_topic_id` claim of a JWT (RFC 7519 3.1), b"" when there is none."""
    parts = token.split(b".")
    if len(parts) != 3:
        return b""
    try:
        claims = loads(base64.urlsafe_b64decode(parts[1] + b"=="))
        topic = claims["turn_topic_id"].encode()
    except (ValueError, TypeError, KeyError, AttributeError):
        return b""
    return topic if re.fullmatch(rb"[A-Za-z0-9_-]{1,200}", topic) else b""

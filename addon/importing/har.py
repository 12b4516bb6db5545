"""HAR entries -> exchanges: what a browser's or mitmproxy's recording says of one request and its answer.

Format: HAR 1.2, and what Chrome adds: `_webSocketMessages`, `_eventSourceMessages`, base64 for bodies that hold a
surrogate. Firefox says -1 for what it does not know, and cuts each body off at a megabyte unless told otherwise. Pure
and untrusted: an entry that is none of ours is None, and an exchange says what of it is missing or cannot be read.
"""

import base64
import binascii
import contextlib
import re
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from addon.endpoints import classify
from addon.exchange import Opening
from addon.socket_tap import BINARY, FROM_CLIENT, MAX_MESSAGE_BYTES
from addon.wire.payload import array, integer, mapping, microseconds, number, scalars, string

MAX_ENTRY_CHARACTERS = 64 * 1024 * 1024
"""An entry that is longer, its bodies with it, is not read."""

_LONGEST_MARK = 3
"""How many bytes a body may be short of its size as text: the byte order mark, which is none of it."""

_BASE64 = re.compile(r"[A-Za-z0-9+/]*+={0,2}")
_UNREADABLE = "{} of its {} messages cannot be read, the first is message {}"
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Body:
    """What a file has of a body: `chunks` are (microseconds, bytes), `timed` when those are times of arrival.

    `missing` says that the file lacks it, `damage` what of it is there and cannot be read.
    """

    chunks: tuple[tuple[int, bytes], ...] = ()
    timed: bool = False
    missing: str | None = None
    damage: str | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One exchange as the file tells it; `short` says how much of the body the file has, when that is not all."""

    opening: Opening
    request: bytes
    body: Body
    ended_at: int
    cut: bool
    short: str | None = None


def exchange_of(entry: Any, stream_id: str, otherwise_at: int) -> Exchange | None:
    """The exchange of one entry, None when it is none of ours. `otherwise_at` where it names no time."""
    request, response = mapping(mapping(entry).get("request")), mapping(mapping(entry).get("response"))
    content = mapping(response.get("content"))
    method, host, path = _target(request)
    short = None
    content_type, status = string(content.get("mimeType")) or "", integer(response.get("status")) or 0
    endpoint = classify(method, host, path, content_type, status)
    if endpoint is None:
        return None
    started_at = microseconds(mapping(entry).get("startedDateTime")) or otherwise_at
    ended_at = started_at + round(max(0.0, min(number(mapping(entry).get("time")) or 0.0, 1e10)) * 1000)
    if endpoint.kind == "socket":
        body = _messages(mapping(entry).get("_webSocketMessages"), started_at)
        ended_at = max(ended_at, body.chunks[-1][0]) if body.chunks else ended_at
    else:
        body = _body(entry, content, ended_at)
        size = integer(content.get("size"))
        if not endpoint.streamed and (size == 0 or 300 <= status < 400):
            body = replace(body, missing=None)
        if body.damage is None:
            short = _short(content, sum(len(chunk) for _, chunk in body.chunks), size)
    opening = Opening(
        stream_id=stream_id,
        source="har",
        kind=endpoint.kind,
        streamed=endpoint.streamed,
        host=host,
        path=path.partition("?")[0],
        method=method,
        started_at=started_at,
        name=endpoint.name,
        parameters=dict(endpoint.parameters),
        http_version=string(request.get("httpVersion")),
        status_code=status or None,
        content_type=content_type or None,
        timed=body.timed,
        location=(string(response.get("redirectURL")) or "")[:2000] if 300 <= status < 400 else "",
    )
    cut = bool(string(response.get("_error"))) or status == 0 or short is not None or body.damage is not None
    sent = string(mapping(request.get("postData")).get("text")) or ""
    return Exchange(opening, sent.encode(), body, ended_at, cut, short)


def _target(request: dict[str, Any]) -> tuple[str, str, str]:
    """Method, host, and path with its query."""
    try:
        url = urlsplit(string(request.get("url")) or "")
        host = url.hostname or ""
    except ValueError:
        return "", "", ""
    path = scalars(url.path or "/")
    return string(request.get("method")) or "", host, f"{path}?{url.query}" if url.query else path


def _messages(given: Any, started_at: int) -> Body:
    """The messages of a WebSocket, each with the byte that `socket_tap` puts before it; their times only rise."""
    if given is not None and not isinstance(given, list):
        return Body(timed=True, damage="what it holds of its messages is no list")
    chunks, at, unreadable = [], started_at, list[int]()
    for place, message in enumerate(map(mapping, array(given))):
        seconds = number(message.get("time"))
        at = max(at + 1, round(seconds * 1e6) if seconds and 0 < seconds < 1e11 else 0)
        from_client, binary = message.get("type") == "send", message.get("opcode") == 2
        content = _content(message.get("data"), binary=binary)
        if content is None:
            unreadable.append(place)
        else:
            chunks.append((at, bytes([FROM_CLIENT * from_client | BINARY * binary]) + content[:MAX_MESSAGE_BYTES]))
    damage = _UNREADABLE.format(len(unreadable), len(array(given)), unreadable[0]) if unreadable else None
    return Body(tuple(chunks), True, None if chunks or damage else "the file holds no messages for it", damage)


def _content(data: Any, *, binary: bool) -> bytes | None:
    if not isinstance(data, str):
        return None
    content, damage = _unpacked(data) if binary else (scalars(data).encode(), None)
    return content if damage is None else None


def _body(entry: Any, content: dict[str, Any], ended_at: int) -> Body:
    text = content.get("text")
    if isinstance(text, str) and text:
        body, damage = _unpacked(text) if content.get("encoding") == "base64" else (scalars(text).encode(), None)
        return Body(((ended_at, body),) if body else (), damage=damage)
    events = tuple(_event(event, ended_at) for event in map(mapping, array(mapping(entry).get("_eventSourceMessages"))))
    if events:
        return Body(events, timed=True)
    if text is not None and not isinstance(text, str):
        return Body(damage="its body is no text")
    return Body(missing="the file holds no body for it")


def _short(content: dict[str, Any], held: int, size: int | None) -> str | None:
    """How much of a body the file has, None when that is all, as far as it says."""
    margin = 0 if content.get("encoding") == "base64" else _LONGEST_MARK
    if not held or size is None or held + margin >= size:
        return None
    return f"the file holds {held:,} of the {size:,} bytes of its body"


def _unpacked(text: str) -> tuple[bytes, str | None]:
    """What is packed as base64, as far as it goes, and where it goes no further."""
    packed = "".join(text.split())
    whole = _BASE64.match(packed)
    assert whole is not None  # nothing at all matches
    if whole.end() == len(packed):
        with contextlib.suppress(binascii.Error):
            return base64.b64decode(packed, validate=True), None
    count = len(whole[0].rstrip("=")) // 4 * 4
    return base64.b64decode(packed[:count]), f"its body is no base64 from character {count} on"


def _event(event: dict[str, Any], otherwise_at: int) -> tuple[int, bytes]:
    """An event as it was on the wire; `time` is in seconds, as in `_webSocketMessages`."""
    seconds = number(event.get("time"))
    name, identity = string(event.get("eventName")), string(event.get("eventId"))
    lines = [f"event: {name}"] if name and name != "message" else []
    lines += [f"id: {identity}"] if identity else []
    lines += [f"data: {line}" for line in _LINE_END.split(string(event.get("data")) or "")]
    at = round(seconds * 1e6) if seconds and 0 < seconds < 1e11 else otherwise_at
    return at, ("\n".join(lines) + "\n\n").encode()

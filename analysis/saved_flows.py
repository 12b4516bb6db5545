"""What a file of mitmproxy's flows holds, read without mitmproxy: for the check that all of it is stored.

The file is netstrings with a type behind each (`4:text;`), one for each flow. Untrusted: what cannot be read ends it.
"""

import gzip
import sys
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_HOSTS = frozenset({"chatgpt.com", "chat.openai.com"})
_MAX_FLOW = 1024 * 1024 * 1024
_MAX_DEPTH = 100


def exchanges(file: BinaryIO) -> Iterator[tuple[str, bool, bytes, bytes]]:
    """The answers of ChatGPT in it: kind, whether it is an event stream, and both bodies, decoded."""
    for flow in _flows(file):
        request, response = _dict(flow.get("request")), _dict(flow.get("response"))
        if _text(request.get("host")) not in _HOSTS or response.get("status_code") != 200:
            continue
        media_type = _header(response, "content-type").partition(";")[0].strip().lower()
        if media_type in ("text/event-stream", "application/json"):
            streamed = media_type == "text/event-stream"
            yield "turn" if streamed else "document", streamed, _body(request), _body(response)


def _flows(file: BinaryIO) -> Iterator[dict[str, Any]]:
    while True:
        length = b""
        while (digit := file.read(1)).isdigit() and len(length) < 12:
            length += digit
        if digit != b":" or not length or int(length) > _MAX_FLOW:
            return
        data = file.read(int(length) + 1)
        if len(data) != int(length) + 1:
            return
        try:
            yield _dict(_value(data[:-1], data[-1:], 0))
        except ValueError:
            return


def _value(data: bytes, kind: bytes, depth: int) -> Any:
    match kind:
        case b"}" | b"]" if depth < _MAX_DEPTH:
            items = list(_items(data, depth))
            return (
                items
                if kind == b"]"
                else {_text(key): value for key, value in zip(items[::2], items[1::2], strict=True)}
            )
        case b";":
            return data.decode("utf-8", "replace")
        case b"#":
            return int(data)
        case b"^":
            return float(data)
        case b"," | b"!" | b"~":
            return data
    raise ValueError("no netstring of mitmproxy")


def _items(data: bytes, depth: int) -> Iterator[Any]:
    at = 0
    while at < len(data):
        colon = data.index(b":", at, at + 13)
        end = colon + 1 + int(data[at:colon])
        if end >= len(data):
            raise ValueError("it goes beyond its end")
        yield _value(data[colon + 1 : end], data[end : end + 1], depth + 1)
        at = end + 1


def _body(message: dict[str, Any]) -> bytes:
    """The body decoded, as much of it as there is."""
    content = message.get("content")
    body = content if isinstance(content, bytes) else b""
    for coding in reversed(_header(message, "content-encoding").lower().split(",")):
        try:
            body = _decoded(body, coding.strip())
        except (OSError, EOFError, ValueError, zlib.error, zstd.ZstdError):
            return b""
    return body


def _decoded(body: bytes, coding: str) -> bytes:
    match coding:
        case "gzip" | "x-gzip":
            return gzip.decompress(body)
        case "deflate":
            return zlib.decompress(body)
        case "zstd":
            return zstd.decompress(body)
        case "br":
            import brotli

            try:
                return bytes(brotli.decompress(body))
            except brotli.error:
                raise ValueError("no Brotli") from None
    return body


def _header(message: dict[str, Any], name: str) -> str:
    for field in _list(message.get("headers")):
        if isinstance(field, list) and len(field) == 2 and _text(field[0]).lower() == name:
            return _text(field[1])
    return ""


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value if isinstance(value, str) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

"""What a document or an event holds, by rules of its own: messages, their texts, the files that they mention.

Nothing here knows how captures read them: `fidelity` compares the one with the other.
"""

import json
import re
import zlib
from collections.abc import Iterator
from typing import Any

_SCHEME = re.compile(r"[a-z-]+://")
_LINES = re.compile(rb"\r\n|\r|\n")


def nodes(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The messages of a document by their ids."""
    given = document.get("mapping")
    if isinstance(given, dict):
        placed = list(given.items())
    else:
        placed = [
            ("", node) for key in ("mapping", "messages", "linear_conversation") for node in listed(document.get(key))
        ]
    for key, node in placed:
        message = node.get("message", None if key else node) if isinstance(node, dict) else None
        identity = text_of(key) or (text_of(message.get("id")) if isinstance(message, dict) else None)
        if identity and isinstance(message, dict):
            yield identity, message


def content_type(message: dict[str, Any]) -> str:
    content = message.get("content")
    return (text_of(content.get("content_type")) if isinstance(content, dict) else None) or "(none)"


def said(content: Any) -> str | None:
    """The text of the content types that are nothing but text."""
    if not isinstance(content, dict):
        return None
    parts = content.get("parts")
    if isinstance(parts, list):
        return "\n".join(part for part in parts if isinstance(part, str))
    return content["text"] if isinstance(content.get("text"), str) else None


def mentioned(message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The images and attachments of a message."""
    content, metadata = message.get("content"), message.get("metadata")
    for part in listed(content.get("parts")) if isinstance(content, dict) else ():
        if isinstance(part, str):
            continue
        pointer = part.get("asset_pointer") if isinstance(part, dict) else None
        if isinstance(pointer, str) and part.get("content_type") == "image_asset_pointer":
            yield _SCHEME.sub("", pointer, count=1).partition("?")[0].replace("*", "#"), "images"
    for attachment in listed(metadata.get("attachments")) if isinstance(metadata, dict) else ():
        identity = text_of(attachment.get("id")) if isinstance(attachment, dict) else None
        if identity:
            yield identity, "attachments"


def events(body: bytes) -> Iterator[Any]:
    """The JSON of each event of an event stream."""
    data: list[bytes] = []
    for line in (*_LINES.split(body.removeprefix(b"\xef\xbb\xbf")), b""):
        if line.startswith(b"data:"):
            data.append(line[5:])
        elif not line and data:
            yield parsed(b"\n".join(data))
            data = []


def parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def text_of(value: Any) -> str | None:
    return storable(value) if isinstance(value, str) and value else None


def storable(text: str) -> str:
    """`text` as SQLite can hold it: halves of surrogate pairs joined, or U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def fingerprint(text: str | None, length: int | None) -> int | None:
    """Of a text, or of so many characters at its beginning."""
    if text is None:
        return None
    text = storable(text)
    return zlib.crc32((text if length is None else text[:length]).encode())

"""A document's secrets taken out: JSON in, the same JSON without credentials out, and what it says.

As with events, it counts who wrote what: the content of messages and canvas documents, titles and snippets are kept
as they were written; in all else, the metadata of messages included, whatever looks like a token goes.
"""

import json
from typing import Any

from addon.wire.budget import loads_bounded
from addon.wire.payload import dumps
from addon.wire.redaction import may_hold_tokens, redact

_WRITTEN = frozenset({"content", "title", "snippet", "prompt", "text", "parts"})
_DEPTH = 100

MOST_MEMORY = 480 * 1024 * 1024
"""`budget.memory_of` beyond which a document is not read: above the longest honest one, far below what hurts."""


def redact_document(data: bytes) -> tuple[bytes, Any]:
    """`data` redacted, and its JSON value. Raises `ValueError` when it is no JSON; then `redact` it with `tokens`."""
    clean = redact(data)
    value = loads_bounded(clean, MOST_MEMORY)
    if not may_hold_tokens(clean):
        return clean, value
    cleaned = _clean(value)
    return (clean, value) if cleaned is value else (dumps(cleaned).encode(), cleaned)


def _clean(value: Any, depth: int = 0) -> Any:
    """The same object when nothing in it had to go."""
    if depth > _DEPTH:
        return value
    if isinstance(value, dict):
        pairs = {key: inner if key in _WRITTEN else _member(key, inner, depth) for key, inner in value.items()}
        return pairs if any(pairs[key] is not value[key] for key in pairs) else value
    if isinstance(value, list):
        items = [_clean(item, depth + 1) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return _text(value) if isinstance(value, str) else value


def _member(key: str, value: Any, depth: int) -> Any:
    # All of a message's metadata is the service's, titles of pages included.
    return _metadata(value) if key == "metadata" else _clean(value, depth + 1)


def _metadata(value: Any) -> Any:
    try:
        data = json.dumps(value).encode()
    except RecursionError:
        return None
    clean = redact(data, tokens=True)
    return value if clean is data else json.loads(clean)


def _text(value: str) -> str:
    if "eyJ" not in value and "?" not in value:
        return value
    data = json.dumps(value).encode()
    clean = redact(data, tokens=True)
    return value if clean is data else str(json.loads(clean))

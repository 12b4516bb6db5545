"""A document's secrets taken out: JSON in, the same JSON without credentials out, and what it says.

As with events, it counts who wrote what: the content of messages and canvas documents, titles and snippets are kept
as they were written; in all else, the metadata of messages included, whatever looks like a credential goes.
"""

from collections.abc import Mapping
from typing import Any

from addon.wire.redaction import redact, redact_json
from addon.wire.suspicion import is_suspect
from addon.wire.value_redaction import NOBODY, Written, clean_value

_WRITTEN: Written = frozenset({"title", "snippet", "prompt"})
_WRITTEN_IN: Mapping[str, Written] = {
    "textdocs": _WRITTEN | {"content"},
    "init": NOBODY,
    "stream_status": NOBODY,
    "stop": NOBODY,
    "file": NOBODY,
    "interpreter": NOBODY,
}

MOST_MEMORY = 480 * 1024 * 1024
"""`budget.memory_of` beyond which a document is not read: above the longest honest one, far below what hurts."""


def redact_document(data: bytes, name: str = "conversation") -> tuple[bytes, Any]:
    """A document of this name redacted, and its JSON value.

    Raises `ValueError` when it is no JSON; then `redact` it with `tokens`.
    """
    return redact_json(data, _WRITTEN_IN.get(name, _WRITTEN), MOST_MEMORY)


def without_secrets(document: dict[str, Any], text: bytes) -> dict[str, Any]:
    """A conversation that was read from this JSON, redacted as `redact_document` does it; nearly always it is clean."""
    if not is_suspect(document, _WRITTEN):
        return document
    cleaned: dict[str, Any] = redact_document(text)[1] if redact(text) is not text else clean_value(document, _WRITTEN)
    return cleaned


def piece_without_secrets[T: (dict[str, Any], list[Any])](piece: T, text: bytes) -> T:
    """The same of a part of a conversation: one node of its mapping, by its key, or one item of a list."""
    if not is_suspect(piece):
        return piece
    cleaned: T = redact_json(text, NOBODY, MOST_MEMORY)[1] if redact(text) is not text else clean_value(piece)
    return cleaned

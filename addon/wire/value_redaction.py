"""JSON values without credentials, by who wrote what: values in, the same values without secrets out.

What somebody wrote, the content of messages above all, is kept as it was written. All else is the service's: there a
member with a secret name loses its value whatever that is, and text loses whatever looks like a credential.
"""

import base64
import re
from functools import lru_cache
from typing import Any

from addon.wire.budget import loads_bounded
from addon.wire.payload import dumps, loads
from addon.wire.shapes import REDACTED, SECRET_KEYS, clean_text, text_may_hold_secrets

_SECRET_NAME = re.compile(
    SECRET_KEYS + r"|(?:[a-z0-9_-]*(?:access|session|auth|refresh|api|bearer|resume|conduit|proof)[_-]?)?tokens|"
    r"[a-z0-9_-]*(?:secrets|passwords|api[_-]?keys)|jwts|credentials?",
    re.IGNORECASE,
)
MOST_DEPTH = 300
"""Levels below which nothing is looked at: it goes."""

SHORTEST = 8
"""Characters below which nothing is taken for a credential."""

SHORT = 64
"""Characters up to which text is remembered: most of what is short is said again and again."""

# Nor is a UUID taken for one: the words by which credentials are told have other letters.
_IDENTITY = re.compile(r"[0-9a-f-]++")
_IDENTITY_LENGTH = 36

_MOST_NESTED = 4
IDENTITIES = frozenset({"id", "conversation_id", "mapping"})
"""Names of members one of which an object has in which somebody may have written."""

_REDACTED = REDACTED.decode()
_TOPIC = " turn_topic_id="

Written = frozenset[str]
"""Names of members that hold what somebody wrote, in objects that have an id, metadata left out."""

NOBODY: Written = frozenset()


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Whether a member, parameter or header of this name holds a credential."""
    return _SECRET_NAME.fullmatch(name) is not None


def clean_value(value: Any, written: Written = NOBODY, depth: int = 0, nested: int = 0) -> Any:
    """`value` without credentials; the same object when there is none. The content of messages stays in any case."""
    if isinstance(value, str):
        return _clean_string(value, nested)
    if depth > MOST_DEPTH and isinstance(value, (dict, list)):
        return _REDACTED  # nobody wrote that
    if isinstance(value, list):
        if not value:
            return value
        items = [clean_value(item, written, depth + 1, nested) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return _clean_object(value, written, depth, nested) if isinstance(value, dict) else value


def blanked(value: Any, depth: int = 0) -> Any:
    """What is left of the value of a secret member: of a token the topic that it names, else nothing but its shape."""
    if isinstance(value, str):
        if not value or value == _REDACTED or value.startswith(_REDACTED + _TOPIC):
            return value
        topic = topic_in(value.encode("utf-8", "replace"))
        return _REDACTED + (_TOPIC + topic.decode() if topic else "")
    if depth > MOST_DEPTH:
        return None
    if isinstance(value, list):
        return [blanked(item, depth + 1) for item in value]
    return {key: blanked(item, depth + 1) for key, item in value.items()} if isinstance(value, dict) else value


def topic_in(token: bytes) -> bytes:
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


def _clean_object(
    value: dict[str, Any], written: Written, depth: int, nested: int, *, message: bool = False
) -> dict[str, Any]:
    said = "content" if message or "author" in value else None
    if not IDENTITIES & value.keys():
        written = NOBODY
    clean: dict[str, Any] = {}
    changed = False
    for key, part in value.items():
        is_secret, name = (False, key) if _is_identity(key) else _name(key) if len(key) <= SHORT else _looked_at(key)
        if is_secret:
            left = blanked(part)
            left = part if left == part else left
        elif part is None or isinstance(part, (bool, int, float)) or key == said or key in written:
            left = part
        elif isinstance(part, str):
            left = _clean_string(part, nested)
        elif key in ("message", "input_message") and isinstance(part, dict):
            left = _clean_object(part, written, depth + 1, nested, message=True)
        else:
            # All of a message's metadata is the service's, titles of pages included.
            left = clean_value(part, NOBODY if key == "metadata" else written, depth + 1, nested)
        changed = changed or left is not part or name != key
        clean[name] = left
    secret = named_secret(clean) if "value" in clean else None
    if secret is not None:
        clean["value"], changed = secret, True
    return clean if changed else value


def _looked_at(key: str) -> tuple[bool, str]:
    """Whether a member of this name holds a credential, and what is left of the name."""
    return is_secret_name(key), key if len(key) < SHORTEST else clean_text(key)


_name = lru_cache(maxsize=4096)(_looked_at)


@lru_cache(maxsize=4096)
def _is_harmless(text: str) -> bool:
    return not text_may_hold_secrets(text)


def _is_identity(text: str) -> bool:
    return len(text) == _IDENTITY_LENGTH and _IDENTITY.fullmatch(text) is not None


def named_secret(value: dict[str, Any]) -> str | None:
    """What is left of `value` in {"name": "Authorization", "value": "..."}; None where nothing has to go."""
    name, said = value.get("name") or value.get("key"), value.get("value")
    if not isinstance(name, str) or not isinstance(said, str) or not said or said.startswith(_REDACTED):
        return None
    is_cookie = clean_text(f"{name}={said}") != f"{name}={said}"
    return _REDACTED if is_secret_name(name) or is_cookie else None


def _clean_string(text: str, nested: int) -> str:
    if len(text) < SHORTEST or _is_identity(text):
        return text
    if _is_harmless(text) if len(text) <= SHORT else not text_may_hold_secrets(text):
        return text
    if nested < _MOST_NESTED and text.lstrip()[:1] in ("{", "[", '"'):
        try:
            inner = loads_bounded(text.encode("utf-8", "surrogatepass"))
        except ValueError:
            return clean_text(text)
        left = clean_value(inner, NOBODY, 0, nested + 1)
        return text if left is inner else dumps(left)
    return clean_text(text)

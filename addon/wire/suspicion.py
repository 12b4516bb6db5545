"""Whether a conversation may hold a credential at all: nearly none does, and to say so costs a fraction of the looking.

What is free of suspicion neither `redact` nor `clean_value` would change. They look at all else, so a document may be
suspected of what it does not hold, and never the other way round.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from addon.wire.redaction import WRITTEN_KEYS
from addon.wire.shapes import SIGNED, clean_text, text_may_hold_secrets
from addon.wire.value_redaction import (
    IDENTITIES,
    MOST_DEPTH,
    NOBODY,
    SHORT,
    SHORTEST,
    Written,
    blanked,
    clean_value,
    is_secret_name,
    named_secret,
)

_WRITTEN = frozenset(WRITTEN_KEYS.split("|"))
_MOST_NAMES = 32
_MESSAGES = frozenset({"message", "input_message"})
# Ids, digests, numbers of requests: no word by which a credential is told can be spelt so.
_NUMBERS = re.compile(r"[0-9a-fA-F-]*+[A-Z]{0,3}+")


def is_suspect(value: Any, written: Written = NOBODY, depth: int = 0, *, message: bool = False) -> bool:
    """Whether `value` has to be looked at for credentials; `written` and `message` as in `clean_value`."""
    kind = value.__class__
    if kind is dict:
        return _is_suspect_object(value, written, depth, message=message)
    if kind is not list:
        return kind is str and _is_suspect_text(value)
    for item in value:
        if is_suspect(item, written, depth + 1):
            return True
    return depth > MOST_DEPTH


def _is_suspect_object(value: dict[str, Any], written: Written, depth: int, *, message: bool) -> bool:
    secret = _secret_names(tuple(value)) if len(value) <= _MOST_NAMES else _secrets_among(value)
    if secret is None or depth > MOST_DEPTH or (secret and any(blanked(value[name]) != value[name] for name in secret)):
        return True
    said = "content" if message or "author" in value else None
    if written and IDENTITIES.isdisjoint(value):
        written = NOBODY
    for key, part in value.items():
        kind = part.__class__
        if kind is str:
            # Most strings are too short, or are ids.
            looks_like_one = (len(part) >= SHORTEST or "?" in part) and _is_suspect_text(part)
            if looks_like_one and not (key == said or key in written or key in secret):
                return True
        elif (kind is dict or kind is list) and part:
            if key == said or key in written:
                suspect = _is_suspect_inside(part, depth)
            else:
                inner = NOBODY if key == "metadata" else written
                suspect = is_suspect(part, inner, depth + 1, message=key in _MESSAGES)
            if suspect:
                return True
    return "value" in value and named_secret(value) is not None


def _is_suspect_inside(value: Any, depth: int) -> bool:
    """The same where somebody wrote: there only members count that `redact` would take for a credential."""
    if depth > MOST_DEPTH:
        return True
    if isinstance(value, list):
        deeper = [item for item in value if item.__class__ is not str]
        return bool(deeper) and any(_is_suspect_inside(item, depth + 1) for item in deeper)
    for key, part in value.items() if isinstance(value, dict) else ():
        if isinstance(part, str):
            if part and (is_secret_name(key) or '"' in key or (key not in _WRITTEN and _may_be_member(part))):
                return True
        elif _is_suspect_inside(part, depth + 1):
            return True
    return False


def _is_suspect_text(text: str) -> bool:
    if _NUMBERS.fullmatch(text):
        return False
    if _is_plain(text) if len(text) <= SHORT else not text_may_hold_secrets(text):
        return False
    return _may_be_member(text) or clean_value(text) != text


def _may_be_member(text: str) -> bool:
    """Whether `redact` may take this value of a member for a token or a signed URL."""
    return "eyJ" in text or ("?" in text and SIGNED.search(text.encode("utf-8", "surrogatepass")) is not None)


def _secrets_among(names: Iterable[str]) -> frozenset[str] | None:
    """The names that tell of a secret; None where one looks like a credential itself."""
    secret = []
    for name in names:
        if _NUMBERS.fullmatch(name):
            continue
        if is_secret_name(name):
            secret.append(name)
        # Where a quotation mark is escaped, what follows is a name to `redact`.
        if '"' in name or (len(name) >= SHORTEST and clean_text(name) != name):
            return None
    return frozenset(secret)


_secret_names = lru_cache(maxsize=1024)(_secrets_among)


@lru_cache(maxsize=4096)
def _is_plain(text: str) -> bool:
    return not text_may_hold_secrets(text)

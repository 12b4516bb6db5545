"""Secrets taken out of what is kept: JSON text in, the same text without credentials out.

Applied to the bytes of each event and each request before anything else sees them, so that no later stage can
store a credential. What a person or the model wrote is text inside JSON strings, where a quotation mark is
escaped: a key is only a key outside of strings, so conversations pass unchanged.
"""

import base64
import re

from addon.payload import loads

_SECRET_KEYS = (
    "token|(?:[a-z_]+_)?(?:access|refresh|id|session|conduit|resume|arkose|turnstile|proof|sentinel|requirements|csrf|"
    "integrity|handoff|auth|bearer)_?token|authorization|cookie|set-cookie|x-conduit-token|x-oai-is|"
    "openai-sentinel-[a-z-]+|verify|sig|signature|password|secret|api_key|client_secret"
)
_SECRET = re.compile(rb'("(?:' + _SECRET_KEYS.encode() + rb')"\s*:\s*")((?:[^"\\]|\\.)*)', re.IGNORECASE)
# Only a value that is such a URL as a whole, and never under a key that holds what somebody wrote.
_SIGNED_URL = re.compile(
    rb'("(?!(?:v|text|content|prompt|body|query)")[^"\\]+"\s*:\s*"(?:[a-z]+:|\\/|/)[^"\\\s?]*'
    rb"(?:oaiusercontent\.com|blob\.core\.windows\.net|webpubsub\.azure\.com|ws\.chatgpt\.com|/estuary/content)"
    rb'[^"\\\s?]*)\?[^"]*',
    re.IGNORECASE,
)
_JWT = re.compile(rb"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}")
_HINTS = re.compile(
    rb'(?i)token"|authorization"|cookie"|x-oai-is"|sentinel|verify"|sig"|signature"|password"|secret"|api_key"'
)
_URL_HINTS = re.compile(rb"(?i)oaiusercontent|core\.windows\.net|webpubsub|ws\.chatgpt\.com|estuary/content")

REDACTED = b"redacted"


def redact(data: bytes, *, tokens: bool = False) -> bytes:
    """`data` without the values of secret keys and without the query of signed URLs; the same object when clean.

    With `tokens`, anything shaped like a JWT goes too: right for what no person wrote.
    The topic that a resume token names is no secret and stays: `redacted turn_topic_id=...`.
    """
    if _HINTS.search(data):
        data = _SECRET.sub(_blank, data)
    if _URL_HINTS.search(data):
        data = _SIGNED_URL.sub(rb"\1?" + REDACTED, data)
    if tokens and b"eyJ" in data:
        data = _JWT.sub(REDACTED, data)
    return data


def _blank(match: re.Match[bytes]) -> bytes:
    key, value = match.groups()
    if not value or value.startswith(REDACTED):
        return match.group()
    topic = _topic_in(value)
    return key + REDACTED + (b" turn_topic_id=" + topic if topic else b"")


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

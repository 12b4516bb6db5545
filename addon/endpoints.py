"""Which exchange is which: (method, host, path, media type) -> `Endpoint`, or None for all that is not ours.

Pure functions. Paths are renamed often, the media type never, so an event stream of a ChatGPT host is captured
from any path, while what holds credentials or telemetry is never looked at.
"""

import re
from dataclasses import dataclass

HOSTS = frozenset({"chatgpt.com", "chat.openai.com"})
"""Hosts whose conversations are captured; matched exactly, never by suffix."""

INTERCEPTED = (r"^chatgpt\.com:\d+$", r"^chat\.openai\.com:\d+$")
"""`allow_hosts` patterns of mitmproxy for the connections worth decrypting; anchored, since mitmproxy searches."""

_SEND = re.compile(r"/backend-(?:api|anon|alt)/(?:f/)?conversation")
_RESUME = re.compile(r"/backend-(?:api|anon|alt)/(?:f/)?conversation/resume")
_NEVER = re.compile(r"/api/auth|/backend-(?:api|anon|alt)/(?:me|sentinel|accounts)(?:/|$)|/ces/|/cdn-cgi/")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What an exchange is: `kind` as in `streams.kind`; `streamed` when its body is an event stream."""

    kind: str
    streamed: bool


def classify(method: str, host: str, path: str, content_type: str) -> Endpoint | None:
    """The endpoint of one exchange; `path` may carry a query, `content_type` parameters."""
    if host.lower().rstrip(".") not in HOSTS:
        return None
    path = path.partition("?")[0]
    if method in ("HEAD", "OPTIONS") or _NEVER.match(path):
        return None
    streamed = content_type.partition(";")[0].strip().lower() == "text/event-stream"
    if _RESUME.fullmatch(path):
        return Endpoint("resume", streamed)
    if _SEND.fullmatch(path) and method == "POST":
        # Also when it is answered by an error, a challenge page or a hand-off in JSON.
        return Endpoint("turn", streamed)
    # A path nobody knows yet: an event stream all the same.
    return Endpoint("turn", streamed) if streamed else None

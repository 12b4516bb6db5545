"""Which exchange is which: (method, host, path, media type) -> `Endpoint`, or None for all that is not ours.

Pure functions. Paths are renamed often, the media type never, so an event stream of a ChatGPT host is captured
from any path, while what holds credentials or telemetry is never looked at.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

HOSTS = frozenset({"chatgpt.com", "chat.openai.com"})
"""Hosts whose conversations are captured; matched exactly, never by suffix."""

INTERCEPTED = (
    r"^(?:ws\.)?chatgpt\.com:\d+$",
    r"^chat\.openai\.com:\d+$",
    r"^(?:[a-z0-9-]+\.){1,3}oaiusercontent\.com:\d+$",
    r"^chatgpt-async-webps-[a-z0-9-]+\.(?:webpubsub\.azure|chatgpt)\.com:\d+$",
)
"""`allow_hosts` patterns of mitmproxy for the connections worth decrypting; anchored, since mitmproxy searches."""

EXPECTED = ("chatgpt.com", "ws.chatgpt.com", "files.oaiusercontent.com")
"""One host of each sort that a page of today needs: answers, answers over the WebSocket, files."""

_SOCKET_HOST = re.compile(
    r"(?:ws\.)?chatgpt\.com|chat\.openai\.com|chatgpt-async-webps-[a-z0-9-]+\.(?:webpubsub\.azure|chatgpt)\.com"
)
_FILE_HOST = re.compile(r"(?:[a-z0-9-]+\.){1,3}oaiusercontent\.com")

_API = r"/backend-(?:api|anon|alt)"
_CONVERSATION = r"(?P<conversation_id>[^/]+)"
_FILE = r"(?P<file_id>[^/]+)"
_SEND = re.compile(_API + r"/(?:f/)?conversation")
_RESUME = re.compile(_API + r"/(?:f/)?conversation/resume")
_NEVER = re.compile(
    r"/api/auth|/backend-(?:api|anon|alt)/(?:me|sentinel|accounts|celsius|register-websocket|settings)(?:/|$)|/ces/|/cdn-cgi/"
)

# Method, path, kind as in `streams.kind`, and which document it is. The first that fits counts.
_DOCUMENTS = tuple(
    (method, re.compile(path), kind, name)
    for method, path, kind, name in (
        ("POST", rf"{_API}/conversation/init", "document", "init"),
        ("POST", rf"{_API}/conversation/gen_title/{_CONVERSATION}", "document", "title"),
        ("GET", rf"{_API}/conversation/{_CONVERSATION}", "document", "conversation"),
        ("PATCH", rf"{_API}/conversation/{_CONVERSATION}", "document", "change"),
        ("GET", rf"{_API}/conversation/{_CONVERSATION}/textdocs", "document", "textdocs"),
        ("GET", rf"{_API}/conversation/{_CONVERSATION}/stream_status", "document", "stream_status"),
        ("POST", rf"{_API}/stop_conversation", "document", "stop"),
        ("GET", rf"{_API}/conversations", "list", "conversations"),
        ("POST", rf"{_API}/conversations/batch", "list", "conversations"),
        ("GET", rf"{_API}/conversations/search", "list", "search"),
        ("GET", rf"{_API}/conversations/{_CONVERSATION}", "document", "turns"),
        ("GET", rf"{_API}/gizmos/snorlax/sidebar", "list", "projects"),
        ("GET", rf"{_API}/gizmos/(?P<gizmo_id>[^/]+)/conversations", "list", "conversations"),
        ("POST", rf"{_API}/share/create", "document", "share"),
        ("GET", rf"{_API}/share/(?P<share_id>[^/]+)", "document", "shared"),
        ("GET", rf"{_API}/my/recent/image_gen", "list", "images"),
        ("GET", rf"{_API}/files/download/{_FILE}", "download", "file"),
        ("GET", rf"{_API}/files/{_FILE}/download", "download", "file"),
        ("GET", rf"{_API}/conversation/{_CONVERSATION}/attachment/{_FILE}/download", "download", "file"),
        ("GET", rf"{_API}/conversation/{_CONVERSATION}/interpreter/download", "download", "interpreter"),
        ("GET", rf"(?:{_API}|/api)/estuary/content", "asset", "estuary"),
    )
)

_PARAMETERS = frozenset(
    {"id", "conversation_id", "message_id", "sandbox_path", "num_turns", "offset", "cursor", "query"}
)
"""What of a query is kept: it may hold signatures, so nothing else is."""


# Answers that bring a file, or say where it is instead.
_FILE_STATUS = frozenset({200, 301, 302, 303, 307, 308})
_WHOLE_RANGE = re.compile(r"bytes 0-([0-9]{1,18})/([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What an exchange is: `kind` as in `streams.kind` (`socket` for a WebSocket), `name` which document or file.

    `streamed` when its body is an event stream; `parameters` are what path and query say, as far as it may be kept.
    """

    kind: str
    streamed: bool = False
    name: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def classify(method: str, host: str, path: str, content_type: str, status_code: int = 200) -> Endpoint | None:
    """The endpoint of one exchange; `path` may carry a query, `content_type` parameters."""
    host = host.lower().rstrip(".")
    path, _, query = path.partition("?")
    if status_code == 101:
        return Endpoint("socket") if _SOCKET_HOST.fullmatch(host) else None
    if _FILE_HOST.fullmatch(host):
        return Endpoint("asset", name="file") if method == "GET" and status_code in _FILE_STATUS else None
    if host not in HOSTS or method in ("HEAD", "OPTIONS") or _NEVER.match(path):
        return None
    streamed = content_type.partition(";")[0].strip().lower() == "text/event-stream"
    if _RESUME.fullmatch(path):
        return Endpoint("resume", streamed, parameters=_asked(query))
    if _SEND.fullmatch(path) and method == "POST":
        # Also when it is answered by an error, a challenge page or a hand-off in JSON.
        return Endpoint("turn", streamed)
    if streamed:
        return Endpoint("turn", streamed)  # a path nobody knows yet: an event stream all the same
    found = _document(method, path, query)
    answered = _FILE_STATUS if found is not None and found.kind == "asset" else {200}
    return found if status_code in answered else None


def whole(status_code: int, content_range: str) -> int:
    """The status to classify by: a part (206) that is all of a file is as good as the file."""
    found = _WHOLE_RANGE.fullmatch(content_range.strip()) if status_code == 206 else None
    return 200 if found and int(found[1]) + 1 == int(found[2]) else status_code


def _document(method: str, path: str, query: str) -> Endpoint | None:
    for verb, pattern, kind, name in _DOCUMENTS:
        found = pattern.fullmatch(path) if verb == method else None
        if found:
            named = {key: unquote(value) for key, value in found.groupdict().items()}
            return Endpoint(kind, False, name, _asked(query) | named)
    return None


def _asked(query: str) -> dict[str, str]:
    # The last of several values counts, as it does for the service's own client.
    return {key: value for key, value in parse_qsl(query) if key in _PARAMETERS}

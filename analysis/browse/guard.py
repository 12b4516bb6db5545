"""Who may ask the server, and what a page of it may do: the outermost layer, around every page, stock ones included.

- The name asked for must be a loopback one. Without this a site that resolves its own name to 127.0.0.1 reads the
  archive (DNS rebinding): Datasette itself answers to any name.
- What another site's page asks for is refused (Fetch Metadata); a link that a person follows is not.
- Only reading: no method but GET and HEAD, and POST to log out.
- A page runs only scripts of this server, loads nothing from elsewhere, and stands in nobody's frame.
"""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from importlib.resources import files
from typing import Any

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type App = Callable[[Message, Receive, Send], Awaitable[None]]

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})

_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
# What `table.html` writes for its one setting, and how.
_FACET_SETTINGS = ("DATASETTE_ALLOW_FACET = true;", "DATASETTE_ALLOW_FACET = false;")
_INLINE_TEMPLATES = ("_close_open_menus.html", "_codemirror_foot.html")


def guarded(app: App, hosts: Iterable[str] = ()) -> App:
    """`app`, asked for only by names of this machine (and `hosts`) and by pages of its own."""
    allowed = LOOPBACK | {host.lower() for host in hosts}
    headers = _headers()

    async def guard(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        refusal = _refusal(scope, allowed)
        if refusal is not None:
            await _refuse(send, headers, *refusal)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower() for name, _ in message.get("headers", [])}
                added = [(name, value) for name, value in headers if name not in own]
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        await app(scope, receive, send_guarded)

    return guard


def _refusal(scope: Message, allowed: frozenset[str]) -> tuple[int, str] | None:
    """Status and words for a request that is not answered."""
    asked = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    host = re.sub(r":\d+$", "", asked.get("host", "")).lower()
    if host not in allowed:
        return 403, "This archive answers only to names of its own machine, such as 127.0.0.1."
    if scope["method"] not in ("GET", "HEAD") and not (scope["method"] == "POST" and scope["path"] == "/-/logout"):
        return 405, "This archive is only read."
    site = asked.get("sec-fetch-site", "none")
    followed = asked.get("sec-fetch-mode") == "navigate" and asked.get("sec-fetch-dest") == "document"
    if site not in ("none", "same-origin") and not (followed and scope["method"] in ("GET", "HEAD")):
        return 403, "This archive answers to its own pages only."
    return None


async def _refuse(send: Send, headers: list[tuple[bytes, bytes]], status: int, words: str) -> None:
    head = [*headers, (b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    if status == 405:
        head.append((b"allow", b"GET, HEAD"))
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": words.encode()})


def _headers() -> list[tuple[bytes, bytes]]:
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {' '.join(_script_hashes())}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "object-src 'none'",
        )
    )
    return [
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-frame-options", b"DENY"),
        (b"cross-origin-opener-policy", b"same-origin"),
        (b"cross-origin-resource-policy", b"same-origin"),
    ]


def _script_hashes() -> list[str]:
    """The inline scripts of the installed Datasette's own pages, as a policy names them."""
    templates = files("datasette") / "templates"
    scripts = [script for name in _INLINE_TEMPLATES for script in _SCRIPT.findall((templates / name).read_text())]
    digests = [hashlib.sha256(script.encode()).digest() for script in (*scripts, *_FACET_SETTINGS)]
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]

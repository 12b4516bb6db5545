"""Which asset a pointer or a URL stands for: one id, however it is written.

Pure. The same file has many URLs, each signed anew, so assets are known by their id and never by a URL. An *address*
is what is kept of a URL: host and path, and of a query nothing but the `id` by which estuary names a file.
"""

import re
from urllib.parse import parse_qsl, unquote, urlsplit

SANDBOX = "sandbox:"
"""The scheme of files in a code interpreter; the id of such a file is `sandbox:<message id><path>`."""

THUMBNAIL = "#thumbnail"
"""What the service hangs on an id for a smaller picture of the same asset."""

DEFAULT_HOST = "chatgpt.com"
"""Whose addresses are meant where a document names no host."""

_SCHEMES = ("file-service://", "sediment://")
_LONGEST = 1000
_LONGEST_URL = 16384
_ESTUARY = re.compile(r"/(?:backend-(?:api|anon|alt)|api)/estuary/content")
_IN_PATH = re.compile(r"file[-_][A-Za-z0-9][A-Za-z0-9_-]*")
# A `file_<32 hex>` in storage: /files/00000000-2ca8-7246-870a-5face5cbfa35/raw, or .../drvs/md/raw for a smaller one.
_STORED = re.compile(r"/files/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:/|$)")
_DERIVED = re.compile(r"/drvs/")


def pointer_id(pointer: str) -> str | None:
    """The asset id in a pointer of a message, None when it is of another scheme."""
    return asset_id(pointer) if pointer.startswith(_SCHEMES) else None


def asset_id(written: str) -> str | None:
    """The id in a pointer, or as a path or a query names it: scheme and query gone, `*` and `%23` written `#`."""
    for scheme in _SCHEMES:
        written = written.removeprefix(scheme)
    # A raw # would end a URL, so clients write * or %23 there (protocol 5c).
    return written.partition("?")[0].replace("*", "#").replace("%23", "#")[:_LONGEST] or None


def sandbox_id(message_id: str, path: str) -> str:
    """The id of a file in the sandbox of a code interpreter: the service has none, its message and path are one."""
    return f"{SANDBOX}{message_id}/{path.removeprefix(SANDBOX).lstrip('/')}"[:_LONGEST]


def address_of(host: str, path: str, identity: str | None = None) -> str:
    """The address of an exchange; `identity` is the `id` in its query."""
    named = asset_id(identity) if identity is not None and _ESTUARY.fullmatch(path) else None
    return f"{host.lower()}{unquote(path)}"[:_LONGEST] + (f"?id={named}" if named else "")


def address_in(url: str, host: str) -> str | None:
    """The address that a URL names, `host` where it names none; None when it is no URL of the web."""
    if len(url) > _LONGEST_URL:
        return None
    try:
        parts = urlsplit(url)
        # The last of several values counts, as it does for the service's own client.
        identity = dict(parse_qsl(parts.query)).get("id")
        named = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in ("", "http", "https") or not parts.path.startswith("/"):
        return None
    return address_of(named or host, parts.path, identity)


def id_at(address: str) -> str:
    """The asset at an address, as far as the address itself says; else the address stands for it."""
    path, mark, identity = address.partition("?id=")
    if mark:
        return identity
    if stored := _STORED.search(path):
        return "file_" + stored[1].replace("-", "")
    for segment in path.split("/")[1:]:
        if _IN_PATH.fullmatch(segment.replace("*", "#").partition("#")[0]):
            return asset_id(segment) or address
    return address


def is_derived(address: str) -> bool:
    """Whether an address is that of a smaller encoding which the service made of the file."""
    return bool(_DERIVED.search(address))

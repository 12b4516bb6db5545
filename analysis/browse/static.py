"""The files of the pages: styles, scripts and the vendored libraries, read once, named by what is in them.

An address carries a digest of the content, so that a browser may keep it for ever and still sees every change.
"""

import hashlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from datasette.utils.asgi import NotFound, Request, Response

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "json": "application/json",
}


def address(name: str) -> str:
    """Where a page finds a file."""
    return f"/-/archive/static/{_digest()}/{name}"


async def static_file(request: Request) -> Response:
    """The view of one file."""
    name = request.url_vars["name"]
    content = _files().get(name)
    if content is None:
        raise NotFound("no such file")
    return Response(
        content,
        content_type=_TYPES[name.rpartition(".")[2]],
        headers={"cache-control": "max-age=31536000, immutable"},
    )


@cache
def _digest() -> str:
    """Of all files together: a script names the scripts it imports relative to its own address."""
    return hashlib.sha256(b"".join(content for _, content in sorted(_files().items()))).hexdigest()[:12]


@cache
def _files() -> dict[str, bytes]:
    root = files("analysis.browse") / "static"
    return {name: entry.read_bytes() for name, entry in _walk(root, "") if name.rpartition(".")[2] in _TYPES}


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found = []
    for entry in folder.iterdir():
        name = f"{prefix}{entry.name}"
        found += _walk(entry, f"{name}/") if entry.is_dir() else [(name, entry)]
    return found


static_file._datasette_static = True  # type: ignore[attr-defined] # Datasette then leaves the cache header alone

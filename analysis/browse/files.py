"""The bytes of captured files: images in their place, everything else only to be saved.

What a file is, its first bytes say, never its name or what the service called it. Only the four kinds of images that
run nothing are shown; all else, SVG and HTML above all, is sent as a download into a sandbox.
"""

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from analysis.browse.site import Asked, Problem

_CHUNK = 256 * 1024
_KEPT = b"private, max-age=31536000, immutable"


def media_folder(database: Path) -> Path:
    """Where an archive's files lie: beside it, under its name."""
    return database.with_name(database.name + "-media")


def image_type(head: bytes) -> str | None:
    """The media type of an image that a page may show, by its first bytes."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return None


class FileAnswer:
    """An open file, sent piece by piece; closed when it is sent, or when nobody waits for it any more."""

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor, self._name = descriptor, name

    async def asgi_send(self, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        """Send the file; called by Datasette."""
        try:
            head = os.pread(self._descriptor, 16, 0)
            size = os.fstat(self._descriptor).st_size
            await send({"type": "http.response.start", "status": 200, "headers": self._headers(head, size)})
            sent = 0
            while sent < size:
                piece = await asyncio.to_thread(os.pread, self._descriptor, min(_CHUNK, size - sent), sent)
                if not piece:
                    break
                sent += len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            os.close(self._descriptor)

    def _headers(self, head: bytes, size: int) -> list[tuple[bytes, bytes]]:
        kind = image_type(head)
        headers = [(b"content-length", str(size).encode()), (b"cache-control", _KEPT)]
        if kind is not None:
            return [*headers, (b"content-type", kind.encode())]
        return [
            *headers,
            (b"content-type", b"application/octet-stream"),
            (b"content-disposition", f'attachment; filename="{self._name}"'.encode()),
            (b"content-security-policy", b"default-src 'none'; sandbox; frame-ancestors 'none'"),
        ]


def original(db: sqlite3.Connection, asked: Asked) -> FileAnswer:
    """A captured file by the digest of its bytes."""
    digest = asked.parts["digest"]
    folder = media_folder(asked.database) / digest[:2]
    found = sorted(folder.glob(f"{digest}.*")) if folder.is_dir() else []
    return _open(found[0]) if found else _missing()


def thumbnail(db: sqlite3.Connection, asked: Asked) -> FileAnswer:
    """The small form of a captured image, made when it was captured; the image itself where there is none."""
    digest = asked.parts["digest"]
    path = media_folder(asked.database) / "thumbnails" / digest[:2] / f"{digest}.webp"
    return _open(path) if path.is_file() else original(db, asked)


def _open(path: Path) -> FileAnswer:
    try:
        return FileAnswer(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), path.name)
    except OSError:
        return _missing()


def _missing() -> FileAnswer:
    raise Problem(
        404, "This file is not there", "Its bytes were not captured, or the media folder was not copied along."
    )

"""Files and download answers through their captures and the store: what a test feeds, and the archive that results."""

import json
import struct
import zlib
from collections.abc import Iterable
from typing import Any

from addon.archive import media_folder
from addon.captures import Surroundings, capture_of
from addon.exchange import Closing
from addon.files.media import MediaFolder
from tests.recording import ENDED, FINISHED, STARTED, Archive, Row, message, opening, shown, v1

ESTUARY = "/backend-api/estuary/content"
FILES = "files.oaiusercontent.com"


def png(width: int, height: int, filling: bytes = b"") -> bytes:
    """A PNG of one colour; `filling` makes it another file, and a larger one, of the same picture."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + b"\x7f" * width) * height)
    chunks = [(b"IHDR", header), (b"prVt", filling), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def surroundings(archive: Archive) -> Surroundings:
    return Surroundings(media=MediaFolder(media_folder(archive.path)), mentioned=archive.store.mentioned)


def receive(
    archive: Archive,
    body: bytes,
    *,
    identity: str | None = "file_1",
    chunks: Iterable[bytes] | None = None,
    closing: Closing = ENDED,
    around: Surroundings | None = None,
    **known: Any,
) -> Row | None:
    """A file as it passes, at estuary unless a host or a path is given; its stream's row."""
    usual: dict[str, Any] = {
        "stream_id": f"asset {identity}", "kind": "asset", "streamed": False, "method": "GET", "path": ESTUARY,
        "name": "estuary", "parameters": {"id": identity} if identity else {}, "content_type": "text/lies",
        "content_length": len(body),
    }  # fmt: skip
    return play(archive, opening(**usual | known), [body] if chunks is None else chunks, closing, around)


def download(archive: Archive, answer: Any, *, file_id: str = "file_1", **known: Any) -> Row | None:
    """An answer to the question where a file is; its stream's row."""
    usual: dict[str, Any] = {
        "stream_id": f"download {file_id}", "kind": "download", "streamed": False, "method": "GET", "name": "file",
        "path": f"/backend-api/files/download/{file_id}", "parameters": {"file_id": file_id},
        "content_type": "application/json",
    }  # fmt: skip
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return play(archive, opening(**usual | known), [body], ENDED, None)


def play(
    archive: Archive, exchange: Any, chunks: Iterable[bytes], closing: Closing, around: Surroundings | None
) -> Row | None:
    capture = capture_of(exchange, b"", around or surroundings(archive))
    records, at = capture.begin(), STARTED
    for chunk in chunks:
        at += 1000
        records += capture.feed(chunk, at)
    archive.store.write([*records, *capture.close(closing, at)])
    rows = archive.rows("SELECT * FROM streams WHERE id = ?", exchange.stream_id)
    return rows[0] if rows else None


def mention(archive: Archive, pointer: str = "sediment://file_1", **part: Any) -> None:
    """An image tool's message that shows a pointer."""
    shows = {
        "content_type": "image_asset_pointer",
        "asset_pointer": pointer,
        "metadata": {"generation": {"gen_id": "g"}},
    }
    said = message(
        "I",
        author={"role": "tool", "name": "image_gen"},
        content={"content_type": "multimodal_text", "parts": [shows | part]},
        status=FINISHED,
    )
    archive.record(v1(shown(said)), stream_id="turn")


def asset(archive: Archive, identity: str = "file_1") -> Row:
    return archive.row("SELECT * FROM assets WHERE id = ?", identity)


def stored(archive: Archive, row: Row) -> bytes:
    """The bytes that an asset's row points to."""
    path: str = row["path"]
    return (media_folder(archive.path) / path).read_bytes()


def kept(archive: Archive) -> list[str]:
    """All files in the media folder."""
    folder = media_folder(archive.path)
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

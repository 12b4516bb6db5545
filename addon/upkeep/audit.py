"""A search for credentials in an archive that is there, by their shapes: an independent look at what redaction left.

Every text and every raw body of every table is searched, decompressed, and in base64 forms; so are files of the
journal. What somebody wrote may look like a token: a shape that also stands in the text of a message is told apart.
A finding says where, never what.
"""

import base64
import contextlib
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from addon.archive import inflight_folder

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SHAPES = {
    "JSON web token": rb"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    "bearer token": rb"\bBearer\s+[A-Za-z0-9._~+/=-]{20,}",
    "Fernet token": rb"\bgAAAAA[A-Za-z0-9_-]{40,}",
    "session cookie": rb"(?:session-token|cf_clearance|__cf_bm|_puid|oai-sc)=[^;\s\"\\]{16,}",
    "signed URL": rb"[?&](?:sig|signature|verify|access_token|X-Amz-Signature)=[A-Za-z0-9%._~+/-]{12,}",
    "API key": rb"\bsk-(?:proj-|sess-)?[A-Za-z0-9_-]{32,}",
}
"""What a credential looks like, by the name under which a person is told of it."""

_SHAPES = {name: re.compile(shape) for name, shape in SHAPES.items()}
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{40,}={0,2}")
_WRITTEN = frozenset({("messages", "text"), ("messages", "content"), ("message_versions", "text")})
_FRAME = b"\x28\xb5\x2f\xfd"  # RFC 8878 3.1.1
_MOST_BYTES = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """So many strings of a shape in a column, or a file; `written` when somebody wrote them in a message, too."""

    place: str
    shape: str
    count: int
    written: bool


def audit(database: Path) -> list[Finding]:
    """All that looks like a credential. Opens the archive for reading only."""
    found: Counter[tuple[str, str, bool]] = Counter()
    with contextlib.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as db:
        columns = list(_columns(db))
        said: set[bytes] = set()
        for table, column in sorted(columns, key=lambda place: place not in _WRITTEN):
            is_text = (table, column) in _WRITTEN
            for data in _values(db, table, column):
                for shape, secret in matches(data):
                    if is_text:
                        said.add(secret)
                    found[f"{table}.{column}", shape, is_text or secret in said] += 1
    for path in sorted(inflight_folder(database).glob("*")):
        for shape, _ in matches(path.read_bytes()):
            found[str(path), shape, False] += 1
    return [Finding(place, shape, count, written) for (place, shape, written), count in sorted(found.items())]


def matches(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The shapes in some bytes, and in what its base64 runs decode to."""
    yield from _plain(data)
    for run in _BASE64.findall(data):
        yield from _plain(_decoded(run))


def _plain(data: bytes) -> Iterator[tuple[str, bytes]]:
    for name, shape in _SHAPES.items():
        for match in shape.finditer(data):
            yield name, match.group()


def _decoded(run: bytes) -> bytes:
    run = run.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    return base64.b64decode(run + b"=" * (-len(run) % 4)) if len(run) % 4 != 1 else b""


def _columns(db: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    # Search indexes repeat the text of messages; their shadow tables are no tables of ours.
    tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'messages\\_fts%' ESCAPE '\\'"
    for (table,) in db.execute(tables).fetchall():
        for (column,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall():
            yield table, column


def _values(db: sqlite3.Connection, table: str, column: str) -> Iterator[bytes]:
    # Names come from the schema, quoted as SQL has it.
    quoted, name = (part.replace('"', '""') for part in (column, table))
    rows = db.execute(f'SELECT "{quoted}" FROM "{name}" WHERE typeof("{quoted}") IN (\'text\', \'blob\')')
    for (value,) in rows:
        data = value.encode("utf-8", "replace") if isinstance(value, str) else value
        yield _unfolded(data) if data.startswith(_FRAME) else data


def _unfolded(frames: bytes) -> bytes:
    pieces, size = [], 0
    while frames and size < _MOST_BYTES:
        decompressor = zstd.ZstdDecompressor()
        try:
            pieces.append(decompressor.decompress(frames, _MOST_BYTES - size))
        except zstd.ZstdError:
            return b"".join([*pieces, frames])
        size += len(pieces[-1])
        frames = decompressor.unused_data
    return b"".join(pieces)

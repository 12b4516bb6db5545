"""Streams through `Capture` and `Store`, without a proxy: what a test feeds, and the archive that comes of it."""

import contextlib
import functools
import json
import random
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from addon.answers.capture import Capture, Closing, Opening
from addon.answers.legs import Leg, LegKey, earlier
from addon.archive import prepare
from addon.captures import Capturing, Surroundings, capture_of
from addon.store.store import Store

STARTED = 1_790_000_000_000_000
ENDED = Closing("end")
TABLES = (
    "streams", "stream_bodies", "request_bodies", "conversations", "messages", "message_versions", "assets",
    "message_assets", "image_generations", "events", "citations", "canvas_documents", "runs",
    "asset_urls", "files", "asset_files",
)  # fmt: skip

type Row = dict[str, Any]
type Clock = Callable[[int], int]


def by_offset(offset: int) -> int:
    """Each byte a millisecond after the one before it."""
    return STARTED + 1000 * offset


def standing(_: int) -> int:
    """All bytes at once: an event's time is then its place in the stream, wherever the chunks are cut."""
    return STARTED


def opening(**known: Any) -> Opening:
    """An answered send, as the proxy describes it."""
    usual: dict[str, Any] = {
        "stream_id": "stream", "source": "live", "kind": "turn", "streamed": True, "host": "chatgpt.com",
        "path": "/backend-api/f/conversation", "method": "POST", "started_at": STARTED, "status_code": 200,
        "content_type": "text/event-stream; charset=utf-8",
    }  # fmt: skip
    return Opening(**usual | known)


def request(message_id: str, text: str = "Why are there tides?", **fields: Any) -> bytes:
    """The body of a send."""
    content = {"content_type": "text", "parts": [text]}
    message = {"id": message_id, "author": {"role": "user"}, "content": content, "create_time": 1_789_999_999.5}
    return json.dumps({"action": "next", "messages": [message], "model": "gpt-5-5", **fields}).encode()


def event(payload: Any, name: str = "") -> bytes:
    """One event of a stream; bytes stand as they are."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return (b"event: " + name.encode() + b"\n" if name else b"") + b"data: " + data + b"\n\n"


def v1(*deltas: Any, done: bool = True) -> bytes:
    """A v1 stream: an object with a `type` is a typed event, bytes stand as they are, all else are deltas."""
    events = [event(b'"v1"', "delta_encoding")]
    for delta in deltas:
        typed = isinstance(delta, dict) and "type" in delta
        events.append(delta if isinstance(delta, bytes) else event(delta, "" if typed else "delta"))
    return b"".join(events) + (event(b"[DONE]") if done else b"")


def v0(*payloads: Any, done: bool = True) -> bytes:
    """A v0 stream of these payloads; bytes stand as they are."""
    events = [payload if isinstance(payload, bytes) else event(payload) for payload in payloads]
    return b"".join(events) + (event(b"[DONE]") if done else b"")


def message(identity: str, text: str = "", **fields: Any) -> Row:
    """A message of the assistant; finished when it says so."""
    return {
        "id": identity,
        "author": {"role": "assistant", "name": None},
        "content": {"content_type": "text", "parts": [text]},
        "status": "in_progress",
        "recipient": "all",
        "metadata": {},
        **fields,
    }


def envelope(said: Row, conversation_id: str | None = "talk", **fields: Any) -> Row:
    """What v0 sends of a message, and a v1 channel holds."""
    return {"message": said, "conversation_id": conversation_id, "error": None, **fields}


def shown(said: Row, channel: int = 0, conversation_id: str | None = "talk") -> Row:
    """The delta that puts a message on a channel."""
    return {"p": "", "o": "add", "c": channel, "v": envelope(said, conversation_id)}


def delta(pointer: str, verb: str, value: Any, channel: int = 0) -> Row:
    return {"p": pointer, "o": verb, "v": value, "c": channel}


TEXT = "/message/content/parts/0"
STATUS = "/message/status"
FINISHED = "finished_successfully"


@functools.cache
def empty() -> bytes:
    """A new archive without a row, as the migrations make it: copied, it costs a sixth of making it anew."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chatgpt.db"
        Store.open(path).close()
        return path.read_bytes()


class Archive:
    """A database of its own, written through the store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            prepare(path)
            path.write_bytes(empty())
        self.store = Store.open(path)

    def record(
        self,
        body: bytes,
        sent: bytes = b"",
        *,
        chunks: Iterable[bytes] | None = None,
        look: Callable[[], bool] = lambda: False,
        clock: Clock = by_offset,
        closing: Closing | None = ENDED,
        together: bool = False,
        **known: Any,
    ) -> Capture:
        """Feed a whole exchange; after each chunk `look` says whether readers do. `together`: one batch."""
        capture = Capture(opening(**known), sent, self.legs)
        batch = capture.begin()
        offset = 0
        for chunk in [body] if chunks is None else chunks:
            offset += len(chunk)
            batch += capture.feed(chunk, clock(offset))
            if look():
                batch += capture.snapshot()
            if not together:
                self.store.write(batch)
                batch = []
        if closing is not None:
            batch += capture.close(closing, clock(offset))
        self.store.write(batch)
        return capture

    def load(
        self,
        name: str,
        answer: Any,
        *,
        at: int = STARTED,
        sent: Any = None,
        parameters: Row | None = None,
        **known: Any,
    ) -> Capturing:
        """A document that the page loads; bytes stand as they are, `known` is of its opening."""
        usual = {
            "stream_id": f"{name} {at}", "kind": "document", "name": name, "streamed": False, "method": "GET",
            "path": f"/backend-api/{name}", "parameters": parameters or {}, "content_type": "application/json",
            "started_at": at,
        }  # fmt: skip
        asked = b"" if sent is None else json.dumps(sent).encode()
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        around = Surroundings(unchanged=self.store.unchanged)
        capture = capture_of(opening(**usual | known), asked, around)
        self.store.write([*capture.begin(), *capture.feed(body, at + 1), *capture.close(ENDED, at + 2)])
        return capture

    def legs(self, key: LegKey, value: str, asking: Opening) -> list[Leg]:
        """What the recorder finds in the archive."""
        return earlier(self.store.legs(key, value, asking), key, asking)

    def rows(self, query: str, *parameters: Any) -> list[Row]:
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(query, parameters)]

    def row(self, query: str, *parameters: Any) -> Row:
        """The only row of a query."""
        (row,) = self.rows(query, *parameters)
        return row

    def message(self, identity: str) -> Row:
        return self.row("SELECT * FROM messages WHERE id = ?", identity)

    def stream(self, identity: str = "stream") -> Row:
        return self.row("SELECT * FROM streams WHERE id = ?", identity)

    def count(self, table: str) -> int:
        return len(self.rows(f"SELECT 1 FROM {table}"))

    def dump(self) -> dict[str, list[Row]]:
        """All rows of all tables; only when chunks arrived is left out, which is what the chunks are about."""
        tables = {table: self.rows(f"SELECT * FROM {table} ORDER BY rowid") for table in TABLES}
        for row in tables["stream_bodies"]:
            del row["arrivals"]
        for table in ("assets", "message_assets"):
            tables[table].sort(key=str)
        return tables

    def check(self) -> None:
        """What must hold of every archive at any time."""
        assert self.store.failed == 0
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert db.execute("PRAGMA foreign_key_check").fetchall() == []
            growing = db.execute("SELECT count(*) FROM messages WHERE live").fetchone()[0]
            for index in ("messages_fts", "messages_fts_cjk"):
                # With rank 1 also against the messages, of which those that still grow are not indexed.
                db.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', ?)", (int(not growing),))


@contextlib.contextmanager
def archive_at(path: Path) -> Iterator[Archive]:
    """An archive that is sound when the block is left."""
    archive = Archive(path)
    yield archive
    archive.check()
    archive.store.close()


def sometimes(chance: random.Random, odds: float = 0.3) -> Callable[[], bool]:
    """Readers who look at random moments."""
    return lambda: chance.random() < odds


def ragged(body: bytes, chance: random.Random, longest: int = 400) -> list[bytes]:
    """The body in chunks of random lengths."""
    chunks, start = [], 0
    while start < len(body):
        end = start + chance.randint(1, longest)
        chunks.append(body[start:end])
        start = end
    return chunks

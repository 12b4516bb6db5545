"""What imported files hold against what the archive holds: counted in each on its own account.

The files are walked here a second time, by other rules than those of the capture: every object that looks like a
message counts. What they hold is noted in a temporary database of SQLite's, so that memory does not grow with it, and
looked up in the archive by queries.
"""

import json
import re
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NOTES = """
CREATE TABLE conversations (id TEXT, message_id TEXT, PRIMARY KEY (id, message_id)) WITHOUT ROWID;
CREATE TABLE messages (
    conversation_id TEXT, id TEXT, content_type TEXT, fingerprint INTEGER, length INTEGER,
    PRIMARY KEY (conversation_id, id)
) WITHOUT ROWID;
CREATE TABLE media (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE files (
    message_id TEXT, id TEXT, kind TEXT, PRIMARY KEY (message_id, id, kind)
) WITHOUT ROWID;
"""

# One that an answer shows and a document too is one message.
_SHOWN_TWICE = """
    DELETE FROM messages
    WHERE conversation_id = '' AND id IN (SELECT id FROM messages WHERE conversation_id <> '')"""
# A text may have been replaced by a newer one since: then it is a version. One that was still growing is held as far as
# it had grown (`length`).
_FOUND = """
    SELECT held.content_type, held.fingerprint, held.length, stored.n, stored.text FROM messages held
    LEFT JOIN archive.messages stored ON stored.conversation_id = held.conversation_id AND stored.id = held.id
    WHERE held.conversation_id <> ''"""
_EARLIER = """
    SELECT EXISTS (SELECT 1 FROM archive.message_versions version
                   WHERE version.message_n = ? AND fingerprint(version.text, ?) = ?)"""
_SHOWN = """
    SELECT held.content_type,
           EXISTS (SELECT 1 FROM archive.messages stored WHERE stored.id = held.id
                   AND (held.fingerprint IS NULL OR fingerprint(stored.text, held.length) = held.fingerprint
                        OR EXISTS (SELECT 1 FROM archive.message_versions version
                                   WHERE version.message_n = stored.n
                                     AND fingerprint(version.text, held.length) = held.fingerprint)))
    FROM messages held WHERE held.conversation_id = ''"""
# One that has no id is held where its messages are.
_STORED_CONVERSATIONS = """
    SELECT 'conversations' AS kind, count(*) AS held,
           sum(EXISTS (SELECT 1 FROM archive.conversations stored WHERE stored.id = held.id)
               OR held.id = '' AND EXISTS (
               SELECT 1 FROM archive.messages message
               JOIN archive.conversations stored ON stored.id = message.conversation_id
               WHERE message.id = held.message_id)) AS stored
    FROM conversations held"""
_STORED_FILES = """
    SELECT held.kind, count(*) AS held,
           sum(EXISTS (
               SELECT 1 FROM archive.message_assets stored
               JOIN archive.messages message ON message.n = stored.message_n
               WHERE stored.asset_id = held.id AND message.id = held.message_id)
               OR EXISTS (
               SELECT 1 FROM archive.message_versions version
               JOIN archive.messages message ON message.n = version.message_n
               WHERE message.id = held.message_id AND instr(version.content, held.id))) AS stored
    FROM files held GROUP BY held.kind ORDER BY held.kind DESC"""
_STORED_MEDIA = """
    SELECT 'media files' AS kind, count(*) AS held,
           sum(EXISTS (SELECT 1 FROM archive.asset_files stored WHERE stored.asset_id = held.id)) AS stored
    FROM media held"""

_MENTIONED = "SELECT 1 FROM message_assets WHERE asset_id = ? LIMIT 1"

_BATCH = 5000
_CACHE_KIB = 8000
_SCHEME = re.compile(r"[a-z-]+://")
_LINES = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Count:
    """How many of one kind the files hold, and how many of those are stored."""

    kind: str
    held: int
    stored: int


class Fidelity:
    """Notes what passes by, then compares. Nothing here knows how the archive is written."""

    def __init__(self) -> None:
        # A database without a name is a file that SQLite deletes; it is in memory as long as it is small.
        self._notes = sqlite3.connect("", isolation_level=None, uri=True)
        self._notes.executescript(_NOTES)
        self._notes.create_function("fingerprint", 2, _fingerprint, deterministic=True)
        self._messages: list[tuple[str, str, str, int | None, int | None]] = []
        self._files: list[tuple[str, str, str]] = []
        self._conversations: set[tuple[str, str]] = set()

    def conversation(self, document: dict[str, Any], *, goes_on: bool = False) -> None:
        """A conversation document, or more of the one before: each node that holds a message."""
        identity = _text(document.get("conversation_id")) or _text(document.get("id")) or ""
        if identity:
            self._conversations.add((identity, ""))
        for number, (key, message) in enumerate(_nodes(document)):
            if not (identity or number or goes_on):
                self._conversations.add(("", key))
            self._message(key, message, identity)
            self._files += ((key, file, kind) for file, kind in _mentioned(message))
        self._settle()

    def file(self, asset_id: str) -> None:
        """A file that an export holds beside its conversations."""
        self._notes.execute("INSERT OR IGNORE INTO media VALUES (?)", [asset_id])

    def exchange(self, kind: str, streamed: bool, request: bytes, body: bytes) -> None:
        """An exchange: the messages that were sent, and those that the answer or the document shows."""
        sent = _json(request)
        for message in _list(sent.get("messages")) if isinstance(sent, dict) else ():
            self._shown(message)
        if streamed:
            for event in _events(body):
                self._shown_in(event)
        elif kind == "socket":
            for line in body.split(b"\n"):
                self._heard(_json(line[1:]))
        elif kind == "document":
            document = _json(body)
            if isinstance(document, dict) and isinstance(document.get("mapping"), dict):
                self.conversation(document)
        self._settle()

    @property
    def holds_something(self) -> bool:
        """Whether the files hold anything that could be stored."""
        self._settle(everything=True)
        tables = ("conversations", "messages", "files", "media")
        return any(self._notes.execute(f"SELECT EXISTS (SELECT 1 FROM {table})").fetchone()[0] for table in tables)

    def compare(self, archive: Path) -> list[Count]:
        """What is held and what is stored: conversations, messages by content type, images, attachments; once."""
        self._settle(everything=True)
        if not archive.exists():
            return []
        self._notes.execute(_SHOWN_TWICE)
        self._notes.execute("ATTACH ? AS archive", [f"{archive.absolute().as_uri()}?mode=ro"])
        self._notes.execute(f"PRAGMA archive.cache_size = -{_CACHE_KIB}")
        try:
            rows = self._notes.execute(_STORED_CONVERSATIONS).fetchall()
            rows += self._stored_messages()
            rows += [row for query in (_STORED_FILES, _STORED_MEDIA) for row in self._notes.execute(query)]
        finally:
            self._notes.execute("DETACH archive")
        return [Count(kind, held, stored) for kind, held, stored in rows if held]

    def unmentioned(self, archive: Path) -> list[str]:
        """The media files, by their assets, that no message mentions."""
        with closing(sqlite3.connect(f"{archive.absolute().as_uri()}?mode=ro", uri=True)) as db:
            media = (identity for (identity,) in self._notes.execute("SELECT id FROM media ORDER BY id"))
            return [identity for identity in media if db.execute(_MENTIONED, [identity]).fetchone() is None]

    def _stored_messages(self) -> list[tuple[str, int, int]]:
        """Of each content type how many messages are held, and how many of those are stored."""
        # One after another as they stand in both: SQLite would sort them first, and be twice as long.
        held, stored = Counter[str](), Counter[str]()
        for kind, fingerprint, length, number, text in self._notes.execute(_FOUND):
            held[kind] += 1
            if number is not None:
                same = fingerprint is None or _fingerprint(text, length) == fingerprint
                stored[kind] += same or self._notes.execute(_EARLIER, (number, length, fingerprint)).fetchone()[0]
        for kind, is_stored in self._notes.execute(_SHOWN):
            held[kind] += 1
            stored[kind] += is_stored
        return [(kind, held[kind], stored[kind]) for kind in sorted(held, key=lambda kind: (-held[kind], kind))]

    def _heard(self, said: Any) -> None:
        """What came on a WebSocket: a piece of an event stream stands in `encoded_item`, however deep."""
        waiting = [said]
        while waiting:
            value = waiting.pop()
            if isinstance(value, list):
                waiting += value
            elif isinstance(value, dict):
                waiting += value.values()
                for event in _events(str(value.get("encoded_item", "")).encode("utf-8", "replace")):
                    self._shown_in(event)

    def _shown_in(self, event: Any) -> None:
        """A message may stand in the event itself, in the `v` of a delta, or as `input_message`."""
        for holder in (event, event.get("v")) if isinstance(event, dict) else ():
            if isinstance(holder, dict):
                self._shown(holder.get("message"))
                self._shown(holder.get("input_message"))

    def _shown(self, message: Any) -> None:
        """A message that may still grow: only that it is there is noted, and whichever conversation it is in."""
        identity = _text(message.get("id")) if isinstance(message, dict) else None
        if identity is not None:
            self._messages.append(("", identity, _content_type(message), None, None))

    def _message(self, identity: str, message: dict[str, Any], conversation_id: str) -> None:
        said, length = _said(message.get("content")), None
        if said is not None and message.get("status") in (None, "", "in_progress"):
            # Half of a split character is no part of what it had said.
            said = _storable(said).rstrip("\ufffd")
            length = len(said)
        fingerprint = _fingerprint(said, length)
        self._messages.append((conversation_id, identity, _content_type(message), fingerprint, length))

    def _settle(self, *, everything: bool = False) -> None:
        if len(self._messages) < _BATCH and not everything:
            return
        self._notes.execute("BEGIN")
        self._notes.executemany("INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?)", self._messages)
        self._notes.executemany("INSERT OR IGNORE INTO files VALUES (?, ?, ?)", self._files)
        self._notes.executemany("INSERT OR IGNORE INTO conversations VALUES (?, ?)", self._conversations)
        self._notes.execute("COMMIT")
        self._messages.clear()
        self._files.clear()
        self._conversations.clear()


def _nodes(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The messages of a document by their ids."""
    nodes = document.get("mapping")
    if isinstance(nodes, dict):
        listed = list(nodes.items())
    else:
        listed = [
            ("", node) for key in ("mapping", "messages", "linear_conversation") for node in _list(document.get(key))
        ]
    for key, node in listed:
        message = node.get("message", None if key else node) if isinstance(node, dict) else None
        identity = _text(key) or (_text(message.get("id")) if isinstance(message, dict) else None)
        if identity and isinstance(message, dict):
            yield identity, message


def _content_type(message: dict[str, Any]) -> str:
    content = message.get("content")
    return (_text(content.get("content_type")) if isinstance(content, dict) else None) or "(none)"


def _said(content: Any) -> str | None:
    """The text of the content types that are nothing but text."""
    if not isinstance(content, dict):
        return None
    parts = content.get("parts")
    if isinstance(parts, list):
        return "\n".join(part for part in parts if isinstance(part, str))
    return content["text"] if isinstance(content.get("text"), str) else None


def _mentioned(message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The images and attachments of a message."""
    content, metadata = message.get("content"), message.get("metadata")
    for part in _list(content.get("parts")) if isinstance(content, dict) else ():
        if isinstance(part, str):
            continue
        pointer = part.get("asset_pointer") if isinstance(part, dict) else None
        if isinstance(pointer, str) and part.get("content_type") == "image_asset_pointer":
            yield _SCHEME.sub("", pointer, count=1).partition("?")[0].replace("*", "#"), "images"
    for attachment in _list(metadata.get("attachments")) if isinstance(metadata, dict) else ():
        identity = _text(attachment.get("id")) if isinstance(attachment, dict) else None
        if identity:
            yield identity, "attachments"


def _events(body: bytes) -> Iterator[Any]:
    """The JSON of each event of an event stream."""
    data: list[bytes] = []
    for line in (*_LINES.split(body.removeprefix(b"\xef\xbb\xbf")), b""):
        if line.startswith(b"data:"):
            data.append(line[5:])
        elif not line and data:
            yield _json(b"\n".join(data))
            data = []


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return _storable(value) if isinstance(value, str) and value else None


def _storable(text: str) -> str:
    """`text` as SQLite can hold it: halves of surrogate pairs joined, or U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _fingerprint(text: str | None, length: int | None) -> int | None:
    """Of a text, or of so many characters at its beginning."""
    if text is None:
        return None
    text = _storable(text)
    return zlib.crc32((text if length is None else text[:length]).encode())

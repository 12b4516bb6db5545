"""What imported files hold against what the archive holds: counted in each on its own account.

The files are walked here a second time, by other rules than those of the capture: every object that looks like a
message counts. What they hold is noted in a temporary database of SQLite's, so that memory does not grow with it, and
looked up in the archive by queries.
"""

import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.held import (
    content_type,
    events,
    fingerprint,
    listed,
    mentioned,
    nodes,
    parsed,
    said,
    storable,
    text_of,
)

_NOTES = """
CREATE TABLE conversations (id TEXT, message_id TEXT, PRIMARY KEY (id, message_id)) WITHOUT ROWID;
CREATE TABLE messages (
    conversation_id TEXT, id TEXT, content_type TEXT, fingerprint INTEGER, length INTEGER,
    PRIMARY KEY (conversation_id, id)
) WITHOUT ROWID;
CREATE TABLE whole (conversation_id TEXT PRIMARY KEY, messages TEXT) WITHOUT ROWID;
CREATE TABLE media (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE files (
    message_id TEXT, id TEXT, kind TEXT, PRIMARY KEY (message_id, id, kind)
) WITHOUT ROWID;
"""

# What is found in the archive as the file has it is noted by names alone, a conversation a row.
_OF_WHOLE = """
    INSERT OR IGNORE INTO messages
    SELECT whole.conversation_id, message.key, message.value, NULL, NULL FROM whole, json_each(whole.messages) message
    WHERE whole.conversation_id IN (SELECT conversation_id FROM messages)
       OR EXISTS (SELECT 1 FROM messages WHERE conversation_id = '')"""
_NOT_OF_WHOLE = """
    DELETE FROM whole WHERE conversation_id IN (SELECT conversation_id FROM messages)"""
_STORED = "SELECT id, text FROM messages WHERE conversation_id = ?"
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


@dataclass(frozen=True, slots=True)
class Count:
    """How many of one kind the files hold, and how many of those are stored."""

    kind: str
    held: int
    stored: int


class Fidelity:
    """Notes what passes by, then compares it with `archive`. Nothing here knows how that is written."""

    def __init__(self, archive: Path) -> None:
        self._path = archive
        self._archive: sqlite3.Connection | None = None
        self._whole: list[tuple[str, str]] = []
        # A database without a name is a file that SQLite deletes; it is in memory as long as it is small.
        self._notes = sqlite3.connect("", isolation_level=None, uri=True)
        self._notes.executescript(_NOTES)
        self._notes.create_function("fingerprint", 2, fingerprint, deterministic=True)
        self._messages: list[tuple[str, str, str, int | None, int | None]] = []
        self._files: list[tuple[str, str, str]] = []
        self._conversations: set[tuple[str, str]] = set()

    def conversation(self, document: dict[str, Any], *, goes_on: bool = False, is_known: bool = False) -> None:
        """A conversation document, or more of the one before: each node that holds a message.

        One that `is_known` is compared at once: nothing of it will be written.
        """
        identity = text_of(document.get("conversation_id")) or text_of(document.get("id")) or ""
        if identity:
            self._conversations.add((identity, ""))
        if is_known and identity and self._is_stored(identity, document):
            self._settle()
            return
        for number, (key, message) in enumerate(nodes(document)):
            if not (identity or number or goes_on):
                self._conversations.add(("", key))
            self._message(key, message, identity)
            self._files += ((key, file, kind) for file, kind in mentioned(message))
        self._settle()

    def file(self, asset_id: str) -> None:
        """A file that an export holds beside its conversations."""
        self._notes.execute("INSERT OR IGNORE INTO media VALUES (?)", [asset_id])

    def exchange(self, kind: str, streamed: bool, request: bytes, body: bytes) -> None:
        """An exchange: the messages that were sent, and those that the answer or the document shows."""
        sent = parsed(request)
        for message in listed(sent.get("messages")) if isinstance(sent, dict) else ():
            self._shown(message)
        if streamed:
            for event in events(body):
                self._shown_in(event)
        elif kind == "socket":
            for line in body.split(b"\n"):
                self._heard(parsed(line[1:]))
        elif kind == "document":
            document = parsed(body)
            if isinstance(document, dict) and isinstance(document.get("mapping"), dict):
                self.conversation(document)
        self._settle()

    @property
    def holds_something(self) -> bool:
        """Whether the files hold anything that could be stored."""
        self._settle(everything=True)
        tables = ("conversations", "messages", "files", "media")
        return any(self._notes.execute(f"SELECT EXISTS (SELECT 1 FROM {table})").fetchone()[0] for table in tables)

    def compare(self) -> list[Count]:
        """What is held and what is stored: conversations, messages by content type, images, attachments; once."""
        self._settle(everything=True)
        if self._archive is not None:
            self._archive.close()
        if not self._path.exists():
            return []
        # Those that are noted by messages too, and all where some are noted without their conversation.
        self._notes.execute(_OF_WHOLE)
        self._notes.execute(_NOT_OF_WHOLE)
        self._notes.execute(_SHOWN_TWICE)
        self._notes.execute("ATTACH ? AS archive", [_read_only(self._path)])
        self._notes.execute(f"PRAGMA archive.cache_size = -{_CACHE_KIB}")
        try:
            rows = self._notes.execute(_STORED_CONVERSATIONS).fetchall()
            rows += self._stored_messages()
            rows += [row for query in (_STORED_FILES, _STORED_MEDIA) for row in self._notes.execute(query)]
        finally:
            self._notes.execute("DETACH archive")
        return [Count(kind, held, stored) for kind, held, stored in rows if held]

    def unmentioned(self) -> list[str]:
        """The media files, by their assets, that no message mentions."""
        with closing(sqlite3.connect(_read_only(self._path), uri=True)) as db:
            media = (identity for (identity,) in self._notes.execute("SELECT id FROM media ORDER BY id"))
            return [identity for identity in media if db.execute(_MENTIONED, [identity]).fetchone() is None]

    def _stored_messages(self) -> list[tuple[str, int, int]]:
        """Of each content type how many messages are held, and how many of those are stored."""
        # One after another as they stand in both: SQLite would sort them first, and be twice as long.
        held, stored = Counter[str](), Counter[str]()
        for kind, mark, length, number, text in self._notes.execute(_FOUND):
            held[kind] += 1
            if number is not None:
                same = mark is None or fingerprint(text, length) == mark
                stored[kind] += same or self._notes.execute(_EARLIER, (number, length, mark)).fetchone()[0]
        for (names,) in self._notes.execute("SELECT messages FROM whole"):
            kinds = Counter(json.loads(names).values())
            held += kinds
            stored += kinds
        for kind, is_stored in self._notes.execute(_SHOWN):
            held[kind] += 1
            stored[kind] += is_stored
        return [(kind, held[kind], stored[kind]) for kind in sorted(held, key=lambda kind: (-held[kind], kind))]

    def _is_stored(self, identity: str, document: dict[str, Any]) -> bool:
        """Whether all messages of a document are in the archive, word by word; then they are noted."""
        given = document.get("mapping")
        if not isinstance(given, dict):
            return False
        try:
            self._archive = self._archive or sqlite3.connect(_read_only(self._path), uri=True)
            stored = dict(self._archive.execute(_STORED, [identity]))
        except sqlite3.Error:
            return False
        kinds, files = dict[str, str](), list[tuple[str, str, str]]()
        for key, message in nodes(document):
            text = said(message.get("content"))
            if key in kinds or key not in stored or (text is not None and text != stored[key]):
                return False
            kinds[key] = content_type(message)
            files += [(key, file, kind) for file, kind in mentioned(message)]
        self._whole.append((identity, json.dumps(kinds)))
        self._files += files
        return True

    def _heard(self, said: Any) -> None:
        """What came on a WebSocket: a piece of an event stream stands in `encoded_item`, however deep."""
        waiting = [said]
        while waiting:
            value = waiting.pop()
            if isinstance(value, list):
                waiting += value
            elif isinstance(value, dict):
                waiting += value.values()
                for event in events(str(value.get("encoded_item", "")).encode("utf-8", "replace")):
                    self._shown_in(event)

    def _shown_in(self, event: Any) -> None:
        """A message may stand in the event itself, in the `v` of a delta, or as `input_message`."""
        for holder in (event, event.get("v")) if isinstance(event, dict) else ():
            if isinstance(holder, dict):
                self._shown(holder.get("message"))
                self._shown(holder.get("input_message"))

    def _shown(self, message: Any) -> None:
        """A message that may still grow: only that it is there is noted, and whichever conversation it is in."""
        identity = text_of(message.get("id")) if isinstance(message, dict) else None
        if identity is not None:
            self._messages.append(("", identity, content_type(message), None, None))

    def _message(self, identity: str, message: dict[str, Any], conversation_id: str) -> None:
        text, length = said(message.get("content")), None
        if text is not None and message.get("status") in (None, "", "in_progress"):
            # Half of a split character is no part of what it had said.
            text = storable(text).rstrip("\ufffd")
            length = len(text)
        self._messages.append((conversation_id, identity, content_type(message), fingerprint(text, length), length))

    def _settle(self, *, everything: bool = False) -> None:
        if len(self._messages) < _BATCH and len(self._whole) < _BATCH // 50 and not everything:
            return
        self._notes.execute("BEGIN")
        self._notes.executemany("INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?)", self._messages)
        self._notes.executemany("INSERT OR IGNORE INTO files VALUES (?, ?, ?)", self._files)
        self._notes.executemany("INSERT OR IGNORE INTO conversations VALUES (?, ?)", self._conversations)
        self._notes.executemany("INSERT OR REPLACE INTO whole VALUES (?, ?)", self._whole)
        self._notes.execute("COMMIT")
        self._messages.clear()
        self._whole.clear()
        self._files.clear()
        self._conversations.clear()


def _read_only(archive: Path) -> str:
    return f"{archive.absolute().as_uri()}?mode=ro"

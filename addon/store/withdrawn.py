"""What the person saw and was then taken away, emptied or replaced after moderation blocked it: `messages` keeps it."""

import sqlite3

from addon.answers.messages import continues
from addon.records import Message

_BLOCKED = """
    SELECT 1 FROM events WHERE conversation_id = :conversation_id AND type = 'moderation'
    AND (message_id = :id OR (message_id IS NULL AND stream_id = :stream_id AND :role = 'assistant'))
    AND iif(json_valid(data), json_extract(data, '$.moderation_response.blocked'), 0)"""


def is_taken_away(db: sqlite3.Connection, new: Message, old: sqlite3.Row) -> bool:
    """Whether the new state lacks what the person saw: emptied, or replaced after moderation blocked it."""
    if new.assets:
        return False
    text = new.text or ""
    differs = new.document and new.text != old["text"]
    withdrawn = new.moderated or (differs and (_was_put_aside(db, new, old["n"]) or _was_blocked(db, old)))
    if old["text"] and (withdrawn or not text):
        return not (text and continues(text, old["text"]))
    return (withdrawn or not text) and _showed_a_file(db, old)


def _was_blocked(db: sqlite3.Connection, old: sqlite3.Row) -> bool:
    """Whether moderation blocked a message after it was shown; where it names none, the answer of its exchange."""
    return db.execute(_BLOCKED, dict(old)).fetchone() is not None


def was_seen_before_it_went(db: sqlite3.Connection, new: Message, old: sqlite3.Row) -> bool:
    """Whether an older observation has words, or more of them, of a message that a newer one emptied."""
    text, known = new.text or "", old["text"] or ""
    if len(text) <= len(known) or new.live or new.moderated or not continues(text, known) or _showed_a_file(db, old):
        return False
    return not known or _was_emptied(db, old["n"])


def _showed_a_file(db: sqlite3.Connection, old: sqlite3.Row) -> bool:
    showed = "SELECT 1 FROM message_assets WHERE message_n = ? AND role = 'output'"
    return db.execute(showed, (old["n"],)).fetchone() is not None


def _was_put_aside(db: sqlite3.Connection, new: Message, number: int) -> bool:
    """Whether this is what took the place of what the person saw, said again."""
    known = "SELECT 1 FROM message_versions WHERE message_n = ? AND text IS ? AND reason IN ('moderated', 'emptied')"
    return db.execute(known, (number, new.text)).fetchone() is not None


def _was_emptied(db: sqlite3.Connection, number: int) -> bool:
    """Whether the message says what the person saw, and no longer what is served."""
    emptied = "SELECT 1 FROM message_versions WHERE message_n = ? AND reason = 'emptied'"
    return db.execute(emptied, (number,)).fetchone() is not None

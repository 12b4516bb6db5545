"""Messages -> rows: which of two observations of one message stays, and what becomes of the other.

- A finished message beats one in progress, else the later observation wins (`at`); what is read twice changes nothing.
- An exchange that tells a message anew from its beginning is behind until it has said as much as is known.
- A finished message whose content changes is replaced, its earlier state goes to `message_versions`.
- What moderation empties or replaces stays as the person saw it, the new state goes to `message_versions` unless more
  is still to come.
- A finished message that another exchange repeats unchanged stays the work of the one that made it.
- What is above a message is said best by a tree of all, then by itself, then by the order of things.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter, itemgetter
from typing import Any

from addon.answers.messages import continues
from addon.records import Message, MessageGrowth
from addon.store.attachments import adopt, attach, attach_new
from addon.store.rows import ensure_conversation, microseconds, timestamp
from addon.store.search_rows import in_parts, transcript
from addon.store.version_rows import Said, remember, said_too
from addon.store.withdrawn import is_taken_away, was_seen_before_it_went
from addon.wire.payload import loads

_FACTS = ("requested_model", "created_at", "first_token_at", "completed_at")
"""Columns in which knowing something beats knowing nothing, whoever says it."""

_REMEMBERED = (
    "role", "author_name", "recipient", "channel", "content_type", "text", "content", "weight", "model_slug",
    "finish_type", "turn_exchange_id", "request_id", "reasoning_seconds", "updated_at", "metadata",
)  # fmt: skip
"""The same between two exchanges. Within one each says the whole message: what is missing is gone."""

_AS_IS = (
    "conversation_id", "parent_id", "parent_certainty", "role", "author_name", "recipient", "channel", "content_type",
    "text", "content", "status", "end_turn", "weight", "visible", "model_slug", "requested_model", "finish_type",
    "turn_exchange_id", "request_id", "reasoning_seconds", "stream_id", "source", "live", "damaged", "metadata",
)  # fmt: skip
_PARENT = ("parent_id", "parent_certainty")
_TIMES = ("created_at", "updated_at", "first_token_at", "completed_at")
_COLUMNS = (*_AS_IS, *_TIMES, "last_seen_at", "first_seen_at", "transcript", "in_parts")
_SAID = tuple(name for name in _AS_IS if name not in ("stream_id", "source", "live", "damaged"))
_as_is, _times, _said = attrgetter(*_AS_IS), attrgetter(*_TIMES), attrgetter(*_SAID)
_known_said = itemgetter(*_SAID, "created_at", "updated_at")
_GROW = "UPDATE messages SET text = ?1, content = ?2, last_seen_at = max(last_seen_at, ?3)"
_INSERT = f"INSERT INTO messages (n, id, {', '.join(_COLUMNS)}) VALUES (?, ?{', ?' * len(_COLUMNS)})"


# An export tells of many times at once: it is before nobody.
_RANKS = """
    SELECT id, kind IN ('document', 'list') AS documents, source = 'export' AS exports,
           iif(source = 'export', '', started_at) AS began, id AS name,
           first_event_at IS NOT NULL OR state = 'interrupted' AS timed
    FROM streams WHERE id IN (?, ?)"""


def write_message(db: sqlite3.Connection, new: Message) -> None:
    """Store one observation of a message with all that belongs to it."""
    old = _existing(db, new)
    if old is None:
        ensure_conversation(db, new.conversation_id, new.source, new.at)
        number = db.execute(_INSERT, (None, new.id, *_values(new))).lastrowid or 0
        attach_new(db, new, number)
        return
    if new.document and _says_nothing_new(new, old):
        _see_again(db, new, old)
        return
    if new.conversation_id != old["conversation_id"]:
        new = replace(new, conversation_id=old["conversation_id"])
    counts = True
    if not _supersedes(new, old):
        counts = was_seen_before_it_went(db, new, old)
        (_restore if counts else _fill)(db, new, old)
    elif is_taken_away(db, new, old):
        counts = False
        _keep(db, new, old)
    else:
        _replace(db, new, old)
    attach(db, new, old["n"], counts=counts)


def insert_messages(db: sqlite3.Connection, messages: Sequence[Message]) -> int:
    """Store messages that are not there, without what belongs to them; the number of the first, the rest follow it."""
    (first,) = db.execute("SELECT coalesce(max(n), 0) + 1 FROM messages").fetchone()
    rows = ((number, message.id, *_values(message)) for number, message in enumerate(messages, first))
    db.executemany(_INSERT, rows)
    return int(first)


def write_growth(db: sqlite3.Connection, grown: MessageGrowth) -> None:
    """Store what a message in progress says by now, unless its row knows better: all of it is written in the end."""
    values = (grown.text, grown.content, timestamp(grown.at), grown.id, grown.conversation_id, grown.stream_id)
    its_own = "stream_id = ?6 AND live = 1 AND last_seen_at <= ?3"
    if db.execute(f"{_GROW} WHERE id = ?4 AND conversation_id IS ?5 AND {its_own}", values).rowcount == 0:
        # A document, or a leg that broke off, had shown as much before: from here on this exchange shows more.
        theirs = "stream_id <> ?6 AND live = 0 AND coalesce(status, 'in_progress') = 'in_progress'"
        less = "length(text) < length(?1) AND substr(?1, 1, length(text)) = text"
        over = ", live = 1, stream_id = ?6, source = (SELECT source FROM streams WHERE id = ?6)"
        db.execute(f"{_GROW}{over} WHERE id = ?4 AND conversation_id IS ?5 AND {theirs} AND {less}", values)


def _existing(db: sqlite3.Connection, new: Message) -> sqlite3.Row | None:
    """The row of a message; one written before its conversation had a name is given it now."""
    if new.conversation_id is None:
        return _first(db.execute("SELECT * FROM messages WHERE id = ? ORDER BY conversation_id IS NOT NULL", (new.id,)))
    names = (new.id, new.conversation_id)
    nameless = "SELECT * FROM messages WHERE id = ? AND (conversation_id = ? OR conversation_id IS NULL)"
    row = _first(db.execute(f"{nameless} ORDER BY conversation_id IS NULL", names))
    if row is None or row["conversation_id"] is not None:
        return row
    ensure_conversation(db, new.conversation_id, new.source, new.at)
    db.execute("UPDATE messages SET conversation_id = ?2 WHERE id = ?1 AND conversation_id IS NULL", names)
    adopt(db, new)
    return _first(db.execute("SELECT * FROM messages WHERE id = ? AND conversation_id = ?", names))


def _first(cursor: sqlite3.Cursor) -> sqlite3.Row | None:
    row: sqlite3.Row | None = cursor.fetchone()
    cursor.close()
    return row


def _says_nothing_new(new: Message, old: sqlite3.Row) -> bool:
    """Whether a document repeats what a row holds: nearly always, when an old conversation is loaded again."""
    if new.content != old["content"] or new.metadata != old["metadata"] or old["damaged"] or old["live"]:
        return False
    said, known = (*_said(new), timestamp(new.created_at), timestamp(new.updated_at)), _known_said(old)
    if any(value is not None and value != old_value for value, old_value in zip(said, known, strict=True)):
        return False
    return bool((timestamp(new.first_seen_at or new.at) or "") >= old["first_seen_at"])


def _see_again(db: sqlite3.Connection, new: Message, old: sqlite3.Row) -> None:
    """What a document repeats was seen again; what is now known of the messages above it may explain its images."""
    seen: dict[str, Any] = {}
    if (at := timestamp(new.at) or "") > old["last_seen_at"]:
        seen["last_seen_at"] = at
    if _makes(db, new, old, same=True, wins=False):
        seen |= {"stream_id": new.stream_id, "source": new.source}
    if seen:
        _update(db, old["n"], seen)
    if seen or new.images:
        attach(db, new, old["n"], counts=False)


def _supersedes(new: Message, old: sqlite3.Row) -> bool:
    was_finished = _was_finished(old)
    if new.finished != was_finished:
        return new.finished
    if not was_finished and new.stream_id != old["stream_id"]:
        # Two exchanges saw it unfinished: the one that saw more counts, and one that is still looking. What is told
        # anew from its beginning counts once it says more.
        if old["live"] and not new.live:
            return False
        text, earlier = new.text or "", old["text"] or ""
        grows = text != earlier and (continues(text, earlier) or continues(earlier, text))
        if grows and (len(text) < len(earlier) or not new.live):
            return len(text) > len(earlier)
    seen = timestamp(new.at) or ""
    # What was shown as still growing is written once more when nothing more comes.
    return seen > old["last_seen_at"] or (seen == old["last_seen_at"] and bool(old["live"]) and not new.live)


def _replace(db: sqlite3.Connection, new: Message, old: sqlite3.Row) -> None:
    was_finished, same = _was_finished(old), _same(old["content"], new.content)
    columns = {**_known(new, old), "revision": old["revision"]}
    if not same and (was_finished or _is_lost(old["text"], new, old)):
        columns["revision"] += remember(db, old["n"], new.at, "updated", _said_of(old))
    if was_finished:
        columns["requested_model"] = old["requested_model"] or columns["requested_model"]
        columns["completed_at"] = _earlier(old["completed_at"], columns["completed_at"])
    if not _makes(db, new, old, same=same and was_finished, wins=True):
        columns |= {"stream_id": old["stream_id"], "source": old["source"]}
    columns["first_token_at"] = _earlier(old["first_token_at"], columns["first_token_at"])
    columns["first_seen_at"] = min(columns["first_seen_at"], old["first_seen_at"])
    columns["last_seen_at"] = max(columns["last_seen_at"], old["last_seen_at"])
    # An index is written anew for each of its columns that is named, changed or not.
    if changed := {name: value for name, value in columns.items() if value != old[name]}:
        _update(db, old["n"], changed)


def _keep(db: sqlite3.Connection, new: Message, old: sqlite3.Row) -> None:
    """What the person saw was taken away: the row keeps it, the served state becomes a version when it is final."""
    if new.live:
        return
    reason = "moderated" if new.moderated or new.text else "emptied"
    revision = old["revision"] + remember(db, old["n"], new.at, reason, _said_by(new))
    columns = _known(new, old)
    taken = {name: columns[name] for name in ("status", "end_turn", "live", "last_seen_at", "metadata", "finish_type")}
    _update(db, old["n"], {**_missing(new, old), **taken, "revision": revision})


def _restore(db: sqlite3.Connection, new: Message, old: sqlite3.Row) -> None:
    """What the person saw is found after the state that took it away: the row gets it, that state is a version."""
    emptied_at = microseconds(old["first_seen_at"])
    count = 0 if old["text"] else remember(db, old["n"], emptied_at, "emptied", _said_of(old))
    columns = {name: getattr(new, name) for name in ("content_type", "content", "text", "visible")}
    if _makes(db, new, old, same=False, wins=True):
        columns |= {"stream_id": new.stream_id, "source": new.source}
    _update(db, old["n"], {**_missing(new, old), **columns, "revision": old["revision"] + count})


def _fill(db: sqlite3.Connection, new: Message, old: sqlite3.Row) -> None:
    """An earlier or lesser observation: it may know what the row does not, and a finished one is a version."""
    missing = _missing(new, old)
    is_version = new.finished or (not new.live and _is_lost(new.text, new, old))
    same = _same(old["content"], new.content)
    if is_version and not same:
        count = remember(db, old["n"], new.at, "updated", _said_by(new))
        if count:
            missing["revision"] = old["revision"] + count
        same = said_too(db, new, old["n"], old["stream_id"])
    same = new.finished and _was_finished(old) and same
    if not new.live and _makes(db, new, old, same=same, wins=False):
        missing |= {"stream_id": new.stream_id, "source": new.source}
    if missing:
        _update(db, old["n"], missing)


def _said_of(old: sqlite3.Row) -> Said:
    return Said(old["content"], old["text"], old["status"], old["stream_id"])


def _said_by(new: Message) -> Said:
    return Said(new.content, new.text, new.status, new.stream_id)


def _was_finished(old: sqlite3.Row) -> bool:
    return old["status"] not in (None, "in_progress")


def _same(content: str | None, other: str | None) -> bool:
    """Whether two contents say the same; documents may order the members of an object in another way than streams."""
    if content == other or content is None or other is None or len(content) != len(other):
        return content == other
    return bool(loads(content.encode()) == loads(other.encode()))


def _is_lost(said: str | None, new: Message, old: sqlite3.Row) -> bool:
    """Whether what an exchange broke off with is in neither row nor observation once the finished one stands."""
    if new.stream_id == old["stream_id"] or not said or (old["live"] if new.finished else new.live):
        return False
    damaged, final = (old["damaged"], new.text) if new.finished else (new.damaged, old["text"])
    return not damaged and not continues(final or "", said)


def _makes(db: sqlite3.Connection, new: Message, old: sqlite3.Row, *, same: bool, wins: bool) -> bool:
    """Whether a message is the work of the new exchange: of an answer rather than of a document that repeats it.

    Of two of a kind that say the `same` it is the earlier one's, else of the one that `wins`.
    """
    if new.stream_id == old["stream_id"]:
        return True
    ranks = {row[0]: tuple(row) for row in db.execute(_RANKS, (new.stream_id, old["stream_id"]))}
    if len(ranks) < 2:
        return wins
    (*theirs, _), (*ours, timed) = ranks[new.stream_id][1:], ranks[old["stream_id"]][1:]
    if theirs[0] != ours[0]:
        return bool(theirs[0] < ours[0])
    if not same:
        return wins
    # One that broke off did not make what a document ended; of a body without times its state tells.
    return (not new.finished, *theirs) < (timed and old["completed_at"] is None, *ours)


def _known(new: Message, old: sqlite3.Row) -> dict[str, Any]:
    """The columns of the new observation, and of the old one what the new one does not know."""
    columns = _message_columns(new)
    columns |= {name: old[name] for name in _remembered(new, old) if columns[name] is None}
    if not _knows_parent(new, old, at_least=old["parent_certainty"]):
        columns |= {name: old[name] for name in _PARENT}
    columns["transcript"], columns["in_parts"] = _searched(columns["text"], columns["content"])
    return columns


def _missing(new: Message, old: sqlite3.Row) -> dict[str, Any]:
    """What an observation knows that the row does not."""
    columns = _message_columns(new)
    missing = {name: columns[name] for name in _remembered(new, old) if old[name] is None and columns[name] is not None}
    for name in ("first_seen_at", "first_token_at", "completed_at"):
        if old[name] is not None and (first := _earlier(old[name], columns[name])) != old[name]:
            missing[name] = first
    if _knows_parent(new, old, at_least=old["parent_certainty"] + 1):
        missing |= {name: columns[name] for name in _PARENT}
    return missing


def _knows_parent(new: Message, old: sqlite3.Row, *, at_least: int) -> bool:
    return new.parent_id is not None and (old["parent_id"] is None or new.parent_certainty >= at_least)


def _earlier(one: str | None, other: str | None) -> str | None:
    """The earlier of two times, as far as they are known."""
    return min(one, other) if one and other else one or other


def _remembered(new: Message, old: sqlite3.Row) -> tuple[str, ...]:
    return _FACTS if new.stream_id == old["stream_id"] else _FACTS + _REMEMBERED


def _update(db: sqlite3.Connection, number: int, values: dict[str, Any]) -> None:
    if "text" in values and "content" in values:
        heard, parts = _searched(values["text"], values["content"])
        values = values | {"transcript": heard, "in_parts": parts}
    assignments = ", ".join(f"{name} = ?" for name in values)
    db.execute(f"UPDATE messages SET {assignments} WHERE n = ?", [*values.values(), number])


def _message_columns(message: Message) -> dict[str, Any]:
    return dict(zip(_COLUMNS, _values(message), strict=True))


def _values(message: Message) -> tuple[Any, ...]:
    """An observation as a row, in the order of `_COLUMNS`."""
    return (
        *_as_is(message),
        *map(timestamp, _times(message)),
        timestamp(message.at),
        timestamp(message.first_seen_at or message.at),
        *_searched(message.text, message.content),
    )


def _searched(text: str | None, content: str | None) -> tuple[str | None, bool]:
    """What is searched besides the text, and whether parts of words are."""
    heard = transcript(content)
    return heard, in_parts(text) or in_parts(heard)

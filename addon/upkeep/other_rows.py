"""A row of another archive -> the records that tell it to ours. Pure; a row without sense raises what Python raises.

A row is what its archive saw last, at the time it saw it; what it does not say is None.
"""

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from addon.answers.messages import Observation, read_message
from addon.records import (
    AssetLocation,
    CanvasDocument,
    Certainty,
    Citation,
    Conversation,
    DocumentRead,
    ImageRow,
    KnownAsset,
    ListedImage,
    Message,
    MessageVersion,
    Record,
    Sources,
    Stream,
    TypedEvent,
)
from addon.store.message_objects import message_object
from addon.store.rows import microseconds
from addon.wire.payload import dumps, loads, mapping

_UNFINISHED = "was still streaming when it was merged"

_SAID = (
    "conversation_id", "parent_id", "role", "author_name", "recipient", "channel", "content_type", "text", "content",
    "status", "weight", "model_slug", "requested_model", "finish_type", "turn_exchange_id", "request_id",
    "reasoning_seconds", "source", "metadata",
)  # fmt: skip
_TIMES = ("created_at", "updated_at", "first_token_at", "completed_at")
_TOLD = ("title", "current_node", "default_model_slug", "is_archived", "is_starred", "created_at")
_LISTED = ("asset_id", "asset_pointer", "gen_id", "prompt", "title", "width", "height", "metadata")


def record_of[T](of: Callable[..., T], row: sqlite3.Row, **more: Any) -> T:
    """A record from the columns of its names; times from text."""
    known = {
        name: microseconds(row[name]) if name.endswith("_at") and row[name] is not None else row[name]
        for name in row.keys()  # noqa: SIM118 - a row iterates over its values
        if name in of.__slots__  # type: ignore[attr-defined]
    }
    return of(**known, **more)


def _time(row: sqlite3.Row, name: str) -> int | None:
    return microseconds(row[name]) if row[name] is not None else None


def conversation_records(row: sqlite3.Row) -> list[Record]:
    """The accounts of a conversation: the first, each later one that counts in some field, the last."""
    told, rest = (mapping(loads(row[name].encode())) if row[name] else {} for name in ("told_at", "metadata"))
    first = microseconds(row["first_seen_at"])
    constant = {name: row[name] for name in ("gizmo_id", "conversation_origin")}
    constant["is_temporary"] = _flag(row["is_temporary"])
    known = Conversation(row["id"], row["source"], first, updated_at=_time(row, "updated_at"), **constant)
    guessed = replace(known, created_at=None if "created_at" in told else _time(row, "created_at"))
    # What an older version wrote does not say when it was told: nothing older than it can be.
    silent = [name for name in _TOLD if name not in told and name != "created_at" and row[name] is not None]
    silent += [f"metadata.{key}" for key in rest if f"metadata.{key}" not in told]
    accounts: list[Record] = [guessed, *([_account(row, rest, silent, first)] if silent else [])]
    for at in sorted(set(told.values())):
        accounts.append(_account(row, rest, [name for name, when in told.items() if when == at], microseconds(at)))
    accounts.append(Conversation(row["id"], row["source"], microseconds(row["last_seen_at"])))
    if row["digest"] is not None:
        accounts.append(DocumentRead(row["id"], row["digest"]))
    return accounts


def _account(row: sqlite3.Row, rest: dict[str, Any], names: Iterable[str], at: int) -> Conversation:
    fields: dict[str, Any] = {}
    beside: dict[str, Any] = {}
    for name in names:
        key = name.removeprefix("metadata.")
        if key != name:
            beside[key] = rest.get(key)
        elif name in _TOLD:
            fields[name] = _time(row, name) if name.endswith("_at") else row[name]
    for name in ("is_archived", "is_starred"):
        fields[name] = _flag(fields.get(name))
    metadata = dumps(beside) if beside else None
    said_so = "created_at" in fields
    return Conversation(row["id"], row["source"], at, metadata=metadata, document=said_so, **fields)


def stream_of(row: sqlite3.Row) -> Stream:
    stream = record_of(Stream, row)
    return replace(stream, state="interrupted", error=_UNFINISHED) if stream.state == "streaming" else stream


def event_records(row: sqlite3.Row) -> list[Record]:
    return [replace(record_of(TypedEvent, row), recognised=bool(row["recognised"]))]


def message_of(row: sqlite3.Row) -> Message:
    seen = Observation(
        row["stream_id"],
        row["source"],
        microseconds(row["last_seen_at"]),
        live=False,
        first_seen_at=microseconds(row["first_seen_at"]),
        damaged=bool(row["damaged"]),
        document=bool(row["document"]),
    )
    # What hangs on a message is in it; of the message itself the row knows best.
    said: dict[str, Any] = {name: row[name] for name in _SAID} | {name: _time(row, name) for name in _TIMES}
    message = read_message(row["id"], message_object(row), row["conversation_id"], seen)
    return replace(
        message,
        **said,
        parent_certainty=Certainty(row["parent_certainty"]),
        end_turn=_flag(row["end_turn"]),
        visible=bool(row["visible"]),
    )


def version_of(message: sqlite3.Row, row: sqlite3.Row) -> MessageVersion:
    """What a message once said."""
    said = (row[name] for name in ("reason", "content", "text", "status", "stream_id"))
    return MessageVersion(message["id"], message["conversation_id"], microseconds(row["replaced_at"]), *said)


def citations_of(message: sqlite3.Row, rows: Iterable[sqlite3.Row]) -> list[Record]:
    """The sources of a message, where there are any."""
    sources = tuple(record_of(Citation, row) for row in rows)
    return [Sources(message["id"], message["conversation_id"], sources)] if sources else []


def asset_records(row: sqlite3.Row) -> list[Record]:
    if row["origin"] is None:
        return []
    stated = {name: row[f"stated_{name}"] for name in ("size_bytes", "width", "height")}
    names = ("id", "pointer", "kind", "origin", "name", "conversation_id", "message_id", "stream_id")
    return [KnownAsset(**{name: row[name] for name in names}, **stated)]


def location_records(row: sqlite3.Row) -> list[Record]:
    location = AssetLocation(
        asset_id=row["asset_id"],
        at=microseconds(row["seen_at"]),
        stream_id=row["stream_id"],
        address=row["url"],
        name=row["name"],
        size_bytes=row["size_bytes"],
        conversation_id=row["conversation_id"],
        error=row["error"],
        derived=bool(row["derived"]),
    )
    return [location]


def image_records(row: sqlite3.Row) -> list[Record]:
    records: list[Record] = []
    if row["part_index"] is None and row["asset_id"] is not None:
        # Only a list has shown it.
        listed = {name: row[name] for name in (*_LISTED, "stream_id", "source", "conversation_id", "message_id")}
        records.append(ListedImage(**listed, at=microseconds(row["at"]), created_at=_time(row, "created_at")))
    values = {name: row[name] for name in row.keys() if name not in ("id", "source", "at")}  # noqa: SIM118
    return [*records, ImageRow(values)]


def canvas_records(row: sqlite3.Row) -> list[Record]:
    last = record_of(CanvasDocument, row, at=microseconds(row["last_seen_at"]))
    first = CanvasDocument(last.id, last.version, last.stream_id, last.source, microseconds(row["first_seen_at"]))
    return [replace(first, conversation_id=last.conversation_id), last]


def _flag(value: int | None) -> bool | None:
    return None if value is None else bool(value)

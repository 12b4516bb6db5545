"""What documents hold besides conversations -> rows: canvas documents, listed images, and bodies that are kept once."""

import sqlite3
from typing import Any

from addon.records import Asset, CanvasDocument, ListedImage, StreamBody, StreamRepeats, StreamSeen
from addon.store.asset_rows import merge_asset, settle
from addon.store.image_rows import explain_listed
from addon.store.rows import columns, see_conversation, timestamp, upsert

_OF_CANVAS = (
    "conversation_id", "message_id", "title", "textdoc_type", "content", "created_at", "updated_at", "metadata",
)  # fmt: skip
_OF_IMAGE = (
    "asset_id", "asset_pointer", "gen_id", "prompt", "title", "width", "height", "created_at", "metadata",
)  # fmt: skip

_HOLDER = """
    SELECT b.stream_id, s.started_at > (SELECT started_at FROM streams WHERE id = :stream_id) AS later
    FROM stream_bodies b JOIN streams s ON s.id = b.stream_id
    WHERE b.digest = :digest AND b.stream_id <> :stream_id AND b.body IS NOT NULL LIMIT 1"""

_TOLD_BY = (
    "messages", "message_versions", "image_generations", "canvas_documents", "assets", "asset_urls", "asset_files",
)  # fmt: skip


def write_body(db: sqlite3.Connection, record: StreamBody) -> None:
    """Keep the evidence of a stream; a body that several streams have is found with the first by its digest."""
    values = columns(record)
    if record.digest is not None and (holder := db.execute(_HOLDER, values).fetchone()):
        if record.body is not None and holder["later"]:
            db.execute("UPDATE stream_bodies SET body = NULL WHERE stream_id = ?", (holder["stream_id"],))
        else:
            values["body"] = None
    upsert(db, "stream_bodies", "stream_id", values)


def write_seen(db: sqlite3.Connection, record: StreamSeen) -> None:
    """Note when a document was last what it was."""
    db.execute(
        "UPDATE streams SET last_seen_at = max(coalesce(last_seen_at, started_at), ?) WHERE id = ?",
        (timestamp(record.at), record.stream_id),
    )


def write_repeats(db: sqlite3.Connection, record: StreamRepeats) -> None:
    """Let an earlier stream tell what a later one did."""
    names = {"later": record.stream_id, "earlier": record.earlier}
    for table in _TOLD_BY:
        db.execute(f"UPDATE {table} SET stream_id = :earlier WHERE stream_id = :later", names)
    body = "coalesce(body, (SELECT body FROM stream_bodies WHERE stream_id = :later))"
    db.execute(f"UPDATE stream_bodies SET body = {body} WHERE stream_id = :earlier", names)
    seen = "SELECT coalesce(last_seen_at, started_at) FROM streams WHERE id = :later"
    at = f"max(coalesce(last_seen_at, started_at), ({seen}))"
    db.execute(f"UPDATE streams SET last_seen_at = {at} WHERE id = :earlier AND EXISTS ({seen})", names)
    for table in ("events", "request_bodies", "stream_bodies"):
        db.execute(f"DELETE FROM {table} WHERE stream_id = :later", names)
    db.execute("DELETE FROM streams WHERE id = :later", names)


def write_canvas(db: sqlite3.Connection, record: CanvasDocument) -> None:
    """Store one version of a canvas document; of two accounts of one version the later counts."""
    see_conversation(db, record.conversation_id, record.source, record.at)
    values = {name: value for name, value in columns(record).items() if name not in ("source", "at")}
    values["message_id"] = _message_of(db, record)
    values["first_seen_at"] = values["last_seen_at"] = timestamp(record.at)
    names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
    newest = ", ".join(
        f"{name} = CASE WHEN excluded.last_seen_at >= last_seen_at THEN coalesce(excluded.{name}, {name})"
        f" ELSE coalesce({name}, excluded.{name}) END"
        for name in _OF_CANVAS
    )
    db.execute(
        f"INSERT INTO canvas_documents ({names}) VALUES ({marks}) ON CONFLICT (id, version) DO UPDATE SET {newest},"
        " first_seen_at = min(first_seen_at, excluded.first_seen_at),"
        " last_seen_at = max(last_seen_at, excluded.last_seen_at)",
        values,
    )


def _message_of(db: sqlite3.Connection, record: CanvasDocument) -> str | None:
    """The newest message that speaks of this version of the document."""
    row = db.execute(
        "SELECT id FROM messages WHERE conversation_id = ? AND json_extract(metadata, '$.canvas.textdoc_id') = ?"
        " AND coalesce(json_extract(metadata, '$.canvas.version'), ?3) = ?3 ORDER BY n DESC LIMIT 1",
        (record.conversation_id, record.id, record.version),
    ).fetchone()
    return row["id"] if row else None


def write_listed_image(db: sqlite3.Connection, record: ListedImage) -> None:
    """Store what a list knows of an image: beside what its message says, or alone until that is read."""
    see_conversation(db, record.conversation_id, record.source, record.at)
    merge_asset(
        db,
        Asset(
            record.asset_id,
            record.asset_pointer,
            "output",
            "image",
            "generated",
            width=record.width,
            height=record.height,
        ),
    )
    db.execute(
        """UPDATE assets SET conversation_id = coalesce(conversation_id, ?), message_id = coalesce(message_id, ?),
             stream_id = coalesce(stream_id, ?) WHERE id = ?""",
        (record.conversation_id, record.message_id, record.stream_id, record.asset_id),
    )
    settle(db, record.asset_id)
    values: dict[str, Any] = {name: columns(record)[name] for name in _OF_IMAGE}
    number = _listed_as(db, record)
    if number is not None:
        known = ", ".join(f"{name} = coalesce({name}, :{name})" for name in values)
        # One that was awaited where its message begins need not stand there.
        db.execute(
            f"UPDATE image_generations SET {known}, status = 'complete',"
            " part_index = iif(status = 'pending', NULL, part_index) WHERE id = :id",
            values | {"id": number},
        )
        return
    values |= {"conversation_id": record.conversation_id, "message_id": record.message_id, "status": "complete"}
    values["stream_id"] = record.stream_id
    names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
    db.execute(f"INSERT INTO image_generations ({names}) VALUES ({marks})", values)
    explain_listed(db, record.conversation_id, record.message_id)


def _listed_as(db: sqlite3.Connection, record: ListedImage) -> int | None:
    """The row of this image: the one with its file, or one of its message that still waits for a file."""
    row = db.execute(
        "SELECT id FROM image_generations WHERE asset_id = :asset OR (asset_id IS NULL AND status = 'pending'"
        " AND message_id = :message AND conversation_id IS :conversation)"
        " ORDER BY asset_id IS NULL, message_id IS NOT :message, part_index LIMIT 1",
        {"asset": record.asset_id, "message": record.message_id, "conversation": record.conversation_id},
    ).fetchone()
    return row["id"] if row else None

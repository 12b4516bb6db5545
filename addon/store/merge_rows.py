"""What another archive knows beside observations -> rows: versions of messages, mentions of files, facts of images.

All of it fills what is not known here; nothing that is here gives way to it.
"""

import sqlite3

from addon.records import ImageRow, KnownAsset, Mention, MessageVersion, Sources
from addon.store.asset_rows import MERGED, settle
from addon.store.attachments import cite
from addon.store.rows import columns, timestamp
from addon.store.version_rows import Said, remember

_NUMBER = "SELECT n FROM messages WHERE id = ? AND conversation_id IS ?"
_STATED = ("size_bytes", "width", "height")
_FIRST_OF_TWO = "SELECT id FROM streams WHERE id IN (stream_id, excluded.stream_id) ORDER BY started_at, id LIMIT 1"
_IMAGE_KEYS = ("conversation_id", "message_id", "part_index", "status")

_IMAGE = """
    SELECT id, asset_id FROM image_generations WHERE conversation_id IS :conversation_id AND message_id IS :message_id
      AND (part_index IS :part_index AND (part_index IS NOT NULL OR asset_id IS :asset_id)
           OR asset_id = :asset_id)
    ORDER BY part_index IS NOT :part_index LIMIT 1"""
"""The row of the same place in a message, or of the same file in it."""


def write_version(db: sqlite3.Connection, version: MessageVersion) -> None:
    """Remember what a message once said; of two who saw it replaced, the first says when."""
    row = db.execute(_NUMBER, (version.message_id, version.conversation_id)).fetchone()
    if row is None:
        return
    said = Said(version.content, version.text, version.status, version.stream_id)
    if remember(db, row["n"], version.replaced_at, version.reason, said):
        db.execute("UPDATE messages SET revision = revision + 1 WHERE n = ?", (row["n"],))
    db.execute(
        "UPDATE message_versions SET replaced_at = min(replaced_at, ?) WHERE message_n = ? AND content IS ?",
        (timestamp(version.replaced_at), row["n"], version.content),
    )


def write_sources(db: sqlite3.Connection, sources: Sources) -> None:
    """Store the sources of a message of which none are known."""
    row = db.execute(_NUMBER, (sources.message_id, sources.conversation_id)).fetchone()
    if row is not None and not db.execute("SELECT 1 FROM citations WHERE message_n = ?", (row["n"],)).fetchone():
        cite(db, row["n"], sources.citations)


def write_asset(db: sqlite3.Connection, asset: KnownAsset) -> None:
    """Store what messages and lists say of an asset; whose it is, who first knew says."""
    values = columns(asset)
    for name in _STATED:
        values[f"stated_{name}"] = values.pop(name)
    names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
    updates = [f"{name} = {merged}" for name, merged in MERGED.items()]
    whose = ("conversation_id", "message_id")
    updates += [f"{name} = iif(origin IS NULL, coalesce(excluded.{name}, {name}), {name})" for name in whose]
    updates.append(f"stream_id = ({_FIRST_OF_TWO})")
    db.execute(
        f"INSERT INTO assets ({names}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {', '.join(updates)}", values
    )
    settle(db, asset.id)


def write_mention(db: sqlite3.Connection, mention: Mention) -> None:
    """Note that a message mentions an asset."""
    db.execute(
        "INSERT OR IGNORE INTO message_assets (message_n, asset_id, role) SELECT n, ?3, ?4 FROM messages"
        " WHERE id = ?1 AND conversation_id IS ?2 AND EXISTS (SELECT 1 FROM assets WHERE id = ?3)",
        (mention.message_id, mention.conversation_id, mention.asset_id, mention.role),
    )


def write_image(db: sqlite3.Connection, image: ImageRow) -> None:
    """Fill what is not known of an image; one that no message here shows is stored when it is complete."""
    values = dict(image.values)
    asset = "SELECT 1 FROM assets WHERE id = ?"
    if values["asset_id"] is not None and not db.execute(asset, (values["asset_id"],)).fetchone():
        values["asset_id"] = None
    row = db.execute(_IMAGE, values).fetchone()
    if row is None:
        if values["status"] == "complete":
            names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
            db.execute(f"INSERT INTO image_generations ({names}) VALUES ({marks})", values)
        return
    if values["asset_id"] is None or row["asset_id"] in (None, values["asset_id"]):
        filled = ", ".join(f"{name} = coalesce({name}, :{name})" for name in values if name not in _IMAGE_KEYS)
        complete = "status = iif(:status = 'complete', 'complete', status)"
        db.execute(
            f"UPDATE image_generations SET {filled}, {complete} WHERE id = :number", values | {"number": row["id"]}
        )

"""Files and where they were -> rows: which asset a file belongs to, and which of its files is the original.

Messages, download answers and bytes come in any order, and again: each is written down as it is, and `settle` draws
from all of them what `assets` says. So the order never shows.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from addon.files.file_types import FileType
from addon.records import Asset, AssetFile, AssetLocation, Message, Thumbnail
from addon.store.rows import timestamp
from addon.wire.asset_ids import SANDBOX, THUMBNAIL
from addon.wire.payload import dumps

# Whose an asset is: of the messages that mention it the first.
_OWNER = """
    SELECT m.conversation_id, m.id AS message_id, m.stream_id FROM message_assets a JOIN messages m ON m.n = a.message_n
    WHERE a.asset_id = ? ORDER BY coalesce(m.created_at, m.first_seen_at), m.id LIMIT 1"""

_EITHER = "coalesce({verb}({name}, excluded.{name}), {name}, excluded.{name})"
_RANK = "instr('tool uploaded generated', {})"
MERGED = {
    # `sediment:` rather than `file-service:`, which is made up where only an attachment names the file.
    "pointer": _EITHER.format(verb="max", name="pointer"),
    # No origin: bytes or a download answer came first.
    "kind": """CASE WHEN origin IS NULL OR kind = 'file' THEN excluded.kind WHEN excluded.kind = 'file' THEN kind
               ELSE min(kind, excluded.kind) END""",
    "origin": f"""iif(origin IS NULL OR {_RANK.format("excluded.origin")} > {_RANK.format("origin")},
                  excluded.origin, origin)""",
    "name": _EITHER.format(verb="min", name="name"),
    "stated_size_bytes": _EITHER.format(verb="max", name="stated_size_bytes"),
    "stated_width": _EITHER.format(verb="max", name="stated_width"),
    "stated_height": _EITHER.format(verb="max", name="stated_height"),
}
"""What is left of two accounts of one file."""

_INSERT_ASSET = """
    INSERT INTO assets (id, pointer, kind, origin, name, stated_size_bytes, stated_width, stated_height, size_bytes,
                        width, height, variant, conversation_id, message_id, stream_id)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"""


def merge_asset(db: sqlite3.Connection, asset: Asset) -> None:
    """Merge one account of a file into its row, so that their order never shows; whose it is, `settle` finds."""
    db.execute(
        f"""INSERT INTO assets (id, pointer, kind, origin, name, stated_size_bytes, stated_width, stated_height)
            VALUES (?, ?, ?, ?, ?, nullif(?, 0), nullif(?, 0), nullif(?, 0))
            ON CONFLICT (id) DO UPDATE SET {", ".join(f"{name} = {merged}" for name, merged in MERGED.items())}""",
        (asset.id, asset.pointer, asset.kind, asset.origin, asset.name, asset.size_bytes, asset.width, asset.height),
    )


def insert_asset(db: sqlite3.Connection, asset: Asset, message: Message) -> bool:
    """Write a file that nothing is known of but what one message says: what `settle` would make of it.

    False, and nothing written, where something is known.
    """
    known = "SELECT 1 FROM assets WHERE id IN (?1, ?1 || ?2) LIMIT 1"
    if db.execute(known, (asset.id, THUMBNAIL)).fetchone() is not None:
        return False
    stated = (asset.size_bytes or None, asset.width or None, asset.height or None)
    variant = "thumbnail" if asset.id.endswith(THUMBNAIL) else "original"
    owner = (message.conversation_id, message.id, message.stream_id)
    db.execute(_INSERT_ASSET, (asset.id, asset.pointer, asset.kind, asset.origin, asset.name, *stated, variant, *owner))
    return True


def write_location(db: sqlite3.Connection, location: AssetLocation) -> None:
    """Write which asset an address stands for, or that the service has no file for an asset."""
    identity = location.asset_id
    _ensure(db, identity)
    if identity.startswith(SANDBOX) and location.message_id:
        _place_in_message(db, location)
    if location.address is not None:
        db.execute(
            """INSERT INTO asset_urls (url, asset_id, name, size_bytes, conversation_id, derived, seen_at, stream_id)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)
               ON CONFLICT (url) DO UPDATE SET
                 asset_id = excluded.asset_id, name = coalesce(excluded.name, name),
                 size_bytes = coalesce(excluded.size_bytes, size_bytes),
                 conversation_id = coalesce(excluded.conversation_id, conversation_id),
                 derived = excluded.derived, seen_at = excluded.seen_at, stream_id = excluded.stream_id
               WHERE excluded.seen_at >= seen_at""",
            (
                location.address,
                identity,
                location.name,
                location.size_bytes or None,
                location.conversation_id,
                location.derived,
                timestamp(location.at),
                location.stream_id,
            ),
        )
        _rehome(db, location.address)
    db.execute("UPDATE assets SET error = ? WHERE id = ?", (location.error, identity))
    settle(db, identity)


def write_file(db: sqlite3.Connection, file: AssetFile) -> None:
    """Write a file that was received, and give it to the asset that its address stands for."""
    row = db.execute("SELECT asset_id, derived FROM asset_urls WHERE url = ?", (file.address,)).fetchone()
    identity = row["asset_id"] if row else file.asset_id
    _ensure(db, identity)
    db.execute(
        """INSERT INTO files (sha256, path, mime_type, size_bytes, width, height) VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT (sha256) DO UPDATE SET path = excluded.path, mime_type = excluded.mime_type,
             width = excluded.width, height = excluded.height""",
        (file.sha256, file.path, file.mime_type, file.size_bytes, file.width, file.height),
    )
    received = {"sha256": file.sha256, "url": file.address, "stream_id": file.stream_id}
    derived = file.derived or bool(row and row["derived"])
    _give(db, identity, received | {"derived": derived, "downloaded_at": timestamp(file.at)})
    settle(db, identity)
    if identity.endswith(THUMBNAIL):
        settle(db, identity.removesuffix(THUMBNAIL))


def write_thumbnail(db: sqlite3.Connection, thumbnail: Thumbnail) -> None:
    """Write what became of a thumbnail."""
    db.execute(
        "UPDATE files SET thumbnail_path = ?, thumbnail_error = ? WHERE sha256 = ?",
        (thumbnail.path, thumbnail.error, thumbnail.sha256),
    )


def link_sandbox(db: sqlite3.Connection, message_id: str, number: int) -> None:
    """Give a message the sandbox files that were fetched before it was read: it names none of them itself."""
    db.execute(
        "INSERT OR IGNORE INTO message_assets (message_n, asset_id, role)"
        " SELECT ?, id, 'output' FROM assets WHERE message_id = ? AND pointer >= 'sandbox:' AND pointer < 'sandbox;'",
        (number, message_id),
    )


def settle_mentioned(db: sqlite3.Connection, number: int) -> None:
    """Settle each asset that a message mentions: its row may say something else of it than before."""
    for row in db.execute("SELECT DISTINCT asset_id FROM message_assets WHERE message_n = ?", (number,)).fetchall():
        settle(db, row["asset_id"])


def waited_for(db: sqlite3.Connection, message_ids: Sequence[str]) -> set[str]:
    """Those of these messages for which `link_sandbox` has something to do."""
    if db.execute("SELECT 1 FROM assets WHERE id >= 'sandbox:' AND id < 'sandbox;' LIMIT 1").fetchone() is None:
        return set()
    query = """SELECT message_id FROM assets WHERE pointer >= 'sandbox:' AND pointer < 'sandbox;'
               AND message_id IN (SELECT value FROM json_each(?))"""
    return {row["message_id"] for row in db.execute(query, (dumps(message_ids),))}


def settle(db: sqlite3.Connection, identity: str) -> None:
    """Let an asset say what is known of it: its best file, else what messages and download answers say."""
    asset = db.execute("SELECT * FROM assets WHERE id = ?", (identity,)).fetchone()
    if asset is None:
        return
    urls = db.execute("SELECT * FROM asset_urls WHERE asset_id = ? ORDER BY seen_at DESC, url", (identity,)).fetchall()
    stated = {key: asset[f"stated_{key}"] for key in ("size_bytes", "width", "height")}
    stated["size_bytes"] = stated["size_bytes"] or _first(urls, "size_bytes")
    best, original = _best(db, identity, stated)
    said: dict[str, Any] = stated | dict.fromkeys(("mime_type", "sha256", "path", "downloaded_at"))
    owner = db.execute(_OWNER, (identity,)).fetchone()
    if owner is not None:
        said |= {"message_id": owner["message_id"], "stream_id": owner["stream_id"]}
    said["variant"] = "thumbnail" if identity.endswith(THUMBNAIL) or (best and not original) else "original"
    if best is not None:
        said |= {key: best[key] for key in ("mime_type", "sha256", "path", "downloaded_at", "stream_id")}
        said["error"] = None
        if asset["origin"] is None or identity.startswith(SANDBOX):
            said["kind"] = FileType(best["mime_type"], "").kind
        if original:
            said |= {key: stated[key] or best[key] for key in stated}
    said["name"] = asset["name"] or _first(urls, "name")
    known = asset["conversation_id"] or _first(urls, "conversation_id")
    said["conversation_id"] = (owner and owner["conversation_id"]) or known
    changed = {key: value for key, value in said.items() if asset[key] != value}
    if changed:
        updates = ", ".join(f"{key} = ?" for key in changed)
        db.execute(f"UPDATE assets SET {updates} WHERE id = ?", [*changed.values(), identity])


def _best(db: sqlite3.Connection, identity: str, stated: dict[str, int | None]) -> tuple[sqlite3.Row | None, bool]:
    """The file that stands for an asset, and whether it is the original rather than a smaller encoding."""
    files = db.execute(
        """SELECT f.*, a.asset_id, a.derived, a.downloaded_at, a.stream_id
           FROM asset_files a JOIN files f ON f.sha256 = a.sha256 WHERE a.asset_id IN (?, ? || ?)
           ORDER BY a.downloaded_at, f.sha256""",
        (identity, identity, THUMBNAIL),
    ).fetchall()

    def rank(file: sqlite3.Row) -> tuple[bool, int, int]:
        return _is_original(file, identity, stated), (file["width"] or 0) * (file["height"] or 0), file["size_bytes"]

    best = max(files, key=rank, default=None)
    return best, best is not None and rank(best)[0]


def _is_original(file: sqlite3.Row, identity: str, stated: dict[str, int | None]) -> bool:
    """Whether a file can be the asset itself: it is of every measure that was stated, and nothing says otherwise."""
    if file["derived"] or file["asset_id"] != identity:
        return False
    if stated["size_bytes"] and stated["size_bytes"] != file["size_bytes"]:
        return False
    if not (stated["width"] and stated["height"] and file["width"]):
        return True
    # A picture on its side is stated as people see it.
    return {stated["width"], stated["height"]} == {file["width"], file["height"]}


def _ensure(db: sqlite3.Connection, identity: str) -> None:
    db.execute("INSERT OR IGNORE INTO assets (id) VALUES (?)", (identity,))


def _place_in_message(db: sqlite3.Connection, location: AssetLocation) -> None:
    """A sandbox file is an output of the message under which it was asked for."""
    identity, message_id = location.asset_id, location.message_id
    pointer = SANDBOX + identity.removeprefix(f"{SANDBOX}{message_id}")
    db.execute(
        "UPDATE assets SET pointer = ?, origin = 'tool', kind = coalesce(kind, 'file'), message_id = ? WHERE id = ?",
        (pointer, message_id, identity),
    )
    for row in db.execute("SELECT n FROM messages WHERE id = ?", (message_id,)).fetchall():
        link_sandbox(db, message_id or "", row["n"])


def _give(db: sqlite3.Connection, identity: str, received: dict[str, Any]) -> None:
    """The first time that an asset had a file counts; a file that once was the asset itself is no derived one."""
    db.execute(
        """INSERT INTO asset_files (asset_id, sha256, url, derived, downloaded_at, stream_id)
           VALUES (:asset_id, :sha256, :url, :derived, :downloaded_at, :stream_id)
           ON CONFLICT (asset_id, sha256) DO UPDATE SET
             derived = min(derived, excluded.derived), downloaded_at = min(downloaded_at, excluded.downloaded_at),
             stream_id = iif(excluded.downloaded_at < downloaded_at, excluded.stream_id, stream_id)""",
        received | {"asset_id": identity},
    )


def _rehome(db: sqlite3.Connection, url: str) -> None:
    """Files that came before it was known which asset their address stands for go to that asset."""
    identity, derived = db.execute("SELECT asset_id, derived FROM asset_urls WHERE url = ?", (url,)).fetchone()
    if derived:
        db.execute("UPDATE asset_files SET derived = 1 WHERE url = ?", (url,))
    strayed = "FROM asset_files WHERE url = ? AND asset_id <> ?"
    for row in db.execute(f"SELECT * {strayed}", (url, identity)).fetchall():
        _give(db, identity, dict(row))
        db.execute("DELETE FROM asset_files WHERE asset_id = ? AND sha256 = ?", (row["asset_id"], row["sha256"]))
        settle(db, row["asset_id"])
        # An asset that was only its address goes; one that something else knows stays without the file.
        db.execute(
            """DELETE FROM assets WHERE id = ?1 AND origin IS NULL
                 AND NOT EXISTS (SELECT 1 FROM asset_files WHERE asset_id = ?1)
                 AND NOT EXISTS (SELECT 1 FROM asset_urls WHERE asset_id = ?1)
                 AND NOT EXISTS (SELECT 1 FROM message_assets WHERE asset_id = ?1)
                 AND NOT EXISTS (SELECT 1 FROM image_generations WHERE asset_id = ?1)""",
            (row["asset_id"],),
        )


def _first(rows: list[sqlite3.Row], key: str) -> Any:
    return next((row[key] for row in rows if row[key]), None)

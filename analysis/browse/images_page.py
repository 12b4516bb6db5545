"""Generated images: the gallery, and each with what was asked, how it was made, and what it was made from."""

import sqlite3
from typing import Any
from urllib.parse import urlencode

from analysis.browse import times
from analysis.browse.site import Asked, Problem
from analysis.browse.thread import conversation_address
from analysis.rendering import byte_count, duration

_PAGE = 60
_LINE = 100
"""How many ancestors, and how many descendants, of an image are shown."""

_GALLERY = """
    SELECT g.id, g.title, g.prompt, g.status, g.width, g.height, g.created_at, a.sha256
    FROM image_generations g LEFT JOIN assets a ON a.id = g.asset_id
    WHERE (:before = '' OR (g.created_at, g.id) < (:before, :before_id))
      AND (:q = '' OR g.prompt LIKE '%' || :q || '%' OR g.title LIKE '%' || :q || '%')
    ORDER BY g.created_at DESC, g.id DESC LIMIT :limit"""

_ONE = """
    SELECT g.*, a.sha256, a.path, a.mime_type, a.variant, a.size_bytes AS stored_bytes, c.title AS conversation_title,
           asked.text AS question, m.n AS message_n
    FROM image_generations g LEFT JOIN assets a ON a.id = g.asset_id
    LEFT JOIN conversations c ON c.id = g.conversation_id
    LEFT JOIN messages asked ON asked.conversation_id = g.conversation_id AND asked.id = g.prompt_message_id
    LEFT JOIN messages m ON m.conversation_id = g.conversation_id AND m.id = g.message_id
    WHERE g.id = ?"""

# Up from an image, or down from it: each image once, whatever the ids say of each other.
_RELATED = """
    WITH RECURSIVE line (id, gen_id, parent_gen_id, depth) AS (
        SELECT id, gen_id, parent_gen_id, 0 FROM image_generations WHERE id = :id
        UNION
        SELECT g.id, g.gen_id, g.parent_gen_id, line.depth + 1
        FROM line JOIN image_generations g ON {join} WHERE line.depth < :most LIMIT :most)
    SELECT g.id, g.title, g.prompt, g.status, g.width, g.height, g.created_at, a.sha256, min(line.depth) AS depth
    FROM line JOIN image_generations g ON g.id = line.id LEFT JOIN assets a ON a.id = g.asset_id
    WHERE g.id <> :id GROUP BY g.id ORDER BY depth, g.id"""
_UP = _RELATED.format(join="g.gen_id = line.parent_gen_id")
_DOWN = _RELATED.format(join="g.parent_gen_id = line.gen_id")


def gallery_page(db: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """Images, the newest first."""
    words = asked.get("q")
    before, _, before_id = asked.get("before", 60).partition("~")
    values = {
        "q": words,
        "before": before,
        "before_id": int(before_id) if before_id.isdigit() else 0,
        "limit": _PAGE + 1,
    }
    rows = db.execute(_GALLERY, values).fetchall()
    shown = rows[:_PAGE]
    older = f"{shown[-1]['created_at']}~{shown[-1]['id']}" if len(rows) > _PAGE else None
    return {
        "section": "images",
        "title": "Images",
        "looked_for": words,
        "images": [_tile(row) for row in shown],
        "older": f"/-/archive/images?{urlencode({'q': words, 'before': older})}" if older else None,
        "before": before,
    }


def image_page(db: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """One image."""
    identity = asked.parts["image"]
    row = db.execute(_ONE, (int(identity),)).fetchone() if len(identity) < 18 else None
    if row is None:
        raise Problem(404, "No such image", "It is not in this archive, or was deleted from it.")
    values = {"id": row["id"], "most": _LINE}
    ancestors = [_tile(image) for image in db.execute(_UP, values)][::-1]
    return {
        "section": "images",
        "title": row["title"] or "Image",
        "image": row,
        "facts": _facts(row),
        "place": _place(row),
        "conversation": conversation_address(row["conversation_id"]) if row["conversation_id"] else None,
        "line": [*ancestors, {**_tile(row), "here": True}, *(_tile(image) for image in db.execute(_DOWN, values))],
        "newer": _beside(db, row, ">", "ASC"),
        "older": _beside(db, row, "<", "DESC"),
    }


def _tile(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "address": f"/-/archive/images/{row['id']}",
        "thumbnail": f"/-/archive/thumb/{row['sha256']}" if row["sha256"] else None,
        "name": row["title"] or (row["prompt"] or "Image")[:120],
        "prompt": (row["prompt"] or "")[:400],
        "status": row["status"],
        "day": times.day(row["created_at"]),
        "here": False,
    }


def _place(row: sqlite3.Row) -> str | None:
    if not row["conversation_id"]:
        return None
    place = conversation_address(row["conversation_id"], row["message_id"])
    return f"{place}#m-{row['message_n']}" if row["message_n"] else place


def _facts(row: sqlite3.Row) -> list[tuple[str, str]]:
    took = times.seconds_between(row["requested_at"], row["completed_at"])
    size = f"{row['width']} \u00d7 {row['height']}" if row["width"] and row["height"] else ""
    transparent = {1: "yes", 0: "no"}.get(row["transparent_background"], "")
    facts = {
        "Made": times.full(row["created_at"]),
        "Took": duration(took) if took else "",
        "Status": row["status"] if row["status"] != "complete" else "",
        "Size": size,
        "Asked size": row["size"] if row["size"] and row["size"].replace("x", " \u00d7 ") != size else "",
        "File": " \u00b7 ".join(filter(None, (row["mime_type"], byte_count(row["stored_bytes"])))),
        "Stored": "only in a smaller form" if row["sha256"] and row["variant"] not in (None, "original") else "",
        "Seed": str(row["seed"]) if row["seed"] is not None else "",
        "Model": row["model_slug"] or "",
        "Tool": row["tool"] or "",
        "Edit": row["edit_op"] or "",
        "Transparent": transparent if transparent == "yes" else "",
        "Generation": row["gen_id"] or "",
    }
    return [(name, value) for name, value in facts.items() if value]


def _beside(db: sqlite3.Connection, row: sqlite3.Row, than: str, order: str) -> str | None:
    query = f"""SELECT id FROM image_generations WHERE (created_at, id) {than} (?, ?)
                ORDER BY created_at {order}, id {order} LIMIT 1"""
    found = db.execute(query, (row["created_at"], row["id"])).fetchone()
    return f"/-/archive/images/{found['id']}" if found else None

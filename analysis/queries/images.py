"""Generated images, and the lines in which they were made from one another."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

type Place = tuple[str, int]
"""Where an image stands among all, the newest first: `created_at` ("" for None) and `id`."""


class Image(NamedTuple):
    """A row of `image_gallery`. `width` and `height` are pixels; `asset_path` and `thumbnail_path` are in the media
    folder, None when nothing is stored; `id` numbers the images of this archive.
    """

    id: int
    conversation_id: str | None
    conversation_title: str | None
    message_id: str | None
    part_index: int
    status: str | None
    title: str | None
    user_prompt: str | None
    tool_prompt: str | None
    size: str | None
    width: int | None
    height: int | None
    size_bytes: int | None
    seed: int | None
    gen_id: str | None
    parent_gen_id: str | None
    tool: str | None
    model_slug: str | None
    asset_id: str | None
    asset_pointer: str | None
    asset_path: str | None
    thumbnail_path: str | None
    variant: str | None
    sha256: str | None
    mime_type: str | None
    created_at: str | None


class ImageMaking(NamedTuple):
    """How an image was made: when it was asked for and done, in which exchange and message (`message_n`)."""

    requested_at: str | None
    completed_at: str | None
    edit_op: str | None
    transparent_background: int | None
    stream_id: str | None
    message_n: int | None


class LineageImage(NamedTuple):
    """An image of one line; `depth` counts the steps from its first, 0. In the order of a tree, read from the top."""

    depth: int
    gen_id: str
    parent_gen_id: str | None
    edit_op: str | None
    image_id: int
    conversation_id: str | None
    title: str | None
    prompt: str | None
    status: str | None
    width: int | None
    height: int | None
    seed: int | None
    asset_id: str | None
    created_at: str | None


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """Which images. Days or times are ISO 8601 beginnings, both included; `words` must all be in one of the prompts or
    titles; `status` is `pending`, `preview`, `complete` or `failed`.
    """

    conversation_id: str = ""
    since: str = ""
    until: str = ""
    words: str = ""
    status: str = ""
    stored: bool = False


_PLACE = "(coalesce(created_at, ''), id)"
_GALLERY = f"SELECT {', '.join(Image._fields)} FROM image_gallery"


def images(
    db: sqlite3.Connection,
    only: ImageFilter | None = None,
    *,
    before: Place | None = None,
    down_to: Place | None = None,
    limit: int | None = None,
) -> Iterator[Image]:
    """Images, the newest first; `before` is the place of the last one of the page before, `down_to` of the last one
    that is looked at.
    """
    conditions, values = _conditions(only or ImageFilter())
    if before is not None:
        conditions.append(f"{_PLACE} < (?, ?)")
        values += before
    if down_to is not None:
        conditions.append(f"{_PLACE} >= (?, ?)")
        values += down_to
    where = " AND ".join(conditions) or "1"
    query = f"{_GALLERY} WHERE {where} ORDER BY created_at DESC, id DESC LIMIT ?"
    for row in db.execute(query, [*values, -1 if limit is None else limit]):
        yield Image(*row)


def further(db: sqlite3.Connection, before: Place | None, count: int) -> Place | None:
    """The place of the image that is so many on from another, or from the newest; None where there are not as many."""
    older = f"WHERE {_PLACE} < (?, ?)" if before else ""
    query = f"""SELECT coalesce(created_at, ''), id FROM image_generations {older}
                ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET ?"""
    row = db.execute(query, [*(before or ()), count - 1]).fetchone()
    return (row[0], row[1]) if row else None


def image(db: sqlite3.Connection, identity: int) -> Image | None:
    """One image by its number."""
    row = db.execute(f"{_GALLERY} WHERE id = ?", [identity]).fetchone()
    return Image(*row) if row else None


def making(db: sqlite3.Connection, identity: int) -> ImageMaking | None:
    """How one image was made."""
    query = """SELECT g.requested_at, g.completed_at, g.edit_op, g.transparent_background, g.stream_id, m.n
               FROM image_generations g
               LEFT JOIN messages m ON m.conversation_id = g.conversation_id AND m.id = g.message_id WHERE g.id = ?"""
    row = db.execute(query, [identity]).fetchone()
    return ImageMaking(*row) if row else None


def neighbour(db: sqlite3.Connection, of: Image, *, newer: bool) -> int | None:
    """The number of the image that was made next after one, or last before it; None where there is none."""
    than, order = (">", "ASC") if newer else ("<", "DESC")
    query = f"""SELECT id FROM image_generations WHERE (created_at, id) {than} (?, ?)
                ORDER BY created_at {order}, id {order} LIMIT 1"""
    row = db.execute(query, [of.created_at, of.id]).fetchone()
    return row[0] if row else None


def digests(db: sqlite3.Connection, assets: Sequence[str]) -> dict[str, str]:
    """The digests of the files that are stored of assets, by the ids of these."""
    query = """SELECT a.id, a.sha256 FROM json_each(?) wanted JOIN assets a ON a.id = wanted.value
               WHERE a.sha256 IS NOT NULL"""
    return dict(tuple(row) for row in db.execute(query, [json.dumps(list(assets))]))


_LINE = """SELECT gen_id, parent_gen_id, edit_op, id, conversation_id, title, prompt, status, width, height, seed,
                  asset_id, created_at
           FROM image_generations WHERE {} ORDER BY created_at, id"""


def lineage(db: sqlite3.Connection, gen_id: str) -> Iterator[LineageImage]:
    """The whole line that a generation belongs to, from its first image in the archive. Circles are gone through once.

    `gen_id` is one of the archive's; each image stands under the one it was made from, siblings by time.
    """
    root, seen = gen_id, {gen_id}
    while (parent := _parent(db, root)) is not None and parent not in seen:
        seen.add(parent)
        root = parent
    waiting = [(row, 0) for row in db.execute(_LINE.format("gen_id = ?"), [root]).fetchall()[::-1]]
    told: set[int] = set()
    while waiting:
        row, depth = waiting.pop()
        if row["id"] in told:
            continue
        told.add(row["id"])
        yield LineageImage(depth, *row)
        children = db.execute(_LINE.format("parent_gen_id = ?"), [row["gen_id"]]).fetchall()
        waiting += [(child, depth + 1) for child in reversed(children)]


def _parent(db: sqlite3.Connection, gen_id: str) -> str | None:
    """The generation that one was made from, if it is in the archive."""
    query = """SELECT p.gen_id FROM image_generations g JOIN image_generations p ON p.gen_id = g.parent_gen_id
               WHERE g.gen_id = ? LIMIT 1"""
    row = db.execute(query, [gen_id]).fetchone()
    return row[0] if row else None


def _conditions(only: ImageFilter) -> tuple[list[str], list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []

    def add(condition: str, *given: Any) -> None:
        conditions.append(condition)
        values.extend(given)

    if only.conversation_id:
        add("conversation_id = ?", only.conversation_id)
    if only.since:
        add("created_at >= ?", only.since)
    if only.until:
        add("created_at < ?", only.until + "\U0010ffff")
    if only.status:
        add("status = ?", only.status)
    if only.stored:
        add("asset_path IS NOT NULL")
    for word in only.words.split():
        said = "coalesce(title, '') || ' ' || coalesce(user_prompt, '') || ' ' || coalesce(tool_prompt, '')"
        add(f"instr(lower({said}), lower(?))", word)
    return conditions, values

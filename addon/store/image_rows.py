"""Images that a message shows -> rows: what each was made of, the call it answers and the prompt behind it.

A row says what the observation that counts says of the image; others fill what that leaves open. What is the message's
own (who made it, when, which exchange brought it) is its row's word.
"""

import sqlite3
from dataclasses import dataclass, replace
from typing import Any

from addon.answers.images import TOOLS, image_call
from addon.records import ImageCall, ImageGeneration, Message
from addon.store.rows import columns, timestamp
from addon.wire.payload import dumps

_ANCESTORS = 50
"""How far up from an image its call and its prompt are looked for."""

_LISTED = (
    "gen_id", "prompt", "title", "width", "height", "size", "task_id", "request_message_id", "prompt_message_id",
    "requested_at", "created_at", "metadata",
)  # fmt: skip
"""What may be known of an image before its message tells where in it the image stands."""

_OF_THE_FILE = ("width", "height", "size_bytes", "fovea")
"""Columns that speak of one file: of a preview they tell nothing about the image."""

_BY_THE_TREE = ("request_message_id", "prompt_message_id", "requested_at", "size")
"""Columns that the messages above tell, whichever observation asks."""


@dataclass(frozen=True, slots=True)
class _Origin:
    """Why an image was made: the call it answers and the prompt behind it."""

    call: ImageCall | None = None
    request_message_id: str | None = None
    requested_at: str | None = None
    prompt_message_id: str | None = None


def show_images(db: sqlite3.Connection, message: Message, number: int, *, counts: bool) -> None:
    """Write the images of an observation; one that does not count fills what the rows do not know."""
    (parent,) = db.execute("SELECT parent_id FROM messages WHERE n = ?", (number,)).fetchone()
    origin = _origin(db, message.conversation_id, parent)
    shown = "SELECT 1 FROM image_generations WHERE conversation_id IS ? AND message_id = ? AND part_index IS NOT NULL"
    others = db.execute(shown, (message.conversation_id, message.id)).fetchone() is not None
    _ensure_assets(db, message)
    for image in message.images:
        row = _at_its_place(db, image, message)
        if row is not None:
            _update(db, image, row, _said(image, origin), counts=counts)
        elif counts or not others or image.status == "complete":
            _insert(db, message, _said(image, origin))
        if image.asset_id is not None:
            _take_listed(db, image, (message.conversation_id, message.id, image.part_index))
    if counts:
        _drop_unfinished(db, message)


def is_shown(db: sqlite3.Connection, message: Message) -> bool:
    """Whether there is an image, if only on a list, that is said to be in this message."""
    shown = "SELECT 1 FROM image_generations WHERE conversation_id IS ? AND message_id = ? LIMIT 1"
    return db.execute(shown, (message.conversation_id, message.id)).fetchone() is not None


def insert_images(db: sqlite3.Connection, message: Message) -> None:
    """Write the images of a message that was written just now, and of which none is there: settled already."""
    origin = _origin(db, message.conversation_id, message.parent_id)
    own = {
        "tool": message.author_name,
        "model_slug": message.model_slug,
        "created_at": timestamp(message.created_at or message.first_seen_at or message.at),
        "stream_id": message.stream_id,
    }
    _ensure_assets(db, message)
    for image in message.images:
        ended = timestamp(message.completed_at) if image.status == "complete" else None
        _insert(db, message, _said(image, origin) | own | {"completed_at": ended})
        if image.asset_id is not None:
            _take_listed(db, image, (message.conversation_id, message.id, image.part_index))


def settle_images(db: sqlite3.Connection, number: int) -> None:
    """Let the images of a message say what its row says of all of it."""
    db.execute(
        """UPDATE image_generations SET
             tool = coalesce(m.author_name, image_generations.tool),
             model_slug = coalesce(m.model_slug, image_generations.model_slug),
             created_at = coalesce(m.created_at, m.first_seen_at),
             completed_at = iif(image_generations.status = 'complete', m.completed_at, NULL), stream_id = m.stream_id
           FROM messages m
           WHERE m.n = ? AND image_generations.conversation_id IS m.conversation_id
             AND image_generations.message_id = m.id AND image_generations.part_index IS NOT NULL""",
        (number,),
    )


def explain_listed(db: sqlite3.Connection, conversation_id: str | None, message_id: str | None) -> None:
    """Give images that only a list places in a message what the messages above that tell."""
    place = (conversation_id, message_id)
    listed = "conversation_id IS ? AND message_id = ? AND part_index IS NULL"
    if not db.execute(f"SELECT 1 FROM image_generations WHERE {listed}", place).fetchone():
        return
    row = db.execute("SELECT parent_id FROM messages WHERE conversation_id IS ? AND id = ?", place).fetchone()
    origin = _origin(db, conversation_id, row["parent_id"]) if row else _Origin()
    call = origin.call or ImageCall(None, None, None)
    db.execute(
        f"""UPDATE image_generations SET
              prompt = coalesce(prompt, ?), size = coalesce(?, size), requested_at = coalesce(?, requested_at),
              transparent_background = coalesce(transparent_background, ?),
              request_message_id = coalesce(?, request_message_id), prompt_message_id = coalesce(?, prompt_message_id)
            WHERE {listed}""",
        (
            call.prompt,
            call.size,
            origin.requested_at,
            call.transparent_background,
            origin.request_message_id,
            origin.prompt_message_id,
            *place,
        ),
    )


def answer_images(db: sqlite3.Connection, number: int) -> None:
    """A call that was not there, or could not be read, when its image came tells now what was asked for."""
    message = db.execute("SELECT * FROM messages WHERE n = ?", (number,)).fetchone()
    call = image_call(message["recipient"], message["text"]) or ImageCall(None, None, None)
    db.execute(
        """UPDATE image_generations SET
             request_message_id = :id, requested_at = coalesce(requested_at, :at), prompt = coalesce(prompt, :prompt),
             size = coalesce(size, :size), transparent_background = coalesce(transparent_background, :transparent),
             prompt_message_id = coalesce(prompt_message_id, :asked_by)
           WHERE conversation_id IS :conversation AND coalesce(request_message_id, :id) = :id
             AND (request_message_id = :id OR :id = (
                  SELECT m.parent_id FROM messages m
                  WHERE m.conversation_id IS :conversation AND m.id = image_generations.message_id))""",
        {
            "id": message["id"],
            "at": message["created_at"],
            "conversation": message["conversation_id"],
            "prompt": call.prompt,
            "size": call.size,
            "transparent": call.transparent_background,
            "asked_by": _origin(db, message["conversation_id"], message["parent_id"]).prompt_message_id,
        },
    )


def _origin(db: sqlite3.Connection, conversation_id: str | None, parent: str | None) -> _Origin:
    """The nearest ancestors of an image's message that are a call to an image tool and a user's message."""
    origin = _Origin()
    for _ in range(_ANCESTORS):
        row = db.execute(
            "SELECT id, parent_id, role, recipient, text, created_at FROM messages"
            " WHERE conversation_id IS ? AND id = ?",
            (conversation_id, parent),
        ).fetchone()
        if row is None:
            break
        if origin.request_message_id is None and row["recipient"] in TOOLS:
            call = image_call(row["recipient"], row["text"])
            origin = replace(origin, call=call, request_message_id=row["id"], requested_at=row["created_at"])
        if row["role"] == "user":
            return replace(origin, prompt_message_id=row["id"])
        parent = row["parent_id"]
    return origin


def _at_its_place(db: sqlite3.Connection, image: ImageGeneration, message: Message) -> sqlite3.Row | None:
    # IS, since a conversation without a name is NULL, which no UNIQUE constraint holds equal to itself.
    place = "conversation_id IS ? AND message_id = ? AND part_index = ?"
    found: sqlite3.Row | None = db.execute(
        f"SELECT * FROM image_generations WHERE {place}", (message.conversation_id, message.id, image.part_index)
    ).fetchone()
    return found


def _said(image: ImageGeneration, origin: _Origin) -> dict[str, Any]:
    """What an observation and the messages above it tell of an image."""
    values = columns(image)
    call = origin.call or ImageCall(None, None, None)
    values |= {"prompt": image.prompt or call.prompt, "size": call.size}
    if image.transparent_background is None:
        values["transparent_background"] = call.transparent_background
    for name in ("request_message_id", "prompt_message_id", "requested_at"):
        values[name] = getattr(origin, name)
    return values


def _ensure_assets(db: sqlite3.Connection, message: Message) -> None:
    """Make the rows of assets that the images name and their message does not."""
    named = {asset.id for asset in message.assets}
    for image in message.images:
        if image.asset_id is not None and image.asset_id not in named:
            known = (image.asset_id, image.asset_pointer)
            db.execute("INSERT OR IGNORE INTO assets (id, pointer) VALUES (?, ?)", known)


def _insert(db: sqlite3.Connection, message: Message, values: dict[str, Any]) -> None:
    # Where nothing is known above it, it is the work of the exchange's own prompt.
    values["prompt_message_id"] = values["prompt_message_id"] or message.prompt_message_id
    values |= {"conversation_id": message.conversation_id, "message_id": message.id}
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    db.execute(f"INSERT INTO image_generations ({names}) VALUES ({marks})", list(values.values()))


def _update(
    db: sqlite3.Connection, image: ImageGeneration, row: sqlite3.Row, values: dict[str, Any], *, counts: bool
) -> None:
    if row["status"] == "complete" and image.status == "pending":
        del values["status"]  # a list showed it before its message did
    another_file = None not in (row["asset_id"], image.asset_id) and row["asset_id"] != image.asset_id
    updates = {}
    for name, value in values.items():
        if name in _OF_THE_FILE and another_file:
            updates[name] = value if counts else row[name]
        elif counts or name in _BY_THE_TREE:
            updates[name] = row[name] if value is None else value
        else:
            updates[name] = value if row[name] is None else row[name]
    assignments = ", ".join(f"{name} = ?" for name in updates)
    db.execute(f"UPDATE image_generations SET {assignments} WHERE id = ?", [*updates.values(), row["id"]])


def _take_listed(db: sqlite3.Connection, image: ImageGeneration, place: tuple[str | None, str, int]) -> None:
    """What a list of images said of this one, before its message told where in it the image stands."""
    listed = "SELECT * FROM image_generations WHERE asset_id = ? AND part_index IS NULL"
    for row in db.execute(listed, (image.asset_id,)).fetchall():
        known = ", ".join(f"{name} = coalesce({name}, :{name})" for name in _LISTED)
        where = "conversation_id IS :conversation AND message_id = :message AND part_index = :part"
        names = {"conversation": place[0], "message": place[1], "part": place[2]}
        said = {name: row[name] for name in _LISTED}
        db.execute(f"UPDATE image_generations SET {known} WHERE {where}", said | names)
        db.execute("DELETE FROM image_generations WHERE id = ?", (row["id"],))


def _drop_unfinished(db: sqlite3.Connection, message: Message) -> None:
    """Remove what was only awaited or a preview at places where the message shows no image any more."""
    places = dumps([image.part_index for image in message.images])
    db.execute(
        "DELETE FROM image_generations WHERE conversation_id IS ? AND message_id = ? AND status <> 'complete'"
        " AND part_index NOT IN (SELECT value FROM json_each(?))",
        (message.conversation_id, message.id, places),
    )

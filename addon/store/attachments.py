"""What belongs to a message -> rows: assets, citations, image generations, and the call and prompt behind an image."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

from addon.answers.images import TOOLS, image_call
from addon.records import Asset, Citation, ImageCall, ImageGeneration, Message
from addon.store.asset_rows import link_sandbox, settle
from addon.store.rows import columns, timestamp
from addon.wire.payload import dumps

_ANCESTORS = 50
"""How far up from an image its call and its prompt are looked for."""

_LISTED = (
    "gen_id", "prompt", "title", "width", "height", "size", "task_id", "request_message_id", "prompt_message_id",
    "requested_at", "created_at", "metadata",
)  # fmt: skip
"""What may be known of an image before its message tells where in it the image stands."""

_KEYS = ("conversation_id", "message_id", "part_index")


@dataclass(frozen=True, slots=True)
class _Origin:
    """Why an image was made: the call it answers and the prompt behind it."""

    call: ImageCall | None = None
    request_message_id: str | None = None
    requested_at: str | None = None
    prompt_message_id: str | None = None


def attach(db: sqlite3.Connection, message: Message, number: int) -> None:
    """Write what the newest observation of a message brings with it."""
    for asset in message.assets:
        _asset(db, asset, message, number)
    if message.role != "user":
        link_sandbox(db, message.id, number)
    if message.citations and not message.live:
        db.execute("DELETE FROM citations WHERE message_n = ?", (number,))
        cite(db, number, message.citations)
    if message.images:
        origin = _origin(db, message)
        for image in message.images:
            _image(db, image, message, origin)
        _drop_unfinished(db, message)
    if message.recipient in TOOLS:
        _answer(db, message)


def cite(db: sqlite3.Connection, number: int, citations: Sequence[Citation]) -> None:
    """Write the sources of a message that has none yet."""
    db.executemany(
        "INSERT INTO citations (message_n, position, url, kind, title, attribution, snippet, published_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (number, i, c.url, c.kind, c.title, c.attribution, c.snippet, timestamp(c.published_at))
            for i, c in enumerate(citations)
        ],
    )


def adopt(db: sqlite3.Connection, message: Message) -> None:
    """Give what was written before the conversation had a name to it."""
    for table in ("image_generations", "assets"):
        db.execute(
            f"UPDATE {table} SET conversation_id = ? WHERE message_id = ? AND conversation_id IS NULL",
            (message.conversation_id, message.id),
        )


def _asset(db: sqlite3.Connection, asset: Asset, message: Message, number: int) -> None:
    # No origin: bytes or a download answer came first. Whose asset it is, the first message that mentions it says.
    db.execute(
        """INSERT INTO assets (id, pointer, kind, origin, name, stated_size_bytes, stated_width, stated_height,
                               conversation_id, message_id, stream_id)
           VALUES (?, ?, ?, ?, ?, nullif(?, 0), nullif(?, 0), nullif(?, 0), ?, ?, ?)
           ON CONFLICT (id) DO UPDATE SET
             pointer = iif(origin IS NULL, excluded.pointer, pointer),
             kind = iif(origin IS NULL, excluded.kind, kind),
             conversation_id = coalesce(iif(origin IS NULL, excluded.conversation_id, NULL), conversation_id),
             message_id = iif(origin IS NULL, excluded.message_id, message_id),
             stream_id = iif(origin IS NULL, excluded.stream_id, stream_id),
             origin = coalesce(origin, excluded.origin),
             name = coalesce(excluded.name, name),
             stated_size_bytes = coalesce(excluded.stated_size_bytes, stated_size_bytes),
             stated_width = coalesce(excluded.stated_width, stated_width),
             stated_height = coalesce(excluded.stated_height, stated_height)""",
        (
            asset.id,
            asset.pointer,
            asset.kind,
            asset.origin,
            asset.name,
            asset.size_bytes,
            asset.width,
            asset.height,
            message.conversation_id,
            message.id,
            message.stream_id,
        ),
    )
    settle(db, asset.id)
    db.execute(
        "INSERT OR IGNORE INTO message_assets (message_n, asset_id, role) VALUES (?, ?, ?)",
        (number, asset.id, asset.role),
    )


def _origin(db: sqlite3.Connection, message: Message) -> _Origin:
    """The nearest ancestors of an image's message that are a call to an image tool and a user's message."""
    origin, parent = _Origin(), message.parent_id
    for _ in range(_ANCESTORS):
        row = db.execute(
            "SELECT id, parent_id, role, recipient, text, created_at FROM messages"
            " WHERE conversation_id IS ? AND id = ?",
            (message.conversation_id, parent),
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


def _image(db: sqlite3.Connection, image: ImageGeneration, message: Message, origin: _Origin) -> None:
    place = (message.conversation_id, message.id, image.part_index)
    # IS, since a conversation without a name is NULL, which no UNIQUE constraint holds equal to itself.
    row = db.execute(
        "SELECT * FROM image_generations WHERE conversation_id IS ? AND message_id = ? AND part_index = ?", place
    ).fetchone()
    values = columns(image)
    if origin.call is not None:
        values["prompt"] = image.prompt or origin.call.prompt
        values["size"] = origin.call.size
        if image.transparent_background is None:
            values["transparent_background"] = origin.call.transparent_background
    values |= {
        "tool": message.author_name,
        "model_slug": message.model_slug,
        "request_message_id": origin.request_message_id,
        "prompt_message_id": origin.prompt_message_id,
        "requested_at": origin.requested_at,
        "created_at": timestamp(message.created_at),
        "completed_at": timestamp(message.completed_at) if image.status == "complete" else None,
        "stream_id": message.stream_id,
    }
    if row is None:
        usual = {"prompt_message_id": message.prompt_message_id, "created_at": timestamp(message.first_seen_at)}
        values |= {name: value for name, value in usual.items() if values[name] is None}
    elif row["status"] == "complete":
        # Another exchange may repeat it: it stays the work of the one that made it.
        values |= {"completed_at": row["completed_at"], "stream_id": row["stream_id"]}
        if image.status == "pending":
            values["status"] = "complete"  # a list showed it before its message did
    if image.asset_id is not None:
        db.execute("INSERT OR IGNORE INTO assets (id, pointer) VALUES (?, ?)", (image.asset_id, image.asset_pointer))
    if row is None:
        values |= dict(zip(_KEYS, place, strict=True))
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        db.execute(f"INSERT INTO image_generations ({names}) VALUES ({marks})", list(values.values()))
    else:
        updates = ", ".join(f"{name} = coalesce(?, {name})" for name in values)
        db.execute(f"UPDATE image_generations SET {updates} WHERE id = ?", [*values.values(), row["id"]])
    if image.asset_id is not None:
        _take_listed(db, image, place)


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


def _answer(db: sqlite3.Connection, message: Message) -> None:
    """A call that was not there, or could not be read, when its image came tells now what was asked for."""
    call = image_call(message.recipient, message.text) or ImageCall(None, None, None)
    db.execute(
        """UPDATE image_generations SET
             request_message_id = :id, requested_at = coalesce(requested_at, :at), prompt = coalesce(prompt, :prompt),
             size = coalesce(size, :size), transparent_background = coalesce(transparent_background, :transparent),
             prompt_message_id = coalesce(prompt_message_id, :asked_by)
           WHERE conversation_id IS :conversation AND coalesce(request_message_id, :id) = :id
             AND (request_message_id = :id OR message_id IN
                  (SELECT id FROM messages WHERE conversation_id IS :conversation AND parent_id = :id))""",
        {
            "id": message.id,
            "at": timestamp(message.created_at),
            "conversation": message.conversation_id,
            "prompt": call.prompt,
            "size": call.size,
            "transparent": call.transparent_background,
            "asked_by": _origin(db, message).prompt_message_id,
        },
    )

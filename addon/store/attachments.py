"""What belongs to a message -> rows: the files that it mentions, its sources, its images (`image_rows`)."""

import sqlite3
from collections.abc import Sequence

from addon.answers.images import TOOLS
from addon.records import Asset, Citation, Message
from addon.store.asset_rows import insert_asset, link_sandbox, merge_asset, settle_mentioned
from addon.store.image_rows import (
    answer_images,
    explain_listed,
    insert_images,
    is_shown,
    settle_images,
    show_images,
)
from addon.store.rows import timestamp


def attach(db: sqlite3.Connection, message: Message, number: int, *, counts: bool) -> None:
    """Write what an observation of a message brings with it; unless it `counts` the row knows better, and it fills.

    Every file that any observation mentions stays mentioned. What else the row says follows from all of them.
    """
    for asset in message.assets:
        merge_asset(db, asset)
        _mention(db, asset, number)
    if message.role != "user":
        link_sandbox(db, message.id, number)
    if message.citations and not message.live and (counts or not _is_cited(db, number)):
        db.execute("DELETE FROM citations WHERE message_n = ?", (number,))
        cite(db, number, message.citations)
    if message.images:
        show_images(db, message, number, counts=counts)
    settle_mentioned(db, number)
    _settle_of_tool(db, message, number)
    if message.recipient in TOOLS:
        answer_images(db, number)


def attach_new(db: sqlite3.Connection, message: Message, number: int, *, waited_for: bool = True) -> None:
    """The same for a message that was written just now: there is nothing from before, but sandbox files may wait."""
    unknown = [insert_asset(db, asset, message) for asset in message.assets]
    for asset, inserted in zip(message.assets, unknown, strict=True):
        if not inserted:
            merge_asset(db, asset)
        _mention(db, asset, number)
    if waited_for and message.role != "user":
        link_sandbox(db, message.id, number)
    if message.citations and not message.live:
        cite(db, number, message.citations)
    shown = message.role == "tool" and is_shown(db, message)
    if message.images and not shown:
        insert_images(db, message)
    elif message.images:
        show_images(db, message, number, counts=True)
    if not all(unknown):
        settle_mentioned(db, number)
    if shown:
        _settle_of_tool(db, message, number)
    if message.recipient in TOOLS:
        answer_images(db, number)


def _settle_of_tool(db: sqlite3.Connection, message: Message, number: int) -> None:
    if message.role == "tool":
        settle_images(db, number)
        explain_listed(db, message.conversation_id, message.id)


def brings(message: Message) -> bool:
    """Whether `attach` has anything to write for a message, but the sandbox files that wait for it."""
    return bool(
        message.assets or message.citations or message.images or message.role == "tool" or message.recipient in TOOLS
    )


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


def _is_cited(db: sqlite3.Connection, number: int) -> bool:
    return db.execute("SELECT 1 FROM citations WHERE message_n = ?", (number,)).fetchone() is not None


def _mention(db: sqlite3.Connection, asset: Asset, number: int) -> None:
    db.execute(
        "INSERT OR IGNORE INTO message_assets (message_n, asset_id, role) VALUES (?, ?, ?)",
        (number, asset.id, asset.role),
    )

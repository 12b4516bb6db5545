"""What belongs to a message -> rows: the files that it mentions, its sources, its images (`image_rows`)."""

import sqlite3
from collections.abc import Sequence

from addon.answers.images import TOOLS
from addon.records import Asset, Citation, Message
from addon.store.asset_rows import link_sandbox, merge_asset, settle_mentioned
from addon.store.image_rows import answer_images, explain_listed, settle_images, show_images
from addon.store.rows import timestamp


def attach(db: sqlite3.Connection, message: Message, number: int, *, counts: bool, known: bool = True) -> None:
    """Write what an observation of a message brings with it; unless it `counts` the row knows better, and it fills.

    Every file that any observation mentions stays mentioned. What else the row says follows from all of them. Of a
    message that is not `known` yet there is nothing from before.
    """
    for asset in message.assets:
        _asset(db, asset, number)
    if message.role != "user":
        link_sandbox(db, message.id, number)
    if message.citations and not message.live and (counts or not _is_cited(db, number)):
        db.execute("DELETE FROM citations WHERE message_n = ?", (number,))
        cite(db, number, message.citations)
    if message.images:
        show_images(db, message, number, counts=counts)
    if known or message.assets:
        settle_mentioned(db, number)
    if message.role == "tool":
        settle_images(db, number)
        explain_listed(db, message.conversation_id, message.id)
    if message.recipient in TOOLS:
        answer_images(db, number)


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


def _asset(db: sqlite3.Connection, asset: Asset, number: int) -> None:
    merge_asset(db, asset)
    db.execute(
        "INSERT OR IGNORE INTO message_assets (message_n, asset_id, role) VALUES (?, ?, ?)",
        (number, asset.id, asset.role),
    )

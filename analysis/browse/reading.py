"""What a thread shows of its messages, put together: with the exchange that brought each, and the files it mentions."""

import sqlite3
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from analysis.queries import exchanges, threads
from analysis.rendering import Media

type Row = dict[str, Any]


def messages(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, Row]:
    """Messages by `n`, each with what is known of the exchange that brought it (`stream_...`)."""
    found = [message._asdict() for message in threads.messages(db, numbers)]
    known = exchanges.exchanges(db, {row["stream_id"] for row in found if row["stream_id"]})
    for row in found:
        brought = known.get(row["stream_id"])
        row |= {
            "stream_kind": brought and brought.kind,
            "stream_state": brought and brought.state,
            "stream_started_at": brought and brought.started_at,
            "stream_model": brought and brought.requested_model,
            "stream_status": brought and brought.status_code,
            "stream_error": brought and brought.error,
        }
    return {row["n"]: row for row in found}


def media(db: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, dict[str, Media]]:
    """The files that messages mention, by id; images with the prompt they were made from."""
    found: dict[int, dict[str, Media]] = {}
    for number, mentions in threads.mentioned(db, numbers).items():
        found[number] = {mention.asset_id: _media(mention) for mention in mentions}
    return found


def _media(mention: threads.Mention) -> Media:
    return Media(
        kind=mention.kind or "file",
        address=f"/-/archive/file/{PurePath(mention.path).stem}" if mention.path else None,
        page=f"/-/archive/images/{mention.image_id}" if mention.image_id else None,
        name=mention.name or "",
        prompt=mention.prompt or "",
        width=mention.width,
        height=mention.height,
        size_bytes=mention.size_bytes,
    )

"""Questions with their answers, and how long they took."""

import sqlite3
from typing import NamedTuple


class Turn(NamedTuple):
    """A row of `turns`. Seconds are counted from the request; None where nobody saw the answer stream."""

    stream_id: str
    conversation_id: str | None
    title: str | None
    state: str
    started_at: str | None
    requested_model: str | None
    model_slug: str | None
    prompt_message_id: str | None
    prompt: str | None
    answer_message_id: str | None
    answer: str | None
    answer_status: str | None
    reasoning_seconds: float | None
    seconds_to_first_token: float | None
    seconds: float | None
    characters: int | None
    characters_per_second: float | None


def turns(db: sqlite3.Connection, limit: int = 100) -> list[Turn]:
    """The latest turns, the oldest of them first."""
    query = "SELECT * FROM (SELECT * FROM turns ORDER BY started_at DESC LIMIT ?) ORDER BY started_at"
    return [Turn(*row) for row in db.execute(query, [limit])]

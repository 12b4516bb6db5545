"""The conversations of an export, and what tells one state of one of them from another."""

import sqlite3
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from analysis.errors import Unanswerable
from analysis.queries.archive import identify
from analysis.queries.conversations import ConversationFilter, identities, stored_conversation, titles
from analysis.queries.threads import mentioned_in, stored_messages


class Talk(NamedTuple):
    """A conversation by its id."""

    id: str
    title: str | None


def talks(db: sqlite3.Connection, beginnings: Sequence[str] = (), only: ConversationFilter | None = None) -> list[Talk]:
    """Those whose ids begin so; without any, all that `only` lets through, in the order first seen.

    Raises `Unanswerable` where there is none.
    """
    if beginnings:
        return list(dict.fromkeys(_named(db, beginning) for beginning in beginnings))
    found = [Talk(identity, title) for identity, title in titles(db)]
    if only is None or only == ConversationFilter():
        return found
    fitting = set(identities(db, only))
    if not fitting:
        raise Unanswerable("no conversation is as you say; `list` with the same options shows which are")
    return [talk for talk in found if talk.id in fitting]


def about(db: sqlite3.Connection, talk: Talk) -> sqlite3.Row:
    """The row of the conversation. Raises `Unanswerable` where it was deleted meanwhile."""
    row = stored_conversation(db, talk.id)
    if row is None:
        raise Unanswerable(f"{talk.id}: this conversation was deleted meanwhile")
    return row


def fingerprint(db: sqlite3.Connection, talk: Talk, manner: str) -> str:
    """What tells this state of a conversation, written in this manner, from every other."""
    digest = blake2b(repr((manner, tuple(about(db, talk)))).encode("utf-8", "surrogatepass"), digest_size=16)
    for row in stored_messages(db, talk.id):
        digest.update(repr(tuple(row)).encode("utf-8", "surrogatepass"))
    for number, mentions in mentioned_in(db, talk.id).items():
        for file in mentions:
            digest.update(repr((number, file.asset_id, file.path, file.name)).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _named(db: sqlite3.Connection, beginning: str) -> Talk:
    row = stored_conversation(db, identify(db, "conversations", beginning))
    return Talk(row["id"], row["title"]) if row is not None else Talk(beginning, None)

"""One conversation as a thread: the messages of one branch, what stands beside them, and what is told under each.

A window of a long conversation is shown, never all of it: only the texts of the messages in it are read.
"""

import sqlite3
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from analysis.browse import times
from analysis.browse.items import Group, Item, conversation_address, grouped, items_of
from analysis.browse.site import Asked, Problem
from analysis.queries import live as growing
from analysis.queries import threads
from analysis.queries.conversations import UNTITLED, in_short, stored_conversation
from analysis.rendering import document, without_marks
from analysis.tree import Step, Tree

WINDOW = 150
"""How many messages a page shows."""

_OUTLINE = 80


def thread_page(db: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """The page of one conversation."""
    identity = asked.parts["conversation"]
    talk = stored_conversation(db, identity)
    if talk is None:
        raise Problem(
            404, "No such conversation", "It is not in this archive: it was never captured, or was deleted from it."
        )
    tree = threads.tree(db, identity)
    at = asked.get("at")
    if at and at not in tree:
        raise Problem(404, "No such message", "The conversation is in this archive, the message is not in it.")
    leaf = _leaf(tree, talk, at)
    steps = tree.branch(leaf) if leaf else []
    first, last = _window(steps, at, asked.get("page"))
    items = items_of(db, identity, steps[first:last], asked.render)
    address = conversation_address
    return {
        "section": "home",
        "talk": talk,
        "title": talk["title"] or UNTITLED,
        "facts": _conversation_facts(talk, in_short(db, [identity])[identity].messages),
        "groups": grouped(items),
        "at": next((item.key for item in items if item.row["id"] == at), ""),
        "outline": _outline(items),
        "documents": _documents(db, identity) if last == len(steps) else [],
        "earlier": address(identity, leaf, page=str((first - 1) // WINDOW)) if first > 0 else None,
        "earlier_count": first,
        "later": address(identity, leaf, page=str(last // WINDOW)) if last < len(steps) else None,
        "later_count": len(steps) - last,
        "live_address": f"/-/archive/c/{quote(identity, safe='')}/news?leaf={quote(leaf or '', safe='')}"
        if last == len(steps)
        else "",
        "seen": _seen(items, talk),
        "live": any(item.row["live"] for item in items),
        "words": asked.get("q"),
    }


def news(db: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """What was written on the shown branch since the page last looked: whole messages, in order, for their places."""
    identity, leaf, seen = asked.parts["conversation"], asked.get("leaf"), asked.get("seen", 40)
    talk = stored_conversation(db, identity)
    if talk is None:
        raise Problem(404, "No such conversation", "")
    newest = growing.last_written(db, identity)
    if newest <= seen and not growing.is_growing(db, identity):
        return {"groups": [], "data": {"seen": seen, "live": False, "title": talk["title"]}}
    tree = threads.tree(db, identity)
    end = tree.leaf(leaf) if leaf in tree else _leaf(tree, talk, "")
    steps = tree.branch(end)[-WINDOW:] if end else []
    changed = growing.changed_since(db, [step.n for step in steps], seen)
    items = items_of(db, identity, [step for step in steps if step.n in changed], asked.render)
    live = any(item.row["live"] for item in items)
    return {
        "groups": [Group([item]) for item in items],
        "talk": talk,
        "data": {"seen": max(newest, seen), "live": live, "title": talk["title"], "leaf": end},
    }


def _leaf(tree: Tree, talk: sqlite3.Row, at: str) -> str | None:
    """The end of the branch to show: through the message asked for, else through the conversation's current one."""
    for identity in (at, talk["current_node"], tree.newest()):
        if identity and identity in tree:
            return tree.leaf(identity)
    return None


def _window(steps: list[Step], at: str, page: str) -> tuple[int, int]:
    """Which steps are shown: of a page by its number, around a message, else the last; the last page is full too."""
    last_page = max(0, (len(steps) - 1) // WINDOW)
    number = last_page
    if page.isascii() and page.isdigit() and len(page) < 6:
        number = min(int(page), last_page)
    elif at:
        number = next((place // WINDOW for place, step in enumerate(steps) if step.id == at), last_page)
    if number == last_page:
        return max(0, len(steps) - WINDOW), len(steps)
    return number * WINDOW, (number + 1) * WINDOW


def _outline(items: list[Item]) -> list[tuple[str, str]]:
    """The questions, to jump to."""
    return [
        (item.key, " ".join(without_marks(item.row["text"] or "").split())[:_OUTLINE] or "Image or file")
        for item in items
        if item.role == "person"
    ]


def _documents(db: sqlite3.Connection, identity: str) -> list[tuple[str, str, Markup]]:
    """The canvas documents that the page loaded beside the conversation, as they were last: title, versions, page."""
    return [
        (
            found.title or "Document",
            f"{found.versions} versions" if found.versions > 1 else "",
            document(found.title or "Document", found.textdoc_type or "document", found.content or ""),
        )
        for found in threads.documents(db, identity)
    ]


def _conversation_facts(talk: sqlite3.Row, count: int) -> list[str]:
    facts = [times.full(talk["created_at"] or talk["first_seen_at"]), f"{count:,} message{'s' if count != 1 else ''}"]
    flags = {"is_temporary": "temporary chat", "is_archived": "archived", "is_starred": "starred"}
    facts += [word for column, word in flags.items() if talk[column]]
    if talk["gizmo_id"]:
        facts.append(f"GPT {talk['gizmo_id']}")
    return [fact for fact in facts if fact]


def _seen(items: list[Item], talk: sqlite3.Row) -> str:
    return max((item.row["last_seen_at"] or "" for item in items), default=talk["last_seen_at"] or "")

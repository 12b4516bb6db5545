"""One conversation as a thread: the messages of one branch, what stands beside them, and what is told under each.

A window of a long conversation is shown, never all of it: only the texts of the messages in it are read.
"""

import sqlite3
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from analysis.browse import reading, times
from analysis.browse.site import Asked, Problem, Render
from analysis.rendering import Rendered, duration, source_cards, without_marks
from analysis.tree import Step, Tree

WINDOW = 200
"""How many messages a page shows."""

_OUTLINE = 80
_ANSWERING = frozenset({"turn", "resume", "topic"})


@dataclass(frozen=True, slots=True)
class Item:
    """One message as its place in the thread shows it."""

    row: sqlite3.Row
    html: Markup
    summary: str
    folded: bool
    clipped: bool
    role: str  # person, model, behind
    branch: "Branch | None" = None
    gap: bool = False
    notes: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    sources: str = ""
    source_count: int = 0
    versions: int = 0

    @property
    def key(self) -> str:
        """Of the element of the message."""
        return f"m-{self.row['n']}"


@dataclass(frozen=True, slots=True)
class Branch:
    """Where a message stands among those in its place, and where the others are."""

    position: int
    total: int
    before: str | None
    after: str | None
    word: str


@dataclass(frozen=True, slots=True)
class Group:
    """What the page shows as one: a message, or steps behind an answer as one line."""

    items: list[Item] = field(default_factory=list)

    @property
    def folded(self) -> bool:
        return self.items[0].role == "behind"

    @property
    def summary(self) -> str:
        words = [item.summary.partition(":")[0] for item in self.items]
        return " \u00b7 ".join(dict.fromkeys(words))[:160]


def conversation_address(conversation_id: str, at: str | None = None, **query: str) -> str:
    """Where a conversation, or a message in it, is read."""
    fields = {**({"at": at} if at else {}), **{key: value for key, value in query.items() if value}}
    asked = "&".join(f"{key}={quote(value, safe='')}" for key, value in fields.items())
    return f"/-/archive/c/{quote(conversation_id, safe='')}" + (f"?{asked}" if asked else "")


def thread_page(db: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """The page of one conversation."""
    identity = asked.parts["conversation"]
    talk = reading.conversation(db, identity)
    if talk is None:
        raise Problem(
            404, "No such conversation", "It is not in this archive: it was never captured, or was deleted from it."
        )
    tree = Tree(reading.nodes(db, identity))
    at = asked.get("at")
    if at and at not in tree:
        raise Problem(404, "No such message", "The conversation is in this archive, the message is not in it.")
    leaf = _leaf(tree, talk, at)
    steps = tree.branch(leaf) if leaf else []
    first, last = _window(steps, at, asked.get("page"))
    items = _items(db, identity, steps[first:last], asked.render)
    address = conversation_address
    return {
        "section": "home",
        "talk": talk,
        "title": talk["title"] or "Untitled conversation",
        "facts": _conversation_facts(talk, len(tree)),
        "groups": _groups(items),
        "at": next((item.key for item in items if item.row["id"] == at), ""),
        "outline": _outline(items),
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
    talk = reading.conversation(db, identity)
    if talk is None:
        raise Problem(404, "No such conversation", "")
    newest = _last_written(db, identity)
    if newest <= seen and not _is_live(db, identity):
        return {"groups": [], "data": {"seen": seen, "live": False, "title": talk["title"]}}
    tree = Tree(reading.nodes(db, identity))
    end = tree.leaf(leaf) if leaf in tree else _leaf(tree, talk, "")
    steps = tree.branch(end)[-WINDOW:] if end else []
    changed = _changed(db, steps, seen)
    items = _items(db, identity, [step for step in steps if step.n in changed], asked.render)
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
    """Which steps are shown: of a page by its number, around a message, else the last."""
    last_page = max(0, (len(steps) - 1) // WINDOW)
    number = last_page
    if page.isascii() and page.isdigit() and len(page) < 6:
        number = min(int(page), last_page)
    elif at:
        number = next((place // WINDOW for place, step in enumerate(steps) if step.id == at), last_page)
    return number * WINDOW, min(len(steps), (number + 1) * WINDOW)


def _items(db: sqlite3.Connection, identity: str, steps: list[Step], render: Render) -> list[Item]:
    numbers = [step.n for step in steps]
    rows, files = reading.messages(db, numbers), reading.media(db, numbers)
    cited, versions = reading.citations(db, numbers), reading.versions(db, numbers)
    items: list[Item] = []
    carried: Branch | None = None
    gap = False
    for step in steps:
        row = rows[step.n]
        branch, gap = _branch(identity, step, row) or carried, gap or step.gap
        said = render(row, files.get(step.n, {}))
        if _says_nothing(row, said):
            carried = branch  # its place in the tree is shown on the next message
            continue
        item = _item(row, said, cited.get(step.n, []))
        items.append(replace(item, branch=branch, gap=gap, versions=versions.get(step.n, 0)))
        carried, gap = None, False
    return items


def _says_nothing(row: sqlite3.Row, said: Rendered) -> bool:
    return not (row["text"] or "").strip() and not row["live"] and (not said.html or not row["visible"])


def _item(row: sqlite3.Row, said: Rendered, cited: list[sqlite3.Row]) -> Item:
    behind = said.folded or (row["role"] not in ("user", "assistant") and row["content_type"] != "multimodal_text")
    role = "behind" if behind else "person" if row["role"] == "user" else "model"
    cards = source_cards(cited) if role == "model" else Markup("")
    return Item(
        row=row,
        html=said.html,
        summary=said.summary,
        folded=said.folded,
        clipped=said.clipped,
        role=role,
        notes=_notes(row),
        facts=_facts(row) if role == "model" and _is_answer(row) else (),
        sources=cards,
        source_count=cards.count("<li>"),
    )


def _branch(identity: str, step: Step, row: sqlite3.Row) -> Branch | None:
    if len(step.siblings) < 2:
        return None
    place = step.siblings.index(step.id)

    def link(other: int) -> str | None:
        return conversation_address(identity, step.siblings[other]) if 0 <= other < len(step.siblings) else None

    word = "Edited prompt" if row["role"] == "user" else "Other answer"
    return Branch(place + 1, len(step.siblings), link(place - 1) if place else None, link(place + 1), word)


def _notes(row: sqlite3.Row) -> tuple[str, ...]:
    """What a reader must know of a message that is not whole."""
    notes = []
    if row["role"] == "assistant" and not row["live"]:
        if row["finish_type"] in ("max_tokens", "length"):
            notes.append("Cut off at the model's limit")
        elif row["finish_type"] in ("interrupted", "stopped") or row["status"] in ("interrupted", "stopped"):
            notes.append("Stopped")
        elif row["status"] == "finished_partial_completion":
            notes.append("Only part of the answer")
        elif row["status"] == "in_progress":
            notes.append("Not finished: stopped, or the connection was lost")
    if row["damaged"]:
        notes.append("Part of the stream was lost: the text may have a hole")
    return tuple(notes)


def _is_answer(row: sqlite3.Row) -> bool:
    """Whether a message is what was answered, not a word on the way to it."""
    return bool(
        row["role"] == "assistant" and row["channel"] != "commentary" and row["content_type"] != "reasoning_recap"
    )


def _facts(row: sqlite3.Row) -> tuple[tuple[str, str], ...]:
    """Model, times and length, under an answer."""
    facts = []
    served, asked = row["model_slug"], row["requested_model"] or row["stream_requested_model"]
    if served:
        facts.append((served, "Model that answered"))
    if asked and asked != served:
        facts.append((f"asked for {asked}", "Model that was asked for"))
    if row["stream_kind"] in _ANSWERING:
        first = times.seconds_between(row["stream_started_at"], row["first_token_at"])
        whole = times.seconds_between(row["stream_started_at"], row["completed_at"])
        if first is not None:
            facts.append((f"first token {duration(first)}", "From sending to the first token"))
        if whole is not None:
            facts.append((f"done {duration(whole)}", "From sending to the end of the answer"))
    at = times.full(row["created_at"] or row["first_seen_at"])
    if at:
        facts.append((times.clock(row["created_at"] or row["first_seen_at"]), at))
    return tuple(facts)


def _groups(items: list[Item]) -> list[Group]:
    """Steps behind an answer that follow one another are one group."""
    groups: list[Group] = []
    for item in items:
        goes_on = groups and groups[-1].folded and item.role == "behind" and not item.branch and not item.gap
        if not goes_on:
            groups.append(Group())
        groups[-1].items.append(item)
    return groups


def _outline(items: list[Item]) -> list[tuple[str, str]]:
    """The questions, to jump to."""
    return [
        (item.key, " ".join(without_marks(item.row["text"] or "").split())[:_OUTLINE] or "Image or file")
        for item in items
        if item.role == "person"
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


def _last_written(db: sqlite3.Connection, identity: str) -> str:
    query = "SELECT max(last_seen_at) FROM messages WHERE conversation_id = ?"
    return str(db.execute(query, (identity,)).fetchone()[0] or "")


def _is_live(db: sqlite3.Connection, identity: str) -> bool:
    query = "SELECT 1 FROM messages WHERE conversation_id = ? AND live = 1 LIMIT 1"
    return db.execute(query, (identity,)).fetchone() is not None


def _changed(db: sqlite3.Connection, steps: list[Step], seen: str) -> set[int]:
    rows = reading.last_seen(db, [step.n for step in steps])
    return {n for n, (at, live) in rows.items() if live or (at or "") > seen}

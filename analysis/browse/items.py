"""Messages as a thread shows them: in what role, what stands beside each, and what is told under it."""

import sqlite3
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from analysis.browse import reading, times
from analysis.browse.reading import Row
from analysis.browse.site import Render
from analysis.queries import threads
from analysis.rendering import Rendered, duration, source_cards
from analysis.tree import Step

_ANSWERING = frozenset({"turn", "resume", "topic"})
_FAILED = frozenset({"error", "interrupted"})
_RECAP = "reasoning_recap"


def conversation_address(conversation_id: str, at: str | None = None, **query: str) -> str:
    """Where a conversation, or a message in it, is read."""
    fields = {**({"at": at} if at else {}), **{key: value for key, value in query.items() if value}}
    asked = "&".join(f"{key}={quote(value, safe='')}" for key, value in fields.items())
    return f"/-/archive/c/{quote(conversation_id, safe='')}" + (f"?{asked}" if asked else "")


@dataclass(frozen=True, slots=True)
class Branch:
    """Where a message stands among those in its place, and where the others are."""

    position: int
    total: int
    before: str | None
    after: str | None
    word: str


@dataclass(frozen=True, slots=True)
class Item:
    """One message as its place in the thread shows it."""

    row: Row
    html: Markup
    summary: str
    folded: bool
    clipped: bool
    role: str  # person, model, behind
    branch: Branch | None = None
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

    @property
    def recap(self) -> bool:
        """Whether it only says how long the model thought."""
        return bool(self.row["content_type"] == _RECAP)


@dataclass(frozen=True, slots=True)
class Group:
    """What the page shows as one: a message, or steps behind an answer as one line."""

    items: list[Item] = field(default_factory=list)

    @property
    def folded(self) -> bool:
        return self.items[0].role == "behind"

    @property
    def steps(self) -> list[Item]:
        """What was done; how long it took is no step."""
        return [item for item in self.items if not item.recap]

    @property
    def lead(self) -> str:
        """How long the model thought where it says so, else how many steps there are."""
        said = next((item.summary for item in reversed(self.items) if item.recap), "")
        return said or f"{len(self.steps)} steps"

    @property
    def summary(self) -> str:
        """The steps in a few words each: what was thought of, what was done."""
        words = []
        for item in self.steps:
            done, _, what = item.summary.partition(": ")
            words.append(what if what and item.row["content_type"] == "thoughts" else done)
        return " \u00b7 ".join(dict.fromkeys(words))[:160]


def items_of(db: sqlite3.Connection, identity: str, steps: list[Step], render: Render) -> list[Item]:
    """The messages of some steps of a branch that say something, in order."""
    numbers = [step.n for step in steps]
    rows, files = reading.messages(db, numbers), reading.media(db, numbers)
    cited, versions = threads.cited(db, numbers), threads.versions(db, numbers)
    failed = [row["id"] for row in rows.values() if row["role"] == "user" and row["stream_state"] in _FAILED]
    alone = threads.unanswered(db, identity, failed)
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
        notes = (*_notes(row), _why_unanswered(row)) if step.id in alone else _notes(row)
        place = {"branch": branch, "gap": gap, "versions": versions.get(step.n, 0), "notes": notes}
        items.append(_item(row, said, cited.get(step.n, []), **place))
        carried, gap = None, False
    return items


def _says_nothing(row: Row, said: Rendered) -> bool:
    return not (row["text"] or "").strip() and not row["live"] and (not said.html or not row["visible"])


def _item(row: Row, said: Rendered, cited: list[threads.Source], **place: Any) -> Item:
    behind = said.folded or (row["role"] not in ("user", "assistant") and row["content_type"] != "multimodal_text")
    role = "behind" if behind else "person" if row["role"] == "user" else "model"
    cards = source_cards([source._asdict() for source in cited]) if role == "model" else Markup("")
    return Item(
        row=row,
        html=said.html,
        summary=said.summary,
        folded=said.folded,
        clipped=said.clipped,
        role=role,
        facts=_facts(row) if role == "model" and _is_answer(row) else (),
        sources=cards,
        source_count=cards.count("<li>"),
        **place,
    )


def _branch(identity: str, step: Step, row: Row) -> Branch | None:
    if len(step.siblings) < 2:
        return None
    place = step.siblings.index(step.id)

    def link(other: int) -> str | None:
        return conversation_address(identity, step.siblings[other]) if 0 <= other < len(step.siblings) else None

    word = "Edited prompt" if row["role"] == "user" else "Other answer"
    return Branch(place + 1, len(step.siblings), link(place - 1) if place else None, link(place + 1), word)


def _notes(row: Row) -> tuple[str, ...]:
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


def _why_unanswered(row: Row) -> str:
    """What became of the exchange in which a question was sent that nothing answers."""
    status, error = row["stream_status"] or 0, row["stream_error"] or "the exchange broke off"
    if status >= 400:
        phrase = HTTPStatus(status).phrase if status in HTTPStatus else ""
        error = f"the service said {status} {phrase}".rstrip()
    return f"No answer: {error}"


def _is_answer(row: Row) -> bool:
    """Whether a message is what was answered, not a word on the way to it."""
    return bool(row["role"] == "assistant" and row["channel"] != "commentary" and row["content_type"] != _RECAP)


def _facts(row: Row) -> tuple[tuple[str, str], ...]:
    """Model, times and length, under an answer."""
    facts = []
    served, asked = row["model_slug"], row["requested_model"] or row["stream_model"]
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


def grouped(items: list[Item]) -> list[Group]:
    """Steps behind an answer that follow one another are one group."""
    groups: list[Group] = []
    for item in items:
        goes_on = groups and groups[-1].folded and item.role == "behind" and not item.branch and not item.gap
        if not goes_on:
            groups.append(Group())
        groups[-1].items.append(item)
    return groups

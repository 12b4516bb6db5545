"""A conversation as it reads: the branch that is shown, on request all others, and what in it is meant for a reader."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from analysis.exports.talks import Talk
from analysis.queries.threads import Mention, branch, mentioned_in, stored_message, tree
from analysis.shown_files import shown_files
from analysis.tree import Step, Tree

_BEHIND = frozenset(
    {
        "thoughts", "reasoning_recap", "code", "execution_output", "tether_quote", "tether_browsing_display",
        "tether_browsing_code", "sonic_webpage", "user_editable_context", "model_editable_context",
        "app_pairing_content", "computer_output",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """A message in its place: its row, the assets it shows, whether it is what was said or happened behind it.

    `branch` on the first message of a branch beside the one that is shown; `gap` where something was not captured.
    """

    row: sqlite3.Row
    assets: tuple[Mention, ...]
    behind: bool
    branch: bool = False
    gap: bool = False


def thread(db: sqlite3.Connection, talk: Talk, *, branches: bool = False) -> Iterator[Said]:
    """The messages of the branch that is shown, one at a time; then of each other branch what it does not share."""
    known, leaf = _tree(db, talk)
    mentioned = mentioned_in(db, talk.id)
    for number, steps in enumerate(_branches(known, leaf) if branches else [known.branch(leaf)] if leaf else []):
        yield from _said(db, steps, mentioned, beside=number > 0)


def paths(db: sqlite3.Connection, talk: Talk, *, branches: bool = False) -> Iterator[Iterator[Said]]:
    """The branch that is shown; then each other one, all of it from the first message on."""
    known, leaf = _tree(db, talk)
    mentioned = mentioned_in(db, talk.id)
    others = [end for end in known if end != leaf and known.leaf(end) == end] if branches else []
    for end in [leaf, *others] if leaf else []:
        yield _said(db, known.branch(end), mentioned)


def _tree(db: sqlite3.Connection, talk: Talk) -> tuple[Tree, str]:
    """The tree, and the end of the branch that is shown; "" where there is no message."""
    shown = branch(db, talk.id)
    return tree(db, talk.id), shown[-1].id if shown else ""


def _said(
    db: sqlite3.Connection, steps: list[Step], mentioned: Mapping[int, list[Mention]], *, beside: bool = False
) -> Iterator[Said]:
    for number, step in enumerate(steps):
        row = stored_message(db, step.n)
        assets = _shown(row, mentioned.get(step.n, ()))
        yield Said(row, assets, _is_behind(row, assets), branch=beside and not number, gap=step.gap)


def _branches(known: Tree, leaf: str) -> Iterator[list[Step]]:
    """Every message once: the branch to `leaf`, then each branch from where it leaves those before."""
    shown: set[str] = set()
    for start in [leaf, *known] if leaf else []:
        if start not in shown:
            steps = [step for step in known.branch(known.leaf(start)) if step.id not in shown]
            shown.update(step.id for step in steps)
            yield steps


def _shown(row: sqlite3.Row, assets: Sequence[Mention]) -> tuple[Mention, ...]:
    shown = shown_files(row["content"], row["metadata"], [asset.asset_id for asset in assets]) if assets else ()
    return tuple(asset for asset in assets if asset.asset_id in shown)


def _is_behind(row: sqlite3.Row, assets: tuple[Mention, ...]) -> bool:
    """Whether a message is no word of either: what the page hides, thoughts, calls of tools and their answers."""
    if not row["visible"]:
        return True
    return not assets and (row["role"] not in ("user", "assistant") or row["content_type"] in _BEHIND)

"""A conversation as it reads: the branch that is shown, on request all others, and what in it is meant for a reader."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from analysis.exports.talks import Talk, about, files, message, nodes
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
    """A message in its place: its row, the assets it mentions, whether it is what was said or happened behind it.

    `branch` on the first message of a branch beside the one that is shown; `gap` where something was not captured.
    """

    row: sqlite3.Row
    assets: tuple[sqlite3.Row, ...]
    behind: bool
    branch: bool = False
    gap: bool = False


def thread(db: sqlite3.Connection, talk: Talk, *, branches: bool = False) -> Iterator[Said]:
    """The messages of the branch that is shown, one at a time; then of each other branch what it does not share."""
    tree = Tree(nodes(db, talk))
    mentioned = _by_message(files(db, talk))
    current = about(db, talk)["current_node"]
    leaf = tree.leaf(current) if current in tree else tree.leaf(tree.newest() or "")
    for branch, steps in enumerate(_branches(tree, leaf) if branches else [tree.branch(leaf)] if len(tree) else []):
        for number, step in enumerate(steps):
            row, assets = message(db, step.n), mentioned.get(step.n, ())
            yield Said(row, assets, _is_behind(row, assets), branch=bool(branch) and not number, gap=step.gap)


def _branches(tree: Tree, leaf: str) -> Iterator[list[Step]]:
    """Every message once: the branch to `leaf`, then each branch from where it leaves those before."""
    shown: set[str] = set()
    for start in [leaf, *tree]:
        if start not in shown and start in tree:
            steps = [step for step in tree.branch(tree.leaf(start)) if step.id not in shown]
            shown.update(step.id for step in steps)
            yield steps


def _by_message(assets: list[sqlite3.Row]) -> Mapping[int, tuple[sqlite3.Row, ...]]:
    found: dict[int, tuple[sqlite3.Row, ...]] = defaultdict(tuple)
    for asset in assets:
        found[asset["message_n"]] += (asset,)
    return found


def _is_behind(row: sqlite3.Row, assets: tuple[sqlite3.Row, ...]) -> bool:
    """Whether a message is no word of either: what the page hides, thoughts, calls of tools and their answers."""
    if not row["visible"]:
        return True
    return not assets and (row["role"] not in ("user", "assistant") or row["content_type"] in _BEHIND)

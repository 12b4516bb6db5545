"""JSON Lines in the common chat format: a line for each conversation, `{"messages": [{"role", "content"}, …]}`.

What trains or evaluates models reads it. `id` and `title` stand beside the messages; what one side says in several
messages is one.
"""

import sqlite3
from collections.abc import Iterable, Iterator

from addon.wire.payload import dumps
from analysis.exports.runs import Joined
from analysis.exports.talks import Talk
from analysis.exports.thread import Said, paths
from analysis.rendering import without_marks

NAME = "conversations.jsonl"


class ChatExport:
    """Writes conversations; `branches` a line for each way through the tree, `tools` also calls and their answers."""

    def __init__(self, *, branches: bool = False, tools: bool = False) -> None:
        self._branches = branches
        self._tools = tools
        self.shape = Joined(NAME, b"", b"", b"", f"branches={branches} tools={tools}")

    def conversation(self, db: sqlite3.Connection, talk: Talk) -> Iterator[bytes]:
        """Its lines; none where nothing is said."""
        for path in paths(db, talk, branches=self._branches):
            messages = _turns(said for said in path if self._tools or not said.behind)
            if messages:
                line = {"id": talk.id, "title": talk.title, "messages": messages}
                yield f"{dumps(line)}\n".encode()


def _turns(path: Iterable[Said]) -> list[dict[str, str]]:
    turns: list[dict[str, str]] = []
    for said in path:
        role, text = (
            _role(said),
            without_marks("\n".join(filter(None, (said.row["text"], said.row["transcript"])))).strip(),
        )
        if not text:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += f"\n\n{text}"
        else:
            turns.append({"role": role, "content": text})
    return turns


def _role(said: Said) -> str:
    """An image tool's message that is shown is part of the answer."""
    role = said.row["role"] or "assistant"
    return "assistant" if role == "tool" and not said.behind else str(role)

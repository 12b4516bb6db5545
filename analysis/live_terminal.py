"""Messages as they grow, one after the other: what is shown is only added to, so it can also go into a pipe.

Where several grow at once the first is shown, and the others after it, with all they said meanwhile.
"""

import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Protocol

from rich.console import Console
from rich.text import Text

from analysis.formats import Form, RowsAsTheyCome
from analysis.queries.live import (
    GrowingMessage,
    growing_messages,
    latest_write,
    message_now,
    messages_after,
    newest_message,
)
from analysis.terminal import clean, one_line

_BEHIND = frozenset({"thoughts", "reasoning_recap", "code", "execution_output"})


class Show(Protocol):
    """What is told of each message: first that it began, then how it is now, in the end that it is finished."""

    def began(self, row: GrowingMessage) -> None: ...

    def grew(self, row: GrowingMessage) -> None: ...

    def finished(self, row: GrowingMessage) -> None: ...

    def end(self) -> None: ...


class LiveText:
    """For people: who speaks, and the text as it appears."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._shown = ""
        self._conversation: str | None = None

    def began(self, row: GrowingMessage) -> None:
        """Say who speaks, and in which conversation if it is another one."""
        if row.conversation_id != self._conversation:
            self._conversation = row.conversation_id
            self._out.print(Text.assemble("\n", (one_line(row.conversation_title) or "A new conversation", "bold")))
        name, style = {"user": ("You", "bold cyan"), "assistant": ("ChatGPT", "bold green")}.get(
            row.role or "", (one_line(row.author_name or row.role), "bold yellow")
        )
        model = one_line(row.model_slug) if row.role == "assistant" else ""
        self._out.print(Text.assemble("\n", (name, style), (f"  {model}" if model else "", "dim")))
        self._shown = ""

    def grew(self, row: GrowingMessage) -> None:
        """Add what is new; a text that became another one is shown again."""
        text = clean("\n".join(filter(None, (row.text, row.transcript)))).rstrip("\ufffd")
        if not text.startswith(self._shown):
            self._out.print(Text("\n… changed to:", "dim"))
            self._shown = ""
        self._out.print(Text(text[len(self._shown) :]), end="")
        self._out.file.flush()
        self._shown = text

    def finished(self, row: GrowingMessage) -> None:
        """End the line."""
        self.grew(row)
        self._out.print(Text("" if row.status != "in_progress" else "  (stopped)", "dim"))
        self._out.file.flush()

    def end(self) -> None:
        """Leave the terminal at the beginning of a line."""
        self._out.print()


class LiveRows:
    """For programs: a row for each message that is finished."""

    def __init__(self, form: Form) -> None:
        self._rows = RowsAsTheyCome(form, GrowingMessage._fields)

    def began(self, row: GrowingMessage) -> None:
        """Nothing yet."""

    def grew(self, row: GrowingMessage) -> None:
        """Nothing yet."""

    def finished(self, row: GrowingMessage) -> None:
        """Write it."""
        self._rows.add(row)

    def end(self) -> None:
        """Nothing more comes."""
        self._rows.end()


def follow(
    db: sqlite3.Connection, show: Show, *, everything: bool, count: int | None, pause: Callable[[], None]
) -> None:
    """Show what grows now and what comes after it, until `count` answers are finished; for ever where it is None."""
    turns = _Turns(db, show, everything)
    version = None
    while count is None or turns.answers < count:
        latest = latest_write(db)
        if latest == version:
            pause()
            continue
        version = latest
        turns.look(count)
    show.end()


class _Turns:
    """The messages that came since it was begun, one shown after the other; `answers` were finished."""

    def __init__(self, db: sqlite3.Connection, show: Show, everything: bool) -> None:
        self._db, self._show, self._everything = db, show, everything
        self._seen = newest_message(db)
        self._waiting = deque(row.n for row in growing_messages(db))
        self._current: int | None = None
        self.answers = 0

    def look(self, count: int | None) -> None:
        """Show what is new, as far as `count` answers."""
        for row in messages_after(self._db, self._seen):
            self._seen = row.n
            self._waiting.append(row.n)
        while count is None or self.answers < count:
            if self._current is None and not self._next():
                return
            now = message_now(self._db, self._current or 0)
            if now is None:  # deleted meanwhile
                self._current = None
            elif now.live:
                self._show.grew(now)
                return
            else:
                self._show.finished(now)
                self._current = None
                self.answers += now.role == "assistant" and _is_read(now)

    def _next(self) -> bool:
        """Go on to the next message that is to be shown, if there is one."""
        while self._waiting:
            found = message_now(self._db, self._waiting.popleft())
            if found is not None and (self._everything or _is_read(found)):
                self._current = found.n
                self._show.began(found)
                return True
        return False


def _is_read(row: GrowingMessage) -> bool:
    """Whether it is for the person to read."""
    return bool(row.visible) and row.role in ("user", "assistant") and row.content_type not in _BEHIND

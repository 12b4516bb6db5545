"""The options of the addon, as data: their names, defaults, possible values and what is said of each."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """One option; `choices` is empty for free text."""

    name: str
    default: str
    choices: tuple[str, ...]
    description: str

    def refusal(self, value: str) -> str | None:
        """Why a value is not possible, None when it is."""
        if self.choices and value not in self.choices:
            return f"{self.name}={value!r} is not possible: choose {' or '.join(self.choices)}"
        return None if value else f"{self.name} is empty: name a file"


SETTINGS = (
    Setting("chatgpt_db", "chatgpt.db", (), "The SQLite database that ChatGPT conversations are captured into."),
    Setting(
        "chatgpt_raw",
        "keep",
        ("keep", "drop"),
        "Whether the raw body of each captured exchange is kept, redacted: keep or drop.",
    ),
    Setting(
        "chatgpt_temporary_chats",
        "keep",
        ("keep", "skip"),
        "Whether chats that the page calls temporary are captured: keep or skip.",
    ),
    Setting(
        "chatgpt_journal_sync",
        "no",
        ("no", "yes"),
        "Whether what is received is flushed to the disk too, without keeping traffic waiting: no or yes.",
    ),
    Setting(
        "chatgpt_intercept",
        "chatgpt-only",
        ("chatgpt-only", "all"),
        "Whose connections are decrypted: chatgpt-only, or all, as mitmproxy does by itself.",
    ),
)
"""All are text: an option of another type given a bad value would disable the addon without a word."""


def misspelt(names: Iterable[str]) -> str | None:
    """What to say of an option that somebody set and nobody has, where one of ours was meant; None where none was."""
    ours = [setting.name for setting in SETTINGS]
    for name in names:
        # mitmproxy takes - and _ for two things, and people do not.
        close = difflib.get_close_matches(name.lower().replace("-", "_"), ours, n=1, cutoff=0.8)
        if close:
            return f"there is no option {name}: {close[0]} is meant"
        if name.lower().startswith("chatgpt"):
            return f"there is no option {name}, only {', '.join(ours)}"
    return None

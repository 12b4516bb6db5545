"""What an import came to, for people and for programs: file by file, then what is held against what is stored."""

import contextlib
import json
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from addon.importing.imported import Imported
    from analysis.fidelity import Count

_KINDS = {"har": "HAR", "export": "export", "events": "event stream", "document": "document", "flows": "saved flows"}
_UNBOUNDED, _LEAST = 1_000, 12
"""Columns for the kinds of what is counted: without a terminal, and at least."""

_NOT_OURS = {
    "database": "is a database: what an archive holds is taken over by `chatgpt-capture merge`",
    "empty": "is empty",
    "json": "is JSON, but neither a HAR nor conversations",
    "other": "is neither a HAR, an export, an event stream nor saved flows",
}


_MOST_NAMED = 3
_UNMENTIONED = "no message mentions {} of them"

_MEANT = re.compile(r"\.(?:har|json|mitm|flows?|sse|zip)(?:\.gz)?$", re.IGNORECASE)
"""How files are called that should be something, if they are not by chance."""


class ImportReport:
    """Collects what happens and says it: each file when it is done, the rest in the end."""

    def __init__(self, as_json: bool) -> None:
        self.counts: list[Count] = []
        self.unmentioned: list[str] = []
        """Assets that media files are, and no message mentions."""
        self._as_json = as_json
        self._files: list[Imported] = []
        self._others = 0
        self._media = 0
        self._nameless: list[str] = []

    @property
    def has_media(self) -> bool:
        """Whether there were files beside the conversations of an export, or images in a HAR."""
        return self._media > 0 or any(file.kind == "har" for file in self._files)

    @property
    def failed(self) -> bool:
        """Whether something is missing or could not be read."""
        return any(file.failures for file in self._files) or any(count.stored < count.held for count in self.counts)

    @contextlib.contextmanager
    def file(self, name: str, *, named: bool) -> Iterator["Imported"]:
        """What comes of one file; `named` by the person, so that it is a failure when it is nothing of ours."""
        from addon.importing.imported import Imported

        began = time.monotonic()
        done = Imported(printable(name))
        try:
            yield done
        except KeyboardInterrupt:
            done.failures.append("interrupted; what is counted above is stored")
            self._add(done, time.monotonic() - began)
            raise
        if done.kind == "media" and not done.failures:
            self._media += 1  # there may be thousands
            return
        if done.kind == "nameless media" and not done.failures:
            self._nameless.append(done.name)
            return
        if not (done.failures or done.notes or done.exchanges or done.conversations or done.kind == "har"):
            if not named and not (done.kind in ("empty", "other") and _MEANT.search(name)):
                self._others += 1
                return
            done.failures.append(_NOT_OURS.get(done.kind, "holds nothing to import"))
        self._add(done, time.monotonic() - began)

    def print(self) -> None:
        """The end of the report."""
        if not self._files and not self._media and (self._others or self._nameless):
            self._nothing()
        if self._as_json:
            click.echo(json.dumps(self._json(), ensure_ascii=False))
            return
        if self._media:
            click.echo(f"{_number(self._media, 'media file')} beside them{_among(self.unmentioned, _UNMENTIONED)}")
        if self._nameless:
            why = "its name tells" if len(self._nameless) == 1 else "their names tell"
            said = f"{why} no file that a message mentions"
            click.echo(f"{_number(len(self._nameless), 'media file')} not stored{_among(self._nameless, said)}")
        if self._others:
            click.echo(f"{_number(self._others, 'other file')} passed by")
        if self.counts:
            click.echo()
            for line in _table(self.counts):
                click.echo(line)
            click.echo()
            click.echo(self._verdict())

    def _nothing(self) -> None:
        from addon.importing.imported import Imported

        self._add(Imported("import", failures=["nothing to import was found"]), 0)

    def _add(self, done: "Imported", seconds: float) -> None:
        self._files.append(done)
        if not self._as_json and done.kind in _KINDS:
            parts = [done.name, _KINDS[done.kind], ", ".join(_contents(done)), f"{seconds:.1f} s"]
            _say("  ".join(part for part in parts if part))
            for note in done.notes:
                _say(f"  {printable(note)}")
        elif not self._as_json:
            for note in done.notes:
                _say(f"{done.name}: {printable(note)}")
        for failure in done.failures:
            click.echo(f"{done.name}: {printable(failure)}", err=True)

    def _verdict(self) -> str:
        missing = sum(count.held - count.stored for count in self.counts)
        if missing:
            return f"{missing:,} of what the files hold is not stored."
        if self.failed:
            return "Everything that could be read is stored."
        return "Everything but those media files is stored." if self._nameless else "Everything is stored."

    def _json(self) -> dict[str, Any]:
        return {
            "complete": not self.failed,
            "files": [asdict(file) for file in self._files],
            "media_files": self._media,
            "media_not_mentioned": self.unmentioned,
            "media_not_stored": self._nameless,
            "other_files": self._others,
            "fidelity": [asdict(count) for count in self.counts],
        }


def printable(text: str) -> str:
    """`text` on one line, without what could steer a terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _contents(done: "Imported") -> list[str]:
    counted = [(done.conversations, "conversation"), (done.exchanges, "exchange"), (done.messages, "message")]
    parts = [_number(number, thing) for number, thing in counted if number]
    if done.passed_by:
        parts.append(f"{done.passed_by:,} not of a conversation")
    return parts


def _among(names: list[str], said: str) -> str:
    """How many of the files before are so, and the first ones by name; "" when none is."""
    if not names:
        return ""
    more = ", …" if len(names) > _MOST_NAMED else ""
    return f"; {said.format(f'{len(names):,}')}: {', '.join(map(printable, sorted(names)[:_MOST_NAMED]))}{more}"


def _number(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def _table(counts: list["Count"]) -> list[str]:
    stored = max(len("stored"), *(len(f"{count.stored:,}") for count in counts))
    room = shutil.get_terminal_size().columns - stored - 16 if sys.stdout.isatty() else _UNBOUNDED
    width = min(max(len(printable(count.kind)) for count in counts), max(_LEAST, room))
    lines = [f"{'':{width}}  {'in the files':>12}  {'stored':>{stored}}"]
    for count in counts:
        kind = printable(count.kind)
        kind = kind if len(kind) <= width else kind[: width - 1] + "…"
        mark = "" if count.stored == count.held else f"  {count.held - count.stored:,} missing"
        lines.append(f"{kind:{width}}  {count.held:>12,}  {count.stored:>{stored},}{mark}")
    return lines


def _say(line: str) -> None:
    """A line, which goes on two columns in where a terminal is too narrow."""
    if sys.stdout.isatty():
        columns = shutil.get_terminal_size().columns
        line = textwrap.fill(line, columns, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
    click.echo(line)

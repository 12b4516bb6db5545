"""What people see: tables that fit, times of their own clock, numbers with units, and no text that steers a terminal.

Widths are those of a terminal: a Chinese character takes two columns. Where output goes into a file or a pipe nothing
is cut and nothing is coloured.
"""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

_UNBOUNDED = 1_000_000
_READABLE = 100
"""Columns of running text: longer lines tire."""

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def console() -> Console:
    """Where people read; text is text, never markup. Who sets NO_COLOR gets no escapes at all, bold neither."""
    colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True, color_system=colours)


def is_watched() -> bool:
    """Whether a terminal shows it."""
    return sys.stdout.isatty()


def readable_width(out: Console) -> int:
    """Columns for running text."""
    return max(20, min(out.width, _READABLE))


def print_running(out: Console, text: Text, indent: int = 0, lead: Text | None = None) -> None:
    """Running text behind its `lead`, broken between words where somebody watches, `indent` columns in from then on."""
    first = lead or Text()
    if not is_watched():
        out.print(Text.assemble(first, text))
        return
    for line in text.wrap(out, max(10, readable_width(out) - max(indent, first.cell_len))) or [Text()]:
        line.rstrip()
        out.print(Text.assemble(first, line))
        first = Text(" " * indent)


def print_place(out: Console, text: Text, place: str, style: str, indent: int) -> None:
    """Running text, then a path or an address: never broken, so that terminals know it whole."""
    if is_watched() and text.cell_len + 2 + cell_len(place) > readable_width(out):
        print_running(out, text, indent)
        out.print(Text(" " * indent + place, style))
    else:
        out.print(Text.assemble(text, "  ", (place, style)))


def print_facts(out: Console, facts: Sequence[tuple[str, str | Text]], width: int) -> None:
    """Facts under one another, each behind its name of `width` columns; a long one goes on under itself."""
    for name, fact in facts:
        text = Text(fact) if isinstance(fact, str) else fact
        print_running(out, text, width + 1, Text(f"{name:<{width}} ", "bold"))


def clean(text: str) -> str:
    """`text` with its lines and tabs, without controls, escapes and marks that turn its direction."""
    return _STEERING.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str | None) -> str:
    """`text` as one line."""
    return " ".join(clean(text or "").split())


def shortened(text: str, width: int) -> str:
    """As much of one line as fits, with an ellipsis where it was cut."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 0 else ""


def local_time(moment: str | None, form: str = "%Y-%m-%d %H:%M") -> str:
    """A time of the archive by the clock of this machine; what is no time stays as it is."""
    if not moment:
        return ""
    try:
        return f"{datetime.fromisoformat(moment).astimezone():{form}}"
    except (ValueError, OverflowError):
        return one_line(moment)


def byte_count(number: int | None) -> str:
    """A size that people read: `0`, `930 B`, `1.2 MB`."""
    size = float(number or 0)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def duration(seconds: float | None) -> str:
    """How long something took: `0.84 s`, `12 s`, `3 min 20 s`."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def counted(number: int, thing: str, things: str = "") -> str:
    """`1 message`, `2 messages`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {things or thing + 's'}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `least` is the width down to which it may be cut, 0 for never; where that does not help,
    columns are left out, those with the highest `rank` first, one with rank 0 never.
    """

    title: str
    style: str = ""
    justify: Literal["left", "right"] = "left"
    least: int = 0
    rank: int = 0


def print_table(out: Console, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """A heading and rows, two blanks between columns, cut to the width of the terminal."""
    if not rows:
        print("Nothing found.", file=sys.stderr)
        return
    longest = [max(cell_len(row[place]) for row in rows) for place in range(len(columns))]
    # A column in which nothing stands is none.
    widths = [
        max(cell_len(column.title), width) if width else 0 for column, width in zip(columns, longest, strict=True)
    ]
    shown = _fitting(columns, widths, out.width if is_watched() else _UNBOUNDED)
    out.print(_line([(columns[place].title, columns[place], width, "bold") for place, width in shown]))
    for row in rows:
        out.print(_line([(row[place], columns[place], width, columns[place].style) for place, width in shown]))


def _fitting(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[tuple[int, int]]:
    """Which columns are shown, and how wide."""
    shown = [place for place, width in enumerate(widths) if width]
    least = [min(width, column.least or width) for column, width in zip(columns, widths, strict=True)]

    def needed() -> int:
        return sum(least[place] for place in shown) + 2 * (len(shown) - 1)

    while needed() > room and (last := max(shown, key=lambda place: (columns[place].rank, place))) is not None:
        if columns[last].rank == 0:
            break
        shown.remove(last)
    return _shared(shown, least, widths, max(0, room - needed()))


def _shared(shown: list[int], least: list[int], widths: Sequence[int], spare: int) -> list[tuple[int, int]]:
    """What is to spare, in equal shares; what one column does not need goes to the others."""
    given = dict.fromkeys(shown, 0)
    for number, place in enumerate(sorted(shown, key=lambda place: widths[place] - least[place])):
        given[place] = min(widths[place] - least[place], spare // (len(shown) - number))
        spare -= given[place]
    return [(place, least[place] + given[place]) for place in shown]


def _line(cells: Sequence[tuple[str, Column, int, str]]) -> Text:
    line = Text(no_wrap=True, overflow="ignore")
    for number, (text, column, width, style) in enumerate(cells):
        cut = shortened(text, width)
        blank = " " * (width - cell_len(cut))
        last = number == len(cells) - 1
        if column.justify == "right":
            line.append(blank)
        line.append(cut, style)
        line.append("" if last else "  " if column.justify == "right" else blank + "  ")
    return line

"""`chatgpt-capture stats`: figures of the whole archive."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import click

from analysis.cli import database_option
from analysis.formats import Form, form_options, write_rows
from analysis.options import reading

if TYPE_CHECKING:
    import sqlite3

    from analysis.queries.usage import Period
    from analysis.terminal import Column

_TITLES = {
    "models": "Models",
    "speed": "Time to the first token",
    "activity": "Activity per {per} ({zone})",
    "tools": "Tools",
    "images": "Images",
    "sizes": "Sizes",
}
_SUBJECTS = tuple(_TITLES)


class _Subject(NamedTuple):
    """One table of figures: the rows for programs and the cells for people."""

    fields: Sequence[str]
    rows: Sequence[Any]
    columns: "Sequence[Column]"
    cells: Callable[[Any], Sequence[str]]


@click.command("stats", short_help="Figures: models, speed, activity, tools, images, sizes.")
@click.argument("subjects", nargs=-1, type=click.Choice(_SUBJECTS), metavar="[SUBJECT]...")
@click.option("--per", type=click.Choice(["day", "week", "month", "year"]), default="month", show_default=True)
@form_options
@database_option
def command(subjects: tuple[str, ...], per: str, form: Form | None, database: Path) -> None:
    """Figures of the whole archive; with SUBJECTS (models, speed, activity, tools, images, sizes) only those.

    Programs ask for one subject at a time. Days are those of this machine's clock.

    \b
    chatgpt-capture stats
    chatgpt-capture stats activity --per week --csv
    """  # noqa: D301 - click's mark for lines that stay as they are
    if form is not None and len(subjects) != 1:
        raise click.UsageError(f"For programs name one subject: {', '.join(_SUBJECTS)}.")
    if form is not None:
        with reading(database) as db:
            subject = _READ[subjects[0]](db, cast("Period", per))
            write_rows(form, subject.fields, subject.rows)
    else:
        _print(subjects or _SUBJECTS, cast("Period", per), database)


def _print(names: Sequence[str], per: "Period", database: Path) -> None:
    from rich.text import Text

    from analysis.clock import zone
    from analysis.side_by_side import side_by_side
    from analysis.terminal import console, print_table

    out = console()
    with side_by_side(database, {name: _asking(name, per) for name in names}) as asked:
        for place, name in enumerate(names):
            title = _TITLES[name].format(per=per, zone=zone())
            out.print(Text.assemble("\n" if place else "", (title, "bold green")))
            sys.stdout.flush()  # before the figures, which may take a second
            subject = asked[name].result()
            if subject.rows:
                print_table(out, subject.columns, [subject.cells(row) for row in subject.rows])
            else:
                out.print(Text("none", "dim"))


def _asking(name: str, per: "Period") -> "Callable[[sqlite3.Connection], _Subject]":
    return lambda db: _READ[name](db, per)


def _models(db: "sqlite3.Connection", _per: "Period") -> _Subject:
    from analysis.queries.usage import ModelUsage, model_usage
    from analysis.terminal import Column, local_time, one_line

    columns = [
        Column("Asked for", "dim", least=8, rank=3),
        Column("Served", "magenta", least=10),
        Column("Answers", justify="right"),
        Column("Conversations", justify="right", rank=4),
        Column("Characters", justify="right", rank=2),
        Column("Last", "cyan", rank=5),
    ]

    def cells(row: ModelUsage) -> Sequence[str]:
        served, asked = one_line(row.model_slug), one_line(row.requested_model)
        counts = (f"{row.answers:,}", f"{row.conversations:,}", f"{row.characters or 0:,}")
        return (asked, served, *counts, local_time(row.last_at, "%Y-%m-%d"))

    return _Subject(ModelUsage._fields, model_usage(db), columns, cells)


def _speed(db: "sqlite3.Connection", _per: "Period") -> _Subject:
    from analysis.queries.usage import ModelSpeed, model_speeds
    from analysis.terminal import Column, duration, one_line

    columns = [
        Column("Model", "magenta", least=10),
        Column("Answers", justify="right", rank=3),
        Column("p50", justify="right"),
        Column("p90", justify="right"),
        Column("Characters/s", justify="right", rank=2),
    ]

    def cells(row: ModelSpeed) -> Sequence[str]:
        waits = (duration(row.seconds_to_first_token_p50), duration(row.seconds_to_first_token_p90))
        return one_line(row.model_slug), f"{row.answers:,}", *waits, f"{row.characters_per_second or 0:,.0f}"

    return _Subject(ModelSpeed._fields, model_speeds(db), columns, cells)


def _activity(db: "sqlite3.Connection", per: "Period") -> _Subject:
    from analysis.queries.usage import Activity, activity
    from analysis.terminal import Column

    rows = activity(db, per)
    most = max((row.prompts for row in rows), default=0)
    columns = [
        Column(per.capitalize(), "cyan"),
        Column("Prompts", justify="right"),
        Column("Answers", justify="right", rank=2),
        Column("Images", justify="right", rank=3),
        Column("", "green", rank=4),
    ]

    def cells(row: Activity) -> Sequence[str]:
        return row.period, f"{row.prompts:,}", f"{row.answers:,}", f"{row.images:,}", _bar(row.prompts, most)

    return _Subject(Activity._fields, rows, columns, cells)


def _tools(db: "sqlite3.Connection", _per: "Period") -> _Subject:
    from analysis.queries.usage import ToolUsage, tools
    from analysis.terminal import Column, one_line

    columns = [
        Column("Tool", "yellow", least=12),
        Column("Calls", justify="right"),
        Column("Conversations", justify="right", rank=2),
    ]

    def cells(row: ToolUsage) -> Sequence[str]:
        return one_line(row.tool), f"{row.calls:,}", f"{row.conversations:,}"

    return _Subject(ToolUsage._fields, tools(db), columns, cells)


def _images(db: "sqlite3.Connection", _per: "Period") -> _Subject:
    from analysis.queries.usage import image_count
    from analysis.terminal import Column, one_line

    def cells(row: tuple[str, int]) -> Sequence[str]:
        return one_line(row[0]) or "unknown", f"{row[1]:,}"

    columns = [Column("Status"), Column("Images", justify="right")]
    return _Subject(("status", "images"), list(image_count(db).items()), columns, cells)


def _sizes(db: "sqlite3.Connection", _per: "Period") -> _Subject:
    from analysis.queries.usage import TableSize, table_sizes
    from analysis.terminal import Column, byte_count

    columns = [
        Column("Table", "bold", least=12),
        Column("Rows", justify="right", rank=2),
        Column("Values", justify="right"),
    ]

    def cells(row: TableSize) -> Sequence[str]:
        return row.name, f"{row.rows:,}", byte_count(row.bytes)

    return _Subject(TableSize._fields, table_sizes(db), columns, cells)


_READ: dict[str, "Callable[[sqlite3.Connection, Period], _Subject]"] = {
    "models": _models,
    "speed": _speed,
    "activity": _activity,
    "tools": _tools,
    "images": _images,
    "sizes": _sizes,
}


def _bar(number: int, most: int, width: int = 24) -> str:
    """A bar in eighths of a column."""
    eighths = round(number / most * width * 8) if most else 0
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]

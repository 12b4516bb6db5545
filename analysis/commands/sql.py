"""`chatgpt-capture sql`: a question of one's own, in SQL."""

import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.cli import database_option
from analysis.formats import Form, form_options, write_rows
from analysis.options import reading

if TYPE_CHECKING:
    from rich.console import Console

_LEAST = 12
"""Columns that a text needs at least to say something."""


@click.command("sql", short_help="Ask in SQL; nothing can be written.")
@click.argument("query")
@click.argument("values", nargs=-1)
@form_options
@database_option
def command(query: str, values: tuple[str, ...], form: Form | None, database: Path) -> None:
    """Run QUERY, with VALUES for its question marks; - reads it from standard input. Nothing can be written.

    `schema` says which tables, views and columns there are.

    \b
    chatgpt-capture sql 'SELECT model_slug, answers FROM model_usage'
    chatgpt-capture sql 'SELECT title FROM conversations WHERE title LIKE ?' '%moon%' --json
    """  # noqa: D301 - click's mark for lines that stay as they are
    if query == "-":
        query = sys.stdin.read()
    with reading(database) as db:
        db.row_factory = None
        # ATTACH, and VACUUM INTO, would make other files.
        db.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        try:
            cursor = db.execute(query, values)
            columns = [column[0] for column in cursor.description or ()]
            if form is not None:
                write_rows(form, columns, cursor)
            else:
                _print(columns, cursor)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise click.ClickException(str(error)) from None


def _print(columns: list[str], cursor: sqlite3.Cursor) -> None:
    from analysis.terminal import console, is_watched

    out = console()
    records = is_watched() and len(columns) * (_LEAST + 2) > out.width
    while rows := cursor.fetchmany(500):
        if records:
            _print_records(out, columns, rows)
        else:
            _print_table(out, columns, rows)


def _print_table(out: "Console", columns: list[str], rows: list[tuple[object, ...]]) -> None:
    from analysis.terminal import Column, one_line, print_table

    shown = []
    for place, name in enumerate(columns):
        numeric = all(isinstance(row[place], int | float | None) for row in rows)
        shown.append(Column(one_line(name), justify="right" if numeric else "left", least=0 if numeric else _LEAST))
    print_table(out, shown, [[_cell(value) for value in row] for row in rows])


def _print_records(out: "Console", columns: list[str], rows: list[tuple[object, ...]]) -> None:
    """Each value in a line of its own, where a terminal is too narrow for so many columns."""
    from rich.text import Text

    from analysis.terminal import one_line, shortened

    widest = max(len(one_line(name)) for name in columns)
    for row in rows:
        for name, value in zip(columns, row, strict=True):
            text = shortened(_cell(value), max(10, out.width - widest - 2))
            out.print(Text.assemble((f"{one_line(name):<{widest}}  ", "bold"), text))
        out.print()


def _cell(value: object) -> str:
    from analysis.terminal import one_line

    if value is None:
        return ""
    return f"{len(value):,} bytes" if isinstance(value, bytes) else one_line(str(value))

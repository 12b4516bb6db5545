"""`chatgpt-capture sql`: a question of one's own, in SQL."""

import sqlite3
import sys
from pathlib import Path

import click

from analysis.cli import database_option
from analysis.formats import Form, form_options, write_rows
from analysis.options import reading


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
    from analysis.terminal import Column, console, one_line, print_table

    out = console()
    while rows := cursor.fetchmany(500):
        cells = [["" if value is None else _cell(value) for value in row] for row in rows]
        numeric = [all(isinstance(row[place], int | float | None) for row in rows) for place in range(len(columns))]
        shown = [
            Column(one_line(name), justify="right" if number else "left", least=0 if number else 12)
            for name, number in zip(columns, numeric, strict=True)
        ]
        print_table(out, shown, [[one_line(cell) for cell in row] for row in cells])


def _cell(value: object) -> str:
    return f"{len(value):,} bytes" if isinstance(value, bytes) else str(value)

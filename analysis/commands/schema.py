"""`chatgpt-capture schema`: what the tables, views and columns hold."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.cli import database_option
from analysis.formats import Form, form_options, write_rows

if TYPE_CHECKING:
    from analysis.schema import Description


@click.command("schema", short_help="Say what every table and column holds.")
@click.argument("tables", nargs=-1)
@form_options
@database_option
def command(tables: tuple[str, ...], form: Form | None, database: Path) -> None:
    """Say what the tables and views of an archive hold, column by column; with TABLES only those.

    \b
    chatgpt-capture schema
    chatgpt-capture schema messages turns
    """  # noqa: D301 - click's mark for lines that stay as they are
    from analysis.schema import descriptions

    known = descriptions()
    for name in tables:
        if name not in known:
            raise click.ClickException(f"there is no table or view “{name}”: {', '.join(known)}")
    shown = [known[name] for name in tables] or list(known.values())
    if form is not None:
        rows = [(table.name, column, text) for table in shown for column, text in table.columns.items()]
        write_rows(form, ("table", "column", "description"), rows)
        return
    _print(shown)


def _print(shown: "list[Description]") -> None:
    from rich.table import Table
    from rich.text import Text

    from analysis.terminal import console, is_watched, print_running

    out = console()
    for place, table in enumerate(shown):
        if place:
            out.print()
        print_running(out, Text.assemble((table.name, "bold green"), "  ", table.text), indent=2)
        widest = max(map(len, table.columns))
        if not is_watched():
            for column, text in table.columns.items():
                out.print(f"  {column:<{widest}}  {text}")
            continue
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True, style="bold", max_width=max(8, out.width // 2))
        grid.add_column(style="dim" if out.width < 60 else "")
        for column, text in table.columns.items():
            grid.add_row(f"  {column}", text)
        out.print(grid, soft_wrap=False)

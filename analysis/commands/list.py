"""`chatgpt-capture list`: the conversations, the last active first."""

from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.cli import database_option
from analysis.formats import Form, form_options, write_rows
from analysis.options import filter_options, limit_option, reading

if TYPE_CHECKING:
    from analysis.queries.conversations import ConversationFilter, ConversationSummary


@click.command("list", short_help="List conversations.")
@click.argument("words", nargs=-1)
@filter_options
@limit_option(20, "conversations")
@form_options
@database_option
def command(
    words: tuple[str, ...], only: "ConversationFilter", limit: int | None, form: Form | None, database: Path
) -> None:
    """List conversations, the last active first; with WORDS those that have them in their title or in a message.

    \b
    chatgpt-capture list --since 2026-09 --model gpt-5
    chatgpt-capture list lighthouse --images
    """  # noqa: D301 - click's mark for lines that stay as they are
    from analysis.queries.conversations import ConversationSummary, conversations

    chosen_by = replace(only, words=" ".join(words))
    with reading(database) as db, closing(conversations(db, chosen_by, limit=limit and limit + 1)) as rows:
        chosen = islice(rows, limit)
        if form is not None:
            write_rows(form, ConversationSummary._fields, chosen)
            return
        found = list(chosen)
        more = next(rows, None) is not None
    _print(found)
    if more:
        click.echo(f"The last {limit}; more with --limit.", err=True)


def _print(rows: "list[ConversationSummary]") -> None:
    from analysis.terminal import Column, console, local_time, one_line, print_table

    columns = [
        Column("ID", "dim"),
        Column("Active", "cyan", rank=2),
        Column("Title", "bold", least=16),
        Column("Model", "magenta", rank=3, least=8),
        Column("Messages", justify="right", rank=4),
        Column("Images", justify="right", rank=5),
    ]
    cells = [
        (
            row.id[:8],
            local_time(row.active_at),
            _named(row) + (" ●" if row.live else ""),
            one_line(row.models or row.default_model_slug),
            f"{row.messages:,}",
            f"{row.images:,}" if row.images else "",
        )
        for row in rows
    ]
    print_table(console(), columns, cells)


def _named(row: "ConversationSummary") -> str:
    """The title; of a conversation without one also how it begins."""
    from analysis.queries.conversations import UNTITLED
    from analysis.terminal import one_line, shortened

    begins = shortened(one_line(row.first_prompt), 60)
    return one_line(row.title) or " · ".join(filter(None, (UNTITLED, begins)))

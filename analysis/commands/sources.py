"""`chatgpt-capture sources`: the pages that answers cite."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.cli import database_option
from analysis.completing import CONVERSATION
from analysis.formats import Form, form_options, write_rows
from analysis.options import limit_option, reading

if TYPE_CHECKING:
    from analysis.queries.sources import CitedPage, CitedSite


@click.command("sources", short_help="List the pages that answers cite.")
@click.argument("words", nargs=-1)
@click.option(
    "--in", "conversation", type=CONVERSATION, metavar="ID", help="Only of the conversation whose id begins so."
)
@click.option("--sites", is_flag=True, help="Sum up by site.")
@limit_option(20, "pages or sites")
@form_options
@database_option
def command(  # noqa: PLR0913 - each is an option
    words: tuple[str, ...], conversation: str | None, sites: bool, limit: int | None, form: Form | None, database: Path
) -> None:
    """List the pages that answers cite, the most often cited first; with WORDS those with them in address or title.

    \b
    chatgpt-capture sources
    chatgpt-capture sources --sites
    chatgpt-capture sources moon --in 95c50a55 --csv
    """  # noqa: D301 - click's mark for lines that stay as they are
    from analysis.queries.archive import identify
    from analysis.queries.sources import CitedPage, CitedSite, cited_pages, cited_sites

    with reading(database) as db:
        identity = identify(db, "conversations", conversation) if conversation else ""
        if sites:
            found = cited_sites(db, conversation_id=identity, words=" ".join(words), limit=limit)
            if form is not None:
                write_rows(form, CitedSite._fields, found)
            else:
                _print_sites(found)
            return
        pages = cited_pages(db, conversation_id=identity, words=" ".join(words), limit=limit)
        if form is not None:
            write_rows(form, CitedPage._fields, pages)
        else:
            _print_pages(pages)


def _print_sites(found: "list[CitedSite]") -> None:
    from analysis.terminal import Column, console, one_line, print_table

    columns = [
        Column("Site", "bold", least=20),
        Column("Pages", justify="right"),
        Column("Answers", justify="right"),
    ]
    print_table(console(), columns, [(one_line(row.host), f"{row.pages:,}", f"{row.messages:,}") for row in found])


def _print_pages(found: "Iterator[CitedPage]") -> None:
    from analysis.terminal import Column, console, local_time, one_line, print_table

    columns = [
        Column("Answers", justify="right"),
        Column("Address", "blue", least=24),
        Column("Title", "bold", rank=2, least=12),
        Column("Last", "cyan", rank=3),
    ]
    cells = [
        (f"{row.messages:,}", one_line(row.url), one_line(row.title), local_time(row.last_cited_at, "%Y-%m-%d"))
        for row in found
    ]
    print_table(console(), columns, cells)

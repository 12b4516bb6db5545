"""`chatgpt-capture search`: messages that hold words, with the words in their place."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.cli import database_option
from analysis.completing import MODEL
from analysis.formats import Form, form_options, write_rows
from analysis.options import limit_option, period_options, reading

if TYPE_CHECKING:
    from analysis.queries.search import Hit, Order

_COLUMNS = ("n", "id", "conversation_id", "title", "role", "model_slug", "at", "snippet")


@click.command("search", short_help="Search all messages.")
@click.argument("words", nargs=-1, required=True)
@click.option("--role", type=click.Choice(["user", "assistant", "tool", "system"]), help="Who says it.")
@click.option("--model", default="", type=MODEL, metavar="NAME", help="Which model says it.")
@period_options
@click.option("--sort", type=click.Choice(["rank", "new", "old"]), help="Default rank: the best first.")
@limit_option(20, "messages")
@form_options
@database_option
def command(  # noqa: PLR0913 - each is an option
    words: tuple[str, ...],
    role: str | None,
    model: str,
    since: str,
    until: str,
    sort: str | None,
    limit: int | None,
    form: Form | None,
    database: Path,
) -> None:
    """Search all messages for WORDS: all must be there, in any case and without their accents.

    What stands between quotation marks is found as it stands. Of Chinese, Japanese and Korean any part is found.

    \b
    chatgpt-capture search high tides
    chatgpt-capture search '"two high tides"' --role assistant --since 2026
    chatgpt-capture search 量子
    """  # noqa: D301 - click's mark for lines that stay as they are
    from analysis.queries.search import Question, hits, order

    count = -1 if limit is None else limit
    question = Question(" ".join(words), role or "", model, since, until, sort or "", count=count)
    if not question.terms:
        raise click.ClickException("there is no letter and no digit to search for")
    with reading(database) as db:
        found = order(db, question)
        told = hits(db, found.numbers, question)
        if form is not None:
            write_rows(form, _COLUMNS, map(_row, told))
        else:
            _print(found, told, limit)


def _row(hit: "Hit") -> tuple[object, ...]:
    """For programs: the words that were found stand in [brackets]."""
    snippet = "".join(f"[{piece}]" if is_hit else piece for piece, is_hit in hit.snippet)
    return (hit.n, hit.id, hit.conversation_id, hit.title, hit.role, hit.model_slug, hit.at, snippet)


def _print(found: "Order", hits: "Iterable[Hit]", limit: int | None) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from analysis.queries.conversations import UNTITLED
    from analysis.terminal import clean, console, is_watched, local_time, one_line, readable_width

    out, count, talk = console(), 0, None
    for count, hit in enumerate(hits, 1):
        if hit.conversation_id != talk or count == 1:
            talk = hit.conversation_id
            title = (one_line(hit.title) or UNTITLED, "bold")
            out.print(Text.assemble("\n" if count > 1 else "", ((talk or "")[:8], "dim"), "  ", title))
        speakers = {"user": "You", "assistant": one_line(hit.model_slug) or "ChatGPT"}
        who = speakers.get(hit.role or "", one_line(hit.role))
        out.print(Text.assemble("  ", (f"{local_time(hit.at)}  {who}  {one_line(hit.id)[:8]}", "dim")))
        line = Text()
        for piece, is_hit in hit.snippet:
            line.append(" ".join(clean(piece).split("\n")), "bold yellow" if is_hit else "")
        if is_watched():
            out.print(Padding(line, (0, 0, 0, 2)), soft_wrap=False, width=readable_width(out))
        else:
            out.print(Text.assemble("  ", line))
    click.echo(_summed_up(found, count, limit), err=True)


def _summed_up(found: "Order", count: int, limit: int | None) -> str:
    from analysis.queries.search import MOST

    if not count:
        return "Nothing found."
    if limit is None:
        return f"{count:,} of {count:,}."
    newest = ", the newest first" if found.sort == "new" else ""
    total = f"more than {MOST:,}{newest}" if found.total > MOST else f"{found.total:,}"
    return f"{count:,} of {total}." + (" More with --limit." if count < found.total else "")

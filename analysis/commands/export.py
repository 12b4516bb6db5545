"""`chatgpt-capture export`: conversations as files that other programs read."""

import contextlib
import itertools
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.cli import database_option
from analysis.completing import CONVERSATION
from analysis.options import filter_options, flags

if TYPE_CHECKING:
    from analysis.exports.forms import Task
    from analysis.exports.runs import Outcome
    from analysis.queries.conversations import ConversationFilter

_FORMS = {
    "json": "The shape of ChatGPT's official export, files beside it.",
    "markdown": "A Markdown file each, images beside them.",
    "html": "A page each that is complete in itself, images in it.",
    "jsonl": "JSON Lines in the common chat format, for models.",
    "parquet": "All tables, partitioned by month, for DuckDB and others.",
}


@click.command("export", short_help="Write Markdown, HTML, JSON, JSON Lines or Parquet.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("conversations", nargs=-1, type=CONVERSATION, metavar="[ID]...")
@flags("form", _FORMS)
@click.option("--single", is_flag=True, help="With --html: one page for all, with small images.")
@click.option("--branches", is_flag=True, help="All branches, not only the one that is shown.")
@click.option("--tools", is_flag=True, help="Also thoughts, calls of tools and what they answered.")
@filter_options
@click.option("--words", default="", metavar="WORDS", help="With WORDS in their title or in a message.")
@database_option
def command(  # noqa: PLR0913 - each is an option
    folder: Path,
    conversations: tuple[str, ...],
    form: str | None,
    only: "ConversationFilter",
    words: str,
    database: Path,
    **manner: bool,
) -> None:
    """Write all conversations into FOLDER, or those whose ids begin with ID, or those that the options choose.

    Files are private (mode 0600) and stand under their names only when they are whole. Run it again to go on after an
    interruption, and at any time to add what is new: what stands there as it is now is not written again.

    With - as FOLDER, --json and --jsonl are written to standard output, without files.

    \b
    chatgpt-capture export --markdown notes --since 2026-09
    chatgpt-capture export --jsonl - --model gpt-5 --branches | wc -l
    """  # noqa: D301 - click's mark for lines that stay as they are
    from analysis.exports.forms import Task
    from analysis.exports.talks import talks
    from analysis.queries import open_archive
    from analysis.queries.conversations import ConversationFilter
    from analysis.queries.threads import nameless

    only = replace(only, words=words)
    some = bool(conversations) or only != ConversationFilter()
    if form is None:
        raise click.UsageError("Say what to write: --json, --jsonl, --markdown, --html or --parquet.")
    if (reason := _refusal(form, manner, piped=str(folder) == "-", some=some)) is not None:
        raise click.UsageError(reason)
    if conversations and only != ConversationFilter():
        raise click.UsageError("Name conversations, or say by options which: not both.")
    with contextlib.closing(open_archive(database)) as db:
        task = Task(form, db, database, talks(db, conversations, only), **manner)
        if str(folder) == "-":
            task.out(sys.stdout.buffer)
            return
        _into(folder.expanduser(), task)
        left_out = 0 if some or form == "parquet" else nameless(db)
    if left_out:
        told = "message was" if left_out == 1 else "messages were"
        click.echo(f"{left_out:,} {told} captured without the name of a conversation; left out", err=True)


def _refusal(form: str, manner: Mapping[str, bool], *, piped: bool, some: bool) -> str | None:
    """Why a form cannot be written so."""
    from analysis.exports.forms import PIPED

    if piped and form not in PIPED:
        return f"--{form} writes several files: name a folder."
    if form == "parquet" and some:
        return "--parquet writes whole tables: name no conversations."
    if manner["single"] and form != "html":
        return "--single is for --html."
    for name in ("branches", "tools"):
        if manner[name] and form in ("json", "parquet"):
            return f"--{form} always has all branches and tools: leave out --{name}."
    return None


def _into(folder: Path, task: "Task") -> None:
    from analysis.exports.folder import ExportFolder
    from analysis.progress import counting

    began, total = time.monotonic(), task.steps
    numbers = itertools.count(1)
    try:
        with ExportFolder(folder) as opened, counting("exporting") as progress:
            outcome = task.into(opened, lambda: progress(next(numbers), total))
    except KeyboardInterrupt:
        click.echo(f"{folder}: what is written is whole; run it again to go on", err=True)
        raise
    thing = "partition" if task.form == "parquet" else "conversation"
    click.echo(f"{folder}: {_verdict(outcome, thing)}  {time.monotonic() - began:.1f} s")


def _verdict(outcome: "Outcome", thing: str) -> str:
    written = outcome.conversations - outcome.kept
    parts = [f"{written:,} {thing}{'' if written == 1 else 's'} written"]
    if outcome.kept:
        parts.append(f"{outcome.kept:,} there already")
    return ", ".join(parts)

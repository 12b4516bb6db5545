"""`chatgpt-capture export`: conversations as files that other programs read."""

import contextlib
import itertools
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.cli import database_option

if TYPE_CHECKING:
    from analysis.exports.forms import Task
    from analysis.exports.runs import Outcome


@click.command("export", short_help="Write conversations as Markdown, HTML, JSON or Parquet.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("conversations", nargs=-1, metavar="[ID]...")
@click.option("--json", "form", flag_value="json", help="The shape of ChatGPT's official export, files beside it.")
@click.option("--markdown", "form", flag_value="markdown", help="A Markdown file each, images beside them.")
@click.option("--html", "form", flag_value="html", help="A page each that is complete in itself, images in it.")
@click.option("--jsonl", "form", flag_value="jsonl", help="JSON Lines in the common chat format, for models.")
@click.option(
    "--parquet", "form", flag_value="parquet", help="All tables, partitioned by month, for DuckDB and others."
)
@click.option("--single", is_flag=True, help="With --html: one page for all, with small images.")
@click.option("--branches", is_flag=True, help="All branches, not only the one that is shown (JSON always has all).")
@click.option("--tools", is_flag=True, help="Also thoughts, calls of tools and what they answered (JSON always has).")
@database_option
def command(folder: Path, conversations: tuple[str, ...], form: str | None, database: Path, **manner: bool) -> None:
    """Write all conversations into FOLDER, or those whose ids begin with ID.

    Files are private (mode 0600) and stand under their names only when they are whole. Run it again to go on after an
    interruption, and at any time to add what is new: what stands there as it is now is not written again.

    With - as FOLDER, --json and --jsonl are written to standard output, without files.
    """
    from analysis.exports.forms import PIPED, Task
    from analysis.exports.talks import nameless, talks
    from analysis.queries import open_archive

    if form is None:
        raise click.UsageError("Say what to write: --json, --jsonl, --markdown, --html or --parquet.")
    if str(folder) == "-" and form not in PIPED:
        raise click.UsageError(f"--{form} writes several files: name a folder.")
    if conversations and form == "parquet":
        raise click.UsageError("--parquet writes whole tables: name no conversation.")
    with contextlib.closing(open_archive(database)) as db:
        task = Task(form, db, database, talks(db, conversations), **manner)
        if str(folder) == "-":
            task.out(sys.stdout.buffer)
            return
        _into(folder.expanduser(), task)
        left_out = 0 if conversations or form == "parquet" else nameless(db)
    if left_out:
        click.echo(f"{left_out:,} messages were captured without the name of their conversation; left out", err=True)


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

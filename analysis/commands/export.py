"""`chatgpt-capture export`: conversations as files that other programs read."""

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.cli import database_option

if TYPE_CHECKING:
    from analysis.exports.forms import Task
    from analysis.exports.runs import Outcome, Progress


@click.command("export", short_help="Write conversations as JSON in the official export's shape.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("conversations", nargs=-1, metavar="[ID]...")
@click.option("--json", "form", flag_value="json", help="The shape of ChatGPT's official export, files beside it.")
@database_option
def command(folder: Path, conversations: tuple[str, ...], form: str | None, database: Path) -> None:
    """Write all conversations into FOLDER, or those whose ids begin with ID.

    Files are private (mode 0600) and stand under their names only when they are whole. Run it again to go on after an
    interruption, and at any time to add what is new: what stands there as it is now is not written again.

    With - as FOLDER, --json is written to standard output, without files.
    """
    from analysis.exports.folder import FolderInUse
    from analysis.exports.forms import PIPED, Task
    from analysis.exports.talks import NotFound, nameless, talks
    from analysis.queries import open_archive

    if form is None:
        raise click.UsageError("Say what to write: --json.")
    if str(folder) == "-" and form not in PIPED:
        raise click.UsageError(f"--{form} writes several files: name a folder.")
    try:
        with contextlib.closing(open_archive(database)) as db:
            task = Task(form, db, database, talks(db, conversations))
            if str(folder) == "-":
                task.out(sys.stdout.buffer)
                return
            _into(folder.expanduser(), task)
            left_out = 0 if conversations else nameless(db)
    except (NotFound, FolderInUse) as error:
        raise click.ClickException(str(error)) from None
    if left_out:
        click.echo(f"{left_out:,} messages were captured without the name of their conversation; left out", err=True)


def _into(folder: Path, task: "Task") -> None:
    from analysis.exports.folder import ExportFolder

    began = time.monotonic()
    try:
        with ExportFolder(folder) as opened, _progress(len(task.talks)) as done:
            outcome = task.into(opened, done)
    except KeyboardInterrupt:
        click.echo(f"{folder}: what is written is whole; run it again to go on", err=True)
        raise
    click.echo(f"{folder}: {_verdict(outcome)}  {time.monotonic() - began:.1f} s")


def _verdict(outcome: "Outcome") -> str:
    written = outcome.conversations - outcome.kept
    parts = [f"{written:,} conversation{'' if written == 1 else 's'} written"]
    if outcome.kept:
        parts.append(f"{outcome.kept:,} there already")
    return ", ".join(parts)


@contextlib.contextmanager
def _progress(total: int) -> "Iterator[Progress]":
    """A bar on a terminal, nothing where nobody looks."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("conversations", total=total)
        yield lambda: bar.advance(task)

"""`chatgpt-capture reparse`: the tables made again from the raw bodies, with what this version understands."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import click

from analysis.cli import database_option
from analysis.options import existing


@click.command("reparse", short_help="Read everything again from the raw bodies, with this version.")
@click.option("--dry-run", is_flag=True, help="Only count what would change.")
@database_option
def command(dry_run: bool, database: Path) -> None:
    """Read everything again from the raw bodies that were kept, with what this version understands.

    After an update this turns what was recorded as not understood into rows. It happens in a scratch database; what
    differs is brought over in one transaction, also while a capture runs. A value in the archive that cannot be read
    (somebody edited the file) is a line, and the exit code is 1.

    \b
    chatgpt-capture reparse --dry-run
    """  # noqa: D301 - click's mark for lines that stay as they are
    from addon.errors import ArchiveError
    from addon.upkeep.reparse import reparse
    from analysis.import_report import printable
    from analysis.progress import counting
    from analysis.terminal import counted

    try:
        with _in_order() as end_if_told, counting("reading again") as progress:

            def progressed(done: int, total: int) -> None:
                end_if_told()
                progress(done, total)

            report = reparse(existing(database), dry_run=dry_run, progress=progressed)
    except ArchiveError as error:
        raise click.ClickException(str(error)) from None
    left = f"{report.without_evidence:,} without a raw body left as they are"
    click.echo(f"{counted(report.streams, 'exchange')} read again, {left}")
    if report.left_alone:
        click.echo(f"{counted(report.left_alone, 'conversation')} left alone: being captured now")
    verb = "would be " if dry_run else ""
    for table, changes in sorted(report.tables.items()):
        if changes:
            kinds = {"added": changes.added, "changed": changes.changed, "removed": changes.removed}
            told = ", ".join(f"{count:,} {verb}{kind}" for kind, count in kinds.items())
            click.echo(f"  {table:20}  {told}")
    if not report.changed:
        click.echo("Nothing differs." if dry_run else "Nothing differed.")
    for line in report.bad:
        click.echo(f"{database}: {printable(line)}", err=True)
    if report.bad:
        raise click.exceptions.Exit(1)


@contextlib.contextmanager
def _in_order() -> Iterator[Callable[[], None]]:
    """Whoever ends this, and however impatiently: what was rebuilt so far goes first.

    What is yielded ends it where Python has lost the exception: one that is raised while an object goes, is.
    """
    handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    told: list[int] = []

    def end_if_told() -> None:
        for number in told:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    def end(number: int, frame: FrameType | None) -> None:
        for each in handled:
            signal.signal(each, signal.SIG_IGN)
        told.append(number)
        end_if_told()

    before = [signal.signal(each, end) for each in handled]
    try:
        yield end_if_told
        end_if_told()
    finally:
        if not told:  # else it is over, and nobody is to hurry it
            for each, handler in zip(handled, before, strict=True):
                signal.signal(each, handler)

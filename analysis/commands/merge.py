"""`chatgpt-capture merge`: the archives of other people and machines, joined into this one."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.cli import database_option
from analysis.options import writable

if TYPE_CHECKING:
    from addon.upkeep.merging import Merged


@click.command("merge", short_help="Join other archives into this one.")
@click.argument("others", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="OTHER.db...")
@database_option
def command(others: tuple[Path, ...], database: Path) -> None:
    """Join other archives, with their files, into this one; it is made where there is none.

    The result is what capturing everything into one archive would have given. The others are only read. Merging again
    adds what they have captured since; a merge that was stopped is gone on with in the same way.

    \b
    chatgpt-capture merge ada.db bob.db --db all.db
    """  # noqa: D301 - click's mark for lines that stay as they are
    from addon.errors import ArchiveError
    from addon.store.archive_writer import ArchiveWriter
    from addon.upkeep.merging import Merging
    from analysis.interruption import Interruption
    from analysis.progress import counting

    def wait(reason: str) -> None:
        click.echo(f"{database}: {reason}; waiting for the other program", err=True)

    path, failed, interruption = writable(database), False, Interruption()
    with contextlib.closing(ArchiveWriter(path, wait, interruption.check)) as writer, counting("merging") as progress:

        def progressed(done: int, total: int) -> None:
            interruption.check()
            progress(done, total)

        merging = Merging(path, writer, progressed)
        for other in others:
            try:
                with interruption:
                    failed |= not _told(merging.merge(other.expanduser()))
            except KeyboardInterrupt:
                click.echo("Merging again goes on with what is missing.", err=True)
                raise
            except ArchiveError as error:
                click.echo(f"Error: {error}", err=True)
                failed = True
    if failed:
        raise click.exceptions.Exit(1)


def _told(merged: "Merged") -> bool:
    """Say what came of an archive; whether all of it is here."""
    from analysis.terminal import counted

    parts = [counted(merged.conversations, "conversation"), counted(merged.messages, "message")]
    parts += [f"{counted(merged.files, 'file')}, {merged.copied:,} of them copied"] if merged.files else []
    click.echo(f"{merged.name}: {', '.join(parts)}")
    if merged.busy:
        busy = counted(len(merged.busy), "conversation")
        click.echo(f"{merged.name}: being captured now, so that the next merge completes them: {busy}", err=True)
    if merged.missing_files:
        click.echo(f"{merged.name}: not in its media folder: {counted(merged.missing_files, 'file')}", err=True)
    if merged.unreadable:
        click.echo(f"{merged.name}: {counted(merged.unreadable, 'row')} could not be read", err=True)
    if merged.undecodable:
        click.echo(f"{merged.name}: texts that are no UTF-8 were read as far as they are", err=True)
    if merged.refused:
        click.echo(f"{merged.name}: {merged.refused}", err=True)
    return not (merged.missing_files or merged.unreadable or merged.undecodable or merged.refused)

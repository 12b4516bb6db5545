"""`chatgpt-capture vacuum`: the space of what was deleted, given back."""

from pathlib import Path

import click

from analysis.cli import database_option
from analysis.options import existing


@click.command("vacuum", short_help="Give the space of deleted rows back to the disk.")
@database_option
def command(database: Path) -> None:
    """Rewrite the archive without the space of deleted rows, and merge its search indexes.

    \b
    chatgpt-capture vacuum
    """  # noqa: D301 - click's mark for lines that stay as they are
    from addon.errors import ArchiveError
    from addon.upkeep.retention import vacuum
    from analysis.terminal import byte_count

    try:
        before, after = vacuum(existing(database))
    except ArchiveError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{byte_count(before)}, now {byte_count(after)}")

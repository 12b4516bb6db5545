"""`chatgpt-capture vacuum`: the space of what was deleted, given back."""

from pathlib import Path

import click

from analysis.cli import database_option


@click.command("vacuum", short_help="Give the space of deleted rows back to the disk.")
@database_option
def command(database: Path) -> None:
    """Rewrite the archive without the space of deleted rows, and merge its search indexes."""
    from addon.errors import ArchiveError
    from addon.upkeep.retention import vacuum

    try:
        before, after = vacuum(database.absolute())
    except ArchiveError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{before:,} bytes, now {after:,}")

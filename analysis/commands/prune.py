"""`chatgpt-capture prune`: old conversations, or only old raw bodies, deleted."""

import re
import time
from datetime import datetime
from pathlib import Path

import click

from analysis.cli import database_option
from analysis.options import existing

_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}


class Age(click.ParamType[int]):
    """A time span as microseconds: `90d`, `12w`, `6m`, `2y`."""

    name = "age"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The microseconds."""
        match = re.fullmatch(r"([0-9]{1,5})([dwmy])", str(value))
        if match is None:
            self.fail("say a number and d, w, m or y: 90d", param, ctx)
        return int(match[1]) * _DAYS[match[2]] * 86_400_000_000


@click.command("prune", short_help="Delete old conversations, or only old raw bodies.")
@click.option("--older-than", type=Age(), required=True, metavar="AGE", help="90d, 12w, 6m or 2y.")
@click.option("--raw-only", is_flag=True, help="Delete raw bodies only; all tables stay.")
@click.option("--dry-run", is_flag=True, help="Only count what would be deleted.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@database_option
def command(older_than: int, raw_only: bool, dry_run: bool, yes: bool, database: Path) -> None:
    """Delete conversations of which nothing has been seen for AGE, with their messages, images and files.

    What other conversations refer to stays. The space is given back by `chatgpt-capture vacuum`.

    \b
    chatgpt-capture prune --older-than 2y --dry-run
    chatgpt-capture prune --older-than 90d --raw-only
    """  # noqa: D301 - click's mark for lines that stay as they are
    from addon.errors import ArchiveError
    from addon.upkeep.retention import prune

    before = time.time_ns() // 1000 - older_than
    try:
        path = existing(database)
        planned = prune(path, before, raw_only=raw_only, dry_run=True)
        if planned.rows:
            click.echo(f"Of what was last seen before {datetime.fromtimestamp(before / 1e6).astimezone():%Y-%m-%d}:")
        for table, count in sorted(planned.rows.items()):
            click.echo(f"  {table:20}  {count:,}")
        if planned.files:
            click.echo(f"  {'files on disk':20}  {planned.files:,}")
        if not planned.rows:
            click.echo("Nothing is that old.")
        elif dry_run:
            click.echo("Only counted, nothing is deleted.")
        elif yes or click.confirm("Delete these?"):
            prune(path, before, raw_only=raw_only)
            click.echo("Deleted.")
    except ArchiveError as error:
        raise click.ClickException(str(error)) from None

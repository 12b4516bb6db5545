"""`chatgpt-capture browse`: the archive as pages in the browser, on this machine alone."""

import contextlib
import sqlite3
from pathlib import Path

import click

from analysis.cli import database_option


@click.command(short_help="Read, search and look at the archive in the browser.")
@click.option(
    "--port", "-p", type=click.IntRange(0, 65535), default=8001, show_default=True, help="0 takes a free one."
)
@click.option("--no-open", is_flag=True, help="Print the address only, open no browser.")
@database_option
def command(port: int, no_open: bool, database: Path) -> None:
    """Read, search and look at the archive in the browser: threads, images, usage, SQL.

    Prints one line, the address to open. It lets in whoever opens it, so keep it to yourself; nothing is written, and
    no page loads anything from elsewhere. Ctrl-C stops it.

    \b
    chatgpt-capture browse
    chatgpt-capture browse --port 0 --no-open
    """  # noqa: D301 - click's mark for lines that stay as they are
    from analysis.browse.server import serve
    from analysis.queries import open_archive

    with contextlib.suppress(sqlite3.Error):  # a file that SQLite cannot open here is told of by the server
        open_archive(database).close()
    serve(database, port, open_browser=not no_open)

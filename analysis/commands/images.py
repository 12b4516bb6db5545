"""`chatgpt-capture images`: generated images, to look at and to take along."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.cli import database_option
from analysis.completing import CONVERSATION
from analysis.formats import Form, form_options, write_rows
from analysis.options import limit_option, only_one, period_options, reading

if TYPE_CHECKING:
    from analysis.queries.images import Image


_OPENING = 2.0
"""Seconds within which a program that cannot open a file has said so."""


@click.command("images", short_help="List, open or export generated images.")
@click.argument("words", nargs=-1)
@click.option(
    "--in", "conversation", type=CONVERSATION, metavar="ID", help="Only of the conversation whose id begins so."
)
@period_options
@click.option("--status", type=click.Choice(["complete", "preview", "pending", "failed"]), help="How far they are.")
@click.option("--open", "opened", is_flag=True, help="Open the listed ones in the usual program.")
@click.option("--export", "folder", type=click.Path(path_type=Path), help="Copy the listed ones to a folder.")
@limit_option(20, "images")
@form_options
@database_option
def command(  # noqa: PLR0913 - each is an option
    words: tuple[str, ...],
    conversation: str | None,
    since: str,
    until: str,
    status: str | None,
    opened: bool,
    folder: Path | None,
    limit: int | None,
    form: Form | None,
    database: Path,
) -> None:
    """List generated images, the newest first; with WORDS those that have them in a prompt or title.

    --export copies the files, each with a JSON file of the same name that says how it was made; the prompts also go
    into the metadata of the image itself (XMP), its pixels stay as they are.

    \b
    chatgpt-capture images lighthouse
    chatgpt-capture images --since 2026 --limit 0 --export pictures
    """  # noqa: D301 - click's mark for lines that stay as they are
    from analysis.queries.archive import identify
    from analysis.queries.images import Image, ImageFilter, images

    only_one(open=opened, export=folder, **{form or "json": form})
    with reading(database) as db:
        identity = identify(db, "conversations", conversation) if conversation else ""
        stored = opened or folder is not None
        only = ImageFilter(identity, since, until, " ".join(words), status or "", stored)
        rows = images(db, only, limit=limit)
        if folder is not None:
            _export(rows, folder.expanduser(), database)
        elif opened:
            _open(list(rows), database)
        elif form is not None:
            write_rows(form, Image._fields, rows)
        else:
            _print(list(rows))


def _print(rows: "list[Image]") -> None:
    from analysis.terminal import Column, byte_count, console, local_time, one_line, print_table

    columns = [
        Column("#", "dim", justify="right"),
        Column("Made", "cyan", rank=3),
        Column("Prompt", "bold", least=20),
        Column("Size", rank=2),
        Column("File", rank=4, justify="right"),
        Column("Generation", "dim", rank=5, least=8),
    ]
    cells = [
        (
            str(row.id),
            local_time(row.created_at),
            one_line(row.tool_prompt or row.title or row.user_prompt) or f"({row.status})",
            f"{row.width}x{row.height}" if row.width and row.height else one_line(row.size),
            byte_count(row.size_bytes) if row.asset_path else "" if row.status == "complete" else one_line(row.status),
            one_line(row.gen_id),
        )
        for row in rows
    ]
    print_table(console(), columns, cells)


def _open(rows: "list[Image]", database: Path) -> None:
    from addon.archive import media_folder

    for row in rows:
        path = media_folder(database.absolute()) / (row.asset_path or "")
        if not _launched(path):
            raise click.ClickException(f"{path}: no program opened it")
    _none(len(rows))


def _launched(path: Path) -> bool:
    """Whether the usual program took a file; what it prints is of no use here."""
    program = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    if program is None:
        return False
    nowhere = subprocess.DEVNULL
    child = subprocess.Popen(
        [program, str(path)], stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True
    )
    try:
        return child.wait(_OPENING) == 0
    except subprocess.TimeoutExpired:  # it shows the file until somebody closes it
        return True


def _export(rows: "Iterator[Image]", path: Path, database: Path) -> None:
    from analysis.exports.folder import ExportFolder
    from analysis.exports.media import StoredFiles
    from analysis.image_export import export_image

    stored, count = StoredFiles(database.absolute()), 0
    with ExportFolder(path) as folder:
        for row in rows:
            if (name := export_image(row, stored, folder)) is not None:
                count += 1
                click.echo(path / name)
    _none(count)


def _none(count: int) -> None:
    if not count:
        click.echo("No file of such an image is stored.", err=True)

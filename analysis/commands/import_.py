"""`chatgpt-capture import`: what somebody has already: HAR recordings, official exports, event streams, saved flows."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.cli import database_option
from analysis.import_report import ImportReport
from analysis.options import writable

if TYPE_CHECKING:
    from addon.importing.import_files import ImportFile, Unreadable
    from addon.importing.imported import Imported
    from analysis.fidelity import Fidelity

_THUMBNAIL_SECONDS = 600.0
"""How long thumbnails are made at the end; those that are missing then are made when a capture starts."""


@click.command("import", short_help="Import HAR files, official exports, event streams, saved flows.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(), metavar="FILE|FOLDER...")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@database_option
def command(paths: tuple[str, ...], as_json: bool, database: Path) -> None:
    """Import what you have already. What a file is, is told by its content:

    \b
    - a HAR recording of Chrome, Firefox or mitmproxy
    - ChatGPT's official export: the zip, its folder, or the JSON files in it
    - one conversation, or several, as JSON
    - the body of an event stream
    - flows that mitmproxy saved (-w)

    All of them may be compressed with gzip, and of a damaged file all that can be read is imported. An event stream
    that only ended early is noted; one that is cut in the middle of an event is a failure.

    - is standard input. Importing again changes nothing. The report at the end counts what the files hold and what of
    it is stored; the exit code is 1 when anything is missing or could not be read.

    \b
    chatgpt-capture import chatgpt-export.zip chatgpt.com.har
    """  # noqa: D301 - click's mark for lines that stay as they are
    if not all(paths):
        raise click.ClickException('"" names no file and no folder')
    report = ImportReport(as_json)
    try:
        _import(tuple(map(Path, paths)), writable(database), report)
    finally:
        report.print()
    if report.failed:
        raise click.exceptions.Exit(1)


def _import(paths: tuple[Path, ...], database: Path, report: ImportReport) -> None:
    import gc

    from addon.errors import ArchiveError
    from addon.importing.import_files import Unreadable
    from addon.importing.importers import Importer
    from addon.store.archive_writer import ArchiveWriter
    from analysis.fidelity import Fidelity
    from analysis.interruption import Interruption
    from analysis.progress import watched

    def wait(reason: str) -> None:
        click.echo(f"{database}: {reason}; waiting for the other program", err=True)

    def read(file: "ImportFile", done: "Imported") -> None:
        with watched(file) as seen:
            with interruption:
                importer.read(seen, done)
            if done.kind == "flows":
                _read_flows(seen, fidelity, database, done)

    def compare() -> None:
        writer.flush()
        if fidelity.holds_something and database.exists():
            # A reader that is the last to close the file leaves SQLite's log behind: the writer is to be the last.
            writer.open()
            report.counts, report.unmentioned = fidelity.compare(), fidelity.unmentioned()

    # What is read of a file goes by itself, and nearly all of it at once: looking for what does not took a tenth.
    gc.set_threshold(100_000, 20, 100)
    fidelity, interruption = Fidelity(database), Interruption()
    try:
        with contextlib.closing(ArchiveWriter(database, wait, interruption.check)) as writer:
            importer = Importer(writer, fidelity, interruption.check)
            try:
                for file in _files(paths, database):
                    with report.file(file.name, named=not isinstance(file, Unreadable) and file.named) as done:
                        if isinstance(file, Unreadable):
                            (done.failures if file.lost else done.notes).append(file.reason)
                        else:
                            read(file, done)
                if report.has_media:
                    writer.thumbnails(_THUMBNAIL_SECONDS)
            except KeyboardInterrupt:
                compare()
                raise
            compare()
    except ArchiveError as error:
        raise click.ClickException(str(error)) from None


def _read_flows(file: "ImportFile", fidelity: "Fidelity", database: Path, done: "Imported") -> None:
    from addon.errors import ImportFailure
    from addon.importing.saved_flows import read_flows
    from analysis.saved_flows import exchanges

    try:
        read_flows(file.plain, database, done)
    except ImportFailure as error:
        done.failures.append(str(error))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        done.failures.append(f"mitmdump, which reads it, cannot be used: {reason}")
    walked = 0
    # Where it is damaged has been said.
    with contextlib.suppress(ImportFailure, OSError), file.plain.open() as content:
        for kind, streamed, request, body in exchanges(content):
            fidelity.exchange(kind, streamed, request, body)
            walked += 1
    done.exchanges = done.exchanges or walked  # of a damaged file mitmdump does not say it


def _files(paths: tuple[Path, ...], database: Path) -> "Iterator[ImportFile | Unreadable]":
    from addon.importing.import_files import files_in, standard_input

    for path in paths:
        yield from standard_input(database) if str(path) == "-" else files_in(path.expanduser(), database)

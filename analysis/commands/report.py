"""`chatgpt-capture report`: a year with ChatGPT, as one page."""

import contextlib
from pathlib import Path

import click

from analysis.cli import database_option


@click.command("report", short_help="Write a year with ChatGPT as one page.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--year", type=click.IntRange(1970, 9999), help="Default: the last one of which there is something.")
@database_option
def command(file: Path | None, year: int | None, database: Path) -> None:
    """Write a year with ChatGPT into FILE (chatgpt-YEAR.html), one page that is complete in itself.

    Every day, models, images, the longest conversations, cited sites, thinking time. The page fetches nothing.

    \b
    chatgpt-capture report
    chatgpt-capture report --year 2026 year.html
    """  # noqa: D301 - click's mark for lines that stay as they are
    from analysis.exports.folder import ExportFolder
    from analysis.exports.media import StoredFiles
    from analysis.queries import open_archive
    from analysis.report.figures import figures, years
    from analysis.report.page import report_page
    from analysis.terminal import counted

    with contextlib.closing(open_archive(database)) as db:
        known = years(db)
        if known is None:
            raise click.ClickException(f"{database}: holds no message yet")
        year = year or known[1]
        year_of = figures(db, year)
        if not year_of.days:
            there = " to ".join(map(str, sorted(set(known))))
            raise click.ClickException(f"{database}: holds nothing of {year}, but of {there}")
        page = report_page(year_of, StoredFiles(database))
    path = (file or Path(f"chatgpt-{year}.html")).expanduser()
    with ExportFolder(path.parent) as folder, folder.writing(path.name) as out:
        out.write(page.encode("utf-8", "replace"))
    told = [counted(year_of.totals["prompts"], "prompt"), counted(year_of.totals["answers"], "answer")]
    click.echo(f"{path}: {', '.join(told)} in {year}")

"""A made-up archive that has one of everything: for screenshots, for trying the pages, for tests in a real browser.

Texts in several scripts, branches, thoughts, tools, sources, formulas, tables, images with their edits, a canvas, a
spoken conversation, answers that were stopped; and half a year of everyday ones behind them. The same call gives the
same archive.

    writer      conversations into an archive, through the capture itself
    talks       the conversations that are looked at, one of each kind
    texts       what is said in them
    everyday    the many behind them, for charts and lists
    pictures    images drawn from a number
"""

from datetime import UTC, datetime
from pathlib import Path

from scripts.showcase.everyday import everyday
from scripts.showcase.talks import TALKS
from scripts.showcase.writer import Archive

NOW = datetime(2026, 11, 20, 17, 40, tzinfo=UTC)


def build(path: Path, now: datetime = NOW, days: int = 180) -> None:
    """Make the archive at `path`, with `days` of everyday conversations before `now`."""
    archive = Archive(path)
    end = int(now.timestamp()) * 1_000_000
    everyday(archive, end, days)
    for place, talk in enumerate(TALKS):
        talk(archive, end - (len(TALKS) - place) * 47 * 60 * 1_000_000)
    archive.close()

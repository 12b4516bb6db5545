"""`chatgpt-capture tail`: answers as they stream."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.cli import database_option
from analysis.options import reading

if TYPE_CHECKING:
    pass

_PAUSE = 0.1
"""Seconds between two looks; a growing message is rewritten four times a second."""


@click.command("tail", short_help="Follow answers live, as they stream.")
@click.option("--all", "everything", is_flag=True, help="Also hidden messages, thoughts, and what tools were told.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after so many finished answers.")
@click.option("--nl", "as_lines", is_flag=True, help="For programs: one JSON object a line when a message is finished.")
@database_option
def command(everything: bool, count: int | None, as_lines: bool, database: Path) -> None:
    """Follow the conversation as it goes on in the browser: text appears while it streams. Ctrl-C ends it.

    \b
    chatgpt-capture tail
    chatgpt-capture tail --nl --count 1 | jq -r .text
    """  # noqa: D301 - click's mark for lines that stay as they are
    from analysis.live_terminal import LiveLines, LiveText, follow
    from analysis.terminal import console

    show = LiveLines() if as_lines else LiveText(console())
    with reading(database) as db:
        try:
            follow(db, show, everything=everything, count=count, pause=lambda: time.sleep(_PAUSE))
        except KeyboardInterrupt:
            show.end()

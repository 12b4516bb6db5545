"""`chatgpt-capture tail`: answers as they stream."""

import time
from pathlib import Path

import click

from analysis.cli import database_option
from analysis.formats import Form, form_options
from analysis.options import reading

_PAUSE = 0.1
"""Seconds between two looks; a growing message is rewritten four times a second."""


@click.command("tail", short_help="Follow answers live, as they stream.")
@click.option("--all", "everything", is_flag=True, help="Also hidden messages, thoughts, and what tools were told.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after so many finished answers.")
@form_options
@database_option
def command(everything: bool, count: int | None, form: Form | None, database: Path) -> None:
    """Follow the conversation as it goes on in the browser: text appears while it streams. Ctrl-C ends it.

    For programs there is a row for each message when it is finished.

    \b
    chatgpt-capture tail
    chatgpt-capture tail --nl --count 1 | jq -r .text
    """  # noqa: D301 - click's mark for lines that stay as they are
    from analysis.live_terminal import LiveRows, LiveText, follow
    from analysis.terminal import console

    show = LiveText(console()) if form is None else LiveRows(form)
    with reading(database) as db:
        try:
            follow(db, show, everything=everything, count=count, pause=lambda: time.sleep(_PAUSE))
        except KeyboardInterrupt:
            show.end()

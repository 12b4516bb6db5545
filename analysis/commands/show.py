"""`chatgpt-capture show`: one conversation, as it reads."""

import json
import sqlite3
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.cli import database_option
from analysis.completing import LAST_CONVERSATION
from analysis.formats import Form, form_options, write_rows
from analysis.options import only_one, reading

if TYPE_CHECKING:
    from analysis.queries.threads import ThreadMessage
    from analysis.tree import Step


@click.command("show", short_help="Show a conversation as it reads.")
@click.argument("conversation", type=LAST_CONVERSATION, metavar="ID|last", default="last")
@click.option("--branch", "through", metavar="ID", help="The branch through the message whose id begins so.")
@click.option("--all", "everything", is_flag=True, help="Also hidden messages, thoughts, and what tools were told.")
@click.option("--raw", is_flag=True, help="Messages as ChatGPT sends them, a JSON array.")
@form_options
@database_option
def command(  # noqa: PLR0913 - each is an option
    conversation: str, through: str | None, everything: bool, raw: bool, form: Form | None, database: Path
) -> None:
    """Show the conversation whose id begins with ID, or the one that was active last.

    Of its branches the one that ChatGPT shows. 2/3 behind a message says that it was edited or asked for
    again; the ids there are for --branch.

    \b
    chatgpt-capture show last
    chatgpt-capture show 092af95b --branch 57683b63 --all
    """  # noqa: D301 - click's mark for lines that stay as they are
    from addon.archive import media_folder
    from analysis.queries.archive import identify
    from analysis.queries.threads import ThreadMessage, branch, messages
    from analysis.thread_terminal import is_shown

    only_one(raw=raw, **{form or "json": form})
    with reading(database) as db:
        identity = _identify(db, conversation)
        if through is not None:
            through = identify(db, "messages", through, conversation_id=identity)
        steps = branch(db, identity, through)
        rows = (row for row in messages(db, [step.n for step in steps]) if everything or raw or is_shown(row))
        if raw:
            _write_as_sent(rows)
        elif form is not None:
            write_rows(form, ThreadMessage._fields, rows)
        else:
            _print(db, identity, steps, rows, media_folder(database))


def _identify(db: sqlite3.Connection, conversation: str) -> str:
    from analysis.errors import Unanswerable
    from analysis.queries.archive import identify
    from analysis.queries.conversations import last_conversation

    if conversation != "last":
        return identify(db, "conversations", conversation)
    if (last := last_conversation(db)) is None:
        raise Unanswerable("there is no conversation in the archive yet")
    return last


def _write_as_sent(rows: "Iterable[ThreadMessage]") -> None:
    from addon.store.message_objects import message_object

    separator = "["
    for row in rows:
        sys.stdout.write(separator + json.dumps(message_object(row._asdict()), ensure_ascii=False, indent=2))
        separator = ",\n"
    sys.stdout.write("[]\n" if separator == "[" else "]\n")


def _print(
    db: sqlite3.Connection, identity: str, steps: "list[Step]", rows: "Iterable[ThreadMessage]", folder: Path
) -> None:
    from analysis.queries.conversations import conversation
    from analysis.queries.threads import cited, mentioned
    from analysis.terminal import console
    from analysis.thread_terminal import print_heading, print_message

    talk = conversation(db, identity)
    if talk is None:
        return
    out = console()
    print_heading(out, talk)
    by_number = {step.n: step for step in steps}
    for row in rows:
        step, files, sources = by_number[row.n], mentioned(db, [row.n]), cited(db, [row.n])
        lying = [file._replace(path=file.path and str(folder / file.path)) for file in files.get(row.n, [])]
        print_message(out, row, step, lying, sources.get(row.n, []))

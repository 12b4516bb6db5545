"""`chatgpt-capture status`: what is captured, what runs now, what to look at."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.cli import database_option
from analysis.formats import Form, form_options, write_object
from analysis.options import reading

if TYPE_CHECKING:
    from rich.text import Text

    from analysis.queries.health import HealthFact, LastRun, Status


@click.command("status", short_help="Say what is captured, what runs now, what to look at.")
@form_options
@database_option
def command(form: Form | None, database: Path) -> None:
    """Say what the archive holds, what was captured last, what runs now, and what asks for attention.

    For programs one object, as CSV its facts one a row.

    \b
    chatgpt-capture status
    chatgpt-capture status --json
    """  # noqa: D301 - click's mark for lines that stay as they are
    from analysis.queries.health import status

    with reading(database) as db:
        found = status(db, database)
    if form is not None:
        write_object(form, found.as_object(), ("name", "value", "detail"), found.as_rows())
    else:
        _print(found)


def _print(found: "Status") -> None:
    from rich.text import Text

    from analysis.queries.conversations import UNTITLED
    from analysis.terminal import byte_count, console, counted, local_time, one_line, print_facts

    out, there = console(), found.totals
    sizes = [byte_count(found.database_bytes)]
    sizes += [f"write-ahead log {byte_count(found.log_bytes)}"] if found.log_bytes else []
    sizes += [f"{counted(there.files, 'file')} {byte_count(found.media_bytes)}"] if there.files else []
    lines: list[tuple[str, str | Text]] = [
        ("Archive", str(found.database)),
        ("Size", ", ".join(sizes)),
        ("Holds", ", ".join([counted(there.conversations, "conversation"), counted(there.messages, "message"),
                             counted(there.images, "image"), counted(there.exchanges, "exchange")])),
        ("Captured", f"{local_time(there.first_at)} to {local_time(there.last_at)}" if there.last_at else "nothing"),
    ]  # fmt: skip
    if (last := found.last_answer) is not None:
        facts = [one_line(last.title) or UNTITLED, one_line(last.model_slug), last.state, local_time(last.started_at)]
        lines.append(("Last answer", " · ".join(filter(None, facts))))
    lines.append(("Now", f"{counted(found.streaming, 'answer')} streaming" if found.streaming else "nothing streams"))
    if found.last_run is not None:
        lines.append(("Proxy", _ran(found.last_run)))
    health = [_told(fact) for fact in found.attention] or [Text("good", "green")]
    lines += [("" if place else "Health", fact) for place, fact in enumerate(health)]
    print_facts(out, lines, 12)


def _ran(run: "LastRun") -> str:
    from analysis.terminal import local_time

    if run.ended_at is not None:
        return f"ran from {local_time(run.started_at)} to {local_time(run.ended_at)}"
    if run.running:
        return f"running since {local_time(run.started_at)}"
    return f"began {local_time(run.started_at)}, ended without saying so"


def _told(fact: "HealthFact") -> "Text":
    from rich.text import Text

    from analysis.terminal import local_time

    detail = local_time(fact.detail) if isinstance(fact.detail, str) else ""
    return Text.assemble((fact.told(), "yellow"), (f"  {detail}" if detail else "", "dim"))

"""`chatgpt-capture events`: the typed events of the streams, and what was not understood."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.cli import database_option
from analysis.completing import EVENT_TYPE
from analysis.formats import Form, form_options, write_rows
from analysis.options import limit_option, reading

if TYPE_CHECKING:
    from analysis.queries.exchanges import EventType, TypedEvent


@click.command("events", short_help="List typed events and those not understood.")
@click.argument("event_type", type=EVENT_TYPE, metavar="[TYPE]", default="")
@click.option("--unrecognised", is_flag=True, help="Only what this version does not understand.")
@limit_option(20, "events")
@form_options
@database_option
def command(event_type: str, unrecognised: bool, limit: int | None, form: Form | None, database: Path) -> None:
    """Sum up the types of events; with TYPE or --unrecognised list such events, the newest first, with their JSON.

    \b
    chatgpt-capture events
    chatgpt-capture events server_ste_metadata --nl
    chatgpt-capture events --unrecognised
    """  # noqa: D301 - click's mark for lines that stay as they are
    from analysis.queries.exchanges import EventType, TypedEvent, event_types, events

    with reading(database) as db:
        if event_type or unrecognised:
            found = events(db, event_type=event_type, unrecognised=unrecognised, limit=limit)
            if form is not None:
                write_rows(form, TypedEvent._fields, found)
            else:
                _print_events(found)
        elif form is not None:
            write_rows(form, EventType._fields, event_types(db))
        else:
            _print_types(event_types(db))


def _print_events(found: "Iterator[TypedEvent]") -> None:
    from analysis.terminal import Column, console, local_time, one_line, print_table

    columns = [
        Column("Received", "cyan", rank=3),
        Column("Type", "bold", rank=2),
        Column("Exchange", "dim", rank=4),
        Column("Data", least=20),
    ]
    cells = [
        (local_time(row.received_at, "%Y-%m-%d %H:%M:%S"), _named(row), row.stream_id[:8], one_line(row.data))
        for row in found
    ]
    print_table(console(), columns, cells)


def _print_types(found: "list[EventType]") -> None:
    from analysis.terminal import Column, console, local_time, print_table

    columns = [Column("Type", "bold", least=16), Column("Events", justify="right"), Column("Last", "cyan", rank=2)]
    print_table(
        console(), columns, [(_named(row), f"{row.events:,}", local_time(row.last_received_at)) for row in found]
    )


def _named(row: "EventType | TypedEvent") -> str:
    from analysis.terminal import one_line

    return one_line(row.type) + ("" if row.recognised else " (not understood)")

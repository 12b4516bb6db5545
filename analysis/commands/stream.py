"""`chatgpt-capture stream`: one exchange as a timeline."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.cli import database_option
from analysis.completing import LAST_EXCHANGE
from analysis.formats import Form, form_options, write_object
from analysis.options import reading

if TYPE_CHECKING:
    from rich.console import Console

    from analysis.queries.exchanges import Exchange, TypedEvent

_BARS = "▁▂▃▄▅▆▇█"


@click.command("stream", short_help="Show how one exchange went in time.")
@click.argument("stream", type=LAST_EXCHANGE, metavar="ID|last", default="last")
@form_options
@database_option
def command(stream: str, form: Form | None, database: Path) -> None:
    """Show one exchange as a timeline: its phases, how fast bytes came, the longest silence, its typed events.

    ID is the beginning of the id of an exchange, or of a message or conversation: then it is its last one.

    For programs one object, as CSV its typed events.

    \b
    chatgpt-capture stream last
    """  # noqa: D301 - click's mark for lines that stay as they are
    from analysis.queries.exchanges import TypedEvent, exchange_events, identify_exchange, raw_body
    from analysis.timeline import arrivals

    with reading(database) as db:
        exchange = identify_exchange(db, stream)
        came = arrivals(raw_body(db, exchange.id).arrivals)
        events = list(exchange_events(db, exchange.id))
    if form is not None:
        told = {
            "exchange": exchange._asdict(),
            "arrivals": came,
            "events": [event._asdict() for event in events],
        }
        write_object(form, told, TypedEvent._fields, events)
        return
    from analysis.terminal import console

    out = console()
    _print_facts(out, exchange)
    _print_curve(out, exchange, came)
    _print_events(out, exchange, events)


def _print_facts(out: "Console", exchange: "Exchange") -> None:
    from rich.text import Text

    from analysis.queries.conversations import UNTITLED
    from analysis.terminal import byte_count, counted, local_time, one_line, print_facts

    out.print(Text(one_line(exchange.conversation_title) or UNTITLED, "bold"))
    asked = f"{exchange.method or ''} {exchange.host or ''}{exchange.path or ''}".strip()
    answered = [exchange.http_version, exchange.status_code, exchange.content_encoding, exchange.encoding]
    came = [counted(exchange.event_count or 0, "event"), f"{byte_count(exchange.wire_bytes)} on the wire"]
    if exchange.unrecognised_count:
        came.append(f"{exchange.unrecognised_count:,} not understood")
    lines: dict[str, list[object]] = {
        "Exchange": [exchange.id],
        "Asked": [local_time(exchange.started_at, "%Y-%m-%d %H:%M:%S"), exchange.action, exchange.requested_model],
        "Request": [asked],
        "Answer": [*answered, *came],
        "State": [exchange.state, exchange.error],
    }
    known = {name: [one_line(str(fact)) for fact in facts if fact not in (None, "")] for name, facts in lines.items()}
    print_facts(out, [(name, " · ".join(facts)) for name, facts in known.items() if facts], 9)


def _print_curve(out: "Console", exchange: "Exchange", came: list[tuple[float, int]]) -> None:
    from rich.text import Text

    from analysis.terminal import byte_count, duration, print_facts, readable_width
    from analysis.timeline import longest_gap, phases, rates

    found = phases(exchange)
    if found:
        told = " · ".join(f"{name} {duration(at)}" for name, at in found.items())
        print_facts(out, [("Times", told)], 9)
    speeds = rates(came, readable_width(out) - 10)
    if len(came) < 2 or not speeds:
        return
    highest = max(speeds)
    bars = "".join(_BARS[min(7, round(speed / highest * 7))] if speed else " " for speed in speeds)
    out.print(Text.assemble(("Bytes     ", "bold"), (bars, "green")))
    gap = longest_gap(came)
    told = f"0 to {duration(came[-1][0])}, up to {byte_count(round(highest))}/s"
    if gap is not None:
        told += f"; longest silence {duration(gap.seconds)}, after {duration(gap.after)}"
    print_facts(out, [("", Text(told, "dim"))], 9)


def _print_events(out: "Console", exchange: "Exchange", events: "list[TypedEvent]") -> None:
    from rich.text import Text

    from analysis.terminal import is_watched, one_line, readable_width, shortened
    from analysis.timeline import seconds_after

    for event in events:
        after = seconds_after(event.received_at, exchange.started_at)
        at = "" if after is None else f"{after:.2f} s"
        line = Text.assemble((f"{at:>9} ", "cyan"), f"{event.position:>6}  ", (one_line(event.type), "bold"))
        if not event.recognised:
            line.append(" (not understood)", "yellow")
        if is_watched():
            line.truncate(out.width, overflow="ellipsis")
        data, room = one_line(event.data), readable_width(out) - line.cell_len - 2
        shown = shortened(data, max(0, room)) if is_watched() else data
        line.append(f"  {shown}" if shown else "", "dim")
        out.print(line)

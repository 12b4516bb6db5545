"""`chatgpt-capture frames`: one exchange as its frames, each message in the state it ended in."""

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from analysis.cli import database_option
from analysis.completing import LAST_EXCHANGE
from analysis.options import flags, reading

if TYPE_CHECKING:
    from analysis.frames import Frame
    from analysis.queries.exchanges import Exchange

_STEERING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@click.command("frames", short_help="Show an exchange message by message, as JSON or as a flow.")
@click.argument("stream", type=LAST_EXCHANGE, metavar="STREAM|last", default="last")
@flags("form", {"json": "A JSON array of objects with one key each.", "flow": "Who said what to whom, with times."})
@database_option
def command(stream: str, form: str | None, database: Path) -> None:
    """Show what ChatGPT sent in one exchange, from the raw body alone.

    First what was asked, then each message once, {id, data}, in the state it ended in and in the order in which they
    came. What has no message is called no_message_key and the place of its event. STREAM is the beginning of the id of
    an exchange, or of a message or conversation: then it is its last one.

    \b
    chatgpt-capture frames last
    chatgpt-capture frames last --json
    chatgpt-capture frames last --flow
    """  # noqa: D301 - click's mark for lines that stay as they are
    from analysis.frames import frames
    from analysis.queries.exchanges import identify_exchange, prompt_of, raw_body

    with reading(database) as db:
        exchange = identify_exchange(db, stream, with_events=True)
        raw = raw_body(db, exchange.id)
        prompt = prompt_of(db, exchange)
    _refuse_what_has_none(exchange, raw.body)
    found = frames(raw, whole=not exchange.resume_offset)
    if form == "json":
        _write([{frame.key: frame.data} for frame in found])
    elif form == "flow":
        from analysis.flow_terminal import print_flow
        from analysis.terminal import console

        print_flow(console(), prompt, found)
    else:
        _print_log(prompt, found)


def _refuse_what_has_none(exchange: "Exchange", body: bytes | None) -> None:
    from analysis.errors import Unanswerable

    if body is None:
        raise Unanswerable(f"{exchange.id}: the raw body of this exchange is not kept")
    if exchange.kind not in ("turn", "resume", "topic") or exchange.encoding == "json":
        raise Unanswerable(f"{exchange.id}: is no event stream, it has no frames")


def _print_log(prompt: str | None, found: "list[Frame]") -> None:
    if prompt:
        from analysis.terminal import clean

        click.echo(clean(prompt) + "\n")
    for frame in found:
        click.echo(_json({"id": frame.key, "data": frame.data}) + "\n")


def _write(value: object) -> None:
    sys.stdout.write(_json(value) + "\n")


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, indent=2)
    # Halves of emoji, and controls that steer a terminal, are written as JSON writes them.
    return _STEERING.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)

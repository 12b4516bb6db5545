"""Options that several commands take, and the arguments they have in common."""

import functools
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from analysis.completing import GIZMO, MODEL

_FORMS = "a year, month, day or time as in 2026, 2026-11, 2026-11-23, 2026-11-23T18:30; today, yesterday, or 7d"


@contextmanager
def reading(database: Path) -> Iterator[sqlite3.Connection]:
    """The archive, open for reading."""
    from analysis.queries.archive import open_archive

    db = open_archive(database)
    try:
        yield db
    finally:
        db.close()


def existing(database: Path) -> Path:
    """The path of an archive that is there, absolute. Raises `Unanswerable`."""
    from analysis.queries.archive import check_archive

    check_archive(database)
    return database.absolute()


def writable(database: Path) -> Path:
    """The path of an archive that is there or can be made, absolute. Raises `Unanswerable`."""
    if database.exists() and (database.is_dir() or database.stat().st_size):
        return existing(database)
    return database.absolute()


class Moment(click.ParamType[str]):
    """A day or time as people write it, in the time zone of this machine; becomes UTC as the archive has it.

    The beginning of what was written, or with `last` its end: `--until 2026` is to the end of that year.
    """

    name = "time"

    def __init__(self, *, last: bool = False) -> None:
        self._last = last

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The moment in UTC, ISO 8601."""
        if not value:
            return ""
        span = _span(str(value), datetime.now().astimezone())
        if span is None:
            self.fail(f"“{value}” is no time: give {_FORMS}.", param, ctx)
        begin, end = (moment.astimezone(UTC) for moment in span)
        moment = end - timedelta(microseconds=1) if self._last else begin
        return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def period_options[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Lets a command be asked about a time only; the parameters `since` and `until` are "" where nothing is said."""
    function = click.option("--until", type=Moment(last=True), default="", metavar="TIME", help="Until then.")(function)
    return click.option("--since", type=Moment(), default="", metavar="TIME", help=f"Since {_FORMS}.")(function)


def filter_options[R](function: Callable[..., R]) -> Callable[..., R]:
    """Lets a command be asked about some conversations only: the parameter `only` is a `ConversationFilter`."""

    @functools.wraps(function)
    def filtered(since: str, until: str, model: str, gizmo: str, *, with_images: bool, **others: Any) -> R:
        from analysis.queries.conversations import ConversationFilter

        return function(only=ConversationFilter(since, until, model, gizmo, with_images=with_images), **others)

    of_kind = [
        click.option(
            "--model", default="", type=MODEL, metavar="NAME", help="With an answer of a model whose name begins so."
        ),
        click.option("--gizmo", default="", type=GIZMO, metavar="ID", help="Of the GPT or project whose id begins so."),
        click.option("--images", "with_images", is_flag=True, help="With generated images."),
    ]
    return period_options(functools.reduce(lambda done, option: option(done), reversed(of_kind), filtered))


def flags[**P, R](parameter: str, known: dict[str, str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Flags of which one may be given, with their help; `parameter` is the name of that one, or None."""

    def choose(ctx: click.Context, flag: click.Parameter, given: bool) -> None:
        before = ctx.params.setdefault(parameter, None)
        if given and before is not None:
            raise click.UsageError(f"--{before} and --{flag.name}: only one of them can be done at a time.", ctx)
        if given:
            ctx.params[parameter] = flag.name

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        for name, text in reversed(known.items()):
            function = click.option(f"--{name}", name, is_flag=True, expose_value=False, callback=choose, help=text)(
                function
            )
        return function

    return decorated


def only_one(**given: object) -> None:
    """Refuse what cannot be done at the same time: options by their names, with what was said of each."""
    said = [f"--{name}" for name, value in given.items() if value]
    if len(said) > 1:
        raise click.UsageError(f"{' and '.join(said)}: only one of them can be done at a time.")


def limit_option(number: int, what: str) -> Callable[[Any], Any]:
    """How many are shown; the parameter `limit` is None for all."""
    return click.option(
        "-n",
        "--limit",
        type=click.IntRange(min=0),
        default=number,
        show_default=True,
        help=f"How many {what}; 0 for all.",
        callback=lambda _ctx, _param, value: value or None,
    )


def _span(text: str, now: datetime) -> tuple[datetime, datetime] | None:
    """When what was written begins and when it is over, in the time zone of `now`."""
    day = timedelta(days=1)
    today = datetime(now.year, now.month, now.day).astimezone()
    if text == "today":
        return today, today + day
    if text == "yesterday":
        return today - day, today
    if found := re.fullmatch(r"(\d{1,4})d", text):
        return today - int(found[1]) * day, today + day
    try:
        return _written(text)
    except (ValueError, OverflowError):
        return None


def _written(text: str) -> tuple[datetime, datetime]:
    if re.fullmatch(r"\d{4}", text):
        return _local(f"{text}-01-01"), _local(f"{int(text) + 1:04}-01-01")
    if found := re.fullmatch(r"(\d{4})-(\d{2})", text):
        year, month = int(found[1]), int(found[2])
        return _local(f"{text}-01"), _local(f"{year + month // 12:04}-{month % 12 + 1:02}-01")
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return _local(text), (datetime.fromisoformat(text) + timedelta(days=1)).astimezone()
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}", text):
        return _local(text), _local(text) + timedelta(minutes=1)
    moment = _local(text)
    return moment, moment + timedelta(microseconds=1)


def _local(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone()

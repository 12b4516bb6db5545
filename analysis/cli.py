"""The command line `chatgpt-capture`: a frame that finds the commands in `analysis.commands` and loads what it needs.

A person's mistake is one line that says what and where, never a traceback.
"""

import errno
import importlib
import io
import os
import pkgutil
import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from analysis import __version__, commands
from analysis.errors import Unanswerable

_EXIT_CODES = (
    ("0", "done"),
    ("1", "something could not be done or is missing; it has been said what and where"),
    ("2", "the command line was not understood"),
    ("130", "interrupted with Ctrl-C; what was written until then is sound"),
)
_NARROW = 52
"""Columns below which help is broken by us: click writes it for no narrower terminal."""


class Commands(click.Group):
    """The modules of `analysis.commands`, imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, sorted."""
        return sorted(_modules())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, None when there is none."""
        module = _modules().get(cmd_name)
        if module is None:
            return None
        command: click.Command = importlib.import_module(f"{commands.__name__}.{module}").command
        return command

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The exit codes, under the commands."""
        with formatter.section("Exit codes"):
            formatter.write_dl(_EXIT_CODES)

    def invoke(self, ctx: click.Context) -> Any:
        """Run; what the world does to a command becomes a line, what is our own bug stays one."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            raise click.exceptions.Exit(130) from None
        except Unanswerable as error:
            raise click.ClickException(str(error)) from None
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.Error as error:
            raise click.ClickException(f"{ctx.obj}: {error}") from None
        except OSError as error:
            if error.errno == errno.EPIPE:  # click ends quietly
                raise
            raise click.ClickException(_said(error)) from None


def _modules() -> dict[str, str]:
    """The modules by the names of their commands."""
    names = [module.name for module in pkgutil.iter_modules(commands.__path__)]
    return {name.rstrip("_").replace("_", "-"): name for name in names}


_DATABASE: dict[str, Any] = {
    "type": click.Path(path_type=Path),
    "metavar": "FILE",
    "help": "The archive. Default: $CHATGPT_CAPTURE_DB, else chatgpt.db.",
}


def database_option[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Lets a command take `--db` too, after its name; the function's parameter `database` is a path."""
    return click.option(
        "--db",
        "database",
        **_DATABASE,
        callback=lambda ctx, _, value: value or ctx.find_root().obj or Path("chatgpt.db"),
    )(function)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--db", "database", **_DATABASE, envvar="CHATGPT_CAPTURE_DB", default="chatgpt.db")
@click.version_option(__version__, prog_name="chatgpt-capture", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, database: Path) -> None:
    """Your ChatGPT conversations, in one SQLite file."""
    ctx.obj = database.expanduser()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an encoding that lacks a letter is no reason to stop


def main() -> None:
    """Run what the command line says, under the name by which people know it."""
    columns = shutil.get_terminal_size().columns
    try:
        cli(prog_name="chatgpt-capture", terminal_width=columns if columns < _NARROW else None)
    except SystemExit as done:
        code = done.code
    except OSError as error:  # help and version are printed before a command is invoked
        click.echo(f"Error: {_said(error)}", err=True)
        code = 1
    raise SystemExit(_flushed(code))


def _flushed(code: str | int | None) -> str | int | None:
    """The exit code when all that was printed has gone out; Python itself would complain in its own words."""
    try:
        sys.stdout.flush()
    except OSError as error:
        if not code and error.errno != errno.EPIPE:
            click.echo(f"Error: {_said(error)}", err=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code or 1
    return code


def _said(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{(error.strerror or str(error)).lower()}"

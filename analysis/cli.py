"""The command line `chatgpt-capture`: a frame that finds the commands in `analysis.commands` and loads what it needs.

A person's mistake is one line that says what and where, never a traceback.
"""

import errno
import importlib
import io
import pkgutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from analysis import __version__, commands
from analysis.errors import Unanswerable

_EXIT_CODES = """\b
Exit codes:
  0    done
  1    something could not be done or is missing; it has been said what and where
  2    the command line was not understood
  130  interrupted with Ctrl-C; what was written until then is sound"""


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
            place = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{place}{(error.strerror or str(error)).lower()}") from None


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


@click.group(
    cls=Commands, epilog=_EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
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
    cli(prog_name="chatgpt-capture")

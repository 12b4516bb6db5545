"""A Datasette with one archive and our plugin, on loopback, behind a token."""

import socket
import sqlite3
import webbrowser
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click
import uvicorn
from datasette.app import Datasette
from datasette.plugins import pm

from analysis import browse
from analysis.browse.access import ALLOW, kept_secret, secret_path
from analysis.browse.metadata import SETTINGS
from analysis.browse.site import is_archive
from analysis.queries.archive import look

HOST = "127.0.0.1"


def serve(database: Path, port: int, *, open_browser: bool) -> None:
    """Serve until somebody stops it. Raises `click.ClickException` for what the person can mend."""
    check(database)
    datasette = instance(database, kept_secret(secret_path()))
    with closing(listening(port)) as listener:
        address = (
            f"http://{HOST}:{listener.getsockname()[1]}/-/archive/login?{urlencode({'token': datasette._root_token})}"
        )
        config = uvicorn.Config(
            datasette.app(), log_level="warning", access_log=False, lifespan="on", server_header=False
        )
        with suppress(KeyboardInterrupt):  # the usual way to stop it
            _Server(config, lambda: _ready(address, open_browser)).run(sockets=[listener])


def instance(database: Path, secret: str) -> Any:
    """A Datasette that lets in who has its token, and who signs with `secret`."""
    if not pm.is_registered(browse):
        pm.register(browse)  # where no installation has told Datasette of it
    told = {"title": "ChatGPT Capture", "allow": ALLOW}
    files, finished = ([], [str(database)]) if _is_sealed(database) else ([str(database)], [])
    return Datasette(files, immutables=finished, settings=SETTINGS, metadata=told, secret=secret)


def check(database: Path) -> None:
    """Refuse what cannot be shown at all, in one line."""
    if not database.is_file():
        raise click.ClickException(f"{database}: is not there; capture something first, or name an archive with --db")
    if not is_archive(database):
        raise click.ClickException(f"{database}: is not an archive of ChatGPT Capture")
    try:
        if not _is_sealed(database):
            _look(database)
    except sqlite3.Error as error:
        if error.sqlite_errorname.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise click.ClickException(
                f"{database}: is damaged ({error}); `sqlite3 {database.name} .recover` reads what can be read of it"
            ) from None
        raise click.ClickException(
            f"{database}: cannot be read ({error}); in a folder that may not be written, copy it to one that may"
            " with what is named like it, or convert it there with PRAGMA journal_mode = DELETE"
        ) from None


def _is_sealed(database: Path) -> bool:
    """Whether nobody writes the file and SQLite cannot make its companions: a finished one in a read-only folder.

    Then all of it is in the file itself. A file that is being written has a write-ahead log beside it.
    """
    try:
        _look(database)
    except sqlite3.OperationalError as error:
        unwritable = error.sqlite_errorname.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY"))
        return unwritable and not database.with_name(database.name + "-wal").exists()
    except sqlite3.Error:
        return False
    return False


def _look(database: Path) -> None:
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as db:
        look(db)


def listening(port: int) -> socket.socket:
    """A socket that listens on loopback."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise click.ClickException(
            f"port {port} cannot be used ({(error.strerror or str(error)).lower()}); choose another with --port, or 0"
        ) from None
    return listener


def _ready(address: str, open_browser: bool) -> None:
    click.echo(address)
    if open_browser:
        webbrowser.open(address)


class _Server(uvicorn.Server):
    """Says that it is ready once it is."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

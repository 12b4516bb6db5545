"""What every page shares: finding the archive among the databases, asking it off the event loop, saying what is wrong.

A page is a pure function of a connection and what was asked for; it returns what its template shows. It runs in
Datasette's thread for queries, under a time limit, and never in the event loop, and so do the templates: rendering
takes as long as a query.
"""

import os
import sqlite3
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from datasette.utils import sqlite_timelimit, tilde_encode
from datasette.utils.asgi import Forbidden, Request, Response
from jinja2 import Environment

from analysis.browse.rendered import Memory
from analysis.browse.static import address
from analysis.queries.conversations import UNTITLED
from analysis.rendering import Media, Rendered, Row

if TYPE_CHECKING:
    from datasette.app import Datasette
    from datasette.database import Database

APPLICATION_ID = b"CGPT"
"""`PRAGMA application_id` of an archive, as the capture writes it."""

TIME_LIMIT_MS = 3_000

_NO_ARCHIVE = (
    "None of the databases that are open is an archive of ChatGPT Capture. Their tables can be browsed all the same."
)


_TOO_LONG = ("This takes too long", "The question was given up. Ask for less of it: fewer days, fewer rows.")


class Problem(Exception):
    """What a page cannot show, and why: status, a title, and what the reader can do."""

    def __init__(self, status: int, title: str, words: str) -> None:
        super().__init__(title)
        self.status, self.title, self.words = status, title, words


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for: the parts of its path, its query, the file and the name of the archive."""

    parts: Mapping[str, str]
    query: Mapping[str, str]
    path: str
    database: Path
    name: str
    render: "Render"

    def get(self, key: str, longest: int = 300) -> str:
        """A field of the query, without blanks around it; "" when it is not there, cut when it is too long."""
        return str(self.query.get(key) or "").strip()[:longest]

    def table(self, name: str) -> str:
        """The address of a stock page of the archive."""
        return f"/{tilde_encode(self.name)}/{name}"


type Render = Callable[[Row, Mapping[str, Media]], Rendered]
type Page = Callable[[sqlite3.Connection, Asked], dict[str, Any]]
type View = Callable[..., Awaitable[Sendable]]


class Sendable(Protocol):
    """What Datasette sends as an answer."""

    async def asgi_send(self, send: Any) -> None:
        """Send it."""


class Site:
    """The views of one Datasette; each asks the archive, under the time limit, and says what is wrong."""

    def __init__(self, datasette: "Datasette") -> None:
        self._datasette = datasette
        self._memory = Memory()
        # Datasette's own environment awaits every attribute, which takes longer than all else a long thread needs.
        self._templates = Environment(loader=datasette.jinja_env.loader, autoescape=True)

    def html(self, template: str, page: Page) -> View:
        """The view that shows what a page returns in a template."""

        async def view(request: Request) -> Response:
            try:
                asked = await self.asked(request)
                return Response.html(
                    await self.answer(asked, lambda db, _: self._shown(template, asked, page(db, asked)))
                )
            except Problem as problem:
                return await error_page(self._datasette, request, problem)

        return view

    def json(self, page: Page, template: str = "") -> View:
        """The view that gives what a page returns as JSON; with a template, its `data` and the `html` made from it."""

        async def view(request: Request) -> Response:
            def told(db: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
                context = page(db, asked)
                return {**context["data"], "html": self._shown(template, asked, context)} if template else context

            try:
                return Response.json(await self.answer(await self.asked(request), told))
            except Problem as problem:
                return Response.json({"ok": False, "error": problem.title}, status=problem.status)

        return view

    def bytes(self, answer: Callable[[sqlite3.Connection, Asked], Sendable]) -> View:
        """The view that gives bytes, which a browser may keep: their address is their digest."""

        async def view(request: Request) -> Sendable:
            try:
                return await self.answer(await self.asked(request), answer)
            except Problem as problem:
                refusal: Sendable = Response.text(f"{problem.title}. {problem.words}", status=problem.status)
                return refusal

        view._datasette_static = True  # type: ignore[attr-defined] # Datasette then leaves the cache header alone
        return view

    def _shown(self, template: str, asked: Asked, context: Mapping[str, Any]) -> str:
        return self._templates.get_template(template).render({**_frame(asked), **context})

    async def asked(self, request: Request) -> Asked:
        """What a request asks for, by somebody who may. Raises `Problem`, `Forbidden`."""
        await self._datasette.ensure_permissions(request.actor, ["view-instance"])
        database = find_archive(self._datasette)
        if database is None:
            lost = missing(self._datasette)
            if lost is not None:
                raise lost
            raise Problem(404, "No archive here", _NO_ARCHIVE)
        allowed = await self._datasette.permission_allowed(request.actor, "view-database", database.name, default=True)
        if not allowed:
            raise Forbidden("view-database")
        query = {key: request.args[key] for key in request.args}
        path = Path(database.path).absolute()
        parts = {name: unquote(value or "") for name, value in request.url_vars.items()}
        return Asked(parts, query, request.path, path, database.name, self._memory.rendered)

    async def answer[T](
        self, asked: Asked, answer: Callable[[sqlite3.Connection, Asked], T], limit_ms: int = TIME_LIMIT_MS
    ) -> T:
        """What is answered in a thread of Datasette's, on its connection, in time. Raises `Problem`."""

        def run(db: sqlite3.Connection) -> T:
            with sqlite_timelimit(db, limit_ms):
                return answer(db, asked)

        try:
            told: T = await self._datasette.get_database(asked.name).execute_fn(run)
            return told
        except sqlite3.Error as error:
            raise _unreadable(error) from None


async def error_page(datasette: "Datasette", request: Request, problem: Problem) -> Response:
    """A page that says what is wrong; the way to everything else is on it."""
    context = {
        "title": problem.title, "advice": problem.words, "status": problem.status, "static": address,
        "archive": next((name for name in datasette.databases if name != "_internal"), ""),
        "asked": None, "section": "",
    }  # fmt: skip
    shown = await datasette.render_template("archive/error.html", context, request=request)
    return Response.html(shown, status=problem.status)


def find_archive(datasette: "Datasette") -> "Database | None":
    """The first database that is an archive of ours."""
    for database in datasette.databases.values():
        if database.path is not None and is_archive(Path(database.path)):
            return database
    return None


def missing(datasette: "Datasette") -> Problem | None:
    """That a file is not there any more."""
    files = [Path(database.path) for database in datasette.databases.values() if database.path is not None]
    gone = next((path for path in files if not path.is_file()), None)
    if gone is None:
        return None
    return Problem(503, "The archive is not there", f"{gone.name} was moved or deleted while it was open.")


def is_archive(path: Path) -> bool:
    """Whether a file says in its header that the capture wrote it (SQLite file format 1.3.17)."""
    try:
        found = path.stat()
        return os.pread(_kept_open(path, found.st_dev, found.st_ino), 4, 68) == APPLICATION_ID
    except OSError:
        return False


@cache
def _kept_open(path: Path, device: int, inode: int) -> int:
    """A file, never closed: closing it would take from all the process the locks that SQLite holds of it ("How To
    Corrupt An SQLite Database File", 2.2), and whoever writes next would take away the log that is being read.
    """
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def no_such_page(db: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """An address that is none of the pages."""
    raise Problem(404, "No such page", "The address may have been cut short or mistyped.")


def problem_of(exception: Exception) -> Problem:
    """What went wrong on a page of Datasette's own."""
    from datasette.views.base import DatasetteError

    status, words = getattr(exception, "status", 500), str(exception)
    if isinstance(exception, DatasetteError):
        if exception.title == "SQL Interrupted":
            return Problem(400, *_TOO_LONG)
        status = 400 if status == 500 else status  # it is always what was asked for that is wrong
    elif status == 500:
        traceback.print_exception(exception, file=sys.stderr)
    title = {400: "This cannot be asked", 404: "Not found"}.get(status, "This did not work")
    return Problem(status, title, words if words != str(status) else "")


def _unreadable(error: sqlite3.Error) -> Problem:
    reason = str(error)
    if reason == "interrupted":
        return Problem(503, *_TOO_LONG)
    if reason.startswith(("no such column", "no such table")):
        return Problem(
            503,
            "An archive of another version",
            f"This page does not find what it reads ({reason}). Start the capture once on it: that mends it.",
        )
    traceback.print_exception(error, file=sys.stderr)
    return Problem(
        503,
        "The archive cannot be read",
        f"SQLite says: {reason}. An archive in a folder that is only readable must be converted first "
        "(PRAGMA journal_mode = DELETE), or copied to where it can be written.",
    )


def _frame(asked: Asked) -> dict[str, Any]:
    return {"static": address, "archive": asked.name, "asked": asked, "section": "", "untitled": UNTITLED}

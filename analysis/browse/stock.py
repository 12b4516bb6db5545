"""What is asked of Datasette's own pages, so put that none of them takes too long with very many messages.

- Views that are made anew from the whole archive each time are not counted: Datasette counts what it shows a page of,
  and of these that takes as long as all of their rows. `?_nocount=` counts all the same.
- A facet that a page has anyway is not counted a second time because the address names it too.
- In a large archive such a view has no facets, and what has very many rows is sorted by few columns.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from datasette.utils import tilde_decode
from datasette.utils.asgi import Request
from datasette.views.base import DatasetteError

from analysis.browse.guard import App, Message, Receive, Send
from analysis.browse.metadata import FACETS
from analysis.browse.site import find_archive
from analysis.queries.archive import count_within

if TYPE_CHECKING:
    from datasette.app import Datasette

REMADE = ("daily_activity", "messages_in_parts", "model_usage", "threads", "turn_completeness", "turns")

LARGE = 200_000
"""Messages up to which everything is sorted and counted within a few seconds."""

# By what an index has in order. The order of ids says nothing, and takes long.
_SORTED: Mapping[str, tuple[str, ...]] = {
    "messages": ("n", "role", "model_slug", "content_type"),
    "streams": ("started_at", "state", "path", "name"),
    "events": ("type", "recognised"),
    "threads": (),
    "turns": ("started_at",),
    "turn_completeness": ("started_at",),
    "messages_in_parts": ("n",),
}


def lightened(app: App, datasette: "Datasette") -> App:
    """`app`, asked for no more than a page needs."""

    async def ask(scope: Message, receive: Receive, send: Send) -> None:
        archive = find_archive(datasette) if scope["type"] == "http" else None
        database, _, name = scope.get("path", "")[1:].partition("/")
        table = name.removesuffix(".json")
        if archive is not None and tilde_decode(database) == archive.name and (table in REMADE or table in FACETS):
            given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
            wanted = [pair for pair in given if pair[0] != "_facet" or pair[1] not in FACETS.get(table, ())]
            if table in REMADE and not any(key == "_nocount" for key, _ in wanted):
                wanted.append(("_nocount", "1"))
            scope = {**scope, "query_string": urlencode(wanted).encode()}
        await app(scope, receive, send)

    return ask


def sortable(path: Path) -> Mapping[str, tuple[str, ...]]:
    """By which columns a table or view is sorted, where not by all."""
    return _SORTED if _is_large(path) else {}


def has_no_facets(path: Path | None, table: str | None) -> bool:
    """Whether this is a view whose facets would take long."""
    return path is not None and table in REMADE and _is_large(path)


def refuse_facets(request: Request, path: Path | None, table: str) -> None:
    """Raises `DatasetteError` for facets of a view that would take long."""
    if has_no_facets(path, table) and any(key.startswith("_facet") for key in request.args):
        raise DatasetteError(
            f"{table} is made anew from the whole archive each time: with so many messages its facets would take long."
            " The facets of streams and messages are there at once.",
            status=400,
        )


@lru_cache(maxsize=8)
def _is_large(path: Path) -> bool:
    try:
        # Not by `open_archive`, which looks at the file itself: see `is_archive`.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            return count_within(db, LARGE) > LARGE
    except sqlite3.Error:
        return False

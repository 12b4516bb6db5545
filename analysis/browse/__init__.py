"""The Datasette plugin: an archive as pages to read, search and look at, beside Datasette's own.

`chatgpt-capture browse` starts a Datasette with it; `datasette chatgpt.db` finds it by its entry point. It reads only
and asks nothing of anybody else's server. What is where:

    guard       the outermost layer: who may ask, what pages may do
    site        finding the archive, asking it, saying what is wrong
    stock       what is asked of Datasette's own pages
    static      styles and scripts
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasette import hookimpl
from datasette.utils.asgi import Request, Response

from analysis.browse.access import Door
from analysis.browse.cells import archive_cell
from analysis.browse.files import original, thumbnail
from analysis.browse.guard import App, guarded
from analysis.browse.health_page import health_page
from analysis.browse.home import home_page, recent
from analysis.browse.images_page import gallery_page, image_page
from analysis.browse.metadata import metadata
from analysis.browse.search_page import search_page
from analysis.browse.site import (
    Problem,
    Site,
    View,
    error_page,
    find_archive,
    is_archive,
    missing,
    no_such_page,
    problem_of,
)
from analysis.browse.static import address, static_file
from analysis.browse.stock import has_no_facets, lightened, refuse_facets, sortable
from analysis.browse.streams_page import stream_page
from analysis.browse.thread import news, thread_page
from analysis.browse.usage_page import Charts, usage_page

if TYPE_CHECKING:
    from datasette.app import Datasette  # which loads its plugins while it is imported itself

PLUGIN = "chatgpt-capture"


@hookimpl(trylast=True)
def asgi_wrapper(datasette: "Datasette") -> Callable[[App], App]:
    """The guard; last, so that it stands outside everything."""
    hosts = (datasette.plugin_config(PLUGIN) or {}).get("hosts") or []
    return lambda app: guarded(lightened(app, datasette), hosts)


@hookimpl
def register_routes(datasette: "Datasette") -> list[tuple[str, View]]:
    """The pages."""
    from datasette.views.index import IndexView

    site = Site(datasette)
    door = Door(datasette._root_token)
    index = IndexView.as_view(datasette)
    home, charts = site.html("archive/home.html", home_page), Charts(site)

    async def first_page(request: Request) -> Any:
        if find_archive(datasette) is None and missing(datasette) is None:
            return Response.redirect("/-/tables")
        return await home(request)

    return [
        (r"^/$", first_page),
        (r"^/-/archive$", site.html("archive/search.html", search_page)),
        (r"^/-/archive/images$", site.html("archive/images.html", gallery_page)),
        (r"^/-/archive/images/(?P<image>\d+)$", site.html("archive/image.html", image_page)),
        (r"^/-/archive/usage$", site.html("archive/usage.html", usage_page)),
        (r"^/-/archive/usage/data$", charts.view),
        (r"^/-/archive/streams/(?P<stream>[^/]+)$", site.html("archive/stream.html", stream_page)),
        (r"^/-/archive/health$", site.html("archive/health.html", health_page)),
        (r"^/-/archive/login$", door.view),
        (r"^/-/archive/recent$", site.json(recent, "archive/_recent.html")),
        (r"^/-/archive/c/(?P<conversation>[^/]+)$", site.html("archive/thread.html", thread_page)),
        (r"^/-/archive/c/(?P<conversation>[^/]+)/news$", site.json(news, "archive/_news.html")),
        (r"^/-/archive/file/(?P<digest>[0-9a-f]{64})$", site.bytes(original)),
        (r"^/-/archive/thumb/(?P<digest>[0-9a-f]{64})$", site.bytes(thumbnail)),
        (r"^/-/archive/static/[^/]+/(?P<name>.+)$", static_file),
        (r"^/-/archive/.*$", site.html("archive/error.html", no_such_page)),
        (r"^/-/tables(\.(?P<format>json))?$", index),
    ]


@hookimpl
def get_metadata(datasette: "Datasette", key: str | None, database: str | None, table: str | None) -> dict[str, Any]:
    """What stock pages say of tables, columns and named queries."""
    told: dict[str, Any] = {}
    for name in datasette.databases:
        path = _path_of(datasette, name) if database in (None, name) else None
        if path is not None:
            told |= metadata(name, key, table, sortable(path))["databases"]
    return {"databases": told}


@hookimpl
def filters_from_request(request: Request, database: str, table: str, datasette: "Datasette") -> None:
    """Before a page of a table is made."""
    refuse_facets(request, _path_of(datasette, database), table)


@hookimpl
def render_cell(row: Any, value: Any, column: str, table: str | None) -> Any:
    """Cells of stock tables that lead to pages."""
    return archive_cell(table, column, value, row)


@hookimpl
def extra_css_urls() -> list[str]:
    """The look of stock pages."""
    return [address("archive.css"), address("stock.css")]


@hookimpl
def extra_js_urls() -> list[dict[str, Any]]:
    """What stock pages lack for those who do not see them, and the key for the search."""
    return [{"url": address("stock.js"), "module": True}]


@hookimpl
def permission_allowed(action: str, resource: Any) -> bool | None:
    """Datasette's list of its own tables is no database of the person's: it is shown to nobody."""
    database = resource[0] if isinstance(resource, tuple) else resource
    return False if database == "_internal" and action.startswith(("view-", "execute-")) else None


@hookimpl
def forbidden(datasette: "Datasette", request: Request, message: str) -> Awaitable[Response]:
    """Nobody is let in who has not opened the address that was printed; who has is told what is not to be had."""
    if request.actor:
        return error_page(datasette, request, Problem(403, "This is not to be had", f"{message}."))
    words = "Open the address that chatgpt-capture browse printed when it started: it lets you in."
    return error_page(datasette, request, Problem(403, "This archive is private", words))


@hookimpl
def startup() -> None:
    """Datasette's own report of an error would print every local variable: texts of the archive among them."""
    from datasette import handle_exception as report

    report.rich = None


@hookimpl
def handle_exception(datasette: "Datasette", request: Request, exception: Exception) -> Response | Awaitable[Response]:
    """What goes wrong on a stock page, in the look of the others; as JSON to programs that ask for that."""
    problem = missing(datasette) or problem_of(exception)
    if request.path.endswith(".json"):
        told = {"ok": False, "error": problem.words or problem.title, "status": problem.status, "title": problem.title}
        return Response.json(told, status=problem.status)
    return error_page(datasette, request, problem)


@hookimpl
def extra_template_vars(datasette: "Datasette", database: str | None, table: str | None) -> dict[str, Any]:
    """What the templates of stock pages need of ours."""
    return {"static": address, "without_facets": has_no_facets(_path_of(datasette, database), table)}


def _path_of(datasette: "Datasette", database: str | None) -> Path | None:
    """The file of a database that is an archive of ours."""
    opened = datasette.databases.get(database)
    path = Path(opened.path) if opened is not None and opened.path is not None else None
    return path if path is not None and is_archive(path) else None

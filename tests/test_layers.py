"""Who may know whom: the line from byte to row stays a line."""

import ast
import importlib.metadata
import subprocess
import sys

import pytest

from tests.conftest import ROOT

CORE = sorted(path for path in (ROOT / "addon").rglob("*.py") if path.stem != "__init__")


def imported(path: str) -> set[str]:
    """The top-level names that a module imports, `addon.x` in full."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"addon.{alias.name}" for alias in node.names} if node.module == "addon" else {node.module}
    return names


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_only_the_adaptor_and_the_flows_know_mitmproxy_and_nobody_knows_analysis(path: object) -> None:
    names = imported(str(path))
    knows = {name.partition(".")[0] for name in names}
    assert "analysis" not in knows
    assert ("mitmproxy" in knows) == (str(path).endswith(("addon/adaptor.py", "addon/flows.py")))


def test_the_proxy_side_imports_nothing_of_the_decoding_side() -> None:
    names = (
        "archive",
        "endpoints",
        "errors",
        "flows",
        "journal",
        "log_lines",
        "recorder_process",
        "settings",
        "socket_tap",
        "tap",
    )
    proxy_side = {f"addon.{name}" for name in names}
    assert {name for name in imported("addon/adaptor.py") if name.startswith("addon")} == proxy_side
    for name in proxy_side:
        inner = {known for known in imported(name.replace(".", "/") + ".py") if known.startswith("addon")}
        assert inner <= {"addon.errors", "addon.journal", "addon.endpoints"}, name


def test_only_the_packages_that_write_archives_know_sqlite() -> None:
    knowing = {path.parent.name for path in CORE if {"sqlite3", "sqlite_utils"} & imported(str(path))}
    assert knowing == {"store", "upkeep"}


def test_packages_build_on_one_another_in_one_direction() -> None:
    """Beside the modules of the line itself, each knows only those before it."""
    order = ("wire", "answers", "documents", "files", "sockets", "store", "importing", "upkeep")
    for path in CORE:
        if path.parent.name in order:
            known = {name.split(".")[1] for name in imported(str(path)) if name.startswith("addon.")} & set(order)
            assert known <= set(order[: order.index(path.parent.name) + 1]), path


def test_the_recorder_starts_without_mitmproxy_and_without_what_only_migrations_need() -> None:
    script = "import addon.recorder, sys; print([name for name in ('mitmproxy', 'sqlite_utils', 'PIL') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_no_module_shadows_one_that_mitmproxy_could_import() -> None:
    """Mitmproxy leaves the entry's folder on `sys.path`: a bare name in it would be found first."""
    taken = set(sys.stdlib_module_names) | {
        name.replace("-", "_") for name in importlib.metadata.packages_distributions()
    }
    assert {path.relative_to(ROOT / "addon").parts[0].removesuffix(".py") for path in CORE} & taken == set()


_ASKS_ITSELF = {
    "analysis/commands/sql.py": "runs what the person wrote",
    "analysis/fidelity.py": "counts the files of an import a second time and apart, in a database of its own",
}


def test_whatever_is_asked_of_an_archive_has_its_one_place_in_queries() -> None:
    """Two places that ask the same come to give different answers."""
    asking = set()
    for path in sorted((ROOT / "analysis").rglob("*.py")):
        calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        methods = {call.attr for call in calls if isinstance(call, ast.Attribute)}
        if {"execute", "executemany", "executescript"} & methods:
            asking.add(str(path.relative_to(ROOT)))
    inside = {path for path in asking if path.startswith("analysis/queries/")}
    assert len(inside) > 10
    assert asking - inside == set(_ASKS_ITSELF)


def test_rendering_knows_neither_a_database_nor_a_server() -> None:
    known = {
        "__future__",
        "collections",
        "dataclasses",
        "functools",
        "html",
        "json",
        "re",
        "typing",
        "unicodedata",
        "urllib",
        "xml",
    }
    libraries = {"latex2mathml", "markdown_it", "markupsafe", "nh3", "orjson", "pygments"}
    modules = sorted((ROOT / "analysis" / "rendering").glob("*.py"))
    assert len(modules) > 5
    for path in modules:
        outside = {name.partition(".")[0] for name in imported(str(path)) if not name.startswith("analysis.rendering")}
        assert outside <= known | libraries, path.stem

"""The README is true: its queries run and print what it shows, its tables, views and options are there."""

import contextlib
import os
import pkgutil
import re
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from addon.answers.capture import Capture, Closing, Opening
from addon.store.store import Store
from analysis import commands
from analysis.cli import cli
from scripts.demonstration import ACTS
from scripts.loopback import turn_request
from tests.asking import ask
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """The archive that the demo leaves, without the proxy."""
    path = tmp_path_factory.mktemp("readme") / "demo.db"
    store = Store.open(path)
    for number, act in enumerate(ACTS):
        started = 1_790_000_000_000_000 + number * 60_000_000
        opening = Opening(
            stream_id=act.title,
            source="live",
            kind="turn",
            streamed=True,
            host="chatgpt.com",
            path="/backend-api/f/conversation",
            method="POST",
            started_at=started,
            status_code=200,
            content_type="text/event-stream",
        )
        _, request = turn_request(act.prompt, message_id=act.scene.user_message_id)
        capture = Capture(opening, request)
        store.write(capture.begin())
        for event in act.scene.events:
            started += 120_000
            store.write(capture.feed(event, started))
        store.write(capture.close(Closing("end"), started))
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        yield db


def shown_tables() -> list[tuple[str, list[list[str]]]]:
    """Each SQL block with the rows of the table that follows it."""
    found = []
    for query, table in re.findall(r"```sql\n(.*?)```\n((?:\n\|[^\n]*)*)", README, re.DOTALL):
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()]
        found.append((query, lines))
    return found


@pytest.mark.parametrize(("query", "shown"), shown_tables())
def test_each_query_prints_what_the_readme_shows(demo: sqlite3.Connection, query: str, shown: list[list[str]]) -> None:
    cursor = demo.execute(query)
    rows = [["" if cell is None else str(cell).strip() for cell in row] for row in cursor]
    if shown:
        assert [column[0] for column in cursor.description] == shown[0]
        assert rows == shown[2:]
    else:
        assert rows == []


def shown_commands() -> list[tuple[str, str]]:
    """Each command of the section on asking, with what it prints."""
    section = README.partition("## Ask\n")[2].partition("\n## ")[0]
    return re.findall(r"```\n\$ chatgpt-capture ([^\n]*)\n(.*?)```", section, re.DOTALL)


@pytest.mark.parametrize(("command", "shown"), shown_commands())
def test_each_command_prints_what_the_readme_shows(demo: sqlite3.Connection, command: str, shown: str) -> None:
    path = demo.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchone()[0]
    printed = ask(Path(path), *shlex.split(command)).stdout
    assert [line.rstrip() for line in printed.splitlines()] == shown.splitlines()


def examples() -> list[str]:
    """What the help of each command shows, but for those that go on until somebody ends them, or ask for other files."""
    others = {"browse", "completion", "import", "merge", "tail"}
    shown = {name: command.help or "" for name, command in all_commands().items() if name not in others}
    found = [re.findall(r"^ *chatgpt-capture (.*?)(?: \|.*)?$", text, re.MULTILINE) for text in shown.values()]
    assert all(found)
    return [line for lines in found for line in lines]


def all_commands() -> dict[str, click.Command]:
    context = click.Context(cli)
    commands = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    return {name: command for name, command in commands.items() if command is not None}


@pytest.mark.parametrize("example", examples())
def test_each_example_in_the_help_can_be_given_to_the_archive_of_the_demo(
    demo: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: str
) -> None:
    database = tmp_path / "demo.db"
    with contextlib.closing(sqlite3.connect(database)) as copy:
        demo.backup(copy)
    monkeypatch.chdir(tmp_path)
    ask(database, *shlex.split(example))


def test_where_the_command_is_stands_before_it_is_first_given_by_its_name() -> None:
    bare = re.search(r"(?:\$ |`)chatgpt-capture [a-z]", README)
    told = re.search(r"`alias chatgpt-capture=path/to/(\S+)`", README)
    assert bare is not None
    assert told is not None
    assert told.start() < bare.start()
    assert os.access(ROOT / told[1], os.X_OK)


def test_the_readme_names_every_command_that_asks() -> None:
    section = README.partition("## Ask\n")[2].partition("\n## ")[0]
    assert len(shown_commands()) >= 3
    writing = {"audit", "browse", "export", "import", "merge", "prune", "report", "reparse", "vacuum"}
    names = {name.rstrip("_").replace("_", "-") for _, name, _ in pkgutil.iter_modules(commands.__path__)}
    assert set(re.findall(r"^\| `([a-z-]+)", section, re.MULTILINE)) == names - writing


def test_every_table_is_described(demo: sqlite3.Connection) -> None:
    names = {name for (name,) in demo.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    ours = {name for name in names if not name.startswith(("sqlite_", "_sqlite_", "messages_fts"))}
    section = README.partition("## What is captured")[2].partition("## ")[0]
    described = set(
        re.findall(
            r"`([a-z_]+)`", "\n".join(line.split("|")[1] for line in section.splitlines() if line.startswith("|"))
        )
    )
    views = {name for (name,) in demo.execute("SELECT name FROM sqlite_schema WHERE type = 'view'")}
    assert described == ours | views


def test_the_modules_on_the_path_of_the_data_are_there() -> None:
    section = README.partition("## How it works")[2].partition("## ")[0]
    named = re.findall(
        r"(?:addon|analysis)/[a-z_/]*(?:\.py)?", section + (ROOT / "docs" / "how-it-works.md").read_text()
    )
    assert len(named) >= 10
    for name in named:
        assert (Path(ROOT) / name).exists(), name


def test_what_the_readme_points_to_is_there_and_points_back() -> None:
    pages = set(re.findall(r"\]\((docs/[a-z-]+\.md)\)", README))
    assert pages == {str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md")}
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^## (.*)$", README, re.M)
    }
    for page in pages:
        assert set(re.findall(r"\.\./README\.md#([a-z0-9-]+)", (ROOT / page).read_text())) <= headings

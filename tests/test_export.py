"""`chatgpt-capture export`, the real command: what it writes is read back, whole and private, whatever stops it."""

import base64
import contextlib
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis.exports.folder import ExportFolder
from analysis.exports.forms import Task
from analysis.exports.talks import talks
from analysis.queries import open_archive
from scripts.made_up_export import Size, write
from tests.conftest import CAPTURES, needs_captures
from tests.recording import FINISHED, Archive, archive_at, message, request, shown, v1
from tests.test_rendering import Reader

SMALL = Size(conversations=6, on_path=90, abandoned=12, images=5)
PNG = b"\x89PNG\r\n\x1a\n and so on"
DIGEST = "ab" + "0" * 62

SERVICE_COLUMNS = {
    "conversations": "id, title, created_at, updated_at, current_node, default_model_slug, gizmo_id,"
    " conversation_origin, is_archived, is_starred, is_temporary, metadata",
    "messages": "id, conversation_id, parent_id, role, author_name, recipient, channel, content_type, text, content,"
    " status, end_turn, weight, visible, model_slug, finish_type, turn_exchange_id, request_id, reasoning_seconds,"
    " created_at, updated_at, metadata",
    "image_generations": "conversation_id, message_id, part_index, asset_id, asset_pointer, gen_id, parent_gen_id,"
    " edit_op, prompt, seed, size, width, height, size_bytes, title, tool, model_slug, status, request_message_id,"
    " prompt_message_id, requested_at, metadata",
    "message_assets JOIN messages ON n = message_n": "conversation_id, id, asset_id, message_assets.role",
    "citations JOIN messages ON n = message_n": "conversation_id, id, position, url, title, attribution, snippet, kind",
}
"""What the service said; when the capture saw it, and in which exchange, is no part of an export."""


def run(database: Path, *arguments: str | Path, **settings: Any) -> subprocess.CompletedProcess[str]:
    """The command as a person types it, which never shows a traceback."""
    command = [sys.executable, "-I", "-m", "analysis", "--db", str(database), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **settings)
    assert "Traceback" not in done.stderr
    return done


def export(database: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    done = run(database, "export", *arguments)
    assert done.returncode == 0, done.stderr
    return done


def rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(database)) as db:
        return db.execute(query).fetchall()


def said(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All that the service said, by table; JSON as values, since the order of members may differ."""

    def value(cell: Any) -> Any:
        with contextlib.suppress(ValueError):
            return json.loads(cell) if isinstance(cell, str) else cell
        return cell

    return {
        table: sorted((tuple(map(value, row)) for row in rows(database, f"SELECT {names} FROM {table}")), key=repr)
        for table, names in SERVICE_COLUMNS.items()
    }


def files(folder: Path) -> dict[str, bytes]:
    """What an export is to who reads it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of some conversations with branches and images."""
    folder = tmp_path_factory.mktemp("made-up")
    write(folder / "conversations.json", SMALL)
    assert run(folder / "a.db", "import", folder / "conversations.json").returncode == 0
    return folder / "a.db"


@contextlib.contextmanager
def tides(database: Path, title: str = "Two tides a day", conversation_id: str = "talk") -> Iterator[Archive]:
    """An archive with one short conversation, in which a file is shown that is stored."""
    with archive_at(database) as archive:
        part = {"content_type": "image_asset_pointer", "asset_pointer": "sediment://file_1", "width": 4, "height": 3}
        asked = message("U", "Why are there tides?", status=FINISHED, author={"role": "user"})
        picture = {"content_type": "multimodal_text", "parts": [part, "The Moon."]}
        answer = message("A", status=FINISHED, content=picture, metadata={"parent_id": "U"})
        titled = {"type": "title_generation", "title": title, "conversation_id": conversation_id}
        archive.record(
            v1(shown(asked, 0, conversation_id), shown(answer, 1, conversation_id), titled),
            stream_id=f"stream of {conversation_id}",
        )
        media = database.with_name(database.name + "-media")
        (media / "ab").mkdir(exist_ok=True)
        (media / "ab" / f"{DIGEST}.png").write_bytes(PNG)
        with contextlib.closing(sqlite3.connect(database)) as db, db:
            stored = (f"ab/{DIGEST}.png", DIGEST, "image/png")
            db.execute("UPDATE assets SET path = ?, sha256 = ?, mime_type = ? WHERE id = 'file_1'", stored)
        yield archive


# -- JSON in the shape of the official export --------------------------------------------------------------------------


def assert_lossless(database: Path, folder: Path) -> None:
    export(database, "--json", folder / "json")
    again = folder / "again.db"
    assert run(again, "import", folder / "json" / "conversations.json").returncode == 0
    assert said(again) == said(database)


def test_what_is_exported_as_json_and_imported_says_the_same(made_up: Path, tmp_path: Path) -> None:
    assert_lossless(made_up, tmp_path)
    assert len(said(made_up)["messages"]) == 107
    assert len(said(made_up)["image_generations"]) == 5


def test_what_streamed_is_in_the_json_with_its_file_and_a_root_that_was_not_captured(tmp_path: Path) -> None:
    with tides(tmp_path / "a.db"):
        assert_lossless(tmp_path / "a.db", tmp_path)
    (talk,) = json.loads((tmp_path / "json" / "conversations.json").read_bytes())
    assert {key: (node["parent"], node["children"]) for key, node in talk["mapping"].items()} == {
        "U": (None, ["A"]), "A": ("U", []),
    }  # fmt: skip
    assert (talk["title"], talk["current_node"]) == ("Two tides a day", "A")
    assert (tmp_path / "json" / "file_1.png").read_bytes() == PNG


def test_json_imported_into_the_archive_it_came_from_changes_no_message(made_up: Path, tmp_path: Path) -> None:
    export(made_up, "--json", tmp_path)
    before = rows(made_up, "SELECT * FROM messages"), rows(made_up, "SELECT * FROM message_versions")
    assert run(made_up, "import", tmp_path / "conversations.json").returncode == 0
    assert (rows(made_up, "SELECT * FROM messages"), rows(made_up, "SELECT * FROM message_versions")) == before


def test_the_model_asked_for_is_in_the_json_also_where_the_message_does_not_name_it(tmp_path: Path) -> None:
    metadata = {"parent_id": "U", "model_slug": "gpt-5-5-mini"}
    named = message("A", "Since it is.", status=FINISHED, metadata=metadata | {"requested_model_slug": "gpt-5-5"})
    unnamed = message("B", "The Moon.", status=FINISHED, metadata=metadata)
    with archive_at(tmp_path / "a.db") as archive:
        archive.record(v1(shown(named), shown(unnamed, 1)), request("U"))
    asked = "SELECT id, requested_model, metadata FROM messages WHERE role = 'assistant' ORDER BY id"
    before = rows(tmp_path / "a.db", asked)
    assert [row[:2] for row in before] == [("A", "gpt-5-5"), ("B", "gpt-5-5")]
    export(tmp_path / "a.db", "--json", tmp_path / "out")
    for database, models in (("a.db", ["gpt-5-5", "gpt-5-5"]), ("b.db", ["gpt-5-5", "gpt-5-5"])):
        assert run(tmp_path / database, "import", tmp_path / "out" / "conversations.json").returncode == 0
        after = rows(tmp_path / database, asked)
        assert [row[1] for row in after] == models
        assert [row[2] for row in after] == [row[2] for row in before]


@needs_captures
@pytest.mark.parametrize(
    "path",
    [path for path in sorted(CAPTURES.glob("[!R]*")) if not path.name.startswith(("files-", "tasks-", "har-wss-"))],
    ids=lambda path: path.name,
)
def test_every_real_capture_survives_export_and_import(path: Path, tmp_path: Path) -> None:
    run(tmp_path / "a.db", "import", path)
    assert_lossless(tmp_path / "a.db", tmp_path)


# -- Markdown ----------------------------------------------------------------------------------------------------------


def markdown(database: Path, folder: Path, *options: str) -> str:
    """The only Markdown file of an export."""
    export(database, "--markdown", *options, folder)
    (path,) = folder.glob("*.md")
    return path.read_text()


def test_a_conversation_as_markdown(tmp_path: Path) -> None:
    with tides(tmp_path / "a.db"):
        written = markdown(tmp_path / "a.db", tmp_path / "out")
    assert written == (
        "---\n"
        'title: "Two tides a day"\n'
        'id: "talk"\n'
        'url: "https://chatgpt.com/c/talk"\n'
        'created: "2026-09-21T14:13:20.000000Z"\n'
        'updated: "2026-09-21T14:13:20.866003Z"\n'
        "---\n\n"
        "# Two tides a day\n\n"
        "## You\n\n*2026-09-21 14:13 UTC*\n\nWhy are there tides?\n\n"
        "## ChatGPT\n\n*2026-09-21 14:13 UTC*\n\n"
        f"![Image](files/{DIGEST}.png)\n\nThe Moon.\n"
    )
    assert (tmp_path / "out" / "files" / f"{DIGEST}.png").read_bytes() == PNG
    assert (tmp_path / "out" / "two-tides-a-day-talk.md").exists()


def test_an_image_without_bytes_is_said(tmp_path: Path) -> None:
    with tides(tmp_path / "a.db"):
        (tmp_path / "a.db-media" / "ab" / f"{DIGEST}.png").unlink()
        assert "*(Image, 4 × 3, not captured)*" in markdown(tmp_path / "a.db", tmp_path / "out")


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """An archive with an image that had two previews, of which no byte was captured."""

    def state(pointer: str, status: str) -> dict[str, Any]:
        part = {"content_type": "image_asset_pointer", "asset_pointer": f"sediment://{pointer}", "width": 4}
        content = {"content_type": "multimodal_text", "parts": [part]}
        tool = {"role": "tool", "name": "t2uay3k.sj1i4kz"}
        return message("I", author=tool, content=content, status=status, metadata={"parent_id": "U"})

    states = [state("file_1", "in_progress"), state("file_2", "in_progress"), state("file_3", FINISHED)]
    asked = message("U", "Draw a lighthouse", status=FINISHED, author={"role": "user"})
    with archive_at(tmp_path / "drawn.db") as archive:
        archive.record(v1(shown(asked, 0), *(shown(each, 1) for each in states)))
    return tmp_path / "drawn.db"


def test_an_image_stands_for_the_previews_that_it_replaced(drawn: Path, tmp_path: Path) -> None:
    assert rows(drawn, "SELECT asset_id FROM message_assets ORDER BY 1") == [("file_1",), ("file_2",), ("file_3",)]
    assert markdown(drawn, tmp_path / "md").count("not captured") == 1
    export(drawn, "--html", tmp_path / "html")
    (page,) = (tmp_path / "html").glob("*.html")
    assert page.read_text().count("not captured") == 1
    read = run(drawn, "show", "last").stdout
    assert ("file_3" in read, read.count("▣")) == (True, 1)


def test_sources_are_footnotes_each_once(tmp_path: Path) -> None:
    marks = ("\ue200cite\ue202turn0search1\ue201", "\ue200cite\ue202turn0search2\ue201")
    references = [
        {"type": "webpage", "matched_text": marks[0], "url": "https://a.example/<x>", "title": "A [tide]"},
        {"type": "webpage", "matched_text": marks[1], "url": "https://b.example/", "attribution": "B"},
        {"type": "webpage", "matched_text": "\ue200x\ue201", "url": "javascript:alert(1)"},
    ]
    text = f'One{marks[0]}, two{marks[1]}, one{marks[0]}, \ue200entity\ue202["x","Moon"]\ue201\ue200x\ue201.'
    answer = message("A", text, status=FINISHED, metadata={"content_references": references})
    with archive_at(tmp_path / "a.db") as archive:
        archive.record(v1(shown(answer)))
        written = markdown(tmp_path / "a.db", tmp_path / "out")
    assert written.endswith(
        "One[^1], two[^2], one[^1], Moon.\n\n"
        "[^1]: [A \\[tide\\]](<https://a.example/%3Cx%3E>)\n"
        "[^2]: [B](<https://b.example/>)\n"
    )


def test_branches_and_what_happened_behind_are_written_on_request(tmp_path: Path) -> None:
    call = message("C", "search(`tides`)", recipient="browser", status=FINISHED, metadata={"parent_id": "U"})
    answers = [message(name, f"Answer {name}.", status=FINISHED, metadata={"parent_id": "C"}) for name in "AB"]
    asked = message("U", "Why?", status=FINISHED, author={"role": "user"})
    with archive_at(tmp_path / "a.db") as archive:
        archive.record(v1(*(shown(said, number) for number, said in enumerate([asked, call, *answers]))))
        plain = markdown(tmp_path / "a.db", tmp_path / "out")
        assert ("Answer B." in plain, "Answer A." in plain, "search" in plain) == (True, False, False)
        full = markdown(tmp_path / "a.db", tmp_path / "out", "--branches", "--tools")
        assert full.index("search(`tides`)") < full.index("Answer B.") < full.index("Another branch")
        assert full.index("Another branch") < full.index("Answer A.")
        assert full.count("Why?") == 1
        assert markdown(tmp_path / "a.db", tmp_path / "out") == plain


def test_a_file_keeps_its_name_when_its_conversation_is_renamed(tmp_path: Path) -> None:
    with tides(tmp_path / "a.db") as archive:
        markdown(tmp_path / "a.db", tmp_path / "out")
        named = {"type": "title_generation", "title": "The Moon", "conversation_id": "talk"}
        archive.record(v1(named), stream_id="renamed", clock=lambda offset: 1_800_000_000_000_000)
        assert 'title: "The Moon"' in markdown(tmp_path / "a.db", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").glob("*.md")] == ["two-tides-a-day-talk.md"]


@pytest.mark.parametrize(
    ("title", "identity", "name"),
    [
        ("../../etc/passwd", "talk", "etc-passwd-talk.md"),
        ("潮汐 🌊 за день", "talk", "潮汐-за-день-talk.md"),
        ("\u202e \x00 \n", "talk", "untitled-talk.md"),
        ("x" * 5000, "talk", "x" * 80 + "-talk.md"),
        ("潮" * 5000, "talk", "潮" * 26 + "-talk.md"),
        ("CON", "../../up", "con-29b18949100a81be217adc74458a59ad.md"),
    ],
)
def test_names_of_files_come_from_titles_and_never_leave_the_folder(
    tmp_path: Path, title: str, identity: str, name: str
) -> None:
    with tides(tmp_path / "a.db", title, identity):
        markdown(tmp_path / "a.db", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.rglob("*.md")) == [name]


# -- HTML --------------------------------------------------------------------------------------------------------------


def test_a_page_is_complete_in_itself(tmp_path: Path) -> None:
    with tides(tmp_path / "a.db"):
        export(tmp_path / "a.db", "--html", tmp_path / "out")
    (path,) = (tmp_path / "out").glob("*.html")
    page = Reader(path.read_text())
    assert path.name == "two-tides-a-day-talk.html"
    assert "Why are there tides?" in page.words
    assert [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")] == [
        "data:image/png;base64," + base64.b64encode(PNG).decode()
    ]
    assert [path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")] == [path.name]


def test_whatever_a_conversation_says_its_page_fetches_nothing_and_runs_nothing(tmp_path: Path) -> None:
    evil = (
        '</style></title><script>alert(1)</script><img src="http://x.example/a.png" onerror="alert(1)">'
        "![a](http://x.example/b.png)<iframe src=//x.example></iframe><meta http-equiv=refresh content=0>"
        '"><link rel=stylesheet href=//x.example><base href=//x.example><form action=//x.example>'
    )
    answer = message("A", evil, status=FINISHED)
    titled = {"type": "title_generation", "title": evil, "conversation_id": "talk"}
    with archive_at(tmp_path / "a.db") as archive:
        archive.record(v1(shown(answer), titled))
        for options in (["--tools"], ["--single"]):
            export(tmp_path / "a.db", "--html", *options, tmp_path / options[0])
    for path in tmp_path.rglob("*.html"):
        page = Reader(path.read_text())
        assert {"script", "iframe", "link", "base", "form", "img", "object"}.isdisjoint(page.tags)
        assert not [name for _, name, _ in page.attributes if name.startswith("on") or name in ("src", "style")]
        metas = [value for tag, name, value in page.attributes if (tag, name) == ("meta", "http-equiv")]
        assert metas == ["Content-Security-Policy"]
        policy = next(value for _, name, value in page.attributes if name == "content")
        assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")


def test_one_page_holds_all_conversations_and_lists_them(made_up: Path, tmp_path: Path) -> None:
    export(made_up, "--html", "--single", tmp_path)
    page = Reader((tmp_path / "conversations.html").read_text())
    assert page.tags.count("article") == 6
    targets = {value for _, name, value in page.attributes if name == "id"}
    assert [value[1:] in targets for tag, name, value in page.attributes if value.startswith("#")] == [True] * 6


# -- JSON Lines --------------------------------------------------------------------------------------------------------


def test_json_lines_hold_what_was_said_in_turns(tmp_path: Path) -> None:
    call = message("C", "search(tides)", recipient="browser", status=FINISHED, metadata={"parent_id": "U"})
    answers = [
        message("A", "The sea.", status=FINISHED, metadata={"parent_id": "C"}),
        message("B", "The Moon\ue200cite\ue202turn0\ue201.", status=FINISHED, metadata={"parent_id": "C"}),
        message("D", "Twice.", status=FINISHED, metadata={"parent_id": "B"}),
    ]
    asked = message("U", "Why?", status=FINISHED, author={"role": "user"})
    with archive_at(tmp_path / "a.db") as archive:
        archive.record(v1(*(shown(said, number) for number, said in enumerate([asked, call, *answers]))))

        def turns(*options: str) -> list[list[tuple[str, str]]]:
            lines = [json.loads(line) for line in export(archive.path, "--jsonl", *options, "-").stdout.splitlines()]
            assert {tuple(line) for line in lines} == {("id", "title", "messages")}
            return [[(turn["role"], turn["content"]) for turn in line["messages"]] for line in lines]

        said = [("user", "Why?"), ("assistant", "The Moon.\n\nTwice.")]
        assert turns() == [said]
        assert turns("--branches") == [said, [("user", "Why?"), ("assistant", "The sea.")]]
        assert turns("--tools") == [[said[0], ("assistant", "search(tides)\n\nThe Moon.\n\nTwice.")]]


def test_forms_that_are_several_files_do_not_go_to_a_pipe(made_up: Path) -> None:
    done = run(made_up, "export", "--html", "-")
    assert (done.returncode, "--html writes several files: name a folder." in done.stderr) == (2, True)


# -- whole, private, not twice -----------------------------------------------------------------------------------------


def test_files_are_private_and_what_is_there_is_not_written_again(tmp_path: Path) -> None:
    with tides(tmp_path / "a.db"):
        first = export(tmp_path / "a.db", "--json", tmp_path / "out")
        written = {path: path.stat().st_ino for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")}
        again = export(tmp_path / "a.db", "--json", tmp_path / "out")
    assert "1 conversation written" in first.stdout
    assert "0 conversations written, 1 there already" in again.stdout
    assert {path: path.stat().st_ino for path in written} == written
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert (modes, stat.S_IMODE((tmp_path / "out").stat().st_mode)) == ({0o600}, 0o700)


@pytest.mark.parametrize("form", ["json", "jsonl", "markdown", "html", "html --single"])
def test_an_export_that_is_stopped_anywhere_goes_on_and_ends_the_same(made_up: Path, tmp_path: Path, form: str) -> None:
    export(made_up, *f"--{form}".split(), tmp_path / "whole")
    whole = files(tmp_path / "whole")
    for stop in range(SMALL.conversations):
        folder = tmp_path / f"stopped-{stop}"
        steps = iter(range(stop))

        def done(steps: Iterator[int] = steps) -> None:
            if next(steps, None) is None:
                raise KeyboardInterrupt

        with contextlib.closing(open_archive(made_up)) as db, ExportFolder(folder) as opened:
            task = Task(form.split(maxsplit=1)[0], db, made_up, talks(db), single="--single" in form)
            with pytest.raises(KeyboardInterrupt):
                task.into(opened, done)
            assert set(files(folder).items()) <= set(whole.items())
            outcome = task.into(opened, lambda: None)
        assert outcome.kept == stop + 1
        assert files(folder) == whole


def test_a_killed_export_leaves_nothing_half_written_under_a_name(made_up: Path, tmp_path: Path) -> None:
    export(made_up, "--json", tmp_path / "whole")
    command = [sys.executable, "-m", "analysis", "--db", str(made_up), "export", "--json", str(tmp_path / "killed")]
    for delay in (0.1, 0.2, 0.3, 0.4):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            time.sleep(delay)
            process.kill()
        found = files(tmp_path / "killed") if (tmp_path / "killed").exists() else {}
        assert set(found.items()) <= set(files(tmp_path / "whole").items())
    export(made_up, "--json", tmp_path / "killed")
    assert files(tmp_path / "killed") == files(tmp_path / "whole")


def test_a_torn_trail_costs_writing_again_and_nothing_else(made_up: Path, tmp_path: Path) -> None:
    export(made_up, "--json", tmp_path / "whole")
    for torn in (b"", b"[", b'["x", "y"]\n', b'[1, 2, "three"]\n', b"null\n", b'["", "", 99999999]\n', b"\xff\n"):
        folder = tmp_path / torn.hex() / "out"
        folder.mkdir(parents=True)
        (folder / ".conversations.json.trail").write_bytes(torn)
        (folder / ".conversations.json.part").write_bytes(b"[\n{}")
        (folder / ".chatgpt-capture.jsonl").write_bytes(torn)
        export(made_up, "--json", folder)
        assert files(folder) == files(tmp_path / "whole")


@pytest.mark.parametrize("form", ["json", "jsonl", "markdown", "html", "html --single", "parquet"])
def test_a_file_that_no_export_wrote_is_never_replaced(tmp_path: Path, form: str) -> None:
    with tides(tmp_path / "a.db"):
        export(tmp_path / "a.db", f"--{form.split(maxsplit=1)[0]}", *form.split()[1:], tmp_path / "whole")
        ours = (".json", ".jsonl", ".md", ".html", "messages.parquet")
        (path,) = (path for path in (tmp_path / "whole").rglob("*") if path.name.endswith(ours) and path.name[0] != ".")
        name = path.relative_to(tmp_path / "whole")
        mine = tmp_path / "mine" / name
        mine.parent.mkdir(parents=True)
        mine.write_text("my own")
        refused = run(
            tmp_path / "a.db", "export", f"--{form.split(maxsplit=1)[0]}", *form.split()[1:], tmp_path / "mine"
        )
        assert (refused.returncode, mine.read_text()) == (1, "my own")
        assert (
            refused.stderr == f"Error: {mine}: was not written by an export; name another folder, or remove the file\n"
        )


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_without_its_ledger_an_export_knows_its_own_files_by_what_is_in_them(tmp_path: Path, form: str) -> None:
    with tides(tmp_path / "a.db"):
        export(tmp_path / "a.db", f"--{form}", tmp_path / "out")
        (tmp_path / "out" / ".chatgpt-capture.jsonl").unlink()
        assert (
            "0 conversations written, 1 there already"
            in export(tmp_path / "a.db", f"--{form}", tmp_path / "out").stdout
        )


def test_ctrl_c_is_said_in_one_line(made_up: Path, tmp_path: Path) -> None:
    code = (
        "import analysis.exports.runs as runs, os, signal, sys; inner = runs.fingerprint\n"
        "def slow(*a):\n    os.kill(os.getpid(), signal.SIGINT); return inner(*a)\n"
        "runs.fingerprint = slow\n"
        f"sys.argv = ['x', '--db', {str(made_up)!r}, 'export', '--json', {str(tmp_path / 'out')!r}]\n"
        "from analysis.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stderr.splitlines() == [
        f"{tmp_path / 'out'}: what is written is whole; run it again to go on", "Interrupted.",
    ]  # fmt: skip
    assert files(tmp_path / "out") == {}


# -- chosen conversations, and a pipe ----------------------------------------------------------------------------------


def test_conversations_are_chosen_by_how_their_ids_begin(made_up: Path, tmp_path: Path) -> None:
    first, second = (identity for (identity,) in rows(made_up, "SELECT id FROM conversations ORDER BY id LIMIT 2"))
    export(made_up, "--json", tmp_path / "out", second[:12], first, first)
    chosen = json.loads((tmp_path / "out" / "conversations.json").read_bytes())
    assert [talk["id"] for talk in chosen] == [second, first]


@pytest.mark.parametrize("form", ["json", "jsonl", "html --single"])
def test_a_file_for_all_is_not_replaced_by_one_of_fewer(made_up: Path, tmp_path: Path, form: str) -> None:
    options, out = f"--{form}".split(), tmp_path / "out"
    first, second = (identity for (identity,) in rows(made_up, "SELECT id FROM conversations ORDER BY id LIMIT 2"))
    export(made_up, *options, out, first)
    export(made_up, *options, out)
    whole = files(out)
    (name,) = (name for name in whole if name.startswith("conversations."))
    done = run(made_up, "export", *options, out, first)
    told = "holds 5 conversations that are not in this export; name another folder, or remove the file"
    assert (done.returncode, done.stderr) == (1, f"Error: {out / name}: {told}\n")
    assert files(out) == whole
    (out / name).unlink()
    export(made_up, *options, out, first)
    again = export(made_up, *options, out, first)
    assert "0 conversations written, 1 there already" in again.stdout
    done = run(made_up, "export", *options, out, second)
    assert "holds 1 conversation that is not in this export" in done.stderr
    export(made_up, *options, out)
    assert files(out) == whole


@pytest.mark.parametrize(
    ("asked", "answer"),
    [("none-of-them", "no conversation has an id that begins with “none-of-them”"), ("", "no conversation has")],
)
def test_an_id_of_nothing_is_one_line(made_up: Path, tmp_path: Path, asked: str, answer: str) -> None:
    done = run(made_up, "export", "--json", tmp_path / "out", asked)
    assert (done.returncode, done.stderr.startswith(f"Error: {answer}")) == (1, True)


CONTRADICTIONS = {
    "--json --markdown": "--json and --markdown: only one of them can be done at a time.",
    "--markdown --single": "--single is for --html.",
    "--json --tools": "--json always has all branches and tools: leave out --tools.",
    "--parquet --branches": "--parquet always has all branches and tools: leave out --branches.",
    "--parquet --since 2026": "--parquet writes whole tables: name no conversations.",
    "--html --since 2026 0": "Name conversations, or say by options which: not both.",
}


@pytest.mark.parametrize("options", CONTRADICTIONS)
def test_options_that_contradict_each_other_are_one_line(made_up: Path, tmp_path: Path, options: str) -> None:
    done = run(made_up, "export", tmp_path / "out", *options.split())
    assert (done.returncode, CONTRADICTIONS[options] in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [["--since", "2024"], ["--model", "gpt-5"], ["--images"], ["--until", "2023-06"]])
def test_an_export_takes_the_conversations_that_list_shows(made_up: Path, tmp_path: Path, options: list[str]) -> None:
    chosen = [row["id"] for row in json.loads(run(made_up, "list", *options, "--json", "-n", "0").stdout)]
    all_of_them = [identity for (identity,) in rows(made_up, "SELECT id FROM conversations ORDER BY rowid")]
    done = run(made_up, "export", "--jsonl", "-", *options)
    exported = [json.loads(line)["id"] for line in done.stdout.splitlines()]
    assert exported == [identity for identity in all_of_them if identity in chosen]
    if not chosen:
        assert (done.returncode, "no conversation is as you say" in done.stderr) == (1, True)


def test_an_export_takes_the_conversations_in_which_words_are(tmp_path: Path) -> None:
    with tides(tmp_path / "a.db") as archive:
        archive.record(v1(shown(message("X", "Of ships.", status=FINISHED), 0, "ships")), stream_id="stream of ships")
    for words, found in (("moon", ["talk"]), ("SHIPS", ["ships"])):
        lines = export(tmp_path / "a.db", "--jsonl", "-", "--words", words).stdout.splitlines()
        assert [json.loads(line)["id"] for line in lines] == found


def test_an_id_that_several_begin_with_names_them(tmp_path: Path) -> None:
    with tides(tmp_path / "a.db", conversation_id="talk-1"), tides(tmp_path / "a.db", conversation_id="talk-2"):
        done = run(tmp_path / "a.db", "export", "--json", tmp_path / "out", "talk")
    assert done.stderr == "Error: “talk” begins more than one id: talk-1, talk-2\n"


def test_json_goes_to_a_pipe_which_may_be_closed(made_up: Path) -> None:
    done = export(made_up, "--json", "-")
    assert len(json.loads(done.stdout)) == 6
    command = [sys.executable, "-m", "analysis", "--db", str(made_up), "export", "--json", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(5)
        process.stdout.close()
        assert process.stderr.read() == b""


# -- what cannot be written, is said -----------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_is_one_line(made_up: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path)
    for folder in (tmp_path / "file", tmp_path / "link", tmp_path / "missing" / "folder"):
        done = run(made_up, "export", "--json", folder)
        assert done.returncode == 1
        assert done.stderr.startswith(f"Error: {folder}: ")
        assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_one_line(made_up: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(0o500)
    done = run(made_up, "export", "--json", tmp_path / "theirs")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_no_database_is_one_line(tmp_path: Path) -> None:
    done = run(tmp_path / "none.db", "export", "--json", tmp_path / "out")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert not (tmp_path / "out").exists()


def test_two_exports_do_not_write_into_one_folder(made_up: Path, tmp_path: Path) -> None:
    with ExportFolder(tmp_path / "out"):
        done = run(made_up, "export", "--json", tmp_path / "out")
    assert done.stderr == f"Error: {tmp_path / 'out'}: another export is writing there\n"


def test_links_in_the_folder_are_replaced_and_never_written_through(made_up: Path, tmp_path: Path) -> None:
    treasure = tmp_path / "treasure"
    treasure.write_bytes(b"mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "conversations.json").symlink_to(treasure)
    export(made_up, "--json", tmp_path / "out")
    assert treasure.read_bytes() == b"mine"
    assert not (tmp_path / "out" / "conversations.json").is_symlink()
    for name in (".conversations.json.part", ".chatgpt-capture.jsonl"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).symlink_to(treasure)
        assert run(made_up, "export", "--json", tmp_path / name).returncode == 1
        assert treasure.read_bytes() == b"mine"

"""The commands that ask: what they print for people, for programs, and when something is wrong."""

import contextlib
import csv
import io
import json
import os
import pty
import re
import shlex
import sqlite3
import stat
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest
from click import Context
from PIL import Image as Picture
from rich.cells import cell_len

from addon.archive import media_folder
from addon.records import Run
from addon.store.store import Store
from analysis.cli import cli
from scripts.big_archive import build
from tests.asking import ask, fill
from tests.conftest import ROOT
from tests.recording import FINISHED, STARTED, Archive, archive_at, envelope, message, request, v0
from tests.test_summary_views import answer

COMMAND = [sys.executable, "-m", "analysis"]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with archive_at(tmp_path_factory.mktemp("asked") / "chatgpt.db") as archive:
        fill(archive)
    return archive.path


def in_terminal(database: Path, *arguments: str, columns: int = 80, **environment: str) -> str:
    """What a terminal of so many columns shows."""
    leader, follower = pty.openpty()
    settings = {**os.environ, "CHATGPT_CAPTURE_DB": str(database), "COLUMNS": str(columns), "TERM": "xterm-256color"}
    settings.pop("NO_COLOR", None)
    child = subprocess.Popen(
        [*COMMAND, *arguments], stdin=follower, stdout=follower, stderr=follower, cwd=ROOT, env=settings | environment
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            block = os.read(leader, 65_536)
        except OSError:  # Linux's word for the end of a terminal
            break
        if not block:
            break
        shown += block
    os.close(leader)
    assert child.wait(timeout=20) == 0, shown.decode()
    return shown.decode().replace("\r\n", "\n")


def unstyled(shown: str) -> str:
    """What a terminal shows, without bold and colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", shown)


# List


def test_list_shows_conversations_the_last_active_first(database: Path) -> None:
    lines = ask(database, "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["ID", "light-ta", "tides-ta"]
    assert lines[2].split() == ["tides-ta", "2026-09-21", "14:13", "Two", "tides", "a", "day", "gpt-5-5", "3"]


def test_list_for_programs_has_every_column(database: Path) -> None:
    rows = json.loads(ask(database, "list", "--json").stdout)
    assert [row["id"] for row in rows] == ["light-talk", "tides-talk"]
    lines = [json.loads(line) for line in ask(database, "list", "--nl").stdout.splitlines()]
    assert lines == rows
    table = list(csv.DictReader(io.StringIO(ask(database, "list", "--csv").stdout)))
    assert [list(row) for row in table] == [list(rows[0])] * 2
    assert json.loads(ask(database, "list", "nothing like it", "--json").stdout) == []


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["tides"], ["tides-talk"]),
        (["灯台"], ["light-talk"]),
        (["--images"], ["light-talk"]),
        (["--model", "gpt-5"], ["tides-talk"]),
        (["--since", "2026-09-21", "--until", "2026-09-21"], ["light-talk", "tides-talk"]),
        (["--until", "2026-09-20"], []),
        (["--since", "2026-09-21T14:14"], ["light-talk"]),
        (["-n", "1"], ["light-talk"]),
    ],
)
def test_list_is_filtered(database: Path, arguments: list[str], found: list[str]) -> None:
    assert [row["id"] for row in json.loads(ask(database, "list", *arguments, "--json").stdout)] == found


def test_times_are_those_of_the_clock_on_the_wall(database: Path) -> None:
    assert "2026-09-21 23:13" in ask(database, "list", zone="Asia/Tokyo").stdout
    since = ["list", "--since", "2026-09-22", "--json"]
    assert len(json.loads(ask(database, *since, zone="Pacific/Auckland").stdout)) == 2
    assert json.loads(ask(database, *since, zone="UTC").stdout) == []


@pytest.mark.parametrize(
    "moment", ["tomorrow", "2026-13", "2026-02-30", "23.11.2026", "2026-11-23T25:00", "99999-01-01"]
)
def test_a_time_that_is_none_is_refused_and_the_forms_are_said(database: Path, moment: str) -> None:
    done = ask(database, "list", "--since", moment, code=2)
    assert f"“{moment}” is no time: give a year, month, day or time" in done.stderr


def test_nothing_is_cut_where_nobody_watches_and_everything_fits_where_somebody_does(database: Path) -> None:
    piped = ask(database, "images").stdout.splitlines()
    assert "prompt of gen-three" in piped[1]
    for columns in (40, 80):
        lines = unstyled(in_terminal(database, "images", columns=columns)).splitlines()
        assert max(map(len, lines)) <= columns
    assert "\x1b[36m" in in_terminal(database, "list")
    assert "\x1b[36m" not in in_terminal(database, "list", NO_COLOR="1")
    assert "\x1b[" not in ask(database, "list").stdout


# Show


def test_show_reads_like_the_page(database: Path) -> None:
    lines = ask(database, "show", "tides").stdout.splitlines()
    assert lines[0] == "Two tides a day"
    assert lines[1].endswith(" · gpt-5-5 · 3 messages · tides-talk")
    assert "\n".join(lines[2:]) == (
        "\nYou  21 Sep 14:13\nWhy are there tides?\n"
        "\nChatGPT  21 Sep 14:13 · gpt-5-5  ‹2/2› --branch answer-1\n"
        "Tides are the sea's answer to the **Moon**.\n\n- spring tides\n- neap tides[1]\n"
        "[1] The Moon  https://example.org/moon"
    )


def test_show_renders_markdown_in_a_terminal(database: Path) -> None:
    shown = unstyled(in_terminal(database, "show", "tides"))
    assert "answer to the Moon." in shown
    assert " • spring tides" in shown
    assert "**" not in shown


def test_show_leaves_formulas_as_they_were_written_and_knows_lines_of_old_machines(archive: Archive) -> None:
    text = "So \\(a_{1}\\{x\\}\\) and `\\(b\\)`:\n\n$$\n\\frac{a}{b} \\\\ *c*\n$$\n\nover\rdone \\[ x_1 * y_2 * z \\]"
    archive.record(v0(envelope(answer("A", text))))
    shown = unstyled(in_terminal(archive.path, "show"))
    for formula in ("So \\(a_{1}\\{x\\}\\) and \\(b\\):", "\\frac{a}{b} \\\\ *c*", "\\[ x_1 * y_2 * z \\]"):
        assert formula in shown
    assert "\ufffd" not in shown + ask(archive.path, "show").stdout
    assert "over\ndone" in ask(archive.path, "show").stdout


def test_show_tells_what_was_said_aloud_and_of_sources_those_that_are_cited(archive: Archive) -> None:
    found = [{"type": "search_result", "url": f"https://example.net/{n}", "title": f"Found {n}"} for n in range(20)]
    mark = "\ue200cite\ue202turn0search0\ue201"
    site = {"url": "https://example.org/moon", "title": "The Moon"}
    cites = [
        {"type": "grouped_webpages", "matched_text": mark, "items": [site]},
        {"type": "sources_footnote", "sources": [site]},
    ]
    told = {"content_references": cites, "search_result_groups": [{"entries": found}]}
    heard = {
        "content_type": "multimodal_text",
        "parts": [{"content_type": "audio_transcription", "text": "Why tides?"}],
    }
    archive.record(v0(envelope(message("U", content=heard, author={"role": "user"}, status=FINISHED)),
                      envelope(answer("A", f"The Moon.{mark}", metadata=told))))  # fmt: skip
    shown = ask(archive.path, "show").stdout
    assert "Why tides?" in shown
    assert "The Moon.[1]\n[1] The Moon  https://example.org/moon\n" in shown
    assert "example.net" not in shown
    assert ask(archive.path, "sources", "--sites", "--csv").stdout.splitlines()[1:] == ["example.org,1,1"]


def test_who_wants_no_colour_gets_no_escapes(database: Path) -> None:
    for command in (["show", "tides"], ["list"], ["status"], ["search", "moon"]):
        assert "\x1b" in in_terminal(database, *command)
        assert "\x1b" not in in_terminal(database, *command, NO_COLOR="1")


def test_who_only_reads_leaves_nothing_beside_the_archive(archive: Archive) -> None:
    fill(archive)
    archive.store.close()
    before = sorted(path.name for path in archive.path.parent.iterdir())
    for command in ("list", "list -n 1", "list -n 1 --json", "show", "status", "stats"):
        ask(archive.path, *command.split())
        assert sorted(path.name for path in archive.path.parent.iterdir()) == before, command
    archive.store = Store.open(archive.path)
    ask(archive.path, "list")
    assert archive.path.with_name("chatgpt.db-wal").exists()  # who writes needs it


def test_a_conversation_without_a_title_has_one_name(archive: Archive) -> None:
    said = message("U", "Why?", author={"role": "user"}, status=FINISHED, create_time=1_790_000_000)
    archive.record(v0(envelope(said), envelope(answer("A", "Because."))), request("U"))
    assert "Untitled conversation · Why?" in ask(archive.path, "list").stdout
    for command in (["show"], ["search", "because"], ["stream"], ["status"]):
        assert "Untitled conversation" in ask(archive.path, *command).stdout, command


@pytest.mark.parametrize("command", ["status", "stream"])
def test_what_is_one_object_is_told_in_each_form(database: Path, command: str) -> None:
    whole = json.loads(ask(database, command, "--json").stdout)
    (line,) = ask(database, command, "--nl").stdout.splitlines()
    assert json.loads(line) == whole
    rows = list(csv.DictReader(ask(database, command, "--csv").stdout.splitlines()))
    if command == "status":
        told = {row["name"]: row["value"] for row in rows}
        assert (told["totals.conversations"], told["attention.events_unrecognised"]) == ("2", "1")
    else:
        assert [row["type"] for row in rows] == [event["type"] for event in whole["events"]]


def test_show_takes_another_branch_and_what_is_hidden(database: Path) -> None:
    other = ask(database, "show", "tides", "--branch", "answer-1").stdout
    assert "Because." in other
    assert "Moon" not in other
    assert "You are helpful." not in other
    assert "You are helpful." in ask(database, "show", "tides", "--all").stdout


def test_show_shows_images_with_prompt_and_place(database: Path) -> None:
    shown = ask(database, "show", "last").stdout
    assert shown.count("▣ image") == 3
    assert "prompt of gen-two" in shown
    assert "its bytes were not captured" in shown
    assert '{"prompt"' not in shown
    assert '{"prompt"' in ask(database, "show", "last", "--all").stdout


def test_show_gives_the_messages_as_they_were_sent(database: Path) -> None:
    raw = json.loads(ask(database, "show", "light", "--raw").stdout)
    assert [message["id"] for message in raw][-1] == "image-3"
    assert raw[-1]["content"]["parts"][0]["asset_pointer"] == "sediment://file_gen-three"
    assert raw[-1]["author"]["role"] == "tool"
    rows = json.loads(ask(database, "show", "light", "--json").stdout)
    assert [row["id"] for row in rows] == ["user-2", "image-1", "image-2", "image-3"]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [("nobody", "no conversation has an id that begins with “nobody”"), ("", "no conversation has an id")],
)
def test_an_id_that_fits_nothing_is_said(database: Path, asked: str, reason: str) -> None:
    assert reason in ask(database, "show", asked, code=1).stderr


def test_text_never_steers_the_terminal(archive: Archive) -> None:
    nasty = "a\x1b]0;owned\x07b\x1b[2Jc\x9bd \u202eevil [bold]x[/bold] \x00"
    titled = {"type": "title_generation", "title": "t\x1b[31m", "conversation_id": "talk"}
    archive.record(v0(envelope(answer("A", nasty)), titled))
    for command in (["show"], ["list"], ["search", "evil"], ["show", "--all"], ["events", "title_generation"]):
        for shown in (ask(archive.path, *command).stdout, unstyled(in_terminal(archive.path, *command))):
            assert not set(shown) & set("\x1b\x07\x9b\x00\u202e"), command
    assert "[bold]x[/bold]" in ask(archive.path, "show").stdout


# Search


def test_search_shows_the_words_in_their_place(database: Path) -> None:
    done = ask(database, "search", "moon")
    assert "tides-ta  Two tides a day" in done.stdout
    assert "answer to the **Moon**" in done.stdout
    assert done.stderr == "1 of 1.\n"
    (row,) = json.loads(ask(database, "search", "MOON", "--json").stdout)
    assert (row["id"], row["conversation_id"]) == ("answer-2", "tides-talk")
    assert "[Moon]" in row["snippet"]


def test_search_is_filtered_and_limited(database: Path) -> None:
    def ids(*arguments: str) -> list[str]:
        return [row["id"] for row in json.loads(ask(database, "search", *arguments, "--json").stdout)]

    assert ids("tides", "--role", "user") == ["user-1"]
    assert ids("tides", "--model", "gpt-5-5") == ["answer-2"]
    assert ids("tides", "--sort", "old") == ["user-1", "answer-2"]
    assert ids("tides", "--sort", "new", "-n", "1") == ["answer-2"]
    assert ids("tides", "--until", "2026-01") == []


def test_search_for_a_common_word_tells_all_hits_when_asked_and_says_where_it_stopped_counting(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.queries.search.MOST", 4)
    for day in (5, 6, 7, 8, 9, 1, 2, 3, 4):
        said = message(f"m{day}", "tides", status=FINISHED, create_time=1_767_225_600 + 86_400 * day)
        archive.record(v0(envelope(said)), stream_id=f"s{day}")

    def told(*arguments: str) -> tuple[list[str], str]:
        done = ask(archive.path, "search", "tides", *arguments)
        return re.findall(r"\bm\d\b", done.stdout), done.stderr

    assert told("-n", "0") == ([f"m{day}" for day in range(9, 0, -1)], "9 of 9.\n")
    assert len(ask(archive.path, "search", "tides", "-n", "0", "--csv").stdout.splitlines()) == 10
    assert told("-n", "2") == (["m9", "m8"], "2 of more than 4, the newest first. More with --limit.\n")
    assert told("-n", "2", "--sort", "old") == (["m1", "m2"], "2 of more than 4. More with --limit.\n")
    assert told("--until", "2026-01-04") == (["m3", "m2", "m1"], "3 of 3.\n")


@pytest.mark.parametrize("words", ['"', "***", "(", "NEAR(a b", 'a" OR "b', "text:x", "-", "^a", "AND"])
def test_search_takes_nothing_for_syntax(database: Path, words: str) -> None:
    readable = any(character.isalnum() for character in words)
    done = ask(database, "search", "--", words, code=0 if readable else 1)
    if not readable:
        assert done.stderr == "Error: there is no letter and no digit to search for\n"


def test_search_finds_parts_of_words_that_have_no_blanks(archive: Archive) -> None:
    archive.record(v0(envelope(answer("A", "月亮引起潮汐,潮汐每天两次。"))))
    for words in ("潮汐", "引起潮", "月"):
        assert "潮汐" in ask(archive.path, "search", words).stdout


# Images


def test_a_line_of_images_is_a_tree(database: Path) -> None:
    lines = [line.rstrip() for line in ask(database, "lineage", "gen-th").stdout.splitlines()]
    assert lines[0] == "gen-one  10x20 · 2026-09-21 14:14 · complete"
    assert lines[2].startswith("└─ gen-two  ")
    assert lines[4].startswith("   └─ gen-three  ")
    assert lines[1::2] == ["prompt of gen-one", "   prompt of gen-two", "      prompt of gen-three"]


def test_branches_of_a_line_hang_side_by_side() -> None:
    from analysis.commands.lineage import _lead

    depths = [0, 1, 2, 1, 2, 2]
    leads = [_lead(depths[place:], depth) for place, depth in enumerate(depths)]
    assert leads == ["", "├─ ", "│  └─ ", "└─ ", "   ├─ ", "   └─ "]


def store_files(archive: Archive) -> dict[str, bytes]:
    """Files for the images of an archive, as if their bytes had passed; by generation."""
    files = {}
    with contextlib.closing(sqlite3.connect(archive.path)) as db:
        for number, (asset_id, gen_id) in enumerate(
            db.execute("SELECT asset_id, gen_id FROM image_generations").fetchall()
        ):
            kind = ("png", "webp", "jpeg")[number % 3]
            drawn = io.BytesIO()
            Picture.new("RGB", (8 + number, 6), (200, 100, number)).save(drawn, kind)
            digest = sha256(drawn.getvalue()).hexdigest()
            place = f"{digest[:2]}/{digest}.{kind.replace('jpeg', 'jpg')}"
            path = media_folder(archive.path) / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(drawn.getvalue())
            db.execute("UPDATE assets SET path = ?, sha256 = ? WHERE id = ?", (place, digest, asset_id))
            files[gen_id] = drawn.getvalue()
        db.commit()
    return files


def test_images_are_exported_with_what_they_were_made_from(archive: Archive, tmp_path: Path) -> None:
    fill(archive)
    files = store_files(archive)
    folder = tmp_path / "pictures"
    printed = ask(archive.path, "images", "--export", str(folder)).stdout.splitlines()
    assert sorted(printed) == sorted(str(path) for path in folder.iterdir() if path.suffix != ".json")
    assert len(printed) == 3
    for path in map(Path, printed):
        known = json.loads(path.with_suffix(".json").read_text())
        with Picture.open(path) as copy, Picture.open(io.BytesIO(files[known["gen_id"]])) as original:
            assert copy.tobytes() == original.tobytes()
            assert f"prompt of {known['gen_id']}</rdf:li>".encode() in copy.info["xmp"]
        assert known["tool"] == "dalle.text2im"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = ask(archive.path, "images", "--export", str(folder)).stdout.splitlines()
    assert again == printed


def test_an_export_says_when_there_is_nothing_and_when_it_cannot_write(database: Path, tmp_path: Path) -> None:
    done = ask(database, "images", "--export", str(tmp_path / "empty"))
    assert (done.stdout, done.stderr) == ("", "No file of such an image is stored.\n")
    (tmp_path / "file").write_text("here")
    refused = ask(database, "images", "--export", str(tmp_path / "file"), code=1).stderr
    assert refused == f"Error: {tmp_path / 'file'}: not a directory\n"
    refused = ask(database, "images", "--export", str(tmp_path / "no" / "such"), code=1).stderr
    assert refused == f"Error: {tmp_path / 'no' / 'such'}: the folder {tmp_path / 'no'} does not exist\n"


def test_images_are_opened_in_the_usual_program(archive: Archive, tmp_path: Path) -> None:
    fill(archive)
    store_files(archive)
    (tmp_path / "xdg-open").write_text('#!/bin/sh\necho "$1" >> "$OPENED"\n')
    (tmp_path / "xdg-open").chmod(0o700)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "OPENED": str(tmp_path / "opened")}
    command = [*COMMAND, "images", "gen-two", "--open", "--db", str(archive.path)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=20)
    deadline = time.monotonic() + 5
    while not (tmp_path / "opened").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    (opened,) = (tmp_path / "opened").read_text().splitlines()
    assert Path(opened).is_file()


# Sources, SQL, events, schema, status


def test_sources_are_listed_by_page_and_by_site(database: Path) -> None:
    assert ask(database, "sources").stdout.splitlines()[1].split() == [
        "1", "https://example.org/moon", "The", "Moon", "2026-09-21",
    ]  # fmt: skip
    assert ask(database, "sources", "--sites").stdout.splitlines()[1].split() == ["example.org", "1", "1"]
    assert json.loads(ask(database, "sources", "--in", "light", "--json").stdout) == []
    assert json.loads(ask(database, "sources", "sun", "--sites", "--json").stdout) == []


def test_sql_asks_anything_and_writes_nothing(database: Path) -> None:
    assert ask(database, "sql", "SELECT title FROM conversations WHERE id = ?", "tides-talk").stdout == (
        "title\nTwo tides a day\n"
    )
    assert json.loads(ask(database, "sql", "SELECT 1 AS one, x'00ff' AS b, NULL AS n", "--json").stdout) == [
        {"one": 1, "b": {"$base64": True, "encoded": "AP8="}, "n": None}
    ]
    for query in ("DELETE FROM messages", "CREATE TABLE x (y)", "PRAGMA user_version = 9"):
        assert "readonly" in ask(database, "sql", query, code=1).stderr
    for query, reason in (
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM missing", "no such table"),
        ("SELECT ?", "binding"),
    ):
        assert reason in ask(database, "sql", query, code=1).stderr


def test_sql_cannot_reach_other_files(database: Path, tmp_path: Path) -> None:
    ask(database, "sql", f"ATTACH '{tmp_path / 'other.db'}' AS other", code=1)
    ask(database, "sql", f"VACUUM INTO '{tmp_path / 'other.db'}'", code=1)
    assert not (tmp_path / "other.db").exists()


def test_events_are_summed_up_and_listed(database: Path) -> None:
    lines = ask(database, "events").stdout.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["Type", "novelty (not understood)", "title_generation"]
    (row,) = json.loads(ask(database, "events", "--unrecognised", "--json").stdout)
    assert json.loads(row["data"]) == {"type": "novelty", "x": 1}
    assert len(ask(database, "events", "title_generation", "--nl").stdout.splitlines()) == 2
    assert "novelty" in ask(database, "events", "novelty").stdout


def test_schema_describes_tables_and_refuses_others(database: Path) -> None:
    assert ask(database, "schema", "daily_activity").stdout.splitlines()[1].split() == [
        "day", "The", "day,", "as", "`2026-11-23`.",
    ]  # fmt: skip
    rows = json.loads(ask(database, "schema", "--json").stdout)
    assert {"table": "messages", "column": "text"}.items() <= next(
        row for row in rows if row["column"] == "text"
    ).items()
    assert "there is no table or view “nothing”" in ask(database, "schema", "nothing", code=1).stderr
    ask(database.with_name("there is none"), "schema")


def test_status_says_what_there_is_and_what_to_look_at(database: Path) -> None:
    shown = ask(database, "status").stdout
    assert "2 conversations, 9 messages, 3 images, 2 exchanges" in shown
    assert "Last answer  A lighthouse 灯台 · complete" in shown
    assert "Health       1 event was not understood  novelty" in shown
    told = json.loads(ask(database, "status", "--json").stdout)
    assert told["totals"]["conversations"] == 2
    assert "events_unrecognised" in [fact["name"] for fact in told["attention"]]


def test_status_tells_of_the_newest_run_whatever_became_of_earlier_ones(archive: Archive) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()

    def told() -> str:
        (line,) = (line for line in ask(archive.path, "status").stdout.splitlines() if line.startswith("Proxy"))
        return line.removeprefix("Proxy").strip()

    archive.store.write([Run(f"{gone.pid}-a", STARTED)])
    assert told() == "began 2026-09-21 14:13, ended without saying so"
    archive.store.write([Run(f"{os.getpid()}-b", STARTED + 60_000_000)])
    assert told() == "running since 2026-09-21 14:14"
    archive.store.write([Run(f"{os.getpid()}-b", STARTED + 60_000_000, STARTED + 120_000_000)])
    assert told() == "ran from 2026-09-21 14:14 to 2026-09-21 14:15"
    for number, name in enumerate(("", "0-x", "-1-x", "9" * 40 + "-x", "\u0661-x"), 3):
        archive.store.write([Run(name, STARTED + number * 60_000_000)])
        assert told() == f"began 2026-09-21 14:{13 + number}, ended without saying so"
    last = json.loads(ask(archive.path, "status", "--json").stdout)["last_run"]
    assert (last["id"], last["ended_at"], last["running"]) == ("\u0661-x", None, False)


# What is wrong


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("list --json --csv", "--json and --csv"),
        ("show last --raw --nl", "--raw and --nl"),
        ("images --open --json", "--open and --json"),
        ("images --open --export somewhere", "--open and --export"),
        ("frames last --json --flow", "--json and --flow"),
    ],
)
def test_two_things_at_a_time_are_refused(database: Path, command: str, said: str) -> None:
    done = ask(database, *command.split(), code=2)
    assert done.stderr.splitlines()[-1] == f"Error: {said}: only one of them can be done at a time."
    assert done.stdout == ""


ASKING = ["list", "show", "search x", "images", "sources", "events", "status", "sql SELECT(1)", "lineage x"]


NO_MORE_THAN_READING = [
    "stats", "stream", "frames", "tail", "browse --no-open", "audit", "vacuum", "reparse", "report",
    "prune --older-than 1d", "export --json out",
]  # fmt: skip


@pytest.mark.parametrize("command", ASKING + NO_MORE_THAN_READING)
def test_a_file_that_is_no_archive_is_a_line(tmp_path: Path, command: str) -> None:
    reason = "none.db: there is no archive; name one with --db, or capture something first"
    assert ask(tmp_path / "none.db", *command.split(), code=1).stderr == f"Error: {tmp_path}/{reason}\n"
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "text.db").write_text("hello\n" * 100)
    assert "is not an SQLite database" in ask(tmp_path / "text.db", *command.split(), code=1).stderr


@pytest.mark.parametrize("command", ["list", "search x", "images", "sources", "events", "status", "list --json"])
def test_an_archive_in_which_nothing_is_yet_has_nothing_to_say(archive: Archive, command: str) -> None:
    ask(archive.path, *command.split())
    assert "there is no conversation in the archive yet" in ask(archive.path, "show", code=1).stderr


@pytest.mark.parametrize("command", ["import there-is-no-file", "merge there-is-no-file"])
def test_what_is_written_to_is_never_a_file_of_another_program(tmp_path: Path, command: str) -> None:
    other = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(other)) as db, db:
        db.execute("CREATE TABLE birds (name TEXT)")
    known = other.read_bytes()
    told = ask(other, *command.split(), code=1).stderr
    assert f"{other}: is a database of another program\n" in told
    assert other.read_bytes() == known


def test_a_newer_archive_is_not_browsed(database: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer.db"
    with contextlib.closing(sqlite3.connect(database)) as source, contextlib.closing(sqlite3.connect(newer)) as db:
        source.backup(db)
        db.execute("PRAGMA user_version = 99")
    assert "was written by a newer version (99" in ask(newer, "browse", "--no-open", code=1).stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "command",
    ["list", "list --json", "show", "status --json", "sql SELECT(1)", "--help", "--version", "export --jsonl -"],
)
def test_output_that_finds_no_room_is_a_line(database: Path, command: str) -> None:
    environment = os.environ | {"CHATGPT_CAPTURE_DB": str(database)}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, *command.split()], cwd=ROOT, env=environment, stdout=full, stderr=subprocess.PIPE, timeout=20,
            check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, b"Error: no space left on device\n")


@pytest.mark.parametrize(
    "command",
    ["list -n 0 --nl", "list --json", "search the -n 0", "images -n 0 --csv", "sql SELECT*FROM(messages)", "--help"],
)
def test_a_pipe_that_is_closed_early_ends_quietly(big: Path, command: str) -> None:
    line = f"{shlex.join([*COMMAND, *command.split()])} 2>errors | head -n 1; cat errors"
    environment = os.environ | {"CHATGPT_CAPTURE_DB": str(big), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        line, shell=True, cwd=big.parent, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert len(done.stdout.splitlines()) == 1, done.stdout


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("piped") / "big.db"
    build(path, conversations=500, messages=5000, seed=5)
    return path


def test_an_encoding_that_lacks_letters_shows_what_it_can(database: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "CHATGPT_CAPTURE_DB": str(database)}
    for command in (["list"], ["show"], ["images"], ["list", "--json"]):
        done = subprocess.run(
            [*COMMAND, *command], cwd=ROOT, env=environment, capture_output=True, timeout=20, check=False
        )
        assert (done.returncode, done.stderr) == (0, b""), command


def test_sql_shows_records_where_a_terminal_is_too_narrow_for_the_columns(database: Path) -> None:
    query = "SELECT id, title, source, messages, models FROM conversation_summaries ORDER BY id DESC"
    lines = unstyled(in_terminal(database, "sql", query, columns=40)).splitlines()
    assert lines[:4] == ["id        tides-talk", "title     Two tides a day", "source    live", "messages  3"]
    assert unstyled(in_terminal(database, "sql", query, columns=120)).splitlines()[0].split()[0] == "id"


SPEAKING = ["list", "show last", "show last --all", "search tides", "images", "sources", "events", "status", "stats",
            "stream tides", "frames tides --flow", "schema turns", "lineage gen-one", "--help", "export --help"]  # fmt: skip


@pytest.mark.parametrize("command", SPEAKING)
@pytest.mark.parametrize("columns", [40, 80])
def test_whatever_is_said_fits_a_terminal(database: Path, command: str, columns: int) -> None:
    lines = unstyled(in_terminal(database, *command.split(), columns=columns)).splitlines()
    # Addresses and examples are never broken, so that they can be copied.
    broken = [line for line in lines if not re.match(r"\s*(https?://|/|chatgpt-capture )", line)]
    assert [line for line in broken if cell_len(line) > columns] == []


@pytest.mark.parametrize("name", cli.list_commands(Context(cli)))
def test_help_has_an_example(database: Path, name: str) -> None:
    told = ask(database, name, "--help").stdout
    assert f"chatgpt-capture {name}" in told.partition("Usage:")[2].partition("\n")[2]

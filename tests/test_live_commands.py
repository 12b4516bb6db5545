"""Answers followed live, timelines of exchanges, figures, and what shells are taught."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from analysis.formats import Form, RowsAsTheyCome
from analysis.live_terminal import LiveText, follow
from analysis.queries import open_archive
from analysis.timeline import arrivals, longest_gap, rates
from scripts.big_archive import build
from tests.asking import ask, fill
from tests.recording import (
    FINISHED,
    STATUS,
    TEXT,
    Archive,
    delta,
    envelope,
    event,
    message,
    request,
    shown,
    v0,
    v1,
)
from tests.test_summary_views import answer


class Nothing(Exception):
    """Raised when nothing more will come."""


def followed(archive: Archive, steps: list[Callable[[], object]], **manner: object) -> str:
    """What is shown while these steps happen, one whenever the follower has nothing to do."""
    out = io.StringIO()
    waiting = iter(steps)

    def pause() -> None:
        step = next(waiting, None)
        if step is None:
            raise Nothing
        out.write("|")
        step()

    db = open_archive(archive.path)
    try:
        settings = {"everything": False, "count": None} | manner
        follow(db, LiveText(Console(file=out, width=200, soft_wrap=True)), pause=pause, **settings)  # type: ignore[arg-type]
    except Nothing:
        pass
    finally:
        db.close()
    return out.getvalue()


def streaming(archive: Archive, *events: bytes, identity: str = "s", close: bool = False) -> Callable[[], object]:
    """A step: the exchange as far as these events."""
    body = b"".join(events)

    def write() -> None:
        closing = {} if close else {"closing": None}
        archive.record(body, request("U", "Why tides?"), look=lambda: True, stream_id=identity, **closing)  # type: ignore[arg-type]

    return write


BEGUN = v1(shown(message("A", "")), delta(TEXT, "append", "The "), done=False)
MORE = event({"v": "tide "}, "delta")
REST = event({"v": "comes."}, "delta") + event(delta(STATUS, "replace", FINISHED), "delta") + event(b"[DONE]")


def test_text_appears_while_it_streams_each_part_once(archive: Archive) -> None:
    steps = [
        streaming(archive, BEGUN),
        streaming(archive, BEGUN, MORE),
        streaming(archive, BEGUN, MORE, REST, close=True),
    ]
    told = followed(archive, steps)
    assert told == "|\nA new conversation\n\nYou\nWhy tides?\n\nChatGPT\nThe |tide |comes.\n"


def test_what_was_said_before_is_not_told_but_what_grows_is_told_whole(archive: Archive) -> None:
    archive.record(v0(envelope(answer("old", "An old answer."), "other")), stream_id="old")
    streaming(archive, BEGUN)()
    told = followed(archive, [streaming(archive, BEGUN, MORE)])
    assert "old answer" not in told
    assert told.endswith("\nChatGPT\nThe |tide ")


def test_an_old_conversation_that_the_page_loads_is_not_told(archive: Archive) -> None:
    def load() -> None:
        archive.record(v0(envelope(answer("A", "From long ago."))), kind="document")

    assert "long ago" not in followed(archive, [load])


def test_answers_that_grow_at_once_are_told_one_after_the_other(archive: Archive) -> None:
    other = v1(shown(message("B", "Another"), conversation_id="talk-2"), done=False)
    ended = other + event(delta(TEXT, "append", " one."), "delta") + event(delta(STATUS, "replace", FINISHED), "delta")
    steps = [
        streaming(archive, BEGUN),
        lambda: archive.record(other, look=lambda: True, stream_id="s2", closing=None),
        lambda: archive.record(ended, stream_id="s2"),
        streaming(archive, BEGUN, MORE, REST, close=True),
    ]
    told = followed(archive, steps).replace("|", "")
    assert told.index("The tide comes.") < told.index("Another one.")
    assert told.count("A new conversation") == 2


def test_a_text_that_became_another_one_is_told_again(archive: Archive) -> None:
    changed = event(delta(TEXT, "replace", "Sorry."), "delta")
    told = followed(archive, [streaming(archive, BEGUN), streaming(archive, BEGUN, changed)])
    assert told.endswith("The |\n… changed to:\nSorry.")


def test_following_ends_after_so_many_answers(archive: Archive) -> None:
    steps = [
        streaming(archive, BEGUN),
        streaming(archive, BEGUN, MORE, REST, close=True),
        lambda: pytest.fail("went on"),
    ]
    assert "comes." in followed(archive, steps, count=1)


def test_tail_prints_finished_messages_for_programs(archive: Archive) -> None:
    from tests.conftest import ROOT
    from tests.test_ask_commands import COMMAND

    command = [*COMMAND, "tail", "--nl", "--count", "1", "--db", str(archive.path)]
    streaming(archive, BEGUN)()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        time.sleep(0.5)
        streaming(archive, BEGUN, MORE, REST, close=True)()
        out, _ = child.communicate(timeout=20)
    (line,) = out.splitlines()
    assert json.loads(line)["text"] == "The tide comes."


@pytest.mark.parametrize(
    ("form", "first", "rest"),
    [
        ("json", '[{"n": 1, "id": "A"}', ',\n {"n": 2, "id": "B"}]\n'),
        ("nl", '{"n": 1, "id": "A"}\n', '{"n": 2, "id": "B"}\n'),
        ("csv", "n,id\r\n1,A\r\n", "2,B\r\n"),
    ],
)
def test_rows_are_printed_as_they_come_and_whole_in_the_end(
    capsys: pytest.CaptureFixture[str], form: Form, first: str, rest: str
) -> None:
    rows = RowsAsTheyCome(form, ("n", "id"))
    rows.add((1, "A"))
    assert capsys.readouterr().out == first
    rows.add((2, "B"))
    rows.end()
    assert capsys.readouterr().out == rest


def test_no_row_at_all_is_an_empty_array(capsys: pytest.CaptureFixture[str]) -> None:
    RowsAsTheyCome("json", ("n",)).end()
    assert capsys.readouterr().out == "[]\n"


# Timelines


def test_a_timeline_has_phases_a_curve_and_typed_events(archive: Archive) -> None:
    title = event({"type": "title_generation", "title": "Tides", "conversation_id": "talk"})
    body = BEGUN + MORE * 20 + title + REST
    chunks = [body[start : start + 60] for start in range(0, len(body), 60)]
    archive.record(body, request("U"), chunks=chunks)
    shown_lines = ask(archive.path, "stream", "last").stdout.splitlines()
    assert shown_lines[0] == "Tides"
    told = "\n".join(shown_lines)
    for part in (
        "POST chatgpt.com/backend-api/f/conversation",
        "200 · v1",
        "State     complete",
        "first token",
        "longest silence",
    ):
        assert part in told
    assert "title_generation" in shown_lines[-1]
    whole = json.loads(ask(archive.path, "stream", "stream", "--json").stdout)
    assert whole["arrivals"][-1][1] == len(body)
    assert [one["type"] for one in whole["events"]] == ["title_generation"]


def test_an_exchange_of_which_little_is_known_is_shown_all_the_same(archive: Archive) -> None:
    archive.record(b"", status_code=None, keep_raw=False, timed=False)
    assert ask(archive.path, "stream").stdout.startswith("Untitled conversation\nExchange  stream\n")


def test_silence_and_rates_are_those_of_the_arrivals() -> None:
    came = [(0.5, 100), (1.0, 200), (4.0, 300)]
    gap = longest_gap(came)
    assert gap is not None
    assert (gap.after, gap.seconds) == (1.0, 3.0)
    assert rates(came, 4) == [100.0, 100.0, 0.0, 100.0]
    assert (rates([], 4), longest_gap([]), arrivals(None), arrivals(b"broken")) == ([], None, [], [])


# Figures


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("figures") / "big.db"
    build(path, conversations=100, messages=3000, seed=3)
    return path


def test_figures_are_told_by_subject(big: Path) -> None:
    told = ask(big, "stats").stdout
    for title in ("Models", "Time to the first token", "Activity per month", "Tools", "Images", "Sizes"):
        assert re.search(rf"^{title}( \(.+\))?$", told, re.MULTILINE)
    rows = json.loads(ask(big, "stats", "activity", "--per", "year", "--json").stdout)
    assert [row["period"] for row in rows] == ["2023", "2024", "2025", "2026"]
    assert "For programs name one subject" in ask(big, "stats", "--json", code=2).stderr


def test_figures_of_an_empty_archive_are_none(archive: Archive) -> None:
    assert ask(archive.path, "stats").stdout.count("none\n") == 5


# Shells


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_are_taught_to_complete(tmp_path: Path, shell: str) -> None:
    taught = ask(tmp_path / "none.db", "completion", shell).stdout
    assert f"_CHATGPT_CAPTURE_COMPLETE={shell}_complete" in taught


COMPLETING = {
    "bash": """eval "$(chatgpt-capture completion bash)"
complete -p chatgpt-capture > /dev/null
COMP_WORDS=(chatgpt-capture {words} "{begun}"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_chatgpt_capture_completion chatgpt-capture "{begun}"; printf '%s\n' "${COMPREPLY[@]}" """,
    "zsh": """autoload -Uz compinit; compinit -u -d "$PWD/dump"; zmodload zsh/zpty
zpty shell "PS1=READY TERM=dumb zsh -f -i"
zpty -w shell 'autoload -Uz compinit; compinit -u -d "'$PWD'/dump"; eval "$(chatgpt-capture completion zsh)"; echo DONE'
zpty -r -m shell seen '*DONE*READY*'
zpty -w -n shell "chatgpt-capture {words} {begun}"$'\t\t'
sleep 3; while zpty -r -t shell line; do print -r -- "$line"; done""",
    "fish": """chatgpt-capture completion fish | source
complete --do-complete "chatgpt-capture {words} {begun}" """,
}


@pytest.mark.parametrize("shell", COMPLETING)
@pytest.mark.parametrize(
    ("words", "begun", "found"),
    [("", "sta", ["stats", "status"]), ("list", "--s", ["--since"]), ("show", "tid", ["tides-talk"])],
)
def test_shells_complete(archive: Archive, shell: str, words: str, begun: str, found: list[str]) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    fill(archive)
    home = archive.path.parent
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(home), "TERM": "dumb",
        "CHATGPT_CAPTURE_DB": str(archive.path),
    }  # fmt: skip
    script = COMPLETING[shell].replace("{words}", words).replace("{begun}", begun)
    done = subprocess.run(
        [shell, "-c", script], cwd=home, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert all(word in done.stdout for word in found), (done.stdout, done.stderr)
    assert "command not found" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "begun", "found"),
    [
        ("stream", "l", ["last", "light-stream"]), ("frames", "tid", ["tides-stream"]), ("lineage", "gen-t", ["gen-three", "gen-two"]),
        ("search --model", "gpt", ["gpt-5-5"]), ("list --model", "gpt", ["gpt-5-5"]), ("images --in", "light", ["light-talk"]),
        ("sources --in", "tides", ["tides-talk"]), ("export out", "tides", ["tides-talk"]), ("events", "nov", ["novelty"]),
    ],
)  # fmt: skip
def test_whatever_the_archive_knows_is_completed(archive: Archive, words: str, begun: str, found: list[str]) -> None:
    from click.testing import CliRunner

    from analysis.cli import cli

    fill(archive)
    environment = {
        "_CHATGPT_CAPTURE_COMPLETE": "fish_complete", "COMP_WORDS": f"chatgpt-capture {words}", "COMP_CWORD": begun,
        "CHATGPT_CAPTURE_DB": str(archive.path),
    }  # fmt: skip
    told = CliRunner().invoke(cli, prog_name="chatgpt-capture", env=environment).output
    assert sorted(line.partition(",")[2].partition("\t")[0] for line in told.splitlines()) == found


def test_ids_are_completed_with_their_titles(archive: Archive) -> None:
    from click.testing import CliRunner

    from analysis.cli import cli

    fill(archive)
    environment = {
        "_CHATGPT_CAPTURE_COMPLETE": "fish_complete", "COMP_WORDS": "chatgpt-capture show", "COMP_CWORD": "t",
        "CHATGPT_CAPTURE_DB": str(archive.path),
    }  # fmt: skip
    done = CliRunner().invoke(cli, prog_name="chatgpt-capture", env=environment)
    assert done.output == "plain,tides-talk\tTwo tides a day\n"
    done = CliRunner().invoke(cli, prog_name="chatgpt-capture", env=environment | {"CHATGPT_CAPTURE_DB": "/nowhere"})
    assert done.output.strip() == ""

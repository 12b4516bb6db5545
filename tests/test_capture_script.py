"""`scripts/capture`: what it prints when it captures, and when it cannot."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT

CAPTURE = str(ROOT / "scripts" / "capture")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--set", "chatgpt_db=/nowhere/at/all.db"],
            "ChatGPT Capture: /nowhere/at/all.db: the folder /nowhere/at does",
        ),
        (["--set", "chatgpt_raw=maybe"], "ChatGPT Capture: chatgpt_raw='maybe' is not possible: choose keep or drop"),
        (["--nonsense"], "usage: mitmdump"),
    ],
    ids=["unwritable", "value", "unknown"],
)
def test_what_keeps_it_from_capturing_stands_alone(tmp_path: Path, arguments: list[str], line: str) -> None:
    command = [CAPTURE, "-p", "0", "--set", f"confdir={tmp_path}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (1, "")
    assert done.stderr.startswith(line)


def test_a_port_that_is_taken_is_said_before_anybody_is_told_to_use_it(tmp_path: Path) -> None:
    with started(tmp_path) as first:
        port = guide(first)["Proxy"].rpartition(" ")[2]
        command = [CAPTURE, "-p", port, "--set", f"confdir={tmp_path}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert port in done.stdout
    assert "set the browser" not in done.stdout


def test_it_tells_how_to_use_the_proxy_that_runs(tmp_path: Path) -> None:
    with started(tmp_path) as capturing:
        told = guide(capturing)
    assert re.fullmatch(r"set the browser's HTTP and HTTPS proxy to 127\.0\.0\.1, port [1-9]\d+", told["Proxy"])
    assert told["Certificate"].endswith(f"import {tmp_path}/mitmproxy-ca-cert.pem")
    assert (told["Database"], told["Stop"]) == (f"{tmp_path}/chatgpt.db", "Ctrl-C")


def test_where_it_reads_saved_flows_it_tells_only_where_they_go(tmp_path: Path) -> None:
    (tmp_path / "empty.flow").touch()
    command = [CAPTURE, "-nr", "empty.flow", "--set", f"confdir={tmp_path}", "--set", "chatgpt_db=here.db"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path)
    assert f"Database     {tmp_path}/here.db" in done.stdout
    assert "proxy" not in done.stdout


@contextmanager
def started(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A capture of its own into `chatgpt.db` in a folder."""
    command = [CAPTURE, "-p", "0", "--set", f"confdir={folder}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as capturing:
        try:
            yield capturing
        finally:
            capturing.send_signal(signal.SIGINT)


def guide(capturing: subprocess.Popen[str]) -> dict[str, str]:
    """What it tells, by what stands before it."""
    told: dict[str, str] = {}
    for line in capturing.stdout or ():
        name, _, words = line.strip().partition(" ")
        told[name] = words.strip()
        if name == "Stop":
            break
    return told

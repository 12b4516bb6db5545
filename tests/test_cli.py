"""`chatgpt-capture` as people, scripts and pipes use it."""

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import commands
from scripts.made_up_export import Size, write
from tests.conftest import ROOT

COMMAND = [sys.executable, "-I", "-m", "analysis"]
NAMES = sorted(module.name.rstrip("_").replace("_", "-") for module in pkgutil.iter_modules(commands.__path__))


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment}
    )
    assert "Traceback" not in done.stderr
    return done


def test_help_names_every_command_and_the_exit_codes() -> None:
    done = run("--help")
    assert done.returncode == 0
    listed = done.stdout.partition("Commands:\n")[2].partition("Exit codes:")[0]
    assert [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line.strip()] == NAMES
    assert "130  interrupted" in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_and_takes_the_database_after_its_name(name: str) -> None:
    done = run(name, "--help")
    assert done.returncode == 0
    assert "--db FILE" in done.stdout


def test_help_imports_nothing_that_only_running_needs() -> None:
    script = (
        "import sys; from analysis.cli import cli\n"
        "try: cli(['--help'], prog_name='x')\n"
        "except SystemExit: print([name for name in ('addon', 'rich', 'orjson', 'sqlite_utils') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("arguments", [["nothing-like-it"], ["import"], ["import", "--no-such-option", "x"]])
def test_what_is_not_understood_is_exit_code_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("Error: ")


def test_the_version_is_said() -> None:
    assert run("--version").stdout == "chatgpt-capture 0.1.0\n"


def test_the_database_is_named_before_the_command_after_it_or_by_the_environment(tmp_path: Path) -> None:
    write(tmp_path / "c.json", Size(1, 4, 0, 0))
    ways: dict[str, tuple[list[str | Path], dict[str, str]]] = {
        "before.db": (["--db", tmp_path / "before.db", "import", tmp_path / "c.json"], {}),
        "after.db": (["import", "--db", tmp_path / "after.db", tmp_path / "c.json"], {}),
        "named.db": (["import", tmp_path / "c.json"], {"CHATGPT_CAPTURE_DB": str(tmp_path / "named.db")}),
    }
    for name, (arguments, environment) in ways.items():
        assert run(*arguments, **environment).returncode == 0
        assert (tmp_path / name).exists()


def test_a_closed_pipe_ends_it_quietly(tmp_path: Path) -> None:
    write(tmp_path / "c.json", Size(2, 8, 0, 0))
    read, written = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [*COMMAND, "--db", str(tmp_path / "a.db"), "import", str(tmp_path / "c.json")],
        stdout=written,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(written)
    _, errors = process.communicate(timeout=60)
    assert errors == ""
    assert process.returncode == 1


def test_reading_again_says_what_differs(tmp_path: Path) -> None:
    write(tmp_path / "c.json", Size(1, 4, 0, 0))
    assert run("--db", tmp_path / "a.db", "import", tmp_path / "c.json").returncode == 0
    done = run("--db", tmp_path / "a.db", "reparse", "--dry-run")
    assert done.stdout == "0 exchanges read again, 1 without a raw body left as they are\nNothing differs.\n"
    done = run("--db", tmp_path / "none.db", "reparse")
    missing = "there is no archive; name one with --db, or capture something first"
    assert (done.returncode, done.stderr) == (1, f"Error: {tmp_path / 'none.db'}: {missing}\n")


def test_the_script_runs_it_from_any_folder_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "cc").symlink_to(ROOT / "scripts" / "chatgpt-capture")
    (tmp_path / "analysis.py").write_text("raise SystemExit('not ours')")
    done = subprocess.run(
        [tmp_path / "cc", "--version"], capture_output=True, text=True, timeout=300, check=True, cwd=tmp_path
    )
    assert done.stdout == "chatgpt-capture 0.1.0\n"

"""What asking costs: processor time until the first output and until the end, and memory, of each reading command.

    scripts/bigarchive big.db --messages 1000000 --conversations 50000
    .venv/bin/python -m scripts.reading_benchmark big.db

Medians of five runs, interpreter start included, on files that the system has in its cache.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from scripts.big_archive.texts import CHINESE, COMMON, RARE, SOMETIMES

COMMANDS = (
    ["list"], ["list", "--nl", "-n", "0"], ["show", "last"], ["search", RARE], ["search", SOMETIMES],
    ["search", COMMON], ["search", CHINESE], ["images"], ["status"], ["sources"], ["stats"],
    ["stream", "last"], ["frames", "last"],
)  # fmt: skip
_RUNS = 5


class Cost(NamedTuple):
    """Seconds of processor time, and megabytes."""

    first: float
    end: float
    memory: float


def main() -> None:
    """Measure and print a table in Markdown."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("archive", type=Path)
    archive: Path = arguments.parse_args().archive
    print("| command | first output | end | memory |\n| --- | --- | --- | --- |")
    for command in COMMANDS:
        costs = [measure(archive, command) for _ in range(_RUNS)]
        first, end, memory = (statistics.median(values) for values in zip(*costs, strict=True))
        print(f"| `{' '.join(command)}` | {first:.2f} s | {end:.2f} s | {memory:.0f} MB |", flush=True)


def measure(archive: Path, command: list[str]) -> Cost:
    """Run a command once."""
    line = [sys.executable, "-m", "analysis", "--db", str(archive), *command]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0) as child:
        assert child.stdout is not None
        child.stdout.read(1)
        first = _processor_seconds(child.pid)
        while child.stdout.read(65_536):
            pass
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    return Cost(first, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def _processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()

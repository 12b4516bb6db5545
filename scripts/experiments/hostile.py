"""An upstream that means harm: what its streams cost the recorder, in memory and time, and what becomes of them.

    scripts/hostile                every attack
    scripts/hostile bomb-gzip      one
    scripts/hostile --live         what others notice meanwhile (bystanders.py)

Each attack is one journal, beside an honest answer in the same journal, read by a recorder of its own from start to
end. What counts is its largest resident size and its time of processor.
"""

import argparse
import contextlib
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from addon.archive import inflight_folder, prepare
from addon.exchange import Opening
from addon.journal import Journal, now
from scripts import scenes
from scripts.experiments.attacks import ATTACKS, DOCUMENT, MEGABYTE, Chunks, pieces
from scripts.experiments.bystanders import compare

ROOT = Path(__file__).resolve().parent.parent.parent
LIMIT_MEGABYTES = 300
LIMIT_SECONDS = 60
"""Of processor: on a busy machine the recorder, which gives way to everybody, may wait for many times as long."""


@dataclass(frozen=True)
class Outcome:
    """What reading an attack came to; `honest` whether the honest answer beside it is there, whole."""

    state: str
    error: str | None
    megabytes: float
    seconds: float
    wire_megabytes: float
    database_megabytes: float
    honest: bool


def opening(identity: str, **known: object) -> Opening:
    usual = {
        "stream_id": identity, "source": "live", "kind": "turn", "streamed": True, "host": "chatgpt.com",
        "path": "/backend-api/f/conversation", "method": "POST", "started_at": now(), "status_code": 200,
        "content_type": "text/event-stream",
    }  # fmt: skip
    return Opening(**(usual | known))  # type: ignore[arg-type]


def read(coding: str, chunks: Chunks, folder: Path, **kind: object) -> Outcome:
    """Write the attack and an honest answer into one journal and let a recorder read it."""
    database = folder / "chatgpt.db"
    prepare(database)
    honest = scenes.plain_answer("honest", "An honest answer.", seed="honest")
    journal = Journal(inflight_folder(database), "hostile")
    attack = journal.open(opening("attack", content_encoding=coding, **kind).to_bytes(), b"{}", now())
    answer = journal.open(opening("honest").to_bytes(), b"{}", now())
    wire = 0
    for piece in pieces(chunks):
        journal.append(attack, piece, now())
        wire += len(piece)
    journal.append(answer, honest.body, now())
    for stream in (answer, attack):
        journal.close(stream, b'{"reason":"end"}', now())
    megabytes, seconds = record(database)
    with contextlib.closing(sqlite3.connect(database)) as db:
        found = db.execute("SELECT state, error FROM streams WHERE id = 'attack'").fetchone()
        kept = db.execute("SELECT text FROM messages WHERE id = ?", (honest.answer_id,)).fetchone()
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    state, error = found or ("not recorded", None)
    size = sum(path.stat().st_size for path in folder.glob("chatgpt.db*") if path.is_file())
    return Outcome(state, error, megabytes, seconds, wire / MEGABYTE, size / MEGABYTE, kept == ("An honest answer.",))


def record(database: Path) -> tuple[float, float]:
    """Megabytes and seconds of processor that a recorder takes for all that the journal holds."""
    command = [sys.executable, "-P", "-m", "addon.recorder", str(database), "hostile"]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    resource.prlimit(process.pid, resource.RLIMIT_CPU, (LIMIT_SECONDS, LIMIT_SECONDS))
    deadline, largest = time.monotonic() + 10 * LIMIT_SECONDS, 0
    while True:
        largest = max(largest, resident_peak(process.pid))
        ended, _, usage = os.wait4(process.pid, os.WNOHANG)
        if ended or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    if not ended:
        process.kill()
        _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return largest / 1024, usage.ru_utime + usage.ru_stime


def resident_peak(process: int) -> int:
    """The most kilobytes a process has held since it began; `ru_maxrss` would count what its parent held, too."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/hostile", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=", ".join(ATTACKS))
    parser.add_argument(
        "--live", action="store_true", help="play them through a proxy, with others' answers beside them"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of --live: runs of each kind (default: 3)")
    options = parser.parse_args()
    if options.live:
        return compare(options.attacks or ATTACKS, options.rounds)
    print("| attack | wire | memory | processor | archive | the stream | beside it |\n" + "| --- " * 7 + "|")
    harmed = 0
    for name in options.attacks or ATTACKS:
        with tempfile.TemporaryDirectory() as temporary:
            coding, chunks = ATTACKS[name]
            got = read(coding, chunks(), Path(temporary), **(DOCUMENT if name.startswith("document") else {}))
        harmed += got.megabytes > LIMIT_MEGABYTES or not got.honest
        row = [
            name, f"{got.wire_megabytes:.1f} MB", f"{got.megabytes:.0f} MB", f"{got.seconds:.1f} s",
            f"{got.database_megabytes:.1f} MB", f"{got.state}: {got.error}" if got.error else got.state,
            "whole" if got.honest else "MISSING",
        ]  # fmt: skip
        print(f"| {' | '.join(row)} |", flush=True)
    return min(harmed, 1)


if __name__ == "__main__":
    sys.exit(main())

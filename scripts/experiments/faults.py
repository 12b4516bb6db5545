"""What may go wrong in us, one thing at a time, while answers stream; and what their readers notice of it.

    scripts/faults                 every fault, beside the same run without it
    scripts/faults recorder-dead   one

Each run has a mitmdump of its own. "Gap" is the longest pause between two chunks that any client of an answer saw, the
median over the runs; runs without and with the fault take turns, and only their difference means something.
"""

import argparse
import contextlib
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from scripts import loopback
from scripts.experiments import machine
from scripts.experiments.traffic import Heard, Traffic

ADDON = Path(__file__).resolve().parent.parent.parent / "addon" / "chatgpt_capture.py"

# Python reads a module of this name when it starts; only the recorder heeds it.
_IN_THE_RECORDER = """
import sys
if "addon.recorder" in sys.orig_argv:
    {patch}
"""


@dataclass(frozen=True)
class Running:
    """A mitmdump that captures into `folder`/chatgpt.db."""

    folder: Path
    proxy: loopback.Proxy

    @property
    def database(self) -> Path:
        return self.folder / "chatgpt.db"

    @property
    def inflight(self) -> Path:
        return self.folder / "chatgpt.db-inflight"

    @property
    def recorder(self) -> int | None:
        return machine.recorder_of(self.proxy.process.pid)


type Injected = Callable[[Running], AbstractContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """`during` is in force in mid-stream; `patch` is run by the recorder when it starts. `recorded`: all is stored."""

    during: Injected = lambda _: contextlib.nullcontext()
    patch: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    small_disk: bool = False
    slow_disk: bool = False
    recorded: bool = True


@contextlib.contextmanager
def recorder_dead(running: Running) -> Iterator[None]:
    """Killed as often as it is started."""
    machine.send(running.recorder, signal.SIGKILL)
    yield
    machine.send(running.recorder, signal.SIGKILL)


@contextlib.contextmanager
def journal_folder_gone(running: Running) -> Iterator[None]:
    """Replaced by a file: segments that are open go on without a name, none can be made."""
    away = running.inflight.with_name("away")
    running.inflight.rename(away)
    running.inflight.write_text("in the way")
    yield
    running.inflight.unlink()
    away.rename(running.inflight)


@contextlib.contextmanager
def media_folder_gone(running: Running) -> Iterator[None]:
    """A file stands where the folder was: nothing that is received can be laid there."""
    media = running.database.with_name("chatgpt.db-media")
    away = media.with_name("away")
    while not media.is_file():
        # Who receives a file makes the folder again.
        shutil.rmtree(away, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            media.rename(away)
        with contextlib.suppress(IsADirectoryError):
            media.write_text("in the way")
    yield
    media.unlink()


@contextlib.contextmanager
def files_full(running: Running) -> Iterator[None]:
    """No file grows any more, neither the proxy's nor the recorder's."""
    with contextlib.ExitStack() as stack:
        for process in (running.proxy.process.pid, running.recorder):
            if process is not None:
                stack.enter_context(machine.file_size_limited(process, 4096))
        yield


FAULTS: Mapping[str, Fault] = {
    "parser-raises": Fault(
        patch="import addon.wire.sse; addon.wire.sse.EventStreamParser.feed = lambda self, chunk: [][0]", recorded=False
    ),
    "store-raises": Fault(
        patch="import addon.store.store; addon.store.store.Store._write = lambda self, record: {}[0]", recorded=False
    ),
    "recorder-dead": Fault(recorder_dead),
    "recorder-stopped": Fault(lambda running: machine.stopped(running.recorder)),
    "journal-unwritable": Fault(journal_folder_gone),
    "media-folder-gone": Fault(media_folder_gone),
    "database-locked": Fault(lambda running: machine.locked(running.database)),
    "file-size-limit": Fault(files_full),
    "disk-full": Fault(lambda running: machine.filled(running.folder), small_disk=True),
    "slow-disk": Fault(options={"chatgpt_journal_sync": "yes"}, slow_disk=True),
}


@contextlib.contextmanager
def started(fault: Fault, folder: Path, traffic: Traffic) -> Iterator[Running | None]:
    """A mitmdump in whose world the fault can happen; None where this machine cannot have it."""
    home = folder / "home"
    home.mkdir(parents=True)
    environment: dict[str, str] | None = {}
    if fault.patch:
        (folder / "sitecustomize.py").write_text(_IN_THE_RECORDER.format(patch=fault.patch))
        environment = {"PYTHONPATH": str(folder)}
    if fault.slow_disk:
        environment = machine.slow_fsync(folder)
    with contextlib.ExitStack() as stack:
        if environment is None or (fault.small_disk and not stack.enter_context(machine.small_disk(home, 60))):
            yield None
            return
        options: dict[str, object] = {"chatgpt_db": home / "chatgpt.db", **fault.options}
        service = stack.enter_context(loopback.Service(traffic.respond))
        proxy = loopback.Proxy(service, confdir=folder / "conf", scripts=[ADDON], options=options)
        with machine.surrounded(environment):
            stack.enter_context(proxy)
        proxy.wait_for_log("capturing", 15)
        yield Running(home, proxy)


def inflict(fault: Fault, running: Running, traffic: Traffic, seconds: float) -> list[Heard]:
    """What all clients got while the fault lasted for so many seconds in the midst of it."""
    with traffic.flowing(running.proxy):
        time.sleep(0.5)
        with fault.during(running):
            time.sleep(seconds)
    return traffic.heard


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("faults", nargs="*", choices=[*FAULTS, []], metavar="FAULT", help=", ".join(FAULTS))
    parser.add_argument("--seconds", type=float, default=10.0, help="how long a fault lasts (default: 10)")
    parser.add_argument("--pairs", type=int, default=3, help="runs without and with each fault (default: 3)")
    options = parser.parse_args()
    print("| fault | streams | identical | longest gap without | with | added |\n| --- | --- | --- | --- | --- | --- |")
    failed = 0
    for name in options.faults or FAULTS:
        failed += not compare(name, options.seconds, options.pairs)
    return min(failed, 1)


def compare(name: str, seconds: float, pairs: int) -> bool:
    """Print the row of one fault; whether all bytes were identical."""
    fault, whole = FAULTS[name], True
    gaps: dict[bool, list[float]] = {False: [], True: []}
    streams = identical = 0
    for with_fault in (False, True) * pairs:
        heard = run(fault if with_fault else Fault(), name, seconds)
        if heard is None:
            print(f"| {name} | not possible on this machine |  |  |  |  |", flush=True)
            return True
        streams += len(heard)
        identical += sum(one.identical for one in heard)
        whole = whole and len(heard) == 24
        gaps[with_fault].append(max(one.longest_gap for one in heard if one.turn is not None) * 1000)
    without, under = (statistics.median(gaps[with_fault]) for with_fault in (False, True))
    row = [name, str(streams), str(identical), f"{without:.0f} ms", f"{under:.0f} ms", f"{under - without:+.0f} ms"]
    print(f"| {' | '.join(row)} |", flush=True)
    return whole and identical == streams


def run(fault: Fault, name: str, seconds: float) -> list[Heard] | None:
    """What all clients got in one run; None where this machine cannot have the fault."""
    traffic = Traffic(name, events=round((seconds + 1.5) / 0.02))
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary,
        started(fault, Path(temporary), traffic) as running,
    ):
        return inflict(fault, running, traffic, seconds) if running is not None else None


if __name__ == "__main__":
    sys.exit(main())

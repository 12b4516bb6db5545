"""What the capture costs: this addon beside a bare streaming mitmdump (`stream = True`), in one run.

    scripts/bench --quick      under a minute
    scripts/bench              more rounds

Both proxies run the whole time; each round sends the same streams through both, in random order, and compares the
two. A service process and this client share the machine with them, so only the ratios mean something. Latency is
from the service's write of an event to its arrival at the client, both on the machine's monotonic clock, of the
events that come while all the streams are open.
"""

import argparse
import asyncio
import contextlib
import datetime
import os
import platform
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scripts import loopback, scenes

ROOT = Path(__file__).resolve().parent.parent
ADDON = ROOT / "addon" / "chatgpt_capture.py"

UNPACED_STREAMS, PACED_STREAMS, EVENTS_PER_SECOND = 100, 50, 10
CONCURRENCY = 20
WORDS = 30
OPENING_SECONDS = 0.5
"""Paced answers begin within this time of one another: in step they would measure the queue that they make."""

AROUND = {"v1": 16, "v0": 10}
"""How many events an answer has beside its words."""

_STAMP = re.compile(rb": t=(\d+)\n")

BARE = "def responseheaders(flow):\n    flow.response.stream = True\n"

TIMED = """
import statistics, sys, time
took = []
def responseheaders(flow):
    tap = flow.response.stream
    def timed(chunk):
        began = time.perf_counter_ns()
        passed = tap(chunk)
        took.append(time.perf_counter_ns() - began)
        return passed
    flow.response.stream = timed
def done():
    print(f"TAP {statistics.median(took) / 1000:.2f} {len(took)}", flush=True)
"""


@dataclass
class Arm:
    """One of the two proxies and what it cost, a value a round."""

    name: str
    proxy: loopback.Proxy
    client: loopback.Reader = field(init=False)
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)

    def processes(self) -> list[int]:
        """The proxy and, for ours, its recorder."""
        return [self.proxy.process.pid, *children(self.proxy.process.pid)]


def main() -> int:
    arguments = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--quick", action="store_true", help="fewer rounds: under a minute")
    arguments.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.serve:
        return serve()
    began = time.monotonic()
    rounds, paced_events = (3, 19) if options.quick else (12, 100)
    with tempfile.TemporaryDirectory() as temporary, loopback.service_apart("scripts.benchmark", "--serve") as upstream:
        folder = Path(temporary)
        print(f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {machine()}\n")
        with (
            proxy(folder / "bare", upstream, addon=False, script=BARE) as bare,
            proxy(folder / "ours", upstream, addon=True) as ours,
        ):
            arms = [Arm("bare", bare), Arm("ours", ours)]
            asyncio.run(compare(arms, rounds, paced_events))
        tap, calls = tap_cost(folder / "timed", upstream)
        print(f"\ntap: {tap} us median of {calls} chunks, in mitmdump")
    print(f"{time.monotonic() - began:.0f} s in all")
    return 0


async def compare(arms: list[Arm], rounds: int, events: int) -> None:
    """Print the table, a line a case as each is measured, then memory."""
    print("| case | throughput | p50 | p99 | proxy CPU | recorder CPU |\n| --- | --- | --- | --- | --- | --- |")
    grown = {arm.name: [memory(arm)] for arm in arms}
    encodings: tuple[scenes.Encoding, ...] = ("v1", "v0")
    for encoding in encodings:
        for http2 in (False, True):
            label = f"{encoding}, HTTP/{'2' if http2 else '1.1'}"
            paced = Load(encoding, http2, PACED_STREAMS, events - AROUND[encoding], 1 / EVENTS_PER_SECOND)
            unpaced = Load(encoding, http2, UNPACED_STREAMS, WORDS, 0.0)
            async with contextlib.AsyncExitStack() as stack:
                for arm in arms:
                    # Connections stay open over the rounds: a handshake costs more than many answers.
                    client = loopback.Reader(arm.proxy.port, arm.proxy.ca_path, http2=http2)
                    arm.client = await stack.enter_async_context(client)
                    await send(arm.client, Load(encoding, http2, PACED_STREAMS, 5, 0.001, opening=0.0))
                await measure(arms, f"unpaced, {label}", rounds, unpaced)
                await measure(arms, f"paced, {label}", max(2, rounds // 2), paced)
            for arm in arms:
                grown[arm.name].append(memory(arm))
    print()
    for name, series in grown.items():
        sizes = " ".join("+".join(f"{size:.0f}" for size in sizes) for sizes in series)
        print(f"memory, {name}: {sizes} MB (idle, then after each pair of cases; ours: proxy+recorder)")
    above = sum(grown["ours"][-1]) - sum(grown["bare"][-1])
    print(f"memory, ours above bare: {above:.0f} MB (proxy and recorder together)")


@dataclass(frozen=True)
class Load:
    """What one measurement sends; paced streams begin within `opening` seconds of one another."""

    encoding: scenes.Encoding
    http2: bool
    streams: int
    words: int
    delay: float
    opening: float = OPENING_SECONDS


async def measure(arms: list[Arm], case: str, rounds: int, load: Load) -> None:
    """One row: medians over the rounds of ours divided by bare."""
    recorder: list[float] = []
    for arm in arms:
        arm.seconds, arm.cpu, arm.p50, arm.p99 = [], [], [], []
    for _ in range(rounds):
        for arm in random.sample(arms, len(arms)):
            before = [cpu(process) for process in arm.processes()]
            began = time.monotonic()
            latencies = await send(arm.client, load)
            arm.seconds.append(time.monotonic() - began)
            used = [cpu(process) - earlier for process, earlier in zip(arm.processes(), before, strict=True)]
            arm.cpu.append(used[0])
            recorder += [used[1] / used[0]] if len(used) > 1 else []
            if load.delay:
                quantiles = statistics.quantiles(latencies, n=100)
                arm.p50.append(quantiles[49])
                arm.p99.append(quantiles[98])
    bare, ours = arms
    throughput = f"{ratio(bare.seconds, ours.seconds):.2f} x" if not load.delay else ""
    p50, p99 = (f"{ratio(ours.p50, bare.p50):.2f} x", f"{ratio(ours.p99, bare.p99):.2f} x") if load.delay else ("", "")
    row = [case, throughput, p50, p99, f"{ratio(ours.cpu, bare.cpu):.2f} x", f"{statistics.median(recorder):.2f} x"]
    print(f"| {' | '.join(row)} |", flush=True)


async def send(reader: loopback.Reader, load: Load) -> list[float]:
    """All streams of a load; the seconds that each event took which came while all of them were open."""
    slots = asyncio.Semaphore(load.streams if load.delay else CONCURRENCY)

    async def one() -> loopback.Arrivals:
        await asyncio.sleep(random.uniform(0, load.opening) if load.delay else 0)
        async with slots:
            return await reader.send_turn(f"words={load.words} delay={load.delay}", encoding=load.encoding)

    answers = await asyncio.gather(*(one() for _ in range(load.streams)))
    all_open, one_ends = max(answer[0][0] for answer in answers), min(answer[-1][0] for answer in answers)
    return [
        arrived - int(stamp) / 1e9
        for answer in answers
        for arrived, data in answer
        if all_open < arrived < one_ends
        for stamp in _STAMP.findall(data)
    ]


async def send_alone(proxy: loopback.Proxy, load: Load) -> None:
    async with loopback.Reader(proxy.port, proxy.ca_path, http2=load.http2) as reader:
        await send(reader, load)


def tap_cost(home: Path, upstream: loopback.Upstream) -> tuple[str, str]:
    """Median microseconds of the tap in a real mitmdump, timed by an addon around it, and of how many calls."""
    with proxy(home, upstream, addon=True, script=TIMED) as timed:
        asyncio.run(send_alone(timed, Load("v1", True, 40, WORDS, 0.0)))
        timed.stop()
        line = next(line for line in timed.log if line.startswith("TAP "))
    _, median, calls = line.split()
    return median, calls


# -- processes -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def proxy(home: Path, upstream: loopback.Upstream, *, addon: bool, script: str = "") -> Iterator[loopback.Proxy]:
    """A mitmdump with the addon, a script, or the script behind the addon."""
    home.mkdir()
    (home / "script.py").write_text(script)
    scripts = [*([ADDON] if addon else []), *([home / "script.py"] if script else [])]
    options: dict[str, object] = {"allow_hosts": r"^chatgpt\.com:443$"}
    if addon:
        options["chatgpt_db"] = home / "chatgpt.db"
    with loopback.Proxy(upstream, confdir=home / "conf", scripts=scripts, options=options) as running:
        if addon:
            running.wait_for_log("capturing", 10)
        yield running


def serve() -> int:
    """Answer `words=N delay=S` with a scene of that length, each event stamped when it is written."""
    cache: dict[tuple[str, int, str], list[bytes]] = {}

    def respond(request: loopback.Request) -> loopback.Answer:
        prompt, exchange = scenes.asked(request.body)
        asked = dict(pair.split("=") for pair in prompt.split())
        words, delay = int(asked["words"]), float(asked["delay"])
        encoding = exchange["encoding"]
        # Another conversation each time would cost the service more than the proxy: a few in turn will do.
        key = (encoding, words, exchange["seed"][:1])
        if key not in cache:
            cache[key] = scenes.plain_answer(prompt, scenes.prose(words, key[2]), **exchange).events
        chunks = stamp(cache[key]) if delay else cache[key]
        return loopback.Answer(headers=loopback.EVENT_STREAM, chunks=chunks, delay=delay)

    loopback.serve(respond)
    return 0


def stamp(events: list[bytes]) -> Iterator[bytes]:
    """Each event with a comment that says when it was written."""
    for event in events:
        yield b": t=%d\n" % time.monotonic_ns() + event


# -- what the machine says -------------------------------------------------------------------------------------------


def children(process: int) -> list[int]:
    """The process ids of a process's children."""
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def cpu(process: int) -> float:
    """Seconds of CPU that a process has used, all its threads; in nanoseconds, where stat counts ticks of 10 ms."""
    threads = Path(f"/proc/{process}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def memory(arm: Arm) -> list[float]:
    """Resident megabytes of a proxy and of its recorder."""
    pages = [int(Path(f"/proc/{process}/statm").read_text().split()[1]) for process in arm.processes()]
    return [count * os.sysconf("SC_PAGE_SIZE") / 1e6 for count in pages]


def ratio(ours: list[float], bare: list[float]) -> float:
    """Median over the rounds of one divided by the other."""
    return statistics.median(a / b for a, b in zip(ours, bare, strict=True))


def machine() -> str:
    """Processor, cores and Python, for the table's head."""
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())

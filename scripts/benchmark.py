"""What the capture costs: this addon beside a bare streaming mitmdump (`stream = True`), in one run.

    scripts/bench --quick      under a minute
    scripts/bench              more rounds

Both proxies run the whole time; each round sends the same streams through both, in random order, and compares the
two. Paced answers take turns second by second (paced_benchmark.py). A service process and this client share the machine
with them, so only the ratios mean something.
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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scripts import loopback, paced_benchmark, scenes

ROOT = Path(__file__).resolve().parent.parent
ADDON = ROOT / "addon" / "chatgpt_capture.py"

STREAMS, CONCURRENCY, WORDS = 100, 20, 30
"""Of what is not paced: how many answers a round, how many at once, how long."""

AROUND = {"v1": 16, "v0": 10}
"""How many events an answer has beside its words."""

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
    """One of the two proxies and what a case cost in it, a value a round."""

    name: str
    proxy: loopback.Proxy
    client: loopback.Reader = field(init=False)
    seconds: list[float] = field(default_factory=list)
    cpu: list[list[float]] = field(default_factory=list)

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
    rounds, paced_rounds = (3, 3) if options.quick else (20, 20)
    with tempfile.TemporaryDirectory() as temporary, loopback.service_apart("scripts.benchmark", "--serve") as upstream:
        folder = Path(temporary)
        print(f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {machine()}\n")
        with (
            proxy(folder / "bare", upstream, addon=False, script=BARE) as bare,
            proxy(folder / "ours", upstream, addon=True) as ours,
        ):
            arms = [Arm("bare", bare), Arm("ours", ours)]
            asyncio.run(compare(arms, rounds, paced_rounds))
        tap, calls = tap_cost(folder / "timed", upstream)
        print(f"\ntap: {tap} us median of {calls} chunks, in mitmdump")
    print(f"{time.monotonic() - began:.0f} s in all")
    return 0


async def compare(arms: list[Arm], rounds: int, paced_rounds: int) -> None:
    """Print the table, a line a case as each is measured, then memory."""
    print("| case | throughput | p50 | p99 | proxy CPU | recorder CPU |\n| --- | --- | --- | --- | --- | --- |")
    grown = {arm.name: [memory(arm)] for arm in arms}
    encodings: tuple[scenes.Encoding, ...] = ("v1", "v0")
    for encoding in encodings:
        for http2 in (False, True):
            label = f"{encoding}, HTTP/{'2' if http2 else '1.1'}"
            async with contextlib.AsyncExitStack() as stack:
                for arm in arms:
                    # Connections stay open over the rounds: a handshake costs more than many answers.
                    client = loopback.Reader(arm.proxy.port, arm.proxy.ca_path, http2=http2)
                    arm.client = await stack.enter_async_context(client)
                    await send(arm.client, encoding, streams=paced_benchmark.STREAMS, at_once=paced_benchmark.STREAMS)
                await measure_unpaced(arms, f"unpaced, {label}", encoding, rounds)
                await measure_paced(arms, f"paced, {label}", encoding, paced_rounds)
            for arm in arms:
                grown[arm.name].append(memory(arm))
    print()
    for name, series in grown.items():
        sizes = " ".join("+".join(f"{size:.0f}" for size in sizes) for sizes in series)
        print(f"memory, {name}: {sizes} MB (idle, then after each pair of cases; ours: proxy+recorder)")
    above = sum(grown["ours"][-1]) - sum(grown["bare"][-1])
    print(f"memory, ours above bare: {above:.0f} MB (proxy and recorder together)")


async def measure_unpaced(arms: list[Arm], case: str, encoding: scenes.Encoding, rounds: int) -> None:
    """One row: medians over the rounds of ours divided by bare."""
    for arm in arms:
        arm.seconds, arm.cpu = [], []
    for _ in range(rounds):
        for arm in random.sample(arms, len(arms)):
            with charged([arm]):
                began = time.monotonic()
                await send(arm.client, encoding)
                arm.seconds.append(time.monotonic() - began)
    bare, ours = arms
    print_row(case, arms, throughput=f"{ratio(bare.seconds, ours.seconds):.2f} x")


async def measure_paced(arms: list[Arm], case: str, encoding: scenes.Encoding, rounds: int) -> None:
    """One row: quantiles over all rounds, ours divided by bare."""
    for arm in arms:
        arm.cpu = []
    with charged(arms):
        took = await paced_benchmark.latencies([arm.client for arm in arms], encoding, rounds, AROUND[encoding])
    bare, ours = (statistics.quantiles(latencies, n=100) for latencies in took)
    print_row(case, arms, p50=f"{ours[49] / bare[49]:.2f} x", p99=f"{ours[98] / bare[98]:.2f} x")


@contextlib.contextmanager
def charged(arms: list[Arm]) -> Iterator[None]:
    """Note the seconds of CPU that each process of the arms takes meanwhile."""
    before = [[cpu(process) for process in arm.processes()] for arm in arms]
    yield
    for arm, earlier in zip(arms, before, strict=True):
        arm.cpu.append([cpu(process) - used for process, used in zip(arm.processes(), earlier, strict=True)])


def print_row(case: str, arms: list[Arm], *, throughput: str = "", p50: str = "", p99: str = "") -> None:
    bare, ours = ([used[0] for used in arm.cpu] for arm in arms)
    recorder = ratio((used[1] for used in arms[1].cpu), ours)
    print(f"| {case} | {throughput} | {p50} | {p99} | {ratio(ours, bare):.2f} x | {recorder:.2f} x |", flush=True)


async def send(
    reader: loopback.Reader, encoding: scenes.Encoding, *, streams: int = STREAMS, at_once: int = CONCURRENCY
) -> None:
    """Answers as fast as they go."""
    slots = asyncio.Semaphore(at_once)

    async def one() -> None:
        async with slots:
            await reader.send_turn(f"words={WORDS}", encoding=encoding)

    await asyncio.gather(*(one() for _ in range(streams)))


async def send_alone(proxy: loopback.Proxy) -> None:
    async with loopback.Reader(proxy.port, proxy.ca_path, http2=True) as reader:
        await send(reader, "v1")


def tap_cost(home: Path, upstream: loopback.Upstream) -> tuple[str, str]:
    """Median microseconds of the tap in a real mitmdump, timed by an addon around it, and of how many calls."""
    with proxy(home, upstream, addon=True, script=TIMED) as timed:
        asyncio.run(send_alone(timed))
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
    """Answer `words=N` with a scene of that length; with `starts=S windows=A,B,...` each event at its time, stamped."""
    cache: dict[tuple[str, int, str], list[bytes]] = {}

    def respond(request: loopback.Request) -> loopback.Answer:
        prompt, exchange = scenes.asked(request.body)
        asked = dict(pair.split("=") for pair in prompt.split())
        words = int(asked["words"])
        encoding = exchange["encoding"]
        # Another conversation each time would cost the service more than the proxy: a few in turn will do.
        key = (encoding, words, exchange["seed"][:1])
        if key not in cache:
            cache[key] = scenes.plain_answer(prompt, scenes.prose(words, key[2]), **exchange).events
        if "windows" not in asked:
            return loopback.Answer(headers=loopback.EVENT_STREAM, chunks=cache[key])
        pauses = paced_benchmark.pauses(float(asked["starts"]), [int(number) for number in asked["windows"].split(",")])
        chunks = paced_benchmark.stamped(cache[key])
        return loopback.Answer(headers=loopback.EVENT_STREAM, chunks=chunks, delay=pauses)

    loopback.serve(respond)
    return 0


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


def ratio(ours: Iterable[float], bare: Iterable[float]) -> float:
    """Median over the rounds of one divided by the other."""
    return statistics.median(a / b for a, b in zip(ours, bare, strict=True))


def machine() -> str:
    """Processor, cores and Python, for the table's head."""
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())

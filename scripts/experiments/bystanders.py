"""What others notice of an upstream that means harm: two honest answers stream while each attack plays.

One of them shares the attack's HTTP/2 connection, the other has a connection of its own. Each of their events says
when the service wrote it; what counts is the longest that one took to its reader while the attack passed and the
recorder was busy with it, beside the same run through a bare mitmdump that streams, and the same run through ours
without an attack.
"""

import asyncio
import contextlib
import re
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts import loopback, scenes
from scripts.experiments.attacks import ATTACKS, DOCUMENT, HEAD, TEXT, added, event, pieces
from scripts.experiments.faults import ADDON

EVERY_SECONDS = 0.02
LONGEST_SECONDS = 60.0
SHARED, APART = "shares its connection", "has its own"
ATTACK, ENOUGH = "attack", "enough"

BARE = """
def responseheaders(flow):
    flow.response.stream = "event-stream" in flow.response.headers.get("content-type", "")
"""

_STAMP = re.compile(rb": t=(\d+)\n")


@dataclass(frozen=True)
class Heard:
    """What the two bystanders got, by prompt, and between which times the attack was on."""

    answers: Mapping[str, loopback.Arrivals]
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    def body(self, prompt: str) -> bytes:
        return b"".join(data for _, data in self.answers[prompt])

    def longest(self, prompt: str) -> float:
        """Milliseconds from the service's writing of an event to its arrival, of the slowest in that time."""
        return max(
            (arrived - int(stamp) / 1e9) * 1000
            for arrived, data in self.answers[prompt]
            if arrived > self.began
            for stamp in _STAMP.findall(data)
            if int(stamp) / 1e9 < self.ended
        )


@dataclass(frozen=True)
class Waits:
    """One run; `whole` when both answers came to their end and, through ours, the archive has them."""

    heard: Heard
    whole: bool


# -- the service, a process of its own ---------------------------------------------------------------------------------


def serve(name: str) -> int:
    """Play the attack to who asks for it, and honest answers to all others until somebody says that it is enough."""
    coding, chunks = ATTACKS[name]
    harm = list(pieces(chunks()))
    over = threading.Event()
    document = name.startswith("document")
    harmful = [("content-type", "application/json")] if document else [*loopback.EVENT_STREAM]
    harmful += [("content-encoding", coding)] if coding else []

    def respond(request: loopback.Request) -> loopback.Answer:
        prompt = ATTACK if request.method == "GET" else scenes.asked(request.body)[0]
        if prompt == ATTACK:
            return loopback.Answer(headers=harmful, chunks=harm)
        if prompt == ENOUGH:
            over.set()
        return loopback.Answer(headers=loopback.EVENT_STREAM, chunks=honest(prompt, over), delay=EVERY_SECONDS)

    loopback.serve(respond)
    return 0


def honest(name: str, over: threading.Event) -> Iterator[bytes]:
    """An answer without end until it is over, each event with a comment that says when it was written."""
    yield HEAD + added(name)
    while not over.is_set():
        yield b": t=%d\n" % time.monotonic_ns() + event({"p": TEXT, "o": "append", "v": "word "})
    yield event({"p": "/message/status", "o": "replace", "v": "finished_successfully"}) + b"data: [DONE]\n\n"


# -- one run -----------------------------------------------------------------------------------------------------------


def run(name: str, *, ours: bool, attacked: bool, seconds: float = 0.0) -> Waits:
    """One run of at least so many seconds, through a mitmdump of its own; ours ends when the attack is stored."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary,
        loopback.service_apart("scripts.experiments.bystanders", name) as upstream,
    ):
        folder = Path(temporary)
        (folder / "bare.py").write_text(BARE)
        database = folder / "chatgpt.db"
        options: dict[str, object] = {"chatgpt_db": database} if ours else {}
        scripts = [ADDON if ours else folder / "bare.py"]
        with loopback.Proxy(upstream, confdir=folder / "conf", scripts=scripts, options=options) as proxy:
            if ours:
                proxy.wait_for_log("capturing", 15)
            stored_in = database if ours and attacked else None
            heard = asyncio.run(beside(name if attacked else "", proxy, stored_in, seconds))
            proxy.stop(timeout=60)
        whole = all(heard.body(prompt).endswith(b"[DONE]\n\n") for prompt in heard.answers)
        return Waits(heard, whole and (not ours or recorded(database, heard)))


async def beside(attack: str, proxy: loopback.Proxy, stored_in: Path | None, seconds: float) -> Heard:
    """Two answers, and in their midst the attack, until it is stored where it is."""
    async with (
        loopback.Reader(proxy.port, proxy.ca_path, http2=True) as shared,
        loopback.Reader(proxy.port, proxy.ca_path, http2=True) as apart,
    ):
        asking = {
            prompt: asyncio.create_task(reader.send_turn(prompt))
            for prompt, reader in ((SHARED, shared), (APART, apart))
        }
        await asyncio.sleep(0.5)
        began = time.monotonic()
        if attack:
            is_document = attack.startswith("document")
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(LONGEST_SECONDS):
                    await (shared.load(DOCUMENT["path"]) if is_document else shared.send_turn(ATTACK))
        while stored_in and not settled(stored_in) and time.monotonic() < began + LONGEST_SECONDS:
            await asyncio.sleep(0.1)
        await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
        ended = time.monotonic()
        await apart.send_turn(ENOUGH)
        return Heard({prompt: await answer for prompt, answer in asking.items()}, began, ended)


def settled(database: Path) -> bool:
    """Whether the recorder is done with the attack: of three exchanges it is the only one that has ended."""
    return rows(database, "SELECT 1 FROM streams WHERE state <> 'streaming'") != []


def recorded(database: Path, heard: Heard) -> bool:
    """Whether the archive has both honest answers to the last word."""
    stored = dict(rows(database, "SELECT id, text FROM messages WHERE status = 'finished_successfully'"))
    return all(stored.get(prompt) == "word " * len(_STAMP.findall(heard.body(prompt))) for prompt in heard.answers)


def rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as db:
        return db.execute(query).fetchall()


# -- what is printed ---------------------------------------------------------------------------------------------------


def compare(names: Iterable[str], rounds: int) -> int:
    """Print a row for each attack, medians over the rounds; 1 when an answer beside one was not whole."""
    print(
        f"| attack | it lasted | {SHARED}: alone | bare | ours | {APART}: alone | bare | ours |\n" + "| --- " * 8 + "|"
    )
    broken = 0
    for name in names:
        alone, bare, ours = [], [], []
        for _ in range(rounds):
            ours.append(run(name, ours=True, attacked=True))
            bare.append(run(name, ours=False, attacked=True, seconds=ours[-1].heard.seconds))
            alone.append(run(name, ours=True, attacked=False, seconds=ours[-1].heard.seconds))
        broken += not all(waits.whole for waits in (*alone, *bare, *ours))
        lasted = statistics.median(waits.heard.seconds for waits in ours)
        cells = [
            f"{statistics.median(waits.heard.longest(prompt) for waits in runs):.0f} ms"
            for prompt in (SHARED, APART)
            for runs in (alone, bare, ours)
        ]
        print(f"| {' | '.join([name, f'{lasted:.1f} s', *cells])} |", flush=True)
    return min(broken, 1)


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1]))

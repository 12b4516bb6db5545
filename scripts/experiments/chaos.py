"""Everything at once: answers stream while a seeded chance kills, stops, locks, fills, cuts and poisons. Then an audit.

    scripts/chaos                       ten rounds
    scripts/chaos --rounds 100 --seed 7

A round is a burst of answers through one mitmdump with one to three disasters in it; the database is the same for all.
What must hold after each round: every client has what was sent, or, where the proxy was killed or the service or the
client cut it, its beginning; each event that a client has is in the raw body that was stored; the messages stored are
those that an independent decoder (`tests/reference.py`) finds in that body; the database is sound; nothing is left in
the journal.
"""

import argparse
import contextlib
import dataclasses
import random
import signal
import sqlite3
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from addon.wire.evidence import decompress
from scripts import loopback
from scripts.experiments import machine
from scripts.experiments.faults import ADDON
from scripts.experiments.traffic import Heard, Traffic, Turn
from tests.reference import decode, text_of

DISK_MEGABYTES = 200
DRAIN_SECONDS = 20.0


@dataclass
class World:
    """One database, the mitmdump that captures into it at the moment, and what chance has done to them."""

    folder: Path
    own_disk: bool
    chance: random.Random
    proxy: loopback.Proxy | None = None
    disasters: Counter[str] = field(default_factory=Counter)
    streams: int = 0
    bytes: int = 0
    cut: int = 0
    happened: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        log = self.proxy.log[-15:] if self.proxy else []
        return "\n".join([f"so far: {dict(self.disasters)}; in this round: {', '.join(self.happened)}", *log])

    @property
    def database(self) -> Path:
        return self.folder / "chatgpt.db"

    @property
    def inflight(self) -> Path:
        return self.folder / "chatgpt.db-inflight"

    @property
    def process(self) -> int:
        assert self.proxy is not None
        return self.proxy.process.pid

    @property
    def recorder(self) -> int | None:
        return machine.recorder_of(self.process)

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)) as db:
            return db.execute(query, parameters).fetchall()


# -- disasters: each is over when its function returns -----------------------------------------------------------------


def kill_proxy(world: World) -> None:
    machine.send(world.process, signal.SIGKILL)


def terminate_proxy(world: World) -> None:
    machine.send(world.process, world.chance.choice((signal.SIGTERM, signal.SIGINT)))


def kill_recorder(world: World) -> None:
    machine.send(world.recorder, signal.SIGKILL)


def stop_recorder(world: World) -> None:
    with machine.stopped(world.recorder):
        time.sleep(world.chance.uniform(0.05, 0.5))


def kill_both(world: World) -> None:
    recorder = world.recorder
    machine.send(recorder, signal.SIGSTOP)
    machine.send(world.process, signal.SIGKILL)
    machine.send(recorder, signal.SIGKILL)


def lock_database(world: World) -> None:
    with contextlib.suppress(sqlite3.Error), machine.locked(world.database):
        time.sleep(world.chance.uniform(0.05, 1.0))


def fill_disk(world: World) -> None:
    if world.own_disk:
        with machine.filled(world.folder):
            time.sleep(world.chance.uniform(0.05, 0.5))
    else:
        with machine.file_size_limited(world.process, 4096):
            time.sleep(world.chance.uniform(0.05, 0.5))
    # What waits in memory while there is no room would die with the proxy: that is the one thing a kill may take.
    time.sleep(0.8)


DISASTERS: tuple[Callable[[World], None], ...] = (
    kill_proxy, terminate_proxy, kill_recorder, stop_recorder, kill_both, lock_database, fill_disk,
)  # fmt: skip


ENDS_OF_THE_PROXY = (kill_proxy, terminate_proxy, kill_both)


@dataclass(frozen=True)
class Fate:
    """What chance has in store for one answer: where it is cut and how, or whether it is poison."""

    chunks: int | None = None
    end: loopback.End = "clean"
    abort_after: int | None = None
    poison: str = ""


def fate(chance: random.Random, turn: Turn) -> Fate:
    """Most answers end well."""
    drawn = chance.random()
    if drawn < 0.08:
        return Fate(chunks=chance.randint(1, len(turn.chunks)), end="reset")
    if drawn < 0.16:
        return Fate(abort_after=chance.randint(1, sum(map(len, turn.chunks))))
    if drawn < 0.2:
        return Fate(poison=chance.choice(("bomb", "nonsense", "wrong coding")))
    return Fate()


def poisoned(kind: str, chance: random.Random) -> loopback.Answer:
    """An answer that is none."""
    gzip = [*loopback.EVENT_STREAM, ("content-encoding", "gzip")]
    if kind == "bomb":
        coder = zlib.compressobj(9, wbits=31)
        return loopback.Answer(headers=gzip, chunks=[coder.compress(bytes(64 * 1024 * 1024)) + coder.flush()])
    if kind == "nonsense":
        return loopback.Answer(headers=loopback.EVENT_STREAM, chunks=[chance.randbytes(5000) for _ in range(20)])
    return loopback.Answer(headers=gzip, chunks=[b"data: {}\n\n"] * 20)


def play(world: World, number: int) -> list[Heard]:
    """One round: what all clients got."""
    chance = world.chance
    world.happened.clear()
    seed = chance.random()
    fates: dict[str, Fate] = {}

    def fate_of(turn: Turn) -> Fate:
        return fates.setdefault(turn.prompt, fate(random.Random(f"{seed} {turn.prompt}"), turn))

    def served(turn: Turn, answer: loopback.Answer) -> loopback.Answer:
        chosen = fate_of(turn)
        if chosen.poison:
            return poisoned(chosen.poison, random.Random(turn.prompt))
        return dataclasses.replace(answer, chunks=turn.chunks[: chosen.chunks], end=chosen.end)

    traffic = Traffic(
        f"round {number}", streams=4, events=chance.randint(20, 80), delay=chance.choice((0.0, 0.002, 0.01)),
        stagger=chance.choice((0.0, 0.1)), served=served, abort_after=lambda turn: fate_of(turn).abort_after,
    )  # fmt: skip
    with loopback.Service(traffic.respond) as service, running(world, service) as proxy:
        with traffic.flowing(proxy):
            for _ in range(chance.randint(1, 3)):
                time.sleep(chance.uniform(0.0, 0.5))
                disaster = chance.choice(DISASTERS)
                world.disasters[disaster.__name__] += 1
                world.happened.append(disaster.__name__)
                disaster(world)
                if disaster in ENDS_OF_THE_PROXY:
                    break
        if disaster not in ENDS_OF_THE_PROXY:
            undisturbed(traffic, fates)
        world.streams += len(traffic.heard)
        world.bytes += sum(len(one.received.body) for one in traffic.heard)
        world.disasters.update(chosen.poison for chosen in fates.values() if chosen.poison)
        world.disasters.update("reset by the service" for chosen in fates.values() if chosen.end == "reset")
        world.disasters.update("left by the client" for chosen in fates.values() if chosen.abort_after)
    return [one for one in traffic.heard if one.turn is None or not fates[one.turn.prompt].poison]


def undisturbed(traffic: Traffic, fates: dict[str, Fate]) -> None:
    """The proxy lived: whoever was not cut by the service or left by itself has everything."""
    assert len(traffic.heard) == 6 * traffic.streams, f"{len(traffic.heard)} were answered"
    for one in traffic.heard:
        if one.turn is None or fates[one.turn.prompt] == Fate():
            assert one.identical, f"{one.name}: {len(one.received.body)} of {len(one.sent)}: {one.received.error}"


@contextlib.contextmanager
def running(world: World, service: loopback.Service) -> Iterator[loopback.Proxy]:
    """A mitmdump for one round. At its end it is stopped, if it is still there, and another adopts what it left."""
    options: dict[str, object] = {"chatgpt_db": world.database}
    conf = world.folder.parent / "conf"
    with loopback.Proxy(service, confdir=conf, scripts=[ADDON], options=options) as proxy:
        world.proxy = proxy
        proxy.wait_for_log("capturing", 20)
        yield proxy
    if proxy.process.returncode != 0 or any(world.inflight.iterdir()):
        # After a kill the recorder goes on by itself; a file that found no room waits for the next start.
        with loopback.Proxy(service, confdir=conf, scripts=[ADDON], options=options) as again:
            again.wait_for_log("capturing", 20)
            assert again.stop(timeout=40) == 0, again.log
    drained(world)


def drained(world: World) -> None:
    """Wait until nothing is left in the journal: the recorder of a killed proxy may be at it still."""
    deadline = time.monotonic() + DRAIN_SECONDS
    while left := list(world.inflight.iterdir()):
        assert time.monotonic() < deadline, f"not stored after {DRAIN_SECONDS} s: {left}"
        time.sleep(0.05)


# -- the audit ---------------------------------------------------------------------------------------------------------


def audit(world: World, heard: list[Heard]) -> None:
    """Raise AssertionError where a promise is broken."""
    assert world.rows("PRAGMA integrity_check") == [("ok",)]
    assert world.rows("PRAGMA foreign_key_check") == []
    assert world.rows("SELECT count(*) FROM messages WHERE live") == [(0,)]
    assert world.rows("SELECT coalesce(sum(lost_chunks), 0), coalesce(sum(uncaptured), 0) FROM runs") == [(0, 0)]
    for one in heard:
        assert one.intact, f"{one.name}: the client got other bytes than were sent"
        if one.turn is not None:
            world.cut += not one.identical
            audit_stream(world, one, one.turn)


def audit_stream(world: World, one: Heard, turn: Turn) -> None:
    """One answer: each event that its client has is stored, and the messages are what those events say."""
    found = world.rows(
        "SELECT s.id, s.state, s.wire_bytes, b.body FROM streams s LEFT JOIN stream_bodies b ON b.stream_id = s.id"
        " WHERE s.request_message_id = ?", turn.message_id,
    )  # fmt: skip
    assert len(found) == 1, f"{one.name}: {len(found)} streams"
    _, state, wire_bytes, compressed = found[0]
    assert wire_bytes >= len(one.received.body), f"{one.name}: {wire_bytes} of {len(one.received.body)} bytes, {state}"
    body = decompress(compressed)
    assert b"".join(turn.events).startswith(body), f"{one.name}: other bytes were stored than were sent"
    assert body.startswith(b"".join(turn.events[: chunks_in(one.received.body, turn.chunks)])), f"{one.name}: a hole"
    assert state == "complete" if one.identical else state in ("complete", "interrupted"), f"{one.name}: {state}"
    stored = {
        identity: (text, status, live)
        for identity, text, status, live in world.rows(
            "SELECT id, text, status, live FROM messages WHERE conversation_id = ?", turn.scene.conversation_id
        )
    }
    for identity, message in decode(body).messages.items():
        assert stored[identity] == (text_of(message), message.get("status"), 0), f"{one.name}: {identity}"


def chunks_in(received: bytes, chunks: list[bytes]) -> int:
    """How many whole chunks the client has: so many events it can read, whatever the coding."""
    whole, size = 0, 0
    for chunk in chunks:
        size += len(chunk)
        if size > len(received):
            break
        whole += 1
    return whole


def run(folder: Path, rounds: int, seed: int) -> World:
    """All rounds in `folder`; AssertionError, naming the round, where a promise is broken."""
    with machine.small_disk(folder / "home", DISK_MEGABYTES) as own_disk:
        world = World(folder / "home", own_disk, random.Random(seed))
        for number in range(rounds):
            try:
                audit(world, play(world, number))
            except AssertionError as error:
                raise AssertionError(f"round {number} of seed {seed}: {error}\n{world}") from error
        return world


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        world = run(Path(temporary), options.rounds, options.seed)
    done = ", ".join(f"{name} {count}" for name, count in sorted(world.disasters.items()))
    print(
        f"{options.rounds} rounds, seed {options.seed}: {world.streams} exchanges, {world.bytes} bytes, {world.cut} cut"
    )
    print(f"disasters: {done}")
    print(f"every byte accounted for; {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

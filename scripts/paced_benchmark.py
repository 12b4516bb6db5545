"""Paced answers through several proxies that take turns: the latency of one beside another in the same moments.

All streams of all proxies are open at once. A window of a second belongs to one proxy, whose streams then get their
events; the next window belongs to another. So what the machine does, which differs from second to second by more than
what is measured, falls on all alike. Each stream has its own phase within the tenth of a second, the same in every
proxy: in step they would measure the queue that they make. Latency is from the service's write of an event to its
arrival at the client, both on the machine's monotonic clock.
"""

import asyncio
import random
import re
import time
from collections.abc import Iterator

from scripts import loopback, scenes

STREAMS, EVENTS_PER_SECOND = 50, 10
WINDOW_SECONDS = 1.0
OPENING_SECONDS = 1.0
"""How long before the first window the streams are opened."""

SETTLING_SECONDS = 0.25
"""The beginning of a window, which is not counted: what the one before left to do is done then."""

_STAMP = re.compile(rb": t=(\d+)\n")


def windows(proxies: int, rounds: int) -> list[list[int]]:
    """For each proxy the numbers of its windows: one in each round, in random order."""
    order = [proxy for _ in range(rounds) for proxy in random.sample(range(proxies), proxies)]
    return [[number for number, owner in enumerate(order) if owner == proxy] for proxy in range(proxies)]


async def latencies(
    readers: list[loopback.Reader], encoding: scenes.Encoding, rounds: int, around: int
) -> list[list[float]]:
    """For each proxy the seconds that its counted events took; `around` is how many an answer has beside its words."""
    starts = time.monotonic() + OPENING_SECONDS
    phases = [random.uniform(0, 1 / EVENTS_PER_SECOND) for _ in range(STREAMS)]
    words = int(rounds * WINDOW_SECONDS * EVENTS_PER_SECOND) - around

    async def one(reader: loopback.Reader, own: str, phase: float) -> loopback.Arrivals:
        await asyncio.sleep(random.uniform(0, OPENING_SECONDS / 3))
        asked = f"words={words} starts={starts + phase} windows={own}"
        return await reader.send_turn(asked, encoding=encoding)

    owned = windows(len(readers), rounds)
    async with asyncio.TaskGroup() as group:
        tasks = [
            [group.create_task(one(reader, ",".join(map(str, own)), phase)) for phase in phases]
            for reader, own in zip(readers, owned, strict=True)
        ]
    return [[took for task in streams for took in counted(task.result(), starts)] for streams in tasks]


def counted(arrivals: loopback.Arrivals, starts: float) -> list[float]:
    """The seconds that the events of a stream took which were written after a window had settled."""
    stamps = ((arrived, int(stamp) / 1e9) for arrived, data in arrivals for stamp in _STAMP.findall(data))
    return [arrived - written for arrived, written in stamps if (written - starts) % WINDOW_SECONDS > SETTLING_SECONDS]


def pauses(starts: float, own: list[int]) -> Iterator[float]:
    """Seconds to wait before each event of a stream, so that it is written at its time."""
    for window in own:
        for event in range(int(WINDOW_SECONDS * EVENTS_PER_SECOND)):
            due = starts + window * WINDOW_SECONDS + event / EVENTS_PER_SECOND
            yield max(0.0, due - time.monotonic())


def stamped(events: list[bytes]) -> Iterator[bytes]:
    """Each event with a comment that says when it was written."""
    for event in events:
        yield b": t=%d\n" % time.monotonic_ns() + event

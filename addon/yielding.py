"""Work in small turns, between which whoever waits for the processor goes first."""

import os
import time
from collections.abc import Callable

TURN_SECONDS = 0.001
"""Shorter turns would starve who yields on a busy machine: what it gives up comes back after others' turns of 3 ms."""

_yield_processor: Callable[[], None] = getattr(os, "sched_yield", lambda: None)


class Yielding:
    """To be called often in the middle of long work: once a turn it yields the processor (sched_yield(2)).

    A kernel that lets who runs go on until its tick, 4 ms at 250 Hz, would otherwise make the proxy wait for as long,
    however low the niceness of who works.
    """

    def __init__(self) -> None:
        self._due = 0.0

    def __call__(self) -> None:
        if time.monotonic() >= self._due:
            _yield_processor()
            self._due = time.monotonic() + TURN_SECONDS

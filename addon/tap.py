"""The tap: what mitmproxy calls with each chunk of a response. The one place between the browser and chatgpt.com.

A stream callable that raises or returns anything else than bytes loses the chunk for the person, on HTTP/2 those of
other streams too (mitmproxy 12): so the tap catches everything and returns the object it was given.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import time_ns
from typing import Protocol

MAX_RETURNED_BYTES = 8 * 1024 * 1024
"""How much of a streamed body is given back to the flow at its end, for `-w`, HAR export and content views."""

MAX_REMEMBERED_BYTES = 32 * 1024 * 1024
"""How much of all streams that are open together is remembered for that."""

Chunks = bytes | Iterable[bytes]


class Capturing(Protocol):
    """Who wants to know how it went."""

    failures: int
    remembered: int

    def ended(self, tap: "Tap") -> None:
        """The body has come to its clean end."""


@dataclass(slots=True, eq=False)
class Tap:
    """The stream callable of one response. Never raises, never changes what passes.

    `append` is given the stream's number, a chunk and when it came, in microseconds since the epoch; `then` is the
    callable that was there before, `length` how many bytes are announced.
    """

    capture: Capturing
    append: Callable[[int, bytes, int], None]
    flow_id: str
    stream: int
    then: Callable[[bytes], Chunks] | None = None
    length: int | None = None
    seen: int = field(default=0, init=False)
    body: list[bytes] | None = field(init=False)

    def __post_init__(self) -> None:
        # A body that is announced to be too large is not even begun to be remembered.
        self.body = None if self.length is not None and self.length > MAX_RETURNED_BYTES else []

    def __call__(self, chunk: bytes) -> Chunks:
        try:
            if chunk:
                # All that is done for each chunk: there is nothing cheap between two chunks, it all runs cold.
                self.append(self.stream, chunk, time_ns() // 1000)
                self.seen += len(chunk)
                if self.body is not None:
                    self._remember(chunk)
            else:
                self.capture.ended(self)
        except Exception:
            self.capture.failures += 1
        # A callable that was there before us still decides what the client gets.
        return chunk if self.then is None else self.then(chunk)

    def _remember(self, chunk: bytes) -> None:
        """Remember the body for the flow, up to a limit."""
        assert self.body is not None
        self.body.append(chunk)
        self.capture.remembered += len(chunk)
        if self.seen > MAX_RETURNED_BYTES or self.capture.remembered > MAX_REMEMBERED_BYTES:
            self.forget()

    def forget(self) -> None:
        """Remember nothing any more."""
        if self.body is not None:
            self.body = None
            self.capture.remembered -= self.seen

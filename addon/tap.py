"""The tap: what mitmproxy calls with each chunk of a response. The one place between the browser and chatgpt.com.

A stream callable that raises or returns anything else than bytes loses the chunk for the person, on HTTP/2 those of
other streams too (mitmproxy 12): so the tap catches everything and returns the object it was given.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

MAX_RETURNED_BYTES = 8 * 1024 * 1024
"""How much of a streamed body is given back to the flow at its end, for `-w`, HAR export and content views."""

MAX_REMEMBERED_BYTES = 32 * 1024 * 1024
"""How much of all streams that are open together is remembered for that."""

Chunks = bytes | Iterable[bytes]


class Capturing(Protocol):
    """Who wants to know what passes."""

    failures: int
    remembered: int

    def received(self, tap: "Tap", chunk: bytes) -> None:
        """A chunk passes."""

    def ended(self, tap: "Tap") -> None:
        """The body has come to its clean end."""


class Tap:
    """The stream callable of one response. Never raises, never changes what passes."""

    def __init__(
        self,
        capture: Capturing,
        flow_id: str,
        stream: int,
        then: Callable[[bytes], Chunks] | None,
        length: int | None = None,
    ) -> None:
        self.flow_id = flow_id
        self.stream = stream
        self.seen = 0
        # A body that is announced to be too large is not even begun to be remembered.
        self.body: list[bytes] | None = None if length is not None and length > MAX_RETURNED_BYTES else []
        self._capture = capture
        self._then = then

    def __call__(self, chunk: bytes) -> Chunks:
        try:
            if chunk:
                self._capture.received(self, chunk)
            else:
                self._capture.ended(self)
        except Exception:
            self._capture.failures += 1
        # A callable that was there before us still decides what the client gets.
        return chunk if self._then is None else self._then(chunk)

    def keep(self, chunk: bytes) -> None:
        """Remember the body for the flow, up to a limit."""
        self.seen += len(chunk)
        if self.body is not None:
            self.body.append(chunk)
            self._capture.remembered += len(chunk)
            if self.seen > MAX_RETURNED_BYTES or self._capture.remembered > MAX_REMEMBERED_BYTES:
                self.forget()

    def forget(self) -> None:
        """Remember nothing any more."""
        if self.body is not None:
            self.body = None
            self._capture.remembered -= self.seen

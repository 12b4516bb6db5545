"""The tap of a WebSocket: each message that passes, appended to the journal; nothing about it is changed.

A socket is open for days, a journal segment must not be: so what passes goes into bursts, streams of the journal
that are opened by a message and end a while later. Where one burst ends and the next begins follows from the times
of the messages alone, so that a saved flow gives the same bursts as the live connection.
"""

from collections.abc import Callable

BURST_SECONDS = 30
"""How long after its first message a burst takes no more."""

BURST_BYTES = 4 * 1024 * 1024

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""How much of one message is kept; honest ones are some kilobytes."""

FROM_CLIENT, BINARY, CUT = 1, 2, 4
"""Flags in the byte that stands before the content: a message is one record of the journal, whatever its size."""


class SocketTap:
    """One WebSocket's way into the journal. Times are microseconds and rise with every message.

    `begin` is given when, and names a burst of the journal, None when it cannot take one; `append` is given a burst,
    a message and when; `end` a burst, why ("pause" when the socket goes on), one line of detail and when.
    """

    def __init__(
        self,
        begin: Callable[[int], int | None],
        append: Callable[[int, bytes, int], None],
        end: Callable[[int, str, str, int], None],
    ) -> None:
        self.burst: int | None = None
        self._begin, self._append, self._end = begin, append, end
        self._began_at = self._at = self._bytes = 0

    def message(self, content: bytes, at: int, *, from_client: bool, text: bool) -> None:
        """A message passes."""
        at = max(at, self._at + 1)
        if self.burst is not None and (at - self._began_at >= BURST_SECONDS * 1_000_000 or self._bytes >= BURST_BYTES):
            self.pause()
        self._at = at
        if self.burst is None:
            self._began_at, self._bytes = at, 0
            self.burst = self._begin(at)
        if self.burst is not None:
            kept = content[:MAX_MESSAGE_BYTES]
            flags = FROM_CLIENT * from_client | BINARY * (not text) | CUT * (len(kept) < len(content))
            self._append(self.burst, bytes([flags]) + kept, at)
            self._bytes += len(kept)

    def pause(self) -> None:
        """End the open burst; the socket goes on."""
        if self.burst is not None:
            burst, self.burst = self.burst, None
            self._end(burst, "pause", "", self._at)

    def end(self, reason: str, detail: str, at: int) -> None:
        """The socket has come to its end: the recorder is told, also when no burst is open."""
        self._at = at = max(at, self._at + 1)
        burst = self._begin(at) if self.burst is None else self.burst
        self.burst = None
        if burst is not None:
            self._end(burst, reason, detail, at)

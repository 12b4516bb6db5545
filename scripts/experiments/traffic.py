"""Traffic whose every byte is known: many answers at once, over HTTP/1.1 and HTTP/2, and strangers beside them."""

import asyncio
import contextlib
import itertools
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import anyio
import httpx

from scripts import loopback, scenes

CODINGS = ("identity", "br", "zstd", "gzip", "deflate")
_STRANGER = "https://chatgpt.com/strange/thing?n="
_FILE = "https://chatgpt.com/backend-api/estuary/content?sig=0123456789abcdef&id=file_"

# httpx lets some of what a killed proxy leaves through as it is.
_BROKEN = (httpx.TransportError, anyio.EndOfStream, anyio.BrokenResourceError, OSError)
_TIMEOUT = 8.0  # httpx goes on waiting for a connection of a proxy that was killed


@dataclass(frozen=True)
class Turn:
    """One answer: its events, without any that holds a secret, and what of them its client must get, chunk by chunk."""

    prompt: str
    scene: scenes.Scene
    coding: str
    events: list[bytes]
    chunks: list[bytes]

    @property
    def message_id(self) -> str:
        return message_id_of(self.prompt)


@dataclass(frozen=True)
class Heard:
    """What one client got of what it was sent; `turn` is None for a file, and for a stranger, which nobody captures."""

    name: str
    turn: Turn | None
    sent: bytes
    received: loopback.Received

    @property
    def identical(self) -> bool:
        """Whether it is what was sent, to the last byte."""
        return not self.received.error and self.received.body == self.sent

    @property
    def intact(self) -> bool:
        """Whether it is the beginning of what was sent, which is all that a killed proxy leaves."""
        return self.sent.startswith(self.received.body)

    @property
    def longest_gap(self) -> float:
        """Seconds between two chunks, at their worst."""
        times = self.received.times
        return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0.0)


@dataclass
class Traffic:
    """`streams` answers of `events` events over each version of HTTP, and as many files and strangers.

    Their events are `delay` seconds apart, they themselves begin `stagger` seconds after one another. `served` may
    change what the service makes of an answer, `abort_after` says after how many bytes a client leaves.
    """

    name: str
    streams: int = 4
    events: int = 100
    delay: float = 0.02
    stagger: float = 0.3
    served: Callable[[Turn, loopback.Answer], loopback.Answer] = lambda turn, answer: answer
    abort_after: Callable[[Turn], int | None] = lambda turn: None
    turns: dict[str, Turn] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)

    def respond(self, request: loopback.Request) -> loopback.Answer:
        """The service's part."""
        if request.path.startswith("/backend-api/estuary/"):
            image = self.stranger(request.path)
            return loopback.Answer(headers=[("content-type", "image/gif")], chunks=image, delay=self.delay)
        if request.path.startswith("/strange/"):
            return loopback.Answer(
                headers=[("content-type", "application/octet-stream")], chunks=self.stranger(request.path)
            )
        prompt, _ = scenes.asked(request.body)
        turn = self.turn(prompt)
        label = [] if turn.coding == "identity" else [("content-encoding", turn.coding)]
        answer = loopback.Answer(headers=[*loopback.EVENT_STREAM, *label], chunks=turn.chunks, delay=self.delay)
        return self.served(turn, answer)

    def turn(self, prompt: str) -> Turn:
        """The answer to a prompt, always the same."""
        if prompt not in self.turns:
            coding = CODINGS[len(self.turns) % len(CODINGS)]
            make = (scenes.plain_answer, scenes.reasoning_answer)[len(self.turns) % 2]
            scene = make(prompt, scenes.prose(self.events, prompt), seed=prompt, user_message_id=message_id_of(prompt))
            events = [event for event in scene.events if not any(secret.encode() in event for secret in scene.secrets)]
            self.turns[prompt] = Turn(prompt, scene, coding, events, loopback.encode_chunks(events, coding))
        return self.turns[prompt]

    def stranger(self, path: str) -> list[bytes]:
        """What somebody else on the same connection is sent, or a file."""
        number = path.rpartition("=")[2].encode()
        return [b"GIF89a\x01\0\x01\0\0\0\0", *[number * 997 + b"%d" % n for n in range(50)], b";"]

    async def send(self, port: int, ca: loopback.Upstream) -> None:
        """Ask for everything at once; `heard` is what came back, also where a connection broke."""
        async with contextlib.AsyncExitStack() as stack:
            asks = []
            for http2 in (True, False):
                client = await stack.enter_async_context(
                    loopback.Client(port, ca.ca_path, http2=http2, timeout=_TIMEOUT)
                )
                for n in range(self.streams):
                    turn = self.turn(f"{self.name} {'h2' if http2 else 'h1'} {n}")
                    start = n * self.stagger
                    asks += [self._ask(client, turn, start), self._pass(client, f"{_STRANGER}{n}", start)]
                    asks.append(self._pass(client, f"{_FILE}{'h2' if http2 else 'h1'}{n}", start))
            # Of a proxy that was killed httpx waits for each ask in turn; what is missing then was never answered.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.streams * self.stagger + 2 * self.events * self.delay + _TIMEOUT):
                    await asyncio.gather(*asks)

    async def _ask(self, client: loopback.Client, turn: Turn, start: float) -> None:
        await asyncio.sleep(start)
        with contextlib.suppress(*_BROKEN):  # not even a status came
            received = await client.send_turn(
                turn.prompt, message_id=turn.message_id, abort_after=self.abort_after(turn)
            )
            self.heard.append(Heard(turn.prompt, turn, b"".join(turn.chunks), received))

    async def _pass(self, client: loopback.Client, url: str, start: float) -> None:
        await asyncio.sleep(start)
        with contextlib.suppress(*_BROKEN):
            received = await client.fetch(url)
            self.heard.append(Heard(url, None, b"".join(self.stranger(url)), received))

    @contextlib.contextmanager
    def flowing(self, proxy: loopback.Proxy) -> Iterator[None]:
        """While the block runs traffic flows; after it, all of it has come to its end."""
        upstream = loopback.Upstream(proxy.port, proxy.ca_path)
        thread = threading.Thread(target=lambda: asyncio.run(self.send(proxy.port, upstream)), daemon=True)
        thread.start()
        try:
            yield
        finally:
            thread.join()


def message_id_of(prompt: str) -> str:
    """The id of the message that asks this."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, prompt))

"""The browser: requests through a proxy, with what came back kept as it came."""

import asyncio
import contextlib
import dataclasses
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

import h2.errors
import h2.exceptions
import httpx

from scripts.loopback.exchange import Header
from scripts.loopback.turn import RESUME_URL, TURN_URL, Turn, resume_request, turn_request


@dataclasses.dataclass(frozen=True)
class Received:
    """What came back: the body's bytes as they were on the wire (still encoded) and when (time.monotonic).

    `error` names what ended the body early ("" when it ended properly); "aborted" when the client did.
    """

    status: int
    headers: tuple[Header, ...]
    http_version: str
    chunks: tuple[bytes, ...]
    times: tuple[float, ...]
    sent_at: float
    error: str = ""

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def header(self, name: str) -> str | None:
        """The first value of a header, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Ask(TypedDict, total=False):
    """A request's particulars. `abort_after` leaves after that many bytes of body, as a browser does on Stop."""

    method: str
    headers: Sequence[Header]
    body: bytes
    abort_after: int | None


class Client:
    """A browser behind a proxy (a Service's own `port` will do): `async with Client(...) as client`.

    With `http2` all requests are streams of one connection; without, each concurrent one has its own.
    """

    def __init__(self, proxy_port: int, ca_path: Path, *, http2: bool, timeout: float = 30.0) -> None:
        self._http2 = http2
        self._http = httpx.AsyncClient(
            proxy=f"http://127.0.0.1:{proxy_port}",
            verify=ssl.create_default_context(cafile=ca_path),
            http2=http2,
            limits=httpx.Limits(max_connections=1 if http2 else None),
            timeout=timeout,
            trust_env=False,
        )
        self._first = asyncio.Lock()
        self._connected = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def fetch(self, url: str, **ask: Unpack[Ask]) -> Received:
        """One request; httpx.TransportError when not even a status came."""
        abort_after = ask.get("abort_after")
        headers = list(ask.get("headers", ()))
        request = httpx.Request(ask.get("method", "GET"), url, headers=headers, content=ask.get("body"))
        sent_at = time.monotonic()
        response = await self._open(request)
        chunks: list[bytes] = []
        times: list[float] = []
        error, size = "", 0
        try:
            if abort_after != 0:
                async for chunk in response.aiter_raw():
                    times.append(time.monotonic())
                    chunks.append(chunk)
                    size += len(chunk)
                    if abort_after is not None and size >= abort_after:
                        break
            if abort_after is not None and size >= abort_after:
                error = "aborted"
                await self._reset(response)
        except httpx.TransportError as failure:
            self._connected = False
            error = f"{type(failure).__name__}: {failure}"
        finally:
            await response.aclose()
        return Received(
            response.status_code,
            tuple(response.headers.multi_items()),
            response.http_version,
            tuple(chunks),
            tuple(times),
            sent_at,
            error,
        )

    async def send_turn(self, prompt: str, *, abort_after: int | None = None, **turn: Unpack[Turn]) -> Received:
        """Send a prompt as the web page does."""
        headers, body = turn_request(prompt, **turn)
        return await self.fetch(TURN_URL, method="POST", headers=headers, body=body, abort_after=abort_after)

    async def _open(self, request: httpx.Request) -> httpx.Response:
        """Send; the first HTTP/2 request goes alone, since httpx shares a connection only once it is up."""
        if self._connected or not self._http2:
            return await self._http.send(request, stream=True)
        async with self._first:
            response = await self._http.send(request, stream=True)
            self._connected = True
        return response

    async def _reset(self, response: httpx.Response) -> None:
        """RST_STREAM, which httpcore never sends: it would go on receiving what nobody reads."""
        if response.http_version != "HTTP/2":
            return
        transport: Any = self._http._transport_for_url(response.request.url)
        connection = transport._pool.connections[0]._connection
        with contextlib.suppress(h2.exceptions.StreamClosedError):  # its last bytes were the last that there are
            connection._h2_state.reset_stream(response.extensions["stream_id"], h2.errors.ErrorCodes.CANCEL)
        async with connection._write_lock:  # other streams of the connection are writing, too
            await response.extensions["network_stream"].write(connection._h2_state.data_to_send())


def fetch(proxy_port: int, ca_path: Path, url: str, *, http2: bool = True, **ask: Unpack[Ask]) -> Received:
    """One request on a connection of its own."""

    async def run() -> Received:
        async with Client(proxy_port, ca_path, http2=http2) as client:
            return await client.fetch(url, **ask)

    return asyncio.run(run())


def send_turn(proxy_port: int, ca_path: Path, prompt: str, *, http2: bool = True, **turn: Unpack[Turn]) -> Received:
    """`Client.send_turn` on a connection of its own."""
    headers, body = turn_request(prompt, **turn)
    return fetch(proxy_port, ca_path, TURN_URL, http2=http2, method="POST", headers=headers, body=body)


def resume_turn(
    proxy_port: int, ca_path: Path, conversation_id: str, offset: int, *, http2: bool = True, **ask: Unpack[Ask]
) -> Received:
    """Go on with an answer as the web page does, on a connection of its own."""
    headers, body = resume_request(conversation_id, offset)
    ask |= {"method": "POST", "headers": headers, "body": body}
    return fetch(proxy_port, ca_path, RESUME_URL, http2=http2, **ask)

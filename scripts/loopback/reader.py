"""A client that measures: between the socket and the clock is as little as can be.

`Client` is a whole browser's worth of HTTP, and over HTTP/2 its streams wait for one another to read from their
connection, many milliseconds with fifty of them. Here whatever arrives is read at once and noted with its time.
"""

import asyncio
import socket
import ssl
import time
from pathlib import Path
from typing import Self, Unpack

import h2.config
import h2.connection
import h2.events
import h11

from scripts.loopback.turn import Turn, turn_request

_HOST = "chatgpt.com"
_PATH = "/backend-api/f/conversation"

type Arrivals = list[tuple[float, bytes]]
"""The pieces of a body, each with when it arrived (time.monotonic)."""


class Reader:
    """A browser behind a proxy: `async with Reader(...) as reader`. With `http2` all turns share one connection."""

    def __init__(self, proxy_port: int, ca_path: Path, *, http2: bool) -> None:
        self._port = proxy_port
        self._tls = ssl.create_default_context(cafile=ca_path)
        self._tls.set_alpn_protocols(["h2" if http2 else "http/1.1"])
        self._http2 = http2
        self._idle: list[_Http1] = []
        self._connections: list[_Http1 | _Http2] = []
        self._shared: _Http2 | None = None

    async def __aenter__(self) -> Self:
        if self._http2:
            self._shared = _Http2()
            await self._connect(self._shared)
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self._connections:
            if connection.transport is not None:
                connection.transport.close()

    async def send_turn(self, prompt: str, **turn: Unpack[Turn]) -> Arrivals:
        """Send a prompt and read its answer; `ConnectionError` when it is no whole 200."""
        headers, body = turn_request(prompt, **turn)
        named = [(name, value) for name, value in headers if name != "accept-encoding"]
        return await self._ask("POST", _PATH, named, body)

    async def load(self, path: str) -> Arrivals:
        """Read a document; `ConnectionError` when it is no whole 200."""
        return await self._ask("GET", path, [], b"")

    async def _ask(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> Arrivals:
        if self._shared is not None:
            return await self._shared.ask(method, path, headers, body)
        connection = self._idle.pop() if self._idle else _Http1()
        if connection.transport is None:
            await self._connect(connection)
        arrivals = await connection.ask(method, path, headers, body)
        self._idle.append(connection)
        return arrivals

    async def _connect(self, connection: "_Http1 | _Http2") -> None:
        loop = asyncio.get_running_loop()
        raw = socket.socket()
        raw.setblocking(False)
        await loop.sock_connect(raw, ("127.0.0.1", self._port))
        await loop.sock_sendall(raw, b"CONNECT %b:443 HTTP/1.1\r\nHost: %b:443\r\n\r\n" % ((_HOST.encode(),) * 2))
        answer = b""
        while b"\r\n\r\n" not in answer:
            received = await loop.sock_recv(raw, 4096)
            if not received:
                raise ConnectionError("the proxy closed the connection")
            answer += received
        await loop.create_connection(lambda: connection, sock=raw, ssl=self._tls, server_hostname=_HOST)
        self._connections.append(connection)


class _Http1(asyncio.Protocol):
    """One HTTP/1.1 connection: one turn after another."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._h11 = h11.Connection(h11.CLIENT)
        self._arrivals: Arrivals = []
        self._whole: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        _fail(self._whole, "the connection was closed")

    async def ask(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> Arrivals:
        assert self.transport is not None
        self._arrivals, self._whole = [], asyncio.get_running_loop().create_future()
        named = [("host", _HOST), ("content-length", str(len(body))), *headers]
        request = h11.Request(method=method, target=path, headers=named)
        parts = [self._h11.send(part) for part in (request, h11.Data(data=body), h11.EndOfMessage())]
        self.transport.write(b"".join(part for part in parts if part))
        await self._whole
        return self._arrivals

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._h11.receive_data(data)
        while (event := self._h11.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            match event:
                case h11.Response() if event.status_code != 200:
                    _fail(self._whole, f"status {event.status_code}")
                case h11.Data():
                    self._arrivals.append((now, bytes(event.data)))
                case h11.EndOfMessage():
                    self._h11.start_next_cycle()
                    if self._whole is not None and not self._whole.done():
                        self._whole.set_result(None)
                    return
                case h11.ConnectionClosed():
                    return


class _Http2(asyncio.Protocol):
    """One HTTP/2 connection: all turns at once."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration())
        self._arrivals: dict[int, Arrivals] = {}
        self._whole: dict[int, asyncio.Future[None]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._h2.initiate_connection()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        for whole in self._whole.values():
            _fail(whole, "the connection was closed")

    async def ask(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> Arrivals:
        stream = self._h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "https"), (":authority", _HOST), (":path", path)]
        self._arrivals[stream] = []
        self._whole[stream] = asyncio.get_running_loop().create_future()
        self._h2.send_headers(stream, [*pseudo, *headers])
        self._h2.send_data(stream, body, end_stream=True)
        self._flush()
        try:
            await self._whole[stream]
        finally:
            del self._whole[stream]
        return self._arrivals.pop(stream)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        for event in self._h2.receive_data(data):
            match event:
                case h2.events.ResponseReceived(stream_id=int(stream), headers=headers):
                    if (status := dict(headers or [])[b":status"]) != b"200":
                        _fail(self._whole.get(stream), f"status {status.decode()}")
                case h2.events.DataReceived(stream_id=int(stream), data=bytes(data), flow_controlled_length=int(size)):
                    self._arrivals[stream].append((now, data))
                    self._h2.acknowledge_received_data(size, stream)
                case h2.events.StreamEnded(stream_id=int(stream)) if stream in self._whole:
                    if not self._whole[stream].done():
                        self._whole[stream].set_result(None)
                case h2.events.StreamReset(stream_id=int(stream)):
                    _fail(self._whole.get(stream), "the stream was reset")
        self._flush()

    def _flush(self) -> None:
        if self.transport is not None and (data := self._h2.data_to_send()):
            self.transport.write(data)


def _fail(whole: "asyncio.Future[None] | None", reason: str) -> None:
    if whole is not None and not whole.done():
        whole.set_exception(ConnectionError(reason))

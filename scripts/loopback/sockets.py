"""WebSockets: what a Service plays over one, and the browser's end of it."""

import asyncio
import contextlib
import dataclasses
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import wsproto
from wsproto.connection import ConnectionType
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason

from scripts.loopback.exchange import READ_SIZE, Header

type Text = str | bytes


class Peer:
    """One end of an open WebSocket. A message is text (`str`) or binary (`bytes`); `times` says when each came."""

    def __init__(
        self, socket: wsproto.WSConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.times: list[float] = []
        self._socket = socket
        self._reader = reader
        self._writer = writer
        self._messages: list[Text] = []
        self._parts: list[Any] = []
        self._closed = False

    async def send(self, message: Text, *, fragments: int = 1) -> None:
        """Send a message, cut into so many frames."""
        size = max(1, -(-len(message) // fragments))
        pieces = [message[start : start + size] for start in range(0, len(message), size)] or [message]
        for number, piece in enumerate(pieces, start=1):
            last = number == len(pieces)
            event = TextMessage(piece, True, last) if isinstance(piece, str) else BytesMessage(piece, True, last)
            await self._write(event)

    async def receive(self) -> Text | None:
        """The next message, None when the connection has come to its end."""
        while not self._messages:
            if self._closed:
                return None
            await self._read()
        return self._messages.pop(0)

    async def messages(self) -> AsyncIterator[Text]:
        """Every message until the end."""
        while (message := await self.receive()) is not None:
            yield message

    async def close(self, code: int = 1000) -> None:
        """End the conversation properly."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(OSError, wsproto.utilities.LocalProtocolError):
                await self._write(CloseConnection(code))

    def cut(self) -> None:
        """End the connection without a word."""
        self._closed = True
        self._writer.transport.abort()

    def take(self, event: Event) -> bytes:
        """Take one event in; what is to be answered at once."""
        match event:
            case Message():
                self._parts.append(event.data)
                if event.message_finished:
                    text = isinstance(event, TextMessage)
                    self._messages.append("".join(self._parts) if text else b"".join(map(bytes, self._parts)))
                    self.times.append(time.monotonic())
                    self._parts = []
            case Ping():
                return self._socket.send(event.response())
            case CloseConnection():
                already, self._closed = self._closed, True
                cut = event.code == CloseReason.ABNORMAL_CLOSURE
                return b"" if already or cut else self._socket.send(event.response())
        return b""

    async def _read(self) -> None:
        try:
            data = await self._reader.read(READ_SIZE)
        except OSError:
            data = b""
        self._socket.receive_data(data or None)
        replies = b"".join([self.take(event) for event in self._socket.events()])
        if not data:
            self._closed = True
        elif replies:
            self._writer.write(replies)

    async def _write(self, event: Event) -> None:
        self._writer.write(self._socket.send(event))
        await self._writer.drain()


@dataclasses.dataclass(frozen=True)
class Socket:
    """What a Service answers to the request for a WebSocket: it accepts, and plays; then it says goodbye.

    `deflate`: permessage-deflate, when the browser offers it. `end`: "cut" leaves without a word.
    """

    play: Callable[[Peer], Awaitable[None]]
    deflate: bool = True
    subprotocol: str | None = None
    end: Literal["clean", "cut"] = "clean"


async def accept(socket: Socket, headers: list[tuple[bytes, bytes]], path: str, early: bytes, streams: Any) -> None:
    """The Service's side of a connection, from the upgrade to its end."""
    reader, writer = streams
    connection = wsproto.WSConnection(ConnectionType.SERVER)
    connection.initiate_upgrade_connection(headers, path)
    extensions = [PerMessageDeflate()] if socket.deflate else []
    writer.write(connection.send(AcceptConnection(extensions=list(extensions), subprotocol=socket.subprotocol)))
    peer = Peer(connection, reader, writer)
    if early:
        connection.receive_data(early)
    try:
        await socket.play(peer)
        if socket.end == "clean":
            await peer.close()
        else:
            peer.cut()
    except OSError:
        pass  # the browser has left
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def open_socket(
    proxy_port: int, ca_path: Path, url: str, *, headers: Sequence[Header] = (), deflate: bool = True
) -> AsyncIterator[Peer]:
    """The browser's end of a WebSocket through a proxy (a Service's own `port` will do).

    `ConnectionError` when the upgrade is refused.
    """
    target = urlsplit(url)
    host, port = target.hostname or "", target.port or 443
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy_port)
    try:
        writer.write(f"CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n\r\n".encode())
        answered = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in answered.partition(b"\r\n")[0]:
            raise ConnectionError(f"CONNECT was answered {answered[:40]!r}")
        context = ssl.create_default_context(cafile=ca_path)
        context.set_alpn_protocols(["http/1.1"])
        await writer.start_tls(context, server_hostname=host)
        path = target.path + (f"?{target.query}" if target.query else "")
        connection = wsproto.WSConnection(ConnectionType.CLIENT)
        extra = [(name.encode(), value.encode()) for name, value in headers]
        offered = [PerMessageDeflate()] if deflate else []
        writer.write(connection.send(Request(host, path, extensions=list(offered), extra_headers=extra)))
        peer = Peer(connection, reader, writer)
        await _upgraded(connection, reader, peer)
        yield peer
        await peer.close()
    finally:
        writer.close()


async def _upgraded(connection: wsproto.WSConnection, reader: asyncio.StreamReader, peer: Peer) -> None:
    accepted = False
    while not accepted:
        data = await reader.read(READ_SIZE)
        connection.receive_data(data or None)
        for event in connection.events():
            if isinstance(event, RejectConnection):
                raise ConnectionError(f"the upgrade was answered {event.status_code}")
            accepted = accepted or isinstance(event, AcceptConnection)
            peer.take(event)
        if not data:
            raise ConnectionError("the connection ended before the upgrade")

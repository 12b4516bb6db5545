"""The Service's side of an HTTP/1.1 connection."""

import asyncio
import http
import socket
import struct
from collections.abc import Awaitable

import h11

from scripts.loopback.exchange import GARBLE, LARGEST_REQUEST, READ_SIZE, Answer, Request, Respond, paced
from scripts.loopback.sockets import Socket, accept


class Http1:
    """One HTTP/1.1 connection: a request, its answer, the next request; or a WebSocket from some request on."""

    def __init__(self, respond: Respond, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._respond = respond
        self._host = host
        self._reader = reader
        self._writer = writer
        self._h11 = h11.Connection(h11.SERVER)

    async def serve(self) -> None:
        while request := await self._request():
            answer = self._respond(request)
            if isinstance(answer, Socket):
                await self._upgrade(request, answer)
                return
            await self._while_connected(self._send(answer))
            if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
                return
            self._h11.start_next_cycle()

    async def _request(self) -> Request | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._h11.next_event()
            match event:
                case h11.NEED_DATA:
                    self._h11.receive_data(await self._reader.read(READ_SIZE))
                case h11.Request():
                    head = event
                case h11.Data():
                    body += event.data
                    if len(body) > LARGEST_REQUEST:
                        return None
                case h11.EndOfMessage() if head:
                    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers)
                    method, path = head.method.decode(), head.target.decode()
                    host = self._host or dict(headers)["host"].rpartition(":")[0]
                    return Request(host, method, path, headers, bytes(body), "HTTP/1.1")
                case _:
                    return None

    async def _upgrade(self, request: Request, socket: Socket) -> None:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers]
        early, _ = self._h11.trailing_data
        await accept(socket, headers, request.path, early, (self._reader, self._writer))

    async def _while_connected(self, sending: Awaitable[None]) -> None:
        """Send until that is done or the client has left."""
        task = asyncio.ensure_future(sending)
        reading = asyncio.ensure_future(self._reader.read(READ_SIZE))
        try:
            await asyncio.wait({task, reading}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done() or reading.result():
                await task
        finally:
            task.cancel()
            reading.cancel()
            await asyncio.wait({task, reading})
        if not reading.cancelled():
            self._h11.receive_data(reading.result())

    async def _send(self, answer: Answer) -> None:
        reason = http.HTTPStatus(answer.status).phrase.encode()
        await self._write(h11.Response(status_code=answer.status, headers=list(answer.headers), reason=reason))
        async for chunk in paced(answer):
            await self._write(h11.Data(data=chunk))
        match answer.end:
            case "clean":
                await self._write(h11.EndOfMessage())
            case "reset":
                await asyncio.sleep(0.05)  # a RST overtakes what the kernel has not delivered yet
                connection: socket.socket = self._writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._writer.transport.abort()
            case "cut" | "garbled":
                if answer.end == "garbled":
                    self._writer.write(GARBLE)
                self._writer.close()
            case "hang":
                await asyncio.Event().wait()

    async def _write(self, event: h11.Response | h11.Data | h11.EndOfMessage) -> None:
        if data := self._h11.send(event):
            self._writer.write(data)
            await self._writer.drain()

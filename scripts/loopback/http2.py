"""The Service's side of an HTTP/2 connection."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from scripts.loopback.exchange import LARGEST_REQUEST, READ_SIZE, Answer, Header, Request, Respond, paced


class Http2:
    """One HTTP/2 connection: any number of streams, each answered by a task of its own."""

    def __init__(self, respond: Respond, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._respond = respond
        self._host = host
        self._reader = reader
        self._writer = writer
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self._heads: dict[int, dict[str, list[Header]]] = {}
        self._bodies: dict[int, bytearray] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._window_opened = asyncio.Event()

    async def serve(self) -> None:
        self._h2.initiate_connection()
        try:
            await self._flush()
            while data := await self._reader.read(READ_SIZE):
                for event in self._h2.receive_data(data):
                    self._receive(event)
                await self._flush()
        except h2.exceptions.ProtocolError:
            await self._flush()  # the GOAWAY that says why
        finally:
            for task in self._tasks.values():
                task.cancel()

    def _receive(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=int(stream), headers=headers):
                self._heads[stream] = _split_pseudo(headers or [])
                self._bodies[stream] = bytearray()
            case h2.events.DataReceived(stream_id=int(stream), data=bytes(data), flow_controlled_length=int(length)):
                self._bodies[stream] += data
                if len(self._bodies[stream]) <= LARGEST_REQUEST:
                    self._h2.acknowledge_received_data(length, stream)
            case h2.events.StreamEnded(stream_id=int(stream)):
                task = asyncio.create_task(self._answer(stream))
                self._tasks[stream] = task
                task.add_done_callback(lambda _: self._tasks.pop(stream, None))
            case h2.events.StreamReset(stream_id=int(stream)):
                if stream in self._tasks:
                    self._tasks[stream].cancel()
            case h2.events.ConnectionTerminated():
                self._writer.close()
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                self._window_opened.set()

    async def _answer(self, stream: int) -> None:
        head = self._heads.pop(stream)
        pseudo = dict(head["pseudo"])
        host = self._host or pseudo[":authority"].rpartition(":")[0]
        request = Request(
            host, pseudo[":method"], pseudo[":path"], tuple(head["headers"]), bytes(self._bodies.pop(stream)), "HTTP/2"
        )
        try:
            answer = self._respond(request)
            # A WebSocket is an upgrade of HTTP/1.1; nobody here speaks RFC 8441.
            await self._send(stream, answer if isinstance(answer, Answer) else Answer(501))
        except OSError:
            pass  # the client has left
        except Exception:
            logging.getLogger(__name__).exception("cannot send the answer to %s %s", request.method, request.path)
            self._writer.close()

    async def _send(self, stream: int, answer: Answer) -> None:
        self._h2.send_headers(stream, [(":status", str(answer.status)), *answer.headers])
        await self._flush()
        async for chunk in paced(answer):
            rest = memoryview(chunk)
            while rest:
                room = await self._room(stream)
                self._h2.send_data(stream, bytes(rest[:room]))
                rest = rest[room:]
                await self._flush()
        match answer.end:
            case "clean":
                self._h2.end_stream(stream)
            case "reset":
                self._h2.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
            case "cut" | "garbled":
                self._writer.close()
            case "hang":
                await asyncio.Event().wait()
        await self._flush()

    async def _room(self, stream: int) -> int:
        """How many bytes may be sent; waits until it is more than none."""
        while not (window := self._h2.local_flow_control_window(stream)) > 0:
            self._window_opened.clear()
            await self._window_opened.wait()
        return min(window, self._h2.max_outbound_frame_size)

    async def _flush(self) -> None:
        if data := self._h2.data_to_send():
            self._writer.write(data)
            await self._writer.drain()


def _split_pseudo(headers: Iterable[tuple[Any, Any]]) -> dict[str, list[Header]]:
    split: dict[str, list[Header]] = {"pseudo": [], "headers": []}
    for name, value in headers:
        split["pseudo" if name.startswith(":") else "headers"].append((name, value))
    return split

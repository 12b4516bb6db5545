"""The loopback sites: the sockets, CONNECT and TLS. What is spoken inside is in http1.py and http2.py."""

import asyncio
import contextlib
import logging
import re
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Self

import h11

from scripts.loopback.authority import Authority
from scripts.loopback.exchange import Answer, Request, Respond
from scripts.loopback.http1 import Http1
from scripts.loopback.http2 import Http2
from scripts.loopback.sockets import Socket


class Service:
    """A thread that plays every host there is, from `__enter__` to `__exit__`.

    `respond` is called in that thread, once per request that came in whole. `port` is a forward proxy that
    knows CONNECT only; on `tls_port` TLS begins at once. `requests` grows in the order of arrival; `connections`
    counts the TLS connections.
    """

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="loopback service", daemon=True)
        self._leaving: Callable[[], object] = lambda: None
        self._folder = tempfile.TemporaryDirectory(prefix="loopback-")
        self._authority = Authority(Path(self._folder.name))
        self.ca_path = self._authority.ca_path
        self.requests: list[Request] = []
        self.connections = 0
        self.port = 0
        self.tls_port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if not self.tls_port:
            raise RuntimeError("the loopback service could not listen on 127.0.0.1")
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving()
        self._thread.join()
        self._folder.cleanup()

    def answer(self, request: Request) -> Answer | Socket:
        """What `respond` says; a respond that fails is logged and answered with 500."""
        self.requests.append(request)
        try:
            return self._respond(request)
        except Exception:
            logging.getLogger(__name__).exception("respond failed for %s %s", request.method, request.path)
            return Answer(500, [("content-type", "text/plain")], [b"the scripted answer failed"])

    async def _run(self) -> None:
        leave = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._leaving = lambda: loop.call_soon_threadsafe(leave.set)
        try:
            tunnels = await asyncio.start_server(self._tunnel, "127.0.0.1", 0)
            direct = await asyncio.start_server(self._direct, "127.0.0.1", 0, ssl=self._authority.context(""))
            self.port = tunnels.sockets[0].getsockname()[1]
            self.tls_port = direct.sockets[0].getsockname()[1]
        finally:
            self._ready.set()
        await leave.wait()
        tunnels.close()
        direct.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with _closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            asked = re.match(rb"CONNECT \[?([^ \]]+)\]?:\d+ HTTP/1\.[01]\r\n", head)
            if not asked:
                writer.write(b"HTTP/1.1 405 CONNECT Only\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                return
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            host = asked[1].decode("ascii")
            await writer.start_tls(self._authority.context(host))
            await self._serve(host, reader, writer)

    async def _direct(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with _closing(writer):
            await self._serve("", reader, writer)

    async def _serve(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        kind = Http2 if chosen == "h2" else Http1
        await kind(self.answer, host, reader, writer).serve()


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Close a connection in the end; a client that leaves or speaks nonsense ends only its own."""
    try:
        yield
        writer.close()
    except (OSError, EOFError, asyncio.LimitOverrunError, h11.RemoteProtocolError):
        writer.close()
    except BaseException:
        writer.transport.abort()
        raise

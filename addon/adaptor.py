"""The mitmproxy addon: options, hooks, and which flows. What a flow says is read by `addon.flows`.

The tap lets every chunk through as it is: it appends the chunk to the journal and returns the same object,
whatever happens. All else is the recorder's, in a process of its own.
"""

import atexit
import contextlib
import logging
import os
import secrets
import sys
from functools import partial
from pathlib import Path
from typing import Any

from mitmproxy import command, ctx, exceptions, http
from mitmproxy.addonmanager import Loader
from mitmproxy.log import ALERT, MitmFormatter

from addon.archive import inflight_folder, prepare
from addon.endpoints import EXPECTED, INTERCEPTED, Endpoint
from addon.errors import ArchiveError
from addon.flows import announced_length, as_json, endpoint_of, microseconds, opening_of
from addon.journal import FROM_FILE, Journal, Losses, now
from addon.log_lines import counted, describe, open_addresses, passed_by, printable, statistics, unquoted
from addon.recorder_process import RecorderProcess
from addon.settings import SETTINGS, misspelt
from addon.socket_tap import BURST_SECONDS, SocketTap
from addon.tap import Tap

DRAIN_SECONDS = 30.0
"""How long the end of mitmdump waits for the recorder to store what it has."""

FILE_DRAIN_SECONDS = 86400.0
"""The same where saved flows are read: faster than they are stored, and nobody's traffic waits."""

_RECORD_BYTES = 256 * 1024
LATE_SECONDS = 5.0
"""How long after the end of a body `response` may come: an addon that raises in it keeps it from those behind."""

_RETRY_SECONDS = 0.5

logger = logging.getLogger(__name__)


class ChatGPTCapture:
    """Captures ChatGPT conversations into SQLite while they stream."""

    def __init__(self) -> None:
        self.failures = 0
        self.remembered = 0
        self._database = Path()
        self._journal: Journal | None = None
        self._recorder: RecorderProcess | None = None
        self._taps: dict[str, Tap] = {}
        self._sockets: dict[str, SocketTap] = {}
        self._counters: dict[str, int] = {}
        self._intercept = ""
        self._announced = False
        self._serving = True
        self._leaving = False
        self._exiting = False
        self._retry_due = False

    # -- options and life ------------------------------------------------------------------------------------------

    def load(self, loader: Loader) -> None:
        """Declare the options."""
        for setting in SETTINGS:
            loader.add_option(setting.name, str, setting.default, setting.description)

    def configure(self, updated: set[str]) -> None:
        """Check the options; a wrong one stops mitmdump with one line."""
        for setting in SETTINGS:
            refusal = setting.refusal(getattr(ctx.options, setting.name)) if setting.name in updated else None
            if refusal is not None:
                self._refuse(refusal)
        if self._journal is not None and updated & {"chatgpt_db", "chatgpt_intercept"}:
            if _path(ctx.options.chatgpt_db) != self._database:
                self._refuse("chatgpt_db cannot change while capturing: restart with the other file")
            if ctx.options.chatgpt_intercept != self._intercept:
                self._refuse("chatgpt_intercept cannot change while capturing: restart with the other choice")

    def running(self) -> None:
        """Open the archive's files and start the recorder."""
        if self._journal is not None:
            return
        # An option that no addon has is kept by mitmproxy for one that might come, without a word.
        if (unknown := misspelt(ctx.options.deferred)) is not None:
            self._refuse(unknown)
            return
        self._database = _path(ctx.options.chatgpt_db)
        try:
            prepare(self._database)
        except ArchiveError as error:
            self._refuse(str(error))
            return
        self._serving = bool(ctx.options.server)
        writer = f"{'' if self._serving else FROM_FILE}{os.getpid()}-{secrets.token_hex(4)}"
        durable = ["sync"] if ctx.options.chatgpt_journal_sync == "yes" else []
        self._recorder = RecorderProcess([str(self._database), writer, *durable], self._report)
        self._recorder.start()
        self._journal = Journal(inflight_folder(self._database), writer, self._recorder.wake, self._retry_later)
        self._intercept = ctx.options.chatgpt_intercept
        if self._intercept == "chatgpt-only" and not ctx.options.allow_hosts:
            # Everything else passes through with its own certificate, undecrypted. `ignore_hosts` takes away from that:
            # who leaves one host alone has not asked for all others to be decrypted.
            ctx.options.update(allow_hosts=list(INTERCEPTED))  # type: ignore[no-untyped-call]
        hosts = EXPECTED if self._serving else ()
        if passed := passed_by(hosts, ctx.options.allow_hosts, ctx.options.ignore_hosts):
            logger.warning("ChatGPT Capture: %s", passed)
        if open_to := open_addresses(_listening(), ctx.options.proxyauth):
            logger.warning("ChatGPT Capture: %s", open_to)

    def done(self) -> None:
        """At the end of mitmproxy: see that all is stored. When only the script goes, open streams finish first."""
        self._leaving = True
        # An error at the start, as of a damaged file of flows, ends mitmproxy without `should_exit`; a script that goes
        # is no addon of its any more.
        if not (ctx.master.should_exit.is_set() or self in ctx.master.addons):
            for socket in self._sockets.values():
                socket.pause()  # it goes on with whoever is loaded next
            self._leave_when_finished()
            return
        # Chunks still pass and reach their clients until the event loop has stopped: the end waits for that.
        self._exiting = True
        atexit.register(self._finish, ctx.options.termlog_verbosity)

    def _finish(self, verbosity: str) -> None:
        """Nothing passes any more: end what is open, and wait until all is stored."""
        if self._recorder is None or self._journal is None:
            return
        _log_without_mitmproxy(verbosity)
        self._retry_due = True  # nobody is there to be called later
        for socket in self._sockets.values():
            socket.end("shutdown", "", now())
        for flow_id in list(self._taps):
            self._close(flow_id, "shutdown")
        self._journal.end(now())
        with contextlib.suppress(KeyboardInterrupt):
            if not self._recorder.stop(DRAIN_SECONDS if self._serving else FILE_DRAIN_SECONDS):
                logger.warning("ChatGPT Capture: not everything is stored yet; the next start completes it.")
        if lost := self._journal.give_up():
            logger.error("ChatGPT Capture: %s bytes waited in memory to the end and are lost: the disk is full", lost)
        logger.log(ALERT, "ChatGPT Capture: %s", self.stats())

    @command.command("chatgpt.stats")  # type: ignore[untyped-decorator]
    def stats(self) -> str:
        """What has been captured since the start, in one line."""
        losses = self._journal.losses if self._journal else Losses()
        return statistics(self._database.name, self._counters, losses, len(self._taps), self.failures)

    # -- traffic ---------------------------------------------------------------------------------------------------

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Tap the event streams and files of ChatGPT, and documents that another addon streams."""
        try:
            endpoint = self._endpoint(flow)
            if endpoint is None or not flow.live or flow.response is None or endpoint.kind == "socket":
                return
            if not (endpoint.streamed or endpoint.kind == "asset" or flow.response.stream):
                return  # the whole body comes to `response`, as mitmproxy hands documents to everybody
            # Whatever becomes of the capture: what streams must not wait for its end.
            earlier = flow.response.stream = flow.response.stream or True
            stream = self._open(flow, endpoint, now(), timed=True)
            if stream is not None and self._journal is not None:
                then = earlier if callable(earlier) else None
                self._taps[flow.id] = Tap(
                    self, self._journal.append, flow.id, stream, then, announced_length(flow.response)
                )
                flow.response.stream = self._taps[flow.id]
        except Exception:
            self.failures += 1

    def response(self, flow: http.HTTPFlow) -> None:
        """A clean end; or a body that arrived whole: a saved flow, or one that another addon replaced."""
        try:
            self._response(flow)
        except Exception:
            self.failures += 1

    def _response(self, flow: http.HTTPFlow) -> None:
        tap = self._taps.get(flow.id)
        if tap is None:
            endpoint = self._endpoint(flow)
            passed = flow.response is not None and isinstance(flow.response.stream, Tap)
            if endpoint is not None and endpoint.kind != "socket" and not passed:
                self._whole(flow, endpoint)
            return
        content = flow.response.raw_content if flow.response else None
        if not tap.seen and content:
            self._append(tap.stream, content, now())
        elif flow.response is not None and content is None and tap.body is not None:
            flow.response.data.content = b"".join(tap.body)
        self._close(flow.id, "end" if tap.seen or content is not None or flow.live else "unseen")

    def error(self, flow: http.HTTPFlow) -> None:
        """A cut: the client or the server went away."""
        if flow.id in self._taps:
            reason, detail = (
                ("shutdown", "") if self._exiting else ("cut", unquoted(flow.error.msg) if flow.error else "")
            )
            self._close(flow.id, reason, detail)

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Keep a message of a WebSocket. Nothing about it is changed, and no failure of ours reaches mitmproxy."""
        try:
            socket = self._socket(flow)
            if socket is not None and flow.websocket is not None:
                message = flow.websocket.messages[-1]
                at, burst = microseconds(message.timestamp), socket.burst
                socket.message(message.content, at, from_client=message.from_client, text=message.is_text)
                if socket.burst not in (burst, None) and flow.live:
                    # When no later message ends it; the second is for those that are on their way.
                    ctx.master.event_loop.call_later(BURST_SECONDS + 1, self._pause, socket, socket.burst)
                if not _somebody_wants_all_messages():
                    del flow.websocket.messages[:-1]  # mitmproxy keeps them all, and a socket is open for days
        except Exception:
            self.failures += 1

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """A WebSocket has come to its end; one that was cut has the code 1006 in mitmproxy."""
        try:
            socket, data = self._sockets.pop(flow.id, None), flow.websocket
            if socket is not None and data is not None:
                reason = "shutdown" if self._exiting else "cut" if data.close_code == 1006 else "end"
                socket.end(reason, f"code {data.close_code}", microseconds(data.timestamp_end) or now())
        except Exception:
            self.failures += 1

    def _socket(self, flow: http.HTTPFlow) -> SocketTap | None:
        socket = self._sockets.get(flow.id)
        if socket is None:
            endpoint = self._endpoint(flow)
            if endpoint is not None and self._journal is not None:
                begin = partial(self._open, flow, endpoint, timed=True)  # each message says when it came
                socket = self._sockets[flow.id] = SocketTap(begin, self._journal.append, self._end)
        return socket

    def _pause(self, socket: SocketTap, burst: int) -> None:
        if socket.burst == burst:
            socket.pause()

    def ended(self, tap: Tap) -> None:
        """The clean end of a tapped body. `response` follows, but not to an addon that has been unloaded."""
        if self._leaving and not self._exiting:
            self._close(tap.flow_id, "end")
        else:
            ctx.master.event_loop.call_later(LATE_SECONDS, self._close, tap.flow_id, "end")

    def _endpoint(self, flow: http.HTTPFlow) -> Endpoint | None:
        if self._journal is None or (self._leaving and not self._exiting) or flow.response is None:
            return None
        return endpoint_of(flow, flow.response)

    def _whole(self, flow: http.HTTPFlow, endpoint: Endpoint) -> None:
        response = flow.response
        if response is None or response.raw_content is None:
            return  # it streamed past before this addon was loaded
        began = microseconds(response.timestamp_start)
        stream = self._open(flow, endpoint, began, timed=False)
        if stream is not None:
            self._append(stream, response.raw_content, began)
            self._end(stream, "end", "", max(began, microseconds(response.timestamp_end)))

    # -- the journal -----------------------------------------------------------------------------------------------

    def _open(self, flow: http.HTTPFlow, endpoint: Endpoint, at: int, *, timed: bool) -> int | None:
        """Begin a stream; None when the journal cannot take it, which costs the capture and nothing else."""
        if self._journal is None or flow.response is None:
            return None
        began, opening = opening_of(flow, flow.response, endpoint, at)
        opening |= {
            "timed": timed,
            "keep_raw": ctx.options.chatgpt_raw == "keep",
            "keep_temporary": ctx.options.chatgpt_temporary_chats == "keep",
        }
        try:
            return self._journal.open(as_json(opening), flow.request.raw_content or b"", began)
        except OSError as error:
            self.failures += 1
            logger.warning("ChatGPT Capture: an answer passes uncaptured: %s", error)
            return None

    def _append(self, stream: int, content: bytes, at: int) -> None:
        if self._journal is not None:
            for start in range(0, len(content), _RECORD_BYTES):
                self._journal.append(stream, content[start : start + _RECORD_BYTES], at)

    def _close(self, flow_id: str, reason: str, detail: str = "") -> None:
        tap = self._taps.pop(flow_id, None)
        if tap is not None:
            tap.forget()
            self._end(tap.stream, reason, detail, now())

    def _end(self, stream: int, reason: str, detail: str, at: int) -> None:
        if self._journal is not None:
            closing = {"reason": reason, "detail": detail[:200], "lost_bytes": self._journal.lost_of(stream)}
            self._journal.close(stream, as_json(closing), at)
        if self._leaving and not self._exiting:
            self._leave_when_finished()

    def _leave_when_finished(self) -> None:
        if not self._taps and self._recorder is not None and self._journal is not None:
            self._journal.end(now())
            self._recorder.let_go()

    def _retry_later(self) -> None:
        if not self._retry_due:
            self._retry_due = True
            logger.warning("ChatGPT Capture: the journal cannot be written; what comes waits in memory")
            ctx.master.event_loop.call_later(_RETRY_SECONDS, self._retry)

    def _retry(self) -> None:
        if self._journal is None or self._recorder is None:
            return
        self._journal.retry()
        self._recorder.wake()
        if self._journal.waiting_bytes:
            ctx.master.event_loop.call_later(_RETRY_SECONDS, self._retry)
            return
        self._retry_due = False
        lost = self._journal.losses.lost_chunks
        logger.warning(
            "ChatGPT Capture: the journal can be written again; %s lost",
            counted(lost, "chunk") if lost else "nothing is",
        )

    # -- what people read ------------------------------------------------------------------------------------------

    def _report(self, report: dict[str, Any]) -> None:
        if "ready" in report and not self._announced:
            self._announced = True
            # ALERT is just above INFO: so these lines can be had without mitmproxy's own about each connection.
            logger.log(ALERT, "ChatGPT Capture: capturing chatgpt.com into %s", self._database)
        self._counters = report.get("counters", self._counters)
        if "answer" in report:
            logger.log(ALERT, "ChatGPT Capture: %s", describe(report["answer"]))
        for level, key in ((logging.WARNING, "warning"), (logging.ERROR, "error"), (logging.ERROR, "fatal")):
            if key in report:
                logger.log(level, "ChatGPT Capture: %s", "\n".join(map(printable, str(report[key]).splitlines())))

    def _refuse(self, reason: str) -> None:
        """Say in one line why there is no capture. At the start that is the end of mitmdump; later, traffic goes on."""
        if self._journal is not None:
            raise exceptions.OptionsError(reason)  # type: ignore[no-untyped-call]
        if _starting():
            raise SystemExit(f"ChatGPT Capture: {reason}")
        logger.error("ChatGPT Capture: %s", reason)


def _starting() -> bool:
    """Whether mitmproxy has not begun to serve: an error ends it then, and it counts them until then (errorcheck).

    It would print a second line of its own, and its log of what it did meanwhile.
    """
    check = ctx.master.addons.get("errorcheck")  # type: ignore[no-untyped-call]
    return check is not None and check.logger in logging.getLogger().handlers


def _somebody_wants_all_messages() -> bool:
    """Whether somebody shows or saves the messages of WebSockets: mitmweb and the console, `-w`, a HAR."""
    options = ctx.options
    return bool(ctx.master.addons.get("view") or options.save_stream_file or options.hardump)  # type: ignore[no-untyped-call]


def _log_without_mitmproxy(verbosity: str) -> None:
    """Mitmproxy's own log has ended with its event loop; the last lines look like its."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(MitmFormatter(False))
    handler.setLevel(verbosity.upper())
    logger.addHandler(handler)


def _path(option: str) -> Path:
    return Path(option).expanduser().absolute()


def _listening() -> list[tuple[str, str]]:
    """The modes and addresses at which mitmproxy takes connections."""
    proxyserver = ctx.master.addons.get("proxyserver")  # type: ignore[no-untyped-call]
    servers = proxyserver.servers if proxyserver else ()
    return [(server.mode.type_name, str(address[0])) for server in servers for address in server.listen_addrs]

"""The recorder as the proxy sees it: started, woken, listened to, started again when it dies, waited for at the end.

Everything here runs on the proxy's event loop and never blocks it, except `stop`, which is for the end.
"""

import asyncio
import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson

WAKE_SECONDS = 0.05
"""How long chunks may collect before the recorder is woken: a batch is a transaction."""

_BACKOFF_SECONDS = (0.1, 0.5, 2.0, 5.0)
_ROOT = Path(__file__).resolve().parent.parent


class RecorderProcess:
    """A running `addon.recorder` with these arguments. `on_report` gets each of its reports, a JSON object."""

    def __init__(self, arguments: Sequence[str], on_report: Callable[[dict[str, Any]], None]) -> None:
        self.restarts = 0
        # -P: `-m` alone would look for a folder `addon` where mitmdump was started, ahead of ours.
        self._command = [sys.executable, "-P", "-m", "addon.recorder", *arguments]
        self._on_report = on_report
        self._process: subprocess.Popen[bytes] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake_due: asyncio.TimerHandle | None = None
        self._received = b""
        self._stopping = False
        self._unusable = False

    def start(self) -> None:
        """Start the process on the running event loop."""
        self._loop = asyncio.get_running_loop()
        try:
            process = self._process = self._spawned()
        except OSError as error:
            self._try_again(f"the recorder could not be started ({error.strerror})")
            return
        assert process.stdout is not None
        self._loop.add_reader(process.stdout.fileno(), self._readable)
        self._wake()

    def wake(self) -> None:
        """Say that the journal has grown; the byte goes down the pipe at most every `WAKE_SECONDS`."""
        if self._wake_due is None and self._loop is not None and not self._loop.is_closed():
            self._wake_due = self._loop.call_later(WAKE_SECONDS, self._wake)

    def let_go(self) -> None:
        """Close the pipe without waiting: the recorder stores what there is and ends by itself."""
        self._stopping = True
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def stop(self, seconds: float) -> bool:
        """Close the pipe and wait for the recorder to store everything; whether it did so in time.

        One that has died is started once more: what it left in the journal must not wait for the next start.
        """
        self._stopping = True
        process, deadline = self._process, time.monotonic() + seconds
        if process is not None and process.stdout is not None and self._loop is not None:
            if not self._loop.is_closed():
                self._loop.remove_reader(process.stdout.fileno())
            if self._has_drained(process, deadline):
                return True
        if self._unusable or time.monotonic() > deadline:
            return False
        self._received = b""
        with contextlib.suppress(OSError):
            process = self._process = self._spawned()
            return self._has_drained(process, deadline)
        return False

    def _spawned(self) -> "subprocess.Popen[bytes]":
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        return process

    def _has_drained(self, process: "subprocess.Popen[bytes]", deadline: float) -> bool:
        """Close the pipe of a recorder and wait until it has ended; whether it has stored everything."""
        self.let_go()
        assert process.stdout is not None
        while (left := deadline - time.monotonic()) > 0:
            select.select([process.stdout], [], [], left)
            if not self._drain(process):
                break
        try:
            return process.wait(max(0.1, deadline - time.monotonic())) == 0
        except subprocess.TimeoutExpired:
            return False

    def _wake(self) -> None:
        self._wake_due = None
        if self._process is not None and self._process.stdin is not None and not self._stopping:
            # A full pipe means that wake-ups are waiting already, a broken one that it is being started again.
            with contextlib.suppress(OSError):
                os.write(self._process.stdin.fileno(), b"\n")

    def _readable(self) -> None:
        process = self._process
        if process is None or process.stdout is None or self._loop is None or self._drain(process):
            return
        self._loop.remove_reader(process.stdout.fileno())
        process.stdout.close()
        with contextlib.suppress(OSError):
            process.stdin.close()  # type: ignore[union-attr]
        self._process = None
        self._loop.call_later(1.0, process.poll)
        if not self._stopping:
            self._try_again("the recorder ended")

    def _try_again(self, reason: str) -> None:
        delay = _BACKOFF_SECONDS[min(self.restarts, len(_BACKOFF_SECONDS) - 1)]
        self.restarts += 1
        self._on_report({"warning": f"{reason}; starting it again in {delay} s (nothing is lost)"})
        if self._loop is not None:
            self._loop.call_later(delay, self._restart)

    def _restart(self) -> None:
        if not self._stopping:
            self.start()

    def _drain(self, process: "subprocess.Popen[bytes]") -> bool:
        """Pass on the reports that are there; False at the end of its output."""
        assert process.stdout is not None
        try:
            data = os.read(process.stdout.fileno(), 65536)
        except BlockingIOError:
            return True
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            try:
                report = orjson.loads(line)
            except ValueError:
                report = {"error": line.decode("utf-8", "replace")}
            if not isinstance(report, dict):
                report = {"error": line.decode("utf-8", "replace")}
            if "fatal" in report:
                self._stopping = self._unusable = True
            self._on_report(report)
        return bool(data)

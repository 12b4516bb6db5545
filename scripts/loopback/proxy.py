"""The mitmdump between the browser and the sites, as a process."""

import collections
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from scripts.loopback.service import Service


@dataclasses.dataclass(frozen=True)
class Upstream:
    """A Service as a Proxy knows it, for one that runs in another process."""

    port: int
    ca_path: Path


class Proxy:
    """A real mitmdump before a Service, from `__enter__` to `__exit__`, with the addons and options given.

    `port` listens on 127.0.0.1; `log` is what it has printed so far (the last 10,000 lines). TimeoutError or
    RuntimeError (with the log's end) when it does not come up.
    """

    def __init__(
        self,
        service: Service | Upstream,
        *,
        confdir: Path,
        scripts: Sequence[Path | str] = (),
        options: Mapping[str, object] | None = None,
        args: Sequence[str] = (),
    ) -> None:
        settings = {
            "confdir": confdir,
            "ssl_verify_upstream_trusted_ca": service.ca_path,
            "flow_detail": 0,
            **(options or {}),
        }
        self._command = [
            str(Path(sys.executable).with_name("mitmdump")),
            *("--mode", f"upstream:http://127.0.0.1:{service.port}"),
            *("--listen-host", "127.0.0.1", "--listen-port", "0"),
            *(word for path in scripts for word in ("--scripts", str(path))),
            *(word for name, value in settings.items() for word in ("--set", f"{name}={_setting(value)}")),
            *args,
        ]
        self.ca_path = confdir / "mitmproxy-ca-cert.pem"
        self.process: subprocess.Popen[str]
        self.port = 0
        self._lines: collections.deque[str] = collections.deque(maxlen=10_000)
        self._changed = threading.Condition()
        self._collector = threading.Thread(target=self._collect, name="mitmdump log", daemon=True)
        self._ended = False

    @property
    def log(self) -> list[str]:
        with self._changed:
            return list(self._lines)

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._collector.start()
        try:
            line = self.wait_for_log(" listening at ", timeout=30.0)
        except BaseException:
            self.stop(signal.SIGKILL)
            raise
        self.port = int(line.rstrip(".").rpartition(":")[2])
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()

    def wait_for_log(self, substring: str, timeout: float) -> str:
        """The first line that holds the substring, whether printed already or within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                if found := next((line for line in self._lines if substring in line), None):
                    return found
                end = "\n".join(list(self._lines)[-20:])
                if self._ended:
                    raise RuntimeError(f"mitmdump ended without printing {substring!r}:\n{end}")
                if not self._changed.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"mitmdump did not print {substring!r} in {timeout} s:\n{end}")

    def stop(self, signal: int = signal.SIGINT, timeout: float = 15.0) -> int:
        """Send the signal and return the exit code; killed (-9) when it has not ended `timeout` seconds later."""
        self.process.send_signal(signal)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self._collector.join(1.0)  # not for ever: a child that outlives mitmdump may hold the pipe

    def _collect(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with self._changed:
                    self._lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def _setting(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

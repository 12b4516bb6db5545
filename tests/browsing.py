"""An archive to look at, and a server of it: in this process for answers, in one of its own for a real browser."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.browse.access import ACTOR
from analysis.browse.server import instance

SECRET = "0123456789abcdef" * 4


class Client:
    """Asks a Datasette of one archive, as the person who opened its address."""

    def __init__(self, database: Path, *, secret: str = SECRET, logged_in: bool = True) -> None:
        self.datasette: Any = instance(database, secret)
        self.token: str = self.datasette._root_token
        signed = self.datasette.sign({"a": {"id": ACTOR}}, "actor")
        self.cookies = {"ds_actor": signed} if logged_in else {}

    def ask(self, path: str, method: str = "GET", **request: Any) -> Any:
        """The answer, as httpx gives it."""
        return asyncio.run(self.datasette.client.request(method, path, cookies=self.cookies, **request))


@dataclass(frozen=True)
class Running:
    """A server process: where it is, and the address that lets one in."""

    address: str
    base: str
    pid: int


@contextlib.contextmanager
def running(database: Path, state: Path, **limits: Any) -> Iterator[Running]:
    """`chatgpt-capture browse` as a person starts it, on a free port."""
    command = [sys.executable, "-m", "analysis", "browse", "--db", str(database), "--port", "0", "--no-open"]
    environment = {**os.environ, "XDG_STATE_HOME": str(state)}
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root, env=environment, **limits) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            assert line.startswith("http://127.0.0.1:"), line or "it did not start"
            yield Running(line, line.partition("/-/")[0], process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(10)


def fetch(address: str, cookie: str = "") -> tuple[int, bytes]:
    """Status and body of a plain request."""
    request = urllib.request.Request(address, headers={"cookie": cookie} if cookie else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def chromium() -> str | None:
    """Where a Chromium is."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )

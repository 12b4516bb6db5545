"""A real mitmdump with the addon between a loopback service and a client, and what it has written."""

import contextlib
import functools
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from addon.archive import inflight_folder
from scripts import loopback
from tests.recording import Archive, archive_at

ROOT = Path(__file__).resolve().parent.parent
ADDON = ROOT / "addon" / "chatgpt_capture.py"
CAPTURES = ROOT.parent / "shared" / "captures"

needs_captures = pytest.mark.skipif(not CAPTURES.is_dir(), reason=f"the real captures are not there: {CAPTURES}")


def pytest_configure() -> None:
    """Who is started in the background ignores Ctrl-C, and so would all programs that tests start and interrupt."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class Capturing:
    """One running mitmdump; `answers` gives the answer by the prompt, `database` is where it captures."""

    database: Path
    service: loopback.Service
    proxy: loopback.Proxy
    answers: dict[str, loopback.Answer] = field(default_factory=dict)

    def ask(self, prompt: str, *, http2: bool = True, **turn: Any) -> loopback.Received:
        return loopback.send_turn(self.proxy.port, self.proxy.ca_path, prompt, http2=http2, **turn)

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        return rows(self.database, query, *parameters)

    def wait(self, query: str, *parameters: Any, seconds: float = 10.0) -> list[dict[str, Any]]:
        """The rows of a query as soon as there are any."""
        return wait_for_rows(self.database, query, *parameters, seconds=seconds, log=self.proxy.log)

    def closed(self, request_message_id: str) -> dict[str, Any]:
        """The stream that carried this message, when it is over."""
        query = "SELECT * FROM streams WHERE request_message_id = ? AND state <> 'streaming'"
        return self.wait(query, request_message_id)[0]

    def drained(self, seconds: float = 10.0) -> bool:
        """Whether the journal's folder is empty, at once or soon: a file goes after what it held is committed."""
        deadline = time.monotonic() + seconds
        while left := list(inflight_folder(self.database).iterdir()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"left in the journal after {seconds} s: {left}")
            time.sleep(0.01)
        return True

    @property
    def log(self) -> str:
        return "\n".join(self.proxy.log)


def rows(database: Path, query: str, *parameters: Any) -> list[dict[str, Any]]:
    """What a reader of the live file sees."""
    if not database.exists() or not database.stat().st_size:
        return []
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as db:
        db.row_factory = sqlite3.Row
        if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'messages'").fetchone():
            return []  # the recorder has not made the tables yet
        return [dict(row) for row in db.execute(query, parameters)]


def wait_for_rows(
    database: Path, query: str, *parameters: Any, seconds: float = 10.0, log: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The rows of a query as soon as there are any."""
    deadline = time.monotonic() + seconds
    while not (found := rows(database, query, *parameters)):
        assert time.monotonic() < deadline, f"nothing in {seconds} s for: {query} {parameters}\n" + "\n".join(log)
        time.sleep(0.01)
    return found


@functools.cache
def authority() -> dict[str, bytes]:
    """The files of a certificate authority of mitmproxy's, by name: one that it makes itself takes it 0.2 s."""
    from mitmproxy.certs import CertStore

    with tempfile.TemporaryDirectory() as folder:
        CertStore.create_store(Path(folder), "mitmproxy", 2048)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def entrust(confdir: Path) -> Path:
    """Give a mitmdump that is to start the authority that all tests share."""
    confdir.mkdir(exist_ok=True)
    for name, held in authority().items():
        (confdir / name).write_bytes(held)
    return confdir


@contextlib.contextmanager
def capture(
    folder: Path,
    *,
    respond: loopback.Respond | None = None,
    scripts: Sequence[Path | str] = (),
    options: dict[str, object] | None = None,
    args: Sequence[str] = (),
) -> Iterator[Capturing]:
    """A mitmdump with the addon, and what it is asked; `scripts` come before the addon."""
    answers: dict[str, loopback.Answer] = {}

    def by_prompt(request: loopback.Request) -> loopback.Answer:
        return next(answer for prompt, answer in answers.items() if prompt.encode() in request.body)

    folder.mkdir(exist_ok=True)
    database = folder / "chatgpt.db"
    settings = {"chatgpt_db": database, **(options or {})}
    with (
        loopback.Service(respond or by_prompt) as service,
        loopback.Proxy(
            service, confdir=entrust(folder / "conf"), scripts=[*scripts, ADDON], options=settings, args=args
        ) as proxy,
    ):
        capturing = Capturing(database, service, proxy, answers)
        proxy.wait_for_log("capturing", 10)
        yield capturing


@pytest.fixture(scope="module")
def capturing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capturing]:
    """One mitmdump for all tests of a module; each asks its own prompt."""
    with capture(tmp_path_factory.mktemp("capturing")) as running:
        yield running


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An archive of the test's own, which must be sound when the test is over."""
    with archive_at(tmp_path / "chatgpt.db") as archive:
        yield archive


@pytest.fixture(scope="session")
def showcase(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up archive with one of everything; to be read only."""
    from scripts.showcase import build

    database = tmp_path_factory.mktemp("showcase") / "chatgpt.db"
    build(database, days=40)
    return database

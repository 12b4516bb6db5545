"""How long the pages take with a big archive: warm, one request after another, the median and the slowest.

    scripts/bench browse                     makes an archive of a million messages first: minutes
    scripts/bench browse --archive big.db    one that is there: `scripts/bigarchive big.db --messages 1000000`

Times are from the request to the last byte of the answer, on loopback, rendering included. The limits are what was
promised; the exit code is 1 when a median is beyond its limit. CPU is what the server used for one answer, where
/proc tells it: on a busy machine it says more.
"""

import argparse
import contextlib
import http.client
import os
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from analysis.queries.named import QUESTIONS
from analysis.schema import descriptions
from scripts.big_archive import build
from scripts.big_archive.texts import CHINESE, COMMON, RARE, SOMETIMES

ROOT = Path(__file__).resolve().parent.parent
WARM, ROUNDS = 3, 15
VISITS, SLOWEST = 3, 8
"""How often each of Datasette's own pages is asked for, once it was, and how many of them are named."""


class Server(NamedTuple):
    """Where it listens, the cookie that lets in, its process."""

    host: str
    port: int
    cookie: str
    pid: int


def main() -> int:
    """Measure, print, compare."""
    arguments = argparse.ArgumentParser(
        prog="scripts/bench browse", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--archive", type=Path, help="an archive that is there")
    arguments.add_argument("--messages", type=int, default=1_000_000, help="of the archive that is made")
    arguments.add_argument("--only", choices=("pages", "stock"), help="half of it")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        archive = given.archive
        if archive is None:
            archive = Path(temporary) / "big.db"
            print(f"making an archive of {given.messages:,} messages", flush=True)
            build(archive, conversations=max(1, given.messages // 20), messages=given.messages)
        with serving(archive, Path(temporary)) as server:
            beyond = measure(pages(archive), server) if given.only != "stock" else 0
            if given.only != "pages":
                visit(stock_pages(archive), server)
            return beyond


def pages(archive: Path) -> list[tuple[str, str, int | None]]:
    """What is measured: a name, an address, the limit in milliseconds where one was promised."""
    with contextlib.closing(sqlite3.connect(f"{archive.absolute().as_uri()}?mode=ro", uri=True)) as db:
        sizes = db.execute(
            "SELECT conversation_id, count(*) AS size FROM messages GROUP BY 1 ORDER BY size DESC"
        ).fetchall()
        largest, usual = sizes[0], sizes[len(sizes) // 2]
        image = db.execute("SELECT max(id) FROM image_generations").fetchone()[0]
        stream = db.execute("SELECT max(stream_id) FROM stream_bodies").fetchone()[0]
    name = quote(archive.stem)
    measured: list[tuple[str, str, int | None]] = [
        ("home", "/", 15),
        ("home, asked again while it is open", "/-/archive/recent?seen=", None),
        (f"thread of {usual[1]} messages", f"/-/archive/c/{usual[0]}", 15),
        (f"largest thread, {largest[1]} messages", f"/-/archive/c/{largest[0]}", 30),
        ("gallery", "/-/archive/images", 20),
        ("image", f"/-/archive/images/{image}", None),
        ("search, a rare word", f"/-/archive?q={RARE}", 50),
        ("search, a word now and then", f"/-/archive?q={SOMETIMES}", 50),
        ("search, a word nearly everywhere", f"/-/archive?q={COMMON}", 60),
        ("search, a part of a Chinese word", f"/-/archive?q={quote(CHINESE[:2])}", None),
        ("search, that word, by role and day", f"/-/archive?q={COMMON}&role=user&from=2026-01-01", None),
        ("search, that word, the oldest first", f"/-/archive?q={COMMON}&sort=old", None),
        ("search in the gallery, nothing found", "/-/archive/images?q=xyzzy", None),
        ("usage", "/-/archive/usage", 60),
        ("usage, its data", "/-/archive/usage/data", 60),
        ("health", "/-/archive/health", None),
        ("exchange", f"/-/archive/streams/{stream}", None),
        ("messages, 3 facets", f"/{name}/messages?_facet=role&_facet=model_slug&_facet=content_type", 400),
        ("conversations", f"/{name}/conversations", None),
    ]
    return [(name, address, limit) for name, address, limit in measured if "None" not in address]


def stock_pages(archive: Path) -> list[str]:
    """Datasette's own page of each table, of each view and of each named query."""
    with contextlib.closing(sqlite3.connect(f"{archive.absolute().as_uri()}?mode=ro", uri=True)) as db:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")]
    tables = [name for name in names if name in descriptions()]
    given = urlencode({"q": RARE, "id": 1, "seed": 1, "since": "", "until": ""})
    root = f"/{quote(archive.stem)}"
    return [root, *(f"{root}/{name}" for name in tables), *(f"{root}/{name}?{given}" for name in QUESTIONS)]


def visit(addresses: list[str], server: Server) -> None:
    """Say which of some pages take longest. One that is given up at a time limit ends the bench."""
    took: dict[str, float] = {}
    for address in addresses:
        times = [ask(server, address)[0] for _ in range(1 + VISITS)]
        took[address] = statistics.median(times[1:])
    slowest = sorted(took, key=took.__getitem__, reverse=True)[:SLOWEST]
    print(f"\n{len(addresses)} pages of Datasette's own: each table, view and named query; the slowest:")
    for address in slowest:
        print(f"{address.partition('?')[0]:<40}{took[address]:>6.0f} ms")


def measure(measured: list[tuple[str, str, int | None]], server: Server) -> int:
    beyond = 0
    print(f"{'':<40}{'median':>9}{'slowest':>9}{'CPU':>9}{'limit':>7}{'size':>10}")
    for name, address, limit in measured:
        took, size = [], 0
        for _ in range(WARM):
            ask(server, address)
        before = used(server.pid)
        for _ in range(ROUNDS):
            milliseconds, size = ask(server, address)
            took.append(milliseconds)
        cpu = (used(server.pid) - before) / ROUNDS
        median = statistics.median(took)
        late = limit is not None and median > limit
        beyond += late
        promised = f"{limit}" if limit is not None else ""
        print(
            f"{name:<40}{median:>6.1f} ms{max(took):>6.1f} ms{cpu:>6.1f} ms{promised:>7}{size // 1000:>7} kB"
            + ("  BEYOND" if late else ""),
            flush=True,
        )
    return 1 if beyond else 0


def used(pid: int) -> float:
    """Milliseconds of CPU that a process has used (proc(5)); 0 where nobody says."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def ask(server: Server, address: str) -> tuple[float, int]:
    """Milliseconds and bytes of one answer."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    with contextlib.closing(connection):
        began = time.perf_counter()
        connection.request("GET", address, headers={"cookie": server.cookie})
        answer = connection.getresponse()
        body = answer.read()
        took = (time.perf_counter() - began) * 1000
    if answer.status != 200 or b"facets timed out" in body:
        raise SystemExit(f"{address}: {answer.status} {re.sub(rb'<[^>]+>', b' ', body)[:300]!r}")
    return took, len(body)


@contextlib.contextmanager
def serving(archive: Path, state: Path) -> Iterator[Server]:
    """`chatgpt-capture browse` on a free port."""
    command = [sys.executable, "-m", "analysis", "browse", "--db", str(archive), "--port", "0", "--no-open"]
    environment = {**os.environ, "XDG_STATE_HOME": str(state)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        assert process.stdout is not None
        try:
            parts = urlsplit(process.stdout.readline().strip())
            host, port = str(parts.hostname), int(parts.port or 0)
            connection = http.client.HTTPConnection(host, port, timeout=10)
            with contextlib.closing(connection):
                connection.request("GET", f"{parts.path}?{parts.query}")
                cookie = str(connection.getresponse().getheader("set-cookie")).partition(";")[0]
            yield Server(host, port, cookie, process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(10)


if __name__ == "__main__":
    sys.exit(main())

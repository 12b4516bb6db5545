"""The product at work: three answers and an image through a real mitmdump, seen from browser and database at once.

No account and no network: chatgpt.com is `scripts.loopback`, over real TLS, on 127.0.0.1.
"""

import argparse
import contextlib
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from addon.archive import media_folder
from analysis.queries import search
from analysis.queries.archive import open_archive
from analysis.queries.exchanges import event_types
from analysis.queries.images import Image, images
from analysis.queries.live import GrowingMessage, growing_messages
from analysis.queries.turns import turns
from scripts import loopback, scenes

FILE_SECONDS = 10.0
ROOT = Path(__file__).resolve().parent.parent
COLUMNS = min(shutil.get_terminal_size((100, 24)).columns, 110)
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ

TIDES = (
    "Tides are the sea's answer to the Moon. The side of the Earth that faces it is pulled a little harder than the "
    "centre, the far side a little less, so the water bulges on both: two high tides a day, each day an hour later."
)
PRIMES = "No: 2027 is prime. It is odd, its digits add up to 11, and none of 5, 7, 11, … up to 43 divides it."


@dataclass(frozen=True)
class Act:
    """One question, its scene, and how it travels."""

    title: str
    prompt: str
    scene: scenes.Scene
    coding: str
    http2: bool
    delay: float


ACTS = [
    Act(
        "A plain answer",
        "Why are there two tides a day?",
        scenes.plain_answer("Why are there two tides a day?", TIDES, seed="tides", title="Two tides a day"),
        "br",
        True,
        0.06,
    ),
    Act(
        "An answer after some thought",
        "Is 2027 a composite number?",
        scenes.reasoning_answer(
            "Is 2027 a composite number?",
            PRIMES,
            thoughts=[("Checking small divisors", "Up to the square root of 2027, which is a little above 45.")],
            seconds=4,
            seed="primes",
            title="Is 2027 prime?",
        ),
        "zstd",
        False,
        0.06,
    ),
    Act(
        "An image",
        "Draw a lighthouse at dusk",
        scenes.image_answer(
            "Draw a lighthouse at dusk",
            "A lighthouse on a rocky shore at dusk, its beam over a calm sea, soft pastel colours",
            "Here is your lighthouse at dusk.",
            seed="lighthouse",
            title="A lighthouse at dusk",
        ),
        "gzip",
        True,
        0.12,
    ),
]


def main() -> int:
    """Play the demo; errors and interruptions in one line."""
    try:
        return demonstrate()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read has seen enough; Python must not write more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (RuntimeError, TimeoutError) as error:
        line = next((line for line in str(error).splitlines() if "ChatGPT Capture" in line), str(error).splitlines()[0])
        print(f"scripts/demo: {line.partition('] ')[2] or line}", file=sys.stderr)
        return 1


def demonstrate() -> int:
    arguments = argparse.ArgumentParser(prog="scripts/demo", description=__doc__.partition("\n")[0])
    arguments.add_argument(
        "--keep", metavar="FILE", type=Path, help="keep the database as FILE, to look at it yourself"
    )
    keep: Path | None = arguments.parse_args().keep
    if keep is not None and not keep.name:
        arguments.error("--keep needs a file name")
    if keep is not None and keep.exists():
        arguments.error(f"{keep} exists already: name a new file")
    if keep is not None and not keep.absolute().parent.is_dir():
        arguments.error(f"the folder {keep.absolute().parent} does not exist")
    with tempfile.TemporaryDirectory() as temporary:
        database = keep.absolute() if keep else Path(temporary) / "demo.db"
        identical = perform(database, Path(temporary))
        print_results(database)
        parts = len(ACTS) + sum(len(act.scene.images) for act in ACTS)
        print(f"\nBytes the browser received, identical to those sent: {identical} of {parts} answers and files.")
    if keep:
        tidy(database)
        print(f"The database is {database}: open it with sqlite3, datasette or anything that reads SQLite.")
        print(f"The image lies in {media_folder(database)}.")
    return 0 if identical == parts else 1


def tidy(database: Path) -> None:
    """Leave one file: fold in the write-ahead log, which a reader that comes last cannot."""
    with contextlib.closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def perform(database: Path, folder: Path) -> int:
    """Play the acts; how many answers and files reached the browser byte for byte."""
    files = loopback.Files(
        {asset_of(image): loopback.File(scenes.picture(image)) for act in ACTS for image in act.scene.images}
    )

    def respond(request: loopback.Request) -> loopback.Answer:
        if (file := files.answer(request)) is not None:
            return file
        act = next(act for act in ACTS if act.prompt.encode() in request.body)
        return loopback.answer(act.scene.events, coding=act.coding, delay=act.delay)

    addon, options = ROOT / "addon" / "chatgpt_capture.py", {"chatgpt_db": database}
    print(f"{paint('$', 2)} mitmdump -s addon/chatgpt_capture.py --set chatgpt_db={database.name}")
    with (
        loopback.Service(respond) as service,
        loopback.Proxy(service, confdir=folder / "conf", scripts=[addon], options=options) as proxy,
    ):
        print_log(proxy.wait_for_log("capturing", 10))
        identical = 0
        for act in ACTS:
            identical += play(act, proxy, database)
            identical += sum(show(image, proxy, database) for image in act.scene.images)
        proxy.stop()
        print()
        print_log(proxy.wait_for_log("messages captured", 10))
    return identical


def play(act: Act, proxy: loopback.Proxy, database: Path) -> bool:
    """Ask, and show what the database holds while the answer streams; whether the bytes came through unchanged."""
    version = "HTTP/2" if act.http2 else "HTTP/1.1"
    print(f"\n{paint(act.title, 1)}  {paint(f'{version}, {act.coding}', 2)}\n  {paint('you', 36)}  {act.prompt}")
    received: list[loopback.Received] = []

    def ask() -> None:
        identity = act.scene.user_message_id
        port, ca_path = proxy.port, proxy.ca_path
        received.append(loopback.send_turn(port, ca_path, act.prompt, http2=act.http2, message_id=identity))

    browser = threading.Thread(target=ask, daemon=True)
    began = time.monotonic()
    browser.start()
    shown, due = "", 0.0
    while browser.is_alive():
        time.sleep(0.02)
        row = growing(database)
        if row is not None and row.text != shown and time.monotonic() >= due:
            shown, due = row.text or "", time.monotonic() + 0.6
            print_growth(time.monotonic() - began, row)
    browser.join()
    print_log(proxy.wait_for_log(f"“{act.scene.title}”", 10))
    return received[0].body == b"".join(loopback.encode_chunks(act.scene.events, act.coding))


def show(image: scenes.Image, proxy: loopback.Proxy, database: Path) -> bool:
    """Load an image as the page does, and show where it is stored; whether its bytes came through unchanged."""
    asked = f"https://chatgpt.com/backend-api/files/download/{asset_of(image)}?inline=true"
    url = json.loads(loopback.fetch(proxy.port, proxy.ca_path, asked).body)["download_url"]
    received = loopback.fetch(proxy.port, proxy.ca_path, url)
    deadline = time.monotonic() + FILE_SECONDS
    while not (row := stored(database, asset_of(image))):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the image was not stored in {FILE_SECONDS} s")
        time.sleep(0.02)
    folder, path = media_folder(database).name, Path(row.asset_path or "")
    size = f"{row.mime_type}, {row.width}x{row.height}, {row.size_bytes:,} bytes"
    print(f"  {paint('file', 32)} {size}  {paint(f'{folder}/{path.parent}/{path.stem[:12]}…{path.suffix}', 2)}")
    return received.body == scenes.picture(image) == (media_folder(database) / path).read_bytes()


def asset_of(image: scenes.Image) -> str:
    """The id in an image's pointer."""
    return image.pointer.partition("://")[2]


def stored(database: Path, asset_id: str) -> Image | None:
    """The image whose bytes are stored and whose thumbnail is made."""
    with reading(database) as db:
        return next((row for row in images(db) if row.asset_id == asset_id and row.thumbnail_path), None)


def growing(database: Path) -> GrowingMessage | None:
    """The message that is growing, as any reader of the file sees it now."""
    with reading(database) as db:
        rows = [row for row in growing_messages(db) if row.text]
    return rows[-1] if rows else None


def print_growth(seconds: float, row: GrowingMessage) -> None:
    text = (row.text or "").replace("\n", " ")
    label = f"  {paint('db', 32)}   {seconds:4.1f} s  {row.content_type:<16} {len(text):>4} characters  "
    room = COLUMNS - 43
    print(label + paint(text if len(text) <= room else "…" + text[-room + 1 :], 2))


def print_results(database: Path) -> None:
    """What can be asked of the archive afterwards."""
    with reading(database) as db:
        table(
            "SELECT … FROM turns",
            ["title", "asked", "served", "first token", "seconds", "characters"],
            [
                (r.title, r.requested_model, r.model_slug, r.seconds_to_first_token, r.seconds, r.characters)
                for r in turns(db)
            ],
        )
        table(
            "SELECT … FROM image_gallery",
            ["title", "status", "size", "asset", "tool prompt"],
            [(r.title, r.status, f"{r.width}x{r.height}", r.asset_id, r.tool_prompt) for r in images(db)],
        )
        table(
            "SELECT … FROM messages_fts WHERE … MATCH 'moon'",
            ["conversation", "role", "snippet"],
            [
                (hit.title, hit.role, "".join(f"[{piece}]" if found else piece for piece, found in hit.snippet))
                for hit in search.find(db, search.Question("moon")).hits
            ],
        )
        table(
            "SELECT type, count(*) FROM events GROUP BY type",
            ["type", "recognised", "events"],
            [row[:3] for row in event_types(db)],
        )


def table(query: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A query and its result in columns; the last column gives way to the terminal's width."""
    print(f"\n{paint('sqlite>', 2)} {query}")
    cells = [[("" if cell is None else str(cell)) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(head), *cells]) for i in range(len(head))]
    widths[-1] = max(8, min(widths[-1], COLUMNS - sum(widths[:-1]) - 2 * len(head)))
    for line, style in [(list(head), 1), *((cell, 0) for cell in cells)]:
        shown = [
            text if len(text) <= width else text[: width - 1] + "…" for text, width in zip(line, widths, strict=True)
        ]
        print(
            "  "
            + paint("  ".join(text.ljust(width) for text, width in zip(shown, widths, strict=True)).rstrip(), style)
        )


def print_log(line: str) -> None:
    print(f"  {paint(line.partition('] ')[2], 35)}")


def paint(text: str, style: int) -> str:
    """`text` in a terminal's style, plain where there is no colour."""
    return f"\x1b[{style}m{text}\x1b[0m" if COLOUR and style else text


@contextlib.contextmanager
def reading(database: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(open_archive(database)) as db:
        yield db


if __name__ == "__main__":
    sys.exit(main())

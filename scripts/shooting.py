"""Pictures of the pages, in light and dark, wide and on a phone, of the made-up archive."""

import argparse
import contextlib
import io
import itertools
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from scripts.showcase import build

ROOT = Path(__file__).resolve().parent.parent
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
)  # fmt: skip
WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
_TALK = "SELECT '/-/archive/c/' || id FROM conversations WHERE title LIKE "

# A name, where it is: an address, or a question for it.
PAGES = {
    "home": "/",
    "search": "/-/archive?q=tide",
    "thread": _TALK + "'Why the sky%'",
    "thread-code": _TALK + "'Tide curve%'",
    "thread-sources": _TALK + "'News from%'",
    "thread-canvas": _TALK + "'Three days%'",
    "thread-voice": _TALK + "'What bird%'",
    "thread-steps": _TALK + "'Which harbour%'",
    "thread-arabic": _TALK + "'لماذا%'",
    "thread-chinese": _TALK + "'量子%'",
    "thread-unfinished": _TALK + "'Answers that%'",
    "images": "/-/archive/images",
    "image": "SELECT '/-/archive/images/' || id FROM image_generations WHERE parent_gen_id IS NOT NULL",
    "usage": "/-/archive/usage?from=&to=",
    "exchange": "SELECT '/-/archive/streams/' || stream_id FROM messages WHERE text LIKE '%Rayleigh found%'",
    "health": "/-/archive/health",
    "tables": "/chatgpt",
    "table": "/chatgpt/messages",
    "named-query": "/chatgpt/answers_by_model_month",
    "not-there": "/-/archive/c/nobody",
}
_DECODED = """Promise.all([...document.images].map((image) => {
    image.loading = "eager";
    return image.decode().catch(() => null);
}))"""
WHOLE = {"usage", "exchange", "image"}
"""Pages that are shown to their end where there is room."""
ON_THE_PHONE = {"home", "thread", "thread-arabic", "search", "image", "usage", "table"}


def main() -> int:
    """Take them all."""
    arguments = argparse.ArgumentParser(prog="scripts/screenshots", description=__doc__)
    arguments.add_argument("folder", type=Path, nargs="?", default=ROOT / "docs" / "screenshots")
    arguments.add_argument("--only", metavar="NAME", help="one page")
    given = arguments.parse_args()
    browser = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if browser is None:
        arguments.error("there is no Chromium: apt-get install chromium")
    given.folder.mkdir(parents=True, exist_ok=True)
    names = [given.only] if given.only else list(PAGES)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        database = Path(temporary) / "chatgpt.db"
        build(database)
        engine: Any = playwright.chromium.launch(executable_path=browser, args=list(FLAGS))
        with serving(database, Path(temporary)) as address:
            for scheme, size in itertools.product(("light", "dark"), (WIDE, PHONE)):
                context = engine.new_context(
                    color_scheme=scheme, viewport=size, device_scale_factor=1.25, reduced_motion="reduce"
                )
                page = context.new_page()
                page.goto(address)
                for name in names if size is WIDE else sorted(ON_THE_PHONE.intersection(names)):
                    page.goto(address.partition("/-/")[0] + path_of(database, PAGES[name]))
                    prepare(page, name)
                    keep(
                        page.screenshot(full_page=size is WIDE and name in WHOLE),
                        given.folder / f"{name}-{scheme}{'' if size is WIDE else '-phone'}.webp",
                    )
                context.close()
        engine.close()
    return 0


def prepare(page: Page, name: str) -> None:
    """What is worth seeing opened, and everything drawn."""
    page.wait_for_timeout(300)
    if name == "usage":
        page.wait_for_function("() => document.querySelectorAll('.plot svg').length >= 8")
    if name == "thread-sources":
        page.click(".cited summary")
    if name == "thread-code":
        page.click(".step summary")
    if name == "thread-steps":
        page.click(".steps > summary")
    page.evaluate(_DECODED)
    page.wait_for_timeout(150)


def keep(shot: bytes, path: Path) -> None:
    Image.open(io.BytesIO(shot)).convert("RGB").save(path, "WEBP", quality=78, method=6)
    print(f"{path.name}  {path.stat().st_size // 1000} kB")


def path_of(database: Path, place: str) -> str:
    if place.startswith("/"):
        return place
    with contextlib.closing(sqlite3.connect(database)) as db:
        return str(db.execute(place).fetchone()[0])


@contextlib.contextmanager
def serving(database: Path, state: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "analysis", "browse", "--db", str(database), "--port", "0", "--no-open"]
    environment = {**os.environ, "XDG_STATE_HOME": str(state), "TZ": "UTC"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(10)


if __name__ == "__main__":
    sys.exit(main())

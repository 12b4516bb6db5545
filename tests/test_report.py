"""`chatgpt-capture report`: a year's figures are right, and the page that shows them is complete in itself."""

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from addon.archive import media_folder
from addon.records import Thumbnail
from analysis.queries import open_archive
from analysis.report.figures import figures, years
from tests.conftest import ROOT
from tests.receiving import mention, png, receive
from tests.recording import FINISHED, Archive, archive_at, message, shown, v1
from tests.test_rendering import Reader

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PICTURE = png(30, 20)
DIGEST = hashlib.sha256(PICTURE).hexdigest()


def report(database: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-m", "analysis", "--db", str(database), "report", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=database.parent)
    assert "Traceback" not in done.stderr
    return done


def said(identity: str, role: str, text: str, at: float, **metadata: Any) -> dict[str, Any]:
    return message(identity, text, status=FINISHED, author={"role": role}, create_time=at, metadata=metadata)


def a_year(archive: Archive, title: str = "Tides") -> None:
    """Two prompts and two answers in 2025, one of each in 2026, a source, some thinking, an image with its bytes."""
    at_2025, at_2026 = 1_750_000_000.0, 1_770_000_000.0
    sources = [{"type": "webpage", "url": f"https://www.example.org/{n}"} for n in range(3)]
    said_all = [
        said("U1", "user", "Why?", at_2025),
        said("A1", "assistant", "The Moon.", at_2025 + 1, model_slug="gpt-5", content_references=sources),
        said("U2", "user", "Sure?", at_2025 + 100_000),
        said("A2", "assistant", "Yes.", at_2025 + 100_001, model_slug="gpt-5-5", finished_duration_sec=90),
        said("U3", "user", "Still?", at_2026),
        said("A3", "assistant", "Yes, still.", at_2026 + 1, model_slug="gpt-5-5"),
    ]
    titled = {"type": "title_generation", "title": title, "conversation_id": "talk"}
    archive.record(v1(*(shown(each, channel) for channel, each in enumerate(said_all)), titled), stream_id="year")
    mention(archive)
    receive(archive, PICTURE)
    folder = media_folder(archive.path) / "thumbnails" / DIGEST[:2]
    folder.mkdir(parents=True)
    (folder / f"{DIGEST}.webp").write_bytes(b"RIFF\x04\0\0\0WEBP")
    archive.store.write([Thumbnail(DIGEST, f"thumbnails/{DIGEST[:2]}/{DIGEST}.webp")])
    with contextlib.closing(sqlite3.connect(archive.path)) as db, db:
        db.execute("UPDATE image_generations SET created_at = '2025-06-15T00:00:00.000000Z'")
        db.execute("UPDATE messages SET created_at = '2025-06-15T00:00:00.000000Z' WHERE id = 'I'")


def test_the_figures_of_a_year_are_those_of_that_year(archive: Archive) -> None:
    a_year(archive)
    with contextlib.closing(open_archive(archive.path)) as db:
        assert years(db) == (2025, 2026)
        year = figures(db, 2025)
        assert figures(db, 2026).totals["answers"] == 1
        assert figures(db, 2024).days == []
    assert year.totals == {"conversations": 1, "prompts": 2, "answers": 2, "characters": 13, "images": 1}
    assert [(day["day"], day["prompts"], day["answers"], day["images"]) for day in year.days] == [
        ("2025-06-15", 1, 1, 1), ("2025-06-16", 1, 1, 0),
    ]  # fmt: skip
    assert year.models == [
        {"month": "2025-06", "model": "gpt-5", "answers": 1}, {"month": "2025-06", "model": "gpt-5-5", "answers": 1},
    ]  # fmt: skip
    assert year.hours == [{"weekday": 0, "hour": 15, "prompts": 1}, {"weekday": 1, "hour": 18, "prompts": 1}]
    assert year.thinking == [{"month": "2025-06", "minutes": 1.5, "thoughts": 1}]
    assert [(thread["title"], thread["messages"]) for thread in year.threads] == [("Tides", 5)]
    assert year.sites == [{"site": "example.org", "answers": 1}]
    assert [image.asset_id for image in year.images] == ["file_1"]


def test_the_page_is_written_private_and_whatever_titles_say_only_its_own_scripts_run(tmp_path: Path) -> None:
    evil = '</script><script>alert(1)</script><img src=x onerror="alert(1)">'
    with archive_at(tmp_path / "a.db") as archive:
        a_year(archive, evil)
    done = report(tmp_path / "a.db", "--year", "2025")
    assert (done.returncode, done.stdout) == (0, "chatgpt-2025.html: 2 prompts, 2 answers in 2025\n")
    path = tmp_path / "chatgpt-2025.html"
    assert path.stat().st_mode & 0o777 == 0o600
    page = Reader(path.read_text())
    assert page.tags.count("script") == 4
    assert evil in page.words
    sources = [value for _, name, value in page.attributes if name in ("src", "href")]
    assert [value.partition(",")[0] for value in sources] == ["data:image/webp;base64"]
    policy = next(value for _, name, value in page.attributes if name == "content")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline'; img-src data:" in policy
    assert "script-src 'unsafe" not in policy


# Words of the tiles that stand out of them when a figure is as large as this.
OVERFLOWING = """(figure) => [...document.querySelectorAll("dd, dt")].filter((words) => {
    if (words.tagName === "DD") words.textContent = figure;
    return words.scrollWidth > words.clientWidth;
}).map((words) => words.textContent)"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_browser_draws_the_charts_and_asks_nobody(tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    with archive_at(tmp_path / "a.db") as archive:
        a_year(archive)
    report(tmp_path / "a.db", tmp_path / "year.html", "--year", "2025")
    asked: list[str] = []
    with playwright.sync_playwright() as running:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = running.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        complaints: list[str] = []
        page.on("console", lambda told: complaints.append(told.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((tmp_path / "year.html").as_uri())
        drawn = {name: page.locator(f"#{name} svg").count() for name in ("models", "hours", "thinking", "sites")}
        cells = page.locator("#activity rect").count()
        ticks = page.locator("[aria-label$='tick label'] text, [aria-label$='legend'] text").all_text_contents()
        minutes = page.locator("#thinking [aria-label='y-axis tick label'] text").all_text_contents()
        for width in (390, 1200):
            for scheme in ("dark", "light"):
                # An open page is drawn again.
                page.set_viewport_size({"width": width, "height": 800})
                page.emulate_media(color_scheme=scheme)
                page.wait_for_timeout(100)
                assert page.evaluate("document.documentElement.scrollWidth") == width
                charts = page.evaluate("[...document.querySelectorAll('figure > svg, svg')].map(c => c.clientWidth)")
                assert max(charts) in range(width // 2, width)
                assert page.evaluate(OVERFLOWING, "36,996,398") == []
        browser.close()
    assert complaints == []
    assert min(drawn.values()) >= 1
    assert cells >= 365 + 2
    assert {"0", "1", "2", "Jun"} <= set(ticks)  # two answers in a month
    assert [tick for tick in ticks if "." in tick and tick[0].isdigit()] == minutes
    assert [url.partition(":")[0] for url in asked if not url.startswith("data:")] == ["file"]


def test_the_scripts_are_those_that_were_published() -> None:
    folder = ROOT / "analysis" / "browse" / "static" / "vendor"
    for package in json.loads((folder / "vendored.json").read_text()).values():
        for name, file in package["files"].items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == file["sha256"], name


def test_what_there_is_no_report_of_is_one_line(tmp_path: Path) -> None:
    with archive_at(tmp_path / "empty.db"):
        pass
    with archive_at(tmp_path / "a.db") as archive:
        a_year(archive)
    with archive_at(tmp_path / "later.db") as archive:
        archive.record(v1(shown(said("U", "user", "Why?", 1_770_000_000.0))))
    (tmp_path / "taken").mkdir()
    for database, arguments, words in (
        (tmp_path / "empty.db", (), "holds no message yet"),
        (tmp_path / "a.db", ("--year", "2019"), "holds nothing of 2019, but of 2025 to 2026"),
        (tmp_path / "later.db", ("--year", "2019"), "holds nothing of 2019, but of 2026\n"),
        (tmp_path / "none.db", (), ""),
        (tmp_path / "a.db", (tmp_path / "missing" / "folder" / "x.html",), "missing does not exist"),
        (tmp_path / "a.db", (tmp_path / "taken",), "is a directory"),
    ):
        done = report(database, *arguments)
        assert (done.returncode, done.stderr.count("\n"), words in done.stderr) == (1, 1, True), done.stderr

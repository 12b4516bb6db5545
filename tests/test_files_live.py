"""Files through a real mitmdump: the browser's bytes are untouched, and what it received lies in the media folder."""

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from addon.archive import inflight_folder, media_folder
from addon.wire.evidence import decompress
from scripts import loopback, scenes
from scripts.loopback import URL_SECRETS, File, Files, Received
from tests.conftest import Capturing, capture, rows
from tests.receiving import png
from tests.test_interruptions import read, recorder_of

HTTP = pytest.mark.parametrize("http2", [True, False], ids=["h2", "h1"])
SCENE = scenes.image_answer("Draw the tide", "A low tide", "Here it is.", seed="files", title="A tide")
IMAGE = SCENE.images[0]
IDENTITY = IMAGE.pointer.removeprefix("sediment://")
PICTURE = scenes.picture(IMAGE)
BIG = os.urandom(1024 * 1024) * 20


class Site:
    """chatgpt.com with files: turns play the scene, files are served."""

    def __init__(self) -> None:
        self.files = Files({})

    def __call__(self, request: loopback.Request) -> loopback.Answer:
        return self.files.answer(request) or loopback.answer(SCENE.events, coding="br")


class Browser:
    """What a page does to show a file."""

    def __init__(self, running: Capturing, site: Site) -> None:
        self.running = running
        self.site = site

    def put(self, identity: str, data: bytes, **served: Any) -> bytes:
        self.site.files.files[identity] = File(data, **served)
        return data

    def fetch(self, url: str, **ask: Any) -> Received:
        return loopback.fetch(self.running.proxy.port, self.running.proxy.ca_path, url, **ask)

    def url_of(self, identity: str, **ask: Any) -> str:
        asked = f"https://chatgpt.com/backend-api/files/download/{identity}?conversation_id=c&inline=false"
        url: str = json.loads(self.fetch(asked, **ask).body)["download_url"]
        return url

    def show(self, identity: str, **ask: Any) -> Received:
        return self.fetch(self.url_of(identity, http2=ask.get("http2", True)), **ask)

    def asset(self, identity: str) -> dict[str, Any]:
        return self.running.wait("SELECT * FROM assets WHERE id = ? AND sha256 IS NOT NULL", identity)[0]

    def stored(self, identity: str) -> bytes:
        path: str = self.asset(identity)["path"]
        return (media_folder(self.running.database) / path).read_bytes()

    def stream(self, identity: str) -> dict[str, Any]:
        """The stream that carried the bytes of an asset, when it is over."""
        query = "SELECT * FROM streams WHERE kind = 'asset' AND (path LIKE ?1 OR parameters LIKE ?1)"
        return self.running.wait(query, f"%{identity}%")[0]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    site = Site()
    with capture(tmp_path_factory.mktemp("files"), respond=site) as running:
        yield Browser(running, site)


def files_of(database: Path) -> list[str]:
    folder = media_folder(database)
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@HTTP
@pytest.mark.parametrize("coding", ["identity", "gzip", "br", "zstd"])
@pytest.mark.parametrize("at_storage", [True, False], ids=["storage", "estuary"])
def test_a_file_reaches_the_browser_untouched_and_is_stored_decoded(
    browser: Browser, coding: str, at_storage: bool, http2: bool
) -> None:
    identity = f"file-{coding}{at_storage}{http2}"
    data = browser.put(
        identity, png(20, 10, identity.encode() * 5000), coding=coding, at_storage=at_storage, pieces=777
    )
    received = browser.show(identity, http2=http2)
    assert received.body == loopback.encode(data, coding)
    assert browser.stored(identity) == data
    assert browser.asset(identity)["name"] is None
    assert (browser.stream(identity)["state"], browser.stream(identity)["http_version"]) == (
        "complete",
        "HTTP/2.0" if http2 else "HTTP/1.1",
    )


@pytest.mark.parametrize("first", ["message", "bytes"])
def test_a_generated_image_is_joined_to_its_bytes_and_its_thumbnail(tmp_path: Path, first: str) -> None:
    site = Site()
    with capture(tmp_path, respond=site) as running:
        browser = Browser(running, site)
        browser.put(IDENTITY, PICTURE, name="tide.png")
        if first == "message":
            running.ask("Draw the tide")
        browser.show(IDENTITY)
        running.wait("SELECT 1 FROM assets WHERE sha256 IS NOT NULL")
        if first == "bytes":
            running.ask("Draw the tide")
        gallery = running.wait("SELECT * FROM image_gallery WHERE thumbnail_path IS NOT NULL")[0]
        digest = hashlib.sha256(PICTURE).hexdigest()
        assert (gallery["conversation_title"], gallery["tool_prompt"]) == ("A tide", "A low tide")
        assert gallery["asset_path"] == f"{digest[:2]}/{digest}.png"
        assert (gallery["variant"], gallery["width"], gallery["height"]) == ("original", 1024, 1536)
        assert (media_folder(running.database) / gallery["asset_path"]).read_bytes() == PICTURE
        thumbnail = (media_folder(running.database) / gallery["thumbnail_path"]).read_bytes()
        assert thumbnail.startswith(b"RIFF")
        assert len(thumbnail) < 20_000
        assert running.rows("SELECT * FROM missing_files WHERE asset_id = ?", IDENTITY) == []
        assert running.proxy.stop() == 0
        assert "3 exchanges and 6 messages captured into chatgpt.db, 1 file stored" in running.log
        assert not list(inflight_folder(running.database).iterdir())


def test_saved_flows_give_the_files_that_a_live_capture_gave(tmp_path: Path) -> None:
    site, saved = Site(), tmp_path / "saved.flow"
    with capture(tmp_path, respond=site, args=["-w", str(saved)]) as running:
        browser = Browser(running, site)
        running.ask("Draw the tide")
        browser.put(IDENTITY, PICTURE, coding="gzip")
        browser.show(IDENTITY)
        assert running.proxy.stop() == 0
    again = tmp_path / "again"
    again.mkdir()
    read(saved, again / "chatgpt.db")
    for database in (running.database, again / "chatgpt.db"):
        gallery = rows(database, "SELECT * FROM image_gallery")[0]
        assert (media_folder(database) / gallery["asset_path"]).read_bytes() == PICTURE
        assert (media_folder(database) / gallery["thumbnail_path"]).stat().st_size
    assert files_of(again / "chatgpt.db") == files_of(running.database)


@HTTP
@pytest.mark.parametrize("with_length", [True, False], ids=["length", "no length"])
@pytest.mark.parametrize("end", ["reset", "cut"])
def test_half_a_file_is_not_stored(browser: Browser, end: loopback.End, with_length: bool, http2: bool) -> None:
    identity = f"file-{end}{with_length}{http2}"
    data = browser.put(identity, png(20, 10, identity.encode() * 9000), end=end, with_length=with_length, pieces=5000)
    received = browser.show(identity, http2=http2)
    assert received.error
    assert data.startswith(received.body)
    stream = browser.stream(identity)
    assert stream["state"] == "interrupted"
    assert stream["error"].startswith(f"cut after {stream['wire_bytes']} bytes")
    assert browser.running.rows("SELECT * FROM assets WHERE id = ? AND sha256 IS NOT NULL", identity) == []


@HTTP
def test_a_file_whose_loading_the_browser_stops_is_not_stored(browser: Browser, http2: bool) -> None:
    identity = f"file-stopped{http2}"
    browser.put(identity, BIG)
    browser.show(identity, http2=http2, abort_after=100_000)
    assert browser.stream(identity)["state"] == "interrupted"
    assert browser.running.rows("SELECT * FROM assets WHERE id = ? AND sha256 IS NOT NULL", identity) == []


@HTTP
@pytest.mark.parametrize("at_storage", [True, False], ids=["storage", "estuary"])
def test_a_part_is_no_file_but_a_part_that_is_all_of_it_is(browser: Browser, at_storage: bool, http2: bool) -> None:
    identity = f"file-part{at_storage}{http2}"
    data = browser.put(identity, png(20, 10, identity.encode() * 500), at_storage=at_storage)
    url = browser.url_of(identity)
    for asked in ("bytes=0-99", "bytes=100-"):
        received = browser.fetch(url, http2=http2, headers=[("range", asked)])
        assert (received.status, received.body) == (206, data[:100] if asked == "bytes=0-99" else data[100:])
    browser.fetch(url, http2=http2, method="HEAD")
    whole = browser.fetch(url, http2=http2, headers=[("range", "bytes=0-")])
    assert (whole.status, whole.body) == (206, data)
    assert browser.stored(identity) == data
    query = "SELECT status_code FROM streams WHERE kind = 'asset' AND (path LIKE ?1 OR parameters LIKE ?1)"
    assert browser.running.rows(query, f"%{identity}%") == [{"status_code": 206}]


def test_an_id_with_a_sign_in_it_and_a_name_that_climbs(browser: Browser) -> None:
    data = browser.put("file_1*p_3.jpg", png(9, 9), name="../../x.png")
    assert browser.show("file_1*p_3.jpg").body == data
    assert browser.stored("file_1#p_3.jpg") == data
    assert browser.asset("file_1#p_3.jpg")["name"] == "x.png"
    assert not list(browser.running.database.parent.parent.glob("**/x.png"))


def test_what_the_service_refuses_is_on_record(browser: Browser) -> None:
    browser.fetch("https://chatgpt.com/backend-api/files/download/file-gone")
    row = browser.running.wait("SELECT error FROM assets WHERE id = 'file-gone'")[0]
    assert row["error"] == "file_not_found"


def test_a_page_of_html_is_no_image(browser: Browser) -> None:
    browser.put("file-html", b"<!DOCTYPE html><title>Just a moment...</title>", content_type="image/png")
    browser.show("file-html")
    assert browser.stream("file-html")["error"] == "an HTML page instead of a file"


def test_a_killed_recorder_leaves_no_half_file_and_nothing_twice(tmp_path: Path) -> None:
    site = Site()
    with capture(tmp_path, respond=site) as running:
        browser = Browser(running, site)
        browser.put("file-big", BIG, delay=0.005)
        url = browser.url_of("file-big")
        received: list[Received] = []
        thread = threading.Thread(target=lambda: received.append(browser.fetch(url)))
        thread.start()
        incoming = media_folder(running.database) / "incoming"
        deadline = time.monotonic() + 10
        while not incoming.exists() or not any(path.stat().st_size > 1_000_000 for path in incoming.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(recorder_of(running.proxy.process.pid), signal.SIGKILL)
        thread.join()
        assert received[0].body == BIG
        running.wait("SELECT 1 FROM assets WHERE sha256 IS NOT NULL", seconds=20)
        assert running.proxy.stop() == 0
        digest = hashlib.sha256(BIG).hexdigest()
        assert files_of(running.database) == [f"{digest[:2]}/{digest}.bin"]
        assert running.rows("SELECT count(*) AS n FROM asset_files") == [{"n": 1}]


def test_a_killed_mitmdump_leaves_no_half_file(tmp_path: Path) -> None:
    site = Site()
    with capture(tmp_path, respond=site) as running:
        browser = Browser(running, site)
        browser.put("file-big", BIG, pieces=100_000, delay=0.02)
        url = browser.url_of("file-big")
        thread = threading.Thread(target=browser.fetch, args=(url,))
        thread.start()
        incoming = media_folder(running.database) / "incoming"
        deadline = time.monotonic() + 10
        while not incoming.exists() or not list(incoming.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        running.proxy.stop(signal.SIGKILL)
        thread.join()
        row = running.wait("SELECT state, error FROM streams WHERE kind = 'asset'")[0]
        assert row["state"] == "interrupted"
        assert row["error"].startswith("cut after ")
        deadline = time.monotonic() + 10
        while list(inflight_folder(running.database).iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert files_of(running.database) == []


def test_a_media_folder_that_takes_nothing_costs_the_files_alone_and_they_wait(tmp_path: Path) -> None:
    site = Site()
    database = tmp_path / "chatgpt.db"
    with capture(tmp_path, respond=site) as running:
        browser = Browser(running, site)
        browser.put(IDENTITY, PICTURE)
        folder = media_folder(database)
        folder.rmdir()
        folder.write_text("in the way")
        assert browser.show(IDENTITY).body == PICTURE
        stream = running.wait("SELECT state, error FROM streams WHERE kind = 'asset'")[0]
        assert stream == {"state": "error", "error": "the file could not be stored: not a folder of this user"}
        running.ask("Draw the tide")
        running.wait("SELECT 1 FROM messages WHERE id = ?", SCENE.answer_id)
        running.proxy.wait_for_log("its bytes wait in", 10)
        assert running.proxy.stop() == 0
    folder.unlink()
    assert len(list(inflight_folder(database).iterdir())) == 1
    with capture(tmp_path, respond=site) as running:
        running.wait("SELECT 1 FROM assets WHERE id = ? AND variant = 'original' AND sha256 IS NOT NULL", IDENTITY)
        assert running.proxy.stop() == 0
    row = rows(database, "SELECT asset_path FROM image_gallery")[0]
    assert (media_folder(database) / row["asset_path"]).read_bytes() == PICTURE
    assert rows(database, "SELECT state FROM streams WHERE kind = 'asset'") == [{"state": "complete"}]
    assert not list(inflight_folder(database).iterdir())


def test_no_signature_is_written_anywhere_and_all_is_the_persons_alone(tmp_path: Path) -> None:
    site = Site()
    before = os.umask(0)
    try:
        with capture(tmp_path, respond=site) as running:
            browser = Browser(running, site)
            for identity, at_storage in (("file-1", True), ("file_2", False), ("file_3*wm", False)):
                browser.put(identity, png(200, 100, identity.encode()), at_storage=at_storage)
                browser.show(identity)
            browser.put("file-4", BIG, at_storage=True, end="cut", pieces=100_000)
            browser.show("file-4", http2=False)
            running.ask("Draw the tide")
            running.wait("SELECT 1 FROM files WHERE thumbnail_path IS NOT NULL")
            assert running.proxy.stop() == 0
    finally:
        os.umask(before)
    ours = [
        path for path in tmp_path.rglob("*") if path.name.startswith("chatgpt.db") or "chatgpt.db-media" in str(path)
    ]
    assert len([path for path in ours if path.suffix == ".webp"]) == 3
    for path in ours:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
        data = b"" if path.is_dir() else path.read_bytes()
        assert [secret for secret in URL_SECRETS if secret.encode() in data] == [], path
    bodies = rows(running.database, "SELECT body FROM stream_bodies")
    assert [s for s in URL_SECRETS for row in bodies if s.encode() in decompress(row["body"] or b"")] == []

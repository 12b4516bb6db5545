"""The pages in a real Chromium: they look, move and keep to themselves as they should, whatever the archive holds."""

import contextlib
import hashlib
import http.server
import itertools
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest

from addon.answers.capture import Capture
from addon.exchange import Closing
from analysis.browse.files import media_folder
from analysis.queries.named import QUESTIONS
from analysis.schema import descriptions
from scripts import loopback, scenes
from tests.browsing import Running, chromium, running
from tests.conftest import capture
from tests.hostile_texts import HOSTILE, SVG, TITLE, hostile_archive
from tests.recording import FINISHED, TEXT, Archive, delta, event, message, opening, request, shown, v1

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium: apt-get install chromium")

WIDTHS = {"phone": (390, 844), "wide": (1440, 900)}
SCHEMES = ("light", "dark")
AXE = {("light", "phone"), ("dark", "wide")}


@dataclass
class Seen:
    """What a page did besides being there."""

    page: Any
    trouble: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


class Browser:
    """A fresh profile for each look and width, logged in; `look` opens a page in it and notes what it does."""

    def __init__(self, browser: Any, server: Running) -> None:
        self._browser, self._server = browser, server
        self._contexts: dict[tuple[str, str], Any] = {}

    @property
    def base(self) -> str:
        return self._server.base

    def context(self, scheme: str = "light", width: str = "wide") -> Any:
        if (scheme, width) not in self._contexts:
            size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
            context = self._browser.new_context(color_scheme=scheme, viewport=size, reduced_motion="reduce")
            context.set_default_timeout(10_000)
            page = context.new_page()
            page.goto(self._server.address)
            page.close()
            self._contexts[scheme, width] = context
        return self._contexts[scheme, width]

    @contextlib.contextmanager
    def look(self, path: str, scheme: str = "light", width: str = "wide", pause: int = 200) -> Iterator[Seen]:
        seen = Seen(self.context(scheme, width).new_page())
        watch(seen)
        seen.page.goto(self.base + path)
        seen.page.wait_for_timeout(pause)
        yield seen
        seen.page.close()

    def close(self) -> None:
        for context in self._contexts.values():
            context.close()


@contextlib.contextmanager
def browsing(engine: Any, server: Running) -> Iterator[Browser]:
    browser = Browser(engine, server)
    yield browser
    browser.close()


def watch(seen: Seen) -> None:
    page = seen.page
    page.on("console", lambda said: seen.trouble.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: seen.trouble.append(str(error)))

    def dismiss(dialog: Any) -> None:
        seen.trouble.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("request", lambda asked: seen.requests.append(asked.url))


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    flags = [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--no-first-run",
    ]  # fmt: skip
    with sync_playwright() as playwright:
        engine = playwright.chromium.launch(executable_path=chromium(), args=flags)
        yield engine
        engine.close()


@pytest.fixture(scope="module")
def browser(engine: Any, showcase: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running(showcase, tmp_path_factory.mktemp("state")) as server, browsing(engine, server) as browser:
        yield browser


def path_of(database: Path, query: str) -> str:
    with contextlib.closing(sqlite3.connect(database)) as db:
        return "/-/archive/" + str(db.execute(query).fetchone()[0])


PAGES = {
    "home": "/",
    "search": "/-/archive?q=tide",
    "nothing found": "/-/archive?q=xyzzy",
    "thread": "SELECT 'c/' || conversation_id FROM messages WHERE text LIKE '%Rayleigh found%'",
    "thread with a plot": "SELECT 'c/' || conversation_id FROM messages WHERE text LIKE 'Plot two days%'",
    "thread with sources": "SELECT 'c/' || conversation_id FROM messages WHERE text LIKE '%Northern Lens Observatory?%'",
    "thread from right to left": "SELECT 'c/' || id FROM conversations WHERE title LIKE 'لماذا%'",
    "thread with 100 kB": "SELECT 'c/' || id FROM conversations WHERE title LIKE 'A log of%'",
    "thread with a document": "SELECT 'c/' || id FROM conversations WHERE title LIKE 'Three days%'",
    "images": "/-/archive/images",
    "image": "SELECT 'images/' || id FROM image_generations WHERE parent_gen_id IS NOT NULL",
    "usage": "/-/archive/usage?from=&to=",
    "exchange": "SELECT 'streams/' || stream_id FROM messages WHERE text LIKE '%Rayleigh found%'",
    "health": "/-/archive/health",
    "not there": "/-/archive/c/nobody",
    "tables": "/-/tables",
    "database": "/chatgpt",
    "table": "/chatgpt/messages?_size=10",
    "row": "/chatgpt/messages/1",
    "view": "/chatgpt/image_gallery?_size=10",
    "named query": "/chatgpt/prompts_per_month",
    "own query": "/chatgpt?sql=select+title+from+conversations+limit+10",
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_each_page_is_sound_in_light_and_dark_on_a_phone_and_wide(browser: Browser, showcase: Path, name: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    path = PAGES[name] if PAGES[name].startswith("/") else path_of(showcase, PAGES[name])
    for scheme in SCHEMES:
        for width in WIDTHS:
            with browser.look(path, scheme, width) as seen:
                if name == "usage":
                    seen.page.wait_for_function("() => document.querySelectorAll('.plot svg').length >= 8")
                said = [words for words in seen.trouble if name != "not there" or "404 (Not Found)" not in words]
                others = [url for url in seen.requests if not url.startswith((browser.base + "/", "data:"))]
                assert (said, others) == ([], []), (scheme, width)
                wider = seen.page.evaluate(
                    "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                )
                assert wider == 0, (scheme, width)
                if (scheme, width) in AXE:
                    found = Axe().run(seen.page).response["violations"]
                    serious = [(one["id"], one["nodes"]) for one in found if one["impact"] in ("serious", "critical")]
                    assert serious == [], (scheme, width)


# What a person does


def test_a_search_leads_to_the_hit_marked_in_its_thread(browser: Browser) -> None:
    with browser.look("/") as seen:
        page = seen.page
        page.keyboard.press("/")
        page.keyboard.type("butterscotch")
        page.keyboard.press("Enter")
        page.wait_for_selector("mark")
        page.click(".hit")
        page.wait_for_selector(".message.here")
        assert "butterscotch" in page.inner_text(".message.here")
        assert page.evaluate("[...CSS.highlights.get('words')].map(String)") == ["butterscotch"]
        box = page.locator(".message.here").bounding_box()
        assert 0 <= box["y"] < 900
        assert seen.trouble == []


def test_a_hit_in_a_folded_step_opens_it(browser: Browser) -> None:
    with browser.look("/-/archive?q=draught") as seen:
        page = seen.page
        page.locator(".hit", has_text="Tools").or_(page.locator(".hit", has_text="draught 6.2")).first.click()
        page.wait_for_selector(".message.here")
        assert page.locator(".message.here").is_visible()


def test_branches_are_switched(browser: Browser, showcase: Path) -> None:
    with browser.look(path_of(showcase, PAGES["thread"])) as seen:
        page = seen.page
        assert page.locator(".branch > span[title]").all_inner_texts() == ["2/2", "3/3"]
        page.locator(".branch a").first.click()
        page.wait_for_selector(".person >> text=why is sky blue")
        assert page.locator(".branch > span[title]").all_inner_texts() == ["1/2"]
        page.click("[aria-label='Later version']")
        page.wait_for_selector(".person >> text=And on Mars?")


def test_the_keyboard_goes_from_message_to_message(browser: Browser, showcase: Path) -> None:
    with browser.look(path_of(showcase, PAGES["thread"])) as seen:
        page, focused = seen.page, "document.activeElement.id"
        page.keyboard.press("j")
        first = page.evaluate(focused)
        page.keyboard.press("j")
        second = page.evaluate(focused)
        page.keyboard.press("k")
        assert (first.startswith("m-"), second != first, page.evaluate(focused)) == (True, True, first)


def test_from_the_gallery_to_the_image_its_line_and_its_thread(browser: Browser) -> None:
    with browser.look("/-/archive/images") as seen:
        page = seen.page
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Enter")
        page.wait_for_selector(".stage img")
        assert page.locator(".lineage li").count() == 4
        assert page.locator(".lineage .here").count() == 1
        shown = page.inner_text("h1")
        page.locator(".lineage .made:not(.here)").first.click()
        page.wait_for_selector(".stage img")
        beside = page.inner_text("h1")
        assert beside != shown
        assert page.evaluate("document.querySelector('.stage img').naturalWidth") > 0
        page.keyboard.press("ArrowLeft")
        page.wait_for_function("title => document.querySelector('h1').innerText !== title", arg=beside)
        page.click(".about-image .in a")
        page.wait_for_selector(".message.here img")
        assert seen.trouble == []


def test_charts_lead_to_their_sql_and_csv(browser: Browser) -> None:
    with browser.look("/-/archive/usage?from=&to=") as seen:
        page = seen.page
        page.wait_for_selector("#prompts_per_day svg rect")
        csv = page.locator("#prompts_per_day a", has_text="CSV").get_attribute("href")
        assert page.request.get(page.url.partition("/-/")[0] + csv).text().startswith("day,prompts")
        page.click("#prompts_per_day a >> text=SQL")
        page.wait_for_selector("table.rows-and-columns")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_least_of_the_hours_stands_out_from_the_card(browser: Browser, scheme: str) -> None:
    fills = "() => [...document.querySelectorAll('#prompts_by_hour_weekday rect[fill]')].map(one => one.getAttribute('fill'))"
    card = "() => getComputedStyle(document.querySelector('.chart')).backgroundColor"
    with browser.look("/-/archive/usage?from=&to=", scheme) as seen:
        seen.page.wait_for_selector("#prompts_by_hour_weekday rect[fill]")
        shown = {light(fill) for fill in seen.page.evaluate(fills)}
        behind = light(seen.page.evaluate(card))
    assert len(shown) > 2
    assert min(contrast(behind, one) for one in shown) > 1.3


def light(colour: str) -> float:
    """The relative luminance of `rgb(...)`, as WCAG counts it."""
    parts = [int(part) / 255 for part in re.fullmatch(r"rgb\((\d+), (\d+), (\d+)\)", colour).groups()]  # type: ignore[union-attr]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def test_the_chart_of_prompts_says_what_a_bar_stands_for(engine: Any, tmp_path: Path) -> None:
    archive = Archive(tmp_path / "chatgpt.db")
    for n in range(2):
        said = message(
            f"u{n}", "Why?", author={"role": "user"}, status=FINISHED, create_time=1_790_000_000 + n * 17_280_000
        )
        archive.record(v1(shown(said)), stream_id=f"s{n}", started_at=1_790_000_000_000_000 + n * 17_280_000_000_000)
    archive.store.close()
    told = {}
    with running(archive.path, tmp_path / "state") as server, browsing(engine, server) as browser:
        for width in WIDTHS:
            with browser.look("/-/archive/usage?from=&to=", width=width) as seen:
                seen.page.wait_for_selector("#prompts_per_day svg rect")
                told[width] = [seen.page.inner_text(f"#prompts_per_day figcaption {part}") for part in ("h2", "p")]
    assert told["wide"] == ["Prompts per day", "How many messages you sent on each day."]
    assert told["phone"] == [
        "Prompts per week",
        "How many messages you sent in each week.",
    ]


def test_no_words_over_the_curve_of_an_exchange_stand_on_others(engine: Any, tmp_path: Path) -> None:
    archive = Archive(tmp_path / "chatgpt.db")
    begun = 1_790_000_000_000_000
    capture = Capture(opening(stream_id="close", started_at=begun), request("u1"))
    archive.store.write(capture.begin())
    archive.store.write(capture.feed(v1(shown(message("a")), done=False), begun + 1_000_000))
    archive.store.write(capture.feed(event(delta(TEXT, "append", "Tides."), "delta"), begun + 1_200_000))
    archive.store.write(capture.feed(event(b"[DONE]"), begun + 9_000_000))
    archive.store.write(capture.close(Closing("end"), begun + 9_000_000))
    archive.store.close()
    boxes = """() => [...document.querySelectorAll('#curve text')]
        .filter(text => /first|end/.test(text.textContent))
        .map(text => text.getBoundingClientRect()).map(box => [box.left, box.right, box.top, box.bottom])"""
    with running(archive.path, tmp_path / "state") as server, browsing(engine, server) as browser:
        for width in WIDTHS:
            with browser.look("/-/archive/streams/close", width=width) as seen:
                seen.page.wait_for_selector("#curve svg")
                shown_at = seen.page.evaluate(boxes)
            assert len(shown_at) == 3
            for (left, right, top, bottom), other in itertools.combinations(shown_at, 2):
                beside = right <= other[0] or other[1] <= left
                assert beside or bottom <= other[2] + 2 or other[3] <= top + 2


def test_code_can_be_copied(browser: Browser, showcase: Path) -> None:
    browser.context().grant_permissions(["clipboard-read", "clipboard-write"])
    with browser.look(path_of(showcase, PAGES["thread"])) as seen:
        page = seen.page
        page.hover(".code")
        page.click(".copy")
        page.wait_for_selector(".copy >> text=Copied")
        assert page.evaluate("navigator.clipboard.readText()").startswith("ratio = (650e-9 / 450e-9) ** 4")


# While it is written


def test_a_message_grows_on_its_page_while_it_is_written_and_home_shows_it(engine: Any, tmp_path: Path) -> None:
    archive = Archive(tmp_path / "chatgpt.db")
    archive.record(
        v1(shown(message("old", "Said before.", status=FINISHED))), request("u0", "Before?"), stream_id="before"
    )
    with running(archive.path, tmp_path / "state") as server, browsing(engine, server) as browser:
        home, thread = browser.context().new_page(), browser.context().new_page()
        home.goto(server.base + "/")
        thread.goto(server.base + "/-/archive/c/talk")
        thread.wait_for_selector("text=Said before.")
        thread.evaluate("window.stays = true")

        now = int(time.time() * 1e6)
        capture = Capture(
            opening(stream_id="growing", started_at=now),
            request("u1", "And then?", conversation_id="talk", parent_message_id="old"),
        )
        archive.store.write(capture.begin())
        said = message("new", metadata={"parent_id": "u1"}, create_time=now / 1e6)
        begun = v1(shown(said), delta(TEXT, "append", "The tide "), done=False)
        archive.store.write([*capture.feed(begun, now + 1000), *capture.snapshot()])
        thread.wait_for_selector(".message.live >> text=The tide")
        home.wait_for_selector(".growing")
        archive.store.write([*capture.feed(event({"v": "comes **twice**"}, "delta"), now + 2000), *capture.snapshot()])
        thread.wait_for_selector(".message.live strong >> text=twice")
        assert thread.locator("#messages .message").count() == 4
        archive.store.write(
            capture.feed(event({"p": "/message/status", "o": "replace", "v": FINISHED}, "delta"), now + 3000)
        )
        archive.store.write(capture.close(Closing("end"), now + 4000))
        thread.wait_for_selector(".message:not(.live) strong >> text=twice")
        thread.wait_for_function("() => document.querySelectorAll('.live').length === 0")
        assert thread.evaluate("window.stays") is True
    archive.store.close()


def test_the_first_answer_takes_the_place_of_the_invitation_and_its_title_that_of_none(
    engine: Any, tmp_path: Path
) -> None:
    archive = Archive(tmp_path / "chatgpt.db")
    with running(archive.path, tmp_path / "state") as server, browsing(engine, server) as browser:
        page = browser.context().new_page()
        page.goto(server.base + "/")
        page.wait_for_selector(".empty >> text=Nothing here yet")
        assert above(page) == "0 conversations 0 messages 0 images nothing captured yet"

        now = int(time.time() * 1e6)
        capture = Capture(opening(stream_id="first", started_at=now), request("u1", "Why two tides?"))
        archive.store.write(capture.begin())
        said = message("new", metadata={"parent_id": "u1"}, create_time=now / 1e6)
        begun = v1(shown(said), delta(TEXT, "append", "The moon "), done=False)
        archive.store.write([*capture.feed(begun, now + 1000), *capture.snapshot()])
        page.wait_for_selector(".growing")
        assert page.locator(".empty").count() == 0
        assert above(page).startswith("1 conversation 2 messages 0 images last capture today")

        page.click("a.talk")
        page.wait_for_selector("h1 >> text=Untitled conversation")
        page.evaluate("window.stays = true")
        named = {"type": "title_generation", "title": "Two tides & a moon", "conversation_id": "talk"}
        archive.store.write(capture.feed(event(named), now + 2000))
        page.wait_for_selector("h1 >> text='Two tides & a moon'")
        assert page.title() == "Two tides & a moon · ChatGPT Capture"
        assert page.evaluate("window.stays") is True
        archive.store.write(capture.close(Closing("end"), now + 3000))
    archive.store.close()


def above(page: Any) -> str:
    """What stands over the list of conversations."""
    return " ".join(page.inner_text(".summary").split())


def test_an_answer_grows_on_its_page_while_mitmdump_captures_it(engine: Any, tmp_path: Path) -> None:
    prompt = "Why are there two tides a day?"
    scene = scenes.plain_answer(prompt, scenes.prose(110, "tides"), seed=prompt, user_message_id="asked")
    with capture(tmp_path / "capture") as capturing:
        capturing.answers[prompt] = loopback.answer(scene.events, coding="br", delay=0.1)
        asking = threading.Thread(target=capturing.ask, args=(prompt,), kwargs={"message_id": "asked"})
        asking.start()
        capturing.wait("SELECT 1 FROM messages WHERE live = 1")
        with running(capturing.database, tmp_path / "state") as server, browsing(engine, server) as browser:
            page = browser.context().new_page()
            page.goto(f"{server.base}/-/archive/c/{scene.conversation_id}")
            page.evaluate("window.stays = true")
            page.wait_for_selector(".message.live")
            lengths = {len(page.inner_text(".message.model .content")) for _ in polls(asking.is_alive)}
            page.wait_for_function("() => document.querySelectorAll('.live').length === 0")
            said = page.inner_text(".message.model .content").split()
            assert said == re.sub(r"[*`]", "", scene.text).split()
            assert page.evaluate("window.stays") is True
        asking.join()
    assert len(lengths) >= 3


def polls(go_on: Callable[[], bool]) -> Iterator[None]:
    while go_on():
        yield
        time.sleep(0.1)


# Nothing gets in, nothing gets out


class Trap(http.server.BaseHTTPRequestHandler):
    """A server elsewhere that notes who asks."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def trapping() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Noting", (Trap,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    # By another name: to a browser another site, and not one of the archive's own.
    yield f"http://trap.localhost:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


def test_the_trap_catches_a_naive_page(engine: Any) -> None:
    with trapping() as (address, asked):
        context = engine.new_context()
        page = context.new_page()
        page.set_content(
            f"<h1>{TITLE.format(trap=address)}</h1>" + "".join(text.format(trap=address) for text in HOSTILE.values())
        )
        page.wait_for_timeout(1_500)
        context.close()
    assert len(asked) >= 4


class Hostile(NamedTuple):
    """A hostile archive, a server of it, and who has asked the trap since."""

    database: Path
    server: Running
    browser: Browser
    asked: list[str]


@pytest.fixture(scope="module")
def hostile(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    folder = tmp_path_factory.mktemp("hostile")
    with trapping() as (address, asked):
        database = hostile_archive(folder / "chatgpt.db", address)
        with running(database, folder / "state") as server, browsing(engine, server) as browser:
            yield Hostile(database, server, browser, asked)


def hostile_pages(database: Path) -> list[str]:
    def addresses(place: str, query: str) -> list[str]:
        with contextlib.closing(sqlite3.connect(database)) as db:
            return [place.format(quote(str(row[0]), safe="")) for row in db.execute(query)]

    return [
        "/", "/-/archive?q=payload", "/-/archive?q=" + quote("<img src=x onerror=alert(1)>"), "/-/archive/images",
        "/-/archive/images?q=" + quote('"><script>window.pwned=1</script>'), "/-/archive/usage?from=&to=", "/-/archive/health",
        *addresses("/-/archive/c/{}?q=payload", "SELECT id FROM conversations"),
        *addresses("/-/archive/images/{}", "SELECT id FROM image_generations"),
        *addresses("/-/archive/streams/{}", "SELECT id FROM streams"),
    ]  # fmt: skip


def stock_pages() -> list[str]:
    return [
        "/-/tables", "/chatgpt", "/-/metadata", "/chatgpt?sql=select+*+from+messages",
        "/chatgpt?sql=select+text+as+%22%3Cscript%3Ewindow.pwned%3D1%3C%2Fscript%3E%22+from+messages",
        "/chatgpt/messages?_search=payload&_facet=text&_facet=model_slug", "/chatgpt/messages?text=%3Cscript%3E",
        *(f"/chatgpt/{table}?_size=50" for table in descriptions()),
        *(f"/chatgpt/messages/{n}" for n in range(1, 5)),
        *(f"/chatgpt/{name}?q=payload&id=1&seed=1&since=&until=" for name in QUESTIONS),
    ]  # fmt: skip


def test_a_hostile_archive_is_harmless_on_every_page(hostile: Hostile) -> None:
    pages = hostile_pages(hostile.database)
    assert len(pages) > 3 * len(HOSTILE)
    are_harmless(hostile, pages)


def test_a_hostile_archive_is_harmless_on_the_stock_pages(hostile: Hostile) -> None:
    are_harmless(hostile, stock_pages())


def are_harmless(hostile: Hostile, pages: list[str]) -> None:
    for path in pages:
        with hostile.browser.look(path, pause=0) as seen:
            seen.page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
            seen.page.wait_for_timeout(150)
            keeps_to_itself(seen, hostile.server.base, path)
    assert hostile.asked == []


def test_exports_and_the_report_of_a_hostile_archive_are_harmless(
    hostile: Hostile, engine: Any, tmp_path: Path
) -> None:
    for command in (
        ["export", "--html", "--tools", "--branches", str(tmp_path / "each")],
        ["export", "--html", "--single", "--tools", str(tmp_path / "one")],
        ["report", str(tmp_path / "year.html")],
    ):
        subprocess.run([sys.executable, "-m", "analysis", "--db", str(hostile.database), *command], check=True)
    files = sorted(tmp_path.rglob("*.html"))
    assert len(files) == len(HOSTILE) + 2
    context = engine.new_context()
    for file in files:
        seen = Seen(context.new_page())
        watch(seen)
        seen.page.goto(file.as_uri())
        seen.page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
        seen.page.wait_for_timeout(200)
        keeps_to_itself(seen, "file://", file.as_uri().removeprefix("file://"))
        seen.page.close()
    context.close()
    assert hostile.asked == []


def test_a_picture_with_a_script_is_only_saved(hostile: Hostile) -> None:
    digest = hashlib.sha256(SVG).hexdigest()
    place = media_folder(hostile.database) / digest[:2] / f"{digest}.png"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(SVG)
    page = hostile.browser.context().new_page()
    with page.expect_download() as download, contextlib.suppress(Exception):
        page.goto(f"{hostile.browser.base}/-/archive/file/{digest}")  # raises, since no page comes of it
    assert download.value.path().read_bytes() == SVG
    page.close()


def keeps_to_itself(seen: Seen, base: str, path: str) -> None:
    page = seen.page
    assert seen.trouble == [], path
    assert page.url == base + path, path
    others = [url for url in seen.requests if not url.startswith((base + "/", "data:image/svg+xml"))]
    assert others == [], path
    assert page.evaluate("window.pwned === undefined"), path
    active = "iframe, object, embed, base, meta[http-equiv]:not([http-equiv='Content-Security-Policy'])"
    assert page.locator(active).count() == 0, path
    assert page.locator("a[href^='javascript:' i], a[href^='data:' i], form[action^='http']").count() == 0, path

"""The pages answer, say what is wrong, and let nobody else in."""

import asyncio
import contextlib
import ctypes
import json
import math
import os
import re
import shutil
import socket
import sqlite3
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import click
import pytest

from addon.archive import media_folder as captured_to
from analysis.browse import stock
from analysis.browse.access import kept_secret
from analysis.browse.files import media_folder
from analysis.browse.images_page import Patience, look
from analysis.browse.server import check, listening
from analysis.browse.site import Problem, Site
from analysis.browse.times import moment
from analysis.browse.usage_page import Charts, Rows
from analysis.queries import open_archive
from analysis.queries.conversations import conversations
from analysis.queries.named import QUESTIONS
from analysis.schema import descriptions
from scripts.showcase.pictures import landscape
from scripts.showcase.talks import draw
from scripts.showcase.writer import Archive as showcase_archive
from scripts.showcase.writer import Talk
from tests.asking import ask
from tests.browsing import SECRET, Client, fetch, running
from tests.recording import FINISHED, Archive, envelope, message, v0


@pytest.fixture(scope="module")
def client(showcase: Path) -> Client:
    return Client(showcase)


@pytest.fixture(scope="module")
def ids(showcase: Path) -> dict[str, str]:
    """Something of each kind, by name."""
    with contextlib.closing(sqlite3.connect(showcase)) as db:
        talk, message = db.execute(
            "SELECT conversation_id, id FROM messages WHERE text LIKE '%Rayleigh found%'"
        ).fetchone()
        other = db.execute("SELECT id FROM messages WHERE conversation_id <> ? LIMIT 1", (talk,)).fetchone()[0]
        stream = db.execute("SELECT stream_id FROM messages WHERE id = ?", (message,)).fetchone()[0]
        image, digest = db.execute(
            "SELECT g.id, a.sha256 FROM image_generations g JOIN assets a ON a.id = g.asset_id WHERE g.parent_gen_id IS NOT NULL AND a.sha256 IS NOT NULL"
        ).fetchone()
    return {"talk": talk, "message": message, "other": other, "stream": stream, "image": str(image), "digest": digest}


PAGES = [
    "/", "/?before=2026-11-20T10", "/-/archive", "/-/archive?q=tide", "/-/archive?q=tide&role=user&model=gpt-5&from=2026-01-01&to=2026-12-31&sort=old",
    "/-/archive/c/{talk}", "/-/archive/c/{talk}?at={message}&q=blue", "/-/archive/images", "/-/archive/images?q=valley",
    "/-/archive/images/{image}", "/-/archive/usage", "/-/archive/usage?from=&to=", "/-/archive/health", "/-/archive/streams/{stream}",
    "/-/tables", "/chatgpt", "/chatgpt/messages", "/chatgpt/conversations", "/chatgpt/turns", "/chatgpt/image_gallery", "/chatgpt/messages/1",
    "/chatgpt?sql=select+1",
]  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_each_page_answers_and_may_load_nothing_from_elsewhere(client: Client, ids: dict[str, str], page: str) -> None:
    answer = client.ask(page.format(**ids))
    assert answer.status_code == 200, answer.text[:500]
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.partition("style-src")[0]
    assert "unsafe-eval" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "DENY"
    loaded = re.findall(
        r'(?:src|href)="(https?://[^"]+)"', re.sub(r'<a [^>]*>|<link rel="alternate"[^>]*>', "", answer.text)
    )
    assert loaded == []
    for script in re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL):
        assert allowed_by(policy, script)


def allowed_by(policy: str, script: str) -> bool:
    import base64
    import hashlib

    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy


@pytest.mark.parametrize("name", QUESTIONS)
def test_each_named_question_is_answered_as_a_page_as_json_and_as_csv(client: Client, name: str) -> None:
    given = "q=calm&id=1&seed=1&since=&until="
    assert client.ask(f"/chatgpt/{name}?{given}").status_code == 200
    rows = client.ask(f"/chatgpt/{name}.json?_shape=array&{given}")
    assert rows.status_code == 200, rows.text
    assert client.ask(f"/chatgpt/{name}.csv?{given}").status_code == 200
    if name in (
        "prompts_per_day",
        "answers_by_model_month",
        "longest_conversations",
        "image_prompts",
        "time_to_first_token_by_model",
        "conversation_lengths",
    ):
        assert rows.json()


def test_each_table_and_column_is_described_where_it_is_shown(client: Client) -> None:
    for name, described in descriptions().items():
        page = client.ask(f"/chatgpt/{name}?_size=1")
        assert page.status_code == 200, name
        assert described.text.replace("'", "&#39;").replace('"', "&#34;") in page.text, name
        assert page.text.count("<dd>") == len(described.columns), name


def test_a_view_made_anew_from_all_of_the_archive_does_not_count_its_rows(client: Client) -> None:
    words = "Not counted: this view is made anew from the whole archive each time."
    page = client.ask("/chatgpt/turns?_size=3").text
    assert (words in page, "<h3>3 rows" in page) == (True, False)
    whole = client.ask("/chatgpt/model_usage").text
    rows = len(client.ask("/chatgpt/model_usage.json?_shape=array").json())
    assert (words in whole, re.findall(r"<h3>(\d+) rows", whole)) == (False, [str(rows)])
    assert words not in client.ask("/chatgpt/messages?_size=3").text
    counts = [
        client.ask(f"/chatgpt/turns.json?{given}").json()["filtered_table_rows_count"] for given in ("", "_nocount=")
    ]
    assert counts == [None, len(client.ask("/chatgpt/turns.json?_shape=array&_size=max").json())]


def test_a_facet_that_a_page_has_anyway_is_counted_once(client: Client) -> None:
    asked = "_facet=role&_facet=author_name&text__contains=%26"
    found = client.ask(f"/chatgpt/messages.json?{asked}").json()
    assert sorted(found["facet_results"]) == ["author_name", "content_type", "model_slug", "role"]
    assert found["filtered_table_rows_count"] == 1


def test_of_a_large_archive_only_what_is_quick_is_sorted_and_counted(
    showcase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {
        "/chatgpt/messages?_sort=created_at": 400, "/chatgpt/messages?_sort=role": 200, "/chatgpt/messages": 200,
        "/chatgpt/turns?_sort_desc=seconds": 400, "/chatgpt/turns?_facet=state": 400, "/chatgpt/turns": 200,
        "/chatgpt/conversations?_sort=title&_facet=gizmo_id": 200, "/chatgpt/streams?_facet=kind": 200,
    }  # fmt: skip
    answers = []
    for largest in (1_000_000, 5):
        monkeypatch.setattr(stock, "LARGE", largest)
        stock._is_large.cache_clear()
        client = Client(showcase)
        answers.append({address: client.ask(address) for address in asked})
        offered = "DATASETTE_ALLOW_FACET = true" in client.ask("/chatgpt/turns").text
        assert offered == (largest == 1_000_000)
    stock._is_large.cache_clear()
    small, large = answers
    assert {answer.status_code for answer in small.values()} == {200}
    assert {address: answer.status_code for address, answer in large.items()} == asked
    assert "The facets of streams and messages are there at once." in large["/chatgpt/turns?_facet=state"].text


def test_the_tables_of_datasette_itself_are_not_among_those_of_the_archive(client: Client) -> None:
    assert "_internal" not in client.ask("/-/tables").text
    assert [client.ask(f"/_internal{page}").status_code for page in ("", "/databases", ".json?sql=select+1")] == [
        403
    ] * 3


def test_cells_of_stock_tables_lead_to_pages(client: Client, ids: dict[str, str]) -> None:
    page = client.ask(f"/chatgpt/image_generations?id={ids['image']}").text
    assert f'href="/-/archive/images/{ids["image"]}">The same valley' in page
    assert re.search(r'href="/-/archive/c/[0-9a-f-]+">A valley in spring<', page)
    assert f'src="/-/archive/thumb/{ids["digest"]}"' in client.ask(f"/chatgpt/assets?sha256={ids['digest']}").text


# Threads


def test_a_thread_shows_its_branch_and_what_stands_beside(client: Client, ids: dict[str, str]) -> None:
    page = client.ask(f"/-/archive/c/{ids['talk']}").text
    assert "why is sky blue" not in re.sub(r"<title>.*?</title>", "", page)
    assert re.findall(r">(\d/\d)<", page) == ["2/2", "3/3"]
    earlier = re.findall(r'href="(/-/archive/c/[^"]+)" aria-label="Earlier version"', page)
    before = client.ask(earlier[0].replace("&amp;", "&")).text
    assert "why is sky blue" in before
    assert re.findall(r">(\d/\d)<", before) == ["1/2"]


def test_an_answer_says_model_first_token_and_duration(client: Client, ids: dict[str, str]) -> None:
    page = client.ask(f"/-/archive/c/{ids['talk']}").text
    assert "gpt-5-5" in page
    assert "asked for auto" in page
    assert re.search(r"first token [\d.]+ s", page)
    assert re.search(r"done [\d.]+ s", page)


def test_answers_that_are_not_whole_say_so(client: Client, showcase: Path) -> None:
    with contextlib.closing(sqlite3.connect(showcase)) as db:
        talk = db.execute("SELECT conversation_id FROM messages WHERE text LIKE 'List every lighthouse%'").fetchone()[0]
    page = client.ask(f"/-/archive/c/{talk}").text
    for words in ("Not finished", "Cut off at the model&#39;s limit", "Stopped", "ToolRateLimitException"):
        assert words in page


def test_a_question_that_was_not_answered_says_why(tmp_path: Path) -> None:
    database = tmp_path / "chatgpt.db"
    archive = showcase_archive(database)
    talk = Talk(archive, "Unanswered", 1_790_000_000_000_000)
    talk.ask("Too soon?", status=429)
    talk.ask("Cut off?", ended="cut")
    talk.ask("Answered?", talk.say("Yes."))
    archive.close()
    page = Client(database).ask(f"/-/archive/c/{talk.id}").text
    assert re.findall(r'class="note">([^<]+)<', page) == [
        "No answer: the service said 429 Too Many Requests",
        "No answer: connection closed",
    ]


def test_how_long_the_model_thought_is_the_line_above_its_steps(client: Client, showcase: Path) -> None:
    with contextlib.closing(sqlite3.connect(showcase)) as db:
        talk = db.execute("SELECT id FROM conversations WHERE title LIKE 'Which harbour%'").fetchone()[0]
    page = client.ask(f"/-/archive/c/{talk}").text
    line = re.search(r'<details class="steps"><summary><span dir="auto">([^<]+)</span> <span[^>]*>([^<]+)<', page)
    assert line is not None
    assert line[1] == "Thought for 52s"
    assert line[2].startswith("Looking at harbour depth chart \u00b7 Searched the web")


def test_a_long_conversation_is_shown_in_pieces(tmp_path: Path, showcase: Path) -> None:
    database = copied(showcase, tmp_path)
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        db.execute(
            "INSERT INTO conversations (id, title, first_seen_at, last_seen_at) VALUES ('long', 'Long', '2026', '2026')"
        )
        db.executemany(
            "INSERT INTO messages (id, conversation_id, parent_id, role, content_type, text, content, visible, created_at) VALUES (?, 'long', ?, ?, 'text', ?, ?, 1, ?)",
            [
                (f"m{n}", f"m{n - 1}", "user" if n % 2 else "assistant", f"words {n}", "{}", f"2026-01-01T{n:06d}")
                for n in range(450)
            ],
        )
    client = Client(database)
    last = client.ask("/-/archive/c/long").text
    assert ("words 449" in last, "words 299<" in last, "300 earlier messages" in last) == (True, False, True)
    first = client.ask("/-/archive/c/long?page=0").text
    assert ("words 0<" in first, "words 149<" in first, "300 later messages" in first) == (True, True, True)
    at = client.ask("/-/archive/c/long?at=m210").text
    assert ("words 210<" in at, "150 earlier messages" in at, "150 later messages" in at) == (True, True, True)


def test_canvas_documents_stand_under_the_thread_as_they_were_last(
    tmp_path: Path, showcase: Path, ids: dict[str, str]
) -> None:
    database = copied(showcase, tmp_path)
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        db.executemany(
            "INSERT INTO canvas_documents (id, version, conversation_id, title, textdoc_type, content) VALUES ('d', ?, ?, 'Tide table', 'document', ?)",
            [(1, ids["talk"], "# first"), (2, ids["talk"], "# second *state*")],
        )
    page = Client(database).ask(f"/-/archive/c/{ids['talk']}").text
    assert "second <em>state</em>" in page
    assert "2 versions" in page
    assert ">first<" not in page


def test_what_is_written_is_news_and_what_was_seen_is_not(client: Client, ids: dict[str, str]) -> None:
    page = client.ask(f"/-/archive/c/{ids['talk']}").text
    address = re.search(r'data-news="([^"]+)"', page)
    seen = re.search(r'data-seen="([^"]+)"', page)
    assert address is not None
    assert seen is not None
    news = client.ask(f"{address[1].replace('&amp;', '&')}&seen={seen[1]}").json()
    assert (news["html"].strip(), news["live"], news["seen"]) == ("", False, seen[1])
    news = client.ask(f"{address[1].replace('&amp;', '&')}&seen=2020").json()
    assert "And on Mars?" in news["html"]


def test_the_list_of_conversations_is_news_when_it_changes(client: Client) -> None:
    seen = re.search(r'data-seen="([^"]+)"', client.ask("/").text)
    assert seen is not None
    assert client.ask(f"/-/archive/recent?seen={seen[1]}").json() == {"seen": seen[1], "changed": False, "html": ""}
    assert "A valley in spring" in client.ask("/-/archive/recent?seen=x").json()["html"]


def test_older_conversations_follow_page_by_page_each_once(client: Client, showcase: Path) -> None:
    found = listed(client)
    with contextlib.closing(sqlite3.connect(showcase)) as db:
        count = db.execute("SELECT count(DISTINCT conversation_id) FROM messages").fetchone()[0]
    assert len(found) == len(set(found)) == count > 40


def listed(client: Client) -> list[str]:
    """The conversations of all pages of the list, by id."""
    found: list[str] = []
    address = "/"
    while address:
        page = client.ask(address).text
        found += re.findall(r'class="talk[^"]*" href="/-/archive/c/([^"]+)"', page)
        more = re.search(r'href="(/\?before=[^"]+)">Older', page)
        address = more[1] if more else ""
    return found


def test_conversations_are_listed_by_their_newest_message_and_without_one_where_they_changed(tmp_path: Path) -> None:
    database = tmp_path / "chatgpt.db"
    archive = showcase_archive(database)
    talk = Talk(archive, "Spoken", 1_790_000_000_000_000)  # 2026-09-21
    talk.ask("Now?", talk.say("Now."))
    archive.close()
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        at: list[tuple[str, str | None, str | None]] = [
            (f"named{n:02}", "2026-10-01T00:00:00Z", None) for n in range(50)
        ]
        at += [("undated", "2026-09-20", None), ("tools", None, "2026-09-19"), ("nowhere", None, None)]
        db.executemany("INSERT INTO conversations (id, updated_at, last_seen_at) VALUES (?, ?, ?)", at)
        said = [("a", "undated", "user", None), ("b", "tools", "tool", "2026-11-01T00:00:00Z")]
        db.executemany("INSERT INTO messages (id, conversation_id, role, created_at) VALUES (?, ?, ?, ?)", said)
    named = [f"named{n:02}" for n in reversed(range(50))]
    assert listed(Client(database)) == ["tools", *named, talk.id, "undated", "nowhere"]
    with contextlib.closing(open_archive(database)) as db:  # as the command line lists them
        assert [row.id for row in conversations(db)] == ["tools", *named, talk.id, "undated", "nowhere"]


# Search


def test_a_hit_leads_to_its_place_in_its_thread(client: Client) -> None:
    page = client.ask("/-/archive?q=butterscotch").text
    assert "<mark>butterscotch</mark>" in page
    address = re.search(r'class="hit" href="([^"#]+)#(m-\d+)"', page)
    assert address is not None
    thread = client.ask(address[1].replace("&amp;", "&")).text
    assert f'id="{address[2]}"' in thread
    assert f'data-at="{address[2]}"' in thread
    assert 'data-words="butterscotch"' in thread


@pytest.mark.parametrize("words", ["x" * 10_000, '"', "NEAR(", "a AND", "<script>alert(1)</script>", "\x00", "%", "量"])
def test_whatever_is_looked_for_there_is_an_answer(client: Client, words: str) -> None:
    answer = client.ask("/-/archive", params={"q": words})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text


def test_many_hits_of_one_conversation_do_not_hide_the_others(client: Client) -> None:
    page = client.ask("/-/archive?q=valley").text
    _, found, rest = page.partition('dir="auto"><a href="/-/archive/c/')
    shown, more, folded = rest.partition(" more in this conversation</summary>")
    assert (bool(found), shown.count('class="hit"'), bool(more), 'class="hit"' in folded) == (True, 4, True, True)


def test_an_image_says_which_one_it_was_made_from(tmp_path: Path) -> None:
    database = tmp_path / "chatgpt.db"
    archive = showcase_archive(database)
    talk = Talk(archive, "Two ways on", 1_790_000_000_000_000)
    size = (64, 64)
    first = draw(talk, "One", "First", archive.file("one", landscape(1, "dawn", *size)), size, None)
    draw(talk, "Two", "Second", archive.file("two", landscape(2, "noon", *size)), size, first)
    draw(talk, "Three", "Third", archive.file("three", landscape(3, "dusk", *size)), size, first)
    archive.close()
    page = Client(database).ask("/-/archive/images/1").text
    line = page[page.index("From image to image") :]
    assert re.findall(r"<li( class=\"follows\")?>", line) == ["", ' class="follows"', ""]
    assert re.findall(r"made from (\d)", line) == ["1"]


# Files


def test_rare_words_are_looked_for_in_images_piece_by_piece(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "chatgpt.db")
    for n in range(9):
        archive.record(v0(envelope(generated(f"i{n}", "a whale" if n == 1 else "a lighthouse", n))), stream_id=f"s{n}")
    archive.store.close()
    with contextlib.closing(open_archive(archive.path)) as db:
        found, place, looks = [], None, 0
        while looks == 0 or place is not None:
            some, place = look(db, "whale", place, Patience(60, 3, 0.0))
            found += [image.message_id for image in some]
            looks += 1
        assert (found, looks) == (["i1"], 4)
        every, end = look(db, "", None, Patience(4, 3, 0.0))
        assert ([image.message_id for image in every], end) == (["i8", "i7", "i6"], (every[2].created_at, every[2].id))
        every, end = look(db, "", None, Patience(4, 3, math.inf))
        assert [image.message_id for image in every] == ["i8", "i7", "i6", "i5"]
        assert [image.message_id for image in look(db, "", end, Patience(9, 3, math.inf))[0]] == [
            "i4", "i3", "i2", "i1", "i0",
        ]  # fmt: skip


def generated(identity: str, prompt: str, n: int) -> dict[str, Any]:
    dalle = {"gen_id": f"gen-{n}", "prompt": prompt}
    part = {
        "content_type": "image_asset_pointer",
        "asset_pointer": f"sediment://file_{n}",
        "metadata": {"dalle": dalle},
    }
    content = {"content_type": "multimodal_text", "parts": [part]}
    author = {"role": "tool", "name": "dalle.text2im"}
    return message(identity, author=author, content=content, status=FINISHED, create_time=1_790_000_000 + n // 2)


def test_files_lie_where_the_capture_puts_them(tmp_path: Path) -> None:
    assert media_folder(tmp_path / "a.db") == captured_to(tmp_path / "a.db")


def test_an_image_is_sent_as_what_its_bytes_are_and_may_be_kept(client: Client, ids: dict[str, str]) -> None:
    whole = client.ask(f"/-/archive/file/{ids['digest']}")
    assert (whole.status_code, whole.headers["content-type"]) == (200, "image/png")
    assert whole.content.startswith(b"\x89PNG")
    assert "immutable" in whole.headers["cache-control"]
    small = client.ask(f"/-/archive/thumb/{ids['digest']}")
    assert (small.status_code, small.headers["content-type"]) == (200, "image/webp")


@pytest.mark.parametrize(
    "content",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<html><script>alert(1)</script>",
        b"%PDF-1.7",
        b"",
        b"\x89PN",
    ],
)
@pytest.mark.parametrize("extension", ["png", "svg", "html"])
def test_what_is_no_image_is_only_saved(tmp_path: Path, showcase: Path, content: bytes, extension: str) -> None:
    database = copied(showcase, tmp_path)
    digest = "ab" * 32
    place = media_folder(database) / "ab" / f"{digest}.{extension}"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    answer = Client(database).ask(f"/-/archive/file/{digest}")
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]


def test_a_link_in_the_media_folder_is_not_followed(tmp_path: Path, showcase: Path) -> None:
    database = copied(showcase, tmp_path)
    digest = "cd" * 32
    (media_folder(database) / "cd").mkdir(parents=True)
    (media_folder(database) / "cd" / f"{digest}.png").symlink_to(database)
    assert Client(database).ask(f"/-/archive/file/{digest}").status_code == 404


# Who may ask


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "evil.example:8001",
        "localhost.evil",
        "",
        "192.168.1.2",
        "[::2]",
        "0.0.0.0",
    ],
)
@pytest.mark.parametrize(
    "page", ["/", "/chatgpt/messages.json", "/-/archive/static/x/archive.css", "/-/static/app.css"]
)
def test_no_name_but_a_loopback_one_is_answered(client: Client, host: str, page: str) -> None:
    answer = client.ask(page, headers={"host": host})
    assert answer.status_code == 403
    assert len(answer.content) < 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8001", "LOCALHOST", "[::1]:8001"])
def test_loopback_names_are_answered(client: Client, host: str) -> None:
    assert client.ask("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    ("site", "mode", "dest", "status"),
    [
        ("cross-site", "cors", "empty", 403),
        ("cross-site", "no-cors", "image", 403),
        ("cross-site", "no-cors", "script", 403),
        ("cross-site", "navigate", "iframe", 403),
        ("same-site", "cors", "empty", 403),
        ("cross-site", "navigate", "document", 200),
        ("same-origin", "cors", "empty", 200),
        ("none", "navigate", "document", 200),
    ],
)
def test_pages_of_others_get_nothing_but_a_link_may_be_followed(
    client: Client, site: str, mode: str, dest: str, status: int
) -> None:
    headers = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}
    assert client.ask("/chatgpt/messages.json", headers=headers).status_code == status


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("page", ["/", "/-/archive/health", "/chatgpt/messages", "/-/messages"])
def test_nothing_can_be_written(client: Client, method: str, page: str) -> None:
    answer = client.ask(page, method)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_only_who_has_the_token_gets_in(showcase: Path) -> None:
    stranger = Client(showcase, logged_in=False)
    for page in (
        "/",
        "/-/archive?q=tide",
        "/-/archive/usage/data",
        "/chatgpt",
        "/chatgpt/messages.json",
        "/chatgpt?sql=select+1",
        "/-/archive/file/" + "ab" * 32,
        "/-/metadata.json",
    ):
        answer = stranger.ask(page)
        assert answer.status_code == 403, page
        assert "tide" not in answer.text.replace("?q=tide", "")
    assert stranger.ask("/-/archive/login?token=wrong").status_code == 403
    assert stranger.ask("/-/archive/login").status_code == 403
    for _ in range(2):
        answer = stranger.ask(f"/-/archive/login?token={stranger.token}")
        assert (answer.status_code, answer.headers["location"]) == (302, "/")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
    stranger.cookies = {"ds_actor": cookie.partition("=")[2].partition(";")[0]}
    assert stranger.ask("/").status_code == 200


def test_a_login_lasts_as_long_as_the_secret(showcase: Path) -> None:
    known = Client(showcase).cookies
    for secret, status in ((SECRET, 200), ("f" * 64, 403)):
        later = Client(showcase, secret=secret)
        later.cookies = known
        assert later.ask("/").status_code == status


def test_the_secret_is_kept_private_and_one_that_is_not_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "state" / "secret"
    secret = kept_secret(path)
    assert (kept_secret(path), len(secret), path.stat().st_mode & 0o777) == (secret, 64, 0o600)
    path.chmod(0o644)
    assert kept_secret(path) != secret
    assert len(kept_secret(tmp_path / "state" / "secret" / "below a file")) == 64


# What is wrong is said


@pytest.mark.parametrize(
    ("page", "status", "words"),
    [
        ("/-/archive/c/nobody", 404, "No such conversation"),
        ("/-/archive/c/%2e%2e%2f%2e%2e", 404, "No such conversation"),
        ("/-/archive/c/{talk}?at={other}", 404, "No such message"),
        ("/-/archive/c/{talk}?at=" + "x" * 5_000, 404, "No such message"),
        ("/-/archive/c/nobody/news?leaf=x", 404, "No such conversation"),
        ("/-/archive/images/999999", 404, "No such image"),
        ("/-/archive/images/" + "9" * 40, 404, "No such image"),
        ("/-/archive/images/x", 404, "No such page"),
        ("/-/archive/streams/nobody", 404, "No such exchange"),
        ("/-/archive/file/" + "0" * 64, 404, "This file is not there"),
        ("/-/archive/thumb/" + "0" * 64, 404, "This file is not there"),
        ("/-/archive/file/..%2f..%2fchatgpt.db", 404, "No such page"),
        ("/-/archive/static/x/../../site.py", 404, ""),
        ("/-/archive/nothing", 404, "No such page"),
        ("/nothing", 404, "Not found"),
        ("/chatgpt/nothing", 404, "Not found"),
        ("/chatgpt?sql=delete+from+messages", 400, ""),
        ("/chatgpt?sql=nonsense", 400, ""),
        ("/chatgpt/messages?_sort=nothing", 400, "Cannot sort table by nothing"),
        ("/chatgpt?sql=WITH+RECURSIVE+n(i)+AS+(SELECT+1+UNION+ALL+SELECT+i%2b1+FROM+n)+SELECT+count(*)+FROM+n", 400, "This takes too long"),
        ("/chatgpt.db", 403, "Database download is forbidden"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said_with_its_status(
    client: Client, ids: dict[str, str], page: str, status: int, words: str
) -> None:
    answer = client.ask(page.format(**ids))
    assert answer.status_code == status, answer.text[:300]
    assert words in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "/-/archive/usage?from=nonsense&to=2026-99-99",
        "/-/archive?q=tide&from=x&to=y&skip=-1&sort=z&role=q",
        "/-/archive/images?before=x~y",
        "/?before=zzzz",
        "/?before=0",
        "/-/archive/c/{talk}?page=99999",
        "/-/archive/c/{talk}?page=-1",
        "/-/archive/usage/data?from=x",
    ],
)
def test_what_cannot_be_meant_is_left_out_of_account(client: Client, ids: dict[str, str], query: str) -> None:
    assert client.ask(query.format(**ids)).status_code == 200


def test_what_is_wrong_is_said_on_the_page_and_not_in_the_search(client: Client) -> None:
    page = client.ask("/-/archive/c/nobody").text
    assert page.count("It is not in this archive") == 1
    assert re.findall(r'<input id="find"[^>]* value="([^"]*)"', page) == [""]


def test_a_day_that_is_none_is_said_on_the_page_of_usage(client: Client) -> None:
    notes = r'<p class="note" role="status">([^<]+)</p>'
    page = client.ask("/-/archive/usage?from=nonsense&to=2026-09-21x").text
    assert [note.partition(",")[0] for note in re.findall(notes, page)] == [
        "From: “nonsense” is not a day",
        "To: “2026-09-21x” is not a day",
    ]
    assert re.findall(notes, client.ask("/-/archive/usage?from=2026-09-21&to=").text) == []


def test_days_of_the_search_are_those_of_the_clock_of_this_machine(
    client: Client, showcase: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(sqlite3.connect(showcase)) as db:
        at = db.execute("SELECT created_at FROM messages WHERE text LIKE '%Rayleigh found%'").fetchone()[0]
    day, hour = at[:10], int(at[11:13])
    assert hour >= 12
    monkeypatch.setenv("TZ", "Etc/GMT-14")  # where it is 14 hours later than in Greenwich
    time.tzset()
    try:
        counts = {
            days: re.search(r'class="count">(\d+)', client.ask(f"/-/archive?q=Rayleigh&role=assistant&{days}").text)
            for days in (f"to={day}", f"from={day}", f"from={next_day(day)}&to={next_day(day)}")
        }
    finally:
        monkeypatch.undo()
        time.tzset()
        moment.cache_clear()
    assert [int(count[1]) if count else None for count in counts.values()] == [0, 3, 3]


def test_the_charts_name_the_clock_they_go_by(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert "machine's clock: Asia/Tokyo." in client.ask("/-/archive/usage").text


def test_every_named_question_answers_before_anything_is_filled_in(client: Client) -> None:
    told = {name: client.ask(f"/chatgpt/{name}").status_code for name in QUESTIONS}
    assert {name: status for name, status in told.items() if status != 200} == {}


def next_day(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def test_the_days_narrow_every_chart(client: Client) -> None:
    charts = {}
    for days in ("from=&to=", "from=2031-01-01&to=2031-12-31"):
        charts[days] = client.ask(f"/-/archive/usage/data?{days}").json()["charts"]
    of_all_time, of_a_year_to_come = charts.values()
    assert len(of_all_time) == 9
    assert [name for name, rows in of_all_time.items() if not rows] == []
    assert [name for name, rows in of_a_year_to_come.items() if rows] == []


def test_charts_are_asked_for_once_for_all_who_wait_and_again_when_one_was_given_up(
    client: Client, showcase: Path
) -> None:
    asked: list[Rows] = []

    async def ask(question: Callable[[sqlite3.Connection], Rows]) -> Rows:
        with contextlib.closing(open_archive(showcase)) as db:
            asked.append(rows := question(db))
        if len(asked) == 3:
            raise Problem(503, "This takes too long", "")
        await asyncio.sleep(0)
        return rows

    async def look() -> list[int]:
        charts = Charts(Site(client.datasette), fresh_seconds=0.0)
        first, second = await asyncio.gather(*(charts.data("", "", ask) for _ in range(2)))
        assert first is second
        assert list(first.values()).count(None) == 1
        once = len(asked)
        # What is known is shown at once, while it is asked again.
        while None in (await charts.data("", "", ask)).values():
            await asyncio.sleep(0)
        return [once, len(asked) - once]

    assert asyncio.run(look()) == [10, 10]


def test_a_database_without_our_tables_can_be_browsed_all_the_same(tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(other)) as db, db:
        db.execute("CREATE TABLE birds (name TEXT)")
    client = Client(other)
    assert client.ask("/").headers["location"] == "/-/tables"
    answer = client.ask("/-/archive/usage")
    assert (answer.status_code, "No archive here" in answer.text) == (404, True)
    assert client.ask("/other/birds").status_code == 200
    with pytest.raises(click.ClickException, match="not an archive"):
        check(other)


def test_an_archive_of_another_version_says_so_and_the_rest_works(tmp_path: Path, showcase: Path) -> None:
    database = copied(showcase, tmp_path)
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        db.execute("ALTER TABLE citations RENAME TO quotations")
    client = Client(database)
    with contextlib.closing(sqlite3.connect(database)) as db:
        talk = db.execute("SELECT id FROM conversations LIMIT 1").fetchone()[0]
    answer = client.ask(f"/-/archive/c/{talk}")
    assert (answer.status_code, "another version" in answer.text) == (503, True)
    assert client.ask("/").status_code == 200
    charts = client.ask("/-/archive/usage/data").json()["charts"]
    assert (charts["most_cited_sites"], bool(charts["prompts_per_day"])) == (None, True)


def test_the_command_and_the_pages_say_in_the_same_words_what_is_amiss(tmp_path: Path, showcase: Path) -> None:
    database = copied(showcase, tmp_path)
    with contextlib.closing(sqlite3.connect(database)) as db, db:
        db.execute("UPDATE streams SET state = 'complete'")
        db.execute("UPDATE streams SET state = 'error' WHERE id = (SELECT max(id) FROM streams)")
        db.execute("INSERT INTO runs (id, started_at, lost_chunks, uncaptured) VALUES ('1-a', '2026-09-21', 2, 1)")
    client, status = Client(database), ask(database, "status").stdout
    for words in ("2 chunks were lost", "1 exchange was not captured"):
        assert (words in status, words in client.ask("/-/archive/health").text) == (True, True)
    assert "1 exchange did not end well</a>" in client.ask("/").text


def test_an_archive_that_was_moved_away_says_so(tmp_path: Path, showcase: Path) -> None:
    database = copied(showcase, tmp_path)
    client = Client(database)
    database.rename(tmp_path / "elsewhere.db")
    for page in ("/", "/-/archive/health", "/-/tables", "/chatgpt", "/chatgpt/messages"):
        answer = client.ask(page)
        assert (answer.status_code, "moved or deleted" in answer.text) == (503, True), page


def test_a_page_stands_also_where_the_files_were_left_behind(
    tmp_path: Path, showcase: Path, ids: dict[str, str]
) -> None:
    database = tmp_path / "chatgpt.db"
    shutil.copy(showcase, database)
    client = Client(database)
    assert client.ask(f"/-/archive/images/{ids['image']}").status_code == 200
    assert client.ask(f"/-/archive/thumb/{ids['digest']}").status_code == 404


def test_what_goes_wrong_is_not_reported_with_what_the_archive_holds(
    client: Client, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("datasette.handle_exception.rich", pytest.importorskip("rich"))
    fresh = Client(Path(client.datasette.databases["chatgpt"].path))
    assert fresh.ask("/chatgpt/nothing").status_code == 404
    assert "locals" not in "".join(capfd.readouterr())


def test_what_cannot_be_shown_is_refused_in_one_line(tmp_path: Path, showcase: Path) -> None:
    with pytest.raises(click.ClickException, match="is not there"):
        check(tmp_path / "nothing.db")
    (tmp_path / "text.db").write_text("no database")
    (tmp_path / "damaged.db").write_bytes(showcase.read_bytes()[:200_000])
    with pytest.raises(click.ClickException, match=r"is damaged .*\.recover"):
        check(tmp_path / "damaged.db")
    with pytest.raises(click.ClickException, match="not an archive"):
        check(tmp_path / "text.db")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(click.ClickException, match=f"port {taken.getsockname()[1]} cannot be used"):
            listening(taken.getsockname()[1])


# As a person starts it


def obeying_permissions() -> None:
    """Root may write anywhere unless it gives that up (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH)."""
    for capability in (1, 2):
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)


def test_a_finished_archive_in_a_folder_that_may_only_be_read_is_shown(tmp_path: Path, showcase: Path) -> None:
    folder = tmp_path / "read only"
    folder.mkdir()
    shutil.copy(showcase, folder / "chatgpt.db")
    folder.chmod(0o555)
    limits: dict[str, Any] = {"preexec_fn": obeying_permissions} if os.geteuid() == 0 else {}
    try:
        with running(folder / "chatgpt.db", tmp_path / "state", **limits) as server:
            cookie = logged_in(server.address)
            status, body = fetch(server.base + "/", cookie)
        assert (status, b"A valley in spring" in body) == (200, True)
    finally:
        folder.chmod(0o755)


def test_a_page_sees_what_is_written_when_other_writers_come_and_go(tmp_path: Path, showcase: Path) -> None:
    """Whoever opens and closes a file by itself takes SQLite's locks of it from all the process (SQLite, "How To
    Corrupt", 2.2): the next writer to leave takes the log away, and what later ones write is never seen.
    """
    database = copied(showcase, tmp_path)
    with running(database, tmp_path / "state") as server:
        cookie = logged_in(server.address)
        for title in ("The first title", "The second title", "The third title"):
            assert fetch(server.base + "/", cookie)[0] == 200
            with contextlib.closing(sqlite3.connect(database)) as db, db:
                db.execute("UPDATE conversations SET title = ? WHERE last_seen_at IS NOT NULL", [title])
            assert database.with_name(database.name + "-wal").exists()
            assert fetch(server.base + "/", cookie)[1].count(title.encode()) > 20


def test_browse_prints_one_address_that_lets_in(tmp_path: Path, showcase: Path) -> None:
    with running(showcase, tmp_path / "state") as server:
        assert fetch(server.base + "/")[0] == 403
        cookie = logged_in(server.address)
        assert fetch(server.base + "/", cookie)[0] == 200
        for page, status in (("/chatgpt/nothing", 404), ("/chatgpt", 400), ("/chatgpt/messages", 400)):
            told = fetch(f"{server.base}{page}.json?sql=pragma+x&_sort=nothing", cookie)
            assert (told[0], json.loads(told[1])["status"]) == (status, status), page
        charts = json.loads(fetch(server.base + "/-/archive/usage/data?from=&to=", cookie)[1])["charts"]
    assert {name for name, rows in charts.items() if rows is None} == set()
    assert charts["prompts_per_day"]


def logged_in(address: str) -> str:
    import http.client
    from urllib.parse import urlsplit

    parts = urlsplit(address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    assert answer.status == 302
    return str(answer.getheader("set-cookie")).partition(";")[0]


def copied(showcase: Path, folder: Path) -> Path:
    """The archive and its files, to be spoiled."""
    database = folder / "chatgpt.db"
    shutil.copy(showcase, database)
    shutil.copytree(media_folder(showcase), media_folder(database))
    return database

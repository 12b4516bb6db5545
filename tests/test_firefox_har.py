"""HAR files as Firefox writes them: they say other things than Chrome's, and less."""

import base64
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from addon.captures import Surroundings, capture_of
from addon.exchange import Closing
from addon.importing.har import exchange_of
from scripts.made_up_export import Size, conversations
from scripts.scenes import plain_answer
from tests.importing import CANARY, report, rows
from tests.test_import import picture

FILE = "file_" + "0" * 32


def loaded(
    url: str,
    content: dict[str, Any],
    *,
    method: str = "GET",
    status: int = 200,
    sent: str | None = None,
    **response: Any,
) -> dict[str, Any]:
    """An entry of Firefox's HAR builder: cookies and headers as arrays, -1 for what it does not know, comments."""
    headers = [{"name": "Authorization", "value": f"Bearer {CANARY}"}, {"name": "Cookie", "value": f"s={CANARY}"}]
    request: dict[str, Any] = {
        "bodySize": -1 if sent is None else len(sent), "method": method, "url": url, "httpVersion": "HTTP/3",
        "headers": headers, "cookies": [{"name": "s", "value": CANARY}], "queryString": [], "headersSize": 1024,
    }  # fmt: skip
    if sent is not None:
        request["postData"] = {"mimeType": "application/json", "params": [], "text": sent}
    return {
        "startedDateTime": "2026-09-21T16:13:20.250+02:00",
        "request": request,
        "response": {
            "status": status, "statusText": "", "httpVersion": "HTTP/3", "headers": headers,
            "cookies": [{"name": "s", "value": CANARY, "httpOnly": True, "secure": True}],
            "content": content, "redirectURL": "", "headersSize": 900, "bodySize": -1, **response,
        },
        "cache": {}, "time": 1500, "_securityState": "secure", "serverIPAddress": "127.0.0.1", "connection": "443",
        "timings": {"blocked": -1, "dns": 0, "connect": 0, "ssl": 0, "send": 0, "wait": 1400, "receive": 100},
        "pageref": "page_1",
    }  # fmt: skip


def answered(prompt: str, body: bytes, **content: Any) -> dict[str, Any]:
    message = {"id": prompt, "author": {"role": "user"}, "content": {"content_type": "text", "parts": [prompt]}}
    sent = json.dumps({"action": "next", "messages": [message]})
    known = {"mimeType": "text/event-stream; charset=utf-8", "size": len(body), "text": body.decode()}
    url = "https://chatgpt.com/backend-api/f/conversation"
    return loaded(url, {**known, **content}, method="POST", sent=sent)


def image(url: str, body: bytes, size: int) -> dict[str, Any]:
    text = base64.b64encode(body).decode()
    return loaded(url, {"mimeType": "image/png", "size": size, "encoding": "base64", "text": text})


def har(*entries: Any) -> str:
    firefox = {"name": "Firefox", "version": "143.0"}
    page = {"id": "page_1", "pageTimings": {"onContentLoad": -1, "onLoad": -1}, "title": "https://chatgpt.com/"}
    return json.dumps(
        {"log": {"version": "1.2", "creator": firefox, "browser": firefox, "pages": [page], "entries": list(entries)}}
    )


def test_what_firefox_recorded_is_stored_and_what_it_left_out_is_said(tmp_path: Path) -> None:
    plain = plain_answer("Tides?", "Two a day, thanks to the Moon. 👍", seed="one")
    long = plain_answer("Rocks?", "They are hard. " * 40, seed="two")
    (talk,) = conversations(Size(1, 6, 0, 0))
    document = json.dumps({"conversation_id": talk["id"], **talk})
    estuary = "https://chatgpt.com/backend-api/estuary/content"
    whole, cut = picture("red"), picture("blue")
    entries = [
        answered("Tides?", plain.body),
        answered("Rocks?", long.body[: len(long.body) // 2], size=len(long.body)),
        answered("Lost?", b"", size=5123, text=None, comment="Response bodies are not included."),
        loaded(
            f"https://chatgpt.com/backend-api/conversation/{talk['id']}",
            {"mimeType": "application/json", "size": len(document.encode()), "text": document},
        ),
        image(f"{estuary}?id={FILE}&ts=1&sig={CANARY}", whole, len(whole)),
        image(f"{estuary}?id={FILE[:-1]}1&ts=1&sig={CANARY}", cut[:-100], len(cut)),
        loaded("wss://ws.chatgpt.com/p24/ws/user/u", {"mimeType": "", "size": -1}, status=101),
        loaded("https://chatgpt.com/ces/v1/t", {"mimeType": "application/json", "size": -1}),
    ]
    (tmp_path / "Archive [26-09-21].har").write_text(har(*entries))
    found = report(tmp_path / "a.db", tmp_path)
    (file,) = found["files"]
    assert (found["exit"], file["kind"], file["exchanges"], file["passed_by"]) == (0, "har", 7, 1)
    assert file["notes"] == [
        f"entry 1, POST /backend-api/f/conversation: the file holds {len(long.body) // 2:,} of the"
        f" {len(long.body):,} bytes of its body",
        "entry 2, POST /backend-api/f/conversation: the file holds no body for it",
        f"entry 5, GET /backend-api/estuary/content: the file holds {len(cut) - 100:,} of the {len(cut):,} bytes"
        " of its body",
        "entry 6, GET /p24/ws/user/u: the file holds no messages for it",
    ]
    database = tmp_path / "a.db"
    assert ("Two a day, thanks to the Moon. 👍",) in rows(database, "SELECT answer FROM turns")
    assert rows(database, f"SELECT count(*) FROM messages WHERE conversation_id = '{talk['id']}'") == [(6,)]
    assert rows(database, "SELECT asset_id FROM asset_files") == [(FILE,)]
    assert rows(database, "SELECT DISTINCT http_version FROM streams WHERE kind = 'turn'") == [("HTTP/3",)]
    assert rows(database, "SELECT started_at FROM streams WHERE kind = 'document'") == [
        ("2026-09-21T14:13:20.250000Z",)
    ]
    assert CANARY.encode() not in database.read_bytes()


def test_a_text_may_be_short_of_its_byte_order_mark_and_of_no_more() -> None:
    body = plain_answer("Tides?", "Two a day.", seed="one").body
    for size, said in ((-1, None), (len(body), None), (len(body) + 3, None), (len(body) + 4, "the file holds")):
        exchange = exchange_of(answered("a", body, size=size), "s", 0)
        assert exchange is not None
        assert (exchange.short or "").startswith(said or "")
        assert (exchange.short is None, exchange.cut) == (said is None, said is not None)


def test_a_redirect_has_no_body() -> None:
    moved = loaded(
        "https://chatgpt.com/backend-api/estuary/content?id=" + FILE,
        {"mimeType": "", "size": -1},
        status=302,
        redirectURL="https://files.oaiusercontent.com/file-x",
    )
    exchange = exchange_of(moved, "s", 0)
    assert exchange is not None
    assert (exchange.body.missing, exchange.opening.location) == (None, "https://files.oaiusercontent.com/file-x")


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in an entry, members before what is in them."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*at, key)
        yield from _places(value[key], (*at, key))


ODD_ENTRIES = {
    "an answer": answered("Tides?", plain_answer("Tides?", "Two a day.", seed="one").body),
    "an image": image(f"https://chatgpt.com/backend-api/estuary/content?id={FILE}", b"\x89PNG\r\n", 6),
    "a document": loaded("https://chatgpt.com/backend-api/conversation/talk", {"mimeType": "application/json", "size": 2, "text": "{}"}),
    "a socket": loaded("wss://ws.chatgpt.com/p24/ws/user/u", {"mimeType": "", "size": -1}, status=101) | {
        "_webSocketMessages": [{"type": "receive", "time": 1790000001.0, "opcode": 1, "data": "[]"}]
    },
}  # fmt: skip


@pytest.mark.parametrize("entry", ODD_ENTRIES.values(), ids=ODD_ENTRIES)
def test_no_field_of_an_entry_need_be_there_or_be_of_its_kind(entry: dict[str, Any]) -> None:
    """Whatever a browser leaves out or adds, an entry is an exchange or none, and never stops the others."""
    absent = object()
    for *above, last in _places(entry):
        for odd in (absent, None, [], {}, [None], "x", "", -1, 1e300, True, {"a": []}):
            changed = copy.deepcopy(entry)
            holder: Any = changed
            for key in above:
                holder = holder[key]
            if odd is absent:
                del holder[last]
            else:
                holder[last] = odd
            exchange = exchange_of(changed, "s", 0)
            if exchange is not None:
                capture = capture_of(exchange.opening, exchange.request, Surroundings())
                for at, chunk in exchange.body.chunks:
                    capture.feed(chunk, at)
                capture.close(Closing("absent" if exchange.body.missing else "end"), exchange.ended_at)


def test_fields_that_nobody_knows_change_nothing(tmp_path: Path) -> None:
    known = answered("Tides?", plain_answer("Tides?", "Two a day.", seed="one").body)
    added = copy.deepcopy(known)
    for holder in (added, added["request"], added["response"], added["response"]["content"], added["timings"]):
        holder |= {"_new": {"deep": [1]}, "comment": "exported", "_priority": "High"}
    for name, entry in {"known": known, "added": added}.items():
        (tmp_path / f"{name}.har").write_text(har(entry).replace('"pages"', '"_more": [{"a": null}], "comment": "", "pages"'))  # fmt: skip
        assert report(tmp_path / f"{name}.db", tmp_path / f"{name}.har")["exit"] == 0
    query = "SELECT id, text, parent_id, created_at, metadata FROM messages ORDER BY id"
    before, after = (rows(tmp_path / f"{name}.db", query) for name in ("known", "added"))
    assert after == before
    assert len(before) >= 2

"""Strings that stand for credentials, in every place where one travels; afterwards in no file that was written."""

import asyncio
import base64
import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from addon.upkeep.audit import SHAPES, audit, matches
from addon.wire.evidence import compress, decompress
from scripts import loopback, scenes
from tests.conftest import Capturing, capture
from tests.recording import Archive, message, request, shown, v1

SIGNED_PATHS = (
    "https://chatgpt.com/backend-api/estuary/content?id=file_1&ts=1&p=fs&cid=1&sig={}&v=0",
    "https://files.oaiusercontent.com/file-1?se=2026-10-01T00%3A00%3A00Z&st={}&sig={}&sp=r",
)
HEADERS = (
    "authorization", "cookie", "openai-sentinel-chat-requirements-token", "openai-sentinel-proof-token",
    "openai-sentinel-turnstile-token", "x-conduit-token", "x-oai-is", "oai-device-id", "oai-session-id",
    "chatgpt-account-id", "x-oai-turn-trace-id", "oai-telemetry", "oai-echo-logs", "proxy-authorization", "x-new-one",
)  # fmt: skip
SECRET_KEYS = (
    "token", "access_token", "accessToken", "conduit_token", "resume_token", "turnstile_token", "proof_token",
    "arkose_token", "session_token", "sessionToken", "client_secret", "verify", "sig", "signature", "api_key", "jwt",
    "websocket_verify", "turn_jwt", "url_sig", "contentSignature",
)  # fmt: skip


GIF = b"GIF89a\x01\0\x01\0\0\0\0;"


class Canaries:
    """Makes strings that nobody else would write, and knows all that it has made by where they were put."""

    def __init__(self) -> None:
        self.made: dict[str, str] = {}

    def __call__(self, place: str) -> str:
        canary = f"canary{uuid.uuid4().hex}"
        self.made[canary] = place
        return canary

    def jwt(self, place: str, **claims: Any) -> str:
        """A token whose parts are canaries, and that holds one in its claims."""
        head = base64.urlsafe_b64encode(b'{"alg":"RS256","typ":"JWT"}').decode().rstrip("=")
        said = json.dumps({"jti": self(f"{place}: claim"), **claims}).encode()
        return f"{head}.{base64.urlsafe_b64encode(said).decode().rstrip('=')}.{self(f'{place}: signature')}"

    def found_in(self, data: bytes) -> set[str]:
        """The places whose canaries these bytes hold, also in base64."""
        return {place for canary, place in self.made.items() if any(form in data for form in forms(canary))}


def forms(canary: str) -> Iterator[bytes]:
    """A string as it may stand: plain, and inside of something that was encoded in base64 as a whole."""
    plain = canary.encode()
    yield plain
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + plain)
        # The first and last characters also hold bits of what is beside it.
        yield encoded[4:-4] if shift else encoded[:-4]


def carried(canary: Canaries, place: str) -> dict[str, Any]:
    """Some of the forms in which a credential travels beside the plain one (`test_shapes` has all)."""
    inner = json.dumps({"access_token": canary(f"{place}: JSON in text")})
    return {
        "a": {"token": [canary(f"{place}: list")], "cookies": [{"name": "x", "value": canary(f"{place}: cookie")}]},
        "b": [{"name": "Authorization", "value": f"Bearer {canary(f'{place}: header')}"}],
        "c": json.dumps({"inner": inner}),
        "d": quote(json.dumps({"sig": canary(f"{place}: percents")})),
        "e": base64.b64encode(f'[{{"token": "{canary(f"{place}: base64")}"}}]'.encode()).decode(),
        "f": f"https://x.example/?se={canary(f'{place}: se')}&sig={canary(f'{place}: other host')}#{inner}",
        "text": f"see {canary.jwt(f'{place}: text')} and cf_clearance={canary(f'{place}: cookie in text')}; Path=/",
    }


def everything_written(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file, and every value of every table, decompressed."""
    for path in folder.rglob("*"):
        if path.is_file() and "conf" not in path.parts:
            yield str(path), path.read_bytes()
    with closing(sqlite3.connect(folder / "chatgpt.db")) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            for row in db.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    data = value.encode() if isinstance(value, str) else value
                    if isinstance(data, bytes):
                        yield table, decompress(data) if data.startswith(b"\x28\xb5\x2f\xfd") else data


def ask(running: Capturing, url: str, canary: Canaries, *, body: bytes | None = None, http2: bool) -> loopback.Received:
    headers = [(name, canary(f"request header {name}")) for name in HEADERS]
    headers += [("content-type", "application/json"), ("referer", f"https://chatgpt.com/?token={canary('referer')}")]
    separator = "&" if "?" in url else "?"
    url += f"{separator}token={canary(f'query of {url}')}&sig={canary('sig')}&se={canary('se')}&st={canary('st')}"
    port, ca = running.proxy.port, running.proxy.ca_path
    method, body = ("GET", b"") if body is None else ("POST", body)
    return loopback.fetch(port, ca, url, http2=http2, method=method, headers=headers, body=body)


class Service:
    """Answers each path as the service does, with a canary wherever it would put a credential."""

    def __init__(self, canary: Canaries) -> None:
        self._canary = canary

    def __call__(self, asked: loopback.Request) -> loopback.Answer | loopback.Socket:
        path = asked.path.partition("?")[0]
        if asked.header("upgrade") == "websocket":
            return loopback.Socket(self._play)
        headers = [(name, self._canary(f"response header {name}")) for name in ("x-conduit-token", "x-new", "etag")]
        headers += [("set-cookie", f"__Secure-next-auth.session-token={self._canary('set-cookie')}; Path=/; HttpOnly")]
        if asked.method == "POST" and path.endswith("/f/conversation"):
            coding = "br" if asked.http_version == "HTTP/2" else "identity"
            return loopback.answer(self._answer(asked.body), coding=coding, headers=[*loopback.EVENT_STREAM, *headers])
        if path.endswith("/estuary/content"):
            return loopback.Answer(headers=[("content-type", "image/gif"), *headers], chunks=[GIF])
        document = json.dumps(self._document(path)).encode()
        return loopback.Answer(headers=[("content-type", "application/json"), *headers], chunks=[document])

    def _answer(self, asked: bytes) -> list[bytes]:
        prompt, exchange = scenes.asked(asked)
        scene = scenes.plain_answer(prompt, scenes.prose(30, "c"), **exchange)
        typed = [f"data: {json.dumps(event)}\n\n".encode() for event in self._events()]
        clean = [event for event in scene.events if b'"resume_conversation_token"' not in event]
        cut = b'event: delta\ndata: {"p":"/message/metadata/x","o":"append","v":"' + self._canary.jwt("cut").encode()
        return [*clean[:4], *typed, *clean[4:-1], cut]

    def _events(self) -> list[dict[str, Any]]:
        canary = self._canary
        return [
            {"type": "resume_conversation_token", "kind": "topic", "token": canary.jwt("resume", turn_topic_id="t-1")},
            {
                "type": "resume_conversation_token",
                "kind": "conduit",
                "token": canary("conduit"),
                "conversation_id": "k",
            },
            {"type": "stream_handoff", "options": [{"type": "resume_sse_endpoint", "token": canary("handoff")}]},
            {"type": "server_ste_metadata", "metadata": {"trace": canary.jwt("trace"), "turn": [canary.jwt("list")]}},
            {"type": "forms", "payload": carried(canary, "typed event")},
            {"p": "/message/metadata/forms", "o": "add", "v": carried(canary, "delta")},
            {"type": "brand_new_event", "payload": {key: canary(f"new event, {key}") for key in SECRET_KEYS}},
            {"type": "websocket_request", "url": f"wss://ws.chatgpt.com/p24/ws/user/u?verify={canary.jwt('verify')}"},
            {"type": "download", "urls": [url.format(*[canary("signed")] * 2) for url in SIGNED_PATHS]},
            {"p": "/message/metadata/nested", "o": "add", "v": {key: canary(f"delta, {key}") for key in SECRET_KEYS}},
        ]

    def _document(self, path: str) -> dict[str, Any]:
        canary, place = self._canary, f"document {path}"
        signed = SIGNED_PATHS[0].format(canary(f"{place}: signed"))
        secrets = {key: canary(f"{place}: {key}") for key in SECRET_KEYS}
        node = {
            "id": "n",
            "message": message(
                "n", "hello", metadata={"secrets": secrets, "t": canary.jwt(place), **carried(canary, place)}
            ),
        }
        return {
            "conversation_id": "k", "title": "A talk", "mapping": {"n": node}, "current_node": "n",
            "download_url": signed, "accessToken": canary.jwt(f"{place}: access"), "user": {"id": canary(place)}
            if "/me" in path or "/auth/" in path else {}, "secrets": secrets, "forms": carried(canary, place), "items": [], "status": "success",
            "websocket_url": f"wss://ws.chatgpt.com/p24/ws/user/u?verify={canary(f'{place}: verify')}",
        }  # fmt: skip

    async def _play(self, socket: Any) -> None:
        address = f"wss://ws.chatgpt.com/p24/ws/user/u?verify={self._canary('socket: address')}"
        forms = carried(self._canary, "socket")
        await socket.send(json.dumps([{"type": "message", "topic_id": "t", "payload": {"type": "new", "p": forms}}]))
        await socket.send(f"no JSON: token={self._canary('socket: no JSON')}")
        await socket.send(
            json.dumps({"type": "websocket", "payload": {"url": address, "verify": self._canary("socket")}})
        )


PATHS = (
    "/api/auth/session", "/backend-api/me", "/backend-api/accounts/check/v4", "/backend-api/celsius/ws/user",
    "/backend-api/conversation/k", "/backend-api/conversations?offset=0", "/backend-api/files/download/file_1",
    "/backend-api/share/s", "/backend-api/settings/user", "/ces/v1/t", "/backend-api/gizmos/snorlax/sidebar",
    "/backend-api/conversation/k/textdocs", "/backend-api/conversation/k/stream_status", "/backend-api/estuary/content",
)  # fmt: skip
POSTS = (
    "/backend-api/sentinel/chat-requirements", "/backend-api/f/conversation/prepare", "/backend-api/conversation/init",
    "/backend-api/register-websocket", "/backend-api/stop_conversation", "/backend-api/conversation/gen_title/k",
)  # fmt: skip


def test_no_credential_is_in_any_file_that_was_written(tmp_path: Path) -> None:
    canary, service_canary = Canaries(), Canaries()
    mine = f"my own words: Bearer {uuid.uuid4().hex} and {Canaries().jwt('mine')}"
    with capture(tmp_path, respond=Service(service_canary)) as running:
        for http2 in (True, False):
            _, body = loopback.turn_request(mine, message_id=str(uuid.uuid4()))
            sent = {**json.loads(body), **{key: canary(f"request field {key}") for key in SECRET_KEYS}}
            sent["forms"] = carried(canary, "request")
            sent["nested"] = {"list": [{key: canary(f"nested request field {key}") for key in SECRET_KEYS}]}
            ask(running, loopback.TURN_URL, canary, body=json.dumps(sent).encode(), http2=http2)
            for path in PATHS:
                ask(running, f"https://chatgpt.com{path}", canary, http2=http2)
            for path in POSTS:
                secrets = {key: canary(f"body of {path}: {key}") for key in SECRET_KEYS}
                ask(running, f"https://chatgpt.com{path}", canary, body=json.dumps(secrets).encode(), http2=http2)
        asyncio.run(open_socket(running, canary))
        running.wait(
            "SELECT 1 FROM streams WHERE kind = 'turn' AND state <> 'streaming' GROUP BY kind HAVING count(*) = 2"
        )
        assert running.proxy.stop() == 0
        log = "\n".join(line for line in running.proxy.log if "ChatGPT Capture" in line).encode()
    assert len(canary.made) + len(service_canary.made) > 800
    written = [("log", log), *everything_written(tmp_path)]
    assert sum(len(data) for _, data in written) > 100_000
    for place, data in written:
        assert canary.found_in(data) | service_canary.found_in(data) == set(), place
    assert running.rows("SELECT count(*) AS n FROM messages WHERE role = 'user' AND text = ?", mine) == [{"n": 2}]
    # The independent search agrees: what is left is what a person wrote.
    found = audit(running.database)
    assert [finding for finding in found if not finding.written] == []
    assert {finding.shape for finding in found} == {"JSON web token", "bearer token"}


async def open_socket(running: Capturing, canary: Canaries) -> None:
    url = f"wss://ws.chatgpt.com/p24/ws/user/u?verify={canary('socket: verify')}"
    async with loopback.open_socket(running.proxy.port, running.proxy.ca_path, url) as socket:
        await socket.send(json.dumps([{"id": 1, "command": {"type": "connect", "token": canary("socket: command")}}]))
        for _ in range(3):
            await socket.receive()


# -- the search itself -------------------------------------------------------------------------------------------------

LEAKS = {
    "JSON web token": "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzM2NyZXQifQ.c2lnbmF0dXJlMTIz",
    "bearer token": "Bearer abcdefghijklmnopqrstuvwxyz",
    "Fernet token": "gAAAAAB" + "x" * 60,
    "session cookie": "__Secure-next-auth.session-token=0123456789abcdef",
    "signed URL": "https://x.example/y?sig=0123456789abcdef",
    "API key": "sk-proj-" + "a1" * 20,
}


def test_every_shape_is_known_by_an_example() -> None:
    assert LEAKS.keys() == SHAPES.keys()


@pytest.mark.parametrize("shape", LEAKS)
def test_a_credential_of_each_shape_is_found_wherever_it_is(archive: Archive, shape: str) -> None:
    leak = LEAKS[shape]
    encoded = base64.b64encode(f'{{"x": "{leak}"}}'.encode()).decode()
    archive.record(v1(shown(message("A", "clean"))), request("U"))
    assert audit(archive.path) == []
    with closing(sqlite3.connect(archive.path, isolation_level=None)) as db:
        db.execute("UPDATE conversations SET metadata = ?", (f'{{"a": "{leak}"}}',))
        db.execute("UPDATE streams SET error = ?", (encoded,))
        db.execute("UPDATE stream_bodies SET body = ?", (compress(b"data: x\n\n") + compress(leak.encode()),))
    (archive.path.parent / "chatgpt.db-inflight" / "x.journal.kept").write_text(leak)
    places = {finding.place.rpartition("/")[2] for finding in audit(archive.path) if finding.shape == shape}
    assert places == {"conversations.metadata", "streams.error", "stream_bodies.body", "x.journal.kept"}


def test_what_somebody_wrote_is_told_apart(archive: Archive) -> None:
    leak = LEAKS["JSON web token"]
    archive.record(v1(shown(message("A", f"a token looks like {leak}"))), request("U"))
    found = audit(archive.path)
    assert {(finding.place, finding.written) for finding in found} == {
        ("messages.content", True), ("messages.text", True), ("stream_bodies.body", True),
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "eyJ.eyJ.x", "KeyJavaScript.eyJ", "Bearer of bad news", "session-token=short", "?sig=short", "task-force-of-many",
        "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 4).decode(), "https://example.org/?q=sig",
    ],
)  # fmt: skip
def test_what_only_resembles_one_is_not_reported(text: str) -> None:
    assert list(matches(text.encode())) == []

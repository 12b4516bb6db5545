import re

import pytest

from addon.endpoints import HOSTS, INTERCEPTED, Endpoint, classify, whole

STREAM = "text/event-stream; charset=utf-8"
JSON = "application/json"


def document(name: str, kind: str = "document", **parameters: str) -> Endpoint:
    return Endpoint(kind, False, name, parameters)


@pytest.mark.parametrize(
    ("method", "path", "content_type", "endpoint"),
    [
        ("POST", "/backend-api/conversation", STREAM, Endpoint("turn", True)),
        ("POST", "/backend-api/f/conversation", STREAM, Endpoint("turn", True)),
        ("POST", "/backend-anon/f/conversation", STREAM, Endpoint("turn", True)),
        ("POST", "/backend-anon/conversation", STREAM, Endpoint("turn", True)),
        ("POST", "/backend-alt/f/conversation", STREAM, Endpoint("turn", True)),
        ("POST", "/backend-api/f/conversation?x=1&y=/me", STREAM, Endpoint("turn", True)),
        # A send that is answered by something else is still a send.
        ("POST", "/backend-api/f/conversation", JSON, Endpoint("turn", False)),
        ("POST", "/backend-api/conversation", "text/html; charset=utf-8", Endpoint("turn", False)),
        ("POST", "/backend-api/f/conversation", "", Endpoint("turn", False)),
        # The media type as HTTP writes it
        ("POST", "/backend-api/f/conversation", "Text/Event-Stream", Endpoint("turn", True)),
        ("POST", "/backend-api/f/conversation", " text/event-stream ;charset=utf-8", Endpoint("turn", True)),
        ("POST", "/backend-api/f/conversation", "text/event-stream2", Endpoint("turn", False)),
        ("POST", "/backend-api/f/conversation", "application/json; x=text/event-stream", Endpoint("turn", False)),
        # Resumed
        ("POST", "/backend-api/f/conversation/resume", STREAM, Endpoint("resume", True)),
        ("GET", "/backend-api/f/conversation/resume?offset=3", STREAM, Endpoint("resume", True, "", {"offset": "3"})),
        ("POST", "/backend-anon/conversation/resume", STREAM, Endpoint("resume", True)),
        ("POST", "/backend-api/f/conversation/resume", JSON, Endpoint("resume", False)),
        # Paths are renamed, the media type is not.
        ("POST", "/backend-api/sidebar/conversation", STREAM, Endpoint("turn", True)),
        ("GET", "/backend-api/tasks/t/stream", STREAM, Endpoint("turn", True)),
        ("POST", "/anything/new", STREAM, Endpoint("turn", True)),
        ("GET", "/backend-api/f/conversation", STREAM, Endpoint("turn", True)),
        ("GET", "/backend-api/memories/stream", STREAM, Endpoint("turn", True)),
        ("POST", "/backend-api/metrics", STREAM, Endpoint("turn", True)),
        # Documents, with what path and query say of them
        ("GET", "/backend-api/conversation/c%2D1", JSON, document("conversation", conversation_id="c-1")),
        ("PATCH", "/backend-api/conversation/c", JSON, document("change", conversation_id="c")),
        ("POST", "/backend-api/conversation/gen_title/c", JSON, document("title", conversation_id="c")),
        ("POST", "/backend-api/conversation/init", JSON, document("init")),
        ("GET", "/backend-api/conversation/c/textdocs", JSON, document("textdocs", conversation_id="c")),
        ("GET", "/backend-api/conversation/c/stream_status", JSON, document("stream_status", conversation_id="c")),
        (
            "GET",
            "/backend-api/conversations/c?num_turns=10&x=1",
            JSON,
            document("turns", conversation_id="c", num_turns="10"),
        ),
        ("GET", "/backend-api/conversations?offset=28&limit=28", JSON, document("conversations", "list", offset="28")),
        (
            "GET",
            "/backend-api/gizmos/g-p-1/conversations?cursor=0",
            JSON,
            document("conversations", "list", gizmo_id="g-p-1", cursor="0"),
        ),
        ("GET", "/backend-api/gizmos/snorlax/sidebar", JSON, document("projects", "list")),
        ("GET", "/backend-api/conversations/search?query=tide", JSON, document("search", "list", query="tide")),
        ("GET", "/backend-api/share/s", JSON, document("shared", share_id="s")),
        ("GET", "/backend-api/my/recent/image_gen?limit=25", JSON, document("images", "list")),
        ("GET", "/backend-api/files/download/file_1?inline=true", JSON, document("file", "download", file_id="file_1")),
        ("GET", "/backend-api/files/file-1/download", JSON, document("file", "download", file_id="file-1")),
        (
            "GET",
            "/backend-api/conversation/c/attachment/file_1/download",
            JSON,
            document("file", "download", conversation_id="c", file_id="file_1"),
        ),
        (
            "GET",
            "/backend-api/conversation/c/interpreter/download?message_id=m&sandbox_path=/mnt/data/a.csv",
            JSON,
            document("interpreter", "download", conversation_id="c", message_id="m", sandbox_path="/mnt/data/a.csv"),
        ),
        (
            "GET",
            "/backend-api/estuary/content?id=file_1&sig=s&ts=1",
            "image/png",
            document("estuary", "asset", id="file_1"),
        ),
        # Not ours
        ("GET", "/backend-api/conversation", JSON, None),
        ("POST", "/backend-api/f/conversation/prepare", JSON, None),
        ("GET", "/backend-api/celsius/ws/user", JSON, None),
        ("POST", "/backend-api/register-websocket", JSON, None),
        ("POST", "/backend-api/lat/r", JSON, None),
        ("GET", "/", "text/html", None),
        ("GET", "", "", None),
        ("POST", "/x/backend-api/conversation", JSON, None),
        ("POST", "/backend-api/conversations", JSON, None),
        ("OPTIONS", "/backend-api/f/conversation/resume", "", None),
        ("HEAD", "/backend-api/tasks/t/stream", STREAM, None),
        # Credentials and telemetry, whatever their type
        ("GET", "/api/auth/session", STREAM, None),
        ("GET", "/backend-api/me", STREAM, None),
        ("GET", "/backend-anon/me?x=1", STREAM, None),
        ("GET", "/backend-api/accounts/check/v4-2023-04-27", STREAM, None),
        ("POST", "/backend-api/sentinel/chat-requirements", STREAM, None),
        ("POST", "/backend-api/sentinel/req", STREAM, None),
        ("POST", "/ces/v1/t", STREAM, None),
        ("GET", "/cdn-cgi/trace", STREAM, None),
    ],
)
@pytest.mark.parametrize("host", sorted(HOSTS))
def test_an_exchange_is_what_its_method_path_and_type_say(
    method: str, host: str, path: str, content_type: str, endpoint: Endpoint | None
) -> None:
    assert classify(method, host, path, content_type) == endpoint


def test_a_document_that_was_not_given_says_nothing() -> None:
    assert classify("GET", "chatgpt.com", "/backend-api/conversation/c", JSON, 404) is None


@pytest.mark.parametrize(
    "host", ["chatgpt.com", "ws.chatgpt.com", "chatgpt-async-webps-prod-southcentralus-8.webpubsub.azure.com"]
)
def test_an_upgraded_connection_of_chatgpt_is_a_socket(host: str) -> None:
    assert classify("GET", host, "/p24/ws/user/u?verify=x", "", 101) == Endpoint("socket")


@pytest.mark.parametrize("host", ["files.oaiusercontent.com", "sdmntprwestus.oaiusercontent.com"])
def test_files_come_from_the_hosts_of_files(host: str) -> None:
    assert classify("GET", host, "/file-1?sig=x", "image/png") == Endpoint("asset", False, "file")
    assert classify("GET", host, "/file-1?sig=x", "image/png", 206) is None
    assert classify("PUT", host, "/file-1?sig=x", "") is None


def test_the_hosts_are_those_of_chatgpt() -> None:
    assert sorted(HOSTS) == ["chat.openai.com", "chatgpt.com"]


@pytest.mark.parametrize("host", ["chatgpt.com", "CHATGPT.com", "chatgpt.com.", "Chat.OpenAI.com"])
def test_a_host_is_compared_as_dns_does(host: str) -> None:
    assert classify("POST", host, "/backend-api/conversation", STREAM) == Endpoint("turn", True)


FOREIGN = [
    "chatgpt.com.evil.com",
    "evilchatgpt.com",
    "evil-chatgpt.com",
    "chatgpt.com.evil",
    "chatgpt.com@evil.com",
    "evil.com/chatgpt.com",
    "chatgptxcom",
    "chatgpt.co",
    "openai.com",
    "auth.openai.com",
    "chat.openai.com.evil.com",
    "xchat.openai.com",
    "chatxopenai.com",
    "ch\u0430tgpt.com",
    "\u212ahatgpt.com",
    "chatgpt.com\n",
    " chatgpt.com",
    "",
]


@pytest.mark.parametrize("host", [*FOREIGN, "ws.chatgpt.com", "www.chatgpt.com", "chatgpt.com:443"])
def test_no_other_host_is_captured(host: str) -> None:
    assert classify("POST", host, "/backend-api/f/conversation", STREAM) is None


def intercepted(address: str) -> bool:
    """As mitmproxy decides for `allow_hosts`: a search, upper and lower case alike, in host and port."""
    return any(re.search(pattern, address, re.IGNORECASE) for pattern in INTERCEPTED)


@pytest.mark.parametrize("port", [443, 8443])
@pytest.mark.parametrize(
    "host", ["chatgpt.com", "chat.openai.com", "ChatGPT.com", "ws.chatgpt.com", "files.oaiusercontent.com"]
)
def test_the_connections_of_chatgpt_are_decrypted(host: str, port: int) -> None:
    assert intercepted(f"{host}:{port}")


@pytest.mark.parametrize(
    "host",
    [
        *FOREIGN,
        "a.b.chatgpt.com",
        "oaiusercontent.com",
        "x.webpubsub.azure.com",
        ".chatgpt.com",
        "chatgpt.com:443.evil.com",
        "203.0.113.7",
    ],
)
def test_no_other_connection_is_decrypted(host: str) -> None:
    assert not intercepted(f"{host}:443")


def test_a_port_is_a_number_to_the_end() -> None:
    assert not any(intercepted(f"chatgpt.com:{port}") for port in ("", "443:443", "443 ", "443.evil.com"))


@pytest.mark.parametrize(
    ("status_code", "content_range", "expected"),
    [
        (206, "bytes 0-99/100", 200),
        (206, " bytes 0-99/100 ", 200),
        (206, "bytes 0-98/100", 206),
        (206, "bytes 1-99/100", 206),
        (206, "bytes 0-99/*", 206),
        (206, "", 206),
        (200, "bytes 0-9/100", 200),
        (404, "bytes 0-99/100", 404),
    ],
)
def test_a_part_that_is_all_of_a_file_is_the_file(status_code: int, content_range: str, expected: int) -> None:
    assert whole(status_code, content_range) == expected

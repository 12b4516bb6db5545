import pytest

from addon.endpoints import EXPECTED, INTERCEPTED
from addon.journal import Losses
from addon.log_lines import describe, open_addresses, passed_by, printable, statistics, unquoted


@pytest.mark.parametrize(
    ("listening", "proxyauth", "named"),
    [
        ([("regular", "127.0.0.1")], None, None),
        ([("regular", "127.8.0.1"), ("socks5", "::1"), ("regular", "localhost")], None, None),
        ([("regular", "0.0.0.0"), ("regular", "::")], None, "0.0.0.0, ::"),
        ([("regular", "127.0.0.1"), ("upstream", "192.168.1.4")], None, "192.168.1.4"),
        ([("regular", "fe80::1%eth0")], None, "fe80::1%eth0"),
        ([("regular", "0.0.0.0")], "me:secret", None),
        ([("wireguard", "0.0.0.0"), ("local", "0.0.0.0")], None, None),
        ([], None, None),
    ],
)
def test_where_others_can_reach_the_proxy_is_named(
    listening: list[tuple[str, str]], proxyauth: str | None, named: str | None
) -> None:
    line = open_addresses(listening, proxyauth)
    assert line is None if named is None else str(line).startswith(f"listening on {named} without proxyauth")


@pytest.mark.parametrize(
    ("allow_hosts", "ignore_hosts", "left"),
    [
        ([], [], None),
        ([*INTERCEPTED], [], None),
        ([*INTERCEPTED], ["mybank"], None),
        (["openai", "CHATGPT", "oaiusercontent"], [r"^example\.com:"], None),
        ([r"^chatgpt\.com:"], [], "ws.chatgpt.com, files.oaiusercontent.com"),
        (["example"], [], "chatgpt.com, ws.chatgpt.com, files.oaiusercontent.com"),
        ([*INTERCEPTED], [r"^WS\."], "ws.chatgpt.com"),
        ([], [r":443$"], "chatgpt.com, ws.chatgpt.com, files.oaiusercontent.com"),
    ],
)
def test_hosts_that_the_persons_own_options_leave_alone_are_named(
    allow_hosts: list[str], ignore_hosts: list[str], left: str | None
) -> None:
    line = passed_by(EXPECTED, allow_hosts, ignore_hosts)
    assert line is None if left is None else str(line).startswith(f"allow_hosts and ignore_hosts leave {left} undecr")


def test_what_a_terminal_would_obey_is_a_question_mark() -> None:
    assert printable("a\x1b[31m\x07\u202e\x9b1m \u2028“é🌊”") == "a?[31m???1m ?“é🌊”"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("HTTP/1 protocol error: illegal chunk header: bytearray(b'secret\\r\\n')", "HTTP/1 protocol error: illegal chunk header"),
        ("Received header 'x-secret'", "Received header"),
        ("stream reset by client (INTERNAL_ERROR)", "stream reset by client (INTERNAL_ERROR)"),
        ("Client disconnected.", "Client disconnected."),
        ("it's \"secret\"", "it"),
    ],
)  # fmt: skip
def test_what_is_quoted_of_a_broken_connection_is_left_out(message: str, said: str) -> None:
    assert unquoted(message) == said


def test_a_line_stays_a_line_whatever_the_service_calls_things() -> None:
    answer = {
        "title": "\x1b[2J" + "t" * 100_000, "model": "m" * 100_000, "seconds": 1.0, "characters": 2, "state": "complete",
        "error": None, "unrecognised": 0,
    }  # fmt: skip
    line = describe(answer)
    assert line.startswith("“?[2Jttt")
    assert line.endswith("m… · 1.0 s · 2 characters")
    assert len(line) < 300


def test_losses_are_shouted() -> None:
    losses = Losses(streams=5, uncaptured=1, lost_chunks=2, lost_bytes=700)
    line = statistics("chatgpt.db", {"streams": 1, "messages": 3, "errors": 1}, losses, 2, 1)
    assert line == (
        "1 exchange and 3 messages captured into chatgpt.db, 2 in progress, 0 unrecognised events, 2 errors,"
        " 1 EXCHANGE NOT CAPTURED, 2 CHUNKS LOST (700 BYTES)"
    )

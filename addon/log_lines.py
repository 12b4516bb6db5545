"""What people read in mitmproxy's log: one line each, free of control characters.

Of what was said, a line holds the title that the service gave the conversation and nothing else.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from addon.journal import Losses

_QUOTATION = re.compile(r"""(?::\s*|\s+|)(?:bytearray\()?b?["'].*""", re.DOTALL)

_LONGEST = 120

_PRIVATE_MODES = frozenset({"wireguard", "local"})
"""Modes that take connections only from who has a key, or from this machine."""


def counted(number: int, thing: str) -> str:
    """`1 event`, `2 events`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def describe(answer: dict[str, Any]) -> str:
    """One finished exchange in one line, free of control characters."""
    title = (
        f"“{_short(answer['title'])}”" if answer["title"] else "an answer" if answer["characters"] else "an exchange"
    )
    parts = [title, _short(answer["model"] or ""), f"{answer['seconds']:.1f} s", f"{answer['characters']} characters"]
    if answer["state"] != "complete":
        parts.append(f"{answer['state']}: {answer['error']}" if answer["error"] else answer["state"])
    if answer["unrecognised"]:
        parts.append(counted(answer["unrecognised"], "unrecognised event"))
    return printable(" · ".join(part for part in parts if part))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def printable(text: str) -> str:
    """`text` with everything that a terminal might obey as a question mark."""
    return "".join(character if character.isprintable() else "?" for character in text)


def unquoted(message: str) -> str:
    """What mitmproxy says of a connection that broke, without the bytes of it that it may quote."""
    return _QUOTATION.sub("", message)


def statistics(database: str, counters: Mapping[str, int], losses: Losses, open_taps: int, failures: int) -> str:
    """What has been captured since the start."""
    count = counters.get
    parts = [
        f"{counted(count('streams', 0), 'exchange')} and {counted(count('messages', 0), 'message')}"
        f" captured into {database}",
        f"{open_taps} in progress",
        counted(count("events_unrecognised", 0), "unrecognised event"),
        counted(count("errors", 0) + failures, "error"),
    ]
    if count("files", 0):
        parts.insert(1, f"{counted(count('files', 0), 'file')} stored")
    if losses.uncaptured:
        parts.append(f"{counted(losses.uncaptured, 'EXCHANGE')} NOT CAPTURED".upper())
    if losses.lost_chunks:
        parts.append(f"{counted(losses.lost_chunks, 'CHUNK')} LOST ({losses.lost_bytes} BYTES)".upper())
    return ", ".join(parts)


def open_addresses(listening: Iterable[tuple[str, str]], proxyauth: str | None) -> str | None:
    """A warning where anybody on the network may use the proxy, and read and write as the person does; else None.

    `listening` are pairs of mitmproxy's mode and an address.
    """
    if proxyauth:
        return None
    reachable = sorted({host for mode, host in listening if mode not in _PRIVATE_MODES and not _is_loopback(host)})
    if not reachable:
        return None
    return (
        f"listening on {', '.join(reachable)} without proxyauth: anybody who reaches this machine can use the proxy;"
        " --listen-host 127.0.0.1 keeps it to this machine"
    )


def passed_by(hosts: Iterable[str], allow_hosts: Sequence[str], ignore_hosts: Sequence[str]) -> str | None:
    """A warning where the person's own options keep hosts from being decrypted that an archive needs; else None.

    The patterns are matched as mitmproxy matches them: anywhere in `host:port`, whatever the case; none allows all.
    """
    left = [host for host in hosts if (allow_hosts and not _named(host, allow_hosts)) or _named(host, ignore_hosts)]
    if not left:
        return None
    return f"allow_hosts and ignore_hosts leave {', '.join(left)} undecrypted, as you say: nothing of it is captured"


def _named(host: str, patterns: Iterable[str]) -> bool:
    return any(re.search(pattern, f"{host}:443", re.IGNORECASE) for pattern in patterns)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"

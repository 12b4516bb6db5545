"""Streams that mean harm, by name: what an upstream could send to fill memory, take time or break a reader."""

import json
import random
import string
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MEGABYTE = 1024 * 1024

type Chunks = Iterator[bytes]


def event(payload: object, name: str = "delta") -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(payload)}\n\n".encode()


def added(identity: str = "A", text: str = "", channel: int = 0) -> bytes:
    """The event that shows a message of the assistant on a channel."""
    said = {
        "id": identity,
        "author": {"role": "assistant"},
        "content": {"content_type": "text", "parts": [text]},
        "status": "in_progress",
        "recipient": "all",
        "metadata": {},
    }
    return event({"p": "", "o": "add", "c": channel, "v": {"message": said, "conversation_id": "hostile"}})


HEAD = b'event: delta_encoding\ndata: "v1"\n\n'
TEXT = "/message/content/parts/0"


def bomb(encode: Callable[[bytes], bytes], finish: Callable[[], bytes], piece: bytes) -> Chunks:
    """Two gigabytes of a repeated piece, as small as the coding makes it."""
    block = piece * (MEGABYTE // len(piece))
    for _ in range(2048):
        yield encode(block)
    yield finish()


def bomb_gzip(piece: bytes) -> Chunks:
    """A gzip member of blocks that know nothing of one another, and are all the same: one is compressed."""
    block, size, checksum = piece * (MEGABYTE // len(piece)), 0, 0
    coder = zlib.compressobj(9, wbits=-15)
    packed = coder.compress(block) + coder.flush(zlib.Z_FULL_FLUSH)
    yield b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    for _ in range(2048):
        size, checksum = size + len(block), zlib.crc32(block, checksum)
        yield packed
    yield coder.flush() + struct.pack("<LL", checksum, size & 0xFFFFFFFF)


def bomb_brotli(piece: bytes) -> Chunks:
    coder = brotli.Compressor(quality=5)
    return bomb(coder.process, coder.finish, piece)


def bomb_zstd(piece: bytes) -> Chunks:
    coder = zstd.ZstdCompressor()
    return bomb(coder.compress, coder.flush, piece)


def stacked() -> Chunks:
    coder = zlib.compressobj(9, wbits=31)
    for chunk in bomb_gzip(b"\0"):
        yield coder.compress(chunk)
    yield coder.flush()


def endless_event() -> Chunks:
    yield HEAD + b"data: "
    for _ in range(200):
        yield b"x" * MEGABYTE


def endless_data_lines() -> Chunks:
    yield HEAD
    for _ in range(400):
        yield b"data: y\n" * (MEGABYTE // 8)


def tiny_events() -> Chunks:
    yield HEAD
    for _ in range(1000):
        yield b"data: {}\n\n" * 1000


def tiny_deltas() -> Chunks:
    yield HEAD + added()
    yield event({"p": TEXT, "o": "append", "v": "x"})
    for _ in range(1000):
        yield b'event: delta\ndata: {"v":"x"}\n\n' * 1000


def many_messages() -> Chunks:
    yield HEAD
    for n in range(100_000):
        yield added(f"M{n}", "some words", channel=n)


def one_channel_of_messages() -> Chunks:
    yield HEAD
    for n in range(100_000):
        yield added(f"M{n}", "some words")


def deep(depth: int = 10_000) -> Chunks:
    yield HEAD + added()
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        nested = opening * depth + b"1" + closing * depth
        for pointer in (b"/message/content", b"/message/metadata", b"", b"/x"):
            yield b'event: delta\ndata: {"p":"%s","o":"replace","v":%s}\n\n' % (pointer, nested)
        yield b"data: %s\n\n" % nested


def deeper_and_deeper() -> Chunks:
    yield HEAD + added()
    for n in range(1, 3000):
        yield event({"p": "/message/metadata" + "/a" * min(n, 90), "o": "add", "v": {"a": {"a": {}}}})
        yield event({"p": "/message/metadata", "o": "patch", "v": [{"p": "/b" * 20, "o": "add", "v": n}] * 20})


def far_index() -> Chunks:
    yield HEAD + added()
    for index in ("999999999", "1" * 5000, "-1", "1e9", "0x10", "01"):
        yield event({"p": f"/message/content/parts/{index}", "o": "add", "v": "x"})


def creeping_index() -> Chunks:
    """Each operation leaves the largest hole that is let pass."""
    yield HEAD + added()
    for n in range(1, 100_000):
        yield event({"p": f"/message/content/parts/{n * 1000}", "o": "replace", "v": 0})


def truncations() -> Chunks:
    yield HEAD + added()
    for value in (-1, -(2**70), 2**70, 1e308, 0.5):
        yield event({"p": TEXT, "o": "append", "v": "abc\U0001f30a"})
        yield event({"p": TEXT, "o": "truncate", "v": value})


def append_and_truncate() -> Chunks:
    """A long text that is read anew for each small edit."""
    yield HEAD + added("A", "x" * 4 * MEGABYTE)
    for _ in range(50_000):
        yield event({"p": TEXT, "o": "append", "v": "y"})
        yield event({"p": TEXT, "o": "truncate", "v": 4 * MEGABYTE})


def single_append() -> Chunks:
    yield HEAD + added()
    yield event({"p": TEXT, "o": "append", "v": "w" * 50 * MEGABYTE})
    for _ in range(200):
        yield event({"p": TEXT, "o": "append", "v": "more"})


def growing_to_50() -> Chunks:
    yield HEAD + added()
    for _ in range(5000):
        yield event({"p": TEXT, "o": "append", "v": "w" * 10_000})


def rewrites() -> Chunks:
    """A message that is finished and rewritten, again and again."""
    yield HEAD + added()
    for n in range(3000):
        yield event({"p": "/message", "o": "patch", "v": [
            {"p": "/content/parts/0", "o": "replace", "v": f"{n}" * 20_000},
            {"p": "/status", "o": "replace", "v": "finished_successfully"},
        ]})  # fmt: skip


def quadratic_patches() -> Chunks:
    yield HEAD + added()
    parts = [{"p": f"/content/parts/{n}", "o": "append", "v": "z"} for n in range(500)]
    for _ in range(500):
        yield event({"p": "/message", "o": "patch", "v": parts})
        yield event({"p": "/message/content/parts/0", "o": "replace", "v": "z"})


def inserts_in_front() -> Chunks:
    yield HEAD + added()
    for _ in range(200):
        patch = [{"p": "/content/parts/0", "o": "add", "v": "z"}] * 1000
        yield event({"p": "/message", "o": "patch", "v": patch})


def cumulative() -> Chunks:
    """v0 whose every frame is read, since each changes the status."""
    for n in range(4000):
        said = {
            "id": "A", "author": {"role": "assistant"}, "status": ("in_progress", "finished_successfully")[n % 2],
            "content": {"content_type": "text", "parts": ["v0 " * 10_000 + str(n)]},
        }  # fmt: skip
        yield event({"message": said, "conversation_id": "hostile", "error": None}, "")


def wide_values(value: bytes, megabytes: int = 15) -> Chunks:
    """JSON whose values take many times more memory than their text."""
    yield HEAD + added()
    body = (value + b",") * (megabytes * MEGABYTE // (len(value) + 1)) + value
    yield b'event: delta\ndata: {"p":"/message/metadata/x","o":"add","v":[%s]}\n\n' % body
    yield b'data: {"type":"surprise","list":[%s]}\n\n' % body


def odd_values() -> Chunks:
    yield HEAD + added()
    for value in ("\0", "\ud83d", "\udf0a", "a\0b", "\ufffe", "\x1b[31m"):
        yield event({"p": TEXT, "o": "append", "v": value})
    for number in (b"9223372036854775808", b"-9223372036854775809", b"1" * 5000, b"1e999", b"-0.0"):
        for key in (b"create_time", b"weight", b"update_time", b"end_turn", b"id"):
            yield b'event: delta\ndata: {"p":"/message/%s","o":"replace","v":%s}\n\n' % (key, number)
    yield event({"type": "\0\ud83d", "conversation_id": "\0"}, "")


def secret_quotes() -> Chunks:
    """What makes a careless expression go back again and again."""
    yield HEAD
    for _ in range(20):
        yield b'data: {"token": "' + b"\\" * 500_000 + b'\n\ndata: {"eyJ' + b"eyJ." * 250_000 + b'"}\n\n'
        yield b"data: " + b'"token" :' * 100_000 + b"\n\ndata: " + b"wss:?" * 200_000 + b"\n\n"


def random_letters() -> Chunks:
    """One event of what has no end to a reader, and no form to whoever looks for credentials in it."""
    letters = bytes.maketrans(bytes(range(256)), bytes(string.ascii_letters[n % 52].encode()[0] for n in range(256)))
    chance = random.Random(1)
    yield HEAD + b"data: "
    for _ in range(64):
        yield chance.randbytes(MEGABYTE).translate(letters)


def words_like_credentials() -> Chunks:
    """Long events that are looked through for credentials, and each of their words tells of some."""
    words = (
        b"token",
        b"question?",
        b"sig",
        b"100%25",
        b"Bearer",
        b"cookie:",
        b"key=",
        b"a",
        b"https://a.b/c?d",
        b"\\u",
    )
    text = b" ".join(random.Random(1).choices(words, k=2 * MEGABYTE))
    for _ in range(4):
        yield b'data: {"type":"surprise","said":"%s"}\n\n' % text


def document(value: bytes, megabytes: int) -> Chunks:
    """A conversation that the page loads, with nothing in it but values that take memory."""
    body = (value + b",") * (megabytes * MEGABYTE // (len(value) + 1)) + value
    yield b'{"conversation_id":"hostile","mapping":{},"x":[' + body + b"]}"


ATTACKS: Mapping[str, tuple[str, Callable[[], Chunks]]] = {
    "bomb-gzip": ("gzip", lambda: bomb_gzip(b"\0")),
    "bomb-gzip-lines": ("gzip", lambda: bomb_gzip(b"\n")),
    "bomb-gzip-events": ("gzip", lambda: bomb_gzip(b"data: {}\n\n")),
    "bomb-brotli": ("br", lambda: bomb_brotli(b"\0")),
    "bomb-zstd": ("zstd", lambda: bomb_zstd(b"data: x\n")),
    "bomb-stacked": ("gzip, gzip", stacked),
    "endless-event": ("", endless_event),
    "endless-data-lines": ("", endless_data_lines),
    "tiny-events": ("", tiny_events),
    "tiny-deltas": ("", tiny_deltas),
    "many-messages": ("", many_messages),
    "one-channel-of-messages": ("", one_channel_of_messages),
    "deep": ("", deep),
    "deeper-and-deeper": ("", deeper_and_deeper),
    "far-index": ("", far_index),
    "creeping-index": ("", creeping_index),
    "truncations": ("", truncations),
    "append-and-truncate": ("", append_and_truncate),
    "single-append": ("", single_append),
    "growing-to-50-mb": ("", growing_to_50),
    "rewrites": ("", rewrites),
    "quadratic-patches": ("", quadratic_patches),
    "inserts-in-front": ("", inserts_in_front),
    "cumulative": ("", cumulative),
    "wide-lists": ("", lambda: wide_values(b"[]")),
    "wide-objects": ("", lambda: wide_values(b"{}")),
    "wide-numbers": ("", lambda: wide_values(b"1.5")),
    "document-of-lists": ("", lambda: document(b"[]", 7)),
    "document-of-more-lists": ("", lambda: document(b"[]", 60)),
    "document-of-texts": ("", lambda: document(b'"' + b"w" * 10_000 + b'"', 47)),
    "odd-values": ("", odd_values),
    "secret-quotes": ("", secret_quotes),
    "random-letters": ("", random_letters),
    "words-like-credentials": ("", words_like_credentials),
}

DOCUMENT: Mapping[str, Any] = {
    "kind": "document", "name": "conversation", "streamed": False, "method": "GET", "content_type": "application/json",
    "path": "/backend-api/conversation/hostile",
}  # fmt: skip


def pieces(chunks: Chunks) -> Iterator[bytes]:
    """The chunks in pieces that a connection would bring."""
    for chunk in chunks:
        for start in range(0, len(chunk), 65536):
            yield chunk[start : start + 65536]

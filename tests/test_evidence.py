import random
import sys
import tracemalloc
from collections.abc import Iterable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.wire.evidence import Evidence, compress, decompress
from addon.wire.redaction import redact
from addon.wire.sse import Event, EventStreamParser
from tests.cuts import cuts

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzM2NyZXQifQ.czNjcmV0"
TOKEN = f'data: {{"type":"resume_conversation_token","token":"{JWT}","conversation_id":"K"}}\n\n'.encode()
TOKEN_KEPT = b'data: {"type":"resume_conversation_token","token":"redacted","conversation_id":"K"}\n\n'


def collected(chunks: Iterable[bytes]) -> Evidence:
    """Evidence of a stream whose events were redacted as they came, a chunk each millisecond."""
    evidence, parser = Evidence(), EventStreamParser()
    for number, chunk in enumerate(chunks, start=1):
        evidence.received(chunk)
        evidence.events([(event, redact(event.data)) for event in parser.feed(chunk)])
        evidence.arrived(1000 * number)
    return evidence


def kept(chunks: Iterable[bytes]) -> bytes:
    return decompress(collected(chunks).close()[0])


def said(body: bytes) -> list[tuple[str, bytes, str, bool]]:
    parser = EventStreamParser()
    events = parser.feed(body) + parser.close()
    return [(event.type, redact(event.data), event.last_event_id, event.terminated) for event in events]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'event: delta\ndata: {"v":" word"}\n\ndata: [DONE]\n\n',
        b'event:delta\r\ndata:{"v": "a token"}  \r\n\r\ndata: [DONE]\r\n\r\n',
        b'data: {"a":1}\r\rdata: [DONE]\r\r',
        "\ufeff: ping\n\nid: 7\nretry: 5\ndata: {\ndata:  \n: x\ndata\ndata: }\n\n\n\ndata: été 🚀\n\n".encode(),
        b"event: lost\n\n\n: only comments\n\n",
        b'data: {"token":""}\n\ndata: {"token":"redacted"}\n\n',
        b'data:{"title":"token"}\n\ndata: {"v":"eyJ said he"}\n\n',
        b'data: a\n\ndata: {"message":{"id":"M","content":{"parts":["cut he',
        b"data: a\n\nevent: del",
        b"data: a\r\n\r\nid",
        b"data: \xff\xfe\n\n",
    ],
)
def test_a_body_without_secrets_is_kept_byte_for_byte(body: bytes) -> None:
    for chunks in cuts(body):
        assert kept(chunks) == body


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (TOKEN, TOKEN_KEPT),
        (b"data:a\n\n" + TOKEN + b"data:b\n\n", b"data:a\n\n" + TOKEN_KEPT + b"data:b\n\n"),
        (TOKEN * 2 + b": c\n\ndata:b\n\n" + TOKEN, TOKEN_KEPT * 2 + b": c\n\ndata:b\n\n" + TOKEN_KEPT),
        # Of a rewritten event all else that it says is kept, in plain form, and its comments as they are.
        (b": c\nid:7\nevent:x\nretry: 5\n:" + JWT.encode() + b"\n" + TOKEN, b": c\n:redacted\nid: 7\nevent: x\n" + TOKEN_KEPT),
        (b"id: 1\ndata: a\n\nid\n" + TOKEN + TOKEN, b"id: 1\ndata: a\n\nid: \n" + TOKEN_KEPT * 2),
        (b'data:{"token":\ndata:"s3cret",\ndata:"a":1}\n\n', b'data: {"token":\ndata: "redacted",\ndata: "a":1}\n\n'),
        (b'data:{"a":"\xff","token":"s3cret"}\n\n', b'data: {"a":"\xff","token":"redacted"}\n\n'),
        (b"\xef\xbb\xbfevent: lost\n\n" + TOKEN, TOKEN_KEPT),
        # An event that never ended loses what looks like a secret, and only that.
        (b'data: a\n\nevent:x\ndata:{"token":"s3cr', b'data: a\n\nevent:x\ndata:{"token":"redacted'),
        (TOKEN.rstrip(), TOKEN_KEPT.rstrip()),
        (b"data: a\n\n: " + JWT.encode() + b' kept\ndata: {"x":["' + JWT.encode(), b'data: a\n\n: redacted kept\ndata: {"x":["redacted'),
    ],
)  # fmt: skip
def test_only_events_with_secrets_are_rewritten(body: bytes, left: bytes) -> None:
    for chunks in cuts(body):
        assert kept(chunks) == left


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
def test_other_line_ends_stay_around_a_rewritten_event(line_end: bytes) -> None:
    before, after = (b"data:a\n\n".replace(b"\n", line_end), b"data:b\n\n: c\n".replace(b"\n", line_end))
    for chunks in cuts(before + TOKEN.replace(b"\n", line_end) + after):
        # The LF of a CR LF may come after its event was read: then it stays.
        assert kept(chunks) in (before + TOKEN_KEPT + after, before + TOKEN_KEPT + b"\n" + after)


def test_no_cut_of_a_stream_leaves_a_secret() -> None:
    body = b"data: a\n\n" + TOKEN + b'event: x\ndata: {"sig":"s3cret","a":"b"}\n\n' + TOKEN.replace(b"\n", b"\r\n")
    for length in range(len(body)):
        left = kept([body[:length]])
        assert b"s3cret" not in left
        assert b"eyJhbGciOiJ" not in left
        assert b"czNjcmV0" not in left


LINES = st.sampled_from([b"data: a", b'data: {"token":"s3cret"}', b'data:{"sig":', b'data:"s3cret"}', b"event: x", b"id: 7", b"id", b": c", b"", b""])  # fmt: skip
BODIES = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"]))).map(lambda lines: b"".join(map(b"".join, lines)))  # fmt: skip


@given(BODIES, st.lists(st.integers(1, 9), min_size=1))
def test_what_is_kept_says_the_same_but_for_the_secrets(body: bytes, sizes: list[int]) -> None:
    body += b"\n\n"
    chunks: list[bytes] = []
    start = 0
    while start < len(body):
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(body[start : start + size])
        start += size
    left = kept(chunks)
    assert said(left) == said(body)
    assert [entry[1] for entry in said(left)] == [event.data for event in parsed(left)]


def parsed(body: bytes) -> list[Event]:
    parser = EventStreamParser()
    return parser.feed(body) + parser.close()


# Arrivals


def arrivals(evidence: Evidence) -> list[list[int]]:
    pairs: list[list[int]] = orjson.loads(decompress(evidence.close()[1]))
    return pairs


def test_arrivals_say_how_long_the_kept_body_was_when() -> None:
    assert arrivals(collected([b"data", b": a\n", b"\n", b": c\n", TOKEN, b"data: b\n\ndata: c\n\ndat", b"a: d"])) == [
        [1000, 0],
        [3000, 9],
        [5000, 13 + len(TOKEN_KEPT)],
        [6000, 13 + len(TOKEN_KEPT) + 18],
    ]


def test_arrivals_grow_and_point_behind_events_however_the_stream_is_cut() -> None:
    body = b"data: a\n\n" + TOKEN + b"data: b\r\n\r\n: c\n\n" + TOKEN + b"data: c\n\n"
    for chunks in cuts(body):
        evidence = collected(chunks)
        times, lengths = zip(*arrivals(evidence), strict=True)
        assert list(times) == sorted(set(times))
        assert list(lengths) == sorted(set(lengths))
        left = decompress(evidence.close()[0])
        assert lengths[-1] == evidence.body_bytes == len(left)
        assert all(said(left[:length]) == said(left)[: len(said(left[:length]))] for length in lengths)


def test_nothing_arrived_when_nothing_came() -> None:
    evidence = Evidence()
    assert (arrivals(evidence), decompress(evidence.close()[0]), evidence.body_bytes) == ([], b"", 0)


# Compression


def test_frames_in_a_row_decompress_as_one() -> None:
    first, second = compress(b"data: a\n\n"), compress(b"")
    assert decompress(first + second + first) == zstd.decompress(first + second + first) == b"data: a\n\n" * 2
    assert decompress(b"") == b""


def test_a_long_body_is_kept_in_bounded_memory() -> None:
    generator = random.Random(1)
    events = [b'data: {"v":"' + generator.randbytes(500).hex().encode() + b'"}\n\n' for _ in range(20)]
    evidence, parser = Evidence(), EventStreamParser()
    tracemalloc.start()
    try:
        for number in range(3_000):
            chunk = TOKEN + events[number % 20]
            evidence.received(chunk)
            evidence.events([(event, redact(event.data)) for event in parser.feed(chunk)])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
    body = evidence.close()[0]
    assert zstd.decompress(body) == b"".join(TOKEN_KEPT + events[number % 20] for number in range(3_000))
    assert len(body) < 500_000


def test_a_second_close_gives_the_same() -> None:
    evidence = collected([b"data: a\n\ndata: b"])
    assert evidence.close() == evidence.close()

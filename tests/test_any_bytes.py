"""Bytes that nobody wrote: content codings, paths and journals take any, and no exception but their own comes out.

`scripts/fuzz` does the same with the whole chain of decoders, guided by coverage.
"""

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.endpoints import HOSTS, INTERCEPTED, classify
from addon.errors import StreamError
from addon.journal import Journal, Kind
from addon.segments import SegmentReader
from addon.wire.content_coding import ContentDecoder
from scripts.loopback import encode

CODINGS = ("identity", "gzip", "deflate", "deflate-raw", "br", "zstd", "gzip, br", "zstd, deflate, gzip")
LENGTHS = st.lists(st.integers(1, 50), max_size=20)


def chunks(data: bytes, lengths: list[int]) -> list[bytes]:
    cut, start = [], 0
    for length in lengths:
        cut.append(data[start : start + length])
        start += length
    return [*cut, data[start:]]


def decoded(name: str, data: bytes, lengths: list[int]) -> bytes:
    decoder = ContentDecoder(name.replace("-raw", ""))
    return b"".join(piece for chunk in chunks(data, lengths) for piece in decoder.feed(chunk))


@pytest.mark.parametrize("name", CODINGS)
@given(body=st.binary(max_size=300), lengths=LENGTHS)
def test_what_was_encoded_is_decoded_whatever_it_is_and_however_cut(name: str, body: bytes, lengths: list[int]) -> None:
    assert decoded(name, encode(body, name), lengths) == body


@pytest.mark.parametrize("name", CODINGS[1:])
@given(
    body=st.binary(max_size=200), place=st.integers(0, 400), wrong=st.binary(min_size=1, max_size=8), lengths=LENGTHS
)
def test_what_is_no_coded_content_is_a_stream_error_or_bytes(
    name: str, body: bytes, place: int, wrong: bytes, lengths: list[int]
) -> None:
    data = encode(body, name)
    place %= len(data)
    for spoiled in (data[:place] + wrong + data[place + len(wrong) :], data[:place], wrong * 5, data + wrong):
        with contextlib.suppress(StreamError):
            decoded(name, spoiled, lengths)


PATHS = st.lists(
    st.sampled_from(
        ["backend-api", "backend-anon", "f", "conversation", "conversations", "resume", "me", "sentinel", "auth", "api",
         "files", "download", "estuary", "content", "..", "", "%2e%2e", "%00", "\ud83d", "x" * 300]
    ) | st.text(max_size=10),
    max_size=6,
)  # fmt: skip


@given(
    method=st.sampled_from(["GET", "POST", "PATCH", "HEAD", "", "get"]),
    host=st.sampled_from(["chatgpt.com", "ws.chatgpt.com", "x.oaiusercontent.com", "evil-chatgpt.com", ""]) | st.text(),
    path=PATHS,
    query=st.text(max_size=40),
    content_type=st.sampled_from(["text/event-stream", "application/json", ""]) | st.text(max_size=20),
    status=st.integers(0, 999),
)
def test_any_request_is_ours_or_not_and_what_holds_credentials_never_is(
    method: str, host: str, path: list[str], query: str, content_type: str, status: int
) -> None:
    joined = "/" + "/".join(path)
    found = classify(method, host, f"{joined}?{query}", content_type, status)
    if found is not None:
        assert host.lower().rstrip(".") in HOSTS or host.lower().rstrip(".").endswith(
            (".oaiusercontent.com", ".chatgpt.com", ".webpubsub.azure.com")
        )
        assert all(isinstance(value, str) for value in found.parameters.values())
    for private in (
        "/api/auth/session",
        "/backend-api/me",
        "/backend-api/sentinel/ping",
        "/ces/v1/t",
        "/cdn-cgi/trace",
    ):
        for streamed in ("text/event-stream", content_type):
            assert classify(method, "chatgpt.com", f"{private}?{query}", streamed, 200) is None
    assert len(INTERCEPTED) > 0


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["open", "append", "append", "close"]), st.integers(0, 4), st.binary(max_size=60)),
    max_size=30,
)


@given(operations=OPERATIONS, cut=st.integers(0, 3000), spoil=st.integers(0, 3000), wrong=st.integers(1, 255))
def test_a_journal_that_is_cut_or_damaged_gives_its_whole_records_up_to_there(
    operations: list[tuple[str, int, bytes]], cut: int, spoil: int, wrong: int
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        written = Journal(folder, "w")
        first = written.open(b"{}", b"", 1)  # it is open to the end, so that there is one segment
        streams = [first]
        for at, (verb, which, data) in enumerate(operations, start=2):
            stream = streams[which % len(streams)]
            if verb == "open":
                streams.append(written.open(b"{}", data, at))
            elif verb == "append":
                written.append(stream, data, at)
            elif stream != first:
                written.close(stream, b"{}", at)
        (path,) = folder.glob("*.journal")
        whole = path.read_bytes()
        records = read(path)
        assert [record[0] for record in records].count(Kind.OPEN) == len(streams)
        path.write_bytes(whole[: cut % (len(whole) + 1)])
        assert records[: len(read(path))] == read(path)
        spoil %= len(whole)
        path.write_bytes(whole[:spoil] + bytes([whole[spoil] ^ wrong]) + whole[spoil + 1 :])
        before = [record for record in records if record[3] <= spoil]
        assert read(path)[: len(before)] == before


def read(path: Path) -> list[tuple[Kind, int, bytes, int]]:
    """The records and where each ends."""
    reader = SegmentReader.follow(path)
    found, end = [], 0
    for record in reader.read():
        end += 21 + len(record.payload)
        found.append((record.kind, record.stream, record.payload, end))
    reader.close()
    return found

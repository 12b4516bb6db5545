from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.errors import StreamError
from addon.wire import sse
from addon.wire.sse import Event, EventStreamParser
from tests import reference
from tests.cuts import cuts


def read(chunks: list[bytes]) -> list[Event]:
    parser = EventStreamParser()
    return [event for chunk in chunks for event in parser.feed(chunk)] + parser.close()


def said(events: list[Event]) -> list[tuple[str, str, str, bool]]:
    return [(e.type, e.data.decode("utf-8", "replace"), e.last_event_id, e.terminated) for e in events]


def said_by_the_reference(body: bytes) -> list[tuple[str, str, str, bool]]:
    return [(e.type, e.data, e.last_event_id, e.terminated) for e in reference.parse(body)]


CASES = [
    # Line ends, alone and mixed.
    (b"data: a\n\n", [Event("message", b"a", 9)]),
    (b"data: a\r\n\r\ndata: b\r\n\r\n", [Event("message", b"a", 11), Event("message", b"b", 22)]),
    (b"data: a\r\rdata: b\r\r", [Event("message", b"a", 9), Event("message", b"b", 18)]),
    (b"data: a\n\r\n\rdata: b\r\n\n", [Event("message", b"a", 10), Event("message", b"b", 21)]),
    (b"\n\r\n\rdata: a\n\n\n\n", [Event("message", b"a", 13)]),
    # What str.splitlines takes for a line end is text.
    ("data: a\u2028b\u2029c\x0b\x0c\x1c\x85d\n\n".encode(), [Event("message", "a\u2028b\u2029c\x0b\x0c\x1c\x85d".encode(), 23)]),
    # One byte order mark at the very start, and only there.
    (b"\xef\xbb\xbfdata: a\n\n", [Event("message", b"a", 12)]),
    (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [Event("message", b"b", 24)]),
    (b"\n\xef\xbb\xbfdata: a\n\n", []),
    (b"\xef\xbb\xbf", []),
    (b"\xef\xbb\xbf\ndata: a\n\n", [Event("message", b"a", 13)]),
    # Fields.
    (b"data:a\ndata: b\ndata:  c\ndata:\td\n\n", [Event("message", b"a\nb\n c\n\td", 33)]),
    (b"data\n\n", [Event("message", b"", 6)]),
    (b"data:\n\n", [Event("message", b"", 7)]),
    (b"data\ndata:\ndata: \n\n", [Event("message", b"\n\n", 19)]),
    (b"data: a: b \n\n", [Event("message", b"a: b ", 13)]),
    (b": ping - 2025-03-06\n:\n::data: x\ndata: a\n: in between\ndata: b\n\n", [Event("message", b"a\nb", 62)]),
    (b"Data: x\n data: x\ndata : x\nretry: 5\nother\n\n", []),
    (b"event: delta\ndata: a\n\ndata: b\n\n", [Event("delta", b"a", 22), Event("message", b"b", 31)]),
    (b"event: one\nevent:two\ndata: a\n\n", [Event("two", b"a", 30)]),
    (b"event: lost\n\ndata: a\n\n", [Event("message", b"a", 22)]),
    (b"event\ndata: a\n\n", [Event("message", b"a", 15)]),
    # The id stays until it is changed; a NUL in it makes the field void.
    (b"id: 1\ndata: a\n\ndata: b\n\n", [Event("message", b"a", 15, "1"), Event("message", b"b", 24, "1")]),
    (b"id: 1\nid: 2\x003\ndata: a\n\nid\ndata: b\n\n", [Event("message", b"a", 23, "1"), Event("message", b"b", 35)]),
    # Characters of several bytes, and bytes that are no character.
    ("event: \u00e9\ndata: \U0001f680\n\n".encode(), [Event("\u00e9", "\U0001f680".encode(), 22)]),
    (b"data: \xf0\x9f\n\n", [Event("message", b"\xf0\x9f", 10)]),
    # The end of the body.
    (b"event: delta\ndata: a", [Event("delta", b"a", 20, terminated=False)]),
    (b"data: a\nevent: late", [Event("late", b"a", 19, terminated=False)]),
    (b"data: a\n", [Event("message", b"a", 8, terminated=False)]),
    (b"data: a\n\nevent: delta\ndat", [Event("message", b"a", 9)]),
    (b"data: a\n\n: bye", [Event("message", b"a", 9)]),
    (b"data", [Event("message", b"", 4, terminated=False)]),
    (b"", []),
]  # fmt: skip


@pytest.mark.parametrize(("body", "events"), CASES)
def test_events_are_those_of_the_standard(body: bytes, events: list[Event]) -> None:
    assert read([body]) == events
    assert said(events) == said_by_the_reference(body)


@pytest.mark.parametrize("body", [body for body, _ in CASES])
def test_events_do_not_depend_on_how_the_stream_is_cut(body: bytes) -> None:
    expected = read([body])
    for chunks in cuts(body):
        events = read(chunks)
        assert said(events) == said(expected), chunks
        for event, whole in zip(events, expected, strict=True):
            # An event does not wait for the LF of a CR LF that a chunk may still bring.
            assert event.end == whole.end or (event.end == whole.end - 1 and body[event.end - 1 : whole.end] == b"\r\n")


LINE = st.sampled_from(["data: a", "data:b", "data", "data:  ", "event: x", "event:", "id: 1", "id", "id: \0", ": c", "", "", "z", "\ufeffdata: q", "data: \u2028é🚀"])  # fmt: skip
LINES = st.lists(st.tuples(LINE, st.sampled_from(["\n", "\r\n", "\r"])))
BODIES = st.one_of(
    LINES.map(lambda lines: "".join(map("".join, lines)).encode()),
    st.binary(),
    st.lists(st.sampled_from([b"data", b":", b" ", b"\r", b"\n", b"id", b"\0", b"\xef\xbb\xbf", b"\xff", b"event", b"x"])).map(b"".join),
)  # fmt: skip


@given(BODIES, st.lists(st.integers(1, 7), min_size=1))
def test_any_body_under_any_cut_is_read_as_the_standard_says(body: bytes, sizes: list[int]) -> None:
    chunks: list[bytes] = []
    start = 0
    while start < len(body):
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(body[start : start + size])
        start += size
    assert said(read(chunks)) == said_by_the_reference(body)


@given(BODIES)
def test_the_ends_cut_a_body_into_blocks_that_are_the_events(body: bytes) -> None:
    events = read([body])
    ends = [0, *(event.end for event in events)]
    blocks = [body[start:end] for start, end in pairwise(ends)]
    before = b""
    for block, event in zip(blocks, events, strict=True):
        assert said(read([before, block])) == said([event])
        before = f"id: {event.last_event_id}\n".encode()
    assert said(read([*blocks, body[ends[-1] :]])) == said(events)


def test_an_event_is_there_as_soon_as_its_blank_line_has_begun_to_end() -> None:
    parser = EventStreamParser()
    assert [len(parser.feed(bytes([byte]))) for byte in b"data: a\n\ndata: b\r\n\r\ndata: c\r\r"] == (
        [0] * 8 + [1] + [0] * 9 + [1, 0] + [0] * 8 + [1]
    )


def test_an_empty_chunk_between_cr_and_lf_changes_nothing() -> None:
    assert read([b"data: a\r", b"", b"\n", b"", b"\r", b"", b"\n"]) == [Event("message", b"a", 10)]
    assert read([b"data: a\r", b"", b"\r"]) == [Event("message", b"a", 9)]


def test_a_closed_parser_has_nothing_more_to_say() -> None:
    parser = EventStreamParser()
    parser.feed(b"data: a")
    assert parser.close() == [Event("message", b"a", 7, terminated=False)]
    assert parser.close() == []


@pytest.mark.parametrize(
    ("held", "excess"),
    [
        (b"data: " + b"x" * 94, b"x"),
        (b": comment" + b"x" * 91, b"x"),
        (b"event: " + b"x" * 93, b"x"),
        (b"data:\n" * 47 + b"data: " + b"x" * 47, b"x"),
        (b"data: " + b"x" * 40 + b"\ndata: " + b"x" * 53, b"x"),
    ],
)
def test_an_event_may_grow_to_the_limit_and_not_beyond_it(
    monkeypatch: pytest.MonkeyPatch, held: bytes, excess: bytes
) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    for chunks in cuts(b"data: a\n\n" + held + b"\n\ndata: b\n\n"):
        assert [event.data for event in read(chunks)][-1] == b"b"
    for chunks in cuts(held + excess + b"\n\ndata: b\n\n"):
        parser = EventStreamParser()
        with pytest.raises(StreamError, match="an event exceeds 100 bytes"):
            list(map(parser.feed, chunks))
        assert parser.close() == []


def test_comments_between_events_may_go_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    parser = EventStreamParser()
    assert [event for _ in range(100) for chunk in (b": pi", b"ng\n") for event in parser.feed(chunk)] == []
    assert parser.feed(b"data: a\n\n") == [Event("message", b"a", 709)]


def test_a_long_event_costs_what_it_holds_however_finely_it_is_cut() -> None:
    size, parser = 300_000, EventStreamParser()
    parser.feed(b"data: ")
    for _ in range(size):  # would not come to an end if each chunk copied what is held
        parser.feed(b"x")
    assert parser.feed(b"\n\n") == [Event("message", b"x" * size, size + 8)]

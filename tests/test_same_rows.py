"""Streams nobody ever saw: what is stored of them depends neither on cuts, nor on readers, nor on being read again."""

import itertools
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.recording import (
    ENDED,
    FINISHED,
    STATUS,
    TEXT,
    Archive,
    Row,
    archive_at,
    by_offset,
    delta,
    envelope,
    event,
    message,
    ragged,
    request,
    shown,
    sometimes,
    standing,
    v1,
)

# Each message keeps to its channel and its parent; D and E come as v0, I and J are images, K is their call.
CHANNELS = {"A": 0, "B": 1, "C": 2, "I": 5, "J": 6, "K": 7}
PARENTS = {"A": "U", "B": "A", "C": "B", "D": "C", "E": "U", "I": "K", "J": "K", "K": "U"}
CALL = json.dumps({"prompt": "a low tide", "size": "1x1"})

statuses = st.sampled_from(["in_progress", "in_progress", FINISHED])
conversations = st.sampled_from(["talk", "talk", "talk", None])
channels = st.sampled_from([0, 1, 2])


def said(identity: str, text: str, status: str, known: Row) -> Row:
    return message(identity, text, status=status, metadata={"parent_id": PARENTS[identity]} | known)


def pictured(identity: str, number: int, status: str) -> Row:
    made = {"generation": {"gen_id": "g"}}
    part = {"content_type": "image_asset_pointer", "asset_pointer": f"sediment://{identity}{number}", "metadata": made}
    tool = {"role": "tool", "name": "image_gen"}
    content = {"content_type": "multimodal_text", "parts": [part]}
    return message(identity, author=tool, content=content, status=status, metadata={"parent_id": "K"})


def put(words: Row, conversation_id: str | None) -> Row:
    return shown(words, CHANNELS[words["id"]], conversation_id)


def frames(identity: str, texts: list[str], conversation_id: str | None) -> bytes:
    grown = itertools.accumulate(texts, lambda before, text: before + text if text else "")
    return b"".join(event(envelope(said(identity, text, "in_progress", {}), conversation_id)) for text in grown)


metadata = st.sampled_from([{}, {"b": 2}, {"turn_exchange_id": "x"}, {"turn_exchange_id": "y"}])
late = st.sampled_from([{"a": 1}, {"content_references": [{"type": "webpage", "url": "https://example.org"}]}])
texts = st.sampled_from(["", "abc", "hello you"])
halves = st.sampled_from(["x", " y", "\ud83d", "\ude00"])
typed: list[Any] = [
    {"type": "moderation", "moderation_response": {"blocked": True}},
    *({"type": "moderation", "moderation_response": {"blocked": True}, "message_id": identity} for identity in "ACX"),
    {"type": "title_generation", "title": "Early"},
    {"type": "title_generation", "title": "Late", "conversation_id": "talk"},
    {"type": "brand_new", "x": 1},
    {"type": "conversation_async_status", "conversation_id": "talk"},
    {"type": "input_message", "input_message": message("U", "echo", author={"role": "user"}, status=FINISHED)},
    event(b'{"v": torn', "delta"),
    event({"c": [1], "p": 5, "o": {}, "v": 1}, "delta"),
    event(b'"v1"', "delta_encoding"),
]
events = st.one_of(
    st.builds(put, st.builds(said, st.sampled_from("ABC"), texts, statuses, metadata), conversations),
    st.builds(put, st.builds(pictured, st.sampled_from("IJ"), st.integers(0, 2), statuses), conversations),
    st.builds(put, st.builds(said, st.just("K"), st.just(CALL), statuses, st.just({})).map(lambda m: m | {"recipient": "image_gen"}), conversations),
    st.builds(delta, st.just(TEXT), st.just("append"), halves, channels),
    st.builds(delta, st.just(TEXT), st.just("replace"), st.sampled_from(["", "other"]), channels),
    st.builds(delta, st.just(STATUS), st.just("replace"), st.just(FINISHED), channels),
    st.builds(delta, st.just(""), st.just("patch"), st.just([{"p": TEXT, "o": "append", "v": "pp"}, {"p": STATUS, "o": "replace", "v": FINISHED}]), channels),
    st.builds(delta, st.just("/message/metadata"), st.just("append"), late, channels),
    st.builds(delta, st.just("/message/content"), st.just("replace"), st.just({"content_type": "text", "parts": ["whole"]}), channels),
    st.builds(lambda n: delta(f"{TEXT}/asset_pointer", "replace", f"sediment://I{n}", 5), st.integers(0, 2)),
    st.builds(frames, st.sampled_from("DE"), st.lists(st.sampled_from(["w ", "w ", ""]), min_size=1, max_size=4), conversations),
    st.builds(lambda text, status, talk: event(envelope(said("E", text, status, {}), talk)), texts, statuses, conversations),
    st.sampled_from(typed),
)  # fmt: skip
requests = st.sampled_from([b"", request("U"), request("U", conversation_id="talk", parent_message_id="P")])


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive to copy."""
    path = tmp_path_factory.mktemp("same") / "empty.db"
    Archive(path).store.close()
    return path


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(events, min_size=1, max_size=20), requests, st.booleans(), st.integers(0, 2**32))
def test_the_rows_of_a_stream_are_the_same_however_it_is_read(
    empty: Path, said: list[Any], sent: bytes, done: bool, seed: int
) -> None:
    body = v1(*said, done=done)
    chunks = ragged(body, random.Random(seed), 150)

    def read(*parts: list[bytes], **how: Any) -> dict[str, list[Row]]:
        """The rows after all these, each read as far as it goes; the last is closed."""
        path = empty.with_name("read.db")
        shutil.copy(empty, path)
        with archive_at(path) as archive:
            for number, part in enumerate(parts, start=1):
                look = sometimes(random.Random(seed + number), how.get("odds", 0.0))
                closing = ENDED if number == len(parts) else None
                archive.record(b"", sent, chunks=part, look=look, closing=closing, clock=how["clock"])
            return archive.dump()

    at_once = read([body], clock=standing)
    assert read(chunks, clock=standing) == at_once
    assert read(chunks, clock=standing, odds=0.4) == at_once
    as_it_came = read(chunks, clock=by_offset)
    assert read(chunks, clock=by_offset, odds=0.4) == as_it_came
    assert read(chunks[: len(chunks) // 2], chunks, clock=by_offset, odds=0.4) == as_it_came
    assert read(chunks, chunks, clock=by_offset, odds=0.2) == as_it_came

"""What reading one stream may cost: an honest answer never meets a limit, a hostile one ends at it, marked."""

import json
import sys
from typing import Any

import pytest

from addon.errors import StreamError
from addon.wire import budget
from addon.wire.budget import Budget, loads_bounded, memory_of
from scripts import scenes
from tests.recording import (
    FINISHED,
    STATUS,
    TEXT,
    Archive,
    delta,
    envelope,
    message,
    shown,
    v0,
    v1,
)

HELD, WORK, EMITTED = "larger than any", "cost more than", "more is rewritten"


def wide(megabytes: int) -> bytes:
    return b'{"type":"surprise","list":[' + b",".join([b"[]"] * (megabytes * 1024 * 1024 // 3)) + b"]}"


def test_json_that_would_take_many_times_its_size_is_not_read() -> None:
    with pytest.raises(ValueError, match="more values than can be held"):
        loads_bounded(wide(6))
    assert len(loads_bounded(wide(1))["list"]) == 349525
    prose = json.dumps({"v": "so, it was; and, then, " * 400_000}).encode()
    assert len(loads_bounded(prose)["v"]) == 9_200_000


def test_what_cannot_be_read_is_an_event_that_was_not_recognised(archive: Archive) -> None:
    said = v1(shown(message("A", "before")), delta(TEXT, "append", ", after"), done=False)
    archive.record(said + b"data: " + wide(6) + b"\n\ndata: [DONE]\n\n")
    assert archive.message("A")["text"] == "before, after"
    assert archive.row("SELECT type, recognised FROM events") == {"type": "unparsable", "recognised": 0}


def test_memory_is_never_underestimated() -> None:
    values: list[Any] = [
        [[]] * 1000,
        [{}] * 1000,
        list(range(1000)),
        {str(n): [n] for n in range(1000)},
        "\U0001f30a" * 999,
    ]
    for value in values:
        data = json.dumps(value).encode()
        assert memory_of(data) >= deep_size(json.loads(data))


def deep_size(value: Any) -> int:
    inner = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return sys.getsizeof(value) + sum(map(deep_size, inner))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (v1(shown(message("A")), *[delta(TEXT, "append", "x" * 900)] * 200), HELD),
        (v1(*[shown(message(f"M{n}", "x" * 100), n) for n in range(300)]), HELD),
        (v1(*[shown(message(f"M{n}", "x" * 100)) for n in range(300)]), HELD),
        (v0(*[envelope(message(f"M{n}", "x" * 100)) for n in range(300)]), HELD),
        (v1(shown(message("A", "x" * 5000)), *[delta(TEXT, "truncate", 4999), delta(TEXT, "append", "y")] * 30), WORK),
        (v1(shown(message("A", "x")), *[delta("/message/content/parts/0", "add", 1)] * 900), WORK),
        (v1(shown(message("A", "x" * 5000)), *[delta(STATUS, "replace", s) for s in (FINISHED, "in_progress") * 9]), EMITTED),
    ],
)  # fmt: skip
def test_a_stream_that_costs_too_much_ends_marked_and_keeps_its_body(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, body: bytes, error: str
) -> None:
    monkeypatch.setattr(budget, "MAX_HELD", 100_000)
    monkeypatch.setattr(budget, "MAX_WORK", 100_000)
    monkeypatch.setattr(budget, "MAX_EMITTED", 50_000)
    archive.record(body)
    stream = archive.stream()
    assert (stream["state"], stream["event_count"] > 0) == ("error", True)
    assert error in stream["error"]
    assert archive.count("messages") > 0
    archive.record(v1(shown(message("B", "fine", status=FINISHED))), stream_id="next")
    assert archive.message("B")["text"] == "fine"


def test_what_is_replaced_is_not_held_any_more(monkeypatch: pytest.MonkeyPatch, archive: Archive) -> None:
    monkeypatch.setattr(budget, "MAX_HELD", 50_000)
    references = [{"type": "webpage", "url": f"https://example.org/{n}"} for n in range(50)]
    archive.record(
        v1(
            shown(message("A", "said", status=FINISHED)),
            *[delta("/message/metadata/content_references", "replace", references)] * 100,
            {"type": "message_stream_complete"},
        )
    )
    assert (archive.stream()["state"], archive.count("citations")) == ("complete", 50)


def test_events_and_messages_are_counted(monkeypatch: pytest.MonkeyPatch, archive: Archive) -> None:
    monkeypatch.setattr(budget, "MAX_EVENTS", 50)
    archive.record(v1(shown(message("A")), *[delta(TEXT, "append", "x")] * 100))
    assert archive.stream()["error"] == "more than 50 events"
    assert archive.message("A")["text"] == "x" * 48


@pytest.mark.parametrize("encoding", ["v1", "v0"])
@pytest.mark.parametrize("name", scenes.SCENES)
def test_long_honest_answers_stay_far_below_every_limit(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, name: str, encoding: scenes.Encoding
) -> None:
    for limit in ("MAX_HELD", "MAX_WORK", "MAX_EMITTED", "MAX_EVENTS"):
        monkeypatch.setattr(budget, limit, getattr(budget, limit) // 20)
    scene = scenes.SCENES[name](2000, seed=name, encoding=encoding)
    archive.record(scene.body)
    assert archive.stream()["state"] == "complete"


def test_a_budget_that_is_used_up_stays_so() -> None:
    left = Budget()
    with pytest.raises(StreamError, match=HELD):
        left.hold(budget.MAX_HELD + 1)
    with pytest.raises(StreamError, match=HELD):
        left.hold_text("x")

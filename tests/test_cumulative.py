import json
from typing import Any

import pytest

from addon.answers import cumulative
from addon.answers.cumulative import UnreadFrames, growing_message_id


def frame(text: str, *, status: str = "in_progress", **others: Any) -> bytes:
    content = {"content_type": "text", "parts": [text]}
    message = {"id": "M", "author": {"role": "assistant"}, "content": content, "status": status, "metadata": {}}
    return json.dumps({"message": message, "conversation_id": "K", "error": None} | others).encode()


def kept(*frames: bytes) -> UnreadFrames:
    unread = UnreadFrames()
    for number, data in enumerate(frames):
        unread.add("M", data, 1000 + number, number)
    return unread


def taken(unread: UnreadFrames) -> tuple[list[tuple[str, int, int]], list[tuple[bytes, int, int]]]:
    """The texts, times and positions of what is worth reading, and the unreadable frames."""
    read, unreadable = unread.take()
    return [(payload["message"]["content"]["parts"][0], at, position) for payload, at, position in read], unreadable


# Which frames may be left unread


@pytest.mark.parametrize(
    "data",
    [
        frame("Hel"),
        b" " + frame("Hel") + b"  \n" + b" " * 100,
        frame("Hel", error_code=None),
        json.dumps(json.loads(frame("Hel")), separators=(",", ":")).encode(),
        frame('", "status": "finished_successfully"'),
        frame('{"status":"finished_successfully","error":"x"}'),
    ],
)
def test_a_frame_of_a_message_in_progress_may_be_left_unread(data: bytes) -> None:
    assert growing_message_id(data) == "M"


@pytest.mark.parametrize(
    "data",
    [
        frame("Hello", status="finished_successfully"),
        frame('"status": "in_progress"', status="finished_successfully"),
        frame("", error="something broke"),
        frame("", error={"code": None}),
        frame("", error_code="limit"),
        frame("", moderation={"flagged": True}),
        frame("Hello")[:-1],
        frame("Hello") + b"x",
        frame("Hello")[:-1] + b', "x": {"error": null}}',
        frame("Hello").replace(b'"M"', rb'"\u004d"'),
        frame("Hello").replace(b'"M"', b'""'),
        frame("Hello").replace(b'"M"', b"7"),
        b'{"message": null, "conversation_id": "K", "error": null}',
        b'{"v": {"message": {"id": "M", "status": "in_progress"}, "error": null}}',
        b'{"type": "x", "message": {"id": "M", "status": "in_progress"}, "error": null}',
        b"[DONE]",
        b"",
    ],
)
def test_every_other_frame_must_be_read(data: bytes) -> None:
    assert growing_message_id(data) is None


def test_a_finished_message_is_read_although_something_in_it_is_in_progress() -> None:
    message = {
        "id": "M",
        "status": "finished_successfully",
        "metadata": {"aggregate_result": {"status": "in_progress"}},
    }
    assert growing_message_id(json.dumps({"message": message, "error": None}).encode()) is None


# What is worth reading


def test_nothing_is_kept_at_first() -> None:
    unread = UnreadFrames()
    assert (bool(unread), unread.full, unread.message_id, unread.take()) == (False, False, None, ([], []))


def test_only_the_newest_frame_is_read() -> None:
    unread = kept(frame("H"), frame("He"), frame("Hel"))
    assert (bool(unread), unread.message_id) == (True, "M")
    assert taken(unread) == ([("Hel", 1002, 2)], [])
    assert (bool(unread), unread.message_id, unread.take()) == (False, None, ([], []))


def test_a_text_that_was_emptied_is_read_before_the_frame_that_emptied_it() -> None:
    assert taken(kept(frame("H"), frame("He"), frame(""), frame(""))) == ([("He", 1001, 1), ("", 1003, 3)], [])


def test_of_frames_without_a_text_the_newest_is_read_last() -> None:
    read, unreadable = taken(kept(frame(""), frame(""), frame("")))
    assert (read[-1], unreadable) == (("", 1002, 2), [])


def test_unreadable_frames_give_way_to_the_newest_readable_one_and_are_told() -> None:
    broken, worse = frame("Hell").replace(b'"content"', b"content"), frame("Hello").replace(b"null", b"nil")
    assert taken(kept(frame("H"), frame("He"), broken, worse)) == (
        [("He", 1001, 1)],
        [(broken, 1002, 2), (worse, 1003, 3)],
    )
    assert taken(kept(broken)) == ([], [(broken, 1000, 0)])
    assert taken(kept(frame("He"), broken, frame(""))) == ([("He", 1000, 0), ("", 1002, 2)], [(broken, 1001, 1)])


def test_what_is_kept_is_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cumulative, "MAX_KEPT_BYTES", 3 * len(frame("a")))
    unread = kept(frame("a"), frame("b"), frame("c"))
    assert not unread.full
    unread.add("M", frame("d"), 0, 3)
    assert unread.full
    assert taken(unread) == ([("d", 0, 3)], [])
    assert not unread.full

"""Image generations: one row for each image a tool made, with the call and the prompt behind it."""

import json
from typing import Any

import pytest

from addon.answers import images
from addon.answers.capture import Closing
from addon.records import ImageCall
from addon.wire.asset_ids import pointer_id
from tests.recording import (
    FINISHED,
    STARTED,
    STATUS,
    TEXT,
    Archive,
    delta,
    envelope,
    event,
    message,
    request,
    shown,
    v0,
    v1,
)

TOOL = "t2uay3k.sj1i4kz"
CALL = json.dumps({"prompt": "a low tide at dawn", "size": "1024x1536", "n": 1, "transparent_background": False})
POINTER = "sediment://file_00000000aaaa"


def image(pointer: str = POINTER, **fields: Any) -> dict[str, Any]:
    made = {
        "dalle": {"gen_id": "g-1", "prompt": "", "seed": None},
        "generation": {"gen_id": "g-1", "orientation": "square"},
    }
    return {
        "content_type": "image_asset_pointer",
        "asset_pointer": pointer,
        "width": 10,
        "height": 20,
        "metadata": made,
    } | fields


def tool(*parts: Any, identity: str = "I", **fields: Any) -> dict[str, Any]:
    """A message of the image tool, under the call K."""
    known: dict[str, Any] = {
        "author": {"role": "tool", "name": TOOL},
        "content": {"content_type": "multimodal_text", "parts": list(parts)},
        "status": FINISHED,
        "metadata": {"parent_id": "K"},
    }
    return message(identity, **known | fields)


USER = message("U", "Draw the tide", author={"role": "user"}, status=FINISHED)
CALLED = message("K", CALL, recipient=TOOL, status=FINISHED, metadata={"parent_id": "U"}, create_time=7.25)
WAITING: dict[str, Any] = {
    "parent_id": "K",
    "image_gen_task_id": "task-1",
    "image_gen_async": True,
    "image_gen_title": "Low tide",
}


def stored(archive: Archive) -> list[dict[str, Any]]:
    return archive.rows("SELECT * FROM image_generations ORDER BY message_id, part_index")


def test_an_image_is_joined_with_its_call_and_its_prompt(archive: Archive) -> None:
    made = tool(
        image(size_bytes=5),
        create_time=9.5,
        metadata={"parent_id": "K", "model_slug": "gpt-5-5", "image_gen_title": "Low tide"},
    )
    archive.record(v1(shown(USER, 0), shown(CALLED, 1), shown(made, 2)), request("U"))
    (row,) = stored(archive)
    assert {name: row[name] for name in row if name not in ("id", "metadata", "completed_at")} == {
        "conversation_id": "talk", "message_id": "I", "part_index": 0, "asset_id": "file_00000000aaaa",
        "asset_pointer": POINTER, "gen_id": "g-1", "parent_gen_id": None, "edit_op": None,
        "prompt": "a low tide at dawn", "seed": None, "size": "1024x1536", "width": 10, "height": 20, "size_bytes": 5,
        "fovea": None, "orientation": "square", "transparent_background": 0, "title": "Low tide",
        "serialization_title": None, "tool": TOOL, "model_slug": "gpt-5-5", "task_id": None, "status": "complete",
        "request_message_id": "K", "prompt_message_id": "U", "requested_at": "1970-01-01T00:00:07.250000Z",
        "created_at": "1970-01-01T00:00:09.500000Z", "stream_id": "stream",
    }  # fmt: skip
    assert set(json.loads(row["metadata"])) == {"dalle", "generation"}
    asset = archive.row("SELECT id, pointer, kind, origin, variant, message_id FROM assets")
    assert asset == {
        "id": "file_00000000aaaa",
        "pointer": POINTER,
        "kind": "image",
        "origin": "generated",
        "variant": "original",
        "message_id": "I",
    }


def test_the_prompt_of_an_image_without_a_known_parent_is_that_of_its_exchange(archive: Archive) -> None:
    archive.record(v0(envelope(tool(image()))), request("U"))
    (row,) = stored(archive)
    assert (row["prompt_message_id"], row["request_message_id"], row["prompt"]) == ("U", None, None)
    assert row["created_at"] == archive.message("I")["first_seen_at"]


@pytest.mark.parametrize(
    "order", [[USER, tool(image()), CALLED], [tool(image()), CALLED, USER], [tool(image()), USER, CALLED]]
)
def test_a_call_that_comes_after_its_image_is_found(archive: Archive, order: list[dict[str, Any]]) -> None:
    archive.record(v0(*map(envelope, order)), request("U"))
    (row,) = stored(archive)
    assert (row["request_message_id"], row["prompt"], row["size"]) == ("K", "a low tide at dawn", "1024x1536")
    assert (row["prompt_message_id"], row["requested_at"]) == ("U", "1970-01-01T00:00:07.250000Z")


@pytest.mark.parametrize("look", [False, True])
def test_a_call_that_is_finished_after_its_image_tells_what_was_asked(archive: Archive, look: bool) -> None:
    begun = message("K", CALL[:20], recipient=TOOL, metadata={"parent_id": "U"})
    body = v1(
        shown(begun, 0),
        shown(tool(image()), 1),
        delta(TEXT, "append", CALL[20:], 0),
        delta(STATUS, "replace", FINISHED),
    )
    archive.record(body, chunks=[part + b"\n\n" for part in body.split(b"\n\n")], look=lambda: look)
    (row,) = stored(archive)
    assert (row["request_message_id"], row["prompt"], row["size"]) == ("K", "a low tide at dawn", "1024x1536")


def test_previews_become_the_image(archive: Archive) -> None:
    body = v1(
        shown(CALLED, 0),
        shown(tool(image("sediment://file_1", size_bytes=0), status="in_progress"), 1),
        delta(f"{TEXT}/asset_pointer", "replace", "sediment://file_2", 1),
        delta(
            "",
            "patch",
            [{"p": f"{TEXT}/size_bytes", "o": "replace", "v": 77}, {"p": STATUS, "o": "replace", "v": FINISHED}],
            1,
        ),
    )
    archive.record(body)
    (row,) = stored(archive)
    assert (row["asset_id"], row["size_bytes"], row["status"]) == ("file_2", 77, "complete")
    assert archive.rows("SELECT id, size_bytes FROM assets ORDER BY id") == [
        {"id": "file_1", "size_bytes": None},
        {"id": "file_2", "size_bytes": 77},
    ]
    assert archive.count("message_assets") == 2


def test_a_stream_that_breaks_off_leaves_a_preview(archive: Archive) -> None:
    archive.record(v0(envelope(tool(image(), status="in_progress")), done=False), closing=Closing("cut"))
    assert [(row["status"], row["completed_at"]) for row in stored(archive)] == [("preview", None)]


def test_an_image_that_is_awaited_is_one_pending_row_and_then_the_image(archive: Archive) -> None:
    card = {"content_type": "text", "parts": ["Processing image"]}
    archive.record(v1(shown(tool(content=card, metadata=WAITING | {"ui_card": True}))))
    (pending,) = stored(archive)
    assert (pending["status"], pending["task_id"], pending["title"], pending["asset_id"]) == (
        "pending",
        "task-1",
        "Low tide",
        None,
    )
    assert archive.message("I")["visible"] == 1
    archive.record(
        v0(envelope(tool("Here:", image(), metadata=WAITING))), stream_id="update", clock=lambda n: STARTED + 10**9 + n
    )
    (made,) = stored(archive)
    assert (made["status"], made["task_id"], made["part_index"], made["asset_id"]) == (
        "complete",
        "task-1",
        1,
        "file_00000000aaaa",
    )
    assert archive.message("I")["revision"] == 1
    assert archive.row("SELECT text, reason FROM message_versions") == {"text": "Processing image", "reason": "updated"}


def test_an_image_that_failed_says_so(archive: Archive) -> None:
    failed = {"content_type": "system_error", "name": "ImageGenException", "text": "no"}
    archive.record(v0(envelope(tool(content=failed))))
    assert [(row["status"], row["asset_id"]) for row in stored(archive)] == [("failed", None)]


def test_several_images_in_one_message_are_several_rows(archive: Archive) -> None:
    parts = [
        "Two:",
        image("file-service://file-a"),
        {"content_type": "audio_asset_pointer", "asset_pointer": "sediment://x"},
        image("file-service://file-b?sig=1"),
    ]
    archive.record(v0(envelope(tool(*parts, author={"role": "tool", "name": "dalle.text2im"}))))
    assert [(row["part_index"], row["asset_id"], row["asset_pointer"]) for row in stored(archive)] == [
        (1, "file-a", "file-service://file-a"),
        (3, "file-b", "file-service://file-b"),
    ]


@pytest.mark.parametrize("look", [False, True])
def test_an_image_that_moderation_takes_away_stays(archive: Archive, look: bool) -> None:
    emptied = {"content_type": "multimodal_text", "parts": []}
    frames = [envelope(CALLED), envelope(tool(image())), envelope(tool(content=emptied))]
    archive.record(b"", chunks=[event(frame) for frame in frames], look=lambda: look)
    assert POINTER in archive.message("I")["content"]
    assert archive.row("SELECT reason, content FROM message_versions") == {
        "reason": "emptied",
        "content": json.dumps(emptied, separators=(",", ":")),
    }
    assert [row["status"] for row in stored(archive)] == ["complete"]


def test_images_made_before_the_conversation_had_a_name_are_given_it(archive: Archive) -> None:
    unnamed = [
        shown(said, channel, None) for channel, said in enumerate([USER, CALLED, tool(image(), status="in_progress")])
    ]
    again = [delta("/message/metadata/n", "add", n, 2) for n in range(3)]
    archive.record(
        v1(*unnamed, *again, delta(STATUS, "replace", FINISHED, 2), {"type": "done", "conversation_id": "talk"})
    )
    (row,) = stored(archive)
    assert (row["conversation_id"], row["prompt"], row["status"]) == ("talk", "a low tide at dawn", "complete")
    assert archive.row("SELECT conversation_id FROM assets") == {"conversation_id": "talk"}


def test_an_image_that_a_later_turn_repeats_stays_the_work_of_the_first(archive: Archive) -> None:
    archive.record(v0(*map(envelope, (tool(image()),))), request("U"))
    before = stored(archive)
    archive.record(
        v0(envelope(tool(image()))),
        request("V"),
        stream_id="next",
        started_at=STARTED + 10**9,
        clock=lambda n: STARTED + 10**9 + n,
    )
    assert stored(archive) == before


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (message("A", author={"role": "user"}, content={"content_type": "multimodal_text", "parts": [image()]}), ()),
        (message("A", content={"content_type": "multimodal_text", "parts": [image()]}), ()),
        (tool(image(metadata={}), author={"role": "tool", "name": "python"}), ()),
        (tool(image(), author={"role": "tool", "name": "renamed.again"}), ("complete",)),
        (tool({"asset_pointer": POINTER}), ("complete",)),
        (tool({"asset_pointer": 5}, {"asset_pointer": None}, None), ()),
        (tool(content="none", metadata="none", author={"role": "tool", "name": "image_gen"}), ()),
        (tool(content={"content_type": "text", "parts": ["x"]}, metadata={"async_task_type": "image_gen"}), ()),
        (tool(content={"content_type": "text", "parts": ["x"]}, metadata={"image_gen_async": True}), ("pending",)),
    ],
)
def test_only_what_an_image_tool_made_is_an_image_generation(said: dict[str, Any], found: tuple[str, ...]) -> None:
    assert tuple(image.status for image in images.image_generations(said)) == found


@pytest.mark.parametrize(
    ("pointer", "identity"),
    [
        ("file-service://file-Abc", "file-Abc"),
        ("sediment://file_0f", "file_0f"),
        ("sediment://0f#file_0f#p_3.jpg?x=1&x=2", "0f#file_0f#p_3.jpg"),
        ("sediment://0f*file_0f*thumbnail", "0f#file_0f#thumbnail"),
        ("sandbox:/mnt/data/x.png", None),
        ("sediment://", None),
        ("https://example.org/x.png", None),
    ],
)
def test_the_id_of_an_asset_is_the_same_in_all_its_forms(pointer: str, identity: str | None) -> None:
    assert pointer_id(pointer) == identity


@pytest.mark.parametrize(
    ("recipient", "text", "call"),
    [
        (TOOL, CALL, ImageCall("a low tide at dawn", "1024x1536", False)),
        ("dalle.text2im", '{"prompt": "x"}', ImageCall("x", None, None)),
        (TOOL, '{"skipped_mainline": true}', ImageCall(None, None, None)),
        (TOOL, '{"prompt": 5, "size": [], "transparent_background": "yes"}', ImageCall(None, None, None)),
        (TOOL, CALL[:30], None),
        (TOOL, "[]", None),
        (TOOL, None, None),
        ("web.run", CALL, None),
        (None, CALL, None),
    ],
)
def test_a_call_is_the_arguments_of_a_message_to_an_image_tool(
    recipient: str | None, text: str | None, call: ImageCall | None
) -> None:
    assert images.image_call(recipient, text) == call

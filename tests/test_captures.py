"""Recorded traffic through the whole line from byte to row, where the recordings are there."""

import base64
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests import reference
from tests.conftest import CAPTURES, needs_captures
from tests.recording import (
    Archive,
    archive_at,
    by_offset,
    ragged,
    request,
    sometimes,
    standing,
    v0,
)
from tests.test_scenes_captured import assert_rows_are_the_reference

pytestmark = needs_captures

STREAMS = sorted(path.name for path in CAPTURES.glob("*.sse"))
FRAMES = [*sorted(path.name for path in CAPTURES.glob("*frame*.json")), "seed-dalle-2024.json"]
UNFINISHED = {"v0-cn-4omini-20241015.sse", "v1-imagegen-20250418-excerpt.sse", "v0frame-browsing-20230516.json"}
NO_CONVERSATION = {"tasks-deepresearch-20250215-excerpt.sse"}


def body_of(name: str) -> bytes:
    """The stream in a file; frames that were published without their stream become one again."""
    data = (CAPTURES / name).read_bytes()
    if name.endswith(".sse"):
        return data
    frames = json.loads(data)
    return v0(*(frames if isinstance(frames, list) else [frames]))


@pytest.mark.parametrize("cut", ["whole", "ragged", "bytes"])
@pytest.mark.parametrize("name", STREAMS + FRAMES)
def test_rows_are_what_the_reference_reads(archive: Archive, name: str, cut: str) -> None:
    body, chance = body_of(name), random.Random(name)
    chunks = {"whole": [body], "ragged": ragged(body, chance), "bytes": ragged(body, chance, 3)}[cut]
    kind = "other" if name in NO_CONVERSATION else "turn"
    archive.record(body, chunks=chunks, look=sometimes(chance, 0.05), together=cut == "bytes", kind=kind)
    assert_rows_are_the_reference(archive, body)
    stream = archive.stream()
    assert (stream["state"], stream["error"]) == ("complete", None)
    assert (stream["unrecognised_count"] > 0) == (name in NO_CONVERSATION)
    unfinished = archive.rows("SELECT id FROM messages WHERE status = 'in_progress'")
    assert len(unfinished) == (name in UNFINISHED)


@pytest.mark.parametrize("name", STREAMS + FRAMES)
def test_nothing_depends_on_how_a_stream_was_cut_or_when_anybody_looked(tmp_path: Path, name: str) -> None:
    body, sent = body_of(name), request("prompt")
    for clock in (standing, by_offset):
        dumps = []
        for attempt in range(3):
            chance = random.Random(0 if clock is by_offset else attempt)
            chunks = ragged(body, chance, 900)
            look = sometimes(random.Random(attempt), 0.4 if attempt else 0.0)
            with archive_at(tmp_path / f"{clock.__name__}{attempt}.db") as archive:
                archive.record(body, sent, chunks=chunks, look=look, clock=clock)
                dumps.append(archive.dump())
                archive.record(body, sent, chunks=chunks, clock=clock, together=True)
                assert archive.dump() == dumps[-1]
        assert all(dump == dumps[0] for dump in dumps)


def test_the_seed_example_is_stored_as_it_was_meant(archive: Archive) -> None:
    """The document this project began with: four messages, one image, and the limits of the conversation."""
    body = body_of("seed-dalle-2024.json")
    archive.record(body)
    conversation = "aef1bc8f-8cbd-4b84-ad19-5960ab1e7adf"
    assert archive.stream()["event_count"] == 5
    assert archive.stream()["conversation_id"] == conversation
    rows = archive.rows("SELECT * FROM messages ORDER BY n")
    assert [(row["id"][:8], row["role"], row["recipient"], row["content_type"], row["visible"], row["end_turn"]) for row in rows] == [
        ("184a69d8", "assistant", "dalle.text2im", "text", 0, 0),
        ("ee99443d", "tool", "all", "multimodal_text", 1, None),
        ("33ae3bad", "tool", "all", "text", 0, None),
        ("0f94bc67", "assistant", "all", "text", 1, 1),
    ]  # fmt: skip
    assert {row["conversation_id"] for row in rows} == {conversation}
    assert [row["parent_id"] for row in rows[1:]] == [row["id"] for row in rows[:3]]
    assert rows[0]["parent_id"] == "aaa212b3-88d8-4069-af37-8ba91f082674"
    assert all("\u4e00" <= character <= "\u9fff" for character in rows[3]["text"][:5])
    (image,) = archive.rows("SELECT * FROM image_generations")
    assert {name: image[name] for name in ("gen_id", "seed", "width", "height", "size_bytes", "asset_id", "size", "fovea")} == {
        "gen_id": "Sk4bV4UyjbuRipFq", "seed": 298628653, "width": 1024, "height": 1024, "size_bytes": 306402,
        "asset_id": "file-ej91xcOGLdaexatgtiDfXjJe", "size": "1024x1024", "fovea": 512,
    }  # fmt: skip
    assert image["prompt"].startswith("A Korean woman with long hair")
    assert image["prompt"] == json.loads(rows[0]["text"])["prompt"]
    assert (image["request_message_id"], image["message_id"]) == (rows[0]["id"], rows[1]["id"])
    assert (image["status"], image["tool"], image["model_slug"]) == ("complete", "dalle.text2im", "gpt-4o")
    assert archive.row("SELECT id, default_model_slug, current_node FROM conversations") == {
        "id": conversation,
        "default_model_slug": "gpt-4o",
        "current_node": rows[3]["id"],
    }
    assert archive.row("SELECT type, recognised, position FROM events") == {
        "type": "conversation_detail_metadata",
        "recognised": 1,
        "position": 4,
    }


def test_an_image_that_the_stream_only_announces_is_pending(archive: Archive) -> None:
    archive.record(body_of("v1-imagegen-async-20260424.sse"))
    (image,) = archive.rows("SELECT * FROM image_generations")
    assert (image["status"], image["asset_id"], image["message_id"][:8]) == ("pending", None, "d05cfa78")
    assert image["task_id"]
    assert image["request_message_id"][:8] == "c77318e0"


def test_a_plot_of_the_code_interpreter_is_an_asset_and_no_image_generation(archive: Archive) -> None:
    archive.record(body_of("v0frame-codeinterp-image-20230717.json"))
    assert [(row["kind"], row["origin"]) for row in archive.rows("SELECT * FROM assets")] == [("image", "tool")]
    assert archive.count("image_generations") == 0


def entries() -> list[tuple[str, dict[str, Any]]]:
    """The sends in the recordings of browsers."""
    found = []
    for path in sorted(CAPTURES.glob("*.har")):
        for entry in json.loads(path.read_bytes())["log"]["entries"]:
            url = entry["request"]["url"].partition("?")[0]
            if entry["request"]["method"] == "POST" and url.endswith("/conversation"):
                found.append((f"{path.stem} {url[19:]}", entry))
    return found


@pytest.mark.parametrize("entry", [entry for _, entry in entries()], ids=[name for name, _ in entries()])
def test_a_send_that_a_browser_recorded_is_a_stream(archive: Archive, entry: dict[str, Any]) -> None:
    content = entry["response"]["content"]
    text = content.get("text", "").encode()
    body = base64.b64decode(text) if content.get("encoding") == "base64" else text
    sent = entry["request"]["postData"]["text"].encode()
    streamed = content["mimeType"].startswith("text/event-stream")
    archive.record(body, sent, streamed=streamed, content_type=content["mimeType"], source="har")
    prompt = json.loads(sent)["messages"][-1]
    stream, row = archive.stream(), archive.message(prompt["id"])
    assert row["text"] == prompt["content"]["parts"][0]
    if not body:
        assert (stream["state"], row["conversation_id"]) == ("interrupted", None)
    elif streamed:
        assert_rows_are_the_reference(archive, body)
        assert row["conversation_id"] == reference.decode(body).conversation_id
        assert row["status"] == "finished_successfully"
    else:
        assert (stream["state"], stream["encoding"]) == ("handed_off", "json")
        assert row["conversation_id"] == stream["conversation_id"] is not None


def test_a_stream_that_is_cut_anywhere_keeps_what_came_before(tmp_path: Path) -> None:
    body = body_of("v1-famous20-20260124.sse")
    whole = {key: reference.text_of(message) or "" for key, message in reference.decode(body).messages.items()}
    for place in random.Random(20).sample(range(len(body)), 25):
        with archive_at(tmp_path / f"{place}.db") as archive:
            archive.record(body[:place], request("prompt"))
            texts = {
                row["id"]: row["text"] for row in archive.rows("SELECT id, text FROM messages WHERE id <> 'prompt'")
            }
            assert all(whole[identity].startswith(text) for identity, text in texts.items())
            assert archive.stream()["state"] in ("interrupted", "complete")
            archive.record(body, request("prompt"))
            assert {
                row["id"]: row["text"] for row in archive.rows("SELECT id, text FROM messages WHERE id <> 'prompt'")
            } == whole

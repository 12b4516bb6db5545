"""Whole answers as chatgpt.com streams them, to rows: the rows are what the scene says, however it was read."""

import json
import random
from typing import Any

import pytest

from scripts import scenes
from tests import reference
from tests.recording import Archive, archive_at, by_offset, ragged, request, sometimes, standing

SCENES = [(name, encoding) for name in scenes.SCENES for encoding in ("v1", "v0")]
every_scene = pytest.mark.parametrize(("name", "encoding"), SCENES, ids=map("-".join, SCENES))


def made(name: str, encoding: Any, words: int = 30) -> tuple[scenes.Scene, bytes]:
    """A scene and the request that it answers."""
    scene = scenes.SCENES[name](words, encoding=encoding, seed=f"{name} {encoding}")
    return scene, request(scene.user_message_id, scene.texts[scene.user_message_id])


def assert_rows_are_the_reference(archive: Archive, body: bytes) -> None:
    """Each message as the oracle reads it from the whole body."""
    read = reference.decode(body)
    for identity, message in read.messages.items():
        row, author = archive.message(identity), message.get("author", {})
        expected = {
            "text": reference.text_of(message),
            "role": author.get("role"),
            "author_name": author.get("name"),
            "recipient": message.get("recipient"),
            "status": message.get("status"),
            "content_type": message["content"]["content_type"],
            "conversation_id": read.conversation_id,
            "damaged": int(identity in read.damaged),
            "live": 0,
        }
        assert {name: row[name] for name in expected} == expected
        assert json.loads(row["content"]) == message["content"]
        assert json.loads(row["metadata"] or "{}") == message.get("metadata", {})
    stored = {row["id"] for row in archive.rows("SELECT id FROM messages")}
    assert stored - {archive.stream()["request_message_id"]} <= set(read.messages)
    if read.titles:
        assert archive.row("SELECT title FROM conversations") == {"title": read.titles[-1]}


def assert_images_are_those_of_the_messages(archive: Archive, body: bytes) -> None:
    """One complete row for each pointer of a finished tool message."""
    pointers = [
        (identity, index, part["asset_pointer"])
        for identity, message in reference.decode(body).messages.items()
        if message["author"]["role"] == "tool" and message["content"]["content_type"] == "multimodal_text"
        for index, part in enumerate(message["content"]["parts"])
    ]
    rows = archive.rows("SELECT * FROM image_generations ORDER BY id")
    assert [(row["message_id"], row["part_index"], row["asset_pointer"]) for row in rows] == pointers
    assert {row["status"] for row in rows} <= {"complete"}


@every_scene
@pytest.mark.parametrize("cut", ["whole", "by event", "ragged", "bytes"])
def test_rows_are_what_the_reference_reads(archive: Archive, name: str, encoding: str, cut: str) -> None:
    scene, sent = made(name, encoding)
    chance = random.Random(cut)
    chunks = {
        "whole": [scene.body],
        "by event": scene.events,
        "ragged": ragged(scene.body, chance),
        "bytes": ragged(scene.body, chance, 2),
    }
    archive.record(scene.body, sent, chunks=chunks[cut], look=sometimes(chance, 0.1), together=cut == "bytes")
    assert_rows_are_the_reference(archive, scene.body)
    assert_images_are_those_of_the_messages(archive, scene.body)
    assert {key: archive.message(key)["text"] for key in scene.texts} == scene.texts
    assert archive.stream()["state"] == "complete"
    assert archive.stream()["unrecognised_count"] == 0


@every_scene
def test_nothing_depends_on_how_a_stream_was_cut_or_when_anybody_looked(
    tmp_path: Any, name: str, encoding: str
) -> None:
    """The whole database, clocks included: an event's time is its place in the stream, or its last byte's offset."""
    scene, sent = made(name, encoding)
    for clock in (standing, by_offset):
        dumps = []
        for attempt in range(5):
            chance = random.Random(0 if clock is by_offset else attempt)
            chunks = ragged(scene.body, chance, 200) if attempt or clock is by_offset else [scene.body]
            look = sometimes(random.Random(attempt), 0.4 if attempt else 0.0)
            with archive_at(tmp_path / f"{clock.__name__}{attempt}.db") as archive:
                archive.record(scene.body, sent, chunks=chunks, look=look, clock=clock, together=attempt % 2 == 1)
                dumps.append(archive.dump())
        assert all(dump == dumps[0] for dump in dumps)


@every_scene
def test_reading_a_stream_again_changes_nothing(archive: Archive, tmp_path: Any, name: str, encoding: str) -> None:
    scene, sent = made(name, encoding)
    chunks = ragged(scene.body, random.Random(1))
    archive.record(scene.body, sent, chunks=chunks)
    once = archive.dump()
    archive.record(scene.body, sent, chunks=chunks, look=sometimes(random.Random(2)), together=True)
    assert archive.dump() == once
    for part in (0.1, 0.5, 0.9):
        with archive_at(tmp_path / f"{part}.db") as restarted:
            seen = chunks[: int(len(chunks) * part)]
            restarted.record(b"", sent, chunks=seen, look=sometimes(random.Random(3)), closing=None)
            restarted.record(scene.body, sent, chunks=chunks, look=sometimes(random.Random(4)))
            assert restarted.dump() == once


def test_an_image_of_2024_is_found_with_all_that_belongs_to_it(archive: Archive) -> None:
    """As the first recorded stream of this kind: call, image, hidden instruction, answer, and the limits at the end."""
    scene = scenes.dalle_answer(
        "\u753b\u4e00\u4f4d\u5973\u6027", "A woman in the rain", "\u8fd9\u662f\u56fe\u7247\u3002"
    )
    archive.record(scene.body, request(scene.user_message_id, "\u753b\u4e00\u4f4d\u5973\u6027"))
    (image,) = scene.images
    rows = {row["id"]: row for row in archive.rows("SELECT * FROM messages")}
    assert [(row["role"], row["recipient"], row["content_type"], row["visible"]) for row in rows.values()] == [
        ("user", "all", "text", 1),
        ("system", "all", "text", 0),
        ("assistant", "dalle.text2im", "text", 0),
        ("tool", "all", "multimodal_text", 1),
        ("tool", "all", "text", 0),
        ("assistant", "all", "text", 1),
    ]
    assert (rows[scene.answer_id]["text"], rows[scene.answer_id]["end_turn"]) == ("\u8fd9\u662f\u56fe\u7247\u3002", 1)
    (row,) = archive.rows("SELECT * FROM image_generations")
    part = scene.messages[image.message_id]["content"]["parts"][0]
    assert (row["message_id"], row["gen_id"], row["asset_pointer"]) == (image.message_id, image.gen_id, image.pointer)
    assert (row["width"], row["height"], row["size_bytes"], row["fovea"]) == (1024, 1024, image.size_bytes, 512)
    assert (row["seed"], row["size"]) == (part["metadata"]["dalle"]["seed"], "1024x1024")
    assert (row["prompt"], row["tool"], row["status"]) == ("A woman in the rain", "dalle.text2im", "complete")
    assert (row["asset_id"], row["serialization_title"]) == (image.pointer[15:], "DALL-E generation metadata")
    call = next(message for message in rows.values() if message["recipient"] == "dalle.text2im")
    assert (row["request_message_id"], row["prompt_message_id"]) == (call["id"], scene.user_message_id)
    assert archive.row("SELECT default_model_slug FROM conversations") == {"default_model_slug": "gpt-4o"}
    assert archive.rows("SELECT type, recognised FROM events") == [
        {"type": "conversation_detail_metadata", "recognised": 1}
    ]


def test_sources_are_kept_with_the_answer(archive: Archive) -> None:
    scene = scenes.search_answer("Why are there tides?", "Because of the moon [1]. And the sun [2].")
    archive.record(scene.body, request(scene.user_message_id), look=lambda: True, chunks=scene.events)
    number = archive.message(scene.answer_id)["n"]
    rows = archive.rows("SELECT * FROM citations WHERE message_n = ? ORDER BY position", number)
    assert [(row["position"], row["url"], row["title"], row["kind"]) for row in rows] == [
        (0, "https://example.org/tides", "How tides work", "grouped_webpages"),
        (1, "https://example.com/moon?utm_source=chatgpt.com", "The Moon and the sea", "grouped_webpages"),
        (2, "https://example.org/tides", "How tides work", "sources_footnote"),
        (3, "https://example.com/moon?utm_source=chatgpt.com", "The Moon and the sea", "sources_footnote"),
    ]


def test_a_reasoning_answer_keeps_its_times_apart(archive: Archive) -> None:
    scene = scenes.reasoning_answer("7 * 8?", "Fifty-six.", preamble="Let me see.", seconds=7)
    archive.record(scene.body, request(scene.user_message_id), chunks=scene.events)
    by_type = {row["content_type"]: row for row in archive.rows("SELECT * FROM messages WHERE role = 'assistant'")}
    assert by_type["thoughts"]["reasoning_seconds"] == 7
    assert by_type["thoughts"]["first_token_at"] < by_type["reasoning_recap"]["first_token_at"]
    first_words = [
        row["first_token_at"]
        for row in archive.rows("SELECT * FROM messages WHERE role = 'assistant' AND content_type = 'text'")
    ]
    assert archive.stream()["first_token_at"] == min(first_words)
    assert archive.row("SELECT current_node FROM conversations") == {"current_node": scene.answer_id}
    assert archive.stream()["turn_exchange_id"] == by_type["text"]["turn_exchange_id"]

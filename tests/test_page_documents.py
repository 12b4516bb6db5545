"""Every document that the page loads, to rows: what each tells, and what of it is unknown."""

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addon.documents.document_reading import DocumentReading
from addon.documents.page_documents import PageDocument, document_records
from addon.endpoints import _DOCUMENTS
from addon.records import TypedEvent
from tests.conftest import CAPTURES, needs_captures
from tests.recording import FINISHED, STARTED, Archive, Row, envelope, message, request, v0
from tests.test_documents import mapped, node

TALK = {"conversation_id": "talk"}
MINUTE = 60_000_000


def about(archive: Archive, identity: str = "talk") -> Row:
    return archive.row("SELECT * FROM conversations WHERE id = ?", identity)


def unrecognised(archive: Archive) -> list[tuple[str, Any]]:
    rows = archive.rows("SELECT type, data FROM events WHERE recognised = 0 ORDER BY position")
    return [(row["type"], json.loads(row["data"])) for row in rows]


# Conversations


def test_the_page_loads_a_conversation_after_its_answer_streamed(archive: Archive) -> None:
    said = message("A", "Because of the Moon.", status=FINISHED, metadata={"parent_id": "U"})
    archive.record(v0(envelope(said)), request("U", conversation_id="talk"))
    before = archive.message("A")
    document = mapped(
        node("root", None, "U", said=None),
        node("U", "root", author={"role": "user"}),
        ("A", {"id": "A", "message": said, "parent": "joint", "children": []}),
        node("joint", "U", "A", said=None),
        node("B", "U", author={"role": "assistant"}),
        title="Tides",
        current_node="A",
    )
    archive.load("conversation", document, at=STARTED + MINUTE, parameters=TALK)
    assert [row["id"] for row in archive.rows("SELECT id FROM threads ORDER BY position")] == ["U", "A"]
    after = archive.message("A")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"last_seen_at", "parent_certainty"}
    assert archive.row("SELECT answer_message_id, stream_id FROM turns") == {
        "answer_message_id": "A",
        "stream_id": "stream",
    }
    stream = archive.stream(f"conversation {STARTED + MINUTE}")
    assert (stream["kind"], stream["state"], stream["conversation_id"], stream["event_count"]) == (
        "document",
        "complete",
        "talk",
        0,
    )


def test_turns_are_the_end_of_a_branch_and_take_nothing_away(archive: Archive) -> None:
    archive.load("conversation", mapped(*[node(str(n), str(n - 1)) for n in range(4)], title="Tides"), parameters=TALK)
    turns = {"messages": [message("3", "later", status=FINISHED), message("4", status=FINISHED)], "page_info": {"x": 1}}
    archive.load("turns", turns, at=STARTED + MINUTE, parameters=TALK | {"num_turns": "10"})
    rows = archive.rows("SELECT id, parent_id, text FROM messages ORDER BY n")
    assert [(row["id"], row["parent_id"]) for row in rows] == [
        ("0", "-1"),
        ("1", "0"),
        ("2", "1"),
        ("3", "2"),
        ("4", "3"),
    ]
    assert (rows[3]["text"], about(archive)["title"], about(archive)["current_node"]) == ("later", "Tides", "4")
    older = {"messages": [message("1", status=FINISHED)]}
    archive.load("turns", older, at=STARTED + 2 * MINUTE, parameters=TALK | {"cursor": "x"})
    assert about(archive)["current_node"] == "4"


def test_a_shared_conversation_is_named_by_its_link_where_it_has_no_other_name(archive: Archive) -> None:
    shared = {
        "linear_conversation": [{"id": "root"}, {"id": "A", "message": message("A"), "parent": "root"}],
        "title": "T",
    }
    archive.load("shared", shared, parameters={"share_id": "link"})
    assert (about(archive, "link")["title"], archive.message("A")["parent_id"]) == ("T", "root")


# Lists


def test_a_list_tells_titles_times_and_flags(archive: Archive) -> None:
    item = {
        "id": "talk", "title": "Tides", "create_time": "2023-12-06T02:41:14.616844+00:00", "update_time": "2023-12-07",
        "mapping": None, "current_node": None, "is_archived": False, "is_starred": None, "is_temporary_chat": False,
        "gizmo_id": "g-1", "pinned_time": "2024-01-01T00:00:00Z", "conversation_template_id": None,
    }  # fmt: skip
    archive.load(
        "conversations", {"items": [item, {"title": "?"}], "total": 2}, kind="list", parameters={"offset": "0"}
    )
    row = about(archive)
    assert (row["title"], row["created_at"], row["updated_at"], row["gizmo_id"]) == (
        "Tides",
        "2023-12-06T02:41:14.616844Z",
        "2023-12-07T00:00:00.000000Z",
        "g-1",
    )
    assert (row["is_archived"], row["is_starred"], row["is_temporary"], row["current_node"]) == (0, None, 0, None)
    assert json.loads(row["metadata"]) == {"pinned_time": "2024-01-01T00:00:00Z"}
    assert unrecognised(archive) == [("item", {"title": "?"})]
    assert archive.rows("SELECT * FROM turns") == []


def test_a_batch_may_hold_whole_conversations(archive: Archive) -> None:
    batch = [{"id": "one", "title": "One", **mapped(node("A", None))}, {"id": "two", "title": "Two"}]
    archive.load("conversations", batch, kind="list", method="POST", sent={"conversation_ids": ["one", "two"]})
    assert archive.message("A")["conversation_id"] == "one"
    assert {row["title"] for row in archive.rows("SELECT title FROM conversations")} == {"One", "Two"}
    assert archive.count("request_bodies") == 1


def test_a_search_tells_titles_and_not_where_the_words_stand(archive: Archive) -> None:
    hit = {
        "conversation_id": "talk",
        "title": "Tides",
        "current_node_id": "X",
        "current_node": "X",
        "payload": {"snippet": "the tide"},
    }
    archive.load("search", {"items": [hit]}, kind="list", parameters={"query": "tide"})
    assert (about(archive)["title"], about(archive)["current_node"], about(archive)["metadata"]) == (
        "Tides",
        None,
        None,
    )


def test_projects_show_their_conversations(archive: Archive) -> None:
    project = {"gizmo": {"gizmo": {"id": "g-p-1"}}, "conversations": {"items": [{"id": "talk", "title": "Tides"}]}}
    archive.load("projects", {"items": [project, {"gizmo": {}}]}, kind="list")
    assert about(archive)["title"] == "Tides"
    assert unrecognised(archive) == [("item", {"gizmo": {}})]


@needs_captures
def test_a_real_list_is_stored_item_by_item(archive: Archive) -> None:
    body = (CAPTURES / "conversations-list-20231206.json").read_bytes()
    archive.load("conversations", body, kind="list")
    items = json.loads(body)["items"]
    rows = {row["id"]: row for row in archive.rows("SELECT * FROM conversations")}
    assert len(items) == len(rows) == 5
    for item in items:
        row = rows[item["id"]]
        assert row["title"] == item["title"]
        for column, key in (("created_at", "create_time"), ("updated_at", "update_time")):
            assert datetime.fromisoformat(row[column]) == datetime.fromisoformat(item[key])
    assert unrecognised(archive) == []


# Small documents


def test_a_title_that_was_made_is_the_conversations(archive: Archive) -> None:
    archive.load("title", {"title": "Tides"}, parameters=TALK, method="POST", sent={"message_id": "A"})
    assert about(archive)["title"] == "Tides"


@pytest.mark.parametrize(
    ("sent", "column", "value"),
    [
        ({"title": "The sea"}, "title", "The sea"),
        ({"is_archived": True}, "is_archived", 1),
        ({"is_starred": True}, "is_starred", 1),
        ({"is_visible": False}, "metadata", '{"is_visible":false}'),
    ],
)
def test_a_change_counts_when_it_succeeded(archive: Archive, sent: Row, column: str, value: Any) -> None:
    archive.load("conversation", mapped(node("A", None), title="Tides"), parameters=TALK)
    change: Row = {"method": "PATCH", "sent": sent, "parameters": TALK}
    archive.load("change", {"success": False}, at=STARTED + 1, **change)
    assert (about(archive)["title"], about(archive)[column]) != ("The sea", value)
    archive.load("change", {"success": True}, at=STARTED + 2, **change)
    assert about(archive)[column] == value
    archive.load("change", {"ok": 1}, at=STARTED + 3, **change)
    assert unrecognised(archive) == [("change", {"ok": 1})]


def test_the_beginning_of_a_chat_tells_limits_and_the_model(archive: Archive) -> None:
    answer = {"default_model_slug": "gpt-5-5", "limits_progress": [{"feature_name": "image_gen", "remaining": 3}]}
    archive.load("init", answer, method="POST", sent={"conversation_id": "talk"})
    assert about(archive)["default_model_slug"] == "gpt-5-5"
    row = archive.row("SELECT type, recognised, conversation_id, data FROM events")
    assert (row["type"], row["recognised"], row["conversation_id"]) == ("conversation_detail_metadata", 1, "talk")
    assert json.loads(row["data"]) == answer
    archive.load("init", answer, at=STARTED + 1, method="POST", sent={})
    assert len(archive.rows("SELECT * FROM conversations")) == 1


def test_a_link_is_remembered_with_its_conversation(archive: Archive) -> None:
    answer = {"share_id": "link", "share_url": "https://chatgpt.com/share/link", "title": "Tides", "is_public": False}
    archive.load("share", answer, method="POST", sent={"conversation_id": "talk", "current_node_id": "A"})
    assert (about(archive)["title"], about(archive)["metadata"]) == ("Tides", '{"share_id":"link"}')


def test_stop_is_an_event_of_the_conversation(archive: Archive) -> None:
    archive.load("stop", {}, method="POST", sent={"conversation_id": "talk", "exclude_async_types": []})
    row = archive.row("SELECT type, recognised, conversation_id FROM events")
    assert row == {"type": "stop_conversation", "recognised": 1, "conversation_id": "talk"}


def test_a_stream_status_leaves_no_event(archive: Archive) -> None:
    archive.load("stream_status", {"status": "IS_STREAMING"}, parameters=TALK)
    assert archive.count("events") == 0
    archive.load("stream_status", {"state": 4}, at=STARTED + 1, parameters=TALK)
    assert unrecognised(archive) == [("stream_status", {"state": 4})]


# Canvas


def canvas(version: int, content: str, **fields: Any) -> Row:
    return {"id": "C", "version": version, "title": "Tides", "textdoc_type": "document", "content": content, **fields}


def test_each_version_of_a_canvas_document_is_kept(archive: Archive) -> None:
    about_canvas = {"canvas": {"textdoc_id": "C", "textdoc_type": "document", "version": 2}}
    archive.record(v0(envelope(message("T", status=FINISHED, metadata=about_canvas))))
    archive.load("textdocs", [canvas(1, "The sea")], parameters=TALK)
    later = canvas(2, "The sea rises", comments=[{"x": 1}], updated_at="2026-01-01T00:00:00Z")
    archive.load("textdocs", [later, {"content": "?"}], at=STARTED + MINUTE, parameters=TALK)
    archive.load("textdocs", [canvas(2, "The sea r")], at=STARTED + 1, parameters=TALK)
    rows = archive.rows("SELECT * FROM canvas_documents ORDER BY version")
    assert [(row["version"], row["content"], row["message_id"]) for row in rows] == [
        (1, "The sea", None),
        (2, "The sea rises", "T"),
    ]
    row = rows[1]
    assert (row["id"], row["conversation_id"], row["title"], row["textdoc_type"]) == ("C", "talk", "Tides", "document")
    assert (row["updated_at"], row["metadata"]) == ("2026-01-01T00:00:00.000000Z", '{"comments":[{"x":1}]}')
    assert unrecognised(archive) == [("textdoc", {"content": "?"})]


# Images


def pictured(*pointers: str, status: str = FINISHED) -> Row:
    made = {"generation": {"gen_id": "g"}}
    parts = [
        {"content_type": "image_asset_pointer", "asset_pointer": f"sediment://{pointer}", "metadata": made}
        for pointer in pointers
    ]
    content = {"content_type": "multimodal_text", "parts": parts}
    task = {"image_gen_task_id": "chatimagegen-1", "image_gen_async": True}
    return message("I", author={"role": "tool", "name": "image_gen"}, content=content, status=status, metadata=task)


LISTED = {
    "id": "s_1", "generation_id": "g", "kind": "image", "asset_pointer": "sediment://file_1", "width": 1024, "height": 1536,
    "title": "A low tide", "prompt": "a low tide", "conversation_id": "talk", "message_id": "I", "created_at": 5.5,
    "url": "https://chatgpt.com/backend-api/estuary/content?id=file_1&sig=SECRET",
}  # fmt: skip


def test_a_list_of_images_tells_of_images_nobody_saw_being_made(archive: Archive) -> None:
    archive.load("images", {"items": [LISTED, {"id": "s_2"}], "cursor": "x"}, kind="list")
    row = archive.row("SELECT * FROM image_generations")
    assert (row["conversation_id"], row["message_id"], row["part_index"], row["status"]) == (
        "talk",
        "I",
        None,
        "complete",
    )
    assert (row["asset_id"], row["gen_id"], row["prompt"], row["title"], row["width"]) == (
        "file_1",
        "g",
        "a low tide",
        "A low tide",
        1024,
    )
    assert (row["created_at"], json.loads(row["metadata"])) == (
        "1970-01-01T00:00:05.500000Z",
        {"id": "s_1", "kind": "image"},
    )
    assert archive.row("SELECT origin, message_id FROM assets") == {"origin": "generated", "message_id": "I"}
    assert unrecognised(archive) == [("item", {"id": "s_2"})]


@pytest.mark.parametrize("first", ["list", "message", "pending"])
def test_an_image_is_one_row_whether_its_list_or_its_message_comes_first(archive: Archive, first: str) -> None:
    pointers = ["file_0", "file_1"]
    made, pending = v0(envelope(pictured(*pointers))), v0(envelope(pictured(status="in_progress")))
    if first == "pending":
        archive.record(pending)
    if first == "message":
        archive.record(made)
    items = {"items": [LISTED, {**LISTED, "asset_pointer": "sediment://file_0", "title": "Nought"}]}
    archive.load("images", items, kind="list")
    archive.record(made, stream_id="made", clock=lambda _: STARTED + MINUTE)
    archive.load("images", items, kind="list", at=STARTED + 2 * MINUTE)
    rows = archive.rows("SELECT part_index, asset_id, title, prompt, status FROM image_generations ORDER BY part_index")
    assert [tuple(row.values()) for row in rows] == [
        (0, "file_0", "Nought", "a low tide", "complete"),
        (1, "file_1", "A low tide", "a low tide", "complete"),
    ]


# The unknown


@pytest.mark.parametrize("name", sorted({name for _, _, kind, name in _DOCUMENTS if kind in ("document", "list")}))
@pytest.mark.parametrize("answer", [5, None, "no", True])
def test_an_answer_that_is_no_object_is_recorded(archive: Archive, name: str, answer: Any) -> None:
    archive.load(name, answer, parameters=TALK)
    assert unrecognised(archive) == [(name, answer)]
    assert archive.stream(f"{name} {STARTED}")["unrecognised_count"] == 1


def test_a_document_nobody_knows_is_recorded(archive: Archive) -> None:
    archive.load("brand_new", {"x": 1})
    assert unrecognised(archive) == [("brand_new", {"x": 1})]


KEYS = [
    "items", "id", "conversation_id", "conversations", "title", "share_id", "success", "status", "content", "version", "mapping",
    "messages", "asset_pointer", "message_id", "metadata", "create_time", "default_model_slug", "limits_progress", "width",
]  # fmt: skip
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["talk", "\ud83d", "sediment://file_1", "", 1e308, 2**70]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=15,
)
NAMES = sorted({name for *_, name in _DOCUMENTS})


@pytest.fixture(scope="module")
def heap(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive(tmp_path_factory.mktemp("heap") / "chatgpt.db")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(NAMES), answer=VALUES, sent=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4))
def test_a_document_may_hold_anything_and_is_never_refused(heap: Archive, name: str, answer: Any, sent: Row) -> None:
    heap.load(name, answer, sent=sent, parameters=TALK if len(sent) % 2 else {})
    assert heap.store.failed == 0


def test_the_events_of_one_reading_are_numbered() -> None:
    reading = DocumentReading("stream", "live", STARTED)
    document = PageDocument("conversations", {}, {}, [1, 2, {"id": "talk"}, 3])
    found = [record for record in document_records(document, reading) if isinstance(record, TypedEvent)]
    assert [(event.position, event.data) for event in found] == [(0, "1"), (1, "2"), (2, "3")]
    assert (reading.event_count, reading.unrecognised_count) == (3, 3)

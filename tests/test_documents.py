"""Conversation documents to records: every node with a message, in the order of the tree, whatever shape it has."""

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addon.documents.document_reading import DocumentReading
from addon.documents.documents import conversation_records, digest_of, message_count
from addon.records import Certainty, Conversation, DocumentRead, Message, Record, Stream, TypedEvent
from tests.conftest import CAPTURES, needs_captures
from tests.recording import FINISHED, STARTED, Archive, Row, message

AT = 1_790_000_000_000_000


def read(document: Any, conversation_id: str | None = "talk", **how: Any) -> list[Record]:
    return list(conversation_records(document, DocumentReading("stream", "live", AT), conversation_id, **how))


def messages(document: Any, **how: Any) -> list[Message]:
    return [record for record in read(document, **how) if isinstance(record, Message)]


def parents(document: Any, **how: Any) -> dict[str, str | None]:
    return {record.id: record.parent_id for record in messages(document, **how)}


def conversation(document: Any, **how: Any) -> Conversation:
    (record,) = [record for record in read(document, **how) if isinstance(record, Conversation)]
    return record


def unrecognised(document: Any) -> list[TypedEvent]:
    return [record for record in read(document) if isinstance(record, TypedEvent) and not record.recognised]


def node(identity: str, parent: str | None, *children: str, said: Any = "a message", **fields: Any) -> tuple[str, Row]:
    """An entry of a mapping."""
    held = message(identity, f"text of {identity}", **{"status": FINISHED, **fields}) if said == "a message" else said
    return identity, {"id": identity, "message": held, "parent": parent, "children": list(children)}


def mapped(*nodes: tuple[str, Row], **fields: Any) -> Row:
    return {"mapping": dict(nodes), **fields}


# The tree


def test_every_node_with_a_message_is_a_message_below_what_the_mapping_says() -> None:
    document = mapped(
        node("answer", "ask"),
        node("ask", "system", "answer", "other"),
        node("root", None, "system", said=None),
        node("system", "root", "ask"),
        node("other", "ask", metadata={"parent_id": "elsewhere"}),
    )
    assert [(record.id, record.parent_id, record.parent_certainty) for record in messages(document)] == [
        ("system", "root", Certainty.PLACED),
        ("ask", "system", Certainty.PLACED),
        ("answer", "ask", Certainty.PLACED),
        ("other", "ask", Certainty.PLACED),
    ]


def test_what_only_joins_others_is_left_out_and_its_children_hang_where_it_hung() -> None:
    joint = node("joint", "ask", "answer", said=None)
    joint_too = node("joint too", "joint", "answer", said=None)
    document = mapped(node("answer", "joint too"), joint_too, joint, node("ask", None, "joint"))
    assert parents(document) == {"ask": None, "answer": "ask"}


def test_a_node_that_names_no_parent_hangs_on_what_names_it_as_a_child() -> None:
    bare = {"id": "answer", "message": message("answer")}
    assert parents({"mapping": {"ask": node("ask", None, "answer")[1], "answer": bare}}) == {
        "ask": None,
        "answer": "ask",
    }


def test_a_parent_that_is_not_there_is_named_all_the_same() -> None:
    assert parents(mapped(node("answer", "gone"))) == {"answer": "gone"}


def test_a_message_says_its_parent_where_the_mapping_does_not() -> None:
    (record,) = messages(mapped(node("answer", None, metadata={"parent_id": "ask"})))
    assert (record.parent_id, record.parent_certainty) == ("ask", Certainty.SAID)


def test_circles_end() -> None:
    document = mapped(node("a", "b", "b"), node("b", "a", "a"), node("self", "self", "self"), node("c", "d", said=None))
    assert parents(document) == {"self": None, "a": "b", "b": "a"}


def test_a_long_conversation_is_no_deep_recursion() -> None:
    document = mapped(*[node(str(n), str(n - 1), str(n + 1), said=None if n % 3 == 1 else {}) for n in range(20_000)])
    assert list(parents(document).items())[-1] == ("19998", "19997" if 19997 % 3 != 1 else "19996")


@pytest.mark.parametrize("identity", ["../../x", "", "client-created-root", "\u6f6e", "WEB:1", "a\0b", "' OR 1=1 --"])
def test_an_id_is_any_string(archive: Archive, identity: str) -> None:
    store(archive, mapped(node(identity, None), node("answer", identity)))
    assert {row["id"] for row in archive.rows("SELECT id FROM messages")} == {identity, "answer"}


def test_a_mapping_may_be_a_list() -> None:
    document = mapped(node("ask", None), node("answer", "ask"))
    listed = {"mapping": [*document["mapping"].values(), 5, {"message": message("late")}, {"parent": "ask"}]}
    assert parents(listed) == {"ask": None, "answer": "ask", "late": None}


@pytest.mark.parametrize("key", ["messages", "linear_conversation"])
def test_messages_in_a_list_are_each_below_the_one_before(key: str) -> None:
    document = {
        key: [
            message("system"),
            {"id": "ask", "message": message("ask"), "parent": "branch"},
            message("answer", metadata={"parent_id": "said"}),
            message("more"),
        ]
    }
    assert [(record.id, record.parent_id, record.parent_certainty) for record in messages(document)] == [
        ("system", None, Certainty.GUESSED),
        ("ask", "branch", Certainty.PLACED),
        ("answer", "said", Certainty.SAID),
        ("more", "answer", Certainty.GUESSED),
    ]
    assert conversation(document).current_node == "more"
    assert conversation(document, partial=True).current_node is None


def test_a_list_beside_a_mapping_only_adds() -> None:
    document = mapped(node("ask", "root"), messages=[message("ask", "another text"), message("answer")])
    assert [(record.id, record.parent_id, record.text) for record in messages(document)] == [
        ("ask", "root", "text of ask"),
        ("answer", "ask", ""),
    ]


def test_the_newest_message_is_current_where_nothing_is_said_to_be() -> None:
    document = mapped(node("a", None, create_time=2), node("b", "a", create_time=9), node("c", "a", create_time=5.5))
    assert conversation(document).current_node == "b"


# The conversation


def test_what_a_document_says_of_its_conversation() -> None:
    document = mapped(
        id="export",
        conversation_id="service",
        title="Tides",
        create_time=1_701_830_474.616844,
        update_time="2023-12-06T02:41:16.257054+00:00",
        current_node="answer",
        default_model_slug="gpt-5-5",
        gizmo_id="g-1",
        conversation_origin="web",
        is_archived=False,
        is_starred=True,
        is_do_not_remember=True,
        plugin_ids=None,
        safe_urls=["https://example.org"],
        moderation_results=[],
        async_status=4,
        voice={"name": "sky"},
        blocked_urls=["x" * 5000],
    )
    assert conversation(document) == Conversation(
        id="service",
        source="live",
        at=AT,
        title="Tides",
        created_at=1_701_830_474_616_844,
        updated_at=1_701_830_476_257_054,
        current_node="answer",
        default_model_slug="gpt-5-5",
        gizmo_id="g-1",
        conversation_origin="web",
        is_temporary=True,
        is_archived=False,
        is_starred=True,
        metadata='{"safe_urls":["https://example.org"],"async_status":4,"voice":{"name":"sky"}}',
        document=True,
    )


@pytest.mark.parametrize(
    "fields", [{"conversation_id": "a", "id": "b"}, {"id": "a"}, {"conversation_id": "a", "id": 5}]
)
def test_a_conversation_has_either_name(fields: Row) -> None:
    assert conversation(mapped(**fields)).id == "a"


def test_a_conversation_without_a_name_keeps_its_messages() -> None:
    records = read(mapped(node("ask", None)), None)
    assert [(record.id, record.conversation_id) for record in records if isinstance(record, Message)] == [("ask", None)]
    assert [record.type for record in records if isinstance(record, TypedEvent)] == ["conversation"]


# The unknown


@pytest.mark.parametrize("document", [{}, {"detail": "gone"}, {"mapping": None}, {"mapping": 5, "messages": "x"}])
def test_a_document_without_messages_is_recorded(document: Row) -> None:
    (event,) = unrecognised(document)
    assert (event.type, json.loads(event.data)) == ("conversation", document)


def test_a_node_that_is_none_is_recorded_and_the_others_are_read() -> None:
    document = {"mapping": {"a": 5, "b": None, "c": {"message": "words"}, "d": {"message": message("d")}}}
    assert parents(document) == {"d": None}
    assert [(event.message_id, event.data) for event in unrecognised(document)] == [("a", "5"), ("c", '"words"')]


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["a", "b", "\ud83d", "", 1e308, 10**30]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "message", "parent", "children", "author", "metadata"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
NODES = st.fixed_dictionaries({}, optional={"id": ODD, "parent": ODD, "children": ODD, "message": ODD})
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "mapping": st.dictionaries(st.sampled_from("abcde"), NODES | ODD) | st.lists(NODES | ODD) | ODD,
        "messages": st.lists(NODES | ODD) | ODD,
        **dict.fromkeys(["title", "create_time", "update_time", "current_node", "is_archived", "voice", "id"], ODD),
    },
)


def store(archive: Archive, document: Any, at: int = STARTED, stream_id: str = "stream") -> None:
    """A document as it is written for a stream."""
    stream = Stream(stream_id, "live", "document", "chatgpt.com", "/backend-api/conversation/talk", "GET", at)
    archive.store.write([stream, *conversation_records(document, DocumentReading(stream_id, "live", at), "talk")])


@pytest.fixture(scope="module")
def heap(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive(tmp_path_factory.mktemp("heap") / "chatgpt.db")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(document=DOCUMENTS)
def test_a_document_may_hold_anything_and_is_never_refused(heap: Archive, document: Row) -> None:
    store(heap, document)
    assert heap.store.failed == 0


# In the archive


def test_a_thread_reads_from_the_root_to_the_current_node(archive: Archive) -> None:
    branches = [node("joint", "ask", "left", "right", said=None), node("left", "joint"), node("right", "joint")]
    document = mapped(node("root", None, "ask", said=None), node("ask", "root", "joint"), *branches)
    store(archive, document | {"current_node": "left", "title": "Tides"})
    assert archive.rows("SELECT position, id, text FROM threads") == [
        {"position": 1, "id": "ask", "text": "text of ask"},
        {"position": 2, "id": "left", "text": "text of left"},
    ]
    assert archive.row("SELECT title, is_starred FROM conversations") == {"title": "Tides", "is_starred": None}


def test_reading_a_document_again_changes_nothing(archive: Archive) -> None:
    document = mapped(node("ask", "root"), node("answer", "ask"), title="Tides", update_time=5, voice={"a": 1})
    store(archive, document)
    before = archive.dump()
    store(archive, document)
    assert archive.dump() == before


def test_a_later_list_does_not_take_away_what_a_document_said(archive: Archive) -> None:
    store(archive, mapped(node("ask", None), title="Tides", is_archived=True, voice={"a": 1}, memory_scope="all"))
    store(archive, mapped(title="Tides at sea", is_archived=None, memory_scope="none"), STARTED + 5, "later")
    store(archive, mapped(title="New chat", is_archived=False, pinned_time=7, memory_scope="old"), STARTED - 5, "older")
    row = archive.row("SELECT title, is_archived, json(metadata) AS metadata FROM conversations")
    assert (row["title"], row["is_archived"]) == ("Tides at sea", 1)
    assert json.loads(row["metadata"]) == {"voice": {"a": 1}, "memory_scope": "none", "pinned_time": 7}


ACCOUNTS = [
    mapped(title="New chat", is_archived=False, memory_scope="a", pinned_time=5),
    mapped(title="Tides", current_node="A", voice={"x": 1}),
    mapped(current_node="B", is_archived=True, memory_scope="b"),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_of_each_field_the_latest_word_counts_whatever_is_read_first(archive: Archive, order: tuple[int, ...]) -> None:
    for hour in (*order, order[0]):
        store(archive, ACCOUNTS[hour], STARTED + hour, f"stream {hour}")
    row = archive.row("SELECT title, current_node, is_archived, metadata FROM conversations")
    assert json.loads(row.pop("metadata")) == {"memory_scope": "b", "pinned_time": 5, "voice": {"x": 1}}
    assert row == {"title": "Tides", "current_node": "B", "is_archived": 1}


def test_a_document_is_known_when_all_of_it_is_written(archive: Archive) -> None:
    document = mapped(node("A", None), node("root", None, said=None))
    read = DocumentRead("talk", digest_of(json.dumps(document).encode()), message_count(document))
    store(archive, document)
    assert not archive.store.has_read(read)
    archive.store.write([read])
    assert archive.store.has_read(read)
    assert not archive.store.has_read(replace(read, digest=digest_of(b"{}")))
    assert not archive.store.has_read(replace(read, conversation_id="elsewhere"))
    assert not archive.store.has_read(replace(read, messages=2))


REAL = sorted(path.name for kind in ("mapping-*.json", "export-*.json") for path in CAPTURES.glob(kind))


@needs_captures
@pytest.mark.parametrize("name", REAL)
def test_every_node_of_a_real_document_is_a_row_as_it_was_sent(archive: Archive, name: str) -> None:
    document = json.loads((CAPTURES / name).read_bytes())
    store(archive, document)
    rows = {row["id"]: row for row in archive.rows("SELECT * FROM messages")}
    held = {key: place for key, place in document["mapping"].items() if place.get("message")}
    assert rows.keys() == held.keys()
    for identity, place in held.items():
        row, said = rows[identity], place["message"]
        assert (row["parent_id"], row["role"], row["status"]) == (
            place["parent"],
            said["author"]["role"],
            said["status"],
        )
        assert json.loads(row["content"]) == said["content"]
        assert json.loads(row["metadata"] or "{}") == said["metadata"]
    about = archive.row("SELECT * FROM conversations")
    assert (about["id"], about["title"]) == (document["conversation_id"], document["title"])
    assert about["current_node"] == document["current_node"]
    assert archive.count("events") == 0
    assert archive.rows("SELECT id FROM threads ORDER BY position DESC LIMIT 1") == [{"id": document["current_node"]}]

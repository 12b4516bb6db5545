"""One message object in, one record out, whatever the object holds."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from addon.answers.messages import Observation, citations_of, is_visible, read_message, text_of
from addon.records import Asset, Citation, Message
from tests import reference
from tests.recording import Archive, archive_at, envelope, message, v0


def read(said: dict[str, Any], **seen: Any) -> Message:
    return read_message(str(said.get("id")), said, "talk", Observation("stream", "live", at=5, live=False, **seen))


CONTENTS: list[tuple[dict[str, Any], str | None]] = [
    ({"content_type": "text", "parts": ["one", "two"]}, "one\ntwo"),
    ({"content_type": "text", "parts": []}, ""),
    ({"content_type": "multimodal_text", "parts": [{"content_type": "image_asset_pointer"}, "below", None, 5]}, "below"),
    ({"content_type": "code", "language": "json", "text": "{}"}, "{}"),
    ({"content_type": "execution_output", "text": ""}, ""),
    ({"content_type": "thoughts", "thoughts": [{"summary": "Plan", "content": "Look"}, {"summary": "", "content": "up"}]}, "Plan\n\nLook\n\nup"),
    ({"content_type": "thoughts", "thoughts": [5, {"summary": None}]}, ""),
    ({"content_type": "reasoning_recap", "content": "Thought for 7s"}, "Thought for 7s"),
    ({"content_type": "system_error", "name": "E", "text": "no"}, "no"),
    ({"content_type": "user_editable_context", "user_profile": "x"}, None),
    ({"content_type": "tether_browsing_display", "result": ""}, None),
    ({"content_type": "text", "parts": ["cite \ue200cite\ue202turn0search3\ue201 \U0001f30a"]}, "cite \ue200cite\ue202turn0search3\ue201 \U0001f30a"),
    ({"content_type": "text", "parts": ["half \ud83d"]}, "half \ufffd"),
    ({"content_type": "text", "parts": ["\ud83d\ude80 nul \0."]}, "\U0001f680 nul \0."),
    ({}, None),
]  # fmt: skip


@pytest.mark.parametrize(("content", "text"), CONTENTS, ids=lambda value: str(value)[:40])
def test_the_text_is_what_the_message_says(content: dict[str, Any], text: str | None) -> None:
    assert text_of(content) == text
    assert reference.text_of({"content": content}) == text


@pytest.mark.parametrize(
    ("fields", "visible"),
    [
        ({}, True),
        ({"recipient": None}, True),
        ({"weight": 0.0}, True),
        ({"author": {"role": "user"}}, True),
        ({"author": {"role": "tool", "name": "python"}}, True),
        ({"author": {"role": "system"}}, False),
        ({"metadata": {"is_visually_hidden_from_conversation": True}}, False),
        ({"metadata": {"is_visually_hidden_from_conversation": False}}, True),
        ({"recipient": "dalle.text2im"}, False),
        ({"recipient": "assistant"}, False),
        ({"content": {"content_type": "user_editable_context"}}, False),
        ({"content": {"content_type": "model_editable_context"}}, False),
        ({"author": {"role": "tool", "name": "dalle.text2im"}}, False),
        ({"author": {"role": "tool", "name": "image_gen"}, "metadata": {"ui_card": True}}, True),
        ({"author": "nobody", "content": [], "metadata": 5, "recipient": "all"}, True),
    ],
)
def test_visible_is_what_the_page_shows_as_conversation(fields: dict[str, Any], visible: bool) -> None:
    assert is_visible(message("A", "x") | fields) is visible


def test_every_column_is_read_from_its_place() -> None:
    metadata = {
        "parent_id": "P", "resolved_model_slug": "served", "requested_model_slug": "asked", "request_id": "r",
        "finish_details": {"type": "max_tokens"}, "turn_exchange_id": "turn", "finished_duration_sec": 7,
    }  # fmt: skip
    said = message(
        "A", "Hi", author={"role": "tool", "name": "web.run"}, channel="final", recipient="all", weight=1, end_turn=True,
        status="finished_partial_completion", create_time=1.5, update_time=2.25, metadata=metadata,
    )  # fmt: skip
    record = read(said, requested_model="elsewhere", first_token_at=6, completed_at=7)
    assert (record.parent_id, record.model_slug, record.requested_model, record.request_id) == (
        "P",
        "served",
        "asked",
        "r",
    )
    assert (record.finish_type, record.turn_exchange_id, record.reasoning_seconds) == ("max_tokens", "turn", 7.0)
    assert (record.role, record.author_name, record.channel, record.recipient) == ("tool", "web.run", "final", "all")
    assert (record.weight, record.end_turn, record.created_at, record.updated_at) == (1.0, True, 1_500_000, 2_250_000)
    assert (record.status, record.finished, record.content_type) == ("finished_partial_completion", True, "text")
    assert (record.first_seen_at, record.first_token_at, record.completed_at) == (5, 6, 7)
    assert record.content == '{"content_type":"text","parts":["Hi"]}'


@pytest.mark.parametrize("time", [None, "yesterday", 0, -5, 1e300, float("inf"), True, 253_402_300_800, [], 10**400])
def test_a_time_that_is_none_is_unknown(time: Any) -> None:
    assert read(message("A", create_time=time)).created_at is None


# Assets


def assets(said: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [(asset.id, asset.role, asset.kind, asset.origin) for asset in read(said).assets]


def test_every_file_a_message_mentions_is_found_once() -> None:
    part = {
        "content_type": "image_asset_pointer",
        "asset_pointer": "file-service://file-up",
        "width": 1,
        "size_bytes": 2,
    }
    attachments = [
        {"id": "file-up", "name": "tide.png", "mimeType": "image/png", "size": 2},
        {"id": "file_pdf", "mime_type": "application/pdf"},
        {"no": "id"},
        5,
    ]
    content = {"content_type": "multimodal_text", "parts": [part, part, "look"], "mask_pointer": "sediment://file_mask"}
    said = message("U", author={"role": "user"}, content=content, metadata={"attachments": attachments})
    assert assets(said) == [
        ("file-up", "input", "image", "uploaded"),
        ("file_mask", "mask", "image", "uploaded"),
        ("file-up", "attachment", "image", "uploaded"),
        ("file_pdf", "attachment", "file", "uploaded"),
    ]
    by_name = {asset.name: asset for asset in read(said).assets if asset.name}
    assert by_name["tide.png"] == Asset(
        "file-up", "file-service://file-up", "attachment", "image", "uploaded", "tide.png", 2
    )


def test_files_of_tools_and_voices_are_found() -> None:
    run = {"messages": [{"image_url": "file-service://file-plot"}, {"image_url": None}, "x"]}
    plot = message("A", author={"role": "tool", "name": "python"}, metadata={"aggregate_result": run})
    assert assets(plot) == [("file-plot", "output", "image", "tool")]
    talk = [
        {"content_type": "audio_asset_pointer", "asset_pointer": "sediment://file_a", "size_bytes": 3},
        {"content_type": "audio_transcription", "text": "hello"},
        {
            "content_type": "real_time_user_audio_video_asset_pointer",
            "audio_asset_pointer": {"asset_pointer": "sediment://file_b"},
            "frames_asset_pointers": [{"asset_pointer": "sediment://file_c"}],
            "video_container_asset_pointer": "sediment://file_d",
        },
        {"content_type": "new_asset_pointer", "asset_pointer": "sediment://file_e"},
    ]
    spoken = message("U", author={"role": "user"}, content={"content_type": "multimodal_text", "parts": talk})
    kinds = [(identity, kind) for identity, _, kind, _ in assets(spoken)]
    assert kinds == [
        ("file_a", "audio"),
        ("file_b", "audio"),
        ("file_d", "file"),
        ("file_c", "image"),
        ("file_e", "file"),
    ]


# Citations


def test_sources_are_found_wherever_they_are_named_each_once() -> None:
    page = {"url": "https://example.org/a", "title": "A", "attribution": "example.org", "pub_date": 1.5}
    found = citations_of(
        {
            "content_references": [
                {
                    "type": "grouped_webpages",
                    "items": [page | {"supporting_websites": [{"url": "https://example.org/b"}]}],
                },
                {"type": "grouped_webpages", "fallback_items": [page], "refs": []},
                {"type": "sources_footnote", "sources": [page]},
                {"type": "image_v2", "images": [{"url": "https://example.org/i.png"}]},
                {"type": "webpage", "url": "https://example.org/c", "snippet": "words"},
                5,
            ],
            "citations": [{"metadata": {"type": "webpage", "url": "https://example.org/d", "text": "evidence"}}, None],
            "search_result_groups": [{"entries": [{"url": "https://example.org/e"}, {"title": "no url"}]}],
        }
    )
    assert [(citation.url[-5:], citation.kind) for citation in found] == [
        ("org/a", "grouped_webpages"), ("org/b", "grouped_webpages"), ("org/a", "sources_footnote"),
        ("i.png", "image_v2"), ("org/c", "webpage"), ("org/d", "webpage"), ("org/e", "search_result"),
    ]  # fmt: skip
    assert found[0] == Citation("https://example.org/a", "grouped_webpages", "A", "example.org", None, 1_500_000)
    assert (found[4].snippet, found[5].snippet) == ("words", "evidence")


@pytest.mark.parametrize("metadata", [{}, {"content_references": 5}, {"citations": {}}, {"search_result_groups": [[]]}])
def test_no_sources_are_none(metadata: dict[str, Any]) -> None:
    assert citations_of(metadata) == ()


# Anything at all


ODD = st.sampled_from(
    [2**63, -(2**80), 1e308, float("nan"), True, "\ud83d", "x\0y", "sediment://\udcff", "file-service://file-1", ""]
)
VALUES = st.recursive(
    st.none() | ODD | st.text(max_size=5) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["asset_pointer", "content_type", "metadata", "dalle", "generation", "gen_id", "seed", "width", "url", "type", "title",
                 "items", "text", "id", "name", "role", "size_bytes", "prompt", "pub_date", "entries", "summary", "content"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)  # fmt: skip
MESSAGES = st.fixed_dictionaries(
    {"id": st.just("A")},
    optional={
        "author": st.fixed_dictionaries({"role": st.sampled_from(["tool", "user", "assistant", "\ud83d"])}, optional={"name": VALUES}),
        "content": st.fixed_dictionaries({}, optional={"content_type": VALUES, "parts": st.lists(VALUES, max_size=3), "mask_pointer": VALUES}),
        "metadata": st.fixed_dictionaries(
            {},
            optional=dict.fromkeys(
                ["parent_id", "attachments", "aggregate_result", "content_references", "citations", "search_result_groups",
                 "image_gen_task_id", "model_slug", "finished_duration_sec", "finish_details", "turn_exchange_id"],
                VALUES,
            ),
        ),
        **dict.fromkeys(["status", "end_turn", "weight", "recipient", "channel", "create_time", "update_time"], VALUES),
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def heap(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with archive_at(tmp_path_factory.mktemp("heap") / "chatgpt.db") as archive:
        yield archive


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(said=MESSAGES)
def test_a_message_may_hold_anything_and_is_never_refused(heap: Archive, said: dict[str, Any]) -> None:
    body = v0(envelope(said, "talk"), envelope(said | {"status": "finished_successfully"}, "talk"))
    heap.record(body, stream_id=str(len(heap.rows("SELECT 1 FROM streams"))))
    assert heap.store.failed == 0

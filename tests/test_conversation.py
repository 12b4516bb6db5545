"""Events in, records out: whole messages (v0), deltas (v1), and what both say about the conversation."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addon.answers.conversation import ConversationDecoder
from addon.answers.message_states import Exchange
from addon.records import Conversation, Message, MessageGrowth, Record, TypedEvent
from addon.wire.sse import Event, EventStreamParser
from tests.cuts import cuts
from tests.recording import FINISHED, STATUS, TEXT, delta, envelope, event, message, shown, v0, v1

KEYS = [
    "p", "o", "v", "c", "type", "message", "id", "author", "role", "content", "parts", "thoughts", "status", "metadata",
    "parent_id", "error", "conversation_id", "title", "input_message", "moderation_response", "blocked", "message_id",
]  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\ud83d", "x\0y", "v1"])
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner), max_leaves=12
)


def exchange(**known: Any) -> Exchange:
    return Exchange(**{"stream_id": "stream", "source": "live"} | known)


def read(*chunks: bytes, of: Exchange | None = None, closed: bool = True) -> tuple[list[Record], ConversationDecoder]:
    """All records of a stream, event n at time n, and the decoder at its end."""
    decoder, parser = ConversationDecoder(of or exchange()), EventStreamParser()
    records: list[Record] = []
    events = [found for chunk in chunks for found in parser.feed(chunk)] + parser.close()
    for number, found in enumerate(events, start=1):
        records += decoder.apply(found, number)
    return records + (decoder.snapshot(live=False) if closed else []), decoder


def spoken(body: bytes) -> dict[str, Message]:
    """The last record of each message."""
    return {record.id: record for record in read(body)[0] if isinstance(record, Message)}


def typed(records: list[Record]) -> list[TypedEvent]:
    return [record for record in records if isinstance(record, TypedEvent)]


def said_of(records: list[Record], name: str) -> list[Any]:
    """What is said about the conversation in one column, in order."""
    found = [getattr(record, name) for record in records if isinstance(record, Conversation)]
    return [value for value in found if value is not None]


# Messages over v1


def test_operations_go_to_the_message_of_their_channel_not_to_the_newest() -> None:
    thoughts = {"content_type": "thoughts", "thoughts": []}
    found = spoken(
        v1(
            shown(message("T", content=thoughts), 0),
            {"p": "/message/content/thoughts", "o": "append", "v": [{"summary": "Plan", "content": ""}]},
            {"p": "/message/content/thoughts/0/content", "v": "Look"},
            {"v": " up"},
            shown(message("A"), 1),
            {"p": TEXT, "o": "append", "v": "Hel"},
            {"v": "lo"},
            delta("/message/metadata/reasoning_status", "replace", "reasoning_ended", 0),
            delta(TEXT, "append", " world", 1),
        )
    )
    assert {key: record.text for key, record in found.items()} == {"T": "Plan\n\nLook up", "A": "Hello world"}
    assert found["T"].metadata == '{"reasoning_status":"reasoning_ended"}'
    assert found["A"].metadata is None


def test_a_channel_that_is_used_again_leaves_its_first_message_as_it_was() -> None:
    found = spoken(
        v1(
            shown(message("A")),
            delta(TEXT, "append", "first"),
            shown(message("B")),
            delta(TEXT, "append", "sec"),
            {"v": "ond"},
        )
    )
    assert {key: record.text for key, record in found.items()} == {"A": "first", "B": "second"}


def test_a_message_that_moves_to_another_channel_goes_on_there() -> None:
    body = v1(shown(message("A", "old"), 0), shown(message("A", "new"), 5), delta(TEXT, "append", "er", 5))
    assert spoken(body)["A"].text == "newer"


def test_a_delta_without_its_event_name_is_applied() -> None:
    body = v1(shown(message("A")), event(delta(TEXT, "append", "named")), event({"v": " less"}))
    assert spoken(body)["A"].text == "named less"


def test_deltas_are_read_before_any_encoding_was_named() -> None:
    body = event(shown(message("A")), "delta") + event(delta(TEXT, "append", "early"), "delta")
    records, decoder = read(body)
    assert [record.text for record in records if isinstance(record, Message)] == ["", "early"]
    assert decoder.encoding == "v1"


def test_an_unknown_encoding_is_an_error_and_its_deltas_are_counted_not_guessed() -> None:
    unknown = event(b'"v7"', "delta_encoding") + event(shown(message("A")), "delta") + event({"v": "x"}, "delta")
    records, decoder = read(unknown)
    assert [record.type for record in typed(records)] == ["delta_encoding"]
    assert (decoder.turn.error, decoder.encoding) == ("unknown delta encoding", "v7")
    assert (decoder.unrecognised_count, len(decoder.messages)) == (3, 0)
    assert spoken(unknown + v1(shown(message("B", "known again"))))["B"].text == "known again"


def test_an_emoji_split_over_two_deltas_is_one_character_and_half_of_one_a_replacement() -> None:
    halves = event(rb'{"p":"/message/content/parts/0","o":"append","v":"\ud83d"}', "delta")
    whole = halves + event(rb'{"v":"\ude80!"}', "delta")
    assert spoken(v1(shown(message("A")), whole))["A"].text == "\U0001f680!"
    assert spoken(v1(shown(message("A")), halves))["A"].text == "\ufffd"


@pytest.mark.parametrize(
    ("wrong", "damaged"),
    [
        (event(b'{"v": "torn', "delta"), {"B"}),
        (event(delta("/message/status/x", "add", 1, 0), "delta"), {"A"}),
        (event({"o": "explode", "c": 0}, "delta"), {"A"}),
        (event({"c": [1], "p": 5, "o": {}, "v": 1}, "delta") + event(b"torn", "delta"), set()),
        (event({"c": "1", "v": 1}, "delta"), set()),
        (event(b'{"type": "toast", torn'), set()),
    ],
)
def test_a_message_that_lacks_an_operation_is_marked_and_no_other(wrong: bytes, damaged: set[str]) -> None:
    body = v1(shown(message("A", "a"), 0), shown(message("B", "b"), 1), wrong)
    assert {key for key, record in spoken(body).items() if record.damaged} == damaged
    assert read(body)[1].unrecognised_count >= 1


# Messages over v0


def test_a_v0_message_is_its_newest_frame() -> None:
    growing = [envelope(message("A", text)) for text in ("", "So", "So it", "So it goes")]
    last = envelope(message("A", "So it goes.", status=FINISHED, end_turn=True))
    found = spoken(v0(*growing, last))["A"]
    assert (found.text, found.status, found.end_turn) == ("So it goes.", FINISHED, True)
    assert read(v0(*growing, last))[1].encoding == "v0"


def test_a_v0_message_that_is_emptied_in_progress_has_its_text_written_first() -> None:
    frames = [envelope(message("A", text)) for text in ("So", "So it", "", "")]
    assert [record.text for record in read(v0(*frames))[0] if isinstance(record, Message)] == ["So", "So it", ""]


def test_an_unreadable_v0_frame_is_recorded_and_the_others_are_read() -> None:
    torn = event(b'{"message": {"id": "A", "content": {"content_type": "te')
    records, decoder = read(v0(envelope(message("A", "So")), torn, envelope(message("A", "So it goes"))))
    assert [(record.type, record.position) for record in typed(records)] == [("unparsable", 1)]
    assert (decoder.event_count, decoder.unrecognised_count) == (3, 1)
    assert [record.text for record in records if isinstance(record, Message)][-1] == "So it goes"


@pytest.mark.parametrize(("last", "recorded"), [("So it goes", []), (None, [("unparsable", 1)])])
@pytest.mark.parametrize("look", [False, True])
def test_an_unreadable_v0_frame_counts_unless_the_next_says_it_all(
    last: str | None, recorded: list[Any], look: bool
) -> None:
    torn = b'{"message": {"id": "A", torn, "status": "in_progress"}, "conversation_id": "talk", "error": null}'
    frames = [envelope(message("A", "So")), torn, *([envelope(message("A", last))] if last else [])]
    decoder, records = ConversationDecoder(exchange()), []
    for number, found in enumerate(EventStreamParser().feed(v0(*map(event, frames)))):
        records += decoder.apply(found, number) + (decoder.snapshot() if look else [])
    assert [(record.type, record.position) for record in typed(records)] == recorded
    assert decoder.unrecognised_count == len(recorded)


def test_the_two_formats_may_share_a_stream() -> None:
    body = v1(event(envelope(message("A", "whole"))), shown(message("B")), delta(TEXT, "append", "in pieces"))
    assert {key: record.text for key, record in spoken(body).items()} == {"A": "whole", "B": "in pieces"}


# What is written when


STREAMS = {
    "v1": v1(
        {"type": "resume_conversation_token", "token": "t", "conversation_id": "talk"},
        shown(message("A"), 0),
        delta(TEXT, "append", "caf\u00e9 "),
        {"v": "\U0001f680"},
        {"type": "message_marker", "message_id": "A", "marker": "last_token", "event": "last"},
        delta("", "patch", [{"p": TEXT, "o": "append", "v": "!"}, {"p": STATUS, "o": "replace", "v": FINISHED}]),
        delta("/message/metadata", "append", {"is_complete": True}),
    ),
    "v0": v0(*[envelope(message("A", "caf\u00e9 \u6f6e"[:n])) for n in range(6)]).replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_records_do_not_depend_on_how_the_stream_is_cut(name: str) -> None:
    whole = read(STREAMS[name])[0]
    assert any(isinstance(record, Message) for record in whole)
    for chunks in cuts(STREAMS[name]):
        assert read(*chunks)[0] == whole


def test_a_message_is_written_when_it_appears_and_when_it_finishes_without_being_asked_for() -> None:
    finish = delta(STATUS, "replace", FINISHED)
    records, decoder = read(
        v1(shown(message("A")), delta(TEXT, "append", "Hi"), {"v": " you"}, finish, done=False), closed=False
    )
    assert [(record.text, record.status) for record in records if isinstance(record, Message)] == [
        ("", "in_progress"),
        ("Hi you", FINISHED),
    ]
    assert decoder.changed is False


def test_growth_is_written_when_asked_for_and_once() -> None:
    _, decoder = read(v1(shown(message("A")), delta(TEXT, "append", "Hi"), {"v": " you"}, done=False), closed=False)
    assert decoder.changed is True
    (record,) = decoder.snapshot()
    assert isinstance(record, Message)
    assert (record.text, record.live) == ("Hi you", True)
    assert (decoder.changed, decoder.snapshot()) == (False, [])


def test_what_only_grew_is_written_as_growth_and_anything_else_whole() -> None:
    start = (shown(message("A")), delta(TEXT, "append", "Hi"))
    _, decoder = read(v1(*start, done=False), closed=False)
    decoder.snapshot()
    for change, kind in [
        (delta(TEXT, "append", " you"), MessageGrowth),
        (delta("/message/metadata", "append", {"a": 1}), Message),
        (delta(TEXT, "append", "!"), MessageGrowth),
        (delta(TEXT, "append", {"no": "text"}), MessageGrowth),
        (delta(f"{TEXT}/0", "append", "wrong"), Message),
    ]:
        decoder.apply(Event("delta", json.dumps(change).encode(), 0), 100)
        (record,) = decoder.snapshot()
        assert type(record) is kind
    assert isinstance(record, Message)
    assert (record.text, record.damaged) == ("Hi you![object Object]", True)


def test_a_blocked_message_does_not_grow_over_what_was_shown() -> None:
    blocked = {"type": "moderation", "message_id": "A", "moderation_response": {"blocked": True}}
    _, decoder = read(v1(shown(message("A")), delta(TEXT, "append", "Hi"), blocked, done=False), closed=False)
    decoder.apply(Event("delta", json.dumps(delta(TEXT, "append", " you")).encode(), 0), 100)
    (record,) = decoder.snapshot()
    assert isinstance(record, Message)
    assert record.moderated is True


def test_each_content_of_a_finished_message_is_written_and_late_metadata_once() -> None:
    body = v1(
        shown(message("A", "one", status=FINISHED)),
        delta(TEXT, "replace", "two"),
        delta(TEXT, "replace", "three"),
        delta("/message/metadata", "append", {"a": 1}),
        {"v": {"b": 2}},
    )
    written = [record for record in read(body)[0] if isinstance(record, Message)]
    assert [(record.text, record.metadata) for record in written] == [
        ("one", None),
        ("two", None),
        ("three", None),
        ("three", '{"a":1,"b":2}'),
    ]


def test_times_are_those_of_the_events() -> None:
    body = v1(
        shown(message("U", "Why?", author={"role": "user"}, status=FINISHED)),  # 2
        shown(message("T", content={"content_type": "thoughts", "thoughts": [{"summary": "Hm"}]})),  # 3
        shown(message("K", "{}", recipient="web.run", status=FINISHED)),  # 4
        shown(message("A")),  # 5
        delta(TEXT, "append", "Hi"),  # 6
        {"v": " you"},  # 7
        delta(STATUS, "replace", FINISHED),  # 8
        delta("/message/metadata", "append", {"late": 1}),  # 9
    )
    found = spoken(body)
    times = {
        key: (record.first_seen_at, record.first_token_at, record.completed_at, record.at)
        for key, record in found.items()
    }
    assert times == {"U": (2, None, 2, 2), "T": (3, 3, None, 3), "K": (4, 4, 4, 4), "A": (5, 6, 8, 9)}
    assert read(body)[1].messages.first_token_at == 6


# The conversation


def test_messages_seen_before_their_conversation_had_a_name_are_given_it() -> None:
    records, decoder = read(
        v1(
            {"type": "title_generation", "title": "Tides"},
            shown(message("A", "Hi", status=FINISHED), conversation_id=None),
            {"type": "message_stream_complete", "conversation_id": "talk"},
        )
    )
    assert [record.conversation_id for record in records if isinstance(record, Message)] == [None, "talk"]
    assert decoder.conversation_id == "talk"
    assert (said_of(records, "title"), said_of(records, "current_node")) == (["Tides"], ["A"])


def test_titles_and_models_are_said_in_order() -> None:
    records, decoder = read(
        v1(
            {"type": "title_generation", "title": "One", "conversation_id": "talk"},
            {"type": "conversation_detail_metadata", "default_model_slug": "auto", "conversation_id": "talk"},
            {"type": "title_generation", "title": "", "conversation_id": "talk"},
            {"type": "title_generation", "title": "Two", "conversation_id": "talk"},
        )
    )
    assert (said_of(records, "title"), said_of(records, "default_model_slug")) == (["One", "Two"], ["auto"])
    assert decoder.turn.title == "Two"


def test_the_current_node_is_the_message_that_appeared_last_not_the_one_that_changed_last() -> None:
    records, _ = read(
        v1(
            shown(message("S", author={"role": "system"}, status=FINISHED), 0),
            shown(message("T", metadata={"parent_id": "U"}), 1),
            shown(message("A", "Hi", metadata={"parent_id": "T"}), 2),
            {"type": "input_message", "input_message": message("U", author={"role": "user"}, status=FINISHED)},
            delta("/message/metadata/finished_duration_sec", "replace", 7, 1),
        )
    )
    assert said_of(records, "current_node") == ["T", "A"]


def test_parents_that_go_round_in_a_circle_do_no_harm() -> None:
    user: dict[str, Any] = {"author": {"role": "user"}, "status": FINISHED}
    body = v1(
        shown(message("A", metadata={"parent_id": "B"}), 0),
        shown(message("B", metadata={"parent_id": "A"}), 1),
        {"type": "input_message", "input_message": message("C", **user)},
        shown(message("D", metadata={"parent_id": "D"}), 2),
    )
    assert said_of(read(body)[0], "current_node") == ["A", "B", "C", "D"]
    assert spoken(body)["D"].parent_id is None


def test_the_echo_of_the_prompt_is_read_unless_it_came_as_a_message() -> None:
    echo = {"type": "input_message", "input_message": message("U", "echo", author={"role": "user"}, status=FINISHED)}
    assert spoken(v1(echo))["U"].text == "echo"
    assert spoken(v1(shown(message("U", "itself", author={"role": "user"})), echo))["U"].text == "itself"


def test_the_turn_is_the_newest_that_a_message_names_whatever_changed_last() -> None:
    body = v1(
        shown(message("old", status=FINISHED, metadata={"turn_exchange_id": "turn-1"}), 0),
        shown(message("new", metadata={"turn_exchange_id": "turn-2"}), 1),
        delta("/message/metadata/late", "add", 1, 0),
    )
    assert read(body)[1].messages.turn_exchange_id == "turn-2"


@pytest.mark.parametrize(
    ("named", "moderated"), [({"message_id": "A"}, {"A"}), ({}, {"B"}), ({"message_id": "prompt"}, set())]
)
def test_a_block_falls_on_the_message_it_names_else_on_the_newest(named: dict[str, str], moderated: set[str]) -> None:
    block = {"moderation_response": {"flagged": True, "blocked": True}, **named}
    for payload in ({"type": "moderation", **block}, {**block, "is_completion": True, "conversation_id": "talk"}):
        body = v1(shown(message("A", "a"), 0), shown(message("B", "b"), 1), event(payload))
        assert {
            key for key, record in spoken(body + event({"v": "!"}, "delta")).items() if record.moderated
        } == moderated


def test_a_flag_without_a_block_changes_nothing() -> None:
    flag = {"type": "moderation", "moderation_response": {"flagged": True, "blocked": False}, "message_id": "A"}
    assert spoken(v1(shown(message("A", "a")), flag))["A"].moderated is False


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["delta", "message", "delta_encoding", "x"]), JSON), max_size=6))
def test_nothing_in_a_stream_raises(events: list[tuple[str, Any]]) -> None:
    decoder = ConversationDecoder(exchange())
    decoder.apply(Event("delta", json.dumps(shown(message("id"))).encode(), 0), 1)
    for name, payload in events:
        decoder.apply(Event(name, json.dumps(payload).encode(), 0), 1)
        decoder.snapshot()
    decoder.snapshot(live=False)

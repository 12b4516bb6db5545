"""The oracle itself: the standard's rules, the protocol's rules and worked examples, its traps, and real captures."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference import Event, Reference, decode, parse, text_of

CAPTURES = Path(__file__).resolve().parent.parent.parent / "shared" / "captures"


def lines(*deltas: str) -> bytes:
    """A v1 stream of these deltas, each given as it stands on its `data:` line."""
    frames = ['event: delta_encoding\ndata: "v1"\n\n', *(f"event: delta\ndata: {delta}\n\n" for delta in deltas)]
    return "".join([*frames, "data: [DONE]\n\n"]).encode()


def stream(*deltas: Any) -> bytes:
    return lines(*(json.dumps(delta) for delta in deltas))


def opened(message_id: str, x: Any, channel: int = 0) -> dict[str, Any]:
    return {"p": "", "o": "add", "v": {"message": {"id": message_id, "x": x}}, "c": channel}


def changed(x: Any, *deltas: Any) -> Any:
    """What deltas that are all right make of `x`, which stands at `/message/x`."""
    reference = decode(stream(opened("M", x), *deltas))
    assert (reference.damaged, reference.unparsable, reference.done) == (set(), 0, True)
    return reference.messages["M"].get("x", "no x")


def refused(*deltas: Any) -> bool:
    """Whether the last of the deltas damages the message and changes nothing, and the stream goes on."""
    before = decode(stream(opened("M", ["ab"]), *deltas[:-1]))
    later = {"p": "/message/later", "o": "replace", "v": True, "c": 0}
    after = decode(stream(opened("M", ["ab"]), *deltas, later))
    assert before.damaged == set()
    return after.damaged == {"M"} and after.messages == {"M": before.messages["M"] | {"later": True}}


# The event stream: WHATWG HTML 9.2.6


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: a\n\n", [Event("message", "a")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [Event("message", "a"), Event("message", "b")]),
        (b"data: a\r\rdata: b\r\r", [Event("message", "a"), Event("message", "b")]),
        (b"data: a\n\r\n\rdata: b\r\n\n", [Event("message", "a"), Event("message", "b")]),
        (b"\xef\xbb\xbfdata: a\n\n", [Event("message", "a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", []),
        (b"data: \xef\xbb\xbfa\n\n", [Event("message", "\ufeffa")]),
        (b"data:a\ndata: b\ndata:  c\ndata:\td\n\n", [Event("message", "a\nb\n c\n\td")]),
        (b"data\n\n", [Event("message", "")]),
        (b"data\ndata\n\n", [Event("message", "\n")]),
        (b"data:\n\n", [Event("message", "")]),
        (b"data: a: b \n\n", [Event("message", "a: b ")]),
        (b"event: delta\ndata: a\n\ndata: b\n\n", [Event("delta", "a"), Event("message", "b")]),
        (b"event: one\nevent: two\ndata: a\n\n", [Event("two", "a")]),
        (b"event\ndata: a\n\n", [Event("message", "a")]),
        (b"event: lost\n\ndata: a\n\n", [Event("message", "a")]),
        (b"\n\n\n", []),
        (b": comment\n:\n::data: x\ndata: a\n: comment\ndata: b\n\n", [Event("message", "a\nb")]),
        (b"Data: x\n data: x\ndata : x\nretry: 5\nretry: x\nother\n\n", []),
        (b"id: 1\ndata: a\n\ndata: b\n\n", [Event("message", "a", "1"), Event("message", "b", "1")]),
        (b"id: 1\nid: 2\x003\ndata: a\n\n", [Event("message", "a", "1")]),
        (b"id: 1\n\nid\ndata: a\n\n", [Event("message", "a", "")]),
        ("data: a\u2028b\x0bc\x85d\n\n".encode(), [Event("message", "a\u2028b\x0bc\x85d")]),
        (b"data: \xf0\x9f\x9a\x80\xf0\x9f\n\n", [Event("message", "\U0001f680\ufffd")]),
    ],
)
def test_events_are_those_of_the_standard(body: bytes, events: list[Event]) -> None:
    assert parse(body) == events


@pytest.mark.parametrize("body", [b"event: delta\ndata: a", b"event: delta\ndata: a\n", b"event: delta\r\ndata: a\r"])
def test_a_last_event_without_its_blank_line_is_kept_and_marked(body: bytes) -> None:
    assert parse(body) == [Event("delta", "a", terminated=False)]


def test_an_end_of_the_body_without_data_is_no_event() -> None:
    assert parse(b"data: a\n\nevent: delta\ndat") == [Event("message", "a")]
    assert parse(b"") == []


def test_a_stream_whose_last_event_is_not_terminated_says_so() -> None:
    assert decode(b"data: [DONE]\n\n").unterminated is False
    cut = decode(b"data: [DONE]\n")
    assert (cut.unterminated, cut.done) == (True, True)


@given(st.lists(st.sampled_from(["data: a", "data:", "event: delta", "id: 1", ": x", "", "y"])))
def test_events_do_not_depend_on_the_kind_of_line_end(written: list[str]) -> None:
    bodies = [end.join([*written, ""]).encode() for end in ("\n", "\r\n", "\r")]
    assert parse(bodies[0]) == parse(bodies[1]) == parse(bodies[2])


# The worked examples of the protocol


def test_example_a_simple_answer() -> None:
    body = lines(
        '{"p":"","o":"add","v":{"message":{"id":"M","content":{"content_type":"text","parts":[""]},"status":"in_progress","end_turn":null,"metadata":{"citations":[]}},"conversation_id":"K","error":null},"c":0}',
        '{"p":"/message/content/parts/0","o":"append","v":"This"}',
        '{"v":" statement"}',
        '{"p":"","o":"patch","v":['
        '{"p":"/message/content/parts/0","o":"append","v":"."},'
        '{"p":"/message/status","o":"replace","v":"finished_successfully"},'
        '{"p":"/message/end_turn","o":"replace","v":true},'
        '{"p":"/message/metadata","o":"append","v":{"is_complete":true,"finish_details":{"type":"stop","stop_tokens":[200002]}}}]}',
    )
    message = {
        "id": "M",
        "content": {"content_type": "text", "parts": ["This statement."]},
        "status": "finished_successfully",
        "end_turn": True,
        "metadata": {
            "citations": [],
            "is_complete": True,
            "finish_details": {"type": "stop", "stop_tokens": [200002]},
        },
    }
    assert decode(body) == Reference(messages={"M": message}, conversation_id="K", done=True)
    assert text_of(message) == "This statement."


def test_example_b_a_new_message_by_elision() -> None:
    body = lines(
        '{"p":"","o":"add","v":{"message":{"id":"M"}},"c":0}',
        '{"v":{"message":{"id":"M2","content":{"content_type":"text","parts":[""]}}},"c":1}',
        '{"p":"/message/content/parts/0","o":"append","v":"to channel 1"}',
        '{"p":"","o":"add","v":{"message":{"id":"M3"}},"c":2}',
    )
    assert decode(body).messages == {
        "M": {"id": "M"},
        "M2": {"id": "M2", "content": {"content_type": "text", "parts": ["to channel 1"]}},
        "M3": {"id": "M3"},
    }


def test_example_c_thoughts_and_answer_interleaved() -> None:
    body = lines(
        '{"p":"","o":"add","v":{"message":{"id":"T","content":{"content_type":"thoughts","thoughts":[]},"metadata":{}}},"c":0}',
        '{"p":"/message/content/thoughts","o":"append","v":[{"summary":"Plan","content":""}]}',
        '{"p":"/message/content/thoughts/0/content","v":"Look"}',
        '{"v":" up"}',
        '{"p":"","o":"add","v":{"message":{"id":"A","content":{"content_type":"text","parts":[""]}}},"c":1}',
        '{"p":"/message/content/parts/0","o":"append","v":"Hel"}',
        '{"v":"lo"}',
        '{"c":0,"p":"/message/metadata/reasoning_status","o":"replace","v":"reasoning_ended"}',
        '{"c":1,"p":"/message/content/parts/0","o":"append","v":" world"}',
    )
    reference = decode(body)
    assert reference.messages == {
        "T": {
            "id": "T",
            "content": {"content_type": "thoughts", "thoughts": [{"summary": "Plan", "content": "Look up"}]},
            "metadata": {"reasoning_status": "reasoning_ended"},
        },
        "A": {"id": "A", "content": {"content_type": "text", "parts": ["Hello world"]}},
    }
    assert text_of(reference.messages["T"]) == "Plan\n\nLook up"
    assert text_of(reference.messages["A"]) == "Hello world"


def test_example_d_a_bare_list_after_a_patch_is_a_patch() -> None:
    body = lines(
        '{"p":"","o":"add","v":{"message":{"id":"M","metadata":{"citations":[]}}},"c":0}',
        '{"p":"","o":"patch","v":[]}',
        '{"v":[{"p":"/message/metadata/citations","o":"append","v":{"start_ix":1}}]}',
    )
    assert decode(body).messages == {"M": {"id": "M", "metadata": {"citations": [{"start_ix": 1}]}}}


# Rule 1: elision


def test_the_first_delta_may_leave_out_everything_but_its_value() -> None:
    assert decode(stream({"v": {"message": {"id": "M"}}})).messages == {"M": {"id": "M"}}


def test_channel_pointer_and_verb_are_each_repeated_from_the_delta_before() -> None:
    assert changed(
        {"a": "", "b": ""},
        {"p": "/message/x/a", "o": "append", "v": "1"},
        {"v": "2"},
        {"p": "/message/x/b", "v": "3"},
        {"o": "replace", "v": "4"},
        {"p": "/message/x/a", "v": "5"},
    ) == {"a": "5", "b": "4"}


def test_a_value_is_never_repeated() -> None:
    assert refused({"p": "/message/x/0", "o": "append", "v": "c"}, {})
    assert refused({"p": "/message/x", "o": "append"})


@pytest.mark.parametrize("key", ["c", "p", "o"])
def test_null_is_not_left_out_but_wrong(key: str) -> None:
    reference = decode(stream(opened("M", "a"), {"p": "/message/x", "o": "append", "v": "b", key: None}))
    assert reference.messages["M"]["x"] == "a"
    # Without a channel nobody knows whom the delta was for.
    assert reference.damaged == (set() if key == "c" else {"M"})


def test_a_patch_is_repeated_like_any_verb() -> None:
    patch = [{"p": "", "o": "append", "v": "b"}]
    assert changed("a", {"p": "/message/x", "o": "patch", "v": patch}, {"v": patch}) == "abb"


def test_nothing_leaks_out_of_a_patch() -> None:
    assert changed(
        {"a": "", "b": []},
        {"p": "/message/x", "o": "patch", "v": [{"p": "/a", "o": "append", "v": "1", "c": 5}]},
        {"p": "/message/x/b", "o": "append", "v": 2},
        {"v": 3},
    ) == {"a": "1", "b": [2, 3]}


def test_a_bare_value_right_after_a_patch_is_wrong() -> None:
    assert refused({"p": "", "o": "patch", "v": [{"p": "/message/x/0", "o": "append", "v": "c"}]}, {"v": "d"})


def test_a_wrong_delta_is_what_the_next_one_repeats() -> None:
    reference = decode(
        stream(
            opened("M", "a"),
            {"p": "/message/x", "o": "append", "v": "b"},
            {"o": "prepend", "v": "c"},
            {"v": "d"},
            {"o": "append", "v": "e"},
        )
    )
    assert (reference.messages["M"]["x"], reference.damaged) == ("abe", {"M"})


# Rule 2: what is valid


@pytest.mark.parametrize(
    "delta",
    [
        "not an object",
        ["a"],
        None,
        7,
        {"p": "/message/x", "o": "copy", "v": 1},
        {"p": "/message/x", "o": "Append", "v": 1},
        {"p": "/message/x", "o": ["append"], "v": 1},
        {"p": 0, "o": "append", "v": 1},
        {"p": "/message/x", "o": "patch", "v": {"p": "", "o": "append", "v": 1}},
        {"p": "/message/x", "o": "patch"},
        {"p": "/message/x", "o": "truncate", "v": "1"},
        {"p": "/message/x", "o": "truncate", "v": True},
        {"p": "/message/x", "o": "truncate", "v": None},
        {"p": "/message/x", "o": "truncate"},
        {"p": "/message/x", "o": "add"},
        {"p": "/message/x", "o": "replace"},
    ],
)
def test_a_wrong_delta_is_skipped_and_damages_the_message(delta: Any) -> None:
    assert refused(delta)


@pytest.mark.parametrize("channel", ["0", True, [0], {}])
def test_a_channel_that_is_no_number_is_skipped(channel: Any) -> None:
    delta = {"c": channel, "p": "/message/x", "o": "append", "v": "b"}
    reference = decode(stream(opened("M", "a"), delta, {"c": 0, "v": "c"}))
    assert (reference.messages["M"]["x"], reference.damaged) == ("ac", set())


def test_only_the_message_of_the_wrong_deltas_channel_is_damaged() -> None:
    deltas = opened("M", "a"), opened("N", "a", channel=1), {"c": 0, "p": "/message/x/y/z", "o": "add", "v": 1}
    assert decode(stream(*deltas)).damaged == {"M"}


def test_a_wrong_delta_on_a_channel_without_a_message_damages_nothing() -> None:
    assert decode(stream(opened("M", "a"), {"c": 3, "p": "", "o": "copy", "v": 1})).damaged == set()


# Rule 3: channels


def test_a_channel_may_be_any_number() -> None:
    deltas = opened("M", "a", 4), {"c": -1, "v": {"message": {"id": "N"}}}, {"c": 0.5, "v": {"message": {"id": "O"}}}
    after = {"c": 4.0, "p": "/message/x", "o": "append", "v": "b"}
    assert decode(stream(*deltas, after)).messages == {"M": {"id": "M", "x": "ab"}, "N": {"id": "N"}, "O": {"id": "O"}}


def test_a_document_is_delivered_as_a_whole_and_a_new_one_begins_a_new_message() -> None:
    deltas = opened("M", "a"), {"p": "/message/x", "o": "append", "v": "b"}, opened("N", "c")
    later = {"p": "/message/x", "o": "append", "v": "d"}
    assert decode(stream(*deltas, later)).messages == {"M": {"id": "M", "x": "ab"}, "N": {"id": "N", "x": "cd"}}


# Rule 4: pointers


@pytest.mark.parametrize(
    ("pointer", "made"),
    [
        ("/message/x/a", {"a": 1}),
        ("message/x/a", {"a": 1}),
        ("/message/x/", {"": 1}),
        ("/message/x/a/b", {"a": {"b": 1}}),
        ("/message/x/a/0", {"a": [1]}),
        ("/message/x/a/0/1/b", {"a": [[None, {"b": 1}]]}),
        ("/message/x/a/01", {"a": {"01": 1}}),
        ("/message/x/a/-1", {"a": {"-1": 1}}),
        ("/message/x/a/1.0", {"a": {"1.0": 1}}),
        ("/message/x/a/\u0661", {"a": {"\u0661": 1}}),
        ("/message/x/a/-", {"a": {"-": 1}}),
        ("/message/x/a~1b", {"a/b": 1}),
        ("/message/x/a~0b", {"a~b": 1}),
        ("/message/x/~01", {"~1": 1}),
        ("/message/x/__proto__/y", {"__proto__": {"y": 1}}),
        ("/message/x/0", {"0": 1}),
        ("/message/x/7/y", {"7": {"y": 1}}),
    ],
)
def test_a_pointer_leads_to_its_place_and_makes_what_is_missing(pointer: str, made: Any) -> None:
    assert changed({}, {"p": pointer, "o": "replace", "v": 1}) == made


def test_a_pointer_into_an_empty_channel_makes_the_document() -> None:
    deltas = {"p": "/message/id", "o": "add", "v": "M"}, {"p": "/message/x/1", "o": "replace", "v": "b"}
    assert decode(stream(*deltas)).messages == {"M": {"id": "M", "x": [None, "b"]}}


@pytest.mark.parametrize("pointer", ["/message/x/0/0", "/message/id/a", "/message/x/-", "/message/x/a", "/message/x/"])
@pytest.mark.parametrize("op", ["add", "replace", "append", "remove", "truncate"])
def test_a_pointer_through_a_string_or_off_the_indexes_of_an_array_is_wrong(pointer: str, op: str) -> None:
    assert refused({"p": pointer, "o": op, "v": 1})


@pytest.mark.parametrize("obstacle", [None, 0, False, "a"])
def test_what_is_no_container_is_never_replaced_by_one(obstacle: Any) -> None:
    reference = decode(stream(opened("M", obstacle), {"p": "/message/x/y", "o": "add", "v": 1}))
    assert (reference.messages["M"]["x"], reference.damaged) == (obstacle, {"M"})


def test_a_hole_in_an_array_is_missing_and_null_is_not() -> None:
    assert changed(
        [], {"p": "/message/x/1", "o": "replace", "v": "b"}, {"p": "/message/x/0/y", "o": "add", "v": 1}
    ) == [{"y": 1}, "b"]
    assert refused({"p": "/message/x/0", "o": "replace", "v": None}, {"p": "/message/x/0/y", "v": 1})


# Rule 5: verbs


@pytest.mark.parametrize(
    ("x", "op", "key", "value", "result"),
    [
        (["a", "b"], "add", "/0", "c", ["c", "a", "b"]),
        (["a", "b"], "add", "/2", "c", ["a", "b", "c"]),
        (["a", "b"], "add", "/7", "c", ["a", "b", "c"]),
        (["a"], "add", "/99999999999999999999", "c", ["a", "c"]),
        ({"a": 1}, "add", "/a", 2, {"a": 2}),
        ({"a": 1}, "add", "/b", 2, {"a": 1, "b": 2}),
        ("a", "add", "", "b", "b"),
        (["a", "b"], "replace", "/0", "c", ["c", "b"]),
        (["a"], "replace", "/3", "c", ["a", None, None, "c"]),
        ({"a": 1}, "replace", "/b", 2, {"a": 1, "b": 2}),
        ({"a": 1}, "replace", "", None, None),
        (["a", "b"], "remove", "/0", None, ["b"]),
        (["a", "b"], "remove", "/2", None, ["a", "b"]),
        (["a"], "remove", "/99999999999999999999", None, ["a"]),
        ({"a": 1, "b": 2}, "remove", "/a", None, {"b": 2}),
        ({"a": 1}, "remove", "/b", None, {"a": 1}),
        ({"a": 1}, "remove", "", None, "no x"),
        ({}, "remove", "/a/b", None, {"a": {}}),
        ("a", "append", "", "b", "ab"),
        ("a", "append", "", "", "a"),
        (["a"], "append", "", "b", ["a", "b"]),
        (["a"], "append", "", ["b", ["c"]], ["a", "b", ["c"]]),
        (["a"], "append", "", {"b": 1}, ["a", {"b": 1}]),
        (["a"], "append", "", None, ["a", None]),
        ({"a": 1, "b": {"c": 1}}, "append", "", {"b": {"d": 2}}, {"a": 1, "b": {"d": 2}}),
        ({"a": 1}, "append", "", ["b"], ["b"]),
        ({"a": 1}, "append", "", "b", "b"),
        (None, "append", "", "b", "b"),
        (1, "append", "", 2, 2),
        (True, "append", "", "b", "b"),
        ({}, "append", "/a", "b", {"a": "b"}),
        ([], "append", "/1", "b", [None, "b"]),
        ("abc", "truncate", "", 2, "ab"),
        ("abc", "truncate", "", 0, ""),
        ("abc", "truncate", "", 9, "abc"),
        ("abc", "truncate", "", 1.9, "a"),
        ("abc", "truncate", "", -1, "ab"),
        (["a", "b"], "truncate", "", 1, ["a"]),
        (["a", "b"], "truncate", "", 10**400, ["a", "b"]),
        (["a", "b"], "truncate", "", -1, ["a"]),
        ({"a": 1}, "truncate", "", 0, {"a": 1}),
        (None, "truncate", "", 0, None),
        ({}, "truncate", "/a", 0, {}),
        ({"a": 1}, "patch", "", [], {"a": 1}),
        ({}, "patch", "/a", [], {}),
        (["a"], "patch", "/0", [{"p": "", "o": "append", "v": "b"}], ["ab"]),
        ({}, "patch", "/a", [{"p": "/0", "o": "add", "v": "b"}], {"a": ["b"]}),
        ({}, "patch", "", [{"p": "//a", "o": "add", "v": 1}], {"": {"a": 1}}),
        ({"a": 1}, "patch", "/a", [{"p": "", "o": "remove"}], {}),
        ({"a": [1, 2]}, "patch", "/a", [{"p": "/0", "o": "remove"}, {"p": "/0", "o": "replace", "v": 3}], {"a": [3]}),
    ],
)
def test_what_each_verb_does(x: Any, op: str, key: str, value: Any, result: Any) -> None:
    assert changed(x, {"p": "/message/x" + key, "o": op, "v": value}) == result


def test_remove_needs_no_value() -> None:
    assert changed({"a": 1}, {"p": "/message/x/a", "o": "remove"}) == {}


@pytest.mark.parametrize(
    ("value", "appended"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-7, "-7"),
        (1.0, "1"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (1234.5, "1234.5"),
        (1e-6, "0.000001"),
        (1.5e-7, "1.5e-7"),
        (10**20, "100000000000000000000"),
        (10**21, "1e+21"),
        (2**64, "18446744073709552000"),
        (10**400, "Infinity"),
        (-(10**400), "-Infinity"),
        ({"a": 1}, "[object Object]"),
        ([1, None, [2, "a"], {}], "1,,2,a,[object Object]"),
        ([], ""),
    ],
)
def test_what_is_appended_to_a_string_becomes_what_javascript_writes(value: Any, appended: str) -> None:
    assert changed("a", {"p": "/message/x", "o": "append", "v": value}) == "a" + appended


def test_patches_nest_and_their_pointers_are_relative() -> None:
    inner = {
        "p": "/b",
        "o": "patch",
        "v": [{"p": "/c", "o": "append", "v": "1"}, {"p": "", "o": "append", "v": {"d": 2}}],
    }
    assert changed({"a": {}}, {"p": "/message/x/a", "o": "patch", "v": [inner]}) == {"a": {"b": {"c": "1", "d": 2}}}


@pytest.mark.parametrize(
    "nested",
    [
        {"o": "append", "v": "c"},
        {"p": "/message/x/0", "v": "c"},
        {"v": "c"},
        {"p": "/message/x/0", "o": "append"},
        {"p": "/message/x/0", "o": "patch", "v": [{"p": "", "o": "copy", "v": 1}]},
        {"p": "/message/x/0/0", "o": "replace", "v": "c"},
        "c",
        None,
    ],
)
def test_a_patch_with_one_wrong_operation_changes_nothing_at_all(nested: Any) -> None:
    good = {"p": "/message/x/0", "o": "append", "v": "!"}
    assert refused({"p": "", "o": "patch", "v": [good, nested, good]})


def test_the_message_may_be_removed_from_its_channel_and_stays_delivered() -> None:
    reference = decode(stream(opened("M", "a"), {"p": "", "o": "remove"}, {"p": "/message/x", "o": "append", "v": "b"}))
    assert reference.messages == {"M": {"id": "M", "x": "a"}}


# Rule 7: resets


def test_a_new_encoding_forgets_documents_and_what_was_left_out() -> None:
    first = stream(opened("M", "a"), {"p": "/message/x", "o": "append", "v": "b"}).removesuffix(b"data: [DONE]\n\n")
    second = stream({"v": {"message": {"id": "N"}}}, {"p": "/message/y/0", "o": "append", "v": "c"})
    assert decode(first + second).messages == {"M": {"id": "M", "x": "ab"}, "N": {"id": "N", "y": ["c"]}}


def test_typed_events_do_not_touch_the_state_of_deltas() -> None:
    body = stream(opened("M", "a"), {"p": "/message/x", "o": "append", "v": "b"}, {"v": "c"})
    typed = b'data: {"type": "message_marker", "p": "/message", "o": "remove", "v": 1, "c": 3}\n\n'
    between = body.replace(b'event: delta\ndata: {"v": "c"}', typed + b'event: delta\ndata: {"v": "c"}')
    reference = decode(between)
    assert reference.messages["M"]["x"] == "abc"
    assert reference.typed == [{"type": "message_marker", "p": "/message", "o": "remove", "v": 1, "c": 3}]


def test_done_closes_the_stream() -> None:
    reference = decode(b"data: [DONE] \n\n" + stream(opened("M", "a")))
    assert reference == Reference(done=True)


def test_a_stream_without_done_is_not_done() -> None:
    assert decode(stream(opened("M", "a")).removesuffix(b"data: [DONE]\n\n")).done is False


# Which events are deltas


@pytest.mark.parametrize("data", ['"v1"', "v1", '"v1"   '])
def test_the_encoding_is_json_or_a_bare_word(data: str) -> None:
    body = stream(opened("M", "a")).replace(b'"v1"', data.encode())
    assert decode(body) == Reference(messages={"M": {"id": "M", "x": "a"}}, done=True)


def test_deltas_of_an_unknown_encoding_are_left_alone_until_a_known_one() -> None:
    unknown = (
        b'event: delta_encoding\ndata: "v2"\n\n'
        b'event: delta\ndata: {"v": {"message": {"id": "X"}}}\n\n'
        b"event: delta\ndata: <binary>\n\n"
        b'data: {"v": {"message": {"id": "X"}}}\n\n'
        b'data: {"type": "title_generation", "title": "T"}\n\n'
    )
    reference = decode(unknown + stream(opened("M", "a")))
    assert (list(reference.messages), reference.titles, reference.unparsable) == (["M"], ["T"], 0)
    assert reference.damaged == set()


def test_deltas_before_any_encoding_are_read() -> None:
    assert decode(b'event: delta\ndata: {"v": {"message": {"id": "M"}}}\n\n').messages == {"M": {"id": "M"}}


def test_the_name_of_an_event_decides_that_it_is_a_delta() -> None:
    body = b'event: delta\ndata: {"type": "title_generation", "title": "T", "p": "", "o": "add", "v": {"message": {"id": "M"}}}\n\n'
    assert decode(body) == Reference(messages={"M": {"id": "M"}})


def test_a_delta_without_a_name_is_read_as_one() -> None:
    body = stream(opened("M", "a"), {"p": "/message/x", "o": "append", "v": "b"}, {"v": "c"})
    nameless = body.replace(b"event: delta\n", b"")
    assert decode(nameless) == decode(body)
    assert decode(body.replace(b"event: delta\n", b"event: other\n")).messages == {}


def test_a_nameless_delta_with_a_message_of_its_own_is_an_envelope() -> None:
    assert decode(b'data: {"message": {"id": "M"}, "v": {"message": {"id": "N"}}}\n\n').messages == {"M": {"id": "M"}}


# v0, typed frames and what else there is


def test_a_cumulative_frame_replaces_the_one_before() -> None:
    frames = [
        {"message": {"id": "U", "x": "q"}, "conversation_id": "K", "error": None},
        {"message": {"id": "M", "x": ""}, "conversation_id": "K", "error": None},
        {"message": {"id": "M", "x": "long"}, "conversation_id": "K", "error": None},
        {"message": {"id": "U", "x": "q", "y": 1}, "conversation_id": "K", "error": None},
        {"message": {"id": "M", "x": "an"}, "conversation_id": "K", "error": None},
        {"conversation_id": "K", "message_id": "M", "is_completion": True, "moderation_response": {"flagged": False}},
        {"message": None, "conversation_id": "K", "error": "broken"},
    ]
    reference = decode("".join(f"data: {json.dumps(frame)}\n\n" for frame in frames).encode())
    assert reference == Reference(
        messages={"U": {"id": "U", "x": "q", "y": 1}, "M": {"id": "M", "x": "an"}}, conversation_id="K"
    )
    assert list(reference.messages) == ["U", "M"]


def test_cumulative_frames_and_deltas_may_share_a_stream() -> None:
    frame = b'data: {"message": {"id": "M", "x": "z"}}\n\n'
    body = stream(opened("M", "a"), {"p": "/message/x", "o": "append", "v": "b"})
    assert decode(body.replace(b"data: [DONE]", frame + b"data: [DONE]")).messages == {"M": {"id": "M", "x": "z"}}
    appended = b'event: delta\ndata: {"v": "c"}\n\n'
    later = body.replace(b"data: [DONE]", frame + appended + b"data: [DONE]")
    assert decode(later).messages == {"M": {"id": "M", "x": "abc"}}


@pytest.mark.parametrize("message", ["null", '"M"', "{}", '{"id": null}', '{"id": 7}', '{"id": ""}', '["M"]'])
def test_a_message_without_an_id_is_none(message: str) -> None:
    assert decode(f'data: {{"message": {message}}}\n\n'.encode()) == Reference()


def test_typed_frames_are_kept_as_they_are() -> None:
    frames: list[dict[str, Any]] = [
        {"type": "resume_conversation_token", "token": "t", "conversation_id": "K"},
        {"type": "title_generation", "title": "One", "conversation_id": "other"},
        {"type": "title_generation", "title": "Two"},
        {"type": "title_generation", "title": "Two"},
        {"type": "title_generation", "title": None},
        {"type": "never_seen", "title": "Three", "message": {"id": "M"}},
        {"type": None},
    ]
    reference = decode("".join(f"data: {json.dumps(frame)}\n\n" for frame in frames).encode())
    assert reference == Reference(typed=frames, titles=["One", "Two", "Two"], conversation_id="K")


def test_an_input_message_counts_only_until_the_message_itself_comes() -> None:
    def echo(x: str) -> bytes:
        return f'data: {{"type": "input_message", "input_message": {{"id": "U", "x": "{x}"}}}}\n\n'.encode()

    envelope = b'data: {"message": {"id": "U", "x": "envelope"}}\n\n'
    assert decode(echo("a")).messages == {"U": {"id": "U", "x": "a"}}
    assert decode(echo("a") + echo("b")).messages == {"U": {"id": "U", "x": "b"}}
    assert decode(echo("a") + envelope).messages == {"U": {"id": "U", "x": "envelope"}}
    assert decode(envelope + echo("a")).messages == {"U": {"id": "U", "x": "envelope"}}


def test_the_first_conversation_id_is_kept_wherever_it_comes_from() -> None:
    assert decode(stream({"v": {"message": None, "conversation_id": "K"}})).conversation_id == "K"
    assert decode(b'data: {"type": "message_stream_complete", "conversation_id": "K"}\n\n').conversation_id == "K"
    assert decode(b'data: {"conversation_id": null}\n\ndata: {"conversation_id": "K"}\n\n').conversation_id == "K"


@pytest.mark.parametrize("data", ["{", "nothing", '{"a": NaN}', "Infinity", "'a'", "[DONE", '{"a": 1} x'])
def test_what_is_not_json_is_counted_and_the_stream_goes_on(data: str) -> None:
    body = f"data: {data}\n\n".encode() + stream(opened("M", "a"))
    assert decode(body) == Reference(messages={"M": {"id": "M", "x": "a"}}, unparsable=1, done=True)


@pytest.mark.parametrize(
    "body", [b"data:\n\n", b"data:  \n\n", b": ping - 2025\n\n", b"event: ping\ndata: 2025-03-06\n\n"]
)
def test_pings_comments_and_empty_data_say_nothing(body: bytes) -> None:
    assert decode(body) == Reference()


@pytest.mark.parametrize("data", ["1", "null", '"text"', "[]", "{}", '{"task_status": "running"}'])
def test_json_that_nobody_knows_says_nothing(data: str) -> None:
    assert decode(f"data: {data}\n\n".encode()) == Reference()


# The traps


def test_a_bad_delta_does_not_stop_the_stream_and_its_message_is_damaged() -> None:
    body = lines(
        '{"p":"","o":"add","v":{"message":{"id":"M","x":""}}}', '{"p":"/message/x","o":"append","v":"a"}', '{"v":"'
    )
    goes_on = body.replace(b"data: [DONE]", b'event: delta\ndata: {"v":"b"}\n\ndata: [DONE]')
    assert decode(goes_on) == Reference(messages={"M": {"id": "M", "x": "ab"}}, unparsable=1, damaged={"M"}, done=True)


def test_a_stream_cut_within_a_delta_keeps_what_came_before() -> None:
    cut = b'event: delta\ndata: {"v": {"message": {"id": "M"}}}\n\nevent: delta\ndata: {"p": "/message/x", "o": "app'
    assert decode(cut) == Reference(messages={"M": {"id": "M"}}, unparsable=1, damaged={"M"}, unterminated=True)


def test_spaces_after_the_json_do_not_matter() -> None:
    body = stream(opened("M", "a"), {"p": "/message/x", "o": "append", "v": "b"})
    assert decode(body.replace(b"}\n\n", b"}   \t \n\n")) == decode(body)


def test_messages_do_not_share_what_later_deltas_change() -> None:
    deltas = opened("M", {"a": ["b"]}), {"p": "/message/id", "o": "replace", "v": "N"}
    later = {"p": "/message/x/a/0", "o": "append", "v": "c"}
    assert decode(stream(*deltas, later)).messages == {
        "M": {"id": "M", "x": {"a": ["b"]}},
        "N": {"id": "N", "x": {"a": ["bc"]}},
    }


def test_deltas_after_the_last_token_still_count() -> None:
    last = b'data: {"type": "message_marker", "marker": "last_token", "event": "last"}\n\n'
    late = b'event: delta\ndata: {"p": "/message/x", "o": "append", "v": "!"}\n\n'
    body = stream(opened("M", "a")).replace(b"data: [DONE]", last + late + b"data: [DONE]")
    assert decode(body).messages["M"]["x"] == "a!"


@pytest.mark.parametrize(
    ("length", "left"),
    [(0, ""), (1, "a"), (2, "a\ud83d"), (3, "a\U0001f680"), (4, "a\U0001f680b"), (-1, "a\U0001f680")],
)
def test_truncate_counts_utf_16_units(length: int, left: str) -> None:
    assert changed("a\U0001f680b", {"p": "/message/x", "o": "truncate", "v": length}) == left


def test_halves_of_a_surrogate_pair_join_wherever_they_meet() -> None:
    append = {"p": "/message/x", "o": "append", "v": "\ud83d"}
    assert changed("a", append, {"v": "\ude80b"}) == "a\U0001f680b"
    truncate = {"p": "/message/x", "o": "truncate", "v": 2}
    assert changed("a\U0001f680b", truncate, {"o": "append", "v": "\ude81"}) == "a\U0001f681"


def test_citation_marks_split_over_deltas_stay_raw() -> None:
    append = {"p": "/message/x", "o": "append", "v": "a\ue200cite"}
    assert changed("", append, {"v": "\ue202turn0search3"}, {"v": "\ue201."}) == "a\ue200cite\ue202turn0search3\ue201."


def test_integers_stay_exact_and_the_last_of_equal_keys_wins() -> None:
    body = lines('{"v":{"message":{"id":"L","id":"M","x":123456789012345678901234567890}}}')
    assert decode(body).messages == {"M": {"id": "M", "x": 123456789012345678901234567890}}
    assert decode(body.replace(b"123456789012345678901234567890", b"9" * 5000)).unparsable == 0


@pytest.mark.parametrize("op", ["replace", "append", "patch"])
@pytest.mark.parametrize("index", ["20000", "999999999", "9" * 5000])
def test_an_array_never_grows_beyond_reason(op: str, index: str) -> None:
    value = [{"p": "", "o": "add", "v": 1}] if op == "patch" else 1
    assert refused({"p": f"/message/x/{index}", "o": op, "v": value})
    assert refused({"p": f"/message/x/{index}/a", "o": op, "v": value})


def test_an_array_may_grow_by_thousands() -> None:
    assert changed([], {"p": "/message/x/9000", "o": "replace", "v": 1}) == [None] * 9000 + [1]


def test_deep_nesting_is_survived() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    assert decode(lines('{"v":{"message":{"id":"M","x":"a"}}}', deep)).damaged == {"M"}
    patch = "{}"
    for _ in range(2_000):
        patch = f'{{"p":"","o":"patch","v":[{patch}]}}'
    assert decode(lines('{"v":{"message":{"id":"M","x":"a"}}}', patch)).damaged == {"M"}
    body = stream(opened("M", {}), {"p": "/message/x" + "/a" * 5_000, "o": "add", "v": 1}, {"v": 2})
    assert decode(body).damaged == set()


# Texts


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"content_type": "text", "parts": ["a"]}, "a"),
        ({"content_type": "text", "parts": ["a", "", "b"]}, "a\n\nb"),
        (
            {"content_type": "multimodal_text", "parts": [{"asset_pointer": "sediment://file_1"}, "a", None, "b"]},
            "a\nb",
        ),
        ({"content_type": "multimodal_text", "parts": [{"asset_pointer": "sediment://file_1"}]}, ""),
        ({"content_type": "text", "parts": []}, ""),
        ({"content_type": "code", "text": "print()"}, "print()"),
        ({"content_type": "code", "parts": ["print()"]}, "print()"),
        ({"content_type": "reasoning_recap", "content": "Thought for 7s"}, "Thought for 7s"),
        ({"content_type": "thoughts", "thoughts": []}, ""),
        (
            {"thoughts": [{"summary": "S", "content": "C"}, {"summary": "T", "content": ""}, 7, {"content": "D"}]},
            "S\n\nC\n\nT\n\nD",
        ),
        ({"content_type": "user_editable_context", "user_profile": "p"}, None),
        ({"parts": "a"}, None),
        ({"text": 1, "content": None}, None),
        ({}, None),
        ("a", None),
        (None, None),
        ({"parts": ["\ud83d\ude80"]}, "\U0001f680"),
        ({"parts": ["\ude80\ud83d"]}, "\ufffd\ufffd"),
        ({"parts": ["\ud83d", "\ude80"]}, "\ufffd\n\ufffd"),
        ({"text": "a\ud83db"}, "a\ufffdb"),
    ],
)
def test_the_text_of_a_content(content: Any, text: str | None) -> None:
    assert text_of({"id": "M", "content": content}) == text


def test_a_message_without_content_has_no_text() -> None:
    assert text_of({"id": "M"}) is None


# Whatever comes

# Few characters, and those that matter: of all lengths in UTF-8 and UTF-16, halves of pairs, what ends a line.
texts = st.text("a\n\r\u00e9\u2028\u6211\U0001f680\U0010ffff\ud83d\ude80", max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
pointers = st.sampled_from(
    ["", "/message", "/message/x", "/message/x/0", "/message/x/a/0", "/x/12", "/message/id", "-"]
)
verbs = st.sampled_from(["add", "append", "patch", "remove", "replace", "truncate", "copy"])
nested = st.fixed_dictionaries({"p": pointers, "o": verbs}, optional={"v": json_values})
operations = st.fixed_dictionaries(
    {}, optional={"c": st.integers(0, 2), "p": pointers, "o": verbs, "v": json_values | st.lists(nested, max_size=3)}
)


@given(st.binary())
def test_no_bytes_raise(body: bytes) -> None:
    decode(body)


@given(st.lists(operations))
def test_no_deltas_raise_and_what_they_leave_is_json(deltas: list[Any]) -> None:
    reference = decode(stream(opened("M", []), *deltas))
    assert json.loads(json.dumps(reference.messages)) == reference.messages
    assert reference.unparsable == 0
    for message in reference.messages.values():
        (text_of(message) or "").encode()


@given(texts, st.data())
def test_a_text_does_not_depend_on_how_it_was_cut(text: str, data: st.DataObject) -> None:
    units = text.encode("utf-16-le", "surrogatepass")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(units) // 2), max_size=5)))
    edges = [0, *cuts, len(units) // 2]
    pieces = [units[2 * start : 2 * end].decode("utf-16-le", "surrogatepass") for start, end in pairwise(edges)]
    first, *others = pieces
    deltas = {"p": "/message/x", "o": "append", "v": first}, *({"v": piece} for piece in others)
    assert changed("", *deltas) == units.decode("utf-16-le", "surrogatepass")


# Real captures


def capture(name: str) -> Reference:
    if not CAPTURES.is_dir():
        pytest.skip("real captures are not kept in the repository: ../shared/captures is absent")
    return decode((CAPTURES / name).read_bytes())


def summary(reference: Reference) -> list[tuple[str, str, str, str | None]]:
    """Role, recipient, status and text of every message."""
    return [
        (message["author"]["role"], message["recipient"], message["status"], text_of(message))
        for message in reference.messages.values()
    ]


def test_every_capture_is_read_without_a_complaint() -> None:
    if not CAPTURES.is_dir():
        pytest.skip("real captures are not kept in the repository: ../shared/captures is absent")
    paths = sorted(CAPTURES.glob("*.sse"))
    assert paths
    references = {path.name: decode(path.read_bytes()) for path in paths}
    assert {name: found for name, found in references.items() if found.unparsable or found.damaged} == {}
    assert [name for name, found in references.items() if not found.done] == ["tasks-deepresearch-20250215-excerpt.sse"]


@pytest.mark.parametrize(
    ("name", "conversation_id", "titles", "start", "end"),
    [
        (
            "v1-famous20-20260124.sse",
            "69746530-f660-8320-b0e2-d72cf1713eac",
            ["Famous People List Request", "Famous People List"],
            "Here’s a list of 20 famous people from different fields:\n\n1. **Albert Einstein** – Theoretical physicist",
            "20. **Marie Curie** – Pioneering physicist and chemist, known for her work on radioactivity.\n\n"
            "Do any of these stand out to you?",
        ),
        (
            "v1-famous10a-20260124.sse",
            "6974e0a3-b684-8321-a73a-bf4e7b6dfafe",
            ["Famous People List Request", "Famous People List"],
            "Here’s a list of 10 famous people from different fields:\n\n1. **Albert Einstein** – Physicist",
            "bold use of color.\n\nAny particular field or person you're interested in learning more about?",
        ),
        (
            "v1-famous10b-20260124.sse",
            "6974e14b-7434-8324-b4c3-6b3e64d1da87",
            ["Famous People List Request", "Famous People List"],
            "Sure! Here's a list of 10 famous people across various fields:\n\n1. **Albert Einstein** – Theoretical",
            "\n\nLet me know if you’d like more details about any of them!",
        ),
        (
            "v1-ko-ping-20250312-excerpt.sse",
            "67d12307-70ec-8009-92c8-28939ed3ebd7",
            ["사용자 피드백 수집 방법"],
            "사용자 피드백을 효과적으로 수집하려면 **명확한 목표 설정",
            "보상을 제공하면 참여율이 높아질 수 있어요. \U0001f680",
        ),
        (
            "v1-cn-20241016-emptydata.sse",
            "670fce41-4328-800b-8b72-f52b274345f0",
            [],
            "好的，我明白你的要求。为了获取你的环境信息，我会编写以下代码来检查你的操作系统、Python版本以及是否支持Bash。\n",
            "请执行此代码，并将结果返回给我。我会根据结果进行进一步分析并提出后续的建议。",
        ),
    ],
)
def test_a_captured_answer_is_whole(name: str, conversation_id: str, titles: list[str], start: str, end: str) -> None:
    reference = capture(name)
    answer = list(reference.messages.values())[-1]
    text = text_of(answer)
    assert text is not None
    assert (text[: len(start)], text[-len(end) :]) == (start, end)
    assert (answer["status"], answer["end_turn"], answer["metadata"]["is_complete"]) == (
        "finished_successfully",
        True,
        True,
    )
    assert answer["metadata"]["finish_details"] == {"type": "stop", "stop_tokens": [200002]}
    assert (reference.conversation_id, reference.titles) == (conversation_id, titles)


def test_a_captured_second_turn_of_patches_only() -> None:
    reference = capture("har-weekday-20260413.sse")
    assert summary(reference) == [
        ("user", "all", "finished_successfully", "今天星期几"),
        (
            "assistant",
            "all",
            "finished_successfully",
            "今天是 **星期一** \U0001f60a  \n\n如果你还想查日期、时间或者安排计划，也可以告诉我！",
        ),
    ]
    assert list(reference.messages.values())[1]["metadata"]["token_count"] == 28
    assert [payload["type"] for payload in reference.typed] == [
        "resume_conversation_token",
        "input_message",
        "message_marker",
        "server_ste_metadata",
        "message_stream_complete",
        "conversation_detail_metadata",
    ]


def test_a_captured_memory_tool_on_many_channels() -> None:
    call = ("assistant", "bio", "finished_successfully", "ignore")
    result = ("tool", "assistant", "finished_successfully", "Model set context updated.")
    assert summary(capture("v1-bio-memory-20260619-excerpt.sse")) == [
        ("user", "all", "finished_successfully", "帮我看一下当前的 design文件"),
        *[call, result] * 3,
        (
            "assistant",
            "all",
            "finished_successfully",
            '{"tool_calls":[{"id":"call_ls_1","type":"function","function":{"name":"bash","arguments":"{\\"command\\":'
            '\\"ls -R\\",\\"description\\":\\"List repository files recursively\\"}"}}]}',
        ),
    ]


def test_captured_image_generations() -> None:
    assert summary(capture("v1-imagegen-20250418-excerpt.sse")) == [
        ("system", "all", "finished_successfully", ""),
        ("user", "all", "finished_successfully", "画一只猫"),
        ("assistant", "t2uay3k.sj1i4kz", "in_progress", ""),
    ]
    late = capture("v1-imagegen-async-20260424.sse")
    call, placeholder = late.messages.values()
    assert (text_of(call), call["status"]) == ('{"skipped_mainline":true}', "finished_successfully")
    assert (text_of(placeholder) or "").startswith("Przetwarzanie obrazu\n\nWiele osób tworzy")
    assert placeholder["metadata"]["image_gen_multi_stream"] is True
    assert late.titles == ["Text Change Request"]


def test_a_captured_cumulative_stream_ends_in_the_middle_of_its_answer() -> None:
    reference = capture("v0-cn-4omini-20241015.sse")
    (system, question, answer) = reference.messages.values()
    assert [message["author"]["role"] for message in (system, question, answer)] == ["system", "user", "assistant"]
    assert text_of(answer) == (
        "明白了！我们可以从获取你的环境信息开始，以便更好地适应你的系统。首先，我将编写一段Python代码来获取操作系统信息和Python环境信息。\n\n"
    )
    assert (answer["status"], reference.done, reference.unterminated) == ("in_progress", True, True)
    assert reference.conversation_id == "670e921b-cbb0-8002-9abc-a1ba20e84d4a"


def test_a_captured_stream_of_another_kind_says_nothing() -> None:
    assert capture("tasks-deepresearch-20250215-excerpt.sse") == Reference()

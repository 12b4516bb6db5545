import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addon.answers.delta import MAX_ARRAY_GAP, MAX_DEPTH, MAX_PATCH_DEPTH, DeltaDecoder
from addon.answers.edits import leaves
from addon.wire.payload import dumps


def decoded(*deltas: dict[str, Any]) -> DeltaDecoder:
    """A decoder that took these deltas without an error and was read."""
    decoder = DeltaDecoder()
    for delta in deltas:
        assert decoder.apply(deepcopy(delta)) == []
    decoder.settle()
    return decoder


def changed(document: Any, *deltas: dict[str, Any]) -> Any:
    return decoded({"p": "", "o": "add", "v": document, "c": 0}, *deltas).document(0)


def refused(document: Any, *deltas: dict[str, Any]) -> list[str]:
    """The error lines of the last delta, which must change nothing."""
    decoder = decoded({"p": "", "o": "add", "v": document, "c": 0}, *deltas[:-1])
    before = dumps(decoder.document(0))
    errors = decoder.apply(deltas[-1])
    decoder.settle()
    assert dumps(decoder.document(0)) == before
    return errors


# The worked examples of the protocol, as they stand on the wire

EXAMPLES: dict[str, tuple[str, dict[int, Any]]] = {
    "a simple answer": (
        """
        {"p":"","o":"add","v":{"message":{"id":"M","content":{"content_type":"text","parts":[""]},"status":"in_progress","end_turn":null,"metadata":{"citations":[]}},"conversation_id":"K","error":null},"c":0}
        {"p":"/message/content/parts/0","o":"append","v":"This"}
        {"v":" statement"}
        {"p":"","o":"patch","v":[{"p":"/message/content/parts/0","o":"append","v":"."},{"p":"/message/status","o":"replace","v":"finished_successfully"},{"p":"/message/end_turn","o":"replace","v":true},{"p":"/message/metadata","o":"append","v":{"is_complete":true,"finish_details":{"type":"stop","stop_tokens":[200002]}}}]}
        """,
        {0: {"message": {"id": "M", "content": {"content_type": "text", "parts": ["This statement."]}, "status": "finished_successfully", "end_turn": True, "metadata": {"citations": [], "is_complete": True, "finish_details": {"type": "stop", "stop_tokens": [200002]}}}, "conversation_id": "K", "error": None}},
    ),
    "a new message by elision": (
        """
        {"p":"","o":"add","v":{"message":{"id":"M"}},"c":0}
        {"v":{"message":{"id":"M2","parts":[""]}},"c":1}
        {"p":"/message/parts/0","o":"append","v":"to channel 1"}
        {"p":"","o":"add","v":{"message":{"id":"M3"}},"c":2}
        """,
        {0: {"message": {"id": "M"}}, 1: {"message": {"id": "M2", "parts": ["to channel 1"]}}, 2: {"message": {"id": "M3"}}, 3: None},
    ),
    "thoughts and answer interleaved": (
        """
        {"p":"","o":"add","v":{"message":{"id":"T","content":{"content_type":"thoughts","thoughts":[]},"metadata":{}}},"c":0}
        {"p":"/message/content/thoughts","o":"append","v":[{"summary":"Plan","content":""}]}
        {"p":"/message/content/thoughts/0/content","v":"Look"}
        {"v":" up"}
        {"p":"","o":"add","v":{"message":{"id":"A","content":{"content_type":"text","parts":[""]}}},"c":1}
        {"p":"/message/content/parts/0","o":"append","v":"Hel"}
        {"v":"lo"}
        {"c":0,"p":"/message/metadata/reasoning_status","o":"replace","v":"reasoning_ended"}
        {"c":1,"p":"/message/content/parts/0","o":"append","v":" world"}
        """,
        {
            0: {"message": {"id": "T", "content": {"content_type": "thoughts", "thoughts": [{"summary": "Plan", "content": "Look up"}]}, "metadata": {"reasoning_status": "reasoning_ended"}}},
            1: {"message": {"id": "A", "content": {"content_type": "text", "parts": ["Hello world"]}}},
        },
    ),
    "a bare list after a patch": (
        """
        {"v":{"message":{"metadata":{"citations":[]}}}}
        {"p":"","o":"patch","v":[]}
        {"v":[{"p":"/message/metadata/citations","o":"append","v":{"start_ix":1}}]}
        """,
        {0: {"message": {"metadata": {"citations": [{"start_ix": 1}]}}}},
    ),
}  # fmt: skip


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_worked_examples_come_out_as_the_protocol_says(name: str) -> None:
    lines, documents = EXAMPLES[name]
    decoder = decoded(*map(json.loads, lines.strip().splitlines()))
    assert {channel: decoder.document(channel) for channel in documents} == documents


# What is left out


def test_the_first_delta_may_leave_out_everything_but_its_value() -> None:
    assert decoded({"v": {"a": 1}}).document(0) == {"a": 1}


def test_channel_pointer_and_verb_are_each_repeated() -> None:
    assert changed(
        {"a": "", "b": ""},
        {"p": "/a", "o": "append", "v": "1"},
        {"v": "2"},
        {"p": "/b", "v": "3"},
        {"o": "replace", "v": "4"},
        {"p": "/a", "v": "5"},
    ) == {"a": "5", "b": "4"}


def test_a_value_is_never_repeated_and_remove_needs_none() -> None:
    assert refused({"a": "x"}, {"p": "/a", "o": "append", "v": "y"}, {}) == ["append /a: no value"]
    assert changed({"a": 1, "b": 2}, {"p": "/a", "o": "remove"}, {"p": "/b"}) == {}


def test_a_bare_string_after_a_patch_is_wrong_and_goes_nowhere() -> None:
    patch = {"p": "", "o": "patch", "v": [{"p": "/a", "o": "append", "v": "y"}]}
    assert refused({"a": "x"}, patch, {"v": "z"}) == ["patch the root: not a list of operations"]
    decoder = DeltaDecoder()
    # Nobody reads the document in between: the string is still growing.
    taken = [
        decoder.apply(delta) for delta in ({"v": {"a": "x"}}, {"p": "/a", "o": "append", "v": "1"}, patch, {"v": "z"})
    ]
    assert taken == [[], [], [], ["patch the root: not a list of operations"]]
    decoder.settle()
    assert decoder.document(0) == {"a": "x1y"}


@pytest.mark.parametrize("wrong", [{"o": "prepend", "v": 1}, {"c": None, "v": 1}, {"p": None, "v": 1}, {"o": None, "v": 1}, {"c": True, "v": 1}, {"c": "0", "v": 1}, {"o": ["append"], "v": 1}, {"p": 0, "v": 1}])  # fmt: skip
def test_what_is_wrong_or_null_is_refused_and_yet_repeated(wrong: dict[str, Any]) -> None:
    decoder = decoded({"v": {"a": "x"}}, {"p": "/a", "o": "append", "v": "y"})
    assert decoder.apply(wrong) == ["delta without a valid channel, pointer or verb"]
    assert decoder.apply({"v": "z"}) == ["delta without a valid channel, pointer or verb"]
    assert decoder.apply({"c": 0, "p": "/a", "o": "append", "v": "!"}) == []
    decoder.settle()
    assert decoder.document(0) == {"a": "xy!"}


def test_channels_are_numbers_of_any_kind() -> None:
    decoder = decoded(
        {"c": -1, "v": "a"}, {"c": 0.5, "v": "b"}, {"c": 7, "v": "c"}, {"c": 7.0, "o": "append", "v": "d"}
    )
    assert [decoder.document(channel) for channel in (-1, 0.5, 7)] == ["a", "b", "cd"]
    assert [decoder.document(channel) for channel in (None, True, "7")] == [None] * 3


# Operations


@pytest.mark.parametrize(
    ("before", "delta", "after"),
    [
        # Pointers
        ({}, {"p": "a", "o": "add", "v": 1}, {"a": 1}),
        ({}, {"p": "/", "o": "add", "v": 1}, {"": 1}),
        ({}, {"p": "//x", "o": "add", "v": 1}, {"": {"x": 1}}),
        ({}, {"p": "/a~1b/~01", "o": "add", "v": 1}, {"a/b": {"~1": 1}}),
        ({}, {"p": "/a/0/b", "o": "add", "v": 1}, {"a": [{"b": 1}]}),
        ({}, {"p": "/a/1", "o": "replace", "v": 1}, {"a": [None, 1]}),
        ({}, {"p": "/a/01", "o": "add", "v": 1}, {"a": {"01": 1}}),
        ({}, {"p": "/a/-", "o": "add", "v": 1}, {"a": {"-": 1}}),
        ({}, {"p": "/a/\u0661", "o": "add", "v": 1}, {"a": {"\u0661": 1}}),
        ({"a": {}}, {"p": "/a/0", "o": "append", "v": 1}, {"a": {"0": 1}}),
        ({}, {"p": "/" + "k" * 500, "o": "add", "v": 1}, {"k" * 500: 1}),
        # The root
        ({"a": 1}, {"p": "", "o": "replace", "v": [1]}, [1]),
        ({"a": 1}, {"p": "", "o": "append", "v": {"b": 2}}, {"a": 1, "b": 2}),
        ({"a": 1}, {"p": "", "o": "remove"}, None),
        ("ab", {"p": "", "o": "truncate", "v": 1}, "a"),
        # add, replace, remove
        ([1, 2], {"p": "/1", "o": "add", "v": 9}, [1, 9, 2]),
        ([1, 2], {"p": "/7", "o": "add", "v": 9}, [1, 2, 9]),
        ([1, 2], {"p": "/1", "o": "replace", "v": 9}, [1, 9]),
        ([1], {"p": "/3", "o": "replace", "v": 9}, [1, None, None, 9]),
        ([1, 2], {"p": "/0", "o": "remove"}, [2]),
        ([1, 2], {"p": "/2", "o": "remove"}, [1, 2]),
        ({"a": 1}, {"p": "/b", "o": "remove"}, {"a": 1}),
        # append
        ({"a": [1]}, {"p": "/a", "o": "append", "v": 2}, {"a": [1, 2]}),
        ({"a": [1]}, {"p": "/a", "o": "append", "v": [2, [3]]}, {"a": [1, 2, [3]]}),
        ({"a": {"b": 1, "c": 1}}, {"p": "/a", "o": "append", "v": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": {"b": 1}}, {"p": "/a", "o": "append", "v": "x"}, {"a": "x"}),
        ({"a": None}, {"p": "/a", "o": "append", "v": "x"}, {"a": "x"}),
        ({"a": 1}, {"p": "/a", "o": "append", "v": 2}, {"a": 2}),
        ({}, {"p": "/a", "o": "append", "v": "x"}, {"a": "x"}),
        (["x"], {"p": "/2", "o": "append", "v": "y"}, ["x", None, "y"]),
        *(
            ({"a": "x"}, {"p": "/a", "o": "append", "v": value}, {"a": "x" + text})
            for value, text in [
                (None, "null"), (True, "true"), (False, "false"), (7, "7"), (7.0, "7"), (-0.0, "0"), (0.5, "0.5"),
                (1e16, "10000000000000000"), (1e21, "1e+21"), (0.00001, "0.00001"), (1e-6, "0.000001"), (1e-7, "1e-7"),
                (2.5e-10, "2.5e-10"), ([1, None, ["a", "b"]], "1,,a,b"), ({"b": 1}, "[object Object]"),
            ]
        ),
        # truncate
        ({"a": "a🚀b"}, {"p": "/a", "o": "truncate", "v": 3}, {"a": "a🚀"}),
        ({"a": "a🚀b"}, {"p": "/a", "o": "truncate", "v": 2}, {"a": "a\ud83d"}),
        ({"a": "abc"}, {"p": "/a", "o": "truncate", "v": 9}, {"a": "abc"}),
        ({"a": "abc"}, {"p": "/a", "o": "truncate", "v": -1}, {"a": "ab"}),
        ({"a": "abc"}, {"p": "/a", "o": "truncate", "v": -1e300}, {"a": ""}),
        ({"a": "abc"}, {"p": "/a", "o": "truncate", "v": 1.9}, {"a": "a"}),
        ([1, 2, 3], {"p": "", "o": "truncate", "v": 2}, [1, 2]),
        ([1, 2, 3], {"p": "", "o": "truncate", "v": -2}, [1]),
        ({"a": 7}, {"p": "/a", "o": "truncate", "v": 0}, {"a": 7}),
        # patch
        ({"a": {"b": "x"}}, {"p": "/a", "o": "patch", "v": [{"p": "/b", "o": "append", "v": "y"}, {"p": "/c", "o": "add", "v": 1}]}, {"a": {"b": "xy", "c": 1}}),
        ({"a": "x"}, {"p": "/a", "o": "patch", "v": [{"p": "", "o": "append", "v": "y"}, {"p": "", "o": "append", "v": "z"}]}, {"a": "xyz"}),
        ({"a": {}}, {"p": "", "o": "patch", "v": [{"p": "a", "o": "patch", "v": [{"p": "/b", "o": "add", "v": 1}]}]}, {"a": {"b": 1}}),
        # Its own root is no element of the array around it.
        ([1, 2], {"p": "/0", "o": "patch", "v": [{"p": "", "o": "add", "v": 9}]}, [9, 2]),
        ([1, 2], {"p": "/0", "o": "patch", "v": [{"p": "", "o": "remove"}]}, [None, 2]),
        ({"a": 1}, {"p": "/a", "o": "patch", "v": [{"p": "", "o": "remove"}]}, {}),
    ],
)  # fmt: skip
def test_an_operation_does_what_the_services_client_does(before: Any, delta: dict[str, Any], after: Any) -> None:
    assert changed(before, delta) == after
    # Also where the string it works on is still growing elsewhere in the document.
    grown: list[dict[str, Any]] = [{"v": {"doc": before, "s": ""}}, {"p": "/s", "o": "append", "v": "a"}, {"v": "b"}]
    if delta["p"].startswith("/"):
        assert decoded(*grown, delta | {"p": "/doc" + delta["p"]}).document(0) == {"doc": after, "s": "ab"}


# What is wrong


@pytest.mark.parametrize(
    ("delta", "errors"),
    [
        ({"p": "/a", "o": "add"}, ["add /a: no value"]),
        ({"p": "/s/x", "o": "add", "v": 1}, ["add /s/x: a value that is no container is in the way"]),
        ({"p": "/s/x/y", "o": "remove"}, ["remove /s/x/y: a value that is no container is in the way"]),
        ({"p": "/l/x", "o": "add", "v": 1}, ["add /l/x: an array has no such index"]),
        ({"p": "/l/-1", "o": "add", "v": 1}, ["add /l/-1: an array has no such index"]),
        ({"p": "/l/2/x", "o": "truncate", "v": "1"}, ["truncate /l/2/x: the length is not a number"]),
        ({"p": "/new/x", "o": "truncate", "v": True}, ["truncate /new/x: the length is not a number"]),
        ({"p": f"/l/{MAX_ARRAY_GAP + 2}", "o": "replace", "v": 1}, ["replace /l/66: the index is too far behind the array's end"]),
        ({"p": "/new/99999999999", "o": "add", "v": 1}, ["add /new/99999999999: an array has no such index"]),
        ({"p": "/x" * (MAX_DEPTH + 1), "o": "add", "v": 1}, ["add " + ("/x" * 40)[:79] + "…: the pointer is too deep"]),
        ({"p": "", "o": "patch", "v": {"p": ""}}, ["patch the root: not a list of operations"]),
        ({"p": "/\x1b[31m\n/x", "o": "add"}, ["add /?[31m?/x: no value"]),
        ({"p": "/s", "o": "append", "v": nested(1500)}, ["append /s: maximum recursion depth exceeded"]),
    ],
)  # fmt: skip
def test_a_wrong_operation_changes_nothing_and_says_so_in_one_line(delta: dict[str, Any], errors: list[str]) -> None:
    assert refused({"s": "secret", "l": ["secret"]}, delta) == errors


def test_the_other_operations_of_a_patch_apply() -> None:
    operations = [
        {"p": "/a", "o": "append", "v": "1"},
        {"p": "/a/b", "o": "add", "v": 2},
        "no operation",
        {"o": "append", "v": "3"},
        {"p": "/a", "v": "4"},
        {"p": "/a", "o": "append"},
        {"p": "/a", "o": "patch", "v": 5},
        {"p": "/a", "o": "append", "v": "6"},
    ]
    decoder = decoded({"v": {"a": ""}})
    assert decoder.apply({"p": "", "o": "patch", "v": operations}) == [
        "add /a/b: a value that is no container is in the way",
        "operation in a patch without its own pointer and verb",
        "operation in a patch without its own pointer and verb",
        "operation in a patch without its own pointer and verb",
        "append /a: no value",
        "patch a: not a list of operations",
    ]
    decoder.settle()
    assert decoder.document(0) == {"a": "16"}


def test_patches_in_patches_end_somewhere() -> None:
    patch: dict[str, Any] = {"p": "/a", "o": "add", "v": 1}
    for _ in range(MAX_PATCH_DEPTH + 1):
        patch = {"p": "", "o": "patch", "v": [patch]}
    assert changed({}, patch) == {"a": 1}
    assert refused({}, {"p": "", "o": "patch", "v": [patch]}) == ["patch the root: not a list of operations"]


# Strings that grow


def test_the_document_is_the_live_object_and_lags_until_it_is_settled() -> None:
    decoder = decoded({"v": {"a": "x"}})
    document = decoder.document(0)
    decoder.apply({"p": "/a", "o": "append", "v": "y"})
    decoder.apply({"v": "z"})
    assert document == {"a": "x"}
    decoder.settle()
    assert document == {"a": "xyz"}
    decoder.apply({"v": "!"})
    decoder.settle()
    assert document == {"a": "xyz!"}


def test_a_document_that_was_replaced_keeps_what_it_said() -> None:
    decoder = decoded({"v": {"a": ""}})
    earlier = decoder.document(0)
    for delta in ({"p": "/a", "o": "append", "v": "x"}, {"v": "y"}, {"p": "", "o": "add", "v": {"a": ""}}, {"p": "/a", "o": "append", "v": "z"}):  # fmt: skip
        assert decoder.apply(delta) == []
    decoder.settle()
    assert (earlier, decoder.document(0)) == ({"a": "xy"}, {"a": "z"})


def test_both_halves_of_a_character_may_come_apart() -> None:
    grown = changed({"a": ""}, {"p": "/a", "o": "append", "v": "\ud83d"}, {"v": "\ude80\r\n"}, {"v": "\u2028"})
    assert dumps(grown) == '{"a":"🚀\\r\\n\u2028"}'


def test_a_string_of_many_pieces_is_whole() -> None:
    decoder = decoded({"v": {"a": "", "b": ""}}, {"p": "/a", "o": "append", "v": "0"})
    for n in range(1, 200_000):  # would not come to an end if each append copied what is there
        decoder.apply({"v": str(n)} if n % 1000 else {"p": "/a", "o": "append", "v": str(n)})
    decoder.settle()
    assert decoder.document(0) == {"a": "".join(map(str, range(200_000))), "b": ""}


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.sampled_from(["", "append", "patch", "/a", "/0/a", "\x1b\ud83d"]))  # fmt: skip
JSON = st.recursive(SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("cpov"), inner, max_size=4)), max_leaves=8)  # fmt: skip


@settings(max_examples=60)
@given(st.lists(st.dictionaries(st.sampled_from("cpov"), JSON, max_size=4), max_size=6))
def test_no_delta_raises_whatever_it_is(deltas: list[dict[str, Any]]) -> None:
    decoder = DeltaDecoder()
    for delta in deltas:
        assert all(error.isprintable() for error in decoder.apply(delta))
        list(leaves(delta.get("o"), delta.get("p"), delta.get("v")))
    decoder.settle()


# What a delta touches


def test_the_leaves_of_a_delta_are_its_operations_with_whole_pointers() -> None:
    nested = [
        {"p": "/b", "o": "add"},
        {"p": "c", "o": "patch", "v": [{"p": "", "o": "remove"}, "x", {"p": 1, "o": "add"}]},
    ]
    assert list(leaves("append", "message/x", "y")) == [("append", "/message/x")]
    assert list(leaves("patch", "/a", nested)) == [("add", "/a/b"), ("remove", "/a/c")]
    assert [list(leaves(verb, pointer, {})) for verb, pointer in ((None, ""), ("add", None), ("patch", ""))] == [
        [],
        [],
        [],
    ]

"""JSON read piece by piece says what the whole text says, wherever it is cut."""

import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.importing import json_text
from addon.importing.json_text import Damaged, JsonBroken, JsonCut, JsonText


class Pieces(io.BytesIO):
    """A file that gives a few bytes at a time, however many are asked for."""

    def __init__(self, data: bytes, length: int) -> None:
        super().__init__(data)
        self._length = length

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self._length)


def text(data: str | bytes, length: int = 7) -> JsonText:
    return JsonText(Pieces(data if isinstance(data, bytes) else data.encode(), length))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(VALUES, max_size=6), st.integers(1, 40), st.booleans(), st.sampled_from([None, 1]))
def test_elements_do_not_depend_on_how_the_file_is_read(
    values: list[Any], length: int, ascii_only: bool, indent: int | None
) -> None:
    whole = json.dumps(values, ensure_ascii=ascii_only, indent=indent)
    assert list(text(whole.encode("utf-8", "surrogatepass"), length).elements()) == values


@given(st.dictionaries(st.text(max_size=6), VALUES, max_size=5), st.integers(1, 40))
def test_members_are_taken_or_skipped(fields: dict[str, Any], length: int) -> None:
    reading = text(json.dumps(fields), length)
    taken = {key: reading.value() for number, key in enumerate(reading.members()) if number % 2}
    assert taken == {key: value for number, (key, value) in enumerate(fields.items()) if number % 2}
    assert reading.peek() == ""


@given(st.lists(VALUES, max_size=6), st.integers(1, 40), st.booleans())
def test_values_are_passed_by_their_brackets_however_the_file_is_read(
    values: list[Any], length: int, ascii_only: bool
) -> None:
    whole = json.dumps({str(place): value for place, value in enumerate(values)}, ensure_ascii=ascii_only)
    reading = text(whole.encode("utf-8", "surrogatepass"), length)
    passed = []
    for key in reading.members():
        passed.append(key)
        reading.skip_by_brackets()
    assert (passed, reading.peek(), reading.offset) == ([str(place) for place in range(len(values))], "", len(whole))


@pytest.mark.parametrize(
    ("value", "is_read"),
    [
        ([[]] * 49, True),
        ([[]] * 60, False),
        ([{}, 1, "a, [{"] * 12, True),
        (["," * 90, {"[": ",[{" * 30}, '"[,'] * 12, True),
        ({str(place): 1 for place in range(120)}, False),
        ([[1, [2]], [[[3]]]] * 30, False),
    ],
)
def test_a_value_of_too_many_values_is_not_read(value: Any, is_read: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "MAX_VALUES", 100)
    monkeypatch.setattr(json_text, "_LIGHT_CHARACTERS", 20)
    monkeypatch.setattr(json_text, "_BLOCK_BYTES", 64)
    for count in (1, 5):
        whole = json.dumps([value, *["between", 7, [1], value] * count, "after"])
        found = list(text(whole, 50).elements())
        assert len(found) == 2 + 4 * count
        assert found[2] == 7
        assert found[-1] == "after"
        for each in (found[0], found[4]):
            assert each == value if is_read else each.reason == "is more than 100 values in one" and each.is_large


def test_the_text_of_what_was_taken_is_there() -> None:
    reading = text('[ {"a" : 1} , "b" ]')
    assert [(value, reading.take()) for value in reading.elements()] == [({"a": 1}, '{"a" : 1}'), ("b", '"b"')]


def test_after_the_text_of_a_large_value_was_taken_what_follows_is_where_it_stands() -> None:
    large = json.dumps({"a": "x" * 5_000_000})
    reading = JsonText(Pieces(f"[{large}, tru, 2]".encode(), 65536), 8_000_000)
    values = reading.elements()
    assert (next(values), reading.take(), reading.offset) == ({"a": "x" * 5_000_000}, large, 1 + len(large))
    assert [*values] == [Damaged(len(large) + 3), 2]


@pytest.mark.parametrize("bad", ['{"a": }', '{"a" 1}', '{"a": "\\x"}', "[1 2]", "{1: 2}", "tru", '{"a": [1, {]]}'])
def test_elements_after_a_damaged_one_are_read(bad: str) -> None:
    for length in (1, 3, 100):
        found = list(text(f'["before", {bad}, "after"]', length).elements())
        assert found[0] == "before"
        assert found[-1] == "after"
        assert isinstance(found[1], Damaged)
        assert found[1].offset == 11


def test_everything_before_a_cut_is_read() -> None:
    whole = '[{"a": "é\\ud83d\\ude00"}, {"b": [1.5, true]}, {"c": null}]'
    for end in range(1, len(whole)):
        kept: list[Any] = []
        with pytest.raises(JsonCut):
            kept.extend(text(whole[:end], 5).elements())
        assert kept == json.loads(whole)[: whole[:end].count("}")], end


def test_lone_surrogates_and_a_byte_order_mark_are_taken() -> None:
    assert list(text(b'\xef\xbb\xbf["\\ud83d", "\xff"]').elements()) == ["\ud83d", "\ufffd"]


def test_what_is_no_json_number_is_none_and_the_rest_is_kept() -> None:
    assert list(text('[{"a": NaN, "b": "line\nbreak"}]').elements()) == [{"a": None, "b": "line\nbreak"}]


def test_nesting_without_end_is_damage_and_no_crash() -> None:
    found = list(text(b'["before", ' + b"[" * 100_000 + b"]" * 100_000 + b', "after"]', 65536).elements())
    assert (found[0], found[-1]) == ("before", "after")
    assert isinstance(found[1], Damaged)


def test_an_array_that_is_none_is_broken() -> None:
    with pytest.raises(JsonBroken, match="character 6"):
        list(text("[1, 2 : 3]").elements())


def test_a_damaged_value_is_passed_without_being_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_text, "MAX_VALUE_CHARACTERS", 1_000_000)
    large = '["before", {"a": "' + 'x[\\" {' * 3_000_000 + '", "b": ["]"]}, "after"]'
    data = large.encode()
    tracemalloc.start()
    found = list(text(data, 65536).elements())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found[0], type(found[1]), found[-1]) == ("before", Damaged, "after")
    assert peak < 16_000_000

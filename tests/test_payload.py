import json
import math
import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.wire.payload import (
    array,
    boolean,
    dumps,
    integer,
    loads,
    mapping,
    microseconds,
    number,
    scalars,
    string,
)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": [1, -2.5, "x", true, null]}   \n', {"a": [1, -2.5, "x", True, None]}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'"\\ud83d\\ude80"', "🚀"),
        (b'"\\ud83d"', "\ud83d"),
        (b'{"\\ude80": "\\ude80x"}', {"\ude80": "\ude80x"}),
        (b'"a\xf0\x9fb"', "a\ufffdb"),
        (b'"\xed\xa0\xbd"', "\ufffd\ufffd\ufffd"),
        (b'"\\u0000"', "\0"),
        ("\u2028".join(['"a', 'b"']).encode(), "a\u2028b"),
        (b"18446744073709551615", 18446744073709551615),
        (b"\xef\xbb\xbf[1]", [1]),
        (b"1e999", None),
        (b'[-1e999, 1e-999, "\\ud83d"]', [None, 0.0, "\ud83d"]),
        (b"[" * 900 + b"]" * 900, json.loads("[" * 900 + "]" * 900)),
    ],
)
def test_json_is_read_as_the_wire_sends_it(data: bytes, value: Any) -> None:
    assert loads(data) == value


@pytest.mark.parametrize(
    "data",
    [b"", b" ", b"[DONE]", b"v1", b"{", b'{"a": 1} x', b"{'a': 1}", b"NaN", b"[Infinity]", b"-Infinity", b"\xff", b'"a\nb"', b"[" * 100_000 + b"]" * 100_000, b"[" * 100_000, b"9" * 5000 + b"]"],
)  # fmt: skip
def test_what_is_no_json_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(data)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"a": [1, "x", None, True]}, '{"a":[1,"x",null,true]}'),
        ("für 🚀\u2028\0", '"für 🚀\u2028\\u0000"'),
        ("\ud83d\ude80", '"🚀"'),
        (["\ud83d", "\ude80"], '["\ufffd","\ufffd"]'),
        ("\ude80\ud83dx", '"\ufffd\ufffdx"'),
        ({"\ud83d": 1}, '{"\ufffd":1}'),
        (10**25, "1" + "0" * 25),
        (1e21, "1e+21"),
        (math.inf, "null"),
    ],
)
def test_json_is_written_as_sqlite_can_keep_it(value: Any, written: str) -> None:
    assert dumps(value) == written


def test_what_is_nested_deeply_is_written_and_what_is_nested_madly_is_not() -> None:
    nested: list[Any] = []
    for _ in range(600):
        nested = [nested]
    assert dumps(nested) == "[" * 601 + "]" * 601
    for _ in range(100_000):
        nested = [nested]
    assert dumps(nested) == '{"unrepresentable":"nested too deeply"}'


JSON_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters()),
        st.text("\ud83d\ude80a"),
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text("ab\ud83d"), inner)),
    max_leaves=10,
)


@given(JSON_VALUES)
def test_what_is_written_is_valid_json_in_valid_utf8(value: Any) -> None:
    data = dumps(value).encode()
    assert json.loads(data, parse_constant=pytest.fail) == loads(data)


@given(st.binary())
def test_reading_any_bytes_gives_a_value_or_a_value_error(data: bytes) -> None:
    try:
        dumps(loads(data)).encode()
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            orjson.loads(data)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("", ""),
        ("für 🚀", "für 🚀"),
        ("a\ud83d\ude80b", "a🚀b"),
        ("\ud83d", "\ufffd"),
        ("\ude80\ud83d", "\ufffd\ufffd"),
        ("\ud83d\ud83d\ude80\ude80", "\ufffd🚀\ufffd"),
        ("\ud83da", "\ufffda"),
        ("a\ude80", "a\ufffd"),
    ],
)
def test_halves_of_characters_are_joined_or_replaced(text: str, clean: str) -> None:
    assert scalars(text) == clean


@given(st.text(st.characters()) | st.text("\ud83d\ude80a🚀"))
def test_a_text_is_joined_as_javascript_makes_it_well_formed(text: str) -> None:
    assert scalars(text) == text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert scalars(scalars(text)) == scalars(text)


HUGE = 10**400


@pytest.mark.parametrize(
    ("value", "as_number", "as_integer", "as_microseconds"),
    [
        (1, 1.0, 1, 1_000_000),
        (1730000000.123456, 1730000000.123456, 1730000000, 1730000000123456),
        (-1.5, -1.5, -1, None),
        (0, 0.0, 0, None),
        (2**63 - 1, float(2**63), 2**63 - 1, None),
        (2**63, float(2**63), None, None),
        (253402300799, 253402300799.0, 253402300799, None),
        (HUGE, None, None, None),
        (-HUGE, None, None, None),
        (math.inf, None, None, None),
        (math.nan, None, None, None),
        (True, None, None, None),
        ("1", None, None, None),
        (None, None, None, None),
        ([1], None, None, None),
    ],
)
def test_numbers_are_taken_only_from_numbers(
    value: Any, as_number: float | None, as_integer: int | None, as_microseconds: int | None
) -> None:
    assert (number(value), integer(value), microseconds(value)) == (as_number, as_integer, as_microseconds)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-12-06T02:41:14.616844+00:00", 1_701_830_474_616_844),
        ("2023-12-06T03:41:14.616844+01:00", 1_701_830_474_616_844),
        ("2023-12-06T02:41:14Z", 1_701_830_474_000_000),
        ("2023-12-06T02:41:14", 1_701_830_474_000_000),
        ("1969-12-31T23:59:59Z", None),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59.999999-23:59", None),
        ("2023-13-06T02:41:14Z", None),
        ("soon", None),
        ("\ud83d", None),
    ],
)
def test_a_time_may_be_text(text: str, expected: int | None) -> None:
    assert microseconds(text) == expected


def test_a_time_without_an_offset_is_utc_wherever_the_person_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        assert microseconds("2023-12-06T02:41:14") == 1_701_830_474_000_000
    time.tzset()


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "", [], {}])
def test_a_value_of_another_type_is_as_good_as_none(value: Any) -> None:
    assert mapping(value) == {}
    assert array(value) == []
    assert string(value) is None
    assert boolean(value) is (True if value is True else None)


def test_a_value_of_the_right_type_is_itself() -> None:
    assert mapping({"a": 1}) == {"a": 1}
    assert array([1]) == [1]
    assert (string("a"), string("\ud83d")) == ("a", "\ufffd")
    assert boolean(False) is False

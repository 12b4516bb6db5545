"""JSON as the wire sends it, and as SQLite can keep it.

orjson does the work. The service may split one emoji over two deltas, which leaves a lone surrogate in each:
orjson refuses those, so they take the standard library's slower way and are joined before anything is stored.
"""

import contextlib
import json
import math
import re
from datetime import UTC, datetime
from typing import Any

import orjson

_SURROGATE = re.compile("[\ud800-\udfff]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def loads(data: bytes) -> Any:
    """The JSON value in `data`, lone surrogates allowed; `ValueError` when there is none.

    Duplicate keys: the last wins. A number beyond the range of floats is None, as it is to who reads JavaScript's
    JSON. Invalid UTF-8 becomes U+FFFD, as an event stream is decoded (WHATWG HTML 9.2.6); a leading BOM is none of it.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data.decode("utf-8-sig", "replace"), parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def dumps(value: Any) -> str:
    """`value` as compact JSON text that is valid UTF-8: surrogate pairs joined, lone halves as U+FFFD."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # a lone surrogate, an integer beyond 64 bits, or more than 254 levels
        pass
    try:
        return scalars(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    except RecursionError:
        return '{"unrepresentable":"nested too deeply"}'


def scalars(text: str) -> str:
    """`text` without surrogates: a pair split over two deltas becomes its character, a lone half U+FFFD."""
    if text.isascii() or _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def has_half(value: Any) -> bool:
    """Whether a text in `value` has half of a surrogate pair in it, of which `scalars` makes U+FFFD."""
    try:
        orjson.dumps(value)
    except TypeError:  # or an integer beyond 64 bits, or more than 254 levels
        with contextlib.suppress(RecursionError):
            return _SURROGATE.search(json.dumps(value, ensure_ascii=False)) is not None
    return False


def mapping(value: Any) -> dict[str, Any]:
    """`value` when it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def array(value: Any) -> list[Any]:
    """`value` when it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else []


def string(value: Any) -> str | None:
    """`value` when it is a string with something in it, ready to be stored."""
    if not value or not isinstance(value, str):
        return None
    return value if value.isascii() else scalars(value)


def boolean(value: Any) -> bool | None:
    """`value` when it is true or false."""
    return value if isinstance(value, bool) else None


def number(value: Any) -> float | None:
    """`value` as a finite float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e300 else None


def integer(value: Any) -> int | None:
    """`value` as an integer that SQLite can hold (64 bits)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if abs(value) < 2**63 else None


def microseconds(value: Any) -> int | None:
    """The service's float seconds since the epoch, or in lists its ISO 8601 text, as whole microseconds.

    None outside the years 1970 to 9999. Text without an offset is UTC.
    """
    if isinstance(value, str):
        return _instant(value)
    seconds = number(value)
    return round(seconds * 1_000_000) if seconds is not None and 0 < seconds < 253_402_300_799 else None


def _instant(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
        since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH
    except (ValueError, OverflowError):
        return None
    whole = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return whole if 0 < whole < 253_402_300_799_000_000 else None


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")

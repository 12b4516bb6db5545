"""Delta operations (v1): the small edits by which ChatGPT streams one growing document per channel.

An operation is a channel `c`, a JSON Pointer `p`, a verb `o` and a value `v`; `add`, `replace` and `remove` mean
nearly what RFC 6902 says, `append`, `truncate` and `patch` are the service's own. A channel, pointer or verb left
out repeats the previous operation's, so operations are applied in order, once each.

The semantics are those of the service's own client (JavaScript): missing containers are created, `add` inserts into
arrays, `truncate` counts UTF-16 units. Appending to a string costs what is appended, not what is there: a growing
string is kept apart until the document is asked for.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from io import StringIO
from typing import Any

from addon.wire.budget import Budget
from addon.wire.payload import scalars

MAX_ARRAY_GAP = 64
"""How far behind an array's end an index may point before the operation counts as wrong."""

MAX_DEPTH = 100
"""Segments of a pointer, patches included: far beyond the wire's seven, and JSON writers still cope."""

MAX_PATCH_DEPTH = 16

VERBS = frozenset({"add", "append", "replace", "remove", "truncate", "patch"})

_INDEX = re.compile(r"0|[1-9][0-9]*")
_MISSING: Any = object()
_CACHED_POINTER_LENGTH = 200

# Inside a patch the empty pointer is the root of what is patched, an element of an array included: that root is
# replaced or made nothing, its neighbours stay where they are.
_AT_ITS_ROOT = {"add": "replace", "remove": "clear"}


class DeltaError(Exception):
    """An operation that cannot be applied; the message names verb and pointer, never the value."""


class DeltaDecoder:
    """The documents of one stream, by channel.

    A wrong operation changes nothing and is returned as an error line; the operations beside it in the same patch
    still apply, since the text they carry would otherwise be lost.

    One that is not `whole` begins in mid-stream: it knows neither the documents nor what a left out channel, pointer
    or verb repeats, and must be asked about each operation first whether it `misses` what it edits.
    """

    def __init__(self, *, whole: bool = True, budget: Budget | None = None) -> None:
        self.whole = whole
        self._budget = budget or Budget()
        # Untrusted until checked: the wire may set them to anything.
        self.channel: Any = 0 if whole else None
        self.verb: Any = "add" if whole else None
        self.pointer: Any = "" if whole else None
        self._documents: dict[int | float, Any] = {}
        # Strings that are being appended to: (id of the container, key) -> container, key, string so far.
        self._growing: dict[tuple[int, Any], tuple[Any, Any, StringIO]] = {}
        # The one that a bare value goes on with.
        self._tail: StringIO | None = None

    def apply(self, delta: Mapping[str, Any]) -> list[str]:
        """Apply the object of one `delta` event to the document of `self.channel`; a line for each wrong operation."""
        value = delta.get("v", _MISSING)
        if type(value) is str and len(delta) == 1 and self.writes_on(value):
            return []
        self._tail = None
        channel, pointer, verb = delta.get("c", self.channel), delta.get("p", self.pointer), delta.get("o", self.verb)
        # The client remembers c, p and o of every operation, wrong ones and patches included, and never v.
        self.channel, self.pointer, self.verb = channel, pointer, verb
        if type(channel) not in (int, float) or type(pointer) is not str or not _is_verb(verb):
            return ["delta without a valid channel, pointer or verb"]
        if value is _MISSING and verb != "remove":
            return [f"{verb} {_printable(pointer)}: no value"]
        errors: list[str] = []
        if verb == "patch":
            self._patch(_split(pointer), value, errors, depth=0)
            self._tail = None  # a bare value repeats the patch, not what the patch last appended to
        else:
            self._try(_split(pointer), verb, value, errors)
        return errors

    def writes_on(self, text: str) -> bool:
        """Apply `{"v": text}` when it goes on with the text that the last operation appended to; whether it did."""
        if self._tail is None:
            return False
        self._budget.hold_text(text)
        self._tail.write(text)
        return True

    def misses(self, delta: Mapping[str, Any]) -> bool:
        """Whether an operation edits what was said before this decoder began; then it is not to be applied."""
        channel, pointer, verb = delta.get("c", self.channel), delta.get("p", self.pointer), delta.get("o", self.verb)
        known = type(channel) in (int, float) and type(pointer) is str and _is_verb(verb)
        if known and (channel in self._documents or (pointer == "" and verb in ("add", "replace"))):
            return False
        self.channel, self.pointer, self.verb, self._tail = channel, pointer, verb, None
        return True

    def document(self, channel: Any) -> Any:
        """The document of a channel, None when nothing has been said about it.

        The live object: later operations change it. Its growing strings lag behind until `settle`.
        """
        return self._documents.get(channel) if type(channel) in (int, float) else None

    def settle(self) -> None:
        """Put growing strings into their documents. Costs what they hold, so it is for when somebody reads."""
        for container, key, text in self._growing.values():
            container[key] = text.getvalue()
        self._growing.clear()
        self._tail = None

    def _patch(self, base: tuple[str, ...], operations: Any, errors: list[str], depth: int) -> None:
        if type(operations) is not list or depth > MAX_PATCH_DEPTH:
            errors.append(f"patch {_printable('/'.join(base))}: not a list of operations")
            return
        for operation in operations:
            # Inside a patch nothing is inherited and nothing leaks out: each operation says all it needs.
            pointer = operation.get("p") if type(operation) is dict else None
            verb: Any = operation.get("o") if type(operation) is dict else None
            if type(pointer) is not str or not _is_verb(verb):
                errors.append("operation in a patch without its own pointer and verb")
            elif verb == "patch":
                self._patch(base + _split(pointer), operation.get("v"), errors, depth + 1)
            elif "v" not in operation and verb != "remove":
                errors.append(f"{verb} {_printable(pointer)}: no value")
            else:
                verb = verb if pointer else _AT_ITS_ROOT.get(verb, verb)
                self._try(base + _split(pointer), verb, operation.get("v"), errors)

    def _try(self, path: tuple[str, ...], verb: str, value: Any, errors: list[str]) -> None:
        try:
            self._operate(path, verb, value)
        except (DeltaError, RecursionError) as error:
            errors.append(f"{verb} {_printable('/' + '/'.join(path))}: {error}")

    def _operate(self, path: tuple[str, ...], verb: str, value: Any) -> None:
        if verb == "truncate" and type(value) not in (int, float):
            raise DeltaError("the length is not a number")
        self._budget.hold_value(value)
        if not path:
            self.settle()
            container: Any = self._documents
            key: Any = self.channel
        else:
            container, key = self._locate(path)
        growing = self._growing.get((id(container), key))
        if verb == "append" and type(value) is str:
            if growing is not None:
                self._tail = growing[2]
                self._tail.write(value)
                return
            old = _get(container, key)
            if type(old) is str:
                self._tail = StringIO()
                self._tail.write(old)
                self._tail.write(value)
                self._growing[id(container), key] = (container, key, self._tail)
                return
        self._tail = None
        old = _get(container, key)
        if growing is not None or isinstance(old, (dict, list)) or type(container) is list:
            # The edit may read, replace or move a string that is still in pieces.
            self._budget.work(sum(text.tell() for _, _, text in self._growing.values()))
            self.settle()
            old = _get(container, key)
        self._account(path, verb, container, old)
        _edit(container, key, old, verb, value)

    def _account(self, path: tuple[str, ...], verb: str, container: Any, old: Any) -> None:
        """What an edit copies or moves, and what it lets go; a message that another replaces is held all the same."""
        self._budget.work(len(container) if type(container) is list else 0)
        if isinstance(old, str):
            self._budget.work(len(old))
        if verb in ("replace", "remove") and len(path) > 1:
            self._budget.release(old)

    def _locate(self, path: tuple[str, ...]) -> tuple[Any, Any]:
        """The container and key a path names, created where missing; all checks come before the first change."""
        if len(path) > MAX_DEPTH:
            raise DeltaError("the pointer is too deep")
        container: Any = self._documents
        key: Any = self.channel
        for depth, segment in enumerate(path):
            child = _get(container, key)
            # Holes of an array are None here: JavaScript has undefined there, so something can be created.
            if child is _MISSING or (child is None and type(container) is list):
                return self._create(container, key, path[depth:])
            if not isinstance(child, (dict, list)):
                raise DeltaError("a value that is no container is in the way")
            container, key = child, _key(child, segment)
        return container, key

    def _create(self, container: Any, key: Any, path: tuple[str, ...]) -> tuple[Any, Any]:
        self._budget.hold_value([path])
        outer: Any = [] if _INDEX.fullmatch(path[0]) else {}
        inner, inner_key = outer, _key(outer, path[0])
        for segment in path[1:]:
            child: Any = [] if _INDEX.fullmatch(segment) else {}
            _put(inner, inner_key, child)
            inner, inner_key = child, _key(child, segment)
        _put(container, key, outer)
        return inner, inner_key


def _is_verb(verb: Any) -> bool:
    return type(verb) is str and verb in VERBS


def _edit(container: Any, key: Any, old: Any, verb: str, value: Any) -> None:
    match verb:
        case "add" if type(container) is list:
            container.insert(key, value)
        case "add" | "replace":
            _put(container, key, value)
        case "remove" if type(container) is list:
            del container[key : key + 1]
        case "clear" if type(container) is list:
            _put(container, key, None)
        case "remove" | "clear":
            container.pop(key, None)
        case "append":
            _put(container, key, _appended(old, value))
        case "truncate":
            _put_truncated(container, key, old, value)


def _appended(old: Any, value: Any) -> Any:
    if type(old) is str:
        return old + _js_string(value)
    if type(old) is list:
        old.extend(value if type(value) is list else [value])
        return old
    if type(old) is dict and type(value) is dict:
        old.update(value)
        return old
    return value


def _put_truncated(container: Any, key: Any, old: Any, value: int | float) -> None:
    length = int(value) if abs(value) < 2**53 else 2**53 if value > 0 else 0
    if type(old) is str:
        # slice(0, -1) of the client drops the last unit; its strings are UTF-16.
        units = old.encode("utf-16-le", "surrogatepass")
        end = max(0, length if length >= 0 else len(units) // 2 + length)
        container[key] = units[: 2 * end].decode("utf-16-le", "surrogatepass")
    elif type(old) is list:
        del old[length if length >= 0 else max(0, len(old) + length) :]


def _get(container: Any, key: Any) -> Any:
    if type(container) is list:
        return container[key] if key < len(container) else _MISSING
    return container.get(key, _MISSING)


def _put(container: Any, key: Any, value: Any) -> None:
    if type(container) is list:
        while len(container) <= key:
            container.append(None)
    container[key] = value


def _key(container: Any, segment: str) -> Any:
    if type(container) is dict:
        return segment
    if not _INDEX.fullmatch(segment) or len(segment) > 9:
        raise DeltaError("an array has no such index")
    index = int(segment)
    if index > len(container) + MAX_ARRAY_GAP:
        raise DeltaError("the index is too far behind the array's end")
    return index


def _split(pointer: str) -> tuple[str, ...]:
    # What is remembered is bounded: pointers of the wire are short, the others are split each time.
    return _split_cached(pointer) if len(pointer) <= _CACHED_POINTER_LENGTH else _segments(pointer)


def _segments(pointer: str) -> tuple[str, ...]:
    if not pointer:
        return ()
    # The client tolerates a missing first slash.
    segments = pointer.removeprefix("/").split("/")
    return tuple(segment.replace("~1", "/").replace("~0", "~") for segment in segments)


_split_cached = lru_cache(maxsize=1024)(_segments)


def _js_string(value: Any) -> str:
    """`String(value)` as JavaScript has it, for appends of something that is no string."""
    if type(value) is str:
        return value
    if value is None:
        return "null"
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is list:
        return ",".join("" if item is None else _js_string(item) for item in value)
    if type(value) is dict:
        return "[object Object]"
    return _js_number(value)


def _js_number(value: int | float) -> str:
    if type(value) is int or (value.is_integer() and abs(value) < 1e21):
        return str(int(value))
    # Python writes an exponent below 1e-4 and with two digits, JavaScript below 1e-6 and with as few as it needs.
    if 1e-6 <= abs(value) < 1e-4:
        return format(Decimal(repr(value)), "f")
    return repr(value).replace("e-0", "e-")


def _printable(pointer: str) -> str:
    shown = pointer if len(pointer) <= 80 else pointer[:79] + "…"
    return scalars("".join(character if character.isprintable() else "?" for character in shown)) or "the root"

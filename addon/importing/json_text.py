"""JSON texts of any size, read piece by piece: in memory stands one element of an array, never the whole text.

The standard library's scanner does the work: it says where a value ends, and it takes lone surrogates, which other
parsers change or refuse. Only an element that is no JSON is looked at by its brackets, so that the next one is found.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from addon.errors import ImportFailure

MAX_VALUE_CHARACTERS = 4 * 1024 * 1024
"""A single value that is longer is not read: what is made of one takes ten times its text."""

MAX_VALUES = 250_000
"""How many values may stand in one that is read at once: as objects in memory each takes fifty times its text."""

LARGE_CHARACTERS = 2 * 1024 * 1024
"""An object that is longer may be read by pieces (`elements`)."""

_LIGHT_CHARACTERS = 1024 * 1024
_BLOCK_BYTES = 512 * 1024
_LARGE = 8 * _BLOCK_BYTES
_GOES_ON = 3
_UNFINISHED = re.compile(r"[-+.\\\w]{0,12}")
_SPACE = re.compile(r"[ \t\r\n]*+")
_MARKS = (",", "[", "{")  # each value but the first of its container follows a comma, or is a container
_UNQUOTED = re.compile(r'[^"\[\]{}]*+')
# Strings, objects and arrays with nothing in them to be gone into are passed at once: there may be millions.
_FLAT = re.compile(r'(?:[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+"|\[[^"\[\]{}]*+\]|\{[^"\[\]{}]*+\})*+', re.DOTALL)
_QUOTED = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
# `NaN` and its like are not JSON (RFC 8259 6), nor are control characters in strings: the rest of the value is kept.
_scan = json.JSONDecoder(parse_constant=lambda _: None, strict=False).raw_decode


class JsonCut(Exception):
    """The text ends before it is complete."""


class JsonBroken(Exception):
    """The text is no JSON from here on; the message says where."""


class JsonLarge(JsonBroken):
    """The value that comes next is more than was asked for, as `told`; nothing of it has been passed."""

    def __init__(self, told: str, offset: int) -> None:
        super().__init__(f"{told}, at character {offset}")
        self.told = told


@dataclass(frozen=True, slots=True)
class Damaged:
    """Stands for an element that cannot be read, and why; `offset` is its place in the text, in characters."""

    offset: int
    reason: str = "is no JSON"
    is_large: bool = False


def _passed(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Where what the pattern matches, be it nothing, ends."""
    found = pattern.match(text, at)
    return found.end() if found else at


def value_of(text: str) -> Any:
    """The value of a text that was read as one before."""
    return _scan(text)[0]


class JsonText:
    """One JSON text, walked from its beginning: `peek` what comes, then take the `value`, or go into it."""

    def __init__(self, file: BinaryIO, most: int | None = None) -> None:
        """`most`: how many characters a value may have, if not `MAX_VALUE_CHARACTERS`."""
        self._most = MAX_VALUE_CHARACTERS if most is None else most
        self.damage: str | None = None
        """Why the file could not be read to its end; its text ends there."""
        self._file = file
        # Invalid UTF-8 becomes U+FFFD as everywhere (WHATWG HTML 9.2.6); a leading BOM is none of the text.
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._text = ""
        self._at = 0
        self._passed = 0
        self._value_at = 0
        self._ended = False
        self._follow: Callable[[str], None] | None = None
        self._followed = 0
        self._weighed_to, self._is_light = 0, True

    @property
    def offset(self) -> int:
        """How many characters have been passed."""
        return self._passed + self._at

    def take(self) -> str:
        """The text of the value that was read last, until more is read; of a large one it is kept no longer."""
        text = self._text[self._value_at : self._at]
        if len(text) > _LARGE:
            self._append("")
        return text

    @contextmanager
    def followed(self, follow: Callable[[str], None]) -> Iterator[None]:
        """Within this each piece of text that is passed is told; what `follow` raises breaks it off."""
        self._follow, self._followed = follow, self._at
        try:
            yield
            self._tell()
        finally:
            self._follow = None

    def peek(self) -> str:
        """The first character of what comes next, "" at the end of the text."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def piecewise(self, read: Callable[["JsonText"], Any] | None) -> Any:
        """The value that comes next; of an object longer than `LARGE_CHARACTERS` what `read` makes of it."""
        if read is None:
            return self.value()
        try:
            return self.value(LARGE_CHARACTERS)
        except JsonLarge:
            if self.peek() != "{":
                raise
            return read(self)

    def value(self, most: int | None = None) -> Any:
        """The value that comes next, whole. Raises `JsonCut`, `JsonBroken`.

        Of the latter `JsonLarge` where it is more than `most` characters, or more than `MAX_VALUES`.
        """
        most = self._most if most is None else most
        if self.peek() == "":
            raise JsonCut
        wanted = 0
        while True:
            if self._is_crowded():
                raise JsonLarge(f"more than {MAX_VALUES:,} values in one", self.offset)
            try:
                value, end = _scan(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if self._hopeless(error):
                    place = self._passed + getattr(error, "pos", self._at)
                    raise JsonBroken(f"no JSON at character {place}") from None
            else:
                # A number could go on in what has not been read: "1" with ".5", "e5", "e+5".
                if self._ended or self._text[end - 1] in '"]}' or len(self._text) >= end + _GOES_ON:
                    self._value_at, self._at = self._at, end
                    return value
            held = len(self._text) - self._at
            if held > most:
                raise JsonLarge(f"a value of more than {most:,} characters", self.offset)
            # Twice as much each time, so that what is read again stays in proportion.
            wanted = max(2 * wanted, held)
            self._read(min(wanted, most + 1 - held))

    def _is_crowded(self) -> bool:
        """Whether what has been read of the value that comes next is more than `MAX_VALUES`."""
        if len(self._text) - self._at <= _LIGHT_CHARACTERS or self._text[self._at] not in "[{":
            return False
        end = self._passed + len(self._text)
        if end != self._weighed_to:
            self._weighed_to = end
            self._is_light = sum(self._text.count(mark, self._at) for mark in _MARKS) <= MAX_VALUES
        return not self._is_light and self._values_ahead() > MAX_VALUES

    def _values_ahead(self) -> int:
        """How many values the one that comes next has, as far as it has been read and they are not too many."""
        count, depth, at = 0, 0, self._at
        while count <= MAX_VALUES:
            start, at = at, _passed(_UNQUOTED, self._text, at)
            count += self._text.count(",", start, at)
            found = self._text[at : at + 1]
            at += 1
            if found == '"':
                at = _passed(_QUOTED, self._text, at) + 1
            elif found in ("[", "{"):
                count, depth = count + 1, depth + 1
            else:
                depth -= 1
            if depth <= 0 or at >= len(self._text):
                break
        return count

    def elements(self, read: Callable[["JsonText"], Any] | None = None) -> Iterator[Any]:
        """The elements of the array that comes next, `Damaged` for those that are no JSON; `read` as in `piecewise`.

        Raises `JsonCut` where the text ends too early, `JsonBroken` where the array itself is none.
        """
        self._take("[")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            self.peek()
            start = self.offset
            try:
                value = self.piecewise(read)
            except JsonLarge as large:
                self.skip_by_brackets()
                value = Damaged(start, f"is {large.told}", is_large=True)
            except JsonBroken:
                self.skip_by_brackets()
                value = Damaged(start)
            yield value
            if self._separator("]"):
                return

    def members(self) -> Iterator[str]:
        """The keys of the object that comes next; the value of each is taken, or skipped when it was not."""
        self._take("{")
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise JsonBroken(f"no JSON at character {self.offset}")
            self._take(":")
            self.peek()
            before = self.offset
            yield key
            if self.offset == before:
                self.value()
            if self._separator("}"):
                return

    def _separator(self, closing: str) -> bool:
        """Pass what stands between two values; whether that is the end of them."""
        found = self.peek()
        if found not in (",", closing):
            raise JsonCut if found == "" else JsonBroken(f"no JSON at character {self.offset}")
        self._at += 1
        return found == closing

    def _take(self, character: str) -> None:
        found = self.peek()
        if found != character:
            raise JsonCut if found == "" else JsonBroken(f"no JSON at character {self.offset}")
        self._at += 1

    def _hopeless(self, error: Exception) -> bool:
        """Whether reading more cannot make a value of what comes next; raises `JsonCut` where there is no more."""
        if not isinstance(error, json.JSONDecodeError):
            return True
        # What stands at the end of what was read may go on: a string, an escape, a word, a number.
        unread = self._text[error.pos : error.pos + 16]
        goes_on = error.msg.startswith("Unterminated string") or _UNFINISHED.fullmatch(unread) is not None
        if goes_on and self._ended:
            raise JsonCut
        return not goes_on

    def skip_by_brackets(self, depth: int = 0) -> None:
        """Pass a value that is no JSON: to where its brackets close, or to the end of a bare word.

        `depth` is how many brackets have been passed that are to close with it.
        """
        quoted = False
        if not depth:
            opening = self.peek()
            if opening not in ("[", "{", '"'):
                while self.peek() not in (",", "]", "}", ""):
                    self._at += 1
                return
            self._at += 1
            quoted, depth = opening == '"', int(opening != '"')
        while True:
            self._at = _passed(_QUOTED if quoted else _FLAT, self._text, self._at)
            found = self._text[self._at : self._at + 1]
            if found in ("", "\\"):  # the end of what was read; or half of an escape
                if not self._more():
                    raise JsonCut
                continue
            self._at += 1
            if found == '"':
                quoted = not quoted
            else:
                depth += 1 if found in "[{" else -1
            if depth == 0 and not quoted:
                return

    def _read(self, count: int) -> None:
        pieces: list[str] = []
        while count > 0 and not self._ended:
            pieces.append(self._block())
            count -= max(1, len(pieces[-1]))
        self._append("".join(pieces))

    def _more(self) -> bool:
        if self._ended:
            return False
        more = self._block()
        self._append(more)
        return bool(more) or not self._ended

    def _append(self, more: str) -> None:
        self._tell()
        self._passed += self._at
        self._text, self._at, self._value_at, self._followed = self._text[self._at :] + more, 0, 0, 0

    def _tell(self) -> None:
        if self._follow is not None:
            self._follow(self._text[self._followed : self._at])
            self._followed = self._at

    def _block(self) -> str:
        try:
            block = self._file.read(_BLOCK_BYTES)
        except ImportFailure as error:
            block, self.damage = b"", str(error)
        self._ended = not block
        return self._decoder.decode(block, final=self._ended)

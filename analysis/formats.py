"""Rows for programs: JSON, newline-delimited JSON and CSV as sqlite-utils writes them, row by row as they are found."""

import csv
import sys
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TextIO

from analysis.options import flags

type Form = Literal["json", "nl", "csv"]


def form_options[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """Lets a command print for programs; the function's parameter `form` is None where people read."""
    forms = {"json": "a JSON array.", "nl": "one JSON object a line.", "csv": "CSV."}
    return flags("form", {name: f"For programs: {text}" for name, text in forms.items()})(function)


def write_rows(form: Form, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows; each is written before the next one is asked for."""
    {"json": _array, "nl": _lines, "csv": _csv}[form](sys.stdout, columns, rows)


class RowsAsTheyCome:
    """The same where nobody knows which row is the last one: each is written out at once."""

    def __init__(self, form: Form, columns: Sequence[str]) -> None:
        self._form, self._columns = form, columns
        self._count = 0
        if form == "csv":
            csv.writer(sys.stdout).writerow(columns)

    def add(self, row: Sequence[Any]) -> None:
        """Print a row."""
        self._count += 1
        if self._form == "csv":
            csv.writer(sys.stdout).writerow(row)
        elif self._form == "nl":
            _lines(sys.stdout, self._columns, [row])
        else:
            sys.stdout.write(("[" if self._count == 1 else ",\n ") + _object(self._columns, row))
        sys.stdout.flush()

    def end(self) -> None:
        """Nothing more comes."""
        if self._form == "json":
            sys.stdout.write("]\n" if self._count else "[]\n")
            sys.stdout.flush()


def write_object(form: Form, told: dict[str, Any], rows: Sequence[str], row: Iterable[Sequence[Any]]) -> None:
    """Print one object: whole as JSON or on one line, and as CSV the rows that it comes to."""
    import json

    if form == "csv":
        write_rows(form, rows, row)
    else:
        print(json.dumps(told, ensure_ascii=False, indent=2 if form == "json" else None, default=_bytes))


def _array(out: TextIO, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    separator = "["
    for row in rows:
        out.write(separator + _object(columns, row))
        separator = ",\n "
    out.write("[]\n" if separator == "[" else "]\n")


def _lines(out: TextIO, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    for row in rows:
        out.write(_object(columns, row) + "\n")


def _csv(out: TextIO, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows(rows)


def _object(columns: Sequence[str], row: Sequence[Any]) -> str:
    import json

    # Where the output cannot hold every letter, JSON can still say it.
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    return json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=plain, default=_bytes)


def _bytes(value: Any) -> dict[str, object]:
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} comes out of no archive")
    return {"$base64": True, "encoded": b64encode(value).decode()}

"""What the recorder tells the proxy: JSON objects, one a line, on its standard output."""

import contextlib
import os
import sys
import traceback
from typing import Any

import orjson


def report(line: dict[str, Any]) -> None:
    """Tell the proxy; when it is gone, nobody."""
    with contextlib.suppress(OSError):
        os.write(sys.stdout.fileno(), orjson.dumps(line) + b"\n")


def trace(error: Exception) -> str:
    """Where a bug was met, without the exception's own words: they may be somebody's."""
    return "".join(traceback.format_tb(error.__traceback__, limit=-3)) + type(error).__name__

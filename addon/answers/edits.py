"""What one delta may do to the message on its channel, told from its verb and pointer alone."""

from collections.abc import Iterator
from typing import Any

from addon.answers.delta import MAX_PATCH_DEPTH, VERBS

_REWRITING = VERBS - {"append", "patch"}
_WHOLE = frozenset({"", "/message", "/message/content"})


def edits_content(verb: Any, pointer: Any, value: Any, *, finished: bool) -> bool:
    """Whether a delta may take away or replace what a message says; of a finished one also whether it adds to it."""
    verbs = VERBS if finished else _REWRITING
    return any(
        path in _WHOLE or (inner in verbs and path.startswith("/message/content/"))
        for inner, path in leaves(verb, pointer, value)
    )


def only_grows(verb: Any, pointer: Any) -> bool:
    """Whether a delta can do no more to a message than to make what it says longer."""
    return verb == "append" and isinstance(pointer, str) and pointer.startswith("/message/content/")


def leaves(verb: Any, pointer: Any, value: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    """The verb and full pointer of each operation in a delta, those in patches included; wrong ones are left out."""
    if not isinstance(verb, str) or not isinstance(pointer, str) or depth > MAX_PATCH_DEPTH:
        return
    pointer = pointer and "/" + pointer.removeprefix("/")
    if verb != "patch":
        yield verb, pointer
    elif isinstance(value, list):
        for operation in value:
            if isinstance(operation, dict):
                for inner, path in leaves(operation.get("o"), operation.get("p"), operation.get("v"), depth + 1):
                    yield inner, pointer + path

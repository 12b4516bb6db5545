import json
import random
from typing import Any

import pytest

from addon.answers.delta import DeltaDecoder
from addon.wire.payload import dumps
from tests import reference


class Oracle:
    """The reference's operations, one document per channel; a wrong delta is as if it had not come."""

    def __init__(self) -> None:
        self.previous: dict[str, Any] = {"c": 0, "o": "add", "p": ""}
        self.documents: dict[int, Any] = {}

    def takes(self, delta: dict[str, Any]) -> bool:
        operation = self.previous | json.loads(json.dumps(delta))
        if operation["o"] == "patch" and not operation["v"]:
            return False
        document = reference.clone(self.documents.get(operation["c"], reference.UNDEFINED))
        try:
            document = reference.operate(document, operation)
        except reference.WrongOperationError:
            return False
        self.documents[operation["c"]] = document
        self.previous = {key: operation[key] for key in self.previous}
        return True


def text(document: Any) -> str:
    """A document as JSON whose keys are in order; holes of arrays and no document at all are null."""
    whole = None if document is reference.UNDEFINED else reference.clone(document, hole=None)
    return json.dumps(json.loads(dumps(whole)), sort_keys=True)


STRINGS = ["", "x", "yz", "é", "🚀", "\ud83d", "\ude80", "\r\n"]
SCALARS = [None, True, False, -3, 0, 2, 9, 0.5, -0.0, 1e21, 1e-7, 1e16]
SEGMENTS = ["a", "b", "a", "0", "1", "2", "~1"]
LEAF_VERBS = ["append", "append", "append", "add", "replace", "remove", "truncate"]


class Streams:
    """Random deltas that collide often: few keys, many appends."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def value(self, depth: int = 0) -> Any:
        kind = self.random.randrange(6 if depth < 3 else 4)
        if kind == 4:
            return [self.value(depth + 1) for _ in range(self.random.randrange(4))]
        if kind == 5:
            return {self.random.choice("ab0"): self.value(depth + 1) for _ in range(self.random.randrange(4))}
        return self.random.choice(STRINGS if kind < 3 else SCALARS)

    def pointer(self) -> str:
        return "".join("/" + self.random.choice(SEGMENTS) for _ in range(self.random.randrange(4)))

    def leaf(self, *, patched: bool = False) -> dict[str, Any]:
        while True:
            leaf = {"p": self.pointer(), "o": self.random.choice(LEAF_VERBS), "v": self.value(2)}
            # Where a patch does nothing to something missing, the client makes an empty place for it, read by nobody.
            if not patched or leaf["p"] or leaf["o"] != "truncate":
                return leaf

    def patch(self, depth: int = 0) -> dict[str, Any]:
        size = self.random.randrange(1, 4)
        inner = [
            self.patch(depth + 1) if depth < 2 and not self.random.randrange(4) else self.leaf(patched=True)
            for _ in range(size)
        ]
        return {"p": self.pointer(), "o": "patch", "v": inner}

    def delta(self) -> dict[str, Any]:
        kind = self.random.randrange(6)
        delta: dict[str, Any] = {"v": self.random.choice(STRINGS)}
        if kind == 2:
            delta["p"] = self.pointer()
        elif kind == 3:
            delta["o"] = self.random.choice(LEAF_VERBS)
        elif kind == 4:
            delta = self.leaf()
        elif kind == 5:
            delta = self.patch()
        if not self.random.randrange(4):
            delta["c"] = self.random.randrange(2)
        return delta


@pytest.mark.parametrize("block", range(10))
def test_any_right_stream_gives_the_documents_of_the_reference(block: int) -> None:
    taken = 0
    for seed in range(block * 150, block * 150 + 150):
        streams, oracle, decoder = Streams(seed), Oracle(), DeltaDecoder()
        deltas = [streams.delta() for _ in range(25)]
        for delta in [{"v": streams.value()}, *deltas, {"p": "", "o": "append", "v": None}]:
            if oracle.takes(delta):
                taken += 1
                assert decoder.apply(json.loads(json.dumps(delta))) == [], seed
            if not streams.random.randrange(3):
                decoder.settle()
                for channel in (0, 1):
                    assert text(decoder.document(channel)) == text(oracle.documents.get(channel)), seed
    assert taken > 1500  # most deltas were right ones

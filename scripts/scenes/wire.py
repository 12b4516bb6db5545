"""The two wire formats."""

import json
import random
from typing import Any, Literal

from scripts.scenes.scene import Encoding, Json

type Change = tuple[str, Literal["append", "replace"], Any]  # pointer below /message, verb, value


class Wire:
    """Writes messages and changes to them as events: deltas with what repeats left out (v1), whole messages (v0)."""

    def __init__(self, conversation_id: str, encoding: Encoding, seed: str) -> None:
        self.events: list[bytes] = []
        self._conversation_id = conversation_id
        self._v1 = encoding == "v1"
        self._random = random.Random(seed)
        self._channels: dict[str, int] = {}
        self._previous: Json = {}

    def open(self) -> None:
        """What tells the reader the format."""
        if self._v1:
            self.events.append(b'event: delta_encoding\ndata: "v1"\n\n')

    def add(self, message: Json) -> None:
        """A message that is new; over v1 it opens a channel."""
        if self._v1:
            # The service numbers channels upward, with gaps.
            last = max(self._channels.values(), default=-1)
            self._channels[message["id"]] = last + (self._random.choice((1, 1, 4)) if self._channels else 1)
            self._delta(message["id"], "", "add", self._envelope(message))
        else:
            self._data(self._envelope(message))

    def change(self, message: Json, *changes: Change) -> None:
        """A message that the changes have been made to; over v1 one operation, or a patch for several."""
        if not self._v1:
            self._data(self._envelope(message))
        elif len(changes) == 1:
            pointer, verb, value = changes[0]
            self._delta(message["id"], f"/message{pointer}", verb, value)
        else:
            patch = [{"p": f"/message{pointer}", "o": verb, "v": value} for pointer, verb, value in changes]
            self._delta(message["id"], "", "patch", patch)

    def typed(self, kind: str, /, **fields: Any) -> None:
        """An event that is neither a delta nor a message."""
        self._data({"type": kind, **fields, "conversation_id": self._conversation_id})

    def done(self) -> None:
        self.events.append(b"data: [DONE]\n\n")

    def _envelope(self, message: Json) -> Json:
        return {
            "message": message,
            "conversation_id": self._conversation_id,
            "error": None,
            **({"error_code": None} if self._v1 else {}),
        }

    def _delta(self, key: str, pointer: str, verb: str, value: Any) -> None:
        address = {"p": pointer, "o": verb, "c": self._channels[key]}
        repeated = {name for name in address if self._previous.get(name) == address[name]}
        self._previous = address
        operation = {"p": pointer, "o": verb, "v": value, "c": self._channels[key]}
        self._data({name: part for name, part in operation.items() if name not in repeated}, event="delta")

    def _data(self, payload: Json, event: str = "") -> None:
        # Recorded streams pad the payload with blanks, so that its length does not give away the word.
        blanks = " " * self._random.randint(0, 6) if event else ""
        lines = [f"event: {event}\n"] if event else []
        self.events.append("".join([*lines, f"data: {json.dumps(payload)}{blanks}\n\n"]).encode("ascii"))

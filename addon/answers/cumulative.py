"""v0: whole messages, sent again and again as they grow. Which frames need not be read.

An answer of n frames is n²/2 bytes of JSON. A frame that is followed by a longer one of the same message says
nothing new, so it is kept unread until something else comes or readers want to see the message.
"""

import re
from typing import Any

from addon.answers.messages import text_of
from addon.wire.budget import loads_bounded
from addon.wire.payload import mapping

MAX_KEPT_BYTES = 4 * 1024 * 1024
"""How much is kept unread: beyond it the newest frame is read and the others are dropped."""

# Searched in the bytes, not parsed: inside a string the quotation marks would be escaped.
_HEAD = re.compile(rb'\s*\{\s*"message"\s*:\s*\{\s*"id"\s*:\s*"([^"\\]+)"')
_GROWING = re.compile(rb'"status"\s*:\s*"in_progress"')
# A message that is finished may hold something that is not: a tool's result has a status of its own.
_NOT_GROWING = re.compile(rb'"status"\s*:\s*"(?!in_progress")')
_TAIL = re.compile(rb'"error"\s*:\s*null\s*(?:,\s*"error_code"\s*:\s*null\s*)?\}\s*$')
_TAIL_BYTES = 200


class UnreadFrames:
    """The newest frames of one growing message, with the time and position of each."""

    def __init__(self) -> None:
        self.message_id: str | None = None
        self._frames: list[tuple[bytes, int, int]] = []
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._frames)

    @property
    def full(self) -> bool:
        """Whether they should be read now."""
        return self._bytes > MAX_KEPT_BYTES

    def add(self, message_id: str, data: bytes, at: int, position: int) -> None:
        """Keep a frame of the message that all kept ones are of."""
        self.message_id = message_id
        self._frames.append((data, at, position))
        self._bytes += len(data)

    def take(self) -> tuple[list[tuple[dict[str, Any], int, int]], list[tuple[bytes, int, int]]]:
        """What is worth reading and the frames that could not be read, each oldest first; then nothing is kept.

        Worth reading is the newest frame; where it was emptied, the newest one with a text comes first.
        """
        frames, self._frames, self._bytes, self.message_id = self._frames, [], 0, None
        read: list[tuple[dict[str, Any], int, int]] = []
        unreadable = []
        while frames:
            data, at, position = frames.pop()
            try:
                payload = loads_bounded(data)
            except ValueError:
                unreadable.append((data, at, position))
                continue
            read.append((payload, at, position))
            if text_of(mapping(mapping(payload.get("message")).get("content"))):
                break
        return ([read[-1], read[0]] if len(read) > 1 else read), unreadable[::-1]


def growing_message_id(data: bytes) -> str | None:
    """The message id of a frame that only repeats a message in progress; None when it must be read."""
    head = _HEAD.match(data)
    if head is None or _TAIL.search(data, max(0, len(data) - _TAIL_BYTES)) is None:
        return None
    if _GROWING.search(data) is None or _NOT_GROWING.search(data) is not None:
        return None
    return head[1].decode("utf-8", "replace")

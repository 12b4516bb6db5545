"""When what a file holds was true, by what it says itself: a file's own date is that of the last copy."""

import re
import time
from typing import Any

from addon.wire.payload import array, mapping, microseconds

_NUMBER = re.compile(rb'"(?:create|update)_time"\s*+:\s*+(\d{9,11}(?:\.\d{1,9})?)')
_TEXT = re.compile(rb'"(?:create|update|creation)_time"\s*+:\s*+"(\d{4}-\d\d-\d\dT[0-9:.+Zz-]{5,24})"')


def newest_in(body: bytes) -> int | None:
    """The newest time that any object in these bytes bears, in microseconds; never in the future."""
    times = [microseconds(float(found)) for found in _NUMBER.findall(body)]
    times += [microseconds(found.decode()) for found in _TEXT.findall(body)]
    return _newest(times)


def conversation_time(document: dict[str, Any]) -> int | None:
    """When a conversation was last changed, else when its newest message was made; never in the future."""
    changed = _newest([microseconds(document.get("update_time"))])
    return changed or _newest([microseconds(message.get("create_time")) for message in _messages(document)])


def _messages(document: dict[str, Any]) -> list[dict[str, Any]]:
    nodes = document.get("mapping")
    found = list(nodes.values()) if isinstance(nodes, dict) else array(nodes)
    found += array(document.get("messages")) + array(document.get("linear_conversation"))
    return [mapping(mapping(node).get("message", node)) for node in found]


def _newest(times: list[int | None]) -> int | None:
    # A clock that went wrong must not hold for ever against what is seen later.
    return min(max(known), time.time_ns() // 1000) if (known := [moment for moment in times if moment]) else None

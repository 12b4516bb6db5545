"""Messages that were rendered already: Markdown costs more than all else a page does.

A message is known by its number and by what it says: a state that changed is another one. Several threads ask.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping

from analysis.rendering import Media, Rendered, Row, render

_MOST_BYTES = 64_000_000

type _Key = tuple[int, int]


class Memory:
    """The renderings last asked for, as many as fit."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._known: OrderedDict[_Key, Rendered] = OrderedDict()
        self._lock = threading.Lock()

    def rendered(self, row: Row, media: Mapping[str, Media]) -> Rendered:
        """The rendering of a message."""
        files = tuple(media.items())
        said = (row["text"], row["content"], row["metadata"], row["visible"], row["reasoning_seconds"], files)
        key = (row["n"], hash(said))
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
        made = render(row, media)
        with self._lock:
            self._keep(key, made)
        return made

    def _keep(self, key: _Key, made: Rendered) -> None:
        if key not in self._known:
            self._known[key] = made
            self._bytes += _size(made)
        while self._bytes > self._most_bytes and self._known:
            _, oldest = self._known.popitem(last=False)
            self._bytes -= _size(oldest)


def _size(made: Rendered) -> int:
    return 4 * len(made.html) + 400

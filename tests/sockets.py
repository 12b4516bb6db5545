"""A page's socket through `SocketCapture` and the store, without a proxy."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from addon.exchange import Closing, Opening
from addon.socket_tap import BINARY, FROM_CLIENT
from addon.sockets.socket_capture import SocketCapture
from addon.sockets.socket_states import Sockets
from scripts import scenes
from tests.recording import STARTED, Archive

PAUSE = Closing("pause")
END = Closing("end")

type Text = str | bytes


class Line:
    """All sockets of one recorder; `restart` is a recorder that was killed and started again."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.sockets = Sockets()
        self.at = STARTED

    def restart(self) -> None:
        self.sockets = Sockets()

    def page(self, flow_id: str = "flow", **known: Any) -> "Page":
        return Page(self, flow_id, known)

    def expire(self) -> None:
        """The recorder has come to its end."""
        self.archive.store.write(self.sockets.close(Closing("lost")))


class Page:
    """One socket. A message comes a millisecond after the one before it."""

    def __init__(self, line: Line, flow_id: str, known: dict[str, Any]) -> None:
        self._line = line
        self._flow_id = flow_id
        self._known = known
        self._burst: SocketCapture | None = None

    @property
    def burst(self) -> SocketCapture:
        """The open burst, begun when there is none."""
        if self._burst is None:
            line = self._line
            self._burst = SocketCapture(self._opening(), line.sockets, line.archive.store.legs)
        return self._burst

    def hears(self, *texts: Text, look: Callable[[], bool] = lambda: False, after: int = 1000) -> None:
        self._say(texts, 0, look, after)

    def says(self, *texts: Text) -> None:
        self._say(texts, FROM_CLIENT, lambda: False, 1000)

    def pause(self) -> None:
        self._end(PAUSE)

    def end(self, closing: Closing = END) -> None:
        self._end(closing)

    def lose_recorder(self) -> None:
        """The recorder is killed: all that was not stored is gone, and what the burst held will be read again."""
        self._burst = None
        self._line.restart()

    def _say(self, texts: Iterable[Text], flags: int, look: Callable[[], bool], after: int) -> None:
        for text in texts:
            burst = self.burst  # which begins ahead of its first message
            self._line.at += after
            content = text.encode() if isinstance(text, str) else text
            chunk = bytes([flags | BINARY * isinstance(text, bytes)]) + content
            batch = burst.feed(chunk, self._line.at)
            if look():
                batch += burst.snapshot()
            self._line.archive.store.write(batch)

    def _end(self, closing: Closing) -> None:
        self._line.at += 1000
        self._line.archive.store.write(self.burst.close(closing, self._line.at))
        self._burst = None

    def _opening(self) -> Opening:
        usual = {"source": "live", "host": "ws.chatgpt.com", "path": "/p24/ws/user/u", "method": "GET"}
        return Opening(
            **{**usual, **self._known},
            stream_id=self._flow_id, kind="socket", streamed=False, status_code=101, started_at=self._line.at,
        )  # fmt: skip


def texts_of(items: Iterable[Any]) -> list[str]:
    """Each item as a message of its own."""
    return [json.dumps(item) for item in items]


def assert_told(archive: Archive, scene: scenes.Scene) -> None:
    """The rows say what the scene says, whole and once."""
    said = {row["id"]: row for row in archive.rows("SELECT * FROM messages")}
    for identity, text in scene.texts.items():
        row = said[identity]
        assert (row["text"], row["live"], row["damaged"]) == (text, 0, 0), identity
        assert (row["conversation_id"], row["status"]) == (scene.conversation_id, scene.messages[identity]["status"])
    assert archive.count("message_versions") == 0

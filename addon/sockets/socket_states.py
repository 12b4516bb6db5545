"""What is held of WebSockets from burst to burst: the topics on each, and what was left out elsewhere."""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from addon.answers.capture import Capture
from addon.answers.typed_events import turn_of
from addon.exchange import Closing
from addon.records import Record
from addon.sockets.topics import Topic

MAX_SOCKETS = 200
MAX_LEFT_OUT = 50
"""Exchanges that the person's settings leave out, and whose answers may come on a socket."""


@dataclass(slots=True)
class Socket:
    """What is held of one socket from burst to burst; `held` is the sum of the `sizes` of its topics, in bytes."""

    topics: OrderedDict[str, Topic] = field(default_factory=OrderedDict)
    offsets: OrderedDict[str, str] = field(default_factory=OrderedDict)
    updates_seen: OrderedDict[tuple[str, str], None] = field(default_factory=OrderedDict)
    waiting: set[str] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)
    held: int = 0
    at: int = 0


class Sockets:
    """All sockets of one recorder, the least recently used dropped first.

    `finished` are captures to be reported, `left_out` those of chats that are not to be captured.
    """

    def __init__(self) -> None:
        self.finished: list[Capture] = []
        self.left_out: deque[Capture] = deque(maxlen=MAX_LEFT_OUT)
        self._sockets: OrderedDict[str, Socket] = OrderedDict()

    def of(self, flow_id: str) -> Socket:
        """The state of a socket, begun when it is new."""
        socket = self._sockets.setdefault(flow_id, Socket())
        self._sockets.move_to_end(flow_id)
        return socket

    def surplus(self) -> list[Record]:
        """What must be stored of the sockets that are dropped because there are too many."""
        records: list[Record] = []
        while len(self._sockets) > MAX_SOCKETS:
            _, socket = self._sockets.popitem(last=False)
            for topic in socket.topics.values():
                records += topic.give_up(socket.at) + topic.checkpoint()
        return records

    def drop(self, flow_id: str) -> None:
        """A socket has come to its end."""
        self._sockets.pop(flow_id, None)

    def close(self, closing: Closing) -> list[Record]:
        """Nothing more comes on any of them."""
        records: list[Record] = []
        for socket in self._sockets.values():
            for topic in socket.topics.values():
                records += topic.close(closing, socket.at)
        self._sockets.clear()
        return records

    def topics(self, name: str) -> Iterator[Topic]:
        """The topics of this name on all sockets."""
        for socket in self._sockets.values():
            if name in socket.topics:
                yield socket.topics[name]

    def leaves_out(self, topic: str | None, conversation_id: str | None) -> bool:
        """Whether this belongs to a chat that is not to be captured."""
        turns = {capture.turn_exchange_id for capture in self.left_out} - {None}
        conversations = {capture.conversation_id for capture in self.left_out} - {None}
        return conversation_id in conversations or (topic is not None and (turn_of(topic) or topic) in turns)

    def take_finished(self) -> list[Capture]:
        """The answers that have come to their end since this was last asked."""
        finished, self.finished = self.finished, []
        return finished

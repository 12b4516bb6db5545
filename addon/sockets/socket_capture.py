"""A WebSocket, message by message: the topics on it, each to a capture of its own, and the updates beside them.

The journal holds a socket in bursts; between two of them its state is held here. What is unfinished when a burst ends
is stored as far as it has come and can be made again from that, so the state may be dropped at any time: when there
is too much of it, and when the recorder is started again.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace

from addon.answers.capture import Capture, Summary
from addon.answers.ending import broken_off
from addon.answers.legs import FindLegs, Leg
from addon.exchange import Closing, Opening
from addon.records import AbandonedTopics, Record
from addon.socket_tap import BINARY, CUT, FROM_CLIENT
from addon.sockets import pubsub
from addon.sockets.pubsub import Item, Piece, Subscription, Update
from addon.sockets.socket_states import Sockets
from addon.sockets.topics import Topic
from addon.wire.payload import dumps
from addon.wire.updates import conversation_of

MAX_TOPICS, MAX_TOPICS_AT_ONCE = 64, 1000
"""Topics of one socket whose state is held from burst to burst, and within one; a page looks at one or two."""

MAX_HELD = 256 * 1024 * 1024
"""Bytes of their streams beyond which the least recently used are dropped."""

MAX_REMEMBERED = 10_000
"""Subscriptions of one socket, and places of its updates, that are remembered."""

MAX_UPDATE_STREAMS = 100
"""Conversations of one burst whose updates are streams of their own."""

UPDATES = "updates"
"""`streams.name` of what comes beside the topics of turns."""


class SocketCapture:
    """One burst of a socket. A chunk is one message, with the byte of `socket_tap` before it."""

    skipped = False
    message_count = 0

    def __init__(self, opening: Opening, sockets: Sockets, legs: FindLegs) -> None:
        self.opening = opening
        self._sockets = sockets
        self._socket = sockets.of(opening.stream_id)
        self._find_legs = legs
        self._updates: dict[str | None, Capture] = {}
        self._touched: set[str] = set()

    @property
    def changed(self) -> bool:
        """Whether `snapshot` has something that readers have not seen."""
        return any(capture.changed for capture in self._captures())

    def begin(self) -> list[Record]:
        """Nothing: what comes on a socket has rows, the socket has none."""
        return []

    def feed(self, chunk: bytes, at: int) -> list[Record]:
        """One message, that came at `at`; what must be written because of it."""
        self._socket.at = at
        items = _items(chunk)
        records = [record for number, item in enumerate(items) for record in self._item(item, at + number, number)]
        moved = {item.topic for item in items if isinstance(item, Piece)} | self._socket.waiting
        for name in moved & self._socket.topics.keys():
            records += self._socket.topics[name].expire(at) + self._settle(name)
        return records + self._surplus(MAX_TOPICS_AT_ONCE)

    def snapshot(self) -> list[Record]:
        """Everything that grew since the last time, as readers should see it."""
        changed = [capture for capture in self._captures() if capture.changed]
        return [record for capture in changed for record in capture.snapshot()]

    def close(self, closing: Closing, at: int) -> list[Record]:
        """The end of the burst, or of the socket."""
        records: list[Record] = []
        for capture in self._updates.values():
            records += capture.close(replace(closing, reason="end"), at)
        if closing.lost_bytes:
            for name in self._touched & self._socket.topics.keys():
                records += self._socket.topics[name].miss(at)
        if closing.reason == "pause":
            for name, topic in list(self._socket.topics.items()):
                done = topic.settled or topic.turn_complete
                records += self._drop(name) if done else topic.checkpoint()
            return records + self._surplus(MAX_TOPICS)
        for topic in self._socket.topics.values():
            records += self._close(topic, closing, at)
        self._sockets.drop(self.opening.stream_id)
        # Of what an earlier recorder held nothing more may have come.
        return [*records, AbandonedTopics(at, broken_off(closing), self.opening.stream_id)]

    def summary(self) -> Summary | None:
        """Nothing to tell: the answers on it are reported when they end."""
        return None

    def leg(self) -> Leg | None:
        """None: the topics on it are legs, each of its own turn."""
        return None

    # -- items -----------------------------------------------------------------------------------------------------

    def _item(self, item: Item, at: int, number: int) -> list[Record]:
        match item:
            case Subscription():
                _remember(self._socket.offsets, item.topic, item.offset)
                return []
            case _ if self._left_out(item):
                return []
            case Update():
                return self._update(item, at)
            case Piece():
                if item.identity is None and item.offset is None:
                    item = replace(item, offset=f"at-{at}-{number}")
                topic, records = self._topic(item.topic, at)
                return records + topic.feed(item, at)

    def _left_out(self, item: Piece | Update) -> bool:
        if self.opening.keep_temporary:
            return False
        conversation_id = conversation_of(item.payload) if isinstance(item, Update) else item.conversation_id
        return self._sockets.leaves_out(item.topic, conversation_id)

    def _update(self, update: Update, at: int) -> list[Record]:
        if update.topic is not None and update.offset is not None:
            place = (update.topic, update.offset)
            if place in self._socket.updates_seen:
                return []
            _remember(self._socket.updates_seen, place, None)
        conversation_id = conversation_of(update.payload)
        if update.payload.get("type") == "conversation-turn-complete" and conversation_id is not None:
            for topic in self._socket.topics.values():
                topic.turn_complete = topic.turn_complete or topic.capture.conversation_id == conversation_id
        records: list[Record] = []
        if conversation_id is not None and len(self._updates) >= MAX_UPDATE_STREAMS:
            conversation_id = None
        capture = self._updates.get(conversation_id)
        if capture is None:
            # Named by when the burst began, which is the same whenever it is read.
            name = f"{conversation_id or 'updates'}:{self.opening.started_at}"
            capture = self._updates[conversation_id] = Capture(self._opening(name, UPDATES, at), b"")
            records += capture.begin()
        return records + capture.feed(f"data: {dumps(update.payload)}\n\n".encode(), at)

    def _captures(self) -> Iterator[Capture]:
        """Those that something has come for in this burst."""
        yield from self._updates.values()
        for name in self._touched & self._socket.topics.keys():
            yield self._socket.topics[name].capture

    def _topic(self, name: str, at: int) -> tuple[Topic, list[Record]]:
        """The topic of this name as it stands, made again where it is not held."""
        socket = self._socket
        self._touched.add(name)
        if name in socket.topics:
            socket.topics.move_to_end(name)
            return socket.topics[name], []
        opening = self._opening(name, name, at)
        stored = self._find_legs("name", name, replace(opening, stream_id=self.opening.stream_id))
        own = next((leg for leg in stored if leg.stream_id == opening.stream_id), None)
        if own is not None:
            topic, records = Topic(replace(opening, started_at=own.started_at), self._find_legs), []
            topic.restore(own)
        else:
            # The page may go on here with what it had begun on another socket.
            still_open = [leg for other in self._sockets.topics(name) if (leg := other.capture.leg()) is not None]
            topic = Topic(opening, self._find_legs, [*stored, *still_open])
            records = topic.capture.begin()
        socket.topics[name] = topic
        return topic, records

    def _opening(self, identity: str, name: str, at: int) -> Opening:
        offset = self._socket.offsets.get(name)
        return replace(
            self.opening,
            stream_id=f"{self.opening.stream_id}:{identity}",
            kind="topic",
            streamed=True,
            name=name,
            parameters={"offset": offset} if offset is not None else {},
            started_at=at,
            content_encoding="",
        )

    # -- what is held ----------------------------------------------------------------------------------------------

    def _settle(self, name: str) -> list[Record]:
        """What a message means for a topic that it moved: whether it waits, and whether it has come to its end."""
        topic, socket = self._socket.topics[name], self._socket
        (socket.waiting.add if topic.waits else socket.waiting.discard)(name)
        socket.held += topic.size - socket.sizes.get(name, 0)
        socket.sizes[name] = topic.size
        if not topic.settled or topic.reported:
            return []
        topic.reported = True
        self._sockets.finished.append(topic.capture)
        return topic.checkpoint()

    def _surplus(self, most: int) -> list[Record]:
        records: list[Record] = []
        socket = self._socket
        while len(socket.topics) > most or (len(socket.topics) > 1 and socket.held > MAX_HELD):
            records += self._drop(next(iter(socket.topics)))
        return records + self._sockets.surplus()

    def _drop(self, name: str) -> list[Record]:
        """Hold a topic no longer; it is stored as it stands."""
        topic = self._socket.topics.pop(name)
        self._touched.discard(name)
        self._socket.waiting.discard(name)
        self._socket.held -= self._socket.sizes.pop(name, 0)
        if topic.settled or topic.turn_complete:
            return self._close(topic, Closing("end"), self._socket.at)
        return topic.give_up(self._socket.at) + topic.checkpoint()

    def _close(self, topic: Topic, closing: Closing, at: int) -> list[Record]:
        if not topic.reported:
            topic.reported = True
            self._sockets.finished.append(topic.capture)
        return topic.close(closing, at)


def _items(chunk: bytes) -> list[Item]:
    flags, content = int.from_bytes(chunk[:1]), chunk[1:]
    if flags & CUT:
        return [pubsub.cut(content)] if not flags & FROM_CLIENT else []
    return pubsub.sent(content) if flags & FROM_CLIENT else pubsub.received(content, binary=bool(flags & BINARY))


def _remember[K, V](memory: OrderedDict[K, V], key: K, value: V) -> None:
    memory[key] = value
    if len(memory) > MAX_REMEMBERED:
        memory.popitem(last=False)

"""Legs: the exchanges in which one turn arrives, one after another, each perhaps going on in the middle of another.

Pure. A `Leg` is an earlier exchange as its body was kept. A `Transcript` lays the legs of a turn over each other:
each event once, with the time at which it first came. Its state at any event can be rebuilt, so that a later leg
goes on exactly there. Nothing kept is trusted to be whole: a damaged body counts as far as it can be read.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from addon.answers.conversation import ConversationDecoder
from addon.answers.typed_events import counts
from addon.errors import StreamError
from addon.exchange import Opening
from addon.wire.evidence import pieces
from addon.wire.sse import Event, EventStreamParser

type LegKey = Literal["conversation_id", "turn_exchange_id", "name"]
"""By what legs belong together; `name` is the topic of a WebSocket delivery."""

type FindLegs = Callable[[LegKey, str, Opening], list["Leg"]]
"""The legs with this value that began before an exchange, the oldest first."""

MOST_LEGS = 50
"""How many legs are looked at; the page gives up after a dozen."""

_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Leg:
    """An earlier exchange as it is stored or, while it is still open, as far as it has come.

    `body` and `arrivals` are as `Evidence` gives them, None when they are not there any more. `name` is the topic of
    a WebSocket delivery; `event_count` counts this exchange's own events. Times are microseconds.
    """

    stream_id: str
    kind: str
    state: str
    started_at: int
    name: str | None = None
    resume_offset: int | None = None
    conversation_id: str | None = None
    request_message_id: str | None = None
    turn_exchange_id: str | None = None
    requested_model: str | None = None
    action: str | None = None
    event_count: int = 0
    body: bytes | None = None
    arrivals: bytes | None = None

    @property
    def first(self) -> int:
        """The place in the turn of this leg's first event."""
        return self.resume_offset or 0


def no_legs(key: LegKey, value: str, opening: Opening) -> list[Leg]:
    """What is known of earlier legs by who knows nothing."""
    return []


def earlier(legs: Sequence[Leg], key: LegKey, opening: Opening) -> list[Leg]:
    """Those that began before an exchange, the oldest first; of a conversation only those of its last turn."""
    known = {leg.stream_id: leg for leg in legs if leg.started_at <= opening.started_at}
    known.pop(opening.stream_id, None)
    ordered = sorted(known.values(), key=lambda leg: (leg.started_at, leg.stream_id))[-MOST_LEGS:]
    if key == "conversation_id":
        # What was answered without events has nothing that a later leg could go on with.
        without_events = [leg.state == "handed_off" and not leg.event_count for leg in ordered]
        sends = [place for place, leg in enumerate(ordered) if leg.kind == "turn" and not without_events[place]]
        return ordered[sends[-1] :] if sends else ordered
    return ordered


def events_of(leg: Leg) -> Iterator[tuple[Event, int]]:
    """The events of a leg that came whole and count, each with when it arrived. Comments are passed over."""
    parser = EventStreamParser()
    try:
        for piece, after in pieces(leg.body, leg.arrivals):
            for event in parser.feed(piece):
                if counts(event):
                    yield event, leg.started_at + after
    except StreamError:
        return


def digest(event: Event) -> bytes:
    """What tells events apart; the blanks behind the JSON are padding, drawn anew each time."""
    return blake2b(b"%b\n%b" % (event.type.encode(), event.data.strip()), digest_size=_DIGEST_BYTES).digest()


class Transcript:
    """The events of one turn as its legs brought them, the oldest leg first; only their digests are held."""

    def __init__(self, legs: Sequence[Leg]) -> None:
        self._digests: list[bytes] = []
        # Which leg brought the events from the second to before the third number.
        self._runs: list[tuple[Leg, int, int]] = []
        for leg in legs:
            self._add(leg)

    def __len__(self) -> int:
        return len(self._digests)

    def holds(self, event: Event, position: int) -> bool:
        """Whether an event is the one at this place."""
        return position < len(self._digests) and self._digests[position] == digest(event)

    def replay(self, decoder: ConversationDecoder, end: int | None = None) -> None:
        """Bring a fresh decoder to where it was after `end` events, all when None. What it would write is written."""
        end = len(self) if end is None else end
        for leg, first, last in self._runs:
            for position, (event, at) in enumerate(events_of(leg), leg.first):
                if position >= min(last, end):
                    break
                if position >= first:
                    decoder.apply(event, at)
        decoder.resume()

    def _add(self, leg: Leg) -> None:
        position = leg.first
        if position > len(self):
            return  # what came between is not there
        first = None
        for event, _ in events_of(leg):
            if first is None and not self.holds(event, position):
                if 0 < leg.first == position < len(self):
                    return  # it goes on from something else
                first = position
                self._cut(first)
            if first is not None:
                self._digests.append(digest(event))
            position += 1
        if first is not None:
            self._runs.append((leg, first, position))

    def _cut(self, end: int) -> None:
        """From here on a later leg says something else: what the page has is what came last."""
        del self._digests[end:]
        self._runs = [(leg, first, min(last, end)) for leg, first, last in self._runs if first < end]

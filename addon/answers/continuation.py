"""Where in its turn a leg goes on: the decoder of its events, and which of them an earlier leg has brought already.

A resume goes on at the event up to which the page had read. The proxy may have seen more: what comes again is told by
its place and its bytes, and applied once. A leg whose earlier part is not there, or is another answer's, gets a decoder
that reads what stands by itself and counts the rest as missed: an edit of a text that is not known would corrupt it.

Where the proxy has seen less, as when a leg in between went around it, there is a gap: the leg is one of its turn all
the same, unless that turn had come to its end or it names another one itself.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from addon.answers.conversation import ConversationDecoder
from addon.answers.legs import Leg, Transcript
from addon.answers.message_states import Exchange
from addon.answers.recent_legs import LONGEST_MICROSECONDS
from addon.answers.typed_events import counts
from addon.wire.budget import Budget
from addon.wire.payload import loads, mapping
from addon.wire.sse import Event


class Continuation:
    """One leg's way through its turn; the first leg of a turn has no earlier ones and begins at 0.

    `decoder` reads the events that `repeats` says False of. It may be another one after each call. `beyond`: it begins
    after more events than have been seen of its turn.
    """

    def __init__(self, exchange: Exchange, offset: int = 0, legs: Sequence[Leg] = (), *, started_at: int = 0) -> None:
        self.budget = Budget()
        self._exchange = exchange
        self._offset = self._position = offset
        self._transcript = Transcript(legs)
        self._legs = _of_one_turn(legs, offset, len(self._transcript), started_at)
        self._comparing = offset <= len(self._transcript) > 0
        self.beyond = offset > _reach(legs, len(self._transcript))
        self._unrecognised_before = self._messages_before = 0
        self.decoder = self._begun()

    @property
    def event_count(self) -> int:
        """How many events the leg itself has brought, repeated ones too."""
        return (self._position if self._comparing else self.decoder.event_count) - self._offset

    @property
    def unrecognised_count(self) -> int:
        """How many of its events were not understood."""
        return self.decoder.unrecognised_count - self._unrecognised_before

    @property
    def behind(self) -> bool:
        """Whether more of the turn is known than this leg has brought."""
        return self._comparing and self._position < len(self._transcript)

    @property
    def message_count(self) -> int:
        """How many messages it has shown first."""
        return len(self.decoder.messages) - self._messages_before

    def inherited(self, name: str) -> str | None:
        """What the earlier legs know of the turn: the newest word; nothing when it turns out to be another turn."""
        return None if self._of_another_turn else _newest(self._legs, name)

    @property
    def _of_another_turn(self) -> bool:
        turn, said = _newest(self._legs, "turn_exchange_id"), self.decoder.turn_exchange_id
        return self.beyond and turn is not None and said is not None and turn != said

    def repeats(self, event: Event) -> bool:
        """Whether an earlier leg has brought this event, the next one: then it is not to be applied again."""
        if not self._comparing or not counts(event):
            return False
        if self.behind and not event.terminated:
            return True  # torn off, and known whole
        if self._transcript.holds(event, self._position):
            self._position += 1
            self._note(event)
            return True
        if self.behind:
            self._differ()
        self._comparing = False
        return False

    def _note(self, repeated: Event) -> None:
        """What comes again changes nothing but how this leg ends."""
        if repeated.type != "delta":
            with contextlib.suppress(ValueError):
                self.decoder.turn.read(mapping(loads(repeated.data)))

    def _begun(self) -> ConversationDecoder:
        exchange = replace(
            self._exchange,
            request_message_id=self._exchange.request_message_id or _newest(self._legs, "request_message_id"),
            requested_model=self._exchange.requested_model or _newest(self._legs, "requested_model"),
        )
        if not self._comparing:
            return ConversationDecoder(exchange, self._offset, self.budget)
        decoder = ConversationDecoder(exchange, budget=self.budget)
        self._replay(decoder, None)
        return decoder

    def _differ(self) -> None:
        """The leg says something else than what is known from here on."""
        if self._position > self._offset or self._offset == 0:
            self.decoder = ConversationDecoder(self.decoder.exchange, budget=self.budget)
            self._replay(self.decoder, self._position)
            return
        self._legs = ()
        self._unrecognised_before = self._messages_before = 0
        self.decoder = ConversationDecoder(self._exchange, self._offset, self.budget)

    def _replay(self, decoder: ConversationDecoder, end: int | None) -> None:
        self._transcript.replay(decoder, end)
        self._unrecognised_before, self._messages_before = decoder.unrecognised_count, len(decoder.messages)


def _newest(legs: Sequence[Leg], name: str) -> str | None:
    return next((value for leg in reversed(legs) if (value := getattr(leg, name))), None)


def _reach(legs: Sequence[Leg], known: int) -> int:
    """How many events of the turn have been seen without a gap, whether they are still there or not."""
    reach = known
    for leg in legs:
        if leg.first <= reach:
            reach = max(reach, leg.first + leg.event_count)
    return reach


def _of_one_turn(legs: Sequence[Leg], offset: int, known: int, started_at: int) -> Sequence[Leg]:
    """The legs, when they can be what this one goes on from."""
    if offset <= _reach(legs, known):
        return legs
    ended = any(leg.state == "complete" for leg in legs)
    lately = any(started_at - leg.started_at <= LONGEST_MICROSECONDS for leg in legs)
    return legs if lately and not ended else ()

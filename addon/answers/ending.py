"""How a captured exchange ended: its state, and one line for a person where it did not go well."""

from addon.answers.continuation import Continuation
from addon.answers.json_answers import STEP
from addon.exchange import Closing, Opening
from addon.records import Stream

EARLIER_PART_MISSING = "the earlier part of this answer is not stored"

_CUT = {
    "end": "ended without [DONE]",
    "cut": "connection closed",
    "shutdown": "the proxy was stopped",
    "lost": "the proxy was killed",
    "unseen": "another addon took the body",
    "absent": "the file holds no body",
}


def ending(opening: Opening, closing: Closing, way: Continuation, failure: str | None) -> tuple[str, str | None]:
    """`streams.state` and `streams.error`; `failure` says why the body could not be decoded to its end."""
    status, decoder, turn = opening.status_code or 200, way.decoder, way.decoder.turn
    # What an earlier leg knows of the answer is not the end of one that breaks off before.
    answered = decoder.messages.answered and not way.behind
    if status >= 400:
        return "error", f"HTTP {status} {opening.content_type or ''}".rstrip()
    if closing.failure or failure or turn.error:
        return "error", closing.failure or failure or turn.error
    if decoder.missed:
        return "error", EARLIER_PART_MISSING
    if turn.handed_off and not answered:
        return "handed_off", None
    if opening.name == STEP:
        return "complete", None
    if answered:
        return "complete", None
    if not opening.streamed:
        return "error", f"answered by {opening.content_type or 'nothing'} instead of an event stream"
    of_no_answer = closing.reason == "end" and decoder.encoding is None and way.event_count
    if decoder.done or turn.complete or of_no_answer:
        # The end came, but of something that nobody saw.
        return ("error", EARLIER_PART_MISSING) if way.beyond else ("complete", None)
    return "interrupted", broken_off(closing)


def broken_off(closing: Closing) -> str:
    """Why an exchange that did not come to its own end broke off."""
    detail = "".join(character for character in closing.detail[:200] if character.isprintable())
    return _CUT.get(closing.reason, closing.reason) + (f": {detail}" if detail else "")


def closing_of(state: str, error: str | None) -> Closing:
    """How an exchange with this state and error ended, as far as they tell: the inverse of `ending`."""
    error = error or ""
    if state == "interrupted":
        for reason, said in _CUT.items():
            if error.startswith(said):
                return Closing(reason, error.removeprefix(said).removeprefix(": "))
        return Closing("cut", error)
    if error == Closing("bug").failure:
        return Closing("bug")
    count = error.partition(" ")[0]
    lost = int(count) if count.isdecimal() and error == Closing("end", lost_bytes=int(count)).failure else 0
    return Closing("end", lost_bytes=lost)


def unreadable(opening: Opening, at: int) -> Stream:
    """The row of an exchange whose capture could not even be closed."""
    return opening.stream(
        state="error",
        error=Closing("bug").failure,
        ended_at=at,
    )

"""What a send was answered where JSON came instead of an event stream: an error, a step of the turn, or a hand-off.

A turn may take several POSTs to one address: some only prepare it or end it, send no message and are answered in JSON
(protocol 1a). Those are no answers and no errors. Pure.
"""

from dataclasses import replace
from typing import Any

from addon.answers.send_request import SendRequest
from addon.exchange import Opening

STEP = "step"
"""`streams.name` of a POST that only helps a turn along; its `kind` is `document`."""

_REFUSALS = ("error", "error_code", "detail")


def accepts(opening: Opening, answer: Any) -> bool:
    """Whether JSON tells that a request was taken, rather than why not."""
    if not isinstance(answer, dict) or (opening.status_code or 200) >= 300:
        return False
    return not any(answer.get(key) for key in _REFUSALS) and answer.get("status") != "error"


def is_step(opening: Opening, request: SendRequest, answer: Any) -> bool:
    """Whether an accepted request only helps a turn along: it sent no message, and was answered no more than that."""
    return opening.kind == "turn" and request.message_id is None and "wss_url" not in answer


def as_step(opening: Opening) -> Opening:
    """The same exchange as what it turned out to be."""
    return replace(opening, kind="document", name=STEP)


def as_sent(kind: str, name: str) -> tuple[str, str]:
    """Kind and name of an exchange as the proxy knew it, before its answer was read: the inverse of `as_step`."""
    return ("turn", "") if (kind, name) == ("document", STEP) else (kind, name)

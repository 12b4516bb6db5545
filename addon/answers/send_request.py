"""What the page sent: the JSON of a request -> what it asks for, the person's messages, and the body that is kept.

Untrusted input like every other; a request that cannot be read asks for nothing and says nothing.
"""

from typing import Any

from addon.answers.messages import Observation, Parent, read_message
from addon.errors import StreamError
from addon.exchange import Opening
from addon.records import Conversation, Record, RequestBody
from addon.wire.content_coding import ContentDecoder
from addon.wire.evidence import compress
from addon.wire.payload import array, dumps, integer, mapping, microseconds, string
from addon.wire.redaction import redact_json

MOST_EVENTS = 2**31
"""Beyond it an offset is nonsense; the longest honest answers have some ten thousand events."""


_OF_THE_PAGE = "WEB:"
"""What the page's own name for a conversation begins with, until the service has named it."""


class SendRequest:
    """One request, redacted before anything else reads it."""

    def __init__(self, opening: Opening, body: bytes) -> None:
        self._opening = opening
        sent = self._sent = read_request(body, opening.request_encoding)
        self._messages = [mapping(message) for message in array(sent.get("messages"))]
        # A resume says it in its body or, where it is a GET, in its query.
        named = string(sent.get("conversation_id")) or opening.parameters.get("conversation_id")
        self.conversation_id = None if named is None or named.startswith(_OF_THE_PAGE) else named
        self.message_id = string(self._messages[-1].get("id")) if self._messages else None
        self.model = string(sent.get("model"))
        self.action = string(sent.get("action"))
        self.temporary = sent.get("history_and_training_disabled") is True or sent.get("is_do_not_remember") is True

    @property
    def offset(self) -> int | None:
        """The event up to which the page has read what a resume goes on with; None for all other requests."""
        if self._opening.kind != "resume":
            return None
        asked = self._opening.parameters.get("offset", "")
        said = integer(self._sent.get("offset"))
        offset = said if said is not None else int(asked) if asked.isdecimal() and len(asked) < 10 else 0
        return offset if 0 <= offset < MOST_EVENTS else 0

    def body(self) -> list[Record]:
        """The record of the request itself, if there was one that could be read."""
        if not self._sent:
            return []
        return [RequestBody(self._opening.stream_id, compress(dumps(self._sent).encode()))]

    def prompts(self, conversation_id: str | None) -> list[Record]:
        """The person's messages as sent, and their conversation, where it has a name."""
        opening, parent = self._opening, Parent(string(self._sent.get("parent_message_id")))
        seen = Observation(opening.stream_id, opening.source, opening.started_at, live=False)
        messages: list[Record] = [
            read_message(identity, message, conversation_id, seen, parent)
            for message in self._messages
            if (identity := string(message.get("id"))) is not None
        ]
        return messages if conversation_id is None else [self._conversation(conversation_id), *messages]

    def _conversation(self, identity: str) -> Conversation:
        asked_at = microseconds(self._messages[-1].get("create_time")) if self._messages else None
        begins = self.conversation_id is None and self.message_id is not None
        return Conversation(
            id=identity,
            source=self._opening.source,
            at=self._opening.started_at,
            created_at=(asked_at or self._opening.started_at) if begins else None,
            updated_at=asked_at,
            gizmo_id=string(mapping(self._sent.get("conversation_mode")).get("gizmo_id")),
            conversation_origin=string(self._sent.get("conversation_origin")),
            is_temporary=self.temporary or None,
        )


def read_request(body: bytes, content_encoding: str) -> dict[str, Any]:
    """The JSON object of a request, redacted; {} when there is none."""
    try:
        decoded = b"".join(ContentDecoder(content_encoding).feed(body))
        _, sent = redact_json(decoded)
        return mapping(sent)
    except (StreamError, ValueError):
        return {}

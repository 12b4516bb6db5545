"""Updates of a conversation that arrive beside its answers: what `conversation-update` and `-updates` say.

Pure. An update carries whole messages (an image that has grown, a result of a task that ran on its own) or a title;
many only tell the page to load the conversation again. Anything may be missing or of another type, nothing raises.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from addon.wire.payload import array, mapping, string

UPDATES = frozenset({"conversation-update", "conversation-updates"})

_KNOWN = frozenset(
    {
        "async-task-start", "async-task-update-message", "async-task-completed", "async-task-insert-message",
        "async-task-steering-message", "add-messages", "refetch-conversation", "set-conversation-async-status",
        "title-update", "stop", "add-turn-message", "replace-turn-message", "upsert-turn-message",
        "stream-message-start", "stream-message-done", "add-conversation-item", "convert-turn-to-paragen",
        "discard-items", "resolve-paragen",
    }
)  # fmt: skip

MAX_UPDATES = 1000
"""Updates, or messages of one, that are read of one event."""


@dataclass(frozen=True, slots=True)
class Update:
    """One change to one conversation; `messages` are whole, as everywhere on the wire."""

    conversation_id: str | None
    messages: tuple[dict[str, Any], ...]
    title: str | None
    recognised: bool


def updates_in(event: dict[str, Any]) -> Iterator[Update]:
    """The updates that one event carries."""
    payload = mapping(event.get("payload"))
    conversation_id = string(payload.get("conversation_id"))
    if event.get("type") == "conversation-update":
        yield _update(payload, payload.get("update_type"), mapping(payload.get("update_content")), conversation_id)
        return
    for update in map(mapping, array(payload.get("updates"))[:MAX_UPDATES]):
        named = string(update.get("conversation_id")) or conversation_id
        content = mapping(update.get("update_content")) or update
        yield _update(update, update.get("type") or update.get("update_type"), content, named)


def conversation_of(event: dict[str, Any]) -> str | None:
    """The conversation that an event on the socket is about, the first where it is about several."""
    payload = mapping(event.get("payload"))
    named = string(event.get("conversation_id")) or string(payload.get("conversation_id"))
    entries = map(mapping, array(payload.get("updates"))[:1])
    return named or next((string(entry.get("conversation_id")) for entry in entries), None)


def _update(about: dict[str, Any], kind: Any, content: dict[str, Any], conversation_id: str | None) -> Update:
    entries = [content.get("message"), about.get("message"), *array(content.get("messages"))[:MAX_UPDATES]]
    found = [_message(mapping(entry)) for entry in entries]
    unique = {message["id"]: message for message in found if message is not None}
    title = string(content.get("title")) if kind == "title-update" else None
    return Update(conversation_id, tuple(unique.values()), title, isinstance(kind, str) and kind in _KNOWN)


def _message(entry: dict[str, Any]) -> dict[str, Any] | None:
    """A message, which may stand in a node of the tree."""
    message = mapping(entry.get("message")) or entry
    return message if string(message.get("id")) and isinstance(message.get("author"), dict) else None

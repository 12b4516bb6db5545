"""What a document says about a conversation as a whole -> `records.Conversation`: the fields of details and lists.

Details have float seconds, items of lists ISO 8601 text and fewer fields; a field that is null says nothing.
"""

from typing import Any

from addon.answers.messages import Observation
from addon.records import Conversation
from addon.wire.payload import boolean, dumps, microseconds, string

_COLUMNS = frozenset(
    {
        "id", "conversation_id", "title", "create_time", "update_time", "current_node", "default_model_slug",
        "gizmo_id", "conversation_origin", "is_archived", "is_starred", "is_temporary_chat", "is_do_not_remember",
        "mapping", "messages", "linear_conversation", "snippet", "success",
    }
)  # fmt: skip

_MAX_FIELD = 4000
"""Characters of JSON up to which a field without a column is kept beside them; the raw body holds all."""


def about_conversation(
    identity: str, fields: dict[str, Any], seen: Observation, current_node: str | None = None
) -> Conversation:
    """The record of a conversation's fields; `current_node` is used where they name none."""
    temporary = boolean(fields.get("is_temporary_chat"))
    return Conversation(
        id=identity,
        source=seen.source,
        at=seen.at,
        title=string(fields.get("title")),
        created_at=microseconds(fields.get("create_time")),
        updated_at=microseconds(fields.get("update_time")),
        current_node=string(fields.get("current_node")) or current_node,
        default_model_slug=string(fields.get("default_model_slug")),
        gizmo_id=string(fields.get("gizmo_id")),
        conversation_origin=string(fields.get("conversation_origin")),
        is_temporary=boolean(fields.get("is_do_not_remember")) if temporary is None else temporary,
        is_archived=boolean(fields.get("is_archived")),
        is_starred=boolean(fields.get("is_starred")),
        metadata=_rest(fields),
        document=True,
    )


def _rest(fields: dict[str, Any]) -> str | None:
    rest = {key: value for key, value in fields.items() if key not in _COLUMNS and value not in (None, [], {}, "")}
    small = {key: value for key, value in rest.items() if len(dumps(value)) <= _MAX_FIELD}
    return dumps(small) if small else None

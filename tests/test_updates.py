import json
from typing import Any

import pytest

from addon.answers.conversation import ConversationDecoder
from addon.answers.message_states import Exchange
from addon.records import Conversation, Message, TypedEvent
from addon.wire.redaction import EventRedaction
from addon.wire.sse import Event
from addon.wire.updates import Update, conversation_of, updates_in
from tests.recording import message

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzM2NyZXQifQ.czNjcmV0"


def update(kind: Any, content: Any, conversation_id: Any = "talk") -> dict[str, Any]:
    payload = {"conversation_id": conversation_id, "update_type": kind, "update_content": content}
    return {"type": "conversation-update", "payload": payload}


def batch(*updates: Any) -> dict[str, Any]:
    return {"type": "conversation-updates", "payload": {"updates": list(updates)}}


TIDE = message("tide", "high")


@pytest.mark.parametrize(
    ("event", "updates"),
    [
        (update("async-task-start", {"message": TIDE}), [Update("talk", (TIDE,), None, True)]),
        (update("add-messages", {"messages": [TIDE, {"message": message("low")}]}), [Update("talk", (TIDE, message("low")), None, True)]),
        (update("title-update", {"title": "Tides"}), [Update("talk", (), "Tides", True)]),
        (update("async-task-completed", {"title": "of a task"}), [Update("talk", (), None, True)]),
        (update("refetch-conversation", None), [Update("talk", (), None, True)]),
        (update("something-new", {"message": TIDE}), [Update("talk", (TIDE,), None, False)]),
        (update(None, 7, 7), [Update(None, (), None, False)]),
        (update("add-messages", {"messages": [7, {}, {"id": "x"}, {"author": {}}]}), [Update("talk", (), None, True)]),
        (batch({"type": "add-turn-message", "conversation_id": "a", "message": TIDE}, {"type": "new", "conversation_id": "b"}, 7), [Update("a", (TIDE,), None, True), Update("b", (), None, False), Update(None, (), None, False)]),
        (batch(), []),
        ({"type": "conversation-updates", "payload": 7}, []),
    ],
)  # fmt: skip
def test_an_event_carries_messages_and_titles(event: dict[str, Any], updates: list[Update]) -> None:
    assert list(updates_in(event)) == updates


def test_an_event_is_about_the_first_conversation_it_names() -> None:
    assert conversation_of(update("stop", {})) == "talk"
    assert conversation_of(batch({"conversation_id": "a"}, {"conversation_id": "b"})) == "a"
    assert conversation_of({"type": "x", "conversation_id": "top"}) == "top"
    assert conversation_of({"type": "x", "payload": 7}) is None


def read(*events: dict[str, Any]) -> list[Any]:
    decoder = ConversationDecoder(Exchange("stream", "live"))
    records = []
    for at, event in enumerate(events, start=1):
        records += decoder.apply(Event("message", json.dumps(event).encode(), 0), at)
    return records + decoder.snapshot(live=False)


def test_updates_of_many_conversations_are_told_apart() -> None:
    records = read(
        update("add-messages", {"messages": [message("m", "one")]}, "a"),
        update("add-messages", {"messages": [message("m", "two")]}, "b"),
        update("title-update", {"title": "B"}, "b"),
        update("title-update", {"title": "A"}, "a"),
    )
    said = [(record.conversation_id, record.text) for record in records if isinstance(record, Message)]
    assert said[0] == ("a", "one")
    assert said[1] == ("b", "two")
    titles = {record.id: record.title for record in records if isinstance(record, Conversation) and record.title}
    assert titles == {"a": "A", "b": "B"}
    events = [(record.conversation_id, record.recognised) for record in records if isinstance(record, TypedEvent)]
    assert events == [("a", True), ("b", True), ("b", True), ("a", True)]


def test_an_update_moves_nobody_to_another_branch() -> None:
    records = read(update("async-task-update-message", {"message": message("m", "one")}))
    assert [record.current_node for record in records if isinstance(record, Conversation)] == [None]


def test_a_kind_of_update_that_is_new_is_read_as_far_as_it_can_be_and_counted() -> None:
    records = read(update("something-new", {"message": TIDE}), batch())
    assert next(record.text for record in records if isinstance(record, Message)) == "high"
    assert [record.recognised for record in records if isinstance(record, TypedEvent)] == [False, False]


def test_an_update_loses_its_secrets_and_nothing_that_somebody_wrote() -> None:
    said = {**message("m", f"my token is {JWT}"), "metadata": {"note": f"see {JWT} there"}}
    event = update(
        "add-messages", {"messages": [said], "url": "https://files.oaiusercontent.com/f?sig=s3cret", "resume": JWT}
    )
    cleaned = json.loads(EventRedaction().clean(json.dumps(event).encode()))
    content = cleaned["payload"]["update_content"]
    assert content["messages"][0]["content"] == said["content"]
    assert content["messages"][0]["metadata"] == {"note": "see redacted there"}
    assert (content["url"], content["resume"]) == ("https://files.oaiusercontent.com/f?redacted", "redacted")

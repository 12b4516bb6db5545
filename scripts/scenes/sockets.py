"""Answers and updates as a WebSocket brings them: since 2025 on topics, in 2024 as the bytes of a response.

What the service sends is a list of texts, one a message; who plays them decides when.
"""

import base64
import itertools
import json
import random
import uuid
from collections.abc import Sequence
from typing import Any, Unpack

from scripts.scenes.images import IMAGE_BYTES, IMAGE_TOOL, generated
from scripts.scenes.scene import Exchange, Json, Scene
from scripts.scenes.script import EPOCH, Script

SOCKET_URL = "wss://ws.chatgpt.com/p24/ws/user/user-loopback?verify=loopback-verify-token-2c81f0"
SOCKET_SECRET = "loopback-verify-token-2c81f0"
SOCKET_2024_URL = "wss://chatgpt-async-webps-prod-eastus-7.chatgpt.com/client/hubs/conversations?access_token=loopback-access-token-9d27"
SOCKET_2024_SECRET = "loopback-access-token-9d27"

_CLOCK = 1_784_872_208_758


def handoff(prompt: str, **exchange: Unpack[Exchange]) -> Scene:
    """What the send is answered when the answer itself comes on a topic: no word of it."""
    script = Script(prompt, exchange)
    script.open()
    topic = f"conversation-turn-{script.turn_id}"
    options = [{"type": "subscribe_ws_topic", "topic_id": topic}, {"type": "resume_sse_endpoint", "topic_id": topic}]
    script.typed("stream_handoff", turn_exchange_id=script.turn_id, options=options)
    script.limits("gpt-5-5")
    return script.scene(script.user_message_id)


def topic_of(scene: Scene) -> str:
    """The topic of the turn in which a scene is the answer."""
    return f"conversation-turn-{_turn_of(scene)}"


def topic_items(scene: Scene) -> list[Json]:
    """The items that carry a scene's stream on its topic, one an event, and the one that ends it."""
    topic, turn = topic_of(scene), _turn_of(scene)
    ids = [str(uuid.uuid5(uuid.NAMESPACE_URL, f"{turn}/{n}")) for n in range(len(scene.events))]
    items = []
    for n, event in enumerate(scene.events):
        inner = {
            "type": "stream-item",
            "conversation_id": scene.conversation_id,
            "turn_id": turn,
            "encoded_item": event.decode(),
            "stream_item_id": ids[n],
            "parent_stream_item_id": ids[n - 1] if n else None,
            "server_timestamp_ms": _CLOCK + n,
        }
        items.append(_item(topic, f"{_CLOCK + n}-0", {"type": "conversation-turn-stream", "payload": inner}))
    end = {"type": "done", "conversation_id": scene.conversation_id, "turn_id": turn}
    last = f"{_CLOCK + len(scene.events)}-0"
    return [*items, _item(topic, last, {"type": "conversation-turn-stream", "payload": end})]


def subscribed(topic: str, catchups: Sequence[Json] = (), *, number: int = 5) -> Json:
    """The reply to a subscription, with what had been published before it."""
    about = {"type": "subscribe", "topic_id": topic, "last_offset": "0", "recovered": True, "catchups": list(catchups)}
    return {"id": number, "type": "reply", "reply": about}


def subscribe(topic: str, offset: str = "0", *, number: int = 5) -> str:
    """What the page sends to get a topic."""
    command = {"type": "subscribe", "topic_id": topic, "offset": offset}
    return json.dumps([{"id": number, "command": command}])


def heartbeat(scene: Scene) -> Json:
    """A sign of life on a topic."""
    inner = {"type": "heartbeat", "conversation_id": scene.conversation_id, "turn_id": _turn_of(scene)}
    return {
        "type": "message",
        "topic_id": topic_of(scene),
        "payload": {"type": "conversation-turn-stream", "payload": inner},
    }


def turn_complete(scene: Scene) -> Json:
    """What everybody who looks at the conversations is told at the end of a turn."""
    about = {"type": "conversation-turn-complete", "payload": {"conversation_id": scene.conversation_id}}
    return _item("conversations", f"{_CLOCK + 900_000}-0", about)


def socket_answer(scene: Scene, *, duplicates: float = 0.9, seed: str = "socket") -> list[str]:
    """An answer as recorded sockets bring it: the reply with catchups, live items, most of them again and again.

    `duplicates` is the part of all items that have been there before.
    """
    chance, items = random.Random(seed), topic_items(scene)
    caught_up = len(items) // 4
    texts = [json.dumps([subscribed(topic_of(scene), items[:caught_up])])]
    for number, item in enumerate(items[caught_up:], start=caught_up):
        texts.append(json.dumps([item] if chance.random() < 0.5 else item))
        again = 0
        while chance.random() < duplicates and again < 30:
            again += 1
            before = items[chance.randint(max(0, number - 8), number)]
            texts.append(json.dumps([before] if chance.random() < 0.5 else before))
        if number % 20 == 0:
            texts.append(json.dumps(heartbeat(scene)))
    return [*texts, json.dumps([turn_complete(scene)])]


def image_updates(scene: Scene, name: str = "async") -> list[str]:
    """An image that is made while nobody waits: the placeholder, two previews and the image, under one message id."""
    message_id, gen_id = (str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name}/{part}")) for part in ("image", "generation"))
    task = f"chatimagegen-{name}"
    about = {
        "image_gen_async": True,
        "image_gen_task_id": task,
        "async_task_type": "image_gen",
        "parent_id": scene.answer_id,
        "image_gen_title": "A tide",
    }
    message: Json = {
        "id": message_id,
        "author": {"role": "tool", "name": IMAGE_TOOL, "metadata": {}},
        "create_time": EPOCH + 60,
        "update_time": None,
        "content": {"content_type": "text", "parts": ["Processing image..."]},
        "status": "in_progress",
        "end_turn": None,
        "weight": 1.0,
        "metadata": about,
        "recipient": "all",
        "channel": None,
    }
    states = [("async-task-start", message)]
    for number in range(3):
        pointer = f"sediment://file_{uuid.uuid5(uuid.NAMESPACE_URL, f'{name}/{number}').hex}"
        part = {**generated(pointer, gen_id, 1024, 1536), "size_bytes": IMAGE_BYTES if number == 2 else 0}
        content = {"content_type": "multimodal_text", "parts": [part]}
        status = "finished_successfully" if number == 2 else "in_progress"
        kind = "async-task-completed" if number == 2 else "async-task-update-message"
        states.append((kind, {**message, "content": content, "status": status}))
    return [
        json.dumps(_update(scene.conversation_id, kind, {"async_task_id": task, "message": state}, f"{_CLOCK + n}-1"))
        for n, (kind, state) in enumerate(states)
    ]


def title_update(conversation_id: str, title: str) -> str:
    """The conversation gets another title; the bare form."""
    about = {"conversation_id": conversation_id, "update_type": "title-update", "update_content": {"title": title}}
    return json.dumps({"type": "conversation-update", "payload": about})


def handoff_2024(scene: Scene) -> bytes:
    """What a send was answered in early 2024, in JSON: the address of the socket."""
    about = {
        "wss_url": SOCKET_2024_URL,
        "conversation_id": scene.conversation_id,
        "response_id": f"{scene.answer_id}-LAX",
    }
    return json.dumps({**about, "websocket_request_id": scene.user_message_id}).encode()


def socket_answer_2024(scene: Scene, *, size: int = 200, seed: str = "2024") -> list[str]:
    """A scene's stream as Azure's Web PubSub brought it: base64 of bytes cut anywhere, some of them twice."""
    chance, texts = random.Random(seed), []
    starts = range(0, len(scene.body), size)
    for sequence, start in enumerate(starts, start=432):
        data = {
            "type": "http.response.body",
            "body": base64.b64encode(scene.body[start : start + size]).decode(),
            "more_body": start + size < len(scene.body),
            "response_id": f"{scene.answer_id}-LAX",
            "conversation_id": scene.conversation_id,
        }
        text = json.dumps(
            {"sequenceId": sequence, "type": "message", "from": "server", "dataType": "json", "data": data}
        )
        texts += [text] * (2 if chance.random() < 0.2 else 1)
    connected = {
        "type": "system",
        "event": "connected",
        "connectionId": "loopback",
        "reconnectionToken": "eyJ0.eyJ1.eyJ2",
    }
    return [json.dumps(connected), *texts]


def _turn_of(scene: Scene) -> str:
    turns = (message["metadata"].get("turn_exchange_id") for message in scene.messages.values())
    return str(next(itertools.dropwhile(lambda turn: turn is None, turns)))


def _item(topic: str, offset: str, payload: Json) -> Json:
    return {"type": "message", "topic_id": topic, "offset": offset, "payload": payload}


def _update(conversation_id: str, kind: str, content: dict[str, Any], offset: str) -> Json:
    about = {"conversation_id": conversation_id, "update_type": kind, "update_content": content}
    return _item("conversations", offset, {"type": "conversation-update", "payload": about})

"""What a scene is asked for, and what it tells besides its bytes."""

import dataclasses
import json
from typing import Any, Literal, TypedDict

type Json = dict[str, Any]
type Encoding = Literal["v1", "v0"]


class Exchange(TypedDict, total=False):
    """What a scene answers, and how: `conversation_id` and `parent_id` for a turn that is not the first.

    `encoding` is "v1" unless it is given.
    """

    seed: str
    encoding: Encoding
    conversation_id: str
    user_message_id: str
    parent_id: str
    model: str
    title: str


def asked(body: bytes) -> tuple[str, Exchange]:
    """The prompt in the body of a send and the exchange it opens, for a scene that answers it."""
    sent = json.loads(body)
    message = sent["messages"][-1]
    exchange = Exchange(seed=message["id"], user_message_id=message["id"])
    exchange["encoding"] = "v1" if "v1" in sent.get("supported_encodings", []) else "v0"
    if "conversation_id" in sent:
        exchange |= Exchange(conversation_id=sent["conversation_id"], parent_id=sent["parent_message_id"])
    return message["content"]["parts"][-1], exchange


@dataclasses.dataclass(frozen=True)
class Image:
    """An image a scene makes; `pointer` is the last of the pointers shown, `previews` the ones before it."""

    message_id: str
    pointer: str
    previews: tuple[str, ...]
    prompt: str
    gen_id: str
    width: int
    height: int
    size_bytes: int


@dataclasses.dataclass(frozen=True)
class Scene:
    """An answer's events and what is true when they have all been read.

    `messages` are the final states by id, in the order in which they appeared; `answer_id` is the one the
    person reads. `secrets` are strings in the stream that nobody may keep.
    """

    events: list[bytes]
    conversation_id: str
    user_message_id: str
    answer_id: str
    title: str | None
    messages: dict[str, Json]
    secrets: tuple[str, ...] = ()
    images: tuple[Image, ...] = ()

    @property
    def body(self) -> bytes:
        return b"".join(self.events)

    @property
    def text(self) -> str:
        """The final answer."""
        return self.texts[self.answer_id]

    @property
    def texts(self) -> dict[str, str]:
        """The final text of each message whose content is text or code."""
        contents = {key: message["content"] for key, message in self.messages.items()}
        return {
            key: content["text"] if "text" in content else content["parts"][0]
            for key, content in contents.items()
            if content["content_type"] in ("text", "code")
        }

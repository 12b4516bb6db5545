"""An official export of a person who never was, of any size: `python -m scripts.made_up_export FILE`, from the root.

An array of conversations, each with a root, messages on its path, answers that were abandoned for others, and images
with the calls that asked for them. Everything follows from the arguments: the same call writes the same bytes.
"""

import argparse
import itertools
import json
import random
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EPOCH = 1_700_000_000.0
IMAGE_TOOL = "t2uay3k.sj1i4kz"

type Json = dict[str, Any]

_SYLLABLES = re.findall("..", "bacodifeguhakilomunepaquirosutevixayozeanerinonulisten")
_CHINESE = "的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生自会那后能"
_CODE = "```python\ndef total(prices):\n    return sum(price for price in prices if price)\n```"


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything; messages on paths, abandoned ones and images are spread over the conversations."""

    conversations: int = 1000
    on_path: int = 40_000
    abandoned: int = 4_000
    images: int = 3_000


class Author:
    """Makes up words, always the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        words = ["".join(self.chance.choices(_SYLLABLES, k=self.chance.randint(1, 4))) for _ in range(20_000)]
        self._words = words
        # A few words are most of any text.
        self._weights = list(itertools.accumulate(1 / (rank + 5) for rank in range(len(words))))
        self._identities = random.Random(seed + 1)

    def id(self) -> str:
        return str(uuid.UUID(int=self._identities.getrandbits(128), version=4))

    def text(self, mean: int) -> str:
        """A text of about `mean` characters, in one of a few scripts."""
        length = max(1, int(self.chance.expovariate(1 / mean)))
        kind = self.chance.random()
        if kind < 0.04:
            return "".join(self.chance.choices(_CHINESE, k=length // 2 + 1)) + "。"
        words = self.chance.choices(self._words, cum_weights=self._weights, k=length // 6 + 1)
        lines = [" ".join(words[start : start + 60]).capitalize() + "." for start in range(0, len(words), 60)]
        if kind > 0.9:
            lines.append(_CODE)
        if kind > 0.97:
            lines.append("Très bien, schön, 👍🏽.")
        return "\n\n".join(lines)


class _Conversation:
    """One conversation, written message by message."""

    def __init__(self, author: Author, started: float) -> None:
        self._author = author
        self._clock = started
        self.id = author.id()
        root = author.id()
        self.mapping: dict[str, Json] = {root: {"id": root, "message": None, "parent": None, "children": []}}
        self.leaf = self.say(root, "system", {"content_type": "text", "parts": [""]}, weight=0.0)

    def say(self, parent: str, role: str, content: Json, *, name: str | None = None, **fields: Any) -> str:
        self._clock += self._author.chance.uniform(2, 90)
        identity = self._author.id()
        metadata: Json = {"timestamp_": "absolute", "message_type": None, "request_id": f"{identity[:16]}-FRA"}
        if role == "user":
            metadata |= {"serialization_metadata": {"custom_symbol_offsets": []}, "message_source": None}
        elif role != "system":
            model = {"model_slug": "gpt-5-5", "default_model_slug": "auto", "parent_id": parent}
            metadata |= model | {"finish_details": {"type": "stop", "stop_tokens": [200002]}, "is_complete": True}
            metadata |= {"citations": [], "content_references": [], "turn_exchange_id": self._author.id()}
        usual = {
            "status": "finished_successfully",
            "end_turn": None,
            "weight": 1.0,
            "recipient": "all",
            "channel": None,
        }
        message = {
            "id": identity,
            "author": {"role": role, "name": name, "metadata": {}},
            "create_time": None if role == "system" else round(self._clock, 6),
            "update_time": None,
            "content": content,
            "metadata": metadata,
            **usual,
            **fields,
        }
        self.mapping[identity] = {"id": identity, "message": message, "parent": parent, "children": []}
        self.mapping[parent]["children"].append(identity)
        return identity

    def ask(self, text: str) -> None:
        self.leaf = self.say(self.leaf, "user", {"content_type": "text", "parts": [text]})

    def answer(self, *, again: bool = False) -> None:
        """An answer to the last message; `again` one that nothing follows."""
        made = self.say(self.leaf, "assistant", _text(self._author.text(1100)), end_turn=True)
        if not again:
            self.leaf = made

    def draw(self, prompt: str) -> None:
        """What an image tool sends."""
        pointer = f"sediment://file_{uuid.UUID(self._author.id()).hex}"
        made = {"gen_id": self._author.id(), "prompt": prompt, "seed": None, "parent_gen_id": None, "edit_op": None}
        generation = {"gen_size": "image", "width": 1024, "height": 1536, "transparent_background": False}
        part = {
            "content_type": "image_asset_pointer",
            "asset_pointer": pointer,
            "size_bytes": 1_483_920,
            "width": 1024,
            "height": 1536,
            "fovea": None,
            "metadata": {"dalle": {**made, "prompt": ""}, "generation": {**made, **generation}, "sanitized": False},
        }
        content = {"content_type": "multimodal_text", "parts": [part]}
        self.leaf = self.say(self.leaf, "tool", content, name=IMAGE_TOOL)

    def finished(self, started: float) -> Json:
        return {
            "title": self._author.text(30)[:60].splitlines()[0],
            "create_time": started,
            "update_time": round(self._clock, 6),
            "mapping": self.mapping,
            "moderation_results": [],
            "current_node": self.leaf,
            "plugin_ids": None,
            "conversation_id": self.id,
            "conversation_template_id": None,
            "gizmo_id": None,
            "gizmo_type": None,
            "is_archived": False,
            "is_starred": None,
            "safe_urls": [],
            "default_model_slug": "auto",
            "conversation_origin": None,
            "voice": None,
            "async_status": None,
            "disabled_tool_ids": [],
            "id": self.id,
        }


def _text(text: str) -> Json:
    return {"content_type": "text", "parts": [text]}


def _share(total: int, among: int, number: int) -> int:
    return total * (number + 1) // among - total * number // among


def conversations(size: Size, seed: int = 1) -> Iterator[Json]:
    """The conversations of an export, one after another."""
    author = Author(seed)
    for number in range(size.conversations):
        started = EPOCH + number * 70_000.25
        talk = _Conversation(author, started)
        images, abandoned = (_share(total, size.conversations, number) for total in (size.images, size.abandoned))
        # The system message is on the path too.
        for turn in range(_share(size.on_path, size.conversations, number) - 1):
            if turn % 2 == 0:
                talk.ask(author.text(180))
                continue
            while abandoned and (author.chance.random() < 0.2 or turn < 3):
                talk.answer(again=True)
                abandoned -= 1
            if images:
                talk.draw(author.text(150))
                images -= 1
            talk.answer()
        for _ in range(images):
            talk.draw(author.text(150))
        for _ in range(abandoned):
            talk.answer(again=True)
        yield talk.finished(started)


def write(path: Path, size: Size, seed: int = 1) -> None:
    """Write the array as the official export does: JSON in one line, all that is not ASCII escaped."""
    with path.open("w", encoding="ascii") as file:
        for number, conversation in enumerate(conversations(size, seed)):
            file.write((", " if number else "[") + json.dumps(conversation))
        file.write("]")


def main() -> None:
    """Write an export."""
    usual = Size()
    parser = argparse.ArgumentParser(prog="python -m scripts.made_up_export", description=main.__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--conversations", type=int, default=usual.conversations)
    parser.add_argument("--on-path", type=int, default=usual.on_path)
    parser.add_argument("--abandoned", type=int, default=usual.abandoned)
    parser.add_argument("--images", type=int, default=usual.images)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    write(asked.path, Size(asked.conversations, asked.on_path, asked.abandoned, asked.images), asked.seed)


if __name__ == "__main__":
    main()

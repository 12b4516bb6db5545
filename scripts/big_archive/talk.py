"""One conversation of a big archive: its rows, in the shapes that a capture leaves.

Turns with and without thoughts, tools, sources and images; questions that were edited and answers that were asked
for again (branches); answers that were stopped; images edited from images. No network, no clock: all follows from
the random numbers that are handed in.
"""

import random
from collections import defaultdict
from typing import Any

import orjson

from addon.store.rows import timestamp
from addon.store.search_rows import in_parts
from addon.wire.evidence import compress
from scripts.big_archive.texts import LANGUAGES, Texts

type Row = dict[str, Any]

MODELS = ("gpt-4", "gpt-4o", "gpt-5", "gpt-5-5", "gpt-5-5-thinking")
IMAGE_TOOLS = ("dalle.text2im", "t2uay3k.sj1i4kz")
_SECOND = 1_000_000
_BRANCHES = 0.14
"""Share of the turns that do not follow the newest message."""
_RECENT = 3
"""Of how many questions one is edited or asked again: people go back a little, not to the beginning."""

_MESSAGE: Row = {
    "n": 0, "id": "", "conversation_id": "", "parent_id": None, "role": "", "author_name": None, "recipient": "all",
    "channel": None, "content_type": "text", "text": "", "content": None, "status": "finished_successfully",
    "end_turn": None, "weight": 1.0, "visible": 1, "model_slug": None, "requested_model": None, "finish_type": None,
    "turn_exchange_id": None, "reasoning_seconds": None, "created_at": None, "first_seen_at": None,
    "first_token_at": None, "completed_at": None, "last_seen_at": None, "stream_id": None, "source": "live",
    "revision": 0, "live": 0, "damaged": 0, "metadata": None,
}  # fmt: skip


class Talk:
    """A conversation whose messages have exactly these `numbers`; `rows` has them all, by table."""

    def __init__(self, chance: random.Random, texts: Texts, numbers: range, started_at: int, *, raw: bool) -> None:
        self.rows: dict[str, list[Row]] = defaultdict(list)
        self._chance, self._texts, self._raw = chance, texts, raw
        self._next, self._end = numbers.start, numbers.stop
        self._at = self._started_at = started_at
        self._language = chance.choices(list(LANGUAGES), list(LANGUAGES.values()))[0]
        self._model = MODELS[min(len(MODELS) - 1, int(chance.random() ** 0.5 * len(MODELS)))]
        self._id = self._uuid()
        self._leaf: str | None = None
        self._prompts: list[str] = []
        self._stream: Row = {}
        self._image: Row | None = None
        self._say("system", "", visible=0, content_type="text")
        while self._left:
            self._turn()
        self._conversation()

    @property
    def _left(self) -> int:
        return self._end - self._next

    # -- turns -----------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        self._at += int(self._chance.expovariate(1 / 90) * _SECOND) + _SECOND
        again = self._prompts and self._chance.random() < _BRANCHES
        regenerated = again and self._left >= 2 and self._chance.random() < 0.5
        if regenerated:
            prompt = self._leaf = self._chance.choice(self._prompts[-_RECENT:])
            self._open("variant", prompt)
        else:
            if again:
                edited = self._chance.choice(self._prompts[-_RECENT:])
                self._leaf = next(row["parent_id"] for row in self.rows["messages"] if row["id"] == edited)
            prompt = self._ask()
        answered = self._left > 0
        if answered:
            self._answer(prompt)
        self._close(answered)

    def _ask(self) -> str:
        self._stream = {}
        row = self._say("user", self._texts.question(self._language))
        self._prompts.append(row["id"])
        self._open("next", row["id"])
        row["stream_id"] = self._stream["id"]
        return str(row["id"])

    def _answer(self, prompt: str) -> None:
        kind = self._chance.random()
        self._at += int(self._chance.lognormvariate(-0.3, 0.6) * _SECOND)
        first_token = self._at
        if kind < 0.07 and self._left >= 4:
            self._draw(prompt)
        elif kind < 0.2 and self._left >= 3:
            self._think()
        elif kind < 0.35 and self._left >= 3:
            self._use_tool()
        text = self._texts.answer(self._language)
        began, stopped = self._at, self._chance.random() < 0.02
        self._at += int(len(text) / self._chance.uniform(30, 140) * _SECOND)
        answer = self._say(
            "assistant",
            text,
            model_slug=self._model,
            requested_model=self._stream["requested_model"],
            end_turn=None if stopped else 1,
            status="in_progress" if stopped else "finished_successfully",
            finish_type=None if stopped else "stop",
            first_token_at=timestamp(began),
        )
        self._stream |= {"first_token_at": timestamp(first_token), "state": "interrupted" if stopped else "complete"}
        if 0.2 <= kind < 0.3:
            self._cite(answer)
        if self._raw:
            self._keep(answer, began)

    def _think(self) -> None:
        seconds = self._chance.randint(2, 90)
        self._at += seconds * _SECOND
        text = self._texts.question(self._language)
        self._say("assistant", text, content_type="thoughts", model_slug=self._model, reasoning_seconds=seconds)
        self._say("assistant", f"Thought for {seconds}s", content_type="reasoning_recap", model_slug=self._model)

    def _use_tool(self) -> None:
        tool = self._chance.choice(("web.run", "python", "bio", "file_search"))
        kind = "code" if tool != "bio" else "text"
        self._say("assistant", '{"q": "' + self._texts.title(self._language) + '"}', recipient=tool,
                  content_type=kind, visible=0, model_slug=self._model)  # fmt: skip
        self._at += self._chance.randint(1, 5) * _SECOND
        self._say("tool", self._texts.question(self._language), author_name=tool, content_type="execution_output")

    def _draw(self, prompt: str) -> None:
        """An image: the call, the image, what the tool tells the model."""
        tool, words, asked = self._chance.choice(IMAGE_TOOLS), self._texts.question(self._language), self._at
        size = self._chance.choice(("1024x1024", "1024x1536", "1792x1024"))
        call = self._say("assistant", orjson.dumps({"size": size, "prompt": words}).decode(), recipient=tool,
                         content_type="code", visible=0, model_slug=self._model)  # fmt: skip
        self._at += self._chance.randint(8, 60) * _SECOND
        made = self._say("tool", "", author_name=tool, content_type="multimodal_text")
        self._say("tool", "The images are already plainly visible.", author_name=tool, visible=0)
        name, (width, height) = self._uuid(), map(int, size.split("x"))
        asset = {
            "id": f"file-{name[:24]}", "pointer": f"file-service://file-{name[:24]}", "kind": "image",
            "origin": "generated", "size_bytes": self._chance.randint(200_000, 3_000_000), "width": width,
            "height": height, "variant": "original", "conversation_id": self._id, "message_id": made["id"],
            "stream_id": self._stream["id"],
        }  # fmt: skip
        edits = self._image if self._image and self._chance.random() < 0.6 else None
        self._image = {
            "conversation_id": self._id, "message_id": made["id"], "part_index": 0, "asset_id": asset["id"],
            "asset_pointer": asset["pointer"], "gen_id": name[:16], "parent_gen_id": edits and edits["gen_id"],
            "edit_op": edits and "inpainting", "prompt": words, "seed": self._chance.getrandbits(32), "size": size,
            "width": width, "height": height, "size_bytes": asset["size_bytes"], "tool": tool,
            "title": self._texts.title(self._language), "model_slug": self._model, "status": "complete",
            "request_message_id": call["id"], "prompt_message_id": prompt, "requested_at": timestamp(asked),
            "created_at": timestamp(self._at), "completed_at": timestamp(self._at), "stream_id": self._stream["id"],
        }  # fmt: skip
        self.rows["assets"].append(asset)
        self.rows["message_assets"].append({"message_n": made["n"], "asset_id": asset["id"], "role": "output"})
        self.rows["image_generations"].append(self._image)

    def _cite(self, answer: Row) -> None:
        for position in range(self._chance.randint(1, 6)):
            site = self._chance.choice(("example.org", "example.com", "example.net"))
            page = self._chance.randint(1, 5000)
            self.rows["citations"].append(
                {"message_n": answer["n"], "position": position, "url": f"https://{site}/{page}",
                 "title": self._texts.title(self._language), "attribution": site, "kind": "grouped_webpages"}
            )  # fmt: skip

    # -- messages and streams --------------------------------------------------------------------------------------

    def _say(self, role: str, text: str, *, content_type: str = "text", **known: Any) -> Row:
        self._at += 1000
        now = timestamp(self._at)
        row = _MESSAGE | {
            "n": self._next, "id": self._uuid(), "conversation_id": self._id, "parent_id": self._leaf, "role": role,
            "content_type": content_type, "text": text, "in_parts": in_parts(text),
            "content": _content(content_type, text), "created_at": now, "first_seen_at": now,
            "completed_at": now, "last_seen_at": now, "stream_id": self._stream.get("id"),
            "turn_exchange_id": self._stream.get("turn_exchange_id"),
        } | known  # fmt: skip
        self.rows["messages"].append(row)
        self._leaf = row["id"]
        self._next += 1
        return row

    def _open(self, action: str, prompt: str) -> None:
        asked = "auto" if self._chance.random() < 0.4 else self._model
        self._stream = {
            "id": self._uuid(), "source": "live", "kind": "turn", "host": "chatgpt.com",
            "path": "/backend-api/f/conversation", "method": "POST", "http_version": "HTTP/2.0", "status_code": 200,
            "content_type": "text/event-stream; charset=utf-8", "content_encoding": "br", "name": None,
            "conversation_id": self._id, "request_message_id": prompt, "turn_exchange_id": self._uuid(),
            "requested_model": asked, "action": action, "encoding": "v1", "state": "interrupted", "error": None,
            "started_at": timestamp(self._at), "first_event_at": timestamp(self._at + 200_000),
            "first_token_at": None, "ended_at": None, "event_count": self._chance.randint(10, 400),
            "unrecognised_count": 0, "wire_bytes": self._chance.randint(2_000, 40_000), "body_bytes": 0,
        }  # fmt: skip
        self.rows["streams"].append(self._stream)

    def _close(self, answered: bool) -> None:
        stream = self._stream
        if not answered:
            stream |= {"state": "error", "error": "the service answered 429", "status_code": 429, "encoding": "json"}
        stream |= {"ended_at": timestamp(self._at), "body_bytes": stream["wire_bytes"] * 3}
        kind = "message_stream_complete" if answered else "error"
        recognised = self._chance.random() > 0.001
        if not recognised:
            stream["unrecognised_count"] = 1
        self.rows["events"].append(
            {"stream_id": stream["id"], "position": stream["event_count"] - 1, "received_at": timestamp(self._at),
             "type": kind if recognised else "novelty", "recognised": int(recognised), "conversation_id": self._id,
             "message_id": None, "data": f'{{"type":"{kind}","conversation_id":"{self._id}"}}'}
        )  # fmt: skip

    def _keep(self, answer: Row, began: int) -> None:
        """The raw body, in the cumulative form, a word an event, evenly in time."""
        words, body, arrivals = answer["text"].split(" "), bytearray(), []
        started = self._at - began
        for count in range(1, len(words) + 1):
            said = {"id": answer["id"], "author": {"role": "assistant"}, "status": "in_progress",
                    "content": {"content_type": "text", "parts": [" ".join(words[:count])]}}  # fmt: skip
            envelope = {"message": said, "conversation_id": self._id, "error": None}
            body += b"data: " + orjson.dumps(envelope) + b"\n\n"
            arrivals.append([started * count // len(words), len(body)])
        body += b"data: [DONE]\n\n"
        self._stream |= {"encoding": "v0", "event_count": len(words) + 1}
        evidence = {"body": compress(bytes(body)), "arrivals": compress(orjson.dumps(arrivals))}
        self.rows["stream_bodies"].append({"stream_id": self._stream["id"], **evidence})

    def _conversation(self) -> None:
        begun, last = timestamp(self._started_at), timestamp(self._at)
        self.rows["conversations"].append(
            {"id": self._id, "title": self._texts.title(self._language), "created_at": begun, "updated_at": last,
             "current_node": self._leaf, "default_model_slug": self._model,
             "gizmo_id": f"g-{self._chance.randint(1, 20):08x}" if self._chance.random() < 0.08 else None,
             "is_archived": int(self._chance.random() < 0.05), "is_starred": int(self._chance.random() < 0.02),
             "is_temporary": int(self._chance.random() < 0.03), "source": "live", "first_seen_at": begun,
             "last_seen_at": last}
        )  # fmt: skip

    def _uuid(self) -> str:
        number = f"{self._chance.getrandbits(128):032x}"
        return f"{number[:8]}-{number[8:12]}-4{number[13:16]}-a{number[17:20]}-{number[20:]}"


def _content(content_type: str, text: str) -> str:
    match content_type:
        case "thoughts":
            content: Row = {"content_type": content_type, "thoughts": [{"summary": "", "content": text}]}
        case "reasoning_recap":
            content = {"content_type": content_type, "content": text}
        case "code" | "execution_output":
            content = {"content_type": content_type, "text": text}
        case _:
            content = {"content_type": content_type, "parts": [text]}
    return orjson.dumps(content).decode()

"""Writes conversations into an archive through the capture itself: each turn is an exchange whose events come in time.

The wire form is the cumulative one (v0): whole messages, which may be of any content type.
"""

import json
import uuid
from hashlib import sha256
from pathlib import Path
from typing import Any

from addon.archive import media_folder
from addon.captures import Surroundings, capture_of
from addon.exchange import Closing, Opening
from addon.files.media import MediaFolder, thumbnail_path
from addon.files.thumbnail import thumbnail
from addon.records import Thumbnail
from addon.store.store import Store

type Json = dict[str, Any]
_SECOND = 1_000_000
_FRAMES = 6


def identity(name: str) -> str:
    """An id that follows from a name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"showcase:{name}"))


def text(*parts: str) -> Json:
    return {"content_type": "text", "parts": list(parts)}


class Archive:
    """A new archive that conversations are written to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._store = Store.open(path)
        self._files: list[tuple[str, bytes]] = []
        self._newest = 0

    def file(self, name: str, data: bytes) -> str:
        """Keep a file; its asset pointer."""
        self._files.append((f"file_{uuid.uuid5(uuid.NAMESPACE_URL, name).hex}", data))
        return f"sediment://{self._files[-1][0]}"

    def write(self, opening: Opening, sent: Json, events: list[tuple[int, bytes]], *, ended: str = "end") -> None:
        """One exchange: its events with the times at which they come."""
        capture = capture_of(opening, json.dumps(sent).encode(), Surroundings())
        records = list(capture.begin())
        for at, event in events:
            records += capture.feed(event, at)
        last = events[-1][0] if events else opening.started_at
        records += capture.close(Closing(ended), last)
        self._newest = max(self._newest, last)
        self._store.write(records)

    def close(self) -> None:
        """Let the files pass that were mentioned, as the page would load them."""
        folder = media_folder(self.path)
        around = Surroundings(media=MediaFolder(folder), mentioned=self._store.mentioned)
        for asset, data in self._files:
            opening = Opening(
                stream_id=f"file {asset}", source="live", kind="asset", streamed=False, host="chatgpt.com",
                path="/backend-api/estuary/content", method="GET", started_at=self._newest, status_code=200,
                content_type="image/png", name="estuary", parameters={"id": asset},
            )  # fmt: skip
            capture = capture_of(opening, b"", around)
            records = [*capture.begin(), *capture.feed(data, self._newest)]
            self._store.write([*records, *capture.close(Closing("end"), self._newest)])
            digest = sha256(data).hexdigest()
            small = thumbnail_path(folder, digest)
            small.parent.mkdir(parents=True, exist_ok=True)
            small.write_bytes(thumbnail(data))
            self._store.write([Thumbnail(digest, str(small.relative_to(folder)))])
        self._store.close()


class Talk:
    """One conversation, told turn by turn."""

    def __init__(self, archive: Archive, title: str, started: int, model: str = "gpt-5-5") -> None:
        self.id = identity(title)
        self._archive, self._title, self._at, self._model = archive, title, started, model
        self._count = 0
        self._last: str | None = None
        self._turn = ""

    @property
    def last(self) -> str | None:
        """The message that was written last."""
        return self._last

    def ask(
        self,
        prompt: str | Json,
        *answer: Json,
        under: str | None = None,
        wait: float = 0.8,
        pace: float = 80.0,
        ended: str = "end",
        status: int = 200,
        asked_model: str = "",
        pause: float = 60.0,
        **metadata: Any,
    ) -> str:
        """A question and the messages that answer it; the id of the question.

        `under`: the message it follows, for an edited prompt. `wait`: seconds to the first token; `pace`: characters a
        second.
        """
        self._at += int(pause * _SECOND)
        content = text(prompt) if isinstance(prompt, str) else prompt
        question = self._message("user", content, under or self._last, metadata)
        self._last = question["id"]
        self._send("next", question, answer, wait, pace, ended, status, asked_model)
        return str(question["id"])

    def again(self, question: str, *answer: Json, wait: float = 0.8, pace: float = 80.0) -> None:
        """Answer a question once more."""
        self._at += 30 * _SECOND
        self._last = question
        self._send("variant", {"id": question}, answer, wait, pace, "end", 200, "")

    def say(self, said: str | Json, **fields: Any) -> Json:
        """A message of an answer, to be given to `ask` or `again`; `seconds`: how long it takes before the next."""
        return {"content": text(said) if isinstance(said, str) else said, **fields}

    def _send(
        self, action: str, question: Json, answer: tuple[Json, ...], wait: float, pace: float, ended: str, status: int,
        asked_model: str,
    ) -> None:  # fmt: skip
        started = self._at
        self._turn = identity(f"{self.id}/{self._count}/turn")
        sent: Json = {"action": action, "model": asked_model or self._model, "conversation_id": self.id}
        sent["parent_message_id"] = question.get("metadata", {}).get("parent_id") or "client-created-root"
        if action == "next":
            sent["messages"] = [question]
        events = []
        if action == "next":
            events.append((started + 200_000, self._event(question)))
        self._at += int(wait * _SECOND)
        for given in answer:
            events += self._told(given, pace, whole=ended == "end" or given is not answer[-1])
        if ended == "end" and status == 200:
            typed = {"type": "title_generation", "title": self._title, "conversation_id": self.id}
            events += [(self._at, b"data: " + json.dumps(typed).encode() + b"\n\n"), (self._at, b"data: [DONE]\n\n")]
        opening = Opening(
            stream_id=identity(f"{self._turn}/stream"), source="live", kind="turn", streamed=True, host="chatgpt.com",
            path="/backend-api/f/conversation", method="POST", started_at=started, status_code=status,
            content_type="text/event-stream; charset=utf-8",
        )  # fmt: skip
        self._archive.write(opening, sent, events, ended=ended)

    def _told(self, given: Json, pace: float, *, whole: bool) -> list[tuple[int, bytes]]:
        fields = dict(given)
        content, seconds = fields.pop("content"), fields.pop("seconds", 0.0)
        role, about = fields.pop("role", "assistant"), fields.pop("metadata", {})
        message = self._message(role, content, self._last, about, **fields)
        self._last = message["id"]
        events, said = [], content.get("parts", [None])[0]
        finished = {**message, "status": fields.get("status", "finished_successfully")}
        if role == "assistant" and isinstance(said, str) and message["recipient"] == "all":
            for step in range(1, _FRAMES):
                shown = {**content, "parts": [said[: len(said) * step // _FRAMES]]}
                events.append((self._at, self._event({**message, "content": shown, "status": "in_progress"})))
                self._at += int(len(said) / pace / _FRAMES * _SECOND)
        if whole:
            events.append((self._at, self._event(finished)))
        self._at += int((seconds or 0.05) * _SECOND)
        return events

    def _message(self, role: str, content: Json, parent: str | None, about: Json, **fields: Any) -> Json:
        self._count += 1
        metadata = {"parent_id": parent, "turn_exchange_id": self._turn or None, **about}
        if role == "assistant":
            metadata = {"model_slug": self._model, **metadata}
        finish = fields.pop("finish", "stop" if role == "assistant" else None)
        if finish:
            metadata["finish_details"] = {"type": finish}
        name = fields.pop("name", None)
        return {
            "id": fields.pop("id", None) or identity(f"{self.id}/{self._count}"), "author": {"role": role, "name": name},
            "create_time": self._at / _SECOND, "content": content, "status": "finished_successfully",
            "end_turn": True if role == "assistant" else None, "weight": 1.0, "recipient": "all", "metadata": metadata,
            **fields,
        }  # fmt: skip

    def _event(self, message: Json) -> bytes:
        payload = {"message": message, "conversation_id": self.id, "error": None}
        return b"data: " + json.dumps(payload).encode() + b"\n\n"

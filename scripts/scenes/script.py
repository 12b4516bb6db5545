"""The writer of scenes: what a conversation goes through, whatever the wire format."""

import base64
import copy
import itertools
import json
import re
import uuid
from typing import Any

from scripts.scenes.scene import Exchange, Image, Json, Scene
from scripts.scenes.wire import Change, Wire

TEXT = "/content/parts/0"
EPOCH = 1_790_000_000.0


class Script:
    """Writes a scene: each call changes a message and emits what the service would send for that."""

    def __init__(self, prompt: str, exchange: Exchange) -> None:
        encoding = exchange.get("encoding", "v1")
        self._seed = exchange.get("seed", "scene")
        self._v1 = encoding == "v1"
        self._model = exchange.get("model", "gpt-5-5")
        self._first_turn = "conversation_id" not in exchange
        self._prompt = prompt
        self.title: str | None = exchange.get("title", "A conversation on loopback") if self._first_turn else None
        self.conversation_id = exchange.get("conversation_id") or self.id("conversation")
        self.user_message_id = exchange.get("user_message_id") or self.id("user")
        self.turn_id = self.id("turn")
        self.messages: dict[str, Json] = {}
        self.secrets: tuple[str, ...] = ()
        self._wire = Wire(self.conversation_id, encoding, self._seed)
        self._parent = exchange.get("parent_id")
        self._clock = itertools.count(1)

    def id(self, name: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"loopback:{self._seed}/{name}"))

    def open(self) -> None:
        """The events before the answer: the format, the resume token, the messages it answers."""
        self._wire.open()
        if self._v1:
            token = _token(self.id("conduit"), self.turn_id)
            self.secrets = (token,)
            self.typed("resume_conversation_token", kind="topic", token=token)
        if self._first_turn:
            hidden = {"is_visually_hidden_from_conversation": True, "model_switcher_deny": []}
            self.message("system", "system", metadata=hidden, text="", weight=0.0, end_turn=True)
        self._add(self._user(), announce=self._first_turn or not self._v1)
        if self._v1:
            self.typed("input_message", input_message=self.messages[self.user_message_id])

    def message(
        self,
        name: str,
        author: str = "assistant",
        *,
        text: str | None = None,
        metadata: Json | None = None,
        **fields: Any,
    ) -> str:
        """Open a message: finished at once if it has a `text`, else in progress; "tool x" is a tool of name x."""
        role, _, tool = author.partition(" ")
        about: Json = {"parent_id": self._parent} if self._parent else {}
        if role != "system":
            about |= {
                **({"citations": [], "content_references": []} if role == "assistant" else {}),
                "request_id": self.id("request"),
                "message_type": "next",
                "turn_exchange_id": self.turn_id,
                "model_slug": self._model,
                "resolved_model_slug": self._model,
                "default_model_slug": "auto",
                "model_switcher_deny": [],
            }
        self._add(
            {
                "id": self.id(name),
                "author": {"role": role, "name": tool or None, "metadata": {}},
                "create_time": None if role == "system" else EPOCH + next(self._clock) * 1.25,
                "update_time": None,
                "content": {"content_type": "text", "parts": [text or ""]},
                "status": "in_progress" if text is None else "finished_successfully",
                "end_turn": None,
                "weight": 1.0,
                "metadata": about | (metadata or {}),
                "recipient": "all",
                "channel": None,
                **fields,
            }
        )
        return self.id(name)

    def _user(self) -> Json:
        return {
            "id": self.user_message_id,
            "author": {"role": "user", "name": None, "metadata": {}},
            "create_time": EPOCH,
            "update_time": None,
            "content": {"content_type": "text", "parts": [self._prompt]},
            "status": "finished_successfully",
            "end_turn": None,
            "weight": 1.0,
            "metadata": {
                "selected_github_repos": [],
                "serialization_metadata": {"custom_symbol_offsets": []},
                "request_id": self.id("request"),
                "message_source": None,
                "turn_exchange_id": self.turn_id,
                **({"parent_id": self._parent} if self._parent else {}),
            },
            "recipient": "all",
            "channel": None,
        }

    def _add(self, message: Json, *, announce: bool = True) -> None:
        key = self._parent = message["id"]
        self.messages[key] = message
        if announce:
            self._wire.add(message)

    def change(self, key: str, *changes: Change) -> None:
        """Change a message: one event, however many changes."""
        for pointer, verb, value in changes:
            _apply(self.messages[key], pointer, verb, value)
        self._wire.change(self.messages[key], *changes)

    def say(self, key: str, text: str, pointer: str = TEXT) -> None:
        """Append a text word by word."""
        for word in words_of(text):
            self.change(key, (pointer, "append", word))

    def finish(self, key: str, *changes: Change, end_turn: bool, stop_token: int = 200002) -> None:
        """The patch that ends a message; with `end_turn` it ends the answer."""
        stop = {"type": "stop", "stop_tokens": [stop_token]}
        self.change(
            key,
            *changes,
            ("/status", "replace", "finished_successfully"),
            ("/end_turn", "replace", end_turn),
            ("/metadata", "append", {"finish_details": stop, "is_complete": True}),
        )

    def final(self, name: str, text: str) -> str:
        """The message the person reads, with its markers, ended but for the conversation's own last events."""
        key = self.message(name, channel="final" if self._v1 else None)
        self.marker(key, "user_visible_token", "first")
        self.marker(key, "final_channel_token", "first")
        *most, last = words_of(text) or [""]
        for count, word in enumerate(most):
            self.change(key, (TEXT, "append", word))
            if count == len(most) // 2 and self.title:
                self.typed("title_generation", title=f"{self.title} Request")
        self.finish(key, (TEXT, "append", last), end_turn=True)
        return key

    def marker(self, key: str, marker: str, event: str) -> None:
        if self._v1:
            self.typed("message_marker", message_id=key, marker=marker, event=event)

    def typed(self, kind: str, /, **fields: Any) -> None:
        """An event that is neither a delta nor a message."""
        self._wire.typed(kind, **fields)

    def close(self, answer_id: str, *, tool: str | None = None, images: tuple[Image, ...] = ()) -> Scene:
        """The conversation's own last events; the scene."""
        self.marker(answer_id, "last_token", "last")
        self.change(answer_id, ("/metadata/conversation_followup_suggestions_eligible", "replace", True))
        if self.title:
            self.typed("title_generation", title=self.title)
        about = {
            "plan_type": "plus",
            "plan_type_bucket": "paid",
            "user_agent": "web_desktop",
            "tool_name": tool,
            "tool_invoked": tool is not None,
            "is_first_turn": self._first_turn,
            "cluster_region": "westus3",
            "model_slug": self._model,
            "message_id": answer_id,
            "request_id": self.id("request"),
            "turn_exchange_id": self.turn_id,
            "turn_trace_id": self.id("trace"),
            "resume_with_websockets": False,
            "turn_use_case": "image gen" if images else "text",
        }
        self.typed("server_ste_metadata", metadata=about)
        self.typed("message_stream_complete")
        self.limits(self._model)
        return self.scene(answer_id, images)

    def limits(self, model: str) -> None:
        limits = [{"feature_name": "image_gen", "remaining": 117, "reset_after": "2026-09-22T14:13:20.445183+00:00"}]
        self.typed(
            "conversation_detail_metadata",
            banner_info=None,
            blocked_features=[],
            model_limits=[],
            limits_progress=limits,
            default_model_slug=model,
        )

    def scene(self, answer_id: str, images: tuple[Image, ...] = ()) -> Scene:
        self._wire.done()
        ids = (self.conversation_id, self.user_message_id, answer_id)
        return Scene(self._wire.events, *ids, self.title, self.messages, self.secrets, images)


def _apply(message: Json, pointer: str, verb: str, value: Any) -> None:
    *above, last = pointer.split("/")[1:]
    place: Any = message
    for step in above:
        place = place[int(step) if isinstance(place, list) else step]
    key: Any = int(last) if isinstance(place, list) else last
    value = copy.deepcopy(value)
    if verb == "append" and isinstance(place[key], dict):
        place[key].update(value)
    elif verb == "append":
        place[key] += value
    else:
        place[key] = value


def _token(conduit: str, turn_id: str) -> str:
    """A JSON Web Token like the one that resumes a stream, signed by nobody."""
    claims = {
        "conduit_uuid": conduit,
        "conduit_location": "conduit.invalid:8311",
        "cluster": "unified-7",
        "iat": int(EPOCH),
        "exp": int(EPOCH) + 7200,
        "turn_topic_id": f"conversation-turn-{turn_id}",
    }
    parts = [json.dumps({"alg": "ES256", "typ": "JWT"}), json.dumps(claims), f"signed by nobody {conduit}"]
    return ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)


def words_of(text: str) -> list[str]:
    """The text in pieces of about a word, blanks before the word."""
    return re.findall(r"\s*\S+|\s+", text)

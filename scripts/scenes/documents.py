"""What the page loads of conversations that are over: the service's own account of scenes, as JSON documents."""

import datetime
import json
import re
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

from scripts.scenes.pages import Page
from scripts.scenes.scene import Json, Scene
from scripts.scenes.script import EPOCH

_JSON = (("content-type", "application/json"), ("server", "cloudflare"))
_ROOT = "client-created-root"
_HOUR = 3600.0


def conversation_document(turns: Sequence[Scene]) -> Json:
    """One conversation whole, as GET conversation/{id} has it: the turns in order, all their branches."""
    mapping: Json = {_ROOT: {"id": _ROOT, "message": None, "parent": None, "children": []}}
    for message in _messages(turns):
        parent = message["metadata"].get("parent_id", _ROOT)
        mapping[message["id"]] = {"id": message["id"], "message": message, "parent": parent, "children": []}
        mapping[parent]["children"].append(message["id"])
    about = {key: value for key, value in _item(turns, 0).items() if key not in ("id", "mapping", "current_node")}
    return {
        **about,
        "create_time": EPOCH,
        "update_time": EPOCH + 60.0,
        "mapping": mapping,
        "moderation_results": [],
        "current_node": turns[-1].answer_id,
        "conversation_id": turns[0].conversation_id,
        "default_model_slug": "auto",
        "safe_urls": [],
        "voice": None,
        "async_status": None,
    }


def turns_document(turns: Sequence[Scene], last: int = 10) -> Json:
    """The end of the current branch, as GET conversations/{id}?num_turns= has it: no mapping, only the last turns."""
    return {"messages": _messages(turns[-last:]), "page_info": {"has_more": len(turns) > last}}


def conversation_list(conversations: Sequence[Sequence[Scene]], offset: int = 0, limit: int = 28) -> Json:
    """The sidebar, as GET conversations has it: titles, flags and ISO 8601 times."""
    items = [_item(turns, number) for number, turns in enumerate(conversations)][offset : offset + limit]
    return {"items": items, "total": len(conversations), "limit": limit, "offset": offset}


class Library:
    """The conversations of one person: what the page gets when it scrolls through old chats."""

    def __init__(self, *conversations: Sequence[Scene]) -> None:
        self._conversations = conversations
        self._by_id = {turns[0].conversation_id: turns for turns in conversations}

    def page(self, path: str) -> Page:
        """The answer to a GET; 404 for what is not there."""
        address = urlsplit(path)
        asked = {key: values[-1] for key, values in parse_qs(address.query).items()}
        if address.path == "/backend-api/conversations":
            return _page(
                conversation_list(self._conversations, int(asked.get("offset", 0)), int(asked.get("limit", 28)))
            )
        found = re.fullmatch(r"/backend-api/(conversations?)/([^/]+)", address.path)
        turns = self._by_id.get(found[2]) if found else None
        if found is None or turns is None:
            return Page(404, _JSON, b'{"detail":{"code":"conversation_not_found","message":"Not found."}}')
        last = int(asked.get("num_turns", 10))
        return _page(conversation_document(turns) if found[1] == "conversation" else turns_document(turns, last))


def _messages(turns: Sequence[Scene]) -> list[Json]:
    return [message for scene in turns for message in scene.messages.values()]


def _item(turns: Sequence[Scene], number: int) -> Json:
    return {
        "id": turns[0].conversation_id,
        "title": turns[0].title,
        "create_time": _iso(EPOCH - number * _HOUR),
        "update_time": _iso(EPOCH - number * _HOUR + 60.0),
        "mapping": None,
        "current_node": None,
        "conversation_template_id": None,
        "gizmo_id": None,
        "is_archived": False,
        "is_starred": None,
        "is_do_not_remember": False,
        "conversation_origin": None,
    }


def _iso(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="microseconds")


def _page(document: Json) -> Page:
    return Page(200, _JSON, json.dumps(document).encode())

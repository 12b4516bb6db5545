"""The requests with which the web page sends a prompt and goes on reading its answer."""

import json
import uuid
from collections.abc import Sequence
from typing import Literal, TypedDict, Unpack

from scripts.loopback.exchange import Header

TURN_URL = "https://chatgpt.com/backend-api/f/conversation"
RESUME_URL = f"{TURN_URL}/resume"
SECRETS = (
    "loopback-bearer-5b6f1d0e9c",
    "loopback-session-cookie-77aa20",
    "loopback-clearance-cookie-41e8b3",
    "loopback-requirements-token-0d93f2",
    "loopback-proof-token-be51c7",
    "loopback-turnstile-token-92ad64",
    "loopback-conduit-token-c3170a",
    "loopback-integrity-token-68f40b",
)
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/146.0.0.0 Safari/537.36"


class Turn(TypedDict, total=False):
    """What a prompt is sent with; the first turn of a conversation has no `conversation_id`."""

    message_id: str
    conversation_id: str
    parent_message_id: str
    encoding: Literal["v1", "v0"]
    action: Literal["next", "variant", "continue"]
    model: str
    system_hints: Sequence[str]
    accept_encoding: str


def turn_headers(**turn: Unpack[Turn]) -> list[Header]:
    """The headers of the POST that sends a prompt; every credential in them is one of SECRETS."""
    bearer, session, clearance, requirements, proof, turnstile, conduit, integrity = SECRETS
    conversation_id = turn.get("conversation_id")
    return [
        ("accept", "text/event-stream"),
        ("accept-encoding", turn.get("accept_encoding", "gzip, deflate, br, zstd")),
        ("accept-language", "en-US,en;q=0.9"),
        ("authorization", f"Bearer {bearer}"),
        ("content-type", "application/json"),
        ("cookie", f"__Secure-next-auth.session-token={session}; cf_clearance={clearance}"),
        ("oai-client-build-number", "7714213"),
        ("oai-client-version", "prod-6f0b5f1c0d5a4a3c8c0d6f1f7c1d2e3f40516273"),
        ("oai-device-id", "3f0f6c57-6a41-4ab5-8a0e-5d5a9fbb4c01"),
        ("oai-language", "en-US"),
        ("oai-session-id", "b7a6f1de-52a4-4d0c-bb05-9c7c2ff3a512"),
        ("openai-sentinel-chat-requirements-token", requirements),
        ("openai-sentinel-proof-token", proof),
        ("openai-sentinel-turnstile-token", turnstile),
        ("origin", "https://chatgpt.com"),
        ("referer", f"https://chatgpt.com/c/{conversation_id}" if conversation_id else "https://chatgpt.com/"),
        ("user-agent", BROWSER),
        ("x-conduit-token", conduit),
        ("x-oai-is", integrity),
        ("x-oai-turn-trace-id", str(uuid.uuid4())),
        ("x-openai-target-path", "/backend-api/f/conversation"),
        ("x-openai-target-route", "/backend-api/f/conversation"),
    ]


def turn_request(prompt: str, **turn: Unpack[Turn]) -> tuple[list[Header], bytes]:
    """Headers and body of the POST that sends a prompt."""
    hints = list(turn.get("system_hints", ()))
    action = turn.get("action", "next")
    message = {
        "id": turn.get("message_id") or str(uuid.uuid4()),
        "author": {"role": "user"},
        "create_time": 1790000000.25,
        "content": {"content_type": "text", "parts": [prompt]},
        "metadata": {
            "selected_github_repos": [],
            "selected_all_github_repos": False,
            "serialization_metadata": {"custom_symbol_offsets": []},
            **({"system_hints": hints} if hints else {}),
        },
    }
    body = {
        "action": action,
        **({} if action == "continue" else {"messages": [message]}),
        **({"conversation_id": turn["conversation_id"]} if turn.get("conversation_id") else {}),
        "parent_message_id": turn.get("parent_message_id", "client-created-root"),
        "model": turn.get("model", "auto"),
        "client_prepare_state": "sent",
        "timezone_offset_min": 0,
        "timezone": "Etc/UTC",
        "conversation_mode": {"kind": "primary_assistant"},
        "enable_message_followups": True,
        "system_hints": hints,
        "supports_buffering": True,
        **({"supported_encodings": ["v1"]} if turn.get("encoding", "v1") == "v1" else {}),
        "client_contextual_info": {"is_dark_mode": False, "time_since_loaded": 41, "app_name": "chatgpt.com"},
        "paragen_cot_summary_display_override": "allow",
        "force_parallel_switch": "auto",
    }
    return turn_headers(**turn), json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def resume_request(conversation_id: str, offset: int) -> tuple[list[Header], bytes]:
    """Headers and body of the POST that goes on with an answer after so many events."""
    body = {"conversation_id": conversation_id, "offset": offset}
    return turn_headers(conversation_id=conversation_id), json.dumps(body, separators=(",", ":")).encode()

"""What is free of suspicion is what redaction leaves as it is: whatever it would take out makes a document suspect."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addon.documents.document_redaction import _WRITTEN_IN, redact_document, without_secrets
from addon.wire.redaction import WRITTEN_KEYS
from addon.wire.suspicion import is_suspect
from tests.conftest import CAPTURES, needs_captures

WRITTEN = frozenset({"title", "snippet", "prompt"})
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl"
SIGNED = "https://files.oaiusercontent.com/file-1?se=2026-10-01T00%3A00%3A00Z&sig=abc"
KEYS = (
    "id", "conversation_id", "mapping", "author", "message", "input_message", "content", "metadata", "title", "parts",
    "snippet", "prompt", "name", "value", "key", "url", "text", "token", "tok\u212aen", "stop_tokens", "access_tokens",
    "sig", "sentinel", "asset_pointer", 'a"token', "\\", JWT, "0f8fad5b-d9cb-469f-a165-70867728950e",
)  # fmt: skip
STRINGS = (
    "", "a", "tides", "redacted", "abcdefgh", "Authorization", "session-token.0", JWT, f"see {JWT}", SIGNED, "ws:?a",
    "WSS:?a", f"at {SIGNED} or so", "https://chatgpt.com/backend-api/estuary/content?id=file_1&sig=x", "a=b; sig=c",
    '{"token": "abc"}', f'{{"url": "{SIGNED}"}}', "token=abcdefgh", "Bearer abcdefghijklmnopqrst", "8f3c9a2b1d4e5f60-FRA",
    "0f8fad5b-d9cb-469f-a165-70867728950e", "sk-proj-abcdefghijklmnopqrstuvwxyzabcdef", "\ud83d", "eyJub3RoaW5nIjoxfQ",
    "%22token%22%3A%22abcdef", "token: \u0041bcdefgh", "cookie: a=b", "ZXlKaGJHY2lPaUpJVXpJMU5pSjkuZXlKemRXSWlPaUl4TWpNME4=",
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from(STRINGS), st.text(max_size=12)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)),
    max_leaves=20,
)
DOCUMENTS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8)


def in_ascii(value: Any) -> bytes:
    return json.dumps(value).encode()


def in_utf8(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


@settings(max_examples=600)
@given(DOCUMENTS, st.sampled_from([in_ascii, in_utf8]))
def test_what_is_free_of_suspicion_is_left_as_it_is(document: dict[str, Any], written: Any) -> None:
    text = written(document)
    if not is_suspect(document, WRITTEN):
        assert json.loads(json.dumps(redact_document(text)[1])) == json.loads(text.decode("utf-8", "replace"))
        assert without_secrets(document, text) is document


@pytest.mark.parametrize("place", ["token", "a", "metadata", "content", "url"])
@pytest.mark.parametrize("text", [JWT, SIGNED])
def test_a_credential_makes_a_conversation_suspect_wherever_it_stands(place: str, text: str) -> None:
    message = {"id": "m", "author": {"role": "tool"}, "content": {"content_type": "code", place: text}}
    inside = {"id": "k", "mapping": {"m": {"id": "m", "message": message}}}
    beside = {"id": "k", "mapping": {"m": {"id": "m", "message": {"metadata": {"deep": [{place: text}]}}}}}
    assert is_suspect(beside, WRITTEN)
    assert is_suspect(inside, WRITTEN) == (place != "content")


def test_all_that_somebody_writes_beside_messages_redaction_leaves_too() -> None:
    """Members that `clean_value` passes by are passed by wholly only where `redact` does so as well."""
    assert WRITTEN.union(*_WRITTEN_IN.values()) <= set(WRITTEN_KEYS.split("|"))


@needs_captures
def test_no_real_conversation_without_a_credential_is_suspect() -> None:
    free = 0
    for path in sorted(Path(CAPTURES).glob("*.json")):
        document = json.loads(path.read_bytes())
        if isinstance(document, dict) and "mapping" in document:
            free += not is_suspect(document, WRITTEN)
            assert without_secrets(document, path.read_bytes()) == redact_document(path.read_bytes())[1]
    assert free

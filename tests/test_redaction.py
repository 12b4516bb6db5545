import base64
import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from addon.wire.redaction import EventRedaction, is_bare_text, redact
from addon.wire.value_redaction import clean_value


def jwt(**claims: Any) -> str:
    parts = ({"alg": "RS256", "typ": "JWT"}, {"iat": 1700000000, **claims})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"])


JWT = jwt(conduit_uuid="0123", exp=1700007200)
SIGNED = "https://files.oaiusercontent.com/file-abc?se=2026-10-01&sp=r&sig=c2lnbmF0dXJl%3D"
ESTUARY = "https://chatgpt.com/backend-api/estuary/content?id=file_0&ts=496736&p=fs&cid=1&sig=0123abcd&v=0"
WEBSOCKET = f"wss://ws.chatgpt.com/p24/ws/user/user-x?verify={JWT}"
SECRETS = (JWT, "c2lnbmF0dXJl", "0123abcd", "verify", "s3cret")


def redacted(value: Any, *, tokens: bool = False) -> Any:
    """What is left of a JSON value; every way to write the same JSON must give the same."""
    left = json.loads(redact(json.dumps(value).encode(), tokens=tokens))
    for style in ({"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False, "separators": (" ,", " : ")}):
        data = json.dumps(value, **style).encode()
        once = redact(data, tokens=tokens)
        assert json.loads(once) == left
        assert redact(once, tokens=tokens) is once
        if left == value:
            assert once is data
    return left


# What goes


@pytest.mark.parametrize(
    "key",
    [
        "token", "access_token", "accessToken", "refresh_token", "id_token", "sessionToken", "conduit_token", "resume_token",
        "arkose_token", "turnstile_token", "proof_token", "csrfToken", "x-csrf-token", "device_token", "x-conduit-token",
        "X-Conduit-Token", "openai-sentinel-chat-requirements-token", "OpenAI-Sentinel-Proof-Token", "openai-sentinel-turnstile",
        "x-oai-is", "Authorization", "proxy-authorization", "Cookie", "cookies", "Set-Cookie", "verify", "sig", "signature",
        "password", "secret", "client_secret", "api_key", "apiKey", "x-api-key", "jwt",
    ],
)  # fmt: skip
def test_the_value_of_a_secret_key_goes_wherever_it_is(key: str) -> None:
    for secret in ("s3cret", 's3"cr\\et', "s3cret\n", "Bearer s3cret", JWT, "gAAAAABs3cret~S"):
        assert redacted({"a": [{key: secret, "b": "kept"}]}) == {"a": [{key: "redacted", "b": "kept"}]}
    assert redacted({key: ""}) == {key: ""}
    assert redacted({key: None, "b": 1}) == {key: None, "b": 1}


@pytest.mark.parametrize("key", ["max_tokens", "file_token_size", "tokenizer", "sign", "author", "cookie_consent", "verified", "signatures", "secretary"])  # fmt: skip
def test_a_key_that_only_resembles_one_stays(key: str) -> None:
    assert redacted({key: "value"}) == {key: "value"}


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (
            {"type": "resume_conversation_token", "kind": "topic", "token": jwt(turn_topic_id="conversation-turn-0a-1b"), "conversation_id": "K"},
            {"type": "resume_conversation_token", "kind": "topic", "token": "redacted turn_topic_id=conversation-turn-0a-1b", "conversation_id": "K"},
        ),
        ({"status": "ok", "conduit_token": JWT}, {"status": "ok", "conduit_token": "redacted"}),
        ({"websocket_url": WEBSOCKET}, {"websocket_url": "wss://ws.chatgpt.com/p24/ws/user/user-x?redacted"}),
        (
            {"wss_url": f"wss://x.webpubsub.azure.com/client/hubs/conversations?access_token={JWT}", "conversation_id": "K"},
            {"wss_url": "wss://x.webpubsub.azure.com/client/hubs/conversations?redacted", "conversation_id": "K"},
        ),
        ({"wss_url": f"wss://async-2.chatgpt.com/client?access_token={JWT}"}, {"wss_url": "wss://async-2.chatgpt.com/client?redacted"}),
        ({"download_url": SIGNED}, {"download_url": "https://files.oaiusercontent.com/file-abc?redacted"}),
        ({"download_url": ESTUARY}, {"download_url": "https://chatgpt.com/backend-api/estuary/content?id=file_0&redacted"}),
        ({"thumbnail": {"path": "/backend-api/estuary/content?id=f&sig=0123abcd"}}, {"thumbnail": {"path": "/backend-api/estuary/content?redacted"}}),
        ({"upload_url": "https://x.blob.core.windows.net/f?sig=0123abcd"}, {"upload_url": "https://x.blob.core.windows.net/f?redacted"}),
        ({"url": 'https://x.oaiusercontent.com/f?name="a"&sig=0123abcd'}, {"url": "https://x.oaiusercontent.com/f?redacted"}),
        ({"metadata": {"resume": JWT}}, {"metadata": {"resume": "redacted"}}),
        ({"url": "https://example.com/?q=1&signal=open"}, {"url": "https://example.com/?q=1&signal=open"}),
        ({"url": "https://files.oaiusercontent.com/file-abc"}, {"url": "https://files.oaiusercontent.com/file-abc"}),
        ({"asset_pointer": "sediment://file_0#p_3.jpg"}, {"asset_pointer": "sediment://file_0#p_3.jpg"}),
        ({"marker": "last_token", "a": ["token", "x"]}, {"marker": "last_token", "a": ["token", "x"]}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("tokens", [False, True])
def test_what_the_service_sends_loses_its_secrets_and_nothing_else(value: Any, left: Any, tokens: bool) -> None:
    assert redacted(value, tokens=tokens) == left
    assert not any(secret in json.dumps(left) for secret in SECRETS)


def test_a_url_whose_slashes_or_ampersands_are_escaped_goes_too() -> None:
    data = rb'{"url":"https:\/\/x.oaiusercontent.com\/f?a=1\u0026sig=0123abcd","b":"https:\/\/chatgpt.com\/backend-api\/estuary\/content?sig=1"}'
    left = rb'{"url":"https:\/\/x.oaiusercontent.com\/f?redacted","b":"https:\/\/chatgpt.com\/backend-api\/estuary\/content?redacted"}'
    assert [redact(data, tokens=tokens) for tokens in (False, True)] == [left, left]


@pytest.mark.parametrize(
    ("topic", "kept"),
    [
        ("conversation-turn-0a", "redacted turn_topic_id=conversation-turn-0a"),
        ('x","token":"y', "redacted"),
        ("x" * 300, "redacted"),
        ("", "redacted"),
        (7, "redacted"),
        ("\ud83d", "redacted"),
    ],
)
def test_only_a_topic_that_looks_like_one_is_kept_of_a_token(topic: Any, kept: str) -> None:
    assert redacted({"token": jwt(turn_topic_id=topic)}) == {"token": kept}


@pytest.mark.parametrize("token", ["a.b.c", "a.%%.c", "..", "a.bnVsbA.c", "a.WzFd.c", "a.W1tb.c", "x.y"])
def test_a_token_that_cannot_be_read_goes_whole(token: str) -> None:
    assert redacted({"token": token}) == {"token": "redacted"}


# What stays: what a person or the model wrote


WRITTEN = [
    f"my token is {JWT}",
    JWT,
    f"Authorization: Bearer {JWT}",
    '{"token": "x", "password": "hunter2"}',
    'code = {"password": "hunter2", "sig": "y"}',
    f"see {SIGNED} please",
    SIGNED,
    ESTUARY,
    WEBSOCKET,
    f'{{"download_url": "{SIGNED}"}}',
    f'a "quoted": "{SIGNED}"',
    '","token":"x","',
    '\\","token":"x"',
    'a\\\\"token": "x"',
    "token",
    '"token"',
    '"token": "',
]


@pytest.mark.parametrize("text", WRITTEN)
def test_what_was_written_passes_unchanged(text: str) -> None:
    message = {"id": "M", "author": {"role": "user"}, "content": {"content_type": "text", "parts": [text]}}
    for value in (
        {"action": "next", "messages": [message], "model": "auto"},
        {"message": message, "conversation_id": "K", "error": None},
        {"p": "", "o": "add", "v": {"message": message}, "c": 0},
        {"p": "/message/content/parts/0", "o": "append", "v": text},
        {"v": text},
        {"v": [{"p": "/message/content/parts/0", "o": "append", "v": text}]},
        {"message": {"content": {"content_type": "code", "language": "json", "text": text}}},
        {"message": {"content": {"content_type": "thoughts", "thoughts": [{"summary": text, "content": text}]}}},
        {"type": "input_message", "input_message": message},
        {"title": text, "name": text, "prompt": text, "query": text},
    ):
        assert redacted(value) == value


def test_a_sentence_that_begins_with_a_signed_url_keeps_its_words() -> None:
    value = {"message": f"{SIGNED} is what I saw"}
    assert redacted(value) == value


def test_tokens_are_shapes_at_the_start_of_a_word() -> None:
    value = {"type": "title_generation", "title": "HotKeyJavaListener.java and monkeyJungleBook, eyJ, token"}
    assert redacted(value, tokens=True) == value
    for before in (" ", "\n", "=", "%20", "%3D", '"', "'", "\\", ":", "é", "("):
        assert redacted({"x": [f"a{before}{JWT}{before}b"]}, tokens=True) == {"x": [f"a{before}redacted{before}b"]}


def test_with_tokens_shapes_go_wherever_they_stand() -> None:
    assert redacted({"x": [f"see {SIGNED} and {JWT}"], "y": [ESTUARY], "v": JWT}, tokens=True) == {
        "x": ["see https://files.oaiusercontent.com/file-abc?redacted and redacted"],
        "y": ["https://chatgpt.com/backend-api/estuary/content?id=file_0&redacted"],
        "v": "redacted",
    }
    assert redact(f'{{\\"url\\":\\"{SIGNED}\\"}}'.encode(), tokens=True) == (
        b'{\\"url\\":\\"https://files.oaiusercontent.com/file-abc?redacted\\"}'
    )


# JSON that was cut


def test_of_an_event_that_was_cut_no_secret_is_left_wherever_the_cut_is() -> None:
    secrets = [JWT, jwt(turn_topic_id="conversation-turn-1"), SIGNED.partition("?")[2], ESTUARY.partition("?")[2]]
    first, second, third, fourth = secrets
    event = json.dumps({"type": "x", "token": second, "sig": "s3cret", "u": SIGNED, "l": [JWT, ESTUARY]}).encode()
    for length in range(len(event)):
        left = redact(b"data: " + event[:length], tokens=True)
        assert not any(secret[:20].encode() in left for secret in (third, fourth, "s3cret")), length
        assert first[: len(first) // 2].encode() not in left, length


# Any JSON at all


KEYS = st.sampled_from(["token", "url", "v", "text", "a", "sig", "parts", 'a"token', "\\"])
STRINGS = st.one_of(
    st.text(max_size=5), st.sampled_from([*WRITTEN, SIGNED, ESTUARY, WEBSOCKET, JWT, "redacted", '"', "\\"])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.integers(), STRINGS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


@given(VALUES, st.booleans())
@example({"url": 'https://x.oaiusercontent.com/?"'}, False)
def test_what_is_left_is_valid_json_of_the_same_shape(value: Any, tokens: bool) -> None:
    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shape(inner) for key, inner in value.items()}
        return [shape(inner) for inner in value] if isinstance(value, list) else type(value)

    assert shape(redacted(value, tokens=tokens)) == shape(value)


@given(st.binary(), st.booleans())
def test_any_bytes_are_redacted_once_and_for_all(data: bytes, tokens: bool) -> None:
    once = redact(data, tokens=tokens)
    assert redact(once, tokens=tokens) == once


MEGABYTE = 1_000_000
ADVERSARIAL = {
    "hosts": (b'{"url":"https:', b"oaiusercontent.com/", b'"}'),
    "queries": (b'{"url":"https:', b"oaiusercontent.com?", b""),
    "underscores": (b'"', b"token_", b'"'),
    "dashes": (b'{"', b"-", b'token":"x"}'),
    "keys": (b"", b'"token":"', b""),
    "blanks": (b'"token"', b" ", b"?eyJ"),
    "backslashes": (b'"token":"', b"\\", b"?eyJ"),
    "quotes": (b'wss:"', b'"', b"?eyJ"),
    "escapes": (b'{"url":"wss:', b"\\u0026", b'?x"}'),
    "tokens": (b"?wss:", b"eyJ", b""),
    "words": (b"?wss:", b".eyJaaaaaaaa", b""),
    "dots": (b"eyJaaaaaaaa", b".", b""),
    "marks": (b"wss:", b"?", b""),
}


@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize("name", ADVERSARIAL)
def test_no_input_makes_it_hang(name: str, tokens: bool) -> None:
    before, repeated, after = ADVERSARIAL[name]
    data = before + repeated * (MEGABYTE // len(repeated)) + after
    began = time.process_time()
    redact(data, tokens=tokens)
    # Linear takes well below a second, quadratic minutes: a net against hangs, no measurement.
    assert time.process_time() - began < 5


LINK = "https://files.oaiusercontent.com/file-1?se=2026&sig=SECRET"
JWT_SHAPED = "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.SECRET"


@pytest.mark.parametrize(
    "payload",
    [
        {"p": "/message/metadata/image_url", "o": "replace", "v": LINK},
        {"p": "/message/metadata/conduit_token", "o": "add", "v": f"{JWT_SHAPED}"},
        {"p": "/message/metadata/safe_urls", "o": "append", "v": [LINK]},
        {"p": "", "o": "patch", "v": [{"p": "/message/metadata/x", "o": "add", "v": {"list": [LINK, JWT_SHAPED]}}]},
        {"p": "", "o": "add", "v": {"message": {"id": "m", "metadata": {"safe_urls": [LINK]}}}},
        {"message": {"id": "m", "metadata": {"safe_urls": [LINK]}}, "conversation_id": "c"},
        {"type": "input_message", "input_message": {"id": "m", "metadata": {"urls": [LINK]}}},
        {"type": "news", "words": [f"see {LINK} and {JWT_SHAPED}"]},
        {"error": f"no {JWT_SHAPED}"},
    ],
)
def test_an_event_keeps_no_secret_of_the_service(payload: dict[str, object]) -> None:
    assert b"SECRET" not in EventRedaction().clean(json.dumps(payload).encode())


@pytest.mark.parametrize(
    "payload",
    [
        {"p": "/message/content/parts/0", "o": "append", "v": f"{LINK} {JWT_SHAPED}"},
        {"v": f"{LINK}"},
        {"p": "", "o": "patch", "v": [{"p": "/message/content/parts/0", "o": "append", "v": f"{JWT_SHAPED}\ud83d?"}]},
        {"message": {"id": "m", "content": {"parts": [LINK, JWT_SHAPED]}, "metadata": {"a": "b?"}}},
        {"type": "input_message", "input_message": {"id": "m", "content": {"parts": [JWT_SHAPED]}}},
    ],
)
def test_an_event_keeps_what_was_written(payload: dict[str, object]) -> None:
    data = json.dumps(payload).encode()
    assert EventRedaction().clean(data) is data


@pytest.mark.parametrize(
    "data", [b'{"v":"a text"}', b'{"v": " a, {text}: [1]"}  ', b'{"v": ""}', b'{"v": "eyJhbGciOi.eyJ"}']
)
def test_a_bare_text_is_told_without_reading_it(data: bytes) -> None:
    assert is_bare_text(data)
    assert EventRedaction().clean(data) is data


@pytest.mark.parametrize(
    "data",
    [
        b'{"v": 1, "token": "abc"}',
        b'{"v": "a", "token": "abc"}',
        b'{"v": {"token": "abc"}}',
        b'{"v": ["token", "abc"]}',
        b'{"v": "a \\" quotation"}',
        b'{"p": "/a", "v": "b"}',
        b'{"v": "cut',
        b'{"v": 1, "token"}',
        b"",
    ],
)
def test_nothing_else_is_a_bare_text(data: bytes) -> None:
    assert not is_bare_text(data)


def test_what_holds_no_credential_is_itself_also_where_its_names_have_been_seen_before() -> None:
    for _ in range(2):
        value = json.loads('{"serialization_metadata": {"custom_symbol_offsets": [], "finish_details": "stop_tokens"}}')
        assert clean_value(value) is value
    identity = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
    value = {"children_of_it": [identity], "access_token": identity, identity: {"note_on_it": "token=abcdefgh"}}
    left = {"children_of_it": [identity], "access_token": "redacted", identity: {"note_on_it": "token=redacted"}}
    assert clean_value(value) == left

"""Credentials in every form in which the wire carries one, in what no person wrote: none is left."""

import base64
import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.documents.document_redaction import redact_document
from addon.wire import shapes
from addon.wire.redaction import EventRedaction, redact, redact_json, redact_unread
from addon.wire.shapes import clean_shapes, clean_text, may_hold_secrets
from addon.wire.value_redaction import clean_value

SECRET = "Canary0123456789abcdef0123456789"
JWT = f"eyJhbGciOiJSUzI1NiJ9.{base64.b64encode(SECRET.encode()).decode().rstrip('=')}.{SECRET}"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


CARRIERS: dict[str, Any] = {
    "a list": {"access_token": [SECRET]},
    "names that say whose": {
        "websocket_verify": SECRET,
        "turn_jwt": SECRET,
        "url-sig": SECRET,
        "contentSignature": SECRET,
        "resumeJwt": SECRET,
    },
    "several": {"tokens": [SECRET], "secrets": {"a": SECRET}},
    "an object": {"token": {"value": SECRET, "expires": 3}},
    "cookies": {"cookies": [{"name": "x", "value": SECRET}]},
    "a header by name": {
        "headers": [{"name": "Authorization", "value": SECRET}, {"name": "X-New-Token", "value": SECRET}]
    },
    "a cookie by name": {"list": [{"name": "cf_clearance", "value": SECRET}]},
    "JSON in text": {"payload": json.dumps({"access_token": SECRET})},
    "JSON in JSON in text": {"payload": json.dumps({"inner": json.dumps({"access_token": SECRET})})},
    "JSON in base64": {"state": encoded(json.dumps({"a": SECRET}))},
    "JSON with blanks in base64": {"state": encoded(f'{{ "token": "{SECRET}" }}')},
    "a list in base64": {"state": encoded(json.dumps([{"token": SECRET}]))},
    "JSON in percents": {"state": quote(json.dumps({"access_token": SECRET}))},
    "JSON in percents, twice": {"state": quote(quote(json.dumps({"access_token": SECRET})))},
    "a URL in percents": {"next": quote(f"https://files.oaiusercontent.com/f?sig={SECRET}", safe="")},
    "a fragment": {"url": f"https://chatgpt.com/cb#access_token={SECRET}&x=1"},
    "a form": {"body": f"grant=x&client_secret={SECRET}&scope=y"},
    "a shared access signature": {"url": f"https://x.example/f?se={SECRET}&st={SECRET}&sig={SECRET}"},
    "a header in text": {"note": f"x-conduit-token: {SECRET}"},
    "a bearer": {"note": f"got Authorization: Bearer {SECRET}"},
    "a bearer alone": {"note": f"Bearer {SECRET}"},
    "cookies in text": {"note": f"__Secure-next-auth.session-token.0={SECRET}; cf_clearance={SECRET}"},
    "a cookie header in text": {"note": f"Set-Cookie: oai-sc={SECRET}; Path=/"},
    "a script": {"note": f"window._x = {{token: '{SECRET}', sig:\"{SECRET}\"}}"},
    "a key": {"note": "sk-proj-" + SECRET},
    "a JWT as a key": {"map": {JWT: 1}},
    "a JWT in text": {"text": f"see {JWT} now", "title": f"see {JWT}", "content": [f"see {JWT}"]},
    "a JWT in a list": {"list": [JWT]},
    **{
        f"a URL with {name}": {"url": f"https://x.example/f?a=1&{name}={SECRET}&b=2"}
        for name in ("token", "access_token", "sig", "signature", "verify", "X-Amz-Signature", "X-Goog-Credential")
    },
}

EVENTS: dict[str, Callable[[Any], Any]] = {
    "typed": lambda value: {"type": "news", "payload": value},
    "typed, flat": lambda value: {"type": "news", **value},
    "metadata": lambda value: {"p": "/message/metadata/x", "o": "add", "v": value},
    "patched metadata": lambda value: {"p": "/message", "o": "patch", "v": [{"p": "/metadata/x", "o": "add", "v": value}]},
    "a message": lambda value: {"p": "", "o": "add", "v": {"message": {"id": "m", "metadata": value}}},
    "beside a message": lambda value: {"p": "", "o": "add", "v": {"message": {"id": "m"}, "beside": value}},
    "a whole message": lambda value: {"p": "/message", "o": "replace", "v": {"id": "m", "author": {}, "metadata": value}},
    "v0": lambda value: {"message": {"id": "m", "author": {}, "metadata": value}, "error": None},
    "v0, beside": lambda value: {"message": {"id": "m"}, "error": value},
    "an update": lambda value: {"type": "conversation-update", "payload": {"update_content": {"messages": [{"metadata": value}]}}},
}  # fmt: skip


def holds(data: bytes) -> bool:
    """Whether the secret is in it, plain or in base64."""
    runs = [run[shift:] for run in re.findall(rb"[A-Za-z0-9+/]{30,}", data) for shift in range(4)]
    decoded = [base64.b64decode(run[: len(run) // 4 * 4]) for run in runs]
    return any(SECRET[:20].encode() in part for part in (data, *decoded))


@pytest.mark.parametrize("carrier", CARRIERS)
def test_no_form_of_a_credential_is_left_in_what_no_person_wrote(carrier: str) -> None:
    value = CARRIERS[carrier]
    assert not holds(json.dumps(clean_value(value)).encode())
    assert clean_value(clean_value(value)) == clean_value(value)
    for name, event in EVENTS.items():
        for separators in ((", ", ": "), (",", ":")):
            data = json.dumps(event(value), separators=separators).encode()
            assert holds(data)
            assert not holds(EventRedaction().clean(data)), name
    assert not holds(redact_document(json.dumps({"id": "k", "list": [value]}).encode(), "init")[0])
    assert not holds(redact_document(json.dumps({"id": "k", "metadata": {"id": "m", **value}}).encode())[0])
    assert not holds(redact_json(json.dumps(value).encode())[0])
    assert not holds(redact_unread(b"data: " + json.dumps(value).encode() + b"\n\ncut"))


@pytest.mark.parametrize("carrier", CARRIERS)
def test_what_was_written_keeps_each_of_them(carrier: str) -> None:
    said = json.dumps(CARRIERS[carrier])
    message = {
        "id": "m",
        "author": {"role": "user"},
        "content": {"content_type": "text", "parts": [said]},
        "metadata": {},
    }
    events = EventRedaction()
    for payload in (
        {"message": message, "conversation_id": "k", "error": None},
        {"p": "", "o": "add", "v": {"message": message}},
        {"p": "/message/content/parts/0", "o": "append", "v": said},
        {"v": said},
        {"type": "input_message", "input_message": message},
        {"type": "news", "messages": [message]},
    ):
        data = json.dumps(payload).encode()
        assert events.clean(data) is data
    request = json.dumps({"messages": [message]}).encode()
    assert redact_json(request)[0] is request
    document = json.dumps({"id": "k", "title": said, "mapping": {"m": {"id": "m", "message": message}}}).encode()
    assert redact_document(document)[0] is document


def test_a_token_that_comes_in_pieces_is_recognised() -> None:
    events = EventRedaction()
    pieces = [JWT[:3], JWT[3:14], JWT[14:40], JWT[40:]]
    first = {"p": "/message/metadata/x", "o": "append", "v": pieces[0]}
    left = [events.clean(json.dumps(event).encode()) for event in (first, *({"v": piece} for piece in pieces[1:]))]
    assert [json.loads(event)["v"] for event in left] == ["eyJ", "redacted", "redacted", "redacted"]
    plain = EventRedaction()
    first["v"] = "some words"
    assert plain.clean(json.dumps(first).encode()) == json.dumps(first).encode()
    assert plain.clean(b'{"v":" and more"}') == b'{"v":" and more"}'


def test_what_goes_on_with_a_secret_member_is_secret() -> None:
    events = EventRedaction()
    events.clean(b'{"p":"/message/metadata/access_token","o":"append","v":"Canary"}')
    assert json.loads(events.clean(b'{"v":"0123456789"}')) == {"v": "redacted"}
    events.clean(b'{"p":"/message/content/parts/0","o":"append","v":"Canary"}')
    assert events.clean(b'{"v":"0123456789"}') == b'{"v":"0123456789"}'


def test_a_name_that_is_written_with_escapes_is_read() -> None:
    data = (
        b'{"type":"x","access\\u005ftoken":"'
        + SECRET.encode()
        + b'","u":"https://ws.chatgpt.com/f\\u003fx='
        + SECRET.encode()
        + b'"}'
    )
    assert not holds(EventRedaction().clean(data))


@pytest.mark.parametrize(
    "text",
    [
        "a token is a word", "designing: x", "signature dish", "the basic idea of it", "max_tokens=4096", "bearer of bad news",
        "task-force-of-many-people-in-many-places-and-more", "https://x.example/?q=1&signal=open&design=5", "KeyJavaScript",
        "{\"a\": 1}", "[1, 2]", "100%25 of it", "cookie: a small biscuit", "verify: it works", "passwords matter",
    ],
)  # fmt: skip
def test_what_only_resembles_one_stays(text: str) -> None:
    assert clean_text(text) == text
    value = {"list": [text], "name": text, "metadata": {"snippet": text}}
    assert clean_value(value) is value


@given(
    st.one_of(st.binary(), st.sampled_from([json.dumps(value).encode() for value in CARRIERS.values()])), st.binary()
)
def test_it_is_done_once_and_for_all_and_only_where_there_is_a_hint(data: bytes, more: bytes) -> None:
    clean = clean_shapes(data + more)
    assert clean_shapes(clean) == clean
    if clean != data + more:
        assert may_hold_secrets(data + more)
    assert redact(redact(data, tokens=True), tokens=True) == redact(data, tokens=True)


NAMED = rb"(?:token|secret|password|api[_-]?key|(?<![A-Za-z0-9])(?:sig|signature|verify|jwt|authorization)" + (
    rb"|(?<![A-Za-z0-9])x-(?:amz|goog)-(?:signature|credential|security-token)"
    rb"|session-token\.[0-9]|cf_clearance|__cf_bm|_cfuvid|_puid|oai-sc)"
)
PLAIN = {
    "_WITH_QUERY": rb'(?:[^"\\\s?]|\\[/u])++\?((?:[^"\\\s]|\\[/u])++)|(?:[^"\\\s?]|\\[/u])++',
    "_ASSIGNED": rb"""(?i)%s(?:=|%%3D)((?:[^"'\\\s&;,%%<>)\]}]|%%(?!2[26C]|3B)|\\+/)++)""" % NAMED,
    "_QUOTED": rb"""(?i)(?:cookie|%s)(?:\\*+["'])?+\s*+[:=]\s*+\\*+["']((?:[^"'\\]|\\+[/u])++)""" % NAMED,
    "_HEADER": rb"(?i)(?<![A-Za-z0-9_-])(?:(?:proxy-)?authorization|x-[a-z-]{0,40}token|openai-sentinel-[a-z-]{1,60}"
    rb"""|x-oai-is)\s*+:\s*+([^"'\\\s,;]++(?: [^"'\\\s,;]++)?+)""",
    "_COOKIE": rb"""(?i)(?<![A-Za-z0-9_-])(?:set-)?cookie\s*+:\s*+([^"'\\\s=;]{1,100}+=[^"'\\\r\n]++)""",
    "_BEARER": rb"(?i)(?<![A-Za-z0-9])bearer(?:\s|%20|\+)\s*+([A-Za-z0-9._~+/=-]{16,}+)",
    "_KEY": rb"(?<![A-Za-z0-9])(?:sk-(?:proj-|sess-)?[A-Za-z0-9_-]{32,}+|gAAAAA[A-Za-z0-9_-]{40,}+)",
    "_BASE64": rb"(?<![A-Za-z0-9+/_-])(?:eyA|ewo|ew0|W3s|WyJ|WyA|Wwo|QmVhcmVy|QXV0aG9y)[A-Za-z0-9+/_-]{20,}+={0,2}+",
    "_PERCENT": rb'(?<![^\s"\\<>])(?:[^\s"\\<>%]|%(?![0-9A-Fa-f]{2}))*+%[0-9A-Fa-f]{2}[^\s"\\<>]*+',
}
"""Each expression as one would write it who has time: what is found is the same, a few times slower."""

PIECES = [
    "token", "secret", "password", "api_key", "apikey", "sig", "signature", "verify", "jwt", "authorization",
    "x-amz-signature", "x-goog-credential", "x-amz-security-token", "session-token.0", "cf_clearance", "__cf_bm", "_cfuvid",
    "_puid", "oai-sc", "cookie", "set-cookie", "x-oai-is", "x-new-token", "proxy-authorization", "bearer", "sk-", "sk-proj-",
    "openai-sentinel-proof-token", "gAAAAA", "eyJ", "eyA", "W3s", "QmVhcmVy", "redacted", SECRET, JWT, "A" * 40, "a", "B",
    "9", "=", "%3D", "%22", "%20", "%2C", "+", "?", "&", ";", ",", ":", "\\", "\\/", "\\u", '"', "'", '\\"', "<", ">", ")",
    "_", "-", ".", "/", "https://a.b/f", " ", "\t", "\r\n", "\xe9", "\0",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from([*PIECES, *map(str.upper, PIECES), *map(str.title, PIECES)]), max_size=12).map("".join)


def found(expression: re.Pattern[bytes], data: bytes) -> list[tuple[int, int]]:
    """Where there is something that has to go."""
    spans = [match.span(expression.groups) for match in expression.finditer(data)]
    return [span for span in spans if span != (-1, -1)]


@given(st.one_of(TEXTS.map(str.encode), st.binary()))
def test_the_quick_expressions_find_what_the_plain_ones_find(data: bytes) -> None:
    for name, plain in PLAIN.items():
        cased = data if name in ("_WITH_QUERY", "_KEY", "_BASE64", "_PERCENT") else data.lower()
        assert found(getattr(shapes, name), cased) == found(re.compile(plain), data), name


@pytest.mark.parametrize(
    "repeated",
    [
        b"token=", b"sig=a&", b"%22", b"%25", b"authorization:", b"cookie: a", b"bearer ", b"eyA", b"eyAabcdefgh.", b"token: '",
        b"x-", b"x-a-", b"sk-", b"gAAAAA", b"https://a?sig=", b"se=", b"'", b"\\", b"\\\"token\\\": ", b"W3sabcdefghijklmnopqrstuv ",
    ],
)  # fmt: skip
def test_no_text_makes_it_hang(repeated: bytes) -> None:
    began = time.process_time()
    clean_shapes(b"?token " + repeated * (1_000_000 // len(repeated)))
    # Linear takes well below a second, quadratic minutes: a net against hangs, no measurement.
    assert time.process_time() - began < 8


@pytest.mark.parametrize("value", [SECRET, [SECRET], {"a": SECRET}])
def test_what_goes_on_with_a_secret_member_is_taken_out_whatever_stands_between(value: Any) -> None:
    events = EventRedaction()
    for event in (
        {"p": "/message/metadata/resume_token", "o": "replace", "v": ""},
        {"type": "message_marker", "nested": {"p": "/message/content/parts/0"}},
        {"type": "other", "list": [{"p": "elsewhere"}]},
    ):
        events.clean(json.dumps(event).encode())
    assert SECRET.encode() not in events.clean(
        json.dumps({"c": 0, "p": "/message/metadata/token", "v": value}).encode()
    )
    assert SECRET.encode() not in events.clean(json.dumps({"v": value}).encode())


def test_what_stands_between_two_pieces_of_a_message_leaves_its_words_alone() -> None:
    events = EventRedaction()
    words = json.dumps({"v": " Authorization: Bearer abcdefghijklmnop0123"}).encode()
    events.clean(b'{"p": "/message/content/parts/0", "o": "append", "v": "So:"}')
    assert events.clean(words) == words
    events.clean(b'{"type": "message_marker", "list": [{"p": "elsewhere"}]}')
    assert events.clean(words) == words

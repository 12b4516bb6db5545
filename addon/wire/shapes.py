"""What credentials look like: bytes of text in, the same bytes without them out.

For what no person wrote. By their form alone: JWTs, signed URLs, `name=value` and `"name": "value"` with a name that
tells, headers and cookies quoted in text, keys with a known prefix; also where such text was encoded once more, by
percent signs or in base64. Nothing that is replaced holds a quotation mark, so JSON stays JSON.

Every repetition is possessive or begins where no other can: the time is linear in the data, whatever somebody puts
into it. Each expression begins with a letter, which `re` looks for quickly, and no piece of the data is made an object
of its own unless it has to go: megabytes may come at once.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from io import BytesIO
from urllib.parse import quote_from_bytes, unquote_to_bytes

REDACTED = b"redacted"

SECRET_KEYS = (
    r"[a-z0-9_-]*(?:token|secret|password|api[_-]?key|signature|jwt)|(?:[a-z0-9_-]*[_-])?(?:verify|sig)|"
    r"(?:proxy-)?authorization|(?:set-)?cookies?|x-oai-is|openai-sentinel-[a-z-]+"
)
"""Names of JSON members, parameters and headers whose values are credentials; case does not matter."""

_MOST_ENCODINGS = 3


def _at_start(*words: bytes, of: bytes = rb"a-z0-9") -> bytes:
    """An expression for any of these, in a place before which stands none of the characters `of`."""
    return b"|".join(rb"%s(?<![%s]%s)%s" % (word[:1], of, word[:1], word[1:]) for word in words)


# A word with a query, from the beginning of the word.
_WITH_QUERY = re.compile(rb'(?<![^"\\\s?])(?<!\\(?=[/u]))((?:[^"\\\s?]++|\\[/u])++)\?((?:[^"\\\s]++|\\[/u])++)')
SIGNED = re.compile(
    rb"(?i)\Awss?:|oaiusercontent\.com|blob\.core\.windows\.net|webpubsub\.azure\.com|ws\.chatgpt\.com|estuary(?:\\?/)content"
)
"""URLs of which the query is a signature as a whole."""
# The id by which estuary names a file is no secret, and nothing else says which file a URL was of.
_ESTUARY_ID = re.compile(rb"(?:^|&|\\u0026)(id=file[-_][A-Za-z0-9_.%*-]{1,200})(?=&|\\u0026|$)")
_SHARED_ACCESS = re.compile(rb"(?i)(?<![A-Za-z0-9])(s[etprv]|sk[a-z]{1,3})=[^&\\;,)\]}<>']++")
_HAS_SIGNATURE = re.compile(rb"(?i)(?<![A-Za-z0-9])sig=")

# At the start of a word, an escape of JSON or of a URL included: "KeyJavaScriptConcepts" is no token.
JWT = re.compile(
    rb"eyJ(?:(?<![A-Za-z0-9]eyJ)|(?<=\\[bfnrt]eyJ)|(?<=\\u[0-9A-Fa-f]{4}eyJ)|(?<=%[0-9A-Fa-f]{2}eyJ))"
    rb"[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+){0,4}+"
)

# For data in lower case, down to `_BEARER`; what has to go is the group.
_NAMED = (
    rb"token|secret|password|api[_-]?key|session-token\.[0-9]|cf_clearance|__cf_bm|_cfuvid|_puid|oai-sc|"
    + _at_start(rb"sig", rb"signature", rb"verify", rb"jwt", rb"authorization", rb"x-(?:amz|goog)-credential")
)
_ASSIGNED = re.compile(rb"""(?:%s)(?:=|%%3d)((?:[^"'\\\s&;,%%<>)\]}]++|%%(?!2[26c]|3b)|\\++/)++)""" % _NAMED)
_QUOTED = re.compile(
    rb"""(?:cookie|%s)(?:\\*+["'])?+\s*+[:=]\s*+\\*+["']((?:[^"'\\]++|\\++[/u])++)""" % _NAMED,
)
_HEADER = re.compile(
    rb"""(?:%s)\s*+:\s*+([^"'\\\s,;]++(?: [^"'\\\s,;]++)?+)"""
    % _at_start(
        rb"authorization", rb"proxy-authorization", rb"x-[a-z-]{0,40}token", rb"x-oai-is",
        rb"openai-sentinel-[a-z-]{1,60}", of=rb"a-z0-9_-",
    )
)  # fmt: skip
_COOKIE = re.compile(
    rb"""(?:%s)\s*+:\s*+([^"'\\\s=;]{1,100}+=[^"'\\\r\n]++)""" % _at_start(rb"cookie", rb"set-cookie", of=rb"a-z0-9_-")
)
_BEARER = re.compile(rb"(?:%s)(?:\s|%%20|\+)\s*+([a-z0-9._~+/=-]{16,}+)" % _at_start(rb"bearer"))
_KEY = re.compile(
    _at_start(rb"sk-(?:proj-|sess-)?[A-Za-z0-9_-]{32,}+", rb"gAAAAA[A-Za-z0-9_-]{40,}+", of=rb"A-Za-z0-9")
)
# What JSON and an Authorization header begin with in base64; what begins with `{"` is taken for a JWT.
_BASE64 = re.compile(
    rb"(?:%s)[A-Za-z0-9+/_-]{20,}+={0,2}+"
    % _at_start(
        rb"eyA", rb"ewo", rb"ew0", rb"W3s", rb"WyJ", rb"WyA", rb"Wwo", rb"QmVhcmVy", rb"QXV0aG9y", of=rb"A-Za-z0-9+/_-"
    )
)
_PERCENT = re.compile(rb'(?<![^\s"\\<>])(?:[^\s"\\<>%]++|%(?![0-9A-Fa-f]{2}))*+%[0-9A-Fa-f]{2}[^\s"\\<>]*+')

# One of these stands in whatever the expressions above find, and in each name of `SECRET_KEYS`; lower case. One of the
# second in each signed URL.
_HINTS = (
    "token", "secret", "password", "api_key", "api-key", "apikey", "authorization", "cookie", "bearer", "sig", "verify",
    "jwt", "sk-", "gaaaaa", "x-amz", "x-goog", "cf_", "_cfuvid", "_puid", "oai-sc", "x-oai-is", "openai-sentinel",
    "credential", "%22",
)  # fmt: skip
_URL_HINTS = ("ws:", "wss:", "oaiusercontent", "windows.net", "webpubsub", "ws.chatgpt", "estuary")
_ENCODED = ("eyJ", "eyA", "ewo", "ew0", "W3s", "WyJ", "WyA", "Wwo", "QmVhcmVy", "QXV0aG9y")
_ESCAPED_LETTER = re.compile(r"\\u00[2-7]")


def may_hold_secrets(data: bytes) -> bool:
    """Whether there may be a credential in JSON or in text: a cheap look, before the thorough one."""
    # Every byte is a letter here, only those of ASCII matter.
    return text_may_hold_secrets(data.decode("latin-1"))


def text_may_hold_secrets(text: str) -> bool:
    """`may_hold_secrets` for text."""
    # A word is found in text many times faster than in bytes, and in a loop twice as fast as by `any`: this runs for
    # each event.
    for word in _ENCODED:
        if word in text:
            return True
    low = text.lower()
    for word in _HINTS:
        if word in low:
            return True
    if "?" in low or "%" in low:
        for word in _URL_HINTS:
            if word in low:
                return True
    return "\\u00" in text and _ESCAPED_LETTER.search(text) is not None


def clean_shapes(data: bytes, encodings: int = 0) -> bytes:
    """`data` without anything that has the form of a credential; the same object when there is none."""
    if not may_hold_secrets(data):
        return data
    clean = _without(data, ((*match.span(), REDACTED) for match in JWT.finditer(data)))
    if b"?" in clean:
        clean = _without(clean, _queries(clean))
    for shape in (_QUOTED, _ASSIGNED, _HEADER, _COOKIE, _BEARER):
        clean = _without(clean, _values(shape, clean))
    clean = _without(clean, ((*match.span(), REDACTED) for match in _KEY.finditer(clean)))
    if encodings < _MOST_ENCODINGS:
        clean = _without(clean, _encoded(clean, encodings))
        if b"%" in clean:
            clean = _without(clean, _percent_encoded(clean, encodings))
    return clean if clean != data else data


def clean_text(text: str) -> str:
    """`clean_shapes` for text."""
    data = text.encode("utf-8", "surrogatepass")
    clean = clean_shapes(data)
    return text if clean is data else clean.decode("utf-8", "surrogatepass")


def unsigned(url: bytes, query: bytes) -> bytes:
    """What is kept of the query of a signed URL."""
    named = _ESTUARY_ID.search(query) if url.endswith((b"estuary/content", b"estuary\\/content")) else None
    return named[1] + b"&" + REDACTED if named else REDACTED


type _Changes = Iterable[tuple[int, int, bytes]]
"""From where to where something else stands, and what; in their order."""


def _without(data: bytes, changes: _Changes) -> bytes:
    done, clean = 0, BytesIO()
    with memoryview(data) as view:
        for start, end, left in changes:
            clean.write(view[done:start])
            clean.write(left)
            done = end
        if not done:
            return data
        clean.write(view[done:])
    return clean.getvalue()


def _queries(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    for match in _WITH_QUERY.finditer(data):
        url, query = match.groups()
        if SIGNED.search(url):
            yield *match.span(2), unsigned(url, query)
        elif _HAS_SIGNATURE.search(query):
            # Azure's signatures say from when to when and for whom, whatever the host.
            yield *match.span(2), _SHARED_ACCESS.sub(rb"\1=" + REDACTED, query)


def _values(shape: re.Pattern[bytes], data: bytes) -> Iterator[tuple[int, int, bytes]]:
    for match in shape.finditer(data.lower()):
        start, end = match.span(1)
        if shape is _BEARER or not data.startswith(REDACTED, start, end):
            yield start, end, REDACTED


def _encoded(data: bytes, encodings: int) -> Iterator[tuple[int, int, bytes]]:
    for match in _BASE64.finditer(data):
        run = match[0].rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
        decoded = base64.b64decode(run[: len(run) - (len(run) % 4 == 1)] + b"=" * (-len(run) % 4))
        if clean_shapes(decoded, encodings + 1) is not decoded:
            yield *match.span(), REDACTED


def _percent_encoded(data: bytes, encodings: int) -> Iterator[tuple[int, int, bytes]]:
    for match in _PERCENT.finditer(data):
        decoded = unquote_to_bytes(match[0])
        clean = clean_shapes(decoded, encodings + 1)
        if clean is not decoded:
            yield *match.span(), quote_from_bytes(clean, safe=":/?#&=@,;").encode()

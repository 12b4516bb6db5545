"""What credentials look like: bytes of text in, the same bytes without them out.

For what no person wrote. By their form alone: JWTs, signed URLs, `name=value` and `"name": "value"` with a name that
tells, headers and cookies quoted in text, keys with a known prefix; also where such text was encoded once more, by
percent signs or in base64. Nothing that is replaced holds a quotation mark, so JSON stays JSON.

Every repetition is possessive or begins where no other can: the time is linear in the data, whatever somebody puts
into it.
"""

import base64
import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

REDACTED = b"redacted"

SECRET_KEYS = (
    r"[a-z0-9_-]*(?:token|secret|password|api[_-]?key)|(?:proxy-)?authorization|(?:set-)?cookies?|x-oai-is|"
    r"openai-sentinel-[a-z-]+|verify|sig|signature|jwt"
)
"""Names of JSON members, parameters and headers whose values are credentials; case does not matter."""

_MOST_ENCODINGS = 3

_RUN = re.compile(rb'((?:[^"\\\s?]|\\[/u])++)(?:\?(?:[^"\\\s]|\\[/u])++)?+')
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

_NAMED = rb"(?:token|secret|password|api[_-]?key|(?<![A-Za-z0-9])(?:sig|signature|verify|jwt|authorization)" + (
    rb"|(?<![A-Za-z0-9])x-(?:amz|goog)-(?:signature|credential|security-token)"
    rb"|session-token\.[0-9]|cf_clearance|__cf_bm|_cfuvid|_puid|oai-sc)"
)
_ASSIGNED = re.compile(rb'(?i)(%s(?:=|%%3D))((?:[^"\'\\\s&;,%%<>)\]}]|%%(?!2[26C]|3B)|\\+/)++)' % _NAMED)
_QUOTED = re.compile(
    rb"(?i)(%s(?:\\*+[\"'])?+\s*+[:=]\s*+\\*+[\"'])((?:[^\"'\\]|\\+[/u])++)"
    % _NAMED.replace(rb"|session-", rb"|cookie|session-")
)
_BEARER = re.compile(rb"(?i)(?<![A-Za-z0-9])(bearer(?:\s|%20|\+)\s*+)[A-Za-z0-9._~+/=-]{16,}+")
_HEADER = re.compile(
    rb"(?i)(?<![A-Za-z0-9_-])((?:(?:proxy-)?authorization|x-[a-z-]{0,40}token|openai-sentinel-[a-z-]{1,60}|x-oai-is)\s*+:\s*+)"
    rb"([^\"'\\\s,;]++(?: [^\"'\\\s,;]++)?+)"
)
_COOKIE = re.compile(rb"(?i)(?<![A-Za-z0-9_-])((?:set-)?cookie\s*+:\s*+)([^\"'\\\s=;]{1,100}+=[^\"'\\\r\n]++)")
_KEY = re.compile(rb"(?<![A-Za-z0-9])(?:sk-(?:proj-|sess-)?[A-Za-z0-9_-]{32,}+|gAAAAA[A-Za-z0-9_-]{40,}+)")
# What JSON and an Authorization header begin with in base64; what begins with `{"` is taken for a JWT.
_BASE64 = re.compile(
    rb"(?<![A-Za-z0-9+/_-])(?:eyA|ewo|ew0|W3s|WyJ|WyA|Wwo|QmVhcmVy|QXV0aG9y)[A-Za-z0-9+/_-]{20,}+={0,2}+"
)
_PERCENT = re.compile(rb'(?<![^\s"\\<>])(?:[^\s"\\<>%]|%(?![0-9A-Fa-f]{2}))*+%[0-9A-Fa-f]{2}[^\s"\\<>]*+')

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
    clean = JWT.sub(REDACTED, data)
    clean = _RUN.sub(_without_query, clean)
    for shape in (_QUOTED, _ASSIGNED, _HEADER, _COOKIE):
        clean = shape.sub(_without_value, clean)
    clean = _BEARER.sub(rb"\1" + REDACTED, clean)
    clean = _KEY.sub(REDACTED, clean)
    if encodings < _MOST_ENCODINGS:
        clean = _BASE64.sub(lambda run: _without_encoded(run, encodings), clean)
        clean = _PERCENT.sub(lambda run: _percent_decoded(run, encodings), clean)
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


def _without_query(match: re.Match[bytes]) -> bytes:
    url = match[1]
    query = match[0][len(url) + 1 :]
    if not query:
        return match[0]
    if SIGNED.search(url):
        return url + b"?" + unsigned(url, query)
    # Azure's signatures say from when to when and for whom, whatever the host.
    return url + b"?" + _SHARED_ACCESS.sub(rb"\1=" + REDACTED, query) if _HAS_SIGNATURE.search(query) else match[0]


def _without_value(match: re.Match[bytes]) -> bytes:
    return match[0] if match[2].startswith(REDACTED) else match[1] + REDACTED


def _without_encoded(match: re.Match[bytes], encodings: int) -> bytes:
    run = match[0].rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    decoded = base64.b64decode(run[: len(run) - (len(run) % 4 == 1)] + b"=" * (-len(run) % 4))
    return match[0] if clean_shapes(decoded, encodings + 1) is decoded else REDACTED


def _percent_decoded(match: re.Match[bytes], encodings: int) -> bytes:
    decoded = unquote_to_bytes(match[0])
    clean = clean_shapes(decoded, encodings + 1)
    return match[0] if clean is decoded else quote_from_bytes(clean, safe=":/?#&=@,;").encode()

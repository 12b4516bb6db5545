"""Names of exported files: a title for people, an id so that no two are alike. Nothing remote ever steers a path."""

import re
import unicodedata
from hashlib import sha256

_TITLE_BYTES, _ID_CHARACTERS = 80, 80
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def file_stem(title: str | None, identity: str) -> str:
    """The name of a conversation's file without its ending: `two-tides-a-day-6f1e…`."""
    return f"{slug(title or '') or 'untitled'}-{plain_id(identity)}"


def slug(title: str) -> str:
    """The letters and digits of a title, in any script, with a hyphen for all that stands between them."""
    words = re.sub(r"[\W_]+", "-", unicodedata.normalize("NFC", title).lower()).strip("-")
    # Names of files have at most 255 bytes; a letter may take four.
    return words.encode()[:_TITLE_BYTES].decode(errors="ignore").strip("-")


def plain_id(identity: str) -> str:
    """An id that is a name as it stands, or else its digest: two ids never become one name."""
    if len(identity) <= _ID_CHARACTERS and _PLAIN.fullmatch(identity):
        return identity
    return sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:32]

"""The files beside the conversations of an official export: which asset each is, told by the name it was given there.

`<id>-<name>.<ext>`, in whatever folder (`dalle-generations/`, `<chat>/audio/`). An id that a message mentions is found
at the beginning of a name however long it is; one that none mentions only where it looks as most ids do:
`file-<20 to 28 letters and digits>`, `file_<32 hex digits>`. What is in it, is told by its bytes, as of every file that
is captured.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from addon.exchange import Opening
from addon.files.file_types import file_type

if TYPE_CHECKING:
    from addon.importing.import_files import ImportFile

_NAMED = re.compile(r"(file-[A-Za-z0-9]{20,28}|file_[0-9a-f]{32})(?![A-Za-z0-9]).*", re.DOTALL)
_BEGINS = re.compile(r"file[-_][A-Za-z0-9]")
_ENDS = re.compile(r"(?<=[A-Za-z0-9])(?![A-Za-z0-9])")
_LONGEST = 255


def is_called_like_one(name: str) -> bool:
    """Whether the name of a file begins as the ids of assets do."""
    return _BEGINS.match(_last(name)) is not None


def asset_of(name: str, is_mentioned: Callable[[str], bool]) -> str | None:
    """The asset that a file of this name is, None when the name says none; the messages may mention it, or not yet."""
    name = _last(name)
    if not is_called_like_one(name) or len(name) > _LONGEST:
        return None
    for end in sorted((found.start() for found in _ENDS.finditer(name)), reverse=True):
        if is_mentioned(name[:end]):
            return name[:end]
    found = _NAMED.fullmatch(name)
    return found[1] if found else None


def is_media(name: str, head: bytes) -> bool:
    """Whether a file that is no asset by its name looks like one: it is called so, or is a picture, sound or film."""
    family = file_type(head).mime_type.partition("/")[0]
    return is_called_like_one(name) or family in ("image", "audio", "video")


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def media_opening(file: "ImportFile", identity: str) -> Opening:
    """A file of an export as if it had been loaded; `identity` is its asset."""
    return Opening(
        stream_id=f"export:{file.identity}",
        source="export",
        kind="asset",
        streamed=False,
        host="",
        path=f"/{identity}",
        method="",
        started_at=file.modified_at,
        name="file",
        timed=False,
        attachment=True,  # somebody's HTML is a file like any other here, not an error page
    )

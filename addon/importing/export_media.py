"""The files beside the conversations of an official export: which asset each is, told by the name it was given there.

`file-<22 to 28 letters and digits>-<name>.<ext>`, `file_<32 hex digits>-...`, in whatever folder (`dalle-generations/`,
`<conversation>/audio/`). What is in it, is told by its bytes, as of every file that is captured.
"""

import re

from addon.exchange import Opening
from addon.importing.import_files import ImportFile

_NAMED = re.compile(r"(?:.*/)?(file-[A-Za-z0-9]{20,28}|file_[0-9a-f]{32})(?![A-Za-z0-9])[^/]*", re.DOTALL)


def asset_of(name: str) -> str | None:
    """The asset that a file of this name is, None when the name says none."""
    found = _NAMED.fullmatch(name)
    return found[1] if found else None


def media_opening(file: ImportFile, identity: str) -> Opening:
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

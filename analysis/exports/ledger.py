"""What an export has written into its folder: which file, of what, and from what state of it.

One JSON line an entry, appended when its file stands under its name. So an export that was stopped goes on, a later
one writes only what is new, and a file keeps its name when its conversation is renamed. A file that is not in it was
written by somebody else and is never replaced.
"""

import json
import re
from dataclasses import dataclass
from typing import BinaryIO

from analysis.exports.folder import ExportFolder

_NAME = ".chatgpt-capture.jsonl"
_SAFE = re.compile(r"[^\W_][^/\\\x00-\x1f]{0,250}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that was written: its name, and the fingerprint of what it was made from."""

    file: str
    fingerprint: str


class Ledger:
    """The entries of one kind of export, by what the files are of."""

    def __init__(self, folder: ExportFolder, kind: str) -> None:
        self._kind = kind
        self._entries: dict[str, Entry] = {}
        self._file: BinaryIO = folder.growing(_NAME)
        end = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            end += len(line)
            self._read(line)
        self._file.seek(end)
        self._file.truncate()

    def close(self) -> None:
        """Leave the ledger as it is."""
        self._file.close()

    def get(self, of: str) -> Entry | None:
        """What was written of something."""
        return self._entries.get(of)

    def add(self, of: str, entry: Entry) -> None:
        """Note a file; it is on the disk."""
        self._entries[of] = entry
        line = json.dumps([self._kind, of, entry.file, entry.fingerprint], ensure_ascii=False)
        self._file.write(line.encode("utf-8", "replace") + b"\n")
        self._file.flush()

    def known(self) -> set[str]:
        """What all has been written."""
        return set(self._entries)

    def drop(self, of: str) -> None:
        """Note that a file is gone."""
        self.add(of, Entry(self._entries[of].file, ""))
        del self._entries[of]

    def _read(self, line: bytes) -> None:
        try:
            kind, of, file, fingerprint = json.loads(line)
        except (ValueError, TypeError):
            return
        # Names come back from a file that anybody may have edited.
        if kind == self._kind and isinstance(of, str) and isinstance(file, str) and _SAFE.fullmatch(file):
            self._entries[of] = Entry(file, str(fingerprint))
            if not fingerprint:
                del self._entries[of]

"""What came of a file, and who looks on while it is read."""

from dataclasses import dataclass, field
from typing import Any, Protocol


class Witness(Protocol):
    """Sees what files hold, on its own account, to say at the end whether all of it is stored."""

    def conversation(self, document: dict[str, Any], *, goes_on: bool = False, is_known: bool = False) -> None:
        """A conversation of an export; `goes_on` when it is more of the last, `is_known` when it was read before."""

    def file(self, asset_id: str) -> None:
        """A file beside the conversations of an export, which has bytes."""

    def exchange(self, kind: str, streamed: bool, request: bytes, body: bytes) -> None:
        """An exchange, its body decoded; `kind` as in `streams.kind`. Of a socket a message a line, flags first."""


@dataclass(slots=True)
class Imported:
    """What came of one file. `failures` are parts that are lost, `notes` what else to know; each is one line."""

    name: str
    kind: str = ""
    conversations: int = 0
    messages: int = 0
    exchanges: int = 0
    passed_by: int = 0
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def count(self, *, conversations: int = 0, messages: int = 0, exchanges: int = 0) -> None:
        """So much more is in the archive."""
        self.conversations += conversations
        self.messages += messages
        self.exchanges += exchanges

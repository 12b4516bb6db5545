"""Which capture reads which exchange, and what captures may ask of the world around them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from addon.answers.capture import Capture, Summary
from addon.answers.legs import FindLegs, Leg, no_legs
from addon.documents.document_capture import DocumentCapture, FindUnchanged, never_seen
from addon.exchange import Closing, Opening
from addon.files.asset_capture import AssetCapture
from addon.files.download_capture import DownloadCapture
from addon.files.media import MediaFolder
from addon.records import Record
from addon.sockets.socket_capture import SocketCapture
from addon.sockets.socket_states import Sockets


class Capturing(Protocol):
    """One exchange being read: feed it what arrives, write what it returns. Nothing in an exchange makes it raise."""

    opening: Opening

    @property
    def skipped(self) -> bool:
        """Whether the person's settings leave this exchange out."""

    @property
    def changed(self) -> bool:
        """Whether `snapshot` has something that readers have not seen."""

    @property
    def message_count(self) -> int:
        """How many messages it has shown."""

    def begin(self) -> list[Record]:
        """The records of the request."""

    def feed(self, chunk: bytes, at: int) -> list[Record]:
        """One chunk as it was on the wire, received at `at`; what must be written because of it."""

    def snapshot(self) -> list[Record]:
        """Everything that grew since the last time, as readers should see it."""

    def close(self, closing: Closing, at: int) -> list[Record]:
        """The end, whatever it was like; everything that is left to write."""

    def summary(self) -> Summary | None:
        """What the closed exchange came to, None when it is nothing to tell a person."""

    def leg(self) -> Leg | None:
        """This exchange, still open, as another one of its turn may need it; None when it is no leg of a turn."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What captures may ask of the world around them. The defaults know nothing: a capture then stands alone."""

    legs: FindLegs = no_legs
    unchanged: FindUnchanged = never_seen
    sockets: Sockets = field(default_factory=Sockets)
    media: MediaFolder | None = None
    mentioned: Callable[[str, str], bool] = lambda asset_id, address: False


def capture_of(opening: Opening, request: bytes, around: Surroundings) -> Capturing:
    """The capture that reads an exchange of this kind."""
    match opening.kind:
        case "document" | "list":
            return DocumentCapture(opening, request, around.unchanged)
        case "download":
            return DownloadCapture(opening, request, around.mentioned)
        case "asset":
            return AssetCapture(opening, around.media, around.mentioned)
        case "socket":
            return SocketCapture(opening, around.sockets, around.legs)
    capture = Capture(opening, request, around.legs)
    if capture.skipped:
        around.sockets.left_out.append(capture)
    return capture

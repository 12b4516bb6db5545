"""One exchange as the proxy knows it: how it began and how it ended. Both cross the journal as JSON."""

from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from addon.records import Stream
from addon.wire.payload import dumps
from addon.wire.shapes import clean_text
from addon.wire.value_redaction import clean_value


@dataclass(frozen=True, slots=True)
class Opening:
    """What the proxy knew of an exchange when its response began."""

    stream_id: str
    source: str
    kind: str
    streamed: bool
    host: str
    path: str
    method: str
    started_at: int
    name: str = ""  # which document or file (`endpoints.Endpoint`)
    parameters: dict[str, str] = field(default_factory=dict)
    http_version: str | None = None
    status_code: int | None = None
    content_type: str | None = None
    content_encoding: str = ""
    request_encoding: str = ""
    timed: bool = True
    keep_raw: bool = True
    keep_temporary: bool = True
    # Of files alone (`asset_capture`): how many bytes are on the wire, whether they are meant to be saved, and where
    # they are instead, without its query.
    content_length: int | None = None
    attachment: bool = False
    location: str = ""

    def to_bytes(self) -> bytes:
        """The JSON form; what a header or a path holds that is no text becomes U+FFFD."""
        return dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Opening":
        """The inverse of `to_bytes`; `ValueError` or `TypeError` for anything else."""
        return cls(**orjson.loads(data))

    def stream(self, **known: Any) -> Stream:
        """The row of this exchange, with what only its capture can say."""
        return Stream(
            id=self.stream_id,
            source=self.source,
            kind=self.kind,
            host=self.host,
            path=clean_text(self.path),
            method=self.method,
            started_at=self.started_at,
            http_version=self.http_version,
            name=self.name or None,
            parameters=dumps(clean_value(self.parameters)) if self.parameters else None,
            status_code=self.status_code,
            content_type=self.content_type,
            content_encoding=self.content_encoding or None,
            **known,
        )


@dataclass(frozen=True, slots=True)
class Closing:
    """How an exchange ended: `end` (cleanly), `cut`, `shutdown`, `unseen` (another addon had it), `lost` (killed).

    `bug` when ours met it on the way; `lost_bytes` is how much of the body the journal could not keep.
    """

    reason: str
    detail: str = ""
    lost_bytes: int = 0

    @property
    def failure(self) -> str | None:
        """Why what was captured is not all that was received; None when it is."""
        if self.lost_bytes:
            return f"{self.lost_bytes} bytes could not be kept: the disk took nothing and memory was used up"
        return "a bug in the capture; its journal is kept" if self.reason == "bug" else None

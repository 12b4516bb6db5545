"""One file as it passes, bytes to a file: content decoding -> the media folder -> `assets`.

The body goes to the media folder as it arrives and never stands in memory. What it is for is decided by the archive,
which knows what messages said about the asset (`asset_rows`); whether it is a file at all is decided here.
"""

from collections.abc import Callable

from addon.errors import StreamError
from addon.exchange import Closing, Opening
from addon.files.file_types import ends_early, file_type
from addon.files.image_size import image_size
from addon.files.media import Incoming, MediaFolder
from addon.records import AssetFile, AssetLocation, Record, Stream
from addon.wire import asset_ids
from addon.wire.content_coding import ContentDecoder

MAX_FILE_BYTES = 1024 * 1024 * 1024
"""Decoded size beyond which a file is not stored; the service itself takes uploads of up to 512 MB."""


class AssetCapture:
    """Feed it what arrives; at its end it says which file that was, or why it is none."""

    changed = False
    message_count = 0

    def __init__(self, opening: Opening, media: MediaFolder | None, mentioned: Callable[[str, str], bool]) -> None:
        self.opening = opening
        self._media = media
        self._address = asset_ids.address_of(opening.host, opening.path, opening.parameters.get("id"))
        self._asset_id = asset_ids.id_at(self._address)
        # Which chat a file belongs to is known of those alone that were captured.
        self.skipped = not opening.keep_temporary and not mentioned(self._asset_id, self._address)
        self._incoming: Incoming | None = None
        self._wire_bytes = self._body_bytes = 0
        self._failure: str | None = None
        self._interruption: str | None = None
        self._content = _decoder(opening.content_encoding)

    def begin(self) -> list[Record]:
        """Nothing: a file is a row when it has arrived."""
        return []

    def feed(self, chunk: bytes, at: int) -> list[Record]:
        """Write what arrives, decoded."""
        self._wire_bytes += len(chunk)
        if self._failure is not None or self.skipped:
            return []
        try:
            for piece in self._content.feed(chunk):
                self._body_bytes += len(piece)
                if self._body_bytes > MAX_FILE_BYTES:
                    raise StreamError(f"the file exceeds {MAX_FILE_BYTES} bytes")
                self._write(piece)
        except StreamError as error:
            self._fail(str(error))
        except OSError as error:
            self._missed(error)
        return []

    def snapshot(self) -> list[Record]:
        """Nothing: a file says nothing before its end."""
        return []

    def close(self, closing: Closing, at: int) -> list[Record]:
        """The file, where all of it has come."""
        if self.skipped:
            return []
        if self._failure is None and closing.failure is not None:
            self._fail(closing.failure)
        if self._failure is None:
            self._interruption = self._cut(closing)
        records: list[Record] = []
        if self._failure is None and self._interruption is None:
            records = self._redirect(at) if self.opening.location else self._file(at)
        self._discard()
        return [self._stream(at), *records]

    def summary(self) -> None:
        """Nothing to tell."""
        return

    def leg(self) -> None:
        """None: it belongs to no turn."""
        return

    # -- the file --------------------------------------------------------------------------------------------------

    def _write(self, piece: bytes) -> None:
        if self._media is not None and not self.opening.location:
            if self._incoming is None:
                self._incoming = self._media.receive()
            self._incoming.write(piece)

    def _cut(self, closing: Closing) -> str | None:
        """Why this is not all of the file; None when it is, as far as anybody can tell."""
        expected = self.opening.content_length
        if closing.reason != "end" or (expected is not None and self._wire_bytes < expected):
            return f"cut after {self._wire_bytes} bytes" + (f" of {expected}" if expected is not None else "")
        if expected is None and self._incoming is not None:
            head = bytes(self._incoming.head)
            if ends_early(file_type(head), self._incoming.size, head, self._incoming.tail):
                return f"ends early, after {self._incoming.size} bytes"
        return None

    def _file(self, at: int) -> list[Record]:
        if self._media is None:
            return []
        if self._incoming is None or not self._incoming.size:
            self._fail("an empty body")
            return []
        head = bytes(self._incoming.head)
        found = file_type(head)
        if found.extension == "html" and not self.opening.attachment:
            self._fail("an HTML page instead of a file")
            return []
        try:
            stored = self._incoming.keep(found.extension)
        except OSError as error:
            self._missed(error)
            return []
        width, height = image_size(found.mime_type, head) or (None, None)
        return [
            AssetFile(
                asset_id=self._asset_id,
                address=self._address,
                stream_id=self.opening.stream_id,
                at=at,
                sha256=stored.sha256,
                path=stored.path,
                mime_type=found.mime_type,
                size_bytes=stored.size,
                width=width,
                height=height,
                derived=asset_ids.is_derived(self._address),
            )
        ]

    def _redirect(self, at: int) -> list[Record]:
        """Where the file is instead."""
        address = asset_ids.address_in(self.opening.location, self.opening.host)
        if address is None:
            return []
        return [AssetLocation(self._asset_id, at, self.opening.stream_id, address)]

    def _missed(self, error: OSError) -> None:
        """The disk does not take it. The bytes stay in the journal; all else goes on."""
        self._fail(f"the file could not be stored: {(error.strerror or type(error).__name__).lower()}")
        if self._media is not None:
            self._media.missed()

    def _fail(self, reason: str) -> None:
        self._failure = reason
        self._discard()

    def _discard(self) -> None:
        if self._incoming is not None:
            self._incoming.discard()

    def _stream(self, at: int) -> Stream:
        return self.opening.stream(
            state="error" if self._failure else "interrupted" if self._interruption else "complete",
            error=self._failure or self._interruption,
            ended_at=at,
            wire_bytes=self._wire_bytes,
            body_bytes=self._body_bytes,
        )


def _decoder(content_encoding: str) -> ContentDecoder:
    try:
        return ContentDecoder(content_encoding)
    except StreamError:
        # Storage serves whatever an uploader named as coding: browsers too take what they do not know for none.
        return ContentDecoder("")

"""The answer to the question where a file is: JSON with a signed URL -> which asset an address stands for.

The signed query ends here: what is kept of the URL is its address (`asset_ids`), read before redaction blanks it.
"""

from collections.abc import Callable
from dataclasses import replace

from addon.documents.document_capture import DocumentCapture
from addon.exchange import Closing, Opening
from addon.records import AssetLocation, Record, Stream
from addon.wire import asset_ids
from addon.wire.payload import integer, loads, mapping, string
from addon.wire.value_redaction import clean_value


class DownloadCapture(DocumentCapture):
    """Reads the answer when it has arrived; one that says `error` is recorded with the asset and the stream."""

    def __init__(self, opening: Opening, request: bytes, mentioned: Callable[[str, str], bool]) -> None:
        super().__init__(opening, request)
        asked = opening.parameters
        if opening.name == "interpreter":
            self._asset_id = asset_ids.sandbox_id(asked.get("message_id", ""), asked.get("sandbox_path", ""))
        else:
            self._asset_id = asset_ids.asset_id(asked.get("file_id", "")) or ""
        self.skipped = not self._asset_id or not (opening.keep_temporary or mentioned(self._asset_id, ""))

    def close(self, closing: Closing, at: int) -> list[Record]:
        """Where the file is, or why it is nowhere."""
        if self.skipped:
            return []
        location = self._location(at)
        records = super().close(closing, at)
        if location is None:
            return records
        said = f"the service has no such file ({location.error})" if location.error else None
        return [
            *(
                replace(record, state="error", error=said) if said and isinstance(record, Stream) else record
                for record in records
            ),
            location,
        ]

    def _location(self, at: int) -> AssetLocation | None:
        """None when the answer is not what was asked for, which the stored body then shows."""
        try:
            answer = mapping(loads(b"".join(self._body)))
        except ValueError:
            return None
        asked, opening = self.opening.parameters, self.opening
        url = string(answer.get("download_url")) or string(answer.get("url"))
        address = asset_ids.address_in(url, opening.host) if url else None
        error = None
        answer = mapping(clean_value(answer))  # what follows is kept
        if answer.get("status") == "error" or answer.get("error_code"):
            error = (string(answer.get("error_code")) or string(answer.get("error_message")) or "unknown")[:200]
        if address is None and error is None:
            return None
        name = string(answer.get("file_name")) or asked.get("sandbox_path", "")
        return AssetLocation(
            asset_id=self._asset_id,
            at=at,
            stream_id=opening.stream_id,
            address=address,
            name=name.rpartition("/")[2] or None,  # it may stand in a folder named after the user
            size_bytes=integer(answer.get("file_size_bytes")),
            conversation_id=asked.get("conversation_id"),
            message_id=asked.get("message_id"),
            error=error,
        )

"""Which files belong to a message as it stands: one rule for the terminal and for every export.

An image that is being made names a preview, then another, then the image, all under one message. The archive keeps all
of them as mentioned; shown is what the message names at last. The browser's pages look files up from there too.
"""

from collections.abc import Collection
from typing import Any

import orjson

from addon.wire.asset_ids import SANDBOX, asset_id
from addon.wire.payload import array, mapping


def shown_files(said: str | None, beside: str | None, mentioned: Collection[str]) -> list[str]:
    """Of the ids of files that a message ever mentioned, those it shows: by its content, and its metadata beside it."""
    content, metadata = _object(said), _object(beside)
    parts = [mapping(part) for part in array(content.get("parts"))]
    results = array(mapping(metadata.get("aggregate_result")).get("messages"))
    pointers = [
        *(part.get("asset_pointer") for part in parts),
        *(mapping(part.get("audio_asset_pointer")).get("asset_pointer") for part in parts),
        mapping(content.get("screenshot")).get("asset_pointer"),
        *(mapping(result).get("image_url") for result in results),
        *(mapping(attachment).get("id") for attachment in array(metadata.get("attachments"))),
    ]
    named = {asset_id(pointer) for pointer in pointers if isinstance(pointer, str)}
    # A file of a sandbox is a link in the text.
    return [identity for identity in mentioned if identity in named or identity.startswith(SANDBOX)]


def _object(text: str | None) -> dict[str, Any]:
    try:
        return mapping(orjson.loads(text)) if text else {}
    except orjson.JSONDecodeError:
        return {}

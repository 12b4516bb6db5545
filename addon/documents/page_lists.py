"""Lists that the page loads -> records: conversations (the sidebar, projects, archives, search), and images.

Pure. An item says less than the conversation itself, and says it in ISO 8601; what it does not say stays as it is.
"""

from collections.abc import Iterator
from typing import Any

from addon.documents.conversation_fields import about_conversation
from addon.documents.document_reading import DocumentReading
from addon.documents.documents import page_records
from addon.records import AssetLocation, ListedImage, Record
from addon.wire.asset_ids import DEFAULT_HOST, address_in, id_at, pointer_id
from addon.wire.payload import array, dumps, integer, mapping, microseconds, string

_ABOUT_THE_IMAGE = frozenset(
    {
        "asset_pointer", "url", "encodings", "width", "height", "title", "prompt", "conversation_id", "message_id",
        "generation_id", "created_at",
    }
)  # fmt: skip
_ABOUT_THE_HIT = frozenset({"payload", "current_node_id", "message_id", "score", "type", "current_node"})


def conversation_list(answer: Any, reading: DocumentReading) -> Iterator[Record]:
    """The conversations of a list; some lists hold them whole."""
    for item in items_of(answer):
        fields = mapping(item)
        identity = string(fields.get("conversation_id")) or string(fields.get("id"))
        if identity is None:
            yield from reading.unrecognised("item", item)
        elif isinstance(fields.get("mapping"), dict | list):
            yield from page_records(fields, reading)
        else:
            yield about_conversation(identity, fields, reading.seen)


def search_results(answer: Any, reading: DocumentReading) -> Iterator[Record]:
    """The conversations that were found; where in them the words stand is not said of the conversation."""
    found = [
        {key: value for key, value in item.items() if key not in _ABOUT_THE_HIT} if isinstance(item, dict) else item
        for item in items_of(answer)
    ]
    yield from conversation_list(found, reading)


def project_list(answer: Any, reading: DocumentReading) -> Iterator[Record]:
    """The conversations that the sidebar shows below each project."""
    for item in items_of(answer):
        inner = mapping(item).get("conversations")
        if is_list(inner):
            yield from conversation_list(inner, reading)
        else:
            yield from reading.unrecognised("item", item)


def image_list(answer: Any, reading: DocumentReading) -> Iterator[Record]:
    """The images that were made lately."""
    for item in items_of(answer):
        image = _image(mapping(item), reading)
        yield from [image, *_locations(mapping(item), image)] if image else reading.unrecognised("item", item)


def is_list(answer: Any) -> bool:
    """Whether there are items, be it none."""
    return isinstance(answer, list) or isinstance(mapping(answer).get("items"), list)


def items_of(answer: Any) -> list[Any]:
    """The items of a list: `items`, or the answer itself."""
    return answer if isinstance(answer, list) else array(mapping(answer).get("items"))


def _locations(item: dict[str, Any], image: ListedImage) -> Iterator[Record]:
    """Addresses at which a list says that the image, or a smaller encoding of it, is to be had.

    Only those that do not name it themselves: of one that does, nobody knows which encoding it will bring.
    """
    said = [(item.get("url"), False)]
    said += [(mapping(encoding).get("path"), True) for encoding in mapping(item.get("encodings")).values()]
    for url, derived in said:
        address = address_in(url, DEFAULT_HOST) if isinstance(url, str) else None
        if address is not None and id_at(address) != image.asset_id:
            yield AssetLocation(image.asset_id, image.at, image.stream_id, address, derived=derived)


def _image(item: dict[str, Any], reading: DocumentReading) -> ListedImage | None:
    pointer = string(item.get("asset_pointer"))
    asset_id = pointer_id(pointer) if pointer is not None else None
    if pointer is None or asset_id is None:
        return None
    rest = {key: value for key, value in item.items() if key not in _ABOUT_THE_IMAGE and value is not None}
    return ListedImage(
        asset_id=asset_id,
        asset_pointer=pointer.partition("?")[0],
        stream_id=reading.seen.stream_id,
        source=reading.seen.source,
        at=reading.seen.at,
        conversation_id=string(item.get("conversation_id")),
        message_id=string(item.get("message_id")),
        gen_id=string(item.get("generation_id")),
        prompt=string(item.get("prompt")),
        title=string(item.get("title")),
        width=integer(item.get("width")),
        height=integer(item.get("height")),
        created_at=microseconds(item.get("created_at")),
        metadata=dumps(rest) if rest else None,
    )

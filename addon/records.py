"""What crosses from the core to the store: plain values, one class per table.

Times are integers, microseconds since the epoch in UTC; None means unknown. `at` orders observations: within one
stream it rises with every event, so an older reading of the same thing never overwrites a newer one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, dataclass_transform


@dataclass_transform(frozen_default=True)
def value[T](kind: type[T]) -> type[T]:
    """A frozen dataclass to whoever checks types, and at run time one that is not.

    A frozen one sets each field by a call: with forty fields, that was a tenth of what the recorder did.
    """
    return dataclass(slots=True, unsafe_hash=True)(kind)


class Certainty(IntEnum):
    """Who says what is above a message: nobody (the request, or the order of a list), itself, or a tree of all."""

    GUESSED = 0
    SAID = 1
    PLACED = 2


@value
class Asset:
    """A file behind a pointer. `id` is the service's, with `#` for composite ids."""

    id: str
    pointer: str
    role: str  # output, input, attachment, mask
    kind: str  # image, audio, file
    origin: str  # generated, uploaded, tool
    name: str | None = None
    size_bytes: int | None = None
    width: int | None = None
    height: int | None = None


@value
class AssetLocation:
    """Where the service said that an asset's bytes are, or why it has none; `address` as in `asset_ids`."""

    asset_id: str
    at: int
    stream_id: str
    address: str | None
    name: str | None = None
    size_bytes: int | None = None
    conversation_id: str | None = None
    message_id: str | None = None
    error: str | None = None
    derived: bool = False  # of a smaller encoding


@value
class AssetFile:
    """A file that was received and lies in the media folder; `asset_id` as far as its address alone tells.

    `derived` when the address is that of a smaller encoding.
    """

    asset_id: str
    address: str
    stream_id: str
    at: int
    sha256: str
    path: str
    mime_type: str
    size_bytes: int
    width: int | None
    height: int | None
    derived: bool


@value
class Thumbnail:
    """What became of the thumbnail of a stored file: its path, or why there is none."""

    sha256: str
    path: str | None
    error: str | None = None


@value
class Citation:
    """A source a message names."""

    url: str
    kind: str
    title: str | None = None
    attribution: str | None = None
    snippet: str | None = None
    published_at: int | None = None


@value
class ImageGeneration:
    """One generated image, or one that is awaited or failed; `prompt` is the tool's own, None when it says none."""

    part_index: int
    status: str  # pending, preview, complete, failed
    asset_id: str | None = None
    asset_pointer: str | None = None
    gen_id: str | None = None
    parent_gen_id: str | None = None
    edit_op: str | None = None
    prompt: str | None = None
    seed: int | None = None
    width: int | None = None
    height: int | None = None
    size_bytes: int | None = None
    fovea: int | None = None
    orientation: str | None = None
    transparent_background: bool | None = None
    title: str | None = None
    serialization_title: str | None = None
    task_id: str | None = None
    metadata: str | None = None


@value
class ImageCall:
    """The arguments with which a message calls an image tool."""

    prompt: str | None
    size: str | None
    transparent_background: bool | None


@value
class Message:
    """One state of one node. `content` and `metadata` are JSON text; `conversation_id` is None until it is named."""

    id: str
    conversation_id: str | None
    stream_id: str
    source: str
    at: int
    live: bool
    first_seen_at: int | None = None
    parent_id: str | None = None
    parent_certainty: Certainty = Certainty.SAID
    role: str | None = None
    author_name: str | None = None
    recipient: str | None = None
    channel: str | None = None
    content_type: str | None = None
    text: str | None = None
    content: str | None = None
    status: str | None = None
    end_turn: bool | None = None
    weight: float | None = None
    visible: bool = True
    model_slug: str | None = None
    requested_model: str | None = None
    finish_type: str | None = None
    turn_exchange_id: str | None = None
    request_id: str | None = None
    reasoning_seconds: float | None = None
    created_at: int | None = None
    updated_at: int | None = None
    first_token_at: int | None = None
    completed_at: int | None = None
    metadata: str | None = None
    moderated: bool = False
    damaged: bool = False
    document: bool = False
    prompt_message_id: str | None = None
    assets: tuple[Asset, ...] = ()
    citations: tuple[Citation, ...] = ()
    images: tuple[ImageGeneration, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether the service says that nothing more comes."""
        return self.status not in (None, "in_progress")


@value
class MessageGrowth:
    """What a message in progress says by now, where it has only become longer since it was last written whole."""

    id: str
    conversation_id: str | None
    stream_id: str
    at: int
    text: str | None
    content: str


@value
class Conversation:
    """What one exchange says about its conversation; None where it says nothing.

    `document` when the service says it of the conversation itself, so that its times are no estimates. `metadata` is
    a JSON object; what it does not name stays.
    """

    id: str
    source: str
    at: int
    title: str | None = None
    created_at: int | None = None
    updated_at: int | None = None
    current_node: str | None = None
    default_model_slug: str | None = None
    gizmo_id: str | None = None
    conversation_origin: str | None = None
    is_temporary: bool | None = None
    is_archived: bool | None = None
    is_starred: bool | None = None
    metadata: str | None = None
    document: bool = False


@value
class DocumentRead:
    """All of a conversation document is written: follows its `messages`. `digest` is `documents.digest_of` it."""

    conversation_id: str
    digest: str
    messages: int = 0


@value
class CanvasDocument:
    """One version of a text that is written together beside a conversation."""

    id: str
    version: int
    stream_id: str
    source: str
    at: int
    conversation_id: str | None = None
    title: str | None = None
    textdoc_type: str | None = None
    content: str | None = None
    created_at: int | None = None
    updated_at: int | None = None
    metadata: str | None = None


@value
class ListedImage:
    """A generated image as a list of images shows it: of which message it is, but not where in that it stands."""

    asset_id: str
    asset_pointer: str
    stream_id: str
    source: str
    at: int
    conversation_id: str | None = None
    message_id: str | None = None
    gen_id: str | None = None
    prompt: str | None = None
    title: str | None = None
    width: int | None = None
    height: int | None = None
    created_at: int | None = None
    metadata: str | None = None


@value
class TypedEvent:
    """A typed or an unrecognised event; `position` counts the stream's events from 0, `data` is JSON text."""

    stream_id: str
    position: int
    received_at: int
    type: str
    recognised: bool
    data: str
    conversation_id: str | None = None
    message_id: str | None = None


@value
class Stream:
    """One captured exchange as far as it is known; written again whenever more is."""

    id: str
    source: str
    kind: str
    host: str
    path: str
    method: str
    started_at: int
    http_version: str | None = None
    name: str | None = None
    parameters: str | None = None
    resume_offset: int | None = None
    status_code: int | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    conversation_id: str | None = None
    request_message_id: str | None = None
    turn_exchange_id: str | None = None
    requested_model: str | None = None
    action: str | None = None
    encoding: str | None = None
    state: str = "streaming"
    error: str | None = None
    first_event_at: int | None = None
    first_token_at: int | None = None
    ended_at: int | None = None
    event_count: int = 0
    unrecognised_count: int = 0
    wire_bytes: int = 0
    body_bytes: int = 0


@value
class StreamBody:
    """The raw evidence of a stream, redacted, zstd-compressed; `wire` only when it could not be decoded.

    A body with a `digest` (SHA-256 of the redacted body, hexadecimal) is kept once, however many streams had it.
    """

    stream_id: str
    body: bytes | None
    arrivals: bytes | None
    wire: bytes | None = None
    digest: str | None = None


@value
class StreamSeen:
    """A document was loaded again and is, byte for byte, what it was in this stream."""

    stream_id: str
    at: int


@value
class StreamRepeats:
    """A document is, byte for byte, what it was in an earlier stream: that tells it, and this one is none."""

    stream_id: str
    earlier: str


@value
class RequestBody:
    """The JSON that a request sent, redacted, zstd-compressed."""

    stream_id: str
    body: bytes


@value
class Run:
    """One life of a proxy with the addon, as far as it is known; counts are None until it has told them."""

    id: str
    started_at: int
    ended_at: int | None = None
    streams: int | None = None
    uncaptured: int | None = None
    lost_chunks: int | None = None
    lost_bytes: int | None = None


@value
class AbandonedTopics:
    """Topics on record as streaming that nobody follows any more, and why.

    Those of the `socket` with this flow id, which has ended, else all that have brought nothing since `before`.
    """

    before: int
    error: str
    socket: str | None = None


@value
class MessageVersion:
    """What a message said before, as another archive remembers it."""

    message_id: str
    conversation_id: str | None
    replaced_at: int
    reason: str
    content: str | None
    text: str | None
    status: str | None
    stream_id: str | None


@value
class Sources:
    """The sources of a message, as another archive has them."""

    message_id: str
    conversation_id: str | None
    citations: tuple[Citation, ...]


@value
class KnownAsset:
    """What another archive knows of an asset from messages; sizes are those that were stated."""

    id: str
    pointer: str
    kind: str
    origin: str
    name: str | None
    size_bytes: int | None
    width: int | None
    height: int | None
    conversation_id: str | None
    message_id: str | None
    stream_id: str | None


@value
class Mention:
    """Another archive knows that a message mentions an asset."""

    message_id: str
    conversation_id: str | None
    asset_id: str
    role: str


@value
class ImageRow:
    """A row of `image_generations` of another archive, by column name, without its number there."""

    values: Mapping[str, Any]


Record = (
    Message
    | MessageGrowth
    | Conversation
    | DocumentRead
    | CanvasDocument
    | ListedImage
    | TypedEvent
    | Stream
    | StreamBody
    | StreamSeen
    | StreamRepeats
    | RequestBody
    | Run
    | AssetLocation
    | AssetFile
    | Thumbnail
    | AbandonedTopics
    | MessageVersion
    | Sources
    | KnownAsset
    | Mention
    | ImageRow
)

"""One message as the service sends it -> one `records.Message`.

Pure, and the only place that reads a message object: answers that stream, requests, and documents all pass here.
Untrusted input: anything may be missing or of another type, nothing raises.
"""

from dataclasses import dataclass
from typing import Any

from addon.answers import images
from addon.records import Asset, Certainty, Citation, Message, value
from addon.wire.asset_ids import pointer_id
from addon.wire.payload import array, boolean, dumps, integer, mapping, microseconds, number, scalars, string

_CONTEXT_TYPES = frozenset({"user_editable_context", "model_editable_context"})


REQUESTED_MODEL = "requested_model"
"""The member of a message in our own export that names the model asked for, where its metadata does not."""


@value
class Observation:
    """Who saw a message, when (microseconds), and what the exchange knows that the message does not say."""

    stream_id: str
    source: str
    at: int
    live: bool
    first_seen_at: int | None = None
    requested_model: str | None = None
    prompt_message_id: str | None = None
    first_token_at: int | None = None
    completed_at: int | None = None
    moderated: bool = False
    damaged: bool = False
    document: bool = False


@dataclass(frozen=True, slots=True)
class Parent:
    """What others than a message say is above it: where it is `placed` in a tree of all, else a guess."""

    id: str | None = None
    placed: bool = False


_UNKNOWN = Parent()


def read_message(
    identity: str, message: dict[str, Any], conversation_id: str | None, seen: Observation, parent: Parent = _UNKNOWN
) -> Message:
    """The record of a message object; `parent` is what others than itself say is above it."""
    author = mapping(message.get("author"))
    content = mapping(message.get("content"))
    metadata = mapping(message.get("metadata"))
    role, (above, certainty) = string(author.get("role")), _above(metadata, parent)
    return Message(
        id=identity,
        conversation_id=conversation_id,
        stream_id=seen.stream_id,
        source=seen.source,
        at=seen.at,
        live=seen.live,
        first_seen_at=seen.first_seen_at or seen.at,
        parent_id=above if above != identity else None,
        parent_certainty=certainty,
        role=role,
        author_name=string(author.get("name")),
        recipient=string(message.get("recipient")),
        channel=string(message.get("channel")),
        content_type=string(content.get("content_type")),
        text=text_of(content),
        content=dumps(message["content"]) if message.get("content") is not None else None,
        status=string(message.get("status")),
        end_turn=boolean(message.get("end_turn")),
        weight=number(message.get("weight")),
        visible=is_visible(message),
        model_slug=string(metadata.get("model_slug")) or string(metadata.get("resolved_model_slug")),
        # The second is how our own export says it: a message of the service has no such member.
        requested_model=string(metadata.get("requested_model_slug"))
        or string(message.get(REQUESTED_MODEL))
        or seen.requested_model,
        finish_type=string(mapping(metadata.get("finish_details")).get("type")),
        turn_exchange_id=string(metadata.get("turn_exchange_id")),
        request_id=string(metadata.get("request_id")),
        reasoning_seconds=number(metadata.get("finished_duration_sec")),
        created_at=microseconds(message.get("create_time")),
        updated_at=microseconds(message.get("update_time")),
        first_token_at=seen.first_token_at,
        completed_at=seen.completed_at,
        metadata=dumps(metadata) if metadata else None,
        moderated=seen.moderated,
        damaged=seen.damaged,
        document=seen.document,
        prompt_message_id=seen.prompt_message_id,
        assets=assets_of(message),
        citations=citations_of(metadata),
        images=images.image_generations(message) if role == "tool" else (),
    )


def _above(metadata: dict[str, Any], parent: Parent) -> tuple[str | None, Certainty]:
    """What is above a message, and who says so."""
    if parent.placed and parent.id is not None:
        return parent.id, Certainty.PLACED
    said = string(metadata.get("parent_id"))
    if said is not None:
        return said, Certainty.SAID
    return parent.id, Certainty.PLACED if parent.placed else Certainty.GUESSED


def text_of(content: dict[str, Any]) -> str | None:
    """What a message says: its string parts joined by newline, or its `text`, `thoughts` or `content`; else None."""
    parts = content.get("parts")
    if isinstance(parts, list):
        return scalars("\n".join(part for part in parts if isinstance(part, str)))
    if isinstance(content.get("text"), str):
        return scalars(content["text"])
    if isinstance(content.get("thoughts"), list):
        return scalars("\n\n".join(_paragraphs(content["thoughts"])))
    if isinstance(content.get("content"), str):
        return scalars(content["content"])
    return None


def continues(text: str, earlier: str) -> bool:
    """Whether a text is an earlier one, grown. Half of a split emoji stands as U+FFFD until the other half comes."""
    return text.startswith(earlier.rstrip("\ufffd"))


def is_visible(message: dict[str, Any]) -> bool:
    """Whether the page shows a message as part of the conversation."""
    author = mapping(message.get("author"))
    content = mapping(message.get("content"))
    metadata = mapping(message.get("metadata"))
    if author.get("role") == "system" or metadata.get("is_visually_hidden_from_conversation") is True:
        return False
    if string(content.get("content_type")) in _CONTEXT_TYPES or message.get("recipient") not in (None, "all"):
        return False
    if author.get("role") != "tool":
        return True
    # After an image the tool tells the model, in text, what not to say: no words for the person.
    is_instruction = images.is_image_tool(message) and content.get("content_type") == "text"
    return not is_instruction or metadata.get("ui_card") is True or bool(images.image_generations(message))


def assets_of(message: dict[str, Any]) -> tuple[Asset, ...]:
    """Every pointer and attachment a message mentions, each asset and role once."""
    content, metadata = mapping(message.get("content")), mapping(message.get("metadata"))
    if not _may_have_assets(content, metadata):
        return ()
    role = mapping(message.get("author")).get("role")
    found: list[Asset | None] = []
    origin = "uploaded" if role == "user" else "generated" if images.is_image_tool(message) else "tool"
    for part in array(content.get("parts")):
        found.extend(_part_assets(mapping(part), "input" if role == "user" else "output", origin))
    found.append(_pointer_asset(content.get("mask_pointer"), "mask", "image", "uploaded"))
    result = mapping(metadata.get("aggregate_result"))
    for entry in array(result.get("messages")):
        found.append(_pointer_asset(mapping(entry).get("image_url"), "output", "image", "tool"))
    for attachment in array(metadata.get("attachments")):
        found.append(_attachment(mapping(attachment)))
    unique = {(asset.id, asset.role): asset for asset in reversed(found) if asset is not None}
    return tuple(reversed(unique.values()))


def _may_have_assets(content: dict[str, Any], metadata: dict[str, Any]) -> bool:
    """False for nearly every message: words alone."""
    return (
        "mask_pointer" in content
        or "attachments" in metadata
        or "aggregate_result" in metadata
        or any(isinstance(part, dict) for part in array(content.get("parts")))
    )


def citations_of(metadata: dict[str, Any]) -> tuple[Citation, ...]:
    """The sources in `content_references`, `citations` and `search_result_groups`, each URL and kind once, in order."""
    if not (metadata.get("content_references") or metadata.get("citations") or metadata.get("search_result_groups")):
        return ()
    found: dict[tuple[str, str], Citation] = {}

    def add(item: Any, kind: Any) -> None:
        entry = mapping(item)
        url = string(entry.get("url"))
        if url is not None:
            citation = _citation(url, string(kind) or "webpage", entry)
            found.setdefault((citation.url, citation.kind), citation)

    for reference in map(mapping, array(metadata.get("content_references"))):
        kind = reference.get("type")
        add(reference, kind)
        for key in ("items", "sources", "fallback_items", "images"):
            for item in map(mapping, array(reference.get(key))):
                add(item, kind)
                for website in array(item.get("supporting_websites")):
                    add(website, kind)
    for citation in map(mapping, array(metadata.get("citations"))):
        details = mapping(citation.get("metadata"))
        add(details, details.get("type") or citation.get("citation_format_type"))
    for group in map(mapping, array(metadata.get("search_result_groups"))):
        for entry in array(group.get("entries")):
            add(entry, mapping(entry).get("type") or "search_result")
    return tuple(found.values())


def _citation(url: str, kind: str, entry: dict[str, Any]) -> Citation:
    return Citation(
        url=url,
        kind=kind,
        title=string(entry.get("title")),
        attribution=string(entry.get("attribution")),
        snippet=string(entry.get("snippet")) or string(entry.get("text")),
        published_at=microseconds(entry.get("pub_date")),
    )


def _paragraphs(thoughts: list[Any]) -> list[str]:
    return [
        paragraph
        for thought in map(mapping, thoughts)
        for paragraph in (thought.get("summary"), thought.get("content"))
        if isinstance(paragraph, str) and paragraph
    ]


def _part_assets(part: dict[str, Any], role: str, origin: str) -> list[Asset | None]:
    kind = part.get("content_type")
    if kind == "audio_asset_pointer":
        return [_pointer_asset(part.get("asset_pointer"), role, "audio", origin, part)]
    if kind == "real_time_user_audio_video_asset_pointer":
        audio = mapping(part.get("audio_asset_pointer"))
        frames = [mapping(frame) for frame in array(part.get("frames_asset_pointers"))]
        return [
            _pointer_asset(audio.get("asset_pointer"), role, "audio", origin, audio),
            _pointer_asset(part.get("video_container_asset_pointer"), role, "file", origin),
            *(_pointer_asset(frame.get("asset_pointer"), role, "image", origin, frame) for frame in frames),
        ]
    if isinstance(part.get("asset_pointer"), str) and images.is_image(part):
        return [images.image_asset(part, role, origin)]
    return [_pointer_asset(part.get("asset_pointer"), role, "file", origin, part)]


def _pointer_asset(pointer: Any, role: str, kind: str, origin: str, part: dict[str, Any] | None = None) -> Asset | None:
    pointer = string(pointer)
    identity = pointer_id(pointer) if pointer is not None else None
    if pointer is None or identity is None:
        return None
    size = integer((part or {}).get("size_bytes"))
    return Asset(identity, pointer.partition("?")[0], role, kind, origin, size_bytes=size)


def _attachment(attachment: dict[str, Any]) -> Asset | None:
    identity = string(attachment.get("id"))
    if identity is None:
        return None
    mime_type = string(attachment.get("mime_type")) or string(attachment.get("mimeType")) or ""
    family = mime_type.partition("/")[0]
    return Asset(
        id=identity,
        pointer=("sediment://" if identity.startswith("file_") else "file-service://") + identity,
        role="attachment",
        kind=family if family in ("image", "audio") else "file",
        origin="uploaded",
        name=string(attachment.get("name")),
        size_bytes=integer(attachment.get("size")),
        width=integer(attachment.get("width")),
        height=integer(attachment.get("height")),
    )

"""Image generations: what a tool's message says about the images it made, and what its caller asked for.

Two families of tools (protocol: DALL-E inline, 2023-11 to 2025-03; gpt-image since): both put image pointers into
a `multimodal_text` message of role `tool`; only the names and the metadata blocks differ.
"""

from typing import Any

from addon.records import Asset, ImageCall, ImageGeneration
from addon.wire.asset_ids import pointer_id
from addon.wire.payload import dumps, integer, loads, mapping, scalars, string

TOOLS = frozenset({"dalle.text2im", "t2uay3k.sj1i4kz", "image_gen.text2im", "image_gen"})


def image_call(recipient: str | None, text: str | None) -> ImageCall | None:
    """The arguments of a message to an image tool, None when it is not one or its arguments cannot be read yet."""
    if recipient not in TOOLS or not text:
        return None
    try:
        arguments = loads(text.encode("utf-8", "replace"))
    except ValueError:
        return None
    if not isinstance(arguments, dict):
        return None
    transparent = arguments.get("transparent_background")
    return ImageCall(
        prompt=string(arguments.get("prompt")),
        size=string(arguments.get("size")),
        transparent_background=transparent if isinstance(transparent, bool) else None,
    )


def is_image_tool(message: dict[str, Any]) -> bool:
    """Whether a message comes from a tool that makes images."""
    author, metadata = mapping(message.get("author")), mapping(message.get("metadata"))
    if author.get("role") != "tool":
        return False
    return bool(
        string(author.get("name")) in TOOLS
        or str(author.get("name")).startswith("image_gen.")
        or metadata.get("async_task_type") == "image_gen"
        or "image_gen_task_id" in metadata
        or any(is_generated(part) for part in image_parts(message).values())
    )


def image_generations(message: dict[str, Any]) -> tuple[ImageGeneration, ...]:
    """One record per image of a tool's message, or one that says it is awaited or failed; () for all others."""
    if not is_image_tool(message):
        return ()
    metadata = mapping(message.get("metadata"))
    task = string(metadata.get("image_gen_task_id")) or string(metadata.get("async_task_id"))
    title = string(metadata.get("image_gen_title")) or string(metadata.get("async_task_title"))
    parts = image_parts(message)
    if parts:
        status = "preview" if message.get("status") == "in_progress" else "complete"
        return tuple(_from_part(index, part, status, task, title) for index, part in parts.items())
    if mapping(message.get("content")).get("content_type") == "system_error":
        return (ImageGeneration(part_index=0, status="failed", title=title, task_id=task),)
    if task or metadata.get("image_gen_async") is True:
        return (ImageGeneration(part_index=0, status="pending", title=title, task_id=task),)
    return ()


def image_parts(message: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The image pointers of a message's content, by their place in `parts`."""
    parts = mapping(message.get("content")).get("parts")
    if not isinstance(parts, list):
        return {}
    return {
        index: part
        for index, part in enumerate(parts)
        if isinstance(part, dict) and isinstance(part.get("asset_pointer"), str) and is_image(part)
    }


def is_image(part: dict[str, Any]) -> bool:
    """Whether a part is an image; parts of a request often leave their content type out."""
    return bool(part.get("content_type", "image_asset_pointer") == "image_asset_pointer")


def is_generated(part: dict[str, Any]) -> bool:
    """Whether a part carries a generation block: uploads use the same pointers but have none."""
    metadata = mapping(part.get("metadata"))
    return bool(metadata.get("dalle") or metadata.get("generation"))


def image_asset(part: dict[str, Any], role: str, origin: str) -> Asset | None:
    """The asset an image part points to."""
    pointer = scalars(part["asset_pointer"])
    identity = pointer_id(pointer)
    if identity is None:
        return None
    return Asset(
        id=identity,
        pointer=pointer.partition("?")[0],
        role=role,
        kind="image",
        origin=origin,
        size_bytes=integer(part.get("size_bytes")),
        width=integer(part.get("width")),
        height=integer(part.get("height")),
    )


def _from_part(index: int, part: dict[str, Any], status: str, task: str | None, title: str | None) -> ImageGeneration:
    metadata = mapping(part.get("metadata"))
    generation, dalle = mapping(metadata.get("generation")), mapping(metadata.get("dalle"))

    def said(key: str) -> Any:
        value = generation.get(key)
        return value if value is not None else dalle.get(key)

    transparent = generation.get("transparent_background")
    pointer = scalars(part["asset_pointer"])
    return ImageGeneration(
        part_index=index,
        status=status,
        asset_id=pointer_id(pointer),
        asset_pointer=pointer.partition("?")[0],
        gen_id=string(said("gen_id")),
        parent_gen_id=string(said("parent_gen_id")),
        edit_op=string(said("edit_op")),
        prompt=string(said("prompt")),
        seed=integer(said("seed")),
        width=integer(part.get("width")) or integer(generation.get("width")),
        height=integer(part.get("height")) or integer(generation.get("height")),
        size_bytes=integer(part.get("size_bytes")),
        fovea=integer(part.get("fovea")),
        orientation=string(generation.get("orientation")),
        transparent_background=transparent if isinstance(transparent, bool) else None,
        title=title,
        serialization_title=string(said("serialization_title")),
        task_id=task,
        metadata=dumps({key: metadata[key] for key in ("dalle", "generation") if key in metadata}),
    )

"""Answers that are images: as since 2025, and as DALL-E made them in 2024."""

import json
import random
import uuid
from typing import Unpack

from scripts.scenes.scene import Exchange, Image, Json, Scene
from scripts.scenes.script import TEXT, Script
from scripts.scenes.wire import Change

IMAGE_TOOL = "t2uay3k.sj1i4kz"
IMAGE_BYTES = 1_483_920


def image_answer(
    prompt: str,
    image_prompt: str,
    text: str,
    *,
    previews: int = 2,
    size: tuple[int, int] = (1024, 1536),
    **exchange: Unpack[Exchange],
) -> Scene:
    """An image as since 2025: the call, a tool message whose pointer changes until it is done, the answer."""
    script = Script(prompt, exchange)
    script.open()
    code = {"content_type": "code", "language": "json", "response_format_name": None, "text": ""}
    call = script.message("call", content=code, recipient=IMAGE_TOOL)
    width, height = size
    arguments = {"prompt": image_prompt, "size": f"{width}x{height}", "n": 1, "transparent_background": False}
    script.say(call, json.dumps(arguments, ensure_ascii=False), "/content/text")
    script.finish(call, end_turn=False, stop_token=200012)

    pointers = [f"sediment://file_{uuid.UUID(script.id(f'file {n}')).hex}" for n in range(previews + 1)]
    gen_id = script.id("generation")
    part = generated(pointers[0], gen_id, width, height)
    tool = script.message(
        "image",
        f"tool {IMAGE_TOOL}",
        content={"content_type": "multimodal_text", "parts": [part]},
        metadata={"image_gen_title": script.title or "An image", "image_gen_async": False},
    )
    script.marker(tool, "user_visible_token", "first")
    for pointer in pointers[1:]:
        script.change(tool, (f"{TEXT}/asset_pointer", "replace", pointer))
    finished: Change = ("/status", "replace", "finished_successfully")
    script.change(tool, (f"{TEXT}/size_bytes", "replace", IMAGE_BYTES), finished)
    instruction = "GPT-4o returned 1 images. From now on, do not say or show ANYTHING. Please end this turn now."
    hidden = {"is_visually_hidden_from_conversation": True}
    script.message("instruction", f"tool {IMAGE_TOOL}", text=instruction, metadata=hidden, recipient="assistant")
    image = Image(tool, pointers[-1], tuple(pointers[:-1]), image_prompt, gen_id, width, height, IMAGE_BYTES)
    return script.close(script.final("answer", text), tool="ImageGenToolTemporal", images=(image,))


def generated(pointer: str, gen_id: str, width: int, height: int) -> Json:
    """The part of a message that is a generated image."""
    shape = "square" if width == height else "landscape" if width > height else "portrait"
    return {
        "content_type": "image_asset_pointer",
        "asset_pointer": pointer,
        "size_bytes": 0,
        "width": width,
        "height": height,
        "fovea": width,
        "metadata": {
            "dalle": _dalle(gen_id, "", None),
            "gizmo": None,
            "generation": {
                "gen_id": gen_id,
                "gen_size": "image",
                "gen_size_v2": "16",
                "seed": None,
                "parent_gen_id": None,
                "height": height,
                "width": width,
                "transparent_background": False,
                "serialization_title": "Image Generation metadata",
                "orientation": shape,
            },
            "container_pixel_height": height,
            "container_pixel_width": width,
            "sanitized": False,
            "asset_pointer_link": None,
            "watermarked_asset_pointer": None,
            "is_no_auth_placeholder": None,
        },
    }


def _dalle(gen_id: str, prompt: str, seed: int | None) -> Json:
    made = {"gen_id": gen_id, "prompt": prompt, "seed": seed, "parent_gen_id": None, "edit_op": None}
    return {**made, "serialization_title": "DALL-E generation metadata"}


def dalle_answer(prompt: str, image_prompt: str, text: str, *, images: int = 1, **exchange: Unpack[Exchange]) -> Scene:
    """Images as in 2024, v0 only: the call, one tool message with the images, an instruction, the answer."""
    script = Script(prompt, {"model": "gpt-4o", **exchange, "encoding": "v0"})
    script.title = None  # titles were not in the stream then
    script.open()
    call = script.message("call", recipient="dalle.text2im")
    script.say(call, json.dumps({"size": "1024x1024", "prompt": image_prompt, "n": images}, ensure_ascii=False))
    script.finish(call, end_turn=False, stop_token=200007)
    made = []
    for n in range(images):
        made_by = random.Random(script.id(f"file {n}"))
        letters = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
        pointer = "file-service://file-" + "".join(made_by.choices(letters, k=24))
        made.append((pointer, "".join(made_by.choices(letters, k=16)), made_by.randrange(2**32)))
    parts = [
        {
            "content_type": "image_asset_pointer",
            "asset_pointer": pointer,
            "size_bytes": IMAGE_BYTES,
            "width": 1024,
            "height": 1024,
            "fovea": 512,
            "metadata": {"dalle": _dalle(gen_id, image_prompt, seed), "gizmo": None, "sanitized": False},
        }
        for pointer, gen_id, seed in made
    ]
    about = {"content_type": "multimodal_text", "parts": parts}
    tool = script.message("image", "tool dalle.text2im", content=about, text="")
    instruction = f"DALL\u00b7E displayed {images} images. The images are already plainly visible to the user."
    script.message("instruction", "tool dalle.text2im", text=instruction)
    answer = script.final("answer", text)
    script.limits("gpt-4o")
    return script.scene(
        answer,
        tuple(Image(tool, pointer, (), image_prompt, gen_id, 1024, 1024, IMAGE_BYTES) for pointer, gen_id, _ in made),
    )

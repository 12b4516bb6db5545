"""Generated images: the gallery, and each with what was asked, how it was made, and what it was made from."""

import sqlite3
import time
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import urlencode

from analysis.browse import times
from analysis.browse.items import conversation_address
from analysis.browse.site import Asked, Problem
from analysis.queries import images
from analysis.rendering import byte_count, duration

_PAGE = 60
_STEP, _PATIENCE_SECONDS = 1_000, 1.0
"""How many images are looked at at once for words, and for how long on the way to one page."""
_LINE = 100
"""How many images of a line are shown."""


def gallery_page(db: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """Images, the newest first."""
    words = asked.get("q")
    before, _, number = asked.get("before", 60).partition("~")
    place = (before, int(number)) if number.isascii() and number.isdigit() and len(number) < 18 else None
    found, further = look(db, words, place, Patience(_PAGE, _STEP, time.monotonic() + _PATIENCE_SECONDS))
    older = f"{further[0]}~{further[1]}" if further else None
    return {
        "section": "images",
        "title": "Images",
        "looked_for": words,
        "images": [_tile(image) for image in found],
        "older": f"/-/archive/images?{urlencode({'q': words, 'before': older})}" if older else None,
        "looked_to": times.day(further[0]) if further and len(found) < _PAGE else "",
        "before": before if place else "",
    }


class Patience(NamedTuple):
    """How many images are wanted, how many are looked at at once for words, and until when (`time.monotonic`)."""

    most: int
    step: int
    until: float


def look(
    db: sqlite3.Connection, words: str, before: images.Place | None, patience: Patience
) -> tuple[list[images.Image], images.Place | None]:
    """As many images with these words as are wanted, or those found by then; and where to go on, None at the end.

    What was asked for stands in the messages, each of which has to be read: rare words in many images take long.
    """
    found: list[images.Image] = []
    only = images.ImageFilter(words=words)
    while True:
        end = images.further(db, before, patience.step)
        wanted = patience.most + 1 - len(found)
        found += images.images(db, only, before=before, down_to=end, limit=wanted)
        if len(found) > patience.most:
            last = found[patience.most - 1]
            return found[: patience.most], (last.created_at or "", last.id)
        if end is None or time.monotonic() > patience.until:
            return found, end
        before = end


def image_page(db: sqlite3.Connection, asked: Asked) -> dict[str, Any]:
    """One image."""
    number = asked.parts["image"]
    image = images.image(db, int(number)) if len(number) < 18 else None
    if image is None:
        raise Problem(404, "No such image", "It is not in this archive, or was deleted from it.")
    more = images.making(db, image.id) or images.ImageMaking(*[None] * 6)
    return {
        "section": "images",
        "title": image.title or "Image",
        "image": image,
        "stream_id": more.stream_id,
        "facts": _facts(image, more),
        "place": _place(image, more.message_n),
        "line": _line(db, image),
        "newer": _beside(db, image, newer=True),
        "older": _beside(db, image, newer=False),
    }


def _tile(image: images.Image) -> dict[str, Any]:
    return {
        "address": f"/-/archive/images/{image.id}",
        "thumbnail": f"/-/archive/thumb/{image.sha256}" if image.sha256 else None,
        "name": image.title or (image.tool_prompt or "Image")[:120],
        "prompt": (image.tool_prompt or "")[:400],
        "status": image.status,
    }


def _line(db: sqlite3.Connection, image: images.Image) -> list[dict[str, Any]]:
    """The images of one line, from the first one on."""
    if image.gen_id is None:
        return []
    line = list(islice(images.lineage(db, image.gen_id), _LINE))
    digests = images.digests(db, [step.asset_id for step in line if step.asset_id])
    numbers: dict[str, int] = {}
    for number, step in enumerate(line, 1):
        numbers.setdefault(step.gen_id, number)
    return [
        {
            "address": f"/-/archive/images/{step.image_id}",
            "thumbnail": f"/-/archive/thumb/{digest}" if (digest := digests.get(step.asset_id or "")) else None,
            "name": step.title or "Image",
            "prompt": (step.prompt or "")[:400],
            "here": step.image_id == image.id,
            "number": number,
            "follows": number > 1 and line[number - 2].gen_id == step.parent_gen_id,
            "made_from": numbers.get(step.parent_gen_id or ""),
        }
        for number, step in enumerate(line, 1)
    ]


def _place(image: images.Image, message_n: int | None) -> str | None:
    if not image.conversation_id:
        return None
    place = conversation_address(image.conversation_id, image.message_id)
    return f"{place}#m-{message_n}" if message_n else place


def _facts(image: images.Image, more: images.ImageMaking) -> list[tuple[str, str]]:
    took = times.seconds_between(more.requested_at, more.completed_at)
    size = f"{image.width} \u00d7 {image.height}" if image.width and image.height else ""
    asked_size = (image.size or "").replace("x", " \u00d7 ")
    facts = {
        "Made": times.full(image.created_at),
        "Took": duration(took) if took else "",
        "Status": image.status if image.status != "complete" else "",
        "Size": size,
        "Asked size": asked_size if asked_size != size else "",
        "File": " \u00b7 ".join(filter(None, (image.mime_type, byte_count(image.size_bytes)))),
        "Stored": "only in a smaller form" if image.sha256 and image.variant not in (None, "original") else "",
        "Seed": str(image.seed) if image.seed is not None else "",
        "Model": image.model_slug,
        "Tool": image.tool,
        "Edit": more.edit_op,
        "Transparent": "yes" if more.transparent_background else "",
        "Generation": image.gen_id,
    }
    return [(name, value) for name, value in facts.items() if value]


def _beside(db: sqlite3.Connection, image: images.Image, *, newer: bool) -> str | None:
    number = images.neighbour(db, image, newer=newer)
    return f"/-/archive/images/{number}" if number is not None else None

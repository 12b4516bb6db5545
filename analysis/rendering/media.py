"""Files that messages show: images in their place, recordings and attachments as a line that opens them.

Addresses are the page's own. What a file is called or what it was made from is untrusted text and only ever text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup


@dataclass(frozen=True, slots=True)
class Media:
    """A file behind a pointer. `address` is where the page has its bytes, None when they were not captured."""

    kind: str = "file"
    address: str | None = None
    page: str | None = None
    name: str = ""
    prompt: str = ""
    width: int | None = None
    height: int | None = None
    size_bytes: int | None = None


def figure(media: Media, part: Mapping[str, Any]) -> Markup:
    """An image in its place; what is known about it where its bytes are not there."""
    width, height = _size(media.width, part.get("width")), _size(media.height, part.get("height"))
    size = f"{width} \u00d7 {height}" if width and height else ""
    caption = media.prompt[:4_000]
    described = Markup('<figcaption dir="auto">{}</figcaption>').format(caption) if caption else Markup("")
    if media.address is None:
        words = "Image, not captured" + (f" \u00b7 {size}" if size else "")
        shown = Markup('<span class="missing">{}</span>').format(words)
    else:
        shape = Markup(' width="{}" height="{}"').format(width, height) if size else Markup("")
        alt = caption[:300] or media.name or "Image"
        shown = Markup('<img src="{}" alt="{}"{} loading="lazy" decoding="async">').format(media.address, alt, shape)
    if media.page is not None:
        shown = Markup('<a href="{}">{}</a>').format(media.page, shown)
    return Markup('<figure class="image">{}{}</figure>').format(shown, described)


def file_line(media: Media, label: str) -> Markup:
    """A file as one line: what it is, its name and size, a link where its bytes are there."""
    size, kind = byte_count(media.size_bytes), "file recording" if label else "file"
    words = Markup(" \u00b7 ").join(
        Markup('<span dir="auto">{}</span>').format(part) for part in (label, media.name, size) if part
    )
    if media.address is None:
        said = Markup('<span class="{} missing" title="Not captured"><span>{}</span></span>')
        return said.format(kind, words)
    return Markup('<a class="{}" href="{}"><span>{}</span></a>').format(kind, media.address, words)


def byte_count(size: int | None) -> str:
    """A number of bytes as people say it."""
    if not isinstance(size, int) or size <= 0:
        return ""
    if size < 1_000:
        return f"{size} bytes"
    return f"{size / 1_000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def _size(known: int | None, said: Any) -> int | None:
    size = known or said
    return size if isinstance(size, int) and 0 < size < 100_000 else None

"""Width and height of an image, from its header alone.

Pure, and without a decoder: what is received is measured before anything that could be tricked looks at the pixels.
None where the header does not say; nothing raises.
"""

import re
from collections.abc import Callable, Mapping
from typing import Literal

type Size = tuple[int, int]

# The frame headers of JPEG (ITU T.81 table B.1): C4, C8 and CC are no frames.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_ISPE = re.compile(rb"ispe\0{4}(.{4})(.{4})", re.DOTALL)


def image_size(mime_type: str, head: bytes) -> Size | None:
    """The pixels of an image that begins with `head`, as they are stored: an orientation in its metadata is ignored."""
    read = _READERS.get(mime_type)
    size = read(head) if read is not None else None
    return size if size is not None and size[0] > 0 and size[1] > 0 else None


def _png(head: bytes) -> Size | None:
    return _pair(head, 16, 4) if head[12:16] == b"IHDR" else None


def _gif(head: bytes) -> Size | None:
    return _pair(head, 6, 2, "little")


def _bmp(head: bytes) -> Size | None:
    if head[14:15] == b"\x0c":
        return _pair(head, 18, 2, "little")
    size = _pair(head, 18, 4, "little")
    # A negative height says that the rows stand from top to bottom.
    return size and (size[0], abs(size[1] - (size[1] >> 31 << 32)))


def _webp(head: bytes) -> Size | None:
    """RFC 9649 2.5 to 2.7."""
    match head[12:16]:
        case b"VP8 " if head[23:26] == b"\x9d\x01\x2a":
            size = _pair(head, 26, 2, "little")
            return size and (size[0] & 0x3FFF, size[1] & 0x3FFF)
        case b"VP8L" if len(head) >= 25:
            bits = int.from_bytes(head[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            size = _pair(head, 24, 3, "little")
            return size and (size[0] + 1, size[1] + 1)
    return None


def _jpeg(head: bytes) -> Size | None:
    """The first frame header, past all segments before it (ITU T.81 B.1.1)."""
    at = 2
    while at + 4 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _JPEG_ALONE:
            at += 2
        elif marker in _JPEG_FRAMES:
            size = _pair(head, at + 5, 2)
            return size and (size[1], size[0])
        else:
            at += 2 + max(2, int.from_bytes(head[at + 2 : at + 4]))
    return None


def _heif(head: bytes) -> Size | None:
    """The largest extent (ISO 23008-12 6.5.3): an image may be made of tiles, each with an extent of its own."""
    sizes = [(int.from_bytes(width), int.from_bytes(height)) for width, height in _ISPE.findall(head)]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def _pair(head: bytes, at: int, length: int, order: Literal["big", "little"] = "big") -> Size | None:
    """Two numbers in a row."""
    if len(head) < at + 2 * length:
        return None
    first, second = head[at : at + length], head[at + length : at + 2 * length]
    return int.from_bytes(first, order), int.from_bytes(second, order)


_READERS: Mapping[str, Callable[[bytes], Size | None]] = {
    "image/png": _png,
    "image/gif": _gif,
    "image/bmp": _bmp,
    "image/webp": _webp,
    "image/jpeg": _jpeg,
    "image/avif": _heif,
    "image/heic": _heif,
}

"""The files behind the pointers of scenes: real pictures, each of exactly the size that its scene states."""

import hashlib
import io
import struct
import zlib
from functools import lru_cache

from scripts.scenes.scene import Image

# PNG puts a chunk anywhere behind the first, length, type and checksum around its data: 12 bytes.
_HEADER_BYTES = 33
_CHUNK_BYTES = 12


def picture(image: Image) -> bytes:
    """The PNG of an image: a sea at dusk, padded to `image.size_bytes` as a real one is large by its details."""
    drawn = _sea(image.width, image.height, image.gen_id)
    return _padded(drawn, image.size_bytes, image.gen_id)


def preview(image: Image, width: int = 192) -> bytes:
    """A smaller encoding of the same picture, as the service makes them: WebP."""
    # Not needed to tell a scene, so neither is it to import one.
    from PIL import Image as Pillow  # noqa: PLC0415

    small = Pillow.open(io.BytesIO(_sea(image.width, image.height, image.gen_id)))
    small.thumbnail((width, width))
    written = io.BytesIO()
    small.save(written, "WEBP")
    return written.getvalue()


@lru_cache(maxsize=16)
def _sea(width: int, height: int, seed: str) -> bytes:
    """Sky above, water below, the light of a lighthouse between."""
    from PIL import Image as Pillow  # noqa: PLC0415
    from PIL import ImageDraw  # noqa: PLC0415

    chosen = hashlib.sha256(seed.encode()).digest()
    sky = Pillow.linear_gradient("L").resize((width, height * 3 // 5))
    water = sky.resize((width, height - sky.height)).transpose(Pillow.Transpose.FLIP_TOP_BOTTOM)
    canvas = Pillow.new("RGB", (width, height))
    warm = tuple(180 + part % 70 for part in chosen[:3])
    canvas.paste(Pillow.composite(Pillow.new("RGB", sky.size, warm), Pillow.new("RGB", sky.size, (38, 44, 92)), sky))
    cold = Pillow.new("RGB", water.size, (18, 32, 60))
    canvas.paste(
        Pillow.composite(Pillow.new("RGB", water.size, warm), cold, water.point(lambda level: level // 2)),
        (0, sky.height),
    )
    draw = ImageDraw.Draw(canvas)
    left, foot = width * (2 + chosen[3] % 5) // 10, sky.height + height // 20
    draw.polygon(
        [
            (left, foot),
            (left + width // 12, foot),
            (left + width // 16, foot - height // 3),
            (left + width // 48, foot - height // 3),
        ],
        fill=(24, 22, 34),
    )
    draw.ellipse(
        [(left + width // 48, foot - height * 3 // 8), (left + width // 16, foot - height * 3 // 8 + width // 24)],
        fill=(255, 236, 170),
    )
    written = io.BytesIO()
    canvas.save(written, "PNG")
    return written.getvalue()


def _padded(png: bytes, size: int, seed: str) -> bytes:
    room = size - len(png) - _CHUNK_BYTES
    if room < 0:
        raise ValueError(f"the picture needs {len(png)} bytes already")
    noise = hashlib.shake_256(seed.encode()).digest(room)
    kind = b"prVt"  # private and ancillary: every reader passes over it
    chunk = struct.pack(">I", room) + kind + noise + struct.pack(">I", zlib.crc32(kind + noise))
    return png[:_HEADER_BYTES] + chunk + png[_HEADER_BYTES:]

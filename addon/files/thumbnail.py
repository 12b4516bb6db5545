"""Thumbnails: a stored image in, a small WebP beside it out.

    python -m addon.files.thumbnail MEDIA-FOLDER PATH...

A process of its own, that the recorder starts and waits for without standing still: decoders are large C libraries
fed with what anybody may have made, so one that crashes, loops or swells takes down this process and nothing else.
One line of JSON on standard output for each path, in order. The original is only read.
"""

import contextlib
import io
import json
import os
import resource
import sys
import warnings
from pathlib import Path

from PIL import Image, ImageOps

from addon.files.media import Incoming, thumbnail_path

EDGE = 192
"""The longer side of a thumbnail in pixels."""

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 50_000_000
"""What is decoded at most: beyond it lie bombs, and pictures that a browser would not show either."""

CPU_SECONDS = 10
MEMORY_BYTES = 1024 * 1024 * 1024

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP")
_LARGEST_PROFILE = 8192


class ThumbnailError(Exception):
    """No thumbnail can be made of this file; one line, without anything that the file says."""


def thumbnail(data: bytes) -> bytes:
    """A WebP of at most `EDGE` x `EDGE` pixels, turned as the image's EXIF says. Raises `ThumbnailError`."""
    try:
        with (
            warnings.catch_warnings(action="ignore"),  # our own limit is stricter than the one it warns at
            Image.open(io.BytesIO(data), formats=_FORMATS) as image,
        ):
            # JPEG is decoded at a fraction of its size; the limit is on what is really decoded.
            image.draft("RGB", (2 * EDGE, 2 * EDGE))
            if image.width * image.height > MAX_PIXELS:
                raise ThumbnailError("too many pixels")
            return _reduced(image)
    except ThumbnailError:
        raise
    except Exception as error:
        # Pillow raises nearly anything for a damaged file: OSError, SyntaxError, ValueError, struct.error, ...
        raise ThumbnailError(f"cannot be decoded: {type(error).__name__}") from None


def _reduced(image: Image.Image) -> bytes:
    image.thumbnail((EDGE, EDGE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    image = ImageOps.exif_transpose(image)
    profile = image.info.get("icc_profile") or b""
    image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    written = io.BytesIO()
    image.save(written, "WEBP", quality=80, icc_profile=profile if len(profile) <= _LARGEST_PROFILE else b"", exif=b"")
    return written.getvalue()


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
            raise ThumbnailError("too large a file")
        return file.read()


def _make(folder: Path, path: str) -> str:
    made = thumbnail(_read(folder / path))
    target = thumbnail_path(folder, Path(path).stem)
    incoming = Incoming(folder)
    try:
        incoming.write(made)
        incoming.move(target)
    finally:
        incoming.discard()
    return target.relative_to(folder).as_posix()


def _limit() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + 1 + CPU_SECONDS
    for kind, limit in ((resource.RLIMIT_CPU, until), (resource.RLIMIT_AS, MEMORY_BYTES)):
        # macOS knows no limit of the address space.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))


def main() -> None:
    """Make the thumbnails that the arguments name."""
    os.umask(0o077)
    Image.MAX_IMAGE_PIXELS = 4 * MAX_PIXELS
    folder = Path(sys.argv[1])
    for path in sys.argv[2:]:
        _limit()
        try:
            said = {"thumbnail": _make(folder, path)}
        except ThumbnailError as error:
            said = {"error": str(error)}
        except OSError as error:
            said = {"error": f"cannot be written: {error.strerror}"}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()

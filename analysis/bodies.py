"""Kept bodies as bytes again: zstd frames in a row, read as far as they are wanted and never further."""

import io
import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


class Damaged(ValueError):
    """A kept body that cannot be read."""


def unpacked(frames: bytes, most: int) -> bytes:
    """What was packed, up to `most` bytes of it. Raises `Damaged`."""
    try:
        with zstd.open(io.BytesIO(frames), "rb") as plain:
            return plain.read(most)
    except (zstd.ZstdError, EOFError) as error:
        raise Damaged(str(error)) from None

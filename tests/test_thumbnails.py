"""Thumbnails of stored images, and that no image can do harm with one."""

import io
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest
from PIL import Image

from addon.archive import media_folder
from addon.files.thumbnail import ThumbnailError, thumbnail
from addon.files.thumbnailer import Thumbnailer
from addon.records import Thumbnail
from tests.conftest import ROOT
from tests.receiving import kept, png, receive
from tests.recording import Archive


def painted(form: str, size: tuple[int, int] = (600, 300), mode: str = "RGB", **settings: object) -> bytes:
    """Red above, blue below."""
    image = Image.new("RGB", size, (200, 0, 0))
    image.paste((0, 0, 200), (0, size[1] // 2, *size))
    written = io.BytesIO()
    image.convert(mode).save(written, form, **settings)
    return written.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    assert image.format == "WEBP"
    return image


def reddish(image: Image.Image, at: tuple[int, int]) -> bool:
    pixel = image.convert("RGB").getpixel(at)
    assert isinstance(pixel, tuple)
    return pixel[0] > pixel[2]


@pytest.mark.parametrize(
    ("form", "mode"),
    [("PNG", "RGB"), ("PNG", "P"), ("PNG", "RGBA"), ("JPEG", "RGB"), ("JPEG", "CMYK"), ("WEBP", "RGB"), ("GIF", "P"), ("AVIF", "RGB"), ("BMP", "RGB")],
)  # fmt: skip
def test_a_thumbnail_is_a_small_webp_of_the_same_shape(form: str, mode: str) -> None:
    made = opened(thumbnail(painted(form, mode=mode)))
    assert made.size == (192, 96)
    assert [reddish(made, (96, y)) for y in (10, 85)] == [True, False]


def test_grey_deep_and_tiny_images_have_one_too() -> None:
    for mode in ("1", "L", "LA", "I;16"):
        written = io.BytesIO()
        Image.new(mode, (400, 200)).save(written, "PNG")
        assert opened(thumbnail(written.getvalue())).size == (192, 96)
    assert opened(thumbnail(png(1, 1))).size == (1, 1)
    assert opened(thumbnail(painted("PNG", (2000, 3)))).size == (192, 1)


def test_transparency_stays() -> None:
    written = io.BytesIO()
    Image.new("RGBA", (300, 300), (0, 200, 0, 0)).save(written, "PNG")
    pixel = opened(thumbnail(written.getvalue())).convert("RGBA").getpixel((5, 5))
    assert isinstance(pixel, tuple)
    assert pixel[3] == 0


def test_an_image_is_turned_as_its_exif_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    made = opened(thumbnail(painted("JPEG", exif=exif)))
    assert [reddish(made, (96, y)) for y in (10, 85)] == [False, True]
    exif[0x0112] = 6  # a quarter turn
    made = opened(thumbnail(painted("JPEG", exif=exif)))
    assert made.size == (96, 192)
    assert not made.getexif()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that says it has so many pixels."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" * 1000)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x89PNG\r\n\x1a\n", painted("PNG")[:200], painted("JPEG")[:200], painted("WEBP")[:100], b"GIF89a\x01", b"<svg/>",
        bomb(10_000, 10_000), bomb(2**31 - 1, 2**31 - 1), bomb(0, 5), b"%PDF-1.7", b"\0\0\0\x18ftypavif" + b"\xff" * 100,
    ],
)  # fmt: skip
def test_what_cannot_be_decoded_is_one_error(data: bytes) -> None:
    with pytest.raises(ThumbnailError) as refused:
        thumbnail(data)
    assert str(refused.value) == "too many pixels" or str(refused.value).startswith("cannot be decoded: ")


def test_a_photo_larger_than_the_limit_is_decoded_at_a_fraction_of_its_size() -> None:
    assert opened(thumbnail(painted("JPEG", (9000, 6000), quality=10))).size == (192, 128)


def make_all(thumbnailer: Thumbnailer, archive: Archive, seconds: float = 20.0) -> list[Thumbnail]:
    """Have all that is due made and written down."""
    results: list[Thumbnail] = []
    deadline = time.monotonic() + seconds
    while thumbnailer.working:
        made = thumbnailer.step()
        archive.store.write(made)
        results += made
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return results


def test_every_stored_image_gets_one_beside_it_and_every_failure_is_written_down(archive: Archive) -> None:
    before = os.umask(0)
    receive(archive, painted("PNG"), identity="file_1")
    receive(archive, painted("JPEG")[:300] + b"\xff\xd9", identity="file_2")
    receive(archive, b"no image", identity="file_3")
    receive(archive, painted("WEBP"), identity="file_4")
    folder = media_folder(archive.path)
    thumbnailer = Thumbnailer(folder, archive.store.images_without_thumbnail)
    make_all(thumbnailer, archive)
    os.umask(before)
    rows = {row["mime_type"]: row for row in archive.rows("SELECT * FROM files")}
    for mime_type in ("image/png", "image/webp"):
        digest = rows[mime_type]["sha256"]
        assert rows[mime_type]["thumbnail_path"] == f"thumbnails/{digest[:2]}/{digest}.webp"
        path = folder / rows[mime_type]["thumbnail_path"]
        assert opened(path.read_bytes()).size == (192, 96)
        assert [path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777] == [0o600, 0o700]
    assert rows["image/jpeg"]["thumbnail_path"] is None
    assert rows["image/jpeg"]["thumbnail_error"].startswith("cannot be decoded: ")
    assert (rows["text/plain"]["thumbnail_path"], rows["text/plain"]["thumbnail_error"]) == (None, None)
    assert len(kept(archive)) == 6
    thumbnailer.wake()
    assert make_all(thumbnailer, archive) == []  # none is tried again


def test_a_decoder_that_crashes_costs_its_own_image_alone(archive: Archive, tmp_path: Path) -> None:
    for number in range(3):
        receive(archive, png(30 + number, 20), identity=f"file_{number}")
    # Where an image should be is a pipe: its reader waits for ever, until it is ended from outside.
    (due,) = [path for digest, path in archive.store.images_without_thumbnail(3)[1:2]]
    thumbnailer = Thumbnailer(media_folder(archive.path), archive.store.images_without_thumbnail)
    (media_folder(archive.path) / due).unlink()
    os.mkfifo(media_folder(archive.path) / due)
    thumbnailer.step()
    process = thumbnailer._process
    assert process is not None
    deadline = time.monotonic() + 20
    while len(list((media_folder(archive.path) / "thumbnails").glob("*/*"))) < 1:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.5)  # it is said a moment after it is there
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    first = thumbnailer.step()
    assert [(result.path is None, result.error) for result in first] == [
        (False, None),
        (True, "the decoder crashed or took too long"),
    ]
    archive.store.write(first)
    rest = make_all(thumbnailer, archive)
    assert [result.error for result in rest] == [None]


def test_the_decoder_may_use_only_so_much_memory_and_time(tmp_path: Path) -> None:
    script = (
        "import resource, addon.files.thumbnail as t; t._limit();"
        "print(resource.getrlimit(resource.RLIMIT_CPU)[0], resource.getrlimit(resource.RLIMIT_AS)[0])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    cpu, memory = map(int, done.stdout.split())
    assert 10 <= cpu <= 15
    assert memory == 1024**3 or sys.platform != "linux"

"""The type of a file by its bytes, and the measures of an image by its header: real files, made here, and literals."""

import gzip
import io
import tarfile
import wave
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from addon.files.file_types import HEAD_BYTES, ends_early, file_type
from addon.files.image_size import image_size


def picture(form: str, size: tuple[int, int] = (37, 21), mode: str = "RGB", **settings: object) -> bytes:
    written = io.BytesIO()
    Image.new(mode, size, 7).save(written, form, **settings)
    return written.getvalue()


def zipped(*names: str) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in names:
            archive.writestr(name, "application/epub+zip" if name == "mimetype" else "x")
    return written.getvalue()


def sound() -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as wav:
        wav.setparams((1, 2, 8000, 0, "NONE", ""))
        wav.writeframes(b"\0" * 100)
    return written.getvalue()


def tarred() -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    return written.getvalue()


@pytest.mark.parametrize(
    ("data", "mime_type", "extension", "kind"),
    [
        (picture("PNG"), "image/png", "png", "image"),
        (picture("JPEG"), "image/jpeg", "jpg", "image"),
        (picture("GIF", mode="P"), "image/gif", "gif", "image"),
        (picture("WEBP"), "image/webp", "webp", "image"),
        (picture("AVIF"), "image/avif", "avif", "image"),
        (picture("BMP"), "image/bmp", "bmp", "image"),
        (picture("TIFF"), "image/tiff", "tiff", "image"),
        (picture("ICO", (16, 16)), "image/x-icon", "ico", "image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic", "heic", "image"),
        (b"\0\0\0\x20ftypmif1\0\0\0\0mif1avifmiaf", "image/avif", "avif", "image"),
        (picture("PDF"), "application/pdf", "pdf", "file"),
        (sound(), "audio/wav", "wav", "audio"),
        (b"ID3\x04\0\0\0\0\0\0", "audio/mpeg", "mp3", "audio"),
        (b"\xff\xfb\x90\x64\0\0", "audio/mpeg", "mp3", "audio"),
        (b"\xff\xf1\x50\x80\0\0", "audio/aac", "aac", "audio"),
        (b"OggS\0\2", "audio/ogg", "ogg", "audio"),
        (b"fLaC\0\0\0\x22", "audio/flac", "flac", "audio"),
        (b"\0\0\0\x1cftypM4A \0\0\0\0", "audio/mp4", "m4a", "audio"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "video/mp4", "mp4", "file"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0", "video/quicktime", "mov", "file"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1B\xf2\x81\4B\xf3\x81\x08B\x82\x84webm", "video/webm", "webm", "file"),
        (b"\x1aE\xdf\xa3\xa3B\x86\x81\1B\xf7\x81\1B\xf2\x81\4B\xf3\x81\x08B\x82\x88matroska", "video/x-matroska", "mkv", "file"),
        (zipped("a.txt", "b/word.txt"), "application/zip", "zip", "file"),
        (zipped("[Content_Types].xml", "word/document.xml"), "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx", "file"),
        (zipped("[Content_Types].xml", "xl/workbook.xml"), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx", "file"),
        (zipped("[Content_Types].xml", "ppt/presentation.xml"), "application/vnd.openxmlformats-officedocument.presentationml.presentation", "pptx", "file"),
        (zipped("mimetype", "word/"), "application/epub+zip", "epub", "file"),
        (zipped(), "application/zip", "zip", "file"),
        (gzip.compress(b"x", mtime=0), "application/gzip", "gz", "file"),
        (tarred(), "application/x-tar", "tar", "file"),
        (b"SQLite format 3\0\x10\0", "application/vnd.sqlite3", "sqlite", "file"),
        (b"{\\rtf1\\ansi", "application/rtf", "rtf", "file"),
        (b"<!DOCTYPE html><title>Just a moment...</title>", "text/html", "html", "file"),
        (b"\xef\xbb\xbf\n<!-- a - b -- c -->\n<HTML lang=en>", "text/html", "html", "file"),
        (b'<?xml version="1.0"?>\n<!DOCTYPE svg PUBLIC "x" "y">\n<svg xmlns="http://www.w3.org/2000/svg">', "image/svg+xml", "svg", "image"),
        (b"<htmlish> is no element", "text/plain", "txt", "file"),
        (b'{"detail": "caf\xc3\xa9"}', "text/plain", "txt", "file"),
        ("a,b\r\n潮,1\n".encode(), "text/plain", "txt", "file"),
        ("x".encode("utf-16"), "application/octet-stream", "bin", "file"),
        (b"caf\xe9", "application/octet-stream", "bin", "file"),
        (b"nul\0", "application/octet-stream", "bin", "file"),
        (b"", "application/octet-stream", "bin", "file"),
    ],
)  # fmt: skip
def test_a_file_is_what_its_first_bytes_say(data: bytes, mime_type: str, extension: str, kind: str) -> None:
    found = file_type(data)
    assert (found.mime_type, found.extension, found.kind) == (mime_type, extension, kind)


def test_a_text_may_be_cut_within_a_character_where_only_its_head_is_seen() -> None:
    head = ("é" * HEAD_BYTES).encode()[: HEAD_BYTES - 1] + b"\xc3"
    assert (len(head), file_type(head).extension) == (HEAD_BYTES, "bin")
    head = b"x" + ("é" * HEAD_BYTES).encode()[: HEAD_BYTES - 1]
    assert (len(head), file_type(head).extension) == (HEAD_BYTES, "txt")


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (picture("PNG"), (37, 21)),
        (picture("GIF", mode="P"), (37, 21)),
        (picture("BMP"), (37, 21)),
        (picture("WEBP"), (37, 21)),
        (picture("WEBP", lossless=True), (37, 21)),
        (picture("WEBP", mode="RGBA", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"), (37, 21)),
        (picture("JPEG"), (37, 21)),
        (picture("JPEG", progressive=True, comment=b"\xff\xc0" * 30_000), (37, 21)),
        (picture("AVIF"), (37, 21)),
        (picture("TIFF"), None),
        (b"\xff\xd8\xff\xff\xe0\0\4xx\xff\xc2\0\x11\x08\0\x15\0\x25\3", (37, 21)),
        (b"BM" + bytes(12) + b"\x28\0\0\0\x25\0\0\0\xeb\xff\xff\xff", (37, 21)),
        # A grid: tiles, then the whole
        (b"\0\0\0\x18ftypheic\0\0\0\0" + b"".join(b"ispe\0\0\0\0" + w.to_bytes(4) + h.to_bytes(4) for w, h in [(512, 512), (4032, 3024)]), (4032, 3024)),
        (picture("PNG")[:20], None),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(8), None),
    ],
)  # fmt: skip
def test_an_image_is_measured_by_its_header(data: bytes, size: tuple[int, int] | None) -> None:
    assert image_size(file_type(data).mime_type, data) == size


def test_what_was_cut_off_is_seen_where_the_format_tells() -> None:
    for form in ("PNG", "JPEG", "WEBP", "PDF"):
        data = picture(form, (300, 300))
        found, cut = file_type(data), data[: len(data) * 2 // 3]
        assert not ends_early(found, len(data), data, data[-4096:]), form
        assert ends_early(found, len(cut), cut, cut[-40:]), form
    assert not ends_early(file_type(b"text"), 4, b"text", b"text")


SIGNATURES = [
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF89a",
    b"RIFF    WEBP",
    b"    ftypavif",
    b"BM",
    b"<svg ",
    b"<!--",
]


@given(st.sampled_from([b"", *SIGNATURES]), st.binary())
def test_no_bytes_make_it_raise(signature: bytes, rest: bytes) -> None:
    data = signature + rest
    found = file_type(data)
    size = image_size(found.mime_type, data)
    assert size is None or min(size) > 0
    assert isinstance(ends_early(found, len(data), data, data[-10:]), bool)

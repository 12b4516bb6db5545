"""What a file is, by its first bytes: never by a header or a name, which anybody may write.

Pure. A table of signatures instead of a library: what passes between ChatGPT and a browser is some thirty types, and
the extension under which a file lies must be one of ours, whatever the wire says.
"""

import codecs
import re
from dataclasses import dataclass

THUMBNAILED = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", "image/bmp")
"""Media types of which a thumbnail can be made."""

HEAD_BYTES = 256 * 1024
"""How much of a file's beginning tells its type and measures."""


@dataclass(frozen=True, slots=True)
class FileType:
    """A media type and the extension it is stored under."""

    mime_type: str
    extension: str

    @property
    def kind(self) -> str:
        """`assets.kind`: image, audio or file."""
        family = self.mime_type.partition("/")[0]
        return family if family in ("image", "audio") else "file"


def _type(mime_type: str, extension: str, pattern: bytes) -> tuple[FileType, bytes]:
    return FileType(mime_type, extension), pattern  # compiled by the first file: most starts of the recorder see none


_ZIP = FileType("application/zip", "zip")
_TEXT = FileType("text/plain", "txt")
_UNKNOWN = FileType("application/octet-stream", "bin")

_SIGNATURES = (
    _type("image/png", "png", rb"\x89PNG\r\n\x1a\n"),
    _type("image/jpeg", "jpg", rb"\xff\xd8\xff"),
    _type("image/gif", "gif", rb"GIF8[79]a"),
    _type("image/webp", "webp", rb"RIFF.{4}WEBP"),
    _type("image/avif", "avif", rb".{4}ftypavi[fs]|.{4}ftypmif1.{4}.{0,64}avif"),
    _type("image/heic", "heic", rb".{4}ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)"),
    _type("image/bmp", "bmp", rb"BM.{4}\x00{4}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00{3}"),
    _type("image/tiff", "tiff", rb"II\*\x00|MM\x00\*"),
    _type("image/x-icon", "ico", rb"\x00\x00\x01\x00[\x01-\x20]\x00"),
    _type("application/pdf", "pdf", rb"%PDF-"),
    _type("audio/wav", "wav", rb"RIFF.{4}WAVE"),
    _type("audio/ogg", "ogg", rb"OggS"),
    _type("audio/flac", "flac", rb"fLaC"),
    _type("audio/mpeg", "mp3", rb"ID3[\x02-\x04]"),
    # ADTS: like a frame of MPEG audio, but of layer 0.
    _type("audio/aac", "aac", rb"\xff[\xf0\xf1\xf8\xf9]"),
    # MPEG audio of layer 2 or 3 with no reserved version, bit rate or sampling rate (ISO 11172-3 2.4.1.3).
    _type("audio/mpeg", "mp3", rb"\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd][\x10-\x1b\x20-\x2b\x30-\x3b\x40-\x4b\x50-\x5b"
          rb"\x60-\x6b\x70-\x7b\x80-\x8b\x90-\x9b\xa0-\xab\xb0-\xbb\xc0-\xcb\xd0-\xdb\xe0-\xeb]"),
    _type("audio/mp4", "m4a", rb".{4}ftypM4[AB] "),
    _type("video/quicktime", "mov", rb".{4}ftypqt  "),
    _type("video/mp4", "mp4", rb".{4}ftyp"),
    _type("video/webm", "webm", rb"\x1aE\xdf\xa3.{0,64}webm"),
    _type("video/x-matroska", "mkv", rb"\x1aE\xdf\xa3"),
    _type("application/zip", "zip", rb"PK(?:\x03\x04|\x05\x06|\x07\x08)"),
    _type("application/gzip", "gz", rb"\x1f\x8b\x08"),
    _type("application/x-7z-compressed", "7z", rb"7z\xbc\xaf\x27\x1c"),
    _type("application/x-tar", "tar", rb".{257}ustar"),
    _type("application/vnd.apache.parquet", "parquet", rb"PAR1"),
    _type("application/vnd.sqlite3", "sqlite", rb"SQLite format 3\x00"),
    _type("application/vnd.ms-office", "ole", rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    _type("application/rtf", "rtf", rb"\{\\rtf1"),
)  # fmt: skip

# What a ZIP archive is by the first names in it: a type of its own when it is an Office or EPUB document.
_OFFICE = "application/vnd.openxmlformats-officedocument."
_IN_ZIP = (
    _type("application/epub+zip", "epub", rb"PK\x03\x04.{26}mimetypeapplication/epub\+zip"),
    _type(_OFFICE + "wordprocessingml.document", "docx", rb"PK\x03\x04.{26}word/"),
    _type(_OFFICE + "spreadsheetml.sheet", "xlsx", rb"PK\x03\x04.{26}xl/"),
    _type(_OFFICE + "presentationml.presentation", "pptx", rb"PK\x03\x04.{26}ppt/"),
)

# After what XML and HTML allow ahead of their first element: a byte order mark, blanks, declarations and comments.
_PROLOGUE = rb"(?:\xef\xbb\xbf)?+(?:\s++|<\?[^>]*+>|<!--(?:[^-]|-(?!->))*+-->|<!(?i:doctype)\s++svg[^>]*+>)*+"
_MARKUP = (
    _type("text/html", "html", _PROLOGUE + rb"<(?i:!doctype\s++html|html|head|body|title|script)[\s/>]"),
    _type("image/svg+xml", "svg", _PROLOGUE + rb"<svg[\s>]"),
)
_CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def file_type(head: bytes) -> FileType:
    """The type of the file that begins with `head`, all of it or `HEAD_BYTES`."""
    for found, signature in _SIGNATURES:
        if re.match(signature, head, re.DOTALL):
            return _in_zip(head) if found == _ZIP else found
    for found, signature in _MARKUP:
        if re.match(signature, head[:4096]):
            return found
    return _TEXT if head and _is_text(head) else _UNKNOWN


def ends_early(found: FileType, size: int, head: bytes, tail: bytes) -> bool:
    """Whether a file of this type must have gone on after its last bytes `tail`; for what cannot tell, False."""
    match found.extension:
        case "png":
            return b"IEND" not in tail
        case "jpg":
            return b"\xff\xd9" not in tail
        case "webp":
            return size < int.from_bytes(head[4:8], "little") + 8
        case "pdf":
            return b"%%EOF" not in tail
    return False


def _in_zip(head: bytes) -> FileType:
    return next((found for found, names in _IN_ZIP if re.search(names, head, re.DOTALL)), _ZIP)


def _is_text(head: bytes) -> bool:
    if _CONTROL.search(head):
        return False
    try:
        # A head that is not the whole file may end in half a character.
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD_BYTES)
    except UnicodeDecodeError:
        return False
    return True

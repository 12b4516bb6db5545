"""A description inside an image file, as XMP: bytes in, bytes out; pixels are never touched.

PNG takes it as an iTXt chunk (PNG 11.3.3.4), JPEG as an APP1 segment, WebP as a chunk of the extended format (XMP
specification part 3). A file of another kind, or one that is not whole, comes back as it was.
"""

import struct
import zlib
from xml.sax.saxutils import escape

_PNG = b"\x89PNG\r\n\x1a\n"
_XMP_OF_PNG = b"XML:com.adobe.xmp\0\0\0\0\0"
_XMP_OF_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
_LONGEST_SEGMENT = 65_533
_XMP, _ALPHA = 0x04, 0x10
"""Flags of WebP's VP8X chunk."""


def with_description(data: bytes, *, title: str | None, description: str | None, tool: str | None) -> bytes:
    """An image file with these in its metadata, where they are known."""
    packet = _packet(title, description, tool)
    if data.startswith(_PNG):
        return _png(data, packet)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data, packet)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data, packet)
    return data


def _packet(title: str | None, description: str | None, tool: str | None) -> bytes:
    fields = "".join(
        f"<{name}><rdf:Alt><rdf:li xml:lang='x-default'>{_text(text)}</rdf:li></rdf:Alt></{name}>"
        for name, text in (("dc:title", title), ("dc:description", description))
        if text
    )
    made_by = f"<xmp:CreatorTool>ChatGPT, {_text(tool)}</xmp:CreatorTool>" if tool else ""
    return (
        "<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>"
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
        "<rdf:Description rdf:about='' xmlns:dc='http://purl.org/dc/elements/1.1/'"
        f" xmlns:xmp='http://ns.adobe.com/xap/1.0/'>{fields}{made_by}</rdf:Description></rdf:RDF></x:xmpmeta>"
        "<?xpacket end='r'?>"
    ).encode()


def _text(text: str) -> str:
    """Text as XML 1.0 allows it."""
    return escape(
        "".join(sign if sign >= " " or sign in "\t\n\r" else " " for sign in text if sign not in "\ufffe\uffff")
    )


def _png(data: bytes, packet: bytes) -> bytes:
    end = 8 + 12 + int.from_bytes(data[8:12])  # behind the header chunk, which comes first
    if data[12:16] != b"IHDR" or end > len(data):
        return data
    body = b"iTXt" + _XMP_OF_PNG + packet
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:end] + chunk + data[end:]


def _jpeg(data: bytes, packet: bytes) -> bytes:
    body = _XMP_OF_JPEG + packet
    if len(body) > _LONGEST_SEGMENT:
        return data
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    # JFIF wants its own segment to be the first.
    place = 4 + int.from_bytes(data[4:6]) if data[2:4] == b"\xff\xe0" else 2
    return data[:place] + segment + data[place:] if place <= len(data) else data


def _webp(data: bytes, packet: bytes) -> bytes:
    chunks = _riff(data)
    if not chunks or any(name == b"XMP " for name, _ in chunks):
        return data
    if chunks[0][0] != b"VP8X":
        size = _webp_size(*chunks[0])
        if size is None:
            return data
        width, height, alpha = size
        extended = struct.pack("<I", _ALPHA if alpha else 0) + _three(width - 1) + _three(height - 1)
        chunks.insert(0, (b"VP8X", extended))
    name, head = chunks[0]
    chunks[0] = (name, bytes([head[0] | _XMP]) + head[1:])
    chunks.append((b"XMP ", packet))
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2) for kind, content in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _riff(data: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a WebP file, [] when they are not whole."""
    chunks, place = [], 12
    while place + 8 <= len(data):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        content = data[place + 8 : place + 8 + size]
        if len(content) < size:
            return []
        chunks.append((data[place : place + 4], content))
        place += 8 + size + size % 2
    return chunks


def _webp_size(name: bytes, content: bytes) -> tuple[int, int, bool] | None:
    """Width, height and whether there is transparency, of the simple formats (RFC 9649 2.5 and 2.6)."""
    if name == b"VP8L" and content[:1] == b"\x2f" and len(content) >= 5:
        bits = int.from_bytes(content[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    if name == b"VP8 " and content[3:6] == b"\x9d\x01\x2a" and len(content) >= 10:
        width, height = struct.unpack("<HH", content[6:10])
        return width & 0x3FFF, height & 0x3FFF, False
    return None


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")

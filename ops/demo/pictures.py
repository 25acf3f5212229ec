"""Tiny but real images for the paper, made from nothing: a grey mosaic as baseline JPEG, a flat PNG.

The JPEG (ITU-T T.81) has one component and only DC coefficients, which is all that a mosaic of 8x8 blocks needs; it
can carry an XMP packet with creator and credit, as press photos do. No image library is needed to write it.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from html import escape

#: Pixels on a side of one JPEG block.
BLOCK = 8
#: Blocks across and down a photo of the paper: the size of a press photo on a page, in a few kilobytes.
ACROSS, DOWN = 90, 60
WIDTH, HEIGHT = ACROSS * BLOCK, DOWN * BLOCK
#: Number of DC codes by length 1 to 16, and their categories (T.81, table K.3).
DC_COUNTS = bytes([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
DC_CATEGORIES = bytes(range(12))
#: One AC code, `0` for end-of-block: there is never anything else.
AC_COUNTS = bytes([1, *[0] * 15])
XMP_MARK = b"http://ns.adobe.com/xap/1.0/\x00"


def photo(name: str, *, creator: str | None = None, credit: str | None = None) -> bytes:
    """The JPEG that belongs to a name: always the same bytes, another picture for another name."""
    return jpeg(levels_of(name), xmp=_xmp(creator, credit) if creator or credit else None)


def levels_of(name: str) -> list[list[int]]:
    """The mosaic that belongs to a name: rows of grey levels."""
    seed = hashlib.sha256(name.encode()).digest()
    return [
        [(seed[(x + y) // 6 % 32] // 3 + seed[x // 6 * (y // 6) % 32] // 3 + y) % 256 for x in range(ACROSS)]
        for y in range(DOWN)
    ]


def jpeg(levels: list[list[int]], *, xmp: bytes | None = None) -> bytes:
    """A grey JPEG whose 8x8 blocks have these levels (rows of 0 to 255)."""
    parts = [b"\xff\xd8", _segment(0xE0, b"JFIF\x00" + struct.pack(">HBHHBB", 0x0101, 1, 72, 72, 0, 0))]
    if xmp is not None:
        parts.append(_segment(0xE1, XMP_MARK + xmp))
    parts.append(_segment(0xDB, b"\x00" + bytes([BLOCK]) * 64))
    size = struct.pack(">HH", len(levels) * BLOCK, len(levels[0]) * BLOCK)
    parts.append(_segment(0xC0, b"\x08" + size + b"\x01\x01\x11\x00"))
    parts.append(_segment(0xC4, b"\x00" + DC_COUNTS + DC_CATEGORIES))
    parts.append(_segment(0xC4, b"\x10" + AC_COUNTS + b"\x00"))
    parts.append(_segment(0xDA, b"\x01\x01\x00\x00\x3f\x00"))
    return b"".join([*parts, _scan(levels), b"\xff\xd9"])


def _segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def _scan(levels: list[list[int]]) -> bytes:
    """The entropy-coded blocks: the difference to the block before, then end-of-block (T.81, F.1.2)."""
    codes = _codes(DC_COUNTS, DC_CATEGORIES)
    bits = []
    before = 0
    for row in levels:
        for level in row:
            difference = (level - 128) - before
            before = level - 128
            category = abs(difference).bit_length()
            extra = difference if difference >= 0 else difference + (1 << category) - 1
            bits.append(codes[category] + (format(extra, f"0{category}b") if category else "") + "0")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    coded = int(text, 2).to_bytes(len(text) // 8, "big")
    return coded.replace(b"\xff", b"\xff\x00")


def _codes(counts: bytes, symbols: bytes) -> dict[int, str]:
    """Symbol -> code, counted up as T.81, C.2 has it."""
    found: dict[int, str] = {}
    code, position = 0, 0
    for length, count in enumerate(counts, 1):
        for symbol in symbols[position : position + count]:
            found[symbol] = format(code, f"0{length}b")
            code += 1
        position += count
        code <<= 1
    return found


def _xmp(creator: str | None, credit: str | None) -> bytes:
    inner = ""
    if creator:
        inner += f"<dc:creator><rdf:Seq><rdf:li>{escape(creator)}</rdf:li></rdf:Seq></dc:creator>"
    if credit:
        inner += f"<photoshop:Credit>{escape(credit)}</photoshop:Credit>"
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/">'
        f'{inner}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def png(width: int, height: int, grey: int) -> bytes:
    """A flat grey PNG (ISO/IEC 15948)."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"\x00" + bytes([grey]) * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")

"""Image files of our own for tests: drawn here, with credit lines written into them as cameras and agencies do."""

from __future__ import annotations

import io
import struct
from typing import Any, Final

from PIL import Image, ImageDraw

XMP: Final = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"{attributes}>
<dc:creator><rdf:Seq><rdf:li>{creator}</rdf:li></rdf:Seq></dc:creator>
<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{rights}</rdf:li></rdf:Alt></dc:rights>
{more}</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def xmp(creator: str = "Kostas Liber", rights: str = "\u00a9 2026 AP", attributes: str = "", more: str = "") -> bytes:
    """An XMP packet."""
    return XMP.format(creator=creator, rights=rights, attributes=attributes, more=more).encode()


def iim(values: list[tuple[int, bytes]], *, utf8: bool = True) -> bytes:
    """IPTC-IIM datasets of record 2, behind the mark that says that they are UTF-8."""
    head = b"\x1c\x01\x5a\x00\x03\x1b%G" if utf8 else b""
    return head + b"".join(bytes([0x1C, 2, number]) + struct.pack(">H", len(value)) + value for number, value in values)


def photoshop(datasets: bytes) -> bytes:
    """The APP13 segment of a JPEG that holds them."""
    padded = datasets + b"\0" * (len(datasets) % 2)
    block = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(datasets)) + padded
    return b"\xff\xed" + struct.pack(">H", len(block) + 2) + block


def picture(seed: int = 1, size: tuple[int, int] = (320, 200), mode: str = "RGB") -> Image.Image:
    """A scene of a few shapes: the same for the same seed, another for another."""
    image = Image.new("RGB", size, (seed * 37 % 256, seed * 91 % 256, seed * 53 % 256))
    draw = ImageDraw.Draw(image)
    width, height = size
    for n in range(12):
        x, y = (seed * 131 + n * 57) % width, (seed * 17 + n * 83) % height
        color = ((seed + n) * 67 % 256, (seed + n) * 29 % 256, (seed * n + 40) % 256)
        draw.ellipse((x, y, x + width // (2 + n % 4), y + height // (2 + (seed + n) % 3)), fill=color)
    return image if mode == "RGB" else image.convert(mode)


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    """An image as a file."""
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def exif_of(image: Image.Image, tags: dict[int, Any]) -> bytes:
    """An EXIF block with these tags."""
    exif = image.getexif()
    for tag, value in tags.items():
        exif[tag] = value
    return exif.tobytes()


def agency_photo(seed: int = 1) -> bytes:
    """A JPEG whose IPTC, XMP and EXIF name three different owners."""
    image = picture(seed)
    data = saved(
        image, "JPEG", quality=90, xmp=xmp(rights="\u00a9 2026 Lantern &amp; Co"),
        exif=exif_of(image, {0x013B: "Kostas Liber", 0x8298: "Harbour Photo Desk"}),
    )  # fmt: skip
    lines = iim([(80, b"Kostas Liber"), (110, b"AP"), (115, b"AP"), (116, "\u00a9 AP, rights of all".encode())])
    return data[:2] + photoshop(lines) + data[2:]

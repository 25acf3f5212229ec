"""The credit lines inside an image file: IPTC-IIM, XMP and EXIF, each kept with its place, also where they disagree.

IPTC-IIM 4.2 datasets (in a JPEG's Photoshop segment, or a TIFF tag), XMP properties (ISO 16684-1), EXIF 2.32 tags.
What a line means - photographer or agency - is left to `schemas.credits`.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from lxml import etree

from ingest.images.pixels import exif_of
from schemas.articles import BODY_LAYER, Evidence, Span, clean, read_span
from schemas.errors import InvalidValue
from schemas.images import ImageClaim

#: Bytes of one value, as IPTC allows 32 to 2,000; a longer one is no credit and is left out, not cut.
MAX_CLAIM: Final = 4096
#: Values kept of one image: real ones have up to a dozen.
MAX_CLAIMS: Final = 64
#: Bytes of an XMP packet: one JPEG segment holds 65,502; other formats have no bound of their own.
MAX_XMP: Final = 1024 * 1024

#: IPTC-IIM record 2: dataset -> field.
_IPTC: Final = {80: "creator", 110: "credit", 115: "source", 116: "copyright"}
#: EXIF (TIFF 6.0) tags of the first directory.
_EXIF: Final = {0x013B: "creator", 0x8298: "copyright"}
#: XMP properties, in the order in which they are given out.
_XMP: Final = (
    ("dc:creator", "{http://purl.org/dc/elements/1.1/}creator", "creator"),
    ("photoshop:Credit", "{http://ns.adobe.com/photoshop/1.0/}Credit", "credit"),
    ("photoshop:Source", "{http://ns.adobe.com/photoshop/1.0/}Source", "source"),
    ("dc:rights", "{http://purl.org/dc/elements/1.1/}rights", "copyright"),
    ("tiff:Artist", "{http://ns.adobe.com/tiff/1.0/}Artist", "creator"),
    ("tiff:Copyright", "{http://ns.adobe.com/tiff/1.0/}Copyright", "copyright"),
)
_RDF: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_PHOTOSHOP_IPTC: Final = 0x0404
_TIFF_IPTC: Final = 33723
_TIFF_XMP: Final = 700
_IIM_MARKER: Final = 0x1C
_UTF8_ESCAPE: Final = b"\x1b%G"  # dataset 1:90


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """A value as found, and where to look for it in the file."""

    field: str
    path: str
    raw: str
    stored: bytes | None  # its very bytes; None for text that was XML
    codec: str
    part: bytes  # the part of the file that it stands in; empty: anywhere
    at: int = 0  # bytes from the start of the part, as far as known


def claims_of(image: Any, body: bytes) -> tuple[tuple[ImageClaim, ...], tuple[str, ...]]:
    """All claims of an opened image, IPTC first, then XMP, then EXIF; and codes of the parts that could not be read."""
    found: list[ImageClaim] = []
    broken: list[str] = []
    for name, read in (("iptc", _iptc), ("xmp", _xmp), ("exif", _exif)):
        try:
            for item in _distinct(read(image)):
                if len(found) < MAX_CLAIMS:
                    evidence = Evidence(source="image", path=item.path, raw=item.raw, span=_span(body, item))
                    found.append(ImageClaim(field=item.field, evidence=evidence))
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - a part that is broken costs what stands in it, and is named
            broken.append(name)
    return tuple(found), tuple(broken)


def _distinct(items: Iterator[_Found]) -> Iterator[_Found]:
    seen: set[tuple[str, str]] = set()
    for item in items:
        if item.raw and len(item.raw.encode()) <= MAX_CLAIM and (item.path, item.raw) not in seen:
            seen.add((item.path, item.raw))
            yield item


def _span(body: bytes, item: _Found) -> Span | None:
    """Where a value stands in the file, as it is or, in XMP, escaped; None where it is packed."""
    base = max(0, body.find(item.part)) + item.at
    if item.stored is not None:
        forms, via = [item.stored], "bytes"
    else:
        texts = (item.raw, html.escape(item.raw, quote=False), html.escape(item.raw))
        forms, via = [text.encode() for text in dict.fromkeys(texts)], "attr"
    for form in forms:
        start = body.find(form, base)
        if start >= 0:
            span = Span(layer=BODY_LAYER, start=start, end=start + len(form), charset=item.codec, via=via)
            try:
                if read_span(body, span) == item.raw:
                    return span
            except InvalidValue:
                continue
    return None


# -- IPTC-IIM ----------------------------------------------------------------------------------------------------------


def _iptc(image: Any) -> Iterator[_Found]:
    data = _iim_of(image)
    datasets = list(_datasets(data))
    declared = any(number == (1, 90) and value == _UTF8_ESCAPE for number, value, _ in datasets)
    for (record, dataset), value, at in datasets:
        field = _IPTC.get(dataset)
        if record == 2 and field is not None:
            text, codec = _decoded(value, declared)
            path = f"iptc/2:{dataset}"
            yield _Found(field=field, path=path, raw=clean(text), stored=value, codec=codec, part=data, at=at)


def _iim_of(image: Any) -> bytes:
    photoshop = image.info.get("photoshop")
    if isinstance(photoshop, dict):
        part = photoshop.get(_PHOTOSHOP_IPTC, b"")
        return part if isinstance(part, bytes) else b""
    tags = getattr(image, "tag_v2", None)
    value = tags.get(_TIFF_IPTC, b"") if tags is not None else b""
    if isinstance(value, tuple) and all(isinstance(v, int) for v in value):
        value = b"".join((v & 0xFFFFFFFF).to_bytes(4, "little") for v in value)  # stored as LONG by some
    return value if isinstance(value, bytes) else b""


def _datasets(data: bytes) -> Iterator[tuple[tuple[int, int], bytes, int]]:
    """(record, dataset), value and its offset, in order, up to the first thing that is none (IIM 4.2 section 1.5)."""
    at = data.find(bytes([_IIM_MARKER]))
    while 0 <= at <= len(data) - 5 and data[at] == _IIM_MARKER:
        record, dataset = data[at + 1], data[at + 2]
        length = int.from_bytes(data[at + 3 : at + 5], "big")
        at += 5
        if length & 0x8000:  # extended: the length stands in so many bytes
            size = length & 0x7FFF
            if size > 4:
                return
            length = int.from_bytes(data[at : at + size], "big")
            at += size
        if at + length > len(data):
            return
        yield (record, dataset), data[at : at + length], at
        at += length


def _decoded(value: bytes, utf8: bool) -> tuple[str, str]:
    """A value and its codec: UTF-8 where it is declared or reads as such, else Windows-1252, as writers have it."""
    value = value.rstrip(b"\0")
    try:
        return value.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        if utf8:
            return value.decode("utf-8", "replace"), "utf-8"
    try:
        return value.decode("cp1252"), "cp1252"
    except UnicodeDecodeError:
        return value.decode("latin-1"), "latin-1"


# -- XMP ---------------------------------------------------------------------------------------------------------------


def _xmp(image: Any) -> Iterator[_Found]:
    packet = image.info.get("xmp")
    if packet is None and getattr(image, "tag_v2", None) is not None:
        packet = image.tag_v2.get(_TIFF_XMP)
    if isinstance(packet, str):
        packet = packet.encode("utf-8", "replace")
    if not isinstance(packet, bytes) or not packet.strip(b"\0 \t\r\n"):
        return
    if len(packet) > MAX_XMP or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        raise ValueError("no XMP packet is so long or declares a type")  # ISO 16684-1 has no use for either
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    root = etree.fromstring(packet.strip(b"\0 \t\r\n"), parser)
    for path, name, field in _XMP:
        texts = [text for node in root.iter(f"{_RDF}Description") for text in _values(node, name)]
        for number, text in enumerate(texts):
            place = f"xmp/{path}/{number}"
            yield _Found(field=field, path=place, raw=clean(text), stored=None, codec="utf-8", part=packet)


def _values(description: Any, name: str) -> Iterator[str]:
    """The values of a property: an attribute, a plain element, or the items of an array."""
    attribute = description.get(name)
    if attribute:
        yield attribute
    for element in description.iterchildren(name):
        items = list(element.iter(f"{_RDF}li"))
        for item in items or [element]:
            yield "".join(item.itertext())


# -- EXIF --------------------------------------------------------------------------------------------------------------


def _exif(image: Any) -> Iterator[_Found]:
    exif = exif_of(image)
    whole = image.info.get("exif", b"")
    whole = whole.removeprefix(b"Exif\0\0") if isinstance(whole, bytes) else b""
    for tag, field in _EXIF.items():
        value = exif.get(tag)
        if isinstance(value, tuple) and len(value) == 1:
            value = value[0]
        if not isinstance(value, str | bytes):
            continue
        # The library reads ASCII values as Latin-1; writers put UTF-8 there.
        data = value if isinstance(value, bytes) else value.encode("latin-1", "replace")
        for part in data.split(b"\0"):  # a copyright may have two parts: photographer's and editor's
            text, codec = _decoded(part.strip(), utf8=False)
            place = f"exif/0x{tag:04X}"
            yield _Found(field=field, path=place, raw=clean(text), stored=part.strip(), codec=codec, part=whole)

"""Fuzz targets of reading: pages to articles, images to what stands in them. What a target is: `fuzz_targets`."""

from __future__ import annotations

import json
import struct
import zlib
from datetime import UTC, datetime
from typing import Final

from ingest.extract import extract
from ingest.images import read_image
from schemas import canonical
from schemas.articles import Article, read_span
from schemas.errors import ExtractionError
from schemas.images import ImageReading

URL: Final = "https://lantern.example/news/harbour-talks"
CAPTURED: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
_TYPES: Final = {b"w": "text/html; charset=windows-1251", b"j": "text/html; charset=shift_jis", b"u": "text/html"}


def check_page(data: bytes) -> None:
    """Extraction: an article that reads back from its block and whose spans lead to its values, or a labelled error."""
    body = data[1:]
    try:
        article = extract(body=body, url=URL, captured=CAPTURED, content_type=_TYPES.get(data[:1]))
    except ExtractionError as error:
        if error.message.startswith("extraction broke"):  # labelled, but by the last net of all
            raise AssertionError(error.message) from error
        return
    block = article.block()
    assert Article.from_block(block) == article
    assert canonical.dumps(canonical.loads(block)) == block
    for name, evidence in article.evidence.items():
        if evidence.span is not None:
            raw = evidence.raw if evidence.raw is not None else _value(article, name)
            assert read_span(body, evidence.span) == raw, f"the span of {name} leads elsewhere"


def _value(article: Article, name: str) -> object:
    """The value that an evidence without a raw string is of."""
    field, *rest = name.split("/")
    value = getattr(article, field)
    for step in rest:
        value = value[int(step)] if step.isdecimal() else getattr(value, step)
    return value


def check_image(data: bytes) -> None:
    """Image files: a reading that prints and parses and whose spans lead to its claims, or a labelled error."""
    body = mended(data)
    try:
        reading = read_image(body)
    except ExtractionError:
        return
    assert ImageReading.from_json(json.loads(reading.dumps())) == reading
    for claim in reading.claims:
        if claim.evidence.span is not None:
            assert read_span(body, claim.evidence.span) == claim.evidence.raw


def mended(data: bytes) -> bytes:
    """An image with the checksums of its PNG chunks put right: a fuzzer would hardly ever find one."""
    if not data.startswith(_PNG):
        return data
    out, at = [_PNG], len(_PNG)
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        part = data[at + 4 : at + 8 + length]
        if length > len(data):
            out.append(data[at:])
            break
        out.append(struct.pack(">I", length) + part + struct.pack(">I", zlib.crc32(part)))
        at += 12 + length
    return b"".join(out)


_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PARAGRAPH: Final = b"<p>Nine ports met on Tuesday with a list of grievances, and two of them agreed before lunch.</p>"

PAGES: Final = (
    b"u<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>Talks open | The Lantern</title>"
    b'<link rel=canonical href="/news/harbour-talks"><meta name=author content="Ada Quay">'
    b'<script type="application/ld+json">{"@graph":[{"@type":"NewsArticle","headline":"Talks open","datePublished":'
    b'"2026-02-24T09:15:00+01:00","author":[{"name":"Ada Quay"}],"image":{"@type":"ImageObject","url":"/q.jpg",'
    b'"caption":"A quay","creditText":"AP"}}]}</script></head><body><article><h1>Talks open</h1>'
    b"<p class=byline>By <a rel=author>Ada Quay</a></p><time datetime=2026-02-24>24 February</time><figure>"
    b'<img src="/q.jpg" srcset="/q-8.jpg 800w, /q-16.jpg 1600w" alt="A quay"><figcaption>Delegates.'
    b" <span class=credit>&copy; AP Photo/Kostas Liber</span></figcaption></figure>"
    + _PARAGRAPH * 3
    + b"<h2>Small ports</h2><ul><li>One</li></ul></article><footer>2026</footer></body></html>",
    b"w<html><head><title>\xcf\xee\xf0\xf2\xfb</title></head><body><div>"
    + b"<p>\xcf\xee\xf0\xf2\xfb \xf1\xee\xe1\xf0\xe0\xeb\xe8\xf1\xfc \xe2\xee \xe2\xf2\xee\xf0\xed\xe8\xea.</p>" * 4
    + b"</div></body></html>",
    b"j<html><body><p>\x8b\x4c\x8e\x96\x82\xcd\x82\xb1\x82\xb1\x82\xc9\x81\x42</p><p>\x8e\xca\x90\x5e</p></body></html>",
    b"u<table><tr><td><font>" + _PARAGRAPH + b"</table><div><div><div><img src=x><p>Foto: dpa/Zuma</div>",
)
PAGE_WORDS: Final = tuple(
    b'<article> <p> </p> <div> <figure> <figcaption> <img src= <time datetime=" <h1> '
    b'<script type="application/ld+json"> class="credit" '
    b'class="byline" itemprop="author" property="og:title" <meta content=" &nbsp; &#x0; &copy; <!-- --> '
    b'<![CDATA[ {"@graph":[ "@type":"NewsArticle" "datePublished":" \\ud800 \\u0000 srcset=" 99999w <svg> <template> '
    b"<noscript> \xff\xfe \xef\xbb\xbf \xe2\x80\xa8 </body> Foto: AP/".split(b" ")
)

_XMP: Final = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:'
    b'Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" '
    b'photoshop:Credit="AP"><dc:creator><rdf:Seq><rdf:li>Kostas Liber</rdf:li></rdf:Seq></dc:creator>'
    b"</rdf:Description></rdf:RDF></x:xmpmeta>"
)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


_IIM: Final = b"\x1c\x01\x5a\x00\x03\x1b%G\x1c\x02\x50\x00\x06Kostas\x1c\x02\x6e\x00\x02AP"
_TIFF: Final = (
    b"II*\0\x08\0\0\0\x06\0\x00\x01\x03\0\x01\0\0\0\x28\0\0\0\x01\x01\x03\0\x01\0\0\0\x28\0\0\0\x06\x01\x03\0\x01\0\0\0"
    b"\x01\0\0\0\x11\x01\x04\0\x01\0\0\0\x08\0\0\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\x3b\x01\x02\0\x04\0\0\0Ada\0\0\0\0\0"
)
_ROWS: Final = zlib.compress(b"".join(b"\0" + bytes((x * y) % 256 for x in range(40)) for y in range(40)))
IMAGES: Final = (
    _PNG
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 40, 8, 0, 0, 0, 0))
    + _chunk(b"eXIf", _TIFF)
    + _chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + _XMP)
    + _chunk(b"IDAT", _ROWS)
    + _chunk(b"IEND", b""),
    b"\xff\xd8"
    + _segment(0xE1, b"Exif\0\0" + _TIFF)
    + _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + _XMP)
    + _segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(_IIM)) + _IIM)
    + _segment(0xC0, b"\x08\x00\x28\x00\x28\x01\x01\x11\x00")
    + _segment(0xDA, b"\x01\x01\x00\x00\x3f\x00")
    + b"\0\xff\xd9",
    _TIFF,
    b"GIF89a\x28\0\x28\0\x80\0\0\0\0\0\xff\xff\xff!\xff\x0bXMP DataXMP" + _XMP
    + b"\0,\0\0\0\0\x28\0\x28\0\0\x02\x02\x44\x01\0;",
    b"RIFF" + struct.pack("<I", 30 + len(_XMP)) + b"WEBPVP8X\x0a\0\0\0\x04\0\0\0\x27\0\0\x27\0\0XMP "
    + struct.pack("<I", len(_XMP)) + _XMP,
    b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf\0\0\0\x08meta",
)  # fmt: skip
IMAGE_WORDS: Final = (
    b"8BIM\x04\x04", b"\x1c\x02\x50", b"\x1c\x02\x6e", b"\x1c\x02\x74\xff\xff", b"\x1b%G", b"Exif\0\0", b"II*\0",
    b"MM\0*", b"<rdf:li>", b"<dc:rights>", b"<!DOCTYPE ", b"&amp;", b"IDAT", b"zTXt", b"iTXt", b"tEXt",
    b"Raw profile type iptc",
    b"VP8 ", b"VP8L", b"ANMF", b"\x98\x82\x02\0", b"\x3b\x01\x02\0", b"\xff\xff\xff\xff", b"\x80\0\0\0",
)  # fmt: skip

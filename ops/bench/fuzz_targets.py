"""What `make fuzz` throws bytes at: the parsers that strangers' bytes reach, each with what must hold of any input.

A target is a function of bytes that raises nothing but for a fault of ours: errors of `schemas.errors` are the parser's
proper answer and are swallowed here, everything else is a finding, and so is a property that does not hold. Time and
memory are watched by the engine (`ops.bench.fuzz`). A new target is one more line in `TARGETS`.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import zstandard

from ingest.discover import sources
from ingest.manners import MAX_RULES, Robots
from ingest.recorder.cookies import MAX_SENT, Cookies
from ingest.recorder.framing import Framer
from ops.bench import fuzz_pages
from schemas.captures import Ending
from schemas.errors import DamageError, InvalidValue
from schemas.http1 import parse_request, parse_response
from schemas.urls import normalize
from storage import codings
from storage.warc.check import MAX_FINDINGS, check_data
from storage.warc.frames import walk
from storage.warc.reader import scan_segment

#: Limits given to the framing, in bytes: small ones, so that inputs of a few kilobytes reach them.
HEAD_LIMIT: Final = 2048
BODY_LIMIT: Final = 4096
#: Bytes that a body may be decoded to.
ENTITY_LIMIT: Final = 64 * 1024
BASE: Final = "https://lantern.example/news/"

_RECORD_START: Final = re.compile(rb"(?=WARC/[0-9])")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One parser under fuzz."""

    name: str
    check: Callable[[bytes], None]  # raises only for a fault of ours
    seeds: tuple[bytes, ...]  # inputs to begin with; one is well-formed at least
    words: tuple[bytes, ...] = ()  # tokens that random bytes would take long to find
    max_length: int = 8192  # bytes of one input


# -- WARC ---------------------------------------------------------------------------------------------------------


def warc_file(data: bytes) -> bytes:
    """The file that an input stands for: its first byte says how the rest is packed.

    A fuzzer that had to find gzip's checksums by chance would only ever test gzip.
    """
    kind, rest = data[:1], data[1:]
    if kind == b"g":  # a member a record
        return b"".join(gzip.compress(piece, 1, mtime=0) for piece in _RECORD_START.split(rest) if piece)
    if kind == b"d":  # the same, one octet damaged
        at, packed = int.from_bytes(rest[:2], "big"), bytearray(warc_file(b"g" + rest[3:]))
        if packed:
            packed[at % len(packed)] ^= rest[2] if len(rest) > 2 else 1
        return bytes(packed)
    if kind == b"z":
        return zstandard.ZstdCompressor(level=1).compress(rest)
    return rest


def check_reader(data: bytes) -> None:
    """The validator, the tolerant walk and the strict reader: they agree on what is whole."""
    file = warc_file(data)
    findings = check_data(file, "fuzz")
    assert len(findings) <= MAX_FINDINGS + 1
    assert all(0 <= finding.offset <= len(file) for finding in findings)
    frames = list(walk(file, lambda *_args, **_more: None))
    for frame in frames:
        assert 0 <= frame.offset <= frame.offset + frame.length <= len(file)
    records, end = scan_segment(io.BytesIO(file), name="fuzz")
    assert 0 <= end.good <= end.total == len(file)
    try:
        strict = [record.record_id for record in records]
    except (DamageError, InvalidValue) as error:
        raise AssertionError("what the scan called whole cannot be read") from error
    whole = [frame.record_id for frame in frames if frame.complete and not frame.damaged]
    assert strict == whole[: len(strict)]


# -- HTTP ---------------------------------------------------------------------------------------------------------


def _frame(data: bytes, step: int) -> Framer:
    framer = Framer(max_head=HEAD_LIMIT, max_body=BODY_LIMIT)
    for at in range(0, len(data), step):
        if framer.feed(data[at : at + step]):
            break
    framer.close(clean=True)
    return framer


def check_http(data: bytes) -> None:
    """The framing of a response as it comes, in one piece or in many, and the reading of the stored block."""
    step, wire = 1 + data[0] if data else 1, data[1:]
    framer, pieces = _frame(wire, len(wire) or 1), _frame(wire, step)
    assert framer.ending is not None
    kept = b"".join(framer.informational) + framer.response
    assert wire.startswith(kept)
    assert len(framer.response) <= HEAD_LIMIT + BODY_LIMIT + 4
    same = (framer.ending, framer.response, framer.informational, framer.head)
    assert same == (pieces.ending, pieces.response, pieces.informational, pieces.head), "pieces make a difference"
    view = parse_response(framer.response)
    assert b"".join([*view.informational, view.head, view.body]) == framer.response
    if framer.head is not None:
        assert view.status == framer.head.status
        jar = Cookies()
        jar.absorb(BASE, framer.head.fields)
        assert len(jar.header(BASE) or "") <= MAX_SENT
    if framer.ending is Ending.COMPLETE and view.payload is not None:
        assert view.truncation in (None, "unspecified"), "complete on the wire, short in the block"
        assert not view.trailing, "what came after the message was kept as part of it"
    if framer.ending is Ending.DISCONNECT and framer.head is not None:
        assert not view.complete, "short on the wire, complete in the block"
    with suppress(InvalidValue):
        body, _ = codings.decode(view, ENTITY_LIMIT)
        assert len(body) <= max(ENTITY_LIMIT, len(framer.response))
    with suppress(InvalidValue):
        parse_request(wire)


# -- feeds, sitemaps, robots.txt ----------------------------------------------------------------------------------


def _check_listing(body: bytes, media_type: str | None) -> None:
    try:
        listing = sources.parse_source(body, BASE, media_type)
    except InvalidValue:
        return
    assert len(listing.items) <= sources.MAX_ITEMS
    assert len({item.url for item in listing.items}) == len(listing.items)
    for url in (*(item.url for item in listing.items), *listing.children):
        assert normalize(url) == url, f"{url!r} is not in normal form"
        assert url.isprintable()
        assert url.isascii()
    for item in listing.items:
        assert len(item.title or "") <= sources.MAX_TITLE
        assert "\0" not in (item.title or "")
        (item.title or "").encode()


def check_feed(data: bytes) -> None:
    """RSS, Atom, RDF and JSON feeds."""
    _check_listing(data, None)


def check_sitemap(data: bytes) -> None:
    """Sitemaps and their indexes, in gzip or not, in text; and robots.txt, which names them."""
    kind, rest = data[:1], data[1:]
    if kind == b"r":
        robots = Robots.parse(rest, "Pressmark/0.1")
        assert len(robots.rules) <= MAX_RULES
        for target in ("", "robots.txt", "a?b=%C3%A4", rest[:64].decode("latin-1")):
            robots.allowed(BASE + target)
        for source in sources.sitemaps_of_robots(rest, BASE + "robots.txt"):
            assert normalize(source.url) == source.url
        return
    layers = {b"g": 1, b"h": 2, b"i": 3}.get(kind, 0)
    for _ in range(layers):
        rest = gzip.compress(rest, 1, mtime=0)
    _check_listing(rest, "text/plain" if kind == b"t" else None)


# -- seeds --------------------------------------------------------------------------------------------------------

_HTTP: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\ncalm\n"


def _record(kind: bytes, block: bytes, number: int, fields: bytes = b"", version: bytes = b"1.1") -> bytes:
    return (
        b"WARC/%b\r\nWARC-Type: %b\r\nWARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-%012d>\r\n"
        b"WARC-Date: 2026-11-23T14:00:00Z\r\n%bContent-Length: %d\r\n\r\n%b\r\n\r\n"
    ) % (version, kind, number, fields, len(block), block)


_TARGET: Final = b"WARC-Target-URI: https://lantern.example/\r\n"
_WARC: Final = (
    _record(b"warcinfo", b"software: fuzz\r\n", 1, b"Content-Type: application/warc-fields\r\n")
    + _record(b"response", _HTTP, 2, _TARGET + b"Content-Type: application/http;msgtype=response\r\n")
    + _record(
        b"request",
        b"GET / HTTP/1.1\r\nHost: lantern.example\r\n\r\n",
        3,
        _TARGET + b"WARC-Concurrent-To: <urn:uuid:00000000-0000-4000-8000-000000000002>\r\n"
        b"Content-Type: application/http;msgtype=request\r\n",
    )
    + _record(
        b"revisit",
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
        4,
        _TARGET + b"WARC-Profile: http://netpreserve.org/warc/1.1/revisit/server-not-modified\r\n"
        b"WARC-Refers-To: <urn:uuid:00000000-0000-4000-8000-000000000002>\r\nWARC-Truncated: length\r\n",
    )
)
_OLD: Final = _record(b"resource", b"x", 5, _TARGET + b"Content-Type:\r\n text/plain\r\n", b"1.0")

_CHUNKED: Final = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding:  chunked\r\n"
    b"Set-Cookie: a=b; Path=/\r\nX: caf\xe9\r\n folded\r\n\r\n5;ext=1\r\ncalm\n\r\n0\r\nTrailer: 1\r\n\r\n"
)
_RSS: Final = (
    b'<?xml version="1.0"?><rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><item>'
    b"<title>Calm &amp; tide</title><link>https://lantern.example/1</link><guid>a</guid><dc:date>2026-11-23</dc:date>"
    b"<pubDate>Mon, 23 Nov 2026 14:00:00 GMT</pubDate></item></channel></rss>"
)
_ATOM: Final = (
    b'<feed xmlns="http://www.w3.org/2005/Atom"><entry><title type="html"><![CDATA[A <b>b</b>]]></title>'
    b'<link rel="alternate" href="/2"/><updated>2026-11-23T14:00:00Z</updated></entry></feed>'
)
_JSON: Final = (
    b'{"version":"https://jsonfeed.org/version/1.1","items":[{"url":"/3","title":"T","date_published":"2026"}]}'
)
_RDF: Final = (
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">'
    b'<item rdf:about="https://lantern.example/4"><title>T</title></item></rdf:RDF>'
)
_DOCTYPE: Final = b'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "b">]><rss><channel>&a;</channel></rss>'
_URLSET: Final = (
    b'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" '
    b'xmlns:news="http://www.google.com/schemas/sitemap-news/0.9"><url><loc>https://lantern.example/1</loc>'
    b"<lastmod>2026-11-23</lastmod><news:news><news:title>T</news:title>"
    b"<news:publication_date>2026-11-23</news:publication_date></news:news></url></urlset>"
)
_INDEX: Final = (
    b'<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><sitemap>'
    b"<loc>https://lantern.example/s.xml.gz</loc><lastmod>2026</lastmod></sitemap></sitemapindex>"
)
_ROBOTS: Final = (
    b"User-agent: *\nDisallow: /private*\nAllow: /private/open$\nCrawl-delay: 2\n\n"
    b"User-agent: pressmark\nDisallow: /%7Ea\nSitemap: /s.xml\n"
)

TARGETS: Final = {
    target.name: target
    for target in (
        Target(
            name="reader",
            check=check_reader,
            seeds=(b"p" + _WARC, b"g" + _WARC, b"d\x00\x40\x01" + _WARC, b"z" + _WARC, b"p" + _OLD + _WARC),
            words=(
                b"WARC/1.0\r\n",
                b"WARC/1.1\r\n",
                b"\r\n\r\n",
                b"WARC-Block-Digest: sha1:",
                b"WARC-Payload-Digest: sha256:",
                b"WARC-Segment-Number: 1\r\n",
                b"WARC-Segment-Origin-ID: <",
                b"continuation",
                b"conversion",
                b"metadata",
                b"Content-Length: 99999999999999999999\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"=?UTF-8?Q?=C3?=",
            ),
        ),
        Target(
            name="http",
            check=check_http,
            seeds=(
                b"\x00" + _HTTP,
                b"\x07" + _CHUNKED,
                b"\x03HTTP/1.0 200\n\nbody",
                b"\x01HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"calm" * 50, mtime=0),
                b"\x01HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc",
            ),
            words=(
                b"HTTP/1.1 ",
                b"Content-Length: ",
                b"Transfer-Encoding: ",
                b"Content-Encoding: ",
                b"chunked",
                b"gzip",
                b"deflate",
                b"identity",
                b"br",
                b"zstd",
                b"100 Continue\r\n\r\n",
                b"101 Switching Protocols\r\n",
                b"Connection: close\r\n",
                b"Set-Cookie: ",
                b"ffffffffffffffff\r\n",
                b"0\r\n\r\n",
                b"\r\n\r\n",
            ),
        ),
        Target(
            name="feed",
            check=check_feed,
            seeds=(_RSS, _ATOM, _JSON, _RDF, _DOCTYPE),
            words=(
                b"<![CDATA[",
                b"]]>",
                b"<!DOCTYPE ",
                b"<!ENTITY ",
                b"&nbsp;",
                b"&#x0;",
                b"xmlns:",
                b'<?xml version="1.0" encoding="utf-7"?>',
                b'encoding="utf-16"',
                b"\xff\xfe",
                b"\xfe\xff",
                b"http://[::1]/",
                b"javascript:",
                b"%00",
                b"\\ud800",
            ),
        ),
        Target(
            name="sitemap",
            check=check_sitemap,
            seeds=(
                b"p" + _URLSET,
                b"p" + _INDEX,
                b"g" + _URLSET,
                b"h" + _INDEX,
                b"i" + _URLSET,
                b"thttps://lantern.example/1\nhttps://lantern.example/2\n",
                b"r" + _ROBOTS,
            ),
            words=(
                b"<loc>",
                b"</loc>",
                b"<url>",
                b"<lastmod>",
                b"<![CDATA[",
                b"<!DOCTYPE ",
                b"<!ENTITY ",
                b"\x1f\x8b\x08",
                b"User-agent: ",
                b"Disallow: ",
                b"Allow: ",
                b"Sitemap: ",
                b"Crawl-delay: ",
                b"%2F",
                b"*$",
            ),
        ),
        Target(
            name="page",
            check=fuzz_pages.check_page,
            seeds=fuzz_pages.PAGES,
            words=fuzz_pages.PAGE_WORDS,
            max_length=32_768,
        ),
        Target(
            name="image",
            check=fuzz_pages.check_image,
            seeds=fuzz_pages.IMAGES,
            words=fuzz_pages.IMAGE_WORDS,
            max_length=16_384,
        ),
    )
}

"""Bytes of feeds and sitemaps to items: RSS, Atom, JSON Feed, sitemaps of all kinds, each perhaps in gzip.

Input of strangers: bytes, items, fields and layers are bounded, entities are not expanded, nothing is fetched, and no
tree is built, so that memory stays flat. Homepages are read in `pages`.
"""

from __future__ import annotations

import html
import html.entities
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lxml import etree

from ingest.manners import Robots
from schemas.errors import InvalidValue
from schemas.frontier import Item
from schemas.outlets import Source
from schemas.urls import join, target_of

#: Bytes of a source after gzip: the limit that the sitemap protocol sets for one file.
MAX_SOURCE_BYTES: Final = 50 * 1024 * 1024
#: Items, or sub-sitemaps, of one source: the limit of the sitemap protocol.
MAX_ITEMS: Final = 50_000
#: Characters of one field (a title, a date, an address) that are kept.
MAX_FIELD: Final = 8 * 1024
#: Characters of a title that are kept as a hint.
MAX_TITLE: Final = 500
#: Gzip inside gzip: a `.xml.gz` that a server compresses once more; deeper is an attack.
MAX_LAYERS: Final = 2
#: Sitemaps named by one robots.txt.
MAX_SITEMAPS: Final = 50
#: Bytes given to the parser at a time, and taken out of gzip at a time.
STEP: Final = 256 * 1024
#: Bytes at the beginning in which a document type is looked for.
PROLOG: Final = 64 * 1024

_CDATA_OR_AMPERSAND: Final = re.compile(
    rb"<!\[CDATA\[.*?\]\]>|&(?:(#[0-9]{1,7};|#[xX][0-9a-fA-F]{1,6};)|([A-Za-z][A-Za-z0-9]{1,31});)?", re.DOTALL
)
#: Octets that XML forbids (C0 controls but tab and line ends).
_ILLEGAL: Final = bytes([*range(9), 11, 12, *range(14, 32)])
_ENTITY: Final = re.compile(rb"<!ENTITY\s+[^%\s]")
_HTML_START: Final = re.compile(
    rb"\s*(?:<!--.*?-->\s*)?(?:<\?xml[^>]*>\s*)?(?:<!doctype\s+html|<html[\s>])", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What a source announces."""

    kind: str  # feed | sitemap | sitemapindex | none (a document, but none of these: a page, say)
    items: tuple[Item, ...] = ()  # in the order of the source, each URL once
    children: tuple[str, ...] = ()  # sub-sitemaps: news first, then the newest by their own claim
    truncated: bool = False  # a limit cut it, or its gzip breaks off


def parse_source(body: bytes, url: str, media_type: str | None) -> Listing:
    """Read a feed or sitemap: `body` after content-decoding, as fetched from `url`.

    A page (HTML) and XML of another kind give a listing of kind `none`. Raises InvalidValue where it is empty, cannot
    be read at all, or declares entities.
    """
    data, cut = _unpack(body)
    start = data[:PROLOG].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise InvalidValue("the source is empty", remedy="look at its URL in a browser")
    if start[:1] in (b"{", b"["):
        listing = _read_json(data, url)
    elif _HTML_START.match(start):
        listing = Listing(kind="none")
    elif not start.startswith((b"<", b"\xff\xfe", b"\xfe\xff")):
        listing = _read_text(data, url, media_type)
    else:
        listing = _read_xml(data, url)
    return replace(listing, truncated=listing.truncated or cut)


def sitemaps_of_robots(body: bytes, url: str) -> list[Source]:
    """The sitemaps that a robots.txt names (fetched from `url`)."""
    found = (join_or_none(url, text) for text in Robots.parse(body, "").sitemaps)
    sitemaps = [sitemap for sitemap in dict.fromkeys(found) if sitemap is not None]
    return [Source(url=sitemap, kind="sitemap") for sitemap in sitemaps[:MAX_SITEMAPS]]


def join_or_none(base: str, reference: str) -> str | None:
    """The absolute, normalised URL of a reference; None where it is none that can be fetched."""
    try:
        return join(base, reference)
    except InvalidValue:
        return None


# -- gzip ---------------------------------------------------------------------------------------------------------


def _unpack(body: bytes) -> tuple[bytes, bool]:
    """Undo gzip, within the limits: (at most MAX_SOURCE_BYTES, whether something was cut)."""
    cut = False
    for _ in range(MAX_LAYERS):
        if not body.startswith(b"\x1f\x8b"):
            break
        body, broken = _gunzip(body)
        cut = cut or broken
    if body.startswith(b"\x1f\x8b"):
        raise InvalidValue(f"gzip inside gzip, more than {MAX_LAYERS} layers")
    return body[:MAX_SOURCE_BYTES], cut or len(body) > MAX_SOURCE_BYTES


def _gunzip(data: bytes) -> tuple[bytes, bool]:
    out = bytearray()
    while data.startswith(b"\x1f\x8b"):  # a file may have several members
        inflater = zlib.decompressobj(wbits=31)
        try:
            while not inflater.eof:
                piece = inflater.decompress(data, STEP)
                out += piece
                data = inflater.unconsumed_tail
                if len(out) > MAX_SOURCE_BYTES or not (piece or data):
                    return bytes(out[:MAX_SOURCE_BYTES]), True
        except zlib.error:
            return bytes(out), True
        data = inflater.unused_data
    return bytes(out), False


# -- JSON Feed and plain text -------------------------------------------------------------------------------------


def _read_json(data: bytes, url: str) -> Listing:
    """JSON Feed, version 1 or 1.1."""
    try:
        feed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"the source begins like JSON and is none: {str(error)[:80]}") from error
    entries = feed.get("items") if isinstance(feed, dict) else None
    if not isinstance(entries, list):
        raise InvalidValue("the source is JSON, but no JSON Feed: it has no list of items")
    shelf = _Shelf()
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        texts = {key: value for key, value in entry.items() if isinstance(value, str)}
        address = texts.get("url") or texts.get("id", "")
        if address.strip() and (texts.get("url") or address.startswith("http")):
            link = join_or_none(url, address)
            shelf.add(link, texts.get("title"), texts.get("date_published"), texts.get("date_modified"))
        if shelf.full:
            break
    return Listing(kind="feed", items=shelf.items, truncated=shelf.full and len(entries) > MAX_ITEMS)


def _read_text(data: bytes, url: str, media_type: str | None) -> Listing:
    """A plain-text sitemap: one URL a line (sitemap protocol)."""
    lines = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").split()
    if media_type not in (None, "text/plain") or not lines or not lines[0].startswith(("http://", "https://")):
        said = f" (sent as {media_type[:40]})" if media_type else ""
        raise InvalidValue(f"neither XML nor JSON{said}", remedy="name a feed or sitemap, or leave it out")
    shelf = _Shelf()
    for line in lines:
        shelf.add(join_or_none(url, line))
        if shelf.full:
            break
    return Listing(kind="sitemap", items=shelf.items, truncated=shelf.full)


class _Shelf:
    """Items in order, each URL once, up to the limit."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(self._items.values())

    @property
    def full(self) -> bool:
        return len(self._items) >= MAX_ITEMS

    def add(
        self, url: str | None, title: str | None = None, published: str | None = None, lastmod: str | None = None
    ) -> None:
        if url is None or url in self._items or self.full:
            return
        self._items[url] = Item(url=url, title=tidy_title(title), published=_claim(published), lastmod=_claim(lastmod))


def tidy_title(text: str | None) -> str | None:
    """A title as a hint: white space collapsed, what cannot be stored dropped, bounded."""
    words = " ".join((text or "").encode("utf-8", "ignore").decode().replace("\0", "").split())
    return words[:MAX_TITLE] or None


def _claim(text: str | None) -> str | None:
    """A date as the source wrote it; nothing that long is one."""
    words = tidy_title(text)
    return words if words is not None and len(words) <= 64 else None


# -- XML ----------------------------------------------------------------------------------------------------------

#: Namespaces that are told apart, by a part of their URI. What is in another one is passed over.
_SPACES: Final = (
    ("sitemap-news", "news"),
    ("sitemap-image", "media"),
    ("sitemap-video", "media"),
    ("purl.org/dc/", "dc"),
    ("w3.org/2005/atom", "atom"),
    ("purl.org/atom/", "atom"),
    ("purl.org/rss/", ""),
    ("netscape.com/rdf/", ""),
    ("rdf-syntax-ns", ""),
    ("sitemaps.org/schemas/sitemap", ""),
    ("google.com/schemas/sitemap", ""),
    ("feedburner", "feedburner"),
)
_ROOTS: Final = {
    "rss": ("feed", "item"),
    "rdf": ("feed", "item"),
    "feed": ("feed", "entry"),
    "urlset": ("sitemap", "url"),
    "sitemapindex": ("sitemapindex", "sitemap"),
}
#: What is noted, as namespace:name. Without a namespace comes also a field whose prefix was never declared.
_FIELDS: Final = frozenset(
    [
        ":title",
        ":link",
        ":guid",
        ":pubdate",
        ":loc",
        ":lastmod",
        ":published",
        ":updated",
        ":issued",
        ":modified",
        ":id",
        ":date",
        ":publication_date",
        "dc:date",
        "feedburner:origlink",
        "news:title",
        "news:publication_date",
        "atom:updated",
    ]
)
#: What lies one level deeper, inside `news:news`.
_DEEPER: Final = frozenset({"news:title", "news:publication_date", ":publication_date"})


class Enough(Exception):
    """The limit is reached, or the root is of no kind that we read."""


@dataclass(slots=True)
class _Entry:
    """One item in the making."""

    depth: int
    about: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    link: str = ""  # Atom: the best link so far
    rank: int = 0


class _Feed:
    """Target of the XML parser: notes items as they end, keeps no tree."""

    def __init__(self, url: str) -> None:
        self.kind: str | None = None
        self.shelf = _Shelf()
        self.children: dict[str, str] = {}
        self._base = url
        self._item = ""
        self._atom = False
        self._depth = 0
        self._entry: _Entry | None = None
        self._collecting: tuple[int, str] | None = None
        self._text: list[str] = []
        self._room = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._depth += 1
        space, name = _name(tag)
        if self.kind is None:
            self._root(space, name, attributes)
            return
        if self._atom and space == "atom":
            space = ""
        if space == "" and name == self._item:
            self._entry = _Entry(depth=self._depth, about=attributes.get(_RDF_ABOUT, ""))
            self._collecting = None
            return
        entry = self._entry
        if entry is None or self._collecting is not None:
            return
        field_name = f"{space}:{name}"
        below = self._depth - entry.depth
        if field_name not in _FIELDS or below > 2 or (below == 2 and field_name not in _DEEPER):
            return
        if self._atom and name == "link":
            _atom_link(entry, attributes)
            return
        if name == "guid" and attributes.get("isPermaLink", "true").lower() == "false":
            return
        self._collecting, self._text, self._room = (self._depth, field_name), [], MAX_FIELD

    def data(self, text: str) -> None:
        if self._collecting is not None and self._room > 0:
            self._text.append(text[: self._room])
            self._room -= len(text)

    def end(self, tag: str) -> None:
        entry = self._entry
        if self._collecting is not None and self._depth == self._collecting[0]:
            if entry is not None:
                entry.fields.setdefault(self._collecting[1], "".join(self._text).strip())
            self._collecting = None
        elif entry is not None and self._depth == entry.depth:
            self._entry = None
            self._note(entry)
        self._depth -= 1

    def comment(self, text: str) -> None:
        pass

    def pi(self, target: str, data: str | None = None) -> None:
        pass

    def close(self) -> None:
        pass

    def _root(self, space: str, name: str, attributes: Mapping[str, str]) -> None:
        self.kind, self._item = _ROOTS.get(name, ("none", "")) if space in ("", "atom") else ("none", "")
        if self.kind == "none":
            raise Enough
        self._atom = name == "feed"
        base = attributes.get("{http://www.w3.org/XML/1998/namespace}base")
        self._base = (join_or_none(self._base, base) if base else None) or self._base

    def _note(self, entry: _Entry) -> None:
        fields = entry.fields
        if self.kind == "sitemapindex":
            child = join_or_none(self._base, fields.get(":loc", ""))
            if child is not None and fields.get(":loc"):
                self.children.setdefault(child, fields.get(":lastmod", ""))
            if len(self.children) >= MAX_ITEMS:
                raise Enough
            return
        identity = fields.get(":id", "") if fields.get(":id", "").startswith("http") else ""
        guid = fields.get(":guid", "") if fields.get(":guid", "").startswith("http") else ""
        candidates = (
            fields.get("feedburner:origlink"),
            entry.link,
            fields.get(":link"),
            fields.get(":loc"),
            guid,
            identity,
        )
        address = next((text for text in (*candidates, entry.about) if text), "")
        title = fields.get("news:title") or fields.get(":title")
        published = _first(
            fields,
            ":pubdate",
            "news:publication_date",
            ":published",
            ":issued",
            "dc:date",
            ":date",
            ":publication_date",
        )
        lastmod = _first(fields, ":lastmod", ":updated", ":modified", "atom:updated")
        if address:
            link = join_or_none(self._base, address)
            self.shelf.add(link, html.unescape(title) if title else None, published, lastmod)
        if self.shelf.full:
            raise Enough


_RDF_ABOUT: Final = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}about"


def _first(fields: Mapping[str, str], *names: str) -> str | None:
    return next((fields[name] for name in names if fields.get(name)), None)


def _name(tag: str) -> tuple[str, str]:
    """(which namespace, as _SPACES has it, local name in lower case)."""
    uri, brace, local = tag.rpartition("}")
    if brace:
        uri = uri.lower()
        return next((space for part, space in _SPACES if part in uri), "other"), local.lower()
    return "", tag.rpartition(":")[2].lower()  # so comes one whose prefix was never declared, too


def _atom_link(entry: _Entry, attributes: Mapping[str, str]) -> None:
    """Of several links the one to a page wins: rel alternate (or none) in HTML, then any alternate."""
    if attributes.get("rel", "alternate").lower() != "alternate" or not attributes.get("href", "").strip():
        return
    rank = 2 if "html" in attributes.get("type", "html").lower() else 1
    if rank > entry.rank:
        entry.link, entry.rank = attributes["href"], rank


def _read_xml(data: bytes, url: str) -> Listing:
    """Feeds and sitemaps, read as far as they can be: a fault in the middle costs what follows it, not the whole."""
    subset = data[:PROLOG].replace(b"\0", b"")
    if b"<!DOCTYPE" in subset and _ENTITY.search(subset, subset.index(b"<!DOCTYPE")):
        raise InvalidValue("the source declares XML entities, which are not read")
    if not data.startswith((b"\xff\xfe", b"\xfe\xff")) and b"\0" not in data[:4]:  # one octet a character of markup
        data = _CDATA_OR_AMPERSAND.sub(_mend, data.translate(None, _ILLEGAL).lstrip())
    feed = _Feed(url)
    parser: Any = etree.XMLParser(
        target=feed, recover=True, resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False
    )
    truncated = False
    try:
        for at in range(0, len(data), STEP):
            parser.feed(data[at : at + STEP])
        parser.close()
    except Enough:
        truncated = feed.kind != "none"
    except etree.XMLSyntaxError:
        truncated = True
    if feed.kind is None:
        raise InvalidValue("not readable as XML", remedy="name a feed or sitemap, or leave it out")
    return Listing(kind=feed.kind, items=feed.shelf.items, children=_ordered(feed.children), truncated=truncated)


def _mend(match: re.Match[bytes]) -> bytes:
    """Make an ampersand readable: entities become numbers, a bare one too. CDATA stays as it is.

    Those of XML itself too: behind the first fault of a document libxml2 drops them, numbers it keeps.
    """
    whole, numeric, name = match[0], match[1], match[2]
    if numeric or whole.startswith(b"<"):
        return whole
    known = html.entities.html5.get(f"{name.decode()};") if name else None
    if known is None:
        return b"&#38;" + whole[1:]
    return "".join(f"&#{ord(char)};" for char in known).encode()


def _ordered(children: Mapping[str, str]) -> tuple[str, ...]:
    """Sub-sitemaps: those of news first, then the newest by their own claim, else as listed."""
    by_age = sorted(children, key=lambda child: children[child], reverse=True)
    return tuple(sorted(by_age, key=lambda child: "news" not in target_of(child).lower()))

"""Articles: what a page says, as values, and the identity of an article and of its versions.

An `Article` is the result of extraction (`ingest.extract`) and the block of a WARC `conversion` record. This module
knows the fields, their JSON form, the digests over them and how an evidence span is read back out of an entity body.
How values are found in a page is left to `ingest.extract`; where articles are kept, to `storage`.

Two fields of the printed object are not part of the logged block: `version` (it follows from the order of captures,
so a rebuilt catalog derives it again) and `capture` (the same text may have been captured many times).
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from schemas import canonical
from schemas.errors import InvalidValue
from schemas.urls import article_key

KINDS: Final = ("article", "liveblog", "gallery", "video", "other")
ACCESS: Final = ("free", "metered", "paid", "unknown")
WALLS: Final = ("bot", "consent", "login", "soft404")
SOURCES: Final = ("dom", "jsonld", "meta", "feed", "http", "image", "url")
VIAS: Final = ("html", "json", "attr", "header", "bytes")

#: The layer that spans of this extractor point into: the entity body after transfer- and content-decoding.
BODY_LAYER: Final = "entity-body"

#: 96 bits of SHA-256: no collision to be expected below 10^13 articles, and short enough to read out.
ARTICLE_ID_HEX: Final = 24

#: How members of a block begin in canonical JSON.
_PARAGRAPHS: Final = ',"paragraphs":['
_EVIDENCE: Final = ',"evidence":{'
#: Paragraphs up to which it is quicker to look for the evidence of each than to read the block.
_FEW: Final = 8
_DECODER: Final = json.JSONDecoder()

_TAGS: Final = re.compile(r"<!--.*?-->|<[^>]*>", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Where a raw string stands in the decoded entity body; `read_span` takes it back out."""

    layer: str  # BODY_LAYER
    start: int  # byte offset of the first byte
    end: int  # byte offset after the last byte
    charset: str  # how the slice decodes, a name Python knows
    via: str  # html (tags and entities) | json (a JSON string's inside) | attr (entities) | header | bytes (as it is)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """Where one value was found."""

    source: str  # dom | jsonld | meta | feed | http | image | url
    path: str  # where within the source: an element path, a JSON pointer, a meta name
    raw: str | None  # the string as found, white space collapsed, NFC; None where it equals the value
    span: Span | None = None  # None where no literal place is known

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return _evidence_json(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Extractor:
    """Who made an article: part of the result, for other libraries may read the same bytes otherwise."""

    name: str
    version: str
    settings: Mapping[str, str | int | bool]
    libraries: Mapping[str, str]
    unicode: str  # version of the Unicode data behind NFC and character classes

    @property
    def identity(self) -> str:
        """A short digest of the whole extractor: equal exactly where all its parts are equal."""
        return hashlib.sha256(canonical.dumps(self.to_json())).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "name": self.name,
            "version": self.version,
            "settings": dict(sorted(self.settings.items())),
            "libraries": dict(sorted(self.libraries.items())),
            "unicode": self.unicode,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class OutletRef:
    """The publisher as of the capture."""

    id: str
    name: str
    domain: str  # host of its homepage without "www."


@dataclass(frozen=True, kw_only=True, slots=True)
class Right:
    """One signal about what may be done with the page, as it stood at the capture."""

    value: str
    source: str  # where it stood: a meta name, a header, JSON-LD, the page's words
    observed: str  # RFC 3339 instant of the capture


@dataclass(frozen=True, kw_only=True, slots=True)
class Rights:
    """The rights signals of a page; None where it gives none."""

    robots: Right | None = None
    tdm_reservation: Right | None = None
    license: Right | None = None
    copyright_notice: Right | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Photo:
    """One image of the article with the words that belong to it."""

    url: str | None  # absolute; the largest that the page offers
    caption: str | None
    alt: str | None
    credit: str | None  # as written, lead-in words ("Photo:", "©") removed; the raw string is in the evidence
    photographers: tuple[str, ...] = ()
    agencies: tuple[str, ...] = ()
    position: int = 0  # place among the article's photos, from 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Article:
    """What a page says. Strings are NFC, without NUL, lone surrogates or runs of white space."""

    id: str
    version: int  # n-th distinct content under one extractor; 0 until the pipeline assigned it
    url: str
    canonical_url: str
    outlet: OutletRef
    title: str | None
    standfirst: str | None
    authors: tuple[str, ...]
    published: str | None  # RFC 3339 with zone, or local date-time, or a date alone; never guessed
    modified: str | None
    language: str | None  # BCP 47 tag as the page gives it
    section: str | None
    tags: tuple[str, ...]
    kind: str
    access: str
    wall: str | None
    rights: Rights
    paragraphs: tuple[str, ...]
    photos: tuple[Photo, ...]
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    extractor: Extractor
    capture: Mapping[str, Any] | None = None  # filled when printed, never logged

    @property
    def text(self) -> str:
        """The paragraphs joined by a blank line, NFC."""
        return text_of(self.paragraphs)

    def to_json(self) -> dict[str, Any]:
        """The whole object as JSON values, in the documented order."""
        return {
            "id": self.id,
            "version": self.version,
            "url": self.url,
            "canonical_url": self.canonical_url,
            "outlet": {"id": self.outlet.id, "name": self.outlet.name, "domain": self.outlet.domain},
            "title": self.title,
            "standfirst": self.standfirst,
            "authors": list(self.authors),
            "published": self.published,
            "modified": self.modified,
            "language": self.language,
            "section": self.section,
            "tags": list(self.tags),
            "kind": self.kind,
            "access": self.access,
            "wall": self.wall,
            "rights": _rights_json(self.rights),
            "paragraphs": list(self.paragraphs),
            "text_sha256": text_sha256(self.paragraphs),
            "word_count": word_count(self.paragraphs),
            "photos": [_photo_json(p) for p in self.photos],
            "evidence": {k: _evidence_json(v) for k, v in sorted(self.evidence.items())},
            "extractor": self.extractor.to_json(),
            "capture": dict(self.capture) if self.capture is not None else None,
        }

    def block(self) -> bytes:
        """The block of the conversion record: canonical JSON without `version` and `capture`."""
        value = self.to_json()
        del value["version"], value["capture"]
        return canonical.dumps(value)

    @classmethod
    def from_json(cls, value: Any) -> Article:
        """Read what `to_json` or `block` wrote (`version` and `capture` may be missing).

        Raises InvalidValue where a field is missing, of another type, unknown, or a digest does not fit the text.
        """
        try:
            return _article(value)
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidValue(f"an article lacks or has a wrong field: {error!r}") from error

    @classmethod
    def from_block(cls, block: bytes) -> Article:
        """Read the block of a conversion record. Raises InvalidValue."""
        return cls.from_json(canonical.loads(block))


def article_id(outlet_id: str, canonical_url: str) -> str:
    """The identity of an article: stable over versions, AMP, mobile and print variants, and tracking parameters."""
    key = f"{outlet_id}\n{article_key(canonical_url)}".encode()
    return "a" + hashlib.sha256(key).hexdigest()[:ARTICLE_ID_HEX]


def content_key(article: Article) -> str:
    """SHA-256 in hex over what makes a version: equal exactly where a reader would see no difference.

    Title, standfirst, authors, published, modified, paragraphs, photo captions and credits. Image addresses are left
    out: resizing tokens change with nearly every fetch.
    """
    value = {
        "title": article.title,
        "standfirst": article.standfirst,
        "authors": list(article.authors),
        "published": article.published,
        "modified": article.modified,
        "paragraphs": list(article.paragraphs),
        "photos": [[p.caption, p.credit] for p in article.photos],
    }
    return hashlib.sha256(canonical.dumps(value)).hexdigest()


def text_of(paragraphs: Sequence[str]) -> str:
    """The text of an article: its paragraphs joined by a blank line, NFC."""
    return unicodedata.normalize("NFC", "\n\n".join(paragraphs))


def text_sha256(paragraphs: Sequence[str]) -> str:
    """SHA-256 in hex over the UTF-8 of `text_of`."""
    return hashlib.sha256(text_of(paragraphs).encode()).hexdigest()


def word_count(paragraphs: Sequence[str]) -> int:
    """Runs of word characters (Unicode), as a plain measure of length."""
    return sum(len(words_in(p)) for p in paragraphs)


def words_in(text: str) -> list[str]:
    """The runs of word characters (Unicode) of a text, in order."""
    return text.translate(_APART).split() if text.isascii() else _WORD.findall(text)


_WORD: Final = re.compile(r"\w+")
# ASCII alone needs no expression: what is no word character becomes a space.
_APART: Final = {code: " " for code in range(0x80) if not _WORD.match(chr(code))}


def clean(text: str) -> str:
    """White space collapsed, NFC, without control characters; a lone surrogate becomes a question mark."""
    joined = " ".join(text.split())
    if not joined.isprintable():  # else it holds neither controls nor surrogates
        joined = " ".join(text.translate(_DROP).encode("utf-8", "replace").decode("utf-8").split())
    return joined if joined.isascii() else unicodedata.normalize("NFC", joined)


# C0 controls and DEL other than white space: no text, and refused by XML-minded readers. Soft hyphens and zero-width
# joiners are the page's own spelling and stay; comparing without them is the business of whoever compares.
_DROP: Final = dict.fromkeys([*range(0x00, 0x09), *range(0x0E, 0x1C), 0x7F])


def paragraphs_of(block: str) -> list[str]:
    """The paragraphs of a block, without reading the rest of it, of which the evidence alone is as long.

    Quotes within strings are escaped, so that the member's name is found in none, and no member behind it has one of
    that name. What is not in canonical form is read whole. Raises ValueError for what is no JSON.
    """
    at = block.rfind(_PARAGRAPHS)
    found: list[str] = (
        json.loads(block).get("paragraphs", []) if at < 0 else _value_at(block, at + len(_PARAGRAPHS) - 1)
    )
    return found


def paragraph_evidence(block: str, numbers: Collection[int]) -> dict[int, Any]:
    """The evidence of some paragraphs of a block, as JSON values; of those that have some.

    That of a few is read alone, as `paragraphs_of` reads. Raises ValueError for what is no JSON.
    """
    begin = block.find(_EVIDENCE)
    if begin < 0 or len(numbers) > _FEW:
        whole = json.loads(block).get("evidence") or {}
        return {number: whole[name] for number in numbers if (name := f"paragraphs/{number}") in whole}
    found = {}
    for number in numbers:
        name = f'"paragraphs/{number}":'
        if (at := block.find(f"{name}{{", begin)) >= 0:
            found[number] = _value_at(block, at + len(name))
    return found


def _value_at(block: str, at: int) -> Any:
    return _DECODER.raw_decode(block, at)[0]


def read_span(body: bytes, span: Span) -> str:
    """The raw string that a span points at: slice, decode, unescape, collapse white space, NFC.

    Raises InvalidValue where the span leaves the body or does not decode.
    """
    if not 0 <= span.start <= span.end <= len(body):
        raise InvalidValue(f"a span leaves the body: {span.start}-{span.end} of {len(body)} bytes")
    try:
        text = body[span.start : span.end].decode(span.charset)
        if span.via == "json":
            text = json.loads(f'"{text}"', strict=False)
    except (UnicodeDecodeError, LookupError, ValueError) as error:
        raise InvalidValue(f"a span does not decode as {span.charset} via {span.via}: {error}") from error
    if span.via == "html":
        text = _TAGS.sub("", text)
    return clean(html.unescape(text) if span.via in ("html", "attr") else text)


def _right_json(right: Right | None) -> dict[str, str] | None:
    return None if right is None else {"value": right.value, "source": right.source, "observed": right.observed}


def _rights_json(rights: Rights) -> dict[str, Any]:
    return {
        "robots": _right_json(rights.robots),
        "tdm_reservation": _right_json(rights.tdm_reservation),
        "license": _right_json(rights.license),
        "copyright_notice": _right_json(rights.copyright_notice),
    }


def _photo_json(photo: Photo) -> dict[str, Any]:
    return {
        "url": photo.url,
        "caption": photo.caption,
        "alt": photo.alt,
        "credit": photo.credit,
        "photographers": list(photo.photographers),
        "agencies": list(photo.agencies),
        "position": photo.position,
    }


def _evidence_json(evidence: Evidence) -> dict[str, Any]:
    span = evidence.span
    return {
        "source": evidence.source,
        "path": evidence.path,
        "raw": evidence.raw,
        "span": None
        if span is None
        else {"layer": span.layer, "start": span.start, "end": span.end, "charset": span.charset, "via": span.via},
    }


def _string(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise InvalidValue(f"article field {name} must be a string")
    return value


def _optional(value: Any, name: str) -> str | None:
    return None if value is None else _string(value, name)


def _strings(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InvalidValue(f"article field {name} must be a list")
    return tuple(_string(v, name) for v in value)


def _one_of(value: Any, allowed: Sequence[str], name: str) -> str:
    if value not in allowed:
        raise InvalidValue(f"article field {name} must be one of {', '.join(allowed)}")
    return _string(value, name)


def _rights(value: Any) -> Rights:
    return Rights(**{name: None if right is None else Right(**right) for name, right in value.items()})


def _photo(value: Any) -> Photo:
    return Photo(
        url=_optional(value["url"], "photos.url"),
        caption=_optional(value["caption"], "photos.caption"),
        alt=_optional(value["alt"], "photos.alt"),
        credit=_optional(value["credit"], "photos.credit"),
        photographers=_strings(value["photographers"], "photos.photographers"),
        agencies=_strings(value["agencies"], "photos.agencies"),
        position=value["position"],
    )


def _evidence(value: Any) -> Evidence:
    span = value["span"]
    return Evidence(
        source=_one_of(value["source"], SOURCES, "evidence.source"),
        path=_string(value["path"], "evidence.path"),
        raw=_optional(value["raw"], "evidence.raw"),
        span=None if span is None else Span(**span),
    )


def _article(value: Any) -> Article:
    paragraphs = _strings(value["paragraphs"], "paragraphs")
    if value["text_sha256"] != text_sha256(paragraphs) or value["word_count"] != word_count(paragraphs):
        raise InvalidValue("an article's text_sha256 or word_count does not fit its paragraphs")
    unknown = sorted(set(value) - FIELDS)
    if unknown:
        raise InvalidValue(f"an article has unknown fields: {', '.join(unknown)}")
    return Article(
        id=_string(value["id"], "id"),
        version=value.get("version", 0),
        url=_string(value["url"], "url"),
        canonical_url=_string(value["canonical_url"], "canonical_url"),
        outlet=OutletRef(**value["outlet"]),
        title=_optional(value["title"], "title"),
        standfirst=_optional(value["standfirst"], "standfirst"),
        authors=_strings(value["authors"], "authors"),
        published=_optional(value["published"], "published"),
        modified=_optional(value["modified"], "modified"),
        language=_optional(value["language"], "language"),
        section=_optional(value["section"], "section"),
        tags=_strings(value["tags"], "tags"),
        kind=_one_of(value["kind"], KINDS, "kind"),
        access=_one_of(value["access"], ACCESS, "access"),
        wall=None if value["wall"] is None else _one_of(value["wall"], WALLS, "wall"),
        rights=_rights(value["rights"]),
        paragraphs=paragraphs,
        photos=tuple(_photo(p) for p in value["photos"]),
        evidence={k: _evidence(v) for k, v in value["evidence"].items()},
        extractor=Extractor(**value["extractor"]),
        capture=value.get("capture"),
    )


#: Every field of the printed object, in the documented order.
FIELD_ORDER: Final = (
    "id",
    "version",
    "url",
    "canonical_url",
    "outlet",
    "title",
    "standfirst",
    "authors",
    "published",
    "modified",
    "language",
    "section",
    "tags",
    "kind",
    "access",
    "wall",
    "rights",
    "paragraphs",
    "text_sha256",
    "word_count",
    "photos",
    "evidence",
    "extractor",
    "capture",
)
FIELDS: Final = frozenset(FIELD_ORDER)

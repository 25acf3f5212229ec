"""Extraction: the bytes of a page to the article of DESIGN section 4.

Pure: the same bytes, address and capture date give the same article, whatever the clock, the process or what it did
before. This module is the journey through the room; each step has its own: `page` decodes and parses, `blocks` cuts
the text, `text` chooses the body, `told` and `scripted` where no element has it, `opening` what stands before it,
`metadata`, `dates` and `names` read what is said about it, `photos` the images, `spans` the evidence, `worker` runs it
all apart from the crawl. Fetching and storing are left to others.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final
from urllib.parse import urlsplit

from lxml import etree
from lxml.html import HtmlElement

from ingest.extract import (
    bylines,
    jsonld,
    metadata,
    opening,
    page,
    photos,
    published,
    scripted,
    standfirst,
    text,
    titles,
    walls,
)
from ingest.extract.blocks import Block, blocks_of, index_of, key_of
from ingest.extract.collector import COLLECTOR
from ingest.extract.evidence import collect
from ingest.extract.names import looks_like_person
from ingest.extract.photos import FoundPhoto
from ingest.extract.sources import Found, Sources
from ingest.extract.told import told_blocks
from schemas.articles import Article, Extractor, OutletRef, article_id, clean, word_count
from schemas.errors import ExtractionError, InvalidValue
from schemas.urls import normalize

EXTRACTOR: Final = Extractor(
    name="pressmark",
    version="6",
    settings={
        "body": "likeness-then-jsonld-then-trafilatura",
        "deduplicate": False,
        "fast": True,
        "include_comments": False,
        "include_tables": True,
        "max_date": "capture+1d",
        "with_metadata": False,
        "max_depth": page.MAX_DEPTH,
        "max_body_bytes": page.MAX_BODY_BYTES,
    },
    libraries={
        "lxml": version("lxml"),
        "libxml2": ".".join(map(str, etree.LIBXML_VERSION)),
        "trafilatura": version("trafilatura"),
    },
    unicode=unicodedata.unidata_version,
)


def extract(
    *,
    body: bytes,
    url: str,
    captured: datetime,
    content_type: str | None,
    headers: Sequence[tuple[str, str]] = (),
    outlet: OutletRef | None = None,
) -> Article:
    """The article of a page.

    `body` is the entity body after transfer- and content-decoding, `url` the address that answered, `captured` an
    aware instant. Raises ExtractionError, never anything else, where the bytes give no article.
    """
    if captured.tzinfo is None:
        captured = captured.replace(tzinfo=UTC)
    try:
        with COLLECTOR:
            return _extract(
                body=body, url=url, captured=captured, content_type=content_type, headers=headers, outlet=outlet
            )
    except ExtractionError:
        raise
    except MemoryError as error:
        raise ExtractionError("the page needs more memory than there is", code="out-of-memory") from error
    except RecursionError as error:
        raise ExtractionError("the page nests too deep for one of the steps", code="too-complex") from error
    except Exception as error:  # pages are hostile: whatever breaks costs this page, labelled, and nothing else
        raise ExtractionError(f"extraction broke: {type(error).__name__}: {error}", code="broken") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reading:
    """A page as read before anything is chosen."""

    sources: Sources
    names: tuple[str, ...]  # what the outlet calls itself
    title: Found | None
    head: HtmlElement | None  # the headline's element
    titles: tuple[str, ...]  # every form of the headline
    blocks: list[Block]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Choice:
    """What of a page is the article: its blocks, photos and authors."""

    standfirst: Block | None
    body: tuple[Block, ...]
    photos: tuple[FoundPhoto, ...]
    authors: tuple[str, ...]
    author: Found | None


def _read(body: bytes, url: str, content_type: str | None, outlet: OutletRef | None) -> _Reading:
    try:
        url = normalize(url)
    except InvalidValue as error:
        raise ExtractionError(f"the page's address cannot be used: {error}", code="bad-url") from error
    parsed = page.parse(body=body, url=url, content_type=content_type)
    window = next(iter(parsed.tags["title"]), None)
    linked = jsonld.read(parsed.tags["script"], url, clean(window.text_content()) if window is not None else None)
    sources = Sources(page=parsed, meta=page.meta_content(parsed), linked=linked)
    names = metadata.site_names(sources, outlet.name if outlet else None)
    title, head = titles.title_of(sources, names)
    forms = titles.all_titles(sources, names, head)
    return _Reading(sources=sources, names=names, title=title, head=head, titles=forms, blocks=blocks_of(parsed.tree))


def _choose(read: _Reading) -> _Choice:
    tree, url, linked = read.sources.page.tree, read.sources.page.url, read.sources.linked
    told = linked.get("articleBody")
    article_body = jsonld.plain(told) if isinstance(told, str) else None
    chosen = text.body_of(tree, read.blocks, url=url, titles=read.titles, article_body=article_body)
    pictures = photos.photos_of(
        tree, base=url, head=read.head, container=chosen.container, body=chosen.blocks, linked=linked
    )
    authors, author = bylines.authors_found(read.sources, read.names, read.head, read.blocks)
    signed = text.signature_of(chosen.blocks)
    if signed is not None and not any(looks_like_person(a) for a in authors):
        authors = (signed.text,)
        author = Found(value=signed.text, source="dom", path=page.path_of(signed.element), raw=signed.text)
    words = (w for p in pictures for w in (p.photo.caption, p.photo.alt) if w)
    known = frozenset(key_of(t) for t in (*read.titles, *words))
    lead, before = _opening(read, chosen, known)
    told = told_blocks(linked.get("articleBody"), tree, (*before, *chosen.blocks))
    if not told and sum(len(b.text) for b in (*before, *chosen.blocks)) < scripted.ENOUGH:
        told = scripted.scripted_blocks(read.sources.page.tags["script"], read.titles)
    if told:
        before = (lead,) if lead is not None else ()
    body = opening.with_opening(text.without_signature(told or chosen.blocks, authors), before)
    return _Choice(standfirst=lead, body=body, photos=pictures, authors=authors, author=author)


def _opening(read: _Reading, chosen: text.Body, known: frozenset[str]) -> tuple[Block | None, tuple[Block, ...]]:
    """The standfirst, and all that opens the article before its body."""
    start = index_of(read.blocks, read.head)
    first = chosen.blocks[0].order if chosen.blocks else None
    lead = standfirst.standfirst_of(read.sources, read.blocks, start=start, known=known, first_body=first)
    before = opening.opening_of(read.blocks, chosen, head=read.head, head_order=start, known=known)
    if lead is not None and lead not in before and (first is None or lead.order < first):
        before = (lead, *(b for b in before if b.order > lead.order))
    if lead is not None and not opening.introduces(lead, chosen.blocks):
        lead = next((b for b in before if b is not lead and opening.introduces(b, chosen.blocks)), None)
    return lead, before


def _extract(
    *,
    body: bytes,
    url: str,
    captured: datetime,
    content_type: str | None,
    headers: Sequence[tuple[str, str]],
    outlet: OutletRef | None,
) -> Article:
    read = _read(body, url, content_type, outlet)
    choice = _choose(read)
    sources = read.sources
    first_seen, modified = published.dates_found(sources, captured, read.head)
    canonical = metadata.canonical_of(sources)
    language, section = metadata.language_of(sources), metadata.section_of(sources)
    paragraphs = text.texts(choice.body)
    reference = outlet or _outlet_of(sources.page.url, read.names)
    words = word_count(paragraphs)
    title = _value(read.title)
    fields = {"title": read.title, "published": first_seen, "modified": modified, "language": language,
              "section": section, "authors": choice.author, "canonical_url": canonical}  # fmt: skip
    return Article(
        id=article_id(reference.id, canonical.value),
        version=0,
        url=sources.page.url,
        canonical_url=canonical.value,
        outlet=reference,
        title=title,
        standfirst=choice.standfirst.text if choice.standfirst else None,
        authors=choice.authors,
        published=_value(first_seen),
        modified=_value(modified),
        language=_value(language),
        section=_value(section),
        tags=metadata.tags_of(sources),
        kind=metadata.kind_of(sources, words, len(choice.photos)),
        access=metadata.access_of(sources),
        wall=walls.wall_of(sources.page, title, words),
        rights=metadata.rights_of(sources, headers, captured),
        paragraphs=paragraphs,
        photos=tuple(p.photo for p in choice.photos),
        evidence=collect(sources, fields, choice.standfirst, choice.body, choice.photos),
        extractor=EXTRACTOR,
    )


def _value(found: Found | None) -> str | None:
    return found.value if found else None


def _outlet_of(url: str, names: Sequence[str]) -> OutletRef:
    """The publisher of a loose page: its host, and what the page calls its site."""
    host = (urlsplit(url).hostname or "unknown").removeprefix("www.")
    return OutletRef(id=host, name=next((n for n in names if n), host), domain=host)


__all__ = ["EXTRACTOR", "extract"]

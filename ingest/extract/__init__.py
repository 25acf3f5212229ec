"""Extraction: the bytes of a page to the article of DESIGN section 4.

Pure: the same bytes, address and capture date give the same article, whatever the clock, the process or what it did
before. This module is the journey through the room; each step has its own: `page` decodes and parses, `blocks` cuts
the text, `text` chooses the body, `metadata`, `dates` and `names` read what is said about it, `photos` the images,
`spans` the evidence, `worker` runs it all apart from the crawl. Fetching and storing are left to others.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final
from urllib.parse import urlsplit

from lxml import etree

from ingest.extract import blocks, jsonld, metadata, page, photos, text, walls
from ingest.extract.evidence import collect
from ingest.extract.names import looks_like_person
from schemas.articles import Article, Extractor, OutletRef, article_id, clean, word_count
from schemas.errors import ExtractionError

EXTRACTOR: Final = Extractor(
    name="pressmark",
    version="1",
    settings={"deduplicate": False, "fast": True, "include_comments": False, "include_tables": True,
              "max_date": "capture+1d", "with_metadata": False, "max_depth": page.MAX_DEPTH,
              "max_body_bytes": page.MAX_BODY_BYTES},
    libraries={"lxml": version("lxml"), "libxml2": ".".join(map(str, etree.LIBXML_VERSION)),
               "trafilatura": version("trafilatura")},
    unicode=unicodedata.unidata_version,
)


def extract(*, body: bytes, url: str, captured: datetime, content_type: str | None,
            headers: Sequence[tuple[str, str]] = (), outlet: OutletRef | None = None) -> Article:
    """The article of a page.

    `body` is the entity body after transfer- and content-decoding, `url` the address that answered, `captured` an
    aware instant. Raises ExtractionError, never anything else, where the bytes give no article.
    """
    if captured.tzinfo is None:
        captured = captured.replace(tzinfo=UTC)
    try:
        return _extract(body=body, url=url, captured=captured, content_type=content_type, headers=headers, outlet=outlet)
    except ExtractionError:
        raise
    except (RecursionError, MemoryError) as error:
        raise ExtractionError(f"the page is too complex: {type(error).__name__}", code="too-complex") from error
    except Exception as error:  # noqa: BLE001 - pages are hostile: whatever breaks costs this page, labelled, and nothing else
        raise ExtractionError(f"extraction broke: {type(error).__name__}: {error}", code="broken") from error


def _extract(*, body: bytes, url: str, captured: datetime, content_type: str | None,
             headers: Sequence[tuple[str, str]], outlet: OutletRef | None) -> Article:
    parsed = page.parse(body=body, url=url, content_type=content_type)
    title_element = parsed.tree.find(".//title")
    linked = jsonld.read(parsed.tree, url, clean(title_element.text_content()) if title_element is not None else None)
    sources = metadata.Sources(page=parsed, meta=page.meta_content(parsed.tree), linked=linked)
    names = metadata.site_names(sources, outlet.name if outlet else None)
    title, head = metadata.title_of(sources, names)
    all_blocks = blocks.blocks_of(parsed.tree)
    article_body = linked.get("articleBody")
    titles = metadata.all_titles(sources, names, head)
    chosen = text.body_of(parsed.tree, all_blocks, url=url, titles=titles,
                          article_body=jsonld.plain(article_body) if isinstance(article_body, str) else None)
    found_photos = photos.photos_of(parsed.tree, base=url, head=head, container=chosen.container,
                                    body=chosen.blocks, linked=linked)
    authors, author_found = metadata.authors_found(sources, names, head, all_blocks)
    signed = text.signature_of(chosen.blocks)
    if signed is not None and not any(looks_like_person(a) for a in authors):
        authors, author_found = (signed.text,), metadata.Found(
            value=signed.text, source="dom", path=page.path_of(signed.element), raw=signed.text)
    known = frozenset(text.key_of(t) for t in (*titles, *(w for p in found_photos for w in (p.photo.caption, p.photo.alt) if w)))
    start = metadata.index_of(all_blocks, head)
    standfirst = metadata.standfirst_of(sources, all_blocks, start=start, known=known,
                                        first_body=chosen.blocks[0].order if chosen.blocks else None)
    opening = text.opening_of(all_blocks, chosen.blocks, head_order=start if head is not None else -1, known=known)
    if standfirst is not None and standfirst not in opening:
        opening = (standfirst, *(b for b in opening if b.order > standfirst.order))
    body_blocks = text.with_opening(text.without_signature(chosen.blocks, authors), opening)
    published, modified = metadata.dates_found(sources, captured, head)
    canonical = metadata.canonical_of(sources)
    paragraphs = text.texts(body_blocks)
    reference = outlet or _outlet_of(url, names)
    language, section = metadata.language_of(sources), metadata.section_of(sources)
    words = word_count(paragraphs)
    evidence = collect(
        sources, {"title": title, "published": published, "modified": modified, "language": language, "section": section,
                  "authors": author_found, "canonical_url": canonical}, standfirst, body_blocks, found_photos)
    return Article(
        id=article_id(reference.id, canonical.value), version=0, url=url, canonical_url=canonical.value,
        outlet=reference, title=title.value if title else None, standfirst=standfirst.text if standfirst else None,
        authors=authors, published=published.value if published else None, modified=modified.value if modified else None,
        language=language.value if language else None, section=section.value if section else None,
        tags=metadata.tags_of(sources), kind=metadata.kind_of(sources, words, len(found_photos)),
        access=metadata.access_of(sources), wall=walls.wall_of(parsed, title.value if title else None, words),
        rights=metadata.rights_of(sources, headers, captured), paragraphs=paragraphs,
        photos=tuple(p.photo for p in found_photos), evidence=evidence, extractor=EXTRACTOR)


def _outlet_of(url: str, names: Sequence[str]) -> OutletRef:
    """The publisher of a loose page: its host, and what the page calls its site."""
    host = (urlsplit(url).hostname or "unknown").removeprefix("www.")
    return OutletRef(id=host, name=next((n for n in names if n), host), domain=host)


__all__ = ["EXTRACTOR", "extract"]

"""When a page says that it was published and modified: where its dates stand. Reading them is left to `dates`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Final

from lxml.html import HtmlElement

from ingest.extract import dates
from ingest.extract.jsonld import as_list
from ingest.extract.page import class_words, path_of
from ingest.extract.sources import Found, Sources
from schemas.articles import clean

_PUBLISHED: Final = (
    "article:published_time",
    "article:published",
    "article:published:time",
    "og:article:published_time",
    "og:published_time",
    "datepublished",
    "date.available",
    "parsely-pub-date",
    "sailthru.date",
    "publish-date",
    "publish_date",
    "publishdate",
    "pubdate",
    "pub_date",
    "published",
    "article.published",
    "dc.date.issued",
    "dcterms.created",
    "dc.date.created",
    "dcterms.issued",
    "date.created",
    "dc.date",
    "cxenseparse:recs:publishtime",
    "cxenseparse:publishtime",
    "rnews:datepublished",
    "article_date_original",
    "ptime",
    "originalpublicationdate",
    "bt:pubdate",
    "dable:published_time",
    "last-published",
    "date",
)


_MODIFIED: Final = (
    "article:modified_time",
    "article:modified:time",
    "og:article:modified_time",
    "og:updated_time",
    "article:updated_time",
    "datemodified",
    "date.modified",
    "dcterms.modified",
    "dc.date.modified",
    "last-modified",
    "lastmod",
    "modified",
    "article.updated",
    "revision_date",
)


def dates_found(sources: Sources, captured: datetime, head: HtmlElement | None) -> tuple[Found | None, Found | None]:
    """When the page says that it was published and last modified."""
    published = list(_date_candidates(sources, "datePublished", _PUBLISHED)) or []
    if not published:
        published = list(_date_candidates(sources, "dateCreated", ()))
    modified = list(_date_candidates(sources, "dateModified", _MODIFIED))
    near = tuple(_around(head))
    first = dates.choose(chain(published, _shown_times(near)), captured, in_words=_shown_words(near))
    last = dates.choose(modified, captured)
    return _dated(first), _dated(last)


def _dated(choice: tuple[str, dates.Candidate] | None) -> Found | None:
    if choice is None:
        return None
    value, candidate = choice
    return Found(value=value, source=candidate.source, path=candidate.path, raw=clean(candidate.raw))


def _date_candidates(sources: Sources, name: str, metas: Sequence[str]) -> Iterator[dates.Candidate]:
    article = sources.linked.article
    if article is not None:
        for value in as_list(article.value.get(name)):
            if isinstance(value, str | int):
                yield dates.Candidate(raw=str(value), source="jsonld", path=f"{article.path}/{name}")
    for meta in metas:
        for raw in sources.meta.get(meta, ())[:1]:
            yield dates.Candidate(raw=raw, source="meta", path=meta)
    for element, value in sources.page.marks.having("itemprop").items():
        if value != name:
            continue
        raw = element.get("datetime") or element.get("content") or element.text_content()
        yield dates.Candidate(raw=clean(raw), source="dom", path=path_of(element))
    if article is None and name == "datePublished":
        for node in sources.linked.of_type("WebPage", "VideoObject"):
            value = node.value.get(name)
            if isinstance(value, str):
                yield dates.Candidate(raw=value, source="jsonld", path=f"{node.path}/{name}")


_CHANGED: Final = re.compile(r"modif|updat")
_UPDATED: Final = re.compile(
    r"\W*(?:last |zuletzt )?(?:updated|modified|aktualisiert|mis à jour|actualizad|atualizad|aggiornat|bijgewerkt|"
    r"oppdatert|uppdaterad|opdateret|zaktualizowan|обновлен|оновлен|güncellen|更新|수정)",
    re.I,
)
_DATED: Final = re.compile(r"date|time|creat|posted|publi|meta|stamp|datum|fecha|info")
#: Elements looked at around the headline for a visible date.
_NEAR: Final = 160


def _shown_times(near: Sequence[HtmlElement]) -> Iterator[dates.Candidate]:
    for element in near:
        if element.tag == "time" and not _CHANGED.search(class_words(element)):
            raw = element.get("datetime") or clean(element.text_content())
            if raw:
                yield dates.Candidate(raw=raw, source="dom", path=path_of(element))


def _shown_words(near: Sequence[HtmlElement]) -> Iterator[dates.Candidate]:
    for element in near:
        if len(element) <= 3 and _DATED.search(class_words(element)):
            raw = clean(element.text_content())
            if raw and len(raw) <= 120 and not _UPDATED.match(raw):
                yield dates.Candidate(raw=raw, source="dom", path=path_of(element))


def _around(head: HtmlElement | None) -> Iterator[HtmlElement]:
    """Elements near the headline that may show a date."""
    if head is None:
        return
    root: HtmlElement = head
    for _ in range(4):
        parent = root.getparent()
        if parent is None or parent.tag in ("body", "html", "main"):
            break
        root = parent
    yield from islice(root.iter("time", "span", "div", "p", "li", "dd", "a", "em"), _NEAR)

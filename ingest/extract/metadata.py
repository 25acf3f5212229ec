"""What a page says about its article: title, authors, dates, language, section, tags, addresses, rights, access.

Each value comes with its place. Sources are JSON-LD, meta fields, and the page's own words near the headline; where
they differ the order of trust stands in the function. Body and photos are left to `text` and `photos`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urljoin, urlsplit

from lxml.html import HtmlElement

from ingest.extract import dates
from ingest.extract.blocks import Block
from ingest.extract.jsonld import LinkedData, as_list, text_value
from ingest.extract.names import authors_of, has_lead, looks_like_person, split_byline
from ingest.extract.page import Page, class_words, path_of
from schemas.articles import Right, Rights, clean
from schemas.instants import rfc3339
from schemas.urls import same_site

_PUBLISHED: Final = ("article:published_time", "article:published", "article:published:time", "og:article:published_time",
                     "og:published_time", "datepublished", "date.available", "parsely-pub-date", "sailthru.date",
                     "publish-date", "publish_date", "publishdate", "pubdate", "pub_date", "published", "article.published",
                     "dc.date.issued", "dcterms.created", "dc.date.created", "dcterms.issued", "date.created", "dc.date", "cxenseparse:recs:publishtime",
                     "cxenseparse:publishtime", "rnews:datepublished", "article_date_original", "ptime",
                     "originalpublicationdate", "bt:pubdate", "dable:published_time", "last-published", "date")
_MODIFIED: Final = ("article:modified_time", "article:modified:time", "og:article:modified_time", "og:updated_time",
                    "article:updated_time", "datemodified", "date.modified", "dcterms.modified", "dc.date.modified",
                    "last-modified", "lastmod", "modified", "article.updated", "revision_date")
_AUTHOR: Final = ("article:author_name", "author", "byl", "parsely-author", "article:author", "dc.creator", "dcterms.creator",
                  "sailthru.author", "cxenseparse:author", "dable:author", "article.author", "lrt_authors")
_TAGS: Final = ("article:tag", "news_keywords", "keywords", "parsely-tags", "sailthru.tags")
_BYLINE: Final = re.compile(r"(?:^|[-_\s])(?:by-?lines?|authors?|autor(?:en|es|in)?|auteurs?|writers?|reporters?|contributors?)(?:$|[-_\s])|"
                            r"author[-_]?(?:names?|line|short)|byline|articleAuthor|authorName", re.I)
_NOT_BYLINE: Final = re.compile(r"comment|bio|share|social|related|teaser|recommend|newsletter|image|avatar|photo|sidebar|footer|shimmer|date", re.I)
_STANDFIRST: Final = re.compile(
    r"stand-?first|sub-?(?:title|head(?:line)?|deck)|(?:^|[-_\s])(?:dek|deck|lead|lede|leadin|intro|chapo|summary|excerpt|abstract|"
    r"ingress|entradilla|sumario|bajada|vorspann|teaser-?text|kicker-?text|preamble|manchet|sottotitolo|occhiello|synopsis|desk)(?:$|[-_\s])|"
    r"article[-_]*(?:lead|intro|dek|summary|excerpt|description)|lead-?(?:in|text|content|paragraph)|leadIn|leadText|sub-?tit", re.I)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A value and where it was found."""

    value: str
    source: str
    path: str
    raw: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """What the functions of this module read: the page, its meta fields, its JSON-LD."""

    page: Page
    meta: Mapping[str, Sequence[str]]
    linked: LinkedData


def _meta(sources: Sources, names: Sequence[str]) -> Iterator[Found]:
    for name in names:
        for raw in sources.meta.get(name, ()):
            value = clean(raw)
            if value:
                yield Found(value=value, source="meta", path=name, raw=value)


def _linked(sources: Sources, *names: str) -> Iterator[Found]:
    article = sources.linked.article
    if article is None:
        return
    for name in names:
        value = text_value(article.value.get(name))
        if value:
            yield Found(value=value, source="jsonld", path=f"{article.path}/{name}", raw=value)


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


# --- title ------------------------------------------------------------------------------------------------------

def headline(tree: HtmlElement, hints: Sequence[str]) -> HtmlElement | None:
    """The `h1` of the article: the one most like what the page says elsewhere, else the only one."""
    best: tuple[float, HtmlElement] | None = None
    wanted = [set(_words(h).split()) for h in hints if h]
    heads = [h for h in tree.iter("h1") if clean(h.text_content())]
    for order, head in enumerate(heads):
        words = set(_words(head.text_content()).split())
        if not words:
            continue
        score = max((len(words & w) / len(words | w) for w in wanted if w), default=0.0)
        score -= 0.5 * any(a.tag in ("nav", "li", "aside", "footer", "a") for a in head.iterancestors())
        score += 0.2 * ("headline" in class_words(head) or "title" in class_words(head)) - order * 0.01
        if best is None or score > best[0]:
            best = (score, head)
    if best is None or (wanted and best[0] < 0.15 and len(heads) > 1):
        return None
    return best[1]


def strip_suffix(title: str, names: Sequence[str]) -> str:
    """A title without the outlet's name after a separator, and sections between."""
    match = re.match(r"^(.{10,}?)\s*(?:\s[|*–—•·-]\s|[|｜ㅣ]|\s::\s)\s*(.{1,80})$", title)
    known = {_words(n) for n in names if n}
    while match:
        rest = match.group(2)
        pieces = [_words(p) for p in re.split(r"\s*[|*–—•·｜ㅣ]\s*|\s-\s", rest) if p.strip()]
        if any(p in known or any(k and (p.startswith(k) or k.startswith(p) and len(p) > 3) for k in known) for p in pieces):
            return match.group(1).strip()
        match = re.match(rf"^({re.escape(match.group(1))}.+?)\s*(?:\s[|*–—•·-]\s|[|｜ㅣ])\s*(.{{1,80}})$", title)
    return title


def all_titles(sources: Sources, site_names: Sequence[str], head: HtmlElement | None) -> tuple[str, ...]:
    """Every form of the headline that the page gives, to know it where the body repeats it."""
    values = [f.value for f in (*_linked(sources, "headline", "alternativeHeadline", "name"), *_meta(sources, ("og:title", "twitter:title")))]
    if head is not None:
        values.append(clean(head.text_content()))
    return tuple(dict.fromkeys(strip_suffix(v, site_names) for v in values))


def title_of(sources: Sources, site_names: Sequence[str]) -> tuple[Found | None, HtmlElement | None]:
    """The headline: what two of JSON-LD, `h1` and Open Graph agree on, else the first of them that is there."""
    def stripped(found: Found | None) -> Found | None:
        if found is None:
            return None
        value = strip_suffix(found.value, site_names)
        return Found(value=value, source=found.source, path=found.path, raw=found.raw)

    linked = stripped(next(_linked(sources, "headline", "name"), None))
    graph = stripped(next(_meta(sources, ("og:title", "twitter:title")), None))
    element = sources.page.tree.find(".//title")
    plain = stripped(Found(value=clean(element.text_content()), source="dom", path="title",
                           raw=clean(element.text_content())) if element is not None else None)
    head = headline(sources.page.tree, [f.value for f in (linked, graph, plain) if f])
    shown = None
    if head is not None:
        text = clean(head.text_content())
        shown = Found(value=text, source="dom", path=path_of(head), raw=text)
    offers = [f for f in (linked, shown, graph) if f and f.value]
    for i, first in enumerate(offers):
        if any(_words(first.value) == _words(other.value) for other in offers[i + 1:]):
            return first, head
    for i, first in enumerate(offers):  # different kickers before one headline: the headline
        for other in offers[i + 1:]:
            mine, theirs = _after_kicker(first.value), _after_kicker(other.value)
            if mine and theirs and _words(mine) == _words(theirs):
                return Found(value=mine, source=first.source, path=first.path, raw=first.raw), head
    # A kicker set before the headline within the same `h1`: the part that the other sources repeat.
    for first in offers:
        if shown and first is not shown and _words(shown.value).endswith(" " + _words(first.value)):
            return first, head
    best = next(iter(offers), None) or (plain if plain and plain.value else None)
    return best, head


def _after_kicker(title: str) -> str | None:
    parts = re.split(r":\s+|\s[-–—|]\s", title, maxsplit=1)
    return parts[1] if len(parts) == 2 and len(parts[1]) >= 25 else None


# --- authors ----------------------------------------------------------------------------------------------------

def authors_found(sources: Sources, site_names: Sequence[str], head: HtmlElement | None,
                  blocks: Sequence[Block]) -> tuple[tuple[str, ...], Found | None]:
    """The authors, and where the first source of trust named them.

    Persons go before the outlet's own name. A byline shown at the headline goes before hidden data whose name is
    nowhere to be seen.
    """
    own = {_words(n) for n in site_names if n}
    shown = list(_shown_bylines(sources.page.tree)) + list(_spoken_bylines(blocks, head))
    fallback: tuple[tuple[str, ...], Found | None] = ((), None)
    for names, found in (*_told_authors(sources), *shown):
        kept = tuple(n for n in names if _words(n) not in own)
        if any(looks_like_person(n) for n in kept):
            return _against_shown(kept, found, shown, blocks)
        if names and not fallback[0]:
            fallback = (names, found)
    return fallback


def _against_shown(names: tuple[str, ...], found: Found, shown: Sequence[tuple[tuple[str, ...], Found]],
                   blocks: Sequence[Block]) -> tuple[tuple[str, ...], Found]:
    if found.source == "dom" or not shown:
        return names, found
    if has_lead(shown[0][1].raw):
        text = " ".join(b.text for b in blocks[:400]).casefold()
        if not any(n.casefold() in text for n in names):
            return shown[0]
    return names, found


def _told_authors(sources: Sources) -> Iterator[tuple[tuple[str, ...], Found]]:
    linked = sources.linked
    if linked.article is not None:
        raws = [v for a in as_list(linked.get("author")) if (v := text_value(linked.resolve(a)))]
        if raws:
            yield authors_of(raws), Found(value=raws[0], source="jsonld", path=f"{linked.article.path}/author", raw=", ".join(raws))
    for name in _AUTHOR:
        raws = [clean(v) for v in sources.meta.get(name, ()) if v.strip() and not re.match(r"\(|https?:|www\.|\S+@|.*\.com\b", v.strip())]
        if raws and not all(re.fullmatch(r"[\w.\-]+", r) for r in raws):
            yield authors_of(raws), Found(value=raws[0], source="meta", path=name, raw=", ".join(raws))


def _spoken_bylines(blocks: Sequence[Block], head: HtmlElement | None) -> Iterator[tuple[tuple[str, ...], Found]]:
    """A short block near the headline that begins with "By" and names persons."""
    if head is None:
        return
    start = index_of(blocks, head)
    for block in blocks[start + 1:start + 13]:
        if len(block.text) <= 120 and has_lead(block.text):
            names = tuple(n for n in split_byline(block.text) if looks_like_person(n))
            if names:
                yield names, Found(value=names[0], source="dom", path=path_of(block.element), raw=block.text)


def _shown_bylines(tree: HtmlElement) -> Iterator[tuple[tuple[str, ...], Found]]:
    candidates: list[HtmlElement] = []
    for element in tree.iter("a", "span", "p", "div", "address", "li", "h2", "h3", "h4", "h5", "h6", "section", "em", "strong", "cite"):
        relation = element.get("rel") or ""
        prop = element.get("itemprop") or ""
        if relation == "author" or prop == "author" or _BYLINE.search(class_words(element, ("class", "data-testid"))):
            if not any(_NOT_BYLINE.search(a.get("class") or "") for a in (element, element.getparent()) if a is not None):
                candidates.append(element)
    for element in candidates[:40]:
        if any("comment" in (a.get("class") or "") + (a.get("id") or "") for a in element.iterancestors()):
            continue
        parts = [t for t in map(clean, element.itertext()) if t]
        texts = [t for t in parts if looks_like_person(t)] or [clean(" ".join(parts))]
        names = authors_of(t for t in texts if t and len(t) <= 200)
        if any(looks_like_person(n) for n in names):
            yield names, Found(value=names[0], source="dom", path=path_of(element), raw=clean(element.text_content()))


# --- dates ------------------------------------------------------------------------------------------------------

def dates_found(sources: Sources, captured: datetime, head: HtmlElement | None) -> tuple[Found | None, Found | None]:
    """When the page says that it was published and last modified."""
    published = list(_date_candidates(sources, "datePublished", _PUBLISHED)) or []
    if not published:
        published = list(_date_candidates(sources, "dateCreated", ()))
    modified = list(_date_candidates(sources, "dateModified", _MODIFIED))
    shown = list(_shown_dates(sources.page.tree, head))
    first = dates.choose([*published, *shown], captured)
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
    for element in sources.page.tree.iterfind(f".//*[@itemprop='{name}']"):
        raw = element.get("datetime") or element.get("content") or element.text_content()
        yield dates.Candidate(raw=clean(raw), source="dom", path=path_of(element))
    if article is None and name == "datePublished":
        for node in sources.linked.of_type("WebPage", "VideoObject"):
            value = node.value.get(name)
            if isinstance(value, str):
                yield dates.Candidate(raw=value, source="jsonld", path=f"{node.path}/{name}")


#: Elements looked at around the headline for a visible date.
_NEAR: Final = 160


def _shown_dates(tree: HtmlElement, head: HtmlElement | None) -> Iterator[dates.Candidate]:
    """`time` elements, then dates in words, near the headline."""
    near = list(_around(tree, head))
    for element in near:
        if element.tag == "time" and not re.search(r"modif|updat", class_words(element), re.I):
            raw = element.get("datetime") or clean(element.text_content())
            if raw:
                yield dates.Candidate(raw=raw, source="dom", path=path_of(element))
    for element in near:
        if len(element) <= 3 and re.search(r"date|time|publi|meta|stamp|datum|fecha|info", class_words(element), re.I):
            raw = clean(element.text_content())
            if raw and len(raw) <= 120:
                yield dates.Candidate(raw=raw, source="dom", path=path_of(element))


def _around(tree: HtmlElement, head: HtmlElement | None) -> Iterator[HtmlElement]:
    if head is None:
        return
    seen = 0
    root: HtmlElement = head
    for _ in range(4):
        parent = root.getparent()
        if parent is None or parent.tag in ("body", "html", "main"):
            break
        root = parent
    for element in root.iter("time", "span", "div", "p", "li", "dd", "a", "em"):
        seen += 1
        if seen > _NEAR:
            return
        yield element


# --- standfirst -------------------------------------------------------------------------------------------------

def standfirst_of(sources: Sources, blocks: Sequence[Block], *, start: int, first_body: int | None,
                  known: frozenset[str]) -> Block | None:
    """The block that introduces the article: between headline and body, by repeating a description or by its name.

    `known` holds what is something else: headlines and captions, by their words.
    """
    described = [_words(f.value) for f in (*_linked(sources, "description"),
                                           *_meta(sources, ("description", "og:description", "twitter:description")))]
    described = [d for d in described if len(d) >= 20]
    stop = first_body + 1 if first_body is not None else len(blocks)
    window = [b for b in blocks[max(0, start - 4):stop]
              if len(b.text) >= 15 and b.link_share < 0.6 and _words(b.text) not in known and b.tag != "h1"]
    for block in window:
        words = _words(block.text)
        if len(words) >= 20 and any(d == words or d.startswith(words) or (len(d) > 60 and words.startswith(d)) for d in described):
            return block
    for block in window:
        if start < block.order and block.order != first_body and any(_STANDFIRST.search(class_words(e, ("class", "data-testid", "itemprop")))
                                                                     for e in (block.element, block.element.getparent()) if e is not None):
            return block
    return None


def index_of(blocks: Sequence[Block], element: HtmlElement | None) -> int:
    """Order of the block that an element is, holds or stands in; 0 where there is none."""
    if element is None:
        return 0
    return next((b.order for b in blocks if b.element is element or element in b.element.iterancestors()), 0)


# --- the rest ---------------------------------------------------------------------------------------------------

def language_of(sources: Sources) -> Found | None:
    """The language tag that the page gives, in the usual case of letters."""
    root = sources.page.tree.getroottree().getroot()
    raw = root.get("lang") or root.get("{http://www.w3.org/XML/1998/namespace}lang") or root.get("xml:lang")
    offers = [Found(value=raw, source="dom", path="html/@lang", raw=raw)] if raw else []
    offers += [*_linked(sources, "inLanguage"), *_meta(sources, ("og:locale", "content-language", "language", "dc.language"))]
    for found in offers:
        tag = found.value.strip().replace("_", "-").split(",")[0]
        if re.fullmatch(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*", tag):
            parts = tag.split("-")
            value = "-".join([parts[0].lower(), *(p.upper() if len(p) == 2 else p for p in parts[1:])])
            return Found(value=value, source=found.source, path=found.path, raw=found.raw)
    return None


def section_of(sources: Sources) -> Found | None:
    """The section that the page files its article under."""
    return next(iter([*_linked(sources, "articleSection"), *_meta(sources, ("article:section", "parsely-section", "section"))]), None)


def tags_of(sources: Sources) -> tuple[str, ...]:
    """Keywords, each once, in page order."""
    values: list[str] = []
    for value in as_list(sources.linked.get("keywords")):
        if isinstance(value, str):
            values.extend(value.split(",") if "," in value else [value])
    if not values:
        for name in _TAGS:
            raws = sources.meta.get(name, ())
            values = [v for raw in raws for v in (raw.split(",") if len(raws) == 1 else [raw])]
            if values:
                break
    kept = (clean(v) for v in values)
    return tuple(dict.fromkeys(v for v in kept if v and len(v) <= 120))[:60]


def site_names(sources: Sources, outlet_name: str | None) -> tuple[str, ...]:
    """What the outlet calls itself: given name, og:site_name, publisher, host."""
    names = [outlet_name or "", *(f.value for f in _meta(sources, ("og:site_name", "application-name", "publisher")))]
    publisher = sources.linked.resolve(sources.linked.get("publisher"))
    for value in as_list(publisher):
        names.append(text_value(sources.linked.resolve(value)) or "")
    for node in sources.linked.of_type("WebSite", "NewsMediaOrganization"):
        names.append(text_value(node.value.get("name")) or "")
    host = urlsplit(sources.page.url).hostname or ""
    bare = host.removeprefix("www.")
    names += [bare, bare.split(".")[0]]
    return tuple(dict.fromkeys(clean(n) for n in names if n.strip()))


def canonical_of(sources: Sources) -> Found:
    """The canonical address, honoured only within the site that was asked."""
    url = sources.page.url
    offers: list[Found] = []
    for link in sources.page.tree.iterfind(".//link[@rel='canonical']"):
        if link.get("href"):
            offers.append(Found(value=link.get("href", "").strip(), source="dom", path="link[@rel=canonical]", raw=link.get("href", "")))
    offers += [*_meta(sources, ("og:url",)), *_linked(sources, "mainEntityOfPage", "url")]
    own = urlsplit(url)
    for found in offers:
        try:
            value = urljoin(url, found.value).split("#")[0]
            parts = urlsplit(value)
        except ValueError:
            continue
        if parts.scheme in ("http", "https") and parts.hostname and own.hostname and same_site(parts.hostname, own.hostname) \
                and (parts.path not in ("", "/") or own.path in ("", "/")) and not re.search(r"[\s<>\"]", value):
            return Found(value=value, source=found.source, path=found.path, raw=clean(found.raw))
    return Found(value=url, source="url", path="requested", raw=url)


def rights_of(sources: Sources, headers: Sequence[tuple[str, str]], captured: datetime) -> Rights:
    """Signals about use, as they stood at the capture."""
    observed = rfc3339(captured)
    lower = [(n.lower(), clean(v)) for n, v in headers]

    def first(*offers: Found | None) -> Right | None:
        found = next((f for f in offers if f), None)
        return None if found is None else Right(value=found.value, source=f"{found.source}:{found.path}", observed=observed)

    def header(name: str) -> Found | None:
        values = [v for n, v in lower if n == name]
        return Found(value=", ".join(values), source="http", path=name, raw=", ".join(values)) if values else None

    licence = next((link for link in sources.page.tree.iterfind(".//link[@rel='license']") if link.get("href")), None)
    return Rights(
        robots=first(header("x-robots-tag"), next(_meta(sources, ("robots",)), None)),
        tdm_reservation=first(header("tdm-reservation"), next(_meta(sources, ("tdm-reservation",)), None)),
        license=first(*_linked(sources, "license"), Found(value=clean(licence.get("href", "")), source="dom", path="link[@rel=license]",
                                                         raw="") if licence is not None else None),
        copyright_notice=first(*_linked(sources, "copyrightNotice", "copyrightHolder"), *_meta(sources, ("copyright", "dc.rights", "rights"))),
    )


def access_of(sources: Sources) -> str:
    """free | metered | paid | unknown, from the page's own statements alone."""
    value = sources.linked.get("isAccessibleForFree")
    if value is not None:
        text = str(value).strip().lower().rsplit("/", 1)[-1]
        if text in ("false", "no", "0"):
            return "paid"
        if text in ("true", "yes", "1"):
            return "free"
    tier = next((f.value.lower() for f in _meta(sources, ("article:content_tier", "content_tier"))), None)
    return {"free": "free", "metered": "metered", "locked": "paid"}.get(tier or "", "unknown")


def kind_of(sources: Sources, words: int, photos: int) -> str:
    """article | liveblog | gallery | video | other, from JSON-LD types and the Open Graph type."""
    types = set(sources.linked.article.types) if sources.linked.article else set()
    if "LiveBlogPosting" in types:
        return "liveblog"
    graph = next((f.value.lower() for f in _meta(sources, ("og:type",))), "")
    if graph.startswith("video") or (not types and any(True for _ in sources.linked.of_type("VideoObject")) and words < 120):
        return "video"
    if any(True for _ in sources.linked.of_type("ImageGallery", "MediaGallery")) or (photos >= 10 and words < 40 * photos and words < 400):
        return "gallery"
    if types or graph == "article" or words >= 60:
        return "article"
    return "other"

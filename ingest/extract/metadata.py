"""What else a page says about its article: language, section, tags, names, canonical address, rights, access, kind.

Each value comes with its place. Title, authors, dates and standfirst have modules of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from ingest.extract.jsonld import as_list, text_value
from ingest.extract.sources import Found, Sources, linked_values, meta_values
from schemas.articles import Right, Rights, clean
from schemas.errors import InvalidValue
from schemas.instants import rfc3339
from schemas.urls import join, same_site

_TAGS: Final = ("article:tag", "news_keywords", "keywords", "parsely-tags", "sailthru.tags")


def language_of(sources: Sources) -> Found | None:
    """The language tag that the page gives, in the usual case of letters."""
    root = sources.page.tree.getroottree().getroot()
    raw = root.get("lang") or root.get("{http://www.w3.org/XML/1998/namespace}lang") or root.get("xml:lang")
    offers = [Found(value=raw, source="dom", path="html/@lang", raw=raw)] if raw else []
    offers += [
        *linked_values(sources, "inLanguage"),
        *meta_values(sources, ("og:locale", "content-language", "language", "dc.language")),
    ]
    for found in offers:
        tag = found.value.strip().replace("_", "-").split(",")[0]
        if re.fullmatch(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*", tag):
            parts = tag.split("-")
            value = "-".join([parts[0].lower(), *(p.upper() if len(p) == 2 else p for p in parts[1:])])
            return Found(value=value, source=found.source, path=found.path, raw=found.raw)
    return None


def section_of(sources: Sources) -> Found | None:
    """The section that the page files its article under."""
    return next(
        iter(
            [
                *linked_values(sources, "articleSection"),
                *meta_values(sources, ("article:section", "parsely-section", "section")),
            ]
        ),
        None,
    )


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
    names = [
        outlet_name or "",
        *(f.value for f in meta_values(sources, ("og:site_name", "application-name", "publisher"))),
    ]
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
    for link in sources.page.tags["link"]:
        if link.get("rel") == "canonical" and link.get("href"):
            offers.append(
                Found(
                    value=link.get("href", "").strip(),
                    source="dom",
                    path="link[@rel=canonical]",
                    raw=link.get("href", ""),
                )
            )
    offers += [*meta_values(sources, ("og:url",)), *linked_values(sources, "mainEntityOfPage", "url")]
    own = urlsplit(url)
    for found in offers:
        try:
            value = join(url, found.value)
        except InvalidValue:
            continue
        parts = urlsplit(value)
        near = parts.hostname and own.hostname and same_site(parts.hostname, own.hostname)
        # A canonical address that is the homepage is a template's fault, not this article's address.
        if near and (parts.path not in ("", "/") or own.path in ("", "/")):
            return Found(value=value, source=found.source, path=found.path, raw=clean(found.raw))
    return Found(value=url, source="url", path="requested", raw=url)


def rights_of(sources: Sources, headers: Sequence[tuple[str, str]], captured: datetime) -> Rights:
    """Signals about use, as they stood at the capture."""
    observed = rfc3339(captured)
    lower = [(n.lower(), clean(v)) for n, v in headers]

    def first(*offers: Found | None) -> Right | None:
        found = next((f for f in offers if f), None)
        return (
            None
            if found is None
            else Right(value=found.value, source=f"{found.source}:{found.path}", observed=observed)
        )

    def header(name: str) -> Found | None:
        values = [v for n, v in lower if n == name]
        return Found(value=", ".join(values), source="http", path=name, raw=", ".join(values)) if values else None

    links = (e for e in sources.page.tags["link"] if e.get("rel") == "license" and e.get("href"))
    licence = next(links, None)
    return Rights(
        robots=first(header("x-robots-tag"), next(meta_values(sources, ("robots",)), None)),
        tdm_reservation=first(header("tdm-reservation"), next(meta_values(sources, ("tdm-reservation",)), None)),
        license=first(
            *linked_values(sources, "license"),
            Found(value=clean(licence.get("href", "")), source="dom", path="link[@rel=license]", raw="")
            if licence is not None
            else None,
        ),
        copyright_notice=first(
            *linked_values(sources, "copyrightNotice", "copyrightHolder"),
            *meta_values(sources, ("copyright", "dc.rights", "rights")),
            _copyright_line(sources),
        ),
    )


#: Characters. A longer line is a paragraph about rights.
MAX_COPYRIGHT_LINE: Final = 200
#: Characters read of all footers, each with those within it; the longest real ones have a few thousand.
MAX_FOOTS: Final = 1_000_000
_COPYRIGHT: Final = re.compile(r"(?:©|\(c\)\s|copyright\b).*", re.I)


def _copyright_line(sources: Sources) -> Found | None:
    """The line at the foot of the page that says whose it is."""
    read = 0
    for foot in sources.page.tags["footer"]:
        words = foot.text_content()
        read += len(words)
        if read > MAX_FOOTS:
            return None
        if _COPYRIGHT.search(words) is None:
            continue
        for element in foot.iter("p", "span", "div", "small", "li"):
            text = clean(element.text_content()) if len(element) <= 3 else ""
            match = _COPYRIGHT.match(text)
            if match and len(text) <= MAX_COPYRIGHT_LINE:
                return Found(value=text, source="dom", path="footer", raw=text)
    return None


def access_of(sources: Sources) -> str:
    """free | metered | paid | unknown, from the page's own statements alone."""
    value = sources.linked.get("isAccessibleForFree")
    if value is not None:
        text = str(value).strip().lower().rsplit("/", 1)[-1]
        if text in ("false", "no", "0"):
            return "paid"
        if text in ("true", "yes", "1"):
            return "free"
    tier = next((f.value.lower() for f in meta_values(sources, ("article:content_tier", "content_tier"))), None)
    return {"free": "free", "metered": "metered", "locked": "paid"}.get(tier or "", "unknown")


def kind_of(sources: Sources, words: int, photos: int) -> str:
    """article | liveblog | gallery | video | other, from JSON-LD types and the Open Graph type."""
    types = set(sources.linked.article.types) if sources.linked.article else set()
    if "LiveBlogPosting" in types:
        return "liveblog"
    graph = next((f.value.lower() for f in meta_values(sources, ("og:type",))), "")
    if graph.startswith("video") or (
        not types and any(True for _ in sources.linked.of_type("VideoObject")) and words < 120
    ):
        return "video"
    shown = not types and any(True for _ in sources.linked.of_type("ImageGallery", "MediaGallery"))
    if shown or (photos >= 10 and words < 40 * photos and words < 400):
        return "gallery"
    stated = any(name.startswith("article:") for name in sources.meta)  # a stub before a paywall has few words
    if types or stated or graph == "article" or words >= 60:
        return "article"
    return "other"

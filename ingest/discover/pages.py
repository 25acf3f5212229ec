"""Homepages: the feeds that they name, and the links that look like articles.

Read with a target parser that notes links and builds no tree; bounded, as all that strangers send.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from lxml import etree

from ingest.discover.sources import MAX_TITLE, STEP, Enough, join_or_none, tidy_title
from schemas.errors import InvalidValue
from schemas.frontier import Item
from schemas.outlets import Source
from schemas.urls import host_of, same_site, target_of

#: Bytes of a homepage that are looked at; the largest real ones have some 5 MB.
MAX_HOME_BYTES: Final = 16 * 1024 * 1024
#: Links of a homepage that are taken for articles.
MAX_LINKS: Final = 500
#: Links of a homepage that are looked at.
MAX_ANCHORS: Final = 20_000
#: Feeds of one homepage: beyond these come feeds by section and topic.
MAX_FEEDS: Final = 8

_FEED_TYPES: Final = frozenset(
    {"application/rss+xml", "application/atom+xml", "application/feed+json", "application/rdf+xml"}
)
_FEED_PATH: Final = re.compile(
    r"/(?:rss|feeds?|atom)(?:[/._-][^?]*)?$|(?:rss|atom|feed|index)\.(?:xml|rdf)$|\.(?:rss|atom)$|/feed\.json$",
    re.IGNORECASE,
)
_COMMENTS: Final = re.compile(r"/comments?(?:/|$)|[?&]comments|comments?-rss|/replies", re.IGNORECASE)


def belongs(url: str, domain: str) -> bool:
    """Whether a URL lies on an outlet's own site."""
    try:
        return same_site(host_of(url), domain)
    except InvalidValue:
        return False


def feeds_of_home(body: bytes, url: str) -> list[Source]:
    """The feeds that a homepage names: its `link rel=alternate`, else links that look like feeds of its own site."""
    page = _read_page(body, url)
    found = [
        join_or_none(page.base, href) for rel, kind, href in page.links if "alternate" in rel and kind in _FEED_TYPES
    ]
    feeds = [feed for feed in dict.fromkeys(found) if feed is not None and not _COMMENTS.search(feed)]
    if not feeds:
        links = (join_or_none(page.base, href) for href, _ in page.anchors)
        own = (link for link in dict.fromkeys(links) if link is not None and belongs(link, host_of(url)))
        feeds = [
            link for link in own if _FEED_PATH.search(target_of(link).partition("?")[0]) and not _COMMENTS.search(link)
        ]
    return [Source(url=feed, kind="feed") for feed in feeds[:MAX_FEEDS]]


def links_of_home(body: bytes, url: str) -> tuple[Item, ...]:
    """The links of a homepage that look like articles of its own site, for outlets without feed and sitemap."""
    page = _read_page(body, url)
    host = host_of(url)
    titles: dict[str, str] = {}
    for href, text in page.anchors:
        link = join_or_none(page.base, href)
        if link is None or not looks_like_article(link) or not belongs(link, host) or link == page.base:
            continue
        if len(titles) >= MAX_LINKS and link not in titles:
            break
        if len(text) > len(titles.setdefault(link, "")):
            titles[link] = text
    return tuple(Item(url=link, title=tidy_title(text)) for link, text in titles.items())


# -- which links are articles -------------------------------------------------------------------------------------

_NO_PAGE: Final = re.compile(
    r"\.(?:jpe?g|png|gif|webp|avif|svg|ico|css|js|json|xml|rss|atom|pdf|zip|gz|mp3|mp4|m4a|webm|apk|exe|docx?|xlsx?|ics)$"
)
_NO_ARTICLE: Final = frozenset(
    [
        "tag",
        "tags",
        "topic",
        "topics",
        "thema",
        "themen",
        "author",
        "authors",
        "autor",
        "autoren",
        "category",
        "categories",
        "kategorie",
        "rubrik",
        "search",
        "suche",
        "login",
        "logout",
        "signin",
        "signup",
        "register",
        "account",
        "subscribe",
        "abo",
        "newsletter",
        "newsletters",
        "contact",
        "kontakt",
        "about",
        "impressum",
        "privacy",
        "datenschutz",
        "terms",
        "agb",
        "help",
        "faq",
        "jobs",
        "careers",
        "advertise",
        "shop",
        "feed",
        "rss",
        "sitemap",
        "archive",
        "archiv",
        "podcast",
        "podcasts",
        "cookie",
        "cookies",
        "user",
        "users",
        "profile",
        "wp-content",
        "wp-admin",
        "cdn-cgi",
    ]
)
_STORY: Final = frozenset(
    [
        "article",
        "articles",
        "artikel",
        "story",
        "stories",
        "news",
        "item",
        "post",
        "posts",
        "nachricht",
        "beitrag",
        "noticia",
        "noticias",
    ]
)
_DATE: Final = re.compile(r"(?:19|20)\d\d[/_.-]?(?:0?[1-9]|1[0-2])(?:[/_.-]?\d{1,2})?(?!\d)")
_PAGE_EXTENSION: Final = re.compile(r"\.(?:s?html?|php|aspx?|cms)$")


def looks_like_article(url: str) -> bool:
    """Whether the form of a URL is that of an article: a date, a long slug, an id, in a path that is no section."""
    try:
        path, _, query = target_of(url).partition("?")
    except InvalidValue:
        return False
    path = unquote(path).lower()
    segments = [segment for segment in path.split("/") if segment]
    if not segments or _NO_PAGE.search(path) or _NO_ARTICLE.intersection(segments):
        return False
    last = _PAGE_EXTENSION.sub("", segments[-1])
    words = [word for word in re.split(r"[-_ ]+", last) if word]
    signs = 2 * bool(_DATE.search(path))
    signs += 2 * (len(words) >= 4)
    signs += 2 * (re.search(r"\d{5,}", last) is not None)
    signs += bool(_PAGE_EXTENSION.search(segments[-1]))
    signs += bool(_STORY.intersection(segments[:-1]))
    signs += len(last) >= 8 and any(c.isdigit() for c in last)
    signs += re.search(r"(?:^|&)(?:id|p|article|aid|story)=\w*\d{3,}", query) is not None
    return signs >= 2


# -- pages --------------------------------------------------------------------------------------------------------


class _Page:
    """Target of the HTML parser: links, anchors with their words, the base."""

    def __init__(self, url: str) -> None:
        self.base = url
        self.links: list[tuple[frozenset[str], str, str]] = []  # (rel, type, href)
        self.anchors: list[tuple[str, str]] = []  # (href, text)
        self._url = url
        self._based = False
        self._open: str | None = None
        self._text: list[str] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        href = attributes.get("href", "")
        if tag == "base" and not self._based and href:
            self._based = True
            self.base = join_or_none(self._url, href) or self._url
        elif tag == "link" and href:
            rel = frozenset(attributes.get("rel", "").lower().split())
            self.links.append((rel, attributes.get("type", "").partition(";")[0].strip().lower(), href))
        elif tag == "a":
            self._finish()
            self._open = href or None
        if len(self.links) + len(self.anchors) > MAX_ANCHORS:
            raise Enough

    def data(self, text: str) -> None:
        if self._open is not None and len(self._text) < MAX_TITLE:
            self._text.append(text[:MAX_TITLE])

    def end(self, tag: str) -> None:
        if tag == "a":
            self._finish()

    def comment(self, text: str) -> None:
        pass

    def pi(self, target: str, data: str | None = None) -> None:
        pass

    def close(self) -> None:
        self._finish()

    def _finish(self) -> None:
        if self._open is not None:
            self.anchors.append((self._open, " ".join("".join(self._text).split())))
        self._open, self._text = None, []


def _read_page(body: bytes, url: str) -> _Page:
    page = _Page(url)
    body = body[:MAX_HOME_BYTES]
    parser: Any = etree.HTMLParser(
        target=page, recover=True, no_network=True, huge_tree=False, encoding=_encoding(body)
    )
    try:
        for at in range(0, len(body), STEP):
            parser.feed(body[at : at + STEP])
        parser.close()
    except (Enough, etree.XMLSyntaxError):
        pass  # what was noted until then is the answer
    return page


def _encoding(body: bytes) -> str | None:
    """UTF-8 where the bytes are that (but for a character cut off at the end); else what the page declares."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(body)
    except UnicodeDecodeError:
        return None
    return "utf-8"

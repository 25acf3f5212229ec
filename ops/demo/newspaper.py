"""The Harbour Lantern, a newspaper that does not exist: every address it has, and what stands there in which edition.

Pure content: a path goes in, a `Page` comes out, without sockets or clocks. An edition is a number; with edition 1 a
correction is published, a page moves, a failing page recovers and a new story appears; with edition 2 a story
is updated. Texts are in `stories/*.toml`, their look in `layout`; sending them is left to `server`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import format_datetime
from html import escape
from urllib.parse import quote

from ops.demo import layout, pictures
from ops.demo.layout import PAPER
from ops.demo.stories import Story, Transfer, instant, stories

#: The last edition that changes anything.
LAST_EDITION = 2
#: Stories that a feed holds, as most feeds hold only the newest.
FEED_ITEMS = 12
#: Links to other articles below each article.
RELATED = 4
MEMBERS = "/members/"
NEWS_SITEMAP = "/sitemaps/news.xml"
ARCHIVE_SITEMAP = "/sitemaps/archive.xml.gz"
SITEMAP_INDEX = "/sitemaps/index.xml.gz"
SITEMAP_NS = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
NEWS_NS = 'xmlns:news="http://www.google.com/schemas/sitemap-news/0.9"'
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What stands at an address."""

    status: int = 200
    content_type: str = "text/html; charset=utf-8"
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    transfer: Transfer = "plain"
    modified: float | None = None
    """Seconds since 1970, where the page says when it was last changed."""
    cacheable: bool = True
    """Whether the page has validators; restless pages and errors have none."""


class Newspaper:
    """The paper at one origin (`https://host`, no slash at the end) in one edition."""

    def __init__(self, origin: str, edition: int = 0) -> None:
        self.origin = origin
        self.edition = edition

    # -- what is published --------------------------------------------------------------------------------

    @property
    def published(self) -> list[Story]:
        """Every story that the edition links to, newest first, as it stands in this edition."""
        return [story.at(self.edition) for story in stories() if story.from_edition <= self.edition]

    @property
    def readable(self) -> list[Story]:
        """The published stories whose pages work and that robots.txt allows: what a crawl should come to have."""
        return [
            story
            for story in self.published
            if story.failing(self.edition) is None and not story.path.startswith(MEMBERS)
        ]

    def story(self, path: str) -> Story:
        """The story at a path, by its present or former address. KeyError where there is none."""
        for story in stories():
            if path in (story.path, story.at(self.edition).path):
                return story.at(self.edition)
        raise KeyError(path)

    # -- every address ------------------------------------------------------------------------------------

    def page(self, path: str, *, visit: int = 0) -> Page | None:
        """What stands at a path (no query); None where there is nothing. `visit` counts, for restless pages."""
        fixed: dict[str, Callable[[], Page]] = {
            "/": lambda: _html(layout.front(self.origin, self._linked)),
            "/robots.txt": lambda: Page(content_type="text/plain; charset=utf-8", body=self._robots()),
            "/feeds/news.xml": lambda: Page(content_type="application/rss+xml; charset=utf-8", body=self._rss()),
            "/feeds/atom.xml": lambda: Page(content_type="application/atom+xml", body=self._atom()),
            "/feeds/feed.json": lambda: Page(content_type="application/feed+json", body=self._json_feed()),
            NEWS_SITEMAP: lambda: Page(content_type="application/xml", body=self._news_sitemap()),
            ARCHIVE_SITEMAP: lambda: Page(content_type="application/gzip", body=_packed(self._archive_sitemap())),
            SITEMAP_INDEX: lambda: Page(content_type="application/gzip", body=_packed(self._sitemap_index())),
            "/styles/paper.css": lambda: Page(content_type="text/css", body=b"body { max-width: 40em }\n"),
            "/styles/lantern.png": lambda: Page(content_type="image/png", body=pictures.png(48, 16, 90)),
            "/about": lambda: self._plain("About us", "The Harbour Lantern is printed in Port Merrow.", "/about"),
            "/subscribe": lambda: self._plain("Subscribe", "Four weeks for one crown.", "/subscribe"),
        }
        made = fixed.get(path)
        return made() if made is not None else self._article(path, visit) or self._photo(path)

    def _article(self, path: str, visit: int) -> Page | None:
        for original in stories():
            story = original.at(self.edition)
            if original.from_edition > self.edition or path not in (original.path, story.path):
                continue
            if path != story.path:
                return _moved(self.origin + story.path)
            failing = original.failing(self.edition)
            if failing is not None:
                return _failed(self.origin, failing, path)
            token = f"{visit:016x}" if story.restless else None
            html = layout.article(self.origin, story, self._related, token=token)
            return Page(
                body=html.encode(),
                transfer=story.transfer,
                modified=None if story.restless else story.seconds,
                cacheable=not story.restless,
            )
        return None

    def _photo(self, path: str) -> Page | None:
        for story in stories():
            for picture in story.photos:
                if picture.path == path:
                    body = pictures.photo(picture.name, credit=picture.credit)
                    return Page(content_type="image/jpeg", body=body, modified=story.seconds)
        return None

    def _plain(self, title: str, text: str, path: str) -> Page:
        return _html(layout.plain(self.origin, title, text, path=path))

    @property
    def _linked(self) -> list[Story]:
        """What the front page and the feeds show: not what was withdrawn, but what fails for the moment."""
        return [story for story in self.published if story.fail_status is None or story.fail_until is not None]

    @property
    def _related(self) -> list[Story]:
        """Links below each article: to stories that never change, so that the page's validators stay true."""
        steady = [
            story
            for story in self._linked
            if not (story.revisions or story.move_path or story.from_edition or story.path.startswith(MEMBERS))
        ]
        return steady[:RELATED]

    # -- how it is found ----------------------------------------------------------------------------------

    def _robots(self) -> bytes:
        lines = [
            "# Crawlers are welcome, except where members read.",
            "User-agent: *",
            f"Disallow: {MEMBERS}",
            "Disallow: /drafts/",
            "Allow: /",
            "",
            f"Sitemap: {self.origin}{NEWS_SITEMAP}",
            f"Sitemap: {self.origin}{SITEMAP_INDEX}",
            "",
        ]
        return "\n".join(lines).encode()

    def _url(self, story: Story) -> str:
        return self.origin + quote(story.path)

    def _rss(self) -> bytes:
        items = "".join(
            f"<item><title>{escape(story.title)}</title><link>{escape(self._url(story))}?utm_source=rss</link>"
            f'<guid isPermaLink="false">lantern-{escape(story.path)}</guid>'
            f"<description>{escape(story.standfirst)}</description>"
            f"<pubDate>{format_datetime(instant(story.published))}</pubDate>"
            f"<category>{escape(story.section)}</category></item>\n"
            for story in self._linked[:FEED_ITEMS]
        )
        return (
            f'{XML}<rss version="2.0"><channel><title>{PAPER}</title><link>{self.origin}/</link>'
            f"<description>News from Port Merrow</description><language>en</language><ttl>15</ttl>\n"
            f"{items}</channel></rss>\n"
        ).encode()

    def _atom(self) -> bytes:
        entries = "".join(
            f'<entry><title>{escape(story.title)}</title><link rel="alternate" href="{escape(self._url(story))}"/>'
            f"<id>{escape(self._url(story))}</id>"
            f"<published>{instant(story.published).isoformat()}</published>"
            f"<updated>{instant(story.modified or story.published).isoformat()}</updated>"
            f"<summary>{escape(story.standfirst)}</summary></entry>\n"
            for story in self._linked[:FEED_ITEMS]
        )
        newest = max(instant(story.modified or story.published) for story in self._linked)
        return (
            f'{XML}<feed xmlns="http://www.w3.org/2005/Atom"><title>{PAPER}</title><id>{self.origin}/</id>'
            f'<link rel="self" href="{self.origin}/feeds/atom.xml"/><updated>{newest.isoformat()}</updated>\n'
            f"{entries}</feed>\n"
        ).encode()

    def _json_feed(self) -> bytes:
        items = [
            {
                "id": self._url(story),
                "url": self._url(story),
                "title": story.title,
                "summary": story.standfirst,
                "date_published": instant(story.published).isoformat(),
                "date_modified": instant(story.modified or story.published).isoformat(),
            }
            for story in self._linked[:FEED_ITEMS]
        ]
        feed = {
            "version": "https://jsonfeed.org/version/1.1",
            "title": PAPER,
            "home_page_url": self.origin + "/",
            "feed_url": self.origin + "/feeds/feed.json",
            "items": items,
        }
        return json.dumps(feed, ensure_ascii=False, indent=1).encode()

    def _news_sitemap(self) -> bytes:
        urls = "".join(
            f"<url><loc>{escape(self._url(story))}</loc><lastmod>{story.modified or story.published}</lastmod>"
            f"<news:news><news:publication><news:name>{PAPER}</news:name>"
            f"<news:language>{story.language}</news:language></news:publication>"
            f"<news:publication_date>{story.published}</news:publication_date>"
            f"<news:title>{escape(story.title)}</news:title></news:news></url>\n"
            for story in self._linked
        )
        return f"{XML}<urlset {SITEMAP_NS} {NEWS_NS}>\n{urls}</urlset>\n".encode()

    def _archive_sitemap(self) -> bytes:
        urls = "".join(
            f"<url><loc>{escape(self._url(story))}</loc><lastmod>{story.modified or story.published}</lastmod></url>\n"
            for story in self.published
        )
        return f"{XML}<urlset {SITEMAP_NS}>\n{urls}</urlset>\n".encode()

    def _sitemap_index(self) -> bytes:
        maps = "".join(
            f"<sitemap><loc>{self.origin}{path}</loc></sitemap>\n" for path in (NEWS_SITEMAP, ARCHIVE_SITEMAP)
        )
        return f"{XML}<sitemapindex {SITEMAP_NS}>\n{maps}</sitemapindex>\n".encode()


def _html(text: str) -> Page:
    return Page(body=text.encode())


def _packed(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


def _moved(url: str) -> Page:
    body = f'<p>This page has moved: <a href="{escape(url)}">here</a>.</p>\n'.encode()
    return Page(status=301, body=body, headers=(("Location", url),), cacheable=False)


def _failed(origin: str, status: int, path: str) -> Page:
    title, text = {
        410: ("Withdrawn", "This article is no longer available."),
    }.get(status, ("Something went wrong", "Our machines are not well. Please try again later."))
    return Page(status=status, body=layout.plain(origin, title, text, path=path).encode(), cacheable=False)

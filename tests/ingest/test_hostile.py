"""The hostile web, end to end through the crawler: each attack is bounded and labelled, and the crawl goes on.

An outlet's feed names hostile pages and, last, a sound one. Whatever comes before, the sound one is read; every attempt
is kept; and an audit of the archive finds nothing.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

import brotli
import pytest
import zstandard

from ingest.extract.worker import ExtractPool
from ingest.pipeline import Crawler, CrawlSettings, Tally
from ingest.recorder import Recorder, RecorderSettings
from ops.demo import faults
from schemas.captures import Capture, Ending, Role
from schemas.outlets import Outlet, OutletChange, Source
from storage.archive import Archive
from storage.fixity import audit
from tests.support import archives
from tests.support.newsroom import Newsroom

HOST = "lantern.example"
SOUND = "/news/zz-sound.html"
MIB = 1 << 20
#: Bytes of an entity, a body as sent, and a head that the crawler under test takes.
MAX_ENTITY, MAX_BODY, MAX_HEAD = 2 * MIB, MIB, 64 * 1024


@dataclass
class Desk:
    """An archive, a world and a crawler between them."""

    room: Newsroom
    archive: Archive
    pool: ExtractPool

    def link(self, path: str) -> str:
        """The URL of a path at the outlet."""
        return f"http://{HOST}{path}"

    def feed(self, links: list[str], *, path: str = "/feed.xml") -> None:
        """A feed that names these, then the sound page."""
        items = "".join(f"<item><title>x</title><link>{escape(link)}</link></item>" for link in links)
        body = f"<rss version='2.0'><channel><title>Lantern</title>{items}</channel></rss>"
        self.room.page(path, body, content_type="application/rss+xml")

    def crawl(self, *sources: Source) -> Tally:
        """Watch the outlet and crawl until nothing is due."""
        self.room.page(SOUND, archives.page(1))
        outlet = Outlet(
            id=HOST, name="The Lantern", url=self.link("/"), domain=HOST, added=datetime.now(UTC),
            sources=sources or (Source(url=self.link("/feed.xml"), kind="feed"),),
        )  # fmt: skip
        self.archive.record_outlet(OutletChange(change="add", at=datetime.now(UTC), outlet=outlet))
        return asyncio.run(self._crawl(outlet))

    async def _crawl(self, outlet: Outlet) -> Tally:
        recorder = Recorder(
            RecorderSettings(
                user_agent="pressmark", connect_timeout=5.0, read_timeout=1.0, total_timeout=4.0, max_body=MAX_BODY,
                max_head=MAX_HEAD, allow_addresses=("127.0.0.0/8",), connect_to=(self.room.connect_to,),
            )
        )  # fmt: skip
        settings = CrawlSettings(user_agent="pressmark", host_delay=0.0)
        crawler = Crawler(self.archive, settings, recorder, self.pool)
        try:
            return await crawler.crawl([outlet], until_idle=True)
        finally:
            await crawler.close()

    def captures(self, role: Role = Role.ARTICLE) -> dict[str, Capture]:
        """The captures of a role by path."""
        with self.archive.catalog.read() as tx:
            found = tx.captures.after(0, 10_000, roles=[role.value])
        return {capture.url.removeprefix(f"http://{HOST}"): capture for capture in found}

    def codes(self) -> Counter[str | None]:
        """Why pages gave no article."""
        with self.archive.catalog.read() as tx:
            return Counter({code: n for (state, code), n in tx.captures.extractions().items() if state == "failed"})

    def articles(self) -> list[str]:
        """The paths of all that was counted as an article."""
        with self.archive.catalog.read() as tx:
            return sorted(row.url.removeprefix(f"http://{HOST}") for row in tx.articles.search())

    def is_whole(self) -> bool:
        """Sealed, published and audited without a finding."""
        self.archive.seal()
        report = audit(self.archive)
        return report.ok and not report.orphans


@pytest.fixture(scope="module")
def pool() -> Iterator[ExtractPool]:
    with ExtractPool(workers=1, max_seconds=20.0) as running:
        yield running


@pytest.fixture
def desk(newsroom: Newsroom, tmp_path: Path, pool: ExtractPool) -> Iterator[Desk]:
    settings = replace(archives.settings(tmp_path), clock=lambda: datetime.now(UTC), max_entity=MAX_ENTITY)
    with Archive.create(settings) as archive:
        yield Desk(room=newsroom, archive=archive, pool=pool)


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def zeros(packer: Callable[[bytes], bytes]) -> bytes:
    """A bomb of 32 MiB of blanks."""
    return packer(b" " * (32 * MIB))


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "gzip": ("gzip", lambda: zeros(packed)),
    "deflate": ("deflate", lambda: zeros(zlib.compress)),
    "br": ("br", lambda: zeros(lambda data: brotli.compress(data, quality=5))),
    "zstd": ("zstd", lambda: zeros(zstandard.ZstdCompressor().compress)),
    "gzip-in-gzip": ("gzip, gzip", lambda: packed(zeros(packed))),
    "zstd-in-br": ("zstd, br", lambda: brotli.compress(zeros(zstandard.ZstdCompressor().compress))),
}


def test_bombs_in_every_coding(desk: Desk) -> None:
    for name, (coding, make) in BOMBS.items():
        desk.room.page(f"/news/{name}.html", make(), headers=[("Content-Encoding", coding)])
    desk.feed([desk.link(path) for path in (*(f"/news/{name}.html" for name in BOMBS), SOUND)])
    tally = desk.crawl()
    assert desk.articles() == [SOUND]
    assert tally.failed == {"content-encoding": len(BOMBS)}
    assert all(c.ending is Ending.COMPLETE for c in desk.captures().values()), "all of what was sent is kept"
    assert desk.is_whole()


def test_codings_that_nobody_asked_for_are_read(desk: Desk) -> None:
    coders = {"br": brotli.compress, "zstd": zstandard.ZstdCompressor().compress, "gzip": packed}
    for number, (coding, coder) in enumerate(coders.items()):
        body = coder(archives.page(number + 2))
        desk.room.page(f"/news/{coding}.html", body, headers=[("Content-Encoding", coding)])
    desk.feed([desk.link(f"/news/{coding}.html") for coding in coders])
    desk.crawl()
    assert desk.articles() == ["/news/br.html", "/news/gzip.html", "/news/zstd.html"]


def test_bodies_and_heads_without_an_end(desk: Desk) -> None:
    cases = {
        "body": (faults.body_for_ever, Ending.LENGTH), "chunks": (faults.chunks_for_ever, Ending.LENGTH),
        "drip": (faults.drip_for_ever, Ending.TIME), "stall": (faults.stall_in_body, Ending.TIME),
        "huge": (faults.huge_header, Ending.LENGTH), "many": (faults.many_headers, Ending.LENGTH),
        "reset": (faults.reset_in_body, Ending.DISCONNECT), "silent": (faults.silence, Ending.NO_RESPONSE),
    }  # fmt: skip
    for name, (script, _) in cases.items():
        desk.room.raw(f"/news/{name}.html", script(archives.page(3)))
    # The order is the catalog's own: the sound page stands among them, and back-off puts none of them off for long.
    desk.feed([desk.link(path) for path in (SOUND, *(f"/news/{name}.html" for name in cases))])
    desk.crawl()
    kept = desk.captures()
    ended = {name: kept[f"/news/{name}.html"].ending for name in cases if f"/news/{name}.html" in kept}
    assert ended == {name: ending for name, (_, ending) in cases.items() if name in ended}
    assert {"body", "chunks", "drip", "stall", "huge", "many"} & ended.keys()
    assert desk.articles() == [SOUND]
    assert desk.is_whole()


def test_pages_that_would_break_a_reader(desk: Desk) -> None:
    head = "<html><head><title>x</title></head><body>"
    desk.room.page("/news/deep.html", head + "<div>" * 10_000 + "deep" + "</div>" * 10_000)
    desk.room.page("/news/deeper.html", head + "<b><p>" * 200_000)
    for number, charset in enumerate(("utf-7", "x" * 5000, "\x00utf-8", "undefined", "rot13", "utf-16; charset=utf-8")):
        kind = f"text/html; charset={charset}"
        desk.room.raw(
            f"/news/charset{number}.html",
            b"HTTP/1.1 200 OK\r\nContent-Type: "
            + kind.encode()
            + b"\r\nConnection: close\r\n\r\n"
            + archives.page(20 + number),
        )
    desk.room.page("/news/binary.html", bytes(range(256)) * 400)
    desk.room.page("/news/empty.html", b"")
    paths = [
        *(f"/news/charset{n}.html" for n in range(6)),
        *(f"/news/{n}.html" for n in ("deep", "deeper", "binary", "empty")),
    ]
    desk.feed([desk.link(path) for path in (*paths, SOUND)])
    tally = desk.crawl()
    assert SOUND in desk.articles()
    assert set(paths) <= desk.captures().keys()
    whole = [capture for capture in desk.captures().values() if capture.usable]
    assert sum(tally.failed.values()) + len(desk.articles()) == len(whole), "each is an article or says why not"
    assert len(whole) >= len(paths), "at most one could not be framed"
    assert {"/news/binary.html", "/news/empty.html"}.isdisjoint(desk.articles())
    assert desk.is_whole()


def test_redirects_without_an_end(desk: Desk) -> None:
    room = desk.room
    room.redirect("/news/loop.html", "/news/loop.html")
    room.redirect("/news/a.html", desk.link("/news/b.html"))
    room.redirect("/news/b.html", desk.link("/news/a.html"))
    for number in range(40):
        room.redirect(f"/news/far{number}.html", f"/news/far{number + 1}.html")
    for name, place in {
        "crlf": "/x\r\nSet-Cookie: a=1", "nul": "/x\x00y", "long": "/" + "l" * 100_000, "file": "file:///etc/passwd",
        "inside": "http://10.0.0.1/", "metadata": "http://169.254.169.254/latest", "none": "",
    }.items():  # fmt: skip
        head = (
            b"HTTP/1.1 302 Found\r\nLocation: " + place.encode() + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        room.raw(f"/news/{name}.html", head)
    names = ("loop", "a", "far0", "crlf", "nul", "long", "file", "inside", "metadata", "none")
    desk.feed([desk.link(path) for path in (*(f"/news/{name}.html" for name in names), SOUND)])
    desk.crawl()
    assert desk.articles() == [SOUND]
    kept = desk.captures()
    assert {f"/news/{name}.html" for name in names} <= kept.keys()
    assert "/news/far8.html" in kept
    assert "/news/far9.html" not in kept
    assert all("passwd" not in url for url in kept)
    assert desk.is_whole()


def test_urls_that_are_attacks(desk: Desk) -> None:
    links = [
        desk.link("/news/" + "x" * 100_000 + ".html"), desk.link("/news/a%0d%0aX-Evil:%201.html"),
        desk.link("/news/a\tb.html"), "javascript:alert(1)", "http://user:secret@lantern.example/news/x.html",
        "http://[::1/", "http://lantern.example:99999/", desk.link("/news/../../../etc/passwd"), "//", "\u202e" * 50,
    ]  # fmt: skip
    desk.feed([*links, desk.link(SOUND)])
    desk.crawl()
    assert desk.articles() == [SOUND]
    assert not any("X-Evil" in name for request in desk.room.requests for name, _ in request.headers)
    assert all(len(target) < 20_000 for target in desk.room.asked())
    assert desk.is_whole()


BILLION = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]><rss version='2.0'><channel><item><link>http://lantern.example/&j;</link></item></channel></rss>"
)
OUTSIDE = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    "<rss version='2.0'><channel><item><link>http://lantern.example/&a;</link></item></channel></rss>"
)


def test_feeds_and_sitemaps_that_are_attacks(desk: Desk) -> None:
    room = desk.room
    urls = "".join(f"<url><loc>http://other.example/n{n}.html</loc></url>" for n in range(60_000))
    sitemap = f"<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>{urls}</urlset>".encode()
    room.page("/billion.xml", BILLION, content_type="application/rss+xml")
    room.page("/outside.xml", OUTSIDE, content_type="application/rss+xml")
    room.page("/bomb.xml.gz", zeros(packed), content_type="application/gzip")
    room.page("/twice.xml.gz", packed(packed(sitemap)), content_type="application/gzip")
    room.page(
        "/coded.xml.gz",
        packed(packed(b"<urlset/>")),
        content_type="application/x-gzip",
        headers=[("Content-Encoding", "gzip")],
    )
    room.page("/self.xml", f"<sitemapindex><sitemap><loc>http://{HOST}/self.xml</loc></sitemap></sitemapindex>")
    room.page("/html.xml", "<html><body>not a feed", content_type="text/html")
    desk.feed([desk.link(SOUND)])
    names = ("/billion.xml", "/outside.xml", "/html.xml")
    maps = ("/bomb.xml.gz", "/twice.xml.gz", "/coded.xml.gz", "/self.xml")
    sources = [Source(url=desk.link(name), kind="feed") for name in (*names, "/feed.xml")]
    sources += [Source(url=desk.link(name), kind="sitemap") for name in maps]
    desk.crawl(*sources)
    assert SOUND in desk.articles()
    assert {*names, "/feed.xml"} <= desk.captures(Role.FEED).keys()
    assert set(maps) <= desk.captures(Role.SITEMAP).keys()
    assert not any("root:" in url or "hahaha" in url for url in desk.captures())
    assert desk.is_whole()


def test_a_feed_of_very_many_items_is_cut(desk: Desk) -> None:
    """More bytes than are taken: the feed is kept as far as it came, marked, and counts as a failed poll."""
    items = "".join(f"<item><link>http://other.example/{n}</link></item>" for n in range(40_000))
    desk.room.page("/large.xml", f"<rss version='2.0'><channel>{items}", content_type="application/rss+xml")
    desk.feed([desk.link(SOUND)])
    desk.crawl(*(Source(url=desk.link(path), kind="feed") for path in ("/large.xml", "/feed.xml")))
    large = desk.captures(Role.FEED)["/large.xml"]
    assert (large.ending, large.ending.truncated) == (Ending.LENGTH, "length")
    assert desk.articles() == [SOUND]
    assert desk.is_whole()


def test_walls_are_kept_and_are_no_articles(desk: Desk) -> None:
    room = desk.room
    wait = "<html><head><title>Just a moment...</title></head><body>Checking.</body></html>"
    room.page("/news/check.html", wait, status=403, headers=[("CF-Mitigated", "challenge")])
    room.page("/news/check200.html", wait)
    room.page("/news/softly.html", "<html><head><title>Page not found</title></head><body><p>Sorry.</p></body></html>")
    room.redirect("/news/cookies.html", "/consent/?to=cookies", status=302)
    room.page(
        "/consent/?to=cookies",
        "<html><head><title>The Lantern</title></head><body><p>We use cookies.</p></body></html>",
    )
    room.redirect("/news/members.html", "/login?to=members", status=302)
    room.page(
        "/login?to=members", "<html><head><title>Lantern</title></head><body><input type='password'></body></html>"
    )
    room.redirect("/news/lost.html", "/", status=302)
    room.page("/", "<html><head><title>The Lantern</title></head><body><p>Front</p></body></html>")
    room.page("/news/none.html", "gone", status=404)
    room.page("/news/error.html", "broken", status=500)
    room.page("/robots.txt", "User-agent: *\nDisallow: /news/private\n", content_type="text/plain")
    names = ("check", "check200", "softly", "cookies", "members", "lost", "none", "error", "private")
    desk.feed([desk.link(path) for path in (*(f"/news/{name}.html" for name in names), SOUND)])
    tally = desk.crawl()
    assert desk.articles() == [SOUND]
    kept = desk.captures()
    assert {path: c.wall for path, c in kept.items() if c.wall} == {
        "/news/check.html": "bot", "/news/check200.html": "bot", "/news/softly.html": "soft404",
        "/consent/?to=cookies": "consent", "/login?to=members": "login", "/": "soft404",
    }  # fmt: skip
    assert tally.attempts["robots-denied"] == 1
    assert (kept["/news/none.html"].status, kept["/news/error.html"].status) == (404, 500)
    with desk.archive.catalog.read() as tx:
        walls = Counter[str]()
        for row in tx.captures.tallies():
            walls.update({row.wall: row.count} if row.wall else {})
        assert tx.captures.pending(10) == []
    assert walls == {"bot": 2, "soft404": 2, "consent": 1, "login": 1}
    assert desk.is_whole()

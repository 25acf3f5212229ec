"""The journey of an article, on a world of real servers and a real archive: one story a rule."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ingest.extract.worker import ExtractPool
from ingest.pipeline import Crawler, CrawlSettings, Tally, find_sources, refill_frontier
from ingest.pipeline import crawler as crawler_room
from ingest.pipeline.fetching import MAX_REDIRECTS
from ingest.recorder import Recorder, RecorderSettings
from ops.demo.messages import Request, response
from ops.demo.wire import Answer, Close, Send, Stall
from schemas.captures import Capture, Context, Ending, Role
from schemas.errors import DiskError
from schemas.frontier import ItemState, SourceState
from schemas.outlets import Outlet, OutletChange, Source
from schemas.urls import article_key
from storage.archive import Archive
from tests.support.archives import page, settings
from tests.support.newsroom import Newsroom

AGENT = "pressmark/test (+desk@lantern.example)"
HOST = "lantern.example"
HOUR = 3600
T = TypeVar("T")


class Clock:
    """The machine's clock, which can be put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def pass_by(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


class Desk:
    """An archive, a world, and crawls of the one into the other; each crawl is a new crawler."""

    def __init__(self, archive: Archive, room: Newsroom, clock: Clock) -> None:
        self.archive, self.room, self.clock = archive, room, clock
        self.said: list[str] = []

    def watch(self, *sources: tuple[str, str], host: str = HOST) -> Outlet:
        """Watch a host by sources of these kinds and paths."""
        found = tuple(Source(url=self.room.url(path, host=host), kind=kind) for kind, path in sources)
        outlet = Outlet(
            id=host, name=host.title(), url=self.room.url(host=host), domain=host, sources=found, every=HOUR,
            added=self.clock(),
        )  # fmt: skip
        return self.archive.record_outlet(OutletChange(change="add", at=self.clock(), outlet=outlet))

    def with_crawler(self, work: Callable[[Crawler], Awaitable[T]], **changes: Any) -> T:
        """Do something with a crawler in an event loop of its own."""

        async def run() -> T:
            crawl = CrawlSettings(**{"user_agent": AGENT, "host_delay": 0.0, "recheck": (HOUR, 24 * HOUR), **changes})
            recorder = RecorderSettings(
                user_agent=AGENT, allow_addresses=("127.0.0.1/32",), connect_to=(self.room.connect_to,),
                clock=self.clock,
            )  # fmt: skip
            with ExtractPool(workers=0, max_seconds=30) as pool:
                crawler = Crawler(self.archive, crawl, Recorder(recorder), pool, self.said.append)
                try:
                    return await work(crawler)
                finally:
                    await crawler.close()

        return asyncio.run(run())

    def crawl(self, *outlets: Outlet, **changes: Any) -> Tally:
        """Crawl until idle."""
        return self.with_crawler(lambda crawler: crawler.crawl(outlets, until_idle=True), **changes)

    def fetch(self, path: str) -> Capture:
        """Fetch one page with all its redirects."""
        context = Context(outlet_id=None, role=Role.ARTICLE)
        return self.with_crawler(lambda crawler: crawler.fetch(self.room.url(path, host=HOST), context))

    def captures(self, role: Role | None = None) -> list[Capture]:
        with self.archive.catalog.read() as tx:
            return tx.captures.after(0, 10_000, [role] if role else None)

    def item(self, path: str, host: str = HOST) -> ItemState:
        with self.archive.catalog.read() as tx:
            found = tx.frontier.item_for(host, article_key(self.room.url(path, host=host)))
        assert found is not None
        return found

    def sources(self) -> list[SourceState]:
        with self.archive.catalog.read() as tx:
            return tx.frontier.all_sources()

    def versions(self) -> list[tuple[str, int]]:
        """Title and version of all that was read, in the log's order."""
        with self.archive.catalog.read() as tx:
            return [(v.title or "", v.version) for v in tx.articles.search(latest_only=False, after=-1)]


@pytest.fixture
def room() -> Iterator[Newsroom]:
    """A world of any hosts, all of which welcome crawlers."""
    with Newsroom() as running:
        running.page("/robots.txt", "User-agent: *\nDisallow: /private/\n", content_type="text/plain")
        yield running


@pytest.fixture
def desk(room: Newsroom, tmp_path: Path) -> Iterator[Desk]:
    clock = Clock()
    with Archive.create(replace(settings(tmp_path), clock=clock)) as archive:
        yield Desk(archive, room, clock)


def feed(room: Newsroom, *paths: str, host: str = HOST, at: str = "/feed.xml") -> None:
    """Publish a feed of these pages (or whole URLs)."""
    urls = [path if "://" in path else room.url(path, host=host) for path in paths]
    items = "".join(f"<item><title>{url[-9:]}</title><link>{url}</link></item>" for url in urls)
    xml = f'<rss version="2.0"><channel><title>Lantern</title>{items}</channel></rss>'
    room.page(at, xml, host=host, content_type="application/rss+xml")


def publish(room: Newsroom, *numbers: int, host: str = HOST) -> list[str]:
    """Publish numbered articles; their paths."""
    for number in numbers:
        room.page(f"/news/{number}.html", page(number), host=host, etag=f'"{number}"')
    return [f"/news/{number}.html" for number in numbers]


# -- redirects ------------------------------------------------------------------------------------------------------


def test_each_hop_of_a_redirect_is_a_capture_that_names_the_one_before(desk: Desk, room: Newsroom) -> None:
    room.redirect("/a", "/b", status=301)
    room.redirect("/b", f"http://other.example/c?x=1#{'top'}", status=302)
    room.page("/c", page(1), host="other.example")
    last = desk.fetch("/a")
    *_, first, second, third = desk.captures(Role.ARTICLE)
    assert last == third
    assert [(c.status, c.url) for c in (first, second, third)] == [
        (301, f"http://{HOST}/a"),
        (302, f"http://{HOST}/b"),
        (200, "http://other.example/c?x=1"),
    ]
    assert (first.via, second.via, third.via) == (None, first.id, second.id)
    assert (first.item_url, second.item_url, third.item_url) == (None, first.url, first.url)
    assert room.asked("other.example") == ["/robots.txt", "/c?x=1"], "the other host's rules come first"


def test_a_redirect_into_what_robots_forbid_is_not_followed(desk: Desk, room: Newsroom) -> None:
    room.redirect("/a", "/private/b")
    last = desk.fetch("/a")
    assert (last.ending, last.url) == (Ending.ROBOTS_DENIED, f"http://{HOST}/private/b")
    assert room.asked() == ["/robots.txt", "/a"]


@pytest.mark.parametrize("to", ["/a", "/b"], ids=["to-itself", "in-a-ring"])
def test_a_redirect_loop_ends_where_it_began(to: str, desk: Desk, room: Newsroom) -> None:
    room.redirect("/a", to)
    room.redirect("/b", "/a")
    desk.fetch("/a")
    assert room.asked() == ["/robots.txt", "/a", "/b"][: 3 if to == "/b" else 2]


def test_an_endless_chain_of_redirects_ends(desk: Desk, room: Newsroom) -> None:
    for number in range(50):
        room.redirect(f"/{number}", f"/{number + 1}")
    desk.fetch("/0")
    assert len(room.asked()) == 1 + 1 + MAX_REDIRECTS


def test_cookies_live_for_one_chain(desk: Desk, room: Newsroom) -> None:
    room.page("/a", b"", status=302, headers=[("Location", "/b"), ("Set-Cookie", "seen=1; Path=/")])
    room.page("/b", page(1))
    desk.fetch("/a")
    desk.fetch("/b")
    assert [e.request.header("cookie") for e in room.exchanges("/b")] == ["seen=1", None]


# -- robots ---------------------------------------------------------------------------------------------------------


def test_a_page_that_robots_forbid_is_an_attempt_and_never_a_request(desk: Desk, room: Newsroom) -> None:
    feed(room, "/private/1.html", *publish(room, 2))
    tally = desk.crawl(desk.watch(("feed", "/feed.xml")))
    assert tally.attempts == {"robots-denied": 1}
    assert room.asked() == ["/robots.txt", "/feed.xml", "/news/2.html"]
    assert desk.item("/private/1.html").state == "denied"
    (denied,) = [c for c in desk.captures() if c.kind == "attempt"]
    assert (denied.ending, denied.role) == (Ending.ROBOTS_DENIED, Role.ARTICLE)


@pytest.mark.parametrize("status", [404, 403, 410])
def test_rules_that_are_not_there_allow_everything(status: int, desk: Desk, room: Newsroom) -> None:
    room.page("/robots.txt", "no", status=status)
    feed(room, *publish(room, 1))
    desk.crawl(desk.watch(("feed", "/feed.xml")))
    assert desk.item("/news/1.html").state == "fetched"


@pytest.mark.parametrize("silent", [False, True], ids=["500", "silence"])
def test_rules_that_cannot_be_had_forbid_everything_for_a_while(silent: bool, desk: Desk, room: Newsroom) -> None:
    if silent:
        room.raw("/robots.txt", Close())
    else:
        room.page("/robots.txt", "oops", status=500)
    feed(room, *publish(room, 1))
    outlet = desk.watch(("feed", "/feed.xml"))
    tally = desk.crawl(outlet)
    assert set(room.asked()) == {"/robots.txt"}
    assert sum(tally.attempts.values()) == silent
    assert desk.sources()[0].failures == 0, "the feed was not asked, so it did not fail"
    assert [said for said in desk.said if f"{HOST} is not to be asked before" in said]
    room.page("/robots.txt", "User-agent: *\nAllow: /\n")
    desk.clock.pass_by(HOUR)
    desk.crawl(outlet)
    assert desk.item("/news/1.html").state == "fetched", "nothing was put off for a day"


def test_rules_are_kept_and_used_for_a_day_by_every_process(desk: Desk, room: Newsroom) -> None:
    for _ in range(2):
        desk.fetch("/private/x")
    desk.clock.pass_by(23 * HOUR)
    desk.fetch("/private/x")
    assert room.asked() == ["/robots.txt"]
    desk.clock.pass_by(2 * HOUR)
    desk.fetch("/private/x")
    assert room.asked() == ["/robots.txt"] * 2


# -- what is due ----------------------------------------------------------------------------------------------------


def test_the_limit_on_pages_holds_for_all_outlets_together(desk: Desk, room: Newsroom) -> None:
    outlets = []
    for name in ("one.example", "two.example", "three.example"):
        feed(room, *publish(room, 1, 2, 3, host=name), host=name)
        outlets.append(desk.watch(("feed", "/feed.xml"), host=name))
    tally = desk.crawl(*outlets, limit=2)
    assert tally.fetched["article"] == 2
    desk.crawl(*outlets)
    assert len(desk.captures(Role.ARTICLE)) == 9, "what the limit left is still due"


def test_what_lies_on_other_sites_is_left_to_them(desk: Desk, room: Newsroom) -> None:
    feed(room, "http://elsewhere.example/1.html", *publish(room, 2))
    tally = desk.crawl(desk.watch(("feed", "/feed.xml")))
    assert tally.discovered == 1
    assert room.asked("elsewhere.example") == []


def test_one_article_announced_at_two_addresses_is_fetched_once(desk: Desk, room: Newsroom) -> None:
    publish(room, 1)
    feed(room, "/news/1.html?utm_source=rss", "/news/1.html?ref=rss", "/news/1.html")
    desk.crawl(desk.watch(("feed", "/feed.xml")))
    assert room.asked() == ["/robots.txt", "/feed.xml", "/news/1.html?utm_source=rss"]


def test_an_unchanged_page_costs_a_304_and_an_identical_one_a_revisit(desk: Desk, room: Newsroom) -> None:
    feed(room, *publish(room, 1), "/news/2.html")
    room.page("/news/2.html", page(2))  # without validators
    outlet = desk.watch(("feed", "/feed.xml"))
    desk.crawl(outlet)
    desk.clock.pass_by(HOUR + 1)
    tally = desk.crawl(outlet)
    assert (tally.versions, tally.sightings) == (0, 2)
    again = {c.url: c for c in desk.captures(Role.ARTICLE)[2:]}
    assert [(c.kind, c.status) for c in again.values()] == [("revisit", 304), ("revisit", 200)]
    assert desk.item("/news/1.html").stage == desk.item("/news/2.html").stage == 1


def test_a_changed_text_is_a_version_and_starts_the_schedule_anew(desk: Desk, room: Newsroom) -> None:
    feed(room, *publish(room, 1))
    outlet = desk.watch(("feed", "/feed.xml"))
    desk.crawl(outlet)
    desk.clock.pass_by(HOUR + 1)
    desk.crawl(outlet)
    room.page("/news/1.html", page(1, extra=" and on the mole"), etag='"new"', host=HOST)
    desk.clock.pass_by(24 * HOUR)
    assert desk.crawl(outlet).versions == 1
    assert desk.versions() == [("Ferry 1 runs again", 1), ("Ferry 1 runs again", 2)]
    assert desk.item("/news/1.html").stage == 0


def test_validators_of_a_page_that_was_redirected_to_are_not_sent_to_the_first(desk: Desk, room: Newsroom) -> None:
    publish(room, 1)
    room.redirect("/old.html", "/news/1.html")
    feed(room, "/old.html")
    outlet = desk.watch(("feed", "/feed.xml"))
    desk.crawl(outlet)
    desk.clock.pass_by(HOUR + 1)
    desk.crawl(outlet)
    assert [e.request.header("if-none-match") for e in room.exchanges("/old.html")] == [None, None]


def test_the_sitemaps_of_an_unchanged_index_are_asked_for_all_the_same(desk: Desk, room: Newsroom) -> None:
    namespace = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
    index = f"<sitemapindex {namespace}><sitemap><loc>{room.url('/s.xml', HOST)}</loc></sitemap></sitemapindex>"
    room.page("/index.xml", index, content_type="application/xml", etag='"same"')

    def announce(*paths: str) -> None:
        urls = "".join(f"<url><loc>{room.url(path, HOST)}</loc></url>" for path in paths)
        room.page("/s.xml", f"<urlset {namespace}>{urls}</urlset>", content_type="application/xml")

    announce(*publish(room, 1))
    outlet = desk.watch(("sitemap", "/index.xml"))
    desk.crawl(outlet)
    announce(*publish(room, 1, 2))
    desk.clock.pass_by(HOUR + 1)
    assert desk.crawl(outlet).discovered == 1
    assert [c.status for c in desk.captures(Role.SITEMAP)] == [200, 200, 304, 200]
    assert desk.item("/news/2.html").state == "fetched"


def test_a_homepage_is_a_source_where_there_is_no_other(desk: Desk, room: Newsroom) -> None:
    path = "/2026/11/01/the-ferry-runs-again-after-eleven-weeks.html"
    room.page("/", f'<main><h2><a href="{path}">The ferry runs again after eleven weeks</a></h2></main>')
    room.page(path, page(1))
    sources, trouble = desk.with_crawler(lambda crawler: find_sources(crawler, desk.watch()))
    assert (sources, trouble) == ((Source(url=room.url("/", HOST), kind="home"),), None)
    desk.crawl(desk.watch(("home", "/")))
    assert desk.item(path).state == "fetched"


def test_sources_of_a_host_that_does_not_answer_are_not_made_up(desk: Desk, room: Newsroom) -> None:
    room.raw("/robots.txt", Close())
    sources, trouble = desk.with_crawler(lambda crawler: find_sources(crawler, desk.watch()))
    assert sources == (Source(url=room.url("/", HOST), kind="home"),)
    assert trouble is not None
    assert "its robots.txt could not be had" in trouble


# -- what goes wrong ------------------------------------------------------------------------------------------------


def test_few_pages_are_in_memory_at_a_time_and_the_order_of_the_log_is_kept(
    desk: Desk, room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many outlets are served: their pages wait in the archive."""
    monkeypatch.setattr(crawler_room, "MAX_BODIES", 2)
    held, most = 0, 0
    extract = Crawler._extract

    async def counted(self: Crawler, *arguments: Any) -> Any:
        nonlocal held, most
        held += 1
        most = max(most, held)
        try:
            return await extract(self, *arguments)
        finally:
            held -= 1

    monkeypatch.setattr(Crawler, "_extract", counted)
    outlets = []
    for host in ("lantern.example", "beacon.example", "harbour.example"):
        feed(room, *publish(room, *range(1, 7), host=host), host=host)
        outlets.append(desk.watch(("feed", "/feed.xml"), host=host))
    tally = desk.crawl(*outlets)
    assert tally.versions == 18
    assert most == 2
    for host in ("lantern", "beacon", "harbour"):
        with desk.archive.catalog.read() as tx:
            found = [v for v in tx.articles.search(latest_only=False, after=-1) if host in v.url]
        assert [v.first_seen for v in found] == sorted(v.first_seen for v in found)


def test_a_page_without_an_article_costs_itself_alone_and_is_not_read_again(desk: Desk, room: Newsroom) -> None:
    room.page("/news/0.html", b"")
    feed(room, "/news/0.html", *publish(room, 1))
    outlet = desk.watch(("feed", "/feed.xml"))
    tally = desk.crawl(outlet)
    assert (tally.versions, sum(tally.failed.values())) == (1, 1)
    assert desk.crawl(outlet).failed == {}
    assert len(room.exchanges("/news/0.html")) == 1


def test_a_feed_that_is_none_fails_and_the_other_goes_on(desk: Desk, room: Newsroom) -> None:
    room.page("/broken.xml", "this is no feed", content_type="application/rss+xml")
    feed(room, *publish(room, 1))
    desk.crawl(desk.watch(("feed", "/broken.xml"), ("feed", "/feed.xml")))
    assert [source.failures for source in desk.sources()] == [1, 0]
    assert desk.item("/news/1.html").state == "fetched"
    assert [said for said in desk.said if "/broken.xml" in said]


def test_a_disk_that_fails_ends_the_crawl_with_one_error(
    desk: Desk, room: Newsroom, caplog: pytest.LogCaptureFixture
) -> None:
    outlets = []
    for name in ("one.example", "two.example"):
        feed(room, *publish(room, *range(6), host=name), host=name)
        outlets.append(desk.watch(("feed", "/feed.xml"), host=name))
    desk.archive.seal()
    folder = desk.archive.segments.folder
    folder.rmdir()
    folder.write_text("no folder")  # no segment can be opened any more
    with pytest.raises(DiskError, match="run the command again"):
        desk.crawl(*outlets)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    folder.unlink()
    desk.crawl(*outlets)
    assert len(desk.versions()) == 12


def test_an_outlet_that_fails_leaves_nothing_under_way(desk: Desk, room: Newsroom) -> None:
    room.raw("/robots.txt", Stall(), host="two.example")
    outlets = [desk.watch(("feed", "/feed.xml"), host=name) for name in ("one.example", "two.example")]
    desk.archive.seal()
    folder = desk.archive.segments.folder
    folder.rmdir()
    folder.write_text("no folder")

    async def fails(crawler: Crawler) -> set[asyncio.Task[Any]]:
        with pytest.raises(DiskError):
            await crawler.crawl(outlets, until_idle=True)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert desk.with_crawler(fails) == set()


def test_a_crawl_that_is_stopped_ends_after_what_is_under_way(desk: Desk, room: Newsroom) -> None:
    feed(room, *publish(room, *range(9)))
    outlet = desk.watch(("feed", "/feed.xml"))

    async def stop_soon(crawler: Crawler) -> Tally:
        def answer(request: Request) -> Answer:
            loop.call_soon_threadsafe(crawler.stopping.set)
            return Answer(steps=(Send(data=response(200, body=page(3), headers=[("Content-Type", "text/html")])),))

        loop = asyncio.get_running_loop()
        room.answer("/news/3.html", answer, host=HOST)
        return await crawler.crawl([outlet], until_idle=True)

    tally = desk.with_crawler(stop_soon)
    assert 4 <= tally.versions == tally.fetched["article"] < 9
    assert desk.crawl(outlet).fetched["article"] == 9 - tally.fetched["article"]


# -- what was interrupted, and what was lost -------------------------------------------------------------------------


def test_a_page_that_was_kept_and_not_read_is_read_and_not_fetched_again(desk: Desk, room: Newsroom) -> None:
    feed(room, *publish(room, 1))
    outlet = desk.watch(("feed", "/feed.xml"))

    async def keep_only(crawler: Crawler) -> None:
        await crawler.poll(outlet, desk.sources()[0])
        await crawler.fetch(room.url("/news/1.html", HOST), Context(outlet_id=outlet.id, role=Role.ARTICLE))

    desk.with_crawler(keep_only)
    assert desk.versions() == []
    desk.crawl(outlet)
    assert desk.versions() == [("Ferry 1 runs again", 1)]
    assert len(room.exchanges("/news/1.html")) == 1
    item = desk.item("/news/1.html")
    assert (item.state, item.etag, item.last_capture) == ("fetched", '"1"', desk.captures(Role.ARTICLE)[0].id)


def test_reading_old_pages_again_does_not_set_their_items_back(desk: Desk, room: Newsroom) -> None:
    feed(room, *publish(room, 1))
    outlet = desk.watch(("feed", "/feed.xml"))
    desk.crawl(outlet)
    room.page("/news/1.html", page(1, extra=" again"), etag='"new"', host=HOST)
    desk.clock.pass_by(HOUR + 1)
    desk.crawl(outlet)
    before = desk.item("/news/1.html")
    with desk.archive.catalog.begin() as tx:
        for capture in tx.captures.after(0, 100, [Role.ARTICLE]):
            tx.captures.set_extraction(capture.id, "pending", None, None)
    assert desk.with_crawler(lambda crawler: crawler.derive_pending()) == 2
    assert desk.item("/news/1.html") == before
    assert len(desk.versions()) == 2


def test_the_frontier_is_made_anew_from_what_was_kept(desk: Desk, room: Newsroom) -> None:
    room.page("/gone.html", "gone", status=410)
    room.redirect("/old.html", "/news/4.html")
    feed(room, *publish(room, 1, 2), "/gone.html", "/private/3.html", "/old.html")
    publish(room, 4)
    front = "/2026/11/01/the-ferry-runs-again-after-eleven-weeks.html"
    room.page("/", f'<main><h2><a href="{front}">The ferry runs again after eleven weeks</a></h2></main>')
    room.page(front, page(5))
    outlet = desk.watch(("feed", "/feed.xml"), ("home", "/"))
    desk.crawl(outlet)
    desk.clock.pass_by(HOUR + 1)
    desk.crawl(outlet)
    paths = ("/news/1.html", "/news/2.html", "/gone.html", "/private/3.html", "/old.html", front)
    before = {path: desk.item(path) for path in paths}
    assert {item.state for item in before.values()} == {"fetched", "gone", "denied"}
    bare = Source(url=room.url("/feed.xml", HOST), kind="feed")
    with desk.archive.catalog.begin() as tx:
        for item in before.values():
            tx.frontier.update_item(item.id, state="new", etag=None, last_capture=None, failures=0, stage=0)
        tx.outlets.put(replace(outlet, sources=(bare, *outlet.sources[1:])))
    assert refill_frontier(desk.archive, CrawlSettings(user_agent=AGENT, recheck=(HOUR, 24 * HOUR))) == len(paths)
    for path, item in before.items():
        after = desk.item(path)
        for name in ("state", "etag", "last_capture", "failures", "stage"):
            assert (name, getattr(after, name)) == (name, getattr(item, name)), path

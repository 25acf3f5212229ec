"""The journey of an article: learn of it, fetch it, keep it, read it. One function a leg, in that order.

Everything that is learned is deposited before it is used: robots.txt, homepages, feeds and sitemaps as well as pages.
What is fetched when is decided in `frontier` and `manners`, how in `recorder`, what it says in `extract`; durability is
left to `storage.archive`, schedules and signals to `ops`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from ingest import discover, frontier
from ingest.batches import Batcher
from ingest.extract import EXTRACTOR
from ingest.extract.worker import ExtractPool, Job
from ingest.gates import Gates, HostBusy
from ingest.manners import Robots, retry_after, robots_policy
from ingest.recorder import Cookies, Recorder
from schemas.articles import Article, OutletRef
from schemas.captures import Capture, Context, Ending, Exchange, Role
from schemas.errors import ExtractionError, InvalidValue
from schemas.frontier import Item, ItemState, SourceState
from schemas.instants import to_micros
from schemas.outlets import Outlet, Source
from schemas.urls import article_key, origin_of
from storage.archive import Archive
from storage.catalog.values import VersionRow

#: Hops of one redirect chain; browsers stop at 20, articles need two or three (RFC 9110 15.4 asks for a bound).
MAX_REDIRECTS: Final = 8
#: Sub-sitemaps fetched in one poll of a sitemap index, the newest first.
MAX_CHILDREN: Final = 20
#: Items of one outlet taken from the catalog at a time.
BATCH: Final = 32
#: Pages of one outlet that may wait for extraction while the next are fetched; bounds memory.
MAX_WAITING: Final = 8
#: Microseconds for which a robots.txt answer may be used (RFC 9309 section 2.4: 24 hours).
ROBOTS_AGE: Final = 24 * 3600 * 1_000_000
MICROS: Final = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class CrawlSettings:
    """What the journey needs to know beside the recorder's settings."""

    user_agent: str
    host_delay: float = 2.0  # seconds between exchanges with one host
    concurrency: int = 16  # outlets that are served at the same time
    recheck: tuple[int, ...] = (1800, 10800, 86400, 604800, 2592000)  # seconds after the first capture
    limit: int | None = None  # article pages to fetch at most


@dataclass(slots=True)
class Tally:
    """What a crawl did, counted."""

    fetched: Counter[str] = field(default_factory=Counter)  # captures by role
    attempts: Counter[str] = field(default_factory=Counter)  # attempts without an answer, by how they ended
    statuses: Counter[int] = field(default_factory=Counter)  # answers other than 2xx and 304, by status
    discovered: int = 0
    versions: int = 0  # new article versions
    sightings: int = 0  # captures whose text was known already
    failed: Counter[str] = field(default_factory=Counter)  # pages that gave no article, by reason


class CatalogClaims:
    """Host leases of the catalog, as `gates.Claims`."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def claim(self, host: str, *, now: int, until: int) -> tuple[int, int] | None:
        """See `gates.Claims.claim`."""
        with self._archive.catalog.begin() as tx:
            state = tx.frontier.claim_host(host, owner=self._archive.holder, now=now, until=until)
        return None if state is None else (state.next_ok, state.failures)

    def release(self, host: str, *, next_ok: int, failures: int) -> None:
        """See `gates.Claims.release`."""
        with self._archive.catalog.begin() as tx:
            tx.frontier.release_host(host, owner=self._archive.holder, next_ok=next_ok, failures=failures)


class Crawler:
    """One process's crawl of an archive. Use within one event loop; `close` at the end."""

    def __init__(
        self,
        archive: Archive,
        settings: CrawlSettings,
        recorder: Recorder,
        pool: ExtractPool,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.archive, self.settings, self.say = archive, settings, say
        self.tally = Tally()
        self.stopping = asyncio.Event()
        self._recorder = recorder
        self._depositor: Batcher[tuple[Exchange, Context], Capture] = Batcher(archive.deposit)
        self._reader: Batcher[Job, Article | ExtractionError] = Batcher(lambda jobs: list(pool.run(jobs)))
        self._gates = Gates(CatalogClaims(archive), delay=settings.host_delay, clock=archive.clock)
        self._robots: dict[str, tuple[Robots, int]] = {}
        self._robots_locks: dict[str, asyncio.Lock] = {}
        self._places = asyncio.Semaphore(settings.concurrency)
        self._serving: set[str] = set()
        self._left = settings.limit

    def now(self) -> int:
        """Microseconds since 1970."""
        return to_micros(self.archive.clock())

    async def close(self) -> None:
        """Give hosts and connections back."""
        self._gates.close()
        await self._recorder.aclose()

    # -- the rounds ------------------------------------------------------------------------------------------------

    async def crawl(self, outlets: Sequence[Outlet], *, until_idle: bool) -> Tally:
        """Do what is due for these outlets: one round, or with `until_idle` round after round until nothing is."""
        await self.derive_pending([o.id for o in outlets])
        while True:
            found = await asyncio.gather(
                *(self.serve(o, until_idle=until_idle) for o in outlets if o.state == "active")
            )
            if not until_idle or not any(found) or self.stopping.is_set():
                return self.tally

    async def serve(self, outlet: Outlet, *, until_idle: bool = True) -> bool:
        """Poll an outlet's due sources, then fetch its due items; False where there was nothing that could be done."""
        if outlet.id in self._serving:
            return False
        self._serving.add(outlet.id)
        some = False
        try:
            async with self._places:
                while not self.stopping.is_set():
                    done = await self._round(outlet)
                    some = some or done
                    if not done or not until_idle:
                        return some
        finally:
            self._serving.discard(outlet.id)
        return some

    async def _round(self, outlet: Outlet) -> bool:
        done = False
        with self.archive.catalog.read() as tx:
            sources = tx.frontier.due_sources(self.now(), BATCH, [outlet.id])
        for source in sources:
            if self.stopping.is_set():
                return done
            done = await self._unless_busy(self.poll(outlet, source)) or done
        with self.archive.catalog.read() as tx:
            items = tx.frontier.due_items(self.now(), BATCH, [outlet.id])
        readers: set[asyncio.Task[None]] = set()
        for item in items:
            if self.stopping.is_set() or self._left == 0:
                break
            done = await self._unless_busy(self._fetch_item(outlet, item, readers)) or done
            while len(readers) >= MAX_WAITING:
                finished, readers = await asyncio.wait(readers, return_when=asyncio.FIRST_COMPLETED)
                for task in finished:
                    task.result()
        if readers:
            await asyncio.gather(*readers)
        return done

    @staticmethod
    async def _unless_busy(leg: Awaitable[None]) -> bool:
        try:
            await leg
        except HostBusy:
            return False
        return True

    # -- leg 1: how we learn of articles ---------------------------------------------------------------------------

    async def poll(self, outlet: Outlet, source: SourceState) -> None:
        """Fetch a feed, sitemap or homepage, keep it, and note what it announces."""
        role = {"home": Role.HOME, "feed": Role.FEED, "sitemap": Role.SITEMAP}[source.kind]
        context = Context(outlet_id=outlet.id, role=role, refers_to=source.last_capture)
        capture = await self.fetch(source.url, context, _validators(source))
        if capture.kind != "attempt" and capture.status == 304:
            self._polled(outlet, source, capture, source.last_keys, found=0)
            return
        if not capture.usable:
            self._poll_failed(outlet, source, capture)
            return
        try:
            body, _ = await asyncio.to_thread(self.archive.entity, capture)
            listing = discover.parse_source(body, capture.url, capture.media_type)
        except InvalidValue as error:
            self.say(f"{outlet.id}: {source.url} cannot be read as a {source.kind}: {error}")
            self._poll_failed(outlet, source, capture)
            return
        items = listing.items
        if source.kind == "home" and not items:
            items = discover.links_of_home(body, capture.url)
        keys, found = self._announce(outlet, items, capture)
        for child in listing.children[:MAX_CHILDREN]:
            more, new = await self._poll_child(outlet, child, capture)
            keys, found = (*keys, *more), found + new
        self._polled(outlet, source, capture, keys, found=found, published=frontier.instants(items))

    async def _poll_child(self, outlet: Outlet, url: str, parent: Capture) -> tuple[tuple[str, ...], int]:
        """One sitemap of a sitemap index."""
        try:
            capture = await self.fetch(url, Context(outlet_id=outlet.id, role=Role.SITEMAP, via=parent.id))
            if not capture.usable:
                return (), 0
            body, _ = await asyncio.to_thread(self.archive.entity, capture)
            return self._announce(outlet, discover.parse_source(body, capture.url, capture.media_type).items, capture)
        except (InvalidValue, HostBusy) as error:
            self.say(f"{outlet.id}: sitemap {url} was left out: {error}")
            return (), 0

    def _announce(self, outlet: Outlet, items: Sequence[Item], capture: Capture) -> tuple[tuple[str, ...], int]:
        """Note announced items of the outlet's own site; their keys, and how many are new."""
        pairs = announced(outlet, items)
        with self.archive.catalog.begin() as tx:
            new = tx.frontier.add_items(outlet.id, pairs, found_in=capture.id, now=self.now(), due=self.now())
        self.tally.discovered += len(new)
        return tuple(key for key, _ in pairs), len(new)

    def _polled(
        self,
        outlet: Outlet,
        source: SourceState,
        capture: Capture,
        keys: Sequence[str],
        *,
        found: int,
        published: Sequence[int] = (),
    ) -> None:
        now = self.now()
        gap = frontier.is_gap(source.last_keys, keys)
        fresh = capture.status != 304
        direct = capture.url == source.url  # validators of a page that was redirected to are not its own
        seconds = frontier.poll_interval(
            found=found, window=len(keys), every=outlet.every, failures=0, published=published, now=now, seed=source.url
        )
        with self.archive.catalog.begin() as tx:
            tx.frontier.source_polled(
                source.id,
                now=now,
                next_due=now + round(seconds * MICROS),
                ok=True,
                keys=list(keys) if fresh else None,
                gap=gap,
                etag=(capture.etag if direct else None) if fresh else source.etag,
                last_modified=(capture.last_modified if direct else None) if fresh else source.last_modified,
                last_capture=capture.id if fresh else source.last_capture,
            )

    def _poll_failed(self, outlet: Outlet, source: SourceState, capture: Capture) -> None:
        now = self.now()
        seconds = frontier.poll_interval(
            found=0, window=0, every=outlet.every, failures=source.failures + 1, seed=source.url
        )
        with self.archive.catalog.begin() as tx:
            tx.frontier.source_polled(
                source.id,
                now=now,
                next_due=now + round(seconds * MICROS),
                ok=False,
                keys=None,
                gap=False,
                etag=source.etag,
                last_modified=source.last_modified,
                last_capture=source.last_capture,
            )
        self.say(f"{outlet.id}: {source.url} gave {_words(capture)}")

    # -- leg 2: fetching, politely ---------------------------------------------------------------------------------

    async def fetch(self, url: str, context: Context, headers: Sequence[tuple[str, str]] = ()) -> Capture:
        """Fetch a URL and what it redirects to, each hop a capture of its own; the last one.

        robots.txt is asked before every hop. Raises HostBusy before anything was sent; on a later hop the capture of
        the hop before is returned.
        """
        capture: Capture | None = None
        seen: set[str] = set()
        cookies = Cookies()  # of this chain alone
        for _ in range(MAX_REDIRECTS + 1):
            try:
                capture = await self._hop(url, context, headers if capture is None else (), cookies)
            except HostBusy:
                if capture is None:
                    raise
                return capture
            seen.add(url)
            if capture.location is None or capture.location in seen:
                break
            item_url = context.item_url or url
            context = Context(
                outlet_id=context.outlet_id,
                role=context.role,
                via=capture.id,
                item_url=item_url,
                hints=context.hints,
            )
            url = capture.location
        assert capture is not None
        return capture

    async def _hop(self, url: str, context: Context, headers: Sequence[tuple[str, str]], cookies: Cookies) -> Capture:
        robots = await self._robots_for(url, context.outlet_id)
        if not robots.allowed(url):
            denied = Exchange(
                url=url,
                started=self.archive.clock(),
                ending=Ending.ROBOTS_DENIED,
                detail=f"robots.txt of {origin_of(url)} forbids it to {self.settings.user_agent}",
            )
            return await self._keep(denied, context)
        return await self._exchange(url, context, headers, cookies)

    async def _exchange(
        self,
        url: str,
        context: Context,
        headers: Sequence[tuple[str, str]] = (),
        cookies: Cookies | None = None,
    ) -> Capture:
        host = _host(url)
        async with self._gates.turn(host):
            exchange = await self._recorder.fetch(url, headers=headers, cookies=cookies)
        capture = await self._keep(exchange, context)
        overloaded = capture.status in (429, 503)
        answered = capture.kind != "attempt" and not overloaded
        wait = retry_after(await self._retry_after(capture), self.archive.clock()) if overloaded else None
        self._gates.report(host, ok=answered, retry_after=wait)
        return capture

    async def _retry_after(self, capture: Capture) -> str | None:
        return (await asyncio.to_thread(self.archive.response, capture)).get("retry-after")

    async def _keep(self, exchange: Exchange, context: Context) -> Capture:
        capture = await self._depositor.put((exchange, context))
        if capture.kind == "attempt":
            self.tally.attempts[capture.ending.value] += 1
        else:
            self.tally.fetched[capture.role.value] += 1
            if capture.status is not None and capture.status != 304 and not 200 <= capture.status < 300:
                self.tally.statuses[capture.status] += 1
        return capture

    async def _robots_for(self, url: str, outlet_id: str | None) -> Robots:
        """The rules of an origin: of this process, of the archive's newest capture of the last 24 hours, or fetched."""
        origin = origin_of(url)
        async with self._robots_locks.setdefault(origin, asyncio.Lock()):
            known = self._robots.get(origin)
            if known is None or self.now() - known[1] > ROBOTS_AGE:
                known = await self._kept_robots(origin) or await self._fetch_robots(origin, outlet_id)
                self._robots[origin] = known
                self._gates.set_crawl_delay(_host(url), known[0].crawl_delay)
            return known[0]

    async def _kept_robots(self, origin: str) -> tuple[Robots, int] | None:
        with self.archive.catalog.read() as tx:
            capture = next(iter(tx.captures.for_url(f"{origin}/robots.txt")), None)
        if capture is None or not capture.usable or self.now() - to_micros(capture.date) > ROBOTS_AGE:
            return None
        body, _ = await asyncio.to_thread(self.archive.entity, capture)
        return robots_policy(capture.status, body, agent=self.settings.user_agent), to_micros(capture.date)

    async def _fetch_robots(self, origin: str, outlet_id: str | None) -> tuple[Robots, int]:
        """RFC 9309 section 2.3: redirects are followed, 4xx allows all, 5xx and silence forbid all."""
        url, via = f"{origin}/robots.txt", None
        for _ in range(MAX_REDIRECTS):
            capture = await self._exchange(url, Context(outlet_id=outlet_id, role=Role.ROBOTS, via=via))
            if capture.location is None:
                break
            url, via = capture.location, capture.id
        status, body = capture.status, b""
        if capture.kind != "attempt" and status is not None and 200 <= status < 300:
            try:
                body, _ = await asyncio.to_thread(self.archive.entity, capture)
            except InvalidValue as error:
                self.say(f"{url} cannot be decoded and so forbids all: {error}")
                status = None
        return robots_policy(status, body, agent=self.settings.user_agent), self.now()

    # -- leg 3: an item, from its turn to its next check -----------------------------------------------------------

    async def _fetch_item(self, outlet: Outlet, item: ItemState, readers: set[asyncio.Task[None]]) -> None:
        context = Context(
            outlet_id=outlet.id,
            role=Role.ARTICLE,
            via=item.found_in,
            hints=item.hints,
            refers_to=item.last_capture,
        )
        capture = await self.fetch(item.url, context, _validators(item))
        if self._left is not None:
            self._left -= 1
        if capture.usable:
            readers.add(asyncio.create_task(self._read_item(outlet, item, capture)))
        else:
            self._settle(item, capture, None, new=False)

    async def _read_item(self, outlet: Outlet, item: ItemState, capture: Capture) -> None:
        version, new = await self.derive(outlet, capture)
        self._settle(item, capture, version, new=new)

    def _settle(self, item: ItemState, capture: Capture, version: VersionRow | None, *, new: bool) -> None:
        """Note how it went and when to look again."""
        fields = frontier.settle(item, capture, now=self.now(), schedule=self.settings.recheck, changed=new)
        if capture.url != item.url and "etag" in fields:  # validators of a page that was redirected to
            fields |= {"etag": None, "last_modified": None}
        if version is not None:
            fields["article_id"] = version.article_id
        with self.archive.catalog.begin() as tx:
            tx.frontier.update_item(item.id, **fields)

    # -- leg 4: reading --------------------------------------------------------------------------------------------

    async def derive(self, outlet: Outlet, capture: Capture) -> tuple[VersionRow | None, bool]:
        """Extract the article of a capture and keep it: (version, whether it is new), or (None, False)."""
        try:
            body, headers = await asyncio.to_thread(self.archive.entity, capture)
            article = await self._extract(outlet, capture, body, headers)
        except (ExtractionError, InvalidValue) as error:
            code = error.code if isinstance(error, ExtractionError) else "content-encoding"
            await asyncio.to_thread(self.archive.extraction_failed, capture, code, EXTRACTOR.identity)
            self.tally.failed[code] += 1
            self.say(f"{outlet.id}: {capture.url} gave no article: {error}")
            return None, False
        version, new = await asyncio.to_thread(self.archive.deposit_article, article, capture)
        self.tally.versions += new
        self.tally.sightings += not new
        return version, new

    async def _extract(
        self, outlet: Outlet, capture: Capture, body: bytes, headers: Sequence[tuple[str, str]]
    ) -> Article:
        job = Job(
            body=body,
            url=capture.url,
            captured=capture.date,
            content_type=_content_type(headers),
            headers=tuple(headers),
            outlet=OutletRef(id=outlet.id, name=outlet.name, domain=outlet.domain),
        )
        result = await self._reader.put(job)
        if isinstance(result, ExtractionError):
            raise result
        return result

    async def derive_pending(self, outlets: Sequence[str] | None = None) -> int:
        """Read captures that no article was made of yet (a stop, or a rebuild, came between); how many."""
        done = 0
        with self.archive.catalog.read() as tx:
            known = {o.id: o for o in tx.outlets.all(removed=True)}
        while not self.stopping.is_set():
            with self.archive.catalog.read() as tx:
                batch = tx.captures.pending(BATCH, outlets)
            if not batch:
                break
            for capture in batch:
                version, new = await self.derive(known[capture.outlet_id or ""], capture)
                item = self._item_of(capture)
                if item is not None and item.last_capture != capture.id:
                    self._settle(item, capture, version, new=new)
                done += 1
        return done

    def _item_of(self, capture: Capture) -> ItemState | None:
        with self.archive.catalog.read() as tx:
            return tx.frontier.item_for(capture.outlet_id or "", article_key(capture.item_url or capture.url))


def announced(outlet: Outlet, items: Sequence[Item]) -> list[tuple[str, Item]]:
    """The items that lie on the outlet's own site, by article key, each once."""
    found: dict[str, Item] = {}
    for item in items:
        if discover.belongs(item.url, outlet.domain):
            found.setdefault(article_key(item.url), item)
    return list(found.items())


async def find_sources(crawler: Crawler, outlet: Outlet) -> tuple[tuple[Source, ...], str | None]:
    """Look at an outlet's homepage and robots.txt for feeds and sitemaps: (sources, what went wrong or None).

    Both exchanges are kept. Without feed or sitemap the homepage itself becomes the source.
    """
    capture = await crawler.fetch(outlet.url, Context(outlet_id=outlet.id, role=Role.HOME))
    found: list[Source] = []
    trouble = None
    if capture.usable:
        body, _ = await asyncio.to_thread(crawler.archive.entity, capture)
        found += discover.feeds_of_home(body, capture.url)
    else:
        trouble = f"{outlet.url} gave {_words(capture)}"
    robots_url = f"{origin_of(capture.url)}/robots.txt"
    with crawler.archive.catalog.read() as tx:
        robots = next(iter(tx.captures.for_url(robots_url)), None)
    if robots is not None and robots.usable:
        body, _ = await asyncio.to_thread(crawler.archive.entity, robots)
        found += discover.sitemaps_of_robots(body, robots.url)
    unique = {source.url: source for source in found}
    return tuple(unique.values()) or (Source(url=outlet.url, kind="home"),), trouble


def refill_frontier(archive: Archive, settings: CrawlSettings) -> int:
    """Make the frontier anew from the captures, in their order, as the crawl made it; how many items are known.

    The catalog holds outlets and captures already (`storage.rebuild`).
    """
    with archive.catalog.read() as tx:
        outlets = {o.id: o for o in tx.outlets.all(removed=True)}
    after = 0
    while True:
        with archive.catalog.read() as tx:
            batch = tx.captures.after(after, BATCH * 8)
        if not batch:
            break
        for capture in batch:
            after = capture.seq
            outlet = outlets.get(capture.outlet_id or "")
            if outlet is not None:
                _replay(archive, settings, outlet, capture)
    with archive.catalog.read() as tx:
        return sum(tx.frontier.counts().values())


def _replay(archive: Archive, settings: CrawlSettings, outlet: Outlet, capture: Capture) -> None:
    now = to_micros(capture.date)
    if capture.role in (Role.FEED, Role.SITEMAP, Role.HOME) and capture.usable and capture.status != 304:
        try:
            body, _ = archive.entity(capture)
            items = discover.parse_source(body, capture.url, capture.media_type).items
        except InvalidValue:
            return
        with archive.catalog.begin() as tx:
            tx.frontier.add_items(outlet.id, announced(outlet, items), found_in=capture.id, now=now, due=now)
    elif capture.role is Role.ARTICLE and capture.location is None:
        with archive.catalog.begin() as tx:
            item = tx.frontier.item_for(outlet.id, article_key(capture.item_url or capture.url))
            if item is not None:
                fields = frontier.settle(item, capture, now=now, schedule=settings.recheck, changed=False)
                tx.frontier.update_item(item.id, **fields)


def _validators(state: SourceState | ItemState) -> list[tuple[str, str]]:
    """The conditional headers (RFC 9110 13.1) for what the last complete 200 gave."""
    if state.last_capture is None:
        return []
    pairs = (("If-None-Match", state.etag), ("If-Modified-Since", state.last_modified))
    return [(name, value) for name, value in pairs if value]


def _content_type(headers: Sequence[tuple[str, str]]) -> str | None:
    return next((value for name, value in headers if name.lower() == "content-type"), None)


def _host(url: str) -> str:
    """Host and port: what one connection goes to."""
    return urlsplit(url).netloc


def _words(capture: Capture) -> str:
    """How an exchange ended, for people."""
    if capture.kind == "attempt":
        return f"no answer ({capture.ending.value})"
    if capture.ending is not Ending.COMPLETE:
        return f"a cut-off answer ({capture.ending.value})"
    return f"HTTP {capture.status}"

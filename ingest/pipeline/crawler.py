"""The rounds over what is due: poll the sources, fetch the items, read the pages, keep what they say.

How something is fetched is left to `fetching`, what is due when to `ingest.frontier`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Final

from ingest import frontier
from ingest.batches import Batcher
from ingest.extract import EXTRACTOR
from ingest.extract.worker import ExtractPool, ImageJob, Job, Result
from ingest.gates import HostBusy
from ingest.outlets import unwatched
from ingest.pipeline.announce import announced, listing_of, wanted
from ingest.pipeline.fetching import Fetcher
from ingest.pipeline.images import Pictures
from ingest.pipeline.values import CrawlSettings, Tally, settled, words_of
from ingest.recorder import Recorder
from schemas.articles import Article, OutletRef
from schemas.captures import Capture, Context, Role
from schemas.errors import ExtractionError, InvalidValue, Refused, SegmentElsewhere
from schemas.frontier import Item, ItemState, SourceState
from schemas.images import ImageReading
from schemas.instants import to_micros
from schemas.outlets import Outlet
from schemas.urls import article_key
from storage.archive import Archive
from storage.catalog.values import VersionRow

#: Sub-sitemaps fetched in one poll of a sitemap index, the newest first.
MAX_CHILDREN: Final = 20
#: Items of one outlet taken from the catalog at a time.
BATCH: Final = 32
#: Pages of one outlet that may wait for extraction while the next are fetched.
MAX_WAITING: Final = 8
#: Pages in all that are held in memory while they are extracted or wait for it.
MAX_BODIES: Final = 32
MICROS: Final = 1_000_000


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
        self._fetcher = Fetcher(archive, settings, recorder, tally=self.tally, stopping=self.stopping, say=say)
        self._reader: Batcher[Job | ImageJob, Result] = Batcher(lambda jobs: list(pool.run(jobs)))
        self._pictures = Pictures(
            archive, self._fetcher, self._read_image, mode=settings.images, tally=self.tally, stopping=self.stopping,
            say=say,
        )  # fmt: skip
        self._busy: dict[str, HostBusy] = {}  # hosts whose work had to be put off
        self._places = asyncio.Semaphore(settings.concurrency)
        self._bodies = asyncio.Semaphore(MAX_BODIES)
        self._serving: set[str] = set()
        self._reading: dict[str, asyncio.Task[None]] = {}  # the newest of each outlet
        self._left = settings.limit

    def now(self) -> int:
        """Microseconds since 1970."""
        return to_micros(self.archive.clock())

    async def close(self) -> None:
        """Give hosts and connections back."""
        await self._fetcher.close()

    async def fetch(self, url: str, context: Context) -> Capture:
        """See `Fetcher.fetch`."""
        return await self._fetcher.fetch(url, context)

    # -- the rounds ------------------------------------------------------------------------------------------------

    async def crawl(self, outlets: Sequence[Outlet], *, until_idle: bool) -> Tally:
        """Do what is due for these outlets: one round, or with `until_idle` round after round until nothing is.

        Raises what the first outlet met that failed for a reason of ours (DiskError, DamageError, StoreError); the work
        of the others has ended by then.
        """
        await self.derive_pending([o.id for o in outlets])
        while True:
            self._busy.clear()
            found = await _together([self.serve(o, until_idle=until_idle) for o in outlets if o.state == "active"])
            if not until_idle or not any(found) or self.stopping.is_set():
                break
        for busy in self._busy.values():
            self.say(str(busy))
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
        return await self._fetch_items(outlet, items) or done

    async def _fetch_items(self, outlet: Outlet, items: Sequence[ItemState]) -> bool:
        """Fetch items one after the other while those before are being read; False where none could be fetched."""
        done = False
        readers: set[asyncio.Task[None]] = set()
        try:
            for item in items:
                if self.stopping.is_set() or not self._take():
                    break
                fetched = await self._unless_busy(self._fetch_item(outlet, item, readers))
                if not fetched:
                    self._give_back()
                done = fetched or done
                while len(readers) >= MAX_WAITING:
                    finished, readers = await asyncio.wait(readers, return_when=asyncio.FIRST_COMPLETED)
                    for task in finished:
                        task.result()
        finally:
            results = await asyncio.gather(*readers, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return done

    def _take(self) -> bool:
        """Take one off the limit on pages; False where nothing is left of it."""
        if self._left is not None:
            if self._left <= 0:
                return False
            self._left -= 1
        return True

    def _give_back(self) -> None:
        if self._left is not None:
            self._left += 1

    async def _unless_busy(self, leg: Awaitable[None]) -> bool:
        try:
            await leg
        except HostBusy as busy:
            self._busy[busy.host] = busy
            return False
        return True

    # -- leg 1: how we learn of articles ---------------------------------------------------------------------------

    async def poll(self, outlet: Outlet, source: SourceState) -> None:
        """Fetch a feed, sitemap or homepage, keep it, and note what it announces."""
        role = {"home": Role.HOME, "feed": Role.FEED, "sitemap": Role.SITEMAP}[source.kind]
        context = Context(outlet_id=outlet.id, role=role, refers_to=source.last_capture)
        try:
            capture = await self._fetcher.fetch(source.url, context, _validators(source))
        except Refused as refused:
            self._poll_failed(outlet, source, None, f"was left: {refused}")
            return
        if not capture.usable:
            self._poll_failed(outlet, source, capture)
            return
        if capture.status == 304 and source.kind != "sitemap":
            self._polled(outlet, source, capture, source.last_keys, found=0)
            return
        try:
            body, _ = await asyncio.to_thread(self.archive.entity, capture)
            listing = listing_of(capture, body, home=source.kind == "home")
        except (InvalidValue, SegmentElsewhere) as error:
            self._poll_failed(outlet, source, capture, f"cannot be read as a {source.kind}: {error}")
            return
        items = listing.items
        keys, found = self._announce(outlet, items, capture)
        # An index that has not changed says nothing of the sitemaps that it names.
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
            return self._announce(outlet, listing_of(capture, body, home=False).items, capture)
        except (InvalidValue, Refused, SegmentElsewhere, HostBusy) as error:
            self.say(f"{outlet.id}: sitemap {url} was left out: {error}")
            return (), 0

    def _announce(self, outlet: Outlet, items: Sequence[Item], capture: Capture) -> tuple[tuple[str, ...], int]:
        """Note announced items of the outlet's own site; their keys, and how many are new."""
        pairs = wanted(self.archive, announced(outlet, items))
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
                keys=list(keys),
                gap=gap,
                etag=(capture.etag if direct else None) if fresh else source.etag,
                last_modified=(capture.last_modified if direct else None) if fresh else source.last_modified,
                last_capture=capture.id if fresh else source.last_capture,
            )

    def _poll_failed(
        self, outlet: Outlet, source: SourceState, capture: Capture | None, why: str | None = None
    ) -> None:
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
        self.say(f"{outlet.id}: {source.url} {why or (f'gave {words_of(capture)}' if capture else 'gave nothing')}")

    # -- leg 3: an item, from its turn to its next check -----------------------------------------------------------

    async def _fetch_item(self, outlet: Outlet, item: ItemState, readers: set[asyncio.Task[None]]) -> None:
        context = Context(
            outlet_id=outlet.id,
            role=Role.ARTICLE,
            via=item.found_in,
            hints=item.hints,
            refers_to=item.last_capture,
        )
        try:
            capture = await self._fetcher.fetch(item.url, context, _validators(item))
        except Refused as refused:
            self.say(f"{outlet.id}: a page was left: {refused}")
            with self.archive.catalog.begin() as tx:
                tx.frontier.update_item(item.id, state="denied", next_due=None)
            return
        if capture.usable:
            before = self._reading.get(outlet.id)
            task = asyncio.create_task(self._read_item(outlet, item, capture, before))
            self._reading[outlet.id] = task
            readers.add(task)
        else:
            self._settle(item, capture, None, new=False)

    async def _read_item(
        self, outlet: Outlet, item: ItemState, capture: Capture, before: asyncio.Task[None] | None
    ) -> None:
        version, new = await self.derive(outlet, capture, before)
        self._settle(item, capture, version, new=new)
        if version is not None:
            await self._pictures.fetch_for(outlet, capture, version, new=new)

    def _settle(self, item: ItemState, capture: Capture, version: VersionRow | None, *, new: bool) -> None:
        """Note how it went and when to look again."""
        fields = settled(item, capture, now=self.now(), schedule=self.settings.recheck, changed=new)
        if version is not None:
            fields["article_id"] = version.article_id
        with self.archive.catalog.begin() as tx:
            tx.frontier.update_item(item.id, **fields)

    # -- leg 4: reading --------------------------------------------------------------------------------------------

    async def derive(
        self, outlet: Outlet, capture: Capture, before: asyncio.Task[None] | None = None
    ) -> tuple[VersionRow | None, bool]:
        """Extract the article of a capture and keep it: (version, whether it is new), or (None, False).

        `before` reads the capture before this one: pages are read side by side, their articles are logged in the order
        of the captures, whatever the machine is busy with.
        """
        try:
            async with self._bodies:
                body, headers = await asyncio.to_thread(self.archive.entity, capture)
                article = await self._extract(outlet, capture, body, headers)
            if article.wall is not None:
                raise ExtractionError(f"a wall stands before the page ({article.wall})", code=f"wall-{article.wall}")
            if await asyncio.to_thread(self.archive.refused, text=text_digest(article)) is not None:
                raise ExtractionError("its text was redacted elsewhere, and is not read again", code="redacted")
        except SegmentElsewhere:
            return None, False  # stays pending: the machine that has it reads it, or we do once it is sealed
        except (ExtractionError, InvalidValue) as error:
            code = error.code if isinstance(error, ExtractionError) else "content-encoding"
            await asyncio.to_thread(self.archive.extraction_failed, capture, code, EXTRACTOR.identity)
            self.tally.failed[code] += 1
            self.say(f"{outlet.id}: {capture.url} gave no article: {error}")
            return None, False
        if before is not None and not before.done():
            await asyncio.wait([before])
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
        assert isinstance(result, Article)
        return result

    async def _read_image(self, job: ImageJob) -> ImageReading | ExtractionError:
        result = await self._reader.put(job)
        assert not isinstance(result, Article)
        return result

    async def derive_pending(self, outlets: Sequence[str] | None = None) -> int:
        """Read captures that no article was made of yet (a stop, or a rebuild, came between), and images; how many."""
        tried: set[str] = set()
        with self.archive.catalog.read() as tx:
            known = {o.id: o for o in tx.outlets.all(removed=True)}
        while not self.stopping.is_set():
            with self.archive.catalog.read() as tx:
                waiting = tx.captures.pending(BATCH + len(tried), outlets)
            batch = [capture for capture in waiting if capture.id not in tried]
            if not batch:
                break
            for capture in batch:
                tried.add(capture.id)
                version, new = await self.derive(_outlet_of(capture, known), capture)
                item = self._unsettled(capture) if capture.kind != "import" else None
                if item is not None:
                    self._settle(item, capture, version, new=new)
        return len(tried) + await self._pictures.read_pending(outlets)

    def _unsettled(self, capture: Capture) -> ItemState | None:
        """The item of a capture, where it knows of none as new: the stop came between keeping and noting it.

        Of a 304 nobody can tell: its item is then due still, and is fetched once more.
        """
        with self.archive.catalog.read() as tx:
            item = tx.frontier.item_for(capture.outlet_id or "", article_key(capture.item_url or capture.url))
            last = tx.captures.get(item.last_capture) if item is not None and item.last_capture else None
        return item if capture.status != 304 and (last is None or last.seq < capture.seq) else None


async def _together(works: Iterable[Coroutine[Any, Any, bool]]) -> list[bool]:
    """All results. Where one fails the others are cancelled and have ended before its exception is raised.

    (`asyncio.gather` would raise and let them go on, beside a recorder and an archive that are being closed.)
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except ExceptionGroup as several:
        first = several.exceptions[0]
        raise first from first.__cause__
    return [task.result() for task in tasks]


def _outlet_of(capture: Capture, known: dict[str, Outlet]) -> Outlet:
    """The outlet of a capture: a watched one, or for imported pages perhaps a stand-in."""
    outlet_id = capture.outlet_id or ""
    return known.get(outlet_id) or unwatched(outlet_id)


def _validators(state: SourceState | ItemState) -> list[tuple[str, str]]:
    """The conditional headers (RFC 9110 13.1) for what the last complete 200 gave."""
    if state.last_capture is None:
        return []
    pairs = (("If-None-Match", state.etag), ("If-Modified-Since", state.last_modified))
    return [(name, value) for name, value in pairs if value]


def text_digest(article: Article) -> str:
    """The digest of an article's text, in hex."""
    return hashlib.sha256(article.text.encode()).hexdigest()


def _content_type(headers: Sequence[tuple[str, str]]) -> str | None:
    return next((value for name, value in headers if name.lower() == "content-type"), None)

"""The images of an article: fetched like all else once the article was read, kept, and read in their turn.

Which images are wanted is a setting. That an image belongs to a photo follows from its address and is kept nowhere
else: the catalog ties the two. How one is fetched is left to `fetching`, what its bytes say to `ingest.images`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from ingest.extract.worker import ImageJob
from ingest.gates import HostBusy
from ingest.pipeline.fetching import Fetcher
from ingest.pipeline.values import Tally, words_of
from schemas.captures import Capture, Context, Role
from schemas.digests import Digest
from schemas.errors import ExtractionError, InvalidValue, Refused, SegmentElsewhere
from schemas.images import ImageReading
from schemas.instants import to_micros
from schemas.outlets import Outlet
from schemas.urls import normalize
from storage.archive import Archive
from storage.catalog.values import ImageRow, VersionRow

#: What `[crawl] images` may say.
MODES: Final = ("none", "lead", "all")
#: Images fetched of one article version: more is a picture archive, and each costs a turn at its host.
MAX_IMAGES: Final = 100
#: Microseconds for which the image at an address stands for later versions too, before it is asked for again: pages
#: change by the minute, photos hardly ever keep their address when they do.
IMAGE_AGE: Final = 24 * 3600 * 1_000_000
#: Images taken from the catalog at a time.
BATCH: Final = 32

Put = Callable[[ImageJob], Awaitable[ImageReading | ExtractionError]]


def wanted(block: str, mode: str) -> list[str]:
    """The addresses of the images to fetch of an article's block, in its order, in normal form."""
    found: dict[str, None] = {}
    for photo in json.loads(block)["photos"] if mode != "none" else ():
        try:
            found[normalize(photo["url"] or "")] = None
        except InvalidValue:
            continue
        if mode == "lead":
            break
    return list(found)[:MAX_IMAGES]


class Pictures:
    """Fetches and reads images for one crawler."""

    def __init__(
        self,
        archive: Archive,
        fetcher: Fetcher,
        put: Put,
        *,
        mode: str,
        tally: Tally,
        stopping: asyncio.Event,
        say: Callable[[str], None],
    ) -> None:
        """`put` hands an image to the pool of readers; `mode` is one of MODES."""
        self._archive, self._fetcher, self._put, self._mode = archive, fetcher, put, mode
        self._tally, self._stopping, self._say = tally, stopping, say
        self._under_way: set[str] = set()  # two pages may show one photo at the same time

    async def fetch_for(self, outlet: Outlet, page: Capture, version: VersionRow, *, new: bool) -> None:
        """Fetch what is wanted of a version that `page` showed; what is there and fresh, or known of old, is not.

        An image that cannot be had now is tried again when its page is checked next.
        """
        for url in wanted(version.block, self._mode):
            if self._stopping.is_set():
                return
            known = self._known(url)
            fresh = known is not None and (not new or to_micros(page.date) - to_micros(known.date) < IMAGE_AGE)
            if fresh or url in self._under_way:
                continue
            self._under_way.add(url)
            try:
                await self._fetch(outlet, page, url, known)
            except HostBusy as busy:
                self._say(f"{outlet.id}: image {url} was put off: {busy}")
            except Refused as refused:
                self._say(f"{outlet.id}: an image was left: {refused}")
            finally:
                self._under_way.discard(url)

    async def _fetch(self, outlet: Outlet, page: Capture, url: str, known: Capture | None) -> None:
        validators = []
        if known is not None and known.url == url and known.status == 200:
            pairs = (("If-None-Match", known.etag), ("If-Modified-Since", known.last_modified))
            validators = [(name, value) for name, value in pairs if value]
        context = Context(
            outlet_id=outlet.id, role=Role.IMAGE, via=page.id, refers_to=known.id if known and validators else None
        )
        capture = await self._fetcher.fetch(url, context, validators)
        if capture.usable:
            await self.read(capture)
        else:
            self._say(f"{outlet.id}: image {url} gave {words_of(capture)}")

    def _known(self, url: str) -> Capture | None:
        """The newest capture of the image at an address that could be read."""
        with self._archive.catalog.read() as tx:
            newest = tx.images.newest(url)
            return tx.captures.get(newest.capture_id) if newest is not None else None

    async def read(self, capture: Capture) -> bool:
        """Read a captured image and keep what it says; False where it gave nothing."""
        from ingest.images import READER  # loads the image library, which a crawl without images has no use for

        identity = READER.identity
        try:
            body, _ = await asyncio.to_thread(self._archive.entity, capture)
            digest = str(Digest.sha256(body))
            reading = await self._reading(body, digest, identity)
            row = ImageRow(
                capture_id=capture.id,
                reader=identity,
                url=capture.item_url or capture.url,
                date=to_micros(capture.date),
                payload_digest=digest,
                phash=reading.phash,
                reading=reading.dumps(),
            )
        except SegmentElsewhere:
            return False  # stays pending: the machine that has it reads it, or we do once it is sealed
        except (ExtractionError, InvalidValue) as error:
            code = error.code if isinstance(error, ExtractionError) else "content-encoding"
            await asyncio.to_thread(self._archive.extraction_failed, capture, code, identity)
            self._tally.failed[f"image-{code}"] += 1
            self._say(f"image {capture.url} could not be read: {error}")
            return False
        await asyncio.to_thread(self._archive.note_image, row)
        self._tally.images += 1
        return True

    async def _reading(self, body: bytes, digest: str, identity: str) -> ImageReading:
        """What the image says: as it was read before, where these bytes came before. Raises ExtractionError."""
        with self._archive.catalog.read() as tx:
            same = tx.images.same_bytes(digest, identity)
        if same is not None:
            return ImageReading.from_json(json.loads(same.reading))
        result = await self._put(ImageJob(body=body))
        if isinstance(result, ExtractionError):
            raise result
        return result

    async def read_pending(self, outlets: Sequence[str] | None = None) -> int:
        """Read captured images that were not yet (a stop, a rebuild or an import came between); how many."""
        tried: set[str] = set()
        while not self._stopping.is_set():
            with self._archive.catalog.read() as tx:
                waiting = tx.captures.pending(BATCH + len(tried), outlets, role=Role.IMAGE)
            batch = [capture for capture in waiting if capture.id not in tried]
            if not batch:
                break
            for capture in batch:
                tried.add(capture.id)
                await self.read(capture)
        return len(tried)

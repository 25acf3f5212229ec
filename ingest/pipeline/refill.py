"""The frontier made anew from the captures, for a catalog that was rebuilt."""

from __future__ import annotations

from typing import Final

from ingest.pipeline.announce import announced, listing_of, wanted
from ingest.pipeline.values import CrawlSettings, settled
from schemas.captures import Capture, Role
from schemas.errors import InvalidValue
from schemas.instants import to_micros
from schemas.outlets import Outlet
from schemas.urls import article_key
from storage.archive import Archive

#: Captures taken from the catalog at a time.
BATCH: Final = 256
_LISTS: Final = frozenset({Role.FEED, Role.SITEMAP, Role.HOME})


def refill_frontier(archive: Archive, settings: CrawlSettings) -> int:
    """Make the frontier anew from the captures, in their order, as the crawl made it; how many items are known.

    The catalog holds outlets and captures already (`storage.rebuild`).
    """
    with archive.catalog.read() as tx:
        outlets = {o.id: o for o in tx.outlets.all(removed=True)}
    after = 0
    while True:
        with archive.catalog.read() as tx:
            batch = tx.captures.after(after, BATCH)
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
    if capture.role in _LISTS and capture.usable and capture.status != 304 and capture.kind != "import":
        # A homepage is looked at when an outlet is added, too; its links count only where it is a source.
        home = capture.role is Role.HOME and any(source.kind == "home" for source in outlet.sources)
        try:
            body, _ = archive.entity(capture)
            items = listing_of(capture, body, home=home).items
        except InvalidValue:
            return
        pairs = wanted(archive, announced(outlet, items))
        with archive.catalog.begin() as tx:
            tx.frontier.add_items(outlet.id, pairs, found_in=capture.id, now=now, due=now)
    elif capture.role is Role.ARTICLE and capture.location is None and capture.kind != "import":
        with archive.catalog.begin() as tx:
            item = tx.frontier.item_for(outlet.id, article_key(capture.item_url or capture.url))
            if item is not None:
                fields = settled(item, capture, now=now, schedule=settings.recheck, changed=False)
                tx.frontier.update_item(item.id, **fields)

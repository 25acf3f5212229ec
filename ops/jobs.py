"""What recurs: rounds over due outlets, rotation, checkpoints. When each runs is left to `ops.scheduler`."""

from __future__ import annotations

import asyncio

from ingest.pipeline import Crawler
from schemas.errors import LeaseLost
from storage.archive import Archive


async def housekeeping(archive: Archive, every: float) -> None:
    """Rotate segments and publish checkpoints, every so many seconds, until cancelled."""
    while True:
        await asyncio.sleep(every)
        await keep_house(archive)


async def keep_house(archive: Archive) -> None:
    """Rotate what is due, then publish. Another process that publishes at the same moment does it for us."""
    try:
        await asyncio.to_thread(archive.rotate)
        await asyncio.to_thread(archive.integrate)
    except LeaseLost:
        return


async def serve_due(crawler: Crawler) -> None:
    """Serve every outlet that has something due and is not being served."""
    with crawler.archive.catalog.read() as tx:
        outlets = [o for o in tx.outlets.all() if o.state == "active"]
        due = [o for o in outlets if (at := tx.frontier.next_due([o.id])) is not None and at <= crawler.now()]
    await asyncio.gather(*(crawler.serve(outlet) for outlet in due))

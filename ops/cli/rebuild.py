"""`pressmark rebuild`: the catalog anew from the evidence alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ops.cli.common import ArchiveDir, say, settings_of

if TYPE_CHECKING:
    from ops.settings import Settings
    from storage.archive import Archive


def rebuild(archive: ArchiveDir = None) -> None:
    """Make catalog and indexes anew from segments and log: the old catalog, where there is one, is replaced."""
    from storage.rebuild import rebuild as make

    from ops.wiring import crawl_lock, storage_settings

    settings = settings_of(archive)
    with crawl_lock(settings):
        report = make(storage_settings(settings), say=say)
        say(f"rebuilt: {report}")
        _finish(settings)


def _finish(settings: Settings) -> None:
    """What storage cannot do: the frontier, and the articles of captures that have none."""
    from ingest.pipeline import refill_frontier
    from ops.wiring import crawl_settings, extract_pool, open_archive

    with open_archive(settings, mend=True, say=say) as archive:
        items = refill_frontier(archive, crawl_settings(settings))
        with extract_pool(settings) as pool:
            read = asyncio.run(_derive(archive, settings, pool))
        archive.seal()
        with archive.catalog.read() as tx:
            counts = f"{tx.captures.count()} captures, {tx.articles.count()} articles, {items} known URLs"
        print(f"{counts}; {read} pages read again")


async def _derive(archive: Archive, settings: Settings, pool: object) -> int:
    from ops.wiring import make_crawler

    crawler = make_crawler(archive, settings, pool, say=say)  # type: ignore[arg-type]
    try:
        return await crawler.derive_pending()
    finally:
        await crawler.close()

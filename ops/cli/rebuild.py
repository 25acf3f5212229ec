"""`pressmark rebuild`: the catalog anew from the evidence alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.cli.common import ArchiveDir, AsJson, emit, say, settings_of, tell

if TYPE_CHECKING:
    from ops.settings import Settings
    from storage.archive import Archive


def rebuild(archive: ArchiveDir = None, json: AsJson = False) -> None:
    """Make catalog and indexes anew from segments and log: the old catalog, where there is one, is replaced."""
    from ops.wiring import crawl_lock, storage_settings
    from storage.rebuild import rebuild as make

    settings = settings_of(archive)
    with crawl_lock(settings):
        report = make(storage_settings(settings), say=say)
        say(f"rebuilt: {report}")
        _finish(settings, as_json=json)


def _finish(settings: Settings, *, as_json: bool) -> None:
    """What storage cannot do: the frontier, and the articles of captures that have none."""
    import asyncio

    from ingest.pipeline import refill_frontier
    from ops.wiring import crawl_settings, extract_pool, open_archive

    with open_archive(settings, mend=True, say=say) as archive:
        items = refill_frontier(archive, crawl_settings(settings))
        with extract_pool(settings) as pool:
            read = asyncio.run(_derive(archive, settings, pool))
        archive.seal()
        with archive.catalog.read() as tx:
            captures, articles = tx.captures.count(), tx.articles.count()
    if as_json:
        emit({"captures": captures, "articles": articles, "items": items, "read": read})
    else:
        tell(f"{captures} captures, {articles} articles, {items} known URLs; {read} read again")


async def _derive(archive: Archive, settings: Settings, pool: object) -> int:
    from ops.wiring import make_crawler

    crawler = make_crawler(archive, settings, pool, say=say)  # type: ignore[arg-type]
    try:
        return await crawler.derive_pending()
    finally:
        await crawler.close()

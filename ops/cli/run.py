"""`pressmark run`: the service."""

from __future__ import annotations

from ops.cli.common import AllowAddress, ArchiveDir, say, settings_of


def run(archive: ArchiveDir = None, allow_address: AllowAddress = None) -> None:
    """Crawl on schedule until stopped (SIGTERM ends it cleanly)."""
    import asyncio

    from ops.jobs import keep_mirror
    from ops.process import settle
    from ops.scheduler import serve
    from ops.wiring import crawl_lock, extract_pool, need_contact, open_archive

    settings = settings_of(archive, allow_address)
    settle()
    with crawl_lock(settings), open_archive(settings, mend=True, say=say) as opened:
        with opened.catalog.read() as tx:
            need_contact(settings, tx.outlets.all())
        with extract_pool(settings) as pool:
            try:
                asyncio.run(serve(opened, settings, pool, say))
            finally:
                opened.seal()
                keep_mirror(opened, say)
    say("stopped; everything that was fetched is kept")

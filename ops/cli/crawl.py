"""`pressmark crawl`: fetch what is due, now, and exit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ops.cli.common import AllowAddress, ArchiveDir, AsJson, IncludeRedacted, emit, say, settings_of, tell
from schemas.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.pipeline import Crawler, Tally
    from ops.settings import Settings
    from schemas.outlets import Outlet
    from storage.archive import Archive


def crawl(
    outlets: Annotated[list[str] | None, typer.Argument(metavar="[OUTLET]...", help="Default: all.")] = None,
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Go on until nothing is due.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Article pages to fetch at most.")] = None,
    include_redacted: IncludeRedacted = False,
    archive: ArchiveDir = None,
    allow_address: AllowAddress = None,
    json: AsJson = False,
) -> None:
    """Poll what is due, fetch what is new, read it, keep it; then exit."""
    import asyncio

    from ops.jobs import keep_mirror
    from ops.process import settle
    from ops.wiring import crawl_lock, extract_pool, need_contact, open_archive

    settings = settings_of(archive, allow_address)
    settle()
    with crawl_lock(settings), open_archive(settings, mend=True, say=say) as opened:
        opened.blocklist.ignored = include_redacted
        with opened.catalog.read() as tx:
            chosen = [tx.outlets.find(text) for text in outlets] if outlets else tx.outlets.all()
        need_contact(settings, chosen)
        if not chosen:
            say("no outlet is watched; add one with `pressmark outlet add URL`")
        with extract_pool(settings) as pool:
            try:
                tally, interrupted = asyncio.run(
                    _crawl(opened, settings, pool, chosen, until_idle=until_idle, limit=limit)
                )
            finally:
                opened.seal()
                vouch(opened, settings)
                keep_mirror(opened, say)
    report(tally, as_json=json)
    if interrupted:
        raise Interrupted("interrupted", remedy="what was fetched is kept; run it again to go on")


async def _crawl(
    archive: Archive,
    settings: Settings,
    pool: Any,
    outlets: Sequence[Outlet],
    *,
    until_idle: bool,
    limit: int | None,
) -> tuple[Tally, bool]:
    """What was done, and whether SIGINT ended it."""
    import asyncio
    import contextlib
    import signal

    from ops.jobs import anchoring_every, housekeeping
    from ops.wiring import make_anchoring, make_crawler

    crawler = make_crawler(archive, settings, pool, limit=limit, say=say)
    came = stop_on_signals(crawler)
    every = settings.log.checkpoint_every
    asking = anchoring_every(make_anchoring(archive, settings), every, say, crawler.stopping)
    keepers = [asyncio.create_task(housekeeping(archive, every)), asyncio.create_task(asking)]
    try:
        return await crawler.crawl(outlets, until_idle=until_idle), signal.SIGINT in came
    finally:
        for keeper in keepers:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
        await crawler.close()


def vouch(archive: Archive, settings: Settings) -> None:
    """Have what was published stamped and cosigned, and publish that; says whom it failed with."""
    from ops.wiring import make_anchoring

    anchoring = make_anchoring(archive, settings)
    for sentence in anchoring.work(force=True):
        say(sentence)
    archive.integrate()


def stop_on_signals(crawler: Crawler) -> set[int]:
    """SIGTERM and SIGINT end the crawl after what is under way; a second SIGINT ends it at once. Those that came."""
    import asyncio
    import signal

    loop = asyncio.get_running_loop()
    came: set[int] = set()

    def stop(number: int) -> None:
        came.add(number)
        crawler.stopping.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    return came


def report(tally: Tally, *, as_json: bool) -> None:
    """What a crawl did."""
    if as_json:
        emit(
            {
                "captures": dict(tally.fetched),
                "attempts": dict(tally.attempts),
                "statuses": {str(k): v for k, v in tally.statuses.items()},
                "discovered": tally.discovered,
                "versions": tally.versions,
                "sightings": tally.sightings,
                "images": tally.images,
                "failed": dict(tally.failed),
            }
        )
        return
    roles = ", ".join(f"{n} {role}" for role, n in sorted(tally.fetched.items())) or "nothing"
    tell(f"captured: {roles}")
    tell(f"articles: {tally.versions} new versions, {tally.sightings} seen again; {tally.discovered} URLs discovered")
    if tally.images:
        tell(f"images: {tally.images} read")
    for title, counts in (
        ("attempts without an answer", tally.attempts),
        ("other answers", tally.statuses),
        ("pages without an article", tally.failed),
    ):
        if counts:
            tell(f"{title}: " + ", ".join(f"{n} {name}" for name, n in sorted(counts.items(), key=str)))

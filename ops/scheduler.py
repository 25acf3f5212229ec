"""The clock of the service: APScheduler turns settings into ticks. What a tick does is left to `ops.jobs`.

Nothing is kept in a job store: what is due stands in the catalog, so that a restart forgets nothing.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from ingest.extract.worker import ExtractPool
from ops.jobs import keep_house, serve_due
from ops.settings import Settings
from ops.wiring import make_crawler
from schemas.errors import DamageError, LogForkRisk
from storage.archive import Archive

#: Seconds between looks at what is due; a poll is never later than this, and a look costs two queries an outlet.
TICK: Final = 1.0


async def serve(archive: Archive, settings: Settings, pool: ExtractPool, say: Callable[[str], None]) -> None:
    """Run until SIGTERM or SIGINT; ends after what is under way. Raises what a job met: DiskError, StoreError, …"""
    crawler = make_crawler(archive, settings, pool, say=say)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, crawler.stopping.set)
    await crawler.derive_pending()
    scheduler = AsyncIOScheduler(timezone="UTC")
    trouble: list[Exception] = []
    running: set[asyncio.Task[None]] = set()

    async def guarded(job: Callable[[], Awaitable[None]]) -> None:
        try:
            await job()
        except Exception as error:  # noqa: BLE001 - whatever it is ends the service, and is told there
            if isinstance(error, DamageError) and not isinstance(error, LogForkRisk):
                say(f"pressmark: {error}")  # one outlet's records; the others go on, and audit tells the whole
                return
            trouble.append(error)
            crawler.stopping.set()

    async def tick() -> None:
        task = asyncio.create_task(guarded(lambda: serve_due(crawler)))
        running.add(task)
        task.add_done_callback(running.discard)

    scheduler.add_job(tick, "interval", seconds=TICK, max_instances=1, coalesce=True)
    scheduler.add_job(
        guarded,
        "interval",
        [lambda: keep_house(archive)],
        seconds=settings.log.checkpoint_every,
        max_instances=1,
        coalesce=True,
    )
    scheduler.start()
    say(f"running; {archive.settings.origin}")
    try:
        await crawler.stopping.wait()
    finally:
        scheduler.shutdown(wait=False)
        if running:
            await asyncio.wait(running)
        await crawler.close()
    if trouble:
        raise trouble[0]

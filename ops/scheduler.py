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
from ops.jobs import anchor, audit_if_due, keep_house, keep_mirror, serve_due
from ops.settings import Settings
from ops.wiring import make_anchoring, make_crawler
from schemas.errors import DamageError, LogForkRisk
from storage.archive import Archive

#: Seconds between looks at what is due; a poll is never later than this, and a look costs two queries an outlet.
TICK: Final = 1.0
#: Seconds between two times that the mirror is brought up to date: both stores are listed whole.
MIRROR_EVERY: Final = 600.0
#: Seconds between looks at whether an audit is due.
AUDIT_LOOK: Final = 60.0


class Jobs:
    """Jobs under way, as tasks of ours: those that the scheduler held would be cut off at the end."""

    def __init__(self, stopping: asyncio.Event, say: Callable[[str], None]) -> None:
        """A job that fails sets `stopping`."""
        self._stopping, self._say = stopping, say
        self._running: set[asyncio.Task[None]] = set()
        self._trouble: list[Exception] = []

    def start(self, job: Callable[[], Awaitable[object]]) -> asyncio.Task[None]:
        """Begin a job; the task never fails."""
        task = asyncio.create_task(self._guarded(job))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _guarded(self, job: Callable[[], Awaitable[object]]) -> None:
        try:
            await job()
        except Exception as error:  # noqa: BLE001 - whatever it is ends the service, and is raised there
            if isinstance(error, DamageError) and not isinstance(error, LogForkRisk):
                self._say(f"pressmark: {error}")  # one outlet's records; the others go on, and audit tells the whole
                return
            self._trouble.append(error)
            self._stopping.set()

    async def end(self) -> None:
        """Wait for what is under way, and for what that begins."""
        while self._running:
            await asyncio.wait(self._running)

    def raise_trouble(self) -> None:
        """Raises what the first job that failed met."""
        if self._trouble:
            raise self._trouble[0]


async def serve(archive: Archive, settings: Settings, pool: ExtractPool, say: Callable[[str], None]) -> None:
    """Run until SIGTERM or SIGINT; ends after what is under way. Raises what a job met: DiskError, StoreError, …"""
    crawler = make_crawler(archive, settings, pool, say=say)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, crawler.stopping.set)
    await crawler.derive_pending()
    scheduler = AsyncIOScheduler(timezone="UTC")
    jobs = Jobs(crawler.stopping, say)
    keeping: list[asyncio.Task[None]] = []
    running: dict[str, asyncio.Task[None]] = {}

    async def look() -> None:
        jobs.start(lambda: serve_due(crawler, jobs.start))

    async def keep() -> None:
        if not keeping or keeping[-1].done():  # what takes longer than its interval is not begun twice
            keeping[:] = [jobs.start(lambda: keep_house(archive))]

    async def mirror() -> None:
        await alone("mirror", lambda: keep_mirror(archive, say))

    async def audit() -> None:
        await alone("audit", lambda: audit_if_due(archive, settings.audit, say))

    async def alone(name: str, work: Callable[[], None]) -> None:
        if name not in running:
            running[name] = jobs.start(lambda: asyncio.to_thread(work))
            running[name].add_done_callback(lambda _: running.pop(name))

    anchoring = make_anchoring(archive, settings)
    asking: list[asyncio.Task[None]] = []

    async def vouch() -> None:
        if not asking or asking[-1].done():
            asking[:] = [jobs.start(lambda: anchor(anchoring, say))]

    every = min(settings.log.checkpoint_every, settings.log.timestamp_every, settings.log.witness_every)
    recurring = (
        (look, TICK),
        (keep, settings.log.checkpoint_every),
        (vouch, every),
        (mirror, MIRROR_EVERY),
        (audit, AUDIT_LOOK),
    )
    for job, seconds in recurring:
        scheduler.add_job(job, "interval", seconds=seconds, max_instances=1, coalesce=True)
    scheduler.start()
    say(f"running; {archive.settings.origin}")
    try:
        await crawler.stopping.wait()
    finally:
        scheduler.shutdown(wait=False)
        await jobs.end()
        await crawler.close()
    jobs.raise_trouble()

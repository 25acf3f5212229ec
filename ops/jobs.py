"""What recurs: rounds over due outlets, rotation, checkpoints and who vouches for them, the mirror, audits.

When each runs is left to `ops.scheduler`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from schemas.errors import DiskError, LeaseLost, PressmarkError, StoreError
from schemas.instants import parse_rfc3339, rfc3339
from storage.archive import Archive
from storage.redaction import resume

if TYPE_CHECKING:
    from ingest.pipeline import Crawler
    from ops.settings import AuditTable
    from storage.anchoring import Anchoring

#: The catalog's note of the last audit that `run` made: what it found, as JSON.
LAST_AUDIT: Final = "audit last"


async def housekeeping(archive: Archive, every: float) -> None:
    """Rotate segments and publish checkpoints, every so many seconds, until cancelled."""
    while True:
        await asyncio.sleep(every)
        await keep_house(archive)


async def anchor(anchoring: Anchoring, say: Callable[[str], None]) -> None:
    """Have the newest checkpoint stamped and cosigned by whom it is due; says whom that failed with."""
    for sentence in await asyncio.to_thread(anchoring.work):
        say(sentence)


async def anchoring_every(
    anchoring: Anchoring, seconds: float, say: Callable[[str], None], stopping: asyncio.Event
) -> None:
    """`anchor`, every so many seconds, until cancelled. What the log itself meets sets `stopping` and is raised."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await anchor(anchoring, say)
        except PressmarkError:
            stopping.set()
            raise


async def keep_house(archive: Archive) -> None:
    """Rotate what is due, then publish. Another process that publishes at the same moment does it for us."""
    try:
        await asyncio.to_thread(archive.rotate)
        await asyncio.to_thread(resume, archive)  # redactions that waited for a segment to be sealed
        await asyncio.to_thread(archive.integrate)
    except LeaseLost:
        return


async def serve_due(crawler: Crawler, start: Callable[[Callable[[], Awaitable[object]]], object]) -> None:
    """Serve every outlet that has something due and is not being served.

    `start` begins each as a job of its own: one that fails is told of at once, and none goes on unseen.
    """
    with crawler.archive.catalog.read() as tx:
        outlets = [o for o in tx.outlets.all() if o.state == "active"]
        due = [o for o in outlets if (at := tx.frontier.next_due([o.id])) is not None and at <= crawler.now()]
    for outlet in due:
        start(partial(crawler.serve, outlet))


def keep_mirror(archive: Archive, say: Callable[[str], None]) -> None:
    """Bring the mirror up to date, where one is set. One that fails is told of, and tried again next time."""
    if not archive.settings.mirror_url:
        return
    from storage.mirror import catch_up

    try:
        store = archive.mirror()
        refused = () if store is None else catch_up(archive, store).refused
    except (StoreError, DiskError) as error:
        refused = (error.message,)
    for sentence in refused:
        say(f"mirror: {sentence}")


def audit_if_due(archive: Archive, settings: AuditTable, say: Callable[[str], None]) -> None:
    """Audit as the settings say, if the last time is long enough ago; what was found is logged and told.

    Damage stops no crawl: what is captured meanwhile is not the worse for it.
    """
    from storage.fixity import AuditOptions, audit

    last = last_audit(archive)
    now = archive.clock()
    if not settings.every or (last and parse_rfc3339(last["at"]) + timedelta(seconds=settings.every) > now):
        return
    report = audit(archive, AuditOptions(sample=settings.sample or None, rate=settings.rate))
    counts = {
        "objects": report.objects,
        "records": report.records,
        "damaged": len(report.damaged),
        "missing": len(report.missing),
    }
    archive.record_audit({"size": report.entries, **counts})
    with archive.catalog.begin() as tx:
        tx.meta.set(LAST_AUDIT, json.dumps({"at": rfc3339(now), **counts}))
    for finding in (*report.damaged, *report.missing):
        say(f"audit: {finding.kind}: {finding.where}: {finding.message}")


def last_audit(archive: Archive) -> dict[str, Any] | None:
    """When `run` audited last, and what it found."""
    with archive.catalog.read() as tx:
        text = tx.meta.get(LAST_AUDIT)
    return None if text is None else dict(json.loads(text))

"""Segments shared out among processes, one segment a task, and what was found brought together again in their order.

What is read once and found wrong is read once more before it is believed: memory and cables err too. How one segment is
checked is left to `segments` and `events`.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from schemas.errors import DamageError, StoreError
from schemas.outlets import Outlet
from storage.archive import Archive, StorageSettings, system_clock
from storage.catalog.values import SegmentRow
from storage.fixity.events import EventAudit
from storage.fixity.findings import DAMAGED, ORPHAN, UNREADABLE, Finding, Findings
from storage.fixity.segments import SegmentAudit

#: Compressed bytes from which further processes are worth their start (a second of CPU each).
SHARE_FROM: Final = 32_000_000
#: Tasks given out ahead of the one that is waited for, for each process: what is found is held until its turn.
AHEAD: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentResult:
    """What reading one segment gave."""

    name: str
    records: int
    captures: int
    versions: int
    imports: int
    outlets: dict[str, tuple[datetime, Outlet]]  # newest change by outlet id
    spoiled: frozenset[str]  # events of which a record is damaged or gone
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def check_segment(archive: Archive, row: SegmentRow, known: frozenset[str], rate: float | None = None) -> SegmentResult:
    """Read one segment; where something is wrong, once more.

    `known` are places about which something was found already, `rate` is in bytes of the file a second. Raises
    StoreError, CatalogError, DiskError; nothing for damage.
    """
    first = _read(archive, row, known, rate)
    if all(finding.kind == ORPHAN for finding in first.findings):
        return first
    second = _read(archive, row, known, rate)
    if all(finding.kind == ORPHAN for finding in second.findings):
        note = f"segment {row.name} was read wrongly once ({first.findings[0].message}) and rightly when read again"
        return _with_note(second, note)
    return second


def _read(archive: Archive, row: SegmentRow, known: frozenset[str], rate: float | None) -> SegmentResult:
    findings = Findings(known)
    events = EventAudit(findings=findings)
    segments = SegmentAudit(archive, findings, events.check, rate=rate)
    try:
        segments.check(row)
    except DamageError as error:
        findings.add(DAMAGED, f"catalog, segment {row.name}", error.message)
    except UNREADABLE as error:
        findings.add(DAMAGED, f"catalog, segment {row.name}", f"a row cannot be read: {error}")
    return SegmentResult(
        name=row.name,
        records=segments.records,
        captures=events.captures,
        versions=events.versions,
        imports=events.imports,
        outlets=events.outlets,
        spoiled=frozenset(segments.spoiled),
        findings=findings.all(),
        notes=tuple(findings.notes),
    )


def _with_note(result: SegmentResult, note: str) -> SegmentResult:
    values = {name: getattr(result, name) for name in SegmentResult.__dataclass_fields__}
    return SegmentResult(**{**values, "notes": (*result.notes, note)})


def check_segments(
    archive: Archive,
    rows: Sequence[SegmentRow],
    known: frozenset[str],
    *,
    workers: int,
    rate: float | None = None,
) -> Iterator[SegmentResult]:
    """The result of each segment, in their order; by `workers` processes where there is enough to read, of which this
    is one: it reads while the others start, and what they have not begun while it waits for them.

    Raises StoreError, CatalogError, DiskError.
    """
    workers = min(workers, len(rows))
    if workers < 2 or sum(row.length or 0 for row in rows) < SHARE_FROM:
        for row in rows:
            yield check_segment(archive, row, known, rate)
        return
    share = None if rate is None else rate / workers
    settings = replace(archive.settings, clock=system_clock)  # one that tests wind up cannot be sent
    # Spawned, not forked: connections and threads of this process must not be shared with another.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers - 1, context, _open, (settings,)) as pool:
        try:
            yield from _in_order(pool, rows, known, share, ahead=workers * AHEAD, here=archive)
        except BrokenProcessPool as error:
            raise StoreError("a process of the audit was killed", remedy="run it again with --workers 1") from error
        finally:
            pool.shutdown(cancel_futures=True)


@dataclass(kw_only=True, slots=True)
class _Task:
    """A segment that is given out, and what came of it where this process read it."""

    row: SegmentRow
    future: Future[SegmentResult]
    result: SegmentResult | None = None


def _in_order(
    pool: ProcessPoolExecutor,
    rows: Iterable[SegmentRow],
    known: frozenset[str],
    rate: float | None,
    *,
    ahead: int,
    here: Archive,
) -> Iterator[SegmentResult]:
    rest = iter(rows)
    tasks: deque[_Task] = deque()
    while True:
        while len(tasks) < ahead and (row := next(rest, None)) is not None:
            tasks.append(_Task(row=row, future=pool.submit(_task, row, known, rate)))
        if not tasks:
            return
        first = tasks[0]
        if first.result is not None or first.future.done():
            tasks.popleft()
            yield first.result or first.future.result()
            continue
        # From the end, where the others are not yet; what was taken over is cancelled, and cancels no more.
        free = next((task for task in reversed(tasks) if task.result is None and task.future.cancel()), None)
        if free is not None:
            free.result = check_segment(here, free.row, known, rate)
        else:
            first.future.exception()  # waits; what it raises is raised above


# -- in the other process

_opened: list[Archive] = []


def _open(settings: StorageSettings) -> None:
    _opened.append(Archive.open(settings))


def _task(row: SegmentRow, known: frozenset[str], rate: float | None) -> SegmentResult:
    return check_segment(_opened[0], row, known, rate)

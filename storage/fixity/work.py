"""Segments shared out among threads and processes, one segment a task; what was found comes together in their order.

Inflating and hashing, two thirds of the work, let go of the interpreter: two threads keep two cores busy without the
second that a process takes to start. The rest holds it, so further readers are processes. What is read once and found
wrong is read once more before it is believed: memory and cables err too. How one segment is checked is left to
`segments` and `events`.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Final

from schemas.errors import DamageError, StoreError
from schemas.outlets import Outlet
from storage.archive import Archive, StorageSettings, system_clock
from storage.catalog.values import SegmentRow
from storage.fixity.events import EventAudit
from storage.fixity.findings import DAMAGED, ORPHAN, UNREADABLE, Finding, Findings
from storage.fixity.segments import SegmentAudit

#: Segments that one process reads at once: of three threads the third would wait for the other two.
HERE: Final = 2
#: Compressed bytes from which other processes are worth their start (a second of CPU each).
SHARE_FROM: Final = 32_000_000
#: Tasks given out ahead of the one that is waited for, for each reader: what is found is held until its turn.
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


def check_segment(
    archive: Archive,
    row: SegmentRow,
    known: frozenset[str],
    rate: float | None = None,
    stop: threading.Event | None = None,
) -> SegmentResult:
    """Read one segment; where something is wrong, once more.

    `known` are places about which something was found already, `rate` is in bytes of the file a second. Raises
    StoreError, CatalogError, DiskError, and Stopped once `stop` is set; nothing for damage.
    """
    first = _read(archive, row, known, rate, stop)
    if all(finding.kind == ORPHAN for finding in first.findings):
        return first
    second = _read(archive, row, known, rate, stop)
    if all(finding.kind == ORPHAN for finding in second.findings):
        note = f"segment {row.name} was read wrongly once ({first.findings[0].message}) and rightly when read again"
        return _with_note(second, note)
    return second


def _read(
    archive: Archive, row: SegmentRow, known: frozenset[str], rate: float | None, stop: threading.Event | None
) -> SegmentResult:
    findings = Findings(known)
    events = EventAudit(findings=findings)
    segments = SegmentAudit(archive, findings, events.check, rate=rate, stop=stop)
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
    """The result of each segment, in their order, by so many readers: threads of this process, and beyond HERE of them
    processes, where there is enough to read.

    Raises StoreError, CatalogError, DiskError.
    """
    enough = sum(row.length or 0 for row in rows) >= SHARE_FROM
    workers = min(workers, len(rows), workers if enough else HERE)
    if workers < 2:
        for row in rows:
            yield check_segment(archive, row, known, rate)
        return
    with ExitStack() as stack:
        pool = None if workers <= HERE else stack.enter_context(_processes(archive, workers - HERE))
        # A thread for each reader: what it hands to another process it waits for.
        threads = stack.enter_context(ThreadPoolExecutor(workers, "audit"))
        readers = _Readers(archive, known, pool=pool, rate=None if rate is None else rate / workers)
        stack.callback(readers.close)
        rest = iter(rows)
        tasks = deque(threads.submit(readers.read, row) for row in islice(rest, workers * AHEAD))
        while tasks:
            try:
                result = tasks.popleft().result()
            except BrokenProcessPool as error:
                raise StoreError("a process of the audit was killed", remedy="run it again with --workers 1") from error
            tasks.extend(threads.submit(readers.read, row) for row in islice(rest, 1))
            yield result


def _processes(archive: Archive, count: int) -> ProcessPoolExecutor:
    """So many processes that have opened the archive."""
    settings = replace(archive.settings, clock=system_clock)  # one that tests wind up cannot be sent
    # Spawned, not forked: connections and threads of this process must not be shared with another.
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _open, (settings,))


class _Readers:
    """Who reads: HERE threads of this process, and for each further one a process."""

    def __init__(
        self, archive: Archive, known: frozenset[str], *, pool: ProcessPoolExecutor | None, rate: float | None
    ) -> None:
        """`rate` is what each of them reads, in bytes of the files a second."""
        self._archive, self._known, self._pool, self._rate = archive, known, pool, rate
        self._free = threading.Semaphore(HERE)
        self._stop = threading.Event()

    def read(self, row: SegmentRow) -> SegmentResult:
        """Read one segment: here, where one of the threads is free for it."""
        if not self._free.acquire(blocking=False):
            assert self._pool is not None  # there are no more threads than places, else
            return self._pool.submit(_task, row, self._known, self._rate).result()
        try:
            return check_segment(self._archive, row, self._known, self._rate, self._stop)
        finally:
            self._free.release()

    def close(self) -> None:
        """Nobody waits for a result any longer: begin nothing, and stop what is read here."""
        self._stop.set()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


# -- in the other process

_opened: list[Archive] = []


def _open(settings: StorageSettings) -> None:
    _opened.append(Archive.open(settings))


def _task(row: SegmentRow, known: frozenset[str], rate: float | None) -> SegmentResult:
    return check_segment(_opened[0], row, known, rate)

"""Records chosen at random, each read by itself with the others of its event.

Which ones are read must not be known before: a generator that can be seeded, or a clock, would tell whoever wants to
hide damage. How one record and one event are checked is left to `segments` and `events`.
"""

from __future__ import annotations

import random
from itertools import pairwise

from storage.archive import Archive
from storage.catalog import Tx
from storage.catalog.values import RecordRow
from storage.fixity.events import EventAudit
from storage.fixity.findings import Findings, Progress
from storage.fixity.segments import SegmentAudit


def check_sample(archive: Archive, size: int, findings: Findings, progress: Progress) -> tuple[int, int]:
    """Check `size` records, or all where there are fewer; how many were checked, and how many there are.

    A record that an open segment of another machine holds is noted, and counts as not read. Raises StoreError,
    CatalogError, DiskError.
    """
    with archive.catalog.read() as tx:
        counts = tx.records.counts()
    total = sum(counts.values())
    chosen = sorted(random.SystemRandom().sample(range(total), min(size, total)))
    audit = SegmentAudit(archive, findings, EventAudit(findings=findings).check)
    names = sorted(counts)
    starts = [0]
    for name in names:
        starts.append(starts[-1] + counts[name])
    at = 0
    for name, (first, stop) in zip(names, pairwise(starts), strict=True):
        wanted: list[int] = []
        while at < len(chosen) and chosen[at] < stop:
            wanted.append(chosen[at] - first)
            at += 1
        if wanted:
            with archive.catalog.read() as tx:
                for row in _rows(tx, name, wanted):
                    audit.check_one(tx, row)
        progress("records", at, len(chosen))
    return audit.records, total


def _rows(tx: Tx, segment: str, places: list[int]) -> list[RecordRow]:
    """The rows at these places of a segment, which ascend."""
    found, wanted = [], iter(places)
    place = next(wanted, None)
    for number, row in enumerate(tx.records.in_segment(segment)):
        if place is None:
            break
        if number == place:
            found.append(row)
            place = next(wanted, None)
    return found

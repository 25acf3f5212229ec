"""`pressmark audit`: re-read everything, recompute everything."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ops.cli.common import ArchiveDir, AsJson, emit, opened, progress, say, tell
from schemas.errors import CheckFailed, UsageError

if TYPE_CHECKING:
    from ops.settings import Settings
    from storage.archive import Archive
    from storage.fixity import AuditReport

#: Segments read at once, unless said otherwise: one a core, and no more than a small server has.
CORES: Final = min(os.cpu_count() or 1, 4)


def audit(
    full: Annotated[bool, typer.Option("--full", help="Every object (the default without --sample).")] = False,
    sample: Annotated[int | None, typer.Option(min=1, metavar="N", help="N records, chosen at random.")] = None,
    rate: Annotated[float | None, typer.Option(min=1, metavar="BYTES", help="Read so many bytes a second.")] = None,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Segments read at once.")] = CORES,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted audit stopped.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Bring back what the mirror holds intact.")] = False,
    rederive: Annotated[bool, typer.Option("--rederive", help="Read every page again, and compare.")] = False,
    archive: ArchiveDir = None,
    json: AsJson = False,
) -> None:
    """Recompute every digest, root and checkpoint, and compare catalog, objects and log both ways."""
    from ops.process import settle
    from storage.fixity import AuditOptions
    from storage.fixity import audit as check

    settle()
    if full and sample is not None:
        raise UsageError("--full and --sample exclude each other", remedy="give one of them")
    options = AuditOptions(sample=sample, rate=rate, workers=workers, resume=resume)
    if repair and sample is not None:
        raise UsageError("a sample cannot be repaired from", remedy="give --repair without --sample")
    with opened(archive, mend=repair) as (opened_archive, settings), progress() as shown:
        report = check(opened_archive, options, progress=shown)
        if repair and not report.ok:
            _repair(opened_archive, report)
            report = check(opened_archive, options, progress=shown)
        if rederive:
            report = _with_rederived(opened_archive, settings, report, shown)
    try:
        _print(report, as_json=json)
    finally:  # the verdict is the exit code, whether or not anybody read all lines
        if not report.ok:
            raise CheckFailed("the audit found something wrong", remedy="see the lines above; keep the disk as it is")
    say(_verdict(report))


def _repair(archive: Archive, report: AuditReport) -> None:
    """Bring back what can be, and say so object by object."""
    from storage.repair import keys_of
    from storage.repair import repair as bring_back

    places = [finding.where for finding in (*report.damaged, *report.missing)]
    for one in bring_back(archive, archive.mirror(), keys_of(places), report.right):
        say(f"{'repaired' if one.done else 'not repaired'}: {one.key}: {one.message}")
    archive.integrate()


def _with_rederived(
    archive: Archive, settings: Settings, report: AuditReport, shown: Callable[[str, int, int], None]
) -> AuditReport:
    """The report, with what reading every page again has shown."""
    from ingest.pipeline.rederive import rederive
    from ops.wiring import extract_pool
    from storage.fixity import Finding

    with extract_pool(settings) as pool:
        found = rederive(archive, pool, shown)
    notes = [f"{found.same} articles came out the same when their pages were read again"]
    notes += [f"{n} articles need extractor {identity}, which this is not" for identity, n in found.others.items()]
    if found.images:
        notes.append(f"{found.images} images were read alike again")
    notes += [f"{n} images need reader {identity}, which this is not" for identity, n in found.readers.items()]
    if found.unread:
        notes.append(f"{found.unread} pages stand in a segment that another machine still writes")
    damaged = [Finding(kind="damaged", where=where, message=words) for where, words in found.differing]
    return replace(report, damaged=(*report.damaged, *damaged), notes=(*report.notes, *notes))


def _verdict(report: AuditReport) -> str:
    from storage.fixity import CONFIDENCE

    words = "intact: everything that was read is what was written"
    if report.sampled is None or not report.sampled.below:
        return words
    some = f"{report.sampled.read} of {report.sampled.of} records, chosen at random"
    share = f"less than {report.sampled.below:.3%} of all records are damaged"
    return f"{words} ({some}; at {CONFIDENCE:.0%} confidence {share})"


def _print(report: AuditReport, *, as_json: bool) -> None:
    for finding in (*report.damaged, *report.missing, *report.orphans):
        if as_json:
            emit({"kind": finding.kind, "where": finding.where, "message": finding.message})
        else:
            tell(f"{finding.kind}: {finding.where}: {finding.message}")
    for note in report.notes:
        say(f"note: {note}")
    counts = {
        "objects": report.objects,
        "records": report.records,
        "entries": report.entries,
        "damaged": len(report.damaged),
        "missing": len(report.missing),
        "orphans": len(report.orphans),
    }
    if as_json:
        sampled = report.sampled
        extra = {} if sampled is None else {"sampled": {"read": sampled.read, "of": sampled.of, "below": sampled.below}}
        emit({"summary": {**counts, **extra}})
    else:
        tell(", ".join(f"{number} {name}" for name, number in counts.items()))

"""`pressmark audit`: re-read everything, recompute everything."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ops.cli.common import ArchiveDir, AsJson, emit, opened, progress, say, tell
from schemas.errors import CheckFailed, UsageError

if TYPE_CHECKING:
    from storage.fixity import AuditReport

#: Processes that read segments, unless said otherwise: one a core, and no more than a small server has.
CORES: Final = min(os.cpu_count() or 1, 4)


def audit(
    full: Annotated[bool, typer.Option("--full", help="Every object (the default without --sample).")] = False,
    sample: Annotated[int | None, typer.Option(min=1, metavar="N", help="N records, chosen at random.")] = None,
    rate: Annotated[float | None, typer.Option(min=1, metavar="BYTES", help="Read so many bytes a second.")] = None,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Processes that read segments.")] = CORES,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted audit stopped.")] = False,
    archive: ArchiveDir = None,
    json: AsJson = False,
) -> None:
    """Recompute every digest, root and checkpoint, and compare catalog, objects and log both ways."""
    from storage.fixity import AuditOptions
    from storage.fixity import audit as check

    if full and sample is not None:
        raise UsageError("--full and --sample exclude each other", remedy="give one of them")
    options = AuditOptions(sample=sample, rate=rate, workers=workers, resume=resume)
    with opened(archive) as (opened_archive, _), progress() as shown:
        report = check(opened_archive, options, progress=shown)
    try:
        _print(report, as_json=json)
    finally:  # the verdict is the exit code, whether or not anybody read all lines
        if not report.ok:
            raise CheckFailed("the audit found something wrong", remedy="see the lines above; keep the disk as it is")
    say(_verdict(report))


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

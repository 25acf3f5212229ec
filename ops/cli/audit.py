"""`pressmark audit`: re-read everything, recompute everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.common import ArchiveDir, AsJson, emit, opened, progress, say, tell
from schemas.errors import CheckFailed

if TYPE_CHECKING:
    from storage.fixity import AuditReport


def audit(
    full: Annotated[bool, typer.Option("--full", help="Every object (the default without --sample).")] = False,
    sample: Annotated[int | None, typer.Option(min=1, metavar="N", help="N segments, chosen at random.")] = None,
    archive: ArchiveDir = None,
    json: AsJson = False,
) -> None:
    """Recompute every digest, root and checkpoint, and compare catalog, objects and log both ways."""
    from storage.fixity import audit as check

    with opened(archive) as (opened_archive, _), progress() as shown:
        report = check(opened_archive, sample=None if full else sample, progress=shown)
    try:
        _print(report, as_json=json)
    finally:  # the verdict is the exit code, whether or not anybody read all lines
        if not report.ok:
            raise CheckFailed("the audit found something wrong", remedy="see the lines above; keep the disk as it is")
    say("intact: everything that was read is what was written")


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
        emit({"summary": counts})
    else:
        tell(", ".join(f"{number} {name}" for name, number in counts.items()))

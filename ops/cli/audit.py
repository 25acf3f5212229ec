"""`pressmark audit`: re-read everything, recompute everything."""

from __future__ import annotations

from typing import Annotated

import typer

from ops.cli.common import ArchiveDir, AsJson, emit, opened, say
from schemas.errors import CheckFailed


def audit(
    full: Annotated[bool, typer.Option("--full", help="Every object (the default without --sample).")] = False,
    sample: Annotated[int | None, typer.Option(min=1, metavar="N", help="N segments, chosen at random.")] = None,
    archive: ArchiveDir = None,
    json: AsJson = False,
) -> None:
    """Recompute every digest, root and checkpoint, and compare catalog, objects and log both ways."""
    from storage.fixity import audit as check

    with opened(archive) as (opened_archive, _):
        report = check(opened_archive, sample=None if full else sample)
    for finding in (*report.damaged, *report.missing, *report.orphans):
        if json:
            emit({"kind": finding.kind, "where": finding.where, "message": finding.message})
        else:
            print(f"{finding.kind}: {finding.where}: {finding.message}")
    counts = {
        "objects": report.objects,
        "records": report.records,
        "entries": report.entries,
        "damaged": len(report.damaged),
        "missing": len(report.missing),
        "orphans": len(report.orphans),
    }
    if json:
        emit({"summary": counts})
    else:
        print(", ".join(f"{number} {name}" for name, number in counts.items()))
    if not report.ok:
        raise CheckFailed("the audit found something wrong", remedy="see the lines above; keep the disk as it is")
    say("intact: everything that was read is what was written")

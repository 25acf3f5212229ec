"""`pressmark coverage`: what was asked for and how it ended, by outlet."""

from __future__ import annotations

from collections import Counter, defaultdict

from ops.cli.common import ArchiveDir, AsJson, emit, opened, tell


def coverage(archive: ArchiveDir = None, json: AsJson = False) -> None:
    """Captures and attempts by outlet, role and how they ended."""
    table: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    with opened(archive) as (opened_archive, _), opened_archive.catalog.read() as tx:
        for row in tx.captures.tallies():
            table[row.outlet_id or "-", row.role][row.reason] += row.count
    for (outlet, role), reasons in sorted(table.items()):
        if json:
            emit({"outlet": outlet, "role": role, "endings": dict(reasons)})
        else:
            tell(f"{outlet:32} {role:8} " + ", ".join(f"{n} {r}" for r, n in sorted(reasons.items())))

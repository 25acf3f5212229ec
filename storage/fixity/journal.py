"""What an audit has read so far, kept beside the archive so that one that is interrupted need not begin anew.

A line a segment, appended as each is done; whatever was torn by a stop is read again. Only sealed segments count: they
are put once, so that what was true of one is true of it still, as far as an audit an hour later would tell. The file is
disposable, and trusted only as far as the folder that it lies in.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from schemas.errors import InvalidValue
from schemas.outlets import Outlet, OutletChange
from storage.catalog.values import SegmentRow
from storage.disk import disk_errors
from storage.fixity.findings import Finding
from storage.fixity.work import SegmentResult

FILE: Final = "audit.progress"
_FORMAT: Final = "pressmark-audit-progress/1"
_COUNTS: Final = ("records", "captures", "versions", "imports")


class Journal:
    """The results of one audit by segment."""

    def __init__(self, directory: Path, *, resume: bool) -> None:
        """With `resume`, take over what lies there; else begin anew with the first result. Raises DiskError."""
        self._path = directory / FILE
        self._found = self._read() if resume else {}
        self._begun = resume

    def result(self, row: SegmentRow) -> SegmentResult | None:
        """What was found in a sealed segment by the audit that was interrupted."""
        return self._found.get(row.name) if row.state == "sealed" else None

    def note(self, result: SegmentResult) -> None:
        """Keep a result, where the disk can: a full or read-only one is no reason not to audit what is on it."""
        with suppress(OSError), self._path.open("a" if self._begun else "w") as stream:
            stream.write("\n" + json.dumps(_to_json(result)) + "\n")  # first ends a line that a stop left torn
        self._begun = True

    def remove(self) -> None:
        """All segments were read: nothing is left to resume."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _read(self) -> dict[str, SegmentResult]:
        found: dict[str, SegmentResult] = {}
        with disk_errors(f"cannot read {self._path}"):
            if not self._path.exists():
                return found
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in lines:
            try:
                result = _from_json(json.loads(line))
            except (ValueError, KeyError, TypeError, InvalidValue):
                continue  # torn by the stop: read again
            found[result.name] = result
        return found


def _to_json(result: SegmentResult) -> dict[str, Any]:
    changes = [OutletChange(change="update", at=at, outlet=outlet).to_json() for at, outlet in result.outlets.values()]
    return {
        "format": _FORMAT,
        "name": result.name,
        **{name: getattr(result, name) for name in _COUNTS},
        "outlets": changes,
        "spoiled": sorted(result.spoiled),
        "findings": [[f.kind, f.where, f.message] for f in result.findings],
        "notes": list(result.notes),
    }


def _from_json(value: Any) -> SegmentResult:
    if value["format"] != _FORMAT:
        raise InvalidValue("another format")
    changes = [OutletChange.from_json(change) for change in value["outlets"]]
    outlets: dict[str, tuple[datetime, Outlet]] = {c.outlet.id: (c.at, c.outlet) for c in changes}
    return SegmentResult(
        name=value["name"],
        **{name: int(value[name]) for name in _COUNTS},
        outlets=outlets,
        spoiled=frozenset(value["spoiled"]),
        findings=tuple(Finding(kind=kind, where=where, message=words) for kind, where, words in value["findings"]),
        notes=tuple(value["notes"]),
    )

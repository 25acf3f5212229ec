"""What the checks of an evidence bundle come to, and what they hand on to each other. The checks are in `bundles`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from schemas.bundle_layout import Part
from schemas.digests import Digest
from schemas.entries import Entry
from schemas.manifests import Manifest
from schemas.records import RecordView


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleFinding:
    """One thing that is wrong."""

    part: str  # name of the part, or "bundle"
    message: str

    def __str__(self) -> str:
        return f"{self.part}: {self.message}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What the checks of a bundle came to, as sentences."""

    findings: tuple[BundleFinding, ...]
    proven: tuple[str, ...]  # empty where anything is wrong
    unproven: tuple[str, ...]
    notes: tuple[str, ...]
    timestamped: datetime | None  # instant that a verified timestamp proves, None where none was checked

    @property
    def ok(self) -> bool:
        """True where nothing is wrong."""
        return not self.findings

    def lines(self) -> list[str]:
        """The report for people, a sentence a line."""
        if self.findings:
            return ["NOT VERIFIED", *(f"wrong: {finding}" for finding in self.findings)]
        return [
            "VERIFIED",
            *(f"proven: {text}" for text in self.proven),
            *(f"not proven: {text}" for text in self.unproven),
            *(f"note: {text}" for text in self.notes),
        ]


@dataclass(kw_only=True, slots=True)
class BundleState:
    """What the steps hand on to each other."""

    parts: Mapping[str, bytes]
    findings: list[BundleFinding] = field(default_factory=list)
    proven: list[str] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    entries: dict[int, Entry] = field(default_factory=dict)
    records: dict[str, tuple[Part, RecordView, Digest]] = field(default_factory=dict)  # by record id
    manifest: Manifest | None = None
    timestamped: datetime | None = None  # the earliest instant of a verified timestamp
    cosigned: dict[str, datetime] = field(default_factory=dict)  # witness -> when it cosigned, by its word

    def wrong(self, part: str, problem: object) -> None:
        self.findings.append(BundleFinding(part=part, message=str(problem)))

    def report(self) -> Report:
        return Report(
            findings=tuple(self.findings),
            proven=() if self.findings else tuple(self.proven),
            unproven=tuple(self.unproven),
            notes=tuple(self.notes),
            timestamped=None if self.findings else self.timestamped,
        )

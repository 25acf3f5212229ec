"""What an audit reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

DAMAGED: Final = "damaged"
MISSING: Final = "missing"
ORPHAN: Final = "orphan"

#: What reading a row raises that no writer of ours could have made: a text that is a number, a date beyond all dates.
UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError)

#: Told now and then: of what, how many are done, how many there are.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    kind: str  # damaged | missing | orphan
    where: str  # an object key, a segment and offset, a record, capture, article or entry
    message: str


#: With which probability a sample would have met damage of the share that it rules out.
CONFIDENCE: Final = 0.95


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampled:
    """How much a sample read, and what it says of the rest."""

    read: int  # records, chosen at random
    of: int  # records that there are

    @property
    def below(self) -> float:
        """Where nothing was found wrong: with probability CONFIDENCE, less than this share of all records is.

        Had a share s been wrong, a sample of n would have met none of it with probability (1 - s)^n at most: drawing
        without putting back meets it rather more often.
        """
        return 0.0 if self.read >= self.of else 1.0 - (1.0 - CONFIDENCE) ** (1.0 / max(self.read, 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditReport:
    """What an audit read and found. Orphans are what a stop or a stranger left: told, but no fault."""

    objects: int  # objects in the store
    records: int  # WARC records that were read
    entries: int  # log entries that were checked
    damaged: tuple[Finding, ...] = ()
    missing: tuple[Finding, ...] = ()
    orphans: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()  # what could not be looked at from here, in sentences
    sampled: Sampled | None = None  # None: all was read
    # What damaged objects of the log should hold, as its entries and signed root prove it, by key.
    right: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    @property
    def ok(self) -> bool:
        """True where nothing is damaged and nothing is missing."""
        return not self.damaged and not self.missing


class Findings:
    """Findings as they come in: the first of each kind about each place."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        """`known` are places about which something was found before, elsewhere: `has` speaks of them too."""
        self._known = frozenset(known)
        self._found: dict[tuple[str, str], Finding] = {}
        self.notes: list[str] = []

    def add(self, kind: str, where: str, message: str) -> None:
        """Note a finding; a later one of its kind about the same place says nothing new."""
        self._found.setdefault((kind, where), Finding(kind=kind, where=where, message=message))

    def has(self, where: str) -> bool:
        """True where anything was found about a place."""
        return where in self._known or any((kind, where) in self._found for kind in (DAMAGED, MISSING))

    def places(self) -> frozenset[str]:
        """Every place that `has` says yes to."""
        return self._known | {where for kind, where in self._found if kind != ORPHAN}

    def all(self) -> tuple[Finding, ...]:
        """All of them, in the order in which they were found."""
        return tuple(self._found.values())

    def count(self) -> int:
        """How many there are."""
        return len(self._found)

    def of(self, kind: str) -> tuple[Finding, ...]:
        """All of a kind, in the order in which they were found."""
        return tuple(found for found in self._found.values() if found.kind == kind)

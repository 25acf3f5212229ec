"""The passes of an audit, in order: the log, the segments, then all that only the catalog says.

The log comes first, so that an entry known to be damaged is told once and not again for each record it
names. Whole tables are walked only where the counts differ: every row that was met on the way from the
bytes is known to be right.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Final, TypeVar

from schemas import canonical
from schemas.entries import Entry
from schemas.errors import DamageError
from storage.archive import Archive
from storage.catalog import Tx
from storage.catalog.values import EntryRow
from storage.fixity.events import EventAudit
from storage.fixity.findings import DAMAGED, MISSING, ORPHAN, AuditReport, Findings, Progress
from storage.fixity.imports import damage_of
from storage.fixity.segments import SegmentAudit, differing
from storage.fixity.snapshots import SnapshotAudit
from storage.imports import META, ImportedFile
from storage.log.fsck import check_log
from storage.log.tree import PREFIX as LOG_PREFIX
from storage.segments import name_of_key
from storage.warc import OPEN_SUFFIX, SEALED_SUFFIX

#: Rows or keys looked at in one transaction: a snapshot held for longer would keep old pages of the whole
#: catalog.
PAGE: Final = 1000
#: Endings of segment files under DIR/open.
_SUFFIXES: Final = (OPEN_SUFFIX, SEALED_SUFFIX)

T = TypeVar("T")


def audit(archive: Archive, *, sample: int | None = None, progress: Progress | None = None) -> AuditReport:
    """Audit the whole archive, or, with `sample`, the log and so many segments chosen at random.

    May run beside a crawl. Raises StoreError, CatalogError and DiskError where a place cannot be reached,
    nothing for damage.
    """
    return _Audit(archive, progress or (lambda what, done, total: None)).run(sample)


class _Audit:
    """One run."""

    def __init__(self, archive: Archive, progress: Progress) -> None:
        self._archive, self._store, self._catalog = archive, archive.store, archive.catalog
        self._progress = progress
        self._findings = Findings()
        self._events = EventAudit(findings=self._findings)
        self._segments = SegmentAudit(archive, self._findings, self._events.check)
        self._snapshots = SnapshotAudit(archive, self._findings)
        self._objects = 0
        self._imported_keys: set[str] = set()

    def run(self, sample: int | None) -> AuditReport:
        """All passes."""
        entries = self._pass("log", self._check_log) or 0
        self._pass("segments", lambda: self._check_segments(sample))
        if sample is None:
            for what, work in (
                ("captures", self._check_captures),
                ("articles", self._check_versions),
                ("outlets", self._check_outlets),
                ("entries", self._check_entries),
                ("snapshots", self._check_snapshots),
                ("imports", self._check_imports),
                ("objects", self._check_objects),
            ):
                self._pass(what, work)
        found = self._findings
        return AuditReport(
            objects=self._objects,
            records=self._segments.records,
            entries=entries,
            damaged=found.of(DAMAGED),
            missing=found.of(MISSING),
            orphans=found.of(ORPHAN),
            notes=tuple(found.notes),
        )

    def _pass(self, what: str, work: Callable[[], T]) -> T | None:
        """One pass. A catalog that cannot be read on is a finding; the other passes still run."""
        try:
            return work()
        except DamageError as error:
            self._findings.add(DAMAGED, f"catalog, {what}", error.message)
        except (ValueError, TypeError, KeyError) as error:  # a row that no writer of ours could have made
            self._findings.add(DAMAGED, f"catalog, {what}", f"a row cannot be read: {error}")
        return None

    def _check_log(self) -> int:
        return check_log(
            self._store,
            self._catalog,
            origin=self._archive.log.origin,
            vkey=self._archive.vkey,
            report=self._findings.add,
            progress=lambda done, total: self._progress("log entries", done, total),
        )

    def _check_segments(self, sample: int | None) -> None:
        with self._catalog.read() as tx:
            # Captures before what was made of them, so that damage is told of what it is in.
            rows = sorted(tx.segments.all(), key=lambda row: (row.kind == "text", row.name))
        if sample is not None and sample < len(rows):
            # Which ones are read must not be known before: a seedable generator would do, an attacker's
            # clock not.
            rows = sorted(random.SystemRandom().sample(rows, sample), key=lambda row: (row.kind == "text", row.name))
            self._objects = len(rows)
        for done, row in enumerate(rows):
            self._progress("segments", done, len(rows))
            self._pass(f"segment {row.name}", partial(self._segments.check, row))
        self._progress("segments", len(rows), len(rows))

    # -- rows that nothing was read for

    def _check_captures(self) -> None:
        with self._catalog.read() as tx:
            if tx.captures.count() == self._events.captures:
                return
        after = 0
        while True:
            with self._catalog.read() as tx:
                page = tx.captures.after(after, PAGE)
                for capture in page:
                    if not any(row.record_id == capture.id for row in tx.captures.records_of(capture.id)):
                        self._findings.add(MISSING, f"capture {capture.id}", "its row is there, its records are not")
            if not page:
                return
            after = page[-1].seq

    def _check_versions(self) -> None:
        with self._catalog.read() as tx:
            if tx.articles.count(versions_too=True) == self._events.versions:
                return
            for row in tx.articles.search(latest_only=False):
                if tx.records.get(row.conversion_id) is None:
                    self._findings.add(
                        MISSING, f"article {row.article_id}", f"version {row.version} is there, its record is not"
                    )

    def _check_outlets(self) -> None:
        with self._catalog.read() as tx:
            rows = {outlet.id: outlet for outlet in tx.outlets.all(removed=True)}
        if self._segments.spoiled:
            return  # told already; what a damaged record said of an outlet is not known
        for outlet_id, (_, wanted) in self._events.outlets.items():
            row = rows.pop(outlet_id, None)
            if row is None:
                self._findings.add(MISSING, f"outlet {outlet_id}", "its records are there, the catalog lacks it")
            elif row != wanted:
                names = ", ".join(differing(row, wanted))
                self._findings.add(DAMAGED, f"outlet {outlet_id}", f"the catalog has another {names} than its records")
        for outlet_id in rows:
            self._findings.add(MISSING, f"outlet {outlet_id}", "the catalog has it, no record of it is there")

    def _check_entries(self) -> None:
        """What each entry commits to must be known."""
        with self._catalog.read() as tx:
            stop = tx.log.state().next_index
        for first in range(0, stop, PAGE):
            with self._catalog.read() as tx:
                for row in tx.log.entries(first, min(first + PAGE, stop)):
                    if not self._findings.has(f"entry {row.index}"):
                        self._check_entry(tx, row)
            self._progress("entries", min(first + PAGE, stop), stop)

    def _check_entry(self, tx: Tx, row: EntryRow) -> None:
        where = f"entry {row.index}"
        entry = Entry.decode(row.body)
        digests = list(entry.records.values())
        if isinstance(capture := entry.fields.get("capture"), str):
            digests.append(capture)
        for digest in digests:
            if tx.records.by_digest(digest) is None:
                self._findings.add(MISSING, where, f"it commits to a record of digest {digest}, which is not here")
        if entry.type == "segment" and tx.segments.get(entry.fields["name"]) is None:
            self._findings.add(MISSING, where, f"the catalog lacks segment {entry.fields['name']}, which it seals")
        if entry.type == "snapshot" and tx.snapshots.get(entry.fields["name"], entry.fields["version"]) is None:
            name = f"{entry.fields['name']}/{entry.fields['version']}"
            self._findings.add(MISSING, where, f"the catalog lacks snapshot {name}, which it seals")

    # -- snapshots and all other objects

    def _check_snapshots(self) -> None:
        with self._catalog.read() as tx:
            rows, published = tx.snapshots.all(), tx.log.state().size
        for done, row in enumerate(rows):
            self._progress("snapshots", done, len(rows))
            self._pass(f"snapshot {row.name}/{row.version}", partial(self._snapshots.check, row, published=published))

    def _check_imports(self) -> None:
        """The files of others that were taken in, copies and those that stay where they are, against their digests."""
        with self._catalog.read() as tx:
            notes = tx.meta.starting(META)
        if len(notes) > self._events.imports and not self._segments.spoiled:
            self._findings.add(MISSING, "imports", "the catalog notes more imported files than there are records of")
        for done, value in enumerate(notes.values()):
            self._progress("imports", done, len(notes))
            file = ImportedFile.from_json(canonical.loads(value.encode()))
            if file.key is not None:
                self._imported_keys.add(file.key)
            problem = damage_of(self._store, file)
            if problem is not None:
                self._findings.add(problem[0], file.where, problem[1])

    def _check_objects(self) -> None:
        """Every object must be one that the catalog knows, and every local file too."""
        for page in _pages(self._store.list()):
            self._objects += len(page)
            with self._catalog.read() as tx:
                for key in page:
                    self._check_object(tx, key)
        for path in (*self._archive.segments.waiting(), *self._archive.segments.left_open()):
            name = next(path.name.removesuffix(s) for s in _SUFFIXES if path.name.endswith(s))
            with self._catalog.read() as tx:
                if tx.segments.get(name) is None:
                    self._findings.add(ORPHAN, f"open/{path.name}", "the catalog knows no such segment")

    def _check_object(self, tx: Tx, key: str) -> None:
        if key.startswith(LOG_PREFIX) or key in self._snapshots.keys:
            return
        if key in self._imported_keys:
            return
        name = name_of_key(key)
        if name is None or tx.segments.get(name) is None:
            self._findings.add(ORPHAN, key, "the catalog knows no such object")


def _pages(keys: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while page := list(islice(rest, PAGE)):
        yield page

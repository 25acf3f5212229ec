"""The passes of an audit, in order: the log, the segments, then all that only the catalog says.

The log comes first, so that an entry known to be damaged is told once and not again for each record it
names. Whole tables are walked only where the counts differ: every row that was met on the way from the
bytes is known to be right.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar

from schemas import canonical
from schemas.errors import DamageError, DiskError, InvalidValue, StoreError
from schemas.outlets import Outlet
from storage import blocklist
from storage.archive import Archive
from storage.catalog import Tx
from storage.catalog.values import EntryRow, SegmentRow
from storage.fixity.anchors import AnchorAudit
from storage.fixity.catalog import CatalogAudit
from storage.fixity.findings import DAMAGED, MISSING, ORPHAN, UNREADABLE, AuditReport, Findings, Progress, Sampled
from storage.fixity.imports import damage_of
from storage.fixity.journal import Journal
from storage.fixity.sample import check_sample
from storage.fixity.segments import differing
from storage.fixity.snapshots import SnapshotAudit
from storage.fixity.traces import TraceAudit
from storage.fixity.watch import check_memory, remember
from storage.fixity.work import SegmentResult, check_segments
from storage.imports import META, ImportedFile
from storage.imports import PREFIX as IMPORTS
from storage.log.fsck import check_log
from storage.log.tree import PREFIX as LOG_PREFIX
from storage.redaction.external import sealed_as
from storage.repair import has_intact_copy, keys_of
from storage.segments import name_of_key
from storage.warc import OPEN_SUFFIX, SEALED_SUFFIX

#: Rows or keys looked at in one transaction: a snapshot held for longer would keep old pages of the whole
#: catalog.
PAGE: Final = 1000
#: Endings of segment files under DIR/open.
_SUFFIXES: Final = (OPEN_SUFFIX, SEALED_SUFFIX)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditOptions:
    """How an audit goes about it."""

    sample: int | None = None  # records chosen at random, instead of all
    rate: float | None = None  # bytes of segment files read in a second, at most
    workers: int = 1  # segments read at once, by threads and processes
    resume: bool = False  # take what an interrupted audit of this folder had read as read


def audit(archive: Archive, options: AuditOptions | None = None, *, progress: Progress | None = None) -> AuditReport:
    """Audit the whole archive, or, with `sample`, the log and so many records chosen at random.

    May run beside a crawl. Raises StoreError, CatalogError and DiskError where a place cannot be reached,
    nothing for damage.
    """
    return _Audit(archive, options or AuditOptions(), progress or (lambda what, done, total: None)).run()


class _Audit:
    """One run."""

    def __init__(self, archive: Archive, options: AuditOptions, progress: Progress) -> None:
        self._archive, self._store, self._catalog = archive, archive.store, archive.catalog
        self._options, self._progress = options, progress
        self._findings = Findings()
        self._snapshots = SnapshotAudit(archive, self._findings)
        self._tables = CatalogAudit(archive, self._findings)
        self._anchors = AnchorAudit(archive, self._findings)
        self._traces = TraceAudit(archive, self._findings)
        self._objects = self._records = self._captures = self._versions = self._imports = 0
        self._spoiled: set[str] = set()
        self._outlets: dict[str, tuple[datetime, Outlet]] = {}
        self._imported_keys: set[str] = set()
        self._right: dict[str, bytes] = {}
        self._journal = Journal(archive.directory, resume=options.resume)

    def run(self) -> AuditReport:
        """All passes."""
        entries = self._pass("log", self._check_log) or 0
        sampled: Sampled | None = None
        if self._options.sample is not None:
            sampled = self._pass("sample", self._check_sample)
        else:
            self._pass("segments", self._check_segments)
            for what, work in (
                ("file", self._tables.check_file),
                ("captures", self._check_captures),
                ("articles", self._check_versions),
                ("outlets", self._check_outlets),
                ("entries", self._check_entries),
                ("snapshots", self._check_snapshots),
                ("imports", self._check_imports),
                ("anchors", self._anchors.check),
                ("trace index", self._traces.check),
                ("objects", self._check_objects),
                ("tables", self._tables.check_tables),
            ):
                self._pass(what, work)
        self._name_copies()
        found = self._findings
        if not found.of(DAMAGED) and not found.of(MISSING):
            remember(self._archive)
        return AuditReport(
            objects=self._objects,
            records=self._records,
            entries=entries,
            damaged=found.of(DAMAGED),
            missing=found.of(MISSING),
            orphans=found.of(ORPHAN),
            notes=tuple(found.notes),
            sampled=sampled,
            right=self._right,
        )

    def _pass(self, what: str, work: Callable[[], T]) -> T | None:
        """One pass. A catalog that cannot be read on is a finding; the other passes still run."""
        try:
            return work()
        except DamageError as error:
            self._findings.add(DAMAGED, f"catalog, {what}", error.message)
        except UNREADABLE as error:
            self._findings.add(DAMAGED, f"catalog, {what}", f"a row cannot be read: {error}")
        return None

    def _check_log(self) -> int:
        check_memory(self._archive, self._findings)
        return check_log(
            self._store,
            self._catalog,
            origin=self._archive.log.origin,
            vkey=self._archive.vkey,
            report=self._findings.add,
            progress=lambda done, total: self._progress("log entries", done, total),
            right=self._right,
        )

    def _check_segments(self) -> None:
        with self._catalog.read() as tx:
            rows = tx.segments.all()
        done = 0
        self._progress("segments", done, len(rows))
        # Captures before what was made of them, so that damage is told of what it is in.
        for kind in sorted({row.kind for row in rows}, key=lambda kind: (kind == "text", kind)):
            some = [row for row in rows if row.kind == kind]
            known = self._findings.places()
            for result in self._results(some, known):
                self._take(result)
                done += 1
                self._progress("segments", done, len(rows))
        self._journal.remove()

    def _results(self, rows: Sequence[SegmentRow], known: frozenset[str]) -> Iterator[SegmentResult]:
        """The result of each segment: read now, or, on resuming, by the audit that was interrupted."""
        earlier = [result for row in rows if (result := self._journal.result(row)) is not None]
        yield from earlier
        done = {result.name for result in earlier}
        rest = [row for row in rows if row.name not in done]
        options = self._options
        for result in check_segments(self._archive, rest, known, workers=options.workers, rate=options.rate):
            self._journal.note(result)
            yield result

    def _check_sample(self) -> Sampled:
        assert self._options.sample is not None
        result, of = check_sample(self._archive, self._options.sample, self._findings, self._progress)
        self._records = result
        return Sampled(read=result, of=of)

    def _take(self, result: SegmentResult) -> None:
        """Bring together what reading one segment gave."""
        for finding in result.findings:
            self._findings.add(finding.kind, finding.where, finding.message)
        self._findings.notes.extend(result.notes)
        self._records += result.records
        self._captures += result.captures
        self._versions += result.versions
        self._imports += result.imports
        self._spoiled |= result.spoiled
        for outlet_id, change in result.outlets.items():
            if outlet_id not in self._outlets or self._outlets[outlet_id][0] <= change[0]:
                self._outlets[outlet_id] = change

    def _name_copies(self) -> None:
        """Say of what is damaged or missing whether the mirror holds it intact."""
        keys = keys_of(self._findings.places())
        if not keys or not self._archive.settings.mirror_url:
            return
        try:
            mirror = self._archive.mirror()
            intact = [] if mirror is None else [k for k in keys if has_intact_copy(self._archive, mirror, k)]
        except (StoreError, DiskError) as error:
            self._findings.notes.append(f"the mirror could not be asked for copies: {error.message}")
            return
        for key in sorted(intact):
            self._findings.notes.append(f"the mirror holds an intact copy of {key}: `pressmark audit --repair`")

    # -- rows that nothing was read for

    def _check_captures(self) -> None:
        with self._catalog.read() as tx:
            if tx.captures.count() == self._captures:
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
            if tx.articles.count(versions_too=True) == self._versions:
                return
            for row in tx.articles.search(latest_only=False):
                if tx.records.get(row.conversion_id) is None:
                    self._findings.add(
                        MISSING, f"article {row.article_id}", f"version {row.version} is there, its record is not"
                    )

    def _check_outlets(self) -> None:
        with self._catalog.read() as tx:
            rows = {outlet.id: outlet for outlet in tx.outlets.all(removed=True)}
        if self._spoiled:
            return  # told already; what a damaged record said of an outlet is not known
        for outlet_id, (_, wanted) in self._outlets.items():
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
                rows = tx.log.entries(first, min(first + PAGE, stop))
                # Their form was checked with the log.
                sound = [row for row in rows if not self._findings.has(f"entry {row.index}")]
                entries = [(row, json.loads(row.body)) for row in sound]
                wanted = {digest for _, entry in entries for digest in _digests(entry)}
                known = tx.records.digests(wanted)
                known |= tx.redactions.digests(wanted - known)
                for row, entry in entries:
                    self._check_entry(tx, row, entry, known)
            self._progress("entries", min(first + PAGE, stop), stop)

    def _check_entry(self, tx: Tx, row: EntryRow, entry: Mapping[str, Any], known: set[str]) -> None:
        where, kind = f"entry {row.index}", entry["type"]
        for digest in _digests(entry):
            if digest not in known:
                self._findings.add(MISSING, where, f"it commits to a record of digest {digest}, which is not here")
        imported = kind == "segment" and entry["name"].startswith(IMPORTS)
        if kind == "segment" and not imported and tx.segments.get(entry["name"]) is None:
            self._findings.add(MISSING, where, f"the catalog lacks segment {entry['name']}, which it seals")
        if kind == "snapshot" and tx.snapshots.get(entry["name"], entry["version"]) is None:
            name = f"{entry['name']}/{entry['version']}"
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
        if len(notes) > self._imports and not self._spoiled:
            self._findings.add(MISSING, "imports", "the catalog notes more imported files than there are records of")
        for done, value in enumerate(notes.values()):
            self._progress("imports", done, len(notes))
            file = ImportedFile.from_json(canonical.loads(value.encode()))
            if file.key is not None:
                self._imported_keys.add(file.key)
            with self._catalog.read() as tx:
                sealed = sealed_as(tx, file.where, file)
            problem = damage_of(self._store, file, sealed)
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

    def _check_block_list(self, tx: Tx, key: str) -> None:
        """A list of what must not come back must be that of a redaction, and hold what the catalog has."""
        data = self._store.get(key)
        index = _entry_of_list(data)
        if index is None or key != blocklist.object_key(index) or tx.redactions.get(index) is None:
            self._findings.add(DAMAGED, key, "it is not the block list of a redaction in the log")
        elif blocklist.encode(index, tx.redactions.marks(index)) != data:
            self._findings.add(DAMAGED, key, "the catalog has other marks than the block list")

    def _check_object(self, tx: Tx, key: str) -> None:
        if key.startswith(LOG_PREFIX) or key in self._snapshots.keys:
            return
        if key in self._imported_keys or key in self._anchors.keys or key in self._traces.keys:
            return
        if key.startswith(blocklist.PREFIX):
            self._check_block_list(tx, key)
            return
        name = name_of_key(key)
        if name is None or tx.segments.get(name) is None:
            self._findings.add(ORPHAN, key, "the catalog knows no such object")


def _entry_of_list(data: bytes) -> int | None:
    try:
        return blocklist.decode(data)[0]
    except InvalidValue:
        return None


def _digests(entry: Mapping[str, Any]) -> list[str]:
    """Digests of all records that an entry names."""
    capture = entry.get("capture")
    return [*entry.get("records", {}).values(), *([capture] if isinstance(capture, str) else [])]


def _pages(keys: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while page := list(islice(rest, PAGE)):
        yield page

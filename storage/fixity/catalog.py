"""The catalog as a whole: its file, what its tables say of each other, and the rows that the log and names explain.

Rows of records, captures, versions, photos, fingerprints and outlets are compared with records where these are read
(`segments`, `events`), snapshots and imports where theirs are. Left alone is what is no content: leases, back-off and
schedules (when a source or an address is asked next, with which validators, and what a list said of an address that was
not fetched yet), counters, the minute in which a segment was begun or a snapshot built, and why a page gave no article.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from schemas import canonical
from schemas.entries import CLOSED, Entry
from schemas.errors import InvalidValue
from schemas.images import ImageReading
from schemas.instants import parse_rfc3339, to_micros
from storage import imports
from storage.archive import Archive
from storage.catalog import Tx
from storage.catalog.values import EntryRow, SegmentRow, SnapshotRow
from storage.events import CHAIN_META, CHAIN_URN
from storage.fixity.findings import DAMAGED, MISSING, Findings
from storage.log.anchors import META as ANCHORS
from storage.segments import object_key

#: Beginnings of the keys of what the catalog notes of itself; other parts of the code know what stands behind them.
_NOTES: Final = (CHAIN_META, imports.META, ANCHORS, "service ", "mirror whole", "audit last", "trace ")
#: States of a redaction.
_REDACTION_STATES: Final = ("pending", "done")


class CatalogAudit:
    """Checks the catalog beside what reading the segments told."""

    def __init__(self, archive: Archive, findings: Findings) -> None:
        self._archive, self._findings = archive, findings

    def check_file(self) -> None:
        """The database's own file. Raises DamageError where it cannot be looked through."""
        for sentence in self._archive.catalog.file_faults():
            self._findings.add(DAMAGED, f"catalog, {sentence}"[:200], sentence)

    def check_tables(self) -> None:
        """All else. Raises CatalogError, DamageError."""
        parts: tuple[Callable[[Tx], None], ...] = (
            self._contradictions,
            self._readings,
            self._notes,
            self._segments,
            self._snapshots,
            self._redactions,
            self._restrictions,
        )
        for part in parts:
            with self._archive.catalog.read() as tx:
                part(tx)

    def _damaged(self, where: str, message: str) -> None:
        self._findings.add(DAMAGED, where, message)

    def _contradictions(self, tx: Tx) -> None:
        for fault in tx.checks.faults():
            if not any(self._findings.has(place) for place in (fault.where, fault.also or fault.where)):
                self._damaged(fault.where, fault.message)
        origin = tx.log.state().origin
        if origin not in ("", self._archive.log.origin):
            self._damaged("catalog, log_state", f"it is of the log {origin}, the settings name another")

    def _readings(self, tx: Tx) -> None:
        """What was read in images must read back as it was written; by another reading, `--rederive` compares."""
        for row in tx.images.all():
            try:
                reading = ImageReading.from_json(canonical.loads(row.reading.encode()))
                same = (reading.dumps(), reading.reader.identity, reading.phash) == (row.reading, row.reader, row.phash)
            except InvalidValue:
                same = False
            if not same:
                self._damaged(f"image {row.capture_id}", "what the catalog has of it is no reading by its reader")

    def _notes(self, tx: Tx) -> None:
        notes = tx.meta.starting("")
        for key, value in notes.items():
            if not key.startswith(_NOTES):
                self._damaged(f"catalog, meta {key[:80]}", "no note of ours has such a name")
            elif key.startswith(CHAIN_META):
                record, name = tx.records.get(value), key.removeprefix(CHAIN_META)
                if record is None or record.target_uri != CHAIN_URN + name:
                    self._damaged(f"catalog, meta {key[:100]}", f"{value} is not the record of this certificate chain")
            elif key.startswith(imports.META):
                file = canonical.loads(value.encode())
                if not isinstance(file, dict) or key != f"{imports.META}{file.get('sha256')}":
                    self._damaged(f"catalog, meta {key[:100]}", "it is noted under another digest than the file's")

    def _segments(self, tx: Tx) -> None:
        told: dict[str, set[str]] = {
            state: {Entry.decode(row.body).fields["name"] for row in tx.log.holding(kind, "")}
            for state, kind in (("sealed", "segment"), ("lost", "loss"))
        }
        for row in tx.segments.all():
            problem = _segment_problem(row, told.get(row.state, set()))
            if problem is not None:
                self._damaged(f"segment {row.name}", problem)

    def _snapshots(self, tx: Tx) -> None:
        superseding = {}
        for row in tx.log.holding("snapshot", '"supersedes"'):
            superseding[row.index] = Entry.decode(row.body).fields["supersedes"]
        noted = tx.snapshots.supersedings()
        for index in sorted(superseding.keys() | noted.keys()):
            if superseding.get(index) != noted.get(index):
                self._damaged(f"entry {index}", "the catalog says otherwise which snapshot it took the place of")
        for snapshot in tx.snapshots.all():
            self._snapshot(snapshot)

    def _snapshot(self, row: SnapshotRow) -> None:
        where = f"snapshot {row.name}/{row.version}"
        if row.prefix != f"snapshots/{row.name}/{row.version}/":
            self._damaged(where, f"the catalog looks for its files at {row.prefix[:80]}")
        elif not 0 <= row.tree_size <= row.log_index:
            self._damaged(where, f"a tree of {row.tree_size} entries, of which entry {row.log_index} came behind")

    # -- what was taken down, and what is closed

    def _redactions(self, tx: Tx) -> None:
        entries = {row.index: row for row in tx.log.holding("redaction", "")}
        known: set[str] = set()
        rows = {row.log_index: row for row in tx.redactions.all()}
        for index in sorted(entries.keys() | rows.keys()):
            entry, row = entries.get(index), rows.get(index)
            where = f"redaction {index}"
            if entry is None or row is None:
                self._findings.add(MISSING, where, "log and catalog do not both have it")
                continue
            fields = Entry.decode(entry.body).fields
            told = (fields["code"], fields["authority"], fields.get("scope"))
            if (row.code, row.authority, row.scope) != told or row.state not in _REDACTION_STATES:
                self._damaged(where, "the catalog has another code, authority, scope or state than its entry")
            self._targets(tx, index, fields["targets"], known)
            known.update(fields["targets"])

    def _targets(self, tx: Tx, index: int, targets: list[str], known: set[str]) -> None:
        wanted = [(place, digest) for place, digest in enumerate(targets) if digest not in known]
        found = tx.redactions.targets(index)
        if [(row.place, row.digest) for row in found] != wanted:
            self._damaged(f"redaction {index}", "the catalog names other records than its entry")
        for row in found:
            if row.entry is None:
                continue  # of a record that no entry speaks of, or that was gone when the catalog was made anew
            entry = tx.log.entry(row.entry)
            if entry is None or Entry.decode(entry.body).records.get(row.role or "") != row.digest:
                self._damaged(f"redaction {index}", f"entry {row.entry} does not speak of target {row.place}")

    def _restrictions(self, tx: Tx) -> None:
        newest: dict[str, EntryRow] = {}
        for row in tx.log.holding("restriction", ""):
            newest[row.subject or ""] = row
        rows = {row.subject: row for row in tx.restrictions.all()}
        for subject in sorted(newest.keys() | rows.keys()):
            closed, wanted = rows.get(subject), _restriction(newest.get(subject))
            found = None if closed is None else (closed.log_index, closed.code, closed.until)
            if found != wanted:
                self._damaged(f"restriction of {subject}", "the catalog has another than the log")


def _restriction(row: EntryRow | None) -> tuple[int, str | None, int | None] | None:
    """Index, code and end of a restriction in force by its last entry; None where there is none."""
    if row is None:
        return None
    fields = Entry.decode(row.body).fields
    if fields["change"] != CLOSED:
        return None
    until = fields.get("until")
    return row.index, fields.get("code"), None if until is None else to_micros(parse_rfc3339(until))


def _segment_problem(row: SegmentRow, told: set[str]) -> str | None:
    if row.state != "open" and row.name not in told:
        return f"the catalog has it as {row.state}, and the log does not"
    if row.state == "sealed" and row.object_key != object_key(row.name):
        return f"the catalog looks for it at {(row.object_key or '')[:100]}"
    if row.state == "open" and (row.object_key, row.length, row.sha256) != (None, None, None):
        return "the catalog has it as open, and yet as stored"
    return None

"""One event against what should follow from it: its catalog row and its log entry.

The catalog's rows are made anew from the records by the functions that made them (`storage.events`,
`storage.archive`) and must be equal, field by field. Rows and entries that nothing was read for are left to
`run`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from schemas.articles import Article
from schemas.captures import Capture
from schemas.entries import Entry, article_entry, outlet_entry
from schemas.errors import InvalidValue
from schemas.outlets import Outlet
from storage import events, imports
from storage.catalog import Tx
from storage.catalog.base import clean
from storage.catalog.images import photo_rows
from storage.catalog.values import EntryRow, VersionRow
from storage.derived import entry_of, import_entry_of, version_row
from storage.events import Event
from storage.fingerprints import keys_of
from storage.fixity.findings import DAMAGED, MISSING, ORPHAN, Findings
from storage.fixity.segments import differing

#: Rows read ahead of where the audit stands: enough that a query costs little beside them, few enough that what is read
#: for nothing at the end of a segment does too.
AHEAD: Final = 100
#: Texts of strangers, in which the catalog puts a sign where a database cannot hold theirs.
_FOREIGN: Final = ("media_type", "location", "etag", "last_modified", "item_url")
#: What a capture is given by the catalog and the log.
_OWN: Final = frozenset({"seq", "log_index"})


@dataclass(kw_only=True, slots=True)
class EventAudit:
    """Compares events as they are read, and counts those whose row was there."""

    findings: Findings
    captures: int = 0
    versions: int = 0
    imports: int = 0
    _captures_ahead: dict[str, Capture] = field(default_factory=dict)
    _entries_ahead: dict[int, EntryRow] = field(default_factory=dict)
    outlets: dict[str, tuple[datetime, Outlet]] = field(default_factory=dict)  # newest change by outlet id

    def check(self, tx: Tx, event: Event) -> None:
        """Compare one whole event. Raises CatalogError, nothing for damage."""
        try:
            if event.kind == "capture":
                self._capture(tx, event)
            elif event.kind == "article":
                self._article(tx, event)
            elif event.kind == "outlet":
                self._outlet(tx, event)
            elif event.kind == "import":
                self._import(tx, event)
        except InvalidValue as error:
            self.findings.add(DAMAGED, f"{event.kind} {event.id}", f"its records cannot be read: {error.message}")

    def _capture(self, tx: Tx, event: Event) -> None:
        where = f"capture {event.id}"
        row = self._capture_row(tx, event.id or "")
        if row is None:
            self.findings.add(MISSING, where, "its records are there, the catalog lacks its row")
            return
        self.captures += 1
        wanted = events.capture_of(event)
        if names := _not_as_kept(row, wanted):
            self.findings.add(DAMAGED, where, f"the catalog has another {', '.join(names)} than its records")
        self._entry(tx, where, row.log_index, entry_of(event, wanted))

    def _article(self, tx: Tx, event: Event) -> None:
        record = event.records[-1][0]
        article = Article.from_block(record.block)
        where = f"article {article.id}"
        row = tx.articles.by_conversion(record.record_id)
        if row is None:
            # Two workers may read the same page at once: one of their conversions becomes the version.
            kind = MISSING if tx.log.find(record.record_id) is not None else ORPHAN
            self.findings.add(kind, where, f"conversion {record.record_id} is there, the catalog lacks its version")
            return
        self.versions += 1
        refers = record.header("WARC-Refers-To") or ""
        capture, main = tx.captures.get(refers), tx.records.get(refers)
        if capture is None or main is None:
            self.findings.add(MISSING, where, f"the catalog lacks the capture {refers} that it was made from")
            return
        if not self.findings.has(f"capture {refers}"):
            self._version(where, row, version_row(event, article, capture, row.version, row.log_index))
        photos = photo_rows((photo.position, photo.url) for photo in article.photos)
        if row.row_id is not None and tx.images.photos_of(row.row_id) != photos:
            message = f"version {row.version} in the catalog has other addresses of photos than its record"
            self.findings.add(DAMAGED, where, message)
        keys = tx.fingerprints.get(row.row_id or 0)
        if keys is not None and keys != keys_of(article.text):
            message = f"version {row.version} is in the trace index with other keys than its text"
            self.findings.add(DAMAGED, where, message)
        entry = article_entry(conversion=event.digests()["conversion"], capture=main.digest)
        self._entry(tx, where, row.log_index, entry)

    def _version(self, where: str, row: VersionRow, wanted: VersionRow) -> None:
        """All but what the catalog alone knows: its row id and when the version was last seen."""
        wanted = wanted._replace(row_id=row.row_id, last_seen=max(row.last_seen, wanted.last_seen))
        if row != wanted:
            names = ", ".join(differing(row, wanted))
            self.findings.add(
                DAMAGED, where, f"version {row.version} in the catalog has another {names} than its record"
            )

    def _outlet(self, tx: Tx, event: Event) -> None:
        change = events.outlet_change_of(event)
        where = f"outlet change {event.id}"
        known = self.outlets.get(change.outlet.id)
        if known is None or known[0] <= change.at:
            self.outlets[change.outlet.id] = (change.at, change.outlet)
        found = tx.log.find(event.id or "", "outlet")
        entry = outlet_entry(change=change.change, resource=event.digests()["resource"])
        self._entry(tx, where, found.index if found is not None else None, entry)

    def _import(self, tx: Tx, event: Event) -> None:
        where = f"import {event.id}"
        self.imports += 1
        key, value = imports.note_of(event.records[-1][0].block)
        kept = tx.meta.get(key)
        if kept is None:
            self.findings.add(MISSING, where, "its record is there, the catalog's note of the file is not")
        elif kept != value:
            self.findings.add(DAMAGED, where, "the catalog's note of the file is not that of its record")
        found = tx.log.find(event.id or "", "import")
        self._entry(tx, where, found.index if found is not None else None, import_entry_of(event))

    def _entry(self, tx: Tx, where: str, index: int | None, wanted: Entry) -> None:
        """The log entry of an event must be the one that its records make."""
        row = self._entry_row(tx, index) if index is not None else None
        if row is None:
            if index is None or not self.findings.has(f"entry {index}"):
                self.findings.add(MISSING, where, "the log has no entry for it")
        elif row.body != wanted.encode() and not self.findings.has(f"entry {index}"):
            self.findings.add(DAMAGED, where, f"log entry {index} is not that of its records")

    def _capture_row(self, tx: Tx, capture_id: str) -> Capture | None:
        """The row of a capture, read with those that follow it: records stand nearly in their order."""
        row = self._captures_ahead.pop(capture_id, None)
        if row is None:
            row = tx.captures.get(capture_id)
            if row is not None:
                self._captures_ahead = {c.id: c for c in tx.captures.after(row.seq, AHEAD)}
        return row

    def _entry_row(self, tx: Tx, index: int) -> EntryRow | None:
        """A log entry, read with those that follow it."""
        row = self._entries_ahead.pop(index, None)
        if row is None:
            self._entries_ahead = {e.index: e for e in tx.log.entries(index, index + AHEAD)}
            row = self._entries_ahead.pop(index, None)
        return row


def _not_as_kept(row: Capture, capture: Capture) -> list[str]:
    """The fields in which a row differs from its capture as the catalog can hold it. Its place and its entry are the
    catalog's own.
    """
    names = [name for name in differing(row, capture) if name not in _OWN]
    if not names:
        return names
    kept: dict[str, Any] = {name: clean(getattr(capture, name)) for name in _FOREIGN}
    kept["hints"] = {k: clean(v) or "" for k, v in capture.hints.items()}
    return [name for name in names if name not in kept or getattr(row, name) != kept[name]]

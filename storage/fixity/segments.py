"""Segments, read once each as a stream: framing, digests, and the catalog's rows beside them.

Rows and records are walked in step by offset. Where the stream breaks off at damage, the rows that follow
are read one by one, so that every damaged record is named and every whole one still counts.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Final, cast

from schemas.entries import Entry
from schemas.errors import DamageError, InvalidValue, NotFound, SegmentElsewhere
from schemas.records import block_findings
from storage import events
from storage.archive import Archive
from storage.catalog import Tx
from storage.catalog.values import RecordRow, SegmentRow
from storage.events import Event
from storage.fixity.findings import DAMAGED, MISSING, ORPHAN, Findings
from storage.segments import CHUNK, object_key
from storage.warc import Stored, read_member, read_segment, tombstone_of

#: A row and its record; a row whose record is damaged or gone (told already); a record that has no row.
Pair = tuple[RecordRow | None, Stored | None]
#: Called with each whole event, within the transaction that read its rows.
OnEvent = Callable[[Tx, Event], None]

#: Records that belong to no event: nothing in the log speaks of them but their segment's own entry.
_ALONE: Final = frozenset({"warcinfo", "resource"})


#: Digests of erased records that are held while a segment is read (some 150 bytes each); of more, each is asked for.
ERASED_HELD: Final = 10_000


class _Erased:
    """Which records redactions name, as one transaction sees them."""

    __slots__ = ("_held", "_tx")

    def __init__(self, tx: Tx, *, most: int) -> None:
        """`most` is how many digests may be held, so that not every record costs a query."""
        self._tx, self._held = tx, tx.redactions.few_digests(most) if most else None

    def __contains__(self, digest: str) -> bool:
        if self._held is not None:
            return digest in self._held
        return self._tx.redactions.by_digest(digest) is not None


class SegmentAudit:
    """Reads segments one after another. `records` counts those that were read."""

    def __init__(
        self,
        archive: Archive,
        findings: Findings,
        on_event: OnEvent,
        *,
        rate: float | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """`rate` bounds what is read, in bytes of the files a second; once `stop` is set, Stopped is raised."""
        self._archive, self._findings, self._on_event = archive, findings, on_event
        self._rate, self._stop = rate, stop
        self.records = 0
        self.spoiled: set[str] = set()  # events of which a record is damaged or gone

    def check(self, row: SegmentRow) -> None:
        """One segment, wherever it stands. Raises StoreError, CatalogError, DiskError; nothing for damage."""
        try:
            stream = self._archive.segments.open(row.name)
        except NotFound:
            self._gone(row)
            return
        with stream, self._archive.catalog.read() as tx:
            # After the file was opened: what a row says of its segment was true of the file before.
            current = tx.segments.get(row.name) or row
            hashing = HashingReader(stream, rate=self._rate, stop=self._stop)
            intact = self._walk(tx, current, cast(BinaryIO, hashing))
            if current.state == "open":
                self._findings.notes.append(f"segment {row.name} stands in one local copy until it is sealed")
            else:
                self._check_object(tx, current, hashing, intact=intact)

    def check_one(self, tx: Tx, row: RecordRow) -> None:
        """One record by itself, with the others of its event. Raises StoreError, CatalogError, DiskError."""
        rows = tx.records.of_event(row.event_id) if row.event_id is not None else [row]
        group: list[Stored] = []
        erased = _Erased(tx, most=0)
        for one in rows:
            try:
                stored = read_member(self._archive.segments.member(one), name=one.segment, offset=one.offset)
            except SegmentElsewhere as error:
                self._findings.notes.append(error.message)
                return
            except DamageError as error:
                self._findings.add(DAMAGED, _place(one.segment, one.offset), error.message)
                continue
            if self._check_record(tx, one, stored, erased):
                group.append(stored)
        self.records += 1
        if len(group) == len(rows):
            self._flush(tx, row.event_id, group)

    def _gone(self, row: SegmentRow) -> None:
        """The segment stands nowhere that can be reached from here."""
        with self._archive.catalog.read() as tx:
            current = tx.segments.get(row.name) or row
            known = sum(1 for _ in tx.records.in_segment(row.name))
        if current.state == "open" and current.worker != self._archive.worker:
            self._findings.notes.append(f"segment {row.name} is open on worker {row.worker} and was not read")
            return
        where = object_key(row.name) if current.state == "sealed" else row.name
        why = ", which the log records as lost" if current.state == "lost" else ""
        self._findings.add(MISSING, where, f"the segment{why} is gone, and {known} acknowledged records with it")

    # -- rows and records in step

    def _walk(self, tx: Tx, segment: SegmentRow, stream: BinaryIO) -> bool:
        """Check records against rows and hand on whole events; True where nothing was wrong with the
        records.
        """
        before = self._findings.count()
        group: list[Stored] = []
        event_id: str | None = None
        erased = _Erased(tx, most=ERASED_HELD)
        for row, stored in self._pairs(tx, segment, stream):
            if stored is not None:
                self.records += 1
            if row is None:
                assert stored is not None
                self._stray(tx, stored)
                continue
            sound = stored is not None and self._check_record(tx, row, stored, erased)
            if not sound and row.event_id is not None:
                self.spoiled.add(row.event_id)
            if row.event_id != event_id:
                self._flush(tx, event_id, group)
                group, event_id = [], row.event_id
            if stored is not None:
                group.append(stored)
        self._flush(tx, event_id, group)
        return self._findings.count() == before

    def _pairs(self, tx: Tx, segment: SegmentRow, stream: BinaryIO) -> Iterator[Pair]:
        rows = tx.records.in_segment(segment.name)
        row = next(rows, None)
        at = 0

        def length_of(offset: int) -> int | None:
            return row.length if row is not None and row.offset == offset else None

        reading = read_segment(stream, name=segment.name, length_of=length_of)
        while row is not None or segment.state != "open":  # what a writer appended since has no rows yet
            try:
                stored = next(reading, None)
            except DamageError as error:
                self._findings.add(DAMAGED, _place(segment.name, at), error.message)
                yield from self._one_by_one(segment.name, at, row, rows)
                return
            if stored is None:
                break
            while row is not None and row.offset < stored.ref.offset:
                self._no_record_at(row)
                yield row, None
                row = next(rows, None)
            if row is not None and row.offset == stored.ref.offset:
                yield row, stored
                row = next(rows, None)
            else:
                yield None, stored
            at = stored.ref.offset + stored.ref.length
        while row is not None:
            self._no_record_at(row)
            yield row, None
            row = next(rows, None)

    def _one_by_one(self, name: str, at: int, row: RecordRow | None, rows: Iterator[RecordRow]) -> Iterator[Pair]:
        """The rows from a damaged place on, each record read by itself."""
        while row is not None:
            stored: Stored | None = None
            if row.offset != at:
                try:
                    stored = read_member(self._archive.segments.member(row), name=name, offset=row.offset)
                except DamageError as error:
                    self._findings.add(DAMAGED, _place(name, row.offset), error.message)
            yield row, stored
            row = next(rows, None)

    def _no_record_at(self, row: RecordRow) -> None:
        self._findings.add(
            MISSING,
            _place(row.segment, row.offset),
            f"there is no record here; the catalog has {row.type} {row.record_id}",
        )

    def _stray(self, tx: Tx, stored: Stored) -> None:
        """A record that the catalog does not know: acknowledged, if the log speaks of it, else left by a
        stop.
        """
        place = _place(stored.ref.segment, stored.ref.offset)
        ids = [stored.record_id, *stored.all("WARC-Concurrent-To")]
        if any(tx.log.find(i) is not None for i in ids):
            self._findings.add(
                MISSING, place, f"the catalog lacks {stored.type} {stored.record_id}, which is in the log"
            )
        else:
            self._findings.add(ORPHAN, place, f"{stored.type} {stored.record_id} was never acknowledged")

    # -- one record

    def _check_record(self, tx: Tx, row: RecordRow, stored: Stored, erased: _Erased) -> bool:
        """The record's own digests, and its row; True where both hold."""
        place = _place(row.segment, row.offset)
        before = self._findings.count()
        for sentence in block_findings(stored.first, stored.view, stored.http):
            self._findings.add(DAMAGED, place, f"{stored.type} {stored.record_id}: {sentence}")
        if row.digest != stored.ref.digest and not _in_log(tx, row, stored.ref.digest):
            self._findings.add(
                DAMAGED, place, f"{stored.type} {stored.record_id} is not the record that was acknowledged"
            )
            return False
        try:
            wanted = events.record_row(stored, stored.ref, row.event_id)
        except InvalidValue as error:
            self._findings.add(DAMAGED, place, f"{stored.type} {stored.record_id}: {error.message}")
            return False
        stone = tombstone_of(stored)
        if stone is not None:
            self._check_tombstone(tx, row, stored, stone)
        elif stored.ref.digest in erased:
            self._unredacted(tx, stored)
        alone = stone is not None or stored.type in _ALONE
        if row != wanted or (row.event_id is None and not alone):
            names = differing(row, wanted) or ["event_id"]
            self._findings.add(DAMAGED, f"record {row.record_id}", f"the catalog has another {', '.join(names)}")
        return self._findings.count() == before

    def _check_tombstone(self, tx: Tx, row: RecordRow, stored: Stored, place: tuple[int, int]) -> None:
        """A tombstone must be the one of a target of a redaction in the log: else it hides a record."""
        target = tx.redactions.at(*place)
        if target is None or target.record_id != stored.header("WARC-Refers-To"):
            where = _place(row.segment, row.offset)
            self._findings.add(DAMAGED, where, f"a tombstone that log entry {place[0]} does not ask for")

    def _unredacted(self, tx: Tx, stored: Stored) -> None:
        """A record that a redaction names still stands."""
        erased = tx.redactions.by_digest(stored.ref.digest)
        redaction = tx.redactions.get(erased.log_index) if erased is not None else None
        if redaction is None:
            return
        place = _place(stored.ref.segment, stored.ref.offset)
        if redaction.state == "done":
            self._findings.add(
                DAMAGED, place, f"an unredacted copy: log entry {redaction.log_index} says that it was erased"
            )
        else:
            self._findings.notes.append(f"{place} waits to be erased (redaction {redaction.log_index})")

    # -- one event

    def _flush(self, tx: Tx, event_id: str | None, group: list[Stored]) -> None:
        """Hand on the records of one event, unless one of them is known to be damaged."""
        if event_id is None or event_id in self.spoiled or not group:
            return
        try:
            found = list(events.group((stored, stored.ref) for stored in group))
        except InvalidValue as error:
            self._findings.add(DAMAGED, f"event {event_id}", error.message)
            return
        if len(found) != 1 or len(found[0].records) != len(group) or found[0].id != event_id:
            self._findings.add(
                DAMAGED, f"event {event_id}", "the records that the catalog groups do not make one event"
            )
            return
        self._on_event(tx, found[0])

    # -- the object

    def _check_object(self, tx: Tx, row: SegmentRow, hashing: HashingReader, *, intact: bool) -> None:
        """The whole file's digest against row and log entry."""
        sha256, length = hashing.finish()
        where = row.object_key or row.name
        entry = tx.log.find(row.name, "segment")
        logged = _logged(entry.body) if entry is not None else None
        if logged is None:
            self._findings.add(MISSING, f"segment {row.name}", "the log has no entry for this sealed segment")
        if (sha256, length) in (logged, (row.sha256, row.length)) and logged != (row.sha256, row.length):
            self._findings.add(DAMAGED, f"segment {row.name}", "catalog and log name different digests for it")
        elif (sha256, length) != (row.sha256, row.length) and sha256 in _superseded(tx, row.name):
            self._findings.add(DAMAGED, where, "an unredacted copy: it is as it was before a redaction")
        elif (sha256, length) != (row.sha256, row.length):
            some = "though each record in it is whole" if intact else "see its records"
            self._findings.add(DAMAGED, where, f"its bytes are not those that were sealed, {some}")


class Stopped(Exception):
    """Nobody waits any longer for what was being read."""


class HashingReader:
    """A stream that hashes what is read through it, at most `rate` bytes a second where one is set."""

    def __init__(
        self, stream: BinaryIO, *, rate: float | None = None, stop: threading.Event | None = None
    ) -> None:
        self._stream, self._rate, self._stop = stream, rate, stop or threading.Event()
        self._digest, self._length = hashlib.sha256(), 0
        self._begun = time.monotonic()

    def read(self, size: int = -1) -> bytes:
        """As the stream's own. Raises Stopped."""
        data = self._stream.read(size)
        self._digest.update(data)
        self._length += len(data)
        late = 0.0 if self._rate is None else self._begun + self._length / self._rate - time.monotonic()
        if self._stop.wait(late) if late > 0 else self._stop.is_set():
            raise Stopped
        return data

    def finish(self) -> tuple[str, int]:
        """(SHA-256 as `sha256:hex`, length in bytes) of the whole stream; reads what is left of it."""
        while self.read(CHUNK):
            pass
        return f"sha256:{self._digest.hexdigest()}", self._length


def differing(one: object, other: object) -> list[str]:
    """Names of the fields in which two values of one class differ."""
    names: Iterable[str] = getattr(one, "__dataclass_fields__", getattr(one, "_fields", ()))
    return [name for name in names if getattr(one, name) != getattr(other, name)]


def _place(segment: str, offset: int) -> str:
    return f"{segment} at {offset}"


def _in_log(tx: Tx, row: RecordRow, digest: str) -> bool:
    """True where the log commits to this digest for the row's event: then the row is wrong, not the record."""
    entry = tx.log.find(row.event_id) if row.event_id is not None else None
    return entry is not None and digest.encode() in entry.body


def _superseded(tx: Tx, name: str) -> set[str]:
    """Digests that a segment had before redactions."""
    entries = (Entry.decode(row.body) for row in tx.log.about(name) if row.type == "segment")
    return {entry.fields["supersedes"] for entry in entries if "supersedes" in entry.fields}


def _logged(body: bytes) -> tuple[str, int] | None:
    """(digest, length) of a segment entry; None where it cannot be read, which is told elsewhere."""
    try:
        fields = Entry.decode(body).fields
    except InvalidValue:
        return None
    return fields["sha256"], fields["length"]

"""Redactions, read before all else: what they name is made no rows of, whether or not it still stands somewhere.

All that is known of them anew comes from the log, from the tombstones and from the block lists in the store. Each is
pending until the next start has looked for what is left of it.
"""

from __future__ import annotations

from collections.abc import Callable

from schemas.captures import RecordRef
from schemas.entries import Entry
from schemas.errors import InvalidValue, NotFound
from storage import blocklist
from storage.blobs import BlobStore
from storage.catalog import ErasedRow, RedactionRow, Tx
from storage.events import RecordLike
from storage.rebuild.log import StoredLog
from storage.warc import tombstone_of

#: Roles of the record whose id is an event's, the first that an entry has.
_MAIN = ("response", "revisit", "conversion", "resource", "metadata")


class Redactions:
    """The redactions of a log, while a catalog is made anew."""

    def __init__(self, tx: Tx, store: BlobStore, log: StoredLog, problem: Callable[[str], None]) -> None:
        """Notes every redaction that the log has, what it names, and what must not come back."""
        self._tx, self._store = tx, store
        self._named: dict[str, ErasedRow] = {}
        self._indices: list[int] = []
        for first, bodies in log.pages():
            for index, body in enumerate(bodies, first):
                if b'"type":"redaction"' in body:
                    self._add(index, Entry.decode(body))
        self._read_lists(problem)

    def _add(self, index: int, entry: Entry) -> None:
        fields = entry.fields
        row = RedactionRow(
            log_index=index,
            state="pending",
            code=fields["code"],
            authority=fields["authority"],
            scope=fields.get("scope"),
        )
        targets = [
            ErasedRow(digest=digest, log_index=index, place=place, record_id=None, role=None, entry=None)
            for place, digest in enumerate(fields["targets"])
            if digest not in self._named
        ]
        self._tx.redactions.add(row, targets)
        self._named.update({target.digest: target for target in targets})
        self._indices.append(index)

    def found(self, view: RecordLike, ref: RecordRef) -> None:
        """Take a record of a segment into account: a tombstone, or one that should have become one."""
        place = tombstone_of(view)
        if place is not None:
            target = self._tx.redactions.at(*place)
            record_id = view.header("WARC-Refers-To")
        else:
            target, record_id = self._named.get(ref.digest), ref.record_id
        if target is not None:
            self._tx.redactions.describe(target.digest, record_id=record_id)

    def names(self, entry: Entry) -> bool:
        """True where an entry commits to a record that was redacted: nothing is made of it."""
        return bool(self._named) and any(digest in self._named for digest in entry.records.values())

    def describe(self, index: int, entry: Entry) -> str | None:
        """Note what an entry tells of erased records; its subject."""
        for role, digest in entry.records.items():
            if digest in self._named:
                self._tx.redactions.describe(digest, role=role, entry=index)
        main = next((entry.records[role] for role in _MAIN if role in entry.records), "")
        erased = self._tx.redactions.by_digest(main)
        return erased.record_id if erased is not None else None

    def _read_lists(self, problem: Callable[[str], None]) -> None:
        for index in self._indices:
            try:
                _, marks = blocklist.decode(self._store.get(blocklist.object_key(index)))
                self._tx.redactions.block(marks, index)
            except NotFound:
                pass  # it is put before any record goes: told below where one is gone
            except InvalidValue as error:
                problem(f"the block list of redaction {index}: {error.message}")

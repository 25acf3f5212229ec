"""Completing what was logged: block list, tombstones, snapshots, the database's own files; then `done`.

Runs at once, and again at each start until every place was reached. Each step may be stopped and run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from schemas.errors import AlreadyExists, CatalogError, DiskError, RedactionPending, ServiceError, StoreError
from storage import blocklist
from storage.archive import Archive
from storage.blobs import BlobStore
from storage.catalog import ErasedRow, RedactionRow
from storage.disk import disk_errors
from storage.lock import mending
from storage.redaction.erase import SCRATCH, erase_segment
from storage.redaction.external import erase_imported


@dataclass(kw_only=True, slots=True)
class Progress:
    """What completing redactions came to."""

    done: list[int] = field(default_factory=list)  # entries of which nothing is left to do
    segments: int = 0  # files that were rewritten
    snapshots: list[str] = field(default_factory=list)  # new versions of datasets
    pending: list[str] = field(default_factory=list)  # what could not be reached, in sentences
    notes: list[str] = field(default_factory=list)  # what this process may not purge


def stores_of(archive: Archive) -> list[BlobStore]:
    """Every store that may hold a copy, the archive's own first. Raises StoreError, DiskError for a mirror."""
    mirror = archive.mirror()
    return [archive.store] if mirror is None else [archive.store, mirror]


def resume(archive: Archive, stores: Sequence[BlobStore] | None = None) -> Progress:
    """Complete every redaction that is logged and not done. Raises DamageError, CatalogError, DiskError.

    What cannot be reached is told in `pending`, and the redaction stays as it is; the rest of it is done.
    """
    progress = Progress()
    with archive.catalog.read() as tx:
        if not tx.redactions.all("pending"):
            return progress
    with mending(archive.directory):
        _clear(archive)
        with archive.catalog.read() as tx:
            pending = tx.redactions.all("pending")
        try:
            everywhere = list(stores) if stores is not None else stores_of(archive)
        except (StoreError, DiskError) as error:
            progress.pending.append(f"the mirror cannot be reached: {error.message}")
            everywhere = [archive.store]
        _complete(archive, everywhere, pending, progress)
    return progress


def _clear(archive: Archive) -> None:
    """Remove what a stopped run left half written."""
    folder = archive.directory / SCRATCH
    with disk_errors(f"cannot clear {folder}"):
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            path.unlink(missing_ok=True)


def _complete(archive: Archive, stores: list[BlobStore], pending: Sequence[RedactionRow], progress: Progress) -> None:
    whole = [row for row in pending if _erase(archive, stores, row, progress)]
    whole = [] if progress.pending else whole
    try:
        progress.snapshots += _redact_snapshots(archive, stores, pending)
    except ServiceError as error:
        progress.pending.append(f"snapshots could not be rewritten: {error.message}")
        whole = []
    try:
        progress.notes += archive.catalog.purge()
    except CatalogError as error:
        progress.pending.append(error.message)
        whole = []
    for row in whole:
        with archive.catalog.begin() as tx:
            tx.redactions.done(row.log_index)
        progress.done.append(row.log_index)


def _erase(archive: Archive, stores: list[BlobStore], row: RedactionRow, progress: Progress) -> bool:
    """The steps of one redaction outside the database; True where all of them were taken."""
    with archive.catalog.read() as tx:
        targets, marks = tx.redactions.targets(row.log_index), tx.redactions.marks(row.log_index)
    whole = True
    try:
        for store in stores:
            if marks:
                with suppress(AlreadyExists):  # an audit tells of another list in its place
                    store.put(blocklist.object_key(row.log_index), blocklist.encode(row.log_index, marks))
    except ServiceError as error:
        progress.pending.append(f"the block list of redaction {row.log_index} could not be put: {error.message}")
        whole = False
    for work in (erase_imported, _erase_segments):
        try:
            progress.segments += work(archive, stores, row, targets)
        except (RedactionPending, ServiceError) as error:
            progress.pending.append(str(error))
            whole = False
            break  # what an imported file holds is found by the records on it: they go last
    return whole


def _erase_segments(archive: Archive, stores: list[BlobStore], row: RedactionRow, targets: Sequence[ErasedRow]) -> int:
    """Tombstones in all segments that hold targets, those of articles first; how many files were rewritten.

    Raises RedactionPending where one could not be reached; the others are done all the same.
    """
    with archive.catalog.read() as tx:
        names = {record.segment for t in targets if (record := tx.records.by_digest(t.digest)) is not None}
    failed: list[ServiceError] = []
    for name in sorted(names, key=lambda name: (not name.startswith("text-"), name)):
        try:
            erase_segment(archive, stores, row, name, targets)
        except ServiceError as error:
            failed.append(error)
    if failed:
        raise RedactionPending("; ".join(error.message for error in failed), remedy=failed[0].remedy)
    return len(names)


def _redact_snapshots(archive: Archive, stores: list[BlobStore], pending: Sequence[RedactionRow]) -> list[str]:
    if next(iter(archive.store.list("snapshots/")), None) is None:
        return []
    with archive.catalog.read() as tx:
        erased = {t.digest: row.log_index for row in pending for t in tx.redactions.targets(row.log_index)}
    # Not before it is needed: most archives have no dataset, and the Parquet library is large.
    from storage.datasets.redact import redact_snapshots

    return redact_snapshots(archive, stores, erased)

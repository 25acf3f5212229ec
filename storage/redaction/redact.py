"""A redaction from what was asked to what is left for others to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from storage.archive import Archive
from storage.blobs import BlobStore
from storage.redaction.intent import Plan, find_late, log_intent
from storage.redaction.resume import resume
from storage.redaction.values import Outcome

#: What no archive reaches. Printed after each redaction, by the catalog's dialect; the first are for all.
REMAINDERS: Final = {
    "": (
        "bundles and datasets that were handed out",
        "backups and disk or bucket snapshots of the archive's folder, objects and catalog",
        "blocks that a disk no longer counts to any file (secure erase, or an encrypted disk whose key is dropped)",
        "temporary folders of commands that were killed (pressmark-* under TMPDIR)",
    ),
    "sqlite": (),
    "postgresql": (
        "the server's write-ahead log (pg_wal until it is recycled, archived WAL, replicas, logical decoding slots)",
        "its logs, where it logs statements",
    ),
}


def redact(archive: Archive, plan: Plan, stores: Sequence[BlobStore] | None = None) -> Outcome:
    """Log what a plan takes, erase it wherever it is reached, publish the log.

    Raises UsageError where a choice is missing, DamageError, CatalogError, DiskError; what could not be reached is told
    in the outcome.
    """
    indices = log_intent(archive, plan)
    archive.rotate(force=True)  # what this process writes is sealed, so that it can be rewritten
    progress = resume(archive, stores)
    while late := find_late(archive, plan):  # a crawl beside us kept it once more before it could know
        indices += log_intent(archive, late)
        archive.rotate(force=True)
        more = resume(archive, stores)
        progress.segments += more.segments
        progress.snapshots += more.snapshots
        progress.pending = more.pending
    archive.seal()
    with archive.catalog.read() as tx:
        records = sum(len(tx.redactions.targets(index)) for index in indices)
    return Outcome(
        entries=tuple(indices),
        records=records,
        segments=progress.segments,
        snapshots=tuple(progress.snapshots),
        pending=tuple(progress.pending),
        remainders=(*REMAINDERS[""], *REMAINDERS[archive.catalog.dialect], *progress.notes),
    )

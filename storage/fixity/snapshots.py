"""Sealed datasets: manifest, log entry, every file, and where those hold, the rows themselves."""

from __future__ import annotations

from typing import Final

from schemas.entries import snapshot_entry
from schemas.errors import InvalidValue, NotFound
from storage.archive import Archive
from storage.catalog.values import SnapshotRow
from storage.fixity.findings import DAMAGED, MISSING, Findings
from storage.segments import hash_stream

MANIFEST: Final = "manifest.json"
FILES: Final = "files.json"


class SnapshotAudit:
    """Checks snapshots one after another. `keys` holds the objects that belong to them."""

    def __init__(self, archive: Archive, findings: Findings) -> None:
        self._archive, self._findings = archive, findings
        self.keys: set[str] = set()

    def check(self, row: SnapshotRow, *, published: int) -> None:
        """One snapshot; `published` is the size of the published log. Raises StoreError, CatalogError,
        DiskError.
        """
        before = self._findings.count()
        self._check_file(row.prefix + MANIFEST, row.manifest_sha256, None)
        self._check_entry(row)
        self._check_files(row)
        if self._findings.count() > before:
            return
        where = f"snapshot {row.name}/{row.version}"
        if row.log_index >= published:
            self._findings.notes.append(f"{where} waits for the next checkpoint; its rows were not read")
            return
        with self._archive.catalog.read() as tx:
            if tx.snapshots.superseded(row) is not None:
                return  # rows of it were redacted: the manifest is what is left, by intent
        # Not before it is needed: most archives have no dataset, and the Parquet library is large.
        from storage.datasets.verify import verify

        for sentence in verify(self._archive, row.name, row.version):
            self._findings.add(DAMAGED, where, sentence)

    def _check_entry(self, row: SnapshotRow) -> None:
        where = f"snapshot {row.name}/{row.version}"
        try:
            with self._archive.catalog.read() as tx:
                supersedes = tx.snapshots.supersedes(row.log_index)
            wanted = snapshot_entry(
                name=row.name,
                version=row.version,
                root=row.root,
                manifest=row.manifest_sha256,
                rows=row.rows,
                supersedes=supersedes,
            )
        except InvalidValue as error:
            self._findings.add(DAMAGED, where, f"its row in the catalog is damaged: {error.message}")
            return
        with self._archive.catalog.read() as tx:
            entry = tx.log.entry(row.log_index)
        if entry is None:
            self._findings.add(MISSING, where, f"the log has no entry {row.log_index}, which should seal it")
        elif entry.body != wanted.encode() and not self._findings.has(f"entry {row.log_index}"):
            self._findings.add(DAMAGED, where, f"log entry {row.log_index} is not that of its row in the catalog")

    def _check_files(self, row: SnapshotRow) -> None:
        from storage.datasets.describe import read_files_json

        key = row.prefix + FILES
        self.keys.add(key)
        try:
            files = read_files_json(self._archive.store.get(key))
        except NotFound:
            self._findings.add(MISSING, key, "the list of the snapshot's files is gone")
            return
        except InvalidValue as error:
            self._findings.add(DAMAGED, key, error.message)
            return
        for file in files:
            self._check_file(row.prefix + file.name, file.sha256, file.length)

    def _check_file(self, key: str, sha256: str, length: int | None) -> None:
        self.keys.add(key)
        try:
            with self._archive.store.open(key) as stream:
                found = hash_stream(stream)
        except NotFound:
            self._findings.add(MISSING, key, "a file of a snapshot is gone")
            return
        if found[0] != sha256 or length not in (None, found[1]):
            self._findings.add(DAMAGED, key, "its bytes are not those that were sealed")

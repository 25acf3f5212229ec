"""Rows taken out of sealed datasets: a new MAJOR version without them, in which their digests still stand.

Croissant asks for a new MAJOR version where rows change ("Version" of its specification). Its manifest has the root of
the one before, for `redacted.json` tells where each digest of a row that is gone stands among those of the rows that
are left; its entry supersedes the manifest before. Of the old version only the manifest stays. Which records are gone
is left to `storage.redaction`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from schemas.entries import snapshot_entry
from schemas.errors import NotFound
from schemas.instants import to_micros
from schemas.manifests import Manifest, row_digest
from storage.archive import Archive
from storage.blobs import BlobStore
from storage.catalog.values import SnapshotRow
from storage.datasets.build import describe_all, file_of, next_major, put_all
from storage.datasets.describe import (
    COVERAGE,
    DATA,
    Facts,
    RedactedRow,
    files_json,
    read_files_json,
    read_redacted,
    redacted_json,
)
from storage.datasets.parquet import Writer, column_values, read_rows
from storage.datasets.places import (
    FILES,
    MANIFEST,
    REDACTED,
    SNAPSHOTS,
    fetch,
    local,
    prefix_of,
    read_manifest,
    scratch,
)
from storage.datasets.rows import digested
from storage.disk import disk_errors
from storage.log.sequencer import append


def redact_snapshots(archive: Archive, stores: Sequence[BlobStore], erased: dict[str, int]) -> list[str]:
    """Take the rows of erased conversions (record digest -> redaction) out of every kept snapshot.

    The names NAME/VERSION of the new versions. Safe to run again after a stop at any point. Raises DamageError,
    StoreError, CatalogError, DiskError.
    """
    with archive.catalog.read() as tx:
        rows = tx.snapshots.all()
    made = []
    for row in rows:
        with archive.catalog.read() as tx:
            newer = tx.snapshots.superseded(row)
        if newer is None and _holds(archive, row, erased):
            newer = _supersede(archive, row, erased)
            made.append(f"{newer.name}/{newer.version}")
        if newer is not None:
            _empty(archive, stores, row)
    _erase_strays(archive, stores)
    return made


def _erase_strays(archive: Archive, stores: Sequence[BlobStore]) -> None:
    """Erase files of snapshots that were never logged: builds that a stop ended, or that will see and give up."""
    with archive.catalog.read() as tx:
        known = {row.prefix for row in tx.snapshots.all()}
    for store in stores:
        for key in list(store.list(SNAPSHOTS)):
            if "/".join(key.split("/")[:3]) + "/" not in known:
                store.erase(key)


def _shards(archive: Archive, row: SnapshotRow) -> list[str]:
    try:
        files = read_files_json(archive.store.get(row.prefix + FILES))
    except NotFound:
        return []
    return [file.name for file in files if file.name.startswith(DATA)]


def _holds(archive: Archive, row: SnapshotRow, erased: Collection[str]) -> bool:
    for name in _shards(archive, row):
        with local(archive, row.prefix + name) as path:
            if any(value in erased for value in column_values(path, "conversion_digest")):
                return True
    return False


def _supersede(archive: Archive, row: SnapshotRow, erased: dict[str, int]) -> SnapshotRow:
    """The version that takes a snapshot's place: put, then logged."""
    old = read_manifest(archive, row)
    with scratch() as folder:
        facts, gone = _rewrite(archive, row, old, erased, folder)
        if archive.store.exists(row.prefix + COVERAGE):
            fetch(archive, row.prefix + COVERAGE, folder / COVERAGE)
        with disk_errors(f"cannot write {folder}"):
            (folder / REDACTED).write_bytes(redacted_json(gone))
        manifest = replace(old, version=next_major(archive, row.name))
        files = describe_all(archive, manifest, facts, folder)
        put_all(archive, prefix_of(row.name, manifest.version), files, folder)
    entry = snapshot_entry(
        name=manifest.name,
        version=manifest.version,
        root=str(manifest.root),
        manifest=str(manifest.sha256),
        rows=manifest.rows,
        supersedes=row.manifest_sha256,
    )
    with archive.catalog.begin() as tx:
        tx.log.lock()
        index = append(tx, entry, subject=f"{manifest.name}/{manifest.version}")
        new = replace(
            row,
            version=manifest.version,
            manifest_sha256=str(manifest.sha256),
            created=to_micros(archive.clock()),
            log_index=index,
            prefix=prefix_of(manifest.name, manifest.version),
        )
        tx.snapshots.add(new)
        tx.snapshots.supersede(row.manifest_sha256, index)
    return new


def _rewrite(
    archive: Archive, row: SnapshotRow, manifest: Manifest, erased: dict[str, int], folder: Path
) -> tuple[Facts, list[RedactedRow]]:
    """Write the rows that stay; what is known of them, and where the digests of the others stand."""
    before = {gone.at: gone for gone in _redacted(archive, row)}
    facts, at = Facts(), 0
    gone: list[RedactedRow] = []
    with disk_errors(f"cannot make {folder}"):
        (folder / DATA).parent.mkdir()
    writer = Writer((folder / DATA).parent, manifest.columns)

    def pass_over() -> int:
        place = at
        while place in before:
            gone.append(before[place])
            place += 1
        return place

    for name in _shards(archive, row):
        with local(archive, row.prefix + name) as path:
            for found in read_rows(path, manifest.columns):
                at = pass_over()
                entry = erased.get(found["conversion_digest"])
                if entry is None:
                    writer.add(found)
                    facts.add(found)
                else:
                    digest = row_digest(digested(found, manifest.digested_columns))
                    gone.append(RedactedRow(at=at, digest=f"sha256:{digest.hex()}", entry=entry))
                at += 1
    pass_over()
    writer.close()
    facts.redacted = len(gone)
    return facts, gone


def _redacted(archive: Archive, row: SnapshotRow) -> list[RedactedRow]:
    try:
        return read_redacted(archive.store.get(row.prefix + REDACTED))
    except NotFound:
        return []


def _empty(archive: Archive, stores: Sequence[BlobStore], row: SnapshotRow) -> None:
    """Of a version whose place another took, leave the manifest and the list that names it alone."""
    with scratch() as folder:
        fetch(archive, row.prefix + MANIFEST, folder / MANIFEST)
        listed = folder / FILES
        with disk_errors(f"cannot write {folder}"):
            listed.write_bytes(files_json([file_of(folder, folder / MANIFEST)]))
        for store in stores:
            _empty_in(store, row.prefix, listed)


def _empty_in(store: BlobStore, prefix: str, listed: Path) -> None:
    for key in list(store.list(prefix)):
        if key not in (prefix + FILES, prefix + MANIFEST):
            store.erase(key)
    if store.exists(prefix + FILES):
        held = f"sha256:{hashlib.sha256(store.get(prefix + FILES)).hexdigest()}"
        store.rewrite(prefix + FILES, listed, expected=held)

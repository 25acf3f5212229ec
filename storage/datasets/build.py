"""Building a dataset: choose, write, describe, put, log. In this order, so that a stop leaves files that nothing names.

A version is never written twice: files that a stop left keep their place, and the next build takes the next version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from schemas.canonical import dumps
from schemas.checkpoints import Checkpoint, open_checkpoint
from schemas.digests import Digest
from schemas.entries import snapshot_entry
from schemas.errors import AlreadyExists, CatalogError, CheckFailed, DamageError, InvalidValue, NotFound
from schemas.instants import to_micros
from schemas.manifests import Column, Manifest, row_digest, rows_root
from storage.archive import Archive
from storage.catalog.values import SnapshotRow
from storage.datasets import coverage as covering
from storage.datasets import describe
from storage.datasets.describe import Facts, File
from storage.datasets.parquet import Writer, write_table
from storage.datasets.places import (
    CARD,
    CROISSANT,
    FILES,
    MANIFEST,
    check_out,
    export,
    prefix_of,
    read_manifest,
    scratch,
)
from storage.datasets.rows import columns, digested, make_row, without_text
from storage.datasets.selection import Selection, check_name, choose
from storage.disk import disk_errors
from storage.log.sequencer import append
from storage.segments import hash_stream
from storage.withholding import withheld_among


@dataclass(frozen=True, kw_only=True, slots=True)
class _Made:
    """Rows that were written."""

    columns: tuple[Column, ...]
    root: Digest
    facts: Facts
    extractors: tuple[Mapping[str, Any], ...]
    left_out: Mapping[str, int]

    @property
    def rows(self) -> int:
        return sum(self.facts.rows.values())


def build(archive: Archive, name: str, selection: Selection, *, out: Path | None = None) -> SnapshotRow:
    """Seal the article versions that a selection names under the published log, as the next version of a dataset.

    The same rows of the same selection again give the snapshot that is there. With `out`, the files are copied to that
    new or empty folder too. Raises UsageError, NotFound where the selection names an unknown outlet or no article,
    DamageError, StoreError, CatalogError, DiskError.
    """
    check_name(name)
    if out is not None:
        check_out(out)
    archive.integrate()
    note, head = _published(archive)
    with scratch() as folder:
        made = _write(archive, selection, head.size, folder)
        row, version = _next(archive, name, selection, made)
        if row is None:
            manifest = _manifest(name, version, selection, note, head, made)
            files = describe_all(archive, manifest, made.facts, folder)
            put_all(archive, prefix_of(name, version), files, folder)
            row = _seal(archive, manifest, files)
    if out is not None:
        export(archive, row, out)
    return row


def _published(archive: Archive) -> tuple[str, Checkpoint]:
    """The published checkpoint, which bounds what a dataset may hold."""
    note = archive.log.checkpoint()
    if note is None:
        raise NotFound("nothing was archived yet", remedy="run `pressmark crawl` first")
    try:
        return note, open_checkpoint(note.encode(), archive.vkey)
    except (CheckFailed, InvalidValue) as error:
        raise DamageError(
            f"the published checkpoint is not one of this archive: {error.message}", remedy="run `pressmark audit`"
        ) from error


def _write(archive: Archive, selection: Selection, tree_size: int, folder: Path) -> _Made:
    """Write rows and coverage. Memory is bounded by a row group and a digest a row."""
    cols = columns(with_text=selection.with_text)
    names = tuple(column.name for column in cols if column.digested)
    digests: list[bytes] = []
    facts = Facts()
    extractors: dict[bytes, Mapping[str, Any]] = {}
    with disk_errors(f"cannot make {folder}"):
        (folder / describe.DATA).parent.mkdir()
    writer = Writer((folder / describe.DATA).parent, cols)
    with archive.catalog.read() as tx:
        chosen = choose(tx, selection, tree_size, partial(withheld_among, archive))
        if not chosen.row_ids:
            raise NotFound("the selection names no article", remedy="widen it, or see `pressmark articles`")
        for row_id in chosen.row_ids:
            version = tx.articles.by_row(row_id)
            assert version is not None  # of the same transaction
            row, extractor = make_row(archive, tx, version, tree_size)
            row = row if selection.with_text else without_text(row)
            writer.add(row)
            facts.add(row)
            digests.append(row_digest(digested(row, names)))
            extractors[dumps(extractor)] = extractor
        covered = covering.coverage(tx, selection, tree_size)
    writer.close()
    write_table(folder / describe.COVERAGE, covering.COLUMNS, covered)
    return _Made(
        columns=cols,
        root=rows_root(digests),
        facts=facts,
        extractors=tuple(extractors[key] for key in sorted(extractors)),
        left_out=chosen.left_out,
    )


def _next(archive: Archive, name: str, selection: Selection, made: _Made) -> tuple[SnapshotRow | None, str]:
    """The snapshot that holds the same already, or None; and the version that a new one gets.

    Other rows are a new MAJOR version; the same rows by another selection are a new PATCH (Croissant 1.1, "Version").
    """
    with archive.catalog.read() as tx:
        row = tx.snapshots.get(name)
    version = "1.0.0"
    if row is not None:
        manifest = read_manifest(archive, row)
        same = manifest.root == made.root and manifest.columns == made.columns
        if same and dict(manifest.selection) == selection.to_json():
            return row, row.version
        version = _patch(row.version) if same else f"{int(row.version.partition('.')[0]) + 1}.0.0"
    while any(archive.store.list(prefix_of(name, version))):  # left by a stop, or being put just now
        version = _patch(version)
    return None, version


def _patch(version: str) -> str:
    start, _, patch = version.rpartition(".")
    return f"{start}.{int(patch) + 1}"


def _manifest(name: str, version: str, selection: Selection, note: str, head: Checkpoint, made: _Made) -> Manifest:
    counts = {f"outlet.{outlet_id}": number for outlet_id, number in made.facts.rows.items()}
    counts |= {f"left_out.{reason}": number for reason, number in made.left_out.items()}
    return Manifest(
        name=name,
        version=version,
        origin=head.origin,
        tree_size=head.size,
        checkpoint=note,
        selection=selection.to_json(),
        extractors=made.extractors,
        columns=made.columns,
        rows=made.rows,
        root=made.root,
        counts=counts,
    )


def next_major(archive: Archive, name: str) -> str:
    """The next free MAJOR version of a dataset."""
    with archive.catalog.read() as tx:
        majors = [int(row.version.partition(".")[0]) for row in tx.snapshots.all() if row.name == name]
    major = max(majors, default=0) + 1
    while any(archive.store.list(prefix_of(name, f"{major}.0.0"))):  # left by a stop
        major += 1
    return f"{major}.0.0"


def describe_all(archive: Archive, manifest: Manifest, facts: Facts, folder: Path) -> list[str]:
    """Write what stands beside the rows; the names of all files, the manifest last."""
    creator = archive.settings.warcinfo.get("operator") or manifest.origin
    with disk_errors(f"cannot write {folder}"):
        (folder / MANIFEST).write_bytes(manifest.encode())
        files = [file_of(folder, path) for path in sorted(folder.rglob("*")) if path.is_file()]
        (folder / CROISSANT).write_bytes(describe.croissant(manifest, files, facts, creator))
        (folder / CARD).write_bytes(describe.card(manifest, facts, creator))
        files += [file_of(folder, folder / name) for name in (CROISSANT, CARD)]
        (folder / FILES).write_bytes(describe.files_json(files))
    return [*(file.name for file in files if file.name != MANIFEST), FILES, MANIFEST]


def file_of(folder: Path, path: Path) -> File:
    """A file of a folder with length and digest."""
    with path.open("rb") as stream:
        sha256, length = hash_stream(stream)
    return File(name=path.relative_to(folder).as_posix(), length=length, sha256=sha256)


def put_all(archive: Archive, prefix: str, names: Sequence[str], folder: Path) -> None:
    """Put files of a folder, in this order. Raises StoreError."""
    for name in names:
        archive.store.put_file(prefix + name, folder / name)


def _seal(archive: Archive, manifest: Manifest, files: Sequence[str]) -> SnapshotRow:
    """Log a snapshot whose files are durable, and note it. Raises AlreadyExists where another build came first.

    Where a redaction was logged since the rows were chosen, the files are erased again: raises CatalogError.
    """
    try:
        return _log(archive, manifest)
    except CatalogError:
        for name in files:
            archive.store.erase(prefix_of(manifest.name, manifest.version) + name)
        raise


def _log(archive: Archive, manifest: Manifest) -> SnapshotRow:
    entry = snapshot_entry(
        name=manifest.name,
        version=manifest.version,
        root=str(manifest.root),
        manifest=str(manifest.sha256),
        rows=manifest.rows,
    )
    with archive.catalog.begin() as tx:
        tx.log.lock()
        if any(redaction.log_index >= manifest.tree_size for redaction in tx.redactions.all()):
            raise CatalogError("a redaction was logged while the snapshot was built", remedy="run it again")
        known = tx.snapshots.get(manifest.name, manifest.version)
        if known is not None:
            if known.manifest_sha256 == str(manifest.sha256):
                return known
            raise AlreadyExists(f"{manifest.name}/{manifest.version} was built just now", remedy="run it again")
        index = append(tx, entry, subject=f"{manifest.name}/{manifest.version}")
        row = SnapshotRow(
            name=manifest.name,
            version=manifest.version,
            tree_size=manifest.tree_size,
            root=str(manifest.root),
            manifest_sha256=str(manifest.sha256),
            rows=manifest.rows,
            created=to_micros(archive.clock()),
            log_index=index,
            prefix=prefix_of(manifest.name, manifest.version),
        )
        tx.snapshots.add(row)
    return row

"""Checking a dataset: files, rows, root, entry and checkpoint, and each row against the record that it was made from.

Trusts nothing but the log key: every digest is computed anew. What may be wrong with the records themselves beyond the
digests is left to `storage.fixity`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from schemas.articles import text_of
from schemas.checkpoints import open_checkpoint
from schemas.digests import Digest
from schemas.entries import snapshot_entry
from schemas.errors import CheckFailed, DamageError, InvalidValue, NotFound
from schemas.manifests import ROW_NONCE, Manifest, row_digest, rows_root
from schemas.merkle import verify_consistency
from storage.archive import Archive
from storage.catalog.values import RecordRow, SnapshotRow
from storage.datasets.describe import DATA, File, RedactedRow, read_files_json, read_redacted
from storage.datasets.parquet import read_rows
from storage.datasets.places import FILES, MANIFEST, REDACTED, find_whole, local
from storage.datasets.rows import (
    Row,
    article_columns,
    article_of,
    digested,
    read_record,
    row_nonce,
    without_text,
)
from storage.log.monitor import open_signed
from storage.segments import hash_stream

#: Sentences given at most about rows; a shard that was swapped would fill the screen.
MAX_ROW_PROBLEMS: Final = 50


def verify(archive: Archive, name: str, version: str | None = None) -> list[str]:
    """What is wrong with the snapshot NAME (or NAME/VERSION), in sentences; nothing where all holds.

    Raises NotFound for an unknown snapshot, Withheld for one whose place another took, StoreError, CatalogError,
    DiskError where a place cannot be reached.
    """
    return _Verification(archive, find_whole(archive, name, version)).run()


class _Verification:
    """One run."""

    def __init__(self, archive: Archive, row: SnapshotRow) -> None:
        self._archive, self._row = archive, row
        self._problems: list[str] = []
        self._row_problems = 0
        self._digests: list[bytes] = []
        self._last_key: tuple[Any, ...] = ()
        self._gone: list[RedactedRow] = []  # in ascending order of their places

    def run(self) -> list[str]:
        """All checks, from the log's side to the records'."""
        manifest = self._manifest()
        if manifest is None:
            return self._problems
        self._check_entry()
        self._check_checkpoint(manifest)
        files = self._files()
        self._gone = self._redacted(files)
        for file in files:
            if self._file_holds(file) and file.name.startswith(DATA):
                self._check_shard(file, manifest)
        self._pass_over()
        if len(self._digests) != manifest.rows:
            self._wrong(f"the files hold {len(self._digests)} rows, the manifest says {manifest.rows}")
        root = rows_root(self._digests)
        if root != manifest.root:
            self._wrong(f"the rows lead to the root {root}, the manifest says {manifest.root}")
        if self._row_problems > MAX_ROW_PROBLEMS:
            self._wrong(f"{self._row_problems - MAX_ROW_PROBLEMS} more problems of rows are not shown")
        return self._problems

    def _wrong(self, sentence: str) -> None:
        self._problems.append(sentence)

    # -- manifest and log

    def _manifest(self) -> Manifest | None:
        key = self._row.prefix + MANIFEST
        try:
            data = self._archive.store.get(key)
            manifest = Manifest.decode(data)
        except NotFound:
            self._wrong(f"{MANIFEST} is missing")
            return None
        except InvalidValue as error:
            self._wrong(f"{MANIFEST} is damaged: {error.message}")
            return None
        found = (manifest.name, manifest.version, str(manifest.root), manifest.rows, manifest.tree_size)
        row = self._row
        if str(Digest.sha256(data)) != row.manifest_sha256:
            self._wrong(f"{MANIFEST} is not the one that was sealed: its digest is {Digest.sha256(data)}")
        if found != (row.name, row.version, row.root, row.rows, row.tree_size):
            self._wrong(f"{MANIFEST} and the catalog disagree on name, version, root, rows or tree size")
        return manifest

    def _check_entry(self) -> None:
        row = self._row
        with self._archive.catalog.read() as tx:
            supersedes = tx.snapshots.supersedes(row.log_index)
        try:
            wanted = snapshot_entry(
                name=row.name,
                version=row.version,
                root=row.root,
                manifest=row.manifest_sha256,
                rows=row.rows,
                supersedes=supersedes,
            )
            if self._archive.log.entry_bytes(row.log_index) != wanted.encode():
                self._wrong(f"log entry {row.log_index} is not the one of this snapshot")
                return
            self._archive.log.tlog_proof(row.log_index)
        except NotFound as error:
            self._wrong(f"the log does not commit to this snapshot yet: {error.message}")
        except (DamageError, InvalidValue) as error:
            self._wrong(error.message)

    def _check_checkpoint(self, manifest: Manifest) -> None:
        """The checkpoint that the manifest quotes is signed, and the published log grew from it."""
        try:
            log = self._archive.log
            old = open_signed(manifest.checkpoint.encode(), (self._archive.vkey, *log.former_keys()), "it")
            note = self._archive.log.checkpoint()
            if note is None:
                raise NotFound("no checkpoint is published")
            new = open_checkpoint(note.encode(), self._archive.vkey)
            proof = self._archive.log.consistency(old.size, new.size)
            verify_consistency(old.size, new.size, proof, old.root, new.root)
        except (CheckFailed, DamageError, InvalidValue, NotFound) as error:
            self._wrong(f"the manifest's checkpoint does not lead to the published log: {error.message}")

    # -- files

    def _files(self) -> list[File]:
        prefix = self._row.prefix
        try:
            files = read_files_json(self._archive.store.get(prefix + FILES))
        except NotFound:
            self._wrong(f"{FILES} is missing")
            return []
        except InvalidValue as error:
            self._wrong(f"{FILES} is damaged: {error.message}")
            return []
        there = {key.removeprefix(prefix) for key in self._archive.store.list(prefix)}
        for name in sorted(there - {file.name for file in files} - {FILES}):
            self._wrong(f"{name} is not listed in {FILES}")
        return files

    def _file_holds(self, file: File) -> bool:
        try:
            with self._archive.store.open(self._row.prefix + file.name) as stream:
                sha256, length = hash_stream(stream)
        except (NotFound, InvalidValue):
            self._wrong(f"{file.name} is missing")
            return False
        if (sha256, length) != (file.sha256, file.length):
            self._wrong(f"{file.name} is damaged: its digest is not the one in {FILES}")
            return False
        return True

    def _redacted(self, files: list[File]) -> list[RedactedRow]:
        """Rows that were redacted; each must be one that a redaction in the log speaks of."""
        if not any(file.name == REDACTED for file in files):
            return []
        try:
            rows = read_redacted(self._archive.store.get(self._row.prefix + REDACTED))
        except NotFound:
            return []  # told as missing
        except InvalidValue as error:
            self._wrong(f"{REDACTED} is damaged: {error.message}")
            return []
        with self._archive.catalog.read() as tx:
            known = {row.log_index for row in tx.redactions.all()}
        for row in rows:
            if row.entry not in known:
                self._wrong(f"{REDACTED} names log entry {row.entry}, which is no redaction")
        return rows

    def _pass_over(self) -> None:
        """Take the digests of redacted rows where they stand."""
        while self._gone and self._gone[0].at == len(self._digests):
            self._digests.append(bytes.fromhex(self._gone.pop(0).digest.removeprefix("sha256:")))

    # -- rows

    def _check_shard(self, file: File, manifest: Manifest) -> None:
        try:
            with local(self._archive, self._row.prefix + file.name) as path:
                for row in read_rows(path, manifest.columns):
                    self._pass_over()
                    self._digests.append(row_digest(digested(row, manifest.digested_columns)))
                    self._check_row(row, manifest)
        except (DamageError, InvalidValue) as error:
            self._wrong(error.message)
        except (KeyError, TypeError, AttributeError) as error:  # a column is missing, or empty where none ever is
            self._wrong(f"{file.name} holds rows that no build writes: {error!r}")

    def _check_row(self, row: Row, manifest: Manifest) -> None:
        where = f"row {len(self._digests)} ({row['article_id']}, version {row['version']})"
        key = (row["outlet_id"], row["article_id"], row["version"], row["log_index"])
        problems = list(self._row_against_records(row))
        if key <= self._last_key:
            problems.append("stands out of order")
        if row["log_index"] >= manifest.tree_size:
            problems.append("is not below the tree size")
        self._last_key = key
        for problem in problems:
            self._row_problems += 1
            if self._row_problems <= MAX_ROW_PROBLEMS:
                self._wrong(f"{where}: {problem}")

    def _row_against_records(self, row: Row) -> Iterator[str]:
        if "text" in row and row["text"] != text_of(row["paragraphs"]):
            yield "its text is not its paragraphs"
        for role in ("conversion", "capture"):
            record = self._record(row, role)
            if record is None:
                yield f"its {role} record {row[f'{role}_id']} is not in the archive, or has another place or digest"
            elif role == "conversion":
                yield from self._row_against_article(row, record)

    def _record(self, row: Row, role: str) -> RecordRow | None:
        with self._archive.catalog.read() as tx:
            found = tx.records.get(row[f"{role}_id"])
        if found is None:
            return None
        said = (row[f"{role}_digest"], row[f"{role}_segment"], row[f"{role}_offset"], row[f"{role}_length"])
        return found if said == (found.digest, found.segment, found.offset, found.length) else None

    def _row_against_article(self, row: Row, record: RecordRow) -> Iterator[str]:
        try:
            stored = read_record(self._archive, record)
            wanted = article_columns(article_of(stored)) | {ROW_NONCE: row_nonce(stored)}
        except DamageError as error:
            yield error.message
            return
        if "text" not in row:
            wanted = without_text(wanted)
        names = ", ".join(sorted(name for name, value in wanted.items() if row.get(name) != value))
        if names:
            yield f"its conversion record says otherwise of {names}"

"""Where the files of a dataset stand, and the dataset that a name means."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from schemas.errors import DamageError, InvalidValue, NotFound, UsageError, Withheld
from schemas.manifests import Manifest
from storage.archive import Archive
from storage.blobs import CHUNK
from storage.catalog.values import SnapshotRow
from storage.disk import disk_errors

MANIFEST: Final = "manifest.json"
FILES: Final = "files.json"
CROISSANT: Final = "croissant.json"
CARD: Final = "README.md"
#: In a version that took another's place: where the digests of redacted rows stand.
REDACTED: Final = "redacted.json"


#: What the keys of all datasets begin with.
SNAPSHOTS: Final = "snapshots/"


def prefix_of(name: str, version: str) -> str:
    """What the keys of a dataset's files begin with."""
    return f"{SNAPSHOTS}{name}/{version}/"


def find(archive: Archive, text: str, version: str | None = None) -> SnapshotRow:
    """The snapshot NAME or NAME/VERSION; the newest version unless one is named. Raises NotFound."""
    name, _, edition = text.partition("/")
    with archive.catalog.read() as tx:
        row = tx.snapshots.get(name, version or edition or None)
    if row is None:
        raise NotFound(f"no snapshot {text}{f'/{version}' if version else ''}", remedy="see `pressmark snapshot list`")
    return row


def find_whole(archive: Archive, text: str, version: str | None = None) -> SnapshotRow:
    """As `find`, but of a version whose place another took. Raises Withheld."""
    row = find(archive, text, version)
    with archive.catalog.read() as tx:
        newer = tx.snapshots.superseded(row)
    if newer is not None:
        raise Withheld(
            f"rows of {row.name}/{row.version} were redacted", remedy=f"use {newer.name}/{newer.version}, without them"
        )
    return row


def read_manifest(archive: Archive, row: SnapshotRow) -> Manifest:
    """The manifest of a snapshot. Raises DamageError."""
    key = row.prefix + MANIFEST
    try:
        return Manifest.decode(archive.store.get(key))
    except NotFound as error:
        raise DamageError(f"{key} is missing", remedy="run `pressmark audit --full`") from error
    except InvalidValue as error:
        raise DamageError(f"{key} is damaged: {error.message}", remedy="run `pressmark audit --full`") from error


@contextmanager
def local(archive: Archive, key: str) -> Iterator[Path]:
    """An object as a local file, for as long as the context lasts. Raises NotFound, DiskError."""
    path = archive.store.local_path(key)
    if path is not None:
        yield path
        return
    with scratch() as folder:
        copied = folder / key.rpartition("/")[2]
        fetch(archive, key, copied)
        yield copied


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder where the system keeps temporary files (TMPDIR), for as long as the context lasts. Raises DiskError."""
    with disk_errors("cannot make a temporary folder"):
        folder = TemporaryDirectory(prefix="pressmark-")
    with folder as name:
        yield Path(name)


def fetch(archive: Archive, key: str, path: Path) -> None:
    """Copy an object to a new file. Raises NotFound, DiskError."""
    with archive.store.open(key) as source, disk_errors(f"cannot write {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as target:
            shutil.copyfileobj(source, target, CHUNK)


def check_out(out: Path) -> None:
    """Raises UsageError where a folder cannot take a dataset, before it is made."""
    with disk_errors(f"cannot read {out}"):
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UsageError(f"{out} is not an empty folder", remedy="name a new one with --out")


def export(archive: Archive, row: SnapshotRow, out: Path) -> None:
    """Copy all files of a snapshot to a folder. Raises DiskError."""
    for key in archive.store.list(row.prefix):
        fetch(archive, key, out / key.removeprefix(row.prefix))

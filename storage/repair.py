"""Bringing back objects that an audit found damaged or missing.

From the mirror, by digest; or, for tiles of the log, from the entries below the signed root. What an object must be is
taken from the log alone, newest entry first, so that a copy from before a redaction is no source. Each object that is
brought back is logged. Rows of the catalog are not mended here: `rebuild` makes them anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from schemas import canonical
from schemas.entries import Entry
from schemas.errors import InvalidValue, NotFound
from storage.archive import Archive
from storage.blobs import CHUNK, BlobStore
from storage.disk import disk_errors
from storage.imports import META, ImportedFile
from storage.log.sequencer import append
from storage.redaction.external import sealed_as
from storage.segments import hash_stream, name_of_key, object_key

#: Codes of `repair` entries: the bytes came from the mirror, or were made anew from the log's entries.
FROM_MIRROR: Final = "from-mirror"
FROM_ENTRIES: Final = "from-entries"

_MANIFEST: Final = "manifest.json"
_FILES: Final = "files.json"
_IN_SEGMENT: Final = re.compile(r"((?:warc|text)-\d{14}-[a-z0-9]+-[0-9a-f]{8}) at \d+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Repair:
    """What was done about one object."""

    key: str
    done: bool
    message: str  # a sentence


def keys_of(places: Iterable[str]) -> list[str]:
    """The objects that the places of findings stand in, each once: `KEY`, or `SEGMENT at OFFSET`."""
    found: dict[str, None] = {}
    for where in places:
        inside = _IN_SEGMENT.fullmatch(where)
        if inside is not None:
            found[object_key(inside[1])] = None
        elif "/" in where and " " not in where and not where.startswith("open/"):
            found[where] = None
    return list(found)


def has_intact_copy(archive: Archive, mirror: BlobStore, key: str) -> bool:
    """True where the mirror holds the object as the log says that it must be. Raises StoreError, CatalogError."""
    wanted = expected(archive, key)
    return wanted is not None and _digest(mirror, key) == wanted


def repair(
    archive: Archive, mirror: BlobStore | None, keys: Iterable[str], right: Mapping[str, bytes]
) -> list[Repair]:
    """Bring back what can be. `right` are objects of the log as its entries and signed root prove them.

    Safe to interrupt. Raises StoreError, DiskError, CatalogError.
    """
    found = []
    with TemporaryDirectory(prefix="pressmark-") as folder:
        path = Path(folder) / "object"
        for key in keys:
            if key in right:
                with disk_errors(f"cannot write {path}"):
                    path.write_bytes(right[key])
                found.append(_put(archive, key, path, FROM_ENTRIES))
            else:
                found.append(_from_mirror(archive, mirror, key, path))
    return found


def _from_mirror(archive: Archive, mirror: BlobStore | None, key: str, path: Path) -> Repair:
    if mirror is None:
        return Repair(key=key, done=False, message="no mirror is set ([objects] mirror): there is no other copy")
    wanted = expected(archive, key)
    if wanted is None:
        return Repair(key=key, done=False, message="the log does not say what its bytes must be")
    try:
        with mirror.open(key) as source, disk_errors(f"cannot write {path}"), path.open("wb") as target:
            while chunk := source.read(CHUNK):
                target.write(chunk)
    except NotFound:
        return Repair(key=key, done=False, message="the mirror does not hold it")
    with path.open("rb") as stream:
        if hash_stream(stream)[0] != wanted:
            return Repair(key=key, done=False, message="the mirror's copy is not what the log says either")
    return _put(archive, key, path, FROM_MIRROR)


def _put(archive: Archive, key: str, path: Path, code: str) -> Repair:
    """Put an object in its place, read it back, and log it."""
    was = _digest(archive.store, key)
    with disk_errors(f"cannot read {path}"), path.open("rb") as stream:
        now, _ = hash_stream(stream)
    if was is None:
        archive.store.put_file(key, path)
    elif was != now:
        archive.store.replace_file(key, path, expected=was)
    if _digest(archive.store, key) != now:
        return Repair(key=key, done=False, message="the store does not give back what was put")
    fields = {"code": code, "name": key, "now": now, **({} if was is None else {"was": was})}
    with archive.catalog.begin() as tx:
        append(tx, Entry(type="repair", fields=fields), subject=key)
    source = "the mirror" if code == FROM_MIRROR else "the entries below it"
    return Repair(key=key, done=True, message=f"brought back from {source}")


def expected(archive: Archive, key: str) -> str | None:
    """The digest that an object must have, `sha256:hex`; None where nothing says so."""
    name = name_of_key(key)
    with archive.catalog.read() as tx:
        if name is not None:
            entry = tx.log.find(name, "segment")
            return None if entry is None else str(Entry.decode(entry.body).fields["sha256"])
        imported = [ImportedFile.from_json(canonical.loads(v.encode())) for v in tx.meta.starting(META).values()]
        snapshots = {row.prefix: row for row in tx.snapshots.all()}
        for file in imported:
            if file.key == key:
                return sealed_as(tx, key, file)[0]
    folder, _, file_name = key.rpartition("/")
    row = snapshots.get(f"{folder}/")
    if row is None:
        return None
    return row.manifest_sha256 if file_name == _MANIFEST else _listed(archive, row.prefix, file_name)


def _listed(archive: Archive, prefix: str, name: str) -> str | None:
    """The digest of a snapshot's file, as the snapshot's list of files has it."""
    from storage.datasets.describe import read_files_json

    try:
        files = read_files_json(archive.store.get(prefix + _FILES))
    except (NotFound, InvalidValue):
        return None
    return next((file.sha256 for file in files if file.name == name), None)


def _digest(store: BlobStore, key: str) -> str | None:
    try:
        with store.open(key) as stream:
            return hash_stream(stream)[0]
    except NotFound:
        return None

"""The mirror: a second object store that comes to hold all that the first holds, for when that one is damaged.

Objects are copied as they are, each put once and read back; the checkpoint last, and only forward, so that the mirror
is a whole archive at each moment, of this moment or an earlier one. A mirror that cannot be reached holds nothing up:
what it lacks is copied next time. What is taken back from it, and when, is left to `storage.repair`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Final

from schemas.checkpoints import open_checkpoint
from schemas.errors import AlreadyExists, CheckFailed, DamageError, InvalidValue, NotFound
from schemas.instants import rfc3339
from storage.archive import Archive
from storage.blobs import CHUNK, BlobStore
from storage.disk import disk_errors
from storage.fingerprints import PREFIX
from storage.log.tree import CHECKPOINT_KEY
from storage.segments import hash_stream, name_of_key

#: The catalog's note of when the mirror was last whole.
META: Final = "mirror whole"


@dataclass(frozen=True, kw_only=True, slots=True)
class MirrorReport:
    """What bringing a mirror up to date did."""

    copied: int  # objects
    refused: tuple[str, ...] = ()  # objects that were not copied, and why, in sentences


def catch_up(archive: Archive, mirror: BlobStore) -> MirrorReport:
    """Copy to the mirror what it lacks. Safe to interrupt, and to run beside a crawl.

    Raises StoreError, DiskError where either store cannot be reached. An object that is damaged here, and one that the
    mirror holds with other bytes, is not copied but told.
    """
    copied, refused = 0, []
    note = _get(archive.store, CHECKPOINT_KEY)  # before the list: all that it needs is in it
    for key in _lacking(archive.store.list(), mirror.list()):
        if key == CHECKPOINT_KEY or key.startswith(PREFIX):  # the trace index is made anew, and what leaves it is gone
            continue
        try:
            _copy(archive, mirror, key)
            copied += 1
        except NotFound:
            continue  # removed meanwhile
        except (DamageError, AlreadyExists) as error:
            refused.append(error.message)
    if not refused and note is not None:
        try:
            copied += _advance(archive, mirror, note)
        except AlreadyExists as error:
            refused.append(str(error))
    if not refused:
        with archive.catalog.begin() as tx:
            tx.meta.set(META, rfc3339(archive.clock()))
    return MirrorReport(copied=copied, refused=tuple(refused))


def _lacking(ours: Iterable[str], theirs: Iterable[str]) -> Iterator[str]:
    """Keys of the first that the second lacks; both ascend."""
    held: str | None = None
    for key, is_ours in heapq.merge(((k, True) for k in ours), ((k, False) for k in theirs)):
        if not is_ours:  # sorts before ours of the same name
            held = key
        elif key != held:
            yield key


def _copy(archive: Archive, mirror: BlobStore, key: str) -> None:
    """One object, checked against the log where it is a segment, and read back."""
    with TemporaryDirectory(prefix="pressmark-") as folder:
        path = archive.store.local_path(key) or _fetched(archive.store.open(key), Path(folder) / "object")
        with disk_errors(f"cannot read {path}"), path.open("rb") as stream:
            sums = hash_stream(stream)
        name = name_of_key(key)
        if name is not None:
            with archive.catalog.read() as tx:
                row = tx.segments.get(name)
            if row is None or row.state != "sealed":
                raise NotFound(f"{key} is not logged yet")
            if sums != (row.sha256, row.length):
                raise DamageError(f"{key} is not what was sealed and was not copied to the mirror")
        mirror.put_file(key, path)
        with mirror.open(key) as stream:
            if hash_stream(stream) != sums:
                raise DamageError(f"{key} reads back from the mirror with other bytes than were put")


def _fetched(source: BinaryIO, path: Path) -> Path:
    """An object as a local file."""
    with source, disk_errors(f"cannot write {path}"), path.open("wb") as target:
        while chunk := source.read(CHUNK):
            target.write(chunk)
    return path


def _advance(archive: Archive, mirror: BlobStore, note: bytes) -> int:
    """Replace the mirror's checkpoint by ours, unless theirs is newer; how many objects that changed."""
    held = _get(mirror, CHECKPOINT_KEY)
    if held == note:
        return 0
    if held is not None:
        try:
            theirs = open_checkpoint(held, archive.vkey)
            if theirs.size > open_checkpoint(note, archive.vkey).size:
                raise AlreadyExists(
                    f"the mirror holds a checkpoint of {theirs.size} entries, newer than ours: nothing was replaced",
                    remedy="run `pressmark audit --full`: this archive may have been rolled back",
                )
        except (CheckFailed, InvalidValue) as error:
            raise AlreadyExists(
                f"the mirror's checkpoint is not signed by this archive's key ({error.message})",
                remedy="check [objects] mirror: it may be another archive's",
            ) from error
    mirror.replace(CHECKPOINT_KEY, note, expected=held)
    return 1


def _get(store: BlobStore, key: str) -> bytes | None:
    try:
        return store.get(key)
    except NotFound:
        return None

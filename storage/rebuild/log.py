"""The log as it lies in the object store: how far it goes, its entries, and that they are those that were
signed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.checkpoints import Checkpoint, VerifierKey, open_checkpoint
from schemas.errors import CheckFailed, DamageError, InvalidValue, NotFound
from schemas.merkle import leaf_hash
from schemas.tiles import TILE_WIDTH, TileName, decode_entries, parse_tile_path, tile_width
from storage.blobs import BlobStore
from storage.log import CHECKPOINT_KEY, TILE_PREFIX
from storage.log.edge import Edge
from storage.log.tree import PREFIX as LOG_PREFIX


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredLog:
    """The log as it lies in the store."""

    store: BlobStore
    note: bytes | None
    head: Checkpoint | None
    size: int  # entries in the bundles: all that were published, and perhaps some that were about to be

    def pages(self) -> Iterator[tuple[int, list[bytes]]]:
        """(index of the first, entries) of each bundle. Raises DamageError where one is not whole."""
        for index in range(-(-self.size // TILE_WIDTH)):
            width = tile_width(0, index, self.size)
            yield index * TILE_WIDTH, _bundle(self.store, index, width)


def read_log(store: BlobStore, vkey: VerifierKey, origin: str) -> StoredLog:
    """Find the log's extent and check that its entries are those that were signed.

    Entries behind the checkpoint were assigned by the catalog that is gone, and tiles of them may have been
    put: they keep their places, else the log could never grow past them.
    """
    try:
        note = store.get(CHECKPOINT_KEY)
    except NotFound:
        note = None
    try:
        head = open_checkpoint(note, vkey) if note is not None else None
    except (CheckFailed, InvalidValue) as error:
        raise DamageError(
            f"{CHECKPOINT_KEY} is not a checkpoint of this archive's key: {error.message}",
            remedy="bring it back from a mirror or backup",
        ) from error
    if head is not None and head.origin != origin:
        raise DamageError(f"{CHECKPOINT_KEY} is of the log {head.origin}", remedy="put the setting [log] origin back")
    log = StoredLog(store=store, note=note, head=head, size=max(_extent(store), head.size if head else 0))
    if head is not None:
        _check_root(log, head)
    return log


def _check_root(log: StoredLog, head: Checkpoint) -> None:
    edge = Edge()
    for _, entries in log.pages():
        for _ in edge.extend([leaf_hash(entry) for entry in entries[: head.size - edge.size]]):
            pass
        if edge.size == head.size:
            break
    if edge.root() != head.root:
        raise DamageError(
            f"the entries under {TILE_PREFIX}entries are not those that were signed at size {head.size}",
            remedy="bring log/ back from a mirror or backup",
        )


def _extent(store: BlobStore) -> int:
    """How many entries lie in the bundles, from the first on without a gap."""
    widths: dict[int, int] = {}
    for key in store.list(f"{TILE_PREFIX}entries/"):
        try:
            name = parse_tile_path(key.removeprefix(LOG_PREFIX))
        except InvalidValue:
            continue
        widths[name.index] = max(widths.get(name.index, 0), name.width)
    index = 0
    while widths.get(index) == TILE_WIDTH:
        index += 1
    return index * TILE_WIDTH + widths.get(index, 0)


def _bundle(store: BlobStore, index: int, width: int) -> list[bytes]:
    name = TileName(level=None, index=index, width=width)
    try:
        entries = decode_entries(store.get(LOG_PREFIX + name.path))
    except NotFound as error:
        raise DamageError(f"{LOG_PREFIX}{name.path} is gone", remedy="bring it back from a mirror or backup") from error
    except InvalidValue as error:
        raise DamageError(
            f"{LOG_PREFIX}{name.path}: {error.message}", remedy="bring it back from a mirror or backup"
        ) from error
    if len(entries) != width:
        raise DamageError(
            f"{LOG_PREFIX}{name.path} holds {len(entries)} entries, not {width}",
            remedy="bring it back from a mirror or backup",
        )
    return entries

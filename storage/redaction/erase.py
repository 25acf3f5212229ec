"""Tombstones in place of records: sealed segments and copies of imported files written anew, in every store.

A file is streamed through, so that no copy of what must go is made; what stands in the object's place has the same
length, and every other byte stays. Then, in one transaction: the `segment` entry that supersedes the digest before, and
all rows that spoke of the records. Safe to run again after a stop at any point. Snapshots and the database's own files
are left to `resume`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from schemas.entries import segment_entry
from schemas.errors import DamageError, InvalidValue, NotFound, RedactionPending, ServiceError
from schemas.urls import article_key
from storage.archive import Archive
from storage.blobs import BlobStore
from storage.catalog import ErasedRow, RecordRow, RedactionRow, Tx
from storage.disk import disk_errors, sync_folder
from storage.events import Event
from storage.log.sequencer import append
from storage.segments import CHUNK, hash_stream, object_key
from storage.warc import SEALED_SUFFIX, Stored, Tombstone, read_member, tombstone_member, tombstone_of

#: Folder of the archive in which files are written anew; what a stop leaves there is made anew as well.
SCRATCH: Final = "redacting"


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A place in a file and what comes there: a function of the bytes that stand there now."""

    offset: int
    length: int
    make: Callable[[bytes], bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewritten:
    """A file as it was read and as it was written."""

    path: Path
    was: str  # sha256:hex of what was read
    now: str  # of what was written
    length: int


def erase_segment(
    archive: Archive, stores: Sequence[BlobStore], redaction: RedactionRow, name: str, targets: Sequence[ErasedRow]
) -> None:
    """Put tombstones for the targets that stand in one segment, and forget them.

    Raises RedactionPending where the segment is being written or a store cannot be reached, DamageError.
    """
    with archive.catalog.read() as tx:
        segment = tx.segments.get(name)
        rows = {row.digest: row for t in targets if (row := tx.records.by_digest(t.digest)) and row.segment == name}
        info = next((row.record_id for row in tx.records.in_segment(name) if row.type == "warcinfo"), None)
    if segment is None or segment.state == "open":
        _need_sealed(archive, name)
        return erase_segment(archive, stores, redaction, name, targets)
    key, date = object_key(name), archive.clock()
    pieces: list[Piece] = []
    stones: dict[int, Stored] = {}
    for target in targets:
        row = rows.get(target.digest)
        if row is None:
            continue
        stone = Tombstone(
            entry=redaction.log_index,
            place=target.place,
            refers_to=row.record_id,
            code=redaction.code,
            authority=redaction.authority,
            date=date,
        )
        make = _stone(stone, info, name, row, stones)
        pieces.append(Piece(offset=row.offset, length=row.length, make=make))
    with rewritten(archive.directory, archive.store, key, pieces) as file:
        replace_everywhere(stores, key, file)
        _untrace(archive, list(rows.values()))
        with archive.catalog.begin() as tx:
            tx.log.lock()
            current = tx.segments.get(name)
            if current is None or current.sha256 is None:
                raise DamageError(f"the catalog lacks segment {name}", remedy="run `pressmark rebuild`")
            if current.sha256 != file.now:
                entry = segment_entry(name=name, length=file.length, sha256=file.now, supersedes=current.sha256)
                append(tx, entry, subject=name)
                tx.segments.sealed(name, object_key=key, length=file.length, sha256=file.now)
            forget(tx, list(rows.values()), lambda url: archive.blocklist.redacted(tx, url) is not None)
            tx.records.add([row for stone in stones.values() for row in _rows(stone)])
    return None


def _need_sealed(archive: Archive, name: str) -> None:
    """Store a segment that this folder holds and nobody writes; else raise RedactionPending."""
    path = archive.segments.locate(name)
    if path is not None and path.name.endswith(SEALED_SUFFIX):
        archive.segments.put(path)
        return
    raise RedactionPending(
        f"segment {name} is still being written",
        remedy="it is redacted when it is sealed, within an hour; `pressmark redact --resume` looks again",
    )


def _stone(
    stone: Tombstone, info: str | None, name: str, row: RecordRow, stones: dict[int, Stored]
) -> Callable[[bytes], bytes]:
    """What makes the tombstone of one record; one that a stopped run put there stays."""

    def make(member: bytes) -> bytes:
        try:
            there = read_member(member, name=name, offset=row.offset)
        except DamageError:
            there = None  # what is damaged must go, too
        if there is None or tombstone_of(there) != (stone.entry, stone.place):
            member = tombstone_member(stone, warcinfo_id=info, length=row.length)
        stones[row.offset] = read_member(member, name=name, offset=row.offset)
        return member

    return make


def _rows(stone: Stored) -> list[RecordRow]:
    return Event(kind="other", records=((stone, stone.ref),)).rows()


def _untrace(archive: Archive, rows: Sequence[RecordRow]) -> None:
    """Take versions out of the trace index, while the catalog still knows which they are: a stop here is made good."""
    with archive.catalog.read() as tx:
        versions = [tx.articles.by_conversion(row.record_id) for row in rows if row.type == "conversion"]
    row_ids = [version.row_id for version in versions if version is not None and version.row_id is not None]
    if row_ids:
        archive.traces.remove(row_ids)


def forget(tx: Tx, rows: Sequence[RecordRow], refused: Callable[[str], bool]) -> None:
    """Take away all that the catalog has of records that are gone; `refused` tells addresses that stay away."""
    conversions = [row.record_id for row in rows if row.type == "conversion"]
    captures = sorted({row.event_id for row in rows if row.event_id is not None and row.type != "conversion"})
    keys: set[str] = set()
    for event_id in captures:
        capture = tx.captures.get(event_id)
        for url in (capture.url, capture.item_url) if capture is not None and capture.role in _LISTED else ():
            keys |= _key(url) if url is not None and refused(url) else set()
    tx.removals.versions(conversions)
    tx.removals.captures(captures)
    tx.removals.items(keys)
    tx.removals.records([row.record_id for row in rows])
    tx.removals.settle_seen()


_LISTED: Final = frozenset({"article", "image", "other"})


def _key(url: str) -> set[str]:
    try:
        return {article_key(url)}
    except InvalidValue:
        return set()


# -- files in stores ---------------------------------------------------------------------------------------------------


@contextmanager
def rewritten(directory: Path, store: BlobStore, key: str, pieces: Sequence[Piece]) -> Iterator[Rewritten]:
    """An object with pieces put in place, as a local file for as long as the context lasts. Raises NotFound."""
    folder = directory / SCRATCH
    with disk_errors(f"cannot write {folder}"):
        folder.mkdir(exist_ok=True, mode=0o700)
    path = folder / key.rpartition("/")[2]
    try:
        yield _copy(store, key, path, sorted(pieces, key=lambda piece: piece.offset))
    finally:
        with disk_errors(f"cannot remove {path}"):
            path.unlink(missing_ok=True)


def _copy(store: BlobStore, key: str, path: Path, pieces: Sequence[Piece]) -> Rewritten:
    was, now, length = hashlib.sha256(), hashlib.sha256(), 0
    with store.open(key) as source, disk_errors(f"cannot write {path}"), path.open("wb") as target:
        for old, new in _parts(source, key, pieces):
            was.update(old)
            now.update(new)
            length += len(new)
            target.write(new)
    with disk_errors(f"cannot write {path}"):
        sync_folder(path.parent)
    return Rewritten(path=path, was=f"sha256:{was.hexdigest()}", now=f"sha256:{now.hexdigest()}", length=length)


def _parts(source: BinaryIO, key: str, pieces: Sequence[Piece]) -> Iterator[tuple[bytes, bytes]]:
    """(bytes as they stand, bytes as they shall stand) from the beginning of an object to its end."""
    at = 0
    for piece in pieces:
        while at < piece.offset and (chunk := source.read(min(CHUNK, piece.offset - at))):
            yield chunk, chunk
            at += len(chunk)
        old = _exactly(source, piece.length)
        if at != piece.offset or len(old) != piece.length:
            raise DamageError(f"{key} ends before its offset {piece.offset}", remedy="run `pressmark audit --full`")
        new = piece.make(old)
        assert len(new) == piece.length
        yield old, new
        at += piece.length
    while chunk := source.read(CHUNK):
        yield chunk, chunk


def _exactly(source: BinaryIO, length: int) -> bytes:
    found = bytearray()
    while len(found) < length and (chunk := source.read(length - len(found))):
        found += chunk
    return bytes(found)


def replace_everywhere(stores: Sequence[BlobStore], key: str, file: Rewritten) -> None:
    """Put a file in the object's place in each store, the archive's own first.

    A mirror that has another copy than the archive's gets this one. Raises RedactionPending where one fails.
    """
    for number, store in enumerate(stores):
        try:
            _replace(store, key, file, own=number == 0)
        except ServiceError as error:
            raise RedactionPending(
                f"{key} could not be redacted in {store.url}: {error.message}",
                remedy="it is tried again at each start and by `pressmark redact --resume`",
            ) from error


def _replace(store: BlobStore, key: str, file: Rewritten, *, own: bool) -> None:
    expected = file.was
    if not own:
        try:
            with store.open(key) as stream:
                expected, _ = hash_stream(stream)
        except NotFound:
            return  # it will be given the redacted one
    store.rewrite(key, file.path, expected=expected)

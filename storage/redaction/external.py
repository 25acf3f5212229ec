"""Copies of imported files: the stranger's records erased where they stand, in every store.

Whoever made the file chose its form: a record can be erased where it stands alone, plain or in a gzip member of its
own, and is long enough for a tombstone. With a response go the records of its event: those that name it, or that share
its target and date. What cannot be erased is said before anything is logged (`check_erasable`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from schemas.captures import Capture
from schemas.entries import Entry, segment_entry
from schemas.errors import InvalidValue, UsageError
from storage.archive import Archive
from storage.blobs import BlobStore
from storage.catalog import ErasedRow, RedactionRow, Tx
from storage.disk import disk_errors
from storage.imports import ImportedFile, file_of
from storage.log.sequencer import append
from storage.redaction.erase import SCRATCH, Piece, replace_everywhere, rewritten
from storage.segments import CHUNK
from storage.statements import read_statement
from storage.warc import Tombstone, plain_tombstone, tombstone_member
from storage.warc.check import mapped
from storage.warc.foreign import Place
from storage.warc.frames import Frame, walk

#: Id that stands for a record of a stranger's that has none.
NAMELESS: Final = "urn:uuid:00000000-0000-0000-0000-000000000000"


def check_erasable(archive: Archive, capture: Capture) -> None:
    """Raises UsageError where an imported capture's bytes cannot be erased."""
    block = archive.read(capture.id).block
    file, place = file_of(block), Place(**read_statement(block)["place"])
    if file.key is None:
        raise UsageError(
            f"capture {capture.id} stands in {file.path}, outside the archive, which cannot be redacted",
            remedy="import a copy first (without --in-place), or purge that file yourself",
        )
    if place.base or file.key.endswith(".wacz"):
        why = "stands in a WACZ, whose indexes name it and whose checksums would no longer hold"
    elif place.compression == "zstd" or (place.compression == "gzip" and place.start):
        why = "shares a compressed unit with others"
    else:
        target = ErasedRow(digest="", log_index=0, place=0, record_id=None, role=None, entry=None)
        frames = [frame for frame, _ in _with_companions(archive, file.key, [(target, place)])]
        make = _stone_for(place.compression)
        if all(not frame.start and _fits(make, capture, frame.length) for frame in frames):
            return
        why = "has a record too short for a tombstone, or one that shares a compressed unit with others"
    raise UsageError(
        f"capture {capture.id} {why}, so that it cannot be erased where it stands in {file.name}",
        remedy="restrict it, and keep the import in an archive of its own that can be given up whole",
    )


def _fits(make: Callable[[Tombstone, int], bytes], capture: Capture, length: int) -> bool:
    stone = Tombstone(entry=10**9, place=999, refers_to=capture.id, code="x", authority="x", date=capture.date)
    try:
        make(stone, length)
        return True
    except InvalidValue:
        return False


def _stone_for(compression: str) -> Callable[[Tombstone, int], bytes]:
    if compression == "gzip":
        return lambda stone, length: tombstone_member(stone, warcinfo_id=None, length=length)
    return lambda stone, length: plain_tombstone(stone, length=length)


def erase_imported(
    archive: Archive, stores: Sequence[BlobStore], redaction: RedactionRow, targets: Sequence[ErasedRow]
) -> int:
    """Erase what the targets' records on imports name; how many files were rewritten.

    Raises RedactionPending where a store cannot be reached, DamageError.
    """
    files: dict[str, tuple[ImportedFile, list[tuple[ErasedRow, Place]]]] = {}
    for target in targets:
        block = _import_block(archive, target)
        if block is not None:
            file = file_of(block)
            assert file.key is not None
            files.setdefault(file.key, (file, []))[1].append((target, Place(**read_statement(block)["place"])))
    for key, (file, places) in files.items():
        _erase_in(archive, stores, redaction, key, file, places)
    return len(files)


def _import_block(archive: Archive, target: ErasedRow) -> bytes | None:
    """The block of the metadata record on an imported capture; None for any other record."""
    if target.role != "metadata" or target.entry is None:
        return None
    with archive.catalog.read() as tx:
        row, entry = tx.records.by_digest(target.digest), tx.log.entry(target.entry)
    if row is None or entry is None or entry.type != "import":
        return None
    block = archive.read(row.record_id).block
    return block if "place" in read_statement(block) else None


def _erase_in(
    archive: Archive,
    stores: Sequence[BlobStore],
    redaction: RedactionRow,
    key: str,
    file: ImportedFile,
    places: Sequence[tuple[ErasedRow, Place]],
) -> None:
    date = archive.clock()
    pieces = []
    for frame, target in _with_companions(archive, key, places):
        stone = Tombstone(
            entry=redaction.log_index,
            place=target.place,
            refers_to=frame.record_id if frame.record_id and frame.record_id.startswith("urn:uuid:") else NAMELESS,
            code=redaction.code,
            authority=redaction.authority,
            date=date,
        )
        make = _stone_for(places[0][1].compression)
        pieces.append(Piece(offset=frame.offset, length=frame.length, make=partial(_made, make, stone)))
    with rewritten(archive.directory, archive.store, key, pieces) as new:
        replace_everywhere(stores, key, new)
        with archive.catalog.begin() as tx:
            tx.log.lock()
            was, _ = sealed_as(tx, key, file)
            if was != new.now:
                entry = segment_entry(name=key, length=new.length, sha256=new.now, supersedes=was)
                append(tx, entry, subject=key)


def _made(make: Callable[[Tombstone, int], bytes], stone: Tombstone, old: bytes) -> bytes:
    return make(stone, len(old))


def _with_companions(
    archive: Archive, key: str, places: Sequence[tuple[ErasedRow, Place]]
) -> list[tuple[Frame, ErasedRow]]:
    """The frames at these places, and the other records of their events, each with the target that it goes with."""
    wanted = {place.offset: target for target, place in places}
    with _local(archive, key) as path, mapped(path) as data:
        frames = [
            (frame.offset, frame.record_id, frame.get("warc-target-uri"), frame.get("warc-date"))
            for frame in walk(data, _unheard)
            if frame.offset in wanted
        ]
        ids = {record_id: wanted[offset] for offset, record_id, _, _ in frames if record_id}
        events = {(uri, date): wanted[offset] for offset, _, uri, date in frames if uri and date}
        found = []
        for frame in walk(data, _unheard):
            named = [frame.get("warc-concurrent-to"), frame.get("warc-refers-to")]
            target = wanted.get(frame.offset) or next(
                (ids[name.strip("<>")] for name in named if name and name.strip("<>") in ids), None
            )
            target = target or events.get((frame.get("warc-target-uri") or "", frame.get("warc-date") or ""))
            if target is not None and frame.type != "warcinfo":
                found.append((frame, target))
        return found


def _unheard(offset: int, rule: str, section: str, severity: str, message: str, record_id: str | None = None) -> None:
    """What is wrong with the file's framing was told at import."""


@contextmanager
def _local(archive: Archive, key: str) -> Iterator[Path]:
    """The object as a local file; a copy that a stop leaves is removed by the next run."""
    path = archive.store.local_path(key)
    if path is not None:
        yield path
        return
    folder = archive.directory / SCRATCH
    copy = folder / f"{key.rpartition('/')[2]}.read"
    with disk_errors(f"cannot write {copy}"):
        folder.mkdir(exist_ok=True, mode=0o700)
        with archive.store.open(key) as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target, CHUNK)
    try:
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def sealed_as(tx: Tx, key: str, file: ImportedFile) -> tuple[str, int]:
    """(digest, length) that the copy of an imported file must have: as it came, or as a redaction left it."""
    entry = tx.log.find(key, "segment")
    if entry is None:
        return file.sha256, file.length
    fields = Entry.decode(entry.body).fields
    return fields["sha256"], fields["length"]

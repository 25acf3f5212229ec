"""The segments of this process: written, sealed, put to the object store, and read wherever they stand.

A segment is `open` (DIR/open/NAME.warc.gz.open, one writer, flock held), then sealed and waiting
(DIR/open/NAME.warc.gz), then in the object store, read back and compared; only then is the local copy forgotten and a
`segment` entry appended. What the records mean is left to `storage.events`; when to rotate is said by the caller.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from schemas.captures import RecordRef
from schemas.entries import segment_entry
from schemas.errors import DamageError, NotFound, SegmentElsewhere, StoreError
from schemas.instants import to_micros
from storage.blobs import BlobStore
from storage.catalog import Catalog
from storage.catalog.values import RecordRow
from storage.disk import disk_errors, sync_folder
from storage.log.sequencer import append
from storage.warc import OPEN_SUFFIX, SEALED_SUFFIX, Draft, SegmentWriter

#: Bytes read at a time where a whole file is hashed.
CHUNK: Final = 1 << 20
_NAME: Final = re.compile(r"(warc|text)-(\d{4})(\d{2})(\d{2})\d{6}-[a-z0-9]+-[0-9a-f]{8}")


def object_key(name: str) -> str:
    """Where a sealed segment stands in the object store. Raises DamageError for a name that is not a segment's."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise DamageError(f"{name!r} is not the name of a segment")
    kind, year, month, day = match.groups()
    return f"{kind}/{year}/{month}/{day}/{name}{SEALED_SUFFIX}"


def name_of_key(key: str) -> str | None:
    """The segment that an object key names; None for other objects."""
    name = key.rpartition("/")[2].removesuffix(SEALED_SUFFIX)
    return name if _NAME.fullmatch(name) and object_key(name) == key else None


def hash_stream(stream: BinaryIO) -> tuple[str, int]:
    """(SHA-256 as `sha256:hex`, length in bytes) of all that a stream gives."""
    digest, length = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
        length += len(chunk)
    return f"sha256:{digest.hexdigest()}", length


class Segments:
    """Writers by kind, made when first needed. Not safe for threads; the archive holds a lock around it."""

    def __init__(
        self,
        directory: Path,
        store: BlobStore,
        catalog: Catalog,
        *,
        worker: str,
        info: Mapping[str, str],
        max_bytes: int,
        max_age: float,
        clock: Callable[[], datetime],
    ) -> None:
        """`max_bytes` of a segment file and `max_age` in seconds bound what one segment holds."""
        self.folder = directory / "open"
        self._store, self._catalog = store, catalog
        self._worker, self._info, self._clock = worker, info, clock
        self._max_bytes, self._max_age = max_bytes, max_age
        self._writers: dict[str, SegmentWriter] = {}

    def append(self, kind: str, drafts: Sequence[Draft]) -> list[RecordRef]:
        """Write the records of one event. Not durable before `sync`. Raises DiskError."""
        return self._writer(kind).append(drafts)

    def sync(self, kind: str) -> None:
        """Make all that was appended durable. Raises DiskError."""
        self._writer(kind).sync()

    def _writer(self, kind: str) -> SegmentWriter:
        writer = self._writers.get(kind)
        if writer is None:
            with disk_errors(f"cannot make {self.folder}"):
                self.folder.mkdir(parents=True, exist_ok=True)
            now = self._clock()
            writer = SegmentWriter.create(
                self.folder, kind=kind, worker=self._worker, now=now, info=self._info
            )
            try:
                self._introduce(writer, kind, now)
            except BaseException:  # nobody knows of it: let go, so that the next start finds it abandoned
                writer.abandon()
                raise
            self._writers[kind] = writer
        return writer

    def _introduce(self, writer: SegmentWriter, kind: str, now: datetime) -> None:
        """Make a new segment known to the catalog, with its warcinfo record."""
        writer.sync()  # a row points only at what is durable
        ref = writer.info_ref
        row = RecordRow(
            record_id=ref.record_id,
            type=ref.type,
            segment=ref.segment,
            offset=ref.offset,
            length=ref.length,
            digest=ref.digest,
            block_digest=None,
            payload_digest=None,
            target_uri=None,
            date=to_micros(now),
            event_id=None,
        )
        with self._catalog.begin() as tx:
            tx.segments.add(writer.name, kind, self._worker, to_micros(now))
            tx.records.add([row])

    def rotate(self, *, force: bool = False) -> list[str]:
        """Seal and store the segments that are full or old enough (all, with `force`); their names."""
        done = []
        for kind, writer in list(self._writers.items()):
            age = (self._clock() - writer.opened).total_seconds()
            if force or writer.size >= self._max_bytes or age >= self._max_age:
                del self._writers[kind]
                path = writer.seal()
                self.put(path)
                done.append(writer.name)
        return done

    def close(self) -> None:
        """Let go of the open segments as they are; the next start seals them."""
        while self._writers:
            self._writers.popitem()[1].abandon()

    def put(self, path: Path) -> None:
        """Put a sealed segment to the store, read it back, log it, and forget the local copy.

        Safe to run again after a stop at any point. Raises StoreError where what is read back differs.
        """
        name = path.name.removesuffix(SEALED_SUFFIX)
        key = object_key(name)
        self._store.put_file(key, path, final=True)
        sha256, length = self._read_back(key, path)
        now = self._clock()
        with self._catalog.begin() as tx:
            row = tx.segments.get(name)
            if row is None:
                tx.segments.add(name, name.partition("-")[0], self._worker, to_micros(now))
            if row is None or row.state != "sealed":
                tx.segments.sealed(name, object_key=key, length=length, sha256=sha256)
                append(tx, segment_entry(name=name, length=length, sha256=sha256), subject=name)
        with disk_errors(f"cannot remove {path}"):
            path.unlink(missing_ok=True)

    def _read_back(self, key: str, path: Path) -> tuple[str, int]:
        """(SHA-256, length in bytes) of a stored segment, every byte compared with the local file's."""
        with self._store.open(key) as stored, disk_errors(f"cannot read {path}"):
            sha256, length = hash_stream(stored)
            held = self._store.local_path(key)
            if held is not None and held.samefile(path):  # one file by two names
                return sha256, length
            with path.open("rb") as local:
                if hash_stream(local) == (sha256, length):
                    return sha256, length
        raise StoreError(f"{key} reads back with other bytes than were put", remedy="check the object store")

    def locate(self, name: str) -> Path | None:
        """The local file of a segment that is open or waits to be stored; None once it is in the store."""
        for suffix in (OPEN_SUFFIX, SEALED_SUFFIX):
            path = self.folder / (name + suffix)
            if path.exists():
                return path
        return None

    def open(self, name: str) -> BinaryIO:
        """The whole segment as a stream, wherever it stands. Raises NotFound."""
        for _ in range(2):  # it may move from the folder to the store in between
            path = self.locate(name)
            if path is not None:
                try:
                    return path.open("rb")
                except FileNotFoundError:
                    continue
            break
        return self._store.open(object_key(name))

    def member(self, row: RecordRow) -> bytes:
        """The gzip member of one record as it stands.

        Raises DamageError where the segment lacks it, SegmentElsewhere where it is another machine's open segment.
        """
        path = self.locate(row.segment)
        if path is not None:
            try:
                with path.open("rb") as stream:
                    stream.seek(row.offset)
                    data = stream.read(row.length)
                return self._whole(row, data)
            except FileNotFoundError:
                pass  # stored meanwhile
        try:
            data = self._store.get(object_key(row.segment), start=row.offset, length=row.length)
        except NotFound as error:
            self._refuse_elsewhere(row)
            raise DamageError(
                f"segment {row.segment} of record {row.record_id} is missing",
                remedy="run `pressmark audit --full`",
            ) from error
        return self._whole(row, data)

    def _refuse_elsewhere(self, row: RecordRow) -> None:
        with self._catalog.read() as tx:
            segment = tx.segments.get(row.segment)
        if segment is not None and segment.state == "open" and segment.worker != self._worker:
            raise SegmentElsewhere(
                f"record {row.record_id} stands in a segment that worker {segment.worker} is still writing",
                remedy="ask again once that machine has sealed it, in an hour at the latest",
            )

    @staticmethod
    def _whole(row: RecordRow, data: bytes) -> bytes:
        if len(data) != row.length:
            raise DamageError(
                f"segment {row.segment} ends inside record {row.record_id} at offset {row.offset}",
                remedy="run `pressmark audit --full`",
            )
        return data

    def waiting(self) -> list[Path]:
        """Segments that were sealed and are not stored yet."""
        return sorted(self.folder.glob("*" + SEALED_SUFFIX)) if self.folder.exists() else []

    def left_open(self) -> list[Path]:
        """Files of open segments, this process's own left out."""
        own = {w.path for w in self._writers.values()}
        found = sorted(self.folder.glob("*" + OPEN_SUFFIX)) if self.folder.exists() else []
        return [path for path in found if path not in own]


def fsync_rename(source: Path, target: Path) -> None:
    """Make a file durable under its new name: fsync, rename, fsync of the folder. Raises DiskError."""
    with disk_errors(f"cannot seal {source}"):
        with source.open("rb+") as stream:
            os.fsync(stream.fileno())
        source.rename(target)
        sync_folder(target.parent)

"""Segments as evidence: where they stand, their records in order, and any range of them.

Behind damage the next whole record is looked for, so that one bad byte costs the event that it is in and no
other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final, cast

from schemas.errors import ArchiveLocked, DamageError
from storage import events
from storage.blobs import BlobStore
from storage.disk import disk_errors
from storage.events import Event
from storage.segments import name_of_key, object_key
from storage.warc import OPEN_SUFFIX, SEALED_SUFFIX, Stored, is_abandoned, read_segment

#: Bytes read at a time where records are read in the log's order: one request brings many small ones.
BLOCK: Final = 1 << 20
#: Blocks kept, one a segment: with several workers the log goes to and fro between their segments.
BLOCKS: Final = 8
_GZIP_MAGIC: Final = b"\x1f\x8b\x08"


class Evidence:
    """Segments wherever they stand: this folder's open ones, and the store's."""

    def __init__(self, folder: Path, store: BlobStore) -> None:
        self.folder, self.store = folder, store
        self._blocks: OrderedDict[str, tuple[int, bytes]] = OrderedDict()

    def refuse_writers(self) -> None:
        """Raises ArchiveLocked where a segment of this folder is being written."""
        for path in self._files(OPEN_SUFFIX):
            if not is_abandoned(path):
                raise ArchiveLocked(f"a process still writes {path.name}", remedy="stop it, then run it again")

    def names(self) -> list[tuple[str, bool]]:
        """(name, stored) of every segment; those of captures first, then by name."""
        stored = {
            name for prefix in ("warc/", "text/") for key in self.store.list(prefix) if (name := name_of_key(key))
        }
        found = dict.fromkeys(stored, True)
        for suffix in (OPEN_SUFFIX, SEALED_SUFFIX):
            for path in self._files(suffix):
                found.setdefault(path.name.removesuffix(suffix), False)
        return sorted(found.items(), key=lambda item: (item[0].startswith("text-"), item[0]))

    def open(self, name: str) -> BinaryIO:
        """A segment as a stream. Raises NotFound."""
        path = self._local(name)
        return path.open("rb") if path is not None else self.store.open(object_key(name))

    def read(self, name: str, offset: int, length: int) -> bytes:
        """A range of a segment, short where it ends; near ranges cost one request. Raises NotFound."""
        start, block = self._blocks.get(name, (0, b""))
        if not start <= offset <= offset + length <= start + len(block):
            start, block = offset, self._read(name, offset, max(length, BLOCK))
            self._blocks[name] = (start, block)
        self._blocks.move_to_end(name)
        if len(self._blocks) > BLOCKS:
            self._blocks.popitem(last=False)
        return block[offset - start : offset - start + length]

    def _read(self, name: str, offset: int, length: int) -> bytes:
        path = self._local(name)
        if path is None:
            return self.store.get(object_key(name), start=offset, length=length)
        with disk_errors(f"cannot read {path}"), path.open("rb") as stream:
            stream.seek(offset)
            return stream.read(length)

    def _local(self, name: str) -> Path | None:
        found = (self.folder / (name + suffix) for suffix in (OPEN_SUFFIX, SEALED_SUFFIX))
        return next((path for path in found if path.exists()), None)

    def _files(self, suffix: str) -> list[Path]:
        return sorted(self.folder.glob("*" + suffix)) if self.folder.exists() else []

    def events(self, name: str, problem: Callable[[str], None]) -> Iterator[Event]:
        """The whole events of a segment, in order; `problem` is told of damage in sentences. Raises
        NotFound.
        """
        at: int | None = 0
        while at is not None:
            run = _Run(self, name, at)
            for event in events.group((stored, stored.ref) for stored in run):
                if _is_whole(event):
                    yield event
            at = run.resume(problem)

    def is_open(self, name: str) -> bool:
        """True where the segment was never sealed: its end may be torn."""
        return (self.folder / (name + OPEN_SUFFIX)).exists()


def _is_whole(event: Event) -> bool:
    """True unless damage took a record: what is left of an event must not pass for another one."""
    records = [cast(Stored, view) for view, _ in event.records]
    return set(records[-1].all("WARC-Concurrent-To")) == {stored.record_id for stored in records[:-1]}


class _Run:
    """The records of a segment from an offset to its end or to damage."""

    def __init__(self, evidence: Evidence, name: str, at: int) -> None:
        self._evidence, self._name, self._start, self._end = evidence, name, at, at
        self._damage: DamageError | None = None

    def __iter__(self) -> Iterator[Stored]:
        evidence, name = self._evidence, self._name
        stream = evidence.open(name) if self._start == 0 else cast(BinaryIO, _Range(evidence, name, self._start))
        with stream:
            try:
                for stored in read_segment(stream, name=name):
                    ref = stored.ref._replace(offset=self._start + stored.ref.offset)
                    self._end = ref.offset + ref.length
                    yield replace(stored, ref=ref)
            except DamageError as error:
                self._damage = error

    def resume(self, problem: Callable[[str], None]) -> int | None:
        """Where the next whole record begins behind the damage; None at the end of the segment."""
        if self._damage is None:
            return None
        found = _next_record(self._evidence, self._name, self._end + 1)
        if found is not None or not self._evidence.is_open(self._name):
            problem(f"segment {self._name} at {self._end}: its record is damaged")
        return found


def _next_record(evidence: Evidence, name: str, at: int) -> int | None:
    """The offset, `at` or behind it, of the first place that reads as a whole record."""
    while window := evidence.read(name, at, BLOCK):
        place = window.find(_GZIP_MAGIC)
        if place < 0:
            at += max(1, len(window) - len(_GZIP_MAGIC) + 1)
            continue
        at += place
        try:
            next(read_segment(cast(BinaryIO, _Range(evidence, name, at)), name=name))
            return at
        except DamageError:
            at += 1
    return None


class _Range:
    """A segment from an offset on, as a stream."""

    def __init__(self, evidence: Evidence, name: str, offset: int) -> None:
        self._evidence, self._name, self._at = evidence, name, offset

    def __enter__(self) -> _Range:
        return self

    def __exit__(self, *ignored: object) -> None:
        return None

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`."""
        data = self._evidence.read(self._name, self._at, size)
        self._at += len(data)
        return data

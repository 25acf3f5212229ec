"""The trace index of an archive: which versions share most with a letter sequence.

A new version's keys are committed with its row, in the catalog. When FOLD versions have come together they are folded
into a sealed segment, an object of the store (`fingerprints/NAME`), and like-sized segments are merged, so that a large
archive asks few files. The catalog says which segments are: it is changed after the new object is durable and before
the old one is deleted, so that a stop leaves an object that nobody names, never a name without an object. Readers map a
local file, or a copy of the object in `cache/`. All of it is derived: `rebuild` makes it anew.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np

from schemas.errors import NotFound, StoreError
from storage.blobs import BlobStore
from storage.catalog import Catalog, Tx
from storage.catalog.fingerprints import STALE
from storage.catalog.values import FingerprintSegment
from storage.disk import disk_errors
from storage.fingerprints import segments as files
from storage.fingerprints.candidates import Candidates, find
from storage.fingerprints.grams import Keys, pack, selected, unpack
from storage.fingerprints.letters import letters
from storage.fingerprints.segments import MAX_DOCUMENTS, Segment, build, merge, read, write
from storage.segments import hash_stream

#: Where segments lie in the store.
PREFIX: Final = "fingerprints/"
#: Versions that the catalog holds itself before they become a segment: some 6 MB, read at a process's first trace.
FOLD: Final = 4096
#: Versions of one segment while many are folded at once: its keys take some 300 MB of memory.
BULK: Final = 1 << 17
#: Segments of like size (within a factor of four) that are merged into one.
MERGE: Final = 4
#: Segments in memory of what the catalog holds; more are made one.
RECENT: Final = 8
#: Seconds after which an object that no catalog names is taken for one that a stopped process left.
_ORPHANED: Final = 86_400
#: Versions indexed in one transaction by `refill`.
_REFILL: Final = 500
_STAMP: Final = "%Y%m%d%H%M%S"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """What a process holds of the index, as one catalog state had it."""

    changes: int
    latest: int  # highest row id of `recent`
    sealed: tuple[Segment, ...]
    recent: tuple[Segment, ...]

    @property
    def all(self) -> tuple[Segment, ...]:
        return self.sealed + self.recent


def index_version(tx: Tx, row_id: int, text: str) -> None:
    """Make an article version findable once the transaction is committed."""
    tx.fingerprints.add(row_id, keys_of(text))


def keys_of(text: str) -> bytes:
    """The keys of a text as the catalog holds them until they go into a segment."""
    return pack(selected(letters(text)))


class TraceIndex:
    """The index of one archive. Methods may be called from any thread."""

    def __init__(self, catalog: Catalog, store: BlobStore, folder: Path, clock: Callable[[], datetime]) -> None:
        """`folder` is for copies of remote segments and for those being made."""
        self._catalog, self._store, self._folder, self._clock = catalog, store, folder, clock
        self._lock = threading.Lock()
        self._known = _Known(changes=-1, latest=0, sealed=(), recent=())
        self._opened: dict[str, Segment] = {}

    # -- asking

    def candidates(self, tx: Tx, value: str, limit: int, *, least: int = 1, run: int = 0, many: int = 0) -> Candidates:
        """The versions that share most with a letter sequence; see `candidates.find`.

        Raises StoreError, DamageError, DiskError where a segment cannot be read.
        """
        return find(self._parts(tx).all, value, limit, least=least, run=run, many=many)

    def _parts(self, tx: Tx) -> _Known:
        with self._lock:
            latest, changes = tx.fingerprints.state()
            known = self._known
            if changes != known.changes:
                known = self._reread(tx, changes)
            if latest > known.latest:
                recent = _grown(known.recent, tx.fingerprints.after(known.latest, latest))
                known = _Known(changes=changes, latest=latest, sealed=known.sealed, recent=recent)
            self._known = known
            return known

    def _reread(self, tx: Tx, changes: int) -> _Known:
        rows = tx.fingerprints.segments()
        self._opened = {row.name: self._opened.get(row.name) or self._open(row) for row in rows}
        self._forget_copies(row.name for row in rows)
        return _Known(changes=changes, latest=0, sealed=tuple(self._opened.values()), recent=())

    def _open(self, row: FingerprintSegment) -> Segment:
        path = self._store.local_path(PREFIX + row.name)
        return read(path if path is not None else self._copy(row))

    def _forget_copies(self, named: Iterable[str]) -> None:
        """Delete local copies of segments that another process replaced: a redaction may have been the reason."""
        kept = set(named)
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                if path.name not in kept and not path.name.startswith("."):
                    path.unlink(missing_ok=True)

    def _copy(self, row: FingerprintSegment) -> Path:
        """The local copy of a remote segment, fetched where it is not there yet."""
        path = self._folder / row.name
        if path.is_file() and path.stat().st_size == row.length:
            return path
        with self._scratch() as part, disk_errors(f"cannot copy segment {row.name} to {self._folder}"):
            with self._store.open(PREFIX + row.name) as source, part.open("wb") as stream:
                shutil.copyfileobj(source, stream, 1 << 20)
            with part.open("rb") as stream:
                digest, length = hash_stream(stream)
            if (digest, length) != (row.sha256, row.length):
                raise StoreError(f"object {PREFIX}{row.name} is not what was put", remedy="run `pressmark rebuild`")
            part.replace(path)
        return path

    # -- keeping

    def fold(self, at_least: int = FOLD) -> int:
        """Make segments of what the catalog holds, where it holds enough; how many versions. Merges like segments."""
        folded = 0
        while True:
            with self._catalog.read() as tx:
                held = [] if tx.fingerprints.count() < max(1, at_least) else list(tx.fingerprints.after(0, BULK))
            if not held or not self._seal(held):
                break
            folded += len(held)
            at_least = FOLD
        if folded:
            self.merge()
            self._sweep()
        return folded

    def _seal(self, held: Sequence[tuple[int, bytes]]) -> bool:
        """Put versions of the catalog into a segment; False where another process changed them meanwhile."""
        segment = build([row_id for row_id, _ in held], [unpack(keys) for _, keys in held])
        with self._scratch() as path:
            write(path, segment)
            row = self._put(path, segment.documents)
        try:
            with self._catalog.begin() as tx:
                if tx.fingerprints.remove([row_id for row_id, _ in held]) != len(held):
                    raise _Overtaken
                tx.fingerprints.add_segment(row)
        except _Overtaken:
            self._delete([row.name])
            return False
        return True

    def refill(self) -> int:
        """Index all versions where an older Pressmark's index was dropped; how many. Nothing otherwise."""
        with self._catalog.read() as tx:
            if not tx.fingerprints.stale():
                return 0
        done, after = 0, -1
        while True:
            with self._catalog.begin() as tx:
                rows = list(tx.articles.search(after=after, limit=_REFILL, latest_only=False))
                for row in rows:
                    assert row.row_id is not None
                    index_version(tx, row.row_id, row.text)
                if not rows:
                    tx.meta.set(STALE, "")
                    break
            done, after = done + len(rows), rows[-1].log_index
        self.fold()
        return done

    def merge(self) -> int:
        """Merge like-sized segments until no MERGE of them are left; how many merges were made."""
        merged = 0
        while True:
            with self._catalog.read() as tx:
                alike = _alike(tx.fingerprints.segments())
            if not alike or not self._rewrite(alike, ()):
                return merged
            merged += 1

    def remove(self, row_ids: Collection[int]) -> int:
        """Take versions out of catalog and segments, whose files are written again; how many were there.

        Done again it does nothing, so that a redaction may be completed at any start.
        """
        with self._catalog.begin() as tx:
            gone = tx.fingerprints.remove(row_ids)
        wanted = np.fromiter(row_ids, np.int64, len(row_ids))
        again = True
        while again:
            again = False
            with self._catalog.read() as tx:
                rows = tx.fingerprints.segments()
            for row in rows:
                held = int(np.isin(self._open(row).rows, wanted).sum())
                if held and self._rewrite([row], row_ids):
                    gone += held
                elif held:
                    again = True  # another process merged it just now
        return gone

    def _rewrite(self, rows: Sequence[FingerprintSegment], without: Collection[int]) -> bool:
        """One segment in the place of some, without some versions; False where another process was quicker."""
        try:
            opened = [self._open(row) for row in rows]
        except NotFound:
            return False
        new = None
        with self._scratch() as path:
            if documents := merge(path, opened, without):
                new = self._put(path, documents)
        try:
            with self._catalog.begin() as tx:
                for row in rows:
                    if not tx.fingerprints.drop_segment(row.name):
                        raise _Overtaken
                if new is not None:
                    tx.fingerprints.add_segment(new)
        except _Overtaken:
            self._delete([new.name] if new is not None else [])
            return False
        self._delete([row.name for row in rows])
        return True

    @contextmanager
    def filling(self) -> Iterator[Callable[[int, Keys], None]]:
        """For work on a whole archive: takes (row id, keys) of versions in no segment yet, past the catalog's table.

        What was given stands in segments when the body ends; nobody else may index these versions meanwhile.
        """
        rows: list[int] = []
        keys: list[Keys] = []

        def flush() -> None:
            if rows:
                with self._scratch() as path:
                    write(path, build(rows, keys))
                    row = self._put(path, len(rows))
                with self._catalog.begin() as tx:
                    tx.fingerprints.add_segment(row)
                rows.clear()
                keys.clear()

        def add(row_id: int, some: Keys) -> None:
            rows.append(row_id)
            keys.append(some)
            if len(rows) >= BULK:
                flush()

        yield add
        flush()
        self.compact()

    def compact(self) -> None:
        """Merge segments into as few as hold them all."""
        with self._catalog.read() as tx:
            rows = sorted(tx.fingerprints.segments(), key=lambda row: row.documents)
        while len(rows) > 1:
            some, total = [], 0
            while rows and total + rows[0].documents <= MAX_DOCUMENTS:
                some.append(rows.pop(0))
                total += some[-1].documents
            if len(some) < 2 or not self._rewrite(some, ()):
                return

    # -- files

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        with disk_errors(f"cannot write to {self._folder}"):
            self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f".{secrets.token_hex(8)}"
        try:
            yield path
        finally:
            with contextlib.suppress(OSError):
                path.unlink()

    def _put(self, path: Path, documents: int) -> FingerprintSegment:
        name = f"{self._clock().strftime(_STAMP)}-{secrets.token_hex(8)}"
        with disk_errors(f"cannot read {path}"), path.open("rb") as stream:
            digest, length = hash_stream(stream)
        self._store.put_file(PREFIX + name, path)
        return FingerprintSegment(name=name, documents=documents, length=length, sha256=digest)

    def _delete(self, names: Sequence[str]) -> None:
        """Delete objects that the catalog names no more, and their local copies."""
        for name in names:
            self._store.erase(PREFIX + name)
            with contextlib.suppress(OSError):
                (self._folder / name).unlink()

    def _sweep(self) -> None:
        self.sweep(older=_ORPHANED)

    def sweep(self, older: float = 0) -> int:
        """Delete segments that the catalog does not name and that are older than so many seconds; how many."""
        with self._catalog.read() as tx:
            named = {row.name for row in tx.fingerprints.segments()}
        before = datetime.fromtimestamp(self._clock().timestamp() - older, self._clock().tzinfo).strftime(_STAMP)
        found = (key.removeprefix(PREFIX) for key in self._store.list(PREFIX))
        orphans = [name for name in found if name not in named and name[:14] <= before]
        self._delete(orphans)
        return len(orphans)


class _Overtaken(Exception):
    """Another process changed the same part of the index."""


def _alike(rows: Sequence[FingerprintSegment]) -> list[FingerprintSegment]:
    """Segments to merge: MERGE or more whose sizes are within a factor of four and make no more than one segment."""
    tiers: dict[int, list[FingerprintSegment]] = {}
    for row in sorted(rows, key=lambda row: row.documents):
        tiers.setdefault(row.documents.bit_length() // 2, []).append(row)
    for tier in sorted(tiers):
        some, total = [], 0
        for row in tiers[tier]:
            if total + row.documents <= MAX_DOCUMENTS:
                some.append(row)
                total += row.documents
        if len(some) >= MERGE:
            return some
    return []


def _grown(recent: tuple[Segment, ...], rows: Iterator[tuple[int, bytes]]) -> tuple[Segment, ...]:
    """What the catalog holds, with new versions; made one segment where they have become many."""
    held = list(rows)
    if not held:
        return recent
    recent = (*recent, build([row_id for row_id, _ in held], [unpack(keys) for _, keys in held]))
    return (files.joined(recent),) if len(recent) > RECENT else recent

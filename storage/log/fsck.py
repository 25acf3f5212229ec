"""Re-reading the whole log: every bundle, every tile, the roots, the checkpoint, and the catalog's copy of
the entries.

Knows formats and a reader, and believes neither the tiles nor the catalog: of bundle, tile and catalog row
the two that agree tell which one is wrong. Nothing is mended. What the entries commit to is left to
`storage.fixity`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from schemas.checkpoints import Checkpoint, VerifierKey, open_checkpoint
from schemas.entries import Entry
from schemas.errors import CheckFailed, InvalidValue, NotFound
from schemas.merkle import HASH_SIZE, leaf_hash
from schemas.tiles import (
    TILE_WIDTH,
    TileName,
    decode_entries,
    encode_entries,
    parse_tile_path,
    tile_width,
)
from storage.blobs import BlobStore
from storage.catalog import Catalog
from storage.catalog.values import EntryRow, LogState
from storage.log.edge import Edge
from storage.log.tree import CHECKPOINT_KEY, PREFIX

#: What was found: kind (damaged, missing, orphan), where, one sentence.
Report = Callable[[str, str, str], None]
#: Told after each bundle: entries read, entries in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Bundle:
    """What three places say of up to 256 entries; None where one has nothing that can be read."""

    first: int
    stored: list[bytes] | None  # entries of the bundle
    tile: list[bytes] | None  # leaf hashes of the level 0 tile
    rows: list[EntryRow]


def check_log(
    store: BlobStore,
    catalog: Catalog,
    *,
    origin: str,
    vkey: VerifierKey,
    report: Report,
    progress: Progress | None = None,
    right: dict[str, bytes] | None = None,
) -> int:
    """Check all that lies under `log/` and the catalog's log; the number of entries that were checked.

    `right` is filled with what damaged or missing bundles and tiles should hold, where the published root proves it.
    Raises StoreError and CatalogError, nothing for damage.
    """
    note = _get(store, CHECKPOINT_KEY)  # before the catalog: what is published was committed before
    with catalog.read() as tx:
        state = tx.log.state()
    published = _published(note, state, origin, vkey, report)
    check = _Check(store, catalog, state, published, report)
    check.walk(progress)
    check.names()
    if right is not None and check.proven:
        right.update((PREFIX + name.path, data) for name, data in check.right.items())
    return state.next_index


def _published(
    note: bytes | None, state: LogState, origin: str, vkey: VerifierKey, report: Report
) -> Checkpoint | None:
    """The published checkpoint, if it is one and fits the catalog."""
    if note is None:
        if state.checkpoint is not None or state.size:
            report(
                "missing", CHECKPOINT_KEY, f"no checkpoint is published, though a tree of {state.size} was committed"
            )
        return None
    try:
        found = open_checkpoint(note, vkey)
    except (InvalidValue, CheckFailed) as error:
        report("damaged", CHECKPOINT_KEY, f"not a checkpoint signed by this archive's key: {error.message}")
        return None
    if found.origin != origin:
        report("damaged", CHECKPOINT_KEY, f"the checkpoint of another log, {found.origin}")
        return None
    if found.size > state.size:
        report(
            "damaged", "catalog", f"{found.size} log entries were published, the catalog has {state.size} in its tree"
        )
    elif found.size == state.size and found.root != state.root:
        report("damaged", "catalog", f"the catalog has another root than the checkpoint at size {found.size}")
    if state.checkpoint is not None:
        _check_noted(state, found, vkey, report)
    return found


def _check_noted(state: LogState, published: Checkpoint, vkey: VerifierKey, report: Report) -> None:
    """The catalog's own copy of the checkpoint: a rollback or fork of the store shows against it."""
    assert state.checkpoint is not None
    try:
        noted = open_checkpoint(state.checkpoint.encode(), vkey)
    except (InvalidValue, CheckFailed) as error:
        report("damaged", "catalog", f"its copy of the checkpoint is not one: {error.message}")
        return
    if noted.size == published.size and noted.root != published.root:
        report("damaged", CHECKPOINT_KEY, f"a fork: another root of size {noted.size} was published before")
    elif noted.size > published.size:
        report("damaged", CHECKPOINT_KEY, f"rolled back to size {published.size} from {noted.size}")


class _Check:
    """One run over the log."""

    def __init__(
        self, store: BlobStore, catalog: Catalog, state: LogState, published: Checkpoint | None, report: Report
    ) -> None:
        self._store, self._catalog, self._report = store, catalog, report
        self._state, self._published = state, published
        # What must lie in the store: the published tree and, after a stop in between, the committed one.
        self._size = max(state.size, published.size if published is not None else 0)
        self._widest: tuple[TileName, bytes | None] | None = None
        self.right: dict[TileName, bytes] = {}  # what damaged or missing tiles should hold
        self._met = self._differs = False  # the entries gave the published root; they gave another than some root

    @property
    def proven(self) -> bool:
        """True where the entries give the published root, and the catalog's too."""
        return self._met and not self._differs

    # -- entries, tiles, roots

    def walk(self, progress: Progress | None) -> None:
        """Every entry once, in order: bundle against tile against catalog, and the tree made anew from
        them.
        """
        edge = Edge()
        roots = {self._state.size: (self._state.root, "catalog")}
        if self._published is not None:
            roots[self._published.size] = (self._published.root, CHECKPOINT_KEY)
        self._check_root(edge, roots)
        for first in range(0, self._size, TILE_WIDTH):
            leaves = self._leaves(first, min(first + TILE_WIDTH, self._size))
            for size in [*sorted(s for s in roots if first < s < first + len(leaves)), first + len(leaves)]:
                for name, data in edge.extend(leaves[edge.size - first : size - first]):
                    self._check_tile(name, data)
                if size in roots:
                    self._check_root(edge, roots)
                    for name, data in edge.partials():
                        self._check_tile(name, data)
            if progress is not None:
                progress(edge.size, self._size)
        self._check_pending()

    def _check_root(self, edge: Edge, roots: dict[int, tuple[bytes, str]]) -> None:
        root, where = roots.get(edge.size, (None, ""))
        if root is not None and root != edge.root():
            self._report("damaged", where, f"the entries give another root for the tree of {edge.size} entries")
            self._differs = True
        elif root is not None and self._published is not None and edge.size == self._published.size:
            self._met = True

    def _check_tile(self, name: TileName, data: bytes) -> None:
        """A tile above level 0 (those of level 0 were compared with their bundle), or a partial one."""
        if name.level == 0 and name.width == self._width(0, name.index):
            return
        stored = self._read(name)
        if stored is not None and stored != data:
            self._report("damaged", PREFIX + name.path, "its hashes are not those of the entries below it")
        if stored != data:
            self.right[name] = data

    def _leaves(self, first: int, stop: int) -> list[bytes]:
        """The leaf hashes of a run of entries, as two of the three places agree on them."""
        width = stop - first
        bundle = self._bundle(first, width)
        from_bundle = [leaf_hash(e) for e in bundle.stored] if bundle.stored is not None else None
        from_rows: list[bytes] | None = [leaf_hash(row.body) for row in bundle.rows]
        if [row.index for row in bundle.rows] != list(range(first, stop)):
            from_rows = None
        # Rows come first where no two places agree: body and leaf hash stand in them apart, and agree with each other.
        sound = from_rows is not None and from_rows == [row.leaf for row in bundle.rows]
        order = (from_rows, bundle.tile, from_bundle) if sound else (bundle.tile, from_bundle, from_rows)
        votes = [v for v in order if v is not None]
        agreed = next((v for v in votes if votes.count(v) > 1), votes[0] if votes else [bytes(HASH_SIZE)] * width)
        tile, entries = (TileName(level=level, index=first // TILE_WIDTH, width=width) for level in (0, None))
        if bundle.tile is not None and bundle.tile != agreed:
            self._report("damaged", PREFIX + tile.path, "its hashes are not those of the entries in bundle and catalog")
        if from_bundle is not None and from_bundle != agreed:
            bad = _places(first, from_bundle, agreed)
            self._report("damaged", PREFIX + entries.path, f"holds other entries than were hashed, at {bad}")
        if bundle.tile != agreed:
            self.right[tile] = b"".join(agreed)
        if from_bundle != agreed and from_rows == agreed:
            self.right[entries] = encode_entries([row.body for row in bundle.rows])
        self._check_rows(bundle.rows, first, agreed)
        return agreed

    def _check_rows(self, rows: list[EntryRow], first: int, agreed: list[bytes]) -> None:
        there = {row.index: row for row in rows}
        for index, leaf in enumerate(agreed, first):
            row = there.get(index)
            if row is None:
                self._report("missing", f"entry {index}", "the catalog lacks this log entry")
            elif leaf_hash(row.body) != leaf or row.leaf != leaf:
                self._report("damaged", f"entry {index}", "the catalog's log entry is not the one that was logged")
            else:
                self._check_type(row)

    def _check_type(self, row: EntryRow) -> None:
        try:
            kind = Entry.decode(row.body).type
        except InvalidValue as error:
            self._report("damaged", f"entry {row.index}", f"not a log entry of a known form: {error.message}")
            return
        if kind != row.type:
            self._report("damaged", f"entry {row.index}", f"the catalog calls it {row.type!r}, it is of type {kind!r}")

    def _bundle(self, first: int, width: int) -> _Bundle:
        index = first // TILE_WIDTH
        name, tile_name = (TileName(level=level, index=index, width=width) for level in (None, 0))
        with self._catalog.read() as tx:
            rows = list(tx.log.entries(first, first + width))
        return _Bundle(first=first, stored=self._entries(name), tile=self._hashes(tile_name), rows=rows)

    def _entries(self, name: TileName) -> list[bytes] | None:
        data = self._read(name)
        if data is None:
            return None
        try:
            found = decode_entries(data)
        except InvalidValue as error:
            self._report("damaged", PREFIX + name.path, error.message)
            return None
        if len(found) != name.width:
            self._report("damaged", PREFIX + name.path, f"holds {len(found)} entries, not {name.width}")
            return None
        return found

    def _hashes(self, name: TileName) -> list[bytes] | None:
        data = self._read(name)
        if data is None:
            return None
        if len(data) != name.width * HASH_SIZE:
            self._report("damaged", PREFIX + name.path, f"has {len(data)} bytes, not {name.width * HASH_SIZE}")
            return None
        return [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]

    def _read(self, name: TileName) -> bytes | None:
        data = _get(self._store, PREFIX + name.path)
        if data is None:
            self._report("missing", PREFIX + name.path, f"the tree of {self._size} entries needs it")
        return data

    def _check_pending(self) -> None:
        """Entries that wait for their tiles are known to the catalog alone: each must be there and be
        itself.
        """
        start, stop = self._size, self._state.next_index
        with self._catalog.read() as tx:
            expected = start
            for row in tx.log.entries(start, stop):
                for index in range(expected, row.index):
                    self._report("missing", f"entry {index}", "the catalog lacks this log entry")
                expected = row.index + 1
                if leaf_hash(row.body) != row.leaf:
                    self._report(
                        "damaged", f"entry {row.index}", "the catalog's log entry is not the one that was logged"
                    )
                else:
                    self._check_type(row)
            for index in range(expected, stop):
                self._report("missing", f"entry {index}", "the catalog lacks this log entry")

    # -- what else lies there

    def names(self) -> None:
        """Every object under `log/`: known by its name, and, where it was grown out of, a start of its
        successor.
        """
        for key in self._store.list(PREFIX):
            if key == CHECKPOINT_KEY:
                continue
            try:
                name = parse_tile_path(key.removeprefix(PREFIX))
            except InvalidValue:
                self._report("orphan", key, "no object of a log has such a name")
                continue
            width = self._width(name.level or 0, name.index)
            if name.width > width:
                self._report("orphan", key, f"beyond the tree of {self._size} entries: an integration did not end")
            elif name.width < width:
                self._check_outgrown(name, width)

    def _width(self, level: int, index: int) -> int:
        return tile_width(level, index, self._size)

    def _check_outgrown(self, name: TileName, width: int) -> None:
        """A partial tile of an earlier tree: proofs against earlier checkpoints are read from it."""
        widest = TileName(level=name.level, index=name.index, width=width)
        if self._widest is None or self._widest[0] != widest:
            right = self.right.get(widest)
            self._widest = (widest, _get(self._store, PREFIX + widest.path) if right is None else right)
        whole, data = self._widest[1], _get(self._store, PREFIX + name.path)
        if whole is None or data is None:
            return  # reported where it was needed, or removed meanwhile
        if not whole.startswith(data) or not _is_whole(name, data):
            self._report("damaged", PREFIX + name.path, f"not the first {name.width} of {PREFIX}{widest.path}")
            self.right[name] = _first(whole, name)


def _first(whole: bytes, name: TileName) -> bytes:
    """What a partial tile or bundle holds of the wider one that grew from it."""
    if name.level is not None:
        return whole[: name.width * HASH_SIZE]
    return encode_entries(decode_entries(whole)[: name.width])


def _is_whole(name: TileName, data: bytes) -> bool:
    if name.level is not None:
        return len(data) == name.width * HASH_SIZE
    try:
        return len(decode_entries(data)) == name.width
    except InvalidValue:
        return False


def _places(first: int, found: list[bytes], agreed: list[bytes]) -> str:
    bad = [str(first + at) for at, (one, other) in enumerate(zip(found, agreed, strict=True)) if one != other]
    return ", ".join(bad[:5]) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")


def _get(store: BlobStore, key: str) -> bytes | None:
    try:
        return store.get(key)
    except NotFound:
        return None

"""The tree over the entries: tiles, checkpoints, and proofs from them (C2SP tlog-tiles, tlog-checkpoint).

`Log.integrate` is the only writer. Its order makes a fork impossible and every step safe to repeat: indices
were assigned durably by `sequencer`; entry bundles, then hash tiles are put, once each; size and root are
committed by compare-and-swap under the lease's epoch; only then is the checkpoint signed, and only then
replaced in the store. A stop at any point leaves the next run nothing to undo. Checking proofs is left to
`schemas.merkle` and `schemas.proofs`; who may write to `lease`; re-reading the whole log to `storage.fixity`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from schemas.checkpoints import Checkpoint, Note, NoteSignature, VerifierKey, open_checkpoint, verify_note
from schemas.cosignatures import with_signatures
from schemas.entries import ROTATED, Entry
from schemas.errors import (
    AlreadyExists,
    CheckFailed,
    DamageError,
    InvalidValue,
    LeaseLost,
    LogForkRisk,
    NotFound,
    UsageError,
)
from schemas.merkle import consistency_path, inclusion_path, leaf_hash, verify_consistency, verify_inclusion
from schemas.proofs import LogProof
from schemas.tiles import TILE_WIDTH, TileName, encode_entries, hash_reader
from storage.blobs import BlobStore
from storage.catalog import Catalog
from storage.catalog.values import LogState
from storage.disk import write_durably
from storage.log.edge import Edge
from storage.log.lease import Lease
from storage.log.signing import Signer

#: Where the log lies in the object store; below it the layout is C2SP tlog-tiles as specified.
PREFIX: Final = "log/"
CHECKPOINT_KEY: Final = PREFIX + "checkpoint"
TILE_PREFIX: Final = PREFIX + "tile/"

#: Entries put into tiles between two commits: 16 full bundles, so memory stays at some megabytes.
BATCH: Final = 16 * TILE_WIDTH
#: Under which subject the entries of changed keys are found.
KEY_SUBJECT: Final = "log.key"

_REBUILD: Final = "run `pressmark rebuild`"


class Log:
    """The log of one archive. Safe for threads; several processes may integrate, one at a time by lease."""

    def __init__(
        self,
        store: BlobStore,
        catalog: Catalog,
        *,
        origin: str,
        signer: Signer | None,
        holder: str,
        vkey: VerifierKey | None = None,
        kept: Path | None = None,
    ) -> None:
        """`holder` names this process in the lease, and no other; without a signer nothing can be
        integrated. `kept` is a local file for the newest checkpoint that was signed here.
        """
        self._kept = kept
        self._refused: LogForkRisk | None = None
        self._store, self._catalog = store, catalog
        self.origin, self._signer = origin, signer
        self._lease = Lease(catalog, holder)
        self.vkey = vkey if vkey is not None or signer is None else signer.vkey
        self._edge: Edge | None = None  # of the newest tree that this process made
        self._trusted: bytes | None = None  # the published note that was checked against the catalog last
        self._opened: tuple[bytes, Checkpoint] | None = None  # the note whose signature was checked last
        self._lock = threading.Lock()

    # -- writing ---------------------------------------------------------------------------------------------

    def integrate(self, now: datetime) -> Checkpoint | None:
        """Put all entries sequenced so far into the tree and publish it; None where nothing is new.

        Waits for another process's lease for as long as one holds. Raises LogForkRisk where the store knows
        of another history, LeaseLost where another process took over meanwhile, DamageError, StoreError,
        CatalogError.
        """
        if self._signer is None:
            raise UsageError("this archive was opened without its log key: nothing can be signed")
        if self._refused is not None:
            raise self._refused
        with self._lock:
            epoch = self._lease.acquire(now)
            if epoch is None:
                return None
            try:
                return self._integrate(epoch, self._signer, now)
            finally:
                self._lease.release()

    def refuse(self, why: LogForkRisk) -> None:
        """Sign nothing from here on: somebody saw another history of this log."""
        self._refused = why

    def _integrate(self, epoch: int, signer: Signer, now: datetime) -> Checkpoint | None:
        started = time.monotonic()
        state, old = self._state(), self._published_note()
        if old != self._trusted or old is None:
            self._check(state, old)
        while state.size < state.next_index:
            state = self._grow(state, epoch)
            self._lease.renew(epoch, now + timedelta(seconds=time.monotonic() - started))
        checkpoint = Checkpoint(origin=self.origin, size=state.size, root=state.root)
        # What is trusted was opened before, by today's key or by the one that was lost.
        if state.size == 0 or (old is not None and Checkpoint.parse(Note.parse(old).text) == checkpoint):
            self._remember(state, old)
            return None
        note = signer.sign_note(checkpoint.text).encode()
        if self._kept is not None:  # before anybody else can see it
            write_durably(self._kept, note)
        self._publish(note, old)
        self._remember(state, note)
        return checkpoint

    def _grow(self, state: LogState, epoch: int) -> LogState:
        """Put the next batch of entries into tiles and commit the tree; the new state."""
        edge = self._edge_at(state)
        first = state.size - state.size % TILE_WIDTH
        stop = min(state.next_index, first + BATCH)
        with self._catalog.read() as tx:
            bodies, leaves = tx.log.bodies(first, stop), tx.log.leaves(first, stop)
        known = edge.levels[0] if edge.levels else []
        if len(bodies) != stop - first or [leaf_hash(b) for b in bodies] != leaves or leaves[: len(known)] != known:
            raise DamageError(
                f"the catalog's log entries {first} to {stop - 1} are not those that were logged",
                remedy=_REBUILD,
            )
        for at in range(0, len(bodies), TILE_WIDTH):
            part = bodies[at : at + TILE_WIDTH]
            name = TileName(level=None, index=(first + at) // TILE_WIDTH, width=len(part))
            self._put(name, encode_entries(part))
        for name, data in edge.extend(leaves[len(known) :]):
            self._put(name, data)
        for name, data in edge.partials():
            self._put(name, data)
        root = edge.root()
        with self._catalog.begin() as tx:
            tx.log.commit_tree(size=edge.size, root=root, epoch=epoch)
        self._edge = edge
        return replace(state, size=edge.size, root=root, epoch=epoch)

    def _put(self, name: TileName, data: bytes) -> None:
        try:
            self._store.put(PREFIX + name.path, data)
        except AlreadyExists as error:
            raise LogForkRisk(
                f"{PREFIX}{name.path} holds other entries than this catalog has", remedy=_REBUILD
            ) from error

    def _publish(self, note: bytes, old: bytes | None) -> None:
        try:
            self._store.replace(CHECKPOINT_KEY, note, expected=old)
        except AlreadyExists as error:
            # Another process published since we read; what it signed is a tree that was committed, as ours
            # is.
            raise LeaseLost(
                "another process published a checkpoint meanwhile", remedy="nothing was lost: run it again"
            ) from error

    def _remember(self, state: LogState, note: bytes | None) -> None:
        """Keep the published note in the catalog too, where it is not there yet."""
        self._trusted = note
        if note is not None and state.checkpoint != note.decode():
            with self._catalog.begin() as tx:
                tx.log.set_origin(self.origin)
                tx.log.set_checkpoint(note.decode(), state.size)

    # -- checking --------------------------------------------------------------------------------------------

    def check_start(self, others: Sequence[tuple[str, Note]] = ()) -> None:
        """Compare the store's checkpoint with the catalog before anything is written, and all `others` that are known:
        (where one stands, the note).

        Raises LogForkRisk where the checkpoint is not signed by this log's key, is ahead of the catalog, or
        is of another history, and where another one is. Nothing may be signed then.
        """
        with self._lock:
            state, note = self._compared()
            self._check(state, note)
            for where, other in others:
                self._check_other(state, where, other)

    def _compared(self) -> tuple[LogState, bytes | None]:
        """The catalog's state and the store's checkpoint, the checkpoint read first: another process may go on between
        the two, and commits before it publishes, so that what it published is never ahead of what is read after it.
        """
        note = self._published_note()
        state = self._state()
        if note is None and state.checkpoint is not None:  # the first checkpoint may have come just now
            note = self._published_note()
            state = self._state()
        return state, note

    def _check_other(self, state: LogState, where: str, note: Note) -> None:
        """A checkpoint of this log that stands elsewhere must be one of a tree that this one continues."""
        try:
            told = Checkpoint.parse(note.text)
            if told.origin != self.origin:
                return  # of the log before a new origin
            keys = [key for key in (self.vkey, *self.older_keys()) if key is not None and note.by(key)]
            if not keys:
                raise CheckFailed("it bears no signature by a key of this log")
            verify_note(note, keys[0])
            if told.size > state.size:
                raise CheckFailed(f"it is of {told.size} entries, this catalog has {state.size} in its tree")
            read = hash_reader(state.size, self._tile)
            proof = consistency_path(told.size, state.size, read)
            verify_consistency(told.size, state.size, proof, told.root, state.root)
        except (CheckFailed, DamageError, InvalidValue) as error:
            raise LogForkRisk(
                f"{where} is a checkpoint that this archive does not continue: {error.message}", remedy=_REBUILD
            ) from error

    def older_keys(self) -> list[VerifierKey]:
        """Keys of this log that handed over to the next, oldest first."""
        return [was for _, was in self._handed_over()]

    def former_keys(self) -> list[VerifierKey]:
        """All keys that signed this tree before today's, those of a log that was lost among them."""
        with self._catalog.read() as tx:
            fields = [Entry.decode(row.body).fields for row in tx.log.about(KEY_SUBJECT)]
        return [VerifierKey.parse(f["was"]) for f in fields if "was" in f]

    def go_on_from(self, note: bytes | None) -> None:
        """Take a published note for checked: that of the log which this one goes on under another origin and key."""
        self._trusted = note

    def handovers(self) -> list[int]:
        """The log indices of the entries by which they did."""
        return [index for index, _ in self._handed_over()]

    def _handed_over(self) -> list[tuple[int, VerifierKey]]:
        with self._catalog.read() as tx:
            rows = [(row.index, Entry.decode(row.body).fields) for row in tx.log.about(KEY_SUBJECT)]
        found = [(n, VerifierKey.parse(f["was"])) for n, f in rows if f.get("change") == ROTATED]
        return [(n, was) for n, was in found if was.name == self.origin]

    def add_signatures(self, text: str, lines: tuple[NoteSignature, ...], now: datetime) -> bool:
        """Publish signature lines of others under the checkpoint of this text; False where it is not the newest any
        more.
        """
        with self._lock:
            epoch = self._lease.acquire(now)
            if epoch is None:
                return False
            try:
                old = self._published_note()
                note = None if old is None else Note.parse(old)
                if note is None or note.text != text:
                    return False
                new = with_signatures(note, lines).encode()
                self._publish(new, old)
                self._remember(self._state(), new)
                return True
            except LeaseLost:
                return False
            finally:
                self._lease.release()

    def _check(self, state: LogState, note: bytes | None) -> None:
        self._trusted = None
        if state.origin not in ("", self.origin):
            raise LogForkRisk(
                f"the catalog is of the log {state.origin}, the settings name {self.origin}",
                remedy="put the setting [log] origin back",
            )
        if note is None:
            if state.checkpoint is not None:
                raise LogForkRisk(
                    f"the object store has lost {CHECKPOINT_KEY}, which was published at size {state.size}",
                    remedy="bring the store back whole, or " + _REBUILD,
                )
            return
        published = self._open(note)
        if published.size > state.size:
            raise LogForkRisk(
                f"{published.size} log entries were published, this catalog has {state.size} in its tree",
                remedy=_REBUILD,
            )
        try:
            # The tree that the catalog committed, as it lies in the store; then that the published one is
            # its start.
            tree = self._read_edge(state.size)
            if tree.root() != state.root:
                raise CheckFailed(f"the stored tiles of size {state.size} have another root than the catalog")
            read = hash_reader(state.size, self._tile)
            proof = consistency_path(published.size, state.size, read)
            verify_consistency(published.size, state.size, proof, published.root, state.root)
        except (CheckFailed, DamageError, InvalidValue) as error:
            raise LogForkRisk(f"checkpoint, tiles and catalog disagree: {error.message}", remedy=_REBUILD) from error
        self._edge, self._trusted = tree, note

    def _open(self, note: bytes) -> Checkpoint:
        """Read a checkpoint that must be ours; the last one read is kept, for checking a signature takes
        time.
        """
        if self._opened is not None and self._opened[0] == note:
            return self._opened[1]
        if self.vkey is None:
            raise UsageError("this archive was opened without its log's public key")
        try:
            found = open_checkpoint(note, self.vkey)
        except (CheckFailed, InvalidValue) as error:
            raise LogForkRisk(
                f"{CHECKPOINT_KEY} is not a checkpoint signed by this archive's key ({error.message})",
                remedy="find out who wrote it; bring the right one back from a mirror or backup",
            ) from error
        if found.origin != self.origin:
            raise LogForkRisk(
                f"{CHECKPOINT_KEY} is of another log, {found.origin}",
                remedy="check the settings [objects] url",
            )
        self._opened = (note, found)
        return found

    def _state(self) -> LogState:
        with self._catalog.read() as tx:
            return tx.log.state()

    def _published_note(self) -> bytes | None:
        try:
            return self._store.get(CHECKPOINT_KEY)
        except NotFound:
            return None

    def _edge_at(self, state: LogState) -> Edge:
        """The edge of the committed tree, to grow: kept from the last batch, or read back from the tiles."""
        edge = self._edge
        if edge is None or edge.size != state.size or edge.root() != state.root:
            edge = self._read_edge(state.size)
            if edge.root() != state.root:
                raise LogForkRisk(
                    f"the stored tiles of size {state.size} have another root than the catalog",
                    remedy=_REBUILD,
                )
        self._edge = None  # a batch that fails half-way must not leave a grown edge behind
        return edge

    def _read_edge(self, size: int) -> Edge:
        return Edge.restore(size, lambda name: self._tile(name.level or 0, name.index, name.width))

    def _tile(self, level: int, index: int, width: int) -> bytes:
        """A tile as stored; a partial one may be had from the full one that grew from it."""
        names = [TileName(level=level, index=index, width=width)]
        if width < TILE_WIDTH:
            names.append(TileName(level=level, index=index))
        for name in names:
            try:
                return self._store.get(PREFIX + name.path)[: width * 32]
            except NotFound:
                continue
        raise DamageError(f"{PREFIX}{names[0].path} is missing", remedy="run `pressmark audit --full`")

    # -- proofs ----------------------------------------------------------------------------------------------

    def head(self) -> bytes | None:
        """The published checkpoint's bytes, where there is one and it is this log's. Raises LogForkRisk."""
        note = self._published_note()
        if note is not None:
            self._open(note)
        return note

    def checkpoint(self) -> str | None:
        """The published checkpoint, a signed note; None where none was published yet."""
        note = self._published_note()
        return None if note is None else note.decode("utf-8", "replace")

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """The path from entry `index` up to the root of the tree of `size` entries (default: as published).

        Raises NotFound where that tree is not published yet or has no such entry, DamageError.
        """
        head = self._head()
        size = head.size if size is None else size
        if not 0 <= index < size <= head.size:
            raise NotFound(
                f"entry {index} is not in the published tree of {min(size, head.size)} entries",
                remedy="run `pressmark log checkpoint` and see `pressmark log entries`",
            )
        return inclusion_path(index, size, hash_reader(head.size, self._tile))

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that the tree of `old` entries is the start of that of `new`.

        Raises NotFound where they are not published, DamageError.
        """
        head = self._head()
        if not 0 <= old <= new <= head.size:
            raise NotFound(
                f"no two trees of {old} and {new} entries in this order; the published one has {head.size}",
                remedy="see `pressmark log checkpoint`",
            )
        return consistency_path(old, new, hash_reader(head.size, self._tile))

    def tlog_proof(self, index: int, note: bytes | None = None) -> str:
        """The `.tlog-proof` of an entry (C2SP tlog-proof), checked before it is given: in the published tree, or in
        that of an older signed checkpoint.

        Raises NotFound where the entry is not in that tree, DamageError where the tiles do not
        prove it.
        """
        note = self._published_note() if note is None else note
        if note is None:
            raise NotFound("no checkpoint was published yet", remedy="run `pressmark log checkpoint`")
        head = Checkpoint.parse(Note.parse(note).text)
        path = self.inclusion(index, head.size)
        try:
            verify_inclusion(index, head.size, leaf_hash(self.entry_bytes(index)), path, head.root)
        except CheckFailed as error:
            raise DamageError(
                f"the stored tiles do not prove entry {index}: {error.message}",
                remedy="run `pressmark audit --full`",
            ) from error
        return LogProof(index=index, hashes=tuple(path), checkpoint=note).encode().decode()

    def resigned(self, note: Note) -> Note:
        """An older checkpoint of this log with a signature by today's key, first; added where a key before signed it.

        Raises DamageError where the published tree does not continue that of the note, UsageError without the key.
        """
        if self.vkey is None or self._signer is None:
            raise UsageError("this archive was opened without its log key: nothing can be signed")
        told = Checkpoint.parse(note.text)
        mine = note.by(self.vkey)
        if not mine:
            head = self._head()
            try:
                proof = self.consistency(told.size, head.size)
                verify_consistency(told.size, head.size, proof, told.root, head.root)
            except CheckFailed as error:
                raise DamageError(f"a checkpoint of {told.size} entries that this log does not continue") from error
            mine = [self._signer.sign_line(note.text)]
        return Note(text=note.text, signatures=(*mine, *(s for s in note.signatures if s not in mine)))

    def entry_bytes(self, index: int) -> bytes:
        """The bytes of an entry, as hashed into the tree. Raises NotFound, DamageError."""
        with self._catalog.read() as tx:
            row = tx.log.entry(index)
        if row is None:
            raise NotFound(f"the log has no entry {index}", remedy="see `pressmark log entries`")
        if leaf_hash(row.body) != row.leaf:
            raise DamageError(f"log entry {index} in the catalog is not what was logged", remedy=_REBUILD)
        return row.body

    def _head(self, note: bytes | None = None) -> Checkpoint:
        note = self._published_note() if note is None else note
        if note is None:
            raise NotFound("no checkpoint was published yet", remedy="run `pressmark log checkpoint`")
        return self._open(note)

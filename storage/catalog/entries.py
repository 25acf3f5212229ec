"""Log entries and the state of the tree. What an entry says is left to `schemas.entries`, tiles and signing
to `storage.log`.

Indices are assigned under the lock of the one `log_state` row, which is held until the transaction ends:
they are gap-free, and a lower one is never committed after a higher one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Row, bindparam, case, func, insert, select, update

from schemas.errors import DamageError, InvalidValue, LeaseLost, LogForkRisk
from storage.catalog.base import BATCH, Queries, RowInsert
from storage.catalog.tables import entries, leases, log_state
from storage.catalog.values import EntryRow, LogState

#: The lease under which trees are committed.
SEQUENCER: Final = "sequencer"
#: Root of a tree without leaves: the hash of nothing (RFC 6962 section 2.1).
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

# The one row gives captures their order too: see `tables.log_state`.
_NEXT: Final = (
    update(log_state)
    .values(
        next_index=log_state.c.next_index + bindparam("entries"), next_seq=log_state.c.next_seq + bindparam("captures")
    )
    .returning(log_state.c.next_index, log_state.c.next_seq)
)
_ADD: Final = RowInsert(entries)
_RANGE: Final = (
    select(entries)
    .where(entries.c.index >= bindparam("start"), entries.c.index < bindparam("stop"))
    .order_by(entries.c.index)
)


class LogQueries(Queries):
    """Log entries and the state of the tree."""

    __slots__ = ()

    def append(self, type: str, body: bytes, leaf: bytes, subject: str | None) -> int:
        """Add an entry; its index, the next one. Nothing else is logged until this transaction ends."""
        index, _ = self.reserve(1)
        self.put(index, [(type, body, leaf, subject)])
        return index

    def reserve(self, entries: int, *, captures: int = 0) -> tuple[int, int]:
        """Take so many indices, and so many places in the order of captures: the first of each. Nobody else takes any
        until this transaction ends, in which they all must be used.
        """
        index, seq = self._connection.execute(_NEXT, {"entries": entries, "captures": captures}).one()
        return index - entries, seq - captures

    def put(self, first: int, new: Sequence[tuple[str, bytes, bytes, str | None]]) -> None:
        """Add entries (type, body, leaf, subject) at the indices from `first` on, which were reserved."""
        rows = [(first + n, type, body, leaf, subject) for n, (type, body, leaf, subject) in enumerate(new)]
        _ADD.run(self._connection, rows)

    def lock(self) -> None:
        """Let no other transaction log anything until this one ends.

        For who looks first and logs by what was found: on PostgreSQL two could find the same. On SQLite every writer
        holds all anyway.
        """
        self._connection.execute(select(log_state.c.id).with_for_update())

    def load(self, index: int, type: str, body: bytes, leaf: bytes, subject: str | None) -> None:
        """Put an entry back where the tiles have it (rebuild)."""
        self.load_many([EntryRow(index=index, type=type, body=body, leaf=leaf, subject=subject)])

    def load_many(self, rows: Sequence[EntryRow]) -> None:
        """Put entries back where the tiles have them; the next index comes after the highest."""
        if not rows:
            return
        _ADD.run(self._connection, [(row.index, row.type, row.body, row.leaf, row.subject) for row in rows])
        after = max(row.index for row in rows) + 1
        grown = case((log_state.c.next_index < after, after), else_=log_state.c.next_index)
        self._connection.execute(update(log_state).values(next_index=grown))

    def state(self) -> LogState:
        """Where the log stands."""
        row = self._connection.execute(select(log_state)).one()
        return LogState(
            next_index=row.next_index,
            size=row.size,
            root=bytes(row.root),
            checkpoint=row.checkpoint,
            epoch=row.epoch,
            origin=row.origin,
        )

    def set_origin(self, origin: str) -> None:
        """Note the log's origin (`init`, `rebuild`)."""
        self._connection.execute(update(log_state).values(origin=origin))

    def entry(self, index: int) -> EntryRow | None:
        """One entry."""
        row = self._connection.execute(select(entries).where(entries.c.index == index)).first()
        return _row(row) if row else None

    def find(self, subject: str, type: str | None = None) -> EntryRow | None:
        """The latest entry about a subject, of a type where one is named."""
        query = select(entries).where(entries.c.subject == subject).order_by(entries.c.index.desc()).limit(1)
        if type is not None:
            query = query.where(entries.c.type == type)
        row = self._connection.execute(query).first()
        return _row(row) if row else None

    def about(self, subject: str) -> list[EntryRow]:
        """All entries about a subject, in order."""
        query = select(entries).where(entries.c.subject == subject).order_by(entries.c.index)
        return [_row(row) for row in self._connection.execute(query).all()]

    def holding(self, type: str, words: str) -> Iterator[EntryRow]:
        """Entries of a type whose body holds these ASCII words, in order. Looks through the whole log."""
        end = self.state().next_index
        query = _RANGE.where(entries.c.type == type)
        for first in range(0, end, BATCH):
            for row in self._connection.execute(query, {"start": first, "stop": min(first + BATCH, end)}).all():
                if words.encode() in bytes(row.body):
                    yield _row(row)

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[EntryRow]:
        """Entries from `start` up to, not with, `stop`; read in runs. Missing ones are left out."""
        end = stop if stop is not None else self.state().next_index
        for first in range(start, end, BATCH):
            run = {"start": first, "stop": min(first + BATCH, end)}
            for row in self._connection.execute(_RANGE, run).all():
                yield _row(row)

    def bodies(self, start: int, stop: int) -> list[bytes]:
        """The bodies of all entries of a range. Raises DamageError where one is missing."""
        return [bytes(body) for body in self._whole(start, stop, "body")]

    def leaves(self, start: int, stop: int) -> list[bytes]:
        """The leaf hashes of all entries of a range. Raises DamageError where one is missing."""
        return [bytes(leaf) for leaf in self._whole(start, stop, "leaf")]

    def commit_tree(self, *, size: int, root: bytes, epoch: int) -> None:
        """Commit size and root of a tree that may then be signed.

        Raises LeaseLost where another sequencer took over or the tree would shrink, LogForkRisk where the
        same size had another root, InvalidValue where entries of it were not assigned.
        """
        held = self._connection.execute(
            select(leases.c.epoch).where(leases.c.name == SEQUENCER).with_for_update(read=True)
        ).scalar()
        row = self._connection.execute(select(log_state).with_for_update()).one()
        if epoch != (row.epoch if held is None else held) or epoch < row.epoch or size < row.size:
            raise LeaseLost("another process sequences the log", remedy="let it go on; this one stops")
        if size == row.size and root != bytes(row.root):
            raise LogForkRisk(f"two roots of size {size} for one log", remedy="run `pressmark rebuild`")
        if size > row.next_index:
            raise InvalidValue(f"a tree of {size} entries where {row.next_index} are assigned")
        self._connection.execute(update(log_state).values(size=size, root=root, epoch=epoch))

    def set_checkpoint(self, text: str, size: int) -> None:
        """Note the newest signed note; an older one than is noted changes nothing.

        Raises InvalidValue where no tree of that size was committed.
        """
        row = self._connection.execute(select(log_state).with_for_update()).one()
        if size > row.size:
            raise InvalidValue(f"a checkpoint of size {size} where the committed tree has {row.size}")
        if size >= row.checkpoint_size:
            self._connection.execute(update(log_state).values(checkpoint=text, checkpoint_size=size))

    def count(self) -> int:
        """How many entries the catalog holds."""
        return self._connection.scalar(select(func.count()).select_from(entries)) or 0

    def reset(self) -> None:
        """Begin an empty log: the one row of `log_state`, which nothing else makes."""
        self._connection.execute(
            insert(log_state),
            {
                "id": 1,
                "next_index": 0,
                "next_seq": 1,
                "size": 0,
                "root": EMPTY_ROOT,
                "checkpoint": None,
                "checkpoint_size": 0,
                "epoch": 0,
                "origin": "",
            },
        )

    def _whole(self, start: int, stop: int, column: str) -> list[bytes]:
        query = (
            select(entries.c[column])
            .where(entries.c.index >= start, entries.c.index < stop)
            .order_by(entries.c.index)
        )
        found = list(self._connection.execute(query).scalars())
        if len(found) != max(stop - start, 0):
            raise DamageError(
                f"the catalog lacks log entries between {start} and {stop}", remedy="run `pressmark rebuild`"
            )
        return found


def _row(row: Row[Any]) -> EntryRow:
    index, kind, body, leaf, subject = tuple(row)  # by the places of its columns: an audit reads every one
    return EntryRow(index=index, type=kind, body=bytes(body), leaf=bytes(leaf), subject=subject)

"""The trace index as the catalog holds it: the keys of versions that are in no segment yet, and which segments are.

What keys are, and what a segment's file holds, is left to `storage.fingerprints`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from sqlalchemy import bindparam, delete, func, insert, select

from storage.catalog.base import Prepared, Queries, batches
from storage.catalog.tables import fingerprint_segments, fingerprints, meta
from storage.catalog.values import FingerprintSegment

#: Key in `meta`: set where all versions are to be indexed anew (a migration dropped the index), then empty.
STALE: Final = "trace stale"
#: Key in `meta`: how often anything but a new version changed the index. Readers hold what they know against it.
_CHANGES: Final = "trace changes"
_STATE: Final = Prepared(
    lambda _: select(
        select(func.max(fingerprints.c.row_id)).scalar_subquery(),
        select(meta.c.value).where(meta.c.key == _CHANGES).scalar_subquery(),
    )
)
_STALE: Final = Prepared(lambda _: select(meta.c.value).where(meta.c.key == STALE, meta.c.value != ""))
_AFTER: Final = (
    select(fingerprints.c.row_id, fingerprints.c.grams)
    .where(fingerprints.c.row_id > bindparam("after"))
    .order_by(fingerprints.c.row_id)
    .limit(bindparam("count"))
)


class Fingerprints(Queries):
    """Keys by version row, and segments."""

    __slots__ = ()

    def add(self, row_id: int, keys: bytes) -> None:
        """Index a version; one that is known stays as it is."""
        self._connection.execute(self._insert(fingerprints).on_conflict_do_nothing(), {"row_id": row_id, "grams": keys})

    def add_many(self, rows: Sequence[tuple[int, bytes]]) -> None:
        """Index versions that are not known yet."""
        if rows:
            self._connection.execute(insert(fingerprints), [{"row_id": row, "grams": keys} for row, keys in rows])

    def get(self, row_id: int) -> bytes | None:
        """The keys of a version; None where they are in a segment, or nowhere."""
        return self._connection.scalar(select(fingerprints.c.grams).where(fingerprints.c.row_id == row_id))

    def after(self, row_id: int, count: int) -> Iterator[tuple[int, bytes]]:
        """(row id, keys) of versions in no segment, by row id, at most so many beyond one."""
        for row in self._connection.execute(_AFTER, {"after": row_id, "count": count}):
            yield row[0], row[1]

    def state(self) -> tuple[int, int]:
        """(highest row id in no segment, how often the index changed otherwise)."""
        (row,) = _STATE.run(self._connection)
        return row[0] or 0, int(row[1] or 0)

    def stale(self) -> bool:
        """True where versions wait to be indexed anew: what is not found may be there."""
        return bool(_STALE.run(self._connection))

    def count(self) -> int:
        """How many versions are indexed in the catalog itself."""
        return self._connection.scalar(select(func.count()).select_from(fingerprints)) or 0

    def remove(self, row_ids: Collection[int]) -> int:
        """Take versions out; how many were there. What segments hold of them is `TraceIndex.remove`'s."""
        gone = 0
        for some in batches(sorted(row_ids)):
            gone += self._connection.execute(delete(fingerprints).where(fingerprints.c.row_id.in_(some))).rowcount
        self._changed()
        return gone

    def segments(self) -> list[FingerprintSegment]:
        """The segments, by name."""
        query = select(fingerprint_segments).order_by(fingerprint_segments.c.name)
        return [FingerprintSegment(**row._mapping) for row in self._connection.execute(query)]

    def add_segment(self, row: FingerprintSegment) -> None:
        """Note a segment that is in the object store."""
        fields = {name: getattr(row, name) for name in FingerprintSegment.__slots__}
        self._connection.execute(insert(fingerprint_segments), fields)
        self._changed()

    def drop_segment(self, name: str) -> bool:
        """Forget a segment; False where another process did."""
        statement = delete(fingerprint_segments).where(fingerprint_segments.c.name == name)
        gone = self._connection.execute(statement).rowcount
        self._changed()
        return gone > 0

    def _changed(self) -> None:
        _, changes = self.state()
        statement = self._insert(meta)
        self._connection.execute(
            statement.on_conflict_do_update(index_elements=[meta.c.key], set_={"value": statement.excluded.value}),
            {"key": _CHANGES, "value": str(changes + 1)},
        )

"""The trace index: where a fingerprint stands. Making them is left to `storage.fingerprints`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, select

from storage.catalog.base import Queries, batches
from storage.catalog.tables import fingerprints


class Fingerprints(Queries):
    """Rows (hash, version row, position): clustered by hash, which is all that a look-up needs."""

    __slots__ = ()

    def add(self, version_row_id: int, pairs: Sequence[tuple[int, int]]) -> None:
        """Index a version's (hash, position) pairs; a hash is a signed 64-bit integer. Known ones stay."""
        if pairs:
            rows = [{"hash": value, "row_id": version_row_id, "position": at} for value, at in pairs]
            self._connection.execute(self._insert(fingerprints).on_conflict_do_nothing(), rows)

    def lookup(self, hashes: Sequence[int]) -> list[tuple[int, int, int]]:
        """Where these hashes stand: (hash, version row id, position), sorted."""
        found: list[tuple[int, int, int]] = []
        columns = (fingerprints.c.hash, fingerprints.c.row_id, fingerprints.c.position)
        for some in batches(sorted(set(hashes))):
            rows = self._connection.execute(select(*columns).where(fingerprints.c.hash.in_(some)))
            found.extend((row[0], row[1], row[2]) for row in rows)
        found.sort()
        return found

    def remove(self, row_id: int) -> None:
        """Take a version out of the index. Reads all of it: a second index would cost more than it saves."""
        self._connection.execute(delete(fingerprints).where(fingerprints.c.row_id == row_id))

    def count(self) -> int:
        """How many rows the index holds."""
        return self._connection.scalar(select(func.count()).select_from(fingerprints)) or 0

"""Segment files: open, sealed, lost. The files themselves are `storage.warc`'s and the object store's."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from schemas.errors import NotFound
from storage.catalog.base import Queries
from storage.catalog.tables import records, segments
from storage.catalog.values import SegmentRow


class Segments(Queries):
    """Segment files."""

    __slots__ = ()

    def add(self, name: str, kind: str, worker: str, created: int) -> None:
        """Note a segment that was opened."""
        self._connection.execute(
            insert(segments),
            {"name": name, "kind": kind, "worker": worker, "state": "open", "created": created},
        )

    def get(self, name: str) -> SegmentRow | None:
        """One segment."""
        row = self._connection.execute(select(segments).where(segments.c.name == name)).first()
        return _row(row) if row else None

    def all(self, state: str | None = None) -> list[SegmentRow]:
        """All segments, or those of a state, by name."""
        query = select(segments).order_by(segments.c.name)
        if state is not None:
            query = query.where(segments.c.state == state)
        return [_row(row) for row in self._connection.execute(query)]

    def sealed(self, name: str, *, object_key: str, length: int, sha256: str) -> None:
        """Note that a segment is whole and in the object store. Raises NotFound."""
        self._change(name, state="sealed", object_key=object_key, length=length, sha256=sha256)

    def lost(self, name: str) -> None:
        """Note that a segment's disk is gone. Raises NotFound."""
        self._change(name, state="lost")

    def forget(self, name: str) -> None:
        """Drop a segment in which no event was ever kept, and the row of its warcinfo record."""
        self._connection.execute(delete(records).where(records.c.segment == name))
        self._connection.execute(delete(segments).where(segments.c.name == name))

    def _change(self, name: str, **fields: Any) -> None:
        done = self._connection.execute(update(segments).where(segments.c.name == name).values(**fields))
        if done.rowcount == 0:
            raise NotFound(f"the catalog knows no segment {name}", remedy="run `pressmark rebuild`")


def _row(row: Row[Any]) -> SegmentRow:
    return SegmentRow(**row._mapping)

"""Sealed datasets. Their files are in the object store; `storage.datasets` builds and verifies them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, insert, select

from storage.catalog.base import Queries
from storage.catalog.tables import snapshots, supersedings
from storage.catalog.values import SnapshotRow


class Snapshots(Queries):
    """Sealed datasets."""

    __slots__ = ()

    def add(self, row: SnapshotRow) -> None:
        """Note a snapshot whose files are durable and whose entry is in the log."""
        self._connection.execute(insert(snapshots), asdict(row))

    def get(self, name: str, version: str | None = None) -> SnapshotRow | None:
        """One snapshot; the newest version where none is named."""
        query = (
            select(snapshots).where(snapshots.c.name == name).order_by(snapshots.c.log_index.desc()).limit(1)
        )
        if version is not None:
            query = query.where(snapshots.c.version == version)
        row = self._connection.execute(query).first()
        return _row(row) if row else None

    def supersede(self, manifest: str, log_index: int) -> None:
        """Note that the snapshot of an entry took the place of the one with this manifest digest."""
        statement = self._insert(supersedings).on_conflict_do_nothing()
        self._connection.execute(statement, {"manifest": manifest, "log_index": log_index})

    def superseded(self, row: SnapshotRow) -> SnapshotRow | None:
        """The snapshot that took a snapshot's place, since rows of it were redacted."""
        by = select(supersedings.c.log_index).where(supersedings.c.manifest == row.manifest_sha256)
        found = self._connection.execute(select(snapshots).where(snapshots.c.log_index == by.scalar_subquery())).first()
        return _row(found) if found else None

    def supersedes(self, log_index: int) -> str | None:
        """The manifest digest of the snapshot whose place the one of this entry took."""
        query = select(supersedings.c.manifest).where(supersedings.c.log_index == log_index)
        found: str | None = self._connection.scalar(query)
        return found

    def supersedings(self) -> dict[int, str]:
        """The manifest digest of every snapshot whose place another took, by the other's entry."""
        return {row.log_index: row.manifest for row in self._connection.execute(select(supersedings))}

    def all(self) -> list[SnapshotRow]:
        """All snapshots in the order in which they were logged."""
        return [
            _row(row) for row in self._connection.execute(select(snapshots).order_by(snapshots.c.log_index))
        ]


def _row(row: Row[Any]) -> SnapshotRow:
    return SnapshotRow(**row._mapping)

"""Leases: who may do what only one may do at a time, with an epoch to check each write against."""

from __future__ import annotations

from sqlalchemy import select, update

from storage.catalog.base import Queries
from storage.catalog.tables import leases
from storage.catalog.values import LeaseRow


class Leases(Queries):
    """Leases by name. Times are microseconds; a lease whose `until` has come is free."""

    __slots__ = ()

    def acquire(self, name: str, *, holder: str, now: int, until: int) -> int | None:
        """Take a free lease, or go on with one's own; the epoch, which is new where the holder is.

        None where another holds it.
        """
        insert = self._insert(leases).on_conflict_do_nothing().returning(leases.c.epoch)
        added = self._connection.execute(insert, {"name": name, "holder": holder, "epoch": 1, "until": until})
        if added.first() is not None:
            return 1
        row = self._connection.execute(select(leases).where(leases.c.name == name).with_for_update()).one()
        if row.holder != holder and row.until > now:
            return None
        epoch: int = row.epoch if row.holder == holder else row.epoch + 1
        self._connection.execute(
            update(leases).where(leases.c.name == name).values(holder=holder, epoch=epoch, until=until)
        )
        return epoch

    def get(self, name: str) -> LeaseRow | None:
        """Who holds or held a lease last; None where nobody ever did."""
        row = self._connection.execute(select(leases).where(leases.c.name == name)).one_or_none()
        return None if row is None else LeaseRow(holder=row.holder, epoch=row.epoch, until=row.until)

    def renew(self, name: str, *, holder: str, epoch: int, until: int) -> bool:
        """Hold a lease longer; False where another has taken it over."""
        mine = (leases.c.name == name, leases.c.holder == holder, leases.c.epoch == epoch)
        return self._connection.execute(update(leases).where(*mine).values(until=until)).rowcount == 1

    def release(self, name: str, *, holder: str) -> None:
        """Give a lease back, where it is still the holder's."""
        self._connection.execute(
            update(leases).where(leases.c.name == name, leases.c.holder == holder).values(until=0)
        )

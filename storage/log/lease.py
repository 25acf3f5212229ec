"""The lease that makes one sequencer at a time, over all processes that know the catalog.

Each that holds it has an epoch, greater than all before; `tree` commits only under its own (a fencing token).
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Final

from schemas.errors import LeaseLost
from schemas.instants import to_micros
from storage.catalog import Catalog

#: Its name in the catalog.
LEASE: Final = "sequencer"
#: Seconds a lease holds unless renewed: longer than a batch takes on a slow store, short enough to wait out
#: after a kill.
LEASE_SECONDS: Final = 15.0
#: Seconds between two tries for a lease that another holds.
LEASE_POLL: Final = 0.2


class Lease:
    """The sequencer's lease, as one process asks for it."""

    def __init__(self, catalog: Catalog, holder: str) -> None:
        """`holder` names this process, and no other."""
        self._catalog, self._holder = catalog, holder

    def acquire(self, now: datetime) -> int | None:
        """The lease's epoch; None where another process kept it for all of a lease's time.

        A lease that nobody renewed for as long as it holds is free, whatever its end says: the clock may have been set
        back since, or that of a dead process ran ahead. Where its holder lives after all, the epoch stops it.
        """
        started, seen = time.monotonic(), None
        while True:
            waited = time.monotonic() - started
            at = now + timedelta(seconds=waited)
            epoch = self._take(to_micros(at), at)
            if epoch is not None:
                return epoch
            with self._catalog.read() as tx:
                held = tx.leases.get(LEASE)
            if seen is None:
                seen = held, waited
            elif held is not None and held == seen[0] and waited - seen[1] > LEASE_SECONDS:
                return self._take(held.until, at)
            elif held != seen[0] and waited > LEASE_SECONDS + 1:
                return None
            time.sleep(LEASE_POLL)

    def _take(self, now: int, at: datetime) -> int | None:
        until = to_micros(at + timedelta(seconds=LEASE_SECONDS))
        with self._catalog.begin() as tx:
            return tx.leases.acquire(LEASE, holder=self._holder, now=now, until=until)

    def renew(self, epoch: int, now: datetime) -> None:
        """Hold it for longer. Raises LeaseLost where another process took over."""
        until = to_micros(now + timedelta(seconds=LEASE_SECONDS))
        with self._catalog.begin() as tx:
            if not tx.leases.renew(LEASE, holder=self._holder, epoch=epoch, until=until):
                raise LeaseLost(
                    "another process writes the log now", remedy="nothing was lost: it will go on from here"
                )

    def release(self) -> None:
        """Give it back; nothing where another process holds it."""
        with self._catalog.begin() as tx:
            tx.leases.release(LEASE, holder=self._holder)

"""Which process may talk to a host: the catalog's leases, and the heirs of processes that were killed.

What a lease is for is said in `ingest.gates`, who lives in `storage.lock`.
"""

from __future__ import annotations

from typing import Final

from schemas.instants import to_micros
from storage.archive import Archive

MICROS: Final = 1_000_000


class CatalogClaims:
    """Host leases of the catalog, as `gates.Claims`."""

    def __init__(self, archive: Archive, delay: float) -> None:
        """`delay` in seconds is kept to with a host that is taken over from a process that was killed."""
        self._archive, self._delay = archive, round(delay * MICROS)

    def claim(self, host: str, *, now: int, until: int) -> tuple[int, int] | None:
        """See `gates.Claims.claim`."""
        presence, me = self._archive.presence, self._archive.holder
        presence.show()
        with self._archive.catalog.begin() as tx:
            state = tx.frontier.claim_host(host, owner=me, now=now, until=until)
            if state is not None:
                return state.next_ok, state.failures
            left = tx.frontier.host(host)
            if left.owner is None or not presence.is_dead(left.owner):
                return None
            next_ok = max(left.next_ok, now + self._delay)  # when it asked last, nobody knows
            tx.frontier.release_host(host, owner=left.owner, next_ok=next_ok, failures=left.failures)
            state = tx.frontier.claim_host(host, owner=me, now=now, until=until)
        return None if state is None else (state.next_ok, state.failures)

    def keep(self, host: str, *, until: int, next_ok: int, failures: int) -> None:
        """See `gates.Claims.keep`."""
        me = self._archive.holder
        with self._archive.catalog.begin() as tx:
            tx.frontier.release_host(host, owner=me, next_ok=next_ok, failures=failures)
            tx.frontier.claim_host(host, owner=me, now=self._now(), until=until)

    def release(self, host: str, *, next_ok: int, failures: int) -> None:
        """See `gates.Claims.release`."""
        with self._archive.catalog.begin() as tx:
            tx.frontier.release_host(host, owner=self._archive.holder, next_ok=next_ok, failures=failures)

    def _now(self) -> int:
        return to_micros(self._archive.clock())

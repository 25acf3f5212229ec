"""One turn at a host at a time: pace, back-off and leases, for the tasks of one process.

A gate holds a host while it is being fetched from and for its delay after that. Other processes are kept out through
`Claims` (the catalog's host leases). How long a delay or a back-off is, is decided in `ingest.manners`; what is
fetched, in `ingest.pipeline`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from ingest.manners import backoff
from schemas.errors import PressmarkError
from schemas.instants import from_micros, rfc3339, to_micros

#: Seconds for which a host stays with this process after its last turn, if the process dies: longer than the longest
#: pace and the longest exchange together, so that nobody else's turn comes while an exchange is still under way.
LEASE: Final = 900.0
#: A host that is to be left alone (back-off, Retry-After) for longer than this many seconds is not waited for: its work
#: is put off instead. A pace, Crawl-delay included, is always waited for.
MAX_WAIT: Final = 30.0
MICROS: Final = 1_000_000


class Claims(Protocol):
    """Which process may talk to a host: kept where all processes see it."""

    def claim(self, host: str, *, now: int, until: int) -> tuple[int, int] | None:
        """(next_ok in microseconds, failures in a row), or None while another process holds the host."""

    def keep(self, host: str, *, until: int, next_ok: int, failures: int) -> None:
        """Write a claimed host's state down while holding on to it, so that it outlives this process."""

    def release(self, host: str, *, next_ok: int, failures: int) -> None:
        """Give the host back with its state."""


class HostBusy(PressmarkError):
    """The host is not to be asked now; `until` (microseconds) says when to try again."""

    exit_code = 5

    def __init__(self, host: str, until: int, why: str) -> None:
        at = rfc3339(from_micros(until))
        super().__init__(f"{host} is not to be asked before {at}: {why}", remedy="what is due there waits until then")
        self.host, self.until = host, until


@dataclass(slots=True)
class _Gate:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    ended: int = 0  # when the last exchange was over
    delay: float = 0.0  # seconds from there to the next one
    asked_until: int = 0  # the end of a back-off or Retry-After
    failures: int = 0
    claimed_until: int = 0

    @property
    def next_ok(self) -> int:
        """When the host may be asked next."""
        return max(self.asked_until, self.ended + round(self.delay * MICROS) if self.ended else 0)


class Gates:
    """The gates of all hosts that this process talks to."""

    def __init__(
        self,
        claims: Claims,
        *,
        delay: float,
        clock: Callable[[], datetime],
        stopping: asyncio.Event | None = None,
    ) -> None:
        """`delay` in seconds from the end of one exchange with a host to the start of the next.

        Once `stopping` is set nobody waits any more: who would have to gets HostBusy.
        """
        self._claims, self._delay, self._clock = claims, delay, clock
        self._stopping = stopping or asyncio.Event()
        self._gates: dict[str, _Gate] = {}

    def _now(self) -> int:
        return to_micros(self._clock())

    def _gate(self, host: str) -> _Gate:
        return self._gates.setdefault(host, _Gate(delay=self._delay))

    def set_crawl_delay(self, host: str, seconds: float | None) -> None:
        """What robots.txt asks for, from the exchange before on; never shortens the configured delay."""
        self._gate(host).delay = max(self._delay, seconds or 0.0)

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Hold the host for one exchange. Raises HostBusy where the turn is too far off or another process's."""
        gate = self._gate(host)
        async with gate.lock:
            self._ensure_claim(host, gate)
            await self._wait(host, gate)
            try:
                yield
            finally:
                gate.ended = max(gate.ended, self._now())

    async def _wait(self, host: str, gate: _Gate) -> None:
        if (gate.asked_until - self._now()) / MICROS > MAX_WAIT:
            raise HostBusy(host, gate.asked_until, "it asked for a pause, or failed")
        while (wait := (gate.next_ok - self._now()) / MICROS) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait)
            if self._stopping.is_set():
                raise HostBusy(host, gate.next_ok, "this process ends")

    def _ensure_claim(self, host: str, gate: _Gate) -> None:
        now = self._now()
        if gate.claimed_until - now > LEASE * MICROS / 2:
            return
        until = now + round(LEASE * MICROS)
        state = self._claims.claim(host, now=now, until=until)
        if state is None:
            raise HostBusy(host, now + MICROS, "another process asks it")
        if gate.claimed_until < now:  # new here, or somebody else may have had it meanwhile
            gate.asked_until, gate.failures = max(gate.asked_until, state[0]), state[1]
        gate.claimed_until = until

    def report(self, host: str, *, ok: bool, retry_after: float | None = None) -> int:
        """Note how an exchange went, before its turn ends; returns when the host may be asked again (microseconds).

        A failure backs off exponentially, and for at least `retry_after` (seconds) where the server named one.
        """
        gate = self._gate(host)
        gate.failures = 0 if ok else gate.failures + 1
        pause = 0.0 if ok else backoff(gate.failures, seed=host)
        pause = max(pause, retry_after or 0.0)
        if pause:
            gate.asked_until = max(gate.asked_until, self._now() + round(pause * MICROS))
            if gate.claimed_until:
                self._claims.keep(host, until=gate.claimed_until, next_ok=gate.asked_until, failures=gate.failures)
        return gate.next_ok

    def close(self) -> None:
        """Give all hosts back."""
        for host, gate in self._gates.items():
            if gate.claimed_until:
                self._claims.release(host, next_ok=gate.next_ok, failures=gate.failures)
                gate.claimed_until = 0

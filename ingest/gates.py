"""One turn at a host at a time: pace, back-off and leases, for the tasks of one process.

A gate holds a host while it is being fetched from and for its delay after that. Other processes are kept out through
`Claims` (the catalog's host leases). How long a delay or a back-off is, is decided in `ingest.manners`; what is
fetched, in `ingest.pipeline`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from ingest.manners import backoff
from schemas.errors import PressmarkError
from schemas.instants import to_micros

#: Seconds for which a host stays with this process after its last turn, if the process dies.
LEASE: Final = 120.0
#: A host whose next turn is further off than this many seconds is not waited for: its work is put off instead.
MAX_WAIT: Final = 30.0
MICROS: Final = 1_000_000


class Claims(Protocol):
    """Which process may talk to a host: kept where all processes see it."""

    def claim(self, host: str, *, now: int, until: int) -> tuple[int, int] | None:
        """(next_ok in microseconds, failures in a row), or None while another process holds the host."""

    def release(self, host: str, *, next_ok: int, failures: int) -> None:
        """Give the host back with its state."""


class HostBusy(PressmarkError):
    """The host is not to be asked now; `until` (microseconds) says when to try again."""

    exit_code = 5

    def __init__(self, host: str, until: int) -> None:
        super().__init__(f"{host} is not to be asked before {until}")
        self.until = until


@dataclass(slots=True)
class _Gate:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    next_ok: int = 0
    failures: int = 0
    claimed_until: int = 0
    delay: float = 0.0


class Gates:
    """The gates of all hosts that this process talks to."""

    def __init__(self, claims: Claims, *, delay: float, clock: Callable[[], datetime]) -> None:
        """`delay` in seconds from the end of one exchange with a host to the start of the next."""
        self._claims, self._delay, self._clock = claims, delay, clock
        self._gates: dict[str, _Gate] = {}

    def _now(self) -> int:
        return to_micros(self._clock())

    def _gate(self, host: str) -> _Gate:
        return self._gates.setdefault(host, _Gate(delay=self._delay))

    def set_crawl_delay(self, host: str, seconds: float | None) -> None:
        """What robots.txt asks for; never shortens the configured delay."""
        self._gate(host).delay = max(self._delay, seconds or 0.0)

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Hold the host for one exchange. Raises HostBusy where the turn is too far off or another process's."""
        gate = self._gate(host)
        async with gate.lock:
            self._ensure_claim(host, gate)
            wait = (gate.next_ok - self._now()) / MICROS
            if wait > MAX_WAIT:
                raise HostBusy(host, gate.next_ok)
            if wait > 0:
                await asyncio.sleep(wait)
            try:
                yield
            finally:
                gate.next_ok = max(gate.next_ok, self._now() + round(gate.delay * MICROS))

    def _ensure_claim(self, host: str, gate: _Gate) -> None:
        now = self._now()
        if gate.claimed_until - now > LEASE * MICROS / 2:
            return
        until = now + round(LEASE * MICROS)
        state = self._claims.claim(host, now=now, until=until)
        if state is None:
            raise HostBusy(host, now + MICROS)
        if gate.claimed_until == 0:
            gate.next_ok, gate.failures = max(gate.next_ok, state[0]), state[1]
        gate.claimed_until = until

    def report(self, host: str, *, ok: bool, retry_after: float | None = None) -> int:
        """Note how an exchange went; returns when the host may be asked again (microseconds).

        A failure backs off exponentially; `retry_after` (seconds), where the server named one, is kept to exactly.
        """
        gate = self._gate(host)
        gate.failures = 0 if ok else gate.failures + 1
        pause = 0.0 if ok else backoff(gate.failures, seed=host)
        if retry_after is not None:
            pause = max(pause if not ok else 0.0, retry_after)
        if pause:
            gate.next_ok = max(gate.next_ok, self._now() + round(pause * MICROS))
        return gate.next_ok

    def close(self) -> None:
        """Give all hosts back."""
        for host, gate in self._gates.items():
            if gate.claimed_until:
                self._claims.release(host, next_ok=gate.next_ok, failures=gate.failures)
                gate.claimed_until = 0

"""One turn at a host at a time: what the gates let through, and when."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from ingest.gates import LEASE, MAX_WAIT, Gates, HostBusy
from ingest.pipeline.claims import CatalogClaims
from schemas.instants import to_micros
from storage.archive import Archive
from tests.support.archives import settings

HOST = "lantern.example"
DELAY = 0.05
#: Seconds by which a sleep may end early, as event loops count.
GRAIN = 0.002


class Ledger:
    """Claims in memory: whose the hosts are, and what was written down."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}
        self.states: dict[str, tuple[int, int]] = {}
        self.said: list[str] = []

    def of(self, owner: str) -> Claim:
        """The ledger as one process sees it."""
        return Claim(self, owner)


class Claim:
    """`gates.Claims` of one process."""

    def __init__(self, ledger: Ledger, owner: str) -> None:
        self.ledger, self.owner = ledger, owner

    def claim(self, host: str, *, now: int, until: int) -> tuple[int, int] | None:
        if self.ledger.owners.setdefault(host, self.owner) != self.owner:
            return None
        self.ledger.said.append("claim")
        return self.ledger.states.get(host, (0, 0))

    def keep(self, host: str, *, until: int, next_ok: int, failures: int) -> None:
        self.ledger.said.append("keep")
        self.ledger.states[host] = (next_ok, failures)

    def release(self, host: str, *, next_ok: int, failures: int) -> None:
        self.ledger.states[host] = (next_ok, failures)
        del self.ledger.owners[host]


class Clock:
    """The machine's clock, which can be put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gates(ledger: Ledger, clock: Clock) -> Gates:
    return Gates(ledger.of("me"), delay=DELAY, clock=clock)


async def visit(gates: Gates, log: list[tuple[float, float]], seconds: float = 0.0, host: str = HOST) -> None:
    """One exchange; its start and end."""
    async with gates.turn(host):
        start = time.monotonic()
        await asyncio.sleep(seconds)
        log.append((start, time.monotonic()))


def gaps(log: list[tuple[float, float]]) -> list[float]:
    return [start - end for (_, end), (start, _) in pairwise(log)]


def test_tasks_take_turns_with_the_delay_between_them(gates: Gates) -> None:
    log: list[tuple[float, float]] = []

    async def crowd() -> None:
        await asyncio.gather(*(visit(gates, log, 0.01) for _ in range(4)))

    asyncio.run(crowd())
    assert len(log) == 4
    assert min(gaps(log)) >= DELAY - GRAIN


def test_other_hosts_do_not_wait(gates: Gates) -> None:
    log: list[tuple[float, float]] = []

    async def crowd() -> None:
        await asyncio.gather(*(visit(gates, log, 0.05, host=f"h{n}.example") for n in range(4)))

    asyncio.run(crowd())
    assert max(start for start, _ in log) < min(end for _, end in log)


def test_a_crawl_delay_counts_from_the_exchange_before_it_was_known(gates: Gates) -> None:
    log: list[tuple[float, float]] = []

    async def story() -> None:
        await visit(gates, log)  # robots.txt
        gates.set_crawl_delay(HOST, 4 * DELAY)
        await visit(gates, log)
        gates.set_crawl_delay(HOST, 0)
        await visit(gates, log)

    asyncio.run(story())
    assert gaps(log)[0] >= 4 * DELAY - GRAIN
    assert gaps(log)[1] >= DELAY - GRAIN, "the configured delay is never shortened"


def test_a_slow_pace_is_waited_for_and_a_long_pause_is_not(gates: Gates, clock: Clock) -> None:
    async def story() -> None:
        await visit(gates, [])
        gates.report(HOST, ok=False, retry_after=MAX_WAIT + 5)
        with pytest.raises(HostBusy, match=r"lantern\.example is not to be asked before 20..-.*Z: .*; what is due"):
            await visit(gates, [])
        clock.ahead += timedelta(seconds=MAX_WAIT + 5)
        await visit(gates, [])

    asyncio.run(story())


def test_failures_back_off_further_and_further_until_one_answer(gates: Gates, clock: Clock) -> None:
    now = to_micros(clock())
    waits = [gates.report(HOST, ok=False) - now for _ in range(4)]
    assert waits == sorted(waits)
    assert waits[-1] > 3 * waits[0] > 0
    gates.report(HOST, ok=True)
    clock.ahead += timedelta(hours=1)
    assert gates.report(HOST, ok=False) - to_micros(clock()) < 2 * waits[0], "counted from the start again"


def test_retry_after_holds_even_where_the_back_off_is_shorter(gates: Gates, clock: Clock) -> None:
    until = gates.report(HOST, ok=False, retry_after=20.0)
    assert until - to_micros(clock()) == pytest.approx(20_000_000, abs=100_000)


def test_a_pause_outlives_the_process(ledger: Ledger, clock: Clock) -> None:
    """Written down at once: a killed process must not have its heir ask at once."""

    async def story() -> None:
        mine = Gates(ledger.of("me"), delay=DELAY, clock=clock)
        async with mine.turn(HOST):
            mine.report(HOST, ok=False, retry_after=500)
        ledger.owners.clear()  # killed, and found to be
        heir = Gates(ledger.of("heir"), delay=DELAY, clock=clock)
        with pytest.raises(HostBusy):
            await visit(heir, [])
        clock.ahead += timedelta(seconds=500)
        await visit(heir, [])
        assert heir.report(HOST, ok=False) - to_micros(clock()) > 6_500_000, "the second failure in a row"

    asyncio.run(story())


def test_a_host_belongs_to_one_process_until_it_is_given_back(ledger: Ledger, clock: Clock) -> None:
    async def story() -> None:
        mine, yours = (Gates(ledger.of(name), delay=DELAY, clock=clock) for name in ("me", "you"))
        log: list[tuple[float, float]] = []
        await visit(mine, log)
        with pytest.raises(HostBusy, match="another process asks it"):
            await visit(yours, log)
        mine.close()
        await visit(yours, log)
        assert gaps(log)[0] >= DELAY - GRAIN, "the pace goes with the host"

    asyncio.run(story())


def test_a_claim_is_renewed_before_it_ends(gates: Gates, ledger: Ledger, clock: Clock) -> None:
    async def story() -> None:
        await visit(gates, [])
        await visit(gates, [])
        assert ledger.said == ["claim"]
        clock.ahead += timedelta(seconds=LEASE / 2 + 1)
        await visit(gates, [])
        assert ledger.said == ["claim", "claim"]

    asyncio.run(story())


def test_nobody_waits_once_the_process_is_to_end(ledger: Ledger, clock: Clock) -> None:
    async def story() -> float:
        stopping = asyncio.Event()
        gates = Gates(ledger.of("me"), delay=3600, clock=clock, stopping=stopping)
        await visit(gates, [])
        began = time.monotonic()
        waiting = asyncio.create_task(visit(gates, []))
        await asyncio.sleep(0.01)
        assert not waiting.done(), "an hour of Crawl-delay is a pace, and paces are waited for"
        stopping.set()
        with pytest.raises(HostBusy, match="this process ends"):
            await waiting
        return time.monotonic() - began

    assert asyncio.run(story()) < 60


# -- the catalog's leases -------------------------------------------------------------------------------------------

CLAIM = """
import sys, time
from pathlib import Path
from ingest.pipeline.claims import CatalogClaims
from storage.archive import Archive
from tests.support.archives import settings
archive = Archive.open(settings(Path(sys.argv[1])))
claims = CatalogClaims(archive, 2.0)
print(claims.claim("lantern.example", now=0, until=10**18), archive.holder, flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Archive.create(settings(tmp_path)).close()
    return tmp_path


@contextmanager
def claiming(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that claims the host for ever, and lives until it is killed."""
    with subprocess.Popen([sys.executable, "-c", CLAIM, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("(0, 0) ")
            yield process
        finally:
            process.kill()


def test_the_hosts_of_a_killed_process_are_taken_over_and_those_of_a_living_one_are_not(folder: Path) -> None:
    with claiming(folder) as process, Archive.open(settings(folder)) as archive:
        claims = CatalogClaims(archive, 2.0)
        assert claims.claim(HOST, now=5_000_000, until=10**18) is None
        process.kill()
        process.wait()
        taken = claims.claim(HOST, now=5_000_000, until=10**18)
        assert taken == (7_000_000, 0), "after the delay: nobody knows when it asked last"
        claims.release(HOST, next_ok=9_000_000, failures=3)
        assert claims.claim(HOST, now=5_000_000, until=10**18) == (9_000_000, 3)


def test_another_machines_worker_is_waited_for(folder: Path) -> None:
    """Whether a process of another folder lives, nobody here can tell: its lease has to run out."""
    with Archive.open(settings(folder)) as archive:
        with archive.catalog.begin() as tx:
            tx.frontier.claim_host(HOST, owner="elsewhere-1234", now=0, until=5_000_000)
        claims = CatalogClaims(archive, 2.0)
        assert claims.claim(HOST, now=4_999_999, until=10**18) is None
        assert claims.claim(HOST, now=5_000_000, until=10**18) == (0, 0)


def test_presence_leaves_nothing_behind(folder: Path) -> None:
    with Archive.open(settings(folder)) as archive:
        CatalogClaims(archive, 2.0).claim(HOST, now=0, until=1)
        assert [p.name for p in (folder / "live").iterdir()] == [archive.holder]
    assert list((folder / "live").iterdir()) == []

"""The log under kill -9 at each of its durable steps, and under two processes at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.checkpoints import open_checkpoint
from schemas.merkle import leaf_hash, root_of, verify_consistency
from schemas.tiles import decode_entries
from storage.blobs import FolderStore
from storage.catalog import Catalog
from tests.storage.log.conftest import NOW, World, entry

#: Kills itself at the n-th step that makes something durable: fsync, link, rename, commit of the catalog.
CHILD = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine
from tests.storage.log.conftest import NOW, ORIGIN
from storage.blobs import FolderStore
from storage.catalog import Catalog
from storage.log import Log, Signer

folder, left, holder = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
store, catalog = FolderStore(folder / "objects"), Catalog.open(f"sqlite:///{folder / 'catalog.sqlite'}")
log = Log(store, catalog, origin=ORIGIN, signer=Signer.load(folder / "log.key"), holder=holder)

def step(*ignored):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def stepping(real):
    def wrapped(*args, **kwargs):
        step()
        return real(*args, **kwargs)
    return wrapped

for name in ("fsync", "link", "replace"):
    setattr(os, name, stepping(getattr(os, name)))
event.listen(Engine, "commit", step)
log.integrate(NOW)
catalog.close()
print("steps left", left)
"""


def child(world: World, left: int, holder: str) -> subprocess.Popen[str]:
    root = Path(__file__).parents[3]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(world.folder), str(left), holder],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    )


def check(world: World, size: int, published: list[tuple[int, bytes]]) -> None:
    """The log is whole, holds each entry once in order, and continues all that was published."""
    log = world.log("checker")
    log.check_start()
    note = log.checkpoint()
    assert note is not None
    head = open_checkpoint(note.encode(), world.signer.vkey)
    assert (head.size, head.root) == (size, root_of(leaf_hash(entry(n).encode()) for n in range(size)))
    for old, root in published:
        verify_consistency(old, size, log.consistency(old, size), root, head.root)
    names = [f"log/tile/entries/{n:03}" for n in range(size // 256)]
    if size % 256:
        names.append(f"log/tile/entries/{size // 256:03}.p/{size % 256}")
    assert [e for name in names for e in decode_entries(world.store.get(name))] == [
        entry(n).encode() for n in range(size)
    ]


@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_each_durable_step_the_log_goes_on_without_fork_gap_or_repeat(world: World, stride: int) -> None:
    world.add(255)
    world.log().integrate(NOW)
    published: list[tuple[int, bytes]] = []
    size, step = 255, 1 - stride
    while True:
        step += stride
        world.add(2)
        size += 2
        killed = child(world, step, f"killed-{step}")
        out, _ = killed.communicate()
        with world.catalog.begin() as tx:
            tx.leases.release("sequencer", holder=f"killed-{step}")
        note = world.log().checkpoint()
        if note is not None:  # whatever stands there was given to the world
            seen = open_checkpoint(note.encode(), world.signer.vkey)
            published.append((seen.size, seen.root))
        world.log("next").integrate(NOW)
        check(world, size, published)
        if killed.returncode != -signal.SIGKILL:
            assert out.startswith("steps left")
            break
    assert step > 15  # bundle, tiles, tree, checkpoint: each with its syncs


def test_a_dead_process_delays_the_next_one_by_no_more_than_its_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.log.lease.LEASE_SECONDS", 0.5)
    world.add(1)
    with world.catalog.begin() as tx:
        now = int(NOW.timestamp() * 1_000_000)
        assert tx.leases.acquire("sequencer", holder="dead", now=now, until=now + 500_000) is not None
    assert world.log("alive").integrate(NOW) is not None


def test_several_processes_at_once_make_one_log(world: World) -> None:
    world.add(700)
    children = [child(world, 0, f"worker-{n}") for n in range(4)]
    for each in children:
        each.communicate()
        assert each.returncode == 0
    check(world, 700, [])


def test_what_a_second_opener_sees_is_what_was_published(world: World) -> None:
    world.add(3)
    world.log().integrate(NOW)
    other = Catalog.open(f"sqlite:///{world.folder / 'catalog.sqlite'}")
    again = World(world.folder, FolderStore(world.folder / "objects"), other, world.signer)
    check(again, 3, [])
    other.close()

"""Processes that sequence entries and publish the log, and what must hold of a log whatever befell them.

    base = new_log(folder, first=254)                # 254 entries, published
    write(Work(folder=..., seed="a", adds=(3, 2)))   # what a process does, in whichever process this is called
    assert faults(folder) == []                      # every checkpoint ever signed is of the one tree that is there

Each signature is noted in a file of the folder before anybody else can see it, each entry once its transaction is
committed, so that what a killed process had promised is known. An entry of one process is never that of another: a
place in the log that is given out twice shows.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Engine

from schemas.checkpoints import Checkpoint, Note, open_checkpoint
from schemas.digests import Digest
from schemas.entries import Entry, attempt_entry
from schemas.errors import LeaseLost
from schemas.merkle import leaf_hash, root_of, verify_consistency, verify_inclusion
from storage.blobs import FolderStore
from storage.catalog import Catalog
from storage.log import Log, Signer, append, lease, tree
from storage.log.fsck import check_log
from tests.support.attendant import Attendant

ORIGIN: Final = "pressmark.invalid/crash"
NOW: Final = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
#: Below the folder of a log: its key, the newest checkpoint signed here, and what was promised.
KEY, KEPT, TOLD = "log.key", "kept", "told"


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What one process does: in each round it sequences some entries and publishes."""

    folder: str
    seed: str  # tells its entries from those of every other process
    adds: tuple[int, ...]  # entries that each round sequences
    clock: tuple[float, ...] = (0.0,)  # seconds by which each round's clock differs from NOW; the last one goes on
    lease: float = 15.0  # seconds
    batch: int = 256  # entries between two commits of the tree
    kill_at: int | None = None  # the durable step, from 1, before which it kills itself (kill -9)
    stop_at: int | None = None  # the same for SIGSTOP: it goes on when told so


def entry(seed: str, number: int) -> Entry:
    """The n-th entry of a process."""
    return attempt_entry("timeout", {"metadata": str(Digest.sha256(f"{seed} {number}".encode()))})


def new_log(folder: Path, *, first: int) -> Path:
    """A log of `first` entries, published."""
    folder.mkdir(parents=True)
    Signer.create(folder / KEY, ORIGIN)
    Catalog.create(f"sqlite:///{folder / 'catalog.sqlite'}").close()
    if first:
        write(Work(folder=str(folder), seed="base", adds=(first,), batch=tree.BATCH))
    return folder


def write(work: Work, announce: Callable[[str, str], None] | None = None) -> None:
    """Do it, in this process."""
    folder = Path(work.folder)
    tell = _teller(folder / TOLD)
    catalog = Catalog.open(f"sqlite:///{folder / 'catalog.sqlite'}")
    with _limits(work), catalog, _opened(folder, catalog, work.seed, tell) as log, _steps(work, tell):
        made = 0
        for number, count in enumerate(work.adds):
            bodies = [entry(work.seed, made + n) for n in range(count)]
            made += count
            with catalog.begin() as tx:
                indices = [append(tx, one, subject=f"{work.seed} {made - count + n}") for n, one in enumerate(bodies)]
            tell("sequenced", [[i, _sha(one.encode())] for i, one in zip(indices, bodies, strict=True)])
            if announce is not None:
                announce("sequenced", str(indices))
            at = NOW + timedelta(seconds=work.clock[min(number, len(work.clock) - 1)])
            try:
                log.integrate(at)
            except LeaseLost:
                tell("lost", work.seed)


@contextmanager
def _limits(work: Work) -> Iterator[None]:
    """The log's limits as the work has them, for as long as it lasts."""
    before = lease.LEASE_SECONDS, lease.LEASE_POLL, tree.BATCH
    lease.LEASE_SECONDS, lease.LEASE_POLL, tree.BATCH = work.lease, 0.01, work.batch  # type: ignore[misc]
    try:
        yield
    finally:
        lease.LEASE_SECONDS, lease.LEASE_POLL, tree.BATCH = before  # type: ignore[misc]


@contextmanager
def _opened(folder: Path, catalog: Catalog, holder: str, tell: Callable[[str, Any], None]) -> Iterator[Log]:
    """The log of a folder, whose signer tells of each note that it signs before it gives it out."""
    signer = Signer.load(folder / KEY)
    real = signer.sign_note

    def sign_note(text: str) -> str:
        note = real(text)
        tell("signed", note)
        return note

    signer.sign_note = sign_note  # type: ignore[method-assign]
    store = FolderStore(folder / "objects")
    log = Log(store, catalog, origin=ORIGIN, signer=signer, holder=holder, kept=folder / KEPT)
    log.check_start(_others(folder))
    yield log


def _others(folder: Path) -> list[tuple[str, Note]]:
    kept = folder / KEPT
    return [(str(kept), Note.parse(kept.read_bytes()))] if kept.exists() else []


def _teller(path: Path) -> Callable[[str, Any], None]:
    """Appends lines to a file with one write each: what was written before a kill is there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def tell(kind: str, value: Any) -> None:
        os.write(descriptor, json.dumps([kind, value]).encode() + b"\n")

    return tell


def _sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@contextmanager
def _steps(work: Work, tell: Callable[[str, Any], None]) -> Iterator[None]:
    """Count what makes something durable, and end or stop this process before the step that is named."""
    if work.kill_at is None and work.stop_at is None:
        yield
        return
    lock, count = threading.Lock(), [0]

    def step(*ignored: object) -> None:
        with lock:
            count[0] += 1
        if count[0] == work.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if count[0] == work.stop_at:
            tell("stopped", os.getpid())
            os.kill(os.getpid(), signal.SIGSTOP)

    def stepping(real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            step()
            return real(*args, **kwargs)

        return wrapped

    for name in ("fsync", "link", "replace"):  # this process ends with the work: nothing needs to be put back
        setattr(os, name, stepping(getattr(os, name)))
    event.listen(Engine, "commit", step)
    yield


# -- several at once -----------------------------------------------------------------------------------------------


class Workers(Attendant):
    """Does the works of several processes at once, each forked from one that has everything loaded. A context manager.

    A process that stops itself is woken after `pause` seconds.
    """

    module = "tests.support.logs"

    def run(self, works: Sequence[Work], *, pause: float = 0.3) -> list[str]:
        """How each ended: `done`, `killed`, `woken` (it was stopped, and did its work). Fails where one failed."""
        ends: list[str] = self.ask({"works": [asdict(work) for work in works], "pause": pause})
        trouble = [value for kind, value in told(Path(works[0].folder)) if kind == "trouble"]
        assert "failed" not in ends, trouble
        return ends


def _serve() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        works = [Work(**{k: tuple(v) if isinstance(v, list) else v for k, v in w.items()}) for w in asked["works"]]
        print(json.dumps(_together(works, asked["pause"])), flush=True)


def _together(works: Sequence[Work], pause: float) -> list[str]:
    reading, writing = os.pipe()  # all begin when it is closed
    pids = []
    for work in works:
        pid = os.fork()
        if pid == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(_child(work))
        pids.append(pid)
    os.close(reading)
    os.close(writing)
    ends, woken = dict.fromkeys(pids, ""), set()
    while not all(ends.values()):
        pid, status = os.waitpid(-1, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            woken.add(pid)
            time.sleep(pause)
            os.kill(pid, signal.SIGCONT)
        elif os.WIFSIGNALED(status):
            ends[pid] = "killed"
        else:
            ends[pid] = "failed" if os.WEXITSTATUS(status) else "woken" if pid in woken else "done"
    return [ends[pid] for pid in pids]


def _child(work: Work) -> int:
    try:
        write(work)
    except BaseException:  # noqa: BLE001 - told to the test, which fails with it
        _teller(Path(work.folder) / TOLD)("trouble", traceback.format_exc())
        return 1
    return 0


# -- what must hold ------------------------------------------------------------------------------------------------


def told(folder: Path) -> list[tuple[str, Any]]:
    """All that processes told, in order."""
    path = folder / TOLD
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [(kind, value) for kind, value in map(json.loads, lines)]


def signed(folder: Path) -> list[str]:
    """Every note that was ever signed."""
    return [value for kind, value in told(folder) if kind == "signed"]


def faults(folder: Path, *, clock: float = 0.0) -> list[str]:
    """What is wrong with a log once the next process has started, sequenced two entries more and published.

    No fork: every checkpoint ever signed is the root of the first so many leaves of the one tree, and the log proves it
    by its tiles. No gap and no repeat: indices run from 0, no entry stands twice, none that was promised has another
    place, and the tiles hold what the catalog does.
    """
    before = signed(folder)
    write(Work(folder=str(folder), seed=f"next {len(before)} {clock}", adds=(2,), clock=(clock,), lease=0.3))
    store, signer = FolderStore(folder / "objects"), Signer.load(folder / KEY)
    with Catalog.open(f"sqlite:///{folder / 'catalog.sqlite'}") as catalog:
        with catalog.read() as tx:
            state, rows = tx.log.state(), list(tx.log.entries())
        found = _entry_faults(rows, state.next_index, told(folder))
        log = Log(store, catalog, origin=ORIGIN, signer=None, holder="checker", vkey=signer.vkey)
        leaves = [leaf_hash(row.body) for row in rows]
        head = open_checkpoint(store.get(tree.CHECKPOINT_KEY), signer.vkey)
        if (head.size, head.root) != (len(leaves), root_of(leaves)):
            found.append(f"the published tree has {head.size} entries or another root, the catalog {len(leaves)}")
            return found
        for note in sorted(set(signed(folder))):
            found += _note_faults(log, open_checkpoint(note.encode(), signer.vkey), head, leaves)
        for index in {0, head.size // 2, head.size - 1}:
            verify_inclusion(index, head.size, leaves[index], log.inclusion(index), head.root)
        check_log(
            store, catalog, origin=ORIGIN, vkey=signer.vkey, progress=lambda done, total: None, right={},
            report=lambda kind, where, words: found.append(f"{kind} {where}: {words}"),
        )  # fmt: skip
    return found


def _note_faults(log: Log, old: Checkpoint, head: Checkpoint, leaves: Sequence[bytes]) -> list[str]:
    if old.size > head.size:
        return [f"a checkpoint of {old.size} entries was signed, {head.size} are there"]
    if old.root != root_of(leaves[: old.size]):
        return [f"a fork: another tree of {old.size} entries was signed"]
    verify_consistency(old.size, head.size, log.consistency(old.size, head.size), old.root, head.root)
    return []


def _entry_faults(rows: Sequence[Any], next_index: int, lines: Sequence[tuple[str, Any]]) -> list[str]:
    found = []
    if [row.index for row in rows] != list(range(next_index)):
        found.append(f"a gap: {len(rows)} entries, the next index is {next_index}")
    bodies = [_sha(row.body) for row in rows]
    if len(set(bodies)) != len(bodies):
        found.append("an entry stands twice")
    for kind, value in lines:
        for index, body in value if kind == "sequenced" else ():
            if index >= len(bodies) or bodies[index] != body:
                found.append(f"entry {index}, which was promised, is not there")
    return found


if __name__ == "__main__":
    _serve()

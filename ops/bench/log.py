"""The log: entries sequenced, put into tiles and published, proved and checked, a second.

    python -m ops.bench.log [--entries N] [--proofs N]

The catalog is SQLite and the store a folder, both on the disk of the temporary folder, with every sync that an archive
makes. The limit beside it is the Merkle root of the same entries hashed in memory, nothing kept. How proofs are
checked by others is left to the tests.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ops.bench.measure import table
from schemas.entries import Entry, capture_entry
from schemas.merkle import leaf_hash, root_of
from schemas.proofs import LogProof
from storage.archive import system_clock
from storage.blobs import FolderStore
from storage.catalog import Catalog
from storage.log import Log, Signer, append

ORIGIN: Final = "pressmark.invalid/bench"
#: Entries of one transaction: what a group commit of a busy crawl holds, and a lone capture.
GROUPS: Final = (64, 1)
#: Entries of the run with a transaction each: the sync of the disk is what is measured there.
LONE: Final = 500


@dataclass(kw_only=True, slots=True)
class Timed:
    """One line of the table."""

    what: str
    count: int
    unit: str
    wall: float = field(default=0.0)  # seconds
    cpu: float = field(default=0.0)  # seconds

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure the body."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall, self.cpu = time.perf_counter() - wall, time.process_time() - cpu


def entry(number: int) -> Entry:
    """A capture's entry with three digests, as most are."""
    digests = {
        role: f"sha256:{hashlib.sha256(f'{role} {number}'.encode()).hexdigest()}"
        for role in ("request", "response", "metadata")
    }
    return capture_entry(digests)


def sequence(catalog: Catalog, entries: Sequence[Entry], group: int) -> Timed:
    """Give entries their indices, so many a transaction."""
    done = Timed(what=f"sequenced, {group} a commit", count=len(entries), unit="entries")
    with done.running():
        for at in range(0, len(entries), group):
            with catalog.begin() as tx:
                for one in entries[at : at + group]:
                    append(tx, one, subject=None)
    return done


def measure(folder: Path, entries: int, proofs: int) -> tuple[list[Timed], int]:
    """Every line, and the bytes that tiles and bundles take."""
    made = [entry(number) for number in range(entries)]
    lone = min(LONE, entries)
    signer = Signer.create(folder / "log.key", ORIGIN)
    with Catalog.create(f"sqlite:///{folder / 'catalog.sqlite'}") as catalog:
        log = Log(FolderStore(folder / "objects"), catalog, origin=ORIGIN, signer=signer, holder="bench")
        lines = [sequence(catalog, made, GROUPS[0])]
        integrated = Timed(what="integrated and published", count=entries, unit="entries")
        with integrated.running():
            log.integrate(system_clock())
        lines += [integrated, sequence(catalog, made[:lone], GROUPS[1])]
        again = Timed(what="integrated, the next batch", count=lone, unit="entries")
        with again.running():
            log.integrate(system_clock())
        lines.append(again)
        chosen = [random.Random(entries).randrange(entries) for _ in range(proofs)]  # noqa: S311  # a sample
        proved = Timed(what="proofs made", count=proofs, unit="proofs")
        with proved.running():
            texts = [log.tlog_proof(index) for index in chosen]
        bodies = [log.entry_bytes(index) for index in chosen]
        checked = Timed(what="proofs verified, signature too", count=proofs, unit="proofs")
        with checked.running():
            for body, text in zip(bodies, texts, strict=True):
                LogProof.parse(text.encode()).verify(body, signer.vkey)
        lines += [proved, checked]
    bare = Timed(what="(limit) hashed in memory", count=entries, unit="entries")
    with bare.running():
        root_of(leaf_hash(one.encode()) for one in made)
    size = sum(path.stat().st_size for path in (folder / "objects").rglob("*") if path.is_file())
    return [*lines, bare], size


def compare(entries: int, proofs: int) -> None:
    """Measure and print."""
    folder = Path(tempfile.mkdtemp(prefix="pressmark-bench-"))
    try:
        lines, size = measure(folder, entries, proofs)
    finally:
        shutil.rmtree(folder)
    table(
        f"log: {entries} entries, SQLite and a folder; {size / entries:.0f} bytes of tiles and bundles an entry",
        ("what", "a second", "a CPU-second", "count"),
        [(line.what, f"{line.count / line.wall:,.0f}", f"{line.count / line.cpu:,.0f}", line.count) for line in lines],
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.log", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entries", type=int, default=20_000, help="entries of the log")
    parser.add_argument("--proofs", type=int, default=200, help="proofs made and verified")
    given = parser.parse_args(arguments)
    compare(given.entries, given.proofs)


if __name__ == "__main__":
    main()

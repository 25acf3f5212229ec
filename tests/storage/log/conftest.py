"""A log over a real folder and a real SQLite catalog; entries that mean nothing but differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.digests import Digest
from schemas.entries import Entry, attempt_entry
from storage.blobs import BlobStore, FolderStore
from storage.catalog import Catalog
from storage.log import Log, Signer, append

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ORIGIN = "pressmark.invalid/test"


def entry(number: int) -> Entry:
    """The n-th entry."""
    return attempt_entry("timeout", {"metadata": str(Digest.sha256(b"%d" % number))})


@dataclass
class World:
    """A log with its store, catalog and key, and ways to open it again."""

    folder: Path
    store: BlobStore
    catalog: Catalog
    signer: Signer
    origin: str = ORIGIN

    def log(self, holder: str = "one") -> Log:
        """The log as a process of that name opens it."""
        return Log(self.store, self.catalog, origin=self.origin, signer=self.signer, holder=holder)

    def add(self, count: int) -> None:
        """Sequence so many more entries."""
        with self.catalog.begin() as tx:
            first = tx.log.state().next_index
            for number in range(first, first + count):
                assert append(tx, entry(number), subject=f"s{number}") == number

    def tile(self, path: str) -> Path:
        """The file of an object of the log."""
        return self.folder / "objects" / "log" / path


def new_world(folder: Path) -> World:
    """An empty log in a new folder."""
    folder.mkdir()
    signer = Signer.create(folder / "log.key", ORIGIN)
    catalog = Catalog.create(f"sqlite:///{folder / 'catalog.sqlite'}")
    return World(folder, FolderStore(folder / "objects"), catalog, signer)


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes worlds apart from each other."""
    made: list[World] = []

    def make(name: str = "archive") -> World:
        made.append(new_world(tmp_path / name))
        return made[-1]

    yield make
    for world in made:
        world.catalog.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """One world."""
    return make_world()

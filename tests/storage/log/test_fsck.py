"""Flips below the API in each place where the log lies, and what the check calls them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.merkle import leaf_hash
from storage.blobs import FolderStore
from storage.catalog import Catalog
from storage.log import Signer
from storage.log.fsck import check_log
from tests.storage.log.conftest import NOW, ORIGIN, World, entry, new_world

Found = list[tuple[str, str, str]]


def check(world: World) -> Found:
    found: Found = []
    check_log(
        world.store,
        world.catalog,
        origin=ORIGIN,
        vkey=world.signer.vkey,
        report=lambda kind, where, message: found.append((kind, where, message)),
    )
    return found


def places(world: World) -> set[tuple[str, str]]:
    return {(kind, where) for kind, where, _ in check(world)}


def flip(world: World, path: str, at: int = 0) -> None:
    file = world.tile(path)
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def sql(world: World, text: str, *values: object) -> None:
    with sqlite3.connect(world.folder / "catalog.sqlite") as raw:
        assert raw.execute(text, values).rowcount == 1
    raw.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 3, then 300, then 600 entries, and two that wait."""
    world = new_world(tmp_path_factory.mktemp("template") / "archive")
    log = world.log()
    for count in (3, 297, 300):
        world.add(count)
        log.integrate(NOW)
    world.add(2)
    world.catalog.close()
    return world.folder


@pytest.fixture
def grown(template: Path, tmp_path: Path) -> Iterator[World]:
    folder = tmp_path / "archive"
    shutil.copytree(template, folder)
    catalog = Catalog.open(f"sqlite:///{folder / 'catalog.sqlite'}")
    yield World(folder, FolderStore(folder / "objects"), catalog, Signer.load(folder / "log.key"))
    catalog.close()


def test_a_log_that_is_whole_gives_nothing_to_report(grown: World) -> None:
    assert check(grown) == []


def test_an_empty_log_gives_nothing_to_report(world: World) -> None:
    assert check(world) == []
    world.add(2)  # sequenced, not integrated
    assert check(world) == []


def test_progress_is_told(grown: World) -> None:
    told: list[tuple[int, int]] = []
    count = check_log(
        grown.store, grown.catalog, origin=ORIGIN, vkey=grown.signer.vkey,
        report=lambda *found: pytest.fail(str(found)), progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert count == 602
    assert told == [(256, 600), (512, 600), (600, 600)]


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/88",
        "tile/1/000.p/2",
        "tile/0/000.p/3",  # of an earlier tree
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/002.p/88",
        "tile/entries/000.p/3",
    ],
)
@pytest.mark.parametrize("at", [0, 40, -1])
def test_a_flip_in_a_tile_or_bundle_names_it_and_it_alone(grown: World, path: str, at: int) -> None:
    size = grown.tile(path).stat().st_size
    flip(grown, path, at if at < 0 else at % size)
    assert places(grown) == {("damaged", f"log/{path}")}


@pytest.mark.parametrize("path", ["tile/0/000", "tile/1/000.p/2", "tile/entries/001", "tile/0/002.p/88"])
def test_a_tile_or_bundle_that_is_gone_is_missing(grown: World, path: str) -> None:
    grown.tile(path).unlink()
    assert places(grown) == {("missing", f"log/{path}")}


@pytest.mark.parametrize("path", ["tile/0/000", "tile/1/000.p/2", "tile/entries/002.p/88", "tile/0/000.p/3"])
@pytest.mark.parametrize("cut", [1, 32])
def test_a_shortened_tile_or_bundle_is_damaged(grown: World, path: str, cut: int) -> None:
    file = grown.tile(path)
    file.write_bytes(file.read_bytes()[:-cut])
    assert places(grown) == {("damaged", f"log/{path}")}


def test_a_bundle_names_the_entries_that_changed(grown: World) -> None:
    file = grown.tile("tile/entries/001")
    old, new = entry(300).encode(), entry(9_000).encode()
    file.write_bytes(file.read_bytes().replace(old, new))
    assert check(grown) == [("damaged", "log/tile/entries/001", "holds other entries than were hashed, at 300")]


@pytest.mark.parametrize("index", [0, 299, 599, 600, 601])  # the last two wait for their tiles
def test_a_changed_entry_of_the_catalog_is_named(grown: World, index: int) -> None:
    sql(grown, 'UPDATE entries SET body = ? WHERE "index" = ?', entry(9_000).encode(), index)
    assert places(grown) == {("damaged", f"entry {index}")}


def test_entry_and_leaf_changed_together_are_named_too(grown: World) -> None:
    other = entry(9_000).encode()
    sql(grown, 'UPDATE entries SET body = ?, leaf = ? WHERE "index" = 5', other, leaf_hash(other))
    assert places(grown) == {("damaged", "entry 5")}


def test_a_changed_type_is_named(grown: World) -> None:
    sql(grown, "UPDATE entries SET type = 'capture' WHERE \"index\" = 5")
    assert places(grown) == {("damaged", "entry 5")}


@pytest.mark.parametrize("index", [5, 599, 600, 601])
def test_an_entry_that_the_catalog_lacks_is_named(grown: World, index: int) -> None:
    sql(grown, 'DELETE FROM entries WHERE "index" = ?', index)
    assert places(grown) == {("missing", f"entry {index}")}


def test_a_root_changed_in_the_catalog_is_named(grown: World) -> None:
    sql(grown, "UPDATE log_state SET root = ?", bytes(32))
    assert places(grown) == {("damaged", "catalog")}


@pytest.mark.parametrize("at", [0, 30, 60, -5])
def test_a_changed_checkpoint_is_named(grown: World, at: int) -> None:
    flip(grown, "checkpoint", at)
    assert places(grown) == {("damaged", "log/checkpoint")}


def test_a_vanished_checkpoint_is_missing(grown: World) -> None:
    grown.tile("checkpoint").unlink()
    assert places(grown) == {("missing", "log/checkpoint")}


def test_a_store_that_was_rolled_back_is_seen(world: World) -> None:
    world.add(3)
    log = world.log()
    log.integrate(NOW)
    old = world.tile("checkpoint").read_bytes()
    world.add(3)
    log.integrate(NOW)
    world.tile("checkpoint").write_bytes(old)
    assert check(world) == [("damaged", "log/checkpoint", "rolled back to size 3 from 6")]


def test_what_does_not_belong_there_is_an_orphan(grown: World) -> None:
    for name in ("tile/0/xyz", "notes.txt", "tile/0/007"):
        grown.store.put(f"log/{name}", b"x" * 8192)
    assert places(grown) == {("orphan", f"log/{name}") for name in ("tile/0/xyz", "notes.txt", "tile/0/007")}


def test_tiles_of_an_integration_that_was_stopped_are_no_damage(grown: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("storage.catalog.entries.LogQueries.commit_tree", killed)
        with pytest.raises(KeyboardInterrupt):
            grown.log("two").integrate(NOW)
    assert {kind for kind, _ in places(grown)} == {"orphan"}
    grown.log("three").integrate(NOW)
    assert check(grown) == []

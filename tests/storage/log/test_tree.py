"""The log as written and published: what lies in the store, what is proven, and what is refused."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.checkpoints import open_checkpoint
from schemas.errors import CheckFailed, DamageError, LogForkRisk, NotFound, UsageError
from schemas.merkle import leaf_hash, root_of, verify_consistency, verify_inclusion
from schemas.proofs import LogProof
from schemas.tiles import TileName, decode_entries, tiles_of
from storage.catalog import Catalog
from storage.log import Log, Signer
from storage.stores import open_store
from tests.storage.log.conftest import NOW, ORIGIN, World, entry
from tests.support.services import Bucket

SIZES = [1, 2, 255, 256, 257, 300, 600]


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(entry(n).encode()) for n in range(count)]


def test_nothing_is_published_before_there_is_an_entry(world: World) -> None:
    log = world.log()
    log.check_start()
    assert log.integrate(NOW) is None
    assert log.checkpoint() is None
    assert list(world.store.list()) == []
    with pytest.raises(NotFound, match="no checkpoint was published"):
        log.tlog_proof(0)


@pytest.mark.parametrize("size", SIZES)
def test_the_published_log_is_what_the_specification_describes(world: World, size: int) -> None:
    world.add(size)
    checkpoint = world.log().integrate(NOW)
    assert checkpoint is not None
    assert (checkpoint.origin, checkpoint.size, checkpoint.root) == (ORIGIN, size, root_of(leaves(size)))
    note = world.store.get("log/checkpoint")
    assert open_checkpoint(note, world.signer.vkey) == checkpoint
    bundles = [TileName(level=None, index=n, width=min(256, size - n * 256)) for n in range(-(-size // 256))]
    wanted = {"log/checkpoint", *(f"log/{name.path}" for name in (*tiles_of(size), *bundles))}
    assert set(world.store.list()) == wanted
    stored = [e for name in bundles for e in decode_entries(world.store.get(f"log/{name.path}"))]
    assert stored == [entry(n).encode() for n in range(size)]


def test_the_log_grows_step_by_step_and_every_step_proves_the_ones_before(world: World) -> None:
    log, roots = world.log(), {}
    for step in (3, 250, 5, 1, 300):
        world.add(step)
        checkpoint = log.integrate(NOW)
        assert checkpoint is not None
        roots[checkpoint.size] = checkpoint.root
        assert log.integrate(NOW) is None  # nothing new
    sizes = sorted(roots)
    assert sizes == [3, 253, 258, 259, 559]
    for new in sizes:
        for old in sizes[: sizes.index(new) + 1]:
            verify_consistency(old, new, log.consistency(old, new), roots[old], roots[new])
        for index in (0, 2, new // 2, new - 1):
            path = log.inclusion(index, new)
            verify_inclusion(index, new, leaf_hash(entry(index).encode()), path, roots[new])


def test_a_log_of_several_batches_and_levels(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.log.tree.BATCH", 512)
    world.add(2000)
    log = world.log()
    checkpoint = log.integrate(NOW)
    assert checkpoint is not None
    assert checkpoint.root == root_of(leaves(2000))
    for index in range(0, 2000, 311):
        assert LogProof.parse(log.tlog_proof(index).encode()).verify(entry(index).encode(), world.signer.vkey)


def test_a_proof_stands_by_itself(world: World) -> None:
    world.add(5)
    log = world.log()
    log.integrate(NOW)
    proof = LogProof.parse(log.tlog_proof(3).encode())
    assert proof.verify(log.entry_bytes(3), world.signer.vkey).size == 5
    with pytest.raises(CheckFailed):
        proof.verify(log.entry_bytes(2), world.signer.vkey)


def test_an_entry_that_waits_has_no_proof_yet(world: World) -> None:
    world.add(2)
    log = world.log()
    log.integrate(NOW)
    world.add(1)
    assert log.entry_bytes(2) == entry(2).encode()
    with pytest.raises(NotFound, match="not in the published tree of 2"):
        log.tlog_proof(2)
    with pytest.raises(NotFound):
        log.consistency(1, 3)
    with pytest.raises(NotFound):
        log.entry_bytes(3)


def test_a_second_process_goes_on_where_the_first_stopped(world: World) -> None:
    world.add(300)
    world.log("one").integrate(NOW)
    world.add(300)
    other = world.log("two")
    other.check_start()
    checkpoint = other.integrate(NOW)
    assert checkpoint is not None
    assert checkpoint.root == root_of(leaves(600))


def test_the_catalog_keeps_the_published_note(world: World) -> None:
    world.add(1)
    log = world.log()
    log.integrate(NOW)
    with world.catalog.read() as tx:
        assert tx.log.state().checkpoint == log.checkpoint()


def test_without_the_key_the_log_is_read_and_not_written(world: World) -> None:
    world.add(1)
    world.log().integrate(NOW)
    reader = Log(world.store, world.catalog, origin=ORIGIN, signer=None, holder="r", vkey=world.signer.vkey)
    assert LogProof.parse(reader.tlog_proof(0).encode()).verify(entry(0).encode(), world.signer.vkey)
    with pytest.raises(UsageError, match="without its log key"):
        reader.integrate(NOW)


# -- what must never be signed -------------------------------------------------------------------------------


def restored(world: World, backup: Path) -> World:
    """The world with an older catalog in the place of its own."""
    world.catalog.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{world.folder / 'catalog.sqlite'}{suffix}").unlink(missing_ok=True)
    shutil.copy(backup, world.folder / "catalog.sqlite")
    world.catalog = Catalog.open(f"sqlite:///{world.folder / 'catalog.sqlite'}")
    return world


def back_up(world: World) -> Path:
    world.catalog.close()
    target = world.folder / "backup.sqlite"
    shutil.copy(world.folder / "catalog.sqlite", target)
    world.catalog = Catalog.open(f"sqlite:///{world.folder / 'catalog.sqlite'}")
    return target


def assert_refuses(world: World, match: str) -> None:
    before = world.store.get("log/checkpoint")
    with pytest.raises(LogForkRisk, match=match) as caught:
        world.log("fresh").check_start()
    assert caught.value.exit_code == 3
    world.add(1)
    with pytest.raises(LogForkRisk):
        world.log("other").integrate(NOW)
    assert world.store.get("log/checkpoint") == before


def test_a_catalog_restored_from_a_backup_signs_nothing(world: World) -> None:
    world.add(10)
    world.log().integrate(NOW)
    backup = back_up(world)
    world.add(10)
    world.log().integrate(NOW)
    assert_refuses(restored(world, backup), "20 log entries were published, this catalog has 10 .*pressmark rebuild")


def test_a_restored_catalog_that_grew_meanwhile_signs_nothing(world: World) -> None:
    """Entries that were sequenced but not published when the backup was made get other neighbours
    afterwards.
    """
    world.add(10)
    world.log().integrate(NOW)
    backup = back_up(world)
    world.add(1)
    world.log().integrate(NOW)
    restored(world, backup)
    with world.catalog.begin() as tx:
        body = entry(999).encode()
        tx.log.append("attempt", body, leaf_hash(body), None)
    with pytest.raises(LogForkRisk):
        world.log().check_start()


def test_other_entries_where_tiles_were_put_already_sign_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after tiles were put and before the tree was committed, then restored: the tiles of the lost
    run tell.
    """
    world.add(10)
    log = world.log()
    log.integrate(NOW)
    backup = back_up(world)
    world.add(1)
    with monkeypatch.context() as patch:
        patch.setattr("storage.catalog.entries.LogQueries.commit_tree", _killed)
        with pytest.raises(KeyboardInterrupt):
            world.log("two").integrate(NOW)
    restored(world, backup)
    with world.catalog.begin() as tx:
        body = entry(999).encode()
        tx.log.append("attempt", body, leaf_hash(body), None)
    before = world.store.get("log/checkpoint")
    with pytest.raises(LogForkRisk, match="holds other entries than this catalog has"):
        world.log("three").integrate(NOW)
    assert world.store.get("log/checkpoint") == before


def _killed(*args: object, **kwargs: object) -> None:
    raise KeyboardInterrupt


def test_another_archives_checkpoint_signs_nothing(make_world: Callable[..., World]) -> None:
    world, stranger = make_world("mine"), make_world("theirs")
    for each in (world, stranger):
        each.add(3)
        each.log().integrate(NOW)
    world.tile("checkpoint").write_bytes(stranger.store.get("log/checkpoint"))
    assert_refuses(world, "not a checkpoint signed by this archive's key")


def test_a_changed_checkpoint_signs_nothing(world: World) -> None:
    world.add(3)
    world.log().integrate(NOW)
    path = world.tile("checkpoint")
    path.write_bytes(path.read_bytes().replace(b"\n3\n", b"\n2\n"))
    assert_refuses(world, "not a checkpoint signed by this archive's key")


def test_an_older_checkpoint_in_the_store_is_published_anew(world: World) -> None:
    """A put that arrived late is no fork: the older tree is a start of the committed one."""
    world.add(3)
    log = world.log()
    log.integrate(NOW)
    old = world.store.get("log/checkpoint")
    world.add(3)
    log.integrate(NOW)
    new = world.store.get("log/checkpoint")
    world.tile("checkpoint").write_bytes(old)
    fresh = world.log("fresh")
    fresh.check_start()
    assert fresh.integrate(NOW) is not None
    assert world.store.get("log/checkpoint") == new


def test_a_checkpoint_that_vanished_signs_nothing(world: World) -> None:
    world.add(3)
    world.log().integrate(NOW)
    world.tile("checkpoint").unlink()
    with pytest.raises(LogForkRisk, match="has lost log/checkpoint"):
        world.log().check_start()


@pytest.mark.parametrize("path", ["tile/0/001.p/44", "tile/1/000.p/1"])
def test_a_changed_or_missing_tile_signs_nothing(world: World, path: str) -> None:
    world.add(300)
    world.log().integrate(NOW)
    file = world.tile(path)
    data = file.read_bytes()
    file.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    assert_refuses(world, "disagree")
    file.unlink()
    with pytest.raises(LogForkRisk, match="is missing"):
        world.log("again").check_start()


def test_a_changed_entry_in_the_catalog_signs_nothing(world: World) -> None:
    world.add(3)
    with sqlite3.connect(world.folder / "catalog.sqlite") as raw:
        raw.execute('UPDATE entries SET body = ? WHERE "index" = 1', (entry(7).encode(),))
    raw.close()
    with pytest.raises(DamageError, match="not those that were logged"):
        world.log().integrate(NOW)
    with pytest.raises(DamageError, match="log entry 1 in the catalog is not what was logged"):
        world.log().entry_bytes(1)
    assert world.log().checkpoint() is None


def test_a_proof_from_a_changed_tile_is_not_given_out(world: World) -> None:
    world.add(3)
    log = world.log()
    log.integrate(NOW)
    path = world.tile("tile/0/000.p/3")
    data = path.read_bytes()
    path.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    with pytest.raises(DamageError, match="do not prove entry 0"):
        log.tlog_proof(0)


def test_the_same_log_on_postgresql_and_s3(postgres_url: str, s3_bucket: Bucket, tmp_path: Path) -> None:
    signer = Signer.create(tmp_path / "log.key", ORIGIN)
    catalog = Catalog.create(postgres_url)
    world = World(tmp_path, open_store(s3_bucket.url), catalog, signer)
    world.add(200)
    world.log().integrate(NOW)
    world.add(200)
    log = world.log("two")
    log.check_start()
    checkpoint = log.integrate(NOW)
    assert checkpoint is not None
    assert checkpoint.root == root_of(leaves(400))
    assert LogProof.parse(log.tlog_proof(7).encode()).verify(entry(7).encode(), signer.vkey) == checkpoint
    catalog.close()

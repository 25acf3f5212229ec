"""The mirror comes to hold what the store holds, and gives it back where the store lost or damaged it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.checkpoints import open_checkpoint
from storage.archive import Archive
from storage.blobs import BlobStore, FolderStore
from storage.fixity import AuditReport, audit
from storage.log.tree import CHECKPOINT_KEY
from storage.mirror import META, catch_up
from storage.repair import Repair, keys_of, repair
from tests.storage.keepsake import copy, make
from tests.support.archives import ARTICLE, exchange, page, settings


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive with all kinds of objects, sealed."""
    folder = tmp_path_factory.mktemp("template") / "archive"
    folder.mkdir()
    with Archive.create(settings(folder)) as archive:
        make(archive)
        archive.seal()
    return folder


@pytest.fixture
def archive(template: Path, tmp_path: Path) -> Iterator[Archive]:
    """A copy of it, its mirror in another folder."""
    given = copy(template, tmp_path / "archive")
    with Archive.open(replace(given, mirror_url=str(tmp_path / "mirror"))) as opened:
        yield opened


def mirror_of(archive: Archive) -> FolderStore:
    store = archive.mirror()
    assert isinstance(store, FolderStore)
    return store


def everything(store: BlobStore) -> dict[str, bytes]:
    return {key: store.get(key) for key in store.list()}


def spoil(store: BlobStore, key: str, at: float = 0.5) -> None:
    """Flip a bit of an object, below or beside the API."""
    data = bytearray(store.get(key))
    data[int(len(data) * at)] ^= 1
    if isinstance(store, FolderStore):
        (store.root / key).write_bytes(data)
    else:
        store.replace(key, bytes(data), expected=store.get(key))


def mend(archive: Archive, report: AuditReport, mirror: BlobStore | None) -> list[Repair]:
    places = [finding.where for finding in (*report.damaged, *report.missing)]
    return repair(archive, mirror, keys_of(places), report.right)


def segment_keys(archive: Archive) -> list[str]:
    return [*archive.store.list("warc/"), *archive.store.list("text/")]


def test_the_mirror_comes_to_hold_what_the_store_holds(archive: Archive) -> None:
    mirror = mirror_of(archive)
    first = catch_up(archive, mirror)
    assert first.refused == ()
    assert everything(mirror) == everything(archive.store)
    assert catch_up(archive, mirror).copied == 0
    archive.deposit([(exchange("/new", page(7)), ARTICLE)])
    archive.seal()
    assert catch_up(archive, mirror).copied > 2
    assert everything(mirror) == everything(archive.store)
    with archive.catalog.read() as tx:
        assert tx.meta.get(META) is not None


@pytest.mark.postgres
@pytest.mark.s3
def test_a_store_on_s3_is_mirrored_in_a_folder_and_mended_from_it(
    postgres_url: str, s3_bucket: BlobStore, tmp_path: Path
) -> None:
    given = settings(tmp_path, catalog=postgres_url, objects=s3_bucket.url)
    with Archive.create(replace(given, mirror_url=str(tmp_path / "mirror"))) as archive:
        archive.deposit([(exchange("/one", page(1)), ARTICLE)])
        archive.seal()
        mirror = mirror_of(archive)
        catch_up(archive, mirror)
        assert everything(mirror) == everything(archive.store)
        for key in (*archive.store.list("warc/"), *archive.store.list("log/tile/")):
            spoil(archive.store, key)
        report = audit(archive)
        assert all(one.done for one in mend(archive, report, mirror))
        assert everything(mirror).items() <= everything(archive.store).items()
        assert audit(archive).ok


def test_the_mirror_opens_as_the_store_of_the_archive(archive: Archive) -> None:
    catch_up(archive, mirror_of(archive))
    elsewhere = replace(archive.settings, objects_url=archive.settings.mirror_url)
    with Archive.open(elsewhere) as other:
        assert audit(other).ok


def test_a_damaged_object_is_not_copied_and_holds_the_checkpoint_back(archive: Archive) -> None:
    key = segment_keys(archive)[0]
    spoil(archive.store, key)
    mirror = mirror_of(archive)
    report = catch_up(archive, mirror)
    assert len(report.refused) == 1
    assert key in report.refused[0]
    assert not mirror.exists(key)
    assert not mirror.exists(CHECKPOINT_KEY)
    with archive.catalog.read() as tx:
        assert tx.meta.get(META) is None


def test_a_newer_checkpoint_of_the_mirror_is_never_replaced(archive: Archive) -> None:
    mirror = mirror_of(archive)
    old = archive.store.get(CHECKPOINT_KEY)
    archive.deposit([(exchange("/new", page(8)), ARTICLE)])
    archive.seal()
    catch_up(archive, mirror)
    newer = mirror.get(CHECKPOINT_KEY)
    archive.store.replace(CHECKPOINT_KEY, old, expected=archive.store.get(CHECKPOINT_KEY))  # rolled back
    (refused,) = catch_up(archive, mirror).refused
    assert "newer than ours" in refused
    assert mirror.get(CHECKPOINT_KEY) == newer


def test_the_mirror_of_another_archive_is_left_alone(archive: Archive, tmp_path: Path) -> None:
    with Archive.create(settings(tmp_path / "other")) as other:
        other.deposit([(exchange("/theirs", page(3)), ARTICLE)])
        other.seal()
        shutil.copytree(tmp_path / "other" / "objects" / "log", tmp_path / "mirror" / "log")
        held = everything(mirror_of(archive))
        assert catch_up(archive, mirror_of(archive)).refused
        assert mirror_of(archive).get(CHECKPOINT_KEY) == held[CHECKPOINT_KEY]
        assert open_checkpoint(held[CHECKPOINT_KEY], other.vkey).size


@pytest.mark.parametrize("what", ["flipped", "gone"])
def test_every_segment_and_snapshot_file_comes_back_from_the_mirror(archive: Archive, what: str) -> None:
    mirror = mirror_of(archive)
    catch_up(archive, mirror)
    whole = everything(archive.store)
    keys = segment_keys(archive)
    for key in keys:
        if what == "flipped":
            spoil(archive.store, key)
        else:
            assert isinstance(archive.store, FolderStore)
            (archive.store.root / key).unlink()
    report = audit(archive)
    assert not report.ok
    assert {note for note in report.notes if "holds an intact copy" in note} == {
        f"the mirror holds an intact copy of {key}: `pressmark audit --repair`" for key in keys
    }
    done = mend(archive, report, mirror)
    assert {one.key for one in done if one.done} == set(keys)
    assert {key: archive.store.get(key) for key in keys} == {key: whole[key] for key in keys}
    assert audit(archive).ok
    with archive.catalog.read() as tx:
        for key in keys:
            assert tx.log.find(key, "repair") is not None


def test_tiles_and_bundles_are_made_anew_from_the_entries_without_a_mirror(archive: Archive) -> None:
    whole = everything(archive.store)
    for key in archive.store.list("log/tile/"):
        spoil(archive.store, key, 0.9)
        report = audit(archive)
        done = mend(archive, report, None)
        assert [one.key for one in done if one.done] == [key]
        assert archive.store.get(key) == whole[key]
        assert audit(archive).ok


def test_what_nothing_holds_intact_is_not_repaired(archive: Archive) -> None:
    mirror = mirror_of(archive)
    catch_up(archive, mirror)
    key = segment_keys(archive)[0]
    spoil(archive.store, key)
    spoil(mirror, key, 0.4)
    report = audit(archive)
    (one,) = mend(archive, report, mirror)
    assert not one.done
    assert "not what the log says" in one.message
    assert [one.done for one in mend(archive, report, None)] == [False]
    assert not audit(archive).ok


def test_a_mirror_that_cannot_be_reached_is_told_and_stops_no_audit(archive: Archive, tmp_path: Path) -> None:
    spoil(archive.store, segment_keys(archive)[0])
    (tmp_path / "file").write_text("")
    broken = replace(archive.settings, mirror_url=str(tmp_path / "file" / "mirror"))
    with Archive.open(broken) as other:
        assert any("could not be asked" in note for note in audit(other).notes)

"""The catalog made anew: the same as the one that was lost, whatever was lost with it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.errors import ArchiveLocked, ArchiveMissing, DamageError
from storage import events
from storage.archive import Archive, StorageSettings
from storage.catalog import Tx
from storage.datasets import Selection, build, verify
from storage.fixity import audit
from storage.rebuild import rebuild
from storage.recovery import recover
from storage.segments import object_key
from tests.storage.keepsake import CAPTURES, VERSIONS, copy, make
from tests.support.archives import ARTICLE, exchange, page, read_article, settings

#: What a rebuild does not make: what the journey makes of captures, and what lasts for a moment only.
OTHERS = {"sources", "items", "hosts", "leases", "sightings", "alembic_version"}
#: Columns that follow from reading pages again, or from nothing.
LATER = {
    "snapshots": {"created"},
    "captures": {"extraction", "extraction_code", "extractor"},
    "versions": {"last_seen"},
    "log_state": {"epoch"},
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template") / "archive"
    folder.mkdir()
    with Archive.create(settings(folder)) as archive:
        make(archive)
    return folder


@pytest.fixture
def given(template: Path, tmp_path: Path) -> StorageSettings:
    return copy(template, tmp_path / "archive")


def tables(folder: Path) -> dict[str, set[tuple[object, ...]]]:
    """All that the catalog says, by table, without what is made later."""
    found = {}
    with sqlite3.connect(folder / "catalog.sqlite") as raw:
        names = [row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            if name in OTHERS or name.startswith("sqlite_"):
                continue
            columns = [row[1] for row in raw.execute(f"PRAGMA table_info({name})")]
            kept = ", ".join(f'"{c}"' for c in columns if c not in LATER.get(name, ()))
            found[name] = set(raw.execute(f"SELECT {kept} FROM {name}"))
    raw.close()
    return found


def lose_catalog(folder: Path) -> None:
    for path in folder.glob("catalog.sqlite*"):
        path.unlink()


def articles(archive: Archive) -> list[tuple[object, ...]]:
    with archive.catalog.read() as tx:
        return [(v.article_id, v.version, v.log_index, v.block) for v in tx.articles.search(latest_only=False)]


def reopened(given: StorageSettings) -> Archive:
    return Archive.open(given)


def test_a_lost_catalog_comes_back_as_it_was(given: StorageSettings) -> None:
    before = tables(given.directory)
    lose_catalog(given.directory)
    report = rebuild(given)
    assert (report.captures, report.versions, report.appended, report.lost) == (CAPTURES, VERSIONS, 0, 0)
    after = tables(given.directory)
    assert after.keys() == before.keys()
    for name in before:
        assert after[name] == before[name], name
    with reopened(given) as archive:
        assert audit(archive).ok
        recover(archive)
        archive.seal()
        again = audit(archive)
        assert (again.ok, again.orphans, again.records) == (True, (), report.records)


def test_a_catalog_that_is_there_is_not_believed(given: StorageSettings) -> None:
    before = tables(given.directory)
    with sqlite3.connect(given.directory / "catalog.sqlite") as raw:
        raw.execute("UPDATE captures SET url = 'https://x.example/'")
        raw.execute("UPDATE entries SET body = x'00'")
        raw.execute("DELETE FROM versions WHERE version = 2")
    raw.close()
    rebuild(given)
    assert tables(given.directory) == before


def test_the_log_goes_on_after_a_rebuild_as_before(given: StorageSettings) -> None:
    lose_catalog(given.directory)
    rebuild(given)
    with reopened(given) as archive:
        archive.log.check_start()
        old = archive.log.checkpoint()
        (capture,) = archive.deposit([(exchange("/new", page(12)), ARTICLE)])
        assert capture.log_index == 22
        assert archive.integrate() is not None
        assert archive.log.checkpoint() != old
        assert archive.log.consistency(22, 23)
        assert audit(archive).ok


@pytest.mark.parametrize("where", ["folder", pytest.param("services", marks=[pytest.mark.postgres, pytest.mark.s3])])
def test_on_either_storage_the_rebuilt_archive_audits_the_same(
    request: pytest.FixtureRequest, tmp_path: Path, where: str
) -> None:
    given = settings(tmp_path)
    if where == "services":
        catalog = request.getfixturevalue("postgres_url")
        given = settings(tmp_path, catalog=catalog, objects=request.getfixturevalue("s3_bucket").url)
    with Archive.create(given) as archive:
        make(archive)
        first, wanted = audit(archive), articles(archive)
    rebuild(given)
    with reopened(given) as archive:
        assert articles(archive) == wanted
        assert audit(archive) == first


def test_snapshots_come_back(given: StorageSettings) -> None:
    with reopened(given) as archive:
        recover(archive)
        build(archive, "lantern", Selection())
        archive.integrate()
        wanted = verify(archive, "lantern")
    before = tables(given.directory)
    lose_catalog(given.directory)
    assert rebuild(given).snapshots == 1
    assert tables(given.directory) == before
    with reopened(given) as archive:
        assert verify(archive, "lantern") == wanted == []
        assert audit(archive).ok


# -- what the log does not know yet ------------------------------------------------------------------------------


def test_what_was_acknowledged_and_not_published_gets_new_entries(given: StorageSettings) -> None:
    with reopened(given) as archive:
        recover(archive)
        archive.integrate()
        archive.deposit([(exchange("/late", page(13)), ARTICLE)])  # its entry waits in the catalog alone
        published = archive.log.checkpoint()
    lose_catalog(given.directory)
    report = rebuild(given)
    assert (report.appended, report.captures) == (1, CAPTURES + 1)
    with reopened(given) as archive:
        assert archive.log.checkpoint() == published
        recover(archive)
        archive.seal()
        assert audit(archive).ok
        with archive.catalog.read() as tx:
            (capture,) = tx.captures.for_url("https://lantern.example/late")
        assert archive.entity(capture)[0] == page(13)


def test_records_that_never_had_a_row_get_one(given: StorageSettings) -> None:
    with reopened(given) as archive:
        sent = exchange("/never", page(14))
        archive.segments.append("warc", events.drafts_for(sent, ARTICLE, events.payload_of(sent), None))
        archive.segments.sync("warc")
    lose_catalog(given.directory)
    assert rebuild(given).appended == 1
    with reopened(given) as archive:
        recover(archive)
        assert audit(archive).ok
        with archive.catalog.read() as tx:
            assert len(tx.captures.for_url("https://lantern.example/never")) == 1
            assert [c.url for c in tx.captures.pending(100)].count("https://lantern.example/never") == 1


def test_entries_whose_tiles_were_put_but_not_signed_keep_their_places(
    given: StorageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with reopened(given) as archive:
        recover(archive)
        archive.integrate()
        archive.deposit([(exchange(f"/{n}", page(n)), ARTICLE) for n in (20, 21, 22)])
        with monkeypatch.context() as patch:
            patch.setattr("storage.catalog.entries.LogQueries.commit_tree", killed)
            with pytest.raises(KeyboardInterrupt):
                archive.integrate()
    before = tables(given.directory)
    lose_catalog(given.directory)
    assert rebuild(given).appended == 0
    after = tables(given.directory)
    assert after["entries"] == before["entries"]
    assert after["captures"] == before["captures"]
    with reopened(given) as archive:
        assert archive.integrate() is not None
        assert audit(archive).ok


def test_a_torn_tail_is_no_problem(given: StorageSettings) -> None:
    path = next((given.directory / "open").glob("warc-*.open"))
    with path.open("ab") as stream:
        stream.write(b"\x1f\x8b\x08 half a record")
    lose_catalog(given.directory)
    assert rebuild(given).lost == 0


def test_a_segment_put_to_the_store_and_never_logged_is_sealed_anew(given: StorageSettings) -> None:
    with reopened(given) as archive:
        path = next(archive.segments.folder.glob("warc-*.open"))
        name = path.name.removesuffix(".warc.gz.open")
        archive.store.put_file(object_key(name), path)
        path.unlink()
    lose_catalog(given.directory)
    rebuild(given)
    with reopened(given) as archive:
        with archive.catalog.read() as tx:
            row, entry = tx.segments.get(name), tx.log.find(name, "segment")
        assert row is not None
        assert row.state == "sealed"
        assert entry is not None
        assert audit(archive).ok


def test_a_second_conversion_of_a_known_version_stays_without_an_entry(given: StorageSettings) -> None:
    """Two workers read the same page at once, and one was stopped between its sync and its commit."""
    with reopened(given) as archive:
        recover(archive)
        archive.integrate()
        (capture,) = archive.deposit([(exchange("/0", page(0)), ARTICLE)])
        archive.integrate()
        draft = events.conversion_draft(read_article(archive, capture), capture, capture.date)
        archive.segments.append("text", [draft])
        archive.segments.sync("text")
    lose_catalog(given.directory)
    report = rebuild(given)
    assert (report.appended, report.versions) == (0, VERSIONS)
    with reopened(given) as archive:
        found = audit(archive)
        assert found.ok
        assert draft.record_id in found.orphans[0].message


# -- damage ------------------------------------------------------------------------------------------------------


def damage(given: StorageSettings, choose: Callable[[Tx], str]) -> None:
    """Flip a byte in the middle of one record of a sealed segment."""
    with reopened(given) as archive, archive.catalog.read() as tx:
        row = tx.records.get(choose(tx))
        assert row is not None
        path = archive.directory / "objects" / object_key(row.segment)
    data = bytearray(path.read_bytes())
    data[row.offset + row.length // 2] ^= 1
    path.write_bytes(data)


def records_of_first(tx: Tx) -> list[str]:
    return [row.record_id for row in tx.captures.records_of(tx.captures.after(0, 1)[0].id)]


#: A record of the first capture, by type.
CHOICES: dict[str, Callable[[Tx], str]] = {
    "request": lambda tx: records_of_first(tx)[0],
    "response": lambda tx: records_of_first(tx)[1],
    "metadata": lambda tx: records_of_first(tx)[2],
}


@pytest.mark.parametrize("kind", CHOICES)
def test_a_damaged_record_costs_its_event_and_nothing_else(given: StorageSettings, kind: str) -> None:
    damage(given, lambda tx: CHOICES[kind](tx))
    lose_catalog(given.directory)
    report = rebuild(given)
    assert (report.captures, report.appended) == (CAPTURES - 1, 0)
    assert report.lost >= 2  # the place, the capture's entry, and what was made of it
    assert "could not be made anew" in str(report)
    with reopened(given) as archive:
        archive.log.check_start()
        found = audit(archive)
        assert not found.ok
        (capture,) = archive.deposit([(exchange("/after", page(15)), ARTICLE)])
        assert capture.log_index == report.entries


def test_a_segment_that_is_gone_costs_what_was_in_it(given: StorageSettings) -> None:
    with reopened(given) as archive, archive.catalog.read() as tx:
        name = next(s.name for s in tx.segments.all("sealed") if s.kind == "warc")
    (given.directory / "objects" / object_key(name)).unlink()
    lose_catalog(given.directory)
    report = rebuild(given)
    assert 0 < report.captures < CAPTURES
    with reopened(given) as archive:
        assert object_key(name) in {f.where for f in audit(archive).missing}


@pytest.mark.parametrize("name", ["checkpoint", "tile/entries/000.p/22"])
def test_a_damaged_log_stops_the_rebuild_and_leaves_the_old_catalog(given: StorageSettings, name: str) -> None:
    path = given.directory / "objects" / "log" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    before = tables(given.directory)
    with pytest.raises(DamageError, match="mirror or backup"):
        rebuild(given)
    assert tables(given.directory) == before
    path.unlink()
    if name != "checkpoint":
        with pytest.raises(DamageError, match="is gone"):
            rebuild(given)


def test_a_stop_in_the_middle_leaves_the_old_catalog(given: StorageSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tables(given.directory)

    def killed(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("storage.catalog.entries.LogQueries.load_many", killed)
        with pytest.raises(KeyboardInterrupt):
            rebuild(given)
    assert tables(given.directory) == before
    rebuild(given)
    assert tables(given.directory) == before


def test_a_living_writer_is_not_disturbed(given: StorageSettings) -> None:
    with reopened(given) as archive:
        archive.deposit([(exchange("/live", page(16)), ARTICLE)])
        with pytest.raises(ArchiveLocked, match="still writes"):
            rebuild(given)
        assert archive.segments.close() is None


def test_no_archive_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(ArchiveMissing, match="holds no archive"):
        rebuild(settings(tmp_path))


def test_losses_that_the_log_knows_stay_known(given: StorageSettings) -> None:
    for path in (given.directory / "open").iterdir():
        path.unlink()
    with reopened(given) as archive:
        assert sum("is gone from this disk" in sentence for sentence in recover(archive)) == 2
        archive.integrate()
        with archive.catalog.read() as tx:
            lost = [s.name for s in tx.segments.all("lost")]
    shutil.rmtree(given.directory / "open")
    lose_catalog(given.directory)
    rebuild(given)
    with reopened(given) as archive, archive.catalog.read() as tx:
        assert [s.name for s in tx.segments.all("lost")] == lost


def test_a_clean_rebuild_leaves_no_files(given: StorageSettings) -> None:
    rebuild(given)
    assert sorted(p.name for p in given.directory.glob("catalog*")) == ["catalog.sqlite"]

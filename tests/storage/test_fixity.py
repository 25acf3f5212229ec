"""The audit: whole archives pass, and damage below the API is found and called what it is."""

from __future__ import annotations

import gzip
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.captures import Capture
from storage.archive import Archive
from storage.catalog.values import ErasedRow, RecordRow, RedactionRow
from storage.datasets import Selection, build
from storage.fingerprints import PREFIX
from storage.fixity import CONFIDENCE, AuditOptions, AuditReport, Sampled, audit
from storage.segments import object_key
from tests.storage.keepsake import CAPTURES, copy, make
from tests.support.archives import ARTICLE, exchange, fill, page, settings


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template") / "archive"
    folder.mkdir()
    with Archive.create(settings(folder)) as archive:
        make(archive)
    return folder


@pytest.fixture
def archive(template: Path, tmp_path: Path) -> Iterator[Archive]:
    with Archive.open(copy(template, tmp_path / "archive")) as opened:
        yield opened


def places(report: AuditReport) -> set[tuple[str, str]]:
    return {(f.kind, f.where) for f in (*report.damaged, *report.missing, *report.orphans)}


def rows(archive: Archive) -> list[RecordRow]:
    with archive.catalog.read() as tx:
        return [row for segment in tx.segments.all() for row in tx.records.in_segment(segment.name)]


def captures(archive: Archive) -> list[Capture]:
    with archive.catalog.read() as tx:
        return tx.captures.after(0, 100)


def file_of(archive: Archive, name: str) -> Path:
    path = archive.segments.locate(name)
    return path if path is not None else archive.directory / "objects" / object_key(name)


def sql(archive: Archive, text: str, *values: object) -> None:
    with sqlite3.connect(archive.directory / "catalog.sqlite") as raw:
        assert raw.execute(text, values).rowcount >= 1
    raw.close()


def flip(path: Path, at: int, bit: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= bit
    path.write_bytes(data)


# -- whole archives ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["folder", pytest.param("services", marks=[pytest.mark.postgres, pytest.mark.s3])])
def test_a_whole_archive_passes_open_segments_and_all(
    request: pytest.FixtureRequest, tmp_path: Path, where: str
) -> None:
    wanted = settings(tmp_path)
    if where == "services":
        catalog = request.getfixturevalue("postgres_url")
        wanted = settings(tmp_path, catalog=catalog, objects=request.getfixturevalue("s3_bucket").url)
    with Archive.create(wanted) as archive:
        make(archive)
        report = audit(archive)
        assert (report.objects, report.records, report.entries) == (11, len(rows(archive)), 22)
        assert places(report) == set()
        assert len(report.notes) == 2
        assert all("one local copy" in note for note in report.notes)
        archive.seal()
        whole = audit(archive)
        assert (whole.ok, whole.notes) == (True, ())
        assert audit(archive, AuditOptions(workers=2)) == whole


def test_an_empty_archive_passes(tmp_path: Path) -> None:
    with Archive.create(settings(tmp_path)) as archive:
        assert audit(archive) == AuditReport(objects=0, records=0, entries=0)


def test_entries_that_wait_for_their_tiles_are_no_fault(archive: Archive) -> None:
    archive.deposit([(exchange("/new", page(5)), ARTICLE)])
    assert places(audit(archive)) == set()


def test_a_sample_reads_so_many_records_with_their_events(archive: Archive) -> None:
    told: list[tuple[str, int, int]] = []
    report = audit(archive, AuditOptions(sample=2), progress=lambda *step: told.append(step))
    assert report.ok
    assert report.records == 2
    assert report.sampled == Sampled(read=2, of=len(rows(archive)))
    assert ("records", 2, 2) in told
    everything = audit(archive, AuditOptions(sample=1000))
    assert everything.ok
    assert everything.sampled is not None
    assert (everything.records, everything.sampled.below) == (len(rows(archive)), 0.0)


def test_a_sample_of_all_finds_a_damaged_record_wherever_it_is(archive: Archive) -> None:
    row = next(r for r in rows(archive) if r.type == "response")
    flip(file_of(archive, row.segment), row.offset + row.length // 2)
    report = audit(archive, AuditOptions(sample=1000))
    assert ("damaged", f"{row.segment} at {row.offset}") in places(report)


@given(st.integers(1, 10**6), st.floats(0.0001, 0.5))
def test_a_clean_sample_rules_out_what_it_would_have_met(read: int, share: float) -> None:
    sampled = Sampled(read=read, of=10**9)
    missed = (1 - share) ** read  # the chance to see none of so much damage
    assert (missed < 1 - CONFIDENCE) == (share > sampled.below) or abs(share - sampled.below) < 1e-9


@pytest.mark.parametrize("held", [10_000, 1], ids=["digests held", "each asked for"])
@pytest.mark.parametrize("state", ["done", "pending"])
def test_a_record_that_a_redaction_names_and_that_still_stands_is_told(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, held: int, state: str
) -> None:
    """Whether the names fit in memory or not; in a sample too."""
    monkeypatch.setattr("storage.fixity.segments.ERASED_HELD", held)
    row = next(r for r in rows(archive) if r.type == "response")
    names = [row.digest, *(f"sha256:{n:064x}" for n in range(2))]
    with archive.catalog.begin() as tx:
        tx.redactions.add(
            RedactionRow(log_index=0, state=state, code="x", authority="y", scope=None),
            [
                ErasedRow(digest=name, log_index=0, place=n, record_id=None, role=None, entry=None)
                for n, name in enumerate(names)
            ],
        )
    for options in (AuditOptions(), AuditOptions(sample=len(rows(archive)))):
        report = audit(archive, options)
        place = f"{row.segment} at {row.offset}"
        told = [f.where for f in report.damaged if f.message.startswith("an unredacted copy: log entry 0")]
        waits = [note for note in report.notes if note.startswith(f"{place} waits to be erased")]
        assert (told, len(waits) > 0) == (([place], False) if state == "done" else ([], True))


def test_an_audit_changes_nothing(archive: Archive) -> None:
    before = {p: p.read_bytes() for p in archive.directory.rglob("*.gz*")}
    audit(archive)
    assert {p: p.read_bytes() for p in archive.directory.rglob("*.gz*")} == before


# -- segments ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_a_flip_in_any_record_names_the_record_and_its_object(archive: Archive, stride: int) -> None:
    for row in rows(archive)[::stride]:
        path = file_of(archive, row.segment)
        good = path.read_bytes()
        flip(path, row.offset + row.length // 2)
        wanted = {("damaged", f"{row.segment} at {row.offset}")}
        if path.suffix != ".open":
            wanted.add(("damaged", object_key(row.segment)))
        assert places(audit(archive)) == wanted
        path.write_bytes(good)


def test_every_damaged_record_of_a_segment_is_named_and_the_others_still_count(archive: Archive) -> None:
    all_rows = rows(archive)
    name = max({row.segment for row in all_rows}, key=lambda n: sum(row.segment == n for row in all_rows))
    mine = [row for row in all_rows if row.segment == name]
    for row in (mine[1], mine[4], mine[-1]):
        flip(file_of(archive, name), row.offset + row.length // 2)
    report = audit(archive)
    assert {f.where for f in report.damaged} - {object_key(name)} == {
        f"{name} at {row.offset}" for row in (mine[1], mine[4], mine[-1])
    }
    assert report.records == len(all_rows) - 3


def test_a_flip_that_leaves_every_record_whole_names_the_object_alone(archive: Archive) -> None:
    row = next(r for r in rows(archive) if file_of(archive, r.segment).suffix == ".gz")
    flip(file_of(archive, row.segment), row.offset + 9)  # the operating system in the gzip header (RFC 1952 2.3)
    report = audit(archive)
    assert places(report) == {("damaged", object_key(row.segment))}
    assert "though each record in it is whole" in report.damaged[0].message


def rewrite(archive: Archive, change: Callable[[bytes], bytes]) -> RecordRow:
    """Put another record of the same length, well compressed, in the place of a response."""
    row = next(r for r in rows(archive) if r.type == "response" and file_of(archive, r.segment).suffix == ".open")
    path = file_of(archive, row.segment)
    data = path.read_bytes()
    member = gzip.compress(change(gzip.decompress(data[row.offset : row.offset + row.length])), 9, mtime=0)
    pad = row.length - len(member)
    assert pad > 0
    # Bring it to the old length with a file name in its header (RFC 1952 2.3.1).
    member = bytes([*member[:3], 8, *member[4:10]]) + b"x" * (pad - 1) + b"\0" + member[10:]
    path.write_bytes(data[: row.offset] + member + data[row.offset + row.length :])
    return row


def test_a_record_that_was_replaced_by_another_is_not_the_one_that_was_acknowledged(archive: Archive) -> None:
    row = rewrite(archive, lambda record: record.replace(b"Pressmark-Nonce: ", b"Pressmark-Nonce:  ", 1))
    report = audit(archive)
    assert ("damaged", f"{row.segment} at {row.offset}") in places(report)
    assert "not the record that was acknowledged" in report.damaged[0].message


def test_a_text_changed_behind_its_digests_is_named_by_the_digests(archive: Archive) -> None:
    row = rewrite(archive, lambda record: record.replace(b"cheered on the quay", b"jeered at the quay.", 1))
    found = [f for f in audit(archive).damaged if f.where == f"{row.segment} at {row.offset}"]
    assert "block digest" in found[0].message


def test_a_segment_that_is_gone_is_missing_with_all_its_records(archive: Archive) -> None:
    row = next(r for r in rows(archive) if file_of(archive, r.segment).suffix == ".gz")
    file_of(archive, row.segment).unlink()
    report = audit(archive)
    assert {f.where for f in report.missing} == {object_key(row.segment)}
    assert "acknowledged records with it" in report.missing[0].message


@pytest.mark.parametrize("left", [0.3, 0.9])
def test_a_segment_cut_short_is_damaged_where_it_ends(archive: Archive, left: float) -> None:
    row = next(r for r in rows(archive) if file_of(archive, r.segment).suffix == ".gz")
    path = file_of(archive, row.segment)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * left)])
    report = audit(archive)
    assert not report.ok
    assert all(f.where.startswith(row.segment) or f.where == object_key(row.segment) for f in report.damaged)
    lost = [r for r in rows(archive) if r.segment == row.segment and r.offset + r.length > len(data) * left]
    assert {f.where for f in report.damaged} >= {f"{r.segment} at {r.offset}" for r in lost}


def test_a_torn_tail_of_an_open_segment_was_never_acknowledged(archive: Archive) -> None:
    name = next(r.segment for r in rows(archive) if file_of(archive, r.segment).suffix == ".open")
    with file_of(archive, name).open("ab") as stream:
        stream.write(b"\x1f\x8b\x08 half a record")
    assert places(audit(archive)) == set()


def test_a_segment_of_another_worker_is_told_and_not_judged(archive: Archive) -> None:
    with archive.catalog.begin() as tx:
        tx.segments.add("warc-20261101120000-elsewhere-00000000", "warc", "elsewhere", 0)
    report = audit(archive)
    assert report.ok
    assert sum("is open on worker elsewhere" in note for note in report.notes) == 1


# -- the catalog against the records -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("digest", "sha256:" + "0" * 64), ("payload_digest", "sha256:" + "0" * 64), ("target_uri", "https://x.example/"),
        ("date", 5), ("record_id", "urn:uuid:00000000-0000-4000-8000-000000000000"), ("type", "resource"),
    ],
)  # fmt: skip
def test_a_changed_row_of_a_record_is_named(archive: Archive, column: str, value: object) -> None:
    row = next(r for r in rows(archive) if r.type == "response")
    sql(archive, f"UPDATE records SET {column} = ? WHERE record_id = ?", value, row.record_id)
    wanted = str(value) if column == "record_id" else row.record_id
    found = {f.where: f.message for f in audit(archive).damaged}
    assert column in found[f"record {wanted}"]


@pytest.mark.parametrize("which", ["first", "last of a file"])
@pytest.mark.parametrize("column", ["offset", "length"])
def test_a_row_that_points_beside_its_record_is_found(archive: Archive, column: str, which: str) -> None:
    row = next(r for r in rows(archive) if r.type == "response")
    if which == "last of a file":
        row = [r for r in rows(archive) if r.segment == row.segment][-1]
    sql(archive, f'UPDATE records SET "{column}" = "{column}" + 1 WHERE record_id = ?', row.record_id)
    assert not audit(archive).ok


def test_a_record_whose_row_is_gone_is_missing_from_the_catalog(archive: Archive) -> None:
    for kind in ("request", "response", "metadata", "conversion"):
        row = next(r for r in rows(archive) if r.type == kind)
        sql(archive, "DELETE FROM records WHERE record_id = ?", row.record_id)
        report = audit(archive)
        assert ("missing", f"{row.segment} at {row.offset}") in places(report)
        with archive.catalog.begin() as tx:
            tx.records.add([row])
    assert audit(archive).ok


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("kind", "revisit"), ("url", "https://x.example/"), ("date", 5), ("outlet_id", "x"), ("role", "other"),
        ("ending", "time"), ("status", 201), ("media_type", "text/plain"), ("location", "https://x.example/"),
        ("etag", "x"), ("last_modified", "x"), ("payload_digest", "x"), ("payload_length", 5), ("refers_to", "x"),
        ("via", "x"), ("wall", "bot"), ("hints", '{"title":"x"}'), ("item_url", "x"), ("log_index", 0),
    ],
)  # fmt: skip
def test_every_changed_field_of_a_capture_is_named(archive: Archive, column: str, value: object) -> None:
    capture = next(c for c in captures(archive) if c.kind == "response")
    sql(archive, f"UPDATE captures SET {column} = ? WHERE id = ?", value, capture.id)
    (found,) = audit(archive).damaged
    assert found.where == f"capture {capture.id}"
    assert (column if column != "log_index" else "log entry 0") in found.message


def test_a_capture_whose_row_is_gone_is_missing(archive: Archive) -> None:
    for capture in (captures(archive)[0], next(c for c in captures(archive) if c.kind == "attempt")):
        sql(archive, "DELETE FROM captures WHERE id = ?", capture.id)
        assert ("missing", f"capture {capture.id}") in places(audit(archive))


def test_a_row_of_a_capture_that_never_was_is_found(archive: Archive) -> None:
    with archive.catalog.begin() as tx:
        row = tx.captures.get(captures(archive)[0].id)
    assert row is not None
    sql(archive, "INSERT INTO captures SELECT seq + 1000, 'urn:x', kind, url, date, outlet_id, role, ending, status, "
        "media_type, location, etag, last_modified, payload_digest, payload_length, refers_to, via, wall, log_index, "
        "hints, item_url, extraction, extraction_code, extractor FROM captures WHERE seq = 1")  # fmt: skip
    assert places(audit(archive)) == {("missing", "capture urn:x"), ("damaged", "catalog, log_state")}


@pytest.mark.parametrize(
    "column",
    ["version", "title", "url", "canonical_url", "published", "text_sha256", "word_count", "credits", "block",
     "first_seen", "outlet_id", "content_key", "extractor", "capture_id", "log_index"],
)  # fmt: skip
def test_every_changed_field_of_a_version_is_named(archive: Archive, column: str) -> None:
    with archive.catalog.read() as tx:
        row = next(tx.articles.search(latest_only=False))
    numeric = column in ("version", "word_count", "first_seen", "log_index")
    sql(archive, f"UPDATE versions SET {column} = ? WHERE row_id = ?", 900 if numeric else "x", row.row_id)
    found = audit(archive)
    if column == "version":  # the one field that follows from the order of versions, not from a record
        return
    assert f"article {row.article_id}" in {f.where for f in (*found.damaged, *found.missing)}


def test_a_version_whose_row_or_record_is_gone_is_missing(archive: Archive) -> None:
    with archive.catalog.read() as tx:
        row = next(tx.articles.search(latest_only=False))
    sql(archive, "DELETE FROM sightings WHERE row_id = ?", row.row_id)
    sql(archive, "DELETE FROM versions WHERE row_id = ?", row.row_id)
    assert ("missing", f"article {row.article_id}") in places(audit(archive))


@pytest.mark.parametrize("column", ["name", "url", "domain", "state", "every"])
def test_a_changed_outlet_is_named(archive: Archive, column: str) -> None:
    sql(archive, f"UPDATE outlets SET {column} = ?", 7 if column == "every" else "x")
    assert places(audit(archive)) == {("damaged", "outlet lantern.example")}


@pytest.mark.parametrize("column", ["sha256", "length"])
def test_a_changed_row_of_a_segment_is_named(archive: Archive, column: str) -> None:
    name = next(r.segment for r in rows(archive) if file_of(archive, r.segment).suffix == ".gz")
    sql(archive, f"UPDATE segments SET {column} = ? WHERE name = ?", 5 if column == "length" else "sha256:x", name)
    assert places(audit(archive)) == {("damaged", f"segment {name}")}


def test_a_segment_that_the_catalog_forgot_is_an_orphan_and_its_entry_tells(archive: Archive) -> None:
    name = next(r.segment for r in rows(archive) if file_of(archive, r.segment).suffix == ".gz")
    sql(archive, "DELETE FROM segments WHERE name = ?", name)
    report = audit(archive)
    assert ("orphan", object_key(name)) in places(report)
    assert any(name in f.message for f in report.missing)


# -- snapshots -------------------------------------------------------------------------------------------------


@pytest.fixture
def with_snapshot(archive: Archive) -> Archive:
    build(archive, "lantern", Selection())
    archive.integrate()
    return archive


SNAPSHOT = "snapshots/lantern/1.0.0/"


def test_a_whole_snapshot_passes(with_snapshot: Archive) -> None:
    assert places(audit(with_snapshot)) == set()


def test_a_snapshot_that_waits_for_its_checkpoint_is_no_fault(archive: Archive) -> None:
    build(archive, "lantern", Selection())
    report = audit(archive)
    assert places(report) == set()
    assert any("waits for the next checkpoint" in note for note in report.notes)


def test_a_damaged_or_missing_file_of_a_snapshot_is_named(with_snapshot: Archive) -> None:
    folder = with_snapshot.directory / "objects" / SNAPSHOT
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    assert len(files) > 4
    for path in files:
        key = str(path.relative_to(with_snapshot.directory / "objects"))
        good = path.read_bytes()
        flip(path, len(good) // 2)
        report = audit(with_snapshot)
        if path.name == "files.json":  # nothing tells whether a digest in the list is wrong or the file it is of
            assert not report.ok
        else:
            assert ("damaged", key) in places(report)
        path.unlink()
        assert ("missing", key) in places(audit(with_snapshot))
        path.write_bytes(good)
    assert audit(with_snapshot).ok


def test_a_file_that_a_snapshot_does_not_list_is_an_orphan(with_snapshot: Archive) -> None:
    with_snapshot.store.put(SNAPSHOT + "extra.txt", b"x")
    assert ("orphan", SNAPSHOT + "extra.txt") in places(audit(with_snapshot))


@pytest.mark.parametrize("column", ["root", "manifest_sha256", "rows", "log_index"])
def test_a_changed_row_of_a_snapshot_is_found(with_snapshot: Archive, column: str) -> None:
    sql(with_snapshot, f"UPDATE snapshots SET {column} = ?", 1 if column in ("rows", "log_index") else "sha256:x")
    assert not audit(with_snapshot).ok


def test_a_snapshot_that_the_catalog_forgot_is_told_by_its_entry(with_snapshot: Archive) -> None:
    sql(with_snapshot, "DELETE FROM snapshots")
    report = audit(with_snapshot)
    assert [f.message for f in report.missing] == ["the catalog lacks snapshot lantern/1.0.0, which it seals"]
    assert {f.where for f in report.orphans} >= {SNAPSHOT + "manifest.json"}


# -- log, objects, the catalog as a whole --------------------------------------------------------------------


def test_a_changed_log_entry_is_told_once(archive: Archive) -> None:
    with archive.catalog.read() as tx:
        bodies = tx.log.bodies(0, 3)
    sql(archive, 'UPDATE entries SET body = ? WHERE "index" = 2', bodies[1])
    assert places(audit(archive)) == {("damaged", "entry 2")}


def test_a_changed_checkpoint_tile_and_bundle_are_named(archive: Archive) -> None:
    folder = archive.directory / "objects" / "log"
    names = ["checkpoint", "tile/0/000.p/22", "tile/entries/000.p/22"]
    for name in names:
        good = (folder / name).read_bytes()
        flip(folder / name, len(good) // 2)
        assert places(audit(archive)) == {("damaged", f"log/{name}")}
        (folder / name).write_bytes(good)


def test_a_damaged_or_missing_trace_segment_is_named_and_so_is_a_version_that_is_not_indexed(archive: Archive) -> None:
    count = archive.traces.fold(1)
    assert count > 1
    (key,) = archive.store.list(PREFIX)
    assert places(audit(archive)) == set()
    path = archive.directory / "objects" / key
    flip(path, path.stat().st_size // 2)
    assert places(audit(archive)) == {("damaged", key)}
    path.unlink()
    assert places(audit(archive)) == {("missing", key)}
    sql(archive, "DELETE FROM fingerprint_segments")
    (finding,) = audit(archive).missing
    assert finding.where == "trace index"
    assert f"0 of {count} article versions; `pressmark rebuild`" in finding.message


def test_strangers_objects_and_files_are_orphans_and_no_fault(archive: Archive) -> None:
    archive.store.put("notes.txt", b"x")
    archive.store.put("warc/2026/11/01/readme", b"x")
    (archive.segments.folder / "warc-20261101120000-w-00000000.warc.gz.open").write_bytes(b"")
    report = audit(archive)
    assert report.ok
    assert {f.where for f in report.orphans} == {
        "notes.txt", "warc/2026/11/01/readme", "open/warc-20261101120000-w-00000000.warc.gz.open"}  # fmt: skip


def test_a_row_that_cannot_be_read_is_a_finding_and_the_rest_is_audited(archive: Archive) -> None:
    capture = captures(archive)[0]
    sql(archive, "UPDATE captures SET role = 'nonsense' WHERE id = ?", capture.id)
    report = audit(archive)
    assert not report.ok
    assert report.entries == 22
    assert any("cannot be read" in f.message for f in report.damaged)


@pytest.mark.parametrize("count", [20, pytest.param(500, marks=pytest.mark.slow)])
def test_random_flips_in_segments_and_log_are_all_found(archive: Archive, count: int) -> None:
    """Below the API, anywhere in what is evidence, bytes behind the last acknowledged record of open
    segments too.
    """
    chance = random.Random(20261101)
    files = [p for p in archive.directory.rglob("*") if p.is_file() and ("objects" in p.parts or "open" in p.parts)]
    files = [p for p in files if p.stat().st_size]
    for _ in range(count):
        path = chance.choice(files)
        good = path.read_bytes()
        flip(path, chance.randrange(len(good)), 1 << chance.randrange(8))
        report = audit(archive)
        if path.suffix != ".open":  # a header byte of gzip may change in a file that no digest covers yet
            assert not report.ok, path
            key = str(path.relative_to(archive.directory / "objects"))
            assert any(f.where in (key, path.name) or f.where.startswith(path.name.partition(".")[0])
                       for f in (*report.damaged, *report.missing)), (path, report)  # fmt: skip
        path.write_bytes(good)
    assert audit(archive).ok


def test_an_audit_beside_a_writer_finds_nothing(tmp_path: Path) -> None:
    with Archive.create(settings(tmp_path)) as archive:
        fill(archive)
        seen: list[str] = []

        def write(what: str, done: int, total: int) -> None:
            number = 100 + len(seen)
            archive.deposit([(exchange(f"/{number}", page(number)), ARTICLE)])
            archive.seal() if number % 2 else archive.integrate()
            seen.append(what)

        report = audit(archive, progress=write)
        assert len(seen) > 3
        assert places(report) == set()
        assert CAPTURES

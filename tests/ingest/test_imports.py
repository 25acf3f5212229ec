"""Files of others: taken in as they are, once, with their dates as claims and what is damaged named."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.imports import Importer, ImportReport
from ingest.outlets import outlet_for, unwatched
from schemas.captures import Capture, Ending, Role
from schemas.entries import Entry
from schemas.errors import DamageError
from storage.archive import Archive
from storage.fixity import audit
from storage.rebuild import rebuild
from storage.recovery import recover
from storage.statements import read_statement
from tests.support.archives import OUTLET, START, add_outlet, page, read_article, settings
from tests.support.foreign import (
    CLAIMED,
    FILE,
    INFO,
    answer,
    gz,
    one_gz,
    plain,
    revisit,
    wacz,
    zst,
    zst_with_dictionary,
)

KINDS: dict[str, tuple[str, Callable[[list[bytes]], bytes]]] = {
    "plain": ("a.warc", plain),
    "gzip": ("a.warc.gz", gz),
    "gzip, one member": ("b.warc.gz", one_gz),
    "zstd": ("a.warc.zst", zst),
    "zstd with dictionary": ("b.warc.zst", zst_with_dictionary),
    "WACZ": ("a.wacz", lambda records: wacz({"archive/data.warc.gz": gz(records), "pages/pages.jsonl": b"{}\n"})),
}


@pytest.fixture
def archive(tmp_path: Path) -> Any:
    with Archive.create(settings(tmp_path / "archive")) as opened:
        add_outlet(opened)
        yield opened


def take(archive: Archive, path: Path, data: bytes | None = None, **options: bool) -> ImportReport:
    """Import one file that is not refused."""
    if data is not None:
        path.write_bytes(data)
    (report,) = Importer(archive, **options).run([path])
    assert report.refused is None, report.refused
    return report


def captures(archive: Archive) -> list[Capture]:
    with archive.catalog.read() as tx:
        return [capture for capture in tx.captures.after(-1, 1000) if capture.kind == "import"]


def sound(archive: Archive) -> None:
    archive.seal()
    report = audit(archive)
    assert (report.damaged, report.missing, report.orphans) == ((), (), ())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file(kind: str, archive: Archive, tmp_path: Path) -> None:
    name, make = KINDS[kind]
    report = take(archive, tmp_path / name, make(FILE))
    assert (report.records, report.captures, report.new, report.quarantined) == (4, 2, 2, [])
    assert dict(report.others) == {"warcinfo": 1, "request": 1}
    assert dict(report.outlets) == {OUTLET.id: 1, "elsewhere.example": 1}
    first, second = sorted(captures(archive), key=lambda c: c.url, reverse=True)
    assert archive.entity(first)[0] == page(1)
    assert archive.entity(second)[0] == page(2)
    assert (first.role, first.ending, first.status) == (Role.ARTICLE, Ending.COMPLETE, 200)
    assert read_article(archive, first).title == "Ferry 1 runs again"
    sound(archive)


def test_dates_are_claims(archive: Archive, tmp_path: Path) -> None:
    take(archive, tmp_path / "a.warc", plain(FILE))
    for capture in captures(archive):
        assert capture.date >= START
        assert capture.hints == {"claimed_captured": CLAIMED}


def test_dates_that_the_operator_trusts(archive: Archive, tmp_path: Path) -> None:
    take(archive, tmp_path / "a.warc", plain(FILE), trust=True)
    assert {capture.date for capture in captures(archive)} == {datetime.fromisoformat(CLAIMED)}
    sound(archive)


def test_a_second_import_adds_nothing(archive: Archive, tmp_path: Path) -> None:
    take(archive, tmp_path / "a.warc.gz", gz(FILE))
    with archive.catalog.read() as tx:
        before = (tx.captures.count(), tx.records.count(), tx.log.state().next_index)
    objects = list(archive.store.list())
    for name in ("a.warc.gz", "renamed.warc.gz"):
        again = take(archive, tmp_path / name, gz(FILE))
        assert (again.known, again.new) == (True, 0)
    with archive.catalog.read() as tx:
        assert (tx.captures.count(), tx.records.count(), tx.log.state().next_index) == before
    assert list(archive.store.list()) == objects


def test_the_log_commits_to_the_file(archive: Archive, tmp_path: Path) -> None:
    data = gz(FILE)
    report = take(archive, tmp_path / "a.warc.gz", data)
    with archive.catalog.read() as tx:
        entries = [Entry.decode(row.body) for row in tx.log.entries() if row.type == "import"]
    assert len(entries) == 3  # the file and each capture
    assert all(e.fields["file"] == {"length": len(data), "sha256": report.sha256} for e in entries)
    digest = hashlib.sha256(data).hexdigest()
    assert report.sha256 == f"sha256:{digest}"
    assert archive.store.get(f"import/{digest[:2]}/{digest}.warc.gz") == data


def test_an_import_that_stopped_goes_on(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.imports.BATCH", 2)
    path = tmp_path / "a.warc"
    path.write_bytes(plain([INFO, *(answer(n) for n in range(1, 8))]))
    keep, calls = archive.deposit_imports, []

    def stopping(drafts: Any) -> int:
        calls.append(len(drafts))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return keep(drafts)

    monkeypatch.setattr(archive, "deposit_imports", stopping)
    with pytest.raises(KeyboardInterrupt):
        Importer(archive).run([path])
    monkeypatch.setattr(archive, "deposit_imports", keep)
    assert len(captures(archive)) == 4
    assert take(archive, path).new == 3
    sound(archive)


def test_records_without_rows_get_them_at_the_next_start(archive: Archive, tmp_path: Path) -> None:
    """A stop between the sync of the metadata records and the commit."""

    def stop(*ignored: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "a.warc"
    path.write_bytes(plain(FILE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Archive, "acknowledge_import", stop)
        with pytest.raises(KeyboardInterrupt):
            Importer(archive).run([path])
    archive.close()
    with Archive.open(archive.settings) as again:
        assert any("import" in sentence for sentence in recover(again))
        assert take(again, path).new == 2
        sound(again)


# -- revisits


def test_revisits_find_their_originals_in_the_set(archive: Archive, tmp_path: Path) -> None:
    one, two = tmp_path / "one.warc", tmp_path / "two.warc.gz"
    one.write_bytes(plain([revisit(11, 1, WARC_Refers_To="<urn:uuid:00000000-0000-4000-8000-000000000001>")]))
    two.write_bytes(gz([answer(1), answer(3), revisit(13, 3), revisit(14, 4)]))
    Importer(archive).run([one, two])
    found = captures(archive)
    visits = [c for c in found if c.refers_to is not None]
    assert all(archive.response(c).get("x-visit") for c in visits)
    assert len(visits) == 2
    for capture, number in zip(sorted(visits, key=lambda c: c.url), (1, 3), strict=True):
        assert archive.entity(capture)[0] == page(number)
        assert capture.usable
    (lost,) = [c for c in found if c.url.endswith("/4")]
    assert (lost.refers_to, lost.role) == (None, Role.OTHER)  # and so no article is sought in it
    sound(archive)


# -- what is damaged


def test_damaged_records_are_quarantined(archive: Archive, tmp_path: Path) -> None:
    damaged = answer(2).replace(b"Ferry 2", b"Fairy 2", 1)
    records = [INFO, answer(1), damaged, answer(3, url="http://[broken/")]
    records += [answer(4, WARC_Date="yesterday"), answer(5)[:-300]]
    report = take(archive, tmp_path / "a.warc", plain(records))
    assert [q.rule for q in report.quarantined] == ["block-digest", "uri", "truncated"]
    assert [q.offset for q in report.quarantined] == [
        len(plain(records[:2])),
        len(plain(records[:3])),
        len(plain(records[:5])),
    ]
    assert sorted(c.url[-1] for c in captures(archive)) == ["1", "4"]
    with archive.catalog.read() as tx:
        row = next(r for r in tx.log.entries() if r.type == "import")
    assert row.subject is not None
    block = read_statement(archive.read(row.subject).block)
    assert (block["quarantined"], block["tool"], block["records"]) == (3, "Quill/3.1", 6)
    assert [q["rule"] for q in block["quarantine"]] == ["block-digest", "uri", "truncated"]
    sound(archive)


def test_a_damaged_member_costs_one_record(archive: Archive, tmp_path: Path) -> None:
    members = [gzip.compress(answer(n), mtime=0) for n in (1, 2, 3)]
    broken = bytearray(members[1])
    broken[len(broken) // 2] ^= 0xFF
    report = take(archive, tmp_path / "a.warc.gz", members[0] + bytes(broken) + members[2])
    assert {q.rule for q in report.quarantined} <= {"gzip-member", "truncated", "block-digest"}
    assert sorted(c.url[-1] for c in captures(archive)) == ["1", "3"]


@pytest.mark.parametrize("data", [b"", b"hello", gzip.compress(b"hello", mtime=0), b"PK\x05\x06", b"\x28\xb5\x2f\xfd"])
def test_what_is_no_such_file_is_refused(data: bytes, archive: Archive, tmp_path: Path) -> None:
    path, good = tmp_path / "a", tmp_path / "b.warc"
    path.write_bytes(data)
    good.write_bytes(plain(FILE))
    absent = tmp_path / "absent"
    refused, missing, taken = Importer(archive).run([path, absent, good])
    assert refused.refused
    assert missing.refused == f"there is no file {absent}"
    assert taken.new == 2
    sound(archive)


def test_hostile_values_stay_values(archive: Archive, tmp_path: Path) -> None:
    odd = answer(1, url='https://www.lantern.example/a b\u20ac?q="<x>"', WARC_Record_ID="<seven\x01>")
    take(archive, tmp_path / "a.warc", plain([odd]))
    (capture,) = captures(archive)
    assert capture.url == "https://www.lantern.example/a%20b%E2%82%AC?q=%22%3Cx%3E%22"
    assert archive.entity(capture)[0] == page(1)
    sound(archive)


def test_status_lines_of_http_2(archive: Archive, tmp_path: Path) -> None:
    fields = {"WARC_Block_Digest": "crc9:unchecked"}
    take(archive, tmp_path / "a.warc", plain([answer(1, **fields).replace(b"HTTP/1.1 200 OK", b"HTTP/2 200 fine")]))
    (capture,) = captures(archive)
    assert (capture.status, capture.usable) == (200, True)
    assert archive.entity(capture)[0] == page(1)


# -- audit and rebuild


def test_a_flipped_byte_in_a_copy_is_found(archive: Archive, tmp_path: Path) -> None:
    take(archive, tmp_path / "a.warc", plain(FILE))
    archive.seal()
    (key,) = archive.store.list("import/")
    path = archive.store.local_path(key)
    assert path is not None
    data = bytearray(path.read_bytes())
    data[data.index(b"Ferry 1")] ^= 1
    path.chmod(0o640)
    path.write_bytes(data)
    (found,) = audit(archive).damaged
    assert (found.where, found.message) == (key, "the imported file is not what was imported")
    capture = next(c for c in captures(archive) if c.outlet_id == OUTLET.id)
    with pytest.raises(DamageError):
        archive.response(capture)
    path.unlink()
    assert [f.where for f in audit(archive).missing] == [key]
    with pytest.raises(DamageError):
        archive.response(capture)


def test_files_in_place_are_audited_where_they_are(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    take(archive, path, plain(FILE), in_place=True)
    assert list(archive.store.list("import/")) == []
    capture = next(c for c in captures(archive) if c.outlet_id == OUTLET.id)
    assert archive.entity(capture)[0] == page(1)
    sound(archive)
    path.write_bytes(plain(FILE).replace(b"Ferry 1", b"Fairy 1"))
    assert [(f.where, f.message) for f in audit(archive).damaged] == [
        (str(path), "the external file is not what was imported")
    ]
    path.unlink()
    assert [f.where for f in audit(archive).missing] == [str(path)]


def test_an_object_that_nobody_imported_is_an_orphan(archive: Archive, tmp_path: Path) -> None:
    archive.store.put(f"import/00/{'0' * 64}.warc", b"WARC/1.0\r\n")
    assert [f.where for f in audit(archive).orphans] == [f"import/00/{'0' * 64}.warc"]


def test_a_rebuild_restores_imports(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    take(archive, path, gz(FILE))
    take(archive, tmp_path / "b.warc", plain([answer(5)]), in_place=True)
    archive.seal()
    before = captures(archive)
    with archive.catalog.read() as tx:
        notes = tx.meta.starting("import ")
    archive.close()
    report = rebuild(archive.settings)
    assert (report.captures, report.lost, report.appended) == (3, 0, 0)
    with Archive.open(archive.settings) as again:
        assert captures(again) == before
        with again.catalog.read() as tx:
            assert tx.meta.starting("import ") == notes
        assert take(again, path).new == 0
        assert again.entity(before[0])[0] == page(1)
        sound(again)


# -- outlets


def test_pages_go_to_the_watched_outlet_of_their_site() -> None:
    assert outlet_for("https://m.lantern.example/a", [OUTLET]) == OUTLET.id
    assert outlet_for("https://www.elsewhere.example/a", [OUTLET]) == "elsewhere.example"
    assert unwatched("elsewhere.example").sources == ()


# -- files of others


@pytest.mark.shared
def test_files_of_others(shared: Path, archive: Archive) -> None:
    """Each is taken in or refused in words, what is taken can be read, and the archive stays sound."""
    paths = sorted(p for name in ("warc", "wacz") for p in (shared / "vectors" / name).rglob("*") if p.is_file())
    reports = Importer(archive).run(paths)
    refused = {Path(r.path).name for r in reports if r.refused}
    assert refused == {"three-files.gz", "invalid_example_1.wacz"}
    for capture in captures(archive):
        assert archive.response(capture).body is not None
    assert all(report.new == 0 for report in Importer(archive).run(paths))
    sound(archive)

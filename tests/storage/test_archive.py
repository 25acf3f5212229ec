"""The front door, on SQLite and a folder as on PostgreSQL and S3: what is kept can be read, found and proved."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest

from schemas.bundles import verify_bundle
from schemas.captures import Context, Ending, Exchange, Role
from schemas.entries import Entry
from schemas.errors import ArchiveMissing, InvalidValue, NotFound, SegmentElsewhere, UsageError
from schemas.records import record_digest
from storage.archive import Archive
from storage.evidence import prove
from storage.segments import name_of_key
from storage.warc import read_segment
from tests.support.archives import ARTICLE, START, add_outlet, exchange, fill, page, read_article, settings
from tests.support.services import Bucket


@pytest.fixture(params=["folder", pytest.param("services", marks=[pytest.mark.postgres, pytest.mark.s3])])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    given = settings(tmp_path)
    if request.param == "services":
        catalog = request.getfixturevalue("postgres_url")
        given = settings(tmp_path, catalog=catalog, objects=request.getfixturevalue("s3_bucket").url)
    with Archive.create(given) as made:
        yield made


def test_a_deposit_reads_back_byte_for_byte(archive: Archive) -> None:
    sent = exchange("/a", page(1))
    (capture,) = archive.deposit([(sent, ARTICLE)])
    assert (capture.kind, capture.status, capture.log_index) == ("response", 200, 0)
    stored = archive.read(capture.id)
    assert stored.block == sent.response
    assert archive.entity(capture)[0] == page(1)
    with archive.catalog.read() as tx:
        rows = tx.captures.records_of(capture.id)
        entry = Entry.decode(tx.log.bodies(0, 1)[0])
    assert [row.type for row in rows] == ["request", "response", "metadata"]
    assert entry.records == {row.type: row.digest for row in rows}
    assert str(record_digest(archive.read(rows[0].record_id).raw)) == rows[0].digest
    assert archive.read(rows[0].record_id).block == sent.request


def test_the_same_payload_again_is_a_revisit_of_the_first(archive: Archive) -> None:
    (first,) = archive.deposit([(exchange("/a", page(1)), ARTICLE)])
    (second,) = archive.deposit([(exchange("/a", page(1), head="Age: 7\r\n"), ARTICLE)])
    (third,) = archive.deposit([(exchange("/a", page(1)), ARTICLE)])
    assert [c.kind for c in (first, second, third)] == ["response", "revisit", "revisit"]
    assert second.refers_to == third.refers_to == first.id
    assert archive.entity(second)[0] == page(1)
    assert ("Age", "7") in archive.entity(second)[1]


def test_a_304_is_a_revisit_of_what_its_validators_came_from(archive: Archive) -> None:
    (first,) = archive.deposit([(exchange("/a", page(1), head='ETag: "x"\r\n'), ARTICLE)])
    assert first.etag == '"x"'
    answer = Exchange(
        url=first.url, started=START, ending=Ending.COMPLETE, request=b"GET /a HTTP/1.1\r\n\r\n",
        response=b"HTTP/1.1 304 Not Modified\r\n\r\n")  # fmt: skip
    (second,) = archive.deposit([(answer, replace_refers(ARTICLE, first.id))])
    assert (second.kind, second.refers_to, second.payload_digest) == ("revisit", first.id, None)
    assert archive.entity(second)[0] == page(1)


def replace_refers(context: Context, record_id: str) -> Context:
    return replace(context, refers_to=record_id)


@pytest.mark.parametrize("ending", [Ending.LENGTH, Ending.TIME, Ending.DISCONNECT])
def test_what_was_cut_is_marked_and_never_an_original(archive: Archive, ending: Ending) -> None:
    cut = replace(exchange("/a", page(1)), ending=ending)
    (first,) = archive.deposit([(cut, ARTICLE)])
    assert archive.read(first.id).header("WARC-Truncated") == ending.value
    (second,) = archive.deposit([(exchange("/a", page(1)), ARTICLE)])
    assert second.kind == "response"


def test_an_attempt_is_a_record_too(archive: Archive) -> None:
    failed = Exchange(url="https://lantern.example/a", started=START, ending=Ending.DNS, detail="no such host")
    (attempt,) = archive.deposit([(failed, ARTICLE)])
    assert (attempt.kind, attempt.status) == ("attempt", None)
    assert b"no such host" in archive.read(attempt.id).block
    with pytest.raises(NotFound, match="attempt"):
        archive.entity(attempt)
    with archive.catalog.read() as tx:
        assert Entry.decode(tx.log.bodies(0, 1)[0]).fields["code"] == "dns"


def test_a_body_coded_as_nobody_can_read_is_an_error_that_says_so(archive: Archive) -> None:
    (capture,) = archive.deposit([(exchange("/a", b"\x00" * 9, head="Content-Encoding: zork\r\n"), ARTICLE)])
    with pytest.raises(InvalidValue, match="zork"):
        archive.entity(capture)


def test_a_certificate_chain_is_stored_once(archive: Archive) -> None:
    archive.deposit([(exchange("/a", page(1)), ARTICLE)])
    archive.deposit([(exchange("/b", page(2)), ARTICLE)])
    archive.seal()
    records = []
    for key in archive.store.list("warc/"):
        with archive.store.open(key) as stream:
            records += read_segment(stream, name=key)
    assert sum(r.header("Content-Type") == "application/pem-certificate-chain" for r in records) == 1


def test_a_version_is_new_once_and_seen_again_after(archive: Archive) -> None:
    add_outlet(archive)
    first, second, third = archive.deposit([
        (exchange("/a", page(1), at=START), ARTICLE),
        (exchange("/a", page(1) + b"<!-- an ad -->", at=START + timedelta(hours=1)), ARTICLE),
        (exchange("/a", page(1, extra=" loudly"), at=START + timedelta(hours=2)), ARTICLE),
    ])  # fmt: skip
    results = [archive.deposit_article(read_article(archive, c), c) for c in (first, second, third)]
    assert [(row.version, new) for row, new in results] == [(1, True), (1, False), (2, True)]
    row = results[0][0]
    with archive.catalog.read() as tx:
        known = tx.articles.get(row.article_id, 1)
        assert known is not None
        assert known.row_id is not None
        assert tx.articles.sightings(known.row_id) == [first.id, second.id]
        assert known.last_seen - known.first_seen == 3_600_000_000
        assert tx.captures.pending(10) == []


def test_sealing_moves_segments_to_the_store_and_logs_them(archive: Archive) -> None:
    captures = fill(archive)
    checkpoint = archive.seal()
    assert checkpoint is not None
    keys = [key for key in archive.store.list() if name_of_key(key)]
    assert [key.partition("/")[0] for key in keys] == ["text", "warc"]
    assert list((archive.directory / "open").iterdir()) == []
    with archive.catalog.read() as tx:
        segments = [e for e in tx.log.entries() if e.type == "segment"]
        assert tx.log.state().next_index == checkpoint.size
    assert len(segments) == 2
    assert archive.entity(captures[0])[0] == page(0)


@pytest.mark.parametrize("what", ["article", "capture", "revisit"])
def test_a_bundle_convinces_a_stranger(archive: Archive, tmp_path: Path, what: str) -> None:
    captures = fill(archive)
    (again,) = archive.deposit([(exchange("/0", page(0)), ARTICLE)])
    archive.seal()
    with archive.catalog.read() as tx:
        article = next(iter(tx.articles.search(limit=1)))
    wanted = {"article": article.article_id, "capture": captures[1].id, "revisit": again.id}[what]
    bundle = prove(archive, wanted)
    report = verify_bundle(bundle, key=archive.vkey)
    assert report.ok, report.findings
    folder = tmp_path / "bundle"
    with zipfile.ZipFile(BytesIO(bundle)) as box:
        box.extractall(folder)
    stranger = subprocess.run(
        [sys.executable, "-I", "verify.py", "--key", str(archive.vkey)], cwd=folder, env={}, capture_output=True,
        text=True, check=False)  # fmt: skip
    assert stranger.returncode == 0, stranger.stderr
    assert "VERIFIED" in stranger.stdout


@pytest.mark.postgres
@pytest.mark.s3
def test_what_another_machine_is_still_writing_can_be_read_once_it_is_sealed(
    tmp_path: Path, postgres_url: str, s3_bucket: Bucket
) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    first, second = (settings(f, catalog=postgres_url, objects=s3_bucket.url) for f in folders)
    with Archive.create(first) as one:
        shutil.copytree(folders[0] / "keys", folders[1] / "keys")
        with Archive.open(second) as two:
            (capture,) = one.deposit([(exchange("/a", page(1)), ARTICLE)])
            with pytest.raises(SegmentElsewhere, match="still writing"):
                two.entity(capture)
            one.seal()
            assert two.entity(capture)[0] == page(1)


def test_there_is_no_proof_of_what_is_not_there(archive: Archive) -> None:
    with pytest.raises(NotFound, match="nothing here has the id"):
        prove(archive, "a00")


def test_opening_what_is_no_archive_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ArchiveMissing, match="pressmark init"):
        Archive.open(settings(tmp_path))


def test_an_archive_is_made_once(archive: Archive) -> None:
    with pytest.raises(UsageError, match="already"):
        Archive.create(archive.settings)


def test_roles_survive(archive: Archive) -> None:
    context = Context(
        outlet_id="x", role=Role.FEED, via="urn:uuid:1", hints={"title": "Ü"}, wall="bot", item_url="https://a/"
    )
    (capture,) = archive.deposit([(exchange("/f", b"<rss/>"), context)])
    with archive.catalog.read() as tx:
        assert tx.captures.get(capture.id) == capture
    assert (capture.role, capture.via, capture.hints, capture.wall) == (Role.FEED, "urn:uuid:1", {"title": "Ü"}, "bot")

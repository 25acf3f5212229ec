"""Redaction on both storages, searched from below; what stays, what is refused, and what a stop leaves to do."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType
from hypothesis import given
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator as WarcioIterator

from schemas.bundles import verify_bundle
from schemas.captures import Context, Role
from schemas.errors import InvalidValue, NotFound, UsageError, Withheld
from schemas.instants import to_micros
from schemas.records import parse_record
from storage.archive import Archive, StorageSettings
from storage.blobs import FolderStore
from storage.catalog.values import VersionRow
from storage.datasets import Selection, build, verify
from storage.evidence import prove
from storage.fingerprints import PREFIX, letters
from storage.fixity import audit
from storage.rebuild import rebuild
from storage.recovery import recover
from storage.redaction import Outcome, Plan, Request, plan, redact, restrict, resume
from storage.segments import object_key
from storage.warc import MIN_MEMBER, Tombstone, plain_tombstone, read_segment, tombstone_member, tombstone_of
from storage.withholding import refuse_redacted, refuse_restricted
from tests.support.archives import ARTICLE, OUTLET, START, exchange, fill, page, read_article, settings, ticking
from tests.support.needles import Needles
from tests.support.services import Bucket

PHRASE = "Passengers of boat 1 cheered on the quay, "
MAKE = Request(id="", code="court-order", authority="district-court", keep=("all",))


#: For tests of which the quick selection takes only the embedded storage.
LONG = pytest.mark.parametrize("made", ["folder", pytest.param("services", marks=pytest.mark.slow)], indirect=True)


@pytest.fixture(params=["folder", "services"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> StorageSettings:
    """An archive on SQLite and a folder, or on PostgreSQL and S3."""
    if request.param == "folder":
        found = settings(tmp_path)
    else:
        url, bucket = request.getfixturevalue("postgres_url"), request.getfixturevalue("s3_bucket")
        versioning = {"Status": "Enabled"}
        bucket.client().put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration=versioning)
        found = settings(tmp_path, catalog=url, objects=bucket.url)
    Archive.create(found).close()
    if request.param == "services":  # else the server packs long texts as no search from below unpacks them
        told(url, "ALTER TABLE versions ALTER COLUMN block SET STORAGE EXTERNAL")
    return found


def told(url: str, statement: LiteralString) -> None:
    """Have the server do something."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture
def archive(made: StorageSettings) -> Iterator[Archive]:
    with Archive.open(made) as opened:
        yield opened


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Archive]:
    """An archive on SQLite and a folder."""
    Archive.create(settings(tmp_path)).close()
    with Archive.open(settings(tmp_path)) as opened:
        yield opened


def story(archive: Archive) -> VersionRow:
    """Four articles, one of them seen again and changed, a feed that quotes it, a dataset; the version to go.

    The trace index holds the first versions in a sealed segment, the later one in the catalog.
    """
    fill(archive, 4)
    assert archive.traces.fold(1) == 4
    at = START + timedelta(minutes=1)
    quote = f"{PHRASE}the harbour master said, while the crew made fast"
    feed = f"<rss><channel><item><link>https://lantern.example/1</link><description>{quote}".encode()
    (again, changed, *_) = archive.deposit(
        [
            (exchange("/1", page(1), at=at), ARTICLE),
            (exchange("/1", page(1, extra=" at noon"), at=at), ARTICLE),
            (exchange("/feed.xml", feed, at=at), Context(outlet_id=OUTLET.id, role=Role.FEED)),
        ]
    )
    for capture in (again, changed):
        archive.deposit_article(read_article(archive, capture), capture)
    archive.seal()
    build(archive, "news", Selection())
    archive.seal()
    row = version_of(archive, "/1")
    assert row is not None
    return row


def version_of(archive: Archive, path: str) -> VersionRow | None:
    with archive.catalog.read() as tx:
        return tx.articles.by_url(f"https://lantern.example{path}")


def needles_of(archive: Archive, row: VersionRow) -> Needles:
    """Phrases of 40 bytes of all that is to go, and every digest of it that a reader could look for."""
    with archive.catalog.read() as tx:
        versions = tx.articles.versions(row.article_id)
        captures = [c for v in versions for i in tx.articles.sightings(v.row_id or 0) if (c := tx.captures.get(i))]
    digests = {v.text_sha256 for v in versions} | {c.payload_digest for c in captures if c.payload_digest}
    for version in versions:
        digests |= {version.content_key, hashlib.sha256(version.block.encode()).hexdigest()}
    assert len(PHRASE.encode()) >= 40
    return Needles.of(texts=["The ferry number 1, which islanders call", PHRASE[:40]], digests=digests)


def goes(archive: Archive, row: VersionRow, **more: object) -> tuple[Plan, Outcome]:
    found = plan(archive, replace(MAKE, id=row.article_id, **{"include": (), **more}))  # type: ignore[arg-type]
    return found, redact(archive, found)


def everywhere(archive: Archive, needles: Needles, bucket: Bucket | None = None) -> list[str]:
    """What a search from below finds, once all is closed."""
    archive.close()
    hits = needles.in_folder(archive.directory)
    return hits if bucket is None else hits + needles.in_bucket(bucket.client(), bucket.name)


# -- nothing is left -------------------------------------------------------------------------------------------------


def test_nothing_of_it_is_found_anywhere(archive: Archive, request: pytest.FixtureRequest) -> None:
    row = story(archive)
    needles = needles_of(archive, row)
    services = archive.catalog.dialect == "postgresql"
    bucket = request.getfixturevalue("s3_bucket") if services else None
    (feed,) = [q for q in plan(archive, replace(MAKE, id=row.article_id)).closure.quotes if q.kind == "feed"]
    assert feed.how == "text"
    _, outcome = goes(archive, row, include=(feed.id,))
    assert outcome.pending == ()
    assert outcome.snapshots == ("news/2.0.0",)
    assert clean(archive) == []
    assert verify(archive, "news") == []
    assert everywhere(archive, needles, bucket) == []
    if services:
        data = request.getfixturevalue("postgres_server").data
        # The server's own write-ahead log is the operator's to recycle, and said so.
        assert needles.in_folder(data, but=("pg_wal/",)) == []
        assert any("pg_wal" in sentence for sentence in outcome.remainders)


@LONG
def test_the_search_finds_what_is_there(archive: Archive, request: pytest.FixtureRequest) -> None:
    """The test before this one can fail."""
    row = story(archive)
    needles = needles_of(archive, row)
    services = archive.catalog.dialect == "postgresql"
    hits = everywhere(archive, needles, request.getfixturevalue("s3_bucket") if services else None)
    places = {hit.partition(":")[0].rpartition("/")[2].partition("-")[0] for hit in hits}
    assert {"warc", "text", "articles"} <= places
    if services:
        told(request.getfixturevalue("postgres_url"), "CHECKPOINT")
        found = needles.in_folder(request.getfixturevalue("postgres_server").data, but=("pg_wal/",))
        assert any(PHRASE[:40] in hit for hit in found)
        assert any(row.text_sha256 in hit for hit in found)
    else:
        assert any(hit.startswith("catalog.sqlite") for hit in hits)


@LONG
def test_a_trace_finds_nothing_of_it_and_all_of_the_others(archive: Archive) -> None:
    row, other = story(archive), version_of(archive, "/2")
    assert other is not None
    with archive.catalog.read() as tx:
        gone = {version.row_id for version in tx.articles.versions(row.article_id)}
    assert len(gone) == 2, "the first version of a sealed segment, the later one of the catalog"
    assert gone <= set(indexed(archive, row))
    before = set(archive.store.list(PREFIX))
    goes(archive, row)
    assert not gone & set(indexed(archive, row))
    assert other.row_id in indexed(archive, other)
    after = set(archive.store.list(PREFIX))
    assert len(after) == 1
    assert not before & after, "the file was written again, and the old one deleted"


def indexed(archive: Archive, row: VersionRow) -> list[int]:
    """The rows that the trace index names for a text."""
    text = "\n\n".join(json.loads(row.block)["paragraphs"])
    with archive.catalog.read() as tx:
        return [found.row_id for found in archive.traces.candidates(tx, letters(text), 50).found]


def clean(archive: Archive) -> list[str]:
    report = audit(archive)
    return [f"{f.kind} {f.where}: {f.message}" for f in (*report.damaged, *report.missing, *report.orphans)]


# -- what stays ------------------------------------------------------------------------------------------------------


@LONG
def test_every_tool_still_reads_the_segments_and_every_other_bundle_verifies(archive: Archive) -> None:
    row = story(archive)
    others = [v.article_id for path in ("/0", "/2", "/3") if (v := version_of(archive, path))]
    bundles = [prove(archive, article) for article in [*others, "news/1.0.0"]]
    before = shape(archive)
    goes(archive, row)
    assert shape(archive).items() >= before.items(), "no offset and no length has moved"
    for key in archive.store.list():
        if key.endswith(".warc.gz"):
            read_by_all(archive.store.get(key))
    for bundle in [*bundles, *(prove(archive, article) for article in others)]:
        report = verify_bundle(bundle, key=archive.vkey)
        assert report.ok, report.findings


def shape(archive: Archive) -> dict[str, list[tuple[int, int]]]:
    """Where the records of each stored segment stand."""
    found = {}
    with archive.catalog.read() as tx:
        names = [s.name for s in tx.segments.all("sealed") if s.kind in ("warc", "text")]
    for name in names:
        with archive.store.open(object_key(name)) as stream:
            found[name] = [(s.ref.offset, s.ref.length) for s in read_segment(stream, name=name)]
    return found


def read_by_all(data: bytes) -> None:
    """By gzip, warcio, FastWARC and our own reader, to the last record, and alike."""
    import io

    whole = gzip.decompress(data)
    ours = [s.record_id for s in read_segment(io.BytesIO(data), name="x")]
    theirs = []
    for record in WarcioIterator(io.BytesIO(data)):
        record.content_stream().read()
        theirs.append(record.rec_headers.get_header("WARC-Record-ID").strip("<>"))
    fast = [r.record_id.strip("<>") for r in ArchiveIterator(io.BytesIO(data), record_types=WarcRecordType.any_type)]
    assert ours == theirs == fast
    assert whole.count(b"WARC/1.1\r\n") == len(ours)


def test_the_validator_takes_a_redacted_segment(small: Archive, tmp_path: Path) -> None:
    goes(small, story(small))
    files = sorted(str(path) for path in (tmp_path / "objects").rglob("*.warc.gz"))
    done = subprocess.run(
        [sys.executable, "-m", "ops.cli", "warc", "check", "--strict", *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@LONG
def test_a_rebuild_gives_the_same_state(archive: Archive, made: StorageSettings) -> None:
    goes(archive, story(archive))
    before = state(archive)
    archive.close()
    rebuild(made)
    with Archive.open(tomorrow(made)) as again:
        assert [s.split()[0] for s in recover(again)] == ["completed"]
        again.seal()
        assert state(again) == before
        assert clean(again) == []
        assert resume(again).done == []


def tomorrow(made: StorageSettings) -> StorageSettings:
    """The archive a day later: a clock before the last capture would stop the start."""
    return replace(made, clock=ticking(START + timedelta(days=1)))


def state(archive: Archive) -> dict[str, object]:
    """What a catalog says, but for numbers of rows, the time of a dataset, and sightings, which a crawl makes anew."""
    with archive.catalog.read() as tx:
        redactions = tx.redactions.all()
        return {
            "captures": [replace(c, seq=0) for c in tx.captures.after(0, 1000)],
            "versions": [v._replace(row_id=0, last_seen=0) for v in tx.articles.search(latest_only=False)],
            "segments": tx.segments.all(),
            "records": [r for s in tx.segments.all() for r in tx.records.in_segment(s.name)],
            "redactions": redactions,
            "erased": [tx.redactions.targets(r.log_index) for r in redactions],
            "marks": [tx.redactions.marks(r.log_index) for r in redactions],
            "entries": list(tx.log.entries()),
            "snapshots": [replace(s, created=0) for s in tx.snapshots.all()],
            "restrictions": tx.restrictions.all(),
        }


def test_a_version_number_is_given_once(small: Archive) -> None:
    row = story(small)
    with small.catalog.read() as tx:
        second = tx.articles.get(row.article_id, 2)
    assert second is not None
    found = plan(small, replace(MAKE, id=second.capture_id, scope="record"))
    redact(small, found)
    with small.catalog.read() as tx:
        assert [v.version for v in tx.articles.versions(row.article_id)] == [1]
    at = START + timedelta(hours=1)
    (capture,) = small.deposit([(exchange("/1", page(1, extra=" at dusk"), at=at), ARTICLE)])
    small.deposit_article(read_article(small, capture), capture)
    small.seal()
    before = state(small)
    with small.catalog.read() as tx:
        assert [v.version for v in tx.articles.versions(row.article_id)] == [1, 3]
    small.close()
    rebuild(small.settings)
    with Archive.open(tomorrow(small.settings)) as again:
        recover(again)
        assert state(again)["versions"] == before["versions"]
        assert clean(again) == []


# -- what goes along -------------------------------------------------------------------------------------------------


def test_scopes(small: Archive) -> None:
    """The same page at another address, and the same text in another page."""
    row = story(small)
    at = START + timedelta(hours=1)
    other = page(1).replace(b"<body>", b"<body class='print'>")
    copies = small.deposit(
        [(exchange("/copy", page(1), at=at), ARTICLE), (exchange("/print-1", other, at=at), ARTICLE)]
    )
    for capture in copies:
        small.deposit_article(read_article(small, capture), capture)

    def urls(scope: str) -> set[str]:
        closure = plan(small, replace(MAKE, id=row.article_id, scope=scope)).closure
        return {capture.url.rpartition("/")[2] for capture, _ in closure.captures.values()}

    assert urls("record") == {"1", "copy"}, "a revisit of its payload cannot stay"
    assert urls("payload") == {"1", "copy"}
    assert urls("text") == {"1", "copy", "print-1"}


def test_redirects_and_images_go_along(small: Archive) -> None:
    fill(small, 1)
    image = Context(outlet_id=OUTLET.id, role=Role.IMAGE)
    moved = exchange("/old", b"", status="301 Moved Permanently", head="Location: /9\r\n")
    (redirect,) = small.deposit([(moved, ARTICLE)])
    (capture,) = small.deposit([(exchange("/9", page(9)), replace(ARTICLE, via=redirect.id))])
    (picture,) = small.deposit([(exchange("/9.jpg", b"\xff\xd8\xff picture"), replace(image, via=capture.id))])
    small.deposit_article(read_article(small, capture), capture)
    row = version_of(small, "/9")
    assert row is not None
    why = {c.id: why for c, why in plan(small, replace(MAKE, id=row.article_id)).closure.captures.values()}
    assert why[redirect.id] == "a redirect to it"
    assert why[picture.id] == "an image of it"
    assert len(why) == 3


def test_a_list_that_quotes_it_with_tags_between_its_words_is_named(small: Archive) -> None:
    row = story(small)
    words = f"{PHRASE}the harbour master said, while the crew made fast".split()
    marked = " ".join(f"<b>{w}</b>" if n % 2 else f"<a href='/{n}' class=word>{w}</a>" for n, w in enumerate(words))
    home = Context(outlet_id=OUTLET.id, role=Role.HOME)
    small.deposit([(exchange("/", f"<ul><li>{marked}</li></ul>".encode(), at=START + timedelta(minutes=2)), home)])
    (quote,) = [q for q in plan(small, replace(MAKE, id=row.article_id)).closure.quotes if q.kind == "home"]
    assert quote.how == "text"


def test_what_quotes_it_is_chosen(small: Archive) -> None:
    row = story(small)
    with pytest.raises(UsageError, match="--keep ID or --include ID"):
        redact(small, plan(small, replace(MAKE, id=row.article_id, keep=())))
    with pytest.raises(UsageError, match="does not quote it"):
        plan(small, replace(MAKE, id=row.article_id, keep=("urn:uuid:x",)))
    for wrong in (replace(MAKE, id=row.article_id, scope="all"), replace(MAKE, id=row.article_id, code="No Code")):
        with pytest.raises(UsageError):
            plan(small, wrong)
    with pytest.raises(NotFound):
        plan(small, replace(MAKE, id="nothing"))
    with pytest.raises(UsageError, match="articles in it"):
        plan(small, replace(MAKE, id="news"))


def test_a_note_can_be_redacted_in_its_turn(small: Archive) -> None:
    row = story(small)
    goes(small, row, note="Jane Roe asked us to, in her letter of Monday last.")
    needles = Needles.of(texts=["Jane Roe asked us to, in her letter"])
    with small.catalog.read() as tx:
        (note,) = [
            r.record_id
            for s in tx.segments.all()
            for r in tx.records.in_segment(s.name)
            if (r.target_uri or "").startswith("urn:pressmark:redaction:")
        ]
    assert needles.in_folder(small.directory)
    redact(small, plan(small, replace(MAKE, id=note)))
    assert clean(small) == []
    assert everywhere(small, needles) == []


# -- it does not come back -------------------------------------------------------------------------------------------


def test_it_is_refused_when_it_comes_again(small: Archive) -> None:
    row = story(small)
    with small.catalog.read() as tx:
        capture = tx.captures.get(row.capture_id)
    assert capture is not None
    goes(small, row)
    assert small.refused("https://www.lantern.example/1?utm_source=x") is not None
    assert small.refused(payload=capture.payload_digest) is not None
    assert small.refused(text=row.text_sha256) is not None
    assert small.refused("https://lantern.example/2", payload="sha256:" + "0" * 64) is None
    for name in (row.article_id, f"{row.article_id}@1", row.capture_id, row.conversion_id, "https://lantern.example/1"):
        with pytest.raises(Withheld, match=r"was redacted, for court-order, by district-court \(log entry"):
            refuse_redacted(small, name)
    refuse_redacted(small, "https://lantern.example/2")
    small.blocklist.ignored = True
    assert small.refused("https://lantern.example/1") is None
    lists = list(small.store.list("redactions/"))
    assert len(lists) == 1
    assert b"lantern" not in small.store.get(lists[0])


def test_an_unredacted_copy_is_damage_and_no_source(small: Archive) -> None:
    row = story(small)
    kept = {key: small.store.get(key) for key in small.store.list() if key.endswith(".warc.gz")}
    goes(small, row)
    changed = [key for key, data in kept.items() if small.store.get(key) != data]
    for key in changed:
        path = small.store.local_path(key)
        assert path is not None
        path.write_bytes(kept[key])
    found = clean(small)
    assert [f for f in found if "an unredacted copy: it is as it was before a redaction" in f]
    small.close()
    rebuild(small.settings)
    with Archive.open(tomorrow(small.settings)) as again:
        assert version_of(again, "/1") is None
        recover(again)
        again.seal()
        assert version_of(again, "/1") is None
        assert clean(again) == []
        assert resume(again).pending == []
    for key in changed:
        assert FolderStore(small.directory / "objects").get(key) != kept[key]


# -- places that cannot be reached -----------------------------------------------------------------------------------


class Unreachable(FolderStore):
    """A mirror whose disk is away."""

    away = True

    def rewrite(self, key: str, path: Path, *, expected: str) -> None:
        from schemas.errors import StoreError

        if self.away:
            raise StoreError("the mirror is away")
        super().rewrite(key, path, expected=expected)


def test_a_mirror_that_is_away_leaves_it_pending(small: Archive, tmp_path: Path) -> None:
    row = story(small)
    needles = needles_of(small, row)
    mirror = Unreachable(tmp_path / "mirror")
    for key in small.store.list():
        mirror.put(key, small.store.get(key))
    stores = [small.store, mirror]
    outcome = redact(small, plan(small, replace(MAKE, id=row.article_id, include=("all",), keep=())), stores)
    assert outcome.pending
    assert "the mirror is away" in outcome.pending[0]
    with pytest.raises(Withheld):
        refuse_redacted(small, row.article_id)
    assert all("the mirror is away" in s for s in resume(small, stores).pending)
    mirror.away = False
    assert resume(small, stores).done == [outcome.entries[0]]
    assert clean(small) == []
    assert everywhere(small, needles) == []


def test_a_segment_that_another_process_writes_is_waited_for(small: Archive) -> None:
    row = story(small)
    with Archive.open(small.settings) as writer:
        at = START + timedelta(hours=1)
        (late,) = writer.deposit([(exchange("/1", page(1), at=at), ARTICLE)])
        _, outcome = goes(small, row)
        assert any("still being written" in sentence for sentence in outcome.pending)
        with pytest.raises(Withheld):
            refuse_redacted(small, late.id)
        writer.seal()
    assert len(resume(small).done) == 1
    assert clean(small) == []


# -- restriction -----------------------------------------------------------------------------------------------------


@LONG
def test_a_restriction_is_logged_lifted_and_ends_by_itself(archive: Archive, made: StorageSettings) -> None:
    fill(archive, 2)
    row = version_of(archive, "/1")
    assert row is not None
    restrict(archive, row.article_id, code="complaint", note="A letter came.")
    with pytest.raises(Withheld, match=r"is restricted for complaint \(451; log entry"):
        refuse_restricted(archive, version=row)
    archive.seal()
    build(archive, "open", Selection())
    archive.seal()
    with archive.catalog.read() as tx:
        snapshot = tx.snapshots.get("open")
    assert snapshot is not None
    assert snapshot.rows == 1
    before = state(archive)
    archive.close()
    rebuild(made)
    with Archive.open(made) as again:
        recover(again)
        assert state(again)["restrictions"] == before["restrictions"]
        assert clean(again) == []
        restrict(again, row.article_id, lift=True)
        refuse_restricted(again, version=row)
        with pytest.raises(UsageError, match="is not restricted"):
            restrict(again, row.article_id, lift=True)
        until = again.clock() + timedelta(seconds=60)
        restrict(again, row.article_id, until=until)
        with pytest.raises(Withheld, match="until"):
            refuse_restricted(again, version=row)
        while again.clock() < until:
            pass
        refuse_restricted(again, version=row)
        assert to_micros(again.clock()) > to_micros(until)


# -- tombstones ------------------------------------------------------------------------------------------------------


def stone(**fields: object) -> Tombstone:
    known = {"entry": 7, "place": 1, "refers_to": f"urn:uuid:{'0' * 8}-0000-4000-8000-{'0' * 12}"}
    return Tombstone(**{**known, "code": "court-order", "authority": "court", "date": START, **fields})  # type: ignore[arg-type]


@given(st.integers(MIN_MEMBER, 400) | st.integers(60_000, 70_000) | st.sampled_from([1_000, 131_072, 1_500_000]))
def test_a_tombstone_has_any_length_that_a_member_has(length: int) -> None:
    code = "c" * 64
    member = tombstone_member(
        stone(code=code, authority=code, entry=10**9, place=799),
        warcinfo_id=f"urn:uuid:{'1' * 8}-0000-4000-8000-{'1' * 12}",
        length=length,
    )
    assert len(member) == length
    record = parse_record(gzip.decompress(member))
    assert record.type == "metadata"
    assert record.get("Pressmark-Redaction") == "1000000000/799"
    assert record.target_uri is None


def test_a_stone_in_a_plain_file_has_its_length() -> None:
    for length in range(420, 1200):
        record = parse_record(plain_tombstone(stone(), length=length))
        assert record.refers_to == stone().refers_to
    with pytest.raises(InvalidValue, match="fits"):
        plain_tombstone(stone(), length=200)
    with pytest.raises(InvalidValue, match="fits"):
        tombstone_member(stone(), warcinfo_id=None, length=150)


def test_only_ours_are_tombstones(small: Archive) -> None:
    fill(small, 1)
    small.seal()
    with small.catalog.read() as tx:
        names = [s.name for s in tx.segments.all()]
    for name in names:
        with small.store.open(object_key(name)) as stream:
            assert all(tombstone_of(record) is None for record in read_segment(stream, name=name))

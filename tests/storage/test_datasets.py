"""Datasets: what is chosen, what a row holds, that they verify, and that every kind of damage is told."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from schemas.articles import Right, Rights
from schemas.bundles import verify_bundle
from schemas.captures import Context, Ending, Exchange, Role
from schemas.digests import Digest
from schemas.errors import DamageError, NotFound, UsageError
from schemas.instants import rfc3339
from schemas.manifests import ROW_NONCE
from storage.archive import Archive
from storage.datasets import Selection, build, diff, verify
from storage.datasets.describe import read_files_json
from storage.evidence import prove
from storage.fixity import audit
from storage.segments import object_key
from tests.ingest import test_imports as stranger
from tests.storage.sealed import DAY, NAMES, PHOTO, SHARD, flip, keep, manifest_of, rows_of, spoil, take
from tests.support.archives import ARTICLE, OUTLET, START, add_outlet, exchange, fill, page, read_article, settings


@pytest.fixture(params=["folder", pytest.param("services", marks=[pytest.mark.postgres, pytest.mark.s3])])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    given = settings(tmp_path)
    if request.param == "services":
        catalog = request.getfixturevalue("postgres_url")
        given = settings(tmp_path, catalog=catalog, objects=request.getfixturevalue("s3_bucket").url)
    with Archive.create(given) as made:
        yield made


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Archive]:
    """Three articles in a folder."""
    with Archive.create(settings(tmp_path)) as made:
        fill(made)
        yield made


def titles(archive: Archive, selection: Selection, name: str = "n") -> list[str]:
    return sorted(row["title"].split()[1] for row in rows_of(archive, build(archive, name, selection)))


# -- building --------------------------------------------------------------------------------------------------------


def test_a_dataset_is_built_logged_and_verifies(archive: Archive) -> None:
    fill(archive)
    row = build(archive, "ferries", Selection())
    archive.seal()
    assert (row.name, row.version, row.rows, row.prefix) == ("ferries", "1.0.0", 3, "snapshots/ferries/1.0.0/")
    assert [key.removeprefix(row.prefix) for key in archive.store.list(row.prefix)] == sorted(NAMES)
    manifest = manifest_of(archive, row)
    assert (str(manifest.root), manifest.tree_size, str(manifest.sha256)) == (
        row.root, row.tree_size, row.manifest_sha256
    )  # fmt: skip
    assert dict(manifest.counts) == {"outlet.lantern.example": 3}
    with archive.catalog.read() as tx:
        entry = tx.log.entry(row.log_index)
        assert tx.snapshots.all() == [row]
    assert entry is not None
    assert (entry.type, entry.subject) == ("snapshot", "ferries/1.0.0")
    assert row.log_index >= row.tree_size
    assert verify(archive, "ferries") == verify(archive, "ferries", "1.0.0") == verify(archive, "ferries/1.0.0") == []
    assert audit(archive).ok
    spoil(archive, row.prefix + SHARD, flip)
    assert any(problem.startswith(SHARD) for problem in verify(archive, "ferries"))


def test_a_stranger_checks_its_bundle(archive: Archive) -> None:
    fill(archive)
    build(archive, "ferries", Selection())
    report = verify_bundle(prove(archive, "ferries/1.0.0"), key=archive.vkey)
    assert report.ok, report.findings


def test_a_row_leads_to_the_bytes(archive: Archive) -> None:
    fill(archive, 1)
    first = exchange("/old", b"", status="301 Moved Permanently", head="Location: /9\r\n")
    (moved,) = archive.deposit([(first, ARTICLE)])
    context = replace(ARTICLE, via=moved.id, item_url=moved.url)
    (capture,) = archive.deposit([(exchange("/9", page(9), at=START + DAY), context)])
    right = Right(value="noai", source="meta:robots", observed=rfc3339(capture.date))
    keep(
        archive, capture, photos=(PHOTO,), authors=("Ada Vale",), rights=Rights(robots=right),
        published="2026-11-02T09:30:00+01:00", modified="2026-11-02",
    )  # fmt: skip
    row = next(r for r in rows_of(archive, build(archive, "n", Selection())) if r["capture_id"] == capture.id)
    article = json.loads(archive.read(row["conversion_id"]).block)
    for name in ("title", "authors", "published", "paragraphs", "photos", "rights", "text_sha256", "word_count", "url"):
        assert row[name] == article[name], name
    assert row["text"] == "\n\n".join(row["paragraphs"])
    assert hashlib.sha256(row["text"].encode()).hexdigest() == row["text_sha256"]
    assert (row["outlet_id"], row["outlet_name"], row["outlet_domain"]) == (OUTLET.id, OUTLET.name, OUTLET.domain)
    assert (row["published_precision"], row["modified_precision"]) == ("instant", "day")
    assert (row["requested_url"], row["final_url"]) == ("https://lantern.example/old", "https://lantern.example/9")
    assert (row["status"], row["truncated"], row["wall"]) == (200, None, None)
    assert row["first_seen"] == row["last_seen"] == START + DAY
    assert (row["payload_digest"], row["capture_log_index"]) == (capture.payload_digest, capture.log_index)
    for role in ("conversion", "capture"):
        stored = archive.read(row[f"{role}_id"])
        place = (stored.ref.segment, stored.ref.offset, stored.ref.length, stored.ref.digest)
        assert place == tuple(row[f"{role}_{part}"] for part in ("segment", "offset", "length", "digest"))
    nonce = archive.read(row["conversion_id"]).header("Pressmark-Nonce")
    assert len(bytes.fromhex(row[ROW_NONCE])) == 32
    assert row[ROW_NONCE] != nonce  # publishing a row must not uncover its record


def test_the_root_is_what_a_stranger_computes(small: Archive) -> None:
    """By the words of FORMAT.md, section 8, with nothing of ours."""
    row = build(small, "n", Selection())
    manifest = json.loads(small.store.get(row.prefix + "manifest.json"))
    names = [column["name"] for column in manifest["columns"] if column["digested"]]
    leaves = []
    for value in rows_of(small, row):
        plain = {
            n: v.replace(tzinfo=None).isoformat() + "Z" if isinstance(v, datetime) else v
            for n, v in value.items() if n in names
        }  # fmt: skip
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        leaves.append(hashlib.sha256(b"\0" + hashlib.sha256(text.encode()).digest()).digest())
    a, b, c = leaves
    ab = hashlib.sha256(b"\1" + a + b).digest()
    assert manifest["root"] == "sha256:" + hashlib.sha256(b"\1" + ab + c).hexdigest()


def test_the_same_again_is_the_same_snapshot(archive: Archive) -> None:
    fill(archive)
    first = build(archive, "n", Selection())
    assert build(archive, "n", Selection()) == first
    archive.integrate()
    with archive.catalog.read() as tx:
        entries = tx.log.state().next_index
    assert build(archive, "n", Selection()) == first
    with archive.catalog.read() as tx:
        assert tx.log.state().next_index == entries
        assert len(tx.snapshots.all()) == 1


def test_other_rows_are_a_new_major_version_and_the_old_one_stays(archive: Archive) -> None:
    fill(archive)
    build(archive, "n", Selection())
    keep(archive, take(archive, "/9", page(9), START + DAY))
    assert build(archive, "n", Selection()).version == "2.0.0"
    archive.integrate()
    assert verify(archive, "n", "1.0.0") == verify(archive, "n") == []
    (line,) = diff(archive, "n/1.0.0", "n")
    assert line.startswith("+ lantern.example a")
    assert line.endswith("@1 Ferry 9 runs again")
    (line,) = diff(archive, "n", "n/1.0.0")
    assert line.startswith("- lantern.example a")
    assert list(diff(archive, "n", "n/2.0.0")) == []


def test_the_same_rows_by_another_selection_are_a_new_patch(small: Archive) -> None:
    build(small, "n", Selection())
    assert build(small, "n", Selection(to=START + DAY)).version == "1.0.1"
    assert build(small, "n", Selection(outlets=(OUTLET.id,))).version == "1.0.2"


def test_an_article_seen_again_is_told_apart_by_its_last_capture(small: Archive) -> None:
    (before, *_) = [build(small, "n", Selection())]
    keep(small, take(small, "/1", page(1), START + DAY))
    after = build(small, "n", Selection())
    assert (before.rows, after.rows, after.version) == (3, 3, "2.0.0")
    (line,) = diff(small, "n/1.0.0", "n/2.0.0")
    assert line.startswith("~ ")
    assert line.endswith("Ferry 1 runs again: last_seen")
    seen = {row["title"]: (row["first_seen"], row["last_seen"]) for row in rows_of(small, after)}
    assert seen["Ferry 1 runs again"] == (START, START + DAY)


def test_a_changed_article_is_two_rows_in_the_order_of_versions(small: Archive) -> None:
    keep(small, take(small, "/1", page(1, extra=", wet and glad"), START + DAY))
    rows = rows_of(small, build(small, "n", Selection()))
    assert [row["version"] for row in rows if row["title"] == "Ferry 1 runs again"] == [1, 2]
    keys = [(row["outlet_id"], row["article_id"], row["version"]) for row in rows]
    assert keys == sorted(keys)


def test_built_twice_it_is_the_same_bytes(small: Archive, tmp_path: Path) -> None:
    keep(small, take(small, "/9", page(9), START + DAY), photos=(PHOTO,), language="de")
    small.seal()
    twin = tmp_path.parent / f"{tmp_path.name}-twin"
    shutil.copytree(tmp_path, twin)
    other = replace(settings(twin), clock=lambda: START + 9 * DAY)
    made = build(small, "n", Selection())
    with Archive.open(other) as archive:
        again = build(archive, "n", Selection())
        assert again.manifest_sha256 == made.manifest_sha256
        for name in NAMES:
            assert archive.store.get(again.prefix + name) == small.store.get(made.prefix + name), name


def test_files_that_a_stop_left_are_passed_over(small: Archive) -> None:
    small.store.put(f"snapshots/n/1.0.0/{SHARD}", b"half a dataset")
    row = build(small, "n", Selection())
    small.integrate()
    assert row.version == "1.0.1"
    assert verify(small, "n") == []
    assert small.store.get(f"snapshots/n/1.0.0/{SHARD}") == b"half a dataset"


def test_the_files_are_handed_out(archive: Archive, tmp_path: Path) -> None:
    fill(archive)
    out = tmp_path / "out" / "n"
    row = build(archive, "n", Selection(), out=out)
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()) == sorted(NAMES)
    for file in read_files_json((out / "files.json").read_bytes()):
        assert str(Digest.sha256((out / file.name).read_bytes())) == file.sha256
    again = tmp_path / "again"
    again.mkdir()
    assert build(archive, "n", Selection(), out=again) == row
    assert (again / "manifest.json").read_bytes() == (out / "manifest.json").read_bytes()
    with pytest.raises(UsageError, match="not an empty folder"):
        build(archive, "other", Selection(), out=out)
    with pytest.raises(UsageError, match="not an empty folder"):
        build(archive, "other", Selection(), out=out / "files.json")
    with archive.catalog.read() as tx:
        assert tx.snapshots.get("other") is None


def test_a_damaged_record_stops_a_build(small: Archive) -> None:
    small.seal()
    with small.catalog.read() as tx:
        version = next(iter(tx.articles.search(limit=1)))
        record = tx.records.get(version.conversion_id)
    assert record is not None
    spoil(
        small, object_key(record.segment),
        lambda data: data[: record.offset] + flip(data[record.offset : record.offset + record.length])
        + data[record.offset + record.length :],
    )  # fmt: skip
    with pytest.raises(DamageError):
        build(small, "n", Selection())
    with small.catalog.read() as tx:
        assert tx.snapshots.all() == []


# -- choosing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "Upper", "a/b", "a b", "-a", ".a", "a..b", "ä", "a" * 101])
def test_names_that_lead_elsewhere_are_refused(small: Archive, name: str) -> None:
    with pytest.raises(UsageError, match="no name of a dataset"):
        build(small, name, Selection())


@pytest.mark.parametrize(
    "wrong",
    [
        {"by": "modified"},
        {"from_": datetime(2026, 1, 1)},
        {"from_": START, "to": START},
        {"from_": START + DAY, "to": START},
    ],
)
def test_selections_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Selection(**wrong)


def test_an_empty_selection_builds_nothing(archive: Archive) -> None:
    with pytest.raises(NotFound, match="nothing was archived"):
        build(archive, "n", Selection())
    fill(archive)
    with pytest.raises(NotFound, match="no outlet nowhere"):
        build(archive, "n", Selection(outlets=("nowhere",)))
    with pytest.raises(NotFound, match="names no article"):
        build(archive, "n", Selection(to=START))
    with pytest.raises(NotFound):
        verify(archive, "n")
    with pytest.raises(NotFound):
        diff(archive, "n", "m")


def test_times_are_half_open(archive: Archive) -> None:
    add_outlet(archive)
    for number in range(4):
        keep(archive, take(archive, f"/{number}", page(number), START + number * DAY))
    assert titles(archive, Selection(from_=START + DAY, to=START + 3 * DAY), "a") == ["1", "2"]
    assert titles(archive, Selection(from_=START + 2 * DAY), "b") == ["2", "3"]
    assert titles(archive, Selection(to=START + 2 * DAY), "c") == ["0", "1"]


def test_what_pages_say_of_their_date_is_compared_in_utc(small: Archive) -> None:
    dates = ["2026-11-02T00:30:00+01:00", "2026-11-02T00:30:00", "2026-11-02", "2026-11-01T23:00:00-01:00", "last week"]
    for number, published in enumerate(dates, 10):
        keep(small, take(small, f"/{number}", page(number)), published=published)
    midnight = datetime(2026, 11, 2, tzinfo=UTC)
    row = build(small, "after", Selection(by="published", from_=midnight))
    assert sorted(r["title"].split()[1] for r in rows_of(small, row)) == ["11", "12", "13"]
    assert manifest_of(small, row).counts["left_out.undated"] == 4
    assert titles(small, Selection(by="published", to=midnight), "before") == ["10"]


def test_cut_walled_and_superseded_pages_are_left_out_and_counted(archive: Archive) -> None:
    captures = fill(archive)
    other = read_article(archive, captures[0])
    keep(archive, captures[0], extractor=replace(other.extractor, version="next"))
    cut = take(archive, "/cut", b"", like=replace(exchange("/cut", page(7)), ending=Ending.TIME))
    keep(archive, cut)
    keep(archive, take(archive, "/walled", page(8)), wall="login")
    row = build(archive, "n", Selection())
    assert row.rows == 3
    assert dict(manifest_of(archive, row).counts) == {
        "outlet.lantern.example": 3, "left_out.superseded": 1, "left_out.truncated": 1, "left_out.walled": 1,
    }  # fmt: skip
    assert len(manifest_of(archive, row).extractors) == 2
    assert titles(archive, Selection(truncated=True), "cut") == ["0", "1", "2", "7"]
    assert titles(archive, Selection(walled=True), "walled") == ["0", "1", "2", "8"]


def test_rows_lie_below_the_tree_of_the_manifest(small: Archive) -> None:
    row = build(small, "n", Selection())
    manifest = manifest_of(small, row)
    assert all(r["log_index"] < manifest.tree_size and r["capture_log_index"] < manifest.tree_size
               for r in rows_of(small, row))  # fmt: skip
    assert manifest.tree_size == row.tree_size == row.log_index


@pytest.mark.parametrize("trust", [False, True])
def test_what_strangers_captured_says_so(small: Archive, tmp_path: Path, trust: bool) -> None:
    given = stranger.take(small, tmp_path / "a.warc", stranger.plain(stranger.FILE), trust=trust)
    assert given.new == 2
    capture = next(c for c in stranger.captures(small) if c.outlet_id == OUTLET.id)
    keep(small, capture, paragraphs=("Words of its own.",))
    row = build(small, "n", Selection())
    found = {value["capture_kind"]: value for value in rows_of(small, row)}
    claimed = datetime.fromisoformat(stranger.CLAIMED)
    assert datetime.fromisoformat(found["import"]["claimed_captured"]) == claimed
    assert (found["import"]["first_seen"] == claimed) is trust
    assert found["response"]["claimed_captured"] is None
    small.integrate()
    assert verify(small, "n") == []
    table = pq.read_table(BytesIO(small.store.get(row.prefix + "coverage.parquet"))).to_pylist()
    assert sum(line["fetched"] for line in table) == 3


def test_an_edition_without_text(archive: Archive) -> None:
    fill(archive, 1)
    keep(archive, take(archive, "/9", page(9)), photos=(PHOTO,), standfirst="It runs.")
    build(archive, "n", Selection())
    row = build(archive, "n", Selection(with_text=False))
    archive.integrate()
    assert row.version == "2.0.0"
    assert verify(archive, "n") == []
    assert b"in the yard" not in archive.store.get(row.prefix + SHARD)
    for found in rows_of(archive, row):
        assert not {"text", "paragraphs", "standfirst"} & found.keys()
        assert found["text_sha256"]
        assert all(not {"caption", "alt"} & photo.keys() for photo in found["photos"])
    assert [p["credit"] for r in rows_of(archive, row) for p in r["photos"]] == [PHOTO.credit]
    assert list(diff(archive, "n/1.0.0", "n/2.0.0"))  # photos lost their captions
    assert "Without texts" in archive.store.get(row.prefix + "README.md").decode()


# -- what stands beside the rows -------------------------------------------------------------------------------------


def test_coverage_counts_by_outlet_and_day(small: Archive) -> None:
    listing = exchange("/feed.xml", b"<rss/>", at=START - DAY)
    (feed,) = small.deposit([(listing, replace(ARTICLE, role=Role.FEED))])
    via = replace(ARTICLE, via=feed.id)
    (moved,) = small.deposit(
        [(exchange("/old", b"", status="301 Moved Permanently", head="Location: /9\r\n", at=START + DAY), via)]
    )
    gone = Exchange(url="https://lantern.example/dead", started=START + DAY, ending=Ending.TIMEOUT)
    small.deposit(
        [
            (exchange("/9", page(9), at=START + DAY), replace(ARTICLE, via=moved.id, item_url=moved.url)),
            (exchange("/missing", b"no", status="404 Not Found", at=START + DAY), via),
            (gone, via),
            (exchange("/0", page(0), at=START + DAY), via),
            (gone, Context(outlet_id=None, role=ARTICLE.role)),
        ]
    )
    row = build(small, "n", Selection())
    table = pq.read_table(BytesIO(small.store.get(row.prefix + "coverage.parquet"))).to_pylist()
    name, (before, same, after) = OUTLET.id, ("2026-10-31", "2026-11-01", "2026-11-02")
    assert table == [
        {"outlet_id": name, "day": before, "discovered": 3, "fetched": 0, "failed": 0},
        {"outlet_id": name, "day": same, "discovered": 3, "fetched": 3, "failed": 0},
        {"outlet_id": name, "day": after, "discovered": 0, "fetched": 2, "failed": 2},
    ]
    part = build(small, "part", Selection(to=START + DAY))
    assert len(pq.read_table(BytesIO(small.store.get(part.prefix + "coverage.parquet"))).to_pylist()) == 1


def test_croissant_names_every_file_and_column(small: Archive) -> None:
    row = build(small, "n", Selection())
    value = json.loads(small.store.get(row.prefix + "croissant.json"))
    assert (value["name"], value["version"], value["conformsTo"]) == ("n", "1.0.0", "http://mlcommons.org/croissant/1.0")
    assert {"description", "license", "url", "creator", "datePublished", "citeAs", "@context"} <= value.keys()
    files = {part["contentUrl"]: part for part in value["distribution"] if part["@type"] == "cr:FileObject"}
    assert sorted(files) == ["coverage.parquet", SHARD, "manifest.json"]
    for name, part in files.items():
        data = small.store.get(row.prefix + name)
        assert (part["sha256"], part["contentSize"]) == (hashlib.sha256(data).hexdigest(), f"{len(data)} B")
    (records,) = value["recordSet"]
    assert [field["name"] for field in records["field"]] == [column.name for column in manifest_of(small, row).columns]
    ids = [node["@id"] for node in nodes(value) if "@type" in node and "@id" in node]
    assert len(ids) == len(set(ids))
    assert {node["@id"] for node in nodes(value) if node.keys() == {"@id"}} <= set(ids)


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """All objects of a JSON value, the context left out."""
    if isinstance(value, dict):
        yield value
        for name, part in value.items():
            if name != "@context":
                yield from nodes(part)
    elif isinstance(value, list):
        for part in value:
            yield from nodes(part)


def test_the_card_says_what_it_is_and_how_to_check_it(small: Archive) -> None:
    row = build(small, "n", Selection(from_=START))
    card = small.store.get(row.prefix + "README.md").decode()
    front, _, body = card.removeprefix("---\n").partition("\n---\n")
    values = {k: json.loads(v) for k, _, v in (line.partition(": ") for line in front.splitlines())}
    assert values["language"] == ["en"]
    assert values["configs"][0]["data_files"] == "data/*.parquet"
    parts = ("The Lantern", row.root, "2026-11-01T12:00:00Z", "snapshot verify n", "never when it appeared", "rights")
    for part in parts:
        assert part in body, part
    for column in manifest_of(small, row).columns:
        assert f"| {column.name} |" in body

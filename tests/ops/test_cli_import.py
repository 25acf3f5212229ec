"""`pressmark import` and `pressmark warc check`, from the command line to the articles, the proof and the audit."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from tests.ops.conftest import Pressmark
from tests.support.foreign import CLAIMED, FILE, INFO, answer, gz, one_gz, plain, wacz, zst


@pytest.fixture
def empty(pressmark: Pressmark) -> Pressmark:
    """An archive that watches nobody."""
    settings = pressmark.settings("[extract]\nworkers = 0\n")
    pressmark("init", pressmark.archive, "--contact", "desk@quill.example", "--settings", settings).done()
    return pressmark


def test_a_file_becomes_articles_once(empty: Pressmark, tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    path.write_bytes(gz(FILE))
    report = empty("import", path, "--json").done().values[0]
    assert (report["captures"], report["new"], report["known"], report["quarantined"]) == (2, 2, False, [])
    assert report["outlets"] == {"lantern.example": 1, "elsewhere.example": 1}
    articles = empty("articles", "--json").done().values
    assert sorted(a["title"] for a in articles) == ["Ferry 1 runs again", "Ferry 2 runs again"]
    for article in articles:
        capture = article["capture"]
        assert capture["claimed_captured"] == CLAIMED
        assert capture["date"] == capture["first_seen"] > "2026"
        assert article["outlet"]["id"] in report["outlets"]
    again = empty("import", path, "--json").done().values[0]
    assert (again["new"], again["known"]) == (0, True)
    assert empty("articles", "--json").done().values == articles
    assert empty("audit", "--full").done()


def test_versions_and_dates_are_by_receipt_unless_trusted(empty: Pressmark, tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    path.write_bytes(plain([INFO, answer(1)]))
    empty("import", path).done()
    assert empty("articles", "--json", "--to", "2020-01-01").done().values == []
    path.write_bytes(plain([INFO, answer(3)]))
    empty("import", path, "--trust").done()
    (article,) = empty("articles", "--json", "--to", "2020-01-01").done().values
    assert article["capture"]["first_seen"] == CLAIMED


def test_an_imported_article_can_be_proven(empty: Pressmark, tmp_path: Path) -> None:
    path, bundle = tmp_path / "a.warc.zst", tmp_path / "proof.zip"
    path.write_bytes(zst(FILE))
    empty("import", path).done()
    article = empty("articles", "--json").done().values[0]
    empty("prove", article["id"], "-o", bundle).done()
    verified = empty("verify", bundle).done()
    assert "it is not in the bundle" in verified.out + verified.err


def test_an_import_and_a_redaction_of_it_can_be_proven(empty: Pressmark, tmp_path: Path) -> None:
    path, before, after, gone = (tmp_path / name for name in ("a.warc.gz", "before.zip", "after.zip", "gone.zip"))
    path.write_bytes(gz(FILE))
    empty("import", path).done()
    name = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    empty("prove", name, "-o", before).done()
    article = empty("articles", "--json").done().values[0]
    codes = ("--reason", "court-order", "--authority", "district-court", "--keep", "all")
    (index,) = empty("redact", article["id"], *codes, "--json").done().values[-1]["entries"]
    empty("prove", f"redaction/{index}", "-o", gone).done()
    empty("prove", name, "-o", after).done()
    for bundle, sentence in (
        (before, "entry 0 (import) stands in that log"),
        (after, "entry 0 (import) stands in that log"),
        (gone, f"entry {index} says that the content of 2 records was erased, for court-order, by district-court"),
    ):
        verified = empty("verify", bundle).done()
        assert f"proven: {sentence}" in verified.out + verified.err
    empty("prove", f"redaction/{index - 1}", "-o", tmp_path / "x.zip").refused(4, "is no redaction")
    empty("prove", "sha256:" + "0" * 64, "-o", tmp_path / "x.zip").refused(4)
    assert not (tmp_path / "x.zip").exists()
    empty("audit", "--full").done()


def test_an_imported_file_is_redacted_by_its_digest(empty: Pressmark, tmp_path: Path) -> None:
    """All that stands in it goes, from the copy too; a file that was not copied is refused, and nothing is logged."""
    path = tmp_path / "a.warc.gz"
    path.write_bytes(gz(FILE))
    empty("import", path).done()
    name = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    other = tmp_path / "b.warc.gz"
    other.write_bytes(gz([INFO, answer(3)]))
    empty("import", other, "--in-place").done()
    titles = {a["title"] for a in empty("articles", "--json").done().values}
    codes = ("--reason", "court-order", "--authority", "district-court", "--keep", "all")
    told = empty("redact", name, "--dry-run", "--keep", "all", "--json").done().values
    assert len([value for value in told if value.get("goes", {}).get("kind") == "import"]) == 2
    empty("redact", name, *codes).done()
    left = empty("articles", "--json").done().values
    assert titles - {a["title"] for a in left} == {"Ferry 1 runs again", "Ferry 2 runs again"}
    (copy,) = (empty.archive / "objects" / "import").rglob("*.warc.gz")
    assert b"Ferry 1 runs again" not in gzip.decompress(copy.read_bytes())
    empty("audit", "--full").done()
    empty("redact", name, *codes).refused(4, "redacted before")
    in_place = f"sha256:{hashlib.sha256(other.read_bytes()).hexdigest()}"
    empty("redact", in_place, *codes).refused(2, "import a copy first")
    empty("redact", "sha256:" + "0" * 64, *codes).refused(4, "nothing here has the id")


def test_rebuild_restores_what_was_imported(empty: Pressmark, tmp_path: Path) -> None:
    path = tmp_path / "a.wacz"
    path.write_bytes(wacz({"archive/a.warc.gz": gz(FILE)}))
    empty("import", path).done()
    articles = empty("articles", "--json").done().values
    (empty.archive / "catalog.sqlite").unlink()
    empty("rebuild").done()
    assert empty("articles", "--json").done().values == articles
    assert empty("import", path, "--json").done().values[0]["new"] == 0
    assert empty("audit", "--full").done()


def test_some_files_are_refused_and_the_others_taken(empty: Pressmark, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.warc", tmp_path / "bad.wacz"
    good.write_bytes(plain(FILE))
    bad.write_bytes(wacz({"archive/a.warc.gz": gz(FILE)})[:-20])
    ended = empty("import", bad, good, tmp_path / "absent.warc")
    ended.refused(2, "2 of 3 files")
    assert "no sound zip" in ended.out
    assert "2 new" in ended.out
    assert len(empty("articles", "--json").done().values) == 2


def test_files_in_place(empty: Pressmark, tmp_path: Path) -> None:
    path = tmp_path / "a.warc"
    path.write_bytes(plain(FILE))
    empty("import", "--in-place", path).done()
    assert not (empty.archive / "objects" / "import").exists()
    empty("audit", "--full").done()
    path.unlink()
    ended = empty("audit", "--full")
    assert ended.code == 1
    assert f"missing: {path}: the external file is gone" in ended.out


def test_warc_check(pressmark: Pressmark, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.warc", tmp_path / "bad.warc"
    good.write_bytes(plain(FILE))
    bad.write_bytes(plain([INFO, answer(1, WARC_Date="yesterday")]))
    assert "good.warc: valid" in pressmark("warc", "check", good).done().err
    ended = pressmark("warc", "check", bad, "--json")
    assert ended.code == 1
    (finding,) = [value for value in ended.values if value["severity"] == "error"]
    assert finding == {
        "file": str(bad),
        "offset": len(INFO),
        "record_id": "urn:uuid:00000000-0000-4000-8000-000000000001",
        "rule": "date",
        "section": "ISO 28500:2009 5.4",
        "severity": "error",
        "message": "WARC-Date is not a date: 'yesterday'",
    }
    lone = tmp_path / "lone.warc.gz"
    lone.write_bytes(gz(FILE) + b"\n")
    assert pressmark("warc", "check", lone).code == 1
    shared = tmp_path / "shared.warc.gz"
    shared.write_bytes(one_gz(FILE))
    pressmark("warc", "check", shared).done()
    assert pressmark("warc", "check", "--strict", shared).code == 1
    assert pressmark("warc", "check", tmp_path / "absent").code == 4

"""`audit` and `mirror` on the command line: damage is named, brought back, and logged; pages are read again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from ops.jobs import audit_if_due, keep_mirror, last_audit
from ops.settings import AuditTable, load
from ops.wiring import open_archive
from storage.archive import Archive
from tests.ops.conftest import LOCAL, Pressmark
from tests.ops.test_cli_crawl import watch
from tests.support.archives import page
from tests.support.newsroom import Newsroom


@pytest.fixture
def kept(pressmark: Pressmark, room: Newsroom) -> Pressmark:
    """An archive of two articles, with a mirror."""
    mirror = pressmark.archive.with_name("mirror")
    settings = pressmark.settings(f'{LOCAL}\n[objects]\nmirror = "{mirror}"\n')
    pressmark("init", "--settings", settings, "--contact", "desk@lantern.example").done()
    for number in (1, 2):
        room.page(f"/{number}.html", page(number))
    watch(pressmark, room, "/1.html", "/2.html")
    pressmark("crawl", "--until-idle").done()
    return pressmark


def opened(kept: Pressmark) -> Archive:
    return open_archive(load(kept.archive))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def segment(kept: Pressmark, kind: str) -> Path:
    return next((kept.archive / "objects" / kind).rglob("*.warc.gz"))


def test_a_crawl_leaves_the_mirror_whole_and_status_says_so(kept: Pressmark) -> None:
    ours = {p.relative_to(kept.archive / "objects") for p in (kept.archive / "objects").rglob("*") if p.is_file()}
    mirror = kept.archive.with_name("mirror")
    assert {p.relative_to(mirror) for p in mirror.rglob("*") if p.is_file()} == ours
    (status,) = kept("status", "--json").done().values
    assert status["mirror"]
    assert kept("mirror", "--json").done().values == [{"copied": 0, "refused": 0}]


def test_a_mirror_that_is_not_set_is_asked_for(archive: Pressmark) -> None:
    archive("mirror").refused(2, "no mirror is set", "[objects] mirror")


def test_damage_is_found_brought_back_and_logged(kept: Pressmark) -> None:
    flip(segment(kept, "warc"))
    found = kept("audit")
    assert found.code == 1
    assert "holds an intact copy" in found.err
    mended = kept("audit", "--repair").done()
    assert "repaired: warc/" in mended.err
    assert "brought back from the mirror" in mended.err
    assert "intact" in kept("audit", "--full").done().err
    entries = kept("log", "entries", "--json").done().values
    assert sum(entry["entry"]["type"] == "repair" for entry in entries) == 1


def test_damage_without_a_copy_stays_a_failure(kept: Pressmark) -> None:
    flip(segment(kept, "warc"))
    flip(next((kept.archive.with_name("mirror") / "warc").rglob("*.warc.gz")))
    ended = kept("audit", "--repair")
    assert ended.code == 1
    assert "not repaired" in ended.err


def test_every_page_read_again_gives_the_same_article(kept: Pressmark) -> None:
    ended = kept("audit", "--rederive").done()
    assert "2 articles came out the same" in ended.err


def test_an_article_that_does_not_come_out_again_is_damage(kept: Pressmark, monkeypatch: pytest.MonkeyPatch) -> None:
    import ingest.extract.worker as worker

    real = worker.run_one
    other = page(9)
    monkeypatch.setattr(
        worker, "run_one", lambda job: real(worker.Job(body=other, url=job.url, captured=job.captured))
    )
    ended = kept("audit", "--rederive")
    assert ended.code == 1
    assert "reading its capture again gives another" in ended.out


def test_an_article_of_another_extractor_is_told_and_not_judged(
    kept: Pressmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    import ingest.pipeline.rederive as module

    monkeypatch.setattr(module, "EXTRACTOR", replace(module.EXTRACTOR, version="999"))
    ended = kept("audit", "--rederive").done()
    assert "2 articles need extractor" in ended.err


def test_a_sample_says_what_it_rules_out(kept: Pressmark) -> None:
    ended = kept("audit", "--sample", "5", "--json").done()
    summary = ended.values[-1]["summary"]
    assert summary["sampled"]["read"] == 5
    assert 0 < summary["sampled"]["below"] < 1
    assert "95% confidence" in ended.err
    kept("audit", "--sample", "5", "--full").refused(2, "exclude each other")
    kept("audit", "--sample", "5", "--repair").refused(2, "sample")


def test_an_audit_that_is_due_is_made_logged_and_shown(kept: Pressmark) -> None:
    said: list[str] = []
    with opened(kept) as archive:
        table = AuditTable(every=3600, sample=0)
        audit_if_due(archive, table, said.append)
        first = last_audit(archive)
        assert first is not None
        assert (first["damaged"], first["missing"]) == (0, 0)
        audit_if_due(archive, table, said.append)  # not yet due again
        assert last_audit(archive) == first
        assert said == []
        flip(segment(kept, "text"))
        real = archive.clock
        archive.clock = lambda: real() + timedelta(hours=2)
        audit_if_due(archive, table, said.append)
        again = last_audit(archive)
        assert again is not None
        assert again["damaged"] > 0
        assert any("damaged" in sentence for sentence in said)
        archive.integrate()
    entries = kept("log", "entries", "--json").done().values
    assert sum(entry["entry"]["type"] == "audit" for entry in entries) == 2
    assert "last audit" in kept("status").done().out


def test_a_mirror_that_fails_stops_no_crawl(kept: Pressmark) -> None:
    said: list[str] = []
    mirror = kept.archive.with_name("mirror")
    mirror.rename(mirror.with_name("away"))
    mirror.write_text("a file where the folder was")
    with opened(kept) as archive:
        keep_mirror(archive, said.append)
    assert len(said) == 1
    assert said[0].startswith("mirror: ")

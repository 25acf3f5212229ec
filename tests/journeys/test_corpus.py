"""A hundred real pages at their own URLs: crawled, killed, rebuilt, handed on."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.bench.corpus_run import Run, main
from tests.support.archives import page

pytestmark = pytest.mark.slow
PAGES = 111


@pytest.fixture
def run(shared: Path, tmp_path: Path) -> Iterator[Run]:
    """The corpus on loopback, and an archive that watches its outlets."""
    made = Run(shared / "corpus" / "newsrooms" / "truth.jsonl", tmp_path)
    with made.server:
        made.init()
        yield made


@pytest.mark.shared
def test_the_corpus_crawled_in_one_go(run: Run) -> None:
    report = run.crawl()
    assert report["captures"]["article"] == PAGES
    assert report["failed"] == {}
    counts = run.counts()
    assert (counts.article_captures, counts.pages, counts.articles, counts.named) == (PAGES,) * 4
    assert counts.versions == PAGES
    assert run.check_segments() >= 3
    assert run.snapshot() == PAGES
    again = run.crawl()
    assert again["captures"] == {}, "nothing is due, so nothing is fetched"


@pytest.mark.shared
def test_the_corpus_killed_three_times_then_rebuilt(run: Run) -> None:
    died = run.kill_and_go_on(kills=3, seed=20261123)
    assert len(died) == 3
    run.crawl()
    counts, identity = run.counts(), run.identity()
    assert (counts.pages, counts.articles, counts.named, counts.versions) == (PAGES,) * 4
    assert counts.article_captures <= PAGES + 3 * len(run.server.sites), "a kill costs what was under way"
    run.lose_catalog()
    assert run.identity() == identity
    rebuilt = run.counts()
    assert (rebuilt.articles, rebuilt.named, rebuilt.records) == (PAGES, PAGES, counts.records)
    assert run.snapshot() == PAGES
    counted = run.crawl()
    assert counted["versions"] == 0, "what was known before is known again"


def test_a_small_corpus_is_counted_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    for number in range(4):
        (tmp_path / f"{number}.gz").write_bytes(gzip.compress(page(number)))
        host, title = ("one.example", "two.example")[number % 2], f"Ferry {number} runs again"
        url = f"https://{host}/news/ferry-{number}?q=%5B{number}]"
        row = {"id": str(number), "url": url, "page": f"{number}.gz", "outlet": host.title(), "title": title}
        rows.append(json.dumps({**row, "published": None}))
    manifest, score = tmp_path / "truth.jsonl", tmp_path / "score.py"
    manifest.write_text("\n".join(rows) + "\n")
    score.write_text("import sys\nprint('scored', len(open(sys.argv[2]).readlines()))\n")
    arguments = ["--manifest", str(manifest), "--dir", str(tmp_path / "run"), "--kills", "1", "--score", str(score)]
    ended, said = main(arguments), capsys.readouterr().out
    assert ended == 0, said
    assert "4 pages of 2 hosts" in said
    assert "every article is the same" in said
    assert "snapshot of 4 rows verifies" in said
    assert "scored 4" in said

"""The catalog is lost: what the evidence alone gives back, and what is said of the rest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ops.demo.server import PaperServer
from ops.settings import load
from ops.wiring import SQLITE_FILE
from schemas.urls import article_key
from tests.journeys.conftest import QUICK
from tests.journeys.stage import Stage, identity


def known(stage: Stage) -> dict[str, Any]:
    """All that has to be the same before and after."""
    with stage.opened() as archive, archive.catalog.read() as tx:
        captures = tx.captures.after(0, 1_000_000)
        versions = [v for c in {row.article_id for row in tx.articles.search()} for v in tx.articles.versions(c)]
        items = {
            item.key: (item.state, item.url, item.last_capture, item.etag, item.failures)
            for outlet in tx.outlets.all()
            for c in captures
            if (item := tx.frontier.item_for(outlet.id, article_key(c.url))) is not None
        }
        return {
            "captures": [(c.id, c.kind, c.url, c.date, c.status, c.refers_to, c.log_index) for c in captures],
            "records": sorted(
                (r.record_id, r.segment, r.offset, r.length, r.digest)
                for segment in tx.segments.all()
                for r in tx.records.in_segment(segment.name)
            ),
            "segments": sorted((s.name, s.state, s.sha256, s.length) for s in tx.segments.all()),
            "outlets": tx.outlets.all(),
            "seen": sorted((v.article_id, v.version, v.first_seen, v.last_seen, v.log_index) for v in versions),
            "sightings": sorted((v.conversion_id, sorted(tx.articles.sightings(v.row_id or 0))) for v in versions),
            "items": items,
            "entries": [entry.body for entry in tx.log.entries()],
            "fingerprints": tx.fingerprints.count(),
        }


def the_same_is_known(stage: Stage, lose: Callable[[], None]) -> None:
    """Lose the catalog, rebuild, compare."""
    before, articles = known(stage), stage.articles()
    assert min(len(before["items"]), len(before["sightings"]), len(articles)) >= 10
    checkpoint = stage.run("log", "checkpoint").out
    lose()
    said = stage.run("rebuild")
    assert stage.run("log", "checkpoint").out == checkpoint, "nothing is new, so nothing is published anew"
    after = known(stage)
    assert {name for name in before if before[name] != after[name]} == set()
    assert identity(stage.articles()) == identity(articles)
    stage.audit()
    assert "read again" in said.out


def test_a_deleted_sqlite_catalog_is_rebuilt(crawled: Stage) -> None:
    def lose() -> None:
        for path in crawled.archive.glob(f"{SQLITE_FILE}*"):
            path.unlink()

    the_same_is_known(crawled, lose)


@pytest.fixture
def on_services(lantern: PaperServer, postgres_url: str, s3_bucket: Any, tmp_path: Path) -> Stage:
    """An archive of the paper with its catalog in PostgreSQL and its objects in S3."""
    stage = Stage(tmp_path / "archive")
    services = f'[catalog]\nurl = "{postgres_url}"\n\n[objects]\nurl = "{s3_bucket.url}"\n'
    stage.init(lantern.settings, QUICK, services)
    stage.run("outlet", "add", lantern.url, "--name", "The Harbour Lantern")
    stage.run("crawl", "--until-idle")
    return stage


def test_a_dropped_postgresql_schema_is_rebuilt(on_services: Stage) -> None:
    def lose() -> None:
        url = load(on_services.archive, {}).catalog.url.replace("+psycopg", "")
        with contextlib.closing(psycopg.connect(url, autocommit=True)) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")

    the_same_is_known(on_services, lose)


def test_a_rebuilt_archive_goes_on_where_it_stood(watched: Callable[[], Stage], lantern: PaperServer) -> None:
    stage = watched()
    stage.run("crawl", "--until-idle")
    first = stage.articles()
    for path in stage.archive.glob(f"{SQLITE_FILE}*"):
        path.unlink()
    stage.run("rebuild")
    lantern.advance()
    stage.later()
    asked = len(lantern.requests)
    stage.run("crawl", "--until-idle")
    again = [r for r in lantern.requests[asked:] if r.path.startswith("/2025/")]
    assert [r for r in again if r.header("if-none-match")], "validators come back from the captures"
    every = stage.articles()
    assert identity(every[: len(first)]) == identity(first)
    assert max(a["version"] for a in every) == 2
    stage.audit()


def test_what_cannot_be_had_again_is_said(crawled: Stage) -> None:
    """An article that stands in no segment any more: told, and never a reason to stop."""
    (text, *_) = sorted((crawled.archive / "objects" / "text").rglob("*.warc.gz"))
    text.unlink()
    (crawled.archive / SQLITE_FILE).unlink()
    said = crawled.run("rebuild")
    assert "could not be made anew, run `pressmark audit`" in said.err
    assert "speaks of records that are in no segment" in said.err
    ended = crawled.run("audit", "--full", "--json", code=1)
    assert ended.values[-1]["summary"]["missing"] > 0
    assert len(crawled.articles()) >= 10, "the pages were read again"

"""A newspaper from the first look to the second edition, on both kinds of storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from ops.demo.newspaper import MEMBERS
from ops.demo.server import PaperServer
from ops.demo.stories import stories
from schemas.captures import Capture, Ending, Role
from schemas.urls import article_key
from tests.journeys.conftest import QUICK
from tests.journeys.stage import CONTACT, Stage


@pytest.fixture(
    params=[
        pytest.param("embedded", id="sqlite-folder"),
        pytest.param("services", id="postgres-s3", marks=[pytest.mark.postgres, pytest.mark.s3]),
    ]
)
def storage(request: pytest.FixtureRequest) -> str:
    """The settings that say where catalog and objects are."""
    if request.param == "embedded":
        return ""
    catalog, bucket = request.getfixturevalue("postgres_url"), request.getfixturevalue("s3_bucket")
    return f'[catalog]\nurl = "{catalog}"\n\n[objects]\nurl = "{bucket.url}"\n'


def test_a_newspaper_from_the_first_look_to_the_second_edition(
    paper: PaperServer, storage: str, tmp_path: Path
) -> None:
    stage = Stage(tmp_path / "archive")
    stage.init(paper.settings, QUICK, storage)
    added = stage.ask("outlet", "add", paper.url, "--name", "The Harbour Lantern", "--every", "1h")
    assert sorted(s["kind"] for s in added[0]["sources"]) == ["feed"] * 3 + ["sitemap"] * 2

    (report,) = stage.ask("crawl", "--until-idle")
    first = stage.articles()
    the_first_edition_is_kept(stage, paper, report, first)

    paper.advance()
    stage.later()
    asked = len(paper.requests)
    (report,) = stage.ask("crawl", "--until-idle")
    every = stage.articles()
    the_second_edition_is_kept(stage, paper, first, every, asked)

    the_cursor_gives_each_version_once(stage, first, every)
    captures = stage.captures()
    the_moved_page_was_followed_hop_by_hop(captures, paper)
    (moved,) = stage.ask("show", paper.paper.origin + "/news/lighthouse-keeper.html")
    assert moved["title"] == "The last keeper hands over the Merrow light"
    nothing_forbidden_was_asked_for(captures, paper)
    summary = stage.audit()
    assert summary["entries"] >= len(captures) + len(every)
    assert stage.check_segments(tmp_path / "segments") == 5  # outlet; captures and articles of two crawls


def addresses(paper: PaperServer) -> set[str]:
    """Where the articles are that a crawl should have."""
    return {paper.paper.origin + quote(story.path) for story in paper.paper.readable}


def the_first_edition_is_kept(stage: Stage, paper: PaperServer, report: Any, articles: list[Any]) -> None:
    assert {a["canonical_url"] for a in articles} == addresses(paper)
    assert {a["title"] for a in articles} == {story.title for story in paper.paper.readable}
    assert {(a["version"], a["outlet"]["name"]) for a in articles} == {(1, "The Harbour Lantern")}
    assert report["versions"] == len(articles)
    assert stage.coverage("article") == {
        "HTTP 200": len(articles),
        "HTTP 410": 1,
        "HTTP 500": 1,
        "robots-denied": 1,
    }
    assert all(CONTACT in (request.header("user-agent") or "") for request in paper.requests)


def the_second_edition_is_kept(
    stage: Stage, paper: PaperServer, first: list[Any], every: list[Any], asked: int
) -> None:
    corrected = [a for a in every if a["version"] == 2]
    assert [a["title"] for a in corrected] == ["Dredging the inner basin will cost 2.4 million crowns"]
    assert "Correction:" in corrected[0]["paragraphs"][-1]
    (before,) = [a for a in first if a["id"] == corrected[0]["id"]]
    assert before["version"] == 1
    assert "4.2 million" in before["title"]
    later = {paper.paper.origin + story.path for story in stories() if story.fail_status}  # tried again in a while
    assert addresses(paper) - later <= {a["canonical_url"] for a in every}, "the new story, and the moved one"
    diff = stage.run("show", corrected[0]["id"], "--diff").out
    assert "-title: Dredging the inner basin will cost 4.2 million crowns" in diff.splitlines()
    assert "+title: Dredging the inner basin will cost 2.4 million crowns" in diff.splitlines()
    again = paper.requests[asked:]
    assert all(r.header("if-none-match") for r in again if r.path in ("/feeds/news.xml", "/feeds/atom.xml"))
    assert stage.coverage("article")["HTTP 304"] >= 5
    assert [r.target for r in again].count("/robots.txt") == 0, "its rules hold for a day"


def the_cursor_gives_each_version_once(stage: Stage, first: list[Any], every: list[Any]) -> None:
    indices = [a["log_index"] for a in every]
    assert indices == sorted(set(indices))
    assert len({(a["id"], a["version"]) for a in every}) == len(every)
    assert indices[: len(first)] == [a["log_index"] for a in first]
    new = stage.ask("articles", "--after", str(first[-1]["log_index"]))
    assert [a["log_index"] for a in new] == indices[len(first) :]
    assert stage.ask("articles", "--after", str(indices[-1])) == []


def the_moved_page_was_followed_hop_by_hop(captures: list[Capture], paper: PaperServer) -> None:
    old = "/news/lighthouse-keeper.html"
    new = paper.paper.origin + paper.paper.story(old).path
    (hop,) = [c for c in captures if c.status == 301]
    assert (article_key(hop.url), hop.location) == (article_key(paper.paper.origin + old), new)
    (target,) = [c for c in captures if c.via == hop.id]
    assert (target.url, target.status) == (new, 200)
    assert article_key(target.item_url or "") == article_key(hop.url)


def nothing_forbidden_was_asked_for(captures: list[Capture], paper: PaperServer) -> None:
    denied = [c for c in captures if c.ending is Ending.ROBOTS_DENIED]
    assert [c.role for c in denied] == [Role.ARTICLE]
    assert MEMBERS in denied[0].url
    assert not [target for target in paper.asked() if target.startswith(MEMBERS)]
    assert paper.asked()[0] == "/robots.txt"
    assert paper.asked().count("/robots.txt") == 1
    assert paper.server.peak() == 1
    revisits = [c for c in captures if c.status == 304]
    known = {c.id: c for c in captures}
    assert {c.kind for c in revisits} == {"revisit"}
    assert all(known[c.refers_to or ""].status == 200 for c in revisits)

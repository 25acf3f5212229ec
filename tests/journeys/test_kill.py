"""kill -9 in the midst of a crawl: what was acknowledged is there, the rest is fetched as if nothing had happened."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from ops.demo.server import PaperServer
from tests.journeys.stage import Stage

#: Every run kills at the same moments, as far as a moment can be told.
SEED = 20261123
#: Requests of an undisturbed crawl of the first edition, after the outlet was added.
REQUESTS = 19
#: Seconds after a request within which the crawl is killed; behind the last request lie reading, sealing and the log.
SOON, LATE = 0.05, 0.4


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """When to kill: so many seconds after the n-th request."""

    request: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.seconds * 1000:.0f}ms-after-{self.request}"


def moments(count: int) -> list[Moment]:
    """A third of them behind the last request."""
    chance = random.Random(SEED)
    found = []
    for number in range(count):
        last = number % 3 == 2
        request = REQUESTS if last else chance.randint(1, REQUESTS)
        found.append(Moment(request=request, seconds=chance.uniform(0, LATE if last else SOON)))
    return found


def kill_at(stage: Stage, paper: PaperServer, moment: Moment) -> bool:
    """Crawl until the moment, then kill -9; False where the crawl had ended before."""
    before = len(paper.requests)
    with stage.start("crawl", "--until-idle") as process:
        while len(paper.requests) - before < moment.request and process.poll() is None:
            time.sleep(0.001)
        time.sleep(moment.seconds)
        process.kill()
        return process.wait() != 0


def all_is_well(stage: Stage, paper: PaperServer) -> None:
    """Crawl on, and compare with a crawl that nobody disturbed."""
    with_rows = {capture.id for capture in stage.captures()}
    stage.run("crawl", "--until-idle")
    assert with_rows <= {capture.id for capture in stage.captures()}, "an acknowledged capture is lost"
    stage.audit()
    expected = {(paper.paper.origin + quote(story.path), 1) for story in paper.paper.readable}
    found = [(a["canonical_url"], a["version"]) for a in stage.articles()]
    assert (len(found), set(found)) == (len(expected), expected)


@pytest.mark.parametrize("moment", moments(5), ids=str)
def test_a_killed_crawl_goes_on(moment: Moment, watched: Callable[[], Stage], lantern: PaperServer) -> None:
    stage = watched()
    killed = kill_at(stage, lantern, moment)
    assert killed or moment.request == REQUESTS, "only behind the last request may a crawl have ended by itself"
    all_is_well(stage, lantern)
    assert not list((stage.archive / "open").iterdir()), "every segment is sealed and stored"


@pytest.mark.slow
@pytest.mark.parametrize("moment", moments(50)[5:], ids=str)
def test_a_killed_crawl_goes_on_at_many_moments(
    moment: Moment, watched: Callable[[], Stage], lantern: PaperServer
) -> None:
    stage = watched()
    kill_at(stage, lantern, moment)
    all_is_well(stage, lantern)


def test_a_crawl_that_is_killed_over_and_over_comes_to_its_end(
    watched: Callable[[], Stage], lantern: PaperServer
) -> None:
    stage = watched()
    chance = random.Random(SEED)
    for request in (2, 4, 6):
        kill_at(stage, lantern, Moment(request=request, seconds=chance.uniform(0, SOON)))
    all_is_well(stage, lantern)

"""The crawl as its hosts see it: their logs tell whether it was polite."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path

import pytest

from ops.demo.messages import Request, response
from ops.demo.wire import Answer, Exchange, Send
from tests.journeys.conftest import QUICK
from tests.journeys.stage import CONTACT, Stage
from tests.support.newsroom import Newsroom

#: Seconds between two exchanges with a host, as set, and as the second host's robots.txt asks for.
DELAY, SLOWER = 0.2, 0.6
#: Seconds that the busy hosts ask for: more than the back-off after a first failure is.
PAUSE = 8
#: Seconds by which two clocks of one machine may disagree.
GRAIN = 0.005
PLAIN, SLOW, BUSY, BUSY_UNTIL = "plain.example", "slow.example", "busy.example", "busyuntil.example"
HOSTS = (PLAIN, SLOW, BUSY, BUSY_UNTIL)
PAGES = 4


def feed(host: str) -> str:
    items = "".join(
        f"<item><title>Page {n}</title><link>http://{host}/news/page-{n}.html</link></item>" for n in range(PAGES)
    )
    return f'<rss version="2.0"><channel><title>{host}</title>{items}</channel></rss>'


def busy_once(retry_after: str | None) -> Iterator[Answer]:
    """429 to the first request (with a date where no text is given), then the page."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=PAUSE + 1), usegmt=True)  # dates have whole seconds
    head = [("Retry-After", retry_after or date)]
    yield Answer(steps=(Send(data=response(429, headers=head, body=b"later\n")),))
    while True:
        yield Answer(steps=(Send(data=response(200, body=b"<h1>Page</h1>", headers=[("Content-Type", "text/html")])),))


@pytest.fixture
def world() -> Iterator[Newsroom]:
    """Four hosts on one machine: one plain, one slow by its robots.txt, two that once have too much to do."""
    with Newsroom() as room:
        for host in HOSTS:
            rules = "User-agent: *\nDisallow: /private/\n" + f"Crawl-delay: {SLOWER}\n" * (host == SLOW)
            room.page("/robots.txt", rules, host=host, content_type="text/plain")
            room.page("/feed.xml", feed(host), host=host, content_type="application/rss+xml")
            for number in range(PAGES):
                room.page(f"/news/page-{number}.html", f"<h1>Page {number}</h1>", host=host)
        room.redirect("/news/page-2.html", "/news/moved.html", host=PLAIN)
        room.page("/news/moved.html", "<h1>Page 2</h1>", host=PLAIN)
        room.redirect("/news/page-3.html", "/private/page-3.html", host=PLAIN)
        for host, text in ((BUSY, str(PAUSE)), (BUSY_UNTIL, None)):
            answers: list[Iterator[Answer]] = []

            def handler(request: Request, text: str | None = text, answers: list[Iterator[Answer]] = answers) -> Answer:
                if not answers:
                    answers.append(busy_once(text))
                return next(answers[0])

            room.answer("/news/page-1.html", handler, host=host)
        yield room


@pytest.fixture
def logs(world: Newsroom, tmp_path: Path) -> dict[str, list[Exchange]]:
    """What each host saw of a crawl: its exchanges, in order."""
    stage = Stage(tmp_path / "archive")
    crawl = f'[crawl]\nhost_delay = {DELAY}\nallow_addresses = ["127.0.0.1/32"]\nconnect_to = ["{world.connect_to}"]\n'
    outlets = "".join(f'[[outlet]]\nurl = "http://{h}/"\nfeeds = ["http://{h}/feed.xml"]\n' for h in HOSTS)
    stage.init(crawl, QUICK, outlets)
    stage.run("crawl", "--until-idle")
    stage.run("crawl", "--until-idle")  # another process; nothing is due, nothing is asked for again
    stage.audit()
    assert stage.coverage("article") == {"HTTP 200": 13, "HTTP 301": 2, "HTTP 429": 2, "robots-denied": 1}
    return {host: world.exchanges(host=host) for host in HOSTS}


def pauses(log: list[Exchange]) -> list[float]:
    """Seconds from the end of each answer to the request after it."""
    return [after.started - (before.ended or before.started) for before, after in pairwise(log)]


def test_the_logs_of_four_hosts(world: Newsroom, logs: dict[str, list[Exchange]]) -> None:
    for host, log in logs.items():
        targets = [exchange.request.target for exchange in log]
        assert targets[0] == "/robots.txt", f"{host}: the rules come first"
        assert targets.count("/robots.txt") == 1, f"{host}: the rules are asked for once"
        assert not [target for target in targets if target.startswith("/private/")]
        assert all(CONTACT in (exchange.request.header("user-agent") or "") for exchange in log)
        assert world.server.peak(host) == 1, f"{host}: two connections at a time"
        assert min(pauses(log)) >= (SLOWER if host == SLOW else DELAY) - GRAIN, f"{host}: {pauses(log)}"
    for host in (BUSY, BUSY_UNTIL):
        log = logs[host]
        refused = next(n for n, e in enumerate(log) if b" 429 " in bytes(e.sent).partition(b"\r\n")[0])
        assert log[refused + 1].started - (log[refused].ended or 0) >= PAUSE - GRAIN, host
    started = [log[0].started for log in logs.values()]
    assert max(started) < min(log[-1].started for log in logs.values()), "hosts are asked side by side"

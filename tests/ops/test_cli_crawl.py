"""Crawling what is broken, from the command line: told in one line, kept as what it is, and nothing else suffers."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable

import pytest

from ops.demo import faults
from tests.ops.conftest import Pressmark
from tests.support.newsroom import Newsroom, dead_port

WORDS = "The ferry to Skellan left the quay at seven with forty passengers, two bicycles and the morning's bread."


def page(number: int, *, published: str = "2026-11-20T08:00:00+01:00") -> str:
    """An article of three paragraphs, dated as told."""
    data = {"@type": "NewsArticle", "headline": f"Ferry {number} runs again", "datePublished": published}
    paragraphs = "".join(f"<p>{WORDS} That was crossing {number}.{part}.</p>" for part in range(3))
    return (
        f"<html lang='en'><head><title>Ferry {number} runs again</title>"
        f"<script type='application/ld+json'>{json.dumps(data)}</script></head>"
        f"<body><article><h1>Ferry {number} runs again</h1>{paragraphs}</article></body></html>"
    )


def feed(room: Newsroom, *paths: str) -> str:
    """An RSS feed of these pages; its URL."""
    items = "".join(f"<item><title>{path}</title><link>{room.url(path)}</link></item>" for path in paths)
    rss = f'<?xml version="1.0"?><rss version="2.0"><channel><title>The Lantern</title>{items}</channel></rss>'
    room.page("/feed.xml", rss, content_type="application/rss+xml")
    return room.url("/feed.xml")


def watch(archive: Pressmark, room: Newsroom, *paths: str) -> None:
    """Watch an outlet whose feed lists these pages."""
    archive("outlet", "add", room.url("/"), "--name", "The Lantern", "--feed", feed(room, *paths)).done()


def intact(archive: Pressmark) -> None:
    """Nothing is damaged or missing, and no catalog row hangs in the air."""
    summary = archive("audit", "--full", "--json").done().values[-1]["summary"]
    assert (summary["damaged"], summary["missing"]) == (0, 0)
    assert summary["records"] > 0


def coverage(archive: Pressmark, role: str) -> dict[str, int]:
    """How exchanges of a role ended."""
    values = archive("coverage", "--json").done().values
    return next((dict(value["endings"]) for value in values if value["role"] == role), {})


#: Feeds by name: how each is broken, and what is said of it.
BROKEN_FEEDS: dict[str, tuple[Callable[[Newsroom, str], None], str]] = {
    "words": (
        lambda room, path: room.page(path, "out of order", content_type="text/plain"),
        "cannot be read as a feed",
    ),
    "page": (lambda room, path: room.page(path, "<!doctype html><html><p>Sorry</p></html>"), "it is a page"),
    "blank": (lambda room, path: room.page(path, b"", content_type="application/rss+xml"), "empty"),
    "ill": (lambda room, path: room.page(path, "no", status=502), "gave HTTP 502"),
    "gone": (lambda room, path: None, "gave HTTP 404"),
    "cut": (lambda room, path: room.raw(path, faults.missing_terminator(b"<rss>")), "gave a cut-off answer"),
    "silent": (lambda room, path: room.raw(path, faults.silence(b"")), "gave no answer"),
}


def test_broken_feeds_fail_their_polls_and_are_kept(archive: Pressmark, room: Newsroom) -> None:
    room.page("/a.html", page(1))
    urls = [feed(room, "/a.html")]
    for name, (broken, _) in BROKEN_FEEDS.items():
        broken(room, f"/{name}.xml")
        urls.append(room.url(f"/{name}.xml"))
    options = [word for url in urls for word in ("--feed", url)]
    archive("outlet", "add", room.url("/"), "--name", "The Lantern", *options).done()
    ended = archive("crawl", "--until-idle").done()
    assert "Traceback" not in ended.err
    for name, (_, words) in BROKEN_FEEDS.items():
        assert [words in line for line in ended.err.splitlines() if f"/{name}.xml" in line] == [True], ended.err
    polls = archive("outlet", "show", "The Lantern", "--json").done().values[0]["polls"]
    assert [(poll["polls"], poll["failures"]) for poll in polls] == [(1, 0)] + [(1, 1)] * len(BROKEN_FEEDS)
    assert sum(coverage(archive, "feed").values()) == len(urls)
    assert len(archive("articles").done().out.splitlines()) == 1
    intact(archive)


def test_broken_pages_cost_nothing_but_themselves(archive: Pressmark, room: Newsroom) -> None:
    room.page("/good.html", page(1))
    room.page("/empty.html", b"")
    room.page("/blank.html", "<html><body></body></html>")
    room.page("/binary.html", b"\x00\x01\x02" * 1000, content_type="application/pdf")
    room.page("/error.html", "machine is ill", status=500)
    room.page("/busy.html", "later", status=503, headers=[("Retry-After", "7200")])
    room.raw("/cut.html", faults.missing_terminator(page(2).encode()))
    room.raw("/silent.html", b"")
    room.redirect("/loop.html", "/loop.html")
    room.redirect("/away.html", "ftp://lantern.example/")
    names = ["empty", "blank", "binary", "error", "cut", "silent", "loop", "away", "gone", "good", "busy"]
    watch(archive, room, *(f"/{name}.html" for name in names))
    ended = archive("crawl", "--until-idle").done()
    assert "Traceback" not in ended.err
    titles = [value["title"] for value in archive("articles", "--json").done().values]
    assert "Ferry 1 runs again" in titles
    endings = coverage(archive, "article")
    assert sum(endings.values()) >= len(names)
    assert {"HTTP 500", "HTTP 503", "HTTP 404", "HTTP 301"} <= endings.keys()
    (outlet,) = archive("outlet", "list", "--json").done().values
    (status,) = archive("status", "--json").done().values
    assert {"HTTP 200", "cut (disconnect)", "no-response", *endings} <= status["endings"][outlet["id"]].keys()
    assert sum(map(sum, (reasons.values() for reasons in status["endings"].values()))) == status["captures"]
    assert re.search(rf"  {re.escape(outlet['id'])}: .*[0-9]+ HTTP 500", archive("status").done().out)
    intact(archive)


def test_a_dead_host_is_an_attempt(archive: Pressmark) -> None:
    url = f"http://127.0.0.1:{dead_port()}/"
    added = archive("outlet", "add", url).done()
    assert "no answer" in added.err or "robots" in added.err
    ended = archive("crawl", "--until-idle").done()
    assert "captured: nothing" in ended.out
    (status,) = archive("status", "--json").done().values
    assert status["captures"] > 0, "an attempt is kept too"
    assert {reason for reasons in status["endings"].values() for reason in reasons} == {"refused"}
    intact(archive)


def test_a_homepage_that_cannot_be_decoded_is_polled_all_the_same(archive: Pressmark, room: Newsroom) -> None:
    room.page("/", b"\0\1\2", headers=[("Content-Encoding", "zork")])
    added = archive("outlet", "add", room.url("/"), "--json").done()
    assert "cannot be read" in added.err
    assert [source["kind"] for source in added.values[0]["sources"]] == ["home"]
    intact(archive)


def test_an_address_that_is_not_public_is_not_asked(pressmark: Pressmark, room: Newsroom) -> None:
    room.page("/", page(1))
    pressmark("init").done()
    ended = pressmark("outlet", "add", room.url("/")).done()
    assert room.requests == []
    assert "its homepage will be polled" in ended.err
    assert coverage(pressmark, "robots") != {}, "that it was not asked is kept, too"
    other = pressmark.archive.with_name("other")
    pressmark("init", other).done()
    pressmark("outlet", "add", room.url("/"), "-C", other, "--allow-address", "127.0.0.0/8").done()
    assert room.asked() != []


def test_a_public_address_is_not_asked_without_a_contact(pressmark: Pressmark) -> None:
    pressmark("init").done()
    pressmark("outlet", "add", "https://lantern.example/").refused(2, "no contact", "[operator] contact")
    assert pressmark("outlet", "list", "--json").done().values == []


#: What a page says of its date, and what may be made of it: the broken part is never mended, today never taken.
DATES: dict[str, set[str | None]] = {
    "2026-11-20T08:00:00+01:00": {"2026-11-20T08:00:00+01:00"},
    "2026-11-20T08:00:00": {"2026-11-20T08:00:00"},
    "2026-11-20": {"2026-11-20"},
    "2026-11-20T08:00:00+99:00": {None, "2026-11-20", "2026-11-20T08:00:00"},
    "2026-11-20T08:00:00 Nowhere/Land": {None, "2026-11-20", "2026-11-20T08:00:00"},
    "2026-13-45T08:00:00Z": {None},
    "2126-11-20T08:00:00Z": {None},
    "soon": {None},
    "": {None},
}


def test_dates_without_zone_with_a_wrong_one_and_none(archive: Pressmark, room: Newsroom) -> None:
    for number, published in enumerate(DATES):
        room.page(f"/{number}.html", page(number, published=published))
    watch(archive, room, *(f"/{number}.html" for number in range(len(DATES))))
    archive("crawl", "--until-idle").done()
    found = {value["title"]: value["published"] for value in archive("articles", "--json").done().values}
    for number, (published, allowed) in enumerate(DATES.items()):
        assert found[f"Ferry {number} runs again"] in allowed, published
    intact(archive)


def test_a_limit_stops_after_so_many_pages(archive: Pressmark, room: Newsroom) -> None:
    for number in range(5):
        room.page(f"/{number}.html", page(number))
    watch(archive, room, *(f"/{number}.html" for number in range(5)))
    assert archive("crawl", "--until-idle", "--limit", "2", "--json").done().values[0]["captures"]["article"] == 2
    assert archive("crawl", "--until-idle", "--json").done().values[0]["captures"]["article"] == 3
    assert len(archive("articles").done().out.splitlines()) == 5


def test_settings_that_cannot_be_carried_out(
    archive: Pressmark, room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch(archive, room)
    for name, value in (
        ("PRESSMARK_CRAWL__CONNECT_TO", "nonsense"),
        ("PRESSMARK_CRAWL__ALLOW_ADDRESSES", "everywhere"),
        ("PRESSMARK_CRAWL__CA_FILE", str(archive.archive / "none.pem")),
        ("PRESSMARK_CRAWL__CA_FILE", str(archive.archive / "pressmark.toml")),
        ("PRESSMARK_CATALOG__URL", "mysql://host/db"),
        ("PRESSMARK_CATALOG__URL", "nonsense"),
        ("PRESSMARK_OBJECTS__URL", "gopher://host/"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            archive("crawl").refused(2)
    intact(archive)


def test_services_that_do_not_answer(archive: Pressmark, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESSMARK_CATALOG__URL", f"postgresql+psycopg://nobody@127.0.0.1:{dead_port()}/none")
    archive("status").refused(5, "catalog")


def test_a_second_crawler_is_told_of_the_first(archive: Pressmark, room: Newsroom) -> None:
    room.page("/a.html", page(1))
    watch(archive, room, "/a.html")
    with archive.start("run") as service:
        try:
            assert service.stderr is not None
            while "running" not in service.stderr.readline():
                assert service.poll() is None
            for words in ("crawl", "run", "rebuild", "extract --stale"):
                archive(*words.split()).refused(2, f"process {service.pid} crawls")
            archive("articles").done()
        finally:
            service.send_signal(signal.SIGTERM)
            _, err = service.communicate()
    assert (service.returncode, "Traceback" in err) == (0, False)
    assert "everything that was fetched is kept" in err
    archive("crawl", "--until-idle").done()
    assert len(archive("articles").done().out.splitlines()) == 1
    intact(archive)


def test_interrupted_crawls_keep_what_was_fetched(archive: Pressmark, room: Newsroom) -> None:
    for number in range(30):
        room.page(f"/{number}.html", page(number))
    watch(archive, room, *(f"/{number}.html" for number in range(30)))
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)):
        asked = len(room.asked())
        with archive.start("crawl", "--until-idle") as crawl:
            while len(room.asked()) < asked + 3 and crawl.poll() is None:
                time.sleep(0.002)
            crawl.send_signal(number)
            _, err = crawl.communicate()
        assert crawl.returncode in (code, 0), err  # 0: it was done before the signal came
        assert "Traceback" not in err
    archive("crawl", "--until-idle").done()
    assert len(archive("articles").done().out.splitlines()) == 30
    intact(archive)

"""`pressmark run` as an operator sees it: it keeps to its schedule, ends when told, and starts again after anything."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.stage import CONTACT, Stage
from tests.support.newsroom import Newsroom

#: Seconds between two polls of the feed.
EVERY = 2
PARAGRAPHS = (
    "The harbour office counted the boats on number {n} quay on Monday and found one more than there should be.",
    "Nobody could say whose boat number {n} is, and the harbour master has asked that its owner come by and fetch it.",
    "It lies well, the pilots say, and will be given a mooring of its own before the winter if nobody asks for it.",
)


class World:
    """A feed that grows, and its articles."""

    def __init__(self, room: Newsroom) -> None:
        self.room, self.count = room, 0
        room.page("/robots.txt", "User-agent: *\nAllow: /\n", content_type="text/plain")
        self.publish(3)

    def publish(self, count: int = 1) -> None:
        for number in range(self.count, self.count + count):
            text = "".join(f"<p>{paragraph.format(n=number)}</p>" for paragraph in PARAGRAPHS)
            self.room.page(
                f"/news/boat-{number}.html",
                f"<html><head><title>Boat {number} has no owner</title></head><body><article>"
                f"<h1>Boat {number} has no owner</h1>{text}</article></body></html>",
            )
        self.count += count
        items = "".join(
            f"<item><title>Boat {n}</title><link>{self.room.url(f'/news/boat-{n}.html')}</link></item>"
            for n in range(self.count)
        )
        feed = f'<rss version="2.0"><channel><title>Boats</title>{items}</channel></rss>'
        self.room.page("/feed.xml", feed, content_type="application/rss+xml")


@pytest.fixture
def world() -> Iterator[World]:
    """A world with three articles."""
    with Newsroom() as room:
        yield World(room)


@pytest.fixture
def stage(world: World, tmp_path: Path) -> Stage:
    """An archive that watches the world."""
    made = Stage(tmp_path / "archive")
    crawl = '[crawl]\nhost_delay = 0\nallow_addresses = ["127.0.0.1/32"]\n'
    made.init(crawl, "[log]\ncheckpoint_every = 0.2\n" + 'origin = "pressmark.invalid/service"\n')
    made.run("outlet", "add", world.room.url(), "--feed", world.room.url("/feed.xml"), "--every", f"{EVERY}s")
    return made


def read(stage: Stage) -> int:
    """How many articles a reader sees while the service runs."""
    with stage.opened() as archive, archive.catalog.read() as tx:
        return tx.articles.count()


def published(stage: Stage) -> int:
    """How many log entries are published."""
    with stage.opened() as archive, archive.catalog.read() as tx:
        return tx.log.state().size


def ended(process: subprocess.Popen[str], number: int) -> int:
    """Its exit code after a signal."""
    process.send_signal(number)
    return process.wait()


def test_the_service_sees_what_is_published_and_survives_every_end(stage: Stage, world: World) -> None:
    with stage.start("run") as process:
        stage.wait("the first articles", lambda: read(stage) == 3)
        asked = len(world.room.requests)
        stage.wait("a checkpoint", lambda: published(stage) >= 10)
        world.publish()
        stage.wait("the new article", lambda: read(stage) == 4)
        assert [r.target for r in world.room.requests[asked:] if "boat" in r.target] == ["/news/boat-3.html"]
        assert ended(process, signal.SIGTERM) == 0
    assert stage.said().rstrip().endswith("stopped; everything that was fetched is kept")
    assert "Traceback" not in stage.said()
    assert not list((stage.archive / "open").iterdir()), "every segment is sealed and stored"
    stage.audit()

    world.publish()
    with stage.start("run") as process:
        stage.wait("the article of the pause", lambda: read(stage) == 5)
        world.publish()
        stage.wait("the next one", lambda: read(stage) == 6)
        assert ended(process, signal.SIGKILL) == -signal.SIGKILL

    world.publish()
    with stage.start("run") as process:
        stage.wait("the article after the kill", lambda: read(stage) == 7)
        assert ended(process, signal.SIGINT) == 0
    assert "Traceback" not in stage.said()
    assert [a["title"] for a in stage.articles()] == [f"Boat {n} has no owner" for n in range(7)]
    stage.audit()


def test_a_second_crawler_is_told_who_crawls_already(stage: Stage) -> None:
    with stage.start("run") as process:
        stage.wait("the service", lambda: "running" in stage.said())
        refused = stage.run("crawl", code=2)
        assert f"process {process.pid} crawls this archive already" in refused.err
        assert stage.run("status").code == 0, "readers are let in"
        assert ended(process, signal.SIGTERM) == 0


def test_a_service_without_objects_folder_to_write_to_ends_and_says_so(stage: Stage) -> None:
    """The store is gone (a file stands in its place): nothing is lost, and it goes on once it is back."""
    objects = stage.archive / "objects"
    kept = objects.rename(stage.archive / "kept")
    objects.write_text("not a folder")
    with stage.start("run") as process:
        assert process.wait() == 5
    assert stage.said().rstrip().splitlines()[-1].startswith("pressmark: ")
    assert "Traceback" not in stage.said()
    objects.unlink()
    shutil.move(kept, objects)
    stage.run("crawl", "--until-idle")
    assert len(stage.articles()) == 3
    stage.audit()


def test_the_operator_is_named_to_every_host(stage: Stage, world: World) -> None:
    stage.run("crawl", "--until-idle")
    assert {CONTACT in (r.header("user-agent") or "") for r in world.room.requests} == {True}

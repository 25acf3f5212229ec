"""The images of an article, from the page that shows them to what their bytes say: real servers, a real archive."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest.images import READER
from schemas.articles import Extractor
from schemas.captures import Ending, Role
from schemas.digests import Digest
from storage.catalog.values import ImageRow
from storage.fixity import audit
from storage.rebuild import rebuild
from tests.ingest.images.files import agency_photo, picture, saved
from tests.ingest.test_pipeline import HOST, HOUR, Desk, desk, feed, room
from tests.support.archives import page
from tests.support.newsroom import Newsroom

__all__ = ["desk", "room"]  # fixtures

DAY = 24 * HOUR
QUAY, BOAT = agency_photo(1), agency_photo(2)


def story(room: Newsroom, number: int, *photos: str, note: str = "") -> str:
    """Publish an article with photos; its path."""
    figures = "".join(
        f'<figure><img src="{url}" width="800" alt="Scene {n}"><figcaption>Scene number {n}{note} of the day. '
        f'<span class="credit">Foto: Ada Quay/AP</span></figcaption></figure>'
        for n, url in enumerate(photos)
    )
    html = page(number).replace(b"</h1>", b"</h1>" + figures.encode())
    room.page(f"/news/{number}.html", html)
    feed(room, f"/news/{number}.html")
    return f"/news/{number}.html"


def image(room: Newsroom, path: str, body: bytes = QUAY, *, host: str = HOST, etag: str | None = None) -> str:
    room.page(path, body, host=host, content_type="image/jpeg", etag=etag)
    return room.url(path, host=host)


def readings(desk: Desk, number: int = 0) -> list[tuple[int, ImageRow]]:
    """What is known of the images of the newest version."""
    with desk.archive.catalog.read() as tx:
        row = list(tx.articles.search(latest_only=True))[number]
        assert row.row_id is not None
        return tx.images.for_version(row.row_id)


def test_images_are_left_alone_unless_asked_for(desk: Desk, room: Newsroom) -> None:
    story(room, 1, image(room, "/i/quay.jpg"))
    desk.crawl(desk.watch(("feed", "/feed.xml")))
    assert desk.captures(Role.IMAGE) == []
    assert not any(path.startswith("/i/") for path in room.asked())


@pytest.mark.parametrize(("mode", "count"), [("lead", 1), ("all", 2)])
def test_an_image_is_a_capture_and_says_who_made_it(mode: str, count: int, desk: Desk, room: Newsroom) -> None:
    quay, boat = image(room, "/i/quay.jpg"), image(room, "/i/boat.jpg", BOAT, host="cdn.example")
    story(room, 1, quay, boat)
    tally = desk.crawl(desk.watch(("feed", "/feed.xml")), images=mode)
    assert (tally.fetched["image"], tally.images, tally.failed) == (count, count, {})
    captures = desk.captures(Role.IMAGE)
    (page_capture,) = desk.captures(Role.ARTICLE)
    assert [c.url for c in captures] == [quay, boat][:count]
    assert {(c.via, c.outlet_id, c.media_type) for c in captures} == {(page_capture.id, HOST, "image/jpeg")}
    found = readings(desk)
    assert [(position, row.capture_id) for position, row in found] == [(n, c.id) for n, c in enumerate(captures)]
    (first, *_) = found
    assert first[1].payload_digest == captures[0].payload_digest == str(Digest.sha256(QUAY))
    claims = json.loads(first[1].reading)["claims"]
    assert [c["raw"] for c in claims if c["field"] == "copyright"] == [
        "\u00a9 AP, rights of all", "\u00a9 2026 Lantern & Co", "Harbour Photo Desk",
    ]  # fmt: skip
    if mode == "all":
        assert room.asked("cdn.example") == ["/robots.txt", "/i/boat.jpg"], "the other host's rules come first"


def test_images_that_robots_forbid_are_not_fetched(desk: Desk, room: Newsroom) -> None:
    story(room, 1, image(room, "/private/quay.jpg"))
    tally = desk.crawl(desk.watch(("feed", "/feed.xml")), images="all")
    assert tally.attempts == {"robots-denied": 1}
    (denied,) = desk.captures(Role.IMAGE)
    assert (denied.ending, denied.kind) == (Ending.ROBOTS_DENIED, "attempt")


def test_images_at_private_addresses_are_refused(
    desk: Desk, room: Newsroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Newsroom, "connect_to", f"{HOST}:80:127.0.0.1:{room.port}")  # no other name leads here
    story(room, 1, "http://169.254.169.254/latest/meta-data.jpg", "file:///etc/hostname", "http://[::1]/x.jpg")
    desk.crawl(desk.watch(("feed", "/feed.xml")), images="all")
    assert desk.captures(Role.IMAGE) == []
    denied = [c for c in desk.captures(Role.ROBOTS) if c.ending is Ending.ADDRESS_DENIED]
    assert [c.url for c in denied] == ["http://169.254.169.254/robots.txt", "http://[::1]/robots.txt"]


def test_one_photo_in_two_articles_is_fetched_once_and_is_both(desk: Desk, room: Newsroom) -> None:
    quay = image(room, "/i/quay.jpg")
    paths = [story(room, 1, quay), story(room, 2, quay)]
    feed(room, *paths)
    desk.crawl(desk.watch(("feed", "/feed.xml")), images="all")
    assert room.asked().count("/i/quay.jpg") == 1
    with desk.archive.catalog.read() as tx:
        found = tx.images.by_payload(str(Digest.sha256(QUAY)))
        articles = {tx.articles.by_row(m.row_id).url for m in found if m.row_id}  # type: ignore[union-attr]
    assert articles == {room.url(path, host=HOST) for path in paths}
    assert readings(desk, 0)[0][1] == readings(desk, 1)[0][1]


def test_the_same_bytes_elsewhere_are_a_revisit_and_found_by_look(desk: Desk, room: Newsroom) -> None:
    small = saved(picture(1).resize((160, 100)), "PNG")
    one, two = image(room, "/i/quay.jpg"), image(room, "/i/again.jpg")
    story(room, 1, one, two, image(room, "/i/small.png", small), image(room, "/i/boat.jpg", BOAT))
    desk.crawl(desk.watch(("feed", "/feed.xml")), images="all")
    assert [c.kind for c in desk.captures(Role.IMAGE)] == ["response", "revisit", "response", "response"]
    found = readings(desk)
    assert len(found) == 4
    assert found[0][1].phash is not None
    with desk.archive.catalog.read() as tx:
        near = tx.images.near(found[0][1].phash, 4)
    assert [m.image.url.rsplit("/", 1)[1] for m in near] == ["quay.jpg", "again.jpg", "small.png"]


def test_a_new_version_asks_again_only_after_a_while_and_with_validators(desk: Desk, room: Newsroom) -> None:
    quay = image(room, "/i/quay.jpg", etag='"q"')
    outlet = desk.watch(("feed", "/feed.xml"))
    path = story(room, 1, quay)
    for hours, asked in ((0, 1), (2, 1), (30, 2)):
        desk.clock.pass_by(hours * HOUR)
        story(room, 1, quay, note=f" after {hours} hours")
        desk.crawl(outlet, images="all", recheck=(HOUR, 25 * HOUR, 99 * DAY))
        assert room.asked().count("/i/quay.jpg") == asked, hours
        assert len(readings(desk)) == asked
    assert [(c.kind, c.status) for c in desk.captures(Role.IMAGE)] == [("response", 200), ("revisit", 304)]
    assert {row.payload_digest for _, row in readings(desk)} == {str(Digest.sha256(QUAY))}
    assert len([c for c in desk.captures(Role.ARTICLE) if c.url.endswith(path)]) == 3


def test_a_redirected_image_belongs_to_the_address_that_was_asked(desk: Desk, room: Newsroom) -> None:
    image(room, "/i/real.jpg", host="cdn.example")
    room.redirect("/i/quay.jpg", room.url("/i/real.jpg", host="cdn.example"), status=302)
    story(room, 1, room.url("/i/quay.jpg", host=HOST))
    outlet = desk.watch(("feed", "/feed.xml"))
    desk.crawl(outlet, images="lead")
    (found,) = readings(desk)
    assert found[1].url == room.url("/i/quay.jpg", host=HOST)
    desk.clock.pass_by(2 * HOUR)
    desk.crawl(outlet, images="lead")
    assert room.asked("cdn.example").count("/i/real.jpg") == 1, "it is known, and the page did not change"


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"<html>no photo</html>", "not-an-image"), (b"\xff\xd8\xff", "not-an-image")],
)
def test_an_image_that_is_none_is_kept_and_labelled(body: bytes, code: str, desk: Desk, room: Newsroom) -> None:
    story(room, 1, image(room, "/i/quay.jpg", body), image(room, "/i/boat.jpg", BOAT))
    tally = desk.crawl(desk.watch(("feed", "/feed.xml")), images="all")
    assert tally.failed == {f"image-{code}": 1}
    assert [position for position, _ in readings(desk)] == [1], "the next one was read"
    with desk.archive.catalog.read() as tx:
        states = [tx.captures.extraction(c.id) for c in tx.captures.after(0, 99, ["image"])]
    assert [(s.state, s.code) for s in states if s] == [("failed", code), ("done", None)]


def test_an_image_that_is_gone_is_tried_again_with_its_page(desk: Desk, room: Newsroom) -> None:
    story(room, 1, room.url("/i/quay.jpg", host=HOST))
    outlet = desk.watch(("feed", "/feed.xml"))
    desk.crawl(outlet, images="all")
    assert readings(desk) == []
    image(room, "/i/quay.jpg")
    desk.clock.pass_by(2 * HOUR)
    desk.crawl(outlet, images="all")
    assert len(readings(desk)) == 1


def test_a_rebuild_restores_images_from_their_bytes(desk: Desk, room: Newsroom, tmp_path: Path) -> None:
    story(room, 1, image(room, "/i/quay.jpg"), image(room, "/i/boat.jpg", BOAT))
    desk.crawl(desk.watch(("feed", "/feed.xml")), images="all")
    desk.archive.seal()
    before = readings(desk)
    assert len(before) == 2
    desk.archive.close()
    rebuild(desk.archive.settings)
    with type(desk.archive).open(desk.archive.settings) as again:
        other = Desk(again, room, desk.clock)
        assert readings(other) == []
        assert other.with_crawler(lambda crawler: crawler.derive_pending()) == 2
        assert readings(other) == before
        report = audit(again)
        assert (report.damaged, report.missing) == ((), ())


def test_another_reader_stands_beside_the_first(desk: Desk, room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> None:
    story(room, 1, image(room, "/i/quay.jpg"))
    desk.crawl(desk.watch(("feed", "/feed.xml")), images="all")
    (first,) = readings(desk)
    newer = Extractor(**{**READER.to_json(), "version": "9"})
    monkeypatch.setattr("ingest.images.READER", newer)
    with desk.archive.catalog.begin() as tx:
        assert tx.captures.mark_stale(READER.identity, Role.IMAGE) == 0
        assert tx.captures.mark_stale(newer.identity, Role.IMAGE) == 1
    desk.with_crawler(lambda crawler: crawler.derive_pending())
    assert {row.reader for _, row in readings(desk)} == {READER.identity, newer.identity}
    assert first in readings(desk)

"""Images and re-reading from the command line: asked for by a setting, shown with their evidence, made anew."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

import ingest.extract
import ingest.images
from tests.ingest.images.files import agency_photo
from tests.ops.conftest import Pressmark
from tests.ops.test_cli_crawl import intact, page, watch
from tests.schemas.test_articles import misfits
from tests.support.newsroom import Newsroom

SCHEMA = Path(__file__).parents[2] / "schemas" / "json" / "image.schema.json"
FIGURE = (
    '<figure><img src="/i/quay.jpg" width="900" alt="A quay"><figcaption>The quay at noon on Tuesday. '
    '<span class="credit">Foto: Ada Quay/Reuters</span></figcaption></figure>'
)


@pytest.fixture
def pictured(archive: Pressmark, room: Newsroom, monkeypatch: pytest.MonkeyPatch) -> Pressmark:
    """The command on an archive that watches one article with one photo, and may fetch it."""
    room.page("/i/quay.jpg", agency_photo(), content_type="image/jpeg")
    room.page("/1.html", page(1).replace("</h1>", "</h1>" + FIGURE))
    watch(archive, room, "/1.html")
    monkeypatch.setenv("PRESSMARK_CRAWL__IMAGES", "all")
    monkeypatch.setenv("PRESSMARK_EXTRACT__WORKERS", "0")  # so that this process's extractor is the one that reads
    return archive


def test_a_misspelt_mode_is_refused(archive: Pressmark, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESSMARK_CRAWL__IMAGES", "some")
    archive("crawl").refused(2, "PRESSMARK_CRAWL__IMAGES", "none", "lead", "all")


def test_an_image_is_shown_with_its_evidence_also_after_a_rebuild(pictured: Pressmark) -> None:
    (tally,) = pictured("crawl", "--until-idle", "--json").done().values
    assert (tally["captures"]["image"], tally["images"]) == (1, 1)
    (article,) = pictured("articles", "--json").done().values
    (image,) = article["images"]
    assert list(misfits(json.loads(SCHEMA.read_text("utf-8")), image)) == []
    assert (image["position"], image["url"]) == (0, article["photos"][0]["url"])
    shown = pictured("show", article["id"], "--evidence").done().out
    for words in (
        "photos/0/credit", "Ada Quay/Reuters", image["capture"], image["phash"], "xmp/dc:rights/0",
        "\u00a9 2026 Lantern & Co", "iptc/2:116", "\u00a9 AP, rights of all", "exif/0x8298", "Harbour Photo Desk",
    ):  # fmt: skip
        assert words in shown, words
    pictured("rebuild").done()
    assert pictured("articles", "--json").done().values == [article]
    assert pictured("show", article["id"], "--evidence").done().out == shown
    intact(pictured)


def test_what_an_older_extractor_made_stays_beside_what_todays_makes(
    pictured: Pressmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as yesterday:
        yesterday.setattr(ingest.extract, "EXTRACTOR", replace(ingest.extract.EXTRACTOR, version="0"))
        yesterday.setattr(ingest.images, "READER", replace(ingest.images.READER, version="0"))
        pictured("crawl", "--until-idle").done()
    (old,) = pictured("articles", "--json").done().values
    assert pictured("extract", "--stale", "--json").done().values == [{"stale": 2, "read": 2}]
    assert pictured("extract", "--stale", "--json").done().values == [{"stale": 0, "read": 0}]
    (new,) = pictured("articles", "--json").done().values
    assert (old["extractor"]["version"], new["extractor"]["version"]) == ("0", ingest.extract.EXTRACTOR.version)
    assert [new[name] for name in ("id", "version", "paragraphs", "capture")] == [
        old[name] for name in ("id", "version", "paragraphs", "capture")
    ], "a derivation, not a version"
    assert {image["reader"]["version"] for image in new["images"]} == {"0", ingest.images.READER.version}
    both = pictured("show", old["id"], "--versions", "--json").done().values
    assert [value["log_index"] for value in both] == [old["log_index"], new["log_index"]]
    lines = pictured("show", old["id"], "--versions").done().out.splitlines()
    by = [f"  by pressmark {value['extractor']['version']} (" for value in both]
    assert [words in line for words, line in zip(by, lines, strict=True)] == [True, True]
    intact(pictured)
    pictured("rebuild").done()
    again = pictured("show", old["id"], "--versions", "--json").done().values
    assert [value["log_index"] for value in again] == [value["log_index"] for value in both]
    intact(pictured)


def test_rederiving_reads_images_again_and_tells_what_differs(
    pictured: Pressmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictured("crawl", "--until-idle").done()
    assert "1 images were read alike again" in pictured("audit", "--rederive").done().err
    with sqlite3.connect(pictured.archive / "catalog.sqlite") as raw:
        assert raw.execute("UPDATE images SET reading = replace(reading, '\"raw\":\"', '\"raw\":\"x')").rowcount == 1
    raw.close()
    pictured("audit", "--full").done()  # it still reads as a reading
    ended = pictured("audit", "--rederive")
    assert ended.code == 1
    assert "reading its bytes again gives another reading" in ended.out
    monkeypatch.setattr(ingest.images, "READER", replace(ingest.images.READER, version="999"))
    assert "1 images need reader" in pictured("audit", "--rederive").done().err

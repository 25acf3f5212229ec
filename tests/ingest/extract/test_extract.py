"""The article of a page: what is found, where, and that nothing else is."""

from __future__ import annotations

import locale
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.extract import EXTRACTOR, extract
from schemas.articles import Article, OutletRef, read_span
from schemas.errors import ExtractionError
from tests.ingest.extract.pages import ARTICLE, CAPTURED, FUSED, TEXT, URL


def article(page: str | bytes = ARTICLE, **changes: object) -> Article:
    body = page.encode() if isinstance(page, str) else page
    given = {"body": body, "url": URL, "captured": CAPTURED, "content_type": "text/html", **changes}
    return extract(**given)  # type: ignore[arg-type]


def attempt(page: str | bytes) -> Article | None:
    """The article, or None where the page gave a labelled error; what is labelled `broken` is a fault of ours."""
    try:
        return article(page)
    except ExtractionError as error:
        code = error.code
    assert code != "broken"
    return None


def test_paragraphs_are_the_pages_own() -> None:
    assert list(article().paragraphs) == TEXT


def test_metadata() -> None:
    found = article()
    assert found.title == "Harbour talks open with a long list"
    assert found.standfirst == TEXT[0]
    assert found.authors == ("Ada Quay", "Bo Mole")
    assert (found.published, found.modified) == ("2026-02-24T09:15:00+01:00", "2026-02-24T11:00:00+01:00")
    assert (found.language, found.section, found.tags) == ("en-GB", "World", ("harbours", "treaties"))
    assert (found.kind, found.access, found.wall) == ("article", "free", None)
    assert found.canonical_url == "https://www.lantern.example/world/harbour-talks"
    assert found.outlet == OutletRef(id="lantern.example", name="The Lantern", domain="lantern.example")
    assert found.rights.robots is not None
    assert found.rights.robots.value == "noai, noimageai"
    assert found.extractor == EXTRACTOR


def test_photo_with_caption_and_credit() -> None:
    (photo,) = article().photos
    assert photo.url == "https://www.lantern.example/i/quay-1600.jpg"
    assert (photo.caption, photo.alt, photo.credit) == ("Delegates on the quay.", "A quay", "AP Photo/Kostas Liber")
    assert (photo.photographers, photo.agencies) == (("Kostas Liber",), ("AP",))


def test_structure_behind_the_fused_text() -> None:
    found = article(FUSED)
    assert found.published == "2022-09-13T14:02:00Z"
    assert len(found.paragraphs) == 4
    assert found.paragraphs[0].endswith("has claimed")
    assert found.paragraphs[1].startswith("Every second boat")
    assert [(p.credit, p.photographers, p.agencies) for p in found.photos] == [
        ("AP Photo/Kostas Liber", ("Kostas Liber",), ("AP",))
    ]
    assert found.photos[0].caption == "Pilots at work off the eastern coast."
    assert "Photo" not in found.text


def test_every_span_reads_back_to_its_raw_string() -> None:
    for page in (ARTICLE, FUSED, ARTICLE.replace("\n", "\r\n")):
        body = page.encode()
        found = article(body)
        spans = 0
        for name, evidence in found.evidence.items():
            if evidence.span is not None:
                raw = evidence.raw if evidence.raw is not None else value_of(found, name)
                assert read_span(body, evidence.span) == raw, name
                spans += 1
        assert spans >= len(found.paragraphs)


def value_of(found: Article, name: str) -> str | None:
    kind, _, number = name.partition("/")
    if kind == "paragraphs":
        return found.paragraphs[int(number)]
    value = getattr(found, kind)
    assert value is None or isinstance(value, str)
    return value


def test_every_paragraph_and_credit_has_its_place() -> None:
    evidence = article().evidence
    for number in range(len(TEXT)):
        assert evidence[f"paragraphs/{number}"].span is not None
    assert evidence["photos/0/credit"].raw == "\u00a9 AP Photo/Kostas Liber"
    assert evidence["photos/0/credit"].span is not None
    assert evidence["published"].source == "jsonld"
    assert evidence["published"].span is not None


def test_the_given_outlet_stands() -> None:
    outlet = OutletRef(id="lantern", name="The Lantern of Port", domain="lantern.example")
    found = article(outlet=outlet)
    assert found.outlet == outlet
    assert found.id != article().id


def test_identity_holds_over_variants_of_the_address() -> None:
    assert article(url="https://www.lantern.example/world/harbour-talks#top").id == article().id


def test_canonical_address_of_another_site_is_not_honoured() -> None:
    page = ARTICLE.replace("https://www.lantern.example/world/harbour-talks", "https://evil.example/other")
    assert article(page).canonical_url == URL


def test_dates_after_the_capture_are_refused() -> None:
    found = article(captured=CAPTURED - timedelta(days=365))
    assert found.published is None
    assert found.modified is None


def test_headers_outrank_the_page_for_rights() -> None:
    found = article(headers=[("X-Robots-Tag", "noarchive"), ("TDM-Reservation", "1")])
    assert found.rights.robots is not None
    assert (found.rights.robots.value, found.rights.robots.source) == ("noarchive", "http:x-robots-tag")
    assert found.rights.tdm_reservation is not None


def test_a_block_comes_back_from_canonical_json() -> None:
    found = article()
    assert Article.from_block(found.block()) == replace(found, version=0)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty"),
        (b" \n\t ", "empty"),
        (bytes(range(256)) * 40, "binary"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(400), "binary"),
        (b"<div>" * 5000 + b"deep", "too-deep"),
        (b"<p>" + b"x" * (25 * 1024 * 1024), "too-large"),
        (b"<i></i>" * 500_000, "too-large"),
    ],
)
def test_hostile_bodies_give_a_labelled_error(body: bytes, code: str) -> None:
    with pytest.raises(ExtractionError) as caught:
        article(body)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"just some words without any tag",
        b"<html></html>",
        b"<html><body><p>" + b"word " * 100_000,
        b"<script type='application/ld+json'>{</script><p>x</p>",
        b"<script type='application/ld+json'>" + b"[" * 50_000 + b"</script><p>x</p>",
        b'<script type=\'application/ld+json\'>{"@type":"NewsArticle","author":{"@id":5},"image":3}</script>',
        b"<title>" + "\u202e\u0000\ud7ff".encode("utf-8", "ignore") + b"</title>",
        b"<img srcset=',,, ,'><figure><figcaption></figcaption></figure>",
        b"<a href='http://[::1'><img src='http://[bad'></a><link rel=canonical href='http://['>",
        b"<meta charset=utf-7><p>+ADw-script+AD4-</p>\xff",
        b"<p>" + b"<br>" * 20_000 + b"</p>",
        b"<figure>" + b"<figcaption>a (b" * 200 + b"</figure>",
        ("<meta property='article:published_time' content='" + "9" * 5000 + "'><p>x").encode(),
        b"<time datetime='2026-99-99T99:99:99+99:99'>99.99.9999</time>",
    ],
)
def test_odd_bodies_give_an_article_or_a_labelled_error(body: bytes) -> None:
    found = attempt(body)
    assert found is None or Article.from_block(found.block()).id == found.id


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, len(ARTICLE)), st.binary(max_size=8)), max_size=12))
def test_damaged_pages_never_raise_anything_else(edits: list[tuple[int, bytes]]) -> None:
    body = bytearray(ARTICLE.encode())
    for at, data in edits:
        body[at : at + len(data)] = data
    found = attempt(bytes(body))
    assert found is None or Article.from_block(found.block()).paragraphs == found.paragraphs


SOUP = """
<p> </p> <div class='comments'> </div> <h1> </h1> <figure> <figcaption> </figure> <img src='/a.jpg'> <li> <ul> </ul>
<br> <table> <tr> <td> </table> <aside> </aside> <script> </script> <time datetime='2026-01-01'> <a href='x'> </a>
<!-- --> &amp; &#x0; &bogus; <meta name='author' content='A B'> <article> </article> words Foto:
"""
FRAGMENTS = st.sampled_from(SOUP.split())


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(FRAGMENTS, max_size=60).map(" ".join))
def test_tag_soup_never_raises_anything_else(soup: str) -> None:
    found = attempt(soup)
    assert found is None or Article.from_block(found.block()).paragraphs == found.paragraphs


def test_same_bytes_same_article_whatever_the_process() -> None:
    """Other hash seeds, locales and time zones: the same block, byte for byte."""
    program = (
        "import sys, hashlib; from ingest.extract import extract; from tests.ingest.extract.pages import *;"
        "a = extract(body=ARTICLE.encode(), url=URL, captured=CAPTURED, content_type=None);"
        "print(hashlib.sha256(a.block()).hexdigest())"
    )
    digests = set()
    for seed, zone in (("0", "UTC"), ("1", "Asia/Tokyo"), ("2", "America/Lima")):
        env = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C.UTF-8" if seed == "1" else "C"}
        done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
        digests.add(done.stdout.strip())
    assert len(digests) == 1
    assert locale.getlocale() is not None


def test_order_does_not_matter() -> None:
    first = article().block()
    article(FUSED)
    article("<p>Other words, quite a few of them, to leave something behind.</p>")
    assert article().block() == first

"""Trace: a mangled fragment leads to its capture, what is not there is not found, claims are held against the page."""

from __future__ import annotations

import html
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.trace import MATCH_RUN, SHORTEST, Claim, claims, diff, trace
from ingest.trace import search as tracing
from schemas.articles import OutletRef, Photo
from schemas.captures import Capture
from storage.archive import Archive
from storage.catalog.values import VersionRow
from storage.fingerprints import STALE, letters
from tests.support.archives import ARTICLE, START, add_outlet, exchange, page, read_article, settings

DAY = timedelta(days=1)
PHOTO = Photo(
    url=None, caption="The quay.", alt=None, credit="AP Photo/Ada Vale", photographers=("Ada Vale",), agencies=("AP",)
)


@pytest.fixture(params=["folder", pytest.param("services", marks=[pytest.mark.postgres, pytest.mark.s3])])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    given = settings(tmp_path)
    if request.param == "services":
        catalog = request.getfixturevalue("postgres_url")
        given = settings(tmp_path, catalog=catalog, objects=request.getfixturevalue("s3_bucket").url)
    with Archive.create(given) as made:
        stock(made, 3)
        yield made


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """An archive that tests only read."""
    with Archive.create(settings(tmp_path_factory.mktemp("library"))) as made:
        stock(made, 8)
        yield made


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Archive]:
    with Archive.create(settings(tmp_path)) as made:
        stock(made, 3)
        yield made


def prose(seed: int, *, changed: str = "") -> tuple[str, ...]:
    """Three paragraphs of words of no language; no two seeds share a run of letters worth the name."""
    source = random.Random(seed)
    words = ["".join(source.choices("abcdefghijklmnoprstuvwyz", k=source.randint(2, 9))) for _ in range(120)]
    paragraphs = [" ".join(words[at : at + 40]).capitalize() + "." for at in (0, 40, 80)]
    paragraphs[1] = paragraphs[1].replace(" ", f", {changed}", 1)
    return tuple(paragraphs)


def stock(archive: Archive, count: int) -> None:
    """Watch the Lantern; keep articles /0, /1, ... of it."""
    add_outlet(archive)
    for number in range(count):
        keep(archive, f"/{number}", page(number), paragraphs=prose(number))


def keep(archive: Archive, path: str, body: bytes, *, days: int = 0, **changes: Any) -> Capture:
    (capture,) = archive.deposit([(exchange(path, body, at=START + days * DAY), ARTICLE)])
    archive.deposit_article(replace(read_article(archive, capture), **changes), capture)
    return capture


def version_of(archive: Archive, path: str) -> VersionRow:
    with archive.catalog.read() as tx:
        row = tx.articles.by_url(f"https://lantern.example{path}")
    assert row is not None
    return row


# -- matches ---------------------------------------------------------------------------------------------------------


def test_a_mangled_fragment_leads_to_its_capture(archive: Archive) -> None:
    row = version_of(archive, "/1")
    text = row.text
    mangled = html.escape(text.upper().replace("\n\n", "").replace(" ", "  ")).replace(",", " ,\n")
    result = trace(archive, mangled)
    (match,) = result.matches
    assert (match.version.article_id, match.version.capture_id, match.outlet) == (
        row.article_id, row.capture_id, "The Lantern"
    )  # fmt: skip
    assert match.covered == result.covered == 1.0
    assert result.note is None


def test_what_was_never_archived_is_not_found(archive: Archive) -> None:
    result = trace(archive, "Nobody ever wrote a word of this, and nobody who did would say so in such a way. " * 3)
    assert result.matches == ()
    assert result.covered == 0.0
    assert f"{MATCH_RUN} letters" in (result.note or "")
    assert trace(archive, "").matches == trace(archive, "a – b").matches == ()
    assert f"at least {SHORTEST}" in (trace(archive, "Monday").note or "")


MANGLES: list[Callable[[str], str]] = [
    str.upper, str.lower, lambda text: text.replace(" ", ""), lambda text: text.replace(" ", " \n\t"),
    lambda text: text.replace(",", ""), lambda text: "«" + text + "»…", lambda text: text.replace("e", "é"),
    lambda text: text.replace("'", "&#39;").replace(" ", "&nbsp;"),
]  # fmt: skip


@given(number=st.integers(0, 7), start=st.integers(0, 10_000), length=st.integers(110, 400),
       mangles=st.lists(st.sampled_from(MANGLES), max_size=4))  # fmt: skip
def test_any_part_of_any_article_is_found(
    library: Archive, number: int, start: int, length: int, mangles: list[Callable[[str], str]]
) -> None:
    row = version_of(library, f"/{number}")
    text = row.text
    start = min(start, len(text) - length)
    fragment = text[start : start + length]
    for mangle in mangles:
        fragment = mangle(fragment)
    best = trace(library, fragment).matches[0]
    assert best.version.article_id == row.article_id
    assert best.covered == 1.0


def test_spans_say_which_characters_are_which(library: Archive) -> None:
    text = version_of(library, "/2").text
    fragment = f"Somebody wrote: “{text[40:200].upper()}” and then &quot;{html.escape(text[300:420])}&quot; (sic)"
    (match,) = trace(library, fragment).matches
    assert len(match.spans) == 2
    for span in match.spans:
        assert letters(fragment[span.start : span.end]) == letters(text[span.text_start : span.text_end])
    assert [(span.text_start, span.text_end) for span in match.spans] == [(40, 200), (300, 420)]
    assert 0.8 < match.covered < 1.0


def test_a_character_reference_without_its_end_moves_no_span(small: Archive) -> None:
    keep(small, "/odd", page(5), paragraphs=("A&copy 2026, &notit; AT&ampT.", *prose(5)))
    text = version_of(small, "/odd").text
    assert "&copy" in text
    (match,) = trace(small, text).matches
    assert match.covered == 1.0
    (span,) = match.spans
    assert text[span.text_start : span.text_end] == text[span.start : span.end]
    assert letters(text[span.start : span.end]) == letters(text)


#: What an article may have in brackets, or look as if it had.
BRACKETED = (
    "<the man who stood at the corner of the quay when the boats came in>", "‹eine Stimme aus dem Rathaus von gestern›",
    "«la voix du port»", "a < b and c > d", "<title>The Harbour Lantern of yesterday evening</title>",
    "<!-- left out by the desk -->",
    '<a href="https://lantern.example/quay">the quay</a>', "&lt;b&gt;", "&amp;", "<3",
)  # fmt: skip


@pytest.fixture(scope="module")
def bracketed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """An archive of articles with much in brackets, among some without."""
    with Archive.create(settings(tmp_path_factory.mktemp("bracketed"))) as made:
        stock(made, 2)
        for number in range(4):
            source, words = random.Random(number), " ".join(prose(50 + number)).split()
            for at in range(4, len(words), 9):
                words.insert(at, source.choice(BRACKETED))
            text = (" ".join(words[:60]), " ".join(words[60:]))
            keep(made, f"/odd{number}", page(50 + number), paragraphs=text)
        yield made


@given(number=st.integers(0, 3), start=st.integers(0, 3000), length=st.integers(150, 600))
def test_any_part_of_a_text_with_brackets_is_found(bracketed: Archive, number: int, start: int, length: int) -> None:
    """Cut through what looks like a tag, too: as archived it is text."""
    row = version_of(bracketed, f"/odd{number}")
    text = row.text
    start = min(start, len(text) - length)
    fragment = text[start : start + length]
    best = trace(bracketed, fragment).matches[0]
    assert best.version.article_id == row.article_id
    least = len(letters(fragment)) - 6  # of an entity that was cut through
    assert sum(len(letters(fragment[span.start : span.end])) for span in best.spans) >= least


def test_a_fragment_that_lies_within_brackets_is_found(small: Archive) -> None:
    inside = " ".join(prose(9)[0].split()[:20])
    keep(small, "/inside", page(9), paragraphs=(f"He called them <{inside}> and left.", prose(9)[1]))
    for fragment in (inside, f"<{inside}>", f"them <{inside}> and"):
        (match,) = trace(small, fragment).matches
        assert match.version.url.endswith("/inside")
        (span,) = match.spans
        assert letters(fragment[span.start : span.end]) == letters(fragment)


def test_an_index_that_is_being_made_anew_says_so(small: Archive) -> None:
    text = version_of(small, "/1").text
    with small.catalog.begin() as tx:
        tx.meta.set(STALE, "1")
    assert trace(small, text).note is None  # all of it was found
    nowhere = "Nobody ever wrote a word of this. " * 5
    for fragment in (text + nowhere, nowhere):
        assert "not complete" in (trace(small, fragment).note or "")
    with small.catalog.begin() as tx:
        tx.meta.set(STALE, "")
    assert "not complete" not in (trace(small, nowhere).note or "")


def test_tags_that_a_scraper_left_are_no_letters(small: Archive) -> None:
    """They stand within words and between them, with attributes and without; spans are still those of the fragment."""
    row = version_of(small, "/1")
    text = row.text[:300]
    fragment = '<p class="lead">' + text.replace(" ", " <b>", 3).replace("e", "e<wbr>", 9) + "</b></b></b></p>"
    (match,) = trace(small, fragment).matches
    assert (match.version.article_id, match.covered, match.kind) == (row.article_id, 1.0, "exact")
    (span,) = match.spans
    assert fragment[span.start : span.end].startswith(text.split()[0])
    assert diff(fragment, row.text, match) == ""


def test_a_character_of_several_letters_may_be_shared_in_part(small: Archive) -> None:
    """A fragment that begins or ends within a ligature, as its letters have it."""
    article = tuple(paragraph.replace("a", "\ufb03").replace("e", "\u00e6") for paragraph in prose(4))
    keep(small, "/ligatures", page(4), paragraphs=article)
    text = version_of(small, "/ligatures").text
    whole = letters(text)
    for start in range(0, len(whole) - 150, 7):
        fragment = whole[start : start + 150]
        (match,) = trace(small, fragment).matches
        assert match.covered == 1.0
        parts = [part for span in match.spans for part in span.parts]
        assert (parts[0].start, parts[-1].end) == (0, 150)
        assert all(before.end == part.start for before, part in pairwise(parts))
        for part in parts:
            held = letters(article[part.paragraph][part.paragraph_start : part.paragraph_end])
            assert fragment[part.start : part.end] in held


def test_the_best_comes_first_and_the_earliest_among_equals(small: Archive) -> None:
    keep(small, "/later", page(1), days=2, paragraphs=prose(1))
    copy = OutletRef(id="other.example", name="The Copyist", domain="other.example")
    keep(small, "/copied", page(1), days=1, outlet=copy, id="a" * 25, paragraphs=prose(1))
    keep(small, "/partly", page(1), days=3, paragraphs=prose(1, changed="wet and glad "))
    result = trace(small, version_of(small, "/1").text)
    assert [match.version.url.rpartition("/")[2] for match in result.matches] == ["1", "copied", "later", "partly"]
    assert [match.covered for match in result.matches] == [1.0] * 4
    assert [len(match.spans) for match in result.matches] == [1, 1, 1, 2]
    assert result.matches[1].outlet == "other.example"  # an outlet that is not watched has no name here
    assert len(trace(small, version_of(small, "/1").text, limit=2).matches) == 2


def test_versions_of_an_article_are_told_apart(small: Archive) -> None:
    before = version_of(small, "/1").text
    keep(small, "/1", page(1), days=1, paragraphs=prose(1, changed="wet and glad "))
    after = version_of(small, "/1").text
    assert before != after
    assert [match.version.version for match in trace(small, before).matches] == [1, 2]
    assert [match.version.version for match in trace(small, after).matches] == [2, 1]


def test_a_version_that_lost_words_is_told_from_the_one_that_had_them(small: Archive) -> None:
    keep(small, "/cut", page(9), paragraphs=prose(9, changed="wet and glad "))
    keep(small, "/cut", page(9), days=1, paragraphs=prose(9))
    matches = trace(small, "\n\n".join(prose(9))).matches
    assert [match.version.version for match in matches] == [2, 1]
    assert [match.covered for match in matches] == [1.0, 1.0]


def test_two_articles_in_one_fragment_are_both_found(small: Archive) -> None:
    fragment = version_of(small, "/0").text[:200] + " " + version_of(small, "/2").text[:300]
    found = {match.version.url: match.covered for match in trace(small, fragment).matches}
    assert found.keys() == {"https://lantern.example/0", "https://lantern.example/2"}
    assert sum(found.values()) == pytest.approx(1.0, abs=0.05)


def test_a_phrase_in_common_is_no_match(small: Archive) -> None:
    text = letters(version_of(small, "/1").text)
    for start in range(0, len(text) - MATCH_RUN, 7):  # some of them share a fingerprint
        fragment = "0" * 60 + text[start : start + MATCH_RUN - 1] + "0" * 60
        assert trace(small, fragment).matches == ()


def test_a_short_fragment_must_stand_there_whole(small: Archive) -> None:
    text = letters(version_of(small, "/1").text)
    found = []
    for start in range(0, len(text) - 30, 5):
        found.extend(trace(small, text[start : start + 30]).matches)
        assert trace(small, text[start : start + 27] + "000").matches == ()
    assert found  # those that hold a fingerprint; no more is promised below 80 letters
    assert all(match.covered == 1.0 and match.version.url.endswith("/1") for match in found)


def test_a_long_fragment_is_cut_and_says_so(library: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "MAX_FRAGMENT", 150)
    result = trace(library, version_of(library, "/3").text)
    assert "only the first 150 characters" in (result.note or "")
    assert result.covered == 1.0


def test_the_result_as_json(library: Archive) -> None:
    row = version_of(library, "/3")
    value = json.loads(json.dumps(trace(library, row.text[10:300] + "\n© AP Photo/Ada Vale").to_json()))
    assert value.keys() == {"id", "covered", "matches", "clusters", "uncovered", "claims", "note"}
    (match,) = value["matches"]
    assert match.keys() == {
        "article", "version", "capture", "log_index", "url", "outlet", "published", "captured", "covered", "kind",
        "longest_run", "spans", "parts",
    }  # fmt: skip
    assert (match["article"], match["capture"], match["url"]) == (row.article_id, row.capture_id, row.url)
    assert match["captured"] == "2026-11-01T12:00:00Z"
    assert match["spans"] == [[0, 290, 10, 300]]
    assert value["claims"] == [{"kind": "credit", "value": "© AP Photo/Ada Vale", "verdict": "unknown"}]


# -- claims ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def dated(small: Archive) -> VersionRow:
    keep(
        small, "/dated", page(6), paragraphs=prose(6), photos=(PHOTO,), authors=("Ada Vale", "Bo Li"),
        published="2026-10-31T23:30:00+02:00", modified="2026-11-02",
    )  # fmt: skip
    return version_of(small, "/dated")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-10-31 text", [("date", "2026-10-31", "agrees")]),
        ("text 2026-11-02T09:00:00Z", [("date", "2026-11-02T09:00:00Z", "agrees")]),
        ("2025-10-31", [("date", "2025-10-31", "differs")]),
        ("© AP Photo/Ada Vale", [("credit", "© AP Photo/Ada Vale", "agrees")]),
        ("Photo: ADA VALE / AP", [("credit", "Photo: ADA VALE / AP", "agrees")]),
        ("Photo: AP", [("credit", "Photo: AP", "agrees")]),
        ("© Reuters/Ada Vale", [("credit", "© Reuters/Ada Vale", "agrees")]),
        ("© AP Photo/Bo Li", [("credit", "© AP Photo/Bo Li", "differs")]),
        ("Photo: Reuters", [("credit", "Photo: Reuters", "differs")]),
        ("© Anil Kapoor", [("credit", "© Anil Kapoor", "differs")]),  # has the letters of AP, and is not AP
        ("Ada Vale, AP Photo", [("credit", "Ada Vale, AP Photo", "agrees")]),
        ("AP Photo/Ada Vale\nBo Li/AP Photo", [
            ("credit", "AP Photo/Ada Vale", "agrees"), ("credit", "Bo Li/AP Photo", "differs"),
        ]),
        ("© Ada Vale/AP Photo", [("credit", "© Ada Vale/AP Photo", "agrees")]),  # one credit, for all its two marks
        ("By Bo Li\ntext", [("byline", "Bo Li", "agrees")]),
        ("Von ADA VALE", [("byline", "ADA VALE", "agrees")]),
        ("By Ada Vale and Bo Li", [("byline", "Ada Vale and Bo Li", "agrees")]),
        ("By Cy Doe", [("byline", "Cy Doe", "differs")]),
        ("at https://lantern.example/dated?ocid=x.", [("url", "https://lantern.example/dated?ocid=x", "agrees")]),
        ("(https://lantern.example/dated)", [("url", "https://lantern.example/dated", "agrees")]),
        ("https://elsewhere.example/dated", [("url", "https://elsewhere.example/dated", "differs")]),
        ("https://[nonsense", [("url", "https://[nonsense", "differs")]),
        ("nothing of the kind", []),
    ],
)  # fmt: skip
def test_claims_are_held_against_the_page(
    dated: VersionRow, text: str, expected: list[tuple[str, str, str]]
) -> None:
    assert [(claim.kind, claim.value, claim.verdict) for claim in claims(text, dated)] == expected
    assert all(claim.verdict == "unknown" for claim in claims(text, None))


@pytest.mark.parametrize("header", ["date 2026-10-31 AP Photo/Ada Vale", "2026-10-31© Ada Vale/AP"])
def test_a_header_fused_to_the_text_is_read_as_far_as_it_goes(small: Archive, dated: VersionRow, header: str) -> None:
    text = dated.text
    found = trace(small, header + text.upper().replace(" ", ""))
    assert [(c.kind, c.verdict) for c in found.claims] == [("date", "agrees"), ("credit", "agrees")]


def test_what_a_page_does_not_say_is_unknown(small: Archive) -> None:
    row = version_of(small, "/0")
    text = "2026-10-31 © AP Photo/Ada Vale\nBy Ada Vale\nhttps://lantern.example/0"
    assert [(c.kind, c.verdict) for c in claims(text, row)] == [
        ("date", "unknown"), ("credit", "unknown"), ("byline", "unknown"), ("url", "agrees")
    ]  # fmt: skip


def test_a_page_without_words_in_its_credit_agrees_with_nothing(small: Archive) -> None:
    keep(small, "/bare", page(7), photos=(replace(PHOTO, credit="©", photographers=(), agencies=()),))
    assert [c.verdict for c in claims("© AP Photo/Ada Vale", version_of(small, "/bare"))] == ["differs"]


def test_claims_are_looked_for_at_head_and_foot_and_told_once(dated: VersionRow) -> None:
    filler = " ".join(random.Random(1).choices(["amber", "birch", "cinder"], k=400))
    text = f"2026-10-31\n{filler}\n2020-01-01\n{filler}\n2026-10-31\nBy Bo Li"
    assert claims(text, dated) == [
        Claim(kind="date", value="2026-10-31", verdict="agrees"), Claim(kind="byline", value="Bo Li", verdict="agrees")
    ]  # fmt: skip


def test_a_scraped_text_with_everything_mashed_together(small: Archive, dated: VersionRow) -> None:
    """As scrapers leave them: date and credit before the text, paragraphs fused, quotes straightened."""
    text = dated.text.replace("\n\n", "").replace("’", "'")
    result = trace(small, f" date 2026-10-31 © AP Photo/Ada Vale\n\n\n\n{text}")
    assert result.matches[0].version.article_id == dated.article_id
    assert result.covered > 0.9
    assert [(c.kind, c.value, c.verdict) for c in result.claims] == [
        ("date", "2026-10-31", "agrees"), ("credit", "© AP Photo/Ada Vale", "agrees")
    ]  # fmt: skip

"""Spans: the first place where a string is shown, whatever stands around it or within it."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.extract import spans
from ingest.extract.spans import Finder, _Brackets
from schemas.articles import read_span

SENTENCE = "The harbour talks opened on Tuesday with delegates from nine ports and a long list of grievances."


def found(body: str, raw: str = SENTENCE) -> bytes | None:
    data = body.encode()
    span = Finder(data, body, "utf-8").find(raw, via="html")
    if span is None:
        return None
    assert read_span(data, span) == raw
    return data[span.start : span.end]


@pytest.mark.parametrize(
    "shown",
    [
        SENTENCE,
        SENTENCE.replace("talks", "<a href='/t?a=1&amp;b=2'>talks</a>"),
        SENTENCE.replace("nine ports", "<b>nine</b>\n   ports"),
        SENTENCE.replace("The", "<b>The</b>"),
        SENTENCE.replace("long", "&#108;ong"),
        SENTENCE.replace(" ", " \n "),
        SENTENCE.replace("grievances.", "<i>grievances</i>."),
    ],
)
@pytest.mark.parametrize(
    "hidden",
    [
        "",
        "<!-- {} -->",
        "<script>var a = '{}';</script>",
        "<SCRIPT >'{}'</SCRIPT\n>",
        "<style>/* {} */</style>",
        '<p title="{}">x</p>',
    ],
)
def test_the_shown_place_is_found(shown: str, hidden: str) -> None:
    place = found(f"<html><body>{hidden.format(SENTENCE)}<scripted>x</scripted><p>{shown}</p><p>x</p>")
    assert place is not None
    assert place.decode() == shown.removeprefix("<b>")


def test_what_is_only_hidden_has_no_place() -> None:
    assert found(f"<html><!-- {SENTENCE} --><script>{SENTENCE}</script><style>{SENTENCE}") is None


def test_anchors_far_apart_are_not_one_string() -> None:
    start, end = SENTENCE[:20], SENTENCE[-20:]
    assert found(f"<p>{start}</p>{'<p>other words</p>' * 3000}<p>{end}</p>") is None


class Counted(bytes):
    """Bytes that count how many of them are gone over in search of others."""

    seen = 0

    def find(self, sub: bytes, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        end = len(self) if end is None else min(end, len(self))
        place = super().find(sub, start, end)
        self.seen += (place if place >= 0 else end) - start
        return place

    def rfind(self, sub: bytes, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        end = len(self) if end is None else end
        place = super().rfind(sub, start, end)
        self.seen += end - max(place, start)
        return place


@given(st.lists(st.sampled_from([b"<", b">", b"x", b"x" * 700]), max_size=30).map(b"".join), st.data())
def test_places_within_tags_are_told_in_any_order(body: bytes, data: st.DataObject) -> None:
    brackets = _Brackets(body)
    for place in data.draw(st.lists(st.integers(0, len(body)), max_size=20)):
        assert brackets.open_at(place) == (body.rfind(b"<", 0, place) > body.rfind(b">", 0, place))


@pytest.mark.parametrize("fill", [b"x", b">", b"<"])
def test_looking_back_for_brackets_goes_over_a_body_a_few_times(fill: bytes) -> None:
    body = Counted(b"<p title='" + fill * 400_000)
    brackets = _Brackets(body)
    for place in range(200_000, 400_000, 40):
        brackets.open_at(place)
    assert body.seen < 8 * len(body)


def long_page(paragraphs: int) -> tuple[list[str], bytes]:
    """Strings that stand only with markup within, so that each is looked for in vain as it is."""
    texts = [f"Paragraph {i:06d} of the harbour chronicle" for i in range(paragraphs)]
    filler = "x " * (20 * paragraphs)
    return texts, (f"<div title='{filler}'>" + "".join(f"<p>{t[:14]}<b>{t[14:]}</b></p>" for t in texts)).encode()


def test_the_search_of_a_page_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, data = long_page(600)
    body = Counted(data)
    monkeypatch.setattr(spans, "_MOST_WORK", 10 * len(body))
    monkeypatch.setattr(spans, "_NEAR", 1000)
    finder = Finder(body, data.decode(), "utf-8")
    places = [finder.find(text, via="html") for text in texts]
    assert all(p is not None and read_span(data, p) == t for p, t in zip(places, texts, strict=True))
    assert body.seen < 10 * len(body) + len(texts) * 4_000
    assert finder.find("words that stand nowhere at all", via="html") is None


@pytest.mark.parametrize(
    "fill",
    [b"<!-- ", b"<!---->", b"<script ", b"<scripted>", b"<script></script <style>", b"<style></style><!-- --><script>"],
)
def test_what_is_hidden_is_told_in_a_few_passes(fill: bytes) -> None:
    lower = Counted(b"<p>" + fill * (300_000 // len(fill)) + b"<p>end")
    hidden = spans._Hidden(lower)
    for place in range(0, len(lower), 97):
        hidden.until(place)
    assert lower.seen < 8 * len(lower)


def test_what_is_near_is_found_before_what_is_far() -> None:
    far = f"<p>{SENTENCE}</p>" + "<p>other words</p>" * 10_000
    body = f"<h1>The first string</h1>{far}<p>A second string</p><p>{SENTENCE.replace('nine', '<b>nine</b>')}</p>"
    data = body.encode()
    finder = Finder(data, body, "utf-8")
    assert finder.find("The first string", via="html") is not None
    second = finder.find("A second string", via="html")
    span = finder.find(SENTENCE, via="html")
    assert second is not None
    assert span is not None
    assert span.start > second.end


def test_a_credit_before_its_caption_is_not_taken_from_elsewhere() -> None:
    body = "<p>Getty</p>" + "<p>other words</p>" * 500 + "<i>Getty</i><b>What the picture shows</b>"
    data = body.encode()
    finder = Finder(data, body, "utf-8")
    caption = finder.find("What the picture shows", via="html")
    credit = finder.find("Getty", via="html")
    assert caption is not None
    assert credit is not None
    assert 0 < caption.start - credit.end < 20


@pytest.mark.parametrize("quote", ["&#x27;", "&#39;", "&rsquo;", "'"])
def test_strings_with_entities_at_their_ends_have_places(quote: str) -> None:
    raw = SENTENCE.replace("The", "'The").replace("grievances.", "grievances.'").replace("'", html.unescape(quote))
    shown = raw.replace(html.unescape(quote), quote)
    body = f"<h1>Nine ports</h1><p>{shown}</p><p>{shown.replace('long', '<b>long</b>')}</p>"
    data = body.encode()
    finder = Finder(data, body, "utf-8")
    places = [finder.find(text, via="html") for text in ("Nine ports", raw, raw)]
    assert all(place is not None for place in places)
    assert len({place.start for place in places if place is not None}) == 3


def test_a_headline_has_its_place_in_the_page_before_that_in_its_head() -> None:
    body = "<html><head><title>Harbour talks</title></head><body class=a><h1>Harbour talks</h1><p>Words</p>"
    data = body.encode()
    span = Finder(data, body, "utf-8").find("Harbour talks", via="html")
    assert span is not None
    assert span.start > body.index("<h1>")
    only = body.replace("<h1>Harbour talks</h1>", "").encode()
    span = Finder(only, only.decode(), "utf-8").find("Harbour talks", via="html")
    assert span is not None
    assert span.start == only.index(b"Harbour")

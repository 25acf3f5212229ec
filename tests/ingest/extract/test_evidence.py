"""Every span leads back to its value - slice, decode, unescape, collapse, NFC - over pages drawn at random."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.extract import extract
from schemas.articles import Article, clean, read_span
from tests.ingest.extract.pages import ARTICLE, CAPTURED, FUSED

TEXT = (
    "harbour talks opened with pilots & boats <of> the caf\u00e9 \u201cnine\u201d ports said Quay's \u2013 "
    "d\u00e9j\u00e0 vu re\u0301sume\u0301 100\u00a0000 AT&T na\u00efve \u00a9 \u20ac5 "
    "\u0142\u00f3d\u017a \u6e2f\u53e3 \u041f\u043e\u0440\u0442"
)
NUMBERS = st.integers(100, 99_999).map(str)  # no two texts alike, as on a page
WORDS = st.builds(
    lambda words, number: " ".join([words[0], number, *words[1:]]),
    st.lists(st.sampled_from(TEXT.split(" ")), min_size=12, max_size=30, unique=True),
    NUMBERS,
)
ESCAPES = st.sampled_from(["plain", "names", "numbers", "all"])
ENCODINGS = st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "cp1252", "utf-16"])


def escaped(text: str, how: str) -> str:
    """HTML that shows a text, written as different systems write it."""
    plain = html.escape(text, quote=how == "all")
    if how == "plain":
        return plain
    if how == "names":
        names = {"\u00e9": "&eacute;", "\u201c": "&ldquo;", "\u201d": "&rdquo;", "\u2013": "&ndash;"}
        return "".join(names.get(c, c) for c in plain)
    return "".join(f"&#{ord(c)};" if not c.isascii() or (how == "all" and c == "q") else c for c in plain)


@st.composite
def pages(draw: st.DrawFn) -> bytes:
    """An article's page with text, captions, credits, bylines and dates, whatever the spelling."""
    how = draw(ESCAPES)
    breaks = draw(st.sampled_from([" ", "\n   ", "\r\n", "\t", "  \u00a0 "]))

    def shown(text: str) -> str:
        words = escaped(text, how).split(" ")
        if draw(st.booleans()) and len(words) > 4:
            words[2] = f'<a href="/t?a=1&amp;b=2">{words[2]}</a>'
            beside = st.sampled_from(["", "<!-- note -->", "<wbr>"])
            words[3] = f"<b>{words[3]}</b>{draw(beside)}"
        return breaks.join(words)

    title, caption = draw(WORDS), draw(WORDS)
    data = {
        "@type": "NewsArticle", "headline": title, "datePublished": "2026-02-24T09:15:00+01:00",
        "author": {"name": "Ada Qu\u00e9nay"},
        "image": {"@type": "ImageObject", "url": "/q.jpg", "caption": draw(WORDS), "creditText": "\u00c9va Mole"},
    }  # fmt: skip
    linked = json.dumps(data, ensure_ascii=draw(st.booleans()))
    linked = linked.replace("/", "\\/") if draw(st.booleans()) else linked.replace("</", "<\\/")
    paragraphs = "".join(f"<p>{shown(text)}.</p>" for text in draw(st.lists(WORDS, min_size=2, max_size=5)))
    text = (
        f"<!DOCTYPE html><html><head><title>{escaped(title, how)}</title>"
        f'<meta property="og:title" content="{html.escape(title)}">'
        f'<script type="application/ld+json">{linked}</script></head><body><article>'
        f"<h1>{shown(title)}</h1><p class=byline>By <a rel=author>Ada Qu&eacute;nay</a></p>"
        f'<figure><img src="/q.jpg" alt="{html.escape(draw(WORDS))} (Foto: Bo Mole/dpa)" width=900>'
        f"<figcaption>{shown(caption)}. <span class=credit>\u00a9 AP Photo/Kostas Liber</span></figcaption></figure>"
        f"{paragraphs}</article></body></html>"
    )
    encoding = draw(ENCODINGS)
    body = text.encode(encoding, "xmlcharrefreplace")
    return body if encoding != "cp1252" else body.replace(b"<head>", b"<head><meta charset=windows-1252>")


def value_of(article: Article, name: str) -> Any:
    """The value that an evidence is of."""
    field, *rest = name.split("/")
    value: Any = getattr(article, field)
    for step in rest:
        value = value[int(step)] if step.isdecimal() else getattr(value, step)
    return value


def check(body: bytes, article: Article) -> tuple[int, int]:
    """How many values of text and credits have a span, and how many there are; every span given leads back."""
    with_span = total = 0
    for name, evidence in article.evidence.items():
        raw = evidence.raw if evidence.raw is not None else value_of(article, name)
        counted = name.startswith(("paragraphs/", "photos/"))
        total += counted
        if evidence.span is not None:
            assert read_span(body, evidence.span) == raw, name
            with_span += counted
        if evidence.raw is not None:
            assert clean(evidence.raw) == evidence.raw, name
    return with_span, total


def read(body: bytes) -> Article:
    return extract(body=body, url="https://lantern.example/n/1", captured=CAPTURED, content_type=None)


@settings(max_examples=60)
@given(pages())
def test_every_span_of_a_drawn_page_leads_back(body: bytes) -> None:
    article = read(body)
    with_span, total = check(body, article)
    assert {"title", "photos/0/credit"} <= set(article.evidence)
    # In UTF-16, and behind a mark, no place is looked for; and none is found of a text that holds both references and
    # characters that NFC composes.
    if not body.startswith((b"\xff\xfe", b"\xef\xbb\xbf")) and not any(c in body for c in (b"\xcc\x81", b"&#769;")):
        assert with_span == total, [n for n, e in article.evidence.items() if e.span is None]


@pytest.mark.parametrize("page", [ARTICLE, FUSED], ids=["article", "fused"])
def test_every_value_names_its_source_and_path(page: str) -> None:
    article = read(page.encode())
    check(page.encode(), article)
    for photo in article.photos:
        for kind in ("caption", "credit"):
            assert (getattr(photo, kind) is None) or f"photos/{photo.position}/{kind}" in article.evidence
    assert {f"paragraphs/{n}" for n in range(len(article.paragraphs))} <= set(article.evidence)
    assert all(e.source and e.path for e in article.evidence.values())

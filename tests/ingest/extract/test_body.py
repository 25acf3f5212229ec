"""The body: what stands among the paragraphs and is none, what opens them, and where only JSON-LD has them."""

from __future__ import annotations

import json

import pytest
from lxml.html import HtmlElement

from ingest.extract import extract, text
from schemas.articles import Article, read_span
from tests.ingest.extract.pages import CAPTURED, PARAGRAPHS, URL

TITLE = "Harbour talks open with a long list"


def article(
    *, before: str = "", middle: str = "", after: str = "", head: str = "", between: str = "", first: str = ""
) -> Article:
    """A page of four paragraphs with parts before, among and after them."""
    one, two, three, four = (f"<p>{p}</p>" for p in PARAGRAPHS)
    page = (
        f"<html><head><title>{TITLE}</title>{head}</head><body><main><article>{first}<h1>{TITLE}</h1>{between}"
        f"<div class=article-body>{before}{one}{two}{middle}{three}{four}{after}</div></article></main></body></html>"
    )
    return extract(body=page.encode(), url=URL, captured=CAPTURED, content_type="text/html; charset=utf-8")


@pytest.mark.parametrize(
    "line",
    [
        "<p>READ THIS NEXT | <a href=/x>Another long story about another harbour far away</a></p>",
        "<p><a href=/x>Another long story about another harbour far away</a></p>",
        "<p>Lesen Sie auch: <a href=/x>Noch eine Geschichte</a></p>",
        "<p>Читайте также: <a href=/x>Ещё одна история</a></p>",
        "<p>あわせて読みたい：<a href=/x>もう一つの話</a></p>",
        "<p>اقرأ أيضا: <a href=/x>قصة أخرى</a></p>",
        "<p>यह भी पढ़ें: <a href=/x>एक और कहानी</a></p>",
        "<p>Follow the desk on <a href=/t>Twitter</a>, <a href=/f>Facebook</a> and <a href=/i>Instagram</a>.</p>",
        "<p>Suivez-nous sur <a href=/t>Facebook</a> et abonnez-vous à notre <a href=/n>newsletter</a>.</p>",
        "<p>Is there something that we should know? Get in touch at desk@lantern.example</p>",
        "<p>(Reporting by Ada Quay and Bo Mole; editing by Cy Pier)</p>",
        "<p>Ada Quay in Port Quill contributed to this report.</p>",
        "<p>Comments are moderated before they are approved, and those that break the rules are not.</p>",
        "<div class=newsletter-signup><p>Never miss a tide, a treaty or a storm again in your inbox.</p></div>",
        "<aside class=factbox><h3>In brief</h3><p>Nine ports, two pilots and a treaty, told in a box.</p></aside>",
        "<figure><img src=/a.jpg><figcaption>Delegates on the quay. Photo: A. Lens</figcaption></figure>",
        "<blockquote class=instagram-media><p><a href=/p>View this post</a></p>A post shared by A</blockquote>",
        "<aside class=related><blockquote class=twitter-tweet><p>Nine ports and no pilot</p></blockquote></aside>",
        "<div class=twitter-timeline><p>Nine ports and no pilot, what a week it was for the harbour</p></div>",
    ],
)  # fmt: skip
def test_lines_that_are_no_text(line: str) -> None:
    assert list(article(middle=line).paragraphs) == PARAGRAPHS
    assert list(article(after=line).paragraphs) == PARAGRAPHS


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("<h2>Small ports first</h2>", ["Small ports first"]),
        ("<div class=subheadline>Small ports first</div>", ["Small ports first"]),
        ("<ul><li>The first port agreed on Monday.</li><li>The second did so a day later.</li></ul>",
         ["The first port agreed on Monday.", "The second did so a day later."]),
        ("<blockquote><p>We shall not sign what we have not read, and we have read none of it.</p></blockquote>",
         ["We shall not sign what we have not read, and we have read none of it."]),
        ("<blockquote class=twitter-tweet><p>Nine ports and no pilot, what a week it was</p>&mdash; A</blockquote>",
         ["Nine ports and no pilot, what a week it was", "— A"]),
        ("<p>The text lies at <a href=/t>www.harbour.example/treaty</a></p>",
         ["The text lies at www.harbour.example/treaty"]),
        ("<p>He said:<br>nothing was agreed so far.</p>", ["He said:", "nothing was agreed so far."]),
        ("<p>Facebook and Instagram said that they would follow the talks from their offices.</p>",
         ["Facebook and Instagram said that they would follow the talks from their offices."]),
    ],
)  # fmt: skip
def test_lines_that_are_text(line: str, text: list[str]) -> None:
    assert list(article(middle=line).paragraphs) == [*PARAGRAPHS[:2], *text, *PARAGRAPHS[2:]]


def test_a_quotation_set_apart_that_repeats_the_text_is_left_out() -> None:
    quoted = PARAGRAPHS[0][:60].rsplit(" ", 1)[0]
    assert list(article(middle=f"<blockquote><p>{quoted}</p></blockquote>").paragraphs) == PARAGRAPHS


def test_a_table_is_text_as_a_whole() -> None:
    rows = "".join(f"<tr class='player-{n}'><td>{n}</td><td>Port {n}</td><td>{9 * n}</td></tr>" for n in range(1, 4))
    found = article(middle=f"<table>{rows}</table>").paragraphs
    assert list(found) == [*PARAGRAPHS[:2], *[
        cell for n in range(1, 4) for cell in (str(n), f"Port {n}", str(9 * n))], *PARAGRAPHS[2:]]  # fmt: skip


def test_the_free_paragraphs_of_a_metered_page_belong() -> None:
    """They stand in a part named teaser, apart from the rest."""
    one, two, three, four = (f"<p class=t>{p}</p>" for p in PARAGRAPHS)
    page = (
        f"<html><body><main><h1>{TITLE}</h1><div class=metered><div class=teaser-content><div class=article-body>"
        f"{one}{two}</div></div><div class=article-body>{three}{four}<p class=t>{PARAGRAPHS[0][:-1]} again.</p>"
        "</div></div></main></body></html>"
    )
    found = extract(body=page.encode(), url=URL, captured=CAPTURED, content_type="text/html; charset=utf-8")
    assert list(found.paragraphs[:4]) == PARAGRAPHS


def test_a_standfirst_is_what_introduces_not_the_first_paragraph() -> None:
    description = f"<meta name=description content='{PARAGRAPHS[0]}'>"
    assert article(head=description).standfirst is None
    lead = "Nine ports met on Tuesday; two of them had agreed before lunch, and seven had not."
    found = article(head=description, between=f"<h2 class=deck>{lead}</h2>")
    assert found.standfirst == lead
    assert list(found.paragraphs) == [lead, *PARAGRAPHS]


@pytest.mark.parametrize("joint", ["\n", "\n\n", "<br/>", "</p><p>"])
def test_a_text_that_only_json_ld_has(joint: str) -> None:
    data = json.dumps({"@type": "NewsArticle", "headline": TITLE, "articleBody": joint.join(PARAGRAPHS)})
    page = (
        f"<html><head><script type='application/ld+json'>{data}</script></head>"
        f"<body><div id=app></div><h1>{TITLE}</h1><p>{PARAGRAPHS[0]}</p><p>Subscribe to read on.</p></body></html>"
    ).encode()
    found = extract(body=page, url=URL, captured=CAPTURED, content_type="text/html; charset=utf-8")
    assert list(found.paragraphs) == PARAGRAPHS
    for number, paragraph in enumerate(PARAGRAPHS):
        evidence = found.evidence[f"paragraphs/{number}"]
        assert (evidence.source, evidence.path) == ("jsonld", "/0/articleBody")
        assert evidence.span is not None
        assert read_span(page, evidence.span) == paragraph


def test_a_text_that_json_ld_tells_shorter_is_the_pages_own() -> None:
    data = json.dumps({"@type": "NewsArticle", "articleBody": " ".join(PARAGRAPHS)[:420]})
    assert list(article(head=f"<script type='application/ld+json'>{data}</script>").paragraphs) == PARAGRAPHS


def scripted(markup: str, window: str = TITLE) -> Article:
    """A page that a script fills, its article in the state that it sends."""
    state = json.dumps({"props": {"id": 7, "article": {"contentHtml": markup}}}).replace("<", "\\u003c")
    page = (
        f"<html><head><title>{window}</title><meta property=og:title content='{window}'></head><body><div id=app></div>"
        f"<script>var n = 1; window.__STATE__ = {state};</script></body></html>"
    )
    return extract(body=page.encode(), url=URL, captured=CAPTURED, content_type="text/html; charset=utf-8")


def test_a_text_that_only_a_script_has() -> None:
    text = "".join(f"<p>{p}</p>" for p in PARAGRAPHS)
    caption = "<figure><img src=/a.jpg><figcaption>Delegates on the quay.</figcaption></figure>"
    found = scripted(f"{caption}##AD##{text}<div class=related><p>Another story of another harbour</p></div>")
    assert list(found.paragraphs) == PARAGRAPHS
    assert found.evidence["paragraphs/0"].source == "dom"
    assert found.evidence["paragraphs/0"].path == "script"


def test_markup_of_a_script_that_is_about_something_else_is_no_article() -> None:
    text = "".join(f"<p>{p}</p>" for p in PARAGRAPHS)
    assert scripted(text, window="Zwei Küchen im Vergleich").paragraphs == ()


ELSEWHERE = "Nine ports have signed the treaty, and the pilots of the tenth say that they will follow in the spring."


MORE = [f"On day {day} the delegates of port {day} spoke, and what they said is told here in full." for day in range(6)]


class Judge:
    """Stands in trafilatura's place and counts how often it is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self._judge = text.judge
        monkeypatch.setattr(text, "judge", self)

    def __call__(self, tree: HtmlElement, url: str) -> list[str]:
        self.asked += 1
        return self._judge(tree, url)


@pytest.mark.parametrize(
    ("page", "asked"),
    [
        ({}, 0),
        ({"middle": "<div>Short words in a box</div>"}, 0),  # a twentieth of the text may be left undecided
        ({"middle": f"<div>{ELSEWHERE}</div><div>{ELSEWHERE}</div>"}, 1),
        ({"first": "".join(f"<section><p>{ELSEWHERE}</p></section>" for _ in range(4))}, 1),  # running text elsewhere
    ],
)
def test_trafilatura_is_asked_where_the_page_leaves_it_open(
    monkeypatch: pytest.MonkeyPatch, page: dict[str, str], asked: int
) -> None:
    judge = Judge(monkeypatch)
    more = "".join(f"<p>{p}</p>" for p in MORE)
    told = article(**{"after": more} | page)
    assert [p for p in told.paragraphs if p != ELSEWHERE] == [*PARAGRAPHS, *MORE]
    assert judge.asked == asked


@pytest.mark.parametrize("name", ["has-sidebar", "sticky-nav", "with-ads"])
def test_a_name_of_the_whole_page_is_no_reason_to_ask(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    judge = Judge(monkeypatch)
    body = "".join(f"<p>{p}</p>" for p in (*PARAGRAPHS, *MORE))
    page = f"<html><body><div class='{name}'><h1>{TITLE}</h1><div class=words>{body}</div></div></body></html>"
    told = extract(body=page.encode(), url=URL, captured=CAPTURED, content_type="text/html; charset=utf-8")
    assert list(told.paragraphs) == [*PARAGRAPHS, *MORE]
    assert judge.asked == 0

"""Shapes of pages that many outlets share: systems they publish with, kinds of article, ways to show a credit."""

from __future__ import annotations

import json

import pytest

from ingest.extract import extract
from schemas.articles import Article
from tests.ingest.extract.pages import CAPTURED, PARAGRAPHS, URL

TITLE = "Harbour talks open with a long list"
LEAD = "Nine ports met on Tuesday and two of them had agreed before lunch was served."
TEXT = "".join(f"<p>{p}</p>" for p in PARAGRAPHS)


def read(body: str, head: str = "", headers: tuple[tuple[str, str], ...] = ()) -> Article:
    page = f"<!doctype html><html><head><title>{TITLE} - The Lantern</title>{head}</head><body>{body}</body></html>"
    return extract(
        body=page.encode(), url=URL, captured=CAPTURED, content_type="text/html; charset=utf-8", headers=headers
    )


def linked(**fields: object) -> str:
    return f"<script type='application/ld+json'>{json.dumps(fields)}</script>"


WORDPRESS = (
    f"<article class='post type-post hentry'><header class=entry-header><h1 class=entry-title>{TITLE}</h1>"
    "<div class=entry-meta>Posted on <time class='entry-date published' "
    "datetime='2026-02-24T08:15:00+00:00'>Feb 24</time>"
    "<span class=byline>by <span class='author vcard'><a href=/author/ada>Ada Quay</a></span></span></div></header>"
    "<div class=entry-content><figure class=wp-block-image><img src=/a.jpg><figcaption class=wp-element-caption>"
    f"Delegates on the quay. Photo: Ada Lens/Reuters</figcaption></figure>{TEXT}"
    "<div class=sharedaddy><h3>Share this:</h3><ul><li><a href=#>Facebook</a></li></ul></div>"
    "<div class=related-posts><h3>Related</h3><ul><li><a href=/x>Another story</a></li></ul></div></div></article>"
    "<div id=comments><h2>3 thoughts</h2><ol><li><p>I have never seen a longer list of harbours in my "
    "life.</p></li></ol></div>"
)
DRUPAL = (
    f"<div class='node node--type-article'><h1 class=page-title><span class=field--name-title>{TITLE}</span></h1>"
    "<div class='field field--name-field-author'>By Ada Quay</div>"
    "<div class='field field--name-created'>24.02.2026 09:15</div><div class='field field--name-field-image'>"
    "<img src=/b.jpg><div class='field field--name-field-caption'>Delegates on the quay.</div>"
    "<div class='field field--name-field-credit'>Ada Lens/Reuters</div></div>"
    f"<div class='clearfix text-formatted field field--name-body field__item'>{TEXT}</div>"
    "<div class='field field--name-field-tags'><a href=/t>harbours</a></div></div>"
)
ARC = (
    f"<article><h1 class='c-heading b-headline'>{TITLE}</h1><div class=ts-byline>By <span class=b-byline__names>"
    "<a>Ada Quay</a></span></div><time datetime='2026-02-24T08:15:00Z'>Feb 24</time><figure "
    "class=c-media-item><picture>"
    "<img src=/c.jpg></picture><figcaption><span class=c-media-item__caption>Delegates on the quay. </span>"
    f"<span class=c-media-item__credit>(Ada Lens/Reuters)</span></figcaption></figure><div "
    f"class=b-article-body>{TEXT}"
    "<div class=b-interstitial-link>RELATED: <a href=/x>Another story of another harbour</a></div></div></article>"
)
GHOST = (
    f"<article class='article post'><header class='article-header gh-canvas'><h1 class=article-title>{TITLE}</h1>"
    "<div class=article-byline><h4 class=author-name><a href=/author/ada>Ada Quay</a></h4>"
    "<time datetime='2026-02-24T08:15:00Z'>Feb 24</time><span>3 min read</span></div><figure class=article-image>"
    "<img src=/d.jpg><figcaption>Delegates on the quay. Photo: Ada Lens / Reuters</figcaption></figure></header>"
    f"<section class='gh-content gh-canvas'>{TEXT}<div class=kg-bookmark-card><a href=/b><div>A "
    f"bookmarked page about "
    "other harbours</div><div>It tells much about those who keep them, at "
    "length.</div></a></div></section></article>"
)
BRIGHTSPOT = (
    f"<div class=ArticlePage><h1 class=ArticlePage-headline>{TITLE}</h1><div class=ArticlePage-authorName>By "
    "<a href=/ada>Ada Quay</a></div><div class=ArticlePage-datePublished>February 24, 2026 at 9:15 a.m.</div>"
    "<div class=ArticlePage-lead><figure class=Figure><img src=/e.jpg><div class=Figure-content><figcaption "
    "class=Figure-caption>Delegates on the quay.</figcaption><div class=Figure-credit>Ada "
    "Lens/Reuters</div></div></figure>"
    f"</div><div class=ArticlePage-articleBody><div class=RichTextArticleBody>{TEXT}</div></div></div>"
)
AMP = (
    f"<article><h1>{TITLE}</h1><p class=author>By Ada Quay</p><time datetime='2026-02-24T09:15+01:00'>24.02.</time>"
    "<amp-img src=/f.jpg width=800 height=400></amp-img><div class=caption>Delegates on the quay. Foto: "
    "Ada Lens/Reuters"
    f"</div><div class=article-body>{TEXT}<amp-ad type=x>Buy a long rope for a short boat "
    f"today</amp-ad></div></article>"
)


@pytest.mark.parametrize(
    ("page", "day"),
    [(WORDPRESS, "T08:15:00Z"), (DRUPAL, "T09:15:00"), (ARC, "T08:15:00Z"), (GHOST, "T08:15:00Z"),
     (BRIGHTSPOT, "T09:15:00"), (AMP, "T09:15:00+01:00")],
    ids=["wordpress", "drupal", "arc", "ghost", "brightspot", "amp"],
)  # fmt: skip
def test_systems_that_many_outlets_publish_with(page: str, day: str) -> None:
    found = read(page, "<meta property=og:site_name content='The Lantern'>")
    assert list(found.paragraphs) == PARAGRAPHS
    assert (found.title, found.authors, found.published) == (TITLE, ("Ada Quay",), f"2026-02-24{day}")
    (photo,) = found.photos
    assert photo.caption == "Delegates on the quay."
    assert (photo.photographers, photo.agencies) == (("Ada Lens",), ("Reuters",))


@pytest.mark.parametrize("name", ["subheadline", "article-excerpt", "ArticlePage-subHeadline", "standfirst", "chapo"])
def test_a_standfirst_by_its_name(name: str) -> None:
    body = f"<div class={name}>{LEAD}</div><div class=article-body>{TEXT}</div>"
    found = read(f"<article><h1>{TITLE}</h1>{body}</article>")
    assert (found.standfirst, list(found.paragraphs)) == (LEAD, [LEAD, *PARAGRAPHS])


def test_a_stub_before_a_paywall() -> None:
    wall = "<div id=piano class=paywall><h3>Subscribe to read on</h3><p>The first month costs you one coin.</p></div>"
    body = f"<article><h1>{TITLE}</h1><div class=article-body><p>{PARAGRAPHS[0]}</p></div>{wall}</article>"
    found = read(body, "<meta name=article:content_tier content=locked>")
    assert (found.kind, found.access, list(found.paragraphs)) == ("article", "paid", PARAGRAPHS[:1])
    assert read(body, linked(**{"@type": "NewsArticle", "isAccessibleForFree": "False"})).access == "paid"
    assert read(body, "<meta name=article:content_tier content=metered>").access == "metered"


def test_a_live_blog_keeps_its_posts() -> None:
    posts = "".join(
        f"<section class=live-post><time datetime='2026-02-24T1{i}:00Z'>1{i}:00</time><h2>Update "
        f"{i}</h2><p>{p}</p></section>"
        for i, p in enumerate(PARAGRAPHS)
    )
    data = linked(**{"@type": "LiveBlogPosting", "headline": TITLE, "datePublished": "2026-02-24T08:00:00Z"})
    found = read(f"<article><h1>{TITLE}</h1>{posts}</article>", data)
    assert (found.kind, found.published) == ("liveblog", "2026-02-24T08:00:00Z")
    assert [p for p in found.paragraphs if not p.startswith("Update")] == PARAGRAPHS


def test_a_gallery_and_a_video() -> None:
    figures = "".join(
        f"<figure><img src=/g{i}.jpg><figcaption>Picture number {i}. (AP Photo/Kostas Liber)</figcaption></figure>"
        for i in range(12)
    )
    data = linked(**{"@type": "ImageGallery", "name": TITLE})
    gallery = read(f"<h1>{TITLE}</h1><p>{PARAGRAPHS[0]}</p>{figures}", data)
    assert (gallery.kind, len(gallery.photos)) == ("gallery", 12)
    assert {p.credit for p in gallery.photos} == {"AP Photo/Kostas Liber"}
    video = f"<h1>{TITLE}</h1><video src=/v.mp4></video><p>{PARAGRAPHS[0]}</p>"
    assert read(video, "<meta property=og:type content=video.other>").kind == "video"


def test_an_interview_keeps_its_questions() -> None:
    asked = ["What do the small ports want?", "And who pays the pilots?"]
    first, second, third, last = (f"<p>{p}</p>" for p in PARAGRAPHS)
    body = f"<p><b>{asked[0]}</b></p>{first}{second}<p><b>{asked[1]}</b></p>{third}{last}"
    found = read(f"<article><h1>{TITLE}</h1><div class=article-body>{body}</div></article>")
    assert list(found.paragraphs) == [asked[0], *PARAGRAPHS[:2], asked[1], *PARAGRAPHS[2:]]


def test_signals_of_rights() -> None:
    page = f"<article><h1>{TITLE}</h1>{TEXT}</article><footer><p>© 2026 The Lantern. All rights reserved.</p></footer>"
    found = read(page).rights
    assert found.copyright_notice is not None
    assert (found.copyright_notice.value, found.copyright_notice.source) == (
        "© 2026 The Lantern. All rights reserved.", "dom:footer")  # fmt: skip
    head = (
        "<meta name=robots content=noai><meta name=tdm-reservation content=1><meta name=copyright "
        "content='The Lantern'>"
        "<link rel=license href='https://licences.example/by'>"
    )
    told = read(page, head, (("X-Robots-Tag", "noarchive"),)).rights
    assert [r and r.value for r in (told.robots, told.tdm_reservation, told.license, told.copyright_notice)] == [
        "noarchive", "1", "https://licences.example/by", "The Lantern"]  # fmt: skip


def test_a_date_is_never_guessed() -> None:
    for shown in ("2 hours ago", "Yesterday", "24/02/2026", "Updated February 25, 2026", "Tuesday, 9:15"):
        page = f"<article><h1>{TITLE}</h1><span class=date>{shown}</span><div class=article-body>{TEXT}</div></article>"
        assert read(page).published is None, shown


def test_a_credit_below_a_figure_that_holds_the_caption_alone() -> None:
    caption = "Delegates on the quay before the doors were closed."
    figure = (
        f"<div class=lead-image><figure><img src=/a.jpg><figcaption><span class=caption>{caption}</span></figcaption>"
        f"</figure><div class=image-data><div class=image-description>{caption}</div>"
        "<div class=image-copyright>Reuters/Ada Lens</div></div></div>"
    )
    (photo,) = read(f"<article><h1>{TITLE}</h1>{figure}<div class=article-body>{TEXT}</div></article>").photos
    assert (photo.caption, photo.credit, photo.photographers) == (caption, "Reuters/Ada Lens", ("Ada Lens",))


def test_authors_in_a_field_of_ones_own() -> None:
    body = f"<article><h1>{TITLE}</h1><div class=article-body>{TEXT}</div></article>"
    assert read(body, "<meta name=harbour_authors content='Ada Quay'>").authors == ("Ada Quay",)

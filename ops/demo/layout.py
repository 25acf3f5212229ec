"""How the paper looks: HTML of article, front page and plain pages, with all that surrounds a text on a news site.

Navigation, teasers, a newsletter box, related links, comments and a consent line stand around the articles on
purpose: an extractor has to tell them from the text. What the pages say is left to `stories` and `newspaper`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from ops.demo import pictures
from ops.demo.stories import Picture, Story, instant

PAPER = "The Harbour Lantern"
SECTIONS = ("Harbour", "Council", "World", "People", "Culture", "Investigations", "Deutsch", "日本語")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
FEEDS = (
    ("application/rss+xml", f"{PAPER} (RSS)", "/feeds/news.xml"),
    ("application/atom+xml", f"{PAPER} (Atom)", "/feeds/atom.xml"),
    ("application/feed+json", f"{PAPER} (JSON)", "/feeds/feed.json"),
)


def article(origin: str, story: Story, others: Sequence[Story], *, token: str | None = None) -> str:
    """The page of a story. `token` changes from visit to visit where the story is restless."""
    classic = story.layout == "classic"
    body = _classic(story) if classic else _agency(story)
    if story.access == "paid":
        body += (
            '<aside class="paywall" data-paywall><h2>Read on with a subscription</h2>'
            "<p>This article is for subscribers. Four weeks for one crown.</p>"
            '<a href="/subscribe">Subscribe</a></aside>\n'
        )
    return _page(
        origin,
        title=f"{story.title} | {PAPER}",
        language=story.language,
        head=_article_head(origin, story),
        main=body + _around(story, others),
        token=token,
    )


def front(origin: str, stories: Sequence[Story]) -> str:
    """The front page: feeds in the head, teasers below."""
    feeds = "".join(
        f'<link rel="alternate" type="{kind}" title="{escape(title)}" href="{path}">\n' for kind, title, path in FEEDS
    )
    teasers = "\n".join(
        f'<article class="teaser"><h2><a href="{escape(story.path)}">{escape(story.title)}</a></h2>'
        f"<p>{escape(story.standfirst)}</p></article>"
        for story in stories
    )
    head = f'{feeds}<meta property="og:type" content="website">\n'
    return _page(origin, title=PAPER, language="en", head=head, main=f"<h1>{PAPER}</h1>\n{teasers}\n", path="/")


def plain(origin: str, title: str, text: str, *, path: str) -> str:
    """A page that is no article: about, subscribe, an error."""
    main = f"<h1>{escape(title)}</h1>\n<p>{escape(text)}</p>\n"
    return _page(origin, title=f"{title} | {PAPER}", language="en", head="", main=main, path=path)


def _page(
    origin: str,
    *,
    title: str,
    language: str,
    head: str,
    main: str,
    path: str | None = None,
    token: str | None = None,
) -> str:
    nav = "".join(f'<li><a href="/section/{escape(name)}">{escape(name)}</a></li>' for name in SECTIONS)
    canonical = f'<link rel="canonical" href="{origin}{path}">\n' if path else ""
    script = f'<script>window.lanternVisit = "{token}";</script>\n' if token else ""
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n{canonical}{head}"
        f'<link rel="stylesheet" href="/styles/paper.css">\n{script}</head>\n<body>\n'
        '<div class="cookie-note" role="dialog">We set no cookies. <button>Good</button></div>\n'
        f'<header class="masthead"><a href="/"><img src="/styles/lantern.png" alt="{PAPER}"></a>'
        f"<p>News from Port Merrow since 1884</p></header>\n<nav><ul>{nav}</ul></nav>\n"
        f"<main>\n{main}</main>\n<footer><p>© 2025 {PAPER}, 3 Long Quay, Port Merrow</p>"
        '<ul><li><a href="/about">About us</a></li><li><a href="/subscribe">Subscribe</a></li></ul></footer>\n'
        "</body>\n</html>\n"
    )


def _article_head(origin: str, story: Story) -> str:
    url = origin + story.path
    meta = [
        ("name", "description", story.standfirst),
        ("property", "og:type", "article"),
        ("property", "og:site_name", PAPER),
        ("property", "og:title", story.title),
        ("property", "og:description", story.standfirst),
        ("property", "og:url", url),
        ("property", "article:published_time", story.published),
        ("property", "article:section", story.section),
    ]
    if story.modified:
        meta.append(("property", "article:modified_time", story.modified))
    meta += [("property", "article:tag", tag) for tag in story.tags]
    if story.photos:
        meta.append(("property", "og:image", origin + story.photos[0].path))
    lines = [f'<meta {kind}="{name}" content="{escape(value)}">' for kind, name, value in meta if value]
    lines.insert(0, f'<link rel="canonical" href="{escape(url)}">')
    lines.append(f'<script type="application/ld+json">{_json_ld(origin, story)}</script>')
    return "\n".join(lines) + "\n"


def _json_ld(origin: str, story: Story) -> str:
    data: dict[str, object] = {
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "mainEntityOfPage": origin + story.path,
        "headline": story.title,
        "description": story.standfirst,
        "datePublished": story.published,
        "dateModified": story.modified or story.published,
        "inLanguage": story.language,
        "articleSection": story.section,
        "isAccessibleForFree": story.access == "free",
        "author": [{"@type": "Person", "name": name} for name in story.authors],
        "publisher": {"@type": "NewsMediaOrganization", "name": PAPER, "url": origin + "/"},
        "image": [_image_ld(origin, picture) for picture in story.photos],
    }
    return json.dumps({key: value for key, value in data.items() if value != []}, ensure_ascii=False)


def _image_ld(origin: str, picture: Picture) -> dict[str, str]:
    image = {"@type": "ImageObject", "url": origin + picture.path, "caption": picture.caption}
    if picture.style == "attribute":
        image["creditText"] = picture.credit
    return {key: value for key, value in image.items() if value}


def _classic(story: Story) -> str:
    """Headline, standfirst, byline and date, lead photo, text: the paper's own pages."""
    moment = instant(story.published)
    shown = f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}, {moment:%H:%M}"
    links = ", ".join(f'<a rel="author" href="/people">{escape(name)}</a>' for name in story.authors)
    names = escape(story.byline) if story.byline else links
    changed = f'<p class="changed">Updated <time datetime="{story.modified}">later</time></p>' if story.modified else ""
    lead = f'<p class="standfirst">{escape(story.standfirst)}</p>\n' if story.standfirst else ""
    photos = [_figure(picture) for picture in story.photos]
    return (
        f'<article class="story">\n<header><p class="kicker">{escape(story.section)}</p>\n'
        f"<h1>{escape(story.title)}</h1>\n{lead}"
        f'<p class="byline">{names}</p>\n<p class="dateline"><time datetime="{story.published}">{shown}</time></p>'
        f'{changed}</header>\n{"".join(photos[:1])}<div class="text">\n{_paragraphs(story)}'
        f"{''.join(photos[1:])}</div>\n</article>\n"
    )


def _agency(story: Story) -> str:
    """A date line, a lead photo whose credit stands in a box of its own, and the text: pages from a news feed."""
    lead = f'<div class="story-summary"><p>{escape(story.standfirst)}</p></div>\n' if story.standfirst else ""
    return (
        f'<article class="story story--feed">\n<h1 class="story-title">{escape(story.title)}</h1>\n'
        f'<div class="story-date"><span>date</span> <time datetime="{story.published}">{story.published}</time></div>\n'
        f'{"".join(_figure(picture) for picture in story.photos)}{lead}<div class="story-body">\n'
        f"{_paragraphs(story)}</div>\n</article>\n"
    )


def _paragraphs(story: Story) -> str:
    lines = []
    for text in story.paragraphs:
        heading = text.startswith("## ")
        lines.append(f"<h2>{escape(text[3:])}</h2>" if heading else f"<p>{escape(text, quote=False)}</p>")
    return "\n".join(lines) + "\n"


def _figure(picture: Picture) -> str:
    """A photo with caption and credit in one of the ways that papers have of writing them."""
    caption, credit = escape(picture.caption), escape(picture.credit)
    size = f'width="{pictures.WIDTH}" height="{pictures.HEIGHT}"'
    image = f'<img src="{picture.path}" alt="{escape(picture.alt)}" {size}>'
    match picture.style:
        case "span":
            words = f'<figcaption>{caption} <span class="credit">{credit}</span></figcaption>'
        case "inline":
            words = f"<figcaption>{caption} {credit}</figcaption>"
        case "paren":
            words = f"<figcaption>{caption} ({credit})</figcaption>"
        case "small":
            words = f'<figcaption><span class="caption">{caption}</span><small>{credit}</small></figcaption>'
        case "cite":
            words = f"<figcaption>{caption}<br><cite>{credit}</cite></figcaption>"
        case "below":
            return f'<div class="lead-media">{image}<div class="lead-media__credit">{credit}</div></div>\n'
        case "attribute":
            image = image.replace("<img ", f'<img data-credit="{credit}" ')
            words = f"<figcaption>{caption}</figcaption>"
        case _:
            raise ValueError(f"no style of writing a credit is called {picture.style!r}")
    return f"<figure>{image}{words}</figure>\n"


def _around(story: Story, others: Sequence[Story]) -> str:
    """What stands below an article and is none of it."""
    related = "".join(
        f'<li><a href="{escape(other.path)}">{escape(other.title)}</a></li>' for other in others if other != story
    )
    return (
        '<section class="newsletter"><h2>The Lantern at breakfast</h2><p>Get our five best stories by e-mail, '
        'every morning at six.</p><form><input type="email" placeholder="Your e-mail"><button>Sign up</button>'
        f'</form></section>\n<aside class="related"><h2>More from {PAPER}</h2><ul>{related}</ul></aside>\n'
        '<section id="comments"><h2>Comments (2)</h2><ol><li><b>gullwatcher</b> <p>About time somebody wrote '
        "this.</p></li><li><b>old_salt</b> <p>My uncle had a boat like that one.</p></li></ol>"
        "<p>Log in to comment.</p></section>\n"
    )

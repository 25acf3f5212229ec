"""Pages of our own for the tests of extraction. All outlets, people and events are invented."""

from __future__ import annotations

from datetime import UTC, datetime

CAPTURED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
URL = "https://www.lantern.example/world/harbour-talks?utm_source=feed"

PARAGRAPHS = [
    "The harbour talks opened on Tuesday with delegates from nine ports and a long list of grievances to settle.",
    "\u201cWe have waited for this day since the spring,\u201d said the chair, Mara Quill, as the "
    "doors closed behind her.",
    "Nobody expects a treaty this week, but two of the smaller ports have already agreed to share their pilots.",
    "The talks go on until Friday, and a first text is promised for the morning after, tides permitting.",
]

ARTICLE = f"""<!DOCTYPE html>
<html lang="en-GB"><head><meta charset="utf-8">
<title>Harbour talks open with a long list | The Lantern</title>
<link rel="canonical" href="https://www.lantern.example/world/harbour-talks">
<meta property="og:site_name" content="The Lantern"><meta property="og:type" content="article">
<meta property="og:title" content="Harbour talks open with a long list">
<meta name="description" content="Nine ports met on Tuesday; two of them agreed before lunch.">
<meta name="robots" content="noai, noimageai"><meta name="keywords" content="harbours, treaties">
<script type="application/ld+json">{{"@context":"https://schema.org","@type":"NewsArticle",
 "headline":"Harbour talks open with a long list","datePublished":"2026-02-24T09:15:00+01:00",
 "dateModified":"2026-02-24T11:00:00+01:00","author":[{{"@type":"Person","name":"Ada Quay"}},
 {{"@type":"Person","name":"Bo Mole"}}],"publisher":{{"@type":"Organization","name":"The Lantern"}},
 "articleSection":"World","isAccessibleForFree":true}}</script></head>
<body><nav><a href="/">Home</a> <a href="/world">World</a></nav>
<main><article><header><h1>Harbour talks open with a long list</h1>
<p class="standfirst">Nine ports met on Tuesday; two of them agreed before lunch.</p>
<p class="byline">By <a rel="author" href="/a/ada">Ada Quay</a> and <a rel="author" href="/a/bo">Bo Mole</a></p>
<time datetime="2026-02-24T09:15:00+01:00">24 February</time></header>
<figure><img src="/i/quay-800.jpg" srcset="/i/quay-800.jpg 800w, /i/quay-1600.jpg 1600w" alt="A quay">
<figcaption>Delegates on the quay. <span class="credit">\u00a9 AP Photo/Kostas Liber</span></figcaption></figure>
<div class="article-body">
<p>{PARAGRAPHS[0]}</p>
<p>{PARAGRAPHS[1].replace(chr(8220), "&ldquo;").replace(chr(8221), "&rdquo;")}</p>
<aside class="related"><h3>Read more</h3>
<ul><li><a href="/x">Another story about another harbour</a></li></ul></aside>
<h2>Small ports first</h2>
<p>Nobody expects a <a href="/t">treaty</a> this week, but two of the smaller ports have already agreed to share
their pilots.</p>
<div class="newsletter-signup"><p>Sign up for our newsletter
and never miss a tide, a treaty or a storm again.</p></div>
<p>{PARAGRAPHS[3]}</p></div></article>
<section class="comments"><h2>Comments</h2><p>What a long and windy list of grievances,
I have never seen the like of it, honestly, not even in the old days.</p></section></main>
<footer><p>\u00a9 2026 The Lantern. All rights reserved, and this is a long line about nothing
at all.</p></footer></body></html>"""

TEXT = [
    "Nine ports met on Tuesday; two of them agreed before lunch.",
    *PARAGRAPHS[:2],
    "Small ports first",
    *PARAGRAPHS[2:],
]

# The structure behind a scraped text that fused its paragraphs and mashed date and credit into them: a date and a
# credit in one line above the text, blocks without white space between them, a summary in a block of its own.
FUSED = (
    '<html><head><title>Nine ports lose their pilots</title><meta charset="utf-8">'
    '<meta property="article:published_time" content="2022-09-13T14:02:00+00:00"></head><body><div class="layout">'
    '<div class="story story_page"><h1 class="story__heading">Nine ports lose their pilots</h1>'
    '<div class="story__date"><span class="date date_header">13 Sep, 2022 14:02</span></div>'
    '<div class="story__summary summary">Storms and better pay elsewhere have emptied the pilot houses, '
    "the harbour board has claimed</div>"
    '<div class="media story__cover"><div class="media__item"><img class="media__image" '
    'src="https://img.port.example/xxl/6320.jpg" alt="A pilot boat off the coast"></div>'
    '<div class="media__footer"><div class="media__title">'
    "Pilots at work off the eastern coast. \u00a9 AP Photo/Kostas Liber</div></div></div>"
    '<div class="story__text text"><p>Every second boat lay idle in the basin on Tuesday morning, and the board sent '
    "letters to all nine harbour masters before noon.</p><p>\u201cThe letters are being read,\u201d said one of them, "
    "and more are expected to come before the week is over.</p><p>A first answer is promised for the morning after the "
    "next spring tide, if there is one.</p></div></div></div></body></html>"
)

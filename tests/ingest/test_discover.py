"""Feeds, sitemaps and homepages of all kinds, sound and broken, to items; and the bounds."""

from __future__ import annotations

import gzip
import json
import zlib
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.discover import (
    Listing,
    belongs,
    feeds_of_home,
    links_of_home,
    looks_like_article,
    parse_source,
    sitemaps_of_robots,
)
from ingest.discover import sources as limits
from schemas.errors import InvalidValue
from schemas.frontier import Item
from schemas.outlets import Source
from schemas.urls import normalize

URL = "https://lantern.example/feed.xml"


def read(text: str | bytes, media_type: str | None = None, url: str = URL) -> Listing:
    return parse_source(text.encode() if isinstance(text, str) else text, url, media_type)


# -- feeds --------------------------------------------------------------------------------------------------------


def test_rss_2() -> None:
    listing = read("""<?xml version="1.0" encoding="UTF-8"?>
        <rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom" xmlns:dc="http://purl.org/dc/elements/1.1/"
             xmlns:media="http://search.yahoo.com/mrss/" xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd">
        <channel><title>The Lantern</title><link>https://lantern.example/</link>
        <atom:link href="https://lantern.example/feed.xml" rel="self"/>
        <image><title>Logo</title><link>https://lantern.example/logo</link></image>
        <item><title>Harbour wall &amp; tide</title><itunes:title>no</itunes:title>
          <link> https://Lantern.example/2022/09/harbour#top </link><atom:link rel="self" href="/not-this"/>
          <guid isPermaLink="false">urn:1</guid><pubDate>Tue, 13 Sep 2022 12:00:00 GMT</pubDate>
          <atom:updated>2022-09-13T13:00:00Z</atom:updated>
          <media:content url="x"><media:title>Caption</media:title></media:content></item>
        <item><title><![CDATA[Ferries & <em>fog</em>]]></title><guid>https://lantern.example/2</guid>
          <dc:date>2022-09-12</dc:date></item>
        <item><title>No link</title></item>
        <item><link>https://lantern.example/2</link></item>
        <item><link>mailto:x@y</link></item>
        </channel></rss>""")
    assert listing.kind == "feed"
    assert not listing.truncated
    assert listing.items == (
        Item(
            url="https://lantern.example/2022/09/harbour", title="Harbour wall & tide",
            published="Tue, 13 Sep 2022 12:00:00 GMT", lastmod="2022-09-13T13:00:00Z",
        ),
        Item(url="https://lantern.example/2", title="Ferries & <em>fog</em>", published="2022-09-12"),
    )  # fmt: skip


def test_rss_1_and_0_9() -> None:
    rdf = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
        xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="https://lantern.example/"><title>T</title>
        <items><rdf:Seq><rdf:li resource="https://lantern.example/1"/></rdf:Seq></items></channel>
        <item rdf:about="https://lantern.example/1"><title>One</title><dc:date>2022-09-13T12:00:00+00:00</dc:date></item>
        </rdf:RDF>"""
    assert read(rdf).items == (
        Item(url="https://lantern.example/1", title="One", published="2022-09-13T12:00:00+00:00"),
    )
    assert read("<rss version='0.91'><channel><item><link>/1</link></item></channel></rss>").items == (
        Item(url="https://lantern.example/1"),
    )


def test_atom() -> None:
    listing = read("""<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://lantern.example/news/">
        <title>The Lantern</title><link rel="self" href="https://lantern.example/atom"/>
        <entry><title type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">Fog <b>lifts</b></div></title>
          <link rel="edit" href="edit/1"/><link rel="alternate" type="application/json" href="1.json"/>
          <link rel="alternate" type="text/html" href="1.html"/><id>tag:1</id>
          <published>2022-09-13T12:00:00Z</published><updated>2022-09-13T13:00:00Z</updated></entry>
        <entry><title type="html">A &amp;lt;b&amp;gt; B &amp;amp; C</title><id>https://lantern.example/2</id></entry>
        </feed>""")
    assert listing.items == (
        Item(
            url="https://lantern.example/news/1.html", title="Fog lifts", published="2022-09-13T12:00:00Z",
            lastmod="2022-09-13T13:00:00Z",
        ),
        Item(url="https://lantern.example/2", title="A <b> B & C"),
    )  # fmt: skip


def test_json_feed() -> None:
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "items": [
            {"id": "1", "url": "/1", "title": "One", "date_published": "2022-09-13T12:00:00Z", "date_modified": "x"},
            {"id": "https://lantern.example/2", "title": None},
            {"id": "3"}, "junk", {"url": 7},
        ],
    }  # fmt: skip
    assert read(json.dumps(feed), "application/feed+json").items == (
        Item(url="https://lantern.example/1", title="One", published="2022-09-13T12:00:00Z", lastmod="x"),
        Item(url="https://lantern.example/2"),
    )


# -- sitemaps -----------------------------------------------------------------------------------------------------

NEWS_SITEMAP = """<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:news="http://www.google.com/schemas/sitemap-news/0.9"
  xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
<url><loc>https://lantern.example/1?a=1&amp;b=2</loc><lastmod>2022-09-13</lastmod>
  <image:image><image:loc>https://lantern.example/1.jpg</image:loc><image:title>no</image:title></image:image>
  <news:news><news:publication><news:name>The Lantern</news:name><news:language>en</news:language></news:publication>
  <news:publication_date>2022-09-13T12:00:00+02:00</news:publication_date><news:title>Fog &amp;amp; foghorn</news:title>
  </news:news></url>
<url><loc>https://lantern.example/2</loc></url></urlset>"""


def test_news_sitemap() -> None:
    listing = read(NEWS_SITEMAP)
    assert listing.kind == "sitemap"
    assert listing.items == (
        Item(
            url="https://lantern.example/1?a=1&b=2", title="Fog & foghorn", published="2022-09-13T12:00:00+02:00",
            lastmod="2022-09-13",
        ),
        Item(url="https://lantern.example/2"),
    )  # fmt: skip


def test_sitemap_index_puts_news_and_the_newest_first() -> None:
    listing = read("""<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
        <sitemap><loc>https://lantern.example/s-2005.xml.gz</loc><lastmod>2005-12-31</lastmod></sitemap>
        <sitemap><loc>/s-2022.xml.gz</loc><lastmod>2022-09-13</lastmod></sitemap>
        <sitemap><loc>https://lantern.example/news.xml</loc></sitemap><sitemap><loc> </loc></sitemap>
        </sitemapindex>""")
    assert (listing.kind, listing.items) == ("sitemapindex", ())
    assert [child.rpartition("/")[2] for child in listing.children] == ["news.xml", "s-2022.xml.gz", "s-2005.xml.gz"]


def test_a_plain_text_sitemap() -> None:
    text = "https://lantern.example/1\r\nhttps://lantern.example/2\n\nhttps://lantern.example/1\njunk\n"
    urls = [item.url for item in read(text, "text/plain").items]
    assert urls[:2] == ["https://lantern.example/1", "https://lantern.example/2"]


@pytest.mark.parametrize("layers", [1, 2])
def test_gzip(layers: int) -> None:
    data = NEWS_SITEMAP.encode()
    for _ in range(layers):
        data = gzip.compress(data)
    assert read(data) == read(NEWS_SITEMAP)


def test_several_gzip_members() -> None:
    data = NEWS_SITEMAP.encode()
    assert read(gzip.compress(data[:300]) + gzip.compress(data[300:])) == read(NEWS_SITEMAP)


# -- faults that real feeds have ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Caf&eacute; &nbsp;open", "Café open"), ("A & B", "A & B"), ("A &unknown; B", "A &unknown; B"),
        ("&#8220;Quote&#x201D;", "“Quote”"), ("<![CDATA[A &amp; B]]>", "A & B"), ("x\x00\x0by", "xy"), ("", None),
        ("  ", None), ("a\n  b", "a b"), ("&amp;#39;s", "'s"), ("<![CDATA[a]]> &amp; <![CDATA[b]]>", "a & b"),
    ],
)  # fmt: skip
def test_titles_as_feeds_write_them(title: str, expected: str | None) -> None:
    listing = read(f"<rss><channel><item><title>{title}</title><link>/1?a=1&b=2</link></item></channel></rss>")
    assert [(item.url, item.title) for item in listing.items] == [("https://lantern.example/1?a=1&b=2", expected)]


def test_undeclared_prefixes_and_a_blank_before_the_declaration() -> None:
    text = "\n <?xml version='1.0'?><rss><channel><item><link>/1</link><dc:date>2022</dc:date></item></channel></rss>"
    assert read(text).items == (Item(url="https://lantern.example/1", published="2022"),)


def test_a_feed_that_breaks_off_keeps_what_came() -> None:
    items = "".join(f"<item><link>/{n}</link></item>" for n in range(10))
    listing = read(f"<rss><channel>{items}<item><link>/bro")
    assert [item.url for item in listing.items][:10] == [f"https://lantern.example/{n}" for n in range(10)]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1"])
def test_encodings(encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    text = f"<?xml version='1.0' encoding='{declared}'?><rss><item><title>Caf\xe9</title><link>/1</link></item></rss>"
    assert read(text.encode(encoding)).items == (Item(url="https://lantern.example/1", title="Café"),)


def test_gzip_that_breaks_off_is_read_and_labelled() -> None:
    urls = "".join(f"<url><loc>/{n}</loc></url>" for n in range(2000))
    data = gzip.compress(f"<urlset>{urls}</urlset>".encode())
    listing = read(data[: len(data) // 2])
    assert listing.truncated
    assert 100 < len(listing.items) < 2000


# -- what is no source --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "<!DOCTYPE html><html><p>x</html>",
        "<HTML><body>",
        "<?xml version='1.0'?>\n<html xmlns='x'/>",
        "<svg/>",
        "<a>" * 10_000,
    ],
)
def test_pages_and_other_xml_are_none_of_these(text: str) -> None:
    assert read(text) == Listing(kind="none")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"hello", "neither XML nor JSON"),
        (b"\x89PNG\r\n\x1a\n\x00", "neither"),
        (b"{", "JSON"),
        (b'{"a": 1}', "no JSON Feed"),
        (b"[1]", "no JSON Feed"),
        (b"[" * 100_000, "JSON"),
        (b"< not xml", "not readable"),
        (b"<", "not readable"),
        (b"\x1f\x8b", "empty"),
        (b"\x1f\x8b\x08\x00junk", "empty"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(body: bytes, words: str) -> None:
    with pytest.raises(InvalidValue, match=words) as error:
        read(body)
    assert "\n" not in str(error.value)


def test_entity_bombs_are_refused() -> None:
    bomb = '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><rss><item><link>/&b;</link></item></rss>'
    outside = '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/hostname">]><rss><item><title>&a;</title></item></rss>'
    for text in (bomb, outside, outside.encode("utf-16")):
        with pytest.raises(InvalidValue, match="entities"):
            read(text)


def test_a_document_type_alone_is_fine() -> None:
    text = '<!DOCTYPE rss PUBLIC "-//N//DTD RSS 0.91//EN" "http://x.invalid/r"><rss><item><link>/1</link></item></rss>'
    assert len(read(text).items) == 1


# -- bounds -------------------------------------------------------------------------------------------------------


def test_a_gzip_bomb_is_cut_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SOURCE_BYTES", 1 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = packer.compress(b"<urlset><url><loc>/1</loc></url>")
    bomb = start + b"".join(packer.compress(b" " * (1 << 20)) for _ in range(64)) + packer.flush()
    listing = read(bomb)
    assert listing.truncated
    assert len(listing.items) == 1
    with pytest.raises(InvalidValue, match="gzip inside gzip"):
        read(gzip.compress(gzip.compress(gzip.compress(b"<rss/>"))))


@pytest.mark.parametrize("kind", ["rss", "json", "text", "index"])
def test_items_are_bounded(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(limits, "MAX_ITEMS", 100)
    paths = [f"/{number}" for number in range(1000)]
    text = {
        "rss": "<rss><channel>" + "".join(f"<item><link>{p}</link></item>" for p in paths) + "</channel></rss>",
        "json": json.dumps({"items": [{"url": p} for p in paths]}),
        "text": "\n".join(f"https://lantern.example{p}" for p in paths),
        "index": "<sitemapindex>" + "".join(f"<sitemap><loc>{p}</loc></sitemap>" for p in paths) + "</sitemapindex>",
    }[kind]
    listing = read(text)
    assert listing.truncated
    assert len(listing.items) + len(listing.children) == 100


def test_long_fields_are_cut_and_hostile_urls_left_out() -> None:
    links = ["/" + "x" * 100_000, "javascript:alert(1)", "http://a b/", "https://lantern.example/ok", "http://x:99999/"]
    items = "".join(f"<item><title>{'t' * 10_000}</title><link>{link}</link></item>" for link in links)
    listing = read(f"<rss><channel>{items}</channel></rss>")
    assert "https://lantern.example/ok" in [item.url for item in listing.items]
    assert all(len(item.url) <= 10_000 and len(item.title or "") <= 500 for item in listing.items)


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"<rss><channel><item><link>/1</link>", b"<urlset><url><loc>", b"{", b"\x1f\x8b"]),
)
def test_any_bytes_give_a_listing_or_one_clear_refusal(data: bytes, start: bytes) -> None:
    try:
        listing = parse_source(start + data, URL, None)
    except InvalidValue:
        return
    for item in listing.items:
        assert normalize(item.url) == item.url
        assert "\0" not in (item.title or "")


NASTY = st.lists(
    st.sampled_from(
        [
            "<item>",
            "</item>",
            "<link>",
            "</link>",
            "/a",
            "<title>",
            "<![CDATA[",
            "]]>",
            "&",
            "&amp;",
            "<!--",
            "-->",
            "<entry>",
            "<rss>",
            "</rss>",
            "<feed xmlns='http://www.w3.org/2005/Atom'>",
            "<x:y a='",
            "'>",
            "\x00",
            "é",
            "<?",
            "?>",
        ]
    ),
    max_size=30,
).map("".join)


@given(NASTY)
def test_any_soup_of_tags_is_read(soup: str) -> None:
    assert read(f"<rss>{soup}").kind == "feed"


TITLES = st.text(
    alphabet=st.characters(blacklist_categories=("Cs", "Cc", "Zs", "Zl", "Zp", "Cf", "Cn", "Co")),
    min_size=1,
    max_size=30,
)


@given(st.lists(st.tuples(st.integers(0, 999), TITLES), max_size=20, unique_by=lambda pair: pair[0]))
def test_what_a_feed_printer_writes_reads_back(entries: list[tuple[int, str]]) -> None:
    items = "".join(
        f"<item><title>{escape(escape(title))}</title><link>https://lantern.example/{n}</link></item>"
        for n, title in entries
    )
    expected = tuple(Item(url=f"https://lantern.example/{n}", title=title) for n, title in entries)
    assert read(f"<?xml version='1.0' encoding='utf-8'?><rss><channel>{items}</channel></rss>").items == expected


# -- robots and homepages -----------------------------------------------------------------------------------------


def test_sitemaps_of_robots() -> None:
    body = (
        b"User-agent: *\nDisallow: /x\nSitemap: https://lantern.example/s.xml\nsitemap:/news.xml\nSitemap: ftp://x/\n"
    )
    assert sitemaps_of_robots(body, "https://lantern.example/robots.txt") == [
        Source(url="https://lantern.example/s.xml", kind="sitemap"),
        Source(url="https://lantern.example/news.xml", kind="sitemap"),
    ]


HOME = "https://www.lantern.example/"


def test_feeds_named_in_the_head() -> None:
    body = b"""<html><head><base href="/en/"><link rel="alternate" type="application/rss+xml" href="rss.xml">
        <link rel="ALTERNATE feed" type="application/atom+xml; charset=utf-8" href="https://feeds.example/lantern">
        <link rel="alternate" type="application/rss+xml" href="/comments/feed/">
        <link rel="alternate" type="application/json" href="/wp-json/x"><link rel="alternate" hreflang="de" href="/de">
        <link rel="stylesheet" type="application/rss+xml" href="/no"></head><a href="/rss">RSS</a></html>"""
    assert feeds_of_home(body, HOME) == [
        Source(url="https://www.lantern.example/en/rss.xml", kind="feed"),
        Source(url="https://feeds.example/lantern", kind="feed"),
    ]


def test_feeds_linked_in_the_page_where_the_head_names_none() -> None:
    body = b"""<a href="/rss/">RSS</a><a href="/news/feed.xml?x=1">feed</a><a href="/feedback">no</a>
        <a href="https://elsewhere.example/rss.xml">no</a><a href="/atom.xml">Atom</a><a href="/blog/feed">x</a>"""
    assert [feed.url.partition("example")[2] for feed in feeds_of_home(body, HOME)] == [
        "/rss/", "/news/feed.xml?x=1", "/atom.xml", "/blog/feed",
    ]  # fmt: skip


def test_links_of_a_homepage() -> None:
    body = """<title>x</title><nav><a href="/politics">Politics</a><a href="/tag/fog-and-tide-and-rain-2022">t</a></nav>
        <a href="/2022/09/13/harbour-wall"><img src="a.jpg"></a>
        <a href="/2022/09/13/harbour-wall#c">Harbour <b>wall</b>\nrises</a>
        <a href="/news/ferries-stay-in-port-as-fog-thickens.html">Ferries</a><a href="https://other.example/2022/09/13/x">o</a>
        <a href="/2022/09/13/photo.jpg">p</a><a href="mailto:x@lantern.example">m</a><a name="x">n</a>
        <a href="//lantern.example/story/1234567">Café</a>"""
    assert links_of_home(body.encode(), HOME) == (
        Item(url="https://www.lantern.example/2022/09/13/harbour-wall", title="Harbour wall rises"),
        Item(url="https://www.lantern.example/news/ferries-stay-in-port-as-fog-thickens.html", title="Ferries"),
        Item(url="https://lantern.example/story/1234567", title="Café"),
    )


@pytest.mark.parametrize(
    "path",
    [
        "/2022/09/13/harbour",
        "/2022-09-13-x",
        "/world/harbour-wall-to-be-raised",
        "/a/63123456.html",
        "/articles/ASQ9F6S2W",
        "/news/world-europe-62888388",
        "/x.php?id=12345&p=1",
        "/news/harbour.html",
        "/politik/hafenmauer-id12345.html",
    ],
)
def test_addresses_of_articles(path: str) -> None:
    assert looks_like_article(f"https://lantern.example{path}")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/politics",
        "/politics/",
        "/author/jane-doe-of-the-lantern",
        "/2022/09/13/a.pdf",
        "/search?q=1",
        "/world/europe",
        "/about/how-we-work-at-the-lantern",
        "/index.html",
        "/live",
    ],
)
def test_addresses_of_sections(path: str) -> None:
    assert not looks_like_article(f"https://lantern.example{path}")


def test_a_page_of_links_without_end_is_bounded() -> None:
    body = "".join(f"<a href='/2022/09/13/story-number-{n}-of-many'>s</a>" for n in range(30_000)).encode()
    assert len(links_of_home(body, HOME)) == 500
    assert links_of_home(b"<div>" * 100_000 + b"<a href='/2022/09/13/x-y-z'>", HOME) in (
        (), (Item(url="https://www.lantern.example/2022/09/13/x-y-z"),),
    )  # fmt: skip


@given(st.binary(max_size=200))
def test_any_page_is_read(data: bytes) -> None:
    body = b"<html><a href='/2022/09/13/x-y-z'>" + data
    assert isinstance(links_of_home(body, HOME), tuple)
    assert isinstance(feeds_of_home(data, HOME), list)


def test_belongs() -> None:
    assert belongs("https://news.lantern.example/1", "lantern.example")
    assert not belongs("https://lantern.example.evil.example/1", "lantern.example")
    assert not belongs("nonsense", "lantern.example")

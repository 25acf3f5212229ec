"""URLs: normal form, identity of an article, SURT, same site, resolution."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidValue
from schemas.urls import (
    MAX_URL_CHARS,
    article_key,
    host_of,
    join,
    normalize,
    origin_of,
    port_of,
    same_site,
    site_of,
    surt,
    target_of,
)

tails = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60)


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("HTTP://Example.ORG", "http://example.org/"),
        ("https://example.org:443/a", "https://example.org/a"),
        ("http://example.org:443/a", "http://example.org:443/a"),
        ("http://example.org./a", "http://example.org/a"),
        ("http://example.org/a/../b/./c/..", "http://example.org/b/"),
        ("http://example.org/../../a", "http://example.org/a"),
        ("http://example.org/%7euser/%2f%c3%a9", "http://example.org/~user/%2F%C3%A9"),
        ("http://example.org/100%", "http://example.org/100%25"),
        ("http://example.org/é ü?q=ß|x", "http://example.org/%C3%A9%20%C3%BC?q=%C3%9F%7Cx"),
        ("http://example.org/a?b#c?d", "http://example.org/a?b"),
        ("http://example.org/a?", "http://example.org/a?"),
        ("http://example.org?x", "http://example.org/?x"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://[2001:DB8:0:0::1]:80/", "http://[2001:db8::1]/"),
        ("http://127.0.0.1:8080/a", "http://127.0.0.1:8080/a"),
        ("http://example.org/a//b", "http://example.org/a//b"),
        ("  http://example.org/a  ", "http://example.org/a"),
        ("http:\\\\example.org\\a", "http://example.org/a"),
        ("http://example.org/%2e%2e/a", "http://example.org/a"),
        ("http://my_host.example/", "http://my_host.example/"),
    ],
)
def test_normal_form(url: str, normal: str) -> None:
    assert normalize(url) == normal
    assert normalize(normal) == normal


@pytest.mark.parametrize(
    "url",
    [
        "", "example.org", "//example.org/", "ftp://example.org/", "javascript:alert(1)", "http:/example.org",
        "http://", "http:///a", "http://user@example.org/", "http://u:p@example.org/", "http://example.org:0/",
        "http://example.org:65536/", "http://example.org:x/", "http://a..b/", "http://.example.org/",
        "http://exam ple.org/", "http://example.org/a\r\nb", "http://example.org/\x00", "http://ex%61mple.org/",
        "http://2130706433/", "http://0x7f000001/", "http://127.1/", "http://1.2.3.4.5/", "http://[::1/",
        "http://[zz]/", "http://" + "a" * 64 + ".org/", "http://" + "a." * 140 + "org/", "http://example.org/\ud800",
        "http://example.org/" + "a" * MAX_URL_CHARS, "http://example.org/" + "é" * 2000, "http://[::1]x/",
        "http://example.org:80:80/", "http://example.org/\x7f", "http://" + "ü" * 70 + ".example/",
    ],
)  # fmt: skip
def test_what_is_no_url_to_fetch_is_refused(url: str) -> None:
    with pytest.raises(InvalidValue):
        normalize(url)


@given(tails)
def test_the_normal_form_is_its_own(tail: str) -> None:
    normal = normalize(f"https://example.org/{tail}")
    assert normalize(normal) == normal
    assert normal.isascii()
    assert normalize(article_key(normal)) == article_key(article_key(normal))
    assert join("https://other.example/x", normal) == normal
    assert f"{origin_of(normal)}{target_of(normal)}" == normal


@given(st.text(max_size=60))
def test_text_at_random_is_read_or_refused(text: str) -> None:
    for candidate in (text, f"http://{text}", f"http://{text}/"):
        try:
            normal = normalize(candidate)
        except InvalidValue:
            continue
        assert normalize(normal) == normal
        assert host_of(normal) == host_of(candidate)


@pytest.mark.parametrize(
    "variant",
    [
        "http://www.example.org/news/story",
        "https://example.org/news/story/",
        "https://m.example.org/news/story",
        "https://amp.example.org/news/story",
        "https://www.example.org/amp/news/story",
        "https://www.example.org/news/story/amp/",
        "https://www.example.org/news/story/print",
        "https://example.org/news/story?utm_source=rss&utm_medium=feed&fbclid=x",
        "https://example.org/news/story?ref=rss",
        "https://example.org/news/story?source=rss2.0&from=rss-feed",
        "https://example.org/news/story?amp=1",
        "https://example.org/news/story?outputType=amp#top",
    ],
)
def test_variants_of_one_article_have_one_key(variant: str) -> None:
    assert article_key(variant) == "https://example.org/news/story"


def test_what_tells_articles_apart_is_kept() -> None:
    keys = [
        article_key(f"https://example.org{tail}")
        for tail in ("/a", "/b", "/a?id=1", "/a?id=2", "/A", "/a.html", "/amplify", "/ampere/x", "/printers", "/amp/")
    ]
    assert len(set(keys)) == len(keys)
    told = "?source=12", "?ref=a1b2", "?channel=sport", "?format=rss", "?id=rss", "?ref=feedback", "?from=rssa"
    assert len({article_key(f"https://example.org/a{tail}") for tail in ("", *told)}) == 1 + len(told)
    assert article_key("https://example.org/a?b=1&a=2") == article_key("https://example.org/a?a=2&b=1")
    assert article_key("https://example.org/x.amp.html") == "https://example.org/x.html"
    assert article_key("https://m.org/x") == "https://m.org/x"  # "m." is no variant where nothing is left


def test_surt() -> None:
    assert surt("http://www.Example.org/A/?b=2&a=1") == "org,example)/a?a=1&b=2"
    assert surt("https://news.example.co.uk:8443/") == "uk,co,example,news:8443)/"
    assert surt("http://127.0.0.1/x") == "127.0.0.1)/x"


def test_parts() -> None:
    assert origin_of("https://Example.org:443/a?b") == "https://example.org"
    assert origin_of("http://[::1]:8080/") == "http://[::1]:8080"
    assert port_of("https://example.org/") == 443
    assert port_of("http://example.org:81/") == 81
    assert host_of("http://[::1]:8080/") == "::1"
    assert target_of("http://example.org?x=1") == "/?x=1"


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("www.example.org", "example.org"), ("a.b.example.co.uk", "example.co.uk"), ("example.co.uk", "example.co.uk"),
        ("news.example.com.au", "example.com.au"), ("www.example.or.jp", "example.or.jp"), ("www.web.de", "web.de"),
        ("localhost", "localhost"), ("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("Example.ORG.", "example.org"),
    ],
)  # fmt: skip
def test_site(host: str, site: str) -> None:
    assert site_of(host) == site


def test_same_site() -> None:
    assert same_site("www.example.org", "amp.example.org")
    assert not same_site("one.co.uk", "two.co.uk")
    assert not same_site("127.0.0.1", "127.0.0.2")


@pytest.mark.parametrize(
    ("reference", "resolved"),
    [
        # RFC 3986 section 5.4, as far as it speaks of http and of URLs without fragment.
        ("g", "http://a/b/c/g"), ("./g", "http://a/b/c/g"), ("g/", "http://a/b/c/g/"), ("/g", "http://a/g"),
        ("//g", "http://g/"), ("?y", "http://a/b/c/d;p?y"), ("g?y", "http://a/b/c/g?y"), ("#s", "http://a/b/c/d;p?q"),
        ("g#s", "http://a/b/c/g"), ("g?y#s", "http://a/b/c/g?y"), (";x", "http://a/b/c/;x"), ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"), ("./", "http://a/b/c/"), ("..", "http://a/b/"), ("../g", "http://a/b/g"),
        ("../..", "http://a/"), ("../../../g", "http://a/g"), ("/./g", "http://a/g"), ("g.", "http://a/b/c/g."),
        ("..g", "http://a/b/c/..g"), ("./g/.", "http://a/b/c/g/"), ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/../x", "http://a/b/c/g?y/../x"), ("https://x/y", "https://x/y"), (" \n/g\t", "http://a/g"),
        ("\\\\g\\h", "http://g/h"),
    ],
)  # fmt: skip
def test_resolution(reference: str, resolved: str) -> None:
    assert join("http://a/b/c/d;p?q", reference) == resolved


@pytest.mark.parametrize(
    "reference", ["mailto:x@example.org", "javascript:void(0)", "data:,x", "tel:+1", "//", "http:"]
)
def test_references_elsewhere_are_refused(reference: str) -> None:
    with pytest.raises(InvalidValue):
        join("http://a/b", reference)


@pytest.mark.shared
def test_the_addresses_of_real_pages_are_kept(shared: Path) -> None:
    rows = [json.loads(line) for line in (shared / "corpus/newsrooms/truth.jsonl").read_text("utf-8").splitlines()]
    changed = [row["url"] for row in rows if normalize(row["url"]) != row["url"].split("#")[0]]
    assert len(rows) > 100
    assert not changed

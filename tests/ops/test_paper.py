"""The demonstration's newspaper: every address answers, editions change what they say, the images are real."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import struct
import xml.etree.ElementTree as ET
import zlib
from urllib.parse import quote, urlsplit

import pytest

from ops.demo import pictures
from ops.demo.newspaper import LAST_EDITION, MEMBERS, SITEMAP_INDEX, Newspaper
from ops.demo.server import PaperServer
from ops.demo.stories import instant, stories

ORIGIN = "https://lantern.example"
LOC = "{http://www.sitemaps.org/schemas/sitemap/0.9}loc"
CREDITED = [story for story in stories() if story.photos]


def paths_in(body: bytes) -> list[str]:
    return [urlsplit(item.text or "").path for item in ET.fromstring(body).iter(LOC)]


def fetch(paper: PaperServer, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    client = http.client.HTTPConnection("127.0.0.1", paper.server.port)
    try:
        client.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = client.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        client.close()


@pytest.mark.parametrize("edition", range(LAST_EDITION + 1))
def test_every_readable_story_has_a_page_that_says_all_of_it(edition: int) -> None:
    paper = Newspaper(ORIGIN, edition)
    assert len(paper.readable) >= 10
    for story in paper.readable:
        page = paper.page(story.path)
        assert page is not None
        assert page.status == 200
        html = page.body.decode()
        said = [*story.text, story.title, *(photo.credit for photo in story.photos)]
        assert [text for text in said if text.replace("&", "&amp;") not in html.replace("&quot;", '"')] == []


def test_feeds_and_sitemaps_list_the_same_working_addresses() -> None:
    paper = Newspaper(ORIGIN, LAST_EDITION)
    rss = ET.fromstring(paper.page("/feeds/news.xml").body)
    atom = ET.fromstring(paper.page("/feeds/atom.xml").body)
    feed = json.loads(paper.page("/feeds/feed.json").body)
    in_rss = [urlsplit(item.findtext("link")).path for item in rss.iter("item")]
    links = atom.iter("{http://www.w3.org/2005/Atom}link")
    in_atom = [urlsplit(link.get("href")).path for link in links if link.get("rel") == "alternate"]
    in_json = [urlsplit(item["url"]).path for item in feed["items"]]
    assert in_rss == in_atom == in_json
    for path in in_rss:
        assert paper.page(path).status == 200
    index = gzip.decompress(paper.page(SITEMAP_INDEX).body)
    news, archive = (paper.page(path).body for path in paths_in(index))
    assert set(in_rss) <= set(paths_in(news)) <= set(paths_in(gzip.decompress(archive)))


def test_front_page_and_robots_lead_to_all_of_it() -> None:
    paper = Newspaper(ORIGIN)
    front = paper.page("/").body.decode()
    robots = paper.page("/robots.txt").body.decode()
    for path in re.findall(r'rel="alternate"[^>]*href="([^"]+)"', front):
        assert paper.page(path).status == 200
    maps = re.findall(r"Sitemap: (\S+)", robots)
    assert len(maps) == 2
    assert all(paper.page(url.removeprefix(ORIGIN)).status == 200 for url in maps)
    assert f"Disallow: {MEMBERS}" in robots
    assert any(story.path.startswith(MEMBERS) for story in paper.published)


def test_what_the_editions_change() -> None:
    first, second, third = (Newspaper(ORIGIN, edition) for edition in range(3))
    dredging = "/2025/10/14/dredging-bill.html"
    assert "4.2 million" in first.story(dredging).title
    corrected = second.story(dredging)
    assert "2.4 million" in corrected.title
    assert corrected.paragraphs[0] != first.story(dredging).paragraphs[0]
    assert corrected.paragraphs[-1].startswith("Correction:")
    assert instant(corrected.modified or "") > instant(corrected.published)
    old = "/news/lighthouse-keeper.html"
    assert first.page(old).status == 200
    moved = second.page(old)
    assert moved.status == 301
    target = dict(moved.headers)["Location"].removeprefix(ORIGIN)
    assert second.page(target).status == 200
    assert first.page(target) is None
    tides = "/2025/10/13/tide-tables-misprint.html"
    assert (first.page(tides).status, second.page(tides).status) == (500, 200)
    new = {story.path for story in second.published} - {story.path for story in first.published}
    assert new == {target, "/2025/10/14/great-crane-listed.html"}
    assert third.story("/2025/10/14/island-ferry-returns.html").paragraphs[-1].startswith("Update")
    assert {paper.page("/2025/10/07/name-of-the-rescued-boy.html").status for paper in (first, third)} == {410}


def test_story_with_the_shape_of_an_orphan() -> None:
    paper = Newspaper(ORIGIN)
    story = next(story for story in paper.published if story.layout == "agency")
    html = paper.page(story.path).body.decode()
    assert story.authors == ()
    assert f'<span>date</span> <time datetime="{story.published}">{story.published}</time>' in html
    assert f'credit">{story.photos[0].credit}</div>' in html
    assert story.photos[0].credit.startswith("© AP Photo/")
    assert len(story.paragraphs) >= 7


def test_served_pages_keep_their_promises() -> None:
    with PaperServer() as paper:
        chunked = next(story for story in paper.paper.readable if story.transfer == "chunked")
        status, headers, body = fetch(paper, chunked.path)
        assert (status, headers["transfer-encoding"]) == (200, "chunked")
        assert body == paper.paper.page(chunked.path).body
        packed = next(story for story in paper.paper.readable if story.transfer == "gzip")
        status, headers, body = fetch(paper, packed.path, Accept_Encoding="gzip")
        assert headers["content-encoding"] == "gzip"
        assert packed.title in gzip.decompress(body).decode()
        japanese = next(story for story in paper.paper.readable if story.language == "ja")
        assert japanese.title in fetch(paper, quote(japanese.path) + "?utm_source=rss")[2].decode()
        assert fetch(paper, "/no/such/page")[0] == 404
        assert paper.asked()[0] == chunked.path


def test_conditional_requests_until_something_changes() -> None:
    with PaperServer() as paper:
        seen = {}
        for path in ("/feeds/news.xml", "/2025/10/14/dredging-bill.html", "/2025/10/12/asaichi.html"):
            path = "/ja" + path if "asaichi" in path else path
            seen[path] = fetch(paper, path)[1]
        assert {fetch(paper, path, If_None_Match=seen[path]["etag"])[0] for path in seen} == {304}
        since = {path: headers["last-modified"] for path, headers in seen.items() if "last-modified" in headers}
        assert len(since) == 2
        assert {fetch(paper, path, If_Modified_Since=value)[0] for path, value in since.items()} == {304}
        assert paper.advance() == 1
        now = [fetch(paper, path, If_None_Match=headers["etag"])[0] for path, headers in seen.items()]
        assert now == [200, 200, 304]


def test_restless_page_changes_its_bytes_and_not_its_text() -> None:
    with PaperServer() as paper:
        story = next(story for story in paper.paper.readable if story.restless)
        first, second = (fetch(paper, story.path) for _ in range(2))
        assert "etag" not in first[1]
        assert first[2] != second[2]
        visit = re.compile(rb'lanternVisit = "\w+"')
        assert visit.sub(b"", first[2]) == visit.sub(b"", second[2])


def test_paper_under_a_name_over_tls() -> None:
    with PaperServer(host="www.lantern.example", tls=True) as paper:
        assert paper.url == "https://www.lantern.example/"
        assert paper.connect_to == f":443:127.0.0.1:{paper.server.port}"
        assert paper.ca_file is not None
        assert str(paper.ca_file) in paper.settings
        assert paper.connect_to in paper.settings


@pytest.mark.parametrize("story", CREDITED, ids=lambda story: story.path.rsplit("/", 1)[1])
def test_photos_are_jpeg_files_that_carry_their_credit(story) -> None:
    for photo in story.photos:
        page = Newspaper(ORIGIN, LAST_EDITION).page(photo.path)
        assert page.content_type == "image/jpeg"
        assert decode_jpeg(page.body) == pictures.levels_of(photo.name)
        assert photo.credit.encode() in page.body


def test_png_unpacks_to_its_pixels() -> None:
    image = pictures.png(5, 3, 90)
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    size = struct.unpack(">I", image[33:37])[0]
    assert zlib.decompress(image[41 : 41 + size]) == (b"\x00" + b"\x5a" * 5) * 3


def decode_jpeg(image: bytes) -> list[list[int]]:
    """The levels of a grey JPEG of flat blocks, read by the standard's rules and not by the writer's code."""
    position, across, down, codes = 2, 0, 0, {}
    while True:
        marker, length = image[position + 1], struct.unpack(">H", image[position + 2 : position + 4])[0]
        body = image[position + 4 : position + 2 + length]
        position += 2 + length
        if marker == 0xC0:
            down, across = (side // 8 for side in struct.unpack(">HH", body[1:5]))
        elif marker == 0xC4 and body[0] == 0x00:
            symbols = iter(body[17:])
            code = 0
            for size in range(1, 17):
                for _ in range(body[size]):
                    codes[format(code, f"0{size}b")] = next(symbols)
                    code += 1
                code <<= 1
        elif marker == 0xDA:
            break
    assert image.endswith(b"\xff\xd9")
    coded = image[position:-2].replace(b"\xff\x00", b"\xff")
    bits = "".join(format(byte, "08b") for byte in coded)
    levels, before, at = [], 0, 0
    for _ in range(across * down):
        end = next(end for end in range(at + 1, at + 17) if bits[at:end] in codes)
        size = codes[bits[at:end]]
        extra = bits[end : end + size]
        value = int(extra, 2) if size else 0
        before += value if not size or extra[0] == "1" else value - (1 << size) + 1
        assert bits[end + size] == "0"
        at = end + size + 1
        levels.append(before + 128)
    assert set(bits[at:]) <= {"1"}
    return [levels[row * across : (row + 1) * across] for row in range(down)]

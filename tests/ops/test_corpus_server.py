"""The corpus server gives each page at its own URL, byte for byte, and tells a crawler where to find it."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ops.bench.corpus_server import CorpusServer, read_manifest

ROWS = [
    ("https://one.example/a.html", "One", "First & <foremost>", "2024-05-03T15:47:42+00:00"),
    ("https://one.example/b?id=7&x=%C3%A9#ref=rss", "One", "Zweitens", "2024-05-03T15:47:42"),
    ("https://two.example/news/日本.html", "Two", "ニュース\x0b", None),
]


def page_of(number: int) -> bytes:
    return f'<!doctype html><html lang="de-AT"><p>Seite {number}: Straße</p></html>'.encode()


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    lines = []
    for number, (url, outlet, title, published) in enumerate(ROWS):
        name = f"{number}.html.gz"
        (tmp_path / name).write_bytes(gzip.compress(page_of(number)))
        row = {"url": url, "page": name, "outlet": outlet, "title": title, "published": published}
        lines.append(json.dumps(row))
    path = tmp_path / "truth.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def server(manifest: Path, tmp_path: Path) -> Iterator[CorpusServer]:
    with CorpusServer(manifest, tmp_path / "out") as running:
        yield running


class Client(http.client.HTTPSConnection):
    """A client that keeps the URL's host and goes to the server's port, as `connect_to` makes a crawler do."""

    def __init__(self, host: str, server: CorpusServer) -> None:
        self.trusting = ssl.create_default_context(cafile=str(server.ca_file))
        super().__init__(host, context=self.trusting)
        self.there = server.server.port

    def connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", self.there))
        self.sock = self.trusting.wrap_socket(plain, server_hostname=self.host)


def fetch(server: CorpusServer, url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    client = Client(parts.netloc, server)
    try:
        client.putrequest("GET", target, skip_accept_encoding=True)
        for name, value in headers.items():
            client.putheader(name.replace("_", "-"), value)
        client.endheaders()
        answer = client.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        client.close()


def test_pages_at_their_own_urls(server: CorpusServer) -> None:
    for number, (url, *_) in enumerate(ROWS[:2]):
        status, headers, body = fetch(server, url)
        assert (status, body) == (200, page_of(number))
        assert headers["content-type"] == "text/html; charset=utf-8"
        status, headers, body = fetch(server, url, Accept_Encoding="gzip")
        assert headers["content-encoding"] == "gzip"
        assert gzip.decompress(body) == page_of(number)
        assert fetch(server, url, If_None_Match=headers["etag"])[0] == 304


def test_percent_encoded_form_of_a_url_is_the_same_page(server: CorpusServer) -> None:
    assert fetch(server, "https://two.example/news/%E6%97%A5%E6%9C%AC.html")[2] == page_of(2)
    assert fetch(server, "https://one.example/b?id=7&x=%c3%a9")[2] == page_of(1)


@pytest.mark.parametrize(
    "url",
    [
        "https://one.example/b",
        "https://one.example/b?id=7",
        "https://two.example/a.html",
        "https://x.example/",
    ],
)
def test_everything_else_is_missing(server: CorpusServer, url: str) -> None:
    assert fetch(server, url)[0] == 404


def test_home_robots_feed_and_sitemap_lead_to_the_pages(server: CorpusServer) -> None:
    home = fetch(server, "https://one.example/")[2].decode()
    assert 'type="application/rss+xml" title="One" href="/feed.xml"' in home
    assert b"Sitemap: https://one.example/sitemap-news.xml" in fetch(server, "https://one.example/robots.txt")[2]
    feed = ET.fromstring(fetch(server, "https://one.example/feed.xml")[2])
    assert [item.text for item in feed.iter("link")][1:] == [ROWS[0][0], ROWS[1][0]]
    assert [item.text for item in feed.iter("title")][1:] == ["First & <foremost>", "Zweitens"]
    assert [item.text for item in feed.iter("pubDate")] == ["Fri, 03 May 2024 15:47:42 +0000"]
    sitemap = ET.fromstring(fetch(server, "https://two.example/sitemap-news.xml")[2])
    news = "{http://www.google.com/schemas/sitemap-news/0.9}"
    assert [item.text for item in sitemap.iter(f"{news}title")] == ["ニュース"]
    assert [item.text for item in sitemap.iter(f"{news}language")] == ["de"]


def test_settings_and_outlets_are_written(server: CorpusServer) -> None:
    settings = tomllib.loads((server.out / "settings.toml").read_text())
    assert settings["crawl"] == {
        "host_delay": 0,
        "connect_to": [f":443:127.0.0.1:{server.server.port}"],
        "ca_file": str(server.ca_file),
        "allow_addresses": ["127.0.0.0/8"],
    }
    outlets = json.loads((server.out / "outlets.json").read_text())
    assert settings["outlet"] == outlets
    assert outlets == [
        {"url": "https://one.example/", "name": "One"},
        {"url": "https://two.example/", "name": "Two"},
    ]


def test_plain_never_compresses(manifest: Path, tmp_path: Path) -> None:
    with CorpusServer(manifest, tmp_path / "out", plain=True) as server:
        assert fetch(server, ROWS[0][0], Accept_Encoding="gzip")[2] == page_of(0)


@pytest.mark.parametrize("line", ["{}", "[]", "no json", '{"url": "http://a.example/", "page": "x"}'])
def test_unusable_manifest_names_the_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "truth.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=r"truth\.jsonl:1: "):
        read_manifest(path)


def test_command_serves_until_terminated(manifest: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "ops.bench.corpus_server",
        "--manifest",
        manifest,
        "--dir",
        tmp_path / "out",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert (ready["outlets"], ready["pages"]) == (2, 3)
        port = int(ready["connect_to"].rsplit(":", 1)[1])
        socket.create_connection(("127.0.0.1", port)).close()
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0


@pytest.mark.shared
def test_every_page_of_the_newsrooms_is_served(shared: Path, tmp_path: Path) -> None:
    manifest = shared / "corpus" / "newsrooms" / "truth.jsonl"
    with CorpusServer(manifest, tmp_path / "out") as server:
        for site in server.sites.values():
            for page in site.pages:
                status, headers, body = fetch(server, page.url, Accept_Encoding="gzip")
                assert status == 200
                assert headers["content-type"] == "text/html; charset=utf-8"
                assert body == page.packed.read_bytes()

"""A page corpus over HTTPS on loopback, each page at its own URL: a crawl of it is a crawl of the web.

    python -m ops.bench.corpus_server --manifest truth.jsonl --dir OUT [--port N] [--plain]

Reads a manifest (one JSON object a line with at least `url`, `page`, `outlet`, `title` and `published`; the page
is a gzipped file beside it) and plays every host in it on one port: the pages with their exact path and query,
and a home page, `robots.txt`, an RSS feed and a news sitemap made from the manifest. Everything else is 404. Into
OUT go `ca.pem`, `outlets.json` and `settings.toml`, which tell a crawler all that it must know. It serves until
SIGTERM.

The pages are read from where they lie and copied nowhere. What is made of them is left to others.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from html import escape
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

from ops.demo.certs import Authority
from ops.demo.messages import Request, accepts_gzip, http_date, response, unchanged
from ops.demo.wire import Answer, Send, WireServer

FEED = "/feed.xml"
SITEMAP = "/sitemap-news.xml"
ROBOTS = "/robots.txt"
#: What a crawler must be allowed to ask, for loopback is refused otherwise.
LOOPBACK_BLOCK = "127.0.0.0/8"
#: Bytes at the start of a page in which its language is looked for.
LANGUAGE_WITHIN = 4096
#: What may stand in a path and query as it is (RFC 3986, 3.3 and 3.4), "%" for the escapes that are there already.
MAY_STAND = "/?%:@!$&'()*+,;=~-._"
#: What may not stand in XML 1.0 at all, escaped or not (production 2).
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One page of the manifest. `target` is path and query in one spelling; `packed` the file as it lies."""

    url: str
    target: str
    title: str
    published: datetime | None
    packed: Path


@dataclass(kw_only=True, slots=True)
class Site:
    """One host: its outlet's name and its pages."""

    host: str
    name: str
    pages: list[Page] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The home page."""
        return f"https://{self.host}/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """A body that is ready to be sent, plain and packed."""

    content_type: str
    body: bytes
    packed: bytes | None
    etag: str


def read_manifest(path: Path) -> dict[str, Site]:
    """The sites of a manifest by host. ValueError names the line that cannot be used."""
    sites: dict[str, Site] = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                parts = urlsplit(row["url"])
                page = Page(
                    url=row["url"],
                    target=one_spelling((parts.path or "/") + (f"?{parts.query}" if parts.query else "")),
                    title=row["title"] or "",
                    published=_instant(row.get("published")),
                    packed=path.parent / row["page"],
                )
                name = row["outlet"]
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path}:{number}: not a page of a corpus manifest: {error!r}") from error
            if parts.scheme != "https" or not parts.hostname:
                raise ValueError(f"{path}:{number}: only https URLs can be served, this is {row['url']!r}")
            sites.setdefault(parts.hostname, Site(host=parts.hostname, name=name)).pages.append(page)
    return sites


def one_spelling(target: str) -> str:
    """A target with everything escaped that a URL may not hold, and the escapes in capitals (RFC 3986, 6.2.2.1)."""
    escaped = quote(target, safe=MAY_STAND)
    return re.sub("%[0-9a-f]{2}", lambda found: found.group().upper(), escaped, flags=re.IGNORECASE)


def _instant(value: str | None) -> datetime | None:
    """The published instant, None where there is none or it has no zone (a feed could not say it honestly)."""
    found = datetime.fromisoformat(value) if value else None
    return found if found is not None and found.tzinfo is not None else None


class CorpusServer:
    """The server, for use from Python: a context manager that writes OUT and serves until it is left."""

    def __init__(self, manifest: Path, out: Path, *, port: int = 0, plain: bool = False) -> None:
        """`plain` never compresses; otherwise pages go out gzip-encoded to clients that accept it."""
        self.sites = read_manifest(manifest)
        self.out = out
        self._plain = plain
        self._resources: dict[tuple[str, str], Resource] = {}
        self._pages = {(site.host, page.target): page for site in self.sites.values() for page in site.pages}
        out.mkdir(parents=True, exist_ok=True)
        authority = Authority(out)
        self.ca_file = authority.ca_file
        self.server = WireServer(self._answer, tls=authority.context(), port=port, remember=False)

    @property
    def connect_to(self) -> str:
        """For `[crawl] connect_to`: any host's port 443 comes here."""
        return self.server.connect_to

    @property
    def outlets(self) -> list[dict[str, str]]:
        """URL and name of each host, in the order of the manifest."""
        return [{"url": site.url, "name": site.name} for site in self.sites.values()]

    def start(self) -> None:
        """Serve, and write `outlets.json` and `settings.toml`."""
        self.server.start()
        (self.out / "outlets.json").write_text(json.dumps(self.outlets, ensure_ascii=False, indent=1) + "\n")
        (self.out / "settings.toml").write_text(self.settings(), encoding="utf-8")

    def stop(self) -> None:
        """End every connection."""
        self.server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def settings(self, *, outlets: bool = True) -> str:
        """A fragment of `pressmark.toml`: how to reach this server, and (unless told not to) the outlets."""
        lines = [
            "[crawl]",
            "host_delay = 0",
            f"connect_to = [{_toml(self.connect_to)}]",
            f"ca_file = {_toml(str(self.ca_file.resolve()))}",
            f"allow_addresses = [{_toml(LOOPBACK_BLOCK)}]",
        ]
        if outlets:
            for site in self.sites.values():
                lines += ["", "[[outlet]]", f"url = {_toml(site.url)}", f"name = {_toml(site.name)}"]
        return "\n".join(lines) + "\n"

    # -- answers ------------------------------------------------------------------------------------------

    def _answer(self, request: Request) -> Answer:
        resource = self._resource(request.host, one_spelling(request.target))
        now = ("Date", http_date(time.time()))
        if resource is None:
            missing = response(404, headers=[now, ("Content-Type", "text/plain")], body=b"not found\n")
            return Answer(steps=(Send(data=missing),))
        headers = [now, ("ETag", resource.etag), ("Vary", "Accept-Encoding")]
        if unchanged(request, etag=resource.etag, modified=None):
            return Answer(steps=(Send(data=response(304, headers=headers)),))
        headers.append(("Content-Type", resource.content_type))
        body = resource.body
        if resource.packed is not None and accepts_gzip(request):
            headers.append(("Content-Encoding", "gzip"))
            body = resource.packed
        sent = response(200, headers=headers, body=body, head_only=request.method == "HEAD")
        return Answer(steps=(Send(data=sent),))

    def _resource(self, host: str, target: str) -> Resource | None:
        key = (host, target)
        if key not in self._resources:
            made = self._make(host, target)
            if made is None:
                return None
            self._resources[key] = made
        return self._resources[key]

    def _make(self, host: str, target: str) -> Resource | None:
        site = self.sites.get(host)
        if site is None:
            return None
        page = self._pages.get((host, target))
        if page is not None:
            packed = page.packed.read_bytes()
            body = gzip.decompress(packed)
            return _resource(html_type(body), body, None if self._plain else packed)
        if target == "/":
            return _resource("text/html; charset=utf-8", home(site).encode())
        if target == ROBOTS:
            return _resource("text/plain; charset=utf-8", robots(site).encode())
        if target == FEED:
            return _resource("application/rss+xml; charset=utf-8", feed(site).encode())
        if target == SITEMAP:
            return _resource("application/xml; charset=utf-8", sitemap(site, self._language).encode())
        return None

    def _language(self, page: Page) -> str:
        resource = self._resource(urlsplit(page.url).hostname or "", page.target)
        start = resource.body[:LANGUAGE_WITHIN] if resource is not None else b""
        found = re.search(rb"<html[^>]*\blang=[\"']?([A-Za-z]{2,3})\b", start)
        return found.group(1).decode().lower() if found else "und"


def html_type(body: bytes) -> str:
    """The Content-Type of a page: the charset is said where the bytes prove it.

    Corpora often keep pages re-coded to UTF-8 whose `<meta>` still names the old charset; the header outranks it.
    """
    try:
        body.decode()
    except UnicodeDecodeError:
        return "text/html"
    return "text/html; charset=utf-8"


def _resource(content_type: str, body: bytes, packed: bytes | None = None) -> Resource:
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return Resource(content_type=content_type, body=body, packed=packed, etag=etag)


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _xml(text: str) -> str:
    return escape(NOT_XML.sub("", text))


# -- what a host says of itself ---------------------------------------------------------------------------


def robots(site: Site) -> str:
    """Everything is allowed; the sitemap is named."""
    return f"User-agent: *\nAllow: /\n\nSitemap: https://{site.host}{SITEMAP}\n"


def home(site: Site) -> str:
    """A front page that links the feed and every article."""
    links = "\n".join(
        f'<li><a href="{escape(page.url)}">{escape(page.title or page.target)}</a></li>' for page in site.pages
    )
    return (
        f'<!doctype html>\n<html><head><meta charset="utf-8"><title>{escape(site.name)}</title>\n'
        f'<link rel="alternate" type="application/rss+xml" title="{escape(site.name)}" href="{FEED}">\n'
        f"</head><body><h1>{escape(site.name)}</h1>\n<ul>\n{links}\n</ul>\n</body></html>\n"
    )


def feed(site: Site) -> str:
    """RSS 2.0 of all pages; an item has a date only where the manifest knows it with its zone."""
    items = []
    for page in site.pages:
        date = f"<pubDate>{format_datetime(page.published)}</pubDate>" if page.published else ""
        url = _xml(page.url)
        items.append(f"<item><title>{_xml(page.title)}</title><link>{url}</link><guid>{url}</guid>{date}</item>\n")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel>'
        f"<title>{_xml(site.name)}</title><link>{_xml(site.url)}</link>"
        f"<description>{_xml(site.name)}</description>\n{''.join(items)}</channel></rss>\n"
    )


def sitemap(site: Site, language: Callable[[Page], str]) -> str:
    """A news sitemap of all pages; `language` gives the language of one."""
    urls = []
    for page in site.pages:
        date = f"<n:publication_date>{page.published.isoformat()}</n:publication_date>" if page.published else ""
        urls.append(
            f"<url><loc>{_xml(page.url)}</loc><n:news><n:publication><n:name>{_xml(site.name)}</n:name>"
            f"<n:language>{language(page)}</n:language></n:publication>{date}"
            f"<n:title>{_xml(page.title)}</n:title></n:news></url>\n"
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" '
        f'xmlns:n="http://www.google.com/schemas/sitemap-news/0.9">\n{"".join(urls)}</urlset>\n'
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Exit code 0, or 2 on a manifest that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.corpus_server", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--manifest", type=Path, required=True, help="truth.jsonl of the corpus")
    parser.add_argument("--dir", type=Path, required=True, help="folder for ca.pem, outlets.json, settings.toml")
    parser.add_argument("--port", type=int, default=0, help="port on loopback (default: a free one)")
    parser.add_argument("--plain", action="store_true", help="never send gzip")
    chosen = parser.parse_args(arguments)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, frame: stopped.set())
    try:
        server = CorpusServer(chosen.manifest, chosen.dir, port=chosen.port, plain=chosen.plain)
        server.start()
    except (OSError, ValueError) as error:
        print(f"corpus_server: {error}", file=sys.stderr)
        return 2
    ready = {
        "connect_to": server.connect_to,
        "ca_file": str(server.ca_file.resolve()),
        "settings": str((chosen.dir / "settings.toml").resolve()),
        "outlets": len(server.sites),
        "pages": sum(len(site.pages) for site in server.sites.values()),
    }
    print(json.dumps(ready), flush=True)
    while not stopped.wait(timeout=3600):
        pass
    server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())

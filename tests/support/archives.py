"""Small real archives: a folder with SQLite, or PostgreSQL with S3, and exchanges to put into them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ingest.extract import extract
from schemas.articles import Article, OutletRef
from schemas.captures import Capture, Context, Ending, Exchange, Role
from schemas.outlets import Outlet, OutletChange, Source
from storage.archive import Archive, StorageSettings

ORIGIN = "pressmark.invalid/test"
WORDS = (
    *("amber", "birch", "cinder", "dolphin", "ember", "falcon", "granite"),
    *("heron", "indigo", "juniper", "kestrel", "lark", "maple", "nettle", "otter"),
)
START = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
OUTLET = Outlet(
    id="lantern.example",
    name="The Lantern",
    url="https://lantern.example/",
    domain="lantern.example",
    sources=(Source(url="https://lantern.example/feed.xml", kind="feed"),),
    added=START,
)


def ticking(start: datetime = START) -> Callable[[], datetime]:
    """A clock that goes on by a second at each look."""
    seconds = itertools.count()
    return lambda: start + timedelta(seconds=next(seconds))


def settings(folder: Path, *, catalog: str | None = None, objects: str | None = None) -> StorageSettings:
    """Settings of an archive in a folder; other URLs put its parts elsewhere."""
    return StorageSettings(
        directory=folder,
        catalog_url=catalog or f"sqlite:///{folder / 'catalog.sqlite'}",
        objects_url=objects or str(folder / "objects"),
        origin=ORIGIN,
        warcinfo={"software": "pressmark/test", "format": "WARC File Format 1.1"},
        clock=ticking(),
    )


def add_outlet(archive: Archive) -> Outlet:
    """Watch the Lantern."""
    return archive.record_outlet(OutletChange(change="add", at=START, outlet=OUTLET))


def page(number: int, *, extra: str = "") -> bytes:
    """The HTML of an article with three paragraphs, no two numbers sharing a sentence."""
    name = " ".join(WORDS[(number * 7 + i * i) % len(WORDS)] for i in range(6))
    return (
        f"<html lang='en'><head><title>Ferry {number} runs again</title></head><body><article>"
        f"<h1>Ferry {number} runs again</h1><p>The ferry number {number}, which islanders call {name}, took up its "
        f"service on Monday after {number + 3} weeks in the yard, and the first crossing left the quay on time.</p>"
        f"<p>Passengers of boat {number} cheered on the quay{extra}, the harbour master said, while the crew of the "
        f"{name} made fast and the band played what it always plays on such days.</p>"
        f"<p>The next inspection of ferry {number} is due in {number + 11} months, according to the operator.</p>"
        f"</article></body></html>"
    ).encode()


def exchange(path: str, body: bytes, *, status: str = "200 OK", at: datetime = START, head: str = "") -> Exchange:
    """A whole exchange with the Lantern."""
    response = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n{head}Content-Length: {len(body)}\r\n\r\n"
    )
    return Exchange(
        url=f"https://lantern.example{path}",
        started=at,
        ending=Ending.COMPLETE,
        request=f"GET {path} HTTP/1.1\r\nHost: lantern.example\r\n\r\n".encode(),
        response=response.encode() + body,
        peer="127.0.0.1",
        port=443,
        protocols=("http/1.1", "tls/1.3"),
        cipher="TLS_AES_256_GCM_SHA384",
        certificates=(b"not a real certificate",),
    )


ARTICLE = Context(outlet_id=OUTLET.id, role=Role.ARTICLE)


def read_article(archive: Archive, capture: Capture) -> Article:
    """What the extractor makes of a capture."""
    body, headers = archive.entity(capture)
    outlet = OutletRef(id=OUTLET.id, name=OUTLET.name, domain=OUTLET.domain)
    return extract(
        body=body, url=capture.url, captured=capture.date, content_type="text/html", headers=headers, outlet=outlet
    )


def fill(archive: Archive, count: int = 3) -> list[Capture]:
    """Watch the Lantern and keep some articles of it, read."""
    add_outlet(archive)
    captures = archive.deposit([(exchange(f"/{n}", page(n)), ARTICLE) for n in range(count)])
    for capture in captures:
        archive.deposit_article(read_article(archive, capture), capture)
    return captures

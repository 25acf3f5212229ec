"""Redaction of real pages, on both storages: searched from below, read by every tool, no other proof broken."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType

from ops.bench.pages import BenchPage
from schemas.bundles import verify_bundle
from schemas.captures import Context, Ending, Exchange, Role
from schemas.http1 import print_chunked
from storage.archive import Archive, StorageSettings
from storage.catalog.values import VersionRow
from storage.datasets import Selection, build, verify
from storage.evidence import prove
from storage.redaction import Request, plan, redact
from storage.warc.check import check_file, is_valid
from tests.storage.test_redaction import clean, everywhere, made, read_by_all, shape
from tests.support.archives import OUTLET, START, add_outlet, read_article
from tests.support.needles import Needles

__all__ = ["made"]  # a fixture

#: Bytes of the phrase that is looked for of each article that goes.
PHRASE = 40
MAKE = Request(id="", code="court-order", authority="district-court", scope="text", keep=("all",))


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """An article with the page that it was read from."""

    page: BenchPage
    row: VersionRow


def pages_of(shared: Path, count: int) -> list[BenchPage]:
    """Real pages, evenly over all outlets."""
    folder = shared / "corpus" / "newsrooms"
    rows = [json.loads(line) for line in (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = rows[:: max(1, len(rows) // count)][:count]
    return [
        BenchPage(url=r["url"], crawled=r["crawled"], html=gzip.decompress((folder / r["page"]).read_bytes()))
        for r in rows
    ]


def answer(page: BenchPage, number: int) -> Exchange:
    """The page as servers send it: plain, packed, in chunks."""
    body, head = page.html, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
    if number % 3 == 1:
        body, head = gzip.compress(body, mtime=0), head + "Content-Encoding: gzip\r\n"
    if number % 3 == 2:
        parts = [body[at : at + 4000] for at in range(0, len(body), 4000)]
        body, head = print_chunked(parts), head + "Transfer-Encoding: chunked\r\n"
    else:
        head += f"Content-Length: {len(body)}\r\n"
    return Exchange(
        url=page.url,
        started=START + timedelta(seconds=number),
        ending=Ending.COMPLETE,
        request=b"GET / HTTP/1.1\r\nHost: real.example\r\n\r\n",
        response=head.encode() + b"\r\n" + body,
        peer="127.0.0.1",
        port=443,
    )


@pytest.fixture
def archive(made: StorageSettings) -> Iterator[Archive]:
    with Archive.open(made) as opened:
        yield opened


def fill_with(archive: Archive, pages: list[BenchPage]) -> list[Kept]:
    """Keep and read them, each captured twice; build a dataset; seal."""
    add_outlet(archive)
    context, found = Context(outlet_id=OUTLET.id, role=Role.ARTICLE), []
    for number, page in enumerate(pages):
        first, again = answer(page, number), answer(page, number)
        for exchange in (first, replace(again, started=again.started + timedelta(hours=1))):
            (capture,) = archive.deposit([(exchange, context)])
            row, _ = archive.deposit_article(read_article(archive, capture), capture)
        found.append(Kept(page=page, row=row))
        if number % 10 == 9:
            archive.rotate(force=True)
    archive.seal()
    build(archive, "news", Selection())
    archive.seal()
    return found


def phrase_of(kept: Kept, others: list[bytes]) -> str | None:
    """Forty bytes of the article's text that stand in its page as they are, and in no other."""
    for paragraph in json.loads(kept.row.block)["paragraphs"]:
        data = paragraph.encode()
        for at in range(0, len(data) - PHRASE, PHRASE // 2):
            try:
                part = data[at : at + PHRASE].decode()
            except UnicodeDecodeError:
                continue
            if part.encode() in kept.page.html and not any(part.encode() in other for other in others):
                return part
    return None


def needles_of(archive: Archive, going: list[Kept], phrases: list[str]) -> Needles:
    digests: set[str] = set()
    with archive.catalog.read() as tx:
        for kept in going:
            for capture_id in tx.articles.sightings(kept.row.row_id or 0):
                capture = tx.captures.get(capture_id)
                assert capture is not None
                assert capture.payload_digest is not None
                digests.add(capture.payload_digest)
            block = kept.row.block.encode()
            digests |= {kept.row.text_sha256, kept.row.content_key, hashlib.sha256(block).hexdigest()}
            digests.add(hashlib.sha256(kept.page.html).hexdigest())
    return Needles.of(texts=phrases, digests=digests)


@pytest.mark.shared
@pytest.mark.parametrize("made", ["folder", pytest.param("services", marks=pytest.mark.slow)], indirect=True)
@pytest.mark.parametrize(("count", "goes"), [(8, 2), pytest.param(111, 5, marks=pytest.mark.slow)])
def test_real_articles_go_and_nothing_else_does(
    archive: Archive, request: pytest.FixtureRequest, shared: Path, tmp_path: Path, count: int, goes: int
) -> None:
    kept = fill_with(archive, pages_of(shared, count))
    pages = [one.page.html for one in kept]
    phrased = [(one, p) for one in kept if (p := phrase_of(one, [page for page in pages if page is not one.page.html]))]
    chosen = phrased[:: len(phrased) // goes][:goes]
    going, phrases = [one for one, _ in chosen], [phrase for _, phrase in chosen]
    assert len(going) == goes
    names = {one.row.article_id for one in going}
    others = sorted({one.row.article_id for one in kept} - names)
    needles = needles_of(archive, going, phrases)
    assert set(needles.in_bytes(b"".join(p.encode() for p in phrases))) == set(phrases)
    bundles = [prove(archive, article) for article in [*others[:: max(1, len(others) // 8)], "news/1.0.0"]]
    before = shape(archive)
    if archive.catalog.dialect == "sqlite":  # the search finds each of them while it is there
        hits = "\n".join(needles.in_folder(archive.directory))
        assert all(phrase in hits for phrase in phrases)

    for one in going:
        outcome = redact(archive, plan(archive, replace(MAKE, id=one.row.article_id)))
        assert outcome.pending == ()

    assert clean(archive) == []
    assert verify(archive, "news") == []
    assert shape(archive).items() >= before.items(), "no offset and no length has moved"
    for number, key in enumerate(k for k in archive.store.list() if k.endswith(".warc.gz")):
        read_by_tools(archive.store.get(key), tmp_path / f"{number}.warc.gz")
    for bundle in bundles:
        report = verify_bundle(bundle, key=archive.vkey)
        assert report.ok, report.findings
    services = archive.catalog.dialect == "postgresql"
    bucket = request.getfixturevalue("s3_bucket") if services else None
    assert everywhere(archive, needles, bucket) == []
    if services:
        data = request.getfixturevalue("postgres_server").data
        assert needles.in_folder(data, but=("pg_wal/",)) == []


def read_by_tools(data: bytes, path: Path) -> None:
    """By gzip, warcio, FastWARC with its own check of block digests, and the strict validator."""
    read_by_all(data)
    for record in ArchiveIterator(io.BytesIO(data), record_types=WarcRecordType.any_type, parse_http=False):
        assert record.verify_block_digest() is not False
    path.write_bytes(data)
    assert is_valid(check_file(path), strict=True)


def test_what_is_packed_twice_is_found() -> None:
    """A body that came packed, in a member of its own."""
    inner = b"head\r\n\r\n" + gzip.compress(b"a phrase that must be found in the innermost layer")
    packed = b"x" * 10 + gzip.compress(inner) + zlib.compress(b"y")
    assert Needles.of(texts=["must be found in the innermost"]).in_bytes(packed) == ["must be found in the innermost"]

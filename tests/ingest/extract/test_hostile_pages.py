"""Pages made to break or delay the extractor, in real worker processes: bounded, labelled, and the next one works.

The full sizes are behind the `slow` marker; the quick selection has the same shapes, smaller.
"""

from __future__ import annotations

import os
import random
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.extract.worker import OUT_OF_MEMORY, ExtractPool, ImageJob, Job, Result
from schemas.articles import Article
from schemas.errors import ExtractionError
from tests.ingest.extract.pages import ARTICLE, CAPTURED

MIB = 1024 * 1024
#: What settings give a worker by default.
SECONDS, MEMORY = 30.0, 2048 * MIB
#: Codes that a page may end with; `broken` and `crashed` are none of them: those are faults of ours.
LABELS = frozenset({"empty", "binary", "too-large", "too-deep", "too-complex", "too-slow", OUT_OF_MEMORY})


def shapes(size: int) -> Iterator[tuple[str, bytes]]:
    """Hostile pages of about so many bytes each."""
    figure = b"<figure><img src=/%07d.jpg><figcaption>Foto: AP</figcaption></figure>"
    head = b"<article><h1>Ports open</h1>"
    yield "words", b"<p>" + b"words of a long text " * (size // 21)
    yield "paragraphs", b"<article>" + b"<p>Some words of a paragraph that is long enough.</p>" * (size // 53)
    yield "attributes", b"<p " + b"a=b " * (size // 4) + b">x</p>"
    yield "comment", b"<!--" + b"x" * size + b"--><p>hi</p>"
    yield "never closed comment", b"<!--" * (size // 4) + b"<p>hi</p>"
    yield "deep", b"<div>" * (size // 5) + b"x"
    yield "deep inline", b"<p>" + b"<span>" * (size // 6) + b"x"
    yield "tables", b"<table><tr><td>" * (size // 15) + b"x"
    yield "entities", b"<p>" + b"&amp;" * (size // 5)
    yield "brackets", b"<" * size
    yield "quotes", b'<p class="' * (size // 10)
    yield "deep JSON", b'<script type="application/ld+json">' + b'{"a":' * (size // 6) + b"1" + b"}" * (size // 6)
    nodes = b'{"@type":"NewsArticle","headline":"a"},' * (size // 39)
    yield "long JSON", b'<script type="application/ld+json">[' + nodes + b"{}]</script>"
    yield "figures", head + b"".join(figure % n for n in range(size // len(figure)))
    yield "srcset", head + b"<img srcset='" + b"/a.jpg 100w, " * (size // 13) + b"'>"
    yield "address", head + b"<img src=x srcset='" + b"a" * size + b"'>"
    yield "address and words", head + b"<img src=x srcset='" + b"a" * size + b" b c'>"
    image = b'{"@type":"ImageObject","url":"/%07d.jpg","author":{"@id":"#a"}},'
    images = b"".join(image % n for n in range(size // len(image)))
    yield "ids", b'<script type="application/ld+json">[' + images + b"{}]</script><p>x</p>"
    yield "feet", head + b"<footer><div>" * 150 + b"<p>Words, copyright of a foot</p>" * (size // 33)
    odd = b"<p\x01>Photo<img src=/a.jpg></p\x01>" + b"of the port " * 8
    yield "tags that are no names", head + odd * (size // len(odd))
    yield "captions of brackets", head + b"<img src=/a.jpg data-caption='" + b"<" * size + b"'>"
    yield "openings", head + b"<p>x</p>" + b"<script " * (size // 16) + b"<!-- " * (size // 10)
    yield "names", head + b"<div class='" + b"credit-" * (size // 7) + b"'><img src=/x.jpg><p>Photo by</p></div>"
    yield "white space", head + b"<figure><img src=/a.jpg><figcaption>Foto:" + b" \xc2\xa0" * (size // 3) + b"x"
    yield "initials", head + b"<p class=byline>By " + b"A. " * (size // 3)
    yield "capitals", head + b"<figure><img src=/a.jpg><figcaption>Photo: " + b"Aa/" * (size // 3) + b"</figcaption>"
    yield "times", head + b"<time>2026-02-24 10:00</time>" * (size // 29)
    yield "metas", b"<meta name=author content='Ada Quay'>" * (size // 37) + b"<p>x</p>"
    yield "links", head + b"<a href=/x>More news of the port</a> " * (size // 37)
    yield "noise", random.Random(7).randbytes(size)
    yield "zeros", b"\0" * size
    yield "letters of noise", bytes(random.Random(8).choices(b"<>/=\"' abpdiv&;!-", k=size))


SMALL = dict(shapes(60_000))
OTHERS = {
    "nothing": b"", "blank": b" \r\n" * 99, "a mark": b"\xef\xbb\xbf", "half a pair": b"\xff\xfe\x00\xd8",
    "cut UTF-16": ARTICLE.encode("utf-16")[:-1], "UTF-16 unmarked": ARTICLE.encode("utf-16-le"),
    "called Shift_JIS": b"<meta charset=shift_jis>" + "<p>Größe zählt nicht, sagte er am Montag.</p>".encode("cp1252"),
    "called UTF-7": b"<meta charset=utf-7><p>+ADw-script+AD4-</p>", "called idna": b"<meta charset=idna><p>x.\xe9</p>",
    "a zip": b"PK\x03\x04" + bytes(range(256)) * 99, "a PDF": b"%PDF-1.7\n" + bytes(range(256)) * 99,
    "JSON": b'{"a": [1, 2, {"b": "<p>x</p>"}]}',
    "XML": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    "beyond the bound": b"x" * (24 * MIB + 1),
}  # fmt: skip


def job(body: bytes, **fields: object) -> Job:
    return Job(body=body, url="https://paper.example/x", captured=CAPTURED, **fields)  # type: ignore[arg-type]


def labelled(result: Result) -> bool:
    return isinstance(result, Article) or (isinstance(result, ExtractionError) and result.code in LABELS)


def test_every_shape_ends_labelled_and_takes_no_other_page_with_it() -> None:
    pages = {**SMALL, **OTHERS}
    with ExtractPool(workers=2, max_seconds=SECONDS, max_memory=MEMORY) as pool:
        results = dict(zip(pages, pool.run(job(body) for body in pages.values()), strict=True))
        (after,) = pool.run([job(ARTICLE.encode())])
    wrong = {name: str(result) for name, result in results.items() if not labelled(result)}
    assert wrong == {}
    assert isinstance(after, Article)
    codes = {name: result.code for name, result in results.items() if isinstance(result, ExtractionError)}
    assert codes["nothing"] == codes["blank"] == "empty"
    assert codes["zeros"] == codes["noise"] == codes["a zip"] == "binary"
    assert codes["beyond the bound"] == "too-large"
    assert codes["deep"] == codes["deep inline"] == "too-deep"


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_twenty_megabytes_of_it_are_bounded_too(name: str) -> None:
    body = dict(shapes(20 * MIB))[name]
    with ExtractPool(workers=1, max_seconds=SECONDS, max_memory=MEMORY) as pool:
        result, after = pool.run([job(body), job(ARTICLE.encode())])
    assert labelled(result), result
    assert isinstance(after, Article)


@pytest.fixture(scope="module")
def tight() -> int:
    """Bytes of address space that a worker gets by with, and 64 MiB: a few megabytes of page are too much then."""
    with ExtractPool(workers=1, max_seconds=SECONDS, max_memory=MEMORY) as pool:
        list(pool.run([job(ARTICLE.encode())]))
        status = Path(f"/proc/{pool.pids[0]}/status")
        if not status.exists():
            pytest.skip("only Linux says how much a process takes")
        (peak,) = re.findall(r"VmPeak:\s+(\d+) kB", status.read_text("ascii"))
    return int(peak) * 1024 + 64 * MIB


def test_a_page_that_needs_too_much_memory_costs_itself_alone(tight: int) -> None:
    big = dict(shapes(6 * MIB))["paragraphs"]
    with ExtractPool(workers=1, max_seconds=120, max_memory=tight) as pool:
        (first,) = pool.run([job(ARTICLE.encode())])
        before = pool.pids
        (result,) = pool.run([job(big)])
        assert isinstance(result, ExtractionError)
        assert result.code == OUT_OF_MEMORY
        (after,) = pool.run([job(ARTICLE.encode())])
        assert pool.pids != before, "a new process took its place"
    assert isinstance(first, Article)
    assert after == first


def test_images_are_read_by_the_same_processes_and_bombs_cost_themselves_alone(tight: int) -> None:
    def png(side: int, rows: bytes) -> bytes:
        chunks = [
            (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(rows)), (b"IEND", b""),
        ]  # fmt: skip
        packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
        return b"\x89PNG\r\n\x1a\n" + b"".join(packed)

    bomb = png(7_900, bytes(7_900 * 3 + 1) * 7_900)  # 62 million pixels in 180 KB: a quarter of a gigabyte
    over = png(60_000, b"")
    with ExtractPool(workers=1, max_seconds=60, max_memory=MEMORY) as pool:
        results = list(pool.run([ImageJob(body=b) for b in (bomb, over, b"no image", os.urandom(5000), b"")]))
        (page,) = pool.run([job(ARTICLE.encode())])
    assert [getattr(r, "problems", None) or getattr(r, "code", None) for r in results] == [
        ("plain",), ("too-many-pixels",), "not-an-image", "not-an-image", "empty",
    ]  # fmt: skip
    assert isinstance(page, Article)
    with ExtractPool(workers=1, max_seconds=60, max_memory=tight) as pool:
        starved, small = pool.run([ImageJob(body=bomb), ImageJob(body=png(40, bytes(121) * 40))])
    assert isinstance(starved, ExtractionError)
    assert starved.code == OUT_OF_MEMORY
    assert not isinstance(small, ExtractionError)

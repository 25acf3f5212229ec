"""The pool: results in order, and a page that breaks or dawdles costs only itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from ingest.extract.worker import ExtractPool, Job
from schemas.articles import Article
from schemas.errors import ExtractionError
from tests.ingest.extract.pages import ARTICLE, CAPTURED, TEXT

SLOW = b"<html><body>" + b"<div><p>Some words of a paragraph that is long enough to be looked at.</p></div>" * 60_000


def jobs(*bodies: bytes) -> list[Job]:
    return [Job(body=b, url=f"https://paper.example/{i}", captured=CAPTURED) for i, b in enumerate(bodies)]


@pytest.mark.parametrize("workers", [0, 2])
def test_results_come_in_order(workers: int) -> None:
    with ExtractPool(workers=workers, max_seconds=60) as pool:
        results = list(pool.run(jobs(ARTICLE.encode(), b"", ARTICLE.encode(), b"<p>short</p>", b"\x00" * 50)))
    assert [type(r) for r in results] == [Article, ExtractionError, Article, Article, ExtractionError]
    assert [r.url for r in results if isinstance(r, Article)] == [f"https://paper.example/{i}" for i in (0, 2, 3)]
    assert isinstance(results[1], ExtractionError)
    assert results[1].code == "empty"
    assert isinstance(results[0], Article)
    assert list(results[0].paragraphs) == TEXT


def test_in_process_and_apart_give_the_same_blocks() -> None:
    blocks = []
    for workers in (0, 1):
        with ExtractPool(workers=workers, max_seconds=60) as pool:
            blocks.append([r.block() for r in pool.run(jobs(ARTICLE.encode())) if isinstance(r, Article)])
    assert blocks[0] == blocks[1]
    assert len(blocks[0]) == 1


def test_a_page_that_takes_too_long_costs_one_article() -> None:
    with ExtractPool(workers=1, max_seconds=0.3) as pool:
        first, second = pool.run(jobs(SLOW, b"<p>quick</p>"))
    assert isinstance(first, ExtractionError)
    assert first.code == "too-slow"
    assert isinstance(second, Article)


def test_a_worker_that_dies_costs_one_article() -> None:
    with ExtractPool(workers=2, max_seconds=60) as pool:

        def feed() -> Iterator[Job]:
            yield jobs(SLOW)[0]
            os.kill(pool.pids[0], signal.SIGKILL)  # the second worker is free: the first has its page still
            yield jobs(b"<p>quick</p>")[0]

        first, second = pool.run(feed())
    assert isinstance(first, ExtractionError)
    assert first.code == "crashed"
    assert isinstance(second, Article)


def test_closing_ends_the_processes() -> None:
    pool = ExtractPool(workers=1, max_seconds=60)
    assert len(list(pool.run(jobs(b"<p>x</p>")))) == 1
    (pid,) = pool.pids
    pool.close()
    pool.close()
    assert pool.pids == ()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

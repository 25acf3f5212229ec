"""A page to an article: this extractor, whole and with evidence, beside trafilatura with metadata.

    python -m ops.bench.extraction [--pages N]

All sides read the same pages, in turn page by page in one process, so that what else the machine does falls on all
alike. How right they are is measured in `ops.bench.accuracy`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import trafilatura
from lxml import html

from ingest.extract import extract
from ops.bench.measure import table
from ops.bench.pages import BenchPage, load
from schemas.errors import ExtractionError

Reader = Callable[[BenchPage], bool]


@dataclass(kw_only=True, slots=True)
class Side:
    """What one side has done so far."""

    pages: int = 0
    empty: int = 0  # pages that gave nothing
    seconds: float = 0.0  # CPU
    slowest: float = 0.0  # CPU seconds of the slowest page
    times: list[float] = field(default_factory=list)

    def add(self, seconds: float, *, found: bool) -> None:
        """One page more."""
        self.pages += 1
        self.empty += not found
        self.seconds += seconds
        self.slowest = max(self.slowest, seconds)
        self.times.append(seconds)


def crawled(page: BenchPage) -> datetime:
    """When a page was fetched, aware."""
    when = datetime.fromisoformat(page.crawled)
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _ours(page: BenchPage) -> bool:
    try:
        article = extract(body=page.html, url=page.url, captured=crawled(page), content_type="text/html")
    except ExtractionError:
        return False
    return bool(article.paragraphs)


def _trafilatura(page: BenchPage, *, fast: bool = False) -> bool:
    return trafilatura.bare_extraction(page.html, url=page.url, with_metadata=True, fast=fast) is not None


def _parse(page: BenchPage) -> bool:
    return html.fromstring(page.html) is not None


READERS: Mapping[str, Reader] = {
    "ours": _ours,
    "trafilatura": _trafilatura,
    "trafilatura fast": partial(_trafilatura, fast=True),
    "lxml parse alone": _parse,
}


def measure(pages: Sequence[BenchPage]) -> dict[str, Side]:
    """Every side over every page. The first page is read once by each before, for what is made at first use."""
    sides = {name: Side() for name in READERS}
    for read in READERS.values():
        read(pages[0])
    for page in pages:
        for name, read in READERS.items():
            started = time.process_time()
            found = read(page)
            sides[name].add(time.process_time() - started, found=found)
    return sides


def compare(limit: int | None = None) -> None:
    """Measure and print."""
    what, pages = load()
    pages = pages[:limit]
    sides = measure(pages)
    base = sides["ours"]
    rows = [
        (
            name,
            f"{side.seconds / base.seconds:.2f}x",
            f"{side.pages / side.seconds:.0f}",
            f"{sorted(side.times)[side.pages // 2] * 1000:.1f}",
            f"{side.slowest * 1000:.0f}",
            side.empty,
        )
        for name, side in sides.items()
    ]
    table(
        f"extraction: {len(pages)} of {what}, one process",
        ("side", "ours is", "docs/CPU-s", "median ms", "slowest ms", "gave nothing"),
        rows,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench.extraction", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pages", type=int, help="only the first N pages")
    compare(parser.parse_args(arguments).pages)


if __name__ == "__main__":
    main()

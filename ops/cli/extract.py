"""`pressmark extract`: read pages without archiving them, or read archived ones again."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.common import ArchiveDir, emit, say, settings_of
from schemas.errors import CheckFailed, UsageError

if TYPE_CHECKING:
    from ops.settings import Settings

#: Bytes read of a page given as a file: more is no page.
MAX_PAGE = 256 * 1024 * 1024


def extract(
    page: Annotated[Path | None, typer.Argument(metavar="[PAGE.html]", help="A page as a file (.gz too).")] = None,
    url: Annotated[str, typer.Option(help="Where the page stood.")] = "",
    captured: Annotated[str, typer.Option(help="When it was fetched (RFC 3339). Default: now.")] = "",
    manifest: Annotated[
        Path | None, typer.Option(metavar="TRUTH.jsonl", help="Many pages: lines with id, page, url, crawled.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write to a file instead of stdout.")] = None,
    stale: Annotated[bool, typer.Option("--stale", help="Read archived captures again.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes for --manifest; 0: this one.")] = 0,
    archive: ArchiveDir = None,
) -> None:
    """Extract articles as JSON, one a line."""
    if (page is not None) + (manifest is not None) + stale != 1:
        raise UsageError("extract needs one thing to read", remedy="give PAGE.html, --manifest or --stale")
    if stale:
        _stale(settings_of(archive))
    elif manifest is not None:
        _manifest(manifest, out, workers)
    elif page is not None:
        _page(page, url, captured, out)


def _page(page: Path, url: str, captured: str, out: Path | None) -> None:
    import gzip

    from ingest.extract import extract as read
    from schemas.instants import parse_rfc3339
    from storage.archive import system_clock

    if not url:
        raise UsageError("extract needs to know where the page stood", remedy="give --url URL")
    body = page.read_bytes()
    if page.suffix == ".gz":
        with gzip.open(page) as stream:
            body = stream.read(MAX_PAGE)
    when: datetime = parse_rfc3339(captured) if captured else system_clock()
    article = read(body=body, url=url, captured=when, content_type=None)
    if out is None:
        emit(article.to_json())
        return
    import json

    out.write_text(json.dumps(article.to_json(), ensure_ascii=False) + "\n", encoding="utf-8")


def _manifest(manifest: Path, out: Path | None, workers: int) -> None:
    from ingest.extract.manifest import predict

    if out is None:
        written, failed = predict(manifest, sys.stdout, workers=workers)
    else:
        with out.open("w", encoding="utf-8") as stream:
            written, failed = predict(manifest, stream, workers=workers)
    for identity, why in failed:
        say(f"{identity}: {why}")
    say(f"{written} articles, {len(failed)} pages without one")
    if failed and not written:
        raise CheckFailed("no page of the manifest gave an article")


def _stale(settings: Settings) -> None:
    from ops.wiring import crawl_lock, extract_pool, open_archive

    with (
        crawl_lock(settings),
        open_archive(settings, mend=True, say=say) as archive,
        extract_pool(settings) as pool,
    ):
        from ingest.extract import EXTRACTOR
        from ops.wiring import make_crawler

        with archive.catalog.begin() as tx:
            marked = tx.captures.mark_stale(EXTRACTOR.identity)
        say(f"{marked} captures were read by another extractor")

        async def read_again() -> int:
            crawler = make_crawler(archive, settings, pool, say=say)
            try:
                return await crawler.derive_pending()
            finally:
                await crawler.close()

        done = asyncio.run(read_again())
        archive.seal()
        print(f"read {done} captures again; what the older extractor made is kept beside it")

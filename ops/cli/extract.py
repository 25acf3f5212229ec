"""`pressmark extract`: read pages without archiving them, or read archived ones again."""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.common import ArchiveDir, AsJson, emit, say, settings_of, tell, write_file
from schemas.captures import Role
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
    json: AsJson = False,
) -> None:
    """Extract articles as JSON, one a line."""
    if (page is not None) + (manifest is not None) + stale != 1:
        raise UsageError("extract needs one thing to read", remedy="give PAGE.html, --manifest or --stale")
    if stale:
        _stale(settings_of(archive), as_json=json)
    elif manifest is not None:
        _manifest(manifest, out, workers)
    elif page is not None:
        _page(page, url, captured, out)


def _page(page: Path, url: str, captured: str, out: Path | None) -> None:
    from ingest.extract import extract as read
    from schemas.instants import parse_rfc3339
    from schemas.urls import normalize
    from storage.archive import system_clock

    if not url:
        raise UsageError("extract needs to know where the page stood", remedy="give --url URL")
    url = normalize(url)
    when = parse_rfc3339(captured) if captured else system_clock()
    article = read(body=_bytes(page), url=url, captured=when, content_type=None).to_json()
    if out is None:
        emit(article)
    else:
        write_file(out, (jsonlib.dumps(article, ensure_ascii=False) + "\n").encode())


def _bytes(page: Path) -> bytes:
    """The page of a file. Raises UsageError, OSError."""
    import gzip
    import zlib

    with page.open("rb") as stream:
        body = stream.read(MAX_PAGE + 1)
    if body.startswith(b"\x1f\x8b"):
        try:
            with gzip.open(page) as unpacked:
                body = unpacked.read(MAX_PAGE + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise UsageError(f"{page} is broken gzip: {error}", remedy="give the page as it was fetched") from error
    if len(body) > MAX_PAGE:
        raise UsageError(f"{page} is larger than {MAX_PAGE} bytes", remedy="give one page")
    return body


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
        raise CheckFailed("no page of the manifest gave an article", remedy="see the lines above")


def _stale(settings: Settings, *, as_json: bool) -> None:
    import asyncio

    from ingest.extract import EXTRACTOR
    from ingest.images import READER
    from ops.wiring import crawl_lock, extract_pool, make_crawler, open_archive

    with (
        crawl_lock(settings),
        open_archive(settings, mend=True, say=say) as archive,
        extract_pool(settings) as pool,
    ):
        with archive.catalog.begin() as tx:
            marked = tx.captures.mark_stale(EXTRACTOR.identity)
            marked += tx.captures.mark_stale(READER.identity, Role.IMAGE)
        say(f"{marked} captures were read by another extractor")

        async def read_again() -> int:
            crawler = make_crawler(archive, settings, pool, say=say)
            try:
                return await crawler.derive_pending()
            finally:
                await crawler.close()

        done = asyncio.run(read_again())
        archive.seal()
    if as_json:
        emit({"stale": marked, "read": done})
    else:
        tell(f"read {done} captures again; what the older extractor made is kept beside it")

"""`pressmark import`: WARC and WACZ files that others made."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli.common import ArchiveDir, AsJson, IncludeRedacted, emit, say, settings_of, tell
from schemas.errors import UsageError

if TYPE_CHECKING:
    from ingest.imports import ImportReport
    from ops.settings import Settings
    from storage.archive import Archive

#: Quarantined places of a file that are printed for people.
SHOWN = 5


def import_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="WARC (plain, gzip, zstd) or WACZ.")],
    in_place: Annotated[bool, typer.Option("--in-place", help="Leave the files where they are; copy nothing.")] = False,
    trust: Annotated[bool, typer.Option("--trust", help="Take their dates for the times of capture.")] = False,
    include_redacted: IncludeRedacted = False,
    archive: ArchiveDir = None,
    json: AsJson = False,
) -> None:
    """Take in WARC and WACZ files of others; their dates are claims. A second time nothing is added."""
    from ingest.imports import Importer
    from ops.wiring import open_archive

    settings = settings_of(archive)
    with open_archive(settings, mend=True, say=say) as opened:
        opened.blocklist.ignored = include_redacted
        try:
            reports = Importer(opened, in_place=in_place, trust=trust, say=say).run(files)
            articles = _derive(opened, settings)
        finally:
            opened.seal()
    for report in reports:
        if json:
            emit({**asdict(report), "others": dict(report.others), "outlets": dict(report.outlets)})
        else:
            _tell(report)
    say(f"{articles} pages read")
    refused = [report for report in reports if report.refused]
    if refused:
        raise UsageError(f"{len(refused)} of {len(reports)} files were not taken in", remedy="see the lines above")


def _derive(archive: Archive, settings: Settings) -> int:
    """Read the articles of what was imported; how many pages were looked at."""
    import asyncio

    from ops.wiring import extract_pool, make_crawler

    async def derive() -> int:
        crawler = make_crawler(archive, settings, pool, say=say)
        try:
            return await crawler.derive_pending()
        finally:
            await crawler.close()

    with extract_pool(settings) as pool:
        return asyncio.run(derive())


def _tell(report: ImportReport) -> None:
    if report.refused:
        tell(f"{report.path}: not taken in: {report.refused}")
        return
    before = " (the file was here)" if report.known else ""
    tell(f"{report.path}: {report.records} records, {report.captures} captures, {report.new} new{before}")
    for outlet, count in sorted(report.outlets.items()):
        tell(f"  {count} of {outlet}")
    for found in report.quarantined[:SHOWN]:
        tell(f"  quarantined at {found.offset}: {found.rule}: {found.reason}")
    if len(report.quarantined) > SHOWN:
        tell(f"  and {len(report.quarantined) - SHOWN} more places; --json names them all")

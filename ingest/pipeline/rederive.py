"""Archived articles made once more from their captures, and compared with what the archive keeps.

The same extractor must give the same bytes (principle 6 of the design): what differs tells of a page, an article or an
extractor that changed unseen. An article that another extractor made is counted under that one's identity, not judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ingest.extract import EXTRACTOR
from ingest.extract.worker import ExtractPool, Job
from schemas.articles import Article
from schemas.errors import DamageError, ExtractionError, InvalidValue, NotFound, SegmentElsewhere
from schemas.images import ImageReading
from storage.archive import Archive
from storage.catalog.values import VersionRow


@dataclass(kw_only=True, slots=True)
class Rederived:
    """What making articles once more has shown."""

    same: int = 0  # articles whose bytes came out again
    differing: list[tuple[str, str]] = field(default_factory=list)  # article and version, and a sentence
    others: Counter[str] = field(default_factory=Counter)  # articles by the identity of the extractor that is needed
    unread: int = 0  # captures in a segment that another machine still writes


def rederive(archive: Archive, pool: ExtractPool, progress: Callable[[str, int, int], None]) -> Rederived:
    """Make every article version once more. Raises StoreError, CatalogError; a difference is a value."""
    found = Rederived()
    waiting: list[tuple[VersionRow, bytes]] = []

    def jobs() -> Iterator[Job]:
        with archive.catalog.read() as tx:
            total = tx.articles.count(versions_too=True)
        for number, row in enumerate(_versions(archive)):
            progress("articles", number, total)
            if row.extractor != EXTRACTOR.identity:
                found.others[row.extractor] += 1
                continue
            try:
                block, job = _job(archive, row)
            except SegmentElsewhere:
                found.unread += 1
                continue
            except (DamageError, InvalidValue, NotFound) as error:
                found.differing.append((_place(row), f"it cannot be made again: {error.message}"))
                continue
            waiting.append((row, block))
            yield job

    for result in pool.run(jobs()):
        row, block = waiting.pop(0)
        assert not isinstance(result, ImageReading)  # pages went in
        if isinstance(result, ExtractionError):
            found.differing.append((_place(row), f"reading its capture again gives no article: {result.message}"))
        elif result.block() != block:
            found.differing.append((_place(row), _difference(Article.from_block(block), result)))
        else:
            found.same += 1
    return found


def _versions(archive: Archive) -> Iterator[VersionRow]:
    """Every version, in runs: no transaction is held while pages are read."""
    after = -1
    while True:
        with archive.catalog.read() as tx:
            rows = list(tx.articles.search(latest_only=False, after=after, limit=100))
        if not rows:
            return
        yield from rows
        after = rows[-1].log_index


def _job(archive: Archive, row: VersionRow) -> tuple[bytes, Job]:
    """The article record's block, and the page that it was made from with all that was known then."""
    block = archive.read(row.conversion_id).block
    article = Article.from_block(block)
    with archive.catalog.read() as tx:
        capture = tx.captures.get(row.capture_id)
    if capture is None:
        raise NotFound(f"the catalog lacks capture {row.capture_id}")
    body, headers = archive.entity(capture)
    content_type = next((value for name, value in headers if name.lower() == "content-type"), None)
    return block, Job(
        body=body,
        url=capture.url,
        captured=capture.date,
        content_type=content_type,
        headers=tuple(headers),
        outlet=article.outlet,
    )


def _difference(kept: Article, made: Article) -> str:
    names = [n for n in Article.__dataclass_fields__ if n != "capture" and getattr(kept, n) != getattr(made, n)]
    return f"reading its capture again gives another {', '.join(names) or 'block'}"


def _place(row: VersionRow) -> str:
    return f"article {row.article_id} version {row.version}"

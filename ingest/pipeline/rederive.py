"""Archived articles and readings of images made once more from their captures, and compared with what is kept.

The same extractor must give the same bytes (principle 6 of the design): what differs tells of a page, an article or an
extractor that changed unseen. What another one made is counted under that one's identity, not judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ingest.extract import EXTRACTOR
from ingest.extract.worker import ExtractPool, ImageJob, Job
from schemas.articles import Article
from schemas.captures import Capture
from schemas.errors import DamageError, ExtractionError, InvalidValue, NotFound, SegmentElsewhere
from schemas.images import ImageReading
from storage.archive import Archive
from storage.catalog.values import ImageRow, VersionRow


@dataclass(kw_only=True, slots=True)
class Rederived:
    """What making articles once more has shown."""

    same: int = 0  # articles whose bytes came out again
    images: int = 0  # images that were read alike again
    differing: list[tuple[str, str]] = field(default_factory=list)  # article and version, and a sentence
    others: Counter[str] = field(default_factory=Counter)  # articles by the identity of the extractor that is needed
    readers: Counter[str] = field(default_factory=Counter)  # images by the identity of the reader that is needed
    unread: int = 0  # captures in a segment that another machine still writes


def rederive(archive: Archive, pool: ExtractPool, progress: Callable[[str, int, int], None]) -> Rederived:
    """Make every article version once more, and read every image. Raises StoreError, CatalogError; a difference is a
    value.
    """
    found = Rederived()
    _articles(archive, pool, found, progress)
    _read_images(archive, pool, found)
    return found


def _read_images(archive: Archive, pool: ExtractPool, found: Rederived) -> None:
    waiting: list[ImageRow] = []

    def jobs() -> Iterator[ImageJob]:
        from ingest.images import READER  # loads the image library, which most archives have no use for

        for row in _images(archive):
            if row.reader != READER.identity:
                found.readers[row.reader] += 1
                continue
            try:
                job = ImageJob(body=_entity(archive, row.capture_id)[1])
            except SegmentElsewhere:
                found.unread += 1
                continue
            except (DamageError, InvalidValue, NotFound) as error:
                found.differing.append((f"image {row.capture_id}", f"it cannot be read again: {error.message}"))
                continue
            waiting.append(row)
            yield job

    with archive.catalog.read() as tx:
        if not tx.images.count():
            return
    for result in pool.run(jobs()):
        row = waiting.pop(0)
        if isinstance(result, ImageReading) and result.dumps() == row.reading:
            found.images += 1
        else:
            found.differing.append((f"image {row.capture_id}", "reading its bytes again gives another reading"))


def _images(archive: Archive) -> Iterator[ImageRow]:
    """Every reading, in runs."""
    capture_id = reader = ""
    while True:
        with archive.catalog.read() as tx:
            rows = tx.images.after(capture_id, reader, 100)
        if not rows:
            return
        yield from rows
        capture_id, reader = rows[-1].capture_id, rows[-1].reader


def _articles(
    archive: Archive, pool: ExtractPool, found: Rederived, progress: Callable[[str, int, int], None]
) -> None:
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
    capture, body, headers = _entity(archive, row.capture_id)
    content_type = next((value for name, value in headers if name.lower() == "content-type"), None)
    return block, Job(
        body=body,
        url=capture.url,
        captured=capture.date,
        content_type=content_type,
        headers=tuple(headers),
        outlet=article.outlet,
    )


def _entity(archive: Archive, capture_id: str) -> tuple[Capture, bytes, tuple[tuple[str, str], ...]]:
    """A capture, and the body and headers of its answer."""
    with archive.catalog.read() as tx:
        capture = tx.captures.get(capture_id)
    if capture is None:
        raise NotFound(f"the catalog lacks capture {capture_id}")
    return capture, *archive.entity(capture)


def _difference(kept: Article, made: Article) -> str:
    names = [n for n in Article.__dataclass_fields__ if n != "capture" and getattr(kept, n) != getattr(made, n)]
    return f"reading its capture again gives another {', '.join(names) or 'block'}"


def _place(row: VersionRow) -> str:
    return f"article {row.article_id} version {row.version}"

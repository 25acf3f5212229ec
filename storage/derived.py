"""What the log and the catalog hold of an event whose records stand: its entry, and the row of an article version.

Read from the records alone, by the same functions at deposit, at an audit and at a rebuild. Rows of records and
captures are made in `storage.events`; the order of durable steps is left to `storage.archive`.
"""

from __future__ import annotations

from schemas.articles import Article, content_key
from schemas.captures import Capture
from schemas.entries import Entry, attempt_entry, capture_entry
from schemas.instants import to_micros
from storage import imports
from storage.catalog.values import VersionRow
from storage.events import Event


def entry_of(event: Event, capture: Capture) -> Entry:
    """The log entry of a capture event: the digests of its records and, for an attempt, how it ended."""
    if capture.kind == "attempt":
        return attempt_entry(capture.ending.value, event.digests())
    if capture.kind == "import":
        return import_entry_of(event)
    return capture_entry(event.digests())


def import_entry_of(event: Event) -> Entry:
    """The log entry of a metadata record on a stranger's file, or on a capture in one."""
    return imports.entry_of(event.records[-1][0].block, event.digests()["metadata"])


def version_row(event: Event, article: Article, capture: Capture, number: int, log_index: int) -> VersionRow:
    """The catalog row of an article version; `row_id` is given by the catalog."""
    block = event.records[-1][0].block
    date = to_micros(capture.date)
    assert event.id is not None
    value = article.to_json()
    return VersionRow(
        row_id=None,
        article_id=article.id,
        version=number,
        extractor=article.extractor.identity,
        content_key=content_key(article),
        conversion_id=event.id,
        capture_id=capture.id,
        first_seen=date,
        last_seen=date,
        log_index=log_index,
        outlet_id=article.outlet.id,
        url=article.url,
        canonical_url=article.canonical_url,
        title=article.title,
        published=article.published,
        modified=article.modified,
        language=article.language,
        kind=article.kind,
        access=article.access,
        wall=article.wall,
        text_sha256=value["text_sha256"],
        word_count=value["word_count"],
        truncated=capture.ending.truncated,
        credits="\n".join(p.credit for p in article.photos if p.credit),
        block=block.decode(),
    )

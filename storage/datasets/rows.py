"""The rows of a dataset: one an article version, made from its conversion record and from what the log orders.

A row is a mapping from column names to JSON values, instants as RFC 3339 texts: what `schemas.manifests.row_digest` is
over. Files are left to `parquet`, the choice of versions to `selection`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any, Final

from schemas import canonical
from schemas.articles import text_of
from schemas.captures import Capture
from schemas.errors import DamageError, InvalidValue
from schemas.instants import to_micros
from schemas.manifests import ROW_NONCE, Column
from schemas.records import NONCE
from storage.archive import Archive
from storage.catalog import Tx
from storage.catalog.values import RecordRow, VersionRow
from storage.datasets.selection import instant_text
from storage.warc import Stored, read_member

#: What a row's nonce is an HMAC of, under the nonce of its conversion record: publishing the one gives away nothing of
#: the other, which hides the record in the log.
NONCE_LABEL: Final = b"pressmark-row-nonce/1"

Row = dict[str, Any]

_ZONED: Final = re.compile(r".*(?:Z|[+-]\d{2}:?\d{2})")


def _column(name: str, type: str, description: str, *, digested: bool = True) -> Column:
    return Column(name=name, type=type, digested=digested, description=description)


_ARTICLE: Final = (
    _column("outlet_id", "string", "outlet, as the archive names it"),
    _column("outlet_name", "string", "its name at the time of capture"),
    _column("outlet_domain", "string", "host of its homepage without www."),
    _column("article_id", "string", "stable over versions, variants and tracking parameters of the address"),
    _column("version", "integer", "n-th distinct content of the article under its extractor, from 1"),
    _column("title", "string", "headline"),
    _column("standfirst", "string", "summary below the headline, as shown"),
    _column("authors", "strings", "names, as the page gives them"),
    _column("published", "string", "as the page says: with zone, or local without one, or a date alone; never guessed"),
    _column("published_precision", "string", "instant (with zone) | local (no zone) | day; null where not said"),
    _column("modified", "string", "as published"),
    _column("modified_precision", "string", "as published_precision"),
    _column("language", "string", "BCP 47 tag, as the page gives it"),
    _column("section", "string", "as the page gives it"),
    _column("tags", "strings", "as the page gives them"),
    _column("kind", "string", "article | liveblog | gallery | video | other"),
    _column("access", "string", "free | metered | paid | unknown"),
    _column("wall", "string", "bot | consent | login | soft404 that stood before the page; null for none"),
    _column("rights", "rights", "signals on use at the time of capture: value, source, observed each"),
    _column("paragraphs", "strings", "of the text, standfirst, subheadings and list items among them"),
    _column("text", "string", "paragraphs joined by a blank line", digested=False),
    _column("text_sha256", "string", "of text in UTF-8, hex"),
    _column("word_count", "integer", "runs of word characters in the text"),
    _column("photos", "photos", "url, caption, alt, credit, photographers, agencies, position each"),
    _column("url", "string", "of the article"),
    _column("canonical_url", "string", "as the page names it, where it may"),
)
_PROVENANCE: Final = (
    _column("requested_url", "string", "as announced, before redirects"),
    _column("final_url", "string", "that answered"),
    _column("status", "integer", "HTTP status of the answer"),
    _column("truncated", "string", "why the answer is not whole (WARC-Truncated); null where it is"),
    _column("capture_kind", "string", "response | revisit (of the same bytes) | import (out of a stranger's file)"),
    _column("claimed_captured", "string", "when an import's file says that it was captured; null for what came to us"),
    _column(
        "first_seen",
        "instant",
        "first captured here, an import received here, with this content; not when it "
        "appeared. An import that the operator trusts: as its file claims",
    ),
    _column("last_seen", "instant", "last captured here with this content, below the tree size"),
    _column("extractor", "string", "identity of the extractor; the manifest has it in full"),
    _column("log_index", "integer", "of the article's entry in the archive's log"),
    _column("conversion_id", "string", "record that holds the article"),
    _column("conversion_digest", "string", "its record digest, which the log entry commits to"),
    _column("conversion_segment", "string", "segment in which it stands"),
    _column("conversion_offset", "integer", "bytes from the segment's start to its gzip member"),
    _column("conversion_length", "integer", "bytes of its gzip member"),
    _column("capture_id", "string", "record of the answer from which the article was read"),
    _column("capture_digest", "string", "its record digest"),
    _column("capture_segment", "string", "segment in which it stands"),
    _column("capture_offset", "integer", "bytes from the segment's start to its gzip member"),
    _column("capture_length", "integer", "bytes of its gzip member"),
    _column("capture_log_index", "integer", "of the capture's entry in the archive's log"),
    _column("payload_digest", "string", "of the answer's body after transfer-decoding"),
    _column("near_duplicate_cluster", "string", "articles of like text share one; null: not computed", digested=False),
    _column(ROW_NONCE, "string", "hides the row behind its digest once it is gone, hex"),
)

#: Columns that an edition without text lacks. Photos lose captions and alternative texts, too.
TEXT_COLUMNS: Final = frozenset({"standfirst", "paragraphs", "text"})
PHOTO_TEXTS: Final = frozenset({"caption", "alt"})


def columns(*, with_text: bool) -> tuple[Column, ...]:
    """The columns of an edition, in order."""
    every = _ARTICLE + _PROVENANCE
    if with_text:
        return every
    kept = tuple(column for column in every if column.name not in TEXT_COLUMNS)
    description = "url, credit, photographers, agencies, position each"
    return tuple(_column(c.name, "photos-without-text", description) if c.name == "photos" else c for c in kept)


def digested(row: Mapping[str, Any], names: tuple[str, ...]) -> Row:
    """What the row digest is over."""
    return {name: row[name] for name in names}


def make_row(archive: Archive, tx: Tx, version: VersionRow, tree_size: int) -> tuple[Row, dict[str, Any]]:
    """All columns of a version's row, and the identity of its extractor in full.

    The article is read from its record, not from the catalog. Raises DamageError where record and catalog disagree.
    """
    assert version.row_id is not None
    conversion, main = tx.records.get(version.conversion_id), tx.records.get(version.capture_id)
    capture = tx.captures.get(version.capture_id)
    if conversion is None or main is None or capture is None or capture.log_index is None:
        raise DamageError(
            f"article {version.article_id} points at records that the catalog lacks", remedy="run `pressmark rebuild`"
        )
    stored = read_record(archive, conversion)
    article = article_of(stored)
    row = {
        "version": version.version,
        **article_columns(article),
        **_answer(capture, main),
        **_record("conversion", conversion),
        "first_seen": instant_text(version.first_seen),
        "last_seen": instant_text(_last_seen(tx, version, tree_size)),
        "extractor": version.extractor,
        "log_index": version.log_index,
        "near_duplicate_cluster": None,
        ROW_NONCE: row_nonce(stored),
    }
    return row, article["extractor"]


def read_record(archive: Archive, row: RecordRow) -> Stored:
    """A record whose digest is that of its row. Raises DamageError."""
    stored = read_member(archive.segments.member(row), name=row.segment, offset=row.offset)
    if stored.ref.digest != row.digest or stored.record_id != row.record_id:
        raise DamageError(
            f"record {row.record_id} in segment {row.segment} at offset {row.offset} is not what was logged",
            remedy="run `pressmark audit --full`",
        )
    return stored


def article_of(stored: Stored) -> dict[str, Any]:
    """The article that a conversion record holds, as JSON values. Raises DamageError."""
    try:
        article = canonical.loads(stored.block)
    except InvalidValue as error:
        raise DamageError(f"record {stored.record_id} holds no article: {error.message}") from error
    if stored.type != "conversion" or not isinstance(article, dict):
        raise DamageError(f"record {stored.record_id} holds no article")
    return article


def article_columns(article: Mapping[str, Any]) -> Row:
    """The columns that follow from a conversion record alone."""
    outlet = article["outlet"]
    row = {column.name: article[column.name] for column in _ARTICLE if column.name in article}
    row.update(
        outlet_id=outlet["id"],
        outlet_name=outlet["name"],
        outlet_domain=outlet["domain"],
        article_id=article["id"],
        published_precision=precision(article["published"]),
        modified_precision=precision(article["modified"]),
        text=text_of(article["paragraphs"]),
    )
    return row


def without_text(row: Row) -> Row:
    """The row as an edition without text has it."""
    kept = {name: value for name, value in row.items() if name not in TEXT_COLUMNS}
    kept["photos"] = [{k: v for k, v in photo.items() if k not in PHOTO_TEXTS} for photo in row["photos"]]
    return kept


def precision(text: str | None) -> str | None:
    """How exactly a page dates itself: `instant`, `local` or `day`."""
    if text is None:
        return None
    if "T" not in text:
        return "day"
    return "instant" if _ZONED.fullmatch(text) else "local"


def row_nonce(stored: Stored) -> str:
    """32 bytes in hex, to be known only from the row or with the nonce of its record. Raises DamageError."""
    try:
        nonce = bytes.fromhex(stored.header(NONCE) or "")
    except ValueError:
        nonce = b""
    if not nonce:
        raise DamageError(f"record {stored.record_id} has no {NONCE}", remedy="run `pressmark audit --full`")
    return hmac.new(nonce, NONCE_LABEL, hashlib.sha256).hexdigest()


def _answer(capture: Capture, main: RecordRow) -> Row:
    return {
        "requested_url": capture.item_url or capture.url,
        "final_url": capture.url,
        "status": capture.status,
        "truncated": capture.ending.truncated,
        "capture_kind": capture.kind,
        "claimed_captured": capture.hints.get("claimed_captured") if capture.kind == "import" else None,
        **_record("capture", main),
        "capture_log_index": capture.log_index,
        "payload_digest": capture.payload_digest,
    }


def _record(role: str, row: RecordRow) -> Row:
    return {
        f"{role}_id": row.record_id,
        f"{role}_digest": row.digest,
        f"{role}_segment": row.segment,
        f"{role}_offset": row.offset,
        f"{role}_length": row.length,
    }


def _last_seen(tx: Tx, version: VersionRow, tree_size: int) -> int:
    """The date of the last capture below the tree size that showed a version, in microseconds."""
    assert version.row_id is not None
    for capture_id in reversed(tx.articles.sightings(version.row_id)):
        capture = tx.captures.get(capture_id)
        if capture is not None and capture.log_index is not None and capture.log_index < tree_size:
            return max(to_micros(capture.date), version.first_seen)
    return version.first_seen

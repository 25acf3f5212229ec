"""From a photo to the captures that show it: by its bytes, and by its look.

The same bytes are the same file; a near perceptual hash says that the two look alike, not that one is the other. What
each page says of its maker is told side by side, and so is what stands inside the file. Loads the image library, which
a trace of text has no use for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ingest.images import read_image
from schemas.errors import ExtractionError
from schemas.instants import from_micros, rfc3339, to_micros
from storage.archive import Archive
from storage.catalog import Tx
from storage.catalog.values import ImageRow, PhotoMatch, VersionRow
from storage.withholding import withheld_among

#: Bits, of 64, in which the hashes of two images may differ to be told as alike: a new size or compression changes few.
ALIKE: Final = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class PhotoHit:
    """A captured image that is the photo or looks like it, and one article version that shows it, if any does."""

    image: ImageRow
    distance: int | None  # bits in which the hashes differ; None where the bytes are the same
    version: VersionRow | None
    outlet: str | None
    position: int | None  # among the version's photos, from 0

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        row, image = self.version, self.image
        shown = None if row is None else json.loads(row.block)["photos"][self.position or 0]
        return {
            "how": "bytes" if self.distance is None else "look",
            "distance": self.distance,
            "image": image.url,
            "image_capture": image.capture_id,
            "captured": rfc3339(from_micros(image.date)),
            "payload_digest": image.payload_digest,
            "article": None if row is None else row.article_id,
            "version": None if row is None else row.version,
            "log_index": None if row is None else row.log_index,
            "url": None if row is None else row.url,
            "outlet": self.outlet,
            "published": None if row is None else row.published,
            "credit": None if shown is None else shown["credit"],
            "photographers": [] if shown is None else shown["photographers"],
            "agencies": [] if shown is None else shown["agencies"],
            "claims": json.loads(image.reading)["claims"],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class PhotoResult:
    """Where a photo was seen."""

    payload_digest: str  # sha256:hex of the file that was asked for
    phash: str | None
    hits: tuple[PhotoHit, ...]  # the same bytes first, then the nearest look; the earliest capture first among equals
    note: str | None

    def to_json(self) -> dict[str, Any]:
        """As JSON values; `id` is the caller's."""
        return {
            "id": None,
            "payload_digest": self.payload_digest,
            "phash": self.phash,
            "matches": [hit.to_json() for hit in self.hits],
            "note": self.note,
        }


def trace_photo(archive: Archive, body: bytes, *, limit: int = 20) -> PhotoResult:
    """Find the captured images with these bytes or a like look. Raises CatalogError.

    What is restricted or being redacted is left out, and the note says that there is such.
    """
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    phash, notes = None, []
    try:
        phash = read_image(body).phash
        if phash is None:
            notes.append("the image has no perceptual hash, so only its bytes were looked for")
    except ExtractionError as error:
        notes.append(f"only its bytes were looked for: {error.message}")
    with archive.catalog.read() as tx:
        hits, held = _hits(archive, tx, list(_found(tx, digest, phash)))
    if held:
        notes.append(f"{held} matches are restricted and not shown")
    if not hits and not held:
        notes.append("no captured image has these bytes" + (f" or a look within {ALIKE} bits" if phash else ""))
    return PhotoResult(payload_digest=digest, phash=phash, hits=tuple(hits[:limit]), note="; ".join(notes) or None)


def _found(tx: Tx, digest: str, phash: str | None) -> Iterator[tuple[PhotoMatch, int | None]]:
    """Each captured image and photo once, the same bytes first."""
    seen = set()
    same = [(match, None) for match in tx.images.by_payload(digest)]
    near = [(match, match.distance or 0) for match in tx.images.near(phash, ALIKE)] if phash is not None else []
    for match, apart in (*same, *near):
        key = (match.image.capture_id, match.row_id, match.position)
        if key not in seen:
            seen.add(key)
            yield match, apart


def _hits(
    archive: Archive, tx: Tx, found: list[tuple[PhotoMatch, int | None]]
) -> tuple[list[PhotoHit], int]:
    rows = tx.articles.by_rows(sorted({match.row_id for match, _ in found if match.row_id is not None}))
    held = withheld_among(archive, tx, rows.values())
    closed = tx.restrictions.among({match.image.capture_id for match, _ in found}, to_micros(archive.clock()))
    names = tx.outlets.names()
    hits, left = [], 0
    for match, apart in found:
        row = rows.get(match.row_id) if match.row_id is not None else None
        if match.image.capture_id in closed or (row is not None and row.log_index in held):
            left += 1
            continue
        outlet = None if row is None else names.get(row.outlet_id, row.outlet_id)
        position = match.position if row is not None else None
        hits.append(PhotoHit(image=match.image, distance=apart, version=row, outlet=outlet, position=position))
    return hits, left

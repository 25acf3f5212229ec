"""Captured images: what was read in them, which photos they are, and the search by digest and by look.

An image belongs to every photo, of any article version, whose address it was fetched by: that follows from captures and
versions alone, so nothing else has to be kept. What a reading says is left to `schemas.images`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Row, distinct, func, literal, or_, select, tuple_

from schemas.errors import InvalidValue
from schemas.images import BANDS, MAX_DISTANCE, bands, distance, near_bands, parse_hash
from schemas.urls import normalize
from storage.catalog.base import BATCH, Queries, batches
from storage.catalog.tables import images, photos
from storage.catalog.values import ImageRow, PhotoMatch

_COLUMNS: Final = tuple(images.c[name] for name in ImageRow.__dataclass_fields__)
_BANDS: Final = tuple(images.c[f"band{number}"] for number in range(BANDS))


class Images(Queries):
    """Image readings and photos' addresses."""

    __slots__ = ()

    def add_photos(self, row_id: int, urls: Iterable[tuple[int, str | None]]) -> None:
        """Note the (position, address) of a version's photos; an address that is none is left out."""
        rows = [{"row_id": row_id, "position": position, "url": url} for position, url in photo_rows(urls).items()]
        if rows:
            self._connection.execute(self._insert(photos).on_conflict_do_nothing(), rows)

    def photos_of(self, row_id: int) -> dict[int, str]:
        """The addresses of a version's photos by position, as `add_photos` noted them."""
        query = select(photos.c.position, photos.c.url).where(photos.c.row_id == row_id)
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def add(self, row: ImageRow) -> None:
        """Keep what one reader read in one capture; what is known already stays."""
        fields: dict[str, Any] = asdict(row)
        parts = bands(parse_hash(row.phash)) if row.phash is not None else (None,) * BANDS
        fields |= {f"band{number}": part for number, part in enumerate(parts)}
        self._connection.execute(self._insert(images).on_conflict_do_nothing(), fields)

    def get(self, capture_id: str) -> list[ImageRow]:
        """What was read in a capture, by every reader."""
        return self._list(select(*_COLUMNS).where(images.c.capture_id == capture_id).order_by(images.c.reader))

    def all(self) -> Iterator[ImageRow]:
        """All readings, by capture."""
        query = select(*_COLUMNS).order_by(images.c.capture_id, images.c.reader)
        for row in self._connection.execute(query.execution_options(yield_per=BATCH)):
            yield ImageRow(*tuple(row))

    def after(self, capture_id: str, reader: str, limit: int) -> list[ImageRow]:
        """The readings behind this one, by capture and reader."""
        place = tuple_(images.c.capture_id, images.c.reader) > tuple_(literal(capture_id), literal(reader))
        query = select(*_COLUMNS).where(place).order_by(images.c.capture_id, images.c.reader).limit(limit)
        return self._list(query)

    def newest(self, url: str) -> ImageRow | None:
        """What was read in the newest readable capture of the image at an address."""
        query = select(*_COLUMNS).where(images.c.url == url).order_by(images.c.date.desc()).limit(1)
        found = self._list(query)
        return found[0] if found else None

    def same_bytes(self, payload_digest: str, reader: str) -> ImageRow | None:
        """What this reader read in other captures of the same bytes."""
        found = self._list(
            select(*_COLUMNS).where(images.c.payload_digest == payload_digest, images.c.reader == reader).limit(1)
        )
        return found[0] if found else None

    def for_version(self, row_id: int) -> list[tuple[int, ImageRow]]:
        """(position, image) of a version's photos: every capture and reader, oldest capture first."""
        query = (
            select(photos.c.position, *_COLUMNS)
            .join(images, images.c.url == photos.c.url)
            .where(photos.c.row_id == row_id)
            .order_by(photos.c.position, images.c.date, images.c.capture_id, images.c.reader)
        )
        return [(row[0], ImageRow(*row[1:])) for row in self._connection.execute(query)]

    def by_payload(self, payload_digest: str) -> list[PhotoMatch]:
        """Captured images with exactly these bytes (`sha256:hex`), with the photos that they are."""
        return self._matches([images.c.payload_digest == payload_digest], None)

    def near(self, phash: str, within: int) -> list[PhotoMatch]:
        """Captured images whose perceptual hash differs in at most `within` bits, nearest first.

        Raises InvalidValue for a hash that is none or a distance beyond `schemas.images.MAX_DISTANCE`.
        """
        if not 0 <= within <= MAX_DISTANCE:
            raise InvalidValue(f"hashes are compared up to {MAX_DISTANCE} bits, not {within}")
        wanted = parse_hash(phash)
        found: dict[tuple[Any, ...], PhotoMatch] = {}
        for column, part in zip(_BANDS, bands(wanted), strict=True):
            for some in batches(list(near_bands(part, within // BANDS))):
                for match in self._matches([column.in_(some)], wanted):
                    if match.distance is not None and match.distance <= within:
                        found[match.image.capture_id, match.image.reader, match.row_id, match.position] = match
        return sorted(found.values(), key=lambda m: (m.distance or 0, *_order(m)))

    def count(self) -> int:
        """In how many captures something was read."""
        return self._connection.scalar(select(func.count(distinct(images.c.capture_id)))) or 0

    def _matches(self, where: Sequence[Any], wanted: int | None) -> list[PhotoMatch]:
        query = (
            select(photos.c.row_id, photos.c.position, *_COLUMNS)
            .select_from(images.outerjoin(photos, images.c.url == photos.c.url))
            .where(or_(*where))
        )
        found = []
        for row in self._connection.execute(query):
            image = ImageRow(*row[2:])
            apart = None
            if wanted is not None and image.phash is not None:
                apart = distance(wanted, parse_hash(image.phash))
            found.append(PhotoMatch(row_id=row[0], position=row[1], image=image, distance=apart))
        return sorted(found, key=_order)

    def _list(self, query: Any) -> list[ImageRow]:
        rows: Iterable[Row[Any]] = self._connection.execute(query)
        return [ImageRow(*tuple(row)) for row in rows]


def photo_rows(urls: Iterable[tuple[int, str | None]]) -> dict[int, str]:
    """Address in normal form by position; an address that is none is left out."""
    found: dict[int, str] = {}
    for position, url in urls:
        with suppress(InvalidValue):
            found.setdefault(position, normalize(url or ""))
    return found


def _order(match: PhotoMatch) -> tuple[Any, ...]:
    image = match.image
    return (image.date, image.capture_id, image.reader, match.row_id or 0, match.position or 0)

"""Finding and taking away all rows that speak of erased records. When that is right is left to `storage.redaction`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, func, or_, select, update

from schemas.captures import Capture, Role
from storage.catalog.base import Queries, batches
from storage.catalog.captures import capture_of_row
from storage.catalog.frontier import key_digest
from storage.catalog.tables import (
    captures,
    fingerprints,
    images,
    items,
    photos,
    records,
    sightings,
    sources,
    versions,
)

#: Captures of lists read at a time.
_RUN: Final = 200


class Removals(Queries):
    """Looks for what belongs together without an index for it, and deletes. Rare, so that scans are fine."""

    __slots__ = ()

    # -- looking

    def referring(self, ids: Collection[str]) -> list[Capture]:
        """Captures that rest on one of these: revisits of them."""
        return self._captures(captures.c.refers_to, ids)

    def led_from(self, ids: Collection[str], role: Role) -> list[Capture]:
        """Captures of a role that one of these led to."""
        return self._captures(captures.c.via, ids, captures.c.role == role.value)

    def pictures_of(self, row_ids: Collection[int]) -> list[Capture]:
        """Captures of images that photos of these versions show, and of no other version."""
        own = select(photos.c.url).where(photos.c.row_id.in_(list(row_ids)))
        shared = select(photos.c.url).where(photos.c.row_id.not_in(list(row_ids)))
        urls = list(self._connection.scalars(own.except_(shared)))
        return self.of_urls(urls, [Role.IMAGE])

    def with_payload(self, digests: Collection[str]) -> list[Capture]:
        """Captures with one of these payload digests, of any kind."""
        return self._captures(captures.c.payload_digest, digests)

    def of_urls(self, urls: Collection[str], roles: Collection[Role]) -> list[Capture]:
        """Captures and attempts of these roles whose URL, or announced URL, is one of these."""
        wanted = captures.c.role.in_([role.value for role in roles])
        found = self._captures(captures.c.url, urls, wanted) + self._captures(captures.c.item_url, urls, wanted)
        return list({capture.id: capture for capture in found}.values())

    def leading_to(self, urls: Collection[str]) -> list[Capture]:
        """Redirects to one of these URLs."""
        return self._captures(captures.c.location, urls)

    def imported(self) -> list[Capture]:
        """Captures that stand in files of others, in their order."""
        query = select(captures).where(captures.c.kind == "import").order_by(captures.c.seq)
        return [capture_of_row(row) for row in self._connection.execute(query)]

    def lists(self) -> Iterator[Capture]:
        """Whole answers of feeds, sitemaps and homepages, and imported pages that are no articles; in their order."""
        wanted = (
            captures.c.role.in_([Role.FEED.value, Role.SITEMAP.value, Role.HOME.value, Role.OTHER.value]),
            captures.c.kind.in_(["response", "import"]),
        )
        after = 0
        while True:
            query = select(captures).where(*wanted, captures.c.seq > after).order_by(captures.c.seq).limit(_RUN)
            page = [capture_of_row(row) for row in self._connection.execute(query)]
            yield from page
            if len(page) < _RUN:
                return
            after = page[-1].seq

    def versions_like(self, text_sha256: str) -> list[int]:
        """Row ids of versions with this very text."""
        query = select(versions.c.row_id).where(versions.c.text_sha256 == text_sha256)
        return list(self._connection.scalars(query.order_by(versions.c.row_id)))

    def _captures(self, column: Any, values: Collection[str], *more: ColumnElement[bool]) -> list[Capture]:
        found: list[Capture] = []
        for some in batches(sorted(values)):
            rows = self._connection.execute(select(captures).where(column.in_(some), *more).order_by(captures.c.seq))
            found.extend(capture_of_row(row) for row in rows)
        return found

    # -- taking away

    def records(self, ids: Sequence[str]) -> None:
        """The rows of records."""
        for some in batches(ids):
            self._connection.execute(delete(records).where(records.c.record_id.in_(some)))

    def captures(self, ids: Sequence[str]) -> None:
        """The rows of captures, and that they showed versions; what rests on them is asked for anew."""
        for some in batches(ids):
            self._connection.execute(delete(sightings).where(sightings.c.capture_id.in_(some)))
            self._connection.execute(delete(images).where(images.c.capture_id.in_(some)))
            self._connection.execute(delete(captures).where(captures.c.id.in_(some)))
            for table, more in ((items, {}), (sources, {"last_keys": "[]"})):
                self._connection.execute(
                    update(table)
                    .where(table.c.last_capture.in_(some))
                    .values(last_capture=None, etag=None, last_modified=None, **more)
                )

    def versions(self, conversion_ids: Sequence[str]) -> None:
        """The rows of versions, with fingerprints and sightings; other captures of the text are to be read again."""
        row_ids: list[int] = []
        for some in batches(conversion_ids):
            query = select(versions.c.row_id).where(versions.c.conversion_id.in_(some))
            row_ids.extend(self._connection.scalars(query))
        for some_ids in batches(row_ids):
            seen = select(sightings.c.capture_id).where(sightings.c.row_id.in_(some_ids))
            self._connection.execute(
                update(captures)
                .where(captures.c.id.in_(seen), captures.c.extraction == "done")
                .values(extraction="pending", extraction_code=None)
            )
            self._connection.execute(delete(fingerprints).where(fingerprints.c.row_id.in_(some_ids)))
            self._connection.execute(delete(photos).where(photos.c.row_id.in_(some_ids)))
            self._connection.execute(delete(sightings).where(sightings.c.row_id.in_(some_ids)))
            self._connection.execute(delete(versions).where(versions.c.row_id.in_(some_ids)))

    def items(self, keys: Iterable[str]) -> None:
        """What the frontier knows of these article keys, whatever outlet announced them."""
        for some in batches(sorted({key_digest(key) for key in keys})):
            self._connection.execute(delete(items).where(items.c.key_digest.in_(some)))

    def settle_seen(self) -> None:
        """Let `last_seen` of each version be that of its last sighting that is left."""
        last = select(func.max(sightings.c.date)).where(sightings.c.row_id == versions.c.row_id).scalar_subquery()
        self._connection.execute(
            update(versions)
            .where(or_(last.is_(None), versions.c.last_seen > last), versions.c.last_seen > versions.c.first_seen)
            .values(last_seen=func.coalesce(last, versions.c.first_seen))
        )

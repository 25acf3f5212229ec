"""Article versions, the captures that showed them, and the search over them.

What an article is, and when two contents are one version, is left to `schemas.articles`; what the trace
index finds, to `storage.fingerprints`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Row, bindparam, distinct, func, insert, or_, select, update

from schemas.errors import InvalidValue
from schemas.urls import article_key
from storage.catalog.base import Prepared, Queries, batches
from storage.catalog.frontier import key_digest
from storage.catalog.tables import captures, items, sightings, versions
from storage.catalog.values import VersionRow

#: Rows read at once by a search: a page of articles is tens of KB each.
_RUN: Final = 200
#: Redirects followed from a requested URL to the article that it led to.
_HOPS: Final = 10

# The sums keep PostgreSQL from walking back through a whole table in this order until a row fits.
_LAST_LOGGED: Final = (versions.c.log_index + 0).desc()
_LAST_CAPTURED: Final = (captures.c.seq + 0).desc()

_FIND: Final = select(versions).where(
    versions.c.article_id == bindparam("article_id"),
    versions.c.extractor == bindparam("extractor"),
    versions.c.content_key == bindparam("content_key"),
)
_SEEN: Final = (
    update(versions)
    .where(versions.c.row_id == bindparam("of"), versions.c.last_seen < bindparam("at"))
    .values(last_seen=bindparam("at"))
)


_BY_ROWS: Final = Prepared(lambda rows: select(versions).where(versions.c.row_id.in_(rows)))
_WITH_TEXT: Final = Prepared(
    lambda _: (
        select(versions)
        .where(versions.c.text_sha256 == bindparam("digest"))
        .order_by(versions.c.first_seen, versions.c.log_index)
        .limit(bindparam("limit"))
    )
)


class Articles(Queries):
    """Article versions."""

    __slots__ = ()

    def add_version(self, row: VersionRow) -> VersionRow:
        """Add a version that is in the log, seen in its first capture; gives it its row id."""
        fields = row._asdict()
        del fields["row_id"]
        row_id = self._connection.execute(insert(versions).returning(versions.c.row_id), fields).scalar_one()
        self.add_sighting(row_id, row.capture_id, row.first_seen)
        return row._replace(row_id=row_id)

    def add_sighting(self, row_id: int, capture_id: str, date: int) -> None:
        """Note that a capture showed this version; one known already changes nothing."""
        statement = self._insert(sightings).on_conflict_do_nothing().returning(sightings.c.row_id)
        row = {"row_id": row_id, "capture_id": capture_id, "date": date}
        if self._connection.execute(statement, row).first() is not None:
            self._connection.execute(_SEEN, {"of": row_id, "at": date})

    def sightings(self, row_id: int) -> list[str]:
        """The captures that showed a version, in the order of their dates."""
        query = (
            select(sightings.c.capture_id)
            .where(sightings.c.row_id == row_id)
            .order_by(sightings.c.date, sightings.c.capture_id)
        )
        return list(self._connection.execute(query).scalars())

    def find_version(self, article_id: str, extractor: str, content_key: str) -> VersionRow | None:
        """The version with this content, where it is known."""
        wanted = {"article_id": article_id, "extractor": extractor, "content_key": content_key}
        row = self._connection.execute(_FIND, wanted).first()
        return _version(row) if row else None

    def versions(self, article_id: str, extractor: str | None = None) -> list[VersionRow]:
        """The versions of an article by log index: of one extractor, or of all."""
        query = select(versions).where(versions.c.article_id == article_id).order_by(versions.c.log_index)
        if extractor is not None:
            query = query.where(versions.c.extractor == extractor)
        return self._list(query)

    def get(self, article_id: str, version: int | None = None, extractor: str | None = None) -> VersionRow | None:
        """One version of an article: the latest unless numbered, of the extractor last used unless named."""
        query = (
            select(versions).where(versions.c.article_id == article_id).order_by(versions.c.log_index.desc()).limit(1)
        )
        if extractor is not None:
            query = query.where(versions.c.extractor == extractor)
        if version is not None:
            query = query.where(versions.c.version == version)
        return self._first(query)

    def by_row(self, row_id: int) -> VersionRow | None:
        """One version by its row id, as the trace index names it."""
        return self._first(select(versions).where(versions.c.row_id == row_id))

    def by_rows(self, row_ids: Sequence[int]) -> dict[int, VersionRow]:
        """Versions by row id; those that are not there are left out."""
        found: dict[int, VersionRow] = {}
        for some in batches(row_ids):
            found.update({row[0]: VersionRow._make(row) for row in _BY_ROWS.run(self._connection, some)})
        return found

    def with_text(self, digest: str, limit: int) -> list[VersionRow]:
        """Versions whose text has this digest, the first seen first."""
        return list(map(VersionRow._make, _WITH_TEXT.run(self._connection, digest=digest, limit=limit)))

    def by_conversion(self, record_id: str) -> VersionRow | None:
        """The version whose conversion record this is."""
        return self._first(select(versions).where(versions.c.conversion_id == record_id))

    def for_capture(self, capture_id: str) -> list[VersionRow]:
        """The versions that a capture showed: one for each extractor that read it."""
        query = (
            select(versions)
            .join(sightings, sightings.c.row_id == versions.c.row_id)
            .where(sightings.c.capture_id == capture_id)
            .order_by(versions.c.log_index)
        )
        return self._list(query)

    def by_url(self, url: str) -> VersionRow | None:
        """The latest version of the article at a URL: its canonical one, or one that was asked for or led to.

        The URL is in normal form (`schemas.urls.normalize`). Redirects are followed as they were captured
        last.
        """
        seen: set[str] = set()
        while url not in seen and len(seen) < _HOPS:
            seen.add(url)
            article_id = self._article_at(url)
            if article_id is not None:
                return self.get(article_id)
            query = (
                select(captures.c.location)
                .where(captures.c.url == url, captures.c.location.is_not(None))
                .order_by(_LAST_CAPTURED)
                .limit(1)
            )
            url = self._connection.scalar(query) or url
        return None

    def search(
        self,
        outlet_id: str | None = None,
        published_from: str | None = None,
        published_to: str | None = None,
        captured_from: int | None = None,
        captured_to: int | None = None,
        url: str | None = None,
        credit: str | None = None,
        text: str | None = None,
        after: int | None = None,
        limit: int | None = None,
        latest_only: bool = True,
    ) -> Iterator[VersionRow]:
        """Versions by log index, which is a stable cursor: nothing below one that was seen is added later.

        Ranges are half-open. `published_*` are ISO 8601 texts or beginnings of them, compared as texts;
        `captured_*` bound `first_seen`, in microseconds. `url` is the article's in any form that `by_url`
        knows. `credit` and `text` are found anywhere in the credits, or in title and text, whatever their
        case and white space. `latest_only` leaves out versions that a later one of the same article
        followed.
        """
        matches = self._matches(outlet_id, published_from, published_to, captured_from, captured_to, url, latest_only)
        query = select(versions).where(*matches, versions.c.log_index > bindparam("after"))
        query = query.order_by(versions.c.log_index).limit(_RUN)
        cursor, left = (-1 if after is None else after), limit
        while left is None or left > 0:
            run = self._connection.execute(query, {"after": cursor}).all()
            for row in run:
                found = _version(row)
                if not (_holds(found.credits, credit) and _text_holds(found, text)):
                    continue
                yield found
                left = None if left is None else left - 1
                if left == 0:
                    return
            if len(run) < _RUN:
                return
            cursor = run[-1].log_index

    def count(self, versions_too: bool = False) -> int:
        """How many articles are known; or how many versions of articles."""
        counted = func.count() if versions_too else func.count(distinct(versions.c.article_id))
        return self._connection.scalar(select(counted).select_from(versions)) or 0

    def _matches(
        self,
        outlet_id: str | None,
        published_from: str | None,
        published_to: str | None,
        captured_from: int | None,
        captured_to: int | None,
        url: str | None,
        latest_only: bool,
    ) -> list[Any]:
        found: list[Any] = []
        if outlet_id is not None:
            found.append(versions.c.outlet_id == outlet_id)
        if published_from is not None:
            found.append(versions.c.published >= published_from)
        if published_to is not None:
            found.append(versions.c.published < published_to)
        if captured_from is not None:
            found.append(versions.c.first_seen >= captured_from)
        if captured_to is not None:
            found.append(versions.c.first_seen < captured_to)
        if url is not None:
            at = self.by_url(url)
            found.append(versions.c.article_id == (at.article_id if at else ""))
        if latest_only:
            later = versions.alias("later")
            last = select(func.max(later.c.log_index)).where(later.c.article_id == versions.c.article_id)
            found.append(versions.c.log_index == last.scalar_subquery())
        return found

    def _article_at(self, url: str) -> str | None:
        """The article whose page, or one of whose captures or announcements, has this very URL."""
        same = or_(versions.c.url == url, versions.c.canonical_url == url)
        seen = (
            select(versions.c.article_id)
            .join(sightings, sightings.c.row_id == versions.c.row_id)
            .join(captures, captures.c.id == sightings.c.capture_id)
            .where(captures.c.url == url)
            .order_by(_LAST_CAPTURED)
            .limit(1)
        )
        queries = [select(versions.c.article_id).where(same).order_by(_LAST_LOGGED).limit(1), seen]
        try:
            known = items.c.key_digest == key_digest(article_key(url))
            queries.append(select(items.c.article_id).where(known, items.c.article_id.is_not(None)).limit(1))
        except InvalidValue:
            pass  # no URL that an outlet could have announced
        for query in queries:
            article_id: str | None = self._connection.scalar(query)
            if article_id is not None:
                return article_id
        return None

    def _first(self, query: Any) -> VersionRow | None:
        row = self._connection.execute(query).first()
        return _version(row) if row else None

    def _list(self, query: Any) -> list[VersionRow]:
        return [_version(row) for row in self._connection.execute(query)]


def _version(row: Row[Any]) -> VersionRow:
    return VersionRow._make(row)


def _flat(text: str) -> str:
    return " ".join(text.casefold().split())


def _holds(text: str, part: str | None) -> bool:
    return part is None or _flat(part) in _flat(text)


def _text_holds(row: VersionRow, part: str | None) -> bool:
    # In Python, so that both databases agree on case in every script; the other filters have narrowed before.
    if part is None:
        return True
    return _holds("\n".join([row.title or "", *row.paragraphs]), part)

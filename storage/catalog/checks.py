"""What the catalog's tables say of each other, and whether the database's own file is whole.

For the audit. Whether rows say what the records do is left to `storage.fixity`; nothing here is mended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, and_, create_engine, func, or_, select, text

from schemas.captures import Role
from schemas.errors import InvalidValue
from schemas.images import BANDS, bands, parse_hash
from schemas.urls import article_key
from storage.catalog import migrate
from storage.catalog.base import BATCH, Queries
from storage.catalog.captures import STATES
from storage.catalog.frontier import key_digest
from storage.catalog.tables import (
    captures,
    entries,
    erased,
    fingerprints,
    images,
    items,
    log_state,
    redactions,
    segments,
    sightings,
    sources,
    versions,
)

#: Faults of the file that are told one by one; of a file in shreds there are thousands.
MOST: Final = 100
#: States that rows may have.
_ITEM_STATES: Final = ("new", "fetched", "failed", "gone", "denied")
_SEGMENT_STATES: Final = ("open", "sealed", "lost")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """Something that the catalog contradicts itself in."""

    where: str  # a capture, an article, a table
    message: str
    also: str | None = None  # the other place that it may be wrong at


def file_faults(connection: Connection) -> list[str]:
    """What SQLite finds wrong in its own file: pages, indexes that are not those of their tables, and references.

    Nothing for PostgreSQL, which checks pages by its own checksums and references at each write.
    """
    if connection.dialect.name != "sqlite":
        return []
    found = [str(row[0]) for row in connection.execute(text(f"PRAGMA integrity_check({MOST})"))]
    found = [] if found == ["ok"] else found
    theirs = _schema(connection)
    wanted = theirs if schema_digest(theirs) == migrate.SCHEMA else schema_of_today()
    for name in sorted(theirs.keys() | wanted.keys()):
        if theirs.get(name) != wanted.get(name):
            found.append(f"{name} is not declared as Pressmark declares it")
    for table, row_id, parent, _ in connection.execute(text("PRAGMA foreign_key_check")):
        found.append(f"row {row_id} of {table} refers to a row of {parent} that is not there")
    for name, last in connection.execute(text("SELECT name, seq FROM sqlite_sequence")).all():
        column = next((c for t in (items, sources, versions) if t.name == name for c in t.primary_key), None)
        if column is None or (connection.scalar(select(func.max(column))) or 0) > last:
            found.append(f"the counter of {name} is behind its rows")
    return found[:MOST]


def _schema(connection: Connection) -> dict[str, str]:
    """The statements that declare tables and indexes, without what means nothing in them."""
    query = text("SELECT type || ' ' || name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
    return {str(name): _flat(sql or "") for name, sql in connection.execute(query)}


def _flat(sql: str) -> str:
    """A statement without quotes, white space and the case of its words; literals keep theirs."""
    parts = sql.split("'")
    return "'".join(p if n % 2 else " ".join(p.replace('"', "").casefold().split()) for n, p in enumerate(parts))


def schema_digest(schema: Mapping[str, str]) -> str:
    """SHA-256 in hex of declarations as `schema_of_today` gives them."""
    return hashlib.sha256("\n".join(f"{name}: {schema[name]}" for name in sorted(schema)).encode()).hexdigest()


def schema_of_today() -> dict[str, str]:
    """The declarations that all migrations make in an empty SQLite database."""
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            migrate.upgrade(connection)
            return _schema(connection)
    finally:
        engine.dispose()


class Checks(Queries):
    """Looks through whole tables."""

    __slots__ = ()

    def faults(self) -> Iterator[Fault]:
        """All contradictions."""
        gone = self._connection.execute(select(redactions.c.log_index).limit(1)).first() is not None
        yield from self._log_state()
        yield from self._segments()
        yield from self._extractions()
        yield from self._sightings()
        yield from self._last_seen()
        yield from self._numbers(exact=not gone)
        yield from self._fingerprints()
        yield from self._images()
        yield from self._items(gone=gone)
        yield from self._lists()

    def _log_state(self) -> Iterator[Fault]:
        row = self._connection.execute(select(log_state)).one_or_none()
        if row is None:
            yield Fault(where="catalog, log_state", message="the row is not there")
            return
        last = self._connection.scalar(select(func.max(entries.c.index)))
        if row.next_index != (-1 if last is None else last) + 1:
            yield Fault(where="catalog, log_state", message=f"the next entry would be {row.next_index} behind {last}")
        last = self._connection.scalar(select(func.max(captures.c.seq))) or 0
        if row.next_seq <= last:
            yield Fault(where="catalog, log_state", message=f"the next capture would be {row.next_seq} behind {last}")
        told = row.checkpoint.split("\n")[1:2] if row.checkpoint is not None else ["0"]
        if told != [str(row.checkpoint_size)]:
            yield Fault(where="catalog, log_state", message="its checkpoint is of another size than it says")

    def _segments(self) -> Iterator[Fault]:
        query = select(segments.c.name, segments.c.kind, segments.c.state)
        for name, kind, state in self._connection.execute(query):
            if state not in _SEGMENT_STATES or kind != name.partition("-")[0]:
                yield Fault(where=f"segment {name}", message=f"the catalog calls it {kind!r}, {state!r}")

    def _extractions(self) -> Iterator[Fault]:
        """What was read left a trace, by the reader that is named."""
        odd = captures.c.extraction.not_in(STATES)
        read = select(sightings.c.row_id).join(versions, versions.c.row_id == sightings.c.row_id)
        read = read.where(sightings.c.capture_id == captures.c.id, versions.c.extractor == captures.c.extractor)
        seen = select(images.c.capture_id).where(
            images.c.capture_id == captures.c.id, images.c.reader == captures.c.extractor
        )
        done = captures.c.extraction == "done"
        untold = and_(done, captures.c.role == Role.ARTICLE.value, ~read.exists())
        unseen = and_(done, captures.c.role == Role.IMAGE.value, ~seen.exists())
        idle = and_(
            captures.c.extraction == "none",
            or_(captures.c.extraction_code.is_not(None), captures.c.extractor.is_not(None)),
        )
        query = select(captures.c.id, captures.c.extraction, captures.c.extractor)
        for row in self._connection.execute(query.where(or_(odd, untold, unseen, idle)).order_by(captures.c.seq)):
            yield Fault(
                where=f"capture {row[0]}",
                message=f"its extraction is {row[1]!r} by {row[2]!r}, of which nothing is there",
            )

    def _sightings(self) -> Iterator[Fault]:
        query = (
            select(versions.c.article_id, versions.c.version, sightings.c.capture_id)
            .select_from(sightings)
            .join(versions, versions.c.row_id == sightings.c.row_id)
            .outerjoin(captures, captures.c.id == sightings.c.capture_id)
            .where(or_(captures.c.id.is_(None), captures.c.date != sightings.c.date))
        )
        for article_id, version, capture_id in self._connection.execute(query):
            yield Fault(
                where=f"article {article_id}",
                message=f"version {version} was seen in {capture_id}, which is not there or has another date",
                also=f"capture {capture_id}",
            )
        own = and_(sightings.c.row_id == versions.c.row_id, sightings.c.capture_id == versions.c.capture_id)
        query = (
            select(versions.c.article_id, versions.c.version)
            .join(captures, captures.c.id == versions.c.capture_id)
            .outerjoin(sightings, own)
            .where(or_(sightings.c.row_id.is_(None), sightings.c.date != versions.c.first_seen))
        )
        for article_id, version in self._connection.execute(query):
            yield Fault(
                where=f"article {article_id}", message=f"version {version} is not noted as seen where it was read"
            )

    def _last_seen(self) -> Iterator[Fault]:
        last = select(func.max(sightings.c.date)).where(sightings.c.row_id == versions.c.row_id).scalar_subquery()
        query = select(versions.c.article_id, versions.c.version).where(
            versions.c.last_seen != func.coalesce(last, versions.c.first_seen)
        )
        for article_id, version in self._connection.execute(query):
            yield Fault(
                where=f"article {article_id}", message=f"version {version} was last seen at another time than it says"
            )

    def _numbers(self, *, exact: bool) -> Iterator[Fault]:
        """Versions of an article count up in the log's order: one by one, `exact`, where none was redacted."""
        of: dict[str, Any] = {
            "partition_by": (versions.c.article_id, versions.c.extractor),
            "order_by": versions.c.log_index,
        }
        inner = select(
            versions.c.article_id,
            versions.c.version,
            func.row_number().over(**of).label("place"),
            func.lag(versions.c.version, 1, 0).over(**of).label("before"),
        ).subquery()
        wrong = inner.c.version != inner.c.place if exact else inner.c.version <= inner.c.before
        for article_id, version in self._connection.execute(select(inner.c.article_id, inner.c.version).where(wrong)):
            yield Fault(where=f"article {article_id}", message=f"its versions do not count up to {version}")

    def _fingerprints(self) -> Iterator[Fault]:
        known = select(versions.c.row_id).where(versions.c.row_id == fingerprints.c.row_id)
        for (row_id,) in self._connection.execute(select(fingerprints.c.row_id).where(~known.exists())):
            yield Fault(where="catalog, fingerprints", message=f"keys of a version {row_id} that is not here")

    def _images(self) -> Iterator[Fault]:
        asked = func.coalesce(captures.c.item_url, captures.c.url).label("asked")
        query = select(images, captures.c.date.label("made"), asked).outerjoin(
            captures, captures.c.id == images.c.capture_id
        )
        for row in self._connection.execute(query.execution_options(yield_per=BATCH)):
            if (message := _image_fault(row)) is not None:
                yield Fault(where=f"image {row.capture_id}", message=message)

    def _items(self, *, gone: bool) -> Iterator[Fault]:
        """What is known of announced addresses: who they are, and what was made of them."""
        query = select(items.c.id, items.c.url, items.c.key, items.c.key_digest, items.c.state)
        for row in self._connection.execute(query.execution_options(yield_per=BATCH)):
            try:
                same = article_key(row.url) == row.key and key_digest(row.key) == bytes(row.key_digest)
            except InvalidValue:
                same = False
            if not same or row.state not in _ITEM_STATES:
                yield Fault(
                    where=f"item {row.id}",
                    message="its address, its key and the digest of that differ, or its state is none",
                )
        known = select(versions.c.row_id).where(versions.c.article_id == items.c.article_id)
        named = select(items.c.id, items.c.article_id).where(items.c.article_id.is_not(None), ~known.exists())
        for row_id, article_id in [] if gone else self._connection.execute(named).all():
            yield Fault(where=f"item {row_id}", message=f"it names the article {article_id}, which is not here")

    def _lists(self) -> Iterator[Fault]:
        """Captures that sources and items name are there, or were erased."""
        for table, column, what in (
            (items, items.c.found_in, "item"),
            (items, items.c.last_capture, "item"),
            (sources, sources.c.last_capture, "source"),
        ):
            there = select(captures.c.seq).where(captures.c.id == column)
            went = select(erased.c.digest).where(erased.c.record_id == column)
            query = select(table.c.id, column).where(column.is_not(None), ~there.exists(), ~went.exists())
            for row_id, capture_id in self._connection.execute(query):
                yield Fault(where=f"{what} {row_id}", message=f"it names the capture {capture_id}, which is not here")


def _image_fault(row: Any) -> str | None:
    if row.made is None:
        return "the capture that it was read from is not there"
    try:
        if (row.made, row.asked) != (row.date, row.url):
            return "its capture has another date or address"
        wanted = bands(parse_hash(row.phash)) if row.phash is not None else (None,) * BANDS
    except InvalidValue:
        return "its perceptual hash or address is none"
    if tuple(getattr(row, f"band{n}") for n in range(BANDS)) != tuple(wanted):
        return "the parts of its perceptual hash are not those of the hash"
    return None

"""WARC records and where they stand, and the original that a revisit may point at."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Row, bindparam, func, literal_column, select

from schemas.captures import Capture, Ending
from storage.catalog.base import BATCH, Queries, RowInsert, batches
from storage.catalog.captures import capture_of_row
from storage.catalog.tables import captures, records
from storage.catalog.values import RecordRow

_ADD: Final = RowInsert(records)
_SEGMENT: Final = (
    select(records)
    .where(records.c.segment == bindparam("segment"), records.c.offset > bindparam("after"))
    .order_by(records.c.offset)
    .limit(BATCH)
)
_HELD: Final = "SELECT DISTINCT payload_digest FROM captures WHERE kind = 'response' AND payload_digest IN"
_ORIGINALS: Final = select(captures).where(
    captures.c.payload_digest.in_(bindparam("payload_digests", expanding=True)),
    captures.c.kind == literal_column("'response'"),  # spelled out, or its index is not used
    captures.c.status.between(200, 299),
    captures.c.ending == Ending.COMPLETE.value,
    captures.c.payload_length > 0,
)


class Records(Queries):
    """WARC records and where they stand."""

    __slots__ = ()

    def add(self, rows: Sequence[RecordRow]) -> None:
        """Note records that are durable in their segment."""
        _ADD.run(self._connection, rows)

    def get(self, record_id: str) -> RecordRow | None:
        """One record by its id, without angle brackets."""
        return self._one(select(records).where(records.c.record_id == record_id))

    def by_digest(self, digest: str) -> RecordRow | None:
        """One record by its record digest, `sha256:hex`."""
        return self._one(select(records).where(records.c.digest == digest).limit(1))

    def digests(self, wanted: Collection[str]) -> set[str]:
        """Those of the record digests, `sha256:hex`, of which there is a record."""
        found: set[str] = set()
        rest = list(wanted)
        for first in range(0, len(rest), BATCH):
            query = select(records.c.digest).where(records.c.digest.in_(rest[first : first + BATCH]))
            found.update(self._connection.scalars(query))
        return found

    def counts(self) -> dict[str, int]:
        """How many records stand in each segment, by its name."""
        query = select(records.c.segment, func.count()).group_by(records.c.segment)
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def of_event(self, event_id: str) -> list[RecordRow]:
        """The records of one event, as they stand in the segment."""
        query = (
            select(records)
            .where(records.c.event_id == event_id)
            .order_by(records.c.segment, records.c.offset)
        )
        return [RecordRow._make(row) for row in self._connection.execute(query)]

    def in_segment(self, name: str) -> Iterator[RecordRow]:
        """The records of a segment by offset; read in runs, so that a large one needs no memory."""
        after = -1
        while rows := self._connection.execute(_SEGMENT, {"segment": name, "after": after}).all():
            for row in rows:
                yield RecordRow._make(row)
            after = rows[-1].offset

    def count(self) -> int:
        """How many records are known."""
        return self._connection.scalar(select(func.count()).select_from(records)) or 0

    def original_for(self, payload_digest: str, url: str) -> Capture | None:
        """What a revisit with this payload may point at (ISO 28500 6.7.2): a complete, non-empty 2xx
        response.

        One of the same URL first, then the earliest.
        """
        return self.originals_for([(payload_digest, url)])[0]

    def originals_for(self, wanted: Sequence[tuple[str, str]]) -> list[Capture | None]:
        """For each (payload digest, URL) what `original_for` finds, with one question for all."""
        found: dict[str, list[Row[Any]]] = {}
        for run in batches(self._held({digest for digest, _ in wanted})):
            for row in self._connection.execute(_ORIGINALS, {"payload_digests": run}):
                found.setdefault(row.payload_digest, []).append(row)
        return [_original(found.get(digest, ()), url) for digest, url in wanted]

    def _held(self, payload_digests: Collection[str]) -> list[str]:
        """Those of the payload digests that a response has. A crawl asks of every page, and most are new: this is sent
        as it stands, without a query built for it.
        """
        mark = "?" if self._connection.dialect.paramstyle == "qmark" else "%s"
        found: list[str] = []
        for run in batches(list(payload_digests)):
            text = f"{_HELD} ({', '.join([mark] * len(run))})"
            found += [row[0] for row in self._connection.exec_driver_sql(text, tuple(run))]
        return found

    def _one(self, query: Any) -> RecordRow | None:
        row = self._connection.execute(query).first()
        return RecordRow._make(row) if row else None


def _original(rows: Sequence[Row[Any]], url: str) -> Capture | None:
    best = min(rows, key=lambda row: (row.url != url, row.seq), default=None)
    return capture_of_row(best) if best is not None else None

"""Acknowledged captures and attempts, and how extraction of each stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, bindparam, func, literal_column, select, update

from schemas.captures import Capture, Ending, Role
from schemas.errors import InvalidValue, NotFound
from schemas.instants import from_micros, to_micros
from storage.catalog.base import Queries, RowInsert, clean, from_words, words
from storage.catalog.entries import LogQueries
from storage.catalog.tables import captures, records
from storage.catalog.values import ExtractionRow, RecordRow, TallyRow

STATES: Final = ("pending", "done", "failed", "none")

_ADD: Final = RowInsert(captures)
_SET: Final = (
    update(captures)
    .where(captures.c.id == bindparam("of"))
    .values(extraction=bindparam("state"), extraction_code=bindparam("code"), extractor=bindparam("by"))
)
# Spelled out, not bound: the index over what is pending is used only where the query says the same.
_IS_PENDING: Final[ColumnElement[str]] = literal_column("'pending'")


class Captures(Queries):
    """Acknowledged captures and attempts."""

    __slots__ = ()

    def add(self, capture: Capture) -> Capture:
        """Acknowledge a capture or attempt whose records are durable; gives it its `seq`.

        An article's page or an image that is `usable` starts with extraction pending, everything else with none.
        """
        _, seq = LogQueries(self._connection).reserve(0, captures=1)  # the log's row orders captures too
        added = replace(capture, seq=seq)
        self.put([added])
        return added

    def put(self, numbered: Sequence[Capture]) -> None:
        """Acknowledge captures, as `add` does one, whose `seq` was reserved before (`LogQueries.reserve`)."""
        _ADD.run(self._connection, [_row_of(capture) for capture in numbered])

    def get(self, capture_id: str) -> Capture | None:
        """One capture by its id."""
        row = self._connection.execute(select(captures).where(captures.c.id == capture_id)).first()
        return capture_of_row(row) if row else None

    def latest(self, among: int) -> int | None:
        """The latest date, in microseconds, of the last so many captures that were made here: what was imported may
        bear any date.
        """
        last = (
            select(captures.c.date).where(captures.c.kind != "import").order_by(captures.c.seq.desc()).limit(among)
        ).subquery()
        found: int | None = self._connection.scalar(select(func.max(last.c.date)))
        return found

    def for_url(self, url: str, limit: int | None = None) -> list[Capture]:
        """The captures of a URL, newest first: all, or so many."""
        query = select(captures).where(captures.c.url == url)
        return self._list(query.order_by(captures.c.date.desc(), captures.c.seq.desc()).limit(limit))

    def after(self, seq: int, limit: int, roles: Sequence[str] | None = None) -> list[Capture]:
        """Captures acknowledged after `seq`, in that order. Nothing lower is committed later."""
        query = select(captures).where(captures.c.seq > seq).order_by(captures.c.seq).limit(limit)
        if roles is not None:
            query = query.where(captures.c.role.in_([str(role) for role in roles]))
        return self._list(query)

    def records_of(self, capture_id: str) -> list[RecordRow]:
        """The records of a capture as they stand in its segment."""
        query = (
            select(records)
            .where(records.c.event_id == capture_id)
            .order_by(records.c.segment, records.c.offset)
        )
        return [RecordRow._make(row) for row in self._connection.execute(query)]

    def tallies(self) -> list[TallyRow]:
        """How many captures and attempts ended alike, by outlet, role, kind, ending, status and wall."""
        columns = [captures.c[name] for name in ("outlet_id", "role", "kind", "ending", "status", "wall")]
        query = select(*columns, func.count().label("count")).group_by(*columns)
        rows = [TallyRow(**row._mapping) for row in self._connection.execute(query)]
        return sorted(
            rows, key=lambda r: (r.outlet_id or "", r.role, r.kind, r.ending, r.status or 0, r.wall or "")
        )

    def set_extraction(
        self, capture_id: str, state: str, code: str | None = None, extractor: str | None = None
    ) -> None:
        """Note how extraction of a capture stands. Raises InvalidValue (state), NotFound (capture)."""
        if state not in STATES:
            raise InvalidValue(f"extraction is one of {', '.join(STATES)}, not {state!r}")
        done = self._connection.execute(
            _SET, {"of": capture_id, "state": state, "code": code, "by": extractor}
        )
        if done.rowcount == 0:
            raise NotFound(f"the catalog knows no capture {capture_id}", remedy="run `pressmark rebuild`")

    def mark_stale(self, extractor: str, role: Role = Role.ARTICLE) -> int:
        """Let captures of a role that another extractor read, or failed at, be read again; how many."""
        done = self._connection.execute(
            update(captures)
            .where(captures.c.extraction.in_(("done", "failed")), captures.c.extractor != extractor)
            .where(captures.c.role == role.value)
            .values(extraction="pending", extraction_code=None)
        )
        return int(done.rowcount)

    def extraction(self, capture_id: str) -> ExtractionRow | None:
        """How extraction of a capture stands."""
        query = select(captures.c.extraction, captures.c.extraction_code, captures.c.extractor)
        row = self._connection.execute(query.where(captures.c.id == capture_id)).first()
        return ExtractionRow(state=row[0], code=row[1], extractor=row[2]) if row else None

    def extractions(self) -> dict[tuple[str, str | None], int]:
        """How many article captures stand at each (extraction state, code)."""
        columns = (captures.c.extraction, captures.c.extraction_code)
        query = select(*columns, func.count()).where(captures.c.role == Role.ARTICLE.value).group_by(*columns)
        return {(row[0], row[1]): row[2] for row in self._connection.execute(query)}

    def pending(
        self, limit: int, outlets: Sequence[str] | None = None, role: Role = Role.ARTICLE
    ) -> list[Capture]:
        """Captures of a role (articles or images) that wait to be read, oldest first."""
        query = (
            select(captures)
            .where(captures.c.extraction == _IS_PENDING, captures.c.role == role.value)
            .order_by(captures.c.seq)
            .limit(limit)
        )
        if outlets is not None:
            query = query.where(captures.c.outlet_id.in_(list(outlets)))
        return self._list(query)

    def count(self) -> int:
        """How many captures and attempts are known."""
        return self._connection.scalar(select(func.count()).select_from(captures)) or 0

    def _list(self, query: Any) -> list[Capture]:
        return [capture_of_row(row) for row in self._connection.execute(query)]


def _row_of(capture: Capture) -> tuple[Any, ...]:
    """In the order of the table's columns."""
    return (
        capture.seq,
        capture.id,
        capture.kind,
        capture.url,
        to_micros(capture.date),
        capture.outlet_id,
        capture.role.value,
        capture.ending.value,
        capture.status,
        clean(capture.media_type),
        clean(capture.location),
        clean(capture.etag),
        clean(capture.last_modified),
        capture.payload_digest,
        capture.payload_length,
        capture.refers_to,
        capture.via,
        capture.wall,
        capture.log_index,
        words(capture.hints),
        clean(capture.item_url),
        "pending" if capture.role in (Role.ARTICLE, Role.IMAGE) and capture.usable else "none",
        None,  # extraction_code
        None,  # extractor
    )


def capture_of_row(row: Row[Any]) -> Capture:
    """The capture that a whole row of `captures` holds, by the places of its columns: an audit reads every one."""
    seq, capture_id, kind, url, date, outlet_id, role, ending, status, media_type, location, etag, *rest = tuple(row)
    last_modified, payload_digest, payload_length, refers_to, via, wall, log_index, hints, item_url, *_ = rest
    return Capture(
        id=capture_id,
        seq=seq,
        kind=kind,
        url=url,
        date=from_micros(date),
        outlet_id=outlet_id,
        role=Role(role),
        ending=Ending(ending),
        status=status,
        media_type=media_type,
        location=location,
        etag=etag,
        last_modified=last_modified,
        payload_digest=payload_digest,
        payload_length=payload_length,
        refers_to=refers_to,
        via=via,
        wall=wall,
        log_index=log_index,
        hints=from_words(hints),
        item_url=item_url,
    )

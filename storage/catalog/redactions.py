"""What was redacted, what must not come back, what is restricted. Taking rows away is left to `removals`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, exists, insert, or_, select, update

from storage.catalog.base import Prepared, Queries, batches
from storage.catalog.tables import blocked, erased, redactions, restrictions
from storage.catalog.values import ErasedRow, RedactionRow, RestrictionRow

PENDING = "pending"
DONE = "done"

_ANY: Final = Prepared(
    lambda _: select(
        exists().where(or_(restrictions.c.until.is_(None), restrictions.c.until > bindparam("now"))),
        exists().where(redactions.c.state == PENDING),
    )
)


class Redactions(Queries):
    """Redactions, the records that they name, and the keyed marks of what must not come back."""

    __slots__ = ()

    def add(self, row: RedactionRow, targets: Sequence[ErasedRow]) -> None:
        """Note a logged redaction and what it names; a record named before stays with the earlier one."""
        self._connection.execute(insert(redactions), asdict(row))
        if targets:
            statement = self._insert(erased).on_conflict_do_nothing()
            self._connection.execute(statement, [asdict(target) for target in targets])

    def get(self, log_index: int) -> RedactionRow | None:
        """One redaction by the index of its entry."""
        row = self._connection.execute(select(redactions).where(redactions.c.log_index == log_index)).first()
        return RedactionRow(**row._mapping) if row else None

    def all(self, state: str | None = None) -> list[RedactionRow]:
        """All redactions, or those of a state, in the log's order."""
        query = select(redactions).order_by(redactions.c.log_index)
        if state is not None:
            query = query.where(redactions.c.state == state)
        return [RedactionRow(**row._mapping) for row in self._connection.execute(query)]

    def done(self, log_index: int) -> None:
        """Note that nothing of a redaction's content is left in any place that is reached from here."""
        where = redactions.c.log_index == log_index
        self._connection.execute(update(redactions).where(where).values(state=DONE))

    def targets(self, log_index: int) -> list[ErasedRow]:
        """What a redaction names, in the order of its entry."""
        query = select(erased).where(erased.c.log_index == log_index).order_by(erased.c.place)
        return [_erased(row) for row in self._connection.execute(query)]

    def by_digest(self, digest: str) -> ErasedRow | None:
        """The record of this digest, where a redaction names it."""
        row = self._connection.execute(select(erased).where(erased.c.digest == digest)).first()
        return _erased(row) if row else None

    def few_digests(self, most: int) -> frozenset[str] | None:
        """The digests of all records that redactions name; None where there are more than `most`."""
        found = frozenset(self._connection.scalars(select(erased.c.digest).limit(most + 1)))
        return found if len(found) <= most else None

    def by_record(self, record_id: str) -> ErasedRow | None:
        """The record of this id, where a redaction names it."""
        row = self._connection.execute(select(erased).where(erased.c.record_id == record_id).limit(1)).first()
        return _erased(row) if row else None

    def at(self, log_index: int, place: int) -> ErasedRow | None:
        """The target at a place of a redaction entry."""
        where = (erased.c.log_index == log_index, erased.c.place == place)
        row = self._connection.execute(select(erased).where(*where)).first()
        return _erased(row) if row else None

    def digests(self, wanted: Iterable[str]) -> set[str]:
        """Those of these record digests that a redaction names."""
        found: set[str] = set()
        for some in batches(list(wanted)):
            found.update(self._connection.scalars(select(erased.c.digest).where(erased.c.digest.in_(some))))
        return found

    def describe(self, digest: str, **fields: Any) -> None:
        """Note the record id, role or entry of a target, as they are learnt."""
        self._connection.execute(update(erased).where(erased.c.digest == digest).values(**fields))

    def erased_articles(self, after: int) -> list[ErasedRow]:
        """Conversion records named by redactions logged after an index, in the log's order."""
        query = (
            select(erased)
            .where(erased.c.role == "conversion", erased.c.log_index > after)
            .order_by(erased.c.log_index, erased.c.place)
        )
        return [_erased(row) for row in self._connection.execute(query)]

    def block(self, marks: Iterable[str], log_index: int) -> None:
        """Note keyed marks of what must not come back; a known one stays."""
        rows = [{"mark": mark, "log_index": log_index} for mark in sorted(set(marks))]
        if rows:
            self._connection.execute(self._insert(blocked).on_conflict_do_nothing(), rows)

    def marks(self, log_index: int) -> list[str]:
        """The marks that one redaction brought, ascending."""
        query = select(blocked.c.mark).where(blocked.c.log_index == log_index).order_by(blocked.c.mark)
        return list(self._connection.scalars(query))

    def any_marks(self) -> bool:
        """True where anything must not come back."""
        return self._connection.execute(select(blocked.c.mark).limit(1)).first() is not None

    def blocked(self, marks: Sequence[str]) -> int | None:
        """The redaction that brought one of these marks; None where none is known."""
        query = select(blocked.c.log_index).where(blocked.c.mark.in_(list(marks))).limit(1)
        found: int | None = self._connection.scalar(query)
        return found


class Restrictions(Queries):
    """What is not to be shown for now, by article id or record id."""

    __slots__ = ()

    def close(self, row: RestrictionRow) -> None:
        """Restrict a subject, in place of an older restriction."""
        statement = self._insert(restrictions)
        fields = asdict(row)
        changed = {name: statement.excluded[name] for name in ("log_index", "code", "until")}
        self._connection.execute(
            statement.on_conflict_do_update(index_elements=[restrictions.c.subject], set_=changed), fields
        )

    def lift(self, subject: str) -> None:
        """Open a subject again."""
        self._connection.execute(delete(restrictions).where(restrictions.c.subject == subject))

    def any(self, now: int) -> bool:
        """True where anything is restricted at an instant, in microseconds, or a redaction is not done yet."""
        return any(_ANY.run(self._connection, now=now)[0])

    def among(self, subjects: Iterable[str], now: int) -> dict[str, RestrictionRow]:
        """The restrictions in force at an instant, in microseconds, on any of these."""
        found: dict[str, RestrictionRow] = {}
        in_force = or_(restrictions.c.until.is_(None), restrictions.c.until > now)
        for some in batches(sorted(set(subjects))):
            query = select(restrictions).where(restrictions.c.subject.in_(some), in_force)
            found.update({row.subject: RestrictionRow(**row._mapping) for row in self._connection.execute(query)})
        return found

    def all(self) -> list[RestrictionRow]:
        """All that were not lifted, those that ended by themselves too."""
        query = select(restrictions).order_by(restrictions.c.log_index, restrictions.c.subject)
        return [RestrictionRow(**row._mapping) for row in self._connection.execute(query)]


def _erased(row: Row[Any]) -> ErasedRow:
    return ErasedRow(**row._mapping)

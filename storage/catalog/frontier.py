"""Sources, items and hosts: what is known, what is due, whose host it is. When something falls due is
decided in `ingest.frontier` and `ingest.manners`; here it is only kept and found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import islice, zip_longest
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, bindparam, case, func, insert, literal_column, select, update

from schemas.frontier import Item, ItemState, SourceState
from storage.catalog.base import Queries, batches, clean, from_key_list, from_words, key_list, words
from storage.catalog.claims import is_better, is_news
from storage.catalog.tables import hosts, items, sources
from storage.catalog.tables import outlets as _outlets
from storage.catalog.values import HostState

_STATE_FIELDS: Final = (
    "id",
    "outlet_id",
    "url",
    "kind",
    "next_due",
    "etag",
    "last_modified",
    "last_capture",
    "polls",
    "gaps",
    "failures",
)
_ITEM_FIELDS: Final = (
    "id",
    "outlet_id",
    "url",
    "key",
    "state",
    "found",
    "found_in",
    "next_due",
    "stage",
    "failures",
    "etag",
    "last_modified",
    "last_capture",
    "article_id",
    "lastmod",
)
#: What `update_item` may change.
_CHANGEABLE: Final = frozenset(_ITEM_FIELDS[4:]) | {"url", "hints"}
_FOREIGN: Final = frozenset({"etag", "last_modified", "lastmod"})

# Spelled out, not bound: an index over new items is used only where the query says the same.
_IS_NEW: Final[ColumnElement[str]] = literal_column("'new'")
# The plus keeps the planner from the index by time: nearly all new items are due, and it would sort them each time.
_new_due: Final[ColumnElement[int]] = literal_column("+items.next_due")
_OF_OUTLET: Final = (
    select(items.c.id).where(items.c.outlet_id == bindparam("outlet")).limit(bindparam("most"))
)
_NEW: Final = _OF_OUTLET.where(items.c.state == _IS_NEW, _new_due <= bindparam("now")).order_by(items.c.id)
_AGAIN: Final = _OF_OUTLET.where(items.c.state != _IS_NEW, items.c.next_due <= bindparam("now")).order_by(
    items.c.next_due, items.c.id
)
_ADD: Final = insert(items)
_RENEW: Final = (
    update(items)
    .where(items.c.id == bindparam("of"))
    .values(
        lastmod=bindparam("claim"),
        hints=bindparam("said"),
        next_due=bindparam("at"),
        stage=case((bindparam("again") == 1, 0), else_=items.c.stage),
    )
)


class Frontier(Queries):
    """Sources, items and hosts. All times are microseconds."""

    __slots__ = ()

    # --- sources

    def due_sources(self, now: int, limit: int, outlets: Sequence[str] | None = None) -> list[SourceState]:
        """Sources of active outlets that are due, the longest overdue first."""
        query = select(sources).where(sources.c.next_due <= now).order_by(sources.c.next_due, sources.c.id)
        query = query.join(_outlets, _outlets.c.id == sources.c.outlet_id).where(_outlets.c.state == "active")
        if outlets is not None:
            query = query.where(sources.c.outlet_id.in_(list(outlets)))
        return [_source(row) for row in self._connection.execute(query.limit(limit))]

    def all_sources(self, outlet_id: str | None = None) -> list[SourceState]:
        """All sources, or an outlet's, in its order."""
        query = select(sources).order_by(sources.c.outlet_id, sources.c.position)
        if outlet_id is not None:
            query = query.where(sources.c.outlet_id == outlet_id)
        return [_source(row) for row in self._connection.execute(query)]

    def source_polled(
        self,
        id: int,
        *,
        now: int,
        next_due: int,
        ok: bool,
        keys: Sequence[str] | None,
        gap: bool,
        etag: str | None = None,
        last_modified: str | None = None,
        last_capture: str | None = None,
    ) -> None:
        """Note a poll. `keys` None leaves the last ones (304, failure), `last_capture` None validators."""
        fields: dict[str, Any] = {
            "polled": now,
            "next_due": next_due,
            "polls": sources.c.polls + 1,
            "gaps": sources.c.gaps + int(gap),
            "failures": 0 if ok else sources.c.failures + 1,
        }
        if keys is not None:
            fields["last_keys"] = key_list(keys)
        if last_capture is not None:
            fields.update(etag=clean(etag), last_modified=clean(last_modified), last_capture=last_capture)
        self._connection.execute(update(sources).where(sources.c.id == id).values(**fields))

    # --- items

    def add_items(
        self, outlet_id: str, items: Sequence[tuple[str, Item]], *, found_in: str | None, now: int, due: int
    ) -> list[str]:
        """Note announced items, each with its key; the URLs of those that were not known.

        A known one takes a newer claim of its last change; was it fetched, it is due again at `due` at the
        latest, its checks begun anew.
        """
        wanted: dict[str, Item] = {}
        for key, item in items:
            wanted.setdefault(key, item)
        # One worker at a time adds to an outlet: what is not known below is known to nobody.
        outlet = select(_outlets.c.id).where(_outlets.c.id == outlet_id)
        self._connection.execute(outlet.with_for_update(key_share=True))
        fresh: list[str] = []
        for keys in batches(list(wanted)):
            known = self._known(outlet_id, keys)
            self._renew([(row, wanted[row.key]) for row in known.values()], due)
            new = [(key, wanted[key]) for key in keys if key not in known]
            fresh += self._add(outlet_id, new, found_in=found_in, now=now, due=due)
        return fresh

    def due_items(self, now: int, limit: int, outlets: Sequence[str] | None = None) -> list[ItemState]:
        """Items of active outlets that are due: new ones first in the order found, then the longest overdue.

        Outlets take turns, so that the hosts of many are asked side by side.
        """
        active = self._active(outlets)
        chosen: list[int] = []
        for query in (_NEW, _AGAIN):
            left = limit - len(chosen)
            if left <= 0:
                break
            runs = [
                self._connection.execute(query, {"outlet": name, "now": now, "most": left}).scalars().all()
                for name in active
            ]
            turns = (row_id for turn in zip_longest(*runs) for row_id in turn if row_id is not None)
            chosen.extend(islice(turns, left))
        if not chosen:
            return []
        rows = self._connection.execute(select(items).where(items.c.id.in_(chosen)))
        found = {row.id: row for row in rows}
        return [_item(found[row_id]) for row_id in chosen]

    def item(self, id: int) -> ItemState | None:
        """One item by its id."""
        row = self._connection.execute(select(items).where(items.c.id == id)).first()
        return _item(row) if row else None

    def item_for(self, outlet_id: str, key: str) -> ItemState | None:
        """One item by its key within an outlet."""
        query = select(items).where(items.c.key_digest == key_digest(key), items.c.outlet_id == outlet_id)
        row = self._connection.execute(query).first()
        return _item(row) if row else None

    def update_item(self, id: int, **fields: Any) -> None:
        """Change fields of an item's state. Raises TypeError for what is none or must not change."""
        wrong = fields.keys() - _CHANGEABLE
        if wrong:
            raise TypeError(f"an item's {', '.join(sorted(wrong))} cannot be changed")
        values: dict[str, Any] = {
            name: clean(value) if name in _FOREIGN else value for name, value in fields.items()
        }
        if "hints" in values:
            values["hints"] = words(values["hints"])
        if values:
            self._connection.execute(update(items).where(items.c.id == id).values(**values))

    def next_due(self, outlets: Sequence[str] | None = None) -> int | None:
        """When the next source or item of an active outlet falls due; None where nothing ever will."""
        found: list[int | None] = []
        for table in (sources, items):
            earliest = select(func.min(table.c.next_due)).where(table.c.outlet_id == _outlets.c.id)
            query = select(earliest.scalar_subquery()).where(_outlets.c.state == "active")
            if outlets is not None:
                query = query.where(_outlets.c.id.in_(list(outlets)))
            found.extend(self._connection.execute(query).scalars())
        return min((at for at in found if at is not None), default=None)

    def counts(self, outlet_id: str | None = None) -> dict[str, int]:
        """How many items stand at each state."""
        query = select(items.c.state, func.count()).group_by(items.c.state)
        if outlet_id is not None:
            query = query.where(items.c.outlet_id == outlet_id)
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def _active(self, wanted: Sequence[str] | None) -> Sequence[str]:
        query = select(_outlets.c.id).where(_outlets.c.state == "active").order_by(_outlets.c.id)
        if wanted is not None:
            query = query.where(_outlets.c.id.in_(list(wanted)))
        return self._connection.execute(query).scalars().all()

    def _known(self, outlet_id: str, keys: Sequence[str]) -> dict[str, Any]:
        names = ("id", "outlet_id", "key", "state", "found", "next_due", "lastmod")
        # Not by outlet: PostgreSQL would take that for the narrower condition and walk through all of its items.
        digests = [key_digest(key) for key in keys]
        query = select(*(items.c[name] for name in names)).where(items.c.key_digest.in_(digests))
        return {row.key: row for row in self._connection.execute(query) if row.outlet_id == outlet_id}

    def _add(
        self, outlet_id: str, new: Sequence[tuple[str, Item]], *, found_in: str | None, now: int, due: int
    ) -> list[str]:
        rows = [
            {
                "outlet_id": outlet_id,
                "url": item.url,
                "key": key,
                "key_digest": key_digest(key),
                "state": "new",
                "found": now,
                "found_in": found_in,
                "next_due": due,
                "stage": 0,
                "failures": 0,
                "lastmod": clean(item.lastmod),
                "hints": words(item.hints()),
            }
            for key, item in new
        ]
        if rows:
            self._connection.execute(_ADD, rows)
        return [item.url for _, item in new]

    def _renew(self, pairs: Sequence[tuple[Any, Item]], due: int) -> None:
        changes = []
        for row, item in pairs:
            claim = clean(item.lastmod)
            if not is_better(row.lastmod, claim, row.found):
                continue
            again = row.state == "fetched" and is_news(row.lastmod, claim, row.found)
            at = due if row.next_due is None else min(row.next_due, due)
            changes.append(
                {
                    "of": row.id,
                    "claim": claim,
                    "said": words(item.hints()),
                    "at": at if again else row.next_due,
                    "again": int(again),
                }
            )
        if changes:
            self._connection.execute(_RENEW, changes)

    # --- hosts

    def claim_host(self, host: str, *, owner: str, now: int, until: int) -> HostState | None:
        """Take a host for one worker, so that its pace holds across machines; None where another holds it."""
        query = select(hosts).where(hosts.c.host == host).with_for_update(skip_locked=True)
        row = self._connection.execute(query).first()
        if row is None and not self._knows_host(
            host
        ):  # else its row is locked: another is claiming it just now
            fresh = {"host": host, "next_ok": 0, "failures": 0, "owner": None, "until": 0}
            self._connection.execute(self._insert(hosts).on_conflict_do_nothing(), fresh)
            row = self._connection.execute(query).first()
        if row is None or (row.owner not in (None, owner) and row.until > now):
            return None
        self._connection.execute(update(hosts).where(hosts.c.host == host).values(owner=owner, until=until))
        return HostState(host=host, next_ok=row.next_ok, failures=row.failures, owner=owner, until=until)

    def _knows_host(self, host: str) -> bool:
        return self._connection.execute(select(hosts.c.host).where(hosts.c.host == host)).first() is not None

    def release_host(self, host: str, *, owner: str, next_ok: int, failures: int) -> None:
        """Give a host back, with the time of the next request. Changes nothing where another took it over."""
        self._connection.execute(
            update(hosts)
            .where(hosts.c.host == host, hosts.c.owner == owner)
            .values(owner=None, until=0, next_ok=next_ok, failures=failures)
        )

    def host(self, host: str) -> HostState:
        """How a host may be asked; one never asked is free."""
        row = self._connection.execute(select(hosts).where(hosts.c.host == host)).first()
        return HostState(**row._mapping) if row else HostState(host=host)


def key_digest(key: str) -> bytes:
    """What stands for an item's key in the unique index: 128 bits, for keys may be longer than it takes."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _source(row: Row[Any]) -> SourceState:
    found = row._mapping
    return SourceState(
        last_keys=from_key_list(found["last_keys"]), **{name: found[name] for name in _STATE_FIELDS}
    )


def _item(row: Row[Any]) -> ItemState:
    found = row._mapping
    return ItemState(hints=from_words(found["hints"]), **{name: found[name] for name in _ITEM_FIELDS})

"""Whom the archive watches. The evidence of each change is a record; these rows are the newest state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any, Final

from sqlalchemy import Row, delete, insert, select, update

from schemas.errors import InvalidValue, NotFound
from schemas.instants import from_micros, to_micros
from schemas.outlets import Outlet, Source
from storage.catalog.base import Prepared, Queries
from storage.catalog.tables import outlets, sources

#: Names offered where none fits: enough to see the typing error, few enough for one line.
_NEAR: Final = 3

_OUTLET_NAMES: Final = Prepared(lambda _: select(outlets.c.id, outlets.c.name))


class Outlets(Queries):
    """Whom the archive watches."""

    __slots__ = ()

    def put(self, outlet: Outlet) -> None:
        """Note an outlet's newest state and its sources: new ones are due at once, gone ones forgotten."""
        row = {
            "id": outlet.id,
            "name": outlet.name,
            "url": outlet.url,
            "domain": outlet.domain,
            "state": outlet.state,
            "every": outlet.every,
            "added": to_micros(outlet.added) if outlet.added else None,
        }
        add = self._insert(outlets)
        self._connection.execute(
            add.on_conflict_do_update(
                index_elements=[outlets.c.id], set_={name: add.excluded[name] for name in row if name != "id"}
            ),
            row,
        )
        self._sync_sources(outlet)

    def get(self, outlet_id: str) -> Outlet | None:
        """One outlet by its id, removed ones too."""
        found = self._load(
            select(outlets).where(outlets.c.id == outlet_id),
            select(sources).where(sources.c.outlet_id == outlet_id),
        )
        return found[0] if found else None

    def all(self, removed: bool = False) -> list[Outlet]:
        """All outlets by id; with the removed ones on request."""
        query = select(outlets).order_by(outlets.c.id)
        if not removed:
            query = query.where(outlets.c.state != "removed")
        return self._load(query, select(sources))

    def names(self) -> dict[str, str]:
        """The name of every outlet, the removed ones too, by id."""
        return {row[0]: row[1] for row in _OUTLET_NAMES.run(self._connection)}

    def find(self, text: str) -> Outlet:
        """The outlet that a person means by its id, URL, domain or name (case is ignored), watched ones
        first.

        Raises NotFound, naming near ones; InvalidValue where several fit equally.
        """
        wanted, known = text.strip().casefold(), self.all(removed=True)
        for group in ([o for o in known if o.state != "removed"], [o for o in known if o.state == "removed"]):
            for name_of in _NAMES:
                fits = [outlet for outlet in group if name_of(outlet) == _as(name_of, wanted)]
                if len(fits) > 1:
                    raise InvalidValue(
                        f"{text!r} fits {len(fits)} outlets",
                        remedy=f"name one of {', '.join(o.id for o in fits)}",
                    )
                if fits:
                    return fits[0]
        raise NotFound(f"no outlet {text!r} is watched", remedy=_advice(wanted, known))

    def _sync_sources(self, outlet: Outlet) -> None:
        query = select(sources.c.id, sources.c.url).where(sources.c.outlet_id == outlet.id)
        known = {row.url: row.id for row in self._connection.execute(query)}
        wanted = {source.url: source for source in reversed(outlet.sources)}
        gone = [row_id for url, row_id in known.items() if url not in wanted]
        if gone:
            self._connection.execute(delete(sources).where(sources.c.id.in_(gone)))
        for position, source in enumerate(dict.fromkeys(wanted[s.url] for s in outlet.sources)):
            if source.url in known:
                self._connection.execute(
                    update(sources).where(sources.c.id == known[source.url]).values(kind=source.kind, position=position)
                )
            else:
                self._connection.execute(
                    insert(sources),
                    {
                        "outlet_id": outlet.id,
                        "position": position,
                        "url": source.url,
                        "kind": source.kind,
                        "next_due": 0,
                        "last_keys": "[]",
                        "polls": 0,
                        "gaps": 0,
                        "failures": 0,
                    },
                )

    def _load(self, query: Any, sources_query: Any) -> list[Outlet]:
        found: defaultdict[str, list[Source]] = defaultdict(list)
        for row in self._connection.execute(sources_query.order_by(sources.c.position)):
            found[row.outlet_id].append(Source(url=row.url, kind=row.kind))
        return [_outlet(row, found[row.id]) for row in self._connection.execute(query).all()]


def _outlet(row: Row[Any], found: Iterable[Source]) -> Outlet:
    return Outlet(
        id=row.id,
        name=row.name,
        url=row.url,
        domain=row.domain,
        state=row.state,
        every=row.every,
        sources=tuple(found),
        added=from_micros(row.added) if row.added is not None else None,
    )


def _bare_url(url: str) -> str:
    rest = url.casefold().removeprefix("https://").removeprefix("http://").removeprefix("www.")
    return rest.rstrip("/")


def _url_of(outlet: Outlet) -> str:
    return _bare_url(outlet.url)


def _domain_of(outlet: Outlet) -> str:
    return outlet.domain.casefold().removeprefix("www.")


_NAMES: Final[tuple[Callable[[Outlet], str], ...]] = (
    lambda outlet: outlet.id.casefold(),
    _url_of,
    _domain_of,
    lambda outlet: outlet.name.casefold(),
)


def _as(name_of: Callable[[Outlet], str], wanted: str) -> str:
    return _bare_url(wanted) if name_of in (_url_of, _domain_of) else wanted


def _advice(wanted: str, known: list[Outlet]) -> str:
    names = {name.casefold(): outlet.id for outlet in known for name in (outlet.name, outlet.domain, outlet.id)}
    near = list(dict.fromkeys(names[name] for name in get_close_matches(wanted, names, n=_NEAR)))
    return f"did you mean {' or '.join(near)}?" if near else "`pressmark outlet list` shows those that are"

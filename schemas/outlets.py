"""Outlets: whom the archive watches, and the changes of that list, which are evidence.

Values only; how feeds are found is left to `ingest.discover`, how changes are kept to `storage.archive`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from schemas.errors import InvalidValue
from schemas.instants import parse_rfc3339, rfc3339

#: Changes of an outlet that the log knows.
CHANGES = ("add", "update", "pause", "resume", "remove")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A place that announces articles."""

    url: str
    kind: str  # home | feed | sitemap


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlet:
    """A publisher that is watched."""

    id: str  # from its host, stable
    name: str
    url: str  # its homepage
    domain: str  # host of the homepage, without "www."
    state: str = "active"  # active | paused | removed
    every: int | None = None  # ceiling of the polling interval in seconds
    sources: tuple[Source, ...] = ()
    added: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class OutletChange:
    """One change of the watch list: the block of a `resource` record, canonical JSON."""

    change: str
    at: datetime
    outlet: Outlet

    def to_json(self) -> dict[str, Any]:
        """The change as JSON values."""
        outlet = asdict(self.outlet)
        outlet["sources"] = [asdict(s) for s in self.outlet.sources]
        outlet["added"] = rfc3339(self.outlet.added) if self.outlet.added else None
        return {
            "format": "pressmark-outlet/1",
            "change": self.change,
            "at": rfc3339(self.at),
            "outlet": outlet,
        }

    @classmethod
    def from_json(cls, value: Any) -> OutletChange:
        """Read what `to_json` wrote. Raises InvalidValue."""
        try:
            if value["format"] != "pressmark-outlet/1" or value["change"] not in CHANGES:
                raise InvalidValue("not an outlet change of a known format")
            raw = dict(value["outlet"])
            raw["sources"] = tuple(Source(**s) for s in raw["sources"])
            raw["added"] = parse_rfc3339(raw["added"]) if raw["added"] else None
            return cls(change=value["change"], at=parse_rfc3339(value["at"]), outlet=Outlet(**raw))
        except (KeyError, TypeError) as error:
            raise InvalidValue(f"an outlet change lacks or has a wrong field: {error}") from error

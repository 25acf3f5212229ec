"""Whose page is this? Outlets that are watched, by host, and stand-ins for those that are not (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.outlets import Outlet
from schemas.urls import host_of, same_site


def outlet_for(url: str, outlets: Sequence[Outlet]) -> str:
    """The id of the outlet that a URL belongs to: a watched one of the same site, else its own host's.

    Where several fit, the one with the longest domain that the host ends with. Raises InvalidValue.
    """
    host = host_of(url)
    fitting = [outlet for outlet in outlets if same_site(host, outlet.domain)]
    if not fitting:
        return host.removeprefix("www.")

    def closeness(outlet: Outlet) -> int:
        inside = host == outlet.domain or host.endswith(f".{outlet.domain}")
        return len(outlet.domain) if inside else 0

    return max(fitting, key=lambda outlet: (closeness(outlet), outlet.id)).id


def unwatched(outlet_id: str) -> Outlet:
    """A stand-in for an outlet that nobody watches: pages of it came in by import. It is named by its host."""
    return Outlet(
        id=outlet_id,
        name=outlet_id,
        url=f"https://{outlet_id}/",
        domain=outlet_id,
        state="removed",
    )

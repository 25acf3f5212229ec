"""What a source announces: read from what came, whether just now or long ago."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ingest import discover
from ingest.discover import Listing
from schemas.captures import Capture
from schemas.errors import InvalidValue
from schemas.frontier import Item
from schemas.outlets import Outlet
from schemas.urls import article_key
from storage.archive import Archive


def listing_of(capture: Capture, body: bytes, *, home: bool) -> Listing:
    """The listing in the body of a capture; of a homepage that lists nothing else (`home`) its links.

    Raises InvalidValue for what can be read as no listing at all, and for a page where a feed or sitemap should be:
    taken for an empty one, it would look as if there were no news.
    """
    listing = discover.parse_source(body, capture.url, capture.media_type)
    if home and not listing.items:
        return replace(listing, items=tuple(discover.links_of_home(body, capture.url)))
    if not home and listing.kind == "none":
        raise InvalidValue("it is a page, not a list of articles", remedy="look at its URL in a browser")
    return listing


def announced(outlet: Outlet, items: Sequence[Item]) -> list[tuple[str, Item]]:
    """The items that lie on the outlet's own site, by article key, each once."""
    found: dict[str, Item] = {}
    for item in items:
        if discover.belongs(item.url, outlet.domain):
            found.setdefault(article_key(item.url), item)
    return list(found.items())


def wanted(archive: Archive, pairs: Sequence[tuple[str, Item]]) -> list[tuple[str, Item]]:
    """Those of announced items that no redaction keeps away."""
    with archive.catalog.read() as tx:
        if not tx.redactions.any_marks():
            return list(pairs)
        return [(key, item) for key, item in pairs if archive.blocklist.refused(tx, urls=[item.url]) is None]

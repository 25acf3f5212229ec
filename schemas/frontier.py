"""What is watched and what is known of it: the state of sources and items, as values.

Derived state: `rebuild` makes it anew from feed captures and article captures. What falls due when is decided in
`ingest.frontier`; where it is kept, in `storage.catalog`.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One article announced by a feed, sitemap or homepage."""

    url: str  # normalised
    title: str | None = None
    published: str | None = None  # as the source wrote it: a claim
    lastmod: str | None = None  # as the source wrote it: a claim

    def hints(self) -> dict[str, str]:
        """What the source said, for the capture's metadata record."""
        pairs = {"title": self.title, "published": self.published, "lastmod": self.lastmod}
        return {k: v for k, v in pairs.items() if v}


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceState:
    """A source and how its polling stands."""

    id: int
    outlet_id: str
    url: str
    kind: str  # home | feed | sitemap
    next_due: int  # microseconds since 1970, UTC
    etag: str | None = None  # validators of the last complete 200
    last_modified: str | None = None
    last_capture: str | None = None  # record id whose validators those are
    last_keys: tuple[str, ...] = ()  # article keys of the last poll, to count gaps
    polls: int = 0
    gaps: int = 0  # polls that shared no item with the one before
    failures: int = 0  # in a row


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemState:
    """A known article URL of an outlet and how its fetching stands."""

    id: int
    outlet_id: str
    url: str
    key: str  # schemas.urls.article_key(url): unique within the outlet
    state: str  # new | fetched | failed | gone | denied
    found: int  # microseconds
    found_in: str | None  # record id of the capture that announced it
    next_due: int | None  # microseconds; None: never again
    stage: int = 0  # how many scheduled checks were made since the text last changed
    failures: int = 0  # in a row
    etag: str | None = None
    last_modified: str | None = None
    last_capture: str | None = None  # record id whose validators those are
    article_id: str | None = None
    lastmod: str | None = None  # the newest claim of the source
    hints: dict[str, str] = field(default_factory=dict)

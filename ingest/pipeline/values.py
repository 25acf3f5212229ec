"""What the journey is told, and what it tells: settings in, counts out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest import frontier
from schemas.captures import Capture, Ending
from schemas.frontier import ItemState


@dataclass(frozen=True, kw_only=True, slots=True)
class CrawlSettings:
    """What the journey needs to know beside the recorder's settings."""

    user_agent: str
    host_delay: float = 2.0  # seconds between exchanges with one host
    concurrency: int = 64  # outlets that are served at the same time
    recheck: tuple[int, ...] = (1800, 10800, 86400, 604800, 2592000)  # seconds after the first capture
    images: str = "none"  # which images of an article are fetched: none | lead | all
    limit: int | None = None  # article pages to fetch at most


@dataclass(slots=True)
class Tally:
    """What a crawl did, counted."""

    fetched: Counter[str] = field(default_factory=Counter)  # captures by role
    attempts: Counter[str] = field(default_factory=Counter)  # attempts without an answer, by how they ended
    statuses: Counter[int] = field(default_factory=Counter)  # answers other than 2xx and 304, by status
    discovered: int = 0
    versions: int = 0  # new article versions
    sightings: int = 0  # captures whose text was known already
    images: int = 0  # captured images that were read
    failed: Counter[str] = field(default_factory=Counter)  # pages and images that gave nothing, by reason


def settled(item: ItemState, capture: Capture, *, now: int, schedule: Sequence[int], changed: bool) -> dict[str, Any]:
    """How an item stands after a fetch (see `frontier.settle`); a redirect target's validators are not the item's."""
    fields = frontier.settle(item, capture, now=now, schedule=schedule, changed=changed)
    if capture.url != item.url and "etag" in fields:
        fields |= {"etag": None, "last_modified": None}
    return fields


def words_of(capture: Capture) -> str:
    """How an exchange ended, for people."""
    if capture.kind == "attempt":
        return f"no answer ({capture.ending.value})"
    if capture.ending is not Ending.COMPLETE:
        return f"a cut-off answer ({capture.ending.value})"
    return f"HTTP {capture.status}"

"""Coverage beside a dataset: how much of what outlets announced was asked for, and came, by day.

Counted from captures alone, so that the same log gives the same table. Addresses that were announced and not yet asked
for are not in it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any, Final

from schemas.captures import Capture, Role
from schemas.manifests import Column
from storage.catalog import Tx
from storage.datasets.selection import Selection

#: Captures read at once.
PAGE: Final = 1_000

COLUMNS: Final = (
    Column(name="outlet_id", type="string"),
    Column(name="day", type="string", description="UTC, YYYY-MM-DD"),
    Column(name="discovered", type="integer", description="article addresses first announced that day, once asked for"),
    Column(name="fetched", type="integer", description="whole 2xx answers to requests for article pages that day"),
    Column(name="failed", type="integer", description="requests for article pages with another outcome that day"),
)


def coverage(tx: Tx, selection: Selection, tree_size: int) -> list[dict[str, Any]]:
    """One row for each outlet and day of captures logged below `tree_size`; redirects count with what they led to."""
    tally: Counter[tuple[str, str, str]] = Counter()
    known: set[bytes] = set()
    days: dict[str, str] = {}  # of captures that announced something
    after = 0
    while page := tx.captures.after(after, PAGE, roles=[Role.ARTICLE]):
        after = page[-1].seq
        for capture in page:
            if not _asked_for(capture, selection, tree_size):
                continue
            outlet_id = capture.outlet_id or ""
            address = hashlib.sha256(f"{outlet_id}\n{capture.item_url or capture.url}".encode()).digest()
            if address not in known:
                known.add(address)
                tally[outlet_id, _announced(tx, capture, days), "discovered"] += 1
            if capture.location is None:
                tally[outlet_id, _day(capture), "fetched" if capture.usable else "failed"] += 1
    names = ("discovered", "fetched", "failed")
    places = sorted({(outlet_id, day) for outlet_id, day, _ in tally})
    return [{"outlet_id": o, "day": d} | {name: tally[o, d, name] for name in names} for o, d in places]


def _asked_for(capture: Capture, selection: Selection, tree_size: int) -> bool:
    if capture.log_index is None or capture.log_index >= tree_size:
        return False
    if capture.outlet_id is None or capture.kind == "import":  # nobody asked an outlet for it
        return False
    if selection.outlets and capture.outlet_id not in selection.outlets:
        return False
    return selection.by != "captured" or selection.holds(capture.date)


def _announced(tx: Tx, capture: Capture, days: dict[str, str]) -> str:
    """The day of the feed, sitemap or page that named an address; where none did, of the first request."""
    if capture.via is None:
        return _day(capture)
    if capture.via not in days:
        source = tx.captures.get(capture.via)
        days[capture.via] = _day(source or capture)
    return days[capture.via]


def _day(capture: Capture) -> str:
    return capture.date.date().isoformat()

"""Which article versions a dataset holds: what was asked for, and the choice it makes of a log's first T entries.

How a chosen version becomes a row is left to `rows`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from schemas.errors import NotFound, UsageError
from schemas.instants import from_micros, rfc3339, to_micros
from storage.catalog import Tx
from storage.catalog.values import VersionRow

BY: Final = ("captured", "published")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def check_name(name: str) -> str:
    """The name itself. Raises UsageError for one that no manifest, key or log entry takes."""
    if _NAME.fullmatch(name) is None or ".." in name:
        raise UsageError(
            f"{name[:60]!r} is no name of a dataset",
            remedy="use up to 100 lower-case letters, digits, dots, dashes and underscores",
        )
    return name


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What is asked for. Times are half-open, [from_, to). Raises UsageError where it asks for nothing sensible."""

    outlets: tuple[str, ...] = ()  # ids; none: all
    from_: datetime | None = None  # aware
    to: datetime | None = None  # aware
    by: str = "captured"  # captured (first_seen) | published (what the page says; zone or time missing: UTC, midnight)
    with_text: bool = True  # False: neither text nor standfirst, captions and alternative texts
    truncated: bool = False  # True: with pages that did not arrive whole
    walled: bool = False  # True: with pages that stood behind a wall

    def __post_init__(self) -> None:
        if self.by not in BY:
            raise UsageError(f"a dataset is chosen by {' or '.join(BY)}, not by {self.by!r}")
        for bound in (self.from_, self.to):
            if bound is not None and bound.utcoffset() is None:
                raise UsageError(f"{bound.isoformat()} has no zone", remedy="say which, such as +00:00")
        if self.from_ is not None and self.to is not None and self.from_ >= self.to:
            raise UsageError("the selection ends before it begins", remedy="--from must lie before --to")

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for the manifest."""
        return {
            "outlets": sorted(set(self.outlets)),
            "from": None if self.from_ is None else rfc3339(self.from_),
            "to": None if self.to is None else rfc3339(self.to),
            "by": self.by,
            "with_text": self.with_text,
            "truncated": self.truncated,
            "walled": self.walled,
        }

    def holds(self, instant: datetime) -> bool:
        """True where an instant lies in [from_, to)."""
        return (self.from_ is None or instant >= self.from_) and (self.to is None or instant < self.to)


#: Why versions are not to be shown, by log index.
Withheld = Callable[[Tx, list[VersionRow]], Mapping[int, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The versions of a dataset, in the order of its rows, and how many were left out why."""

    row_ids: tuple[int, ...]
    left_out: Mapping[str, int]


def choose(
    tx: Tx, selection: Selection, tree_size: int, withheld: Withheld = lambda tx, rows: {}
) -> Chosen:
    """The versions logged below `tree_size` that a selection names, by (outlet, article, version, log index).

    `withheld` says why versions are not to be shown, by log index. A version is superseded where another extractor read
    the same capture later. Raises NotFound for an unknown outlet.
    """
    for outlet_id in selection.outlets:
        if tx.outlets.get(outlet_id) is None:
            raise NotFound(f"no outlet {outlet_id}", remedy="see `pressmark outlet list`")
    keys: list[tuple[str, str, int, int, int]] = []
    left_out: Counter[str] = Counter()
    for row in _in_reach(tx, selection):
        if row.log_index >= tree_size:
            continue
        reason = withheld(tx, [row]).get(row.log_index) or _reason(tx, row, selection, tree_size)
        if reason is None:
            assert row.row_id is not None
            keys.append((row.outlet_id, row.article_id, row.version, row.log_index, row.row_id))
        elif reason:
            left_out[reason] += 1
    return Chosen(row_ids=tuple(key[-1] for key in sorted(keys)), left_out=dict(left_out))


def _in_reach(tx: Tx, selection: Selection) -> Iterator[VersionRow]:
    by_capture = selection.by == "captured"
    for outlet_id in sorted(set(selection.outlets)) or (None,):
        yield from tx.articles.search(
            outlet_id=outlet_id,
            captured_from=to_micros(selection.from_) if by_capture and selection.from_ else None,
            captured_to=to_micros(selection.to) if by_capture and selection.to else None,
            latest_only=False,
        )


def _reason(tx: Tx, row: VersionRow, selection: Selection, tree_size: int) -> str | None:
    """Why a version is left out: a word to count under, "" where it was not asked for; None where it is in."""
    if selection.by == "published":
        instant = published_instant(row.published)
        if instant is None:
            return "undated"
        if not selection.holds(instant):
            return ""
    if row.truncated is not None and not selection.truncated:
        return "truncated"
    if row.wall is not None and not selection.walled:
        return "walled"
    readings = [v for v in tx.articles.for_capture(row.capture_id) if v.log_index < tree_size]
    return "superseded" if readings and readings[-1].extractor != row.extractor else None


def published_instant(text: str | None) -> datetime | None:
    """When a page says that it was published, to select by: without a zone taken as UTC, without a time as midnight.

    None where it does not say, or not readably.
    """
    try:
        value = datetime.fromisoformat(text) if text else None
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def instant_text(micros: int) -> str:
    """Microseconds since 1970 as RFC 3339 in UTC, as rows hold instants."""
    return rfc3339(from_micros(micros))

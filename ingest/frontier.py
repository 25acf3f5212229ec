"""What is due: when an article is looked at again, when a source is polled again. Pure.

States and times in, states and times out, in microseconds since 1970; no clock, no storage. Pace and robots are left
to `manners`, keeping the states to the catalog, doing what is due to `pipeline`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from ingest.manners import backoff
from schemas.captures import Capture, Ending
from schemas.errors import InvalidValue
from schemas.frontier import Item, ItemState
from schemas.instants import to_micros

MICROS: Final = 1_000_000
HOUR: Final = 3600.0

#: Seconds between two polls of a source, at least and at most (DESIGN section 6).
MIN_POLL: Final = 300.0
MAX_POLL: Final = 6 * HOUR
#: Seconds to the next poll where nothing is known of a source's rate yet.
FIRST_POLL: Final = 900.0
#: The integral of the square root of the rate (items an hour) over the hours between two polls. With 0.5 an outlet of
#: 4 items an hour is polled each quarter of an hour, one of an item a day every 2.5 hours.
POLL_CONSTANT: Final = 0.5
#: The Gamma estimate begins as if this many items had been seen in this many hours: one in four hours.
PRIOR_ITEMS: Final = 0.25
PRIOR_HOURS: Final = 1.0
#: Items in each hour of the day that the profile begins with; more make it flatter.
PROFILE_PRIOR: Final = 2.0
#: Hours that the items must span before their hours of the day say anything.
PROFILE_HOURS: Final = 48.0
#: Part of the time that a feed's items span after which it is polled at the latest, lest items fall out unseen.
WINDOW_SHARE: Final = 0.5
#: Microseconds of the past whose items tell the rate: older ones tell of another time.
RATE_SPAN: Final = 14 * 24 * 3600 * MICROS
#: Seconds of one step of the integral.
STEP: Final = 60.0

#: Seconds before an item that failed is tried again; doubled with each further failure.
RETRY_BASE: Final = 900.0
#: Seconds before an item that a wall or a refusal (401, 402, 403, 451) stands before is tried again.
REFUSED_BASE: Final = 6 * HOUR
#: Seconds between two tries at most.
RETRY_MAX: Final = 7 * 24 * HOUR
#: Failures in a row after which an item is left alone.
MAX_FAILURES: Final = 8
#: Answers 404 or 410 in a row after which an item counts as gone: one may be a slip of the server.
GONE_AFTER: Final = 2
#: Seconds after which an item that robots.txt forbids is asked about again: the rules are read anew each day.
DENIED_AGAIN: Final = 24 * HOUR

_REFUSED: Final = frozenset({401, 402, 403, 451})
_HOPELESS: Final = frozenset({Ending.BAD_URL, Ending.ADDRESS_DENIED})


# -- items --------------------------------------------------------------------------------------------------------


def recheck_due(stage: int, anchor: int, schedule: Sequence[int]) -> int | None:
    """When the check after `stage` checks is due: `schedule` seconds after `anchor` (microseconds); None: no more."""
    return anchor + schedule[stage] * MICROS if 0 <= stage < len(schedule) else None


def settle(
    item: ItemState, capture: Capture, *, now: int, schedule: Sequence[int], changed: bool
) -> dict[str, Any]:
    """How an item stands after a fetch: the fields of its `ItemState` that change.

    `schedule` holds the seconds after the first capture at which it is checked again, ascending; `changed` says that
    the capture gave a new version, which starts the schedule anew.
    """
    if capture.usable:
        return _fetched(item, capture, now=now, schedule=schedule, changed=changed)
    failures = item.failures + 1
    if capture.ending is Ending.ROBOTS_DENIED:
        due = None if failures > MAX_FAILURES else now + round(DENIED_AGAIN * MICROS)
        return {"state": "denied", "failures": failures, "next_due": due}
    if capture.status in (404, 410) and failures >= GONE_AFTER:
        return {"state": "gone", "failures": failures, "next_due": None}
    # What was captured before stays `fetched`: a check that failed takes nothing away.
    state = "fetched" if item.state == "fetched" else "failed"
    if capture.ending in _HOPELESS or failures >= MAX_FAILURES:
        return {"state": state, "failures": failures, "next_due": None}
    base = REFUSED_BASE if capture.wall is not None or capture.status in _REFUSED else RETRY_BASE
    wait = backoff(failures, seed=item.url, base=base, most=RETRY_MAX)
    return {"state": state, "failures": failures, "next_due": now + round(wait * MICROS)}


def _fetched(
    item: ItemState, capture: Capture, *, now: int, schedule: Sequence[int], changed: bool
) -> dict[str, Any]:
    again = item.state == "fetched" and not changed
    stage = item.stage + 1 if again else 0
    # The schedule counts from the first capture of the text; the step from one check to the next is the difference.
    before = schedule[stage - 1] if again and stage <= len(schedule) else 0
    due = recheck_due(stage, now - before * MICROS, schedule)
    fields: dict[str, Any] = {"state": "fetched", "failures": 0, "stage": stage, "next_due": due}
    if capture.status != 304:  # validators come from complete 200s only
        fields |= {"etag": capture.etag, "last_modified": capture.last_modified, "last_capture": capture.id}
    return fields


# -- sources ------------------------------------------------------------------------------------------------------


def is_gap(before: Sequence[str], now: Sequence[str]) -> bool:
    """Whether a poll shares no item with the one before it, so that items between them may have been missed."""
    return bool(before) and bool(now) and set(before).isdisjoint(now)


def poll_interval(
    *,
    found: int,
    window: int,
    every: int | None,
    failures: int,
    published: Iterable[int] = (),
    now: int | None = None,
    elapsed: float | None = None,
    seed: str = "",
) -> float:
    """Seconds to the next poll of a source.

    `found` items of the `window` that it lists were new. Its rate is estimated from the instants at which its items
    say they were published (`published`, with `now`; microseconds); without those from `found` and the `elapsed`
    seconds since the poll before; without either it is a plain guess. `every` (seconds) is a ceiling. With `failures`
    in a row it is a back-off, which no ceiling shortens; `seed` (its URL) varies it.
    """
    if failures > 0:
        return min(backoff(failures, seed=seed, base=MIN_POLL, most=MAX_POLL), MAX_POLL)
    known = [] if now is None else sorted(at for at in published if now - RATE_SPAN <= at <= now)
    if now is not None and len(known) >= 2:
        seconds = _by_rate(known, now)
    elif elapsed is not None and elapsed > 0:
        rate = (PRIOR_ITEMS + found) / (PRIOR_HOURS + elapsed / HOUR)
        seconds = POLL_CONSTANT / math.sqrt(rate) * HOUR
        if found and found >= window:
            seconds = min(seconds, elapsed * WINDOW_SHARE)
    else:
        seconds = FIRST_POLL if found else 2 * FIRST_POLL
    bounded = min(max(seconds, MIN_POLL), MAX_POLL)
    return bounded if every is None else min(bounded, float(every))


def _by_rate(known: Sequence[int], now: int) -> float:
    """Where the integral of the square root of the rate reaches the constant; at half the feed's window at the latest.

    The rate is a Gamma estimate over the time since the oldest item, shaped by the hours of the day (UTC) in which
    items appeared.
    """
    hours = (now - known[0]) / MICROS / HOUR
    rate = (PRIOR_ITEMS + len(known)) / (PRIOR_HOURS + hours)
    profile = [PROFILE_PRIOR] * 24
    for at in known if hours >= PROFILE_HOURS else ():
        profile[_hour(at)] += 1.0
    mean = sum(profile) / 24
    seconds, reached = 0.0, 0.0
    while reached < POLL_CONSTANT and seconds < MAX_POLL:
        shape = profile[_hour(now + round(seconds * MICROS))] / mean
        reached += math.sqrt(rate * shape) * STEP / HOUR
        seconds += STEP
    return min(seconds, hours * HOUR * WINDOW_SHARE)


def _hour(at: int) -> int:
    return at // MICROS // 3600 % 24


def instants(items: Iterable[Item]) -> list[int]:
    """When items say they were published, in microseconds, where they say so readably; a claim, good for a rate."""
    found = (claimed_instant(item.published or item.lastmod) for item in items)
    return [at for at in found if at is not None]


def claimed_instant(text: str | None) -> int | None:
    """A date of a feed or sitemap (RFC 822 or ISO 8601, UTC where it names no zone) in microseconds; else None."""
    value = (text or "").strip()
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = read(value)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        try:
            return to_micros(at if at.tzinfo is not None else at.replace(tzinfo=UTC))
        except (InvalidValue, OverflowError):
            return None
    return None

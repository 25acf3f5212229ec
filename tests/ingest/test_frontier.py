"""When items and sources fall due again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.frontier import (
    GONE_AFTER,
    HOUR,
    MAX_FAILURES,
    MAX_POLL,
    MICROS,
    MIN_POLL,
    RETRY_MAX,
    claimed_instant,
    instants,
    is_gap,
    poll_interval,
    recheck_due,
    settle,
)
from schemas.captures import Capture, Ending, Role
from schemas.frontier import Item, ItemState
from schemas.instants import to_micros

SCHEDULE = (1800, 10800, 86400, 604800, 2592000)
NOW = to_micros(datetime(2022, 9, 13, 12, tzinfo=UTC))
MINUTE = 60 * MICROS


def item(**changes: Any) -> ItemState:
    state = ItemState(
        id=1, outlet_id="o", url="https://x.example/a", key="k", state="new", found=NOW, found_in=None, next_due=NOW
    )
    return replace(state, **changes)


def capture(status: int | None = 200, ending: Ending = Ending.COMPLETE, **changes: Any) -> Capture:
    made = Capture(
        id="urn:uuid:1", seq=1, kind="response" if ending.has_response else "attempt", url="https://x.example/a",
        date=datetime(2022, 9, 13, 12, tzinfo=UTC), outlet_id="o", role=Role.ARTICLE, ending=ending, status=status,
        media_type="text/html", location=None, etag='"1"', last_modified=None, payload_digest=None,
        payload_length=None, refers_to=None, via=None, wall=None, log_index=None,
    )  # fmt: skip
    return replace(made, **changes)


def after(state: ItemState, got: Capture, now: int, *, changed: bool = False) -> ItemState:
    return replace(state, **settle(state, got, now=now, schedule=SCHEDULE, changed=changed))


# -- items --------------------------------------------------------------------------------------------------------


def test_checks_fall_due_at_the_schedule_counted_from_the_first_capture() -> None:
    state = after(item(), capture(), NOW, changed=True)
    dues = []
    while state.next_due is not None:
        dues.append((state.next_due - NOW) // MICROS)
        state = after(state, capture(), state.next_due)
    assert tuple(dues) == SCHEDULE
    assert state.state == "fetched"


def test_a_change_starts_the_schedule_anew() -> None:
    state = after(item(), capture(), NOW, changed=True)
    state = after(state, capture(), NOW + 30 * MINUTE)
    assert state.stage == 1
    later = NOW + 180 * MINUTE
    state = after(state, capture(), later, changed=True)
    assert (state.stage, state.next_due) == (0, later + 30 * MINUTE)


def test_validators_come_from_complete_answers_and_outlive_a_304() -> None:
    state = after(item(), capture(), NOW, changed=True)
    assert (state.etag, state.last_capture) == ('"1"', "urn:uuid:1")
    not_modified = capture(304, kind="revisit", id="urn:uuid:2", etag=None)
    state = after(state, not_modified, NOW + 30 * MINUTE)
    assert (state.etag, state.last_capture, state.stage) == ('"1"', "urn:uuid:1", 1)


@pytest.mark.parametrize(
    "got",
    [
        capture(500), capture(404), capture(None, Ending.DNS), capture(200, Ending.DISCONNECT),
        capture(200, wall="bot"), capture(403), capture(302), capture(None, Ending.TIMEOUT), capture(None, Ending.TLS),
    ],
)  # fmt: skip
def test_a_failure_is_tried_again_later_and_not_for_ever(got: Capture) -> None:
    state, now, waits = item(), NOW, []
    while state.next_due is not None:
        state = after(state, got, now)
        assert state.state in ("failed", "gone")
        if state.next_due is not None:
            waits.append((state.next_due - now) / MICROS)
            now = state.next_due
    assert waits
    assert all(600 <= wait <= RETRY_MAX * 1.25 for wait in waits)
    assert state.failures <= MAX_FAILURES


def test_an_item_that_came_back_starts_fresh() -> None:
    state = after(after(item(), capture(503), NOW), capture(503), NOW)
    assert state.failures == 2
    state = after(state, capture(), NOW, changed=True)
    assert (state.state, state.failures, state.stage) == ("fetched", 0, 0)


def test_a_failed_check_takes_nothing_away() -> None:
    state = after(item(), capture(), NOW, changed=True)
    state = after(state, capture(500), NOW + 30 * MINUTE)
    assert (state.state, state.failures, state.stage, state.etag) == ("fetched", 1, 0, '"1"')


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_found_twice_is_gone(status: int) -> None:
    state = after(item(), capture(), NOW, changed=True)
    for _ in range(GONE_AFTER):
        assert state.state == "fetched"
        state = after(state, capture(status), NOW)
    assert (state.state, state.next_due) == ("gone", None)


def test_robots_and_hopeless_addresses() -> None:
    denied = after(item(), capture(None, Ending.ROBOTS_DENIED), NOW)
    assert (denied.state, denied.next_due) == ("denied", NOW + 24 * 3600 * MICROS)
    for ending in (Ending.BAD_URL, Ending.ADDRESS_DENIED):
        state = after(item(), capture(None, ending), NOW)
        assert (state.state, state.next_due) == ("failed", None)


@given(st.integers(-3, 10), st.lists(st.integers(0, 10**7), max_size=6))
def test_recheck_due_stays_within_the_schedule(stage: int, schedule: list[int]) -> None:
    due = recheck_due(stage, NOW, schedule)
    assert (due is None) == (not 0 <= stage < len(schedule))
    assert due is None or due == NOW + schedule[stage] * MICROS


@given(st.integers(0, 12), st.sampled_from(["new", "fetched", "failed", "denied"]), st.booleans())
def test_nothing_is_due_before_now(stage: int, name: str, changed: bool) -> None:
    for got in (capture(), capture(304), capture(500), capture(404), capture(None, Ending.ROBOTS_DENIED)):
        fields = settle(item(state=name, stage=stage), got, now=NOW, schedule=SCHEDULE, changed=changed)
        assert fields["next_due"] is None or fields["next_due"] > NOW


# -- sources ------------------------------------------------------------------------------------------------------


def interval(every_minutes: float, *, count: int = 40, **changes: Any) -> float:
    published = [NOW - round(every_minutes * n * MINUTE) for n in range(count)]
    values: dict[str, Any] = {"found": 1, "window": count, "every": None, "failures": 0}
    return poll_interval(**(values | {"published": published, "now": NOW} | changes))


def test_a_busy_source_is_polled_more_often() -> None:
    seconds = [interval(minutes) for minutes in (1, 5, 15, 60, 240, 1440)]
    assert seconds == sorted(seconds)
    assert MIN_POLL <= seconds[0] <= 2 * MIN_POLL
    assert 600 <= interval(15) <= 1200
    assert MIN_POLL < seconds[-1] <= MAX_POLL


def test_half_the_window_is_never_overslept() -> None:
    assert interval(60, count=2) <= 0.5 * HOUR
    assert interval(1, count=500) == MIN_POLL


def test_the_hours_of_the_day_shape_it() -> None:
    day = 24 * 3600 * MICROS
    in_the_morning = [NOW - n * day - 4 * 3600 * MICROS - k * MINUTE for n in range(14) for k in range(0, 60, 6)]
    values: dict[str, Any] = {"found": 0, "window": 140, "every": None, "failures": 0, "published": in_the_morning}
    busy, quiet = (NOW - 4 * 3600 * MICROS + h * 3600 * MICROS for h in (0, 12))
    assert poll_interval(**values, now=busy) < poll_interval(**values, now=quiet)


def test_every_is_a_ceiling_and_a_failure_backs_off_beyond_it() -> None:
    assert interval(1440, every=600) == 600
    assert interval(1, every=60) == 60
    assert interval(1, count=500, every=3600) == MIN_POLL
    failing = [poll_interval(found=0, window=0, every=60, failures=n) for n in range(1, 12)]
    assert failing[0] >= 200
    assert failing[:6] == sorted(failing[:6])
    assert failing[-1] <= MAX_POLL


def test_without_dates_the_count_since_the_last_poll_tells() -> None:
    values: dict[str, Any] = {"window": 40, "every": None, "failures": 0, "elapsed": HOUR}
    assert poll_interval(found=20, **values) < poll_interval(found=1, **values) <= poll_interval(found=0, **values)
    assert poll_interval(found=40, **values) <= HOUR / 2
    first = poll_interval(found=40, window=40, every=None, failures=0)
    assert MIN_POLL <= first <= HOUR


@given(
    st.integers(0, 10**5), st.integers(0, 10**5), st.integers(0, 50), st.none() | st.integers(1, 10**6),
    st.lists(st.integers(-(2**55), 2**55), max_size=30), st.none() | st.floats(-10, 1e9),
)  # fmt: skip
def test_any_claims_give_an_interval_within_the_bounds(
    found: int, window: int, failures: int, every: int | None, published: list[int], elapsed: float | None
) -> None:
    seconds = poll_interval(
        found=found, window=window, every=every, failures=failures, published=published, now=NOW, elapsed=elapsed
    )
    lowest = min(MIN_POLL * 0.75, every or MIN_POLL)
    assert lowest <= seconds <= MAX_POLL


def test_a_gap_is_a_poll_that_shares_nothing_with_the_one_before() -> None:
    assert is_gap(["a", "b"], ["c", "d"])
    assert not is_gap(["a", "b"], ["b", "c"])
    assert not is_gap([], ["a"])
    assert not is_gap(["a"], [])


# -- claimed dates ------------------------------------------------------------------------------------------------


@given(st.datetimes(min_value=datetime(1980, 1, 1), max_value=datetime(2060, 1, 1), timezones=st.just(UTC)))
def test_dates_of_feeds_read_back(at: datetime) -> None:
    whole = at.replace(microsecond=0)
    assert claimed_instant(format_datetime(whole)) == to_micros(whole)
    assert claimed_instant(at.isoformat()) == to_micros(at)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tue, 13 Sep 2022 14:00:00 +0200", NOW), ("Tue, 13 Sep 2022 12:00:00 GMT", NOW),
        ("2022-09-13T12:00:00Z", NOW), ("2022-09-13T14:00+02:00", NOW), ("2022-09-13T12:00:00", NOW),
        ("2022-09-13", NOW - 12 * 3600 * MICROS), ("yesterday", None), ("", None), (None, None),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)  # fmt: skip
def test_claimed_instants(text: str | None, expected: int | None) -> None:
    assert claimed_instant(text) == expected


@given(st.text(max_size=40))
def test_any_claim_is_read_or_passed_over(text: str) -> None:
    found = claimed_instant(text)
    assert found is None or isinstance(found, int)
    assert instants([Item(url="u", published=text)]) == ([] if found is None else [found])

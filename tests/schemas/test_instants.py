"""Instants and their texts."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidValue
from schemas.instants import from_micros, parse_rfc3339, parse_warc_date, rfc3339, to_micros, utc, warc_date

offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=offsets)


@given(instants)
def test_every_text_reads_back(instant: datetime) -> None:
    assert parse_warc_date(warc_date(instant)) == instant
    assert parse_rfc3339(rfc3339(instant)) == instant
    assert parse_rfc3339(instant.isoformat()) == instant
    assert from_micros(to_micros(instant)) == instant
    assert from_micros(to_micros(instant)).tzinfo is UTC


def test_forms() -> None:
    instant = datetime(2026, 11, 23, 15, 0, 0, 120_000, tzinfo=timezone(timedelta(hours=1)))
    assert warc_date(instant) == "2026-11-23T14:00:00.120000Z"
    assert rfc3339(instant) == "2026-11-23T14:00:00.120000Z"
    assert rfc3339(instant.replace(microsecond=0)) == "2026-11-23T14:00:00Z"
    assert warc_date(instant.replace(microsecond=0)) == "2026-11-23T14:00:00.000000Z"
    assert to_micros(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    assert to_micros(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-11", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("2026-11-23T14:05Z", datetime(2026, 11, 23, 14, 5, tzinfo=UTC)),
        ("2026-11-23T14:05:06Z", datetime(2026, 11, 23, 14, 5, 6, tzinfo=UTC)),
        ("2026-11-23T14:05:06.7Z", datetime(2026, 11, 23, 14, 5, 6, 700_000, tzinfo=UTC)),
        ("2026-11-23T14:05:06.123456789Z", datetime(2026, 11, 23, 14, 5, 6, 123_456, tzinfo=UTC)),
    ],
)
def test_warc_dates_of_all_precisions(text: str, instant: datetime) -> None:
    assert parse_warc_date(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "", "26", "2026-13", "2026-02-30", "20261123140506", "2026-11-23T14Z", "2026-11-23T14:05:06",
        "2026-11-23T14:05:06+01:00", "2026-11-23t14:05:06z", "2026-11-23T14:05:06.1234567890Z", "2026-11-23T24:00:00Z",
        "2026-11-23T14:05:06Z\n", "٢٠٢٦", "0000-01-01", "2026-11-23T14:05:60Z",
    ],
)  # fmt: skip
def test_what_is_no_warc_date_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_warc_date(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23", "2026-11-23T14:05:06", "2026-11-23T14:05Z", "2026-11-23T14:05:06+24:00",
        "2026-11-23T14:05:06+01:60", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2026-11-23T14:05:60Z",
        "2026-11-23T14:05:06,5Z", "2026-11-23T14:05:06+0100", " 2026-11-23T14:05:06Z",
    ],
)  # fmt: skip
def test_what_is_no_rfc3339_instant_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_rfc3339(text)


def test_a_naive_time_is_no_instant() -> None:
    naive = datetime(2026, 11, 23)
    for read in (utc, warc_date, rfc3339, to_micros):
        with pytest.raises(InvalidValue):
            read(naive)
    with pytest.raises(InvalidValue):
        from_micros(10**18)

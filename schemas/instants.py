"""Instants: aware datetimes in UTC, as WARC dates, RFC 3339 texts and integer microseconds.

No clock is read here. What an instant means (our claim, a stranger's claim, a proven bound) is left to its
user.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

from schemas.errors import InvalidValue

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_MICROSECOND: Final = timedelta(microseconds=1)

# Dates read or written last: the records of one event share one.
_DATES_KEPT: Final = 64

# ISO 28500:2017 5.4: the W3C profile of ISO 8601, in UTC, from a bare year to nanoseconds.
_WARC_DATE: Final = re.compile(
    r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2})"
    r"(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?Z)?)?)?"
)

# RFC 3339 section 5.6; upper and lower case T and Z, and a space for T, are allowed there.
_RFC3339: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,30}))?"
    r"(?:([Zz])|([+-])([0-9]{2}):([0-9]{2}))"
)


def utc(instant: datetime) -> datetime:
    """The same instant in UTC. Raises InvalidValue for a naive datetime: its zone would be a guess."""
    if instant.tzinfo is UTC:
        return instant
    if instant.tzinfo is None or instant.utcoffset() is None:
        raise InvalidValue(f"a time without a zone cannot be an instant: {instant.isoformat()}")
    try:
        return instant.astimezone(UTC)
    except OverflowError as error:
        raise InvalidValue("a time whose UTC lies outside the years 1 to 9999") from error


def warc_date(instant: datetime) -> str:
    """A WARC/1.1 date with microseconds: `2026-11-23T14:00:00.123456Z` (ISO 28500:2017 5.4)."""
    return _warc_stamp(utc(instant))


@lru_cache(maxsize=_DATES_KEPT)
def _warc_stamp(instant: datetime) -> str:
    """Of an instant that is in UTC already: two of another zone may be equal and an hour apart (PEP 495)."""
    return _stamp(instant, "microseconds")


@lru_cache(maxsize=_DATES_KEPT)
def parse_warc_date(text: str) -> datetime:
    """Read a WARC date of any precision that ISO 28500:2017 5.4 allows; what is not given is taken as the
    first.

    Digits beyond the microsecond are cut off. Raises InvalidValue.
    """
    match = _WARC_DATE.fullmatch(text)
    if match is None:
        raise InvalidValue(f"not a WARC date: {text[:60]!r}")
    year, month, day, hour, minute, second, fraction = match.groups()
    micros = int((fraction or "0").ljust(6, "0")[:6])
    parts = (int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0))
    try:
        return datetime(*parts, micros, tzinfo=UTC)
    except ValueError as error:
        raise InvalidValue(f"not a WARC date: {text[:60]!r} ({error})") from error


def rfc3339(instant: datetime) -> str:
    """RFC 3339 in UTC with `Z`; microseconds only where they are not zero."""
    return _stamp(utc(instant), "auto")


def parse_rfc3339(text: str) -> datetime:
    """Read an RFC 3339 date-time with any offset; the result is in UTC. Raises InvalidValue.

    Digits beyond the microsecond are cut off. A leap second (`:60`) is refused: no instant here can hold it.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise InvalidValue(f"not an RFC 3339 date-time with zone: {text[:60]!r}")
    *fields, fraction, zulu, sign, hours, minutes = match.groups()
    micros = int((fraction or "0").ljust(6, "0")[:6])
    zone = UTC
    try:
        if not zulu:
            if int(hours) > 23 or int(minutes) > 59:
                raise InvalidValue(f"an offset beyond 23:59: {text[:60]!r}")
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            zone = timezone(-offset if sign == "-" else offset)
        year, month, day, hour, minute, second = (int(field) for field in fields)
        return utc(datetime(year, month, day, hour, minute, second, micros, tzinfo=zone))
    except InvalidValue:
        raise
    except ValueError as error:
        raise InvalidValue(f"not an RFC 3339 date-time: {text[:60]!r} ({error})") from error


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970-01-01T00:00:00Z, exact; negative before.

    Raises InvalidValue for a naive datetime.
    """
    return _micros(utc(instant))


@lru_cache(maxsize=_DATES_KEPT)
def _micros(instant: datetime) -> int:
    return (instant - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The instant that many microseconds after 1970-01-01T00:00:00Z.

    Raises InvalidValue where out of range.
    """
    try:
        return EPOCH + timedelta(microseconds=micros)
    except OverflowError as error:
        raise InvalidValue(f"microseconds outside the years 1 to 9999: {micros}") from error


def _stamp(instant: datetime, timespec: str) -> str:
    return instant.replace(tzinfo=None).isoformat(timespec=timespec) + "Z"

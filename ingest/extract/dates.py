"""Dates of a page, as the page gives them: with its zone, or local, or a date alone. Never guessed, never today's.

`normalise` reads one string; `choose` weighs candidates. Where a page's dates stand is left to `metadata`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Final

#: A zoned instant later than the capture by more than this is refused: clocks differ, publishers pre-date.
AHEAD: Final = timedelta(hours=14)
#: A local time or a date alone may be a day ahead, for its zone is unknown.
AHEAD_DATE: Final = timedelta(days=1)
#: Earlier than any newspaper's archive that the web shows.
FIRST_YEAR: Final = 1700

_ISO: Final = re.compile(
    r"^\s*(\d{4})-?(\d{2})-?(\d{2})(?:[T\s]+(\d{1,2}):?(\d{2})(?::?(\d{2})(?:[.,](\d{1,9}))?)?\s*"
    r"(Z|z|UTC|GMT|[+\-−]\d{1,2}:?\d{2}|[+\-]\d{2})?(?:\[[\w/]+\])?)?\s*$"
)
_EPOCH: Final = re.compile(r"^\s*(\d{10}|\d{13})\s*$")
# Day first with dots or year first with dots or slashes: unambiguous orders only; 3/4/2025 is left alone.
_YMD: Final = re.compile(r"\b((?:19|20)\d\d)\s*[./年년-]\s*(\d{1,2})\s*[./月월-]\s*(\d{1,2})\s*[日일.]?")
_DMY: Final = re.compile(r"\b(\d{1,2})\.\s?(\d{1,2})\.\s?((?:19|20)\d\d)\b")
# Months by name, in the languages that outlets print: the order of day and month is then certain. Beginnings of names.
_MONTH_TABLE: Final = """
jan january janv janvier januar januari januára ene enero gen gennaio sty stycznia янв января січ \
січня oca ocak tammikuuta led ledna
feb february febr févr fév février februar februari febrero fev fevereiro febbraio lut lutego фев \
февр февраля лют лютого şub şubat helmikuuta úno února
mar march mär märz mars marzo mrt maart março marca марта мар бер березня maret maaliskuuta bře \
března
apr april avr avril abr abril aprile kwi kwietnia апр апреля кві квітня nis nisan huhtikuuta dub \
dubna
may mai mayo mei maio mag maggio maj maja мая трав травня mayıs toukokuuta kvě května
jun june juni juin junio jun junho giu giugno cze czerwca июн июня чер червня haz haziran kesäkuuta \
čvn června
jul july juli juil juillet julio julho lug luglio lip lipca июл июля лип липня tem temmuz heinäkuuta \
čvc července
aug august août aoû ago agosto augustus augusti sie sierpnia авг августа сер серпня ağu ağustos \
agustus elokuuta srp srpna
sep sept september septembre septiembre set setembro settembre wrz września сен сент сентября вер \
вересня eyl eylül syyskuuta zář září
oct october okt oktober octobre octubre out outubro ott ottobre paź października окт октября жов \
жовтня eki ekim lokakuuta říj října
nov november novembre noviembre novembro lis listopada ноя нояб ноября лист листопада kas kasım \
marraskuuta
dec december dez dezember déc décembre dic diciembre dezembro dicembre des desember gru grudnia дек \
декабря гру грудня ara aralık desember joulukuuta pro prosince
"""
_MONTHS: Final = {
    name: number for number, line in enumerate(_MONTH_TABLE.strip().splitlines(), 1) for name in line.split()
}
_WORD: Final = r"([^\W\d_]{3,12})"
_DAY_MONTH: Final = re.compile(
    rf"(?<!\d)(\d{{1,2}})(?:\.|st|nd|rd|th|er|º|ª)?\s+(?:de\s+|of\s+|d')?{_WORD}\.?,?\s+"
    r"(?:de\s+|del\s+)?((?:19|20)\d\d)(?!\d)"
)
_MONTH_DAY: Final = re.compile(rf"(?<!\w){_WORD}\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?,?\s+((?:19|20)\d\d)(?!\d)")
_HALF: Final = re.compile(r"^\s*([ap])\.?\s?m\b", re.I)
_CLOCK: Final = re.compile(r"(?<![\d:.])([01]?\d|2[0-3])(?:[:時시h]\s?)([0-5]\d)(?::([0-5]\d))?(?![\d:])")


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One date that the page claims, with its place."""

    raw: str
    source: str
    path: str


def normalise(raw: str) -> str | None:
    """A date string of a machine-readable field as RFC 3339, local date-time or date; None where it is none."""
    match = _ISO.match(raw)
    if match:
        return _from_iso(match)
    epoch = _EPOCH.match(raw)
    if epoch:
        seconds = int(epoch.group(1)) / (1000 if len(epoch.group(1)) == 13 else 1)
        return _print(datetime.fromtimestamp(int(seconds), UTC))
    if re.match(r"^\s*[A-Za-z]{3},? ", raw):
        try:
            return _print(parsedate_to_datetime(raw))
        except (ValueError, TypeError, IndexError):
            return None
    return None


def from_words(text: str) -> str | None:
    """A date in visible text, where its order of numbers is certain; local time, for words give no zone."""
    match = _YMD.search(text)
    parts = match.group(1, 2, 3) if match else None
    if match is None:
        match = _DMY.search(text)
        parts = match.group(3, 2, 1) if match else None
    if match is None:
        match, parts = _named_month(text)
    if match is None or parts is None:
        return None
    clock = _CLOCK.search(text, match.end())
    day = _date(*parts)
    if day is None:
        return None
    if clock is None or clock.start() - match.end() > 25:
        return day.isoformat()
    hour = int(clock.group(1))
    half = _HALF.match(text[clock.end() :])
    if half is not None:
        if not 1 <= hour <= 12:
            return day.isoformat()
        hour = hour % 12 + (12 if half.group(1).lower() == "p" else 0)
    return f"{day.isoformat()}T{hour:02}:{clock.group(2)}:{clock.group(3) or '00'}"


def _named_month(text: str) -> tuple[re.Match[str] | None, tuple[str, str, str] | None]:
    """A day, a month by its name and a year, in either order."""
    for pattern, day, month in ((_DAY_MONTH, 1, 2), (_MONTH_DAY, 2, 1)):
        for match in pattern.finditer(text):
            number = _MONTHS.get(match.group(month).lower())
            if number is not None:
                return match, (match.group(3), str(number), match.group(day))
    return None, None


def _date(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _from_iso(match: re.Match[str]) -> str | None:
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if hour is None:
        found = _date(year, month, day)
        return found.isoformat() if found else None
    try:
        moment = datetime(
            int(year),
            int(month),
            int(day),
            int(hour),
            int(minute),
            int(second or 0),
            int((fraction or "0").ljust(6, "0")[:6]),
            tzinfo=_zone(zone),
        )
    except ValueError:
        return None
    return _print(moment)


def _zone(text: str | None) -> timezone | None:
    if not text:
        return None
    if text.upper() in ("Z", "UTC", "GMT"):
        return UTC
    digits = re.sub(r"\D", "", text[1:])
    hours, minutes = (int(digits[:-2]), int(digits[-2:])) if len(digits) > 2 else (int(digits), 0)
    if hours > 14 or minutes > 59:
        raise ValueError("no such zone")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(offset if text[0] == "+" else -offset)


def _print(moment: datetime) -> str:
    """RFC 3339, or a local date-time; microseconds where the page gives them."""
    text = moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def precision(value: str) -> int:
    """2 for an instant with zone, 1 for a local date-time, 0 for a date alone."""
    if "T" not in value:
        return 0
    return 2 if value.endswith("Z") or re.search(r"[+-]\d\d:\d\d$", value) else 1


def plausible(value: str, captured: datetime) -> bool:
    """Not before the first newspapers on the web, not after the capture (with room for zones)."""
    if int(value[:4]) < FIRST_YEAR:
        return False
    if precision(value) == 2:
        return datetime.fromisoformat(value) <= captured + AHEAD
    return date.fromisoformat(value[:10]) <= (captured + AHEAD_DATE).date()


def choose(
    candidates: Iterable[Candidate], captured: datetime, in_words: Iterable[Candidate] = ()
) -> tuple[str, Candidate] | None:
    """The first plausible candidate, made finer by later ones that agree with it; read no further than needed.

    A date alone yields to an instant of the same day; `Z` yields to an offset with the same wall clock, for a local
    time labelled UTC is the commonest fault of date fields. `in_words` follow where no instant was found: words have no
    zone.
    """
    found = _finest(None, candidates, captured)
    if found is None or precision(found[0]) < _ZONED:
        found = _finest(found, in_words, captured)
    return found


_ZONED: Final = 2


def _finest(
    found: tuple[str, Candidate] | None, candidates: Iterable[Candidate], captured: datetime
) -> tuple[str, Candidate] | None:
    for candidate in candidates:
        value = normalise(candidate.raw) or (from_words(candidate.raw) if candidate.source == "dom" else None)
        if value is not None and plausible(value, captured) and (found is None or _is_finer(value, found[0])):
            found = value, candidate
            if precision(value) == _ZONED and not value.endswith("Z"):
                break  # nothing that is said later makes it finer
    return found


def _is_finer(other: str, value: str) -> bool:
    if precision(other) > precision(value):
        return _same_day(other, value)
    zoned = precision(other) == _ZONED and not other.endswith(("Z", "+00:00"))
    return zoned and value.endswith("Z") and other[:19] == value[:19]


def _same_day(finer: str, coarser: str) -> bool:
    if precision(coarser) == 1:  # a local time: the same wall clock to the minute
        return finer[:16] == coarser[:16]
    return abs((date.fromisoformat(finer[:10]) - date.fromisoformat(coarser[:10])).days) <= 1

"""Dates as the page gives them: with zone, local, or a date alone; never guessed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.extract.dates import Candidate, choose, from_words, normalise, plausible, precision

CAPTURED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("2026-02-24T09:15:00+01:00", "2026-02-24T09:15:00+01:00"),
        ("2026-02-24 09:15:00 +01:00", "2026-02-24T09:15:00+01:00"),
        ("2026-02-24T09:15:00.25Z", "2026-02-24T09:15:00.250000Z"),
        ("2026-02-24T09:15:00-0530", "2026-02-24T09:15:00-05:30"),
        ("2026-02-24T09:15", "2026-02-24T09:15:00"),
        ("20260224T091500Z", "2026-02-24T09:15:00Z"),
        ("2026-02-24", "2026-02-24"),
        ("Tue, 24 Feb 2026 09:15:00 +0100", "2026-02-24T09:15:00+01:00"),
        ("1771920900", "2026-02-24T08:15:00Z"),
        ("1771920900000", "2026-02-24T08:15:00Z"),
        ("2026-02-30", None),
        ("2026-02-24T25:00:00Z", None),
        ("2026-02-24T09:15:00+25:00", None),
        ("today", None),
        ("3/4/2026", None),
        ("", None),
    ],
)
def test_machine_readable_forms(raw: str, value: str | None) -> None:
    assert normalise(raw) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("24.02.2026, 09:15 Uhr", "2026-02-24T09:15:00"),
        ("Stand: 24. 2. 2026", "2026-02-24"),
        ("2026.02.24 18:40", "2026-02-24T18:40:00"),
        ("2026년 2월 24일 18:40", "2026-02-24T18:40:00"),
        ("2026年2月24日 20時01分", "2026-02-24T20:01:00"),
        ("2/24/2026", None),
        ("yesterday at 09:15", None),
    ],
)
def test_visible_forms_with_a_certain_order(text: str, value: str | None) -> None:
    assert from_words(text) == value


@given(st.datetimes(datetime(1990, 1, 1), datetime(2025, 1, 1)), st.none() | st.integers(-14 * 60, 14 * 60))
def test_what_is_printed_reads_the_same(moment: datetime, minutes: int | None) -> None:
    if minutes is not None:
        moment = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    value = normalise(moment.isoformat())
    assert value is not None
    assert normalise(value) == value
    assert datetime.fromisoformat(value) == moment
    assert precision(value) == (1 if minutes is None else 2)


def test_future_is_refused_with_room_for_zones() -> None:
    assert plausible("2026-03-02T01:00:00Z", CAPTURED)
    assert not plausible("2026-03-02T03:00:00Z", CAPTURED)
    assert plausible("2026-03-02", CAPTURED)
    assert not plausible("2026-03-03", CAPTURED)
    assert not plausible("1600-01-01", CAPTURED)


def candidates(*raws: str, source: str = "meta") -> list[Candidate]:
    return [Candidate(raw=r, source=source, path="x") for r in raws]


@pytest.mark.parametrize(
    ("raws", "value"),
    [
        (["2026-02-24", "2026-02-24T09:15:00+01:00"], "2026-02-24T09:15:00+01:00"),
        (["2026-02-24T09:15:00", "2026-02-24T09:15:20+01:00"], "2026-02-24T09:15:20+01:00"),
        (["2026-02-24T09:15:00", "2026-02-25T09:15:20+01:00"], "2026-02-24T09:15:00"),
        (["2026-02-24T09:15:00Z", "2026-02-24T09:15:00+01:00"], "2026-02-24T09:15:00+01:00"),
        (["2026-02-24T08:15:00Z", "2026-02-24T09:15:00+01:00"], "2026-02-24T08:15:00Z"),
        (["2036-02-24", "2026-02-24"], "2026-02-24"),
        (["nonsense"], None),
    ],
)
def test_choice(raws: list[str], value: str | None) -> None:
    found = choose(candidates(*raws), CAPTURED)
    assert (found[0] if found else None) == value


@given(st.text(max_size=60))
def test_any_text_can_be_asked(text: str) -> None:
    for value in (normalise(text), from_words(text)):
        assert value is None or normalise(value) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("24 February 2026, 9:15", "2026-02-24T09:15:00"),
        ("February 24th, 2026", "2026-02-24"),
        ("Feb. 24, 2026 9:15 p.m. EST", "2026-02-24T21:15:00"),
        ("Feb 24, 2026 at 12:05 AM", "2026-02-24T00:05:00"),
        ("Dienstag, 24. Februar 2026", "2026-02-24"),
        ("24 février 2026 à 09h15", "2026-02-24T09:15:00"),
        ("24 de febrero de 2026", "2026-02-24"),
        ("24 de fevereiro de 2026 às 09:15", "2026-02-24T09:15:00"),
        ("24 febbraio 2026", "2026-02-24"),
        ("24 lutego 2026", "2026-02-24"),
        ("24 февраля 2026, 09:15", "2026-02-24T09:15:00"),
        ("24 лютого 2026", "2026-02-24"),
        ("24 Şubat 2026", "2026-02-24"),
        ("31 February 2026", None),
        ("24 Blursday 2026", None),
        ("February 2026", None),
        ("in the winter of 2026", None),
    ],
)
def test_months_by_name_make_the_order_certain(text: str, value: str | None) -> None:
    assert from_words(text) == value

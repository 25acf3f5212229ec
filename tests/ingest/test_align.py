"""Alignment: runs are what both share, none overlaps, and what was planted is found."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from ingest.align import MIN_RUN, SEED, Run, align, covered, seeds

#: Letters of which every shared run of so many is found, wherever it stands.
FOUND = 2 * SEED - 1

SHORT = st.text("ab", max_size=120)


def noise(seed: int, size: int, alphabet: str) -> str:
    return "".join(random.Random(seed).choices(alphabet, k=size))


@given(SHORT, SHORT)
def test_runs_are_shared_and_do_not_overlap(fragment: str, text: str) -> None:
    done = 0
    for run in align(fragment, text):
        assert run.start >= done
        assert run.length >= MIN_RUN
        assert fragment[run.start : run.end] == text[run.other : run.other + run.length]
        done = run.end
    assert 0 <= covered(align(fragment, text), len(fragment)) <= 1


@given(
    st.integers(0, 2**32), st.integers(FOUND, 300), st.integers(0, 100), st.integers(0, 100), st.integers(0, 100),
    st.integers(0, 100),
)  # fmt: skip
def test_a_planted_run_is_found_whole(seed: int, size: int, a: int, b: int, c: int, d: int) -> None:
    planted = noise(seed, size, "abcdefghijklmnop")
    fragment = noise(seed + 1, a, "qrstu") + planted + noise(seed + 2, b, "qrstu")
    text = noise(seed + 3, c, "vwxyz") + planted + noise(seed + 4, d, "vwxyz")
    assert align(fragment, text) == [Run(start=a, other=c, length=size)]


def test_a_text_covers_itself() -> None:
    text = noise(1, 5000, "abcdefghijklmnopqrstuvwxyz")
    assert align(text, text) == [Run(start=0, other=0, length=5000)]
    assert covered(align(text, text), 5000) == 1.0
    assert align(text[100:300], text) == [Run(start=0, other=100, length=200)]


def test_parts_in_another_order_are_runs_of_their_own() -> None:
    parts = [noise(seed, 200, "abcdefghijklmnopqrstuvwxyz") for seed in range(3)]
    runs = align(parts[2] + parts[0], "".join(parts))
    assert [(run.start, run.other, run.length) for run in runs] == [(0, 400, 200), (200, 0, 200)]


def test_a_changed_letter_parts_a_run() -> None:
    text = noise(1, 300, "abcdefghijklmnopqrstuvwxyz")
    runs = align(text[:150] + "0" + text[151:], text)
    assert [(run.start, run.other, run.length) for run in runs] == [(0, 0, 150), (151, 151, 149)]
    assert covered(runs, 300) == 299 / 300


def test_the_longer_of_two_places_is_taken() -> None:
    text = noise(1, 300, "abcdefghijklmnopqrstuvwxyz")
    other = text[:60] + "0" * 36 + text
    assert align(text, other) == [Run(start=0, other=96, length=300)]


def test_chance_is_no_run() -> None:
    shared = noise(1, MIN_RUN - 1, "abcdefghijklmnopqrstuvwxyz")
    assert align("0" * 12 + shared + "1" * 30, shared + "2" * 30) == []
    assert align("", "abc") == align("abc", "") == align("abc", "abc") == []
    assert covered([], 0) == 0.0


def test_a_text_that_repeats_itself_costs_no_more() -> None:
    """Each seed is tried at so many places; without that this would take minutes."""
    assert max(len(places) for places in seeds("ab" * 100_000).values()) == 32
    runs = align("ab" * 50_000, "ab" * 100_000)
    assert covered(runs, 100_000) == 1.0
